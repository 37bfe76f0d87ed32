//! Linux: /proc, namespaces, capabilities.

mod inspect;

use std::fs;
use std::io;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{DumpableBehavior, Signal, geteuid, set_dumpable_behavior, set_parent_process_death_signal};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

pub use inspect::{Family, socket_at, sockets};

/// Whether the system shows what other processes use, and which sockets exist.
pub const KNOWS_PROCESSES: bool = true;

/// Whether there are namespaces.
pub const NAMESPACES: bool = true;

/// Whether this process is root.
pub fn has_root() -> bool {
    geteuid().is_root()
}

/// Keeps programs of the same user out of this process: they could open its standard output in /proc/PID/fd and forge a
/// report (PR_SET_DUMPABLE, ptrace(2)).
///
/// # Errors
/// Those of prctl(2).
pub fn shield_this_process() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Moves the calling thread into a new network namespace.
///
/// # Errors
/// Those of unshare(2).
pub fn own_network() -> io::Result<()> {
    Ok(unshare(CloneFlags::CLONE_NEWNET)?)
}

/// The time that all threads of a process have run so far: the first field of /proc/PID/task/*/schedstat
/// (Documentation/scheduler/sched-stats.rst). getrusage's ticks are too coarse.
///
/// Threads that have ended are not counted: take differences over intervals in which no thread ends.
///
/// # Errors
/// There is no such process.
pub fn processor_time(process: u32) -> io::Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))?;
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(nanoseconds.sum()))
}

/// If lab dies, this process dies too (PR_SET_PDEATHSIG(2const)); if `confined`, it has no capabilities from now on.
///
/// # Errors
/// Those of prctl(2) and capset(2).
pub fn prepare_to_become(confined: bool) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if confined {
        give_up_capabilities()?;
    }
    Ok(())
}

/// Drops every capability, so that execve(2) cannot restore them: capabilities(7).
fn give_up_capabilities() -> rustix::io::Result<()> {
    let held = thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in held.permitted.iter() {
            thread::remove_capability_from_bounding_set(capability)?;
        }
        // After this, root is a user like any other.
        thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    }
    thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_a_missing_process_is_an_error() {
        let before = processor_time(std::process::id()).unwrap();
        let begun = std::time::Instant::now();
        while processor_time(std::process::id()).unwrap() == before {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        assert!(processor_time(u32::MAX).is_err());
    }
}
