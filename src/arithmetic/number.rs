//! Integers of any size and their three representations: two's complement, decimal text, and the text that people type.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::{self, Write as _};
use core::ops::Neg;
use core::str::FromStr;

use dashu_int::ops::{BitTest, UnsignedAbs};
use dashu_int::{IBig, UBig};
use thiserror::Error;

/// An integer of any size. Up to 128 bits it takes no memory on the heap.
///
/// It converts from every integer type and, where it fits, to every one; it compares with them (the number on the
/// left), and it is formatted as they are, except that hexadecimal, octal and binary digits are those of the magnitude,
/// after a `-` where negative.
///
/// ```
/// use calc6::arithmetic::Number;
///
/// let number: Number = "-0x1_00".parse()?;
/// assert_eq!(number, -256);
/// assert!(number < 7_u8);
/// assert_eq!(i16::try_from(&number)?, -256);
/// assert!(u64::try_from(&number).is_err());
///
/// assert_eq!(number.to_string(), "-256");
/// assert_eq!(format!("{number:x} {number:#X} {number:#b}"), "-100 -0x100 -0b100000000");
///
/// // Two's complement in network byte order: the least width, or a given one.
/// assert_eq!(number.to_octets(), [0xff, 0x00]);
/// assert_eq!(number.to_octets_of_width(4), Some(vec![0xff, 0xff, 0xff, 0x00]));
/// assert_eq!(number.to_octets_of_width(1), None);
/// assert_eq!(Number::from_octets(&[0xff, 0x00]), number);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Number(pub(super) IBig);

impl Number {
    /// 0.
    pub const ZERO: Number = Number(IBig::ZERO);

    /// Reads two's complement in network byte order; no octets mean 0.
    pub fn from_octets(octets: &[u8]) -> Number {
        match small(octets) {
            Some(value) => Number(IBig::from(value)),
            None => Number(IBig::from_be_bytes(octets)),
        }
    }

    /// Reads an unsigned integer in network byte order; no octets mean 0.
    pub fn from_unsigned_octets(octets: &[u8]) -> Number {
        Number(UBig::from_be_bytes(octets).into())
    }

    /// The least number of octets, 1 or more, that hold it in two's complement.
    pub fn octet_len(&self) -> usize {
        // A negative power of two needs a bit less than its magnitude: -128 is one octet, 128 is two.
        let bits = self.0.bit_len();
        let tight = self.is_negative() && self.0.trailing_zeros() == Some(bits - 1);
        (bits - usize::from(tight)) / 8 + 1
    }

