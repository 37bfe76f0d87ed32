//! `lab check`: holds a server or a client against the clauses of docs/protocol.md.

pub mod client;
mod document;
mod fuzz;
mod probe;
pub mod report;
mod server;
pub mod service;
mod shrink;
pub mod table;
mod through;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::target::resolve;
use crate::common::usage::duration;
use crate::common::usage::{Port, whole};
use crate::process::{ResourceLimits, shield_this_process};
pub use fuzz::FuzzSummary;
use probe::Prober;
use report::{Advice, CheckReport};
pub use server::extended_request;
pub use server::request as classic_request;
use service::{Recipe, Service, StartError, command_line, loopback};
use table::Check;
pub use through::Through;

/// Descriptors of a server that is checked, at most.
const DESCRIPTORS: u64 = 256;

/// Checks a server or a client against the clauses of the protocol, one by one
///
/// Exits with 0 only if every required clause holds, with 1 otherwise.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub struct Arguments {
    #[command(subcommand)]
    role: CheckCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CheckCommand {
    Server(ServerArguments),
    Client(ClientArguments),
    Fuzz(FuzzArguments),
}

/// Checks a server: one that runs, or a command that lab starts, restarts and ends
///
/// In the command, {host} and {port} are replaced; without a {port} both are appended.
#[derive(Debug, clap::Args)]
#[command(override_usage = "lab check server [OPTIONS] HOST PORT\n       lab check server [OPTIONS] -- COMMAND...")]
struct ServerArguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// Check the extended form too
    #[arg(long)]
    extended: bool,
    /// Ask through a relay with these options of lab relay, such as "--loss 30% --seed 3"
    #[arg(long, value_name = "OPTIONS", value_parser = Through::parse, allow_hyphen_values = true)]
    through: Option<Through>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Sends random and mutated datagrams to a server and verifies every answer that it owes
#[derive(Debug, clap::Args)]
#[command(override_usage = "lab check fuzz [OPTIONS] HOST PORT\n       lab check fuzz [OPTIONS] -- COMMAND...")]
struct FuzzArguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// Send extended requests too, and demand silence where the specification does
    #[arg(long)]
    extended: bool,
    /// Datagrams to send at most
    #[arg(long, value_name = "N", default_value = "1000", value_parser = whole::<u64>(0..=u64::MAX))]
    count: u64,
    /// Time to send them in at most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// Seed of the random choices [default: a new one, shown]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Checks a client: lab is the server
///
/// In the command, {host}, {port}, {op} (+ or *), {string} (-s or nothing; {string:--text} for another option) and
/// {operands} are replaced. Without a {port}, what is missing of `-op {op} {string} {host} {port} {operands}` is
/// appended: `python3 client.py --op {op}` is enough. A client that refuses -op is called with --op.
#[derive(Debug, clap::Args)]
#[command(override_usage = "lab check client [OPTIONS] -- COMMAND...")]
struct ClientArguments {
    /// The client's command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// How long a client may take to give up or to repeat a request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    patience: Duration,
    /// What the client prints before a result [default: "Result: "]
    #[arg(long, value_name = "TEXT")]
    result_prefix: Option<String>,
    /// Let it ask through a relay with these options of lab relay, such as "--loss 30% --seed 3"
    #[arg(long, value_name = "OPTIONS", value_parser = Through::parse, allow_hyphen_values = true)]
    through: Option<Through>,
    /// Address that lab listens on [default: ::1, or 127.0.0.1 where there is no ::1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    #[command(flatten)]
    limits: ResourceLimits,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, clap::Args)]
struct SubjectArguments {
    /// Host and port of a server that runs
    #[arg(num_args = 2, value_names = ["HOST", "PORT"], conflicts_with = "command", required_unless_present = "command")]
    target: Vec<String>,
    /// Command that starts a server
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Address that a started server listens on [default: ::1, or 127.0.0.1 where there is no ::1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// How long to wait for a reply that the server owes; extended automatically if the server is slow
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    patience: Duration,
    /// How long a started server may take until it listens
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    start_time: Duration,
    #[command(flatten)]
    limits: ResourceLimits,
}

#[derive(Debug, clap::Args)]
struct OutputArguments {
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// The checks of a `server` or a `client`; those of a server's extended form only if asked for.
pub fn checks(role: &str, extended: bool) -> Box<dyn Iterator<Item = &'static Check>> {
    match role {
        "server" if extended => Box::new(server::checks()),
        "server" => Box::new(server::classic_checks()),
        _ => Box::new(client::checks()),
    }
}

/// Checks, and writes what was found.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    shield_this_process().map_err(|error| Failure::run("cannot shield this process from what it starts", error))?;
    match &arguments.role {
        CheckCommand::Server(arguments) => check_server(arguments),
        CheckCommand::Client(ClientArguments { command, patience, result_prefix, through, host, limits, output }) => {
            output.write(&client::check(&client::ClientSubject {
                template: command.clone(),
                host: host.unwrap_or_else(loopback),
                limits: limits.clone(),
                patience: *patience,
                prefix: result_prefix.clone(),
                through: through.clone(),
            })?)
        }
        CheckCommand::Fuzz(arguments) => fuzz(arguments),
    }
}

