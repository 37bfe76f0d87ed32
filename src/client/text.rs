//! Integers from a text of any length, separated by white space or commas, in constant memory; `#` starts a
//! comment that ends with its line.

use std::io::{self, Read};

use thiserror::Error;

use crate::abridge::abridged;
use crate::arithmetic::{Number, ParseError};
use crate::wire::extended;

/// More characters than any operand that can be sent has: 255 octets in binary, with room for `_` and zeros in front.
pub const MAX_WORD: usize = 16 * extended::MAX_WIDTH;

/// The most characters of a word in a message.
const WORD_IN_MESSAGE: usize = 40;

/// Octets that are read at a time.
const BLOCK: usize = 256 * 1024;

/// Reads integers from a text.
///
/// ```
/// use calc6::client::text::{IntegerReader, TextItem};
/// let mut reader = IntegerReader::new("1, 0x10 # a comment".as_bytes());
/// let mut sum = 0;
/// loop {
///     match reader.next_item()? {
///         TextItem::Word(integer) => sum += integer,
///         TextItem::Pending => reader.read()?,
///         TextItem::End => break,
///         large => panic!("{large:?} needs more than 64 bits"),
///     }
/// }
/// assert_eq!(sum, 17);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IntegerReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// What is read and not taken yet.
    start: usize,
    end: usize,
    at_end: bool,
    /// Whether there is an integer before the next comma.
    after_integer: bool,
    /// Whether what comes up to the line's end is no operand.
    in_comment: bool,
    /// Lines that have left the buffer, and octets of the line that the buffer begins with.
    lines: u64,
    columns: u64,
    octets: u64,
}

/// What comes next in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextItem {
    /// An integer that fits 64 bits.
    Word(i64),
    /// An integer of up to 255 octets.
    Number(Number),
    /// More must be read first.
    Pending,
    /// The text is over.
    End,
}

/// A place in a text that does not hold an integer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {reason}")]
#[non_exhaustive]
pub struct OperandError {
    /// The first line is 1.
    pub line: u64,
    /// In octets, the first being 1.
    pub column: u64,
    /// What is wrong.
    pub reason: OperandErrorKind,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperandErrorKind {
    /// It is not an integer.
    #[error("\"{word}\" is not an integer: {error}")]
    NoInteger {
        /// The word, in printable characters, abridged.
        word: String,
        /// Why not.
        error: ParseError,
    },
    /// The text is encoded in UTF-16, as some programs of Windows write it.
    #[error("the text is UTF-16; expected UTF-8 (in PowerShell: Out-File -Encoding utf8)")]
    Utf16,
    /// A comma without an integer before it.
    #[error("a comma with no integer before it")]
    Comma,
    /// More characters than any integer that can be sent has.
    #[error("an integer of over {MAX_WORD} characters; at most 255 octets can be sent")]
    TooLong,
    /// An integer of over 255 octets.
    #[error("an integer of {octets} octets in two's complement; at most 255 can be sent")]
    TooWide {
        /// Its octets.
        octets: usize,
    },
}

impl<R: Read> IntegerReader<R> {
    /// A text from its beginning.
    pub fn new(source: R) -> IntegerReader<R> {
        IntegerReader {
            source,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            at_end: false,
            after_integer: false,
            in_comment: false,
            lines: 0,
            columns: 0,
            octets: 0,
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> &R {
        &self.source
    }

    #[cfg(feature = "tokio")]
    pub(super) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// How many octets were taken so far.
    pub fn taken(&self) -> u64 {
        self.octets + self.start as u64
    }

    /// Reads once from the source; that may wait.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.forget();
        }
        let len = self.source.read(&mut self.buffer[self.end..])?;
        self.end += len;
        self.at_end = len == 0;
        Ok(())
    }

    /// The next integer.
    ///
    /// # Errors
    /// Where the text holds something else.
    #[inline]
    pub fn next_item(&mut self) -> Result<TextItem, OperandError> {
        loop {
            if self.in_comment {
                self.skip_comment();
            }
            match self.buffer[self.start..self.end].first().copied() {
                Some(b' ' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c) => self.start += 1,
                Some(b',') if self.after_integer => {
                    self.after_integer = false;
                    self.start += 1;
                }
                Some(b',') => return Err(self.bad(OperandErrorKind::Comma)),
                Some(b'#') => self.in_comment = true,
                Some(0xef..) if self.taken() == 0 && self.skip_byte_order_mark()? => {}
                Some(_) => break,
                None if self.at_end => return Ok(TextItem::End),
                None => return Ok(TextItem::Pending),
            }
        }
        match plain_word(&self.buffer[self.start..self.end]) {
            Some((word, length)) => {
                self.start += length;
                self.after_integer = true;
                Ok(TextItem::Word(word))
            }
            None => self.any_word(),
        }
    }

