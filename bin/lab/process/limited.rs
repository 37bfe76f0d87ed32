//! The hidden subcommand `lab limited`: sets limits on itself, and becomes the program.

use std::io::Write;
use std::path::PathBuf;
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
    /// Folder to run it in
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Its folder for temporary files
    #[arg(long)]
    temporary: Option<PathBuf>,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the command, within the limits.
pub fn run(arguments: &LimitedArguments) -> Result<ExitCode, Failure> {
    let (program, words) = arguments.command.split_first().ok_or_else(|| Failure::Usage("no command".into()))?;
    let mut command = Command::new(program);
    command.args(words);
    if let Some(directory) = &arguments.directory {
        command.current_dir(directory);
    }
    if let Some(temporary) = &arguments.temporary {
        command.envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, temporary)));
    }
    let error = system::become_program(&arguments.limits, &mut command)?;
    // If standard error is closed too, there is nowhere to report the error.
    let _ = writeln!(std::io::stderr(), "cannot start {program}: {error}");
    Ok(ExitCode::from(NOT_STARTED))
}
