//! Signals, and the settings of a terminal.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::thread;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Sets the terminal as it is now again when SIGTERM, SIGHUP or a panic ends the process; the signal then does what it
/// does.
pub fn restore_at_end() {
    static ONCE: Once = Once::new();
    let Ok(before) = tcgetattr(io::stdin()) else { return };
    ONCE.call_once(|| {
        let restore = move || {
            // Without a terminal there is nothing to restore.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        };
        if let Ok(mut signals) = Signals::new([SIGTERM, SIGHUP]) {
            let restore = restore.clone();
            let wait = move || {
                for signal in signals.forever() {
                    restore();
                    let _ = emulate_default_handler(signal);
                }
            };
            // Without a thread the signals would be lost: the process then keeps their default handlers.
            let _ = thread::Builder::new().name("signals".to_owned()).spawn(wait);
        }
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            report(panic);
        }));
    });
}

/// Sets `arrived` at each SIGINT, and then calls `act` in a thread, which does nothing unless `arrived` is set.
///
/// # Errors
/// Those of sigaction(2) and of a thread.
pub fn on_interrupt(arrived: Arc<AtomicBool>, act: impl Fn() + Send + 'static) -> io::Result<()> {
    // Handlers run in the order of their registration.
    flag::register(SIGINT, arrived)?;
    let mut signals = Signals::new([SIGINT])?;
    let wait = move || {
        // A SIGINT between the two registrations has only set the flag.
        act();
        signals.forever().for_each(|_| act());
    };
    thread::Builder::new().name("interrupts".to_owned()).spawn(wait).map(drop)
}

/// Ends the process as SIGINT does, so that the shell sees that a signal has ended it.
pub fn end_by_interrupt() {
    let _ = emulate_default_handler(SIGINT);
}
