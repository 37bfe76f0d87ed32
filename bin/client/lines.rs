//! Lines of a pipe or a file: each has its own result or error; after an error the next line is read.

use std::io::{self, BufRead};

use calc6::client::Error;

use super::failure::{Complaint, Failure};
use super::output;
use super::report::Report;
use super::session::{Response, Session};

/// Longer lines are rejected: no expression that a datagram carries needs them.
const MAX_LINE: usize = 1 << 20;

/// The kind of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Lines as at the prompt.
    Any,
    /// Expressions; `#` starts a comment.
    Expressions,
}

/// Answers every line. `name` is the file's, for messages.
///
/// # Errors
/// The number of lines without a result; or the text cannot be read, or standard output written.
pub fn read(session: &mut Session, text: impl BufRead, lines: Lines, name: Option<&str>) -> Result<(), Failure> {
    let mut reader = Reader { text, number: 0 };
    let mut failures = 0u64;
    while let Some((number, line)) = reader.next().map_err(|error| Failure::client(Error::Read(error), ""))? {
        let response = match (line, lines) {
            (Err(wrong), _) => Err(Failure::unreadable(wrong)),
            (Ok(line), Lines::Any) => session.respond(&line),
            (Ok(line), Lines::Expressions) => match line.split('#').next().unwrap_or_default() {
                blank if blank.trim().is_empty() => Ok(Response::Text(String::new())),
                expression => session.evaluate_expression(expression).map(Response::Text),
            },
        };
        match response {
            Ok(Response::Text(text)) => output::print(&text)?,
            Ok(Response::Quit) => break,
            Err(Failure::Said(complaint)) => {
                report(session, complaint, name, number)?;
                failures += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    if failures == 0 { Ok(()) } else { Err(Failure::lines(failures)) }
}

fn report(session: &Session, complaint: Complaint, name: Option<&str>, number: u64) -> io::Result<()> {
    let place = match (name, complaint.column) {
        (Some(name), Some(column)) => format!("{name}:{number}:{column}"),
        (Some(name), None) => format!("{name}:{number}"),
        (None, _) => format!("line {number}"),
    };
    if session.output.0.json {
        let mut report = Report::default();
        report.error(Complaint { sentence: format!("{place}: {}", complaint.sentence), ..complaint });
        return output::print(&report.line());
    }
    output::say(&format!("client: {place}: {}\n{}", complaint.sentence, complaint.place));
    Ok(())
}

/// Lines with their numbers, without ends of line of any system and without a byte order mark.
struct Reader<T> {
    text: T,
    number: u64,
}

impl<T: BufRead> Reader<T> {
    /// The next line, or its error.
    fn next(&mut self) -> io::Result<Option<(u64, Result<String, &'static str>)>> {
        let mut line = Vec::new();
        let limit = MAX_LINE as u64 + 1;
        io::Read::take(&mut self.text, limit).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 == limit && line.last() != Some(&b'\n') {
            skip_line(&mut self.text)?;
            return Ok(Some((self.number, Err("the line is too long: expected at most 1 MiB"))));
        }
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if self.number == 1 && (line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff")) {
            let wrong = "the text is UTF-16: expected UTF-8 (in PowerShell: Out-File -Encoding utf8)";
            return Ok(Some((self.number, Err(wrong))));
        }
        let text = String::from_utf8(line).map_err(|_| "the line is not UTF-8");
        Ok(Some((self.number, text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()))))
    }
}

/// Drops the rest of a line.
fn skip_line(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        let block = text.fill_buf()?;
        let (length, end) = match block.iter().position(|octet| *octet == b'\n') {
            Some(place) => (place + 1, true),
            None => (block.len(), block.is_empty()),
        };
        text.consume(length);
        if end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Result<String, &'static str>)> {
        let mut reader = Reader { text, number: 0 };
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    #[test]
    fn line_ends_of_every_system_and_single_bad_lines() {
        let ok = |number, text: &str| (number, Ok(text.to_owned()));
        let bad = "the line is not UTF-8";
        assert_eq!(lines(b"\xef\xbb\xbf1+1\r\n2\xe9\n3"), [ok(1, "1+1"), (2, Err(bad)), ok(3, "3")]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\n"), [ok(1, ""), ok(2, "")]);
        assert!(lines(b"\xff\xfe1\0")[0].1.clone().unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn a_line_without_end_is_dropped_and_the_next_is_read() {
        let text = [&vec![b'1'; MAX_LINE + 5][..], b"\n7\n"].concat();
        let read = lines(&text);
        assert!(read[0].1.clone().unwrap_err().contains("too long"), "{:?}", read[0].1);
        assert_eq!(read[1], (2, Ok("7".to_owned())));
    }
}
