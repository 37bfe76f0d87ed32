//! A step of a submission: a command in the submission's copy, with limits on its time and on what it writes.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::process::{ProcessGroup, describe, occupied};

/// Interval between checks whether a step has ended.
const POLL: Duration = Duration::from_millis(20);

/// Interval between checks how much it has written.
const MEASURE: Duration = Duration::from_millis(250);

/// How much of what a step writes to its standard streams is kept, in octets; a report has some 20,000.
const KEPT_OUTPUT: u64 = 16 << 20;

/// The folders of a submission.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folders with limited space; the limit applies to each of them.
    pub measured: &'a [&'a Path],
    /// The submission's copy.
    pub copy: &'a Path,
    /// For temporary files.
    pub temporary: &'a Path,
}

/// How a step ended, and what it wrote.
pub struct Ended {
    pub how: How,
    pub stdout: String,
    pub stderr: String,
}

/// How a step ended.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// By itself.
    Status(ExitStatus),
    /// It ran longer than this limit.
    OutOfTime(Duration),
    /// It wrote more than this limit, in octets.
    WroteTooMuch(u64),
    /// Lab was interrupted.
    Interrupted,
}

impl How {
    pub fn is_success(self) -> bool {
        self.code() == Some(0)
    }

    pub fn code(self) -> Option<i32> {
        match self {
            Self::Status(status) => status.code(),
            _ => None,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(&describe(*status)),
            Self::OutOfTime(time) => write!(f, "it exceeded its time limit ({} s)", time.as_secs_f64()),
            Self::WroteTooMuch(limit) => write!(f, "it wrote more than {} MiB", limit >> 20),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl Place<'_> {
    /// Runs a step to its end, or terminates it.
    pub fn run(
        &self,
        mut step: Command,
        time: Duration,
        disk: u64,
        interrupted: &AtomicBool,
    ) -> Result<Ended, Failure> {
        // Pipes, not files: what a submission could open, it could replace.
        step.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Windows uses TEMP and TMP for the same.
        step.envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, self.temporary))).current_dir(self.copy);
        let (mut child, group) =
            ProcessGroup::start(&mut step).map_err(|error| Failure::run("cannot start a step", error))?;
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        let begun = Instant::now();
        let mut measured = begun;
        let too_much = || self.measured.iter().any(|folder| size(folder) > disk);
        let how = loop {
            std::thread::sleep(POLL);
            if let Some(status) = child.try_wait().ok().flatten() {
                break match too_much() {
                    true => How::WroteTooMuch(disk),
                    false => How::Status(status),
                };
            }
            if interrupted.load(Ordering::Relaxed) {
                break How::Interrupted;
            }
            if begun.elapsed() >= time {
                break How::OutOfTime(time);
            }
            if measured.elapsed() >= MEASURE {
                if too_much() {
                    break How::WroteTooMuch(disk);
                }
                measured = Instant::now();
            }
        };
        if !matches!(how, How::Status(_)) {
            // With unshare this kills the first process of the namespace, and so all other processes in it.
            group.end(&[]);
            let _ = child.wait();
        }
        let text =
            |reader: JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned();
        Ok(Ended { how, stdout: text(stdout), stderr: text(stderr) })
    }
}

/// Reads a stream to its end, and keeps its beginning. All processes that could hold it open end with the step.
fn read(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut stream) = stream {
            // Octets that were read before an error count.
            let _ = stream.by_ref().take(KEPT_OUTPUT).read_to_end(&mut kept);
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        kept
    })
}

/// What the files in a folder occupy, in octets; links are not followed.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    // A file that was deleted in the meantime occupies nothing.
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => occupied(&metadata),
        Err(_) => 0,
    };
    entries.flatten().map(of_entry).sum()
}
