//! How exchanges end, what they ignore on the way, and what they count.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::arithmetic::Number;
use crate::wire::{Format, Operator, Status, classic, extended};

/// How an exchange ended.
///
/// ```
/// use calc6::exchange::{Outcome, Payload};
/// let outcome = Outcome::Answer(Payload::Integer(vec![0xff, 0x38]));
/// assert_eq!(outcome.into_number().unwrap(), -200);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server answered the question.
    Answer(Payload),
    /// The server answered with an error status of the extended form.
    Error {
        /// The Status octet, 1 to 31.
        status: u8,
        /// The status, if it is one that this version assigns.
        known: Option<Status>,
        /// The server's words; what is not printable ASCII is replaced.
        text: String,
        /// With [`Status::TooLarge`]: why it was not asked again.
        too_large: Option<TooLarge>,
    },
    /// The server answered a classic question with an error: an operation that it does not know, or a result that it
    /// cannot express.
    ClassicError {
        /// The payload, which has no meaning by the protocol; what is not printable ASCII is replaced.
        text: String,
    },
    /// The peer seems to know the classic form only.
    ClassicOnly(ClassicOnly),
    /// No reply to any attempt.
    Silent,
    /// No server at this port: ECONNREFUSED, also [`REFUSAL_WINDOW`](super::REFUSAL_WINDOW) after the first.
    Refused,
    /// No reply before [`Retransmission::deadline`](super::Retransmission::deadline).
    Deadline,
}

impl Outcome {
    /// The number that was asked for.
    ///
    /// # Errors
    /// The outcome itself, where it is none.
    pub fn into_number(self) -> Result<Number, Outcome> {
        match &self {
            Outcome::Answer(answer) => answer.number().ok_or(self),
            _ => Err(self),
        }
    }

    /// What an extended reply means to a client that does not ask again with a wider request.
    pub fn of_extended(reply: &extended::Reply<'_>, operator: Operator) -> Outcome {
        if reply.is_success() {
            return Outcome::Answer(Payload::of_extended(reply, operator));
        }
        let too_large = (reply.status() == Some(Status::TooLarge)).then(|| match reply.needed() {
            None => TooLarge::Uncounted,
            Some(extended::NEEDED_OVER_LIMIT) => TooLarge::OverLimit,
            Some(needed) => TooLarge::NoWiderRequest { needed },
        });
        Outcome::error(reply, too_large)
    }

    pub(super) fn error(reply: &extended::Reply<'_>, too_large: Option<TooLarge>) -> Outcome {
        let counted = reply.needed().map_or(0, |_| extended::NEEDED);
        let text = printable(&reply.result()[counted..]);
        Outcome::Error { status: reply.status_octet(), known: reply.status(), text, too_large }
    }
}

/// The result, as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// An integer in two's complement, network byte order, of at least one octet; not always of the least width.
    Integer(Vec<u8>),
    /// An integer in decimal: `-?[0-9]+`.
    Decimal {
        /// The number.
        digits: String,
        /// Whether a classic server sent the string's terminating NUL, against the course's format.
        trailing_nul: bool,
    },
    /// A server's description of itself ([`Operator::Describe`]): lines of printable ASCII, anything else replaced.
    Description(String),
    /// A text that is not a decimal integer, where one was expected. It must not be used as a number.
    NotDecimal(String),
}

impl Payload {
    /// The number; `None` for a text that is none.
    pub fn number(&self) -> Option<Number> {
        match self {
            Payload::Integer(octets) => Some(Number::from_octets(octets)),
            Payload::Decimal { digits, .. } => digits.parse().ok(),
            Payload::Description(_) | Payload::NotDecimal(_) => None,
        }
    }

    /// The number in decimal, or the text.
    pub fn text(&self) -> String {
        match self {
            Payload::Integer(octets) => Number::from_octets(octets).to_string(),
            Payload::Decimal { digits: text, .. } | Payload::Description(text) | Payload::NotDecimal(text) => {
                text.clone()
            }
        }
    }

