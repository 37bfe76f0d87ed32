//! The console of Windows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The console's line editor sets its mode for each line only, and nothing but the end of the process interrupts it.
pub fn restore_at_end() {}

/// Sets `arrived` and calls `act`, in a thread, at each Ctrl-C.
///
/// # Errors
/// The system rejects the handler, or there is one already.
pub fn on_interrupt(arrived: Arc<AtomicBool>, act: impl Fn() + Send + 'static) -> io::Result<()> {
    let interrupted = move || {
        arrived.store(true, Ordering::Relaxed);
        act();
    };
    ctrlc::set_handler(interrupted).map_err(io::Error::other)
}

/// Ends the process with the status that Ctrl-C gives a program which does not catch it (STATUS_CONTROL_C_EXIT).
pub fn end_by_interrupt() {
    const STATUS_CONTROL_C_EXIT: u32 = 0xc000_013a;
    std::process::exit(STATUS_CONTROL_C_EXIT.cast_signed())
}