    /// Takes the next integers, as many as `words` has room for, as long as they are decimal, fit 64 bits and stand
    /// between plain separators, and says how many. What comes next is for [`next_item`](Self::next_item).
    ///
    /// ```
    /// use calc6::client::text::{IntegerReader, TextItem};
    /// let mut reader = IntegerReader::new("1 -2, 0x10 ".as_bytes());
    /// reader.read()?;
    /// let mut words = [0; 8];
    /// assert_eq!(reader.take_words(&mut words), 2);
    /// assert_eq!(words[..2], [1, -2]);
    /// assert_eq!(reader.next_item()?, TextItem::Word(16));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn take_words(&mut self, words: &mut [i64]) -> usize {
        if self.in_comment {
            return 0;
        }
        let text = &self.buffer[..self.end];
        let (mut start, mut after_integer) = (self.start, self.after_integer);
        let mut taken = 0;
        for place in words {
            let mut next = start;
            while let Some(octet) = text.get(next) {
                if *octet == b',' && after_integer {
                    after_integer = false;
                    start = next + 1;
                } else if !is_space(*octet) {
                    break;
                }
                next += 1;
            }
            let Some((word, length)) = plain_word(&text[next..]) else { break };
            start = next + length;
            after_integer = true;
            *place = word;
            taken += 1;
        }
        (self.start, self.after_integer) = (start, after_integer);
        taken
    }

    /// Goes on after the line's end, or after what was read of the line.
    #[cold]
    fn skip_comment(&mut self) {
        let end = self.buffer[self.start..self.end].iter().position(|octet| *octet == b'\n');
        self.in_comment = end.is_none();
        self.start = end.map_or(self.end, |end| self.start + end);
    }

    /// At the start of the text: skips UTF-8's mark (RFC 3629, section 6), and says so.
    ///
    /// # Errors
    /// The mark is UTF-16's.
    #[cold]
    fn skip_byte_order_mark(&mut self) -> Result<bool, OperandError> {
        let rest = &self.buffer[self.start..self.end];
        if rest.starts_with(b"\xff\xfe") || rest.starts_with(b"\xfe\xff") {
            return Err(self.bad(OperandErrorKind::Utf16));
        }
        let found = rest.starts_with(b"\xef\xbb\xbf");
        self.start += if found { 3 } else { 0 };
        Ok(found)
    }

    /// Words of other spelling, long ones, and those at the end of what was read.
    #[cold]
    fn any_word(&mut self) -> Result<TextItem, OperandError> {
        let rest = &self.buffer[self.start..self.end];
        let len = rest.iter().position(|octet| is_separator(*octet));
        let len = match len {
            Some(len) => len,
            None if rest.len() > MAX_WORD || self.at_end => rest.len(),
            None => return Ok(TextItem::Pending),
        };
        if len > MAX_WORD {
            return Err(self.bad(OperandErrorKind::TooLong));
        }
        let word = String::from_utf8_lossy(&rest[..len]);
        let number: Number = match word.parse() {
            Ok(number) => number,
            Err(error) => {
                let word = printable(&word);
                return Err(self.bad(OperandErrorKind::NoInteger { word, error }));
            }
        };
        let octets = number.octet_len();
        if octets > extended::MAX_WIDTH {
            return Err(self.bad(OperandErrorKind::TooWide { octets }));
        }
        self.start += len;
        self.after_integer = true;
        Ok(i64::try_from(&number).map_or(TextItem::Number(number), TextItem::Word))
    }

    fn bad(&self, reason: OperandErrorKind) -> OperandError {
        let (lines, columns) = self.position();
        OperandError { line: lines + 1, column: columns + 1, reason }
    }

    /// Whole lines before what is not taken yet, and octets of its line before it.
    fn position(&self) -> (u64, u64) {
        let taken = &self.buffer[..self.start];
        // Counted in pieces whose count fits an octet, which takes a fraction of the time.
        let lines_of = |piece: &[u8]| piece.iter().map(|octet| u8::from(*octet == b'\n')).sum::<u8>();
        let lines: u64 = taken.chunks(255).map(|piece| u64::from(lines_of(piece))).sum();
        match taken.iter().rposition(|octet| *octet == b'\n') {
            Some(newline) => (self.lines + lines, (taken.len() - newline - 1) as u64),
            None => (self.lines, self.columns + taken.len() as u64),
        }
    }

    /// Makes room: moves what is not taken yet to the front.
    fn forget(&mut self) {
        (self.lines, self.columns) = self.position();
        self.octets += self.start as u64;
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }
}

#[inline]
fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c)
}

#[inline]
fn is_separator(octet: u8) -> bool {
    is_space(octet) || matches!(octet, b',' | b'#')
}

/// The common case: a word of up to 18 decimal digits, which fit an i64, followed by a separator; and its length.
#[inline(always)]
fn plain_word(text: &[u8]) -> Option<(i64, usize)> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut value = 0;
    for (place, octet) in digits.iter().enumerate().take(19) {
        let digit = octet.wrapping_sub(b'0');
        if digit <= 9 && place < 18 {
            value = value * 10 + i64::from(digit);
        } else if place > 0 && is_separator(*octet) {
            return Some((if negative { -value } else { value }, usize::from(negative) + place));
        } else {
            break;
        }
    }
    None
}

