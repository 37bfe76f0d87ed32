//! Which processors this process may run on, and pinning a thread to one.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that the calling thread may run on (sched_getaffinity(2)), in order.
///
/// # Errors
/// Those of sched_getaffinity(2).
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Lets the calling thread run on one processor only (sched_setaffinity(2)).
///
/// # Errors
/// Those of sched_setaffinity(2): `InvalidInput` if the process may not run on `cpu`.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
