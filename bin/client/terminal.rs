//! The terminal: its width, and its settings at the end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use calc6::client::{Canceller, Client};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How wide standard error is.
pub fn columns() -> usize {
    /// The width if standard error is not a terminal, or does not know its width.
    const USUAL: usize = 80;
    let columns = rustix::termios::tcgetwinsize(io::stderr()).map(|size| usize::from(size.ws_col));
    columns.ok().filter(|&columns| columns > 0).unwrap_or(USUAL)
}

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
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            };
            // Without a thread the signals would be lost: the process then keeps their default handlers.
            let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
        }
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            report(panic);
        }));
    });
}

/// Ctrl-C. The first cancels the call that is under way; a second one before that is noticed ends the program.
pub struct Interrupts {
    /// Set by the signal's handler, so that it is seen before anything typed after the Ctrl-C.
    arrived: Arc<AtomicBool>,
    canceller: Canceller,
}

impl Interrupts {
    /// Catches SIGINT from now on, for the calls of a client.
    ///
    /// # Errors
    /// Those of sigaction(2) and of opening a socket pair.
    pub fn catch(client: &Client) -> io::Result<Interrupts> {
        let interrupts = Interrupts { arrived: Arc::default(), canceller: client.canceller()? };
        // Handlers run in the order of their registration.
        signal_hook::flag::register(SIGINT, Arc::clone(&interrupts.arrived))?;
        let mut signals = Signals::new([SIGINT])?;
        let (arrived, canceller) = (Arc::clone(&interrupts.arrived), interrupts.canceller.clone());
        let cancel = move || {
            for signal in signals.forever() {
                if arrived.swap(false, Ordering::Relaxed) && !canceller.cancel() {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            }
        };
        std::thread::Builder::new().name("interrupts".to_owned()).spawn(cancel)?;
        Ok(interrupts)
    }

    /// Forgets a Ctrl-C that came before the line did.
    pub fn forget(&self) {
        self.arrived.store(false, Ordering::Relaxed);
        self.canceller.reset();
    }
}
