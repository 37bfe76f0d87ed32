//! The extended form, version 1: opcode 7 is the escape and the four unused bits carry the version.
//!
//! Request, 12 + n * Width octets, at most 1232:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version|1 1 1|F|   Operator    |     Width     |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                                                               |
//! +                      Request identifier                       +
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  n operands of Width octets each, two's complement          ...
//! ```
//!
//! Reply, 12 octets and the result:
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |S|1 1 1 1 1 1 1|    Status     |    Format     |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Request identifier (copied)                   |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Result                                                     ...
//! ```

use byteorder::{ByteOrder, NetworkEndian};
use thiserror::Error;

use super::{ERROR, ESCAPE_OPCODE, Format, MAX_REQUEST, Operator, SUCCESS, Status, opcode, version};

/// The version that this module speaks.
pub const VERSION: u8 = 1;

/// Offset of the Operator octet in a request.
pub const OPERATOR: usize = 1;
/// Offset of the Width octet in a request.
pub const WIDTH: usize = OPERATOR + 1;
/// Offset of the Reserved octet in requests and replies.
pub const RESERVED: usize = WIDTH + 1;
/// Offset of the request identifier in requests and replies.
pub const ID: usize = RESERVED + 1;
/// Length of the header of requests and replies, in octets.
pub const HEADER: usize = ID + size_of::<u64>();

/// Offset of the Status octet in a reply.
pub const STATUS: usize = 1;
/// Offset of the Format octet in a reply.
pub const FORMAT: usize = STATUS + 1;
/// Length of the count of octets that precedes the text of status 4.
pub const NEEDED: usize = size_of::<u32>();
/// The count of status 4 that says: longer than the server ever sends.
pub const NEEDED_OVER_LIMIT: u32 = u32::MAX;

/// The largest Width, in octets.
pub const MAX_WIDTH: usize = u8::MAX as usize;
/// The most octets of operands in a request.
pub const MAX_OPERAND_OCTETS: usize = MAX_REQUEST - HEADER;
/// Statuses of error replies are below this.
pub const STATUS_END: u8 = 32;

/// A request that passed every check of its octets; only the arithmetic can still fail.
///
/// ```
/// use calc6::wire::{Format, Operator, extended::Request};
/// let operands = [0xff, 0x02]; // -1 and 2, of one octet each
/// let request = Request::new(Operator::Product, Format::Integer, 1, 0x0102_0304_0506_0708, &operands)?;
/// let mut datagram = [0; 14];
/// assert_eq!(request.encode(&mut datagram), 14);
/// assert_eq!(datagram, [0x1e, b'*', 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0x02]);
/// assert_eq!(Request::decode(&datagram)?, request);
/// # Ok::<(), calc6::wire::extended::RequestError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    operator: Operator,
    format: Format,
    width: u8,
    id: u64,
    operands: &'a [u8],
}

/// Why a datagram is not an extended request, in the order of the checks (docs/protocol.md, clause 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too short, or of another opcode or version: not of this form at all.
    #[error("not an extended request")]
    OtherForm,
    /// Longer than any request that a server evaluates.
    #[error("{octets} octets: a request has at most 1232")]
    Oversize {
        /// Octets of the whole datagram.
        octets: usize,
    },
    /// The Reserved octet is not 0.
    #[error("reserved octet {found:#04x}: expected 0")]
    Reserved {
        /// The octet.
        found: u8,
    },
    /// The Operator octet is not the code of an operator.
    #[error("unknown operator {found:#04x}")]
    Operator {
        /// The octet.
        found: u8,
    },
    /// The octets after the header are not whole operands of this Width.
    #[error("{octets} octets of operands: not a multiple of width {width}")]
    Ragged {
        /// The Width octet.
        width: u8,
        /// Octets after the header.
        octets: usize,
    },
    /// The operator does not take so many operands.
    #[error("operator {operator} does not take {count} operands")]
    OperandCount {
        /// The operator.
        operator: Operator,
        /// How many operands there are.
        count: usize,
    },
}

impl RequestError {
    /// The status that the server answers with.
    pub fn status(&self) -> Status {
        match self {
            RequestError::Oversize { .. } | RequestError::Reserved { .. } => Status::Unsupported,
            RequestError::Operator { .. } => Status::UnknownOperator,
            RequestError::OtherForm | RequestError::Ragged { .. } | RequestError::OperandCount { .. } => {
                Status::Malformed
            }
        }
    }
}

