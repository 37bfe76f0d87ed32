//! The server as a pure function: its argument is a datagram, its result a reply or the reason for silence.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The longest reply.
    pub max_reply: ReplyLimit,
    /// Whether a classic integer result over 2^32 - 1 is sent modulo 2^32, as the usual C servers do, instead of an
    /// error.
    pub wrap: bool,
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
    /// Send the first [`Reply::len`] octets of the reply buffer back.
    Reply(Reply),
    /// Send nothing.
    Silence(Reason),
}

/// A reply in the reply buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Its length in octets.
    pub len: usize,
    /// The form of the request, and so of the reply.
    pub form: Form,
    /// The operator of the request, if known.
    pub operator: Option<Operator>,
    /// The status. Classic errors are [`Status::UnknownOperator`] or [`Status::TooLarge`].
    pub status: Status,
}

impl Reply {
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
    Verdict::Reply(Reply { len, form, operator, status })
}

/// Copies as much of a text as fits.
fn copy_shortened(text: &[u8], out: &mut [u8]) -> usize {
    let len = text.len().min(out.len());
    out[..len].copy_from_slice(&text[..len]);
    len
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    const ID: u64 = 0x0102_0304_0506_0708;

    /// The reply's octets, or the reason for silence. The buffer is dirty, like the buffer of a worker.
    fn answer(request: &[u8]) -> Result<(Reply, Vec<u8>), Reason> {
        answer_within(request, &Limits::default())
    }

    fn answer_within(request: &[u8], limits: &Limits) -> Result<(Reply, Vec<u8>), Reason> {
        let mut reply = vec![0xa5; limits.max_reply.octets()];
        match respond(request, &mut reply, limits) {
            Verdict::Reply(verdict) => Ok((verdict, reply[..verdict.len].to_vec())),
            Verdict::Silence(reason) => Err(reason),
        }
    }

    fn classic(first: u8, operands: &[u32]) -> Vec<u8> {
        let mut request = vec![first];
        request.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
        request
    }

    fn extended(operator: Operator, format: Format, width: u8, operands: &[u8]) -> Vec<u8> {
        let mut out = vec![0; wire::MAX_REQUEST];
        let len = extended::Request::new(operator, format, width, ID, operands).unwrap().encode(&mut out);
        out.truncate(len);
        out
    }

    /// Operands of one width, as a request carries them.
    fn operands(width: u8, numbers: &[i128]) -> Vec<u8> {
        let mut octets = vec![0; usize::from(width) * numbers.len()];
        for (number, out) in numbers.iter().zip(octets.chunks_exact_mut(width.into())) {
            Number::from(*number).write_octets(out).unwrap();
        }
        octets
    }

    fn status(request: &[u8]) -> (Status, Vec<u8>) {
        let (verdict, octets) = answer(request).unwrap();
        assert_eq!(octets[4..12], ID.to_be_bytes());
        assert_eq!(octets[1], verdict.status.octet());
        assert_eq!(octets[0] == wire::SUCCESS, verdict.status == Status::Ok);
        (verdict.status, octets[12..].to_vec())
    }

    #[test]
    fn clauses_are_those_of_the_specification() {
        let specification = include_str!("../../docs/protocol.md");
        let reply = |form, status| Reply { len: 0, form, operator: None, status };
        let mut clauses: Vec<&str> = Reason::ALL.into_iter().map(Reason::clause).collect();
        for form in [Form::Classic, Form::Extended] {
            for status in (0..extended::STATUS_END).filter_map(Status::from_octet) {
                clauses.extend([Format::Integer, Format::Text].map(|format| reply(form, status).clause(format)));
            }
        }
        for clause in clauses {
            let numbered = [" ", "*", "."].iter().any(|end| specification.contains(&format!("**{clause}{end}")));
            assert!(numbered, "{clause}");
        }
    }

    #[test]
    fn classic_results_are_exact_or_errors() {
        assert_eq!(answer(&classic(0x00, &[1, 3, 5, 7, 9])).unwrap().1, [0xff, 0, 0, 0, 0x19]);
        assert_eq!(answer(&classic(0x03, &[1, 3, 5, 7, 9])).unwrap().1, b"\xff945");
        assert_eq!(answer(&classic(0x00, &[u32::MAX, 0])).unwrap().1, [0xff; 5]);
        let (verdict, octets) = answer(&classic(0x00, &[u32::MAX, 1])).unwrap();
        assert_eq!((verdict.status, &octets[..]), (Status::TooLarge, &b"\x7ftoo large"[..]));
        assert_eq!(answer(&classic(0x02, &[u32::MAX, u32::MAX, 0])).unwrap().1, [0xff, 0, 0, 0, 0]);
    }

    #[test]
    fn classic_wraps_on_request_and_text_stays_exact() {
        let limits = Limits { wrap: true, ..Limits::default() };
        let octets = |request: &[u8]| answer_within(request, &limits).unwrap().1;
        assert_eq!(octets(&classic(0x00, &[u32::MAX, 3])), [0xff, 0, 0, 0, 2]);
        assert_eq!(octets(&classic(0x02, &[0x8000_0001, 2])), [0xff, 0, 0, 0, 2]);
        assert_eq!(octets(&classic(0x01, &[u32::MAX, 3])), b"\xff4294967298");
    }

    #[test]
    fn classic_text_has_up_to_256_digits() {
        let digits = |count: usize| answer(&classic(0x03, &vec![u32::MAX; count])).unwrap();
        let (verdict, octets) = digits(26);
        assert_eq!((verdict.status, octets.len()), (Status::Ok, 1 + 251));
        let (verdict, octets) = digits(27);
        assert_eq!((verdict.status, octets[0]), (Status::TooLarge, wire::ERROR));
    }

    #[test]
    fn silence_has_its_reason() {
        for (request, reason) in [
            (vec![], Reason::Empty),
            (vec![0xff, 0, 0, 0, 1], Reason::IsReply),
            (vec![0x7f; 40], Reason::IsReply),
            (vec![0x00], Reason::NoOperands),
            (vec![0x45], Reason::NoOperands),
            (vec![0x00; 8], Reason::Ragged),
            (vec![0x45; 8], Reason::Ragged),
            (vec![0x00; 261], Reason::TooManyOperands),
            (vec![0x00; 1233], Reason::Oversize),
            (vec![0x0e; 1233], Reason::Oversize),
            (vec![0x1e; 11], Reason::Escape),
            (vec![0x0e; 8], Reason::Escape),
        ] {
            assert_eq!(answer(&request).unwrap_err(), reason, "{request:02x?}");
        }
    }

    #[test]
    fn unknown_opcodes_are_answered() {
        for request in [classic(0x45, &[4, 2, 3]), classic(0x0e, &[1]), classic(0x1e, &[1, 2]), vec![0x2e; 13]] {
            let (verdict, octets) = answer(&request).unwrap();
            assert_eq!((verdict.status, verdict.operator), (Status::UnknownOperator, None));
            assert_eq!(octets, b"\x7funknown opcode", "{request:02x?}");
        }
    }

    #[test]
    fn extended_statuses_in_the_order_of_the_checks() {
        let two = operands(4, &[-2, 5]);
        let good = extended(Operator::Sum, Format::Integer, 4, &two);
        assert_eq!(status(&good), (Status::Ok, vec![3]));
        let with = |place: usize, octet: u8| {
            let mut request = good.clone();
            request[place] = octet;
            status(&request)
        };
        assert_eq!(with(3, 1), (Status::Unsupported, b"unsupported".to_vec()));
        assert_eq!(with(1, b'!'), (Status::UnknownOperator, b"unknown operator".to_vec()));
        assert_eq!(with(2, 0), (Status::Malformed, b"malformed request".to_vec()));
        assert_eq!(with(2, 3), (Status::Malformed, b"malformed request".to_vec()));
        let oversize = [&good[..12], &[0; 1221]].concat();
        assert_eq!(status(&oversize).0, Status::Unsupported);
        let zero = extended(Operator::Quotient, Format::Text, 1, &operands(1, &[1, 2, 0]));
        assert_eq!(status(&zero), (Status::DivisionByZero, b"division by zero".to_vec()));
        let negative = extended(Operator::Power, Format::Text, 1, &operands(1, &[1, -1]));
        assert_eq!(status(&negative), (Status::OutsideDomain, b"outside the domain".to_vec()));
    }

    #[test]
    fn too_large_says_how_much_is_needed() {
        let power = |width: u8, exponent: i128, format| {
            status(&extended(Operator::Power, format, width, &operands(width, &[2, exponent])))
        };
        // 16 octets of request allow 48 of reply: 36 of result.
        assert_eq!(power(2, 286, Format::Integer).0, Status::Ok);
        assert_eq!(power(2, 287, Format::Integer), (Status::TooLarge, b"\0\0\0\x31result too large".to_vec()));
        // Not computed: 2^8000 has at least 8001 bits, at most 16000, which the server's 1232 octets may not hold.
        assert_eq!(power(2, 8000, Format::Integer).1[..4], 1232u32.to_be_bytes());
        assert_eq!(power(2, 9999, Format::Integer).1[..4], u32::MAX.to_be_bytes());
        // Text: 2^4000 has 1205 digits.
        assert_eq!(power(255, 4000, Format::Text).0, Status::Ok);
        assert_eq!(power(255, 4052, Format::Text).0, Status::Ok, "1220 digits");
        assert_eq!(power(255, 4053, Format::Text).1[..4], u32::MAX.to_be_bytes(), "1221 digits");
    }

    #[test]
    fn describe_is_whole_or_too_large() {
        let (short, octets) = status(&extended(Operator::Describe, Format::Integer, 0, &[]));
        assert_eq!(short, Status::TooLarge);
        let needed = u32::from_be_bytes(octets[..4].try_into().unwrap());
        let padding = vec![0; (needed as usize).div_ceil(3) - extended::HEADER];
        let (status, text) = status(&extended(Operator::Describe, Format::Integer, 1, &padding));
        assert_eq!(status, Status::Ok);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            concat!("calc6 ", env!("CARGO_PKG_VERSION"), "\noperators=+*-/%^gl<>&|~?\nlargest-reply=1232\n")
        );
    }

    #[test]
    fn no_reply_is_longer_than_three_times_its_request_or_the_limit() {
        for max_reply in [ReplyLimit::MIN, ReplyLimit::default(), ReplyLimit::MAX] {
            let limits = Limits { max_reply, wrap: false };
            for width in [1, 100, 255] {
                let numbers = operands(width, &[120, 120]);
                for format in [Format::Integer, Format::Text] {
                    let request = extended(Operator::Power, format, width, &numbers);
                    let (verdict, _) = answer_within(&request, &limits).unwrap();
                    assert!(verdict.len <= wire::reply_limit(request.len(), max_reply.octets()));
                }
            }
        }
    }

    #[test]
    fn reply_limits_are_in_range() {
        let limits =
            [0, 35, 36, 1232, 3696, 3697, usize::MAX].map(|octets| ReplyLimit::new(octets).map(ReplyLimit::octets));
        assert_eq!(limits, [None, None, Some(36), Some(1232), Some(3696), None, None]);
        let error = ReplyLimit::try_from(16).unwrap_err().to_string();
        assert_eq!(error, "the longest reply must be 36 to 3696 octets, not 16");
    }

    #[test]
    fn every_error_fits_the_smallest_limit() {
        let limits = Limits { max_reply: ReplyLimit::MIN, wrap: false };
        for status in Status::ALL {
            assert!(extended::HEADER + extended::NEEDED + status.text().len() <= ReplyLimit::MIN.octets() + 4);
        }
        let large = extended(Operator::Power, Format::Text, 255, &operands(255, &[2, 4000]));
        let (verdict, octets) = answer_within(&large, &limits).unwrap();
        assert_eq!((verdict.status, &octets[16..]), (Status::TooLarge, &b"result too large"[..]));
        let unknown = answer_within(&classic(0x45, &[1]), &limits).unwrap();
        assert_eq!(unknown.1, b"\x7funknown opcode");
    }

    /// A short buffer leads to the same reply or none; only error texts are shortened.
    #[test]
    fn a_short_buffer_changes_no_answer() {
        let sum = |width| extended(Operator::Sum, Format::Text, width, &operands(width, &[100, 27]));
        let requests = [
            classic(0x00, &[1, 2]),
            classic(0x01, &[u32::MAX; 3]),
            classic(0x02, &[u32::MAX; 3]),
            classic(0x03, &[u32::MAX; 30]),
            classic(0x45, &[1]),
            classic(0x0e, &[1]),
            vec![0xff; 5],
            vec![],
            sum(1),
            sum(8),
            sum(8)[..extended::HEADER].to_vec(),
            extended(Operator::Power, Format::Text, 1, &operands(1, &[2, 100])),
            extended(Operator::Power, Format::Integer, 1, &operands(1, &[2, 127])),
            extended(Operator::Quotient, Format::Integer, 1, &operands(1, &[1, 0])),
            extended(Operator::Describe, Format::Text, 1, &[0; 60]),
        ];
        for request in &requests {
            let whole = answer(request);
            for len in 0..100 {
                let mut reply = vec![0xa5; len];
                match (respond(request, &mut reply, &Limits::default()), &whole) {
                    (Verdict::Reply(found), Ok((expected, octets))) => {
                        assert!(found.len <= len && found.len <= expected.len);
                        assert_eq!(Reply { len: 0, ..found }, Reply { len: 0, ..*expected });
                        assert_eq!(reply[..found.len], octets[..found.len]);
                        assert!(found.len == expected.len || found.status != Status::Ok, "{request:02x?} in {len}");
                    }
                    (Verdict::Silence(reason), Ok((expected, _))) => {
                        let least = match (expected.form, expected.status) {
                            (_, Status::Ok) => expected.len,
                            (Form::Classic, _) => 1,
                            (Form::Extended, Status::TooLarge) => 16,
                            (Form::Extended, _) => 12,
                        };
                        assert!(reason == Reason::NoRoom && len < least, "{request:02x?} in {len}");
                    }
                    (Verdict::Silence(reason), Err(expected)) => assert_eq!(reason, *expected),
                    (Verdict::Reply(_), Err(_)) => panic!("an answer to {request:02x?}"),
                }
            }
        }
    }

    #[test]
    fn the_count_of_a_computed_result_is_exact() {
        let octets = [[&[0; 23][..], &[7]].concat(), [&[0; 23][..], &[201]].concat()].concat();
        let request = extended(Operator::Power, Format::Text, 24, &octets);
        let (status, payload) = status(&request);
        assert_eq!((status, request.len()), (Status::TooLarge, 60));
        assert_eq!(payload[..4], 182u32.to_be_bytes(), "12 octets and the 170 digits of 7^201");
    }
}
