//! Process groups, signals and limits of POSIX.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::super::ResourceLimits;
use crate::Failure;

/// A process.
pub type Id = Pid;

/// Which limits this system does not enforce, if any.
pub const LIMITS_MISSING: Option<&str> = None;

/// The largest file that a program may write, in octets.
const MAX_FILE: u64 = 64 << 20;

/// The process ID of a child.
pub fn id_of(child: &Child) -> Id {
    Pid::from_child(child)
}

/// A program and its descendants, as long as they stay in its process group.
#[derive(Debug)]
pub struct ProcessGroup(Pid);

impl ProcessGroup {
    /// Starts a command in a process group of its own.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2).
    pub fn start(command: &mut Command) -> io::Result<(Child, ProcessGroup)> {
        let child = command.process_group(0).spawn()?;
        let group = ProcessGroup(Pid::from_child(&child));
        Ok((child, group))
    }

    /// Asks all of them, and `others`, to end (SIGTERM). False if this system cannot ask.
    pub fn ask_to_end(&self, others: &[Id]) -> bool {
        self.signal(others, Signal::TERM);
        true
    }

    /// Kills all of them, and `others` (SIGKILL).
    pub fn end(&self, others: &[Id]) {
        self.signal(others, Signal::KILL);
    }

    fn signal(&self, others: &[Id], signal: Signal) {
        // ESRCH only means that no process is left.
        let _ = kill_process_group(self.0, signal);
        for other in others {
            let _ = kill_process(*other, signal);
        }
    }
}

/// Becomes a program, with limits; returns only if that fails.
///
/// # Errors
/// The system rejects a limit.
pub fn become_program(limits: &ResourceLimits, command: &mut Command) -> Result<io::Error, Failure> {
    let limited = [
        (Resource::Cpu, limits.cpu),
        (Resource::Data, limits.memory.saturating_mul(1 << 20)),
        (Resource::Nofile, limits.descriptors),
        (Resource::Fsize, MAX_FILE),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limited {
        // Only root may raise a limit that is already set.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = limit.min(most);
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, limit).map_err(|error| Failure::run("cannot set a limit", error))?;
    }
    #[cfg(target_os = "linux")]
    super::linux::prepare_to_become(limits.confined)
        .map_err(|error| Failure::run("cannot prepare to start a program", error))?;
    Ok(command.exec())
}

/// Calls `action`, in a thread of its own, for each SIGINT and SIGTERM, and for each SIGHUP if `hangup`.
///
/// # Errors
/// Those of sigaction(2) and of starting the thread.
pub fn on_end(hangup: bool, mut action: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup.then_some(SIGHUP)))?;
    let wait = move || signals.forever().for_each(|_| action());
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// The signal that ended a process.
pub fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// The exit status for this signal.
pub fn signalled(signal: i32) -> ExitStatus {
    ExitStatus::from_raw(signal)
}

/// Lets this process open `wanted` descriptors and `others`: any user may raise the usual soft limit of 1,024 to the
/// hard limit.
///
/// # Errors
/// The hard limit is lower: how many of `wanted` are possible.
pub fn raise_descriptor_limit(wanted: u64, others: u64) -> Result<(), u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = wanted + others;
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|maximum| *maximum < wanted) {
        return Err(maximum.saturating_sub(others));
    }
    // macOS has a further limit (OPEN_MAX), which it does not show.
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|_| current.unwrap_or(others).saturating_sub(others))
}

/// The words that run a command of the shell.
pub fn shell(command: &str) -> [String; 3] {
    ["sh".to_owned(), "-c".to_owned(), command.to_owned()]
}

/// Makes a symbolic link with the same target as `from`.
///
/// # Errors
/// Those of readlink(2) and symlink(2).
pub fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    symlink(std::fs::read_link(from)?, to)
}

/// The octets that a file occupies.
pub fn occupied(metadata: &Metadata) -> u64 {
    const BLOCK: u64 = 512;
    metadata.blocks() * BLOCK
}