impl<'a> Request<'a> {
    /// A request to send: `operands` are two's complement integers of `width` octets each, in network byte order, one
    /// after the other.
    ///
    /// # Errors
    /// Operands that are not whole, that the operator does not take, or that do not fit [`MAX_REQUEST`] octets.
    pub fn new(
        operator: Operator,
        format: Format,
        width: u8,
        id: u64,
        operands: &'a [u8],
    ) -> Result<Request<'a>, RequestError> {
        let octets = HEADER + operands.len();
        if octets > MAX_REQUEST {
            return Err(RequestError::Oversize { octets });
        }
        check_operands(operator, width, operands)?;
        Ok(Request { operator, format, width, id, operands })
    }

    /// Reads a request; the first failing check is the one that is reported.
    ///
    /// # Errors
    /// See [`RequestError`]; [`RequestError::status`] is what the server answers.
    pub fn decode(datagram: &'a [u8]) -> Result<Request<'a>, RequestError> {
        let Some((header, operands)) = datagram.split_first_chunk::<HEADER>() else {
            return Err(RequestError::OtherForm);
        };
        let first = header[0];
        if opcode(first) != ESCAPE_OPCODE || version(first) != VERSION {
            return Err(RequestError::OtherForm);
        }
        if datagram.len() > MAX_REQUEST {
            return Err(RequestError::Oversize { octets: datagram.len() });
        }
        if header[RESERVED] != 0 {
            return Err(RequestError::Reserved { found: header[RESERVED] });
        }
        let found = header[OPERATOR];
        let operator = Operator::from_octet(found).ok_or(RequestError::Operator { found })?;
        check_operands(operator, header[WIDTH], operands)?;
        let id = NetworkEndian::read_u64(&header[ID..]);
        Ok(Request { operator, format: Format::of(first), width: header[WIDTH], id, operands })
    }

    /// Writes the request and returns its length in octets.
    ///
    /// # Panics
    /// If `out` is shorter than the request; [`MAX_REQUEST`] octets are always enough.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let len = HEADER + self.operands.len();
        out[0] = VERSION << 4 | ESCAPE_OPCODE << 1 | self.format as u8;
        out[OPERATOR] = self.operator.octet();
        out[WIDTH] = self.width;
        out[RESERVED] = 0;
        NetworkEndian::write_u64(&mut out[ID..HEADER], self.id);
        out[HEADER..len].copy_from_slice(self.operands);
        len
    }

    /// The operator.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The F bit: the format of the result.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Octets of each operand: 1 to 255, or anything where there are none.
    pub fn width(&self) -> u8 {
        self.width
    }

    /// The request identifier.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The operands on the wire.
    pub fn operands(&self) -> &'a [u8] {
        self.operands
    }

    /// How many operands there are.
    pub fn operand_count(&self) -> usize {
        self.operands.len().checked_div(usize::from(self.width)).unwrap_or(0)
    }
}

/// The identifier of a datagram of at least [`HEADER`] octets: also of requests that [`Request::decode`] rejects, so
/// that the error reply can carry it.
///
/// ```
/// let datagram = [0x1e, b'+', 1, 0, 0, 0, 0, 0, 0, 0, 0, 7];
/// assert_eq!(calc6::wire::extended::id(&datagram), Some(7));
/// ```
pub fn id(datagram: &[u8]) -> Option<u64> {
    datagram.get(ID..HEADER).map(NetworkEndian::read_u64)
}

/// A reply that a client accepts.
///
/// ```
/// use calc6::wire::{Format, Status, extended::Reply};
/// let reply = Reply::decode(&[0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xfe])?;
/// assert_eq!((reply.id(), reply.result()), (0x0102_0304_0506_0708, &[0xfe][..]));
/// let error = Reply::error(Status::DivisionByZero, 7, b"division by zero")?;
/// assert!(!error.is_success());
/// # Ok::<(), calc6::wire::extended::ReplyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    status: u8,
    format: Format,
    id: u64,
    result: &'a [u8],
}

/// Why a datagram does not count as a reply. The client counts it and goes on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Shorter than the header.
    #[error("{octets} octets: a reply has at least 12")]
    Short {
        /// Octets of the whole datagram.
        octets: usize,
    },
    /// The first octet is neither 0xff nor 0x7f.
    #[error("first octet {found:#04x}: expected 0xff or 0x7f")]
    FirstOctet {
        /// The octet.
        found: u8,
    },
    /// A status that contradicts the first octet.
    #[error("status {found} after first octet {first:#04x}")]
    Status {
        /// The first octet.
        first: u8,
        /// The Status octet.
        found: u8,
    },
    /// A Format octet that is neither 0 nor 1.
    #[error("format {found}: expected 0 or 1")]
    Format {
        /// The octet.
        found: u8,
    },
    /// A success without a result.
    #[error("success without a result")]
    NoResult,
}

