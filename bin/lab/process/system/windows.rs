//! Windows: job objects. A job ends when its last handle is closed, and all of its processes end with it.

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

/// Which limits this system does not enforce, if any.
pub const LIMITS_MISSING: Option<&str> = Some("processor time, memory and open files are not limited on this system");

/// The process ID of a child.
pub fn id_of(child: &Child) -> Id {
    child.id()
}

/// A program and its descendants: all in one job.
#[derive(Debug)]
pub struct ProcessGroup(Mutex<Option<Job>>);

impl ProcessGroup {
    /// Starts a command in its own job. The command is added to the job within the first millisecond. A child that it
    /// starts earlier is not in the job: for this reason `lab limited` makes a job for itself.
    ///
    /// # Errors
    /// Those of CreateProcess and CreateJobObject.
    pub fn start(command: &mut Command) -> io::Result<(Child, ProcessGroup)> {
        let job = job()?;
        let mut child = command.spawn()?;
        if let Err(error) = job.assign_process(child.as_raw_handle() as isize) {
            // A process that has already ended cannot be assigned.
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

    /// Kills all of them.
    pub fn end(&self, _: &[Id]) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn job() -> io::Result<Job> {
    let mut info = ExtendedLimitInfo::new();
    info.limit_kill_on_job_close();
    Ok(Job::create_with_limit_info(&info)?)
}

/// Runs a program to its end, in one job with everything that it starts, and ends with its exit status; returns only if
/// the program cannot be started.
///
/// # Errors
/// The system rejects the job.
pub fn become_program(_: &ResourceLimits, command: &mut Command) -> Result<io::Error, Failure> {
    // Never dropped: that would end this process too, before it has returned the exit status.
    let job = ManuallyDrop::new(job().map_err(|error| Failure::run("cannot make a job", error))?);
    job.assign_current_process().map_err(|error| Failure::run("cannot enter a job", error))?;
    match command.status() {
        // Then the system closes the job, and ends all processes that are left in it.
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Ok(error),
    }
}

/// Calls `action`, in a thread of its own, for each Ctrl-C and when the console is closed.
///
/// # Errors
/// The system rejects the handler, or there is one already.
pub fn on_end(_: bool, action: impl FnMut() + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(action).map_err(io::Error::other)
}

/// No signal ends a process here.
pub fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// The exit status with which a shell reports an end by a signal.
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

/// Leaves a symbolic link out: making one needs a privilege.
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
