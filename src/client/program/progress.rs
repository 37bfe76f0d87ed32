//! A bar on standard error while a text is read and sent.

use std::cell::Cell;
use std::fs::File;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::Progress;

/// How far it is, drawn where standard error is a terminal.
pub struct Bar {
    bar: ProgressBar,
    latest: Cell<Progress>,
}

/// Redraws a second.
const HERTZ: u8 = 10;

impl Bar {
    /// A bar over a text; of a file, the length is known.
    pub fn new(quiet: bool, file: Option<&File>) -> Bar {
        let length = file.and_then(|file| file.metadata().ok()).filter(|data| data.is_file()).map(|data| data.len());
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(HERTZ) };
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) => "{bar:30} {percent:>3}%  {bytes}, {msg} operands  {elapsed}, {eta} to go",
            None => "{spinner} {bytes}, {msg} operands  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar { bar, latest: Cell::default() }
    }

    /// Takes note of how far it is.
    pub fn tell(&self, progress: Progress) {
        self.latest.set(progress);
        if !self.bar.is_hidden() {
            self.bar.set_message(progress.operands.to_string());
            self.bar.set_position(progress.octets);
        }
    }

    /// How far it was.
    pub fn latest(&self) -> Progress {
        self.latest.get()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
