//! `lab check`: holds a server or a client against the clauses of docs/protocol.md.

mod client;
mod extended;
mod fuzz;
mod probe;
pub mod report;
mod server;
mod shrink;
pub mod subject;
pub mod table;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::target::resolve;
use crate::common::usage::duration;
use crate::common::usage::{Port, whole};
pub use extended::request as extended_request;
use probe::Prober;
use report::Report;
use server::Recipe;
pub use server::request as classic_request;
use subject::{Limits, Service};

/// Checks a server or a client against the clauses of the protocol, one by one
///
/// Exits with 0 only if every required clause holds, with 1 otherwise.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
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
    subject: Subject,
    /// Check the extended form too
    #[arg(long)]
    extended: bool,
    #[command(flatten)]
    output: Output,
}

/// Sends random and mutated datagrams to a server and verifies every answer that it owes
#[derive(Debug, clap::Args)]
#[command(override_usage = "lab check fuzz [OPTIONS] HOST PORT\n       lab check fuzz [OPTIONS] -- COMMAND...")]
struct FuzzArguments {
    #[command(flatten)]
    subject: Subject,
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
/// In the command, {host}, {port}, {op} (+ or *), {string} (-s or nothing) and {operands} are replaced. Without a
/// {port}, `-op {op} {string} {host} {port} {operands}` is appended.
#[derive(Debug, clap::Args)]
#[command(override_usage = "lab check client [OPTIONS] -- COMMAND...")]
struct ClientArguments {
    /// The client's command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// How long a client may take to give up or to repeat a request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    patience: Duration,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// Host and port of a server that runs
    #[arg(num_args = 2, value_names = ["HOST", "PORT"], conflicts_with = "command", required_unless_present = "command")]
    target: Vec<String>,
    /// Command of a server to start
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Address that a started server is told to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv6Addr::LOCALHOST.into())]
    host: IpAddr,
    /// How long to wait for a reply before asking again
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    timeout: Duration,
    /// How long a started server may take until it listens
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    start_time: Duration,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Debug, clap::Args)]
struct Output {
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Write a JUnit report to a file besides
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Checks, and writes what was found.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // What is checked runs as the same user: without this it could open our standard output in /proc/PID/fd and forge
    // the report (PR_SET_DUMPABLE, ptrace(2)).
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| Failure::run("cannot shield this process from what it starts", error))?;
    match &arguments.role {
        Role::Server(arguments) => {
            let (prober, subject) = arguments.subject.prober()?;
            let recipe = arguments.subject.recipe();
            let report = server::check(prober, recipe.as_ref(), arguments.extended)?;
            arguments.output.write(&Report { subject, ..report })
        }
        Role::Client(ClientArguments { command, patience, limits, output }) => {
            output.write(&client::check(command, limits, *patience)?)
        }
        Role::Fuzz(arguments) => fuzz(arguments),
    }
}

fn fuzz(arguments: &FuzzArguments) -> Result<ExitCode, Failure> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| Failure::run("cannot draw a seed", error))?,
    };
    let (mut prober, subject) = arguments.subject.prober()?;
    let outcome = fuzz::run(&mut prober, seed, arguments.count, arguments.duration, arguments.extended)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &outcome).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let fuzz::FuzzSummary { seed, datagrams, owed, answered, wrong } = &outcome;
        writeln!(out, "{subject}, seed {seed}")?;
        for fuzz::Wrong { sent, expected, came, shrunk } in wrong {
            writeln!(out, "wrong\n  sent      {sent}\n  expected  {expected}\n  came      {came}")?;
            if let Some(shrunk) = shrunk {
                writeln!(out, "  smallest  {shrunk}")?;
            }
        }
        writeln!(out, "{datagrams} datagrams, {answered} answered, {owed} answers verified, {} wrong", wrong.len())?;
    }
    Ok(if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Subject {
    /// A prober for the server, started if there is a command for it, and the server's name in the report.
    fn prober(&self) -> Result<(Prober, String), Failure> {
        if let [host, port] = &self.target[..] {
            let port = Port::to_ask(port).map_err(|what| Failure::Usage(format!("PORT: {port:?}: {what}")))?;
            let target = resolve(host, &port)?[0];
            return Ok((Prober::new(target, None, self.timeout), target.to_string()));
        }
        let service = Service::start(&self.command, self.host, &self.limits, self.start_time)?;
        let target = service.address();
        Ok((Prober::new(target, Some(service), self.timeout), self.command.join(" ")))
    }

    fn recipe(&self) -> Option<Recipe<'_>> {
        let started = !self.command.is_empty();
        started.then_some(Recipe { template: &self.command, limits: &self.limits, start_time: self.start_time })
    }
}

impl Output {
    fn write(&self, report: &Report) -> Result<ExitCode, Failure> {
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