    pub(super) fn of_classic(reply: &classic::Reply<'_>) -> Payload {
        match reply {
            // A leading zero octet makes the unsigned integer a two's complement one.
            classic::Reply::Integer(value) => Payload::Integer(least_width(&u64::from(*value).to_be_bytes())),
            classic::Reply::Text(decimal) => {
                Payload::Decimal { digits: decimal.as_str().to_owned(), trailing_nul: decimal.trailing_nul() }
            }
            classic::Reply::Error(text) => Payload::NotDecimal(printable(text)),
        }
    }

    pub(super) fn of_extended(reply: &extended::Reply<'_>, operator: Operator) -> Payload {
        let result = reply.result();
        match (reply.format(), operator) {
            (Format::Integer, _) => Payload::Integer(result.to_vec()),
            (Format::Text, Operator::Describe) => Payload::Description(printable_lines(result)),
            (Format::Text, _) => match classic::Decimal::new(result) {
                Some(decimal) if !decimal.trailing_nul() => {
                    Payload::Decimal { digits: decimal.as_str().to_owned(), trailing_nul: false }
                }
                _ => Payload::NotDecimal(printable(result)),
            },
        }
    }
}

/// What shows that a peer knows only the classic form. Both can be forged, and a request that a path drops for its
/// length looks the same to the client as one that the peer does not know; so neither ever changes the form that is
/// asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassicOnly {
    /// It answered the extended request with a classic error, as to any opcode that it does not know.
    Error {
        /// The payload; what is not printable ASCII is replaced.
        text: String,
    },
    /// It left the extended request and its repeats unanswered, but not the classic [`PROBE`](super::PROBE).
    Probe,
}

/// Why a result that is too large for the reply was not asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TooLarge {
    /// The server sends no reply of that length to any request.
    #[error("longer than this server ever sends")]
    OverLimit,
    /// The reply would need a longer request than these operands can fill within 1232 octets at a Width of 255 or less.
    #[error("the reply needs {needed} octets; the largest request over these operands allows fewer")]
    NoWiderRequest {
        /// Octets of the reply.
        needed: u32,
    },
    /// The request was already long enough for what the server says it needs.
    #[error("the server says that {needed} octets are needed, which the request allowed")]
    Inconsistent {
        /// Octets of the reply.
        needed: u32,
    },
    /// The client asked again with a request as long as the server had said, and that was not long enough either.
    #[error("asked again with the length that the server had given, it now needs {needed} octets")]
    Again {
        /// Octets of the reply, as the server says now.
        needed: u32,
    },
    /// The server did not say how many octets it needs.
    #[error("the server did not say how long the reply would be")]
    Uncounted,
}

/// What became of a datagram that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// It is the reply: there is an outcome now.
    Accepted,
    /// It is a reply that says which request would do: that one is due now, with another
    /// [`id`](super::Exchange::id).
    Widened,
    /// It is the answer to the classic [`PROBE`](super::PROBE): the peer is there, and may know the classic form only.
    /// The request is repeated as often as it would be otherwise, and once more, but with waits of three round-trip
    /// times; the peer knows only the classic form if none of that is answered.
    ProbeAnswered,
    /// It does not count as a reply; waiting goes on.
    Ignored(IgnoredReason),
}

