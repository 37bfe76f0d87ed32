//! Processor time of another process, to the nanosecond.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// The time that all threads of a process have run so far: the first field of /proc/PID/task/*/schedstat
/// (Documentation/scheduler/sched-stats.rst). getrusage's ticks are too coarse.
///
/// Threads that have ended are not counted: take differences over times in which none ends.
pub fn used(process: u32) -> Result<Duration, Failure> {
    let folder = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&folder)
        .map_err(|error| Failure::run(format_args!("cannot read the processor time of process {process}"), error))?;
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(nanoseconds.sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_a_missing_process_is_said_so() {
        let before = used(std::process::id()).unwrap();
        let begun = std::time::Instant::now();
        while used(std::process::id()).unwrap() == before {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        assert!(used(u32::MAX).unwrap_err().to_string().contains("process 4294967295"));
    }
}