impl<'a> Reply<'a> {
    /// A successful reply to send.
    ///
    /// # Errors
    /// The result is empty.
    pub fn success(format: Format, id: u64, result: &'a [u8]) -> Result<Reply<'a>, ReplyError> {
        if result.is_empty() {
            return Err(ReplyError::NoResult);
        }
        Ok(Reply { status: Status::Ok.octet(), format, id, result })
    }

    /// An error reply to send. `text` is ASCII, for [`Status::TooLarge`] after the count of octets needed.
    ///
    /// # Errors
    /// The status is [`Status::Ok`].
    pub fn error(status: Status, id: u64, text: &'a [u8]) -> Result<Reply<'a>, ReplyError> {
        if status == Status::Ok {
            return Err(ReplyError::Status { first: ERROR, found: status.octet() });
        }
        Ok(Reply { status: status.octet(), format: Format::Text, id, result: text })
    }

    /// Reads a reply by the rules of docs/protocol.md, clause 3.11; the caller checks the identifier.
    ///
    /// # Errors
    /// What does not count as a reply.
    pub fn decode(datagram: &'a [u8]) -> Result<Reply<'a>, ReplyError> {
        let Some((header, result)) = datagram.split_first_chunk::<HEADER>() else {
            return Err(ReplyError::Short { octets: datagram.len() });
        };
        let (first, status) = (header[0], header[STATUS]);
        match (first, status) {
            (SUCCESS, 0) if result.is_empty() => return Err(ReplyError::NoResult),
            (SUCCESS, 0) | (ERROR, 1..STATUS_END) => {}
            (SUCCESS | ERROR, _) => {
                return Err(ReplyError::Status { first, found: status });
            }
            _ => return Err(ReplyError::FirstOctet { found: first }),
        }
        let format = match header[FORMAT] {
            0 => Format::Integer,
            1 => Format::Text,
            found => return Err(ReplyError::Format { found }),
        };
        Ok(Reply { status, format, id: NetworkEndian::read_u64(&header[ID..]), result })
    }

    /// Writes the reply and returns its length in octets.
    ///
    /// # Panics
    /// If `out` is shorter than the reply.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let payload = reply_payload(out, self.status, self.format, self.id);
        payload[..self.result.len()].copy_from_slice(self.result);
        HEADER + self.result.len()
    }

    /// Whether this is a success: Status is 0 and the first octet 0xff.
    pub fn is_success(&self) -> bool {
        self.status == Status::Ok.octet()
    }

    /// The Status octet: 0, or 1 to 31, of which this version assigns 1 to 6.
    pub fn status_octet(&self) -> u8 {
        self.status
    }

    /// The status, if it is one that this version assigns.
    pub fn status(&self) -> Option<Status> {
        Status::from_octet(self.status)
    }

    /// The format of the result.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The identifier of the request that this answers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The octets after the header: the result, or the text of an error.
    pub fn result(&self) -> &'a [u8] {
        self.result
    }

    /// With [`Status::TooLarge`]: how many octets the whole reply needs; [`NEEDED_OVER_LIMIT`] if the server never
    /// sends so many.
    pub fn needed(&self) -> Option<u32> {
        let too_large = self.status == Status::TooLarge.octet();
        let count = self.result.get(..NEEDED).filter(|_| too_large)?;
        Some(NetworkEndian::read_u32(count))
    }
}

/// Writes the header of a reply and returns the rest of the buffer, for the payload.
///
/// # Panics
/// If `reply` is shorter than [`HEADER`].
pub fn reply_payload(reply: &mut [u8], status: u8, format: Format, id: u64) -> &mut [u8] {
    let (header, payload) = reply.split_first_chunk_mut::<HEADER>().expect("room for the header");
    header[0] = if status == Status::Ok.octet() { SUCCESS } else { ERROR };
    header[STATUS] = status;
    header[FORMAT] = format as u8;
    header[RESERVED] = 0;
    NetworkEndian::write_u64(&mut header[ID..], id);
    payload
}

/// Writes the count that precedes the text of [`Status::TooLarge`].
///
/// # Panics
/// If `payload` is shorter than [`NEEDED`].
pub fn write_needed(payload: &mut [u8], octets: u32) {
    NetworkEndian::write_u32(payload, octets);
}

fn check_operands(operator: Operator, width: u8, operands: &[u8]) -> Result<(), RequestError> {
    let octets = operands.len();
    let ragged = octets.checked_rem(usize::from(width)).unwrap_or(octets) != 0;
    if ragged {
        return Err(RequestError::Ragged { width, octets });
    }
    let count = octets.checked_div(usize::from(width)).unwrap_or(0);
    if !operator.operand_count().contains(&count) {
        return Err(RequestError::OperandCount { operator, count });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
