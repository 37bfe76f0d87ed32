//! The checks of the extended form.

use calc6::arithmetic::Number;
use calc6::wire::{
    AMPLIFICATION, ERROR, Format, MAX_REQUEST, Operator, SUCCESS, SUCCESS_BIT, Status, classic, extended,
};

use super::session::Judge::{AtEnd, Now};
use super::session::{Judge, ServerCheck, Session, broken, broken_because, holds, request as classic_request};
use crate::Failure;
use crate::check::probe::Asked;
use crate::check::report::{Judgement, Verdict, hex};
use crate::check::table::Check;
use crate::check::table::Level::Must;

/// The identifier of the golden octets (clause 3.13).
const ID: u64 = 0x0102_0304_0506_0708;

/// Operands and result, in decimal.
type Vector = (&'static [&'static str], &'static str);

/// In the order in which they are run.
pub const CHECKS: &[ServerCheck] = &[
    extended(
        "x-golden",
        "3.13",
        "the golden request is answered by the golden reply",
        &["others"],
        Now(|session| session.golden()),
    ),
    operator("x-sum", "sum of signed operands", Now(|session| session.vectors(Operator::Sum, SUM))),
    operator("x-product", "product of signed operands", Now(|session| session.vectors(Operator::Product, PRODUCT))),
    operator(
        "x-difference",
        "difference; one operand: its negation",
        Now(|session| session.vectors(Operator::Difference, DIFFERENCE)),
    ),
    operator(
        "x-quotient",
        "quotient, truncated towards zero",
        Now(|session| session.vectors(Operator::Quotient, QUOTIENT)),
    ),
    operator(
        "x-remainder",
        "remainder, with the dividend's sign",
        Now(|session| session.vectors(Operator::Remainder, REMAINDER)),
    ),
    operator("x-power", "power; 0^0 is 1", Now(|session| session.vectors(Operator::Power, POWER))),
    operator("x-gcd", "greatest common divisor, never negative", Now(|session| session.vectors(Operator::Gcd, GCD))),
    operator("x-lcm", "least common multiple, never negative", Now(|session| session.vectors(Operator::Lcm, LCM))),
    operator("x-min", "the least operand", Now(|session| session.vectors(Operator::Min, MIN))),
    operator("x-max", "the greatest operand", Now(|session| session.vectors(Operator::Max, MAX))),
    operator(
        "x-and",
        "bitwise and on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::And, AND)),
    ),
    operator(
        "x-or",
        "bitwise or on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::Or, OR)),
    ),
    operator(
        "x-xor",
        "bitwise exclusive or on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::Xor, XOR)),
    ),
    extended(
        "x-describe",
        "3.4",
        "describe: name and version, then key=value lines, whole or status 4",
        X_GOLDEN,
        Now(|session| session.describe()),
    ),
    extended("x-identifier", "3.7", "the request identifier is copied", X_GOLDEN, Now(|session| session.identifiers())),
    extended(
        "x-header",
        "3.7",
        "every reply has S = 1 if and only if Status is 0, and Reserved 0",
        X_GOLDEN,
        AtEnd(|session| {
            Ok(gathered(
                &session.replies,
                "ff with Status 0 or 7f with Status 1 to 31, and Reserved 0",
                |_, reply, _| reply.get(extended::RESERVED) == Some(&0),
            ))
        }),
    ),
    extended(
        "x-format",
        "3.8",
        "Format is F, and 1 for errors and describe",
        X_GOLDEN,
        Now(|session| session.formats()),
    ),
    extended(
        "x-least-width",
        "3.8",
        "an integer result has the least width, at least one octet",
        X_GOLDEN,
        Now(|session| session.least_width()),
    ),
    extended("x-text", "3.8", "a result as text is 0 or -?[1-9][0-9]*", X_GOLDEN, Now(|session| session.text())),
    extended(
        "x-width",
        "3.6",
        "every width from 1 to 255 is read, sign extension included",
        X_GOLDEN,
        Now(|session| session.widths()),
    ),
    extended(
        "x-reserved",
        "3.3",
        "Reserved other than 0 is status 5",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[(with(operation(b'+', 1, &[1, 2]), extended::RESERVED, 1), Status::Unsupported)])
        }),
    ),
    extended(
        "x-unknown-operator",
        "3.9",
        "an unknown operator is status 2",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &[b'!', 0x00, 0xff].map(|operator| (operation(operator, 1, &[1, 2]), Status::UnknownOperator)),
            )
        }),
    ),
    extended(
        "x-malformed",
        "3.9",
        "wrong lengths and operand counts are status 1",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &MALFORMED.map(|(operator, width, octets)| (operation(operator, width, octets), Status::Malformed)),
            )
        }),
    ),
    extended(
        "x-domain",
        "3.9",
        "a negative exponent is status 6",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &[[2, 0xff], [0, 0xff], [1, 0x80]]
                    .map(|operands| (operation(b'^', 1, &operands), Status::OutsideDomain)),
            )
        }),
    ),
    extended(
        "x-division",
        "3.9",
        "any divisor that is zero is status 3",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[
                (operation(b'/', 1, &[2, 0]), Status::DivisionByZero),
                (operation(b'%', 1, &[0, 3, 0]), Status::DivisionByZero),
                (operation(b'/', 1, &[0, 0, 5]), Status::DivisionByZero),
            ])
        }),
    ),
    extended(
        "x-order",
        "3.9",
        "of several failures the first in the order of the checks decides",
        X_GOLDEN,
        Now(|session| session.order()),
    ),
    extended(
        "x-too-large",
        "3.10",
        "a reply that does not fit is status 4 with a count, and with that room exact",
        X_GOLDEN,
        Now(|session| session.too_large()),
    ),
    extended(
        "x-oversize",
        "4.2",
        "a request over 1232 octets is status 5",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[(
                with(operation(b'+', 1, &[0; MAX_REQUEST + 1 - extended::HEADER]), extended::RESERVED, 1),
                Status::Unsupported,
            )])
        }),
    ),
    extended(
        "x-bound",
        "4.2",
        "no reply is longer than three times its request",
        X_GOLDEN,
        AtEnd(|session| {
            Ok(gathered(&session.replies, "at most three times as many octets", |request, reply, _| {
                reply.len() <= AMPLIFICATION * request.len()
            }))
        }),
    ),
    extended(
        "x-error-text",
        "7.5",
        "error texts are fixed printable ASCII",
        X_GOLDEN,
        AtEnd(|session| Ok(gathered(&session.replies, "the same printable ASCII for the same status", is_fixed_text))),
    ),
    extended(
        "x-escape",
        "4.4",
        "opcode 7 that is not version 1 gets a classic error or silence, by its length",
        X_GOLDEN,
        Now(|session| session.escape()),
    ),
    extended(
        "x-replies",
        "4.1",
        "replies, 0xff and 0x7f, are not answered",
        X_GOLDEN,
        Now(|session| session.refused_replies()),
    ),
    extended(
        "x-pure",
        "4.5",
        "the same request has the same answer, octet for octet",
        X_GOLDEN,
        Now(|session| session.pure()),
    ),
    extended(
        "x-overflow",
        "2.9",
        "a classic integer result over 2^32 - 1 is refused or, with --wrap, modulo 2^32",
        &["sum"],
        Now(|session| session.refuses_or_wraps()),
    ),
];

