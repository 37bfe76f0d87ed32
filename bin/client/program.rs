//! Runs the program, from the command line to printed results.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::net::SocketAddrV6;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::arguments::Star;
use crate::command::{Ask, Command, Invocation, OperandSource, Target};
use crate::failure::{Complaint, Failure};
use crate::lines::Lines;
use crate::local::LocalServer;
use crate::output::Output;
use crate::progress::Bar;
use crate::repeat::Repetition;
use crate::report::Report;
use crate::session::Session;
use crate::terminal::Interrupts;
use crate::{arguments, lines, options, output, prompt, repeat, terminal, verify};
use calc6::arithmetic::Number;
use calc6::client::{Client, Error};
use calc6::expression::Expression;
use calc6::net::wait::Input;
use calc6::wire::Operator;

/// Runs the program over its arguments (the first is its name) and gives its exit status: 0 if there is a result, 1 if
/// the server, the network or the system gives none, 2 if the command line cannot be read.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.skip(1).collect();
    // Checked before the command line is parsed, so that its errors are JSON objects too.
    let json = words.iter().any(|word| word == "--json" || word == "-json");
    let mut report = Report::default();
    let complaint = match run(words, &mut report) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            output::complain(&format_args!("standard output: {error}"));
            return ExitCode::FAILURE;
        }
        Err(Failure::Interrupted(after)) => {
            tell(Complaint::interrupted(&after), json, &mut report);
            terminal::end_by_interrupt();
            return ExitCode::FAILURE;
        }
        Err(Failure::Said(complaint)) => complaint,
    };
    let exit = ExitCode::from(complaint.exit);
    tell(complaint, json, &mut report);
    exit
}

fn tell(complaint: Complaint, json: bool, report: &mut Report) {
    if json {
        report.error(complaint);
        let _ = output::print(&report.line());
    } else {
        let Complaint { sentence, place, .. } = complaint;
        output::say(&format!("client: {sentence}\n{place}"));
    }
}

fn run(words: Vec<OsString>, report: &mut Report) -> Result<(), Failure> {
    let prepared = arguments::prepare(words, Path::new("."))?;
    let star = prepared.star.clone();
    let run = match Command::try_from(prepared)? {
        Command::Help => return Ok(output::print(&options::help())?),
        Command::Version => return Ok(output::print(VERSION)?),
        Command::Run(run) => *run,
    };
    let output = Output(run.show);
    match star {
        Some(Star::Expanded) => output.note("the file names after -op mean *; quote it: -op '*'"),
        Some(Star::Operator(word)) => output.note(&format!(
            "-op {word}: understood as the operator, but it is also the only file here; for a product quote -op '*'"
        )),
        None => {}
    }
    let (peers, _server) = peers(&run.target, &output)?;
    let mut client = Client::new(peers, run.config.clone());
    for endpoint in &run.also {
        client.add_server(endpoint.resolve()?);
    }
    ask(run, client, &output, report)
}

fn peers(target: &Target, output: &Output) -> Result<(Vec<SocketAddrV6>, Option<LocalServer>), Failure> {
    match target {
        Target::Remote(endpoint) => Ok((endpoint.resolve()?, None)),
        Target::Local => {
            let server = LocalServer::start().map_err(|error| Failure::local(&error))?;
            if server.address().ip().to_ipv4_mapped().is_some() {
                output.note("IPv6 is off on this machine: asking 127.0.0.1 instead of ::1");
            }
            Ok((vec![server.address()], Some(server)))
        }
    }
}

