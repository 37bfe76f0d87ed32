//! The `lab` program: one module for each subcommand.
//!
//! A subcommand's module holds its arguments (for clap) and a function `run` that takes them. It writes its results to
//! standard output and everything else (what it listens on, progress) to standard error.

pub mod bench;
pub mod check;
pub mod explain;
pub mod floor;
pub mod grade;
pub mod pcap;
pub mod relay;
mod target;
mod units;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::usage;

/// The exit status for words that cannot be understood.
const EXIT_USAGE: u8 = 2;

/// Measures, checks, disturbs and explains calculators that are served in datagrams, in whatever language they are written.
#[derive(Debug, Parser)]
#[command(name = "lab", version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Floor(floor::Arguments),
    Grade(grade::Arguments),
    Relay(relay::Arguments),
    #[command(hide = true)]
    Limited(check::subject::LimitedArguments),
}

/// Why a subcommand ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The words of the command line say nothing that could be done: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The system refused something, or the run failed: exit status 1.
    #[error("{0}")]
    Run(String),
    /// Whoever read standard output has gone: a quiet end, exit status 0.
    #[error("standard output is closed")]
    Closed,
}

impl Failure {
    /// A failed run: `what` could not be done, because of `cause`.
    pub fn run(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Run(format!("{what}: {cause}"))
    }
}

/// For writes to standard output, the only ones that may use `?` without words of their own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::run("cannot write to standard output", error),
        }
    }
}

/// The command line as clap knows it: for man pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program: reads the command line, runs the subcommand, and says how it ended.
pub fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => return usage::answer(&command(), &error),
    };
    let result = match command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Floor(arguments) => floor::run(&arguments),
        Command::Grade(arguments) => grade::run(&arguments),
        Command::Relay(arguments) => relay::run(&arguments),
        Command::Limited(arguments) => check::subject::run_limited(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            // With standard error closed too, nobody is left to be told.
            let _ = writeln!(io::stderr(), "lab: {failure}");
            match failure {
                Failure::Usage(_) => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
