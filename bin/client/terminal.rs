//! What is known of the terminal.

use std::io;
use std::sync::Once;

use calc6::client::Client;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

/// How wide standard error is.
pub fn columns() -> usize {
    /// Where standard error is no terminal, or does not know its width.
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

/// Forgets a Ctrl-C that came before the line did.
pub fn clear_interrupt(client: &Client) {
    if let Ok(canceller) = client.canceller() {
        canceller.reset();
    }
}
