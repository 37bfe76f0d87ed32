//! Windows: job objects. A job ends with the last handle on it, and with it all of its processes.

use std::fs::Metadata;
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, PoisonError};

use win32job::{ExtendedLimitInfo, Job};

use super::super::ResourceLimits;
use crate::Failure;

/// A process.
pub type Id = u32;

/// Which limits this system does not keep, if any.
pub const LIMITS_MISSING: Option<&str> = Some("processor time, memory and open files are not limited on this system");

/// The process of a child.
pub fn id_of(child: &Child) -> Id {
    child.id()
}

/// A program and its descendants: all in one job.
#[derive(Debug)]
pub struct ProcessGroup(Mutex<Option<Job>>);

impl ProcessGroup {
    /// Starts a command in a job of its own. What it starts before it is in the job, in the first millisecond, is not: that
    /// is why `lab limited` makes a job for itself.
    ///
    /// # Errors
    /// Those of CreateProcess and CreateJobObject.
    pub fn start(command: &mut Command) -> io::Result<(Child, ProcessGroup)> {
        let job = job()?;
        let mut child = command.spawn()?;
        if let Err(error) = job.assign_process(child.as_raw_handle() as isize) {
            // One that has ended already cannot be assigned.
            if child.try_wait()?.is_none() {
                let _ = child.kill();
                return Err(error.into());
            }
        }
        Ok((child, ProcessGroup(Mutex::new(Some(job)))))
    }

    /// A program without a window cannot be asked.
    pub fn ask_to_end(&self, _: &[Id]) -> bool {
        false
    }

    /// Ends them all.
    pub fn end(&self, _: &[Id]) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn job() -> io::Result<Job> {
    let mut info = ExtendedLimitInfo::new();
    info.limit_kill_on_job_close();
    Ok(Job::create_with_limit_info(&info)?)
}

/// Runs a program to its end, with all that it starts in one job, and ends with its exit status; returns only if it
/// cannot be started.
///
/// # Errors
/// The job is refused.
pub fn become_program(_: &ResourceLimits, command: &mut Command) -> Result<io::Error, Failure> {
    // Never dropped: that would end this process too, before it has said how it ends.
    let job = ManuallyDrop::new(job().map_err(|error| Failure::run("cannot make a job", error))?);
    job.assign_current_process().map_err(|error| Failure::run("cannot enter a job", error))?;
    match command.status() {
        // The system closes the job then, and ends what is left in it.
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Ok(error),
    }
}

/// Calls `action`, in a thread of its own, for each Ctrl-C and when the console is closed.
///
/// # Errors
/// The handler is refused, or there is one already.
pub fn on_end(_: bool, action: impl FnMut() + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(action).map_err(io::Error::other)
}

/// No signal ends a process here.
pub fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// The exit status that a shell gives an end by a signal.
pub fn signalled(signal: i32) -> ExitStatus {
    ExitStatus::from_raw(128 + signal as u32)
}

/// There is no limit.
///
/// # Errors
/// None.
pub fn raise_descriptor_limit(_: u64, _: u64) -> Result<(), u64> {
    Ok(())
}

/// The words that run a command of the shell.
pub fn shell(command: &str) -> [String; 3] {
    ["cmd".to_owned(), "/C".to_owned(), command.to_owned()]
}

/// Leaves a symbolic link out: making one takes a privilege.
///
/// # Errors
/// None.
pub fn copy_link(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The octets of a file.
pub fn occupied(metadata: &Metadata) -> u64 {
    metadata.len()
}