    /// Its two's complement in network byte order, in the least number of octets: one or more.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = vec![0; self.octet_len()];
        // It fits its own length.
        let _ = self.write_octets(&mut octets);
        octets
    }

    /// Its two's complement in network byte order, sign-extended to `width` octets; `None` if it needs more.
    pub fn to_octets_of_width(&self, width: usize) -> Option<Vec<u8>> {
        if width < self.octet_len() {
            return None;
        }
        let mut octets = vec![0; width];
        self.write_octets(&mut octets).map(|()| octets)
    }

    /// Fills `out` with two's complement in network byte order, sign-extended to its whole length.
    ///
    /// # Errors
    /// `None` if `out` is shorter than [`octet_len`](Self::octet_len); `out` is then unchanged.
    pub fn write_octets(&self, out: &mut [u8]) -> Option<()> {
        let sign = if self.is_negative() { 0xff } else { 0 };
        if self.octet_len() > out.len() {
            return None;
        }
        match i128::try_from(&self.0) {
            Ok(value) => copy_right_aligned(&value.to_be_bytes(), out, sign),
            Err(_) => copy_right_aligned(&self.0.to_be_bytes(), out, sign),
        }
        Some(())
    }

    /// Writes its decimal digits, after a `-` where negative, and returns how many octets they take.
    ///
    /// # Errors
    /// [`TextTooLong`] if `out` is too short; its contents are unspecified then.
    pub fn write_decimal(&self, out: &mut [u8]) -> Result<usize, TextTooLong> {
        if let Ok(value) = i128::try_from(&self.0) {
            let mut buffer = itoa::Buffer::new();
            let text = buffer.format(value).as_bytes();
            out.get_mut(..text.len()).ok_or(TextTooLong { octets: text.len() })?.copy_from_slice(text);
            return Ok(text.len());
        }
        // To count is cheaper than to write digits that do not fit.
        let (_, most) = self.decimal_len_bounds();
        if most > out.len() {
            let octets = self.decimal_len();
            if octets > out.len() {
                return Err(TextTooLong { octets });
            }
        }
        let mut writer = SliceWriter { out, len: 0 };
        match write!(writer, "{}", self.0) {
            Ok(()) => Ok(writer.len),
            Err(fmt::Error) => Err(TextTooLong { octets: self.decimal_len() }),
        }
    }

    /// The characters, a `-` included, that it takes in decimal.
    pub fn decimal_len(&self) -> usize {
        let (mut len, most) = self.decimal_len_bounds();
        if len < most {
            let sign = usize::from(self.is_negative());
            let magnitude = (&self.0).unsigned_abs();
            let ten = UBig::from(10u8);
            let mut above = ten.pow(len - sign);
            while len < most && magnitude >= above {
                len += 1;
                above *= &ten;
            }
        }
        len
    }

    /// The least and the most characters, a `-` included, that a number of this size and sign takes in decimal. They
    /// differ by 1 at most up to 10^9 bits.
    fn decimal_len_bounds(&self) -> (usize, usize) {
        let (bits, sign) = (self.bit_len(), usize::from(self.is_negative()));
        // log10(2) lies between these, in units of 10^-9.
        let least = u128::from(bits.saturating_sub(1)) * 301_029_995 / 1_000_000_000;
        let most = u128::from(bits) * 301_029_996 / 1_000_000_000;
        (least as usize + 1 + sign, most as usize + 1 + sign)
    }

    /// The bits of its magnitude: 0 for 0, 3 for 7 and -7.
    pub fn bit_len(&self) -> u64 {
        self.0.bit_len() as u64
    }

    /// Whether it is below 0.
    pub fn is_negative(&self) -> bool {
        self.0.sign() == dashu_int::Sign::Negative && !self.is_zero()
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The nearest floating point number, infinite if it is too large for one.
    pub fn to_f64(&self) -> f64 {
        self.0.to_f64().value()
    }

    /// Its digits in a base of 2 to 36, lower case, after a `-` where negative, without a prefix.
    ///
    /// # Panics
    /// If the base is not 2 to 36.
    pub fn to_string_radix(&self, base: u8) -> String {
        self.0.in_radix(base).to_string()
    }
}

impl Neg for Number {
    type Output = Number;

    fn neg(self) -> Number {
        Number(-self.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! formats {
    ($($trait:ident)*) => {$(
        impl fmt::$trait for Number {
            /// The digits of the magnitude, after a `-` where negative; `#` puts a prefix before the digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::$trait::fmt(&self.0, f)
            }
        }
    )*};
}
formats!(LowerHex UpperHex Octal Binary);

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! conversions {
    ($($primitive:ty)*) => {$(
        impl From<$primitive> for Number {
            fn from(value: $primitive) -> Number {
                Number(IBig::from(value))
            }
        }

        impl TryFrom<&Number> for $primitive {
            type Error = OutOfRange;

            fn try_from(number: &Number) -> Result<$primitive, OutOfRange> {
                <$primitive>::try_from(&number.0).map_err(|_| OutOfRange { wanted: stringify!($primitive) })
            }
        }

        impl TryFrom<Number> for $primitive {
            type Error = OutOfRange;

            fn try_from(number: Number) -> Result<$primitive, OutOfRange> {
                <$primitive>::try_from(&number)
            }
        }

        impl PartialEq<$primitive> for Number {
            fn eq(&self, other: &$primitive) -> bool {
                self.0 == IBig::from(*other)
            }
        }

        impl PartialOrd<$primitive> for Number {
            fn partial_cmp(&self, other: &$primitive) -> Option<Ordering> {
                Some(self.0.cmp(&IBig::from(*other)))
            }
        }
    )*};
}
conversions!(i8 u8 i16 u16 i32 u32 i64 u64 i128 u128 isize usize);

impl From<&Number> for Number {
    fn from(number: &Number) -> Number {
        number.clone()
    }
}

impl From<&Number> for String {
    /// The decimal digits, after a `-` where negative.
    fn from(number: &Number) -> String {
        number.to_string()
    }
}

/// The number does not fit the integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("number out of the range of {wanted}")]
#[non_exhaustive]
pub struct OutOfRange {
    /// The name of the type, such as `u32`.
    pub wanted: &'static str,
}

/// The decimal text does not fit the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the text takes {octets} octets")]
#[non_exhaustive]
pub struct TextTooLong {
    /// The octets that it takes.
    pub octets: usize,
}

/// Why a text is not an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing, or a sign or prefix with nothing after it.
    #[error("no digits")]
    NoDigits,
    /// A character that is not a digit in the base.
    #[error("{found:?} at character {column} is not a digit of base {base}")]
    Digit {
        /// The character.
        found: char,
        /// Its place in the word, the first character being 1.
        column: usize,
        /// 2, 8, 10 or 16.
        base: u32,
    },
    /// A `_` that does not stand between two digits.
    #[error("'_' at character {column} does not stand between two digits")]
    Underscore {
        /// Its place in the word, the first character being 1.
        column: usize,
    },
}

impl FromStr for Number {
    type Err = ParseError;

