//! A second server: what the specification says of every request, written from docs/protocol.md alone, on another
//! library for large integers. It is slow, plain, and shares no code with the first.

use num_bigint::{BigInt, Sign};

/// The required reaction of a server to a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// No answer.
    Silence,
    /// Exactly these octets.
    Reply(Vec<u8>),
    /// A classic error, with any text.
    ClassicError,
    /// An extended error with this status and identifier, and any text; not status 4.
    Error { status: u8, id: [u8; 8] },
    /// Status 4 with this identifier.
    TooLarge(TooLarge),
    /// The server's description, or status 4 if it does not fit.
    Describe { id: [u8; 8] },
}

/// A result that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    pub id: [u8; 8],
    /// The octets of the whole reply; `None` if no server sends that many.
    pub octets: Option<usize>,
    /// Of a power, which a server may refuse uncomputed: the bits that it has at least, by those of its base and its
    /// exponent.
    pub at_least: Option<u64>,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Exact(BigInt),
    /// More bits than any reply carries.
    Huge,
}

/// Results of more bits than this fit no reply: 3684 decimal digits have 12,238 bits, 3684 octets have 29,472.
const HUGE: u64 = 30_000;

/// The reply that a server of this configuration must send.
pub fn expected(datagram: &[u8], max_reply: usize, wrap: bool) -> Expected {
    let room = max_reply.min(3 * datagram.len());
    let len = datagram.len();
    let classic_length = (5..=257).contains(&len) && len % 4 == 1;
    match datagram {
        [] | [0xff | 0x7f, ..] => Expected::Silence,
        [0x1e | 0x1f, ..] if len >= 12 => extended(datagram, room),
        [first, ..] if first & 0x0e == 0x0e => {
            let later_version = first >> 4 != 1 && (12..=1232).contains(&len);
            if classic_length || later_version { Expected::ClassicError } else { Expected::Silence }
        }
        [first, operands @ ..] if classic_length => classic(*first, operands, room, wrap),
        _ => Expected::Silence,
    }
}

fn classic(first: u8, operands: &[u8], room: usize, wrap: bool) -> Expected {
    let numbers = operands.chunks(4).map(|octets| BigInt::from_bytes_be(Sign::Plus, octets));
    let result: BigInt = match first >> 1 & 7 {
        0 => numbers.sum(),
        1 => numbers.product(),
        _ => return Expected::ClassicError,
    };
    if first & 1 == 1 {
        let text = result.to_string();
        let fits = text.len() <= 256 && text.len() < room;
        return if fits { Expected::Reply([b"\xff", text.as_bytes()].concat()) } else { Expected::ClassicError };
    }
    let result = if wrap { result % (1u64 << 32) } else { result };
    match u32::try_from(result) {
        Ok(value) => Expected::Reply([&[0xff][..], &value.to_be_bytes()].concat()),
        Err(_) => Expected::ClassicError,
    }
}

fn extended(datagram: &[u8], room: usize) -> Expected {
    let (operator, width, reserved) = (datagram[1], usize::from(datagram[2]), datagram[3]);
    let id = datagram[4..12].try_into().expect("eight octets");
    let octets = &datagram[12..];
    let error = |status| Expected::Error { status, id };
    if datagram.len() > 1232 || reserved != 0 {
        return error(5);
    }
    if !b"+*-/%^gl<>&|~?".contains(&operator) {
        return error(2);
    }
    if octets.len().checked_rem(width).unwrap_or(octets.len()) != 0 {
        return error(1);
    }
    let operands: Vec<BigInt> = octets.chunks(width.max(1)).map(BigInt::from_signed_bytes_be).collect();
    let count_is_right = match operator {
        b'?' => return Expected::Describe { id },
        b'^' => operands.len() == 2,
        b'/' | b'%' => operands.len() >= 2,
        _ => !operands.is_empty(),
    };
    if !count_is_right {
        return error(1);
    }
    let value = match evaluate(operator, &operands) {
        Ok(value) => value,
        Err(status) => return error(status),
    };
    let is_text = datagram[0] & 1;
    let result = match &value {
        Value::Exact(number) if is_text == 1 => Some(number.to_string().into_bytes()),
        Value::Exact(number) => Some(number.to_signed_bytes_be()),
        Value::Huge => None,
    };
    match result {
        Some(result) if 12 + result.len() <= room => {
            Expected::Reply([&[0xff, 0, is_text, 0], &id[..], &result].concat())
        }
        result => {
            let octets = result.map(|result| 12 + result.len());
            let at_least = (operator == b'^').then(|| least_bits(&operands[0], &operands[1]));
            Expected::TooLarge(TooLarge { id, octets, at_least })
        }
    }
}

/// The value of an operation over the right number of operands, or the status of the error.
pub fn evaluate(operator: u8, operands: &[BigInt]) -> Result<Value, u8> {
    let zero = BigInt::ZERO;
    let (first, others) = operands.split_first().expect("at least one operand");
    let fold = |combine: fn(BigInt, &BigInt) -> BigInt| others.iter().fold(first.clone(), combine);
    if matches!(operator, b'/' | b'%') && others.contains(&zero) {
        return Err(3);
    }
    Ok(Value::Exact(match operator {
        b'+' => fold(|a, b| a + b),
        b'*' => fold(|a, b| a * b),
        b'-' if others.is_empty() => -first,
        b'-' => fold(|a, b| a - b),
        b'/' => fold(|a, b| a / b),
        b'%' => fold(|a, b| a % b),
        b'^' => return power(first, &others[0]),
        b'g' => others.iter().fold(absolute(first), |a, b| greatest_common_divisor(a, absolute(b))),
        b'l' => others.iter().fold(absolute(first), |a, b| least_common_multiple(a, absolute(b))),
        b'<' => fold(|a, b| a.min(b.clone())),
        b'>' => fold(|a, b| a.max(b.clone())),
        b'&' => fold(|a, b| a & b),
        b'|' => fold(|a, b| a | b),
        b'~' => fold(|a, b| a ^ b),
        other => panic!("{other} is not an operator"),
    }))
}

fn power(base: &BigInt, exponent: &BigInt) -> Result<Value, u8> {
    if exponent.sign() == Sign::Minus {
        return Err(6);
    }
    let one = BigInt::from(1);
    if *base == one || *base == BigInt::ZERO {
        return Ok(Value::Exact(if exponent.sign() == Sign::NoSign { one } else { base.clone() }));
    }
    if *base == -&one {
        return Ok(Value::Exact(if exponent.bit(0) { -one } else { one }));
    }
    let times = u32::try_from(exponent).unwrap_or(u32::MAX);
    if least_bits(base, exponent) > HUGE { Ok(Value::Huge) } else { Ok(Value::Exact(base.pow(times))) }
}

/// A base of n bits is at least 2^(n - 1), so its power has at least these.
fn least_bits(base: &BigInt, exponent: &BigInt) -> u64 {
    if base.bits() < 2 {
        return 0;
    }
    (base.bits() - 1).saturating_mul(u64::try_from(exponent).unwrap_or(u64::MAX)).saturating_add(1)
}

fn absolute(number: &BigInt) -> BigInt {
    BigInt::from(number.magnitude().clone())
}

/// Euclid's algorithm.
fn greatest_common_divisor(mut a: BigInt, mut b: BigInt) -> BigInt {
    while b != BigInt::ZERO {
        (a, b) = (b.clone(), a % b);
    }
    a
}

fn least_common_multiple(a: BigInt, b: BigInt) -> BigInt {
    let divisor = greatest_common_divisor(a.clone(), b.clone());
    if divisor == BigInt::ZERO { divisor } else { a * b / divisor }
}
