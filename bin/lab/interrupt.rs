//! Ending a long run cleanly by a signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Failure;
use crate::process::on_end;

/// The exit status of a shell for a command that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C, SIGINT, SIGTERM or SIGHUP sets, so that the run can end what it started and remove its
/// folders; a second one ends lab at once.
pub fn watch() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let interrupt = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    };
    on_end(true, interrupt).map_err(|error| Failure::run("cannot watch for signals", error))?;
    Ok(interrupted)
}
