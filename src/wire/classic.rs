//! The classic form: the protocol of the course exercises *An advanced client application* and *An advanced server
//! application* (UCLouvain, Computer Networking: Principles, Protocols and Practice).
//!
//! Request, 1 + 4n octets, 1 <= n <= 64:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Unused |Opcod|F|     n unsigned 32-bit operands              ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Reply, 1 octet and at most 256 of payload:
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-
//! |S|   Unused    | Payload
//! +-+-+-+-+-+-+-+-+-+-+-+-
//! ```

use byteorder::{ByteOrder, NetworkEndian};
use thiserror::Error;

use super::{ERROR, Format, Operator, SUCCESS, SUCCESS_BIT, opcode};

/// Length of the header of requests and replies, in octets.
pub const HEADER: usize = 1;

/// Length of one operand, and of an integer result, in octets.
pub const OPERAND: usize = 4;

/// The most operands that one request carries (the course's limit).
pub const MAX_OPERANDS: usize = 64;

/// The longest request, in octets.
pub const MAX_REQUEST: usize = HEADER + MAX_OPERANDS * OPERAND;

/// The most octets of payload in a reply (the course's limit): the most digits of a result as text.
pub const MAX_PAYLOAD: usize = 256;

/// The longest reply, in octets.
pub const MAX_REPLY: usize = HEADER + MAX_PAYLOAD;

/// The text of our error reply to an opcode that we do not know. As long as the shortest request allows.
pub const UNKNOWN_OPCODE: &str = "unknown opcode";

/// The text of our error reply where the exact result does not fit the format that was asked for.
pub const OVERFLOW: &str = "too large";

const OPCODE_SUM: u8 = 0;
const OPCODE_PRODUCT: u8 = 1;

/// A request whose lengths are right; its opcode may be unknown.
///
/// ```
/// use calc6::wire::{Format, Operator, classic::Request};
/// let operands = [0, 0, 0, 4, 0, 0, 0, 2];
/// let request = Request::new(Operator::Sum, Format::Integer, &operands)?;
/// let mut datagram = [0; 9];
/// assert_eq!(request.encode(&mut datagram), 9);
/// assert_eq!(datagram, [0x00, 0, 0, 0, 4, 0, 0, 0, 2]);
/// assert!(Request::decode(&datagram)?.integers().eq([4, 2]));
/// # Ok::<(), calc6::wire::classic::RequestError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Bits 4 to 6 of the first octet, 0 to 7: 0 sum, 1 multiplication, others unknown.
    opcode: u8,
    format: Format,
    operands: &'a [u8],
}

/// Why a datagram is not a classic request. The server answers none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Shorter than the header.
    #[error("empty: a request has at least 5 octets")]
    Empty,
    /// A header alone.
    #[error("no operands: a request has 1 to 64")]
    NoOperands,
    /// Octets remain after the last whole operand.
    #[error("{octets} octets of operands: not a multiple of 4")]
    Ragged {
        /// Octets after the header.
        octets: usize,
    },
    /// More operands than the form allows.
    #[error("{octets} octets of operands: over 64 operands of 4")]
    TooManyOperands {
        /// Octets after the header.
        octets: usize,
    },
    /// An operator that has no opcode.
    #[error("operator {0} has no opcode in the classic form")]
    Operator(Operator),
}

impl<'a> Request<'a> {
    /// A request to send: `operands` are unsigned 32-bit integers in network byte order, one after the other.
    ///
    /// # Errors
    /// The operator is neither sum nor product, or there are not 1 to 64 whole operands.
    pub fn new(operator: Operator, format: Format, operands: &'a [u8]) -> Result<Request<'a>, RequestError> {
        let opcode = match operator {
            Operator::Sum => OPCODE_SUM,
            Operator::Product => OPCODE_PRODUCT,
            other => return Err(RequestError::Operator(other)),
        };
        check_operands(operands)?;
        Ok(Request { opcode, format, operands })
    }

    /// Reads a request. The four unused bits are ignored, as the course demands.
    ///
    /// # Errors
    /// Lengths that no request has. The opcode is not checked here.
    pub fn decode(datagram: &'a [u8]) -> Result<Request<'a>, RequestError> {
        let (&first, operands) = datagram.split_first().ok_or(RequestError::Empty)?;
        check_operands(operands)?;
        Ok(Request { opcode: opcode(first), format: Format::of(first), operands })
    }

    /// Writes the request, unused bits 0, and returns its length in octets.
    ///
    /// # Panics
    /// If `out` is shorter than the request; [`MAX_REQUEST`] octets are always enough.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let len = HEADER + self.operands.len();
        out[0] = self.opcode << 1 | self.format as u8;
        out[HEADER..len].copy_from_slice(self.operands);
        len
    }

    /// The opcode on the wire, 0 to 7.
    pub fn opcode(&self) -> u8 {
        self.opcode
    }

    /// The operator of the opcode; `None` if the opcode is unknown.
    pub fn operator(&self) -> Option<Operator> {
        match self.opcode {
            OPCODE_SUM => Some(Operator::Sum),
            OPCODE_PRODUCT => Some(Operator::Product),
            _ => None,
        }
    }

    /// The F bit: the format of the result.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The operands on the wire: 4 octets each.
    pub fn operands(&self) -> &'a [u8] {
        self.operands
    }

