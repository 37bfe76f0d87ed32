//! `-i`: lines from a prompt, or from a pipe without one.

use std::io::{self, BufRead, IsTerminal};
use std::sync::atomic::Ordering;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, CompletionType, Config, Context, Editor, Helper};

use super::failure::{Complaint, Failure};
use super::output::{self, Output};
use calc6::arithmetic::Number;
use calc6::client::{Client, Error};
use calc6::expression::Expression;
use calc6::wire::Operator;

const HELP: &str = "\
+ 1 3 5          an operator, by symbol or word, then integers
(1+3)*5 - 2^10   an expression: + - * / % ^ & | and parentheses
gcd(12, 18)      a function: any operator by its word
_                the last result
trace on, off    draw what is sent and received
describe         what the server is and can do
help, quit       this help; the end, as is Ctrl-D
";

const COMMANDS: [&str; 5] = ["help", "quit", "trace on", "trace off", "describe"];

/// Answers lines until they end. At a prompt Ctrl-C ends what is going on alone, which `catch_interrupts` prepares.
///
/// # Errors
/// On a pipe: that a line had no result. Standard output cannot be written.
pub fn interact(
    client: Client,
    output: Output,
    catch_interrupts: fn(&Client) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut session = Session { client, output, trace: output.0.verbose, last: None };
    if !io::stdin().is_terminal() {
        return session.read();
    }
    catch_interrupts(&session.client)?;
    session.prompt()
}

struct Session {
    client: Client,
    output: Output,
    trace: bool,
    last: Option<Number>,
}

/// What a line asks for.
enum Response {
    /// Print this.
    Text(String),
    /// End.
    Quit,
}

impl Session {
    fn prompt(&mut self) -> Result<(), Failure> {
        // What is shown while typing is no output: where that goes elsewhere, the terminal itself is asked.
        let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List);
        let config = config.behavior(behavior).build();
        let unusable = |error| Failure::Output(io::Error::other(format!("the terminal: {error}")));
        let mut editor = Editor::<Words, MemHistory>::with_history(config, MemHistory::new()).map_err(unusable)?;
        editor.set_helper(Some(Words));
        if !self.output.0.quiet {
            output::say("'help' lists what can be asked.\n");
        }
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    // Of a Ctrl-C that came before the line did.
                    self.client.interrupt().store(false, Ordering::Relaxed);
                    match self.respond(&line) {
                        Ok(Response::Text(text)) => output::print(&text)?,
                        Ok(Response::Quit) => return Ok(()),
                        Err(Failure::Said(Complaint { sentence, place, .. })) => {
                            output::say(&format!("{sentence}\n{place}"));
                        }
                        // Ctrl-C while a server is waited for ends that alone.
                        Err(Failure::Interrupted(_)) => {
                            output::leave_interrupted_line();
                            output::say("interrupted\n");
                        }
                        Err(failure) => return Err(failure),
                    }
                }
                // Ctrl-C drops the line, Ctrl-D ends.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(()),
                Err(ReadlineError::Io(error)) => return Err(error.into()),
                Err(error) => return Err(unusable(error)),
            }
        }
    }

    /// Goes on behind lines that have no result, and fails at the end if there were any.
    fn read(&mut self) -> Result<(), Failure> {
        let mut failures = 0u64;
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let line = line.map_err(|error| Failure::client(Error::Read(error), ""))?;
            match self.respond(&line) {
                Ok(Response::Text(text)) => output::print(&text)?,
                Ok(Response::Quit) => break,
                Err(Failure::Said(Complaint { sentence, place, .. })) => {
                    output::say(&format!("client: line {number}: {sentence}\n{place}"));
                    failures += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
        if failures == 0 { Ok(()) } else { Err(Failure::lines(failures)) }
    }

    fn respond(&mut self, line: &str) -> Result<Response, Failure> {
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
            ["describe"] => {
                let described = self.client.describe_watched(&mut output::watch(self.trace));
                described.map_err(|error| Failure::client(error, ""))?.text.trim_end().to_owned() + "\n"
            }
            [operator, ref words @ ..] => self.evaluate(line, operator, words)?,
        };
        Ok(Response::Text(text))
    }

    /// An operator and integers, else an expression.
    fn evaluate(&mut self, line: &str, first: &str, words: &[&str]) -> Result<String, Failure> {
        let mut watch = output::watch(self.trace);
        let integer = |word: &&str| if *word == "_" { self.last.clone() } else { word.parse().ok() };
        let operands: Option<Vec<Number>> = words.iter().map(integer).collect();
        let result = match (Operator::from_word(first), operands) {
            (Some(operator), Some(operands)) if !operands.is_empty() => {
                let evaluated = self.client.evaluate_watched(operator, &operands, &mut watch);
                let hint = |error| {
                    let hint = output::hint(&error, operator, Some(&operands), self.client.config());
                    Failure::client(error, hint)
                };
                let evaluation = evaluated.map_err(hint)?;
                self.output.remark(&evaluation);
                evaluation.result
            }
            _ => {
                let expression =
                    Expression::parse(line, self.last.as_ref()).map_err(|error| Failure::syntax("", line, &error))?;
                let value = self.client.evaluate_expression(expression, &mut watch);
                value.map_err(|error| Failure::client(error, ""))?.result
            }
        };
        let printed = self.output.result(&result);
        self.last = Some(result);
        Ok(printed)
    }
}

/// Completes commands and the words of operators.
struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..position];
        let begins = |known: &&str, with: &str| !with.is_empty() && known.starts_with(with);
        let commands = COMMANDS.into_iter().filter(|known| begins(known, before));
        let start = before.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |place| place + 1);
        let operators = Operator::ALL.into_iter().filter(|&operator| operator != Operator::Describe);
        let words = operators.flat_map(Operator::words).copied().filter(|known| begins(known, &before[start..]));
        if start == 0 {
            return Ok((0, commands.chain(words).map(str::to_owned).collect()));
        }
        // A command of two words, else the last word.
        let commands: Vec<String> = commands.map(str::to_owned).collect();
        Ok(if commands.is_empty() { (start, words.map(str::to_owned).collect()) } else { (0, commands) })
    }
}

impl Helper for Words {}
impl Highlighter for Words {}
impl Validator for Words {}
impl Hinter for Words {
    type Hint = String;
}