    /// Reads `-?[0-9]+`, or digits after `0x`, `0o` or `0b`; a leading `+` and `_` between digits are ignored.
    fn from_str(word: &str) -> Result<Number, ParseError> {
        if let Some(value) = short_decimal(word.as_bytes()) {
            return Ok(Number(IBig::from(value)));
        }
        let (negative, unsigned) = match word.as_bytes().first() {
            Some(b'-') => (true, &word[1..]),
            Some(b'+') => (false, &word[1..]),
            _ => (false, word),
        };
        let (base, digits) = split_prefix(unsigned);
        check_digits(digits, base, word.len() - digits.len())?;
        let magnitude = IBig::from_str_radix(digits, base).map_err(|_| ParseError::NoDigits)?;
        Ok(Number(if negative { -magnitude } else { magnitude }))
    }
}

/// The common case, fast: up to 18 decimal digits, which fit an i64.
fn short_decimal(word: &[u8]) -> Option<i64> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0;
    for octet in digits {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn split_prefix(unsigned: &str) -> (u32, &str) {
    match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        _ => (10, unsigned),
    }
}

/// `before` is the number of characters of the word, all ASCII, before the digits.
fn check_digits(digits: &str, base: u32, before: usize) -> Result<(), ParseError> {
    if digits.is_empty() {
        return Err(ParseError::NoDigits);
    }
    let mut previous = '_';
    for (place, found) in digits.chars().enumerate() {
        let column = before + place + 1;
        match found {
            '_' if previous == '_' => return Err(ParseError::Underscore { column }),
            '_' => {}
            _ if !found.is_digit(base) => return Err(ParseError::Digit { found, column, base }),
            _ => {}
        }
        previous = found;
    }
    if previous == '_' { Err(ParseError::Underscore { column: before + digits.len() }) } else { Ok(()) }
}

/// Up to 16 octets of two's complement, sign-extended.
fn small(octets: &[u8]) -> Option<i128> {
    let mut wide = [0; size_of::<i128>()];
    if octets.len() > wide.len() {
        return None;
    }
    if octets.first().is_some_and(|first| first & 0x80 != 0) {
        wide.fill(0xff);
    }
    let start = wide.len() - octets.len();
    wide[start..].copy_from_slice(octets);
    Some(i128::from_be_bytes(wide))
}

/// Copies the low-order octets of `from` that fit `out`, and fills the octets before them with `sign`.
fn copy_right_aligned(from: &[u8], out: &mut [u8], sign: u8) {
    let len = from.len().min(out.len());
    let (front, back) = out.split_at_mut(out.len() - len);
    front.fill(sign);
    back.copy_from_slice(&from[from.len() - len..]);
}

struct SliceWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl fmt::Write for SliceWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.out.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
