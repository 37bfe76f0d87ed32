//! Changes to a datagram by bit and by field, as a person types them.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use thiserror::Error;

use super::{Field, Name, View};
use crate::arithmetic::Number;
use crate::wire::{Form, Operator};

/// Why a text cannot become the value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no field at this place.
    #[error("the datagram does not have this field")]
    NoField,
    /// The field has no value that could be typed: octets without a defined meaning, or an operand that is not whole.
    #[error("{label} has no value to type; change its bits or octets")]
    NoValue {
        /// The field's label.
        label: String,
    },
    /// The text is not an integer.
    #[error("expected an integer such as 12, -5, 0xff or 0b101, found '{text}'")]
    NotAnInteger {
        /// The text.
        text: String,
    },
    /// The text is neither a symbol nor a word of an operator, nor the number of an octet.
    #[error("expected an operator such as + or sum, or an octet such as 0x2b, found '{text}'")]
    NotAnOperator {
        /// The text.
        text: String,
    },
    /// The integer needs more bits than the field has.
    #[error("{value} does not fit the field's {bits} bits: {least} to {most}")]
    OutOfRange {
        /// The integer.
        value: Number,
        /// The field's bits.
        bits: usize,
        /// The least value that fits.
        least: Number,
        /// The largest value that fits.
        most: Number,
    },
    /// A character that is not ASCII, in a field of ASCII text.
    #[error("expected ASCII characters, found '{character}'")]
    NotAscii {
        /// The character.
        character: char,
    },
}

/// The datagram with bit `bit` inverted; bit 0 is the most significant of the first octet. Unchanged if there is no
/// such bit.
///
/// ```
/// use calc6::view::flipped;
/// assert_eq!(flipped(&[0x00, 0xff], 8), [0x00, 0x7f]);
/// ```
pub fn flipped(octets: &[u8], bit: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    if let Some(octet) = octets.get_mut(bit / 8) {
        *octet ^= 0x80 >> (bit % 8);
    }
    octets
}

impl View<'_> {
    /// The datagram with another value in the field at `place` among [`fields`](Self::fields).
    ///
    /// `text` is what [`Field::value`] may be: an integer in any base, an operator's symbol or word, or text, with or
    /// without quotes. A result and an error text may become longer or shorter; everything else keeps its bits.
    ///
    /// ```
    /// use calc6::view::View;
    /// let request = [0x00, 0, 0, 0, 1, 0, 0, 0, 3];
    /// let view = View::request(&request);
    /// assert_eq!(view.edited(4, "0x1ff")?, [0x00, 0, 0, 0, 1, 0, 0, 1, 0xff]);
    /// assert_eq!(view.edited(1, "8").unwrap_err().to_string(), "8 does not fit the field's 3 bits: 0 to 7");
    /// # Ok::<(), calc6::view::EditError>(())
    /// ```
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn edited(&self, place: usize, text: &str) -> Result<Vec<u8>, EditError> {
        let field = self.fields().get(place).ok_or(EditError::NoField)?;
        let text = text.trim();
        match field.name {
            Name::Rest => Err(EditError::NoValue { label: field.label() }),
            Name::Operand if field.value.is_empty() => Err(EditError::NoValue { label: field.label() }),
            Name::Operator => {
                let octet = operator(text)?;
                Ok(self.with_octets(field.octets(), &[octet]))
            }
            Name::Operand if self.form() == Form::Extended => self.with_signed(field, &integer(text)?),
            Name::Result if field.value.starts_with('"') || field.meaning == "text" => self.with_text(field, text),
            Name::Text => self.with_text(field, text),
            Name::Result if self.form() == Form::Extended => {
                let value = integer(text)?;
                let width = field.octets().len();
                let octets = value.to_octets_of_width(width).unwrap_or_else(|| value.to_octets());
                Ok(self.with_octets(field.octets(), &octets))
            }
            _ => self.with_unsigned(field, &integer(text)?),
        }
    }

    /// The datagram with the octets of every operand, or of an integer result, in the other order: what a program that
    /// leaves out htonl(3) sends on a little-endian machine, and what one that leaves out ntohl(3) reads.
    ///
    /// ```
    /// use calc6::view::View;
    /// let swapped = View::request(&[0x00, 0, 0, 0, 1]).byte_swapped();
    /// assert_eq!(View::request(&swapped).to_string(), "+ 16777216");
    /// ```
    pub fn byte_swapped(&self) -> Vec<u8> {
        let mut octets = self.octets().to_vec();
        let integer = |field: &&Field| match field.name {
            Name::Operand => !field.value.is_empty(),
            Name::Result => field.meaning == "integer",
            _ => false,
        };
        for field in self.fields().iter().filter(integer) {
            octets[field.octets()].reverse();
        }
        octets
    }

    fn with_octets(&self, range: Range<usize>, new: &[u8]) -> Vec<u8> {
        let octets = self.octets();
        [&octets[..range.start], new, &octets[range.end..]].concat()
    }

    fn with_text(&self, field: &Field, text: &str) -> Result<Vec<u8>, EditError> {
        Ok(self.with_octets(field.octets(), &unescaped(text)?))
    }

    /// Two's complement in as many octets as the field has.
    fn with_signed(&self, field: &Field, value: &Number) -> Result<Vec<u8>, EditError> {
        let mut octets = vec![0; field.octets().len()];
        if value.write_octets(&mut octets).is_some() {
            return Ok(self.with_octets(field.octets(), &octets));
        }
        let mut least = vec![0; octets.len()];
        least[0] = 0x80;
        let mut most = vec![0xff; octets.len()];
        most[0] = 0x7f;
        let (least, most) = (Number::from_octets(&least), Number::from_octets(&most));
        Err(EditError::OutOfRange { value: value.clone(), bits: field.bits.len(), least, most })
    }

    /// An unsigned integer in the bits that the field has, which need not be whole octets.
    fn with_unsigned(&self, field: &Field, value: &Number) -> Result<Vec<u8>, EditError> {
        let bits = field.bits.len();
        if value.is_negative() || value.bit_len() > bits as u64 {
            let mut most = vec![0xff; bits.div_ceil(8)];
            if !bits.is_multiple_of(8) {
                most[0] >>= 8 - bits % 8;
            }
            let most = Number::from_unsigned_octets(&most);
            return Err(EditError::OutOfRange { value: value.clone(), bits, least: Number::ZERO, most });
        }
        let mut digits = vec![0; bits.div_ceil(8) + 1];
        value.write_octets(&mut digits).expect("one octet more than its bits need");
        let mut octets = self.octets().to_vec();
        for (above, bit) in field.bits.clone().rev().enumerate() {
            let set = digits[digits.len() - 1 - above / 8] >> (above % 8) & 1 == 1;
            let mask = 0x80 >> (bit % 8);
            octets[bit / 8] = if set { octets[bit / 8] | mask } else { octets[bit / 8] & !mask };
        }
        Ok(octets)
    }
}

