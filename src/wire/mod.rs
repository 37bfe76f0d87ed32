//! The wire format: octets to typed messages and back. `docs/protocol.md` is the specification.
//!
//! Main types: [`classic::Request`] and [`extended::Request`], and their replies. May call no other room.
//!
//! Two forms share a port. [`classic`] is the protocol of the course: a header octet and unsigned 32-bit operands.
//! [`extended`] is ours: more operators, any width, request identifiers, reasons for errors. [`Kind::of`] tells them
//! apart by the first octet.
//!
//! All integers are in network byte order. Nothing here allocates, keeps state, or panics on what comes from the
//! network: decoding borrows from the datagram, and encoding panics only if the caller's buffer is too small, as the
//! documentation of each function says.

pub mod classic;
pub mod extended;
mod operator;

pub use operator::{Operator, UnknownOperator};

/// The longest request that a server evaluates, in octets: what IPv6's least MTU of 1280 (RFC 8200, section 5) leaves
/// after an IPv6 header of 40 and a UDP header of 8.
pub const MAX_REQUEST: usize = 1280 - 40 - 8;

/// The longest reply that a server sends by default, in octets: no fragmentation on any IPv6 path.
pub const MAX_REPLY: usize = MAX_REQUEST;

/// A reply is at most this many times as long as its request: the bound of QUIC (RFC 9000, section 8.1).
pub const AMPLIFICATION: usize = 3;

/// The longest reply that any request can have, in octets.
pub const MAX_REPLY_CEILING: usize = AMPLIFICATION * MAX_REQUEST;

/// First octet of a successful reply of ours, in both forms.
pub const SUCCESS: u8 = 0xff;

/// First octet of an error reply of ours, in both forms.
pub const ERROR: u8 = 0x7f;

/// The bit of a reply's first octet that tells success (1) from error (0).
pub const SUCCESS_BIT: u8 = 0x80;

/// The opcode that leaves the classic form.
pub const ESCAPE_OPCODE: u8 = 7;

/// The longest reply, in octets, to a request of `request_len` octets from a server that sends at most `max_reply`.
///
/// ```
/// use calc6::wire::{MAX_REPLY, reply_limit};
/// assert_eq!(reply_limit(5, MAX_REPLY), 15);
/// assert_eq!(reply_limit(1232, MAX_REPLY), 1232);
/// ```
pub const fn reply_limit(request_len: usize, max_reply: usize) -> usize {
    let amplified = request_len.saturating_mul(AMPLIFICATION);
    if amplified < max_reply { amplified } else { max_reply }
}

/// The opcode field of a request's first octet: bits 4 to 6 of the diagram.
pub const fn opcode(first: u8) -> u8 {
    first >> 1 & 0b111
}

/// The upper four bits of a request's first octet: unused in the classic form, the version if the opcode is 7.
pub const fn version(first: u8) -> u8 {
    first >> 4
}

/// The two message forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The course protocol.
    Classic,
    /// Opcode 7, version 1.
    Extended,
}

impl Form {
    /// `classic` or `extended`.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Classic => "classic",
            Form::Extended => "extended",
        }
    }
}

/// The format of the result: the F bit of a request, the Format octet of an extended reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    /// 0: an integer in network byte order.
    Integer = 0,
    /// 1: ASCII, numbers in decimal.
    Text = 1,
}

impl Format {
    /// The format that the least significant bit of a request's first octet asks for.
    pub const fn of(first: u8) -> Format {
        if first & 1 == 0 { Format::Integer } else { Format::Text }
    }
}

/// The outcome of a request: the Status octet of an extended reply. Classic replies carry only success or error.
///
/// ```
/// use calc6::wire::Status;
/// assert_eq!(Status::from_octet(3), Some(Status::DivisionByZero));
/// assert_eq!(Status::DivisionByZero.text(), "division by zero");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Status {
    /// 0: the result follows.
    Ok = 0,
    /// 1: wrong lengths, or an operand count that the operator does not take.
    Malformed = 1,
    /// 2: an operator, or in the classic form an opcode, that the server does not know.
    UnknownOperator = 2,
    /// 3: a divisor is zero.
    DivisionByZero = 3,
    /// 4: the reply would be longer than the request allows, or than the server sends.
    TooLarge = 4,
    /// 5: Reserved is not 0, or the request is longer than [`MAX_REQUEST`].
    Unsupported = 5,
    /// 6: an operand outside the operator's domain: a negative exponent.
    OutsideDomain = 6,
}

impl Status {
    /// Every status; the place is the number on the wire.
    pub const ALL: [Status; 7] = [
        Status::Ok,
        Status::Malformed,
        Status::UnknownOperator,
        Status::DivisionByZero,
        Status::TooLarge,
        Status::Unsupported,
        Status::OutsideDomain,
    ];

