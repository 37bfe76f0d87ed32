//! IgnoredReason there is no result.

use std::fmt;
use std::io;
use std::net::SocketAddrV6;

use thiserror::Error;

use super::accumulator::ResultTooLong;
use super::text::OperandError;
use crate::arithmetic;
use crate::exchange::plan::PlanError;
use crate::exchange::{ClassicOnly, Outcome, TooLarge};
use crate::wire::{Operator, Status};

/// IgnoredReason a client has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No request can say what was asked; nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The server answered with an error status of the extended form.
    #[error("{}", server_sentence(*peer, *status, *known, text, *too_large))]
    Status {
        /// Who answered.
        peer: SocketAddrV6,
        /// The Status octet, 1 to 31.
        status: u8,
        /// The status, if it is one that this version assigns.
        known: Option<Status>,
        /// The server's words, in printable characters.
        text: String,
        /// With [`Status::TooLarge`]: why it was not asked again.
        too_large: Option<TooLarge>,
    },
    /// The server answered a classic request with an error: it does not know the operation, or cannot express the
    /// result.
    #[error("{} answered with an error: it does not know the operation, or cannot express the result{}",
            Peer(*peer), quoted(text))]
    ClassicError {
        /// Who answered.
        peer: SocketAddrV6,
        /// The payload, in printable characters; by the protocol it has no meaning.
        text: String,
    },
    /// The server seems to know the classic form only, and the request was extended.
    #[error("{} seems to know only the classic form: it {}", Peer(*peer), evidence_sentence(evidence))]
    ClassicOnly {
        /// Who answered.
        peer: SocketAddrV6,
        /// What it did.
        evidence: ClassicOnly,
    },
    /// The server answered with something that is no number where one was due.
    #[error("{} answered with a text that is no integer: {text:?}", Peer(*peer))]
    NotANumber {
        /// Who answered.
        peer: SocketAddrV6,
        /// The text, in printable characters.
        text: String,
    },
    /// No address gave an answer.
    #[error("{}", unanswered_sentence(.0))]
    Unanswered(Vec<Unanswered>),
    /// The partial results of a split request cannot be combined.
    #[error("the partial results cannot be combined: {0}")]
    Combine(arithmetic::Error),
    /// The text of the operands has something else in it.
    #[error(transparent)]
    Operand(#[from] OperandError),
    /// The text of the operands cannot be read.
    #[error("the operands cannot be read: {0}")]
    Read(io::Error),
    /// There are more operands than one datagram holds, for an operator whose requests cannot be split.
    #[error("{} takes at most {most} operands of up to {width} octets in one datagram, and there are more",
            operator.word())]
    TooMany {
        /// The operator.
        operator: Operator,
        /// How many fit.
        most: usize,
        /// Octets of the largest operand so far.
        width: usize,
    },
    /// The result is longer than was allowed.
    #[error(transparent)]
    ResultTooLong(#[from] ResultTooLong),
    /// Whoever watched wanted it to end.
    #[error("interrupted")]
    Interrupted,
    /// The system refused what every exchange needs.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        error: io::Error,
    },
}

/// An address that gave no answer, and what happened instead.
#[derive(Debug)]
pub struct Unanswered {
    /// The address.
    pub peer: SocketAddrV6,
    /// What happened.
    pub reason: UnansweredReason,
}

/// What happened instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnansweredReason {
    /// Nothing that counts as a reply arrived.
    #[error("no reply to {transmissions} datagram{}{}{}", plural(*transmissions), refused_sentence(*refused),
            ignored_sentence(*ignored))]
    Silent {
        /// How many datagrams were sent: besides the retries, those that a refusal led to, a wider request, a probe.
        transmissions: u32,
        /// How many of them the system said were refused (ECONNREFUSED).
        refused: u32,
        /// How many datagrams arrived that do not count as a reply.
        ignored: u32,
    },
    /// ECONNREFUSED, for longer than a starting server needs, or until the waits were over.
    #[error("no server listens there (connection refused)")]
    Refused,
    /// The deadline passed.
    #[error("no reply before the deadline{}", ignored_sentence(*ignored))]
    Deadline {
        /// How many datagrams arrived that do not count as a reply.
        ignored: u32,
    },
    /// It has stopped answering, or never has begun.
    #[error("it does not answer")]
    Stopped,
    /// The deadline passed before this address was asked.
    #[error("not asked before the deadline")]
    Unasked,
    /// The system cannot send there.
    #[error("{0}")]
    Io(io::Error),
}

