//! Which processors this process may run on. Threads are not pinned here.

use std::io;
use std::thread::available_parallelism;

/// As many processors as the process may use, numbered from 0.
///
/// # Errors
/// The system does not report the number.
pub fn allowed() -> io::Result<Vec<usize>> {
    available_parallelism().map(|count| (0..count.get()).collect())
}

/// Lets the calling thread run on one processor only.
///
/// # Errors
/// `Unsupported`.
pub fn pin(_: usize) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads cannot be pinned to processors on this system"))
}