    /// The status of this number, if it is one that this version assigns.
    pub const fn from_octet(octet: u8) -> Option<Status> {
        if (octet as usize) < Status::ALL.len() { Some(Status::ALL[octet as usize]) } else { None }
    }

    /// The number on the wire.
    pub const fn octet(self) -> u8 {
        self as u8
    }

    /// The meaning in ASCII, which is also the text of an extended error reply. At most 24 octets, so that
    /// it fits the reply to the shortest request.
    pub const fn text(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Malformed => "malformed request",
            Status::UnknownOperator => "unknown operator",
            Status::DivisionByZero => "division by zero",
            Status::TooLarge => "result too large",
            Status::Unsupported => "unsupported",
            Status::OutsideDomain => "outside the domain",
        }
    }
}

/// The kind of a datagram that reaches a server, by its first octet and its length (docs/protocol.md, clauses 4.1 and
/// 4.4).
///
/// ```
/// use calc6::wire::Kind;
/// assert_eq!(Kind::of(&[0x00, 0, 0, 0, 1]), Kind::Classic);
/// assert_eq!(Kind::of(b"\x1e+\x01\x0012345678\x05"), Kind::Extended);
/// assert_eq!(Kind::of(&[0xff]), Kind::Reply);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No octets at all.
    Empty,
    /// Starts with 0xff or 0x7f: a reply, never to be answered.
    Reply,
    /// Opcodes 0 to 6: for [`classic::Request::decode`].
    Classic,
    /// Opcode 7, version 1, at least [`extended::HEADER`] octets: for [`extended::Request::decode`].
    Extended,
    /// Any other opcode-7 datagram: an unknown opcode where its length is one that such a request could have.
    Escape {
        /// Whether the server answers with a classic error reply.
        answered: bool,
    },
}

impl Kind {
    /// The kind of a datagram: exactly one for every sequence of octets.
    pub const fn of(datagram: &[u8]) -> Kind {
        let Some(&first) = datagram.first() else {
            return Kind::Empty;
        };
        let len = datagram.len();
        if first == SUCCESS || first == ERROR {
            Kind::Reply
        } else if opcode(first) != ESCAPE_OPCODE {
            Kind::Classic
        } else if version(first) == extended::VERSION && len >= extended::HEADER {
            Kind::Extended
        } else {
            let classic = len > classic::HEADER && len <= classic::MAX_REQUEST && len % classic::OPERAND == 1;
            let later = version(first) != extended::VERSION && len >= extended::HEADER && len <= MAX_REQUEST;
            Kind::Escape { answered: classic || later }
        }
    }
}

const _: () = {
    assert!(MAX_REQUEST == 1232 && MAX_REPLY_CEILING == 3696);
    assert!(classic::MAX_REQUEST == 257 && classic::MAX_REPLY == 257);
    assert!(extended::HEADER == 12);
    // The shortest extended request leaves room for every error text.
    let mut status = 0;
    while status < Status::ALL.len() {
        assert!(extended::HEADER + Status::ALL[status].text().len() <= AMPLIFICATION * extended::HEADER);
        status += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_first_octet_and_length() {
        let kind = |first: u8, len: usize| {
            let mut datagram = vec![0; len];
            datagram[0] = first;
            Kind::of(&datagram)
        };
        assert_eq!(Kind::of(&[]), Kind::Empty);
        assert_eq!(kind(0xff, 5), Kind::Reply);
        assert_eq!(kind(0x7f, 12), Kind::Reply);
        assert_eq!(kind(0x80, 5), Kind::Classic);
        assert_eq!(kind(0x00, 1), Kind::Classic);
        assert_eq!(kind(0x1e, 12), Kind::Extended);
        assert_eq!(kind(0x1f, 1233), Kind::Extended);
        for (first, len, answered) in [
            (0x1e, 11, false),
            (0x1e, 9, true),
            (0x1e, 5, true),
            (0x1e, 1, false),
            (0x0e, 257, true),
            (0x0e, 258, true),
            (0x0e, 11, false),
            (0x0e, 12, true),
            (0x7e, 1232, true),
            (0xfe, 1233, false),
        ] {
            assert_eq!(kind(first, len), Kind::Escape { answered }, "{first:#x} {len}");
        }
    }

    #[test]
    fn reply_limit_is_three_times_the_request_or_that_of_the_server() {
        assert_eq!(reply_limit(5, MAX_REPLY), 15);
        assert_eq!(reply_limit(411, MAX_REPLY), 1232);
        assert_eq!(reply_limit(410, MAX_REPLY), 1230);
        assert_eq!(reply_limit(usize::MAX, MAX_REPLY_CEILING), 3696);
    }

    #[test]
    fn statuses_are_numbered_by_their_place() {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(status.octet()), place);
            assert_eq!(Status::from_octet(status.octet()), Some(status));
        }
        assert_eq!(Status::from_octet(7), None);
    }
}
