//! From the command line to printed results.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddrV6;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use crate::command::{Ask, Command, Operands, Run, Target};
use crate::failure::{Complaint, Failure};
use crate::local::LocalServer;
use crate::output::Output;
use crate::progress::Bar;
use crate::report::Report;
use crate::{arguments, interactive, options, output, repeat};
use calc6::arithmetic::Number;
use calc6::client::{Client, Error};
use calc6::expression::Expression;
use calc6::wire::Operator;

/// Runs the program over its arguments (the first is its name) and gives its exit status: 0 if there is a result, 1 if
/// the server, the network or the system gives none, 2 if the command line cannot be read.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.skip(1).collect();
    // Asked for before the command line is read, so that what is wrong with it is an object too.
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
            // The shell is to see that a signal has ended it.
            let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
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
    let unglobbed = prepared.unglobbed;
    let run = match Command::try_from(prepared)? {
        Command::Help => return Ok(output::print(&options::help())?),
        Command::Version => return Ok(output::print(VERSION)?),
        Command::Run(run) => *run,
    };
    let output = Output(run.show);
    if unglobbed {
        output.note("file names stand behind -op, taken for *; quote it: -op '*'");
    }
    let (peers, _server) = peers(&run.target)?;
    let mut client = Client::new(peers, run.config.clone());
    for endpoint in &run.also {
        client.add_server(endpoint.resolve()?);
    }
    ask(run, client, &output, report)
}

fn peers(target: &Target) -> Result<(Vec<SocketAddrV6>, Option<LocalServer>), Failure> {
    match target {
        Target::Remote(endpoint) => Ok((endpoint.resolve()?, None)),
        Target::Local => {
            let server = LocalServer::start().map_err(|error| Failure::local(&error))?;
            Ok((vec![server.address()], Some(server)))
        }
    }
}

fn ask(run: Run, mut client: Client, output: &Output, report: &mut Report) -> Result<(), Failure> {
    let printed = match &run.ask {
        Ask::Operator(operator, Operands::Typed(operands)) => {
            report.operator(*operator, Some(operands.len() as u64));
            if let Some(count) = run.repeat {
                catch_interrupts(&client)?;
                repeat::repeat(&mut client, *operator, operands, count, output, report)?;
                String::new()
            } else {
                evaluate(&mut client, *operator, operands, output, report)?
            }
        }
        Ask::Operator(operator, Operands::Input) => {
            evaluate_text(&mut client, *operator, io::stdin(), None, &run, output, report)?
        }
        Ask::Operator(operator, Operands::File(name)) => {
            let file = File::open(name).map_err(|error| Failure::file(name, &error))?;
            evaluate_text(&mut client, *operator, &file, Some(&file), &run, output, report)?
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
            evaluate_expression(&mut client, expression.clone(), output, report)?
        }
        Ask::Interactive => return interactive::interact(client, *output, catch_interrupts),
    };
    Ok(output::print(&if output.0.json { report.line() } else { printed })?)
}

fn evaluate(
    client: &mut Client,
    operator: Operator,
    operands: &[Number],
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    let evaluation = client.evaluate_watched(operator, operands, &mut output.watch()).map_err(|error| {
        let hint = output::hint(&error, operator, Some(operands), client.config());
        Failure::client(error, hint)
    })?;
    output.remark(&evaluation);
    if output.0.json {
        report.evaluation(&evaluation, output.number(&evaluation.result));
    }
    Ok(output.result(&evaluation.result))
}

fn evaluate_text(
    client: &mut Client,
    operator: Operator,
    text: impl Read + AsFd,
    file: Option<&File>,
    run: &Run,
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    catch_interrupts(client)?;
    report.operator(operator, None);
    let bar = Bar::new(run.show.quiet, file);
    let mut watch = output.watch();
    let evaluated =
        client.evaluate_text(operator, text, run.max_result, &mut |progress| bar.tell(progress), &mut watch);
    let (latest, drawn) = bar.latest();
    drop(bar);
    let evaluation = evaluated.map_err(|error| match error {
        Error::Interrupted => {
            // The bar's line is clear again.
            if !drawn {
                output::leave_interrupted_line();
            }
            Failure::Interrupted(format!(" after {} operands", latest.operands))
        }
        error => {
            let hint = output::hint(&error, operator, None, client.config());
            Failure::client(error, hint)
        }
    })?;
    report.evaluation(&evaluation, output.number(&evaluation.result));
    Ok(output.result(&evaluation.result))
}

fn evaluate_expression(
    client: &mut Client,
    expression: Expression,
    output: &Output,
    report: &mut Report,
) -> Result<String, Failure> {
    let value = client.evaluate_expression(expression, &mut output.watch());
    let value = value.map_err(|error| Failure::client(error, ""))?;
    report.value(output.number(&value.result), value.last.as_ref(), value.requests, value.transmissions);
    Ok(output.result(&value.result))
}

/// The first Ctrl-C ends what is going on, in its own way; a second one ends the program.
fn catch_interrupts(client: &Client) -> Result<(), Failure> {
    use signal_hook::{consts::SIGINT, flag};
    let interrupt = client.interrupt();
    flag::register_conditional_default(SIGINT, interrupt.clone())
        .and_then(|_| flag::register(SIGINT, interrupt))
        .map(drop)
        .map_err(|error| Failure::client(Error::System { what: "signals", error }, ""))
}

const VERSION: &str = concat!("client ", env!("CARGO_PKG_VERSION"), "\n");