fn ask(run: Invocation, mut client: Client, output: &Output, report: &mut Report) -> Result<(), Failure> {
    let printed = match &run.ask {
        Ask::Operator(operator, OperandSource::Typed(operands)) => {
            report.operator(*operator, Some(operands.len() as u64));
            if let Some(count) = run.repeat {
                catch_interrupts(&client)?;
                let deadline = run.config.retransmission.deadline.map(|deadline| Instant::now() + deadline);
                let repetition = Repetition { count, interval: run.interval, deadline };
                repeat::repeat(&mut client, *operator, operands, repetition, output, report)?;
                String::new()
            } else {
                evaluate(&mut client, *operator, operands, &run, output, report)?
            }
        }
        Ask::Operator(operator, OperandSource::Input) => {
            let input = Input::stdin().map_err(|error| Failure::input(&error))?;
            evaluate_text(&mut client, *operator, input, None, &run, output, report)?
        }
        Ask::Operator(operator, OperandSource::File(name)) => {
            let file = File::open(name).map_err(|error| Failure::file(name, &error))?;
            let bar = file.try_clone().map_err(|error| Failure::file(name, &error))?;
            let input = Input::file(file).map_err(|error| Failure::file(name, &error))?;
            let printed = evaluate_text(&mut client, *operator, input, Some((name, &bar)), &run, output, report)?;
            if let (true, Some(result)) = (run.verify, report.result()) {
                let file = File::open(name).map_err(|error| Failure::file(name, &error))?;
                verify::file(*operator, file, &result)?;
            }
            printed
        }
        Ask::Describe => {
            report.operator(Operator::Describe, None);
            let description = client.describe_watched(&mut output.watch());
            let description = description.map_err(|error| Failure::client(error, ""))?;
            let printed = description.text.trim_end().to_owned() + "\n";
            report.description(description);
            printed
        }
        Ask::Expression(text, expression) => {
            report.expression(text);
            evaluate_expression(&mut client, expression, text, run.verify, output, report)?
        }
        Ask::Lines => {
            let mut session = Session::new(client, *output, run.verify);
            return lines::read(&mut session, io::stdin().lock(), Lines::Expressions, None);
        }
        Ask::Interactive => {
            let mut session = Session::new(client, *output, run.verify);
            if !io::stdin().is_terminal() {
                return lines::read(&mut session, io::stdin().lock(), Lines::Any, None);
            }
            let interrupts = catch_interrupts(&session.client)?;
            return prompt::run(&mut session, &interrupts, run.history);
        }
    };
    Ok(output::print(&if output.0.json { report.line() } else { printed })?)
}

fn evaluate(
    client: &mut Client,
    operator: Operator,
    operands: &[Number],
    run: &Invocation,
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    let evaluation = client.evaluate_watched(operator, operands, &mut output.watch()).map_err(|error| {
        let hint = output::hint(&error, operator, Some(operands), client.config());
        Failure::client(error, hint)
    })?;
    output.remark(&evaluation);
    output.note_silent(&evaluation.servers);
    if run.verify {
        verify::operator(operator, operands, &evaluation.result)?;
    }
    report.evaluation(&evaluation);
    Ok(output.result(&evaluation.result))
}

fn evaluate_text(
    client: &mut Client,
    operator: Operator,
    text: Input,
    file: Option<(&str, &File)>,
    run: &Invocation,
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    catch_interrupts(client)?;
    report.operator(operator, None);
    let bar = Bar::new(run.show.quiet, file.map(|(_, file)| file));
    let mut watch = output.watch();
    let evaluated = client.evaluate_text_watched(operator, text, &mut |progress| bar.tell(progress), &mut watch);
    let (latest, drawn) = bar.latest();
    drop(bar);
    let evaluation = evaluated.map_err(|error| match error {
        Error::Cancelled => {
            // The bar's line is clear again.
            if !drawn {
                output::leave_interrupted_line();
            }
            Failure::Interrupted(format!(" after {} operands", latest.operands))
        }
        Error::Operand(error) => Failure::operand(file.map(|(name, _)| name), &error),
        error => {
            let hint = output::hint(&error, operator, None, client.config());
            Failure::client(error, hint)
        }
    })?;
    output.remark(&evaluation);
    output.note_silent(&evaluation.servers);
    report.evaluation(&evaluation);
    Ok(output.result(&evaluation.result))
}

fn evaluate_expression(
    client: &mut Client,
    expression: &Expression,
    text: &str,
    verify: bool,
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    let value = client.evaluate_expression_watched(expression.clone(), &mut output.watch());
    let value = value.map_err(|error| Failure::expression(error, text))?;
    if verify {
        verify::expression(expression.clone(), &value.result)?;
    }
    report.value(&value);
    Ok(output.result(&value.result))
}

fn catch_interrupts(client: &Client) -> Result<Interrupts, Failure> {
    Interrupts::catch(client)
        .map_err(|source| Failure::client(Error::System { what: "cannot catch signals", source }, ""))
}

const VERSION: &str = concat!("client ", env!("CARGO_PKG_VERSION"), "\n");
