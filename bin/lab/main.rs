//! The `lab` program: one module for each subcommand.
//!
//! A subcommand's module holds its arguments (for clap) and a function `run` that takes them. It writes its results to
//! standard output and everything else (what it listens on, progress) to standard error.

mod bench;
mod check;
mod columns;
mod command;
#[path = "../common/mod.rs"]
mod common;
mod explain;
mod floor;
mod grade;
mod interrupt;
mod markup;
mod parallel;
mod pcap;
mod process;
mod quiz;
mod relay;
mod sweep;
mod tap;
mod target;
mod units;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::common::generate::{self, ProgramPages};
use crate::common::usage;

/// The exit status for a command line that cannot be parsed.
const EXIT_USAGE: u8 = 2;

/// Measures, checks, disturbs and explains calculator servers and clients over UDP, written in any language
#[derive(Debug, Parser)]
#[command(name = "lab", version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    Bench(bench::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Floor(floor::Arguments),
    Grade(grade::Arguments),
    Quiz(quiz::Arguments),
    Relay(relay::Arguments),
    Sweep(sweep::Arguments),
    #[command(hide = true)]
    Limited(process::LimitedArguments),
    #[command(hide = true)]
    Pair(grade::PairArguments),
}

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line cannot be parsed: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The system refused something, or the run failed: exit status 1.
    #[error("{0}")]
    Run(String),
    /// The reader of standard output has closed it: end quietly, exit status 0.
    #[error("standard output is closed")]
    Closed,
}

impl Failure {
    /// A failed run: `what` could not be done, because of `cause`.
    pub fn run(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Run(format!("{what}: {cause}"))
    }
}

/// For writes to standard output, the only I/O that may use `?` without its own message.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::run("cannot write to standard output", error),
        }
    }
}

/// The description that `--generate` uses.
fn program() -> ProgramPages {
    ProgramPages {
        plain: "lab",
        installed: "calc6-lab",
        command: Arguments::command(),
        exit_status: "0 for success; 1 if the system refused something, the run failed, or something was found \
                      wrong; 2 if the command line cannot be parsed.",
        edit_completions: |_, script| script,
    }
}

/// Parses the command line, runs the subcommand, and reports its failure.
fn main() -> ExitCode {
    if let Some(folder) = generate::requested() {
        return generate::run(&program(), &folder);
    }
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => return usage::answer(&Arguments::command(), error),
    };
    let result = match command {
        LabCommand::Bench(arguments) => bench::run(&arguments),
        LabCommand::Check(arguments) => check::run(&arguments),
        LabCommand::Explain(arguments) => explain::run(&arguments),
        LabCommand::Floor(arguments) => floor::run(&arguments),
        LabCommand::Grade(arguments) => grade::run(&arguments),
        LabCommand::Quiz(arguments) => quiz::run(&arguments),
        LabCommand::Relay(arguments) => relay::run(&arguments),
        LabCommand::Sweep(arguments) => sweep::run(&arguments),
        LabCommand::Limited(arguments) => process::run_limited(&arguments),
        LabCommand::Pair(arguments) => grade::run_pair(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed too: then there is no way to report it.
            let _ = writeln!(io::stderr(), "lab: {}", process::escaped(&failure.to_string()));
            match failure {
                Failure::Usage(_) => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
