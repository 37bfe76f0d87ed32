//! What is known of the terminal.

use std::io;

/// How wide standard error is.
pub fn columns() -> usize {
    /// Where standard error is no terminal, or does not know its width.
    const USUAL: usize = 80;
    let columns = rustix::termios::tcgetwinsize(io::stderr()).map(|size| usize::from(size.ws_col));
    columns.ok().filter(|&columns| columns > 0).unwrap_or(USUAL)
}