    /// The operands as integers.
    pub fn integers(&self) -> impl ExactSizeIterator<Item = u32> + Clone + use<'a> {
        self.operands.chunks_exact(OPERAND).map(NetworkEndian::read_u32)
    }
}

/// A reply, decoded by its first octet and the format that the request asked for.
///
/// ```
/// use calc6::wire::{Format, classic::Reply};
/// assert_eq!(Reply::decode(&[0xff, 0, 0, 0, 6], Format::Integer)?, Reply::Integer(6));
/// assert_eq!(Reply::decode(b"\x7funknown opcode", Format::Integer)?, Reply::Error(b"unknown opcode"));
/// # Ok::<(), calc6::wire::classic::ReplyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// S = 1, F = 0: the result.
    Integer(u32),
    /// S = 1, F = 1: the result in decimal: ASCII digits, in replies of other servers perhaps after a `-`.
    Text(Decimal<'a>),
    /// S = 0: the server does not know the opcode, or cannot express the result. The payload has no meaning.
    Error(&'a [u8]),
}

/// A decimal integer in ASCII, checked: `-?[0-9]+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    text: &'a str,
    trailing_nul: bool,
}

impl<'a> Decimal<'a> {
    /// Checks a payload. One trailing NUL is accepted and removed: some C servers send it.
    pub fn new(payload: &'a [u8]) -> Option<Decimal<'a>> {
        let (digits, trailing_nul) = match payload {
            [digits @ .., 0] => (digits, true),
            digits => (digits, false),
        };
        let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Decimal { text: str::from_utf8(digits).ok()?, trailing_nul })
    }

    /// The number, without a trailing NUL.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether the server sent the string's terminating NUL, which the course's format does not have.
    pub fn trailing_nul(&self) -> bool {
        self.trailing_nul
    }

    /// Whether the server printed a signed integer, as C servers do that use `%d`.
    pub fn is_negative(&self) -> bool {
        self.text.starts_with('-')
    }
}

/// Why a datagram does not count as a reply; waiting goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Shorter than the header.
    #[error("empty: a reply has at least 1 octet")]
    Empty,
    /// A success whose payload is not one integer.
    #[error("{octets} octets: a result as integer has 5")]
    IntegerLength {
        /// Octets of the whole datagram.
        octets: usize,
    },
    /// A success whose payload cannot be text of 1 to 256 octets.
    #[error("{octets} octets: a result as text has 2 to 257")]
    TextLength {
        /// Octets of the whole datagram.
        octets: usize,
    },
    /// A success whose payload is not decimal.
    #[error("the payload is not a decimal integer")]
    NotDecimal,
}

impl<'a> Reply<'a> {
    /// Reads the reply to a request that asked for `format`. The unused bits are ignored, as the course requires.
    ///
    /// # Errors
    /// What does not count as a reply (docs/protocol.md, clause 2.8).
    pub fn decode(datagram: &'a [u8], format: Format) -> Result<Reply<'a>, ReplyError> {
        let (&first, payload) = datagram.split_first().ok_or(ReplyError::Empty)?;
        if first & SUCCESS_BIT == 0 {
            return Ok(Reply::Error(payload));
        }
        let octets = datagram.len();
        match format {
            Format::Integer if payload.len() != OPERAND => Err(ReplyError::IntegerLength { octets }),
            Format::Integer => Ok(Reply::Integer(NetworkEndian::read_u32(payload))),
            Format::Text if payload.is_empty() || payload.len() > MAX_PAYLOAD => Err(ReplyError::TextLength { octets }),
            Format::Text => Decimal::new(payload).map(Reply::Text).ok_or(ReplyError::NotDecimal),
        }
    }

    /// Writes the reply, unused bits 1, and returns its length in octets.
    ///
    /// # Panics
    /// If `out` is shorter than the reply; for texts and errors of at most [`MAX_PAYLOAD`] octets, [`MAX_REPLY`]
    /// octets are always enough.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let payload = reply_payload(out, !matches!(self, Reply::Error(_)));
        let text = match self {
            Reply::Integer(value) => {
                NetworkEndian::write_u32(payload, *value);
                return HEADER + OPERAND;
            }
            Reply::Text(decimal) => decimal.text.as_bytes(),
            Reply::Error(text) => text,
        };
        payload[..text.len()].copy_from_slice(text);
        HEADER + text.len()
    }
}

/// Writes a reply's first octet and returns the rest of the buffer, for the payload.
///
/// # Panics
/// If `reply` is empty.
pub fn reply_payload(reply: &mut [u8], success: bool) -> &mut [u8] {
    let (first, payload) = reply.split_first_mut().expect("room for the header");
    *first = if success { SUCCESS } else { ERROR };
    payload
}

