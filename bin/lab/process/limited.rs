//! The hidden subcommand `lab limited`: sets limits on itself, and becomes the program.

use std::io::Write;
use std::process::{Command, ExitCode};

use super::{ResourceLimits, system};
use crate::Failure;

/// The exit status of a shell for a command that it cannot start.
pub const NOT_STARTED: u8 = 127;

/// The hidden subcommand: sets limits on itself and becomes the command.
#[derive(Debug, clap::Args)]
pub struct LimitedArguments {
    #[command(flatten)]
    limits: ResourceLimits,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the command, within the limits.
pub fn run(arguments: &LimitedArguments) -> Result<ExitCode, Failure> {
    let (program, words) = arguments.command.split_first().ok_or_else(|| Failure::Usage("no command".into()))?;
    let error = system::become_program(&arguments.limits, Command::new(program).args(words))?;
    // With standard error closed too, nobody is left to be told.
    let _ = writeln!(std::io::stderr(), "cannot start {program}: {error}");
    Ok(ExitCode::from(NOT_STARTED))
}
