//! The log: lines on stderr, as text or JSON.
//!
//! A reader of stderr that stops reading (a pager, a full pipe) must not stop the server: a line that cannot be written
//! at once is lost.

use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::hardening::stderr_takes_a_line;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `server: ` and a sentence, with `warning: ` before a warning; the journal adds the time
    #[default]
    Text,
    /// One JSON object a line: timestamp, level and message
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// Sends the log to stderr. Only the first call has an effect.
pub fn start(format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_target(false)
        .with_ansi(false)
        // An error about a closed stderr cannot be written to it.
        .log_internal_errors(false)
        .with_writer(|| Stderr);
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(builder.event_format(Text).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish()),
    };
}

/// Whether [`start`] has been called.
pub fn is_started() -> bool {
    tracing::dispatcher::has_been_set()
}

/// Writes to stderr if it accepts a whole line at once; else drops the line.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if stderr_takes_a_line() {
            let _ = io::stderr().write_all(octets);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text format.
struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        to.write_str("server: ")?;
        if *event.metadata().level() == Level::WARN {
            to.write_str("warning: ")?;
        }
        let mut line = LogLine { to: &mut to, result: Ok(()) };
        event.record(&mut line);
        line.result?;
        writeln!(to)
    }
}

/// Writes the message, then the other fields as `name=value`. tracing's macros record the message first.
struct LogLine<'a, 'b> {
    to: &'a mut Writer<'b>,
    result: fmt::Result,
}

impl Visit for LogLine<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.to, "{value:?}"),
            name => write!(self.to, " {name}={value:?}"),
        };
        self.result = self.result.and(written);
    }
}