const X_GOLDEN: &[&str] = &["x-golden"];

const fn extended(
    key: &'static str,
    clause: &'static str,
    title: &'static str,
    needs: &'static [&'static str],
    judge: Judge,
) -> ServerCheck {
    let why = "A client of the extended form relies on it.";
    ServerCheck { check: Check { key, clause, level: Must, title, why, needs }, judge }
}

const fn operator(key: &'static str, title: &'static str, judge: Judge) -> ServerCheck {
    let why = "The same operation must give the same number on every server.";
    ServerCheck { check: Check { key, clause: "3.4", level: Must, title, why, needs: X_GOLDEN }, judge }
}

/// Error texts by status.
type Texts = Vec<(u8, Vec<u8>)>;

/// What all replies of the extended form together say.
fn gathered(
    replies: &[(Vec<u8>, Vec<u8>)],
    expected: &str,
    is_right: fn(&[u8], &[u8], &mut Texts) -> bool,
) -> Judgement {
    let mut texts = Texts::new();
    let wrong = replies.iter().find(|(request, reply)| !is_right(request, reply, &mut texts));
    match wrong {
        None => Judgement::holds([], ""),
        Some((request, reply)) => Judgement::broken([request.clone()], expected, hex(reply)),
    }
}

/// Error texts may be cut to fit, so one has to begin as the other.
fn is_fixed_text(_: &[u8], reply: &[u8], texts: &mut Texts) -> bool {
    let Some(reply) = extended::Reply::decode(reply).ok().filter(|reply| !reply.is_success()) else { return true };
    let skipped = if reply.status() == Some(Status::TooLarge) { extended::NEEDED } else { 0 };
    let text = reply.result().get(skipped..).unwrap_or_default();
    let status = reply.status_octet();
    if !text.iter().all(|octet| (0x20..=0x7e).contains(octet)) {
        return false;
    }
    match texts.iter_mut().find(|(known, _)| *known == status) {
        None => texts.push((status, text.to_vec())),
        Some((_, known)) if known.len() < text.len() && text.starts_with(known) => *known = text.to_vec(),
        Some((_, known)) => return known.starts_with(text),
    }
    true
}