fn check_server(arguments: &ServerArguments) -> Result<ExitCode, Failure> {
    let ServerArguments { subject, extended, through, output } = arguments;
    let report = match subject.prober()? {
        Found::Server(prober) => {
            let prober = match through {
                Some(through) => {
                    let relay = through.start(prober.target(), 0)?;
                    prober.through(relay)
                }
                None => *prober,
            };
            server::check(prober, subject.recipe().as_ref(), *extended)?
        }
        Found::None(advice) => server::not_listening(advice, *extended),
    };
    output.write(&CheckReport { subject: subject.name(), ..report })
}

fn fuzz(arguments: &FuzzArguments) -> Result<ExitCode, Failure> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| Failure::run("cannot draw a seed", error))?,
    };
    let subject = arguments.subject.name();
    let mut prober = match arguments.subject.prober()? {
        Found::Server(prober) => *prober,
        Found::None(advice) => return Err(Failure::Run(format!("{}: {}", advice.found, advice.likely))),
    };
    let outcome = fuzz::run(&mut prober, seed, arguments.count, arguments.duration, arguments.extended)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &outcome).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let fuzz::FuzzSummary { seed, datagrams, owed, answered, wrong } = &outcome;
        writeln!(out, "{subject}, seed {seed}")?;
        for fuzz::Wrong { sent, expected, found, shrunk } in wrong {
            writeln!(out, "wrong\n  sent      {sent}\n  expected  {expected}\n  found     {found}")?;
            if let Some(shrunk) = shrunk {
                writeln!(out, "  smallest  {shrunk}")?;
            }
        }
        writeln!(out, "{datagrams} datagrams, {answered} answered, {owed} answers verified, {} wrong", wrong.len())?;
    }
    Ok(if outcome.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A server, or why there is none.
enum Found {
    Server(Box<Prober>),
    None(Advice),
}

impl SubjectArguments {
    /// A prober for the server, started if there is a command for it.
    fn prober(&self) -> Result<Found, Failure> {
        let found = |prober| Ok(Found::Server(Box::new(prober)));
        if let [host, port] = &self.target[..] {
            let port = Port::to_ask(port).map_err(|what| Failure::Usage(format!("PORT: {port:?}: {what}")))?;
            let target = resolve(host, &port)?[0];
            return found(Prober::new(target, None, self.patience));
        }
        let Some(recipe) = self.recipe() else { return Err(Failure::Usage("no server is named".into())) };
        match Service::start(&recipe, self.host.unwrap_or_else(loopback)) {
            Ok(service) => found(Prober::new(service.address(), Some(service), self.patience)),
            Err(StartError::Failure(failure)) => Err(failure),
            Err(StartError::NotListening(advice)) => Ok(Found::None(advice)),
        }
    }

    /// Its name in the report.
    fn name(&self) -> String {
        match &self.target[..] {
            [host, port] => format!("{host} {port}"),
            _ => command_line(&self.command),
        }
    }

    fn recipe(&self) -> Option<Recipe> {
        let Self { limits, start_time, .. } = self;
        // Few enough that a leak shows.
        let limits = ResourceLimits { descriptors: limits.descriptors.min(DESCRIPTORS), ..limits.clone() };
        let started = !self.command.is_empty();
        started.then(|| Recipe { template: self.command.clone(), limits, start_time: *start_time })
    }
}

impl OutputArguments {
    fn write(&self, report: &CheckReport) -> Result<ExitCode, Failure> {
        if let Some(path) = &self.junit {
            report.write_junit(path)?;
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            report.write_json(&mut out)?;
        } else {
            report.write_text(&mut out)?;
        }
        out.flush()?;
        Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
