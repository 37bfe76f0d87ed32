//! The terminal: its width, its settings at the end, and Ctrl-C. What differs by system is in `unix` and `windows`.

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "terminal/windows.rs"]
mod system;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use calc6::client::{Canceller, Client};
use terminal_size::{Width, terminal_size_of};

pub use system::{end_by_interrupt, restore_at_end};

/// How wide standard error is.
pub fn columns() -> usize {
    /// The width if standard error is not a terminal, or does not know its width.
    const USUAL: usize = 80;
    terminal_size_of(io::stderr()).map_or(USUAL, |(Width(columns), _)| columns.into())
}

/// Whether standard error is a terminal that shows colours; a Windows console is asked to.
pub fn shows_colours() -> bool {
    // `None`: a system whose terminals need not be asked.
    io::IsTerminal::is_terminal(&io::stderr()) && anstyle_query::windows::enable_ansi_colors() != Some(false)
}

/// Ctrl-C. The first cancels the call that is under way; a second one before that is noticed ends the program.
pub struct Interrupts {
    /// Set first of all, where there are signals by the handler, so that it is seen before anything typed after the Ctrl-C.
    arrived: Arc<AtomicBool>,
    canceller: Canceller,
}

impl Interrupts {
    /// Catches SIGINT, which is Ctrl-C on Windows too, from now on, for the calls of a client.
    ///
    /// # Errors
    /// Those of sigaction(2), of a thread, and of [`Client::canceller`]; on Windows also that there is a handler already.
    pub fn catch(client: &Client) -> io::Result<Interrupts> {
        let interrupts = Interrupts { arrived: Arc::default(), canceller: client.canceller()? };
        let (arrived, canceller) = (Arc::clone(&interrupts.arrived), interrupts.canceller.clone());
        let take = Arc::clone(&arrived);
        system::on_interrupt(arrived, move || {
            if take.swap(false, Ordering::Relaxed) && !canceller.cancel() {
                end_by_interrupt();
            }
        })?;
        Ok(interrupts)
    }

    /// Forgets a Ctrl-C that came before the line did.
    pub fn forget(&self) {
        self.arrived.store(false, Ordering::Relaxed);
        self.canceller.reset();
    }
}
