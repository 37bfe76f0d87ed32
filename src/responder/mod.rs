//! The server as a pure function: its argument is a datagram, its result a reply or the reason for silence.
//!
//! Main function: [`respond`]. May call `wire` and `arithmetic`.
//!
//! No socket, no clock, no state: the same request has the same answer from the same [`Limits`]. What depends on
//! addresses (source ports, multicast, rates) is in the [`limit`](crate::limit) room. Nothing here panics for any
//! arguments or loops over more than the datagram holds, and numbers up to 128 bits are answered without allocation.

use alloc::format;
use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::arithmetic::{self, Number, Operands, TextTooLong, decimal_bits, evaluate_octets};
use crate::wire::{self, Form, Format, Kind, MAX_REPLY, MAX_REPLY_CEILING, Operator, Status, classic, extended};

/// The configuration of a server that affects its replies.
///
/// ```
/// use calc6::responder::{Limits, ReplyLimit};
/// let limits = Limits::default().with_max_reply(ReplyLimit::MAX).with_wrap(true);
/// assert_eq!(limits.max_reply.octets(), 3696);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// The longest reply.
    pub max_reply: ReplyLimit,
    /// Whether a classic integer result over 2^32 - 1 is sent modulo 2^32, as the usual C servers do, instead of an
    /// error.
    pub wrap: bool,
}

impl Limits {
    /// The longest reply.
    #[must_use]
    pub fn with_max_reply(mut self, max_reply: ReplyLimit) -> Limits {
        self.max_reply = max_reply;
        self
    }

    /// Whether a classic integer result over 2^32 - 1 is sent modulo 2^32.
    #[must_use]
    pub fn with_wrap(mut self, wrap: bool) -> Limits {
        self.wrap = wrap;
        self
    }
}

/// The longest reply that a server sends, in octets: [`MIN`](Self::MIN) to [`MAX`](Self::MAX).
///
/// ```
/// use calc6::responder::ReplyLimit;
/// assert_eq!(ReplyLimit::default().octets(), 1232);
/// assert_eq!(ReplyLimit::new(3696), Some(ReplyLimit::MAX));
/// assert_eq!(ReplyLimit::new(3697), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyLimit(u16);

/// The longest reply is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the longest reply must be {least} to {most} octets, not {0}", least = ReplyLimit::MIN, most = ReplyLimit::MAX)]
pub struct ReplyLimitError(pub usize);

impl ReplyLimit {
    /// 36 octets: three times the shortest extended request, which every error reply fits.
    pub const MIN: ReplyLimit = ReplyLimit((wire::AMPLIFICATION * extended::HEADER) as u16);

    /// 3696 octets: three times the longest request ([`MAX_REPLY_CEILING`]), the most that any request allows.
    pub const MAX: ReplyLimit = ReplyLimit(MAX_REPLY_CEILING as u16);

    /// The limit of `octets`; `None` if it is out of range.
    pub const fn new(octets: usize) -> Option<ReplyLimit> {
        let in_range = octets >= ReplyLimit::MIN.octets() && octets <= ReplyLimit::MAX.octets();
        if in_range { Some(ReplyLimit(octets as u16)) } else { None }
    }

    /// The limit in octets.
    pub const fn octets(self) -> usize {
        self.0 as usize
    }
}

impl Default for ReplyLimit {
    /// 1232 octets ([`MAX_REPLY`]): no IPv6 path fragments such a reply.
    fn default() -> ReplyLimit {
        const { ReplyLimit::new(MAX_REPLY).unwrap() }
    }
}

impl TryFrom<usize> for ReplyLimit {
    type Error = ReplyLimitError;

    fn try_from(octets: usize) -> Result<ReplyLimit, ReplyLimitError> {
        ReplyLimit::new(octets).ok_or(ReplyLimitError(octets))
    }
}

impl fmt::Display for ReplyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The decision on a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send the first [`WrittenReply::len`] octets of the reply buffer back.
    Reply(WrittenReply),
    /// Send nothing.
    Silence(Reason),
}

/// A reply in the reply buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenReply {
    /// Its length in octets.
    pub len: usize,
    /// The form of the request, and so of the reply.
    pub form: Form,
    /// The operator of the request, if known.
    pub operator: Option<Operator>,
    /// The status. Classic errors are [`Status::UnknownOperator`] or [`Status::TooLarge`].
    pub status: Status,
}

impl WrittenReply {
    /// The clause of docs/protocol.md that decides on this reply; `format` is the one that the request asked for.
    pub const fn clause(&self, format: Format) -> &'static str {
        match (self.form, self.status, format) {
            (Form::Classic, Status::Ok, _) => "2.3",
            (Form::Classic, Status::TooLarge, Format::Integer) => "2.9",
            (Form::Classic, Status::TooLarge, Format::Text) => "2.10",
            (Form::Classic, ..) => "2.6",
            (Form::Extended, Status::Ok, _) => "3.4",
            (Form::Extended, Status::TooLarge, _) => "3.10",
            (Form::Extended, ..) => "3.9",
        }
    }
}

