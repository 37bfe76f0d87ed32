//! Datagrams between a client and a server over time.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::Style;
use super::style::Role;
use crate::abridge::abridged;

/// What happened on a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The client sent a datagram.
    Sent,
    /// The client sent the same octets again; the number says how often it has sent them.
    Repeated(u32),
    /// The client received the reply that it waited for.
    Received,
    /// The client ignored a datagram and went on waiting; the reason.
    Ignored(&'a str),
    /// Nothing was sent or received: a timeout, or an error that the system reported.
    Note,
}

/// A diagram of an exchange, drawn rung by rung, so that it can be shown while the exchange goes on.
///
/// ```
/// use std::time::Duration;
/// use calc6::view::{Ladder, Step, Style};
/// let ladder = Ladder::new(Style::Plain, 60);
/// assert_eq!(
///     ladder.head("[::1]:4000", "[::1]:10000"),
///     "              [::1]:4000                         [::1]:10000\n"
/// );
/// assert_eq!(
///     ladder.rung(Duration::from_micros(2500), Step::Sent, "+ 1 3"),
///     "    2.500 ms  |-- + 1 3 ---------------------------------->|\n"
/// );
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ladder {
    style: Style,
    /// Characters between the two lifelines.
    between: usize,
}

/// Digits, point and unit of a time, and a gap.
const TIME: usize = 12;
const GAP: usize = 2;
/// The characters of an arrow apart from its text.
const ARROW: usize = "-- ".len() + " ->".len();
const LEAST_BETWEEN: usize = 40;

impl Ladder {
    /// A ladder with lines of `width` characters, or of about 60 if `width` is less.
    pub fn new(style: Style, width: usize) -> Ladder {
        Ladder { style, between: width.saturating_sub(TIME + GAP + 2).max(LEAST_BETWEEN) }
    }

    /// The line above the first rung: the names of the left and the right side.
    pub fn head(&self, client: &str, server: &str) -> String {
        let room = self.between + 2;
        let space = room.saturating_sub(client.chars().count() + server.chars().count()).max(2);
        let line = format!("{:indent$}{client}{:space$}{server}", "", "", indent = TIME + GAP);
        format!("{}\n", self.style.paint(Role::Heading, &line))
    }

    /// A rung: `time` since the first datagram was sent, and what the datagram says. Longer texts are abridged; the
    /// reason to ignore a datagram is on a line of its own.
    pub fn rung(&self, time: Duration, step: Step<'_>, text: &str) -> String {
        let time = self.style.paint(Role::Frame, &milliseconds(time));
        let (arrow, role) = match step {
            Step::Sent => (self.arrow("--", text, "->"), Role::Value),
            Step::Repeated(times) => (self.arrow("--", &format!("{text} (sent {times} times)"), "->"), Role::Remark),
            Step::Received => (self.arrow("<-", text, "--"), Role::Right),
            Step::Ignored(_) => (self.arrow("x-", text, "--"), Role::Remark),
            Step::Note => (format!("{:^width$}", abridged(text, self.between), width = self.between), Role::Remark),
        };
        let mut rung = format!("{time}{:GAP$}|{}|\n", "", self.style.paint(role, &arrow));
        if let Step::Ignored(reason) = step {
            let reason = abridged(&format!("ignored: {reason}"), self.between);
            let reason = format!("{:^width$}", reason, width = self.between);
            rung += &format!("{:indent$}|{}|\n", "", self.style.paint(role, &reason), indent = TIME + GAP);
        }
        rung
    }

    fn arrow(&self, left: &str, text: &str, right: &str) -> String {
        let text = abridged(text, self.between - ARROW);
        let line = self.between - ARROW - text.chars().count();
        format!("{left} {text} {}{right}", "-".repeat(line))
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:>width$.3} ms", time.as_secs_f64() * 1e3, width = TIME - " ms".len())
}