/// How an address is shown: one that is mapped, as the IPv4 address that it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddrV6);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.ip().to_ipv4_mapped(), self.0.scope_id()) {
            (Some(v4), _) => write!(f, "{v4}")?,
            (None, 0) => write!(f, "{}", self.0.ip())?,
            (None, zone) => write!(f, "{}%{zone}", self.0.ip())?,
        }
        write!(f, " port {}", self.0.port())
    }
}

impl Error {
    pub(super) fn random(error: io::Error) -> Error {
        Error::System { what: "random numbers", error }
    }

    /// The error that an outcome of an answering peer is; `None` for an answer and for silence.
    pub(super) fn of_outcome(peer: SocketAddrV6, outcome: Outcome) -> Option<Error> {
        Some(match outcome {
            Outcome::Error { status, known, text, too_large } => Error::Status { peer, status, known, text, too_large },
            Outcome::ClassicError { text } => Error::ClassicError { peer, text },
            Outcome::ClassicOnly(evidence) => Error::ClassicOnly { peer, evidence },
            Outcome::Answer(_) | Outcome::Silent | Outcome::Refused | Outcome::Deadline => return None,
        })
    }
}

fn server_sentence(
    peer: SocketAddrV6,
    status: u8,
    known: Option<Status>,
    text: &str,
    too_large: Option<TooLarge>,
) -> String {
    let peer = Peer(peer);
    match (known, too_large) {
        (Some(Status::TooLarge), Some(why)) => format!("{peer} cannot bring the result back: {why}"),
        (Some(known), _) => format!("{peer} answered: {}{}", known.text(), other_words(known, text)),
        (None, _) => format!("{peer} answered with status {status}, which this version does not know{}", quoted(text)),
    }
}

/// The server's words, where they say something else than the status does.
fn other_words(known: Status, text: &str) -> String {
    if text == known.text() { String::new() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text:?})") }
}

fn evidence_sentence(evidence: &ClassicOnly) -> String {
    match evidence {
        ClassicOnly::Error { text } => format!("answered an extended request with a classic error{}", quoted(text)),
        ClassicOnly::Probe => "left an extended request unanswered, but not a classic one".to_owned(),
    }
}

fn unanswered_sentence(all: &[Unanswered]) -> String {
    let each = all.iter().map(|one| format!("{}: {}", Peer(one.peer), one.reason));
    if all.is_empty() { "there is no address to ask".to_owned() } else { each.collect::<Vec<_>>().join("; ") }
}

fn refused_sentence(refused: u32) -> String {
    if refused == 0 { String::new() } else { format!(", {refused} of them refused") }
}

fn ignored_sentence(ignored: u32) -> String {
    match ignored {
        0 => String::new(),
        count => format!(" ({count} datagram{} ignored)", plural(count)),
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted() {
        for ((transmissions, refused, ignored), sentence) in [
            ((1, 0, 0), "no reply to 1 datagram"),
            ((4, 3, 0), "no reply to 4 datagrams, 3 of them refused"),
            ((4, 1, 2), "no reply to 4 datagrams, 1 of them refused (2 datagrams ignored)"),
        ] {
            assert_eq!(UnansweredReason::Silent { transmissions, refused, ignored }.to_string(), sentence);
        }
    }

    #[test]
    fn addresses_as_people_read_them() {
        for (address, shown) in [
            ("[::1]:10000", "::1 port 10000"),
            ("[::ffff:192.0.2.1]:7", "192.0.2.1 port 7"),
            ("[fe80::1%3]:7", "fe80::1%3 port 7"),
        ] {
            assert_eq!(Peer(address.parse().unwrap()).to_string(), shown);
        }
    }
}
