//! What judges each check of the extended form.

use calc6::arithmetic::Number;
use calc6::wire::{ERROR, Format, MAX_REQUEST, Operator, SUCCESS, SUCCESS_BIT, Status, classic, extended};

use super::vectors::Vector;
use crate::Failure;
use crate::check::probe::Probe;
use crate::check::report::{CheckVerdict, Judgement, hex};
use crate::check::server::session::{ServerSession, broken, broken_because, holds, request as classic_request};

/// The identifier of the golden octets (clause 3.13).
const ID: u64 = 0x0102_0304_0506_0708;

impl ServerSession<'_> {
    fn extended(&mut self, request: &[u8]) -> Result<Probe, Failure> {
        let asked = self.prober.ask(request)?;
        if let Some(reply) = asked.reply() {
            self.replies.push((request.to_vec(), reply.to_vec()));
        }
        Ok(asked)
    }

    pub(super) fn golden(&mut self) -> Result<Judgement, Failure> {
        let request = operation(b'+', 4, &[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5]);
        let asked = self.extended(&request)?;
        let expected = [SUCCESS, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3];
        Ok(match asked.reply() {
            Some(reply) if reply == expected => holds(&asked),
            Some([first, ..]) if first & SUCCESS_BIT == 0 && *first != ERROR => {
                broken_because(&asked, hex(&expected), "an error of the classic form: it knows no other")
            }
            _ => broken(&asked, hex(&expected)),
        })
    }

    /// Every vector, as integer and as text.
    pub(super) fn vectors(&mut self, operator: Operator, vectors: &[Vector]) -> Result<Judgement, Failure> {
        for (operands, result) in vectors {
            let operands: Vec<Number> = operands.iter().filter_map(|operand| operand.parse().ok()).collect();
            let width = operands.iter().map(Number::octet_len).max().unwrap_or(1);
            for format in [Format::Integer, Format::Text] {
                let request = request(operator, format, width, &operands);
                let judgement = self.expect(&request, format, result)?;
                if judgement.verdict != CheckVerdict::Holds {
                    return Ok(judgement);
                }
            }
        }
        Ok(Judgement::holds([], ""))
    }

    /// Expects success with this number; wider integers than needed are a finding of their own.
    fn expect(&mut self, request: &[u8], format: Format, result: &str) -> Result<Judgement, Failure> {
        let asked = self.extended(request)?;
        let found =
            asked.reply().and_then(|reply| extended::Reply::decode(reply).ok()).filter(extended::Reply::is_success);
        let number = found.map(|reply| match format {
            Format::Integer => Number::from_octets(reply.result()).to_string(),
            Format::Text => String::from_utf8_lossy(reply.result()).into_owned(),
        });
        Ok(match number {
            Some(number) if number == result => holds(&asked),
            Some(number) => broken_because(&asked, result, &number),
            None => broken(&asked, result),
        })
    }

    /// Expects each request to get its status.
    pub(super) fn statuses(&mut self, cases: &[(Vec<u8>, Status)]) -> Result<Judgement, Failure> {
        for (request, status) in cases {
            let asked = self.extended(request)?;
            let found =
                asked.reply().and_then(|reply| extended::Reply::decode(reply).ok()).map(|reply| reply.status_octet());
            if found != Some(status.octet()) {
                let expected = format!("status {} ({})", status.octet(), status.text());
                return Ok(match found {
                    Some(found) => broken_because(&asked, expected, &format!("status {found}")),
                    None => broken(&asked, expected),
                });
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn describe(&mut self) -> Result<Judgement, Failure> {
        let short = self.extended(&operation(b'?', 1, &[]))?;
        let asked = self.extended(&operation(b'?', 1, &[0; 400]))?;
        let expected = "ASCII: a line with name and version, then key=value lines with operators and largest-reply";
        let text = asked
            .reply()
            .and_then(|reply| extended::Reply::decode(reply).ok())
            .filter(|reply| reply.is_success() && reply.format() == Format::Text)
            .and_then(|reply| String::from_utf8(reply.result().to_vec()).ok());
        let right = text.as_deref().is_some_and(is_description);
        if !right {
            return Ok(broken(&asked, expected));
        }
        let whole = asked.reply().map(<[u8]>::len);
        let status =
            short.reply().and_then(|reply| extended::Reply::decode(reply).ok()).and_then(|reply| reply.status());
        Ok(match status {
            Some(Status::TooLarge) => holds(&asked),
            Some(Status::Ok) if short.reply().map(<[u8]>::len) == whole => holds(&asked),
            _ => broken(&short, "the whole description, or status 4"),
        })
    }

    pub(super) fn identifiers(&mut self) -> Result<Judgement, Failure> {
        for id in [0, 1, u64::MAX, 0x8000_0000_0000_0000, 0x00ff_00ff_1234_5678] {
            for operator in [b'+', b'!'] {
                let mut request = operation(operator, 1, &[1, 2]);
                request[extended::ID..extended::HEADER].copy_from_slice(&id.to_be_bytes());
                let asked = self.extended(&request)?;
                if asked.reply().and_then(extended::id) != Some(id) {
                    return Ok(broken(&asked, format!("the identifier {id:016x} in octets 4 to 11")));
                }
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn formats(&mut self) -> Result<Judgement, Failure> {
        let cases = [(0, b'+', 0), (1, b'+', 1), (0, b'!', 1), (1, b'!', 1), (0, b'?', 1), (1, b'?', 1)];
        for (asked_for, operator, expected) in cases {
            let mut request = operation(operator, 1, &[1; 100]);
            request[0] |= asked_for;
            let asked = self.extended(&request)?;
            if asked.reply().and_then(|reply| reply.get(extended::FORMAT)) != Some(&expected) {
                return Ok(broken(&asked, format!("Format {expected}")));
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn least_width(&mut self) -> Result<Judgement, Failure> {
        let values = ["0", "-1", "127", "128", "-128", "-129", "32767", "32768", "4294967295", "-2147483648"];
        for value in values {
            let Ok(number) = value.parse::<Number>() else { continue };
            let asked = self.extended(&request(Operator::Sum, Format::Integer, 32, std::slice::from_ref(&number)))?;
            let length = asked.reply().map(|reply| reply.len().saturating_sub(extended::HEADER));
            if length != Some(number.octet_len()) {
                return Ok(broken(&asked, format!("{value} in {} octets", number.octet_len())));
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn text(&mut self) -> Result<Judgement, Failure> {
        for value in ["0", "-1", "10", "-10", "18446744073709551616", "-18446744073709551617"] {
            let Ok(number) = value.parse::<Number>() else { continue };
            let judgement = self.expect(&request(Operator::Sum, Format::Text, 16, &[number]), Format::Text, value)?;
            if judgement.verdict != CheckVerdict::Holds {
                return Ok(judgement);
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn widths(&mut self) -> Result<Judgement, Failure> {
        for width in 1..=extended::MAX_WIDTH {
            let operands = [Number::from(-100), Number::from(42)];
            let judgement =
                self.expect(&request(Operator::Sum, Format::Integer, width, &operands), Format::Integer, "-58")?;
            if judgement.verdict != CheckVerdict::Holds {
                return Ok(judgement);
            }
        }
        // With no operands any width is legal: what is wrong then is their number.
        self.statuses(&[(operation(b'+', 0, &[]), Status::Malformed), (operation(b'+', 255, &[]), Status::Malformed)])
    }

    /// Each request fails a check and all the later ones that it can.
    pub(super) fn order(&mut self) -> Result<Judgement, Failure> {
        let long = with(operation(b'!', 0, &[0; MAX_REQUEST + 1 - extended::HEADER]), extended::RESERVED, 1);
        self.statuses(&[
            (long, Status::Unsupported),
            (with(operation(b'!', 0, &[1]), extended::RESERVED, 1), Status::Unsupported),
            (operation(b'!', 0, &[1]), Status::UnknownOperator),
            (operation(b'^', 2, &[1, 2, 3]), Status::Malformed),
            (operation(b'^', 1, &[1, 2, 3]), Status::Malformed),
            (operation(b'/', 1, &[0]), Status::Malformed),
        ])
    }

    /// 2^400 in a request of 14 octets, then in one that pays for the reply.
    pub(super) fn too_large(&mut self) -> Result<Judgement, Failure> {
        let operands = [Number::from(2), Number::from(400)];
        let short = self.extended(&request(Operator::Power, Format::Integer, 2, &operands))?;
        let decoded = short.reply().and_then(|reply| extended::Reply::decode(reply).ok());
        // 2^400 is 401 bits and a sign: 51 octets.
        let needed = (extended::HEADER + 51) as u32;
        let given = decoded.filter(|reply| reply.status() == Some(Status::TooLarge)).and_then(|reply| reply.needed());
        if given.is_none_or(|given| given < needed || given > 2 * needed) {
            return Ok(broken(&short, format!("status 4 with the count {needed}, or an upper bound of it")));
        }
        let width = (given.unwrap_or(needed) as usize).div_ceil(3);
        let exact = "2582249878086908589655919172003011874329705792829223512830659356540647622016841194629645353280137831\
                     435903171972747493376";
        self.expect(&request(Operator::Power, Format::Integer, width, &operands), Format::Integer, exact)
    }

    pub(super) fn escape(&mut self) -> Result<Judgement, Failure> {
        let datagram = |first: u8, length: usize| with(vec![0; length], 0, first);
        for (first, length) in [(0x0e, 12), (0x2f, 14), (0x1e, 9), (0x1f, 5), (0xee, 1232), (0x0e, 257)] {
            let asked = self.prober.ask(&datagram(first, length))?;
            if asked.reply().is_none_or(|reply| reply.first().is_none_or(|first| first & SUCCESS_BIT != 0)) {
                return Ok(broken(&asked, "a classic error"));
            }
        }
        for (first, length) in [(0x1e, 11), (0x1e, 1), (0x0e, 11), (0x0e, 1), (0x0e, 1233)] {
            let asked = self.prober.try_datagram(&datagram(first, length))?;
            if asked.reply().is_some() {
                return Ok(broken(&asked, "no answer"));
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn refused_replies(&mut self) -> Result<Judgement, Failure> {
        let mut error = with(operation(Status::Malformed.octet(), 1, b"malformed request"), 0, ERROR);
        for length in [error.len(), 12, 5, 1] {
            error.truncate(length);
            for first in [SUCCESS, ERROR] {
                let asked = self.prober.try_datagram(&with(error.clone(), 0, first))?;
                if asked.reply().is_some() {
                    return Ok(broken(&asked, "no answer"));
                }
            }
        }
        Ok(Judgement::holds([], ""))
    }

    pub(super) fn pure(&mut self) -> Result<Judgement, Failure> {
        let request = operation(b'*', 2, &[1, 2, 3, 4, 5, 6]);
        let first = self.extended(&request)?;
        for other in [operation(b'|', 1, &[0xff; 200]), operation(b'/', 1, &[1, 0]), vec![3, 0, 0, 0, 9]] {
            self.prober.ask(&other)?;
            let again = self.extended(&request)?;
            if again.reply() != first.reply() {
                return Ok(broken(&again, first.found()));
            }
        }
        Ok(holds(&first))
    }

    pub(super) fn refuses_or_wraps(&mut self) -> Result<Judgement, Failure> {
        let asked = self.prober.ask(&classic_request(Operator::Sum, Format::Integer, &[u32::MAX, 5]))?;
        Ok(match asked.reply().map(|reply| (reply.first().copied().unwrap_or(SUCCESS), reply)) {
            Some((first, _)) if first & SUCCESS_BIT == 0 => holds(&asked),
            Some((_, [_, 0, 0, 0, 4])) => holds(&asked),
            _ => broken(&asked, "an error, or ff 00000004"),
        })
    }
}

/// A request with the golden identifier: operator, width and the octets of its operands as they are.
pub(super) fn operation(operator: u8, width: u8, octets: &[u8]) -> Vec<u8> {
    let mut request = vec![extended::VERSION << 4 | calc6::wire::ESCAPE_OPCODE << 1, operator, width, 0];
    request.extend(ID.to_be_bytes());
    request.extend(octets);
    request
}

/// A well-formed request.
pub fn request(operator: Operator, format: Format, width: usize, operands: &[Number]) -> Vec<u8> {
    let mut octets = vec![0; width * operands.len()];
    for (operand, place) in operands.iter().zip(octets.chunks_exact_mut(width)) {
        // A table's operand that did not fit would be a mistake here; the reply would show it.
        let _ = operand.write_octets(place);
    }
    let mut request = operation(operator.octet(), width as u8, &octets);
    request[0] |= format as u8;
    request
}

/// The datagram with another octet at this place.
pub(super) fn with(mut datagram: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
    datagram[at] = octet;
    datagram
}

/// A line with a name and a version, then lines with `=`.
fn is_description(text: &str) -> bool {
    let mut lines = text.lines();
    let named = lines.next().is_some_and(|line| line.split_whitespace().count() >= 2);
    let keys: Vec<&str> = lines.clone().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    let pairs = lines.all(|line| line.contains('='));
    text.is_ascii() && named && pairs && keys.contains(&"operators") && keys.contains(&"largest-reply")
}

/// The tests of lengths rely on it.
const _: () = assert!(classic::MAX_REQUEST < MAX_REQUEST);