/// Why a datagram is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No octets.
    Empty,
    /// Starts with 0xff or 0x7f: two servers that answer replies would loop.
    IsReply,
    /// A classic header without operands.
    NoOperands,
    /// The last classic operand is not whole.
    Ragged,
    /// More than 64 classic operands.
    TooManyOperands,
    /// Longer than 1232 octets, and not extended.
    Oversize,
    /// Opcode 7 with a length for which the protocol requires no answer (docs/protocol.md, clause 4.4).
    Escape,
    /// The reply does not fit the reply buffer, which is shorter than the protocol allows a reply to be.
    NoRoom,
}

impl Reason {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Reason; 8] = [
        Reason::Empty,
        Reason::IsReply,
        Reason::NoOperands,
        Reason::Ragged,
        Reason::TooManyOperands,
        Reason::Oversize,
        Reason::Escape,
        Reason::NoRoom,
    ];

    /// Its place in [`ALL`](Self::ALL), for tables of counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The clause of docs/protocol.md that says so.
    pub const fn clause(self) -> &'static str {
        match self {
            Reason::Empty | Reason::NoOperands | Reason::Ragged | Reason::TooManyOperands => "2.7",
            Reason::IsReply => "4.1",
            Reason::Oversize | Reason::NoRoom => "4.2",
            Reason::Escape => "4.4",
        }
    }

    /// A short name for logs and metrics: `empty`, `is-reply`, …
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Empty => "empty",
            Reason::IsReply => "is-reply",
            Reason::NoOperands => "no-operands",
            Reason::Ragged => "ragged",
            Reason::TooManyOperands => "too-many-operands",
            Reason::Oversize => "oversize",
            Reason::Escape => "escape",
            Reason::NoRoom => "no-room",
        }
    }
}

/// Decides on a datagram and writes the reply, if any, to the front of `reply`.
///
/// Only the first [`wire::MAX_REQUEST`] + 1 octets of a longer datagram matter, so a receive buffer of that length is
/// enough. A reply is never longer than three times the request or than
/// `limits.max_reply`: a result that does not fit becomes an error reply.
///
/// It is never longer than `reply` either, but the client is not told about this limit: error texts are shortened to
/// fit, and if that is not enough there is no reply ([`Reason::NoRoom`]). So a server that must not send more octets
/// than it received passes a buffer of the request's length.
///
/// ```
/// use calc6::responder::{Limits, Reason, Verdict, respond};
/// let request = [0, 0, 0, 0, 1, 0, 0, 0, 3];
/// let mut reply = [0; 1232];
/// let Verdict::Reply(verdict) = respond(&request, &mut reply, &Limits::default()) else {
///     unreachable!("two operands and a known opcode are answered");
/// };
/// assert_eq!(reply[..verdict.len], [0xff, 0, 0, 0, 4]);
/// assert_eq!(respond(&request, &mut reply[..4], &Limits::default()), Verdict::Silence(Reason::NoRoom));
/// ```
pub fn respond(request: &[u8], reply: &mut [u8], limits: &Limits) -> Verdict {
    let allowed = wire::reply_limit(request.len(), limits.max_reply.octets());
    let len = reply.len().min(allowed);
    let reply = Room { reply: &mut reply[..len], allowed };
    match Kind::of(request) {
        Kind::Empty => Verdict::Silence(Reason::Empty),
        Kind::Reply => Verdict::Silence(Reason::IsReply),
        Kind::Extended => respond_extended(request, reply, limits.max_reply),
        _ if request.len() > wire::MAX_REQUEST => Verdict::Silence(Reason::Oversize),
        Kind::Classic => respond_classic(request, reply, limits.wrap),
        Kind::Escape { answered: true } => unknown_opcode(reply),
        Kind::Escape { answered: false } => Verdict::Silence(Reason::Escape),
    }
}

/// The space for a reply.
struct Room<'a> {
    /// The caller's buffer, at most `allowed` octets.
    reply: &'a mut [u8],
    /// The longest reply that protocol and limits allow.
    allowed: usize,
}

const NO_ROOM: Verdict = Verdict::Silence(Reason::NoRoom);