/// Why a datagram was ignored, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// Shorter than any reply that is awaited.
    #[error("{octets} octets: shorter than any reply")]
    Short {
        /// Octets of the datagram.
        octets: usize,
    },
    /// Not from the address and port that was asked.
    #[error("not from the address and port that was asked")]
    OtherSource,
    /// Its octets are not a reply of the extended form.
    #[error("not an extended reply: {0}")]
    NoExtendedReply(extended::ReplyError),
    /// Its octets are not a reply of the classic form.
    #[error("not a classic reply: {0}")]
    NoClassicReply(classic::ReplyError),
    /// A classic reply, which has no identifier, on a socket that several exchanges share.
    #[error("a classic reply, which has no identifier, on a socket of several exchanges")]
    ClassicOnSharedSocket,
    /// A late reply to the narrower request that was asked first.
    #[error("a late reply to the request that was asked again more widely")]
    Superseded,
    /// An identifier that is not in progress.
    #[error("unknown identifier {found:016x}")]
    UnknownIdentifier {
        /// The identifier.
        found: u64,
    },
    /// The exchange has its outcome already.
    #[error("a duplicate: the exchange has ended")]
    Duplicate,
}

impl IgnoredReason {
    /// Of a datagram that is not an extended reply.
    pub(crate) fn of_extended(error: extended::ReplyError) -> IgnoredReason {
        match error {
            extended::ReplyError::Short { octets } => IgnoredReason::Short { octets },
            error => IgnoredReason::NoExtendedReply(error),
        }
    }
}

/// How many datagrams were ignored, by reason: each is counted exactly once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredCounts {
    /// [`IgnoredReason::Short`].
    pub short: u32,
    /// [`IgnoredReason::OtherSource`].
    pub other_source: u32,
    /// [`IgnoredReason::NoExtendedReply`], [`IgnoredReason::NoClassicReply`] and
    /// [`IgnoredReason::ClassicOnSharedSocket`].
    pub malformed: u32,
    /// [`IgnoredReason::UnknownIdentifier`] and [`IgnoredReason::Superseded`].
    pub unknown_identifier: u32,
    /// [`IgnoredReason::Duplicate`].
    pub duplicate: u32,
}

impl IgnoredCounts {
    /// All of them.
    pub fn total(&self) -> u32 {
        let IgnoredCounts { short, other_source, malformed, unknown_identifier, duplicate } = *self;
        [other_source, malformed, unknown_identifier, duplicate].into_iter().fold(short, u32::saturating_add)
    }

    pub(super) fn count(&mut self, reason: &IgnoredReason) {
        let counter = match reason {
            IgnoredReason::Short { .. } => &mut self.short,
            IgnoredReason::OtherSource => &mut self.other_source,
            IgnoredReason::NoExtendedReply(_)
            | IgnoredReason::NoClassicReply(_)
            | IgnoredReason::ClassicOnSharedSocket => &mut self.malformed,
            IgnoredReason::Superseded | IgnoredReason::UnknownIdentifier { .. } => &mut self.unknown_identifier,
            IgnoredReason::Duplicate => &mut self.duplicate,
        };
        *counter = counter.saturating_add(1);
    }
}

/// What an exchange counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Datagrams sent, of every kind.
    pub transmissions: u32,
    /// Of these, repeats because the wait for a reply ran out.
    pub repeats: u32,
    /// Reports of ECONNREFUSED.
    pub refusals: u32,
    /// Whether the question was asked again with a wider request.
    pub widened: bool,
    /// Whether the classic [`PROBE`](super::PROBE) was sent.
    pub probed: bool,
    /// The time from the last sending of the request to the reply that was accepted. After a repeat it may be too
    /// short, as the reply may be to an earlier attempt (Karn's problem; RFC 6298, section 3).
    pub rtt: Option<Duration>,
    /// Datagrams that did not count as a reply.
    pub ignored: IgnoredCounts,
}

/// Octets of the network as text that a terminal can be given: printable ASCII, anything else replaced.
pub(crate) fn printable(octets: &[u8]) -> String {
    octets.iter().map(|&octet| if matches!(octet, b' '..=b'~') { octet.into() } else { '\u{fffd}' }).collect()
}

pub(crate) fn printable_lines(octets: &[u8]) -> String {
    octets.split(|&octet| octet == b'\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A non-negative two's complement integer without the leading octets that say nothing.
fn least_width(octets: &[u8]) -> Vec<u8> {
    let redundant = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    octets[redundant..].to_vec()
}
