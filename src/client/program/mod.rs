//! The program `client`: from the command line to one printed result.

mod arguments;
mod command;
mod host;
pub mod options;
mod output;
mod trace;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddrV6;
use std::path::Path;
use std::process::ExitCode;

use thiserror::Error;

use super::{Client, Error};
use crate::wire::Operator;
use command::{Command, Run, Target};
use host::ResolveError;
use output::Output;

/// A command line that cannot be read: what is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    fn new(sentence: impl Into<String>) -> UsageError {
        UsageError(sentence.into())
    }
}

/// A server inside this process, for `--local`: its address, and what keeps it alive.
pub struct LocalServer {
    /// Where it listens.
    pub address: SocketAddrV6,
    /// Stops the server and waits for its end when dropped.
    pub guard: Box<dyn std::any::Any>,
}

/// Runs the program over its arguments (the first is its name) and gives its exit status: 0 if there is a result, 1 if
/// the server, the network or the system gives none, 2 if the command line cannot be read. `serve` starts the server of
/// `--local`.
pub fn main(arguments: impl Iterator<Item = OsString>, serve: fn() -> io::Result<LocalServer>) -> ExitCode {
    match run(arguments.skip(1).collect(), serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => complain(&error, 2),
        Err(Failure::Resolve(error)) => complain(&error, 1),
        Err(Failure::Local(error)) => complain(&format_args!("no server could be started for --local: {error}"), 1),
        // Nothing was sent: what was asked cannot be said.
        Err(Failure::Client(error @ Error::Plan(_), hint)) => complain(&format_args!("{error}{hint}"), 2),
        Err(Failure::Client(error, hint)) => complain(&format_args!("{error}{hint}"), 1),
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => complain(&format_args!("standard output: {error}"), 1),
    }
}

fn complain(sentence: &dyn std::fmt::Display, status: u8) -> ExitCode {
    eprintln!("client: {sentence}");
    ExitCode::from(status)
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("{0}")]
    Local(io::Error),
    /// With what else the program could do about it.
    #[error("{0}{1}")]
    Client(Error, String),
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn run(words: Vec<OsString>, serve: fn() -> io::Result<LocalServer>) -> Result<(), Failure> {
    let prepared = arguments::prepare(words, Path::new("."))?;
    let unglobbed = prepared.unglobbed;
    let run = match Command::try_from(prepared)? {
        Command::Help => return Ok(output::print(&options::help())?),
        Command::Version => return Ok(output::print(VERSION)?),
        Command::Run(run) => run,
    };
    let output = Output::new(&run);
    if unglobbed {
        output.note("file names stand behind -op, taken for *; quote it: -op '*'");
    }
    let (peers, _server) = peers(&run.target, serve)?;
    evaluate(run, peers, &output)
}

fn peers(
    target: &Target,
    serve: fn() -> io::Result<LocalServer>,
) -> Result<(Vec<SocketAddrV6>, Option<LocalServer>), Failure> {
    match target {
        Target::Remote(endpoint) => Ok((endpoint.resolve()?, None)),
        Target::Local => {
            let server = serve().map_err(Failure::Local)?;
            Ok((vec![server.address], Some(server)))
        }
    }
}

fn evaluate(run: Run, peers: Vec<SocketAddrV6>, output: &Output) -> Result<(), Failure> {
    let Run { operator, operands, config, .. } = run;
    let mut client = Client::new(peers, config.clone());
    let mut watch = output.watch();
    if operator == Operator::Describe {
        let text = client.describe_watched(&mut watch).map_err(|error| Failure::Client(error, String::new()))?;
        return Ok(output::print(&format!("{}\n", text.trim_end()))?);
    }
    let asked = client.evaluate_watched(operator, &operands, &mut watch);
    let evaluation = asked.map_err(|error| {
        let hint = output::hint(&error, operator, &operands, &config);
        Failure::Client(error, hint)
    })?;
    Ok(output.result(&evaluation)?)
}

const VERSION: &str = concat!("client ", env!("CARGO_PKG_VERSION"), "\n");