fn integer(text: &str) -> Result<Number, EditError> {
    text.parse().map_err(|_| EditError::NotAnInteger { text: text.to_string() })
}

fn operator(text: &str) -> Result<u8, EditError> {
    let symbol = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text);
    if let [octet] = symbol.as_bytes()
        && octet.is_ascii_graphic()
        && (symbol != text || !octet.is_ascii_digit())
    {
        return Ok(*octet);
    }
    if let Some(operator) = Operator::from_word(symbol) {
        return Ok(operator.octet());
    }
    let number = symbol.parse::<Number>().ok();
    let octet = number.and_then(|number| u8::try_from(&number).ok());
    octet.ok_or_else(|| EditError::NotAnOperator { text: text.to_string() })
}

/// The octets of ASCII text, with the escapes that a field's value has: `\n`, `\\`, `\"`, `\x00`.
fn unescaped(text: &str) -> Result<Vec<u8>, EditError> {
    let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    let text = if quoted { &text[1..text.len() - 1] } else { text };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if !character.is_ascii() {
            return Err(EditError::NotAscii { character });
        }
        let (escaped, length) = match (character, rest.as_str().as_bytes()) {
            ('\\', [b'n', ..]) => (b'\n', 1),
            ('\\', [b'r', ..]) => (b'\r', 1),
            ('\\', [b't', ..]) => (b'\t', 1),
            ('\\', [octet @ (b'\\' | b'"' | b'\''), ..]) => (*octet, 1),
            ('\\', [b'x', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |octet: u8| char::from(octet).to_digit(16).unwrap_or_default() as u8;
                (digit(*high) << 4 | digit(*low), 3)
            }
            _ => (character as u8, 0),
        };
        octets.push(escaped);
        rest.by_ref().take(length).for_each(drop);
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extended(width: u8, operands: &[u8]) -> Vec<u8> {
        [&[0x1e, b'+', width, 0][..], &[0; 8], operands].concat()
    }

    fn edited(octets: &[u8], label: &str, text: &str) -> Result<Vec<u8>, String> {
        let view = View::request(octets);
        let place = view.fields().iter().position(|field| field.label() == label).unwrap();
        view.edited(place, text).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_of_requests() {
        let classic = [0x00, 0, 0, 0, 1];
        assert_eq!(edited(&classic, "Unused", "15"), Ok(vec![0xf0, 0, 0, 0, 1]));
        assert_eq!(edited(&classic, "Opcode", "0b101"), Ok(vec![0x0a, 0, 0, 0, 1]));
        assert_eq!(edited(&classic, "Operand 1", "4294967295"), Ok(vec![0, 255, 255, 255, 255]));
        let error = "4294967296 does not fit the field's 32 bits: 0 to 4294967295";
        assert_eq!(edited(&classic, "Operand 1", "4294967296"), Err(error.into()));
        assert!(edited(&classic, "Operand 1", "-1").is_err());
        let one = extended(1, &[1]);
        assert_eq!(edited(&one, "Operand 1", "-2"), Ok(extended(1, &[0xfe])));
        assert_eq!(edited(&one, "Operand 1", "128"), Err("128 does not fit the field's 8 bits: -128 to 127".into()));
        for text in ["*", "'*'", "product", "0x2a", "42"] {
            assert_eq!(edited(&one, "Operator", text).unwrap()[1], b'*', "{text}");
        }
        assert!(edited(&one, "Operator", "plus").is_err());
        assert_eq!(edited(&one, "Request identifier", "0xff").unwrap()[4..12], [0, 0, 0, 0, 0, 0, 0, 255]);
        assert!(edited(&[0, 0, 0], "Operand 1", "1").unwrap_err().contains("no value to type"));
    }

    #[test]
    fn results_and_texts_change_their_length() {
        let reply = |octets: &[u8], text: &str| {
            let view = View::reply(octets, None);
            view.edited(view.fields().len() - 1, text).unwrap()
        };
        assert_eq!(reply(b"\xff25", "1234"), b"\xff1234");
        assert_eq!(reply(b"\x7fno", "\"a\\x00\\\\b\""), b"\x7fa\0\\b");
        let integer = b"\xff\0\0\x0012345678\x05";
        assert_eq!(reply(integer, "-129"), b"\xff\0\0\x0012345678\xff\x7f");
        assert_eq!(reply(b"\xff\0\0\x0012345678\0\0\x05", "1"), b"\xff\0\0\x0012345678\0\0\x01");
    }

    #[test]
    fn the_other_byte_order() {
        let swapped = View::request(&extended(2, &[0, 1, 2, 3])).byte_swapped();
        assert_eq!(swapped[12..], [1, 0, 3, 2]);
        assert_eq!(View::reply(&[0xff, 0, 0, 0, 25], None).byte_swapped(), [0xff, 25, 0, 0, 0]);
        assert_eq!(View::reply(b"\xff25", None).byte_swapped(), b"\xff25");
    }

    proptest! {
        /// To type the present value changes nothing, except for a NUL after digits, which is not part of the value.
        #[test]
        fn the_present_value_changes_nothing(
            start in prop_oneof![Just(vec![0x1e, b'+', 2, 0]), Just(vec![0xff, 0, 0, 0]), Just(vec![0x7f, 4, 1, 0]), Just(vec![])],
            rest in prop::collection::vec(any::<u8>(), 0..40),
            reply: bool,
        ) {
            let octets = [start, rest].concat();
            let view = if reply { View::reply(&octets, None) } else { View::request(&octets) };
            for (place, field) in view.fields().iter().enumerate() {
                let typed = view.edited(place, &field.value);
                let unvalued = field.name == Name::Rest || field.value.is_empty() && field.name == Name::Operand;
                if unvalued {
                    prop_assert!(typed.is_err());
                } else if view.octets().ends_with(&[0]) && field.name == Name::Result {
                    prop_assert!(typed.is_ok());
                } else if field.name != Name::Id || !field.value.is_empty() {
                    prop_assert_eq!(typed.as_deref(), Ok(&octets[..]), "{}", field.label());
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,12}", reply: bool) {
            let view = if reply { View::reply(&octets, None) } else { View::request(&octets) };
            for place in 0..=view.fields().len() {
                let _ = view.edited(place, &text);
            }
            for bit in 0..octets.len() * 8 + 1 {
                prop_assert_eq!(&flipped(&flipped(&octets, bit), bit), &octets);
            }
            let swapped = view.byte_swapped();
            prop_assert_eq!(swapped.len(), octets.len());
        }
    }
}