impl Session<'_> {
    fn extended(&mut self, request: &[u8]) -> Result<Asked, Failure> {
        let asked = self.prober.ask(request)?;
        if let Some(reply) = asked.reply() {
            self.replies.push((request.to_vec(), reply.to_vec()));
        }
        Ok(asked)
    }

    fn golden(&mut self) -> Result<Judgement, Failure> {
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
    fn vectors(&mut self, operator: Operator, vectors: &[Vector]) -> Result<Judgement, Failure> {
        for (operands, result) in vectors {
            let operands: Vec<Number> = operands.iter().filter_map(|operand| operand.parse().ok()).collect();
            let width = operands.iter().map(Number::octet_len).max().unwrap_or(1);
            for format in [Format::Integer, Format::Text] {
                let request = request(operator, format, width, &operands);
                let judgement = self.expect(&request, format, result)?;
                if judgement.verdict != Verdict::Holds {
                    return Ok(judgement);
                }
            }
        }
        Ok(Judgement::holds([], ""))
    }

    /// Expects success with this number; wider integers than needed are a finding of their own.
    fn expect(&mut self, request: &[u8], format: Format, result: &str) -> Result<Judgement, Failure> {
        let asked = self.extended(request)?;
        let came =
            asked.reply().and_then(|reply| extended::Reply::decode(reply).ok()).filter(extended::Reply::is_success);
        let number = came.map(|reply| match format {
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
    fn statuses(&mut self, cases: &[(Vec<u8>, Status)]) -> Result<Judgement, Failure> {
        for (request, status) in cases {
            let asked = self.extended(request)?;
            let came =
                asked.reply().and_then(|reply| extended::Reply::decode(reply).ok()).map(|reply| reply.status_octet());
            if came != Some(status.octet()) {
                let expected = format!("status {} ({})", status.octet(), status.text());
                return Ok(match came {
                    Some(came) => broken_because(&asked, expected, &format!("status {came}")),
                    None => broken(&asked, expected),
                });
            }
        }
        Ok(Judgement::holds([], ""))
    }

    fn describe(&mut self) -> Result<Judgement, Failure> {
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

    fn identifiers(&mut self) -> Result<Judgement, Failure> {
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

    fn formats(&mut self) -> Result<Judgement, Failure> {
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

    fn least_width(&mut self) -> Result<Judgement, Failure> {
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

    fn text(&mut self) -> Result<Judgement, Failure> {
        for value in ["0", "-1", "10", "-10", "18446744073709551616", "-18446744073709551617"] {
            let Ok(number) = value.parse::<Number>() else { continue };
            let judgement = self.expect(&request(Operator::Sum, Format::Text, 16, &[number]), Format::Text, value)?;
            if judgement.verdict != Verdict::Holds {
                return Ok(judgement);
            }
        }
        Ok(Judgement::holds([], ""))
    }

    fn widths(&mut self) -> Result<Judgement, Failure> {
        for width in 1..=extended::MAX_WIDTH {
            let operands = [Number::from(-100), Number::from(42)];
            let judgement =
                self.expect(&request(Operator::Sum, Format::Integer, width, &operands), Format::Integer, "-58")?;
            if judgement.verdict != Verdict::Holds {
                return Ok(judgement);
            }
        }
        // With no operands any width is legal: what is wrong then is their number.
        self.statuses(&[(operation(b'+', 0, &[]), Status::Malformed), (operation(b'+', 255, &[]), Status::Malformed)])
    }

    /// Each request fails a check and all the later ones that it can.
    fn order(&mut self) -> Result<Judgement, Failure> {
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
    fn too_large(&mut self) -> Result<Judgement, Failure> {
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

    fn escape(&mut self) -> Result<Judgement, Failure> {
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

    fn refused_replies(&mut self) -> Result<Judgement, Failure> {
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

    fn pure(&mut self) -> Result<Judgement, Failure> {
        let request = operation(b'*', 2, &[1, 2, 3, 4, 5, 6]);
        let first = self.extended(&request)?;
        for other in [operation(b'|', 1, &[0xff; 200]), operation(b'/', 1, &[1, 0]), vec![3, 0, 0, 0, 9]] {
            self.prober.ask(&other)?;
            let again = self.extended(&request)?;
            if again.reply() != first.reply() {
                return Ok(broken(&again, first.came()));
            }
        }
        Ok(holds(&first))
    }

    fn refuses_or_wraps(&mut self) -> Result<Judgement, Failure> {
        let asked = self.prober.ask(&classic_request(Operator::Sum, Format::Integer, &[u32::MAX, 5]))?;
        Ok(match asked.reply().map(|reply| (reply.first().copied().unwrap_or(SUCCESS), reply)) {
            Some((first, _)) if first & SUCCESS_BIT == 0 => holds(&asked),
            Some((_, [_, 0, 0, 0, 4])) => holds(&asked),
            _ => broken(&asked, "an error, or ff 00000004"),
        })
    }
}

/// A request with the golden identifier: operator, width and the octets of its operands as they are.
fn operation(operator: u8, width: u8, octets: &[u8]) -> Vec<u8> {
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

fn with(mut datagram: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
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

/// Lengths and counts that no request has: (operator, width, octets).
const MALFORMED: [(u8, u8, &[u8]); 7] = [
    (b'+', 0, &[1]),
    (b'+', 4, &[0, 0, 0, 1, 0]),
    (b'+', 2, &[1]),
    (b'+', 1, &[]),
    (b'^', 1, &[2]),
    (b'^', 1, &[2, 3, 4]),
    (b'%', 1, &[7]),
];

const SUM: &[Vector] = &[(&["-2", "5"], "3"), (&["-5"], "-5"), (&["9223372036854775807", "1"], "9223372036854775808")];
const PRODUCT: &[Vector] =
    &[(&["-2", "5"], "-10"), (&["7"], "7"), (&["-4294967296", "4294967296"], "-18446744073709551616")];
const DIFFERENCE: &[Vector] = &[(&["10", "3", "-4"], "11"), (&["5"], "-5"), (&["-128"], "128")];
const QUOTIENT: &[Vector] =
    &[(&["7", "-2"], "-3"), (&["-7", "2"], "-3"), (&["100", "7", "2"], "7"), (&["0", "5"], "0")];
const REMAINDER: &[Vector] =
    &[(&["7", "-2"], "1"), (&["-7", "2"], "-1"), (&["100", "30", "7"], "3"), (&["-6", "3"], "0")];
const POWER: &[Vector] =
    &[(&["2", "10"], "1024"), (&["0", "0"], "1"), (&["-3", "3"], "-27"), (&["-1", "1000001"], "-1")];
const GCD: &[Vector] = &[(&["12", "-18"], "6"), (&["0", "0"], "0"), (&["-7"], "7"), (&["0", "-5"], "5")];
const LCM: &[Vector] = &[(&["4", "-6"], "12"), (&["0", "5"], "0"), (&["-7"], "7"), (&["2", "3", "5"], "30")];
const MIN: &[Vector] = &[(&["3", "-2", "5"], "-2"), (&["9"], "9")];
const MAX: &[Vector] = &[(&["3", "-2", "5"], "5"), (&["-9"], "-9")];
const AND: &[Vector] = &[(&["12", "10"], "8"), (&["-1", "255"], "255"), (&["-2"], "-2")];
const OR: &[Vector] = &[(&["12", "10"], "14"), (&["-256", "15"], "-241"), (&["0"], "0")];
const XOR: &[Vector] = &[(&["12", "10"], "6"), (&["-1", "1"], "-2"), (&["5"], "5")];

/// The tests of lengths rely on it.
const _: () = assert!(classic::MAX_REQUEST < MAX_REQUEST);
