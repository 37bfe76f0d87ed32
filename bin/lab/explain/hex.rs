//! Octets as people write and paste them.

use calc6::view::{Direction, abridged_with_length};

/// The longest UDP payload, in octets: 65,535 less the UDP header (RFC 768).
const MAX_DATAGRAM: usize = 65_535 - 8;

/// The most characters of a word in a message.
const WORD: usize = 40;

/// The datagrams in the words of a command line, with `/` between them.
///
/// # Errors
/// A sentence that says which word cannot be read, and why.
pub fn datagrams(words: &[String]) -> Result<Vec<Vec<u8>>, String> {
    let mut all = vec![Vec::new()];
    for (place, word) in words.iter().enumerate() {
        for (part, text) in word.split('/').enumerate() {
            if part > 0 {
                all.push(Vec::new());
            }
            let current = all.last_mut().expect("there is one from the start");
            octets(text, current).map_err(|error| format!("argument {}: {}", place + 1, error.sentence(text)))?;
        }
    }
    Ok(all)
}

/// A datagram that was typed, and its direction if that was given.
pub type TypedDatagram = (Option<Direction>, Vec<u8>);

/// Datagrams from lines: one a line, or in the form of xxd, `tcpdump -x` or Wireshark's hex dumps, where a datagram may
/// take several.
#[derive(Debug, Default)]
pub struct HexReader {
    number: usize,
    /// The datagram that an offset of the next line may continue.
    open: Option<TypedDatagram>,
}

impl HexReader {
    /// Takes the next line, and returns the datagram that is complete now.
    ///
    /// # Errors
    /// A sentence that says in which line and column what is wrong.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<TypedDatagram>, String> {
        self.number += 1;
        let number = self.number;
        let text = str::from_utf8(line).map_err(|_| format!("line {number}: not UTF-8"))?;
        let content = text.split('#').next().unwrap_or_default();
        if content.trim().is_empty() || is_heading(content) {
            return Ok(self.open.take());
        }
        let indent = content.len() - content.trim_start().len();
        let content = content.trim();
        let (message, digits) = match content.as_bytes()[0] {
            b'>' => (Some(Direction::Request), &content[1..]),
            b'<' => (Some(Direction::Reply), &content[1..]),
            _ => (None, content),
        };
        let before = indent + content.len() - digits.len();
        let (offset, digits, before) = split_offset(digits, before);
        let mut decoded = Vec::new();
        octets(digits, &mut decoded).map_err(|error| {
            let column = text.get(..before).map_or(0, |before| before.chars().count()) + error.column;
            format!("line {number}, column {column}: {}", error.reason)
        })?;
        match (offset, &mut self.open) {
            (None, _) => {
                // A line without an offset is a whole datagram, and ends the one before it.
                let complete = self.open.take();
                self.open = Some((message, decoded));
                Ok(complete)
            }
            (Some(0), _) => Ok(self.open.replace((message, decoded))),
            (Some(offset), Some((_, open))) if open.len() == offset => {
                open.append(&mut decoded);
                Ok(None)
            }
            (Some(offset), _) => Err(format!("line {number}: offset {offset:#x} does not follow the line before")),
        }
    }

    /// The last datagram, at the end of the input.
    pub fn end(self) -> Option<TypedDatagram> {
        self.open
    }
}

/// Whether this is the line that tcpdump prints before the octets of a packet: it has words that are not hexadecimal
/// digits.
fn is_heading(content: &str) -> bool {
    let mut words = content.split_whitespace().take(4);
    words.any(|word| word == "IP" || word == "IP6") && content.contains(" > ")
}

/// Splits the offset from a line, and leaves out the column of characters: `00000010: 0001 0203  ....` of xxd,
/// `0x0010:  0001 0203  ....` of tcpdump, `0010   00 01 02 03   ....` of Wireshark.
fn split_offset(digits: &str, before: usize) -> (Option<usize>, &str, usize) {
    let (offset, rest, gap) = match digits.split_once(": ") {
        Some((offset, rest)) => (offset, rest, "  "),
        None => match digits.split_once("  ") {
            // Wireshark's dumps separate octets by spaces, so this is not a group of four digits.
            Some((offset, rest)) if rest.split_whitespace().next().is_some_and(|word| word.len() == 2) => {
                (offset, rest, "   ")
            }
            _ => return (None, digits, before),
        },
    };
    let number = offset.trim().trim_start_matches("0x");
    match usize::from_str_radix(number, 16) {
        Ok(value) if number.len() >= 4 => {
            let octets = rest.trim_start().split(gap).next().unwrap_or_default();
            (Some(value), octets, before + (digits.len() - rest.trim_start().len()))
        }
        _ => (None, digits, before),
    }
}