fn respond_classic(request: &[u8], room: Room<'_>, wrap: bool) -> Verdict {
    let request = match classic::Request::decode(request) {
        Ok(request) => request,
        Err(error) => return Verdict::Silence(classic_reason(&error)),
    };
    let Some(operator) = request.operator() else { return unknown_opcode(room) };
    let operands = Operands::unsigned32(request.operands());
    let written = match request.format() {
        Format::Integer => {
            let value = if wrap { operands.evaluate_wrapping(operator) } else { operands.evaluate_u32(operator) };
            value.ok_or(Excess::UNCOUNTED).and_then(|value| write_classic_integer(value, room.reply))
        }
        Format::Text => evaluate_octets(operator, operands, decimal_bits(classic::MAX_PAYLOAD))
            .map_err(|_| Excess::UNCOUNTED)
            .and_then(|result| write_classic_text(&result, room.reply)),
    };
    match written {
        Ok(len) => replied(len, Form::Classic, Some(operator), Status::Ok),
        Err(excess) if excess.at_most <= room.allowed.min(classic::MAX_REPLY) as u64 => NO_ROOM,
        Err(_) => classic_error(room, Some(operator), Status::TooLarge, classic::OVERFLOW),
    }
}

fn classic_reason(error: &classic::RequestError) -> Reason {
    match error {
        classic::RequestError::Empty => Reason::Empty,
        classic::RequestError::NoOperands => Reason::NoOperands,
        classic::RequestError::TooManyOperands { .. } => Reason::TooManyOperands,
        classic::RequestError::Ragged { .. } | classic::RequestError::Operator(_) => Reason::Ragged,
    }
}

/// The shortest request allows 15 octets.
fn write_classic_integer(value: u32, reply: &mut [u8]) -> Result<usize, Excess> {
    let len = classic::HEADER + classic::OPERAND;
    let reply = reply.get_mut(..len).ok_or(Excess::exactly(len))?;
    Ok(classic::Reply::Integer(value).encode(reply))
}

fn write_classic_text(result: &Number, reply: &mut [u8]) -> Result<usize, Excess> {
    let too_long = |error: TextTooLong| Excess::exactly(classic::HEADER + error.octets);
    if reply.len() < classic::HEADER {
        return Err(Excess::exactly(classic::HEADER + result.decimal_len()));
    }
    let payload = classic::reply_payload(reply, true);
    let most = payload.len().min(classic::MAX_PAYLOAD);
    result.write_decimal(&mut payload[..most]).map(|len| classic::HEADER + len).map_err(too_long)
}

fn unknown_opcode(room: Room<'_>) -> Verdict {
    classic_error(room, None, Status::UnknownOperator, classic::UNKNOWN_OPCODE)
}

fn classic_error(room: Room<'_>, operator: Option<Operator>, status: Status, text: &str) -> Verdict {
    if room.reply.len() < classic::HEADER {
        return NO_ROOM;
    }
    let len = copy_shortened(text.as_bytes(), classic::reply_payload(room.reply, false));
    replied(classic::HEADER + len, Form::Classic, operator, status)
}

fn respond_extended(datagram: &[u8], room: Room<'_>, max_reply: ReplyLimit) -> Verdict {
    if room.reply.len() < extended::HEADER {
        return NO_ROOM;
    }
    let request = match extended::Request::decode(datagram) {
        Ok(request) => request,
        Err(error) => return extended_error(room, datagram, error.status()),
    };
    let operator = request.operator();
    if operator == Operator::Describe {
        return describe(&request, room, max_reply);
    }
    let allowed = room.allowed - extended::HEADER;
    let max_bits = match request.format() {
        Format::Integer => allowed as u64 * 8,
        Format::Text => decimal_bits(allowed),
    };
    let operands = Operands::signed(request.operands(), usize::from(request.width()));
    let written = match evaluate_octets(operator, operands, max_bits) {
        Ok(result) => write_result(&result, &request, room.reply),
        Err(arithmetic::Error::TooLarge { at_least, at_most }) => {
            Err(Excess::of_bits(at_least, at_most, request.format(), request.operands()[0] & 0x80 != 0))
        }
        Err(error) => return extended_error(room, datagram, status_of(&error)),
    };
    match written {
        Ok(len) => replied(len, Form::Extended, Some(operator), Status::Ok),
        Err(excess) => too_large(room, &request, excess, max_reply),
    }
}

fn status_of(error: &arithmetic::Error) -> Status {
    match error {
        arithmetic::Error::OperandCount { .. } => Status::Malformed,
        arithmetic::Error::NegativeExponent => Status::OutsideDomain,
        arithmetic::Error::DivisionByZero => Status::DivisionByZero,
        arithmetic::Error::TooLarge { .. } => Status::TooLarge,
    }
}

/// The octets of a whole reply that does not fit.
struct Excess {
    at_least: u64,
    at_most: u64,
}

impl Excess {
    /// For a classic result: a classic error carries no count.
    const UNCOUNTED: Excess = Excess { at_least: u64::MAX, at_most: u64::MAX };

