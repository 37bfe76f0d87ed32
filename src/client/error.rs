//! Why there is no result.

use std::fmt;
use std::io;
use std::net::SocketAddrV6;

use thiserror::Error;

use super::text::OperandError;
use crate::arithmetic;
use crate::exchange::{ClassicOnly, Outcome, PlanError, TooLarge};
use crate::wire::{Operator, Status};

/// Why a client has no result.
///
/// [`kind`](Error::kind) sorts the variants into a few kinds. An error that is the cause of this one is its
/// [`source`](std::error::Error::source), and is not repeated in the text: print the whole chain.
///
/// ```
/// use calc6::client::{Client, Config, ErrorKind};
/// use calc6::wire::Operator;
/// # let nobody = std::net::UdpSocket::bind("[::1]:0")?.local_addr()?;
/// let mut client = Client::connect_with(nobody, Config::default())?;
/// let error = client.evaluate(Operator::Sum, [1, 2]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Refused);
/// let mut message = error.to_string();
/// let mut source = std::error::Error::source(&error);
/// while let Some(cause) = source {
///     message += &format!(": {cause}");
///     source = cause.source();
/// }
/// println!("{message}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No request can express what was asked; nothing was sent.
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
        /// The server's text, in printable characters.
        text: String,
        /// With [`Status::TooLarge`]: why the client did not ask again.
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
    #[error("{} knows only the classic form (it {})", Peer(*peer), evidence_sentence(evidence))]
    ClassicOnly {
        /// Who answered.
        peer: SocketAddrV6,
        /// What it did.
        evidence: ClassicOnly,
    },
    /// The server answered with a text that is not an integer.
    #[error("{} answered with a text that is not an integer: {text:?}", Peer(*peer))]
    NotANumber {
        /// Who answered.
        peer: SocketAddrV6,
        /// The text, in printable characters.
        text: String,
    },
    /// No address gave an answer.
    #[error(transparent)]
    Unanswered(#[from] NoAnswer),
    /// An operation of an expression has no result.
    #[error("column {column}")]
    Operation {
        /// The column of its operator in the text of the expression, the first being 1.
        column: usize,
        /// Why not.
        source: Box<Error>,
    },
    /// The partial results of a split request cannot be combined: a division by zero.
    #[error("cannot combine the partial results")]
    Combine(#[source] arithmetic::Error),
    /// The text of the operands holds something else.
    #[error(transparent)]
    Operand(#[from] OperandError),
    /// The text of the operands cannot be read.
    #[error("cannot read the operands")]
    Read(#[source] io::Error),
    /// The deadline passed while the text of the operands was waited for.
    #[error("the deadline passed while waiting for operands")]
    InputDeadline,
    /// There are more operands than one datagram holds, for an operator whose requests cannot be split.
    #[error("{}, and there are more", most_operands(*operator, *most, *width))]
    TooMany {
        /// The operator.
        operator: Operator,
        /// How many fit.
        most: usize,
        /// Octets of the largest operand so far.
        width: usize,
    },
    /// The result is longer than [`Config::max_result`](super::Config::max_result).
    #[error(transparent)]
    ResultTooLong(#[from] ResultTooLong),
    /// A [`Canceller`](super::Canceller) ended the call.
    #[error("cancelled")]
    Cancelled,
    /// The system refused what every exchange needs.
    #[error("{what}")]
    System {
        /// What failed.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// What kind of failure an [`enum@Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No request can express what was asked; nothing was sent.
    Request,
    /// The text of the operands is not a list of integers.
    Operand,
    /// The text of the operands cannot be read.
    Read,
    /// The server answered with an error status.
    Status,
    /// The server answered a classic request with an error.
    ClassicError,
    /// The server knows only the classic form.
    ClassicOnly,
    /// The server's answer is not an integer.
    NotANumber,
    /// No server answered in time.
    Timeout,
    /// No server listens at any of the addresses (ECONNREFUSED).
    Refused,
    /// The system can send to none of the addresses.
    Unreachable,
    /// The result is longer than allowed, or cannot be combined from its parts.
    Result,
    /// The call was cancelled.
    Cancelled,
    /// The system refused what every exchange needs.
    System,
}

/// The result is longer than was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the {} exceeds the limit of {max_octets} octets", operator.word())]
#[non_exhaustive]
pub struct ResultTooLong {
    /// The operator.
    pub operator: Operator,
    /// The most octets that were allowed.
    pub max_octets: u64,
}

/// No address gave an answer: for each of them, why.
///
/// With one address, its cause is the [`source`](std::error::Error::source). With several there is no single cause: the
/// text names each.
#[derive(Debug, Default)]
pub struct NoAnswer {
    addresses: Vec<Unanswered>,
}

impl NoAnswer {
    /// The addresses, in the order in which they failed. Empty if there was no address to ask.
    pub fn addresses(&self) -> &[Unanswered] {
        &self.addresses
    }

    /// The addresses, to keep.
    pub fn into_addresses(self) -> Vec<Unanswered> {
        self.addresses
    }

    fn kind(&self) -> ErrorKind {
        let all = |is: fn(&UnansweredReason) -> bool| self.addresses.iter().all(|one| is(&one.reason));
        if all(|reason| matches!(reason, UnansweredReason::Io(_))) {
            ErrorKind::Unreachable
        } else if all(|reason| matches!(reason, UnansweredReason::Refused)) {
            ErrorKind::Refused
        } else {
            ErrorKind::Timeout
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.addresses[..] {
            [] => f.write_str("there is no address to ask"),
            [one] => one.fmt(f),
            several => {
                for (place, one) in several.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "; " };
                    write!(f, "{separator}{one}")?;
                    if let UnansweredReason::Io(error) = &one.reason {
                        write!(f, " ({error})")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for NoAnswer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.addresses[..] {
            [one] => std::error::Error::source(one),
            _ => None,
        }
    }
}

impl From<Vec<Unanswered>> for NoAnswer {
    fn from(addresses: Vec<Unanswered>) -> NoAnswer {
        NoAnswer { addresses }
    }
}

/// An address that gave no answer, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unanswered {
    /// The address.
    pub peer: SocketAddrV6,
    /// Why.
    pub reason: UnansweredReason,
}

impl Unanswered {
    pub(super) fn new(peer: SocketAddrV6, reason: UnansweredReason) -> Unanswered {
        Unanswered { peer, reason }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Peer(self.peer), self.reason)
    }
}

impl std::error::Error for Unanswered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

/// Why an address gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnansweredReason {
    /// Nothing that counts as a reply arrived.
    #[error("no reply to {transmissions} datagram{}{}{}", plural(*transmissions), refused_sentence(*refused),
            ignored_sentence(*ignored))]
    Silent {
        /// How many datagrams were sent: the request and its repeats, those sent after a refusal, a wider request, a
        /// probe.
        transmissions: u32,
        /// How many of them the system reported as refused (ECONNREFUSED).
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
    /// It stopped answering, or never answered.
    #[error("does not answer")]
    Stopped,
    /// The deadline passed before this address was asked.
    #[error("not asked before the deadline")]
    Unasked,
    /// The system cannot send there.
    #[error("cannot be reached")]
    Io(#[source] io::Error),
}

/// How an address is shown; a mapped one as the IPv4 address.
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
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Plan(_) | Error::TooMany { .. } => ErrorKind::Request,
            Error::Operand(_) => ErrorKind::Operand,
            Error::Read(_) => ErrorKind::Read,
            Error::Status { .. } => ErrorKind::Status,
            Error::ClassicError { .. } => ErrorKind::ClassicError,
            Error::ClassicOnly { .. } => ErrorKind::ClassicOnly,
            Error::NotANumber { .. } => ErrorKind::NotANumber,
            Error::Unanswered(addresses) => addresses.kind(),
            Error::Operation { source, .. } => source.kind(),
            Error::InputDeadline => ErrorKind::Timeout,
            Error::Combine(_) | Error::ResultTooLong(_) => ErrorKind::Result,
            Error::Cancelled => ErrorKind::Cancelled,
            Error::System { .. } => ErrorKind::System,
        }
    }

    /// The status octet that the server answered with, if it is that.
    pub fn status(&self) -> Option<u8> {
        match self {
            Error::Status { status, .. } => Some(*status),
            Error::Operation { source, .. } => source.status(),
            _ => None,
        }
    }

    /// The same for the operation of an expression in this column, where it is about the operation.
    pub(super) fn at(self, column: Option<usize>) -> Error {
        match column {
            Some(column) if self.concerns_one_question() => Error::Operation { column, source: Box::new(self) },
            _ => self,
        }
    }

    /// The error of another question that was in flight when this one ended the call.
    pub(super) fn for_another(&self) -> Error {
        match self {
            Error::Cancelled => Error::Cancelled,
            Error::ClassicOnly { peer, evidence } => Error::ClassicOnly { peer: *peer, evidence: evidence.clone() },
            Error::System { what, source } => Error::System { what, source: source.kind().into() },
            Error::Unanswered(all) => {
                let stopped = |one: &Unanswered| Unanswered::new(one.peer, UnansweredReason::Stopped);
                Error::unanswered(all.addresses.iter().map(stopped).collect())
            }
            _ => Error::unanswered(Vec::new()),
        }
    }

    /// Whether it concerns one question alone, so that others may still have answers.
    pub(super) fn concerns_one_question(&self) -> bool {
        !matches!(self, Error::Unanswered(_) | Error::ClassicOnly { .. } | Error::Cancelled | Error::System { .. })
    }

    pub(super) fn unanswered(addresses: Vec<Unanswered>) -> Error {
        Error::Unanswered(addresses.into())
    }

    pub(super) fn random(source: io::Error) -> Error {
        Error::System { what: "cannot draw random numbers", source }
    }

    pub(super) fn poll(source: io::Error) -> Error {
        Error::System { what: "cannot wait for datagrams", source }
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

/// The kind as the standard library names it; the error is the [`source`](std::error::Error::source).
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match (error.kind(), &error) {
            (_, Error::Read(source) | Error::System { source, .. }) => source.kind(),
            (ErrorKind::Request | ErrorKind::Operand, _) => io::ErrorKind::InvalidInput,
            (ErrorKind::NotANumber, _) => io::ErrorKind::InvalidData,
            (ErrorKind::ClassicOnly, _) => io::ErrorKind::Unsupported,
            (ErrorKind::Timeout, _) => io::ErrorKind::TimedOut,
            (ErrorKind::Refused, _) => io::ErrorKind::ConnectionRefused,
            (ErrorKind::Unreachable, _) => io::ErrorKind::HostUnreachable,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
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
        (Some(Status::TooLarge), Some(why)) => format!("{peer} cannot return the result: {why}"),
        (Some(known), _) => format!("{peer} answered: {}{}", known.text(), other_words(known, text)),
        (None, _) => format!("{peer} answered with the unknown status {status}{}", quoted(text)),
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
        ClassicOnly::Probe => "answered a classic request but ignored an extended one".to_owned(),
    }
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

/// The number that the operator takes, or the number that fits.
fn most_operands(operator: Operator, most: usize, width: usize) -> String {
    match operator.operand_count().end() {
        2 => format!("{} takes two operands", operator.word()),
        _ => format!("{} takes at most {most} operands of up to {width} octets in one datagram", operator.word()),
    }
}

#[cfg(test)]
mod tests;
