//! The hidden subcommand `lab limited`: sets limits on itself, and becomes the program.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::Limits;
use crate::Failure;

/// Files that a program writes may have this many octets.
const MAX_FILE: u64 = 64 << 20;

/// The exit status of a shell for a command that it cannot start.
pub const NOT_STARTED: u8 = 127;

/// The hidden subcommand: sets limits on itself and becomes the command.
#[derive(Debug, clap::Args)]
pub struct LimitedArguments {
    #[command(flatten)]
    limits: Limits,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the command, within the limits.
pub fn run(arguments: &LimitedArguments) -> Result<ExitCode, Failure> {
    let Limits { cpu, memory, descriptors, confined, .. } = arguments.limits;
    let limits = [
        (Resource::Cpu, cpu),
        (Resource::Data, memory.saturating_mul(1 << 20)),
        (Resource::Nofile, descriptors),
        (Resource::Fsize, MAX_FILE),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        // Nobody but root may raise what is set already.
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = limit.min(most);
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        rustix::process::setrlimit(resource, limit).map_err(|error| Failure::run("cannot set a limit", error))?;
    }
    // If lab dies, so does what it started.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::run("cannot ask to end with the parent", error))?;
    if confined {
        give_up_capabilities().map_err(|error| Failure::run("cannot give up capabilities", error))?;
    }
    let (program, words) = arguments.command.split_first().ok_or_else(|| Failure::Usage("no command".into()))?;
    let error = Command::new(program).args(words).exec();
    // With standard error closed too, nobody is left to be told.
    let _ = writeln!(std::io::stderr(), "cannot start {program}: {error}");
    Ok(ExitCode::from(NOT_STARTED))
}

/// Gives up every capability, so that execve(2) gives none back: capabilities(7).
fn give_up_capabilities() -> rustix::io::Result<()> {
    let held = thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in held.permitted.iter() {
            thread::remove_capability_from_bounding_set(capability)?;
        }
        // Root is then a user like any other.
        thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    }
    thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}