/// For a message: a word in which every control character is replaced, abridged.
fn printable(word: &str) -> String {
    let word: String =
        word.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    abridged(&word, WORD_IN_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a text in pieces of few octets.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len()).min(self.0.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn read_all(text: &[u8], piece: usize) -> Result<Vec<Number>, String> {
        let mut text = IntegerReader::new(Pieces(text, piece));
        let mut numbers = Vec::new();
        loop {
            let mut words = [0; 3];
            let taken = text.take_words(&mut words);
            numbers.extend(words[..taken].iter().copied().map(Number::from));
            match text.next_item().map_err(|error| error.to_string())? {
                TextItem::Word(word) => numbers.push(word.into()),
                TextItem::Number(number) => numbers.push(number),
                TextItem::Pending => text.read().unwrap(),
                TextItem::End => return Ok(numbers),
            }
        }
    }

    #[test]
    fn separators_and_spellings() {
        for (text, numbers) in [
            (&b""[..], &[][..]),
            (b" \n", &[]),
            (b"1", &[1]),
            (b"1 -2\n3\t4\r\n5,6, 7 ,8,\n", &[1, -2, 3, 4, 5, 6, 7, 8]),
            (b"\xef\xbb\xbf1#one\n# two\r\n,2 #three", &[1, 2]),
            (b"0x10 0b11 0o17 1_000 +5 -0x80", &[16, 3, 15, 1000, 5, -128]),
            (
                b"999999999999999999 9223372036854775807 -9223372036854775808",
                &[999_999_999_999_999_999, i64::MAX, i64::MIN],
            ),
        ] {
            let numbers: Vec<Number> = numbers.iter().copied().map(Number::from).collect();
            for piece in 1..30 {
                assert_eq!(read_all(text, piece).as_ref(), Ok(&numbers), "{text:?}");
            }
        }
    }

    #[test]
    fn utf_16_is_named() {
        for text in [b"\xff\xfe1\0", b"\xfe\xff\x001"] {
            for piece in 1..5 {
                assert!(
                    read_all(text, piece).unwrap_err().contains("line 1, column 1: the text is UTF-16"),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_wrong_and_where() {
        for (text, complaint) in [
            (
                &b"1 2\n3 x4 5"[..],
                "line 2, column 3: \"x4\" is not an integer: 'x' at character 1 is not a digit of base 10",
            ),
            (b"1,,2", "line 1, column 3: a comma with no integer before it"),
            (b"\n , 2", "line 2, column 2: a comma with no integer before it"),
            (b"1 -", "line 1, column 3: \"-\" is not an integer: no digits"),
            (
                b"1\n2\n\n--3",
                "line 4, column 1: \"--3\" is not an integer: '-' at character 2 is not a digit of base 10",
            ),
            (
                b"\xff\x1b",
                "line 1, column 1: \"\u{fffd}\u{fffd}\" is not an integer: '\u{fffd}' at character 1 is not a digit of base 10",
            ),
        ] {
            for piece in [1, 2, 3, 1000] {
                assert_eq!(read_all(text, piece), Err(complaint.to_owned()));
            }
        }
        let long = "1".repeat(MAX_WORD + 1);
        let complaint = "line 1, column 1: an integer of over 4080 characters; at most 255 octets can be sent";
        assert_eq!(read_all(long.as_bytes(), 7), Err(complaint.to_owned()));
        let wide = format!("5\n 0x80{}", "0".repeat(508));
        let complaint = "line 2, column 2: an integer of 256 octets in two's complement; at most 255 can be sent";
        assert_eq!(read_all(wide.as_bytes(), 1000), Err(complaint.to_owned()));
    }

    #[test]
    fn places_are_right_far_into_a_text() {
        let mut text = "12345678 ".repeat(BLOCK / 9) + &"7\n".repeat(BLOCK) + "  bad";
        let complaint = read_all(text.as_bytes(), BLOCK).unwrap_err();
        assert!(complaint.starts_with(&format!("line {}, column 3: ", BLOCK + 1)), "{complaint}");
        text = "123 ".repeat(BLOCK) + "bad";
        let complaint = read_all(text.as_bytes(), BLOCK).unwrap_err();
        assert!(complaint.starts_with(&format!("line 1, column {}: ", 4 * BLOCK + 1)), "{complaint}");
    }

    proptest! {
        #[test]
        fn texts_are_read_back(
            numbers in prop::collection::vec((any::<i128>(), any::<u8>(), 0..4usize), 0..60),
            piece in 1usize..100,
        ) {
            let numbers: Vec<(i128, usize)> = numbers.into_iter().map(|(n, shift, s)| (n >> (shift % 128), s)).collect();
            let separators = [" ", ",", "\n", " , "];
            let text: String = numbers.iter().map(|(n, s)| format!("{n}{}", separators[*s])).collect();
            let expected: Vec<Number> = numbers.iter().map(|(n, _)| Number::from(*n)).collect();
            prop_assert_eq!(read_all(text.as_bytes(), piece), Ok(expected));
        }
    }
}
