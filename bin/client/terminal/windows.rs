//! The console of Windows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The console's line editor sets its mode for each line only, and nothing but the end of the process interrupts it.
pub fn restore_at_end() {}

/// Calls `act` in a thread soon after Ctrl-C, when its flag is set. No handler may do more than set it.
///
/// # Errors
/// Those of a thread.
pub fn on_interrupt(arrived: Arc<AtomicBool>, act: impl Fn() + Send + 'static) -> io::Result<()> {
    /// People do not notice a delay of this length.
    const EVERY: Duration = Duration::from_millis(20);
    let watch = move || {
        loop {
            thread::sleep(EVERY);
            if arrived.load(Ordering::Relaxed) {
                act();
            }
        }
    };
    thread::Builder::new().name("interrupts".to_owned()).spawn(watch).map(drop)
}

/// Ends the process with the status that Ctrl-C gives a program which does not catch it (STATUS_CONTROL_C_EXIT).
pub fn end_by_interrupt() {
    const STATUS_CONTROL_C_EXIT: u32 = 0xc000_013a;
    std::process::exit(STATUS_CONTROL_C_EXIT.cast_signed())
}
