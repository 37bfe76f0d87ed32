//! The progress line on standard error.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::{Percentile, Tally};
use crate::units::HumanDuration;

/// How often a line is written if standard error is not a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(1);

/// A bar on a terminal, a line a second elsewhere.
pub struct Live {
    bar: Option<ProgressBar>,
    next: Cell<Duration>,
}

impl Live {
    /// Shows progress up to `whole`.
    pub fn new(whole: Duration) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(whole.as_millis() as u64);
            let style = ProgressStyle::with_template("{bar:20} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.with_style(style)
        });
        Self { bar, next: Cell::new(PLAIN_EVERY) }
    }

    /// The warm-up goes on.
    pub fn warm_up(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message("warming up");
            bar.tick();
        }
    }

    /// What has been seen after `elapsed`.
    pub fn show(&self, elapsed: Duration, tally: &Tally) {
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_millis() as u64);
            bar.set_message(line(elapsed, tally));
        } else if elapsed >= self.next.get() {
            self.next.set(elapsed + PLAIN_EVERY);
            // If standard error is closed, the run continues.
            let _ = writeln!(stderr(), "{}", line(elapsed, tally));
        }
    }

    /// Clears the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(elapsed: Duration, tally: &Tally) -> String {
    let shown = |quantile| match tally.percentile(quantile) {
        Percentile::At(latency) => HumanDuration(latency).to_string(),
        Percentile::TimedOut => "timed out".into(),
        Percentile::None => "-".into(),
    };
    let counts = &tally.counts;
    let mut line =
        format!("{:.0} s: {} right, p50 {}, p99 {}", elapsed.as_secs_f64(), counts.right, shown(0.5), shown(0.99));
    for (count, what) in [(counts.wrong, "wrong"), (counts.errors, "errors"), (counts.timed_out, "timed out")] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    line
}
