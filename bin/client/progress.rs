//! A bar on standard error while a text is read and sent.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::terminal;
use calc6::client::Progress;

/// The progress, drawn if standard error is a terminal.
pub struct Bar {
    bar: ProgressBar,
    latest: Cell<Progress>,
    /// The values that the bar shows besides the octets.
    operands: Arc<AtomicU64>,
    /// When to draw next.
    due: Cell<Instant>,
    drawn: Cell<bool>,
}

/// The time between drawings, and before the first: shorter work needs no bar.
const INTERVAL: Duration = Duration::from_millis(100);

/// On narrower terminals the bar shows less, so that it fits one line.
const ROOM: usize = 70;

impl Bar {
    /// A bar over a text; of a file, the length is known. Nothing is drawn while the user types the text.
    pub fn new(quiet: bool, file: Option<&File>) -> Bar {
        let length = file.and_then(|file| file.metadata().ok()).filter(|data| data.is_file()).map(|data| data.len());
        let typed = file.is_none() && io::stdin().is_terminal();
        let target = if quiet || typed { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) if terminal::columns() < ROOM => "{percent:>3}%  {operands} operands",
            None if terminal::columns() < ROOM => "{operands} operands",
            Some(_) => "{wide_bar} {percent:>3}%  {bytes}, {operands} operands  {elapsed}, {eta} to go",
            None => "{spinner} {bytes}, {operands} operands  {elapsed}",
        };
        let operands = Arc::new(AtomicU64::new(0));
        if let Ok(style) = ProgressStyle::with_template(template) {
            let operands = Arc::clone(&operands);
            bar.set_style(style.with_key("operands", move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
                let _ = write!(text, "{}", operands.load(Ordering::Relaxed));
            }));
        }
        let due = Cell::new(Instant::now() + INTERVAL);
        Bar { bar, latest: Cell::default(), operands, due, drawn: Cell::new(false) }
    }

    /// Updates the progress.
    pub fn tell(&self, progress: Progress) {
        self.latest.set(progress);
        if self.bar.is_hidden() || Instant::now() < self.due.get() {
            return;
        }
        self.operands.store(progress.operands, Ordering::Relaxed);
        self.bar.set_position(progress.octets);
        self.due.set(Instant::now() + INTERVAL);
        self.drawn.set(true);
    }

    /// The last progress, and whether it was drawn.
    pub fn latest(&self) -> (Progress, bool) {
        (self.latest.get(), self.drawn.get())
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