    fn exactly(octets: usize) -> Excess {
        Excess { at_least: octets as u64, at_most: octets as u64 }
    }

    /// For a number that was not computed, from the bits of its magnitude.
    fn of_bits(at_least: u64, at_most: u64, format: Format, negative: bool) -> Excess {
        let octets = |bits: u64, ceiling: bool| match format {
            Format::Integer => bits / 8 + u64::from(ceiling),
            // log10(2) lies between 0.30102 and 0.30103.
            Format::Text if ceiling => bits.saturating_mul(30_103) / 100_000 + 1 + u64::from(negative),
            Format::Text => bits.saturating_mul(30_102) / 100_000,
        };
        let header = extended::HEADER as u64;
        Excess { at_least: header + octets(at_least, false), at_most: (header + octets(at_most, true)) }
    }

    /// The count in the reply of status 4, where a reply of `room` octets was too short. If a result may or may not fit
    /// the server's limit, the count is the limit; if the request already allowed that, the result counts as over it.
    fn needed(&self, room: usize, max_reply: ReplyLimit) -> u32 {
        let limit = max_reply.octets() as u64;
        if self.at_least > limit || room as u64 >= limit {
            extended::NEEDED_OVER_LIMIT
        } else {
            self.at_most.min(limit) as u32
        }
    }
}

fn write_result(result: &Number, request: &extended::Request<'_>, reply: &mut [u8]) -> Result<usize, Excess> {
    let payload = extended::reply_payload(reply, Status::Ok.octet(), request.format(), request.id());
    let len = match request.format() {
        Format::Integer => {
            let len = result.octet_len();
            let written = payload.get_mut(..len).and_then(|out| result.write_octets(out));
            written.map(|()| len).ok_or(Excess::exactly(extended::HEADER + len))
        }
        Format::Text => result.write_decimal(payload).map_err(|error| Excess::exactly(extended::HEADER + error.octets)),
    }?;
    Ok(extended::HEADER + len)
}

/// The symbols of all operators, as describe lists them.
const OPERATORS: [u8; Operator::ALL.len()] = {
    let mut symbols = [0; Operator::ALL.len()];
    let mut place = 0;
    while place < symbols.len() {
        symbols[place] = Operator::ALL[place].octet();
        place += 1;
    }
    symbols
};

fn describe(request: &extended::Request<'_>, room: Room<'_>, max_reply: ReplyLimit) -> Verdict {
    let operators = String::from_utf8_lossy(&OPERATORS);
    let text = format!("calc6 {}\noperators={operators}\nlargest-reply={max_reply}\n", env!("CARGO_PKG_VERSION"));
    let payload = extended::reply_payload(room.reply, Status::Ok.octet(), Format::Text, request.id());
    let Some(out) = payload.get_mut(..text.len()) else {
        return too_large(room, request, Excess::exactly(extended::HEADER + text.len()), max_reply);
    };
    out.copy_from_slice(text.as_bytes());
    replied(extended::HEADER + text.len(), Form::Extended, Some(Operator::Describe), Status::Ok)
}

/// For a result that does not fit the caller's buffer: silence if the protocol allows that length, else status 4.
fn too_large(room: Room<'_>, request: &extended::Request<'_>, excess: Excess, max_reply: ReplyLimit) -> Verdict {
    let Room { reply, allowed } = room;
    if excess.at_most <= allowed as u64 || reply.len() < extended::HEADER + extended::NEEDED {
        return NO_ROOM;
    }
    let needed = excess.needed(allowed, max_reply);
    let payload = extended::reply_payload(reply, Status::TooLarge.octet(), Format::Text, request.id());
    let (count, text) = payload.split_at_mut(extended::NEEDED);
    extended::write_needed(count, needed);
    let len = extended::HEADER + extended::NEEDED + copy_shortened(Status::TooLarge.text().as_bytes(), text);
    replied(len, Form::Extended, Some(request.operator()), Status::TooLarge)
}

fn extended_error(room: Room<'_>, datagram: &[u8], status: Status) -> Verdict {
    let id = extended::id(datagram).unwrap_or_default();
    let payload = extended::reply_payload(room.reply, status.octet(), Format::Text, id);
    let len = extended::HEADER + copy_shortened(status.text().as_bytes(), payload);
    let operator = Operator::from_octet(datagram[extended::OPERATOR]);
    replied(len, Form::Extended, operator, status)
}

fn replied(len: usize, form: Form, operator: Option<Operator>, status: Status) -> Verdict {
    Verdict::Reply(WrittenReply { len, form, operator, status })
}

/// Copies as much of a text as fits.
fn copy_shortened(text: &[u8], out: &mut [u8]) -> usize {
    let len = text.len().min(out.len());
    out[..len].copy_from_slice(&text[..len]);
    len
}

#[cfg(test)]
mod tests;