/// What is wrong with digits, and at which character, the first being 1.
#[derive(Debug, PartialEq, Eq)]
struct HexError {
    column: usize,
    reason: String,
}

impl HexError {
    fn sentence(&self, text: &str) -> String {
        let shown = abridged_with_length(text, WORD);
        format!("{shown:?}, character {}: {}", self.column, self.reason)
    }
}

/// Pairs of digits, each pair optionally after `0x` or `\x`; white space, commas and colons between groups of pairs.
fn octets(text: &str, out: &mut Vec<u8>) -> Result<(), HexError> {
    let error = |place: usize, reason: String| Err(HexError { column: place + 1, reason });
    let mut high: Option<u8> = None;
    let mut characters = text.chars().enumerate().peekable();
    while let Some((place, character)) = characters.next() {
        let prefix = matches!(character, '0' | '\\') && high.is_none();
        if prefix && characters.next_if(|(_, next)| matches!(next, 'x' | 'X')).is_some() {
            continue;
        }
        if character.is_whitespace() || matches!(character, ',' | ':' | ';' | '_') {
            if high.is_some() {
                return error(place, "expected two digits for each octet, found one".to_owned());
            }
            continue;
        }
        let Some(digit) = character.to_digit(16) else {
            return error(place, format!("expected hexadecimal digits, found {character:?}"));
        };
        match high.take() {
            None => high = Some(digit as u8),
            Some(high) => out.push(high << 4 | digit as u8),
        }
        if out.len() > MAX_DATAGRAM {
            return error(place, format!("over {MAX_DATAGRAM} octets, the most that UDP carries"));
        }
    }
    match high {
        Some(_) => error(text.chars().count(), "expected two digits for each octet, found one".to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, String> {
        datagrams(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn datagrams_of_a_command_line() {
        assert_eq!(words("00 00000001 / ff 00000001"), Ok(vec![vec![0, 0, 0, 0, 1], vec![0xff, 0, 0, 0, 1]]));
        assert_eq!(words("00/7F"), Ok(vec![vec![0], vec![0x7f]]));
        assert_eq!(words(r"0x00,0x01 \x02\x03 04:05"), Ok(vec![vec![0, 1, 2, 3, 4, 5]]));
        assert_eq!(words(""), Ok(vec![vec![]]));
        assert_eq!(
            words("00 0g"),
            Err("argument 2: \"0g\", character 2: expected hexadecimal digits, found 'g'".into())
        );
        assert_eq!(
            words("0"),
            Err("argument 1: \"0\", character 2: expected two digits for each octet, found one".into())
        );
        assert!(words(&"00".repeat(65_528)).is_err());
    }

    fn lines(text: &str) -> Result<Vec<TypedDatagram>, String> {
        let mut lines = HexReader::default();
        let mut all = Vec::new();
        for line in text.lines() {
            all.extend(lines.line(line.as_bytes())?);
        }
        all.extend(lines.end());
        Ok(all)
    }

    #[test]
    fn datagrams_of_lines() {
        let text = "# an exchange\n> 00 00000001\n\n  < ff 00000001 # the reply\n7f\n";
        let expected = vec![
            (Some(Direction::Request), vec![0, 0, 0, 0, 1]),
            (Some(Direction::Reply), vec![0xff, 0, 0, 0, 1]),
            (None, vec![0x7f]),
        ];
        assert_eq!(lines(text), Ok(expected));
        assert_eq!(lines("00\n > 0 0"), Err("line 2, column 5: expected two digits for each octet, found one".into()));
    }

    #[test]
    fn what_xxd_prints() {
        let text =
            "00000000: 0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ................\n00000010: 10  .\n00000000: ff  .\n";
        let lengths: Vec<usize> = lines(text).unwrap().iter().map(|(_, octets)| octets.len()).collect();
        assert_eq!(lengths, [17, 1]);
        assert!(lines("00000010: 00").is_err());
    }

    #[test]
    fn what_tcpdump_and_wireshark_print() {
        let tcpdump = "12:00:00.000001 IP6 ::1.4000 > ::1.10000: UDP, length 5\n\t0x0000:  6000 0000 000d 1140  `......@\n\t0x0008:  00\n\
                       12:00:00.000002 IP6 ::1.10000 > ::1.4000: UDP, length 5\n\t0x0000:  60\n";
        let lengths =
            |text: &str| lines(text).map(|all| all.iter().map(|(_, octets)| octets.len()).collect::<Vec<_>>());
        assert_eq!(lengths(tcpdump), Ok(vec![9, 1]));
        let wireshark = "0000   1e 2b 04 00 01 02 03 04 05 06 07 08 ff ff ff fe   .+..............\n0010   00 00 00 05                                       ....\n";
        assert_eq!(lengths(wireshark), Ok(vec![20]));
        assert_eq!(lengths("0000  0001"), Ok(vec![4]));
    }
}
