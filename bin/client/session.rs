//! Questions line by line: at a prompt, from a pipe, from a file of expressions.

use calc6::arithmetic::Number;
use calc6::client::{Client, Evaluation};
use calc6::expression::Expression;
use calc6::wire::Operator;

use super::failure::Failure;
use super::output::{self, Output};
use super::report::Report;
use super::verify;

/// The text of the command `help`.
const HELP: &str = "\
+ 1 3 5          an operator, by symbol or word, then integers
(1+3)*5 - 2^10   an expression: + - * / % ^ & | and parentheses
gcd(12, 18)      a function: any operator by its word
_                the last result
trace on, off    draw what is sent and received
describe         what the server is and can do
help, quit       this help; exit (also Ctrl-D)
";

/// The commands that do not ask the server.
pub const COMMANDS: [&str; 5] = ["help", "quit", "trace on", "trace off", "describe"];

/// A client for questions line by line.
pub struct Session {
    pub client: Client,
    pub output: Output,
    /// Whether results are also computed here.
    pub verify: bool,
    trace: bool,
    last: Option<Number>,
}

/// The response to a line.
pub enum Response {
    /// Print this.
    Text(String),
    /// End.
    Quit,
}

impl Session {
    pub fn new(client: Client, output: Output, verify: bool) -> Session {
        Session { client, output, verify, trace: output.0.verbose, last: None }
    }

    /// Answers a line, which may be a command.
    ///
    /// # Errors
    /// It has no result.
    pub fn respond(&mut self, line: &str) -> Result<Response, Failure> {
        let text = match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] => String::new(),
            ["help" | "?"] => HELP.to_owned(),
            ["quit" | "exit"] => return Ok(Response::Quit),
            ["trace", "on"] => {
                self.trace = true;
                String::new()
            }
            ["trace", "off"] => {
                self.trace = false;
                String::new()
            }
            ["describe"] => self.describe()?,
            [first, ref words @ ..] => self.evaluate(line, first, words)?,
        };
        Ok(Response::Text(text))
    }

    /// Answers a line that is an expression.
    ///
    /// # Errors
    /// It has no result.
    pub fn evaluate_expression(&mut self, line: &str) -> Result<String, Failure> {
        let expression =
            Expression::parse(line, self.last.as_ref()).map_err(|error| Failure::syntax("", line, &error))?;
        let mut report = Report::default();
        report.expression(line);
        let value =
            self.client.evaluate_expression_watched(expression.clone(), &mut output::watch(self.trace, self.output.0));
        let value = value.map_err(|error| Failure::expression(error, line))?;
        if self.verify {
            verify::expression(expression, &value.result)?;
        }
        report.value(&value);
        Ok(self.printed(value.result, &report))
    }

    fn describe(&mut self) -> Result<String, Failure> {
        let description = self.client.describe_watched(&mut output::watch(self.trace, self.output.0));
        let description = description.map_err(|error| Failure::client(error, ""))?;
        let text = description.text.trim_end().to_owned() + "\n";
        let mut report = Report::default();
        report.operator(Operator::Describe, None);
        report.description(description);
        Ok(if self.output.0.json { report.line() } else { text })
    }

    /// An operator and integers, else an expression.
    fn evaluate(&mut self, line: &str, first: &str, words: &[&str]) -> Result<String, Failure> {
        let integer = |word: &&str| if *word == "_" { self.last.clone() } else { word.parse().ok() };
        let operands: Option<Vec<Number>> = words.iter().map(integer).collect();
        match (Operator::from_word(first), operands) {
            (Some(operator), Some(operands)) if !operands.is_empty() => {
                let evaluation = self.evaluate_operator(operator, &operands)?;
                self.output.remark(&evaluation);
                let mut report = Report::default();
                report.operator(operator, None);
                report.evaluation(&evaluation);
                Ok(self.printed(evaluation.result, &report))
            }
            _ => self.evaluate_expression(line),
        }
    }

    fn evaluate_operator(&mut self, operator: Operator, operands: &[Number]) -> Result<Evaluation, Failure> {
        let evaluated = self.client.evaluate_watched(operator, operands, &mut output::watch(self.trace, self.output.0));
        let evaluation = evaluated.map_err(|error| {
            let hint = output::hint(&error, operator, Some(operands), self.client.config());
            Failure::client(error, hint)
        })?;
        if self.verify {
            verify::operator(operator, operands, &evaluation.result)?;
        }
        Ok(evaluation)
    }

    fn printed(&mut self, result: Number, report: &Report) -> String {
        let printed = if self.output.0.json { report.line() } else { self.output.result(&result) };
        self.last = Some(result);
        printed
    }
}