fn check_operands(operands: &[u8]) -> Result<(), RequestError> {
    let octets = operands.len();
    if octets == 0 {
        Err(RequestError::NoOperands)
    } else if octets > MAX_OPERANDS * OPERAND {
        Err(RequestError::TooManyOperands { octets })
    } else if !octets.is_multiple_of(OPERAND) {
        Err(RequestError::Ragged { octets })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_request() {
        let operands = [0, 0, 0, 1, 0, 0, 0, 3];
        let request = Request::new(Operator::Product, Format::Text, &operands).unwrap();
        let mut out = [0xa5; MAX_REQUEST];
        let len = request.encode(&mut out);
        // unused 0000, opcode 001, F 1; then 1 and 3
        assert_eq!(out[..len], [0x03, 0, 0, 0, 1, 0, 0, 0, 3]);
        assert_eq!(Request::decode(&out[..len]), Ok(request));
        assert!(request.integers().eq([1, 3]));
    }

    #[test]
    fn first_octets_of_the_course() {
        // The published cases, each over 4 2 3: (first octet, opcode, F).
        for (first, opcode, format) in [
            (0x50, 0, Format::Integer),
            (0x71, 0, Format::Text),
            (0x52, 1, Format::Integer),
            (0x83, 1, Format::Text),
            (0x45, 2, Format::Text),
        ] {
            let datagram = [first, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3];
            let request = Request::decode(&datagram).unwrap();
            assert_eq!((request.opcode(), request.format()), (opcode, format), "{first:#x}");
            assert!(request.integers().eq([4, 2, 3]));
        }
    }

    #[test]
    fn lengths_that_no_request_has() {
        assert_eq!(Request::decode(&[]), Err(RequestError::Empty));
        assert_eq!(Request::decode(&[0]), Err(RequestError::NoOperands));
        assert_eq!(Request::decode(&[0; 4]), Err(RequestError::Ragged { octets: 3 }));
        assert_eq!(Request::decode(&[0; 6]), Err(RequestError::Ragged { octets: 5 }));
        assert!(Request::decode(&[0; 257]).is_ok());
        assert_eq!(Request::decode(&[0; 258]), Err(RequestError::TooManyOperands { octets: 257 }));
        assert_eq!(Request::decode(&[0; 261]), Err(RequestError::TooManyOperands { octets: 260 }));
        let gcd = Request::new(Operator::Gcd, Format::Integer, &[0; 4]);
        assert_eq!(gcd, Err(RequestError::Operator(Operator::Gcd)));
    }

    #[test]
    fn golden_replies() {
        let mut out = [0xa5; MAX_REPLY];
        let decimal = Decimal::new(b"945").unwrap();
        for (reply, format, octets) in [
            (Reply::Integer(25), Format::Integer, &[0xff, 0, 0, 0, 0x19][..]),
            (Reply::Text(decimal), Format::Text, b"\xff945"),
            (Reply::Error(b"unknown opcode"), Format::Integer, b"\x7funknown opcode"),
        ] {
            let len = reply.encode(&mut out);
            assert_eq!(&out[..len], octets);
            assert_eq!(Reply::decode(octets, format), Ok(reply));
        }
    }

    #[test]
    fn what_counts_as_a_reply() {
        use Format::{Integer, Text};
        assert_eq!(Reply::decode(&[], Integer), Err(ReplyError::Empty));
        assert_eq!(Reply::decode(&[0x00], Text), Ok(Reply::Error(&[])));
        assert_eq!(Reply::decode(&[0x80, 0, 0, 0, 9], Integer), Ok(Reply::Integer(9)));
        assert_eq!(Reply::decode(&[0xff, 0, 0, 0], Integer), Err(ReplyError::IntegerLength { octets: 4 }));
        assert_eq!(Reply::decode(&[0xff; 6], Integer), Err(ReplyError::IntegerLength { octets: 6 }));
        assert_eq!(Reply::decode(&[0xff], Text), Err(ReplyError::TextLength { octets: 1 }));
        assert_eq!(Reply::decode(&[b'1'; 258], Text), Ok(Reply::Error(&[b'1'; 257])), "0x31 has S = 0");
        let mut long = [b'1'; 258];
        long[0] = SUCCESS;
        assert_eq!(Reply::decode(&long, Text), Err(ReplyError::TextLength { octets: 258 }));
        assert!(Reply::decode(&long[..257], Text).is_ok());
        for bad in [&b"\xff "[..], b"\xff-", b"\xff1 ", b"\xff0x1", b"\xff1\0\0", b"\xff\0", b"\xff+1", b"\xff--1"] {
            assert_eq!(Reply::decode(bad, Text), Err(ReplyError::NotDecimal), "{bad:?}");
        }
    }

    #[test]
    fn strings_of_other_servers() {
        let Ok(Reply::Text(decimal)) = Reply::decode(b"\x80-2\0", Format::Text) else { panic!() };
        assert_eq!((decimal.as_str(), decimal.is_negative(), decimal.trailing_nul()), ("-2", true, true));
    }
}
