//! The checks of a server of the classic form.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::extended;
use super::probe::{Asked, CONTROL, Observed, Prober};
use super::report::{Crash, Judgement, Report, Verdict, hex};
use super::shrink::shrink;
use super::subject::{Limits, Service};
use super::table::{Check, EXTENDED, SERVER};
use crate::Failure;
use calc6::arithmetic::{Number, evaluate};
use calc6::wire::{ERROR, Format, Operator, SUCCESS, SUCCESS_BIT, classic};

/// How long a datagram is made smaller; a server that hangs takes seconds for each try.
const SHRINK_TIME: Duration = Duration::from_secs(10);

/// The operands of the course's examples.
const ODD: [u32; 5] = [1, 3, 5, 7, 9];

/// What is needed to start another server like the one that is checked.
pub struct Recipe<'a> {
    /// The command, with placeholders.
    pub template: &'a [String],
    /// What it may use.
    pub limits: &'a Limits,
    /// How long it may take to listen.
    pub start_time: Duration,
}

/// Runs every check of a server.
pub fn check(mut prober: Prober, recipe: Option<&Recipe<'_>>, with_extended: bool) -> Result<Report, Failure> {
    let mut report = Report { role: "server", ..Report::default() };
    prober.learn_control()?;
    let extended: &[Check] = if with_extended { EXTENDED } else { &[] };
    let mut bench = Bench { prober: &mut prober, recipe, replies: Vec::new() };
    for check in SERVER.iter().chain(extended) {
        // What is gathered over all requests is judged when all have been made.
        if !GATHERED.contains(&check.key) {
            bench.run(check, &mut report)?;
        }
    }
    for check in SERVER.iter().chain(extended).filter(|check| GATHERED.contains(&check.key)) {
        match report.unmet(check) {
            Some(see) => report.add_not_judged(check, see),
            None => report.add(check, gathered(check.key, &bench.prober.observed, &bench.replies)),
        }
    }
    let order = |key: &str| SERVER.iter().chain(EXTENDED).position(|check| check.key == key);
    report.findings.sort_by_key(|finding| order(finding.check.key));
    report.crashes = crashes(&mut prober)?;
    Ok(report)
}

/// Checks that look at all that was seen.
const GATHERED: &[&str] =
    &["one-reply", "reply-length", "survives", "amplification", "x-header", "x-bound", "x-error-text"];

/// What the checks share.
pub struct Bench<'a> {
    pub prober: &'a mut Prober,
    recipe: Option<&'a Recipe<'a>>,
    /// Requests of the extended form, with their replies.
    pub replies: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Bench<'_> {
    fn run(&mut self, check: &'static Check, report: &mut Report) -> Result<(), Failure> {
        if let Some(see) = report.unmet(check) {
            report.add_not_judged(check, see);
            return Ok(());
        }
        if self.prober.gone() && !self.prober.can_restart() {
            report.add_not_judged(check, "survives");
            return Ok(());
        }
        let ends = self.prober.observed.ends.len();
        let judgement = match check.key {
            key if key.starts_with("x-") => extended::judge(key, self)?,
            key => self.judge(key)?,
        };
        // That it ended is one finding, `survives`, and no other.
        if self.prober.observed.ends.len() > ends && check.key != "answers" {
            report.add_not_judged(check, "survives");
        } else {
            report.add(check, judgement);
        }
        Ok(())
    }

    fn judge(&mut self, key: &str) -> Result<Judgement, Failure> {
        match key {
            "answers" => self.answers(),
            "source-port" => self.source_port(),
            "success" => self.success(),
            "sum" => self.integers(Operator::Sum, &[&ODD, &[200, 100], &[65_000, 1_000, 16_777_000]]),
            "product" => self.integers(Operator::Product, &[&ODD, &[300, 70_000]]),
            "text-sum" => self.texts(Operator::Sum, &[&ODD, &[1_000_000_000, 1]]),
            "text-product" => self.texts(Operator::Product, &[&ODD, &[300, 70_000]]),
            "unused-bits" => self.unused_bits(),
            "published" => self.published(),
            "unknown-opcode" => self.unknown_opcodes(2..=6),
            "opcode-7" => self.unknown_opcodes(7..=7),
            "one-operand" => self.one_operand(),
            "64-operands" => self.integers(Operator::Sum, &[&(1..=64).collect::<Vec<_>>()]),
            "unsigned" => self.integers(Operator::Sum, &[&[3_000_000_000, 1_000_000_000], &[u32::MAX]]),
            "zero" => self.texts(Operator::Sum, &[&[0, 0]]),
            "repeat" => self.repeat(),
            "silent-empty" => self.silent(&[Vec::new()]),
            "silent-header" => self.silent(&[vec![0x00], vec![0x03]]),
            "silent-ragged" => self.silent(&[vec![0, 0, 0, 0, 1, 0], vec![1, 0, 0, 0, 1, 0, 0, 0]]),
            "silent-replies" => self.silent_replies(),
            "overflow" => self.overflow(),
            "long-text" => self.long_text(),
            "asked-address" => self.asked_address(),
            "overflow-kind" => self.overflow_kind(),
            "signed-text" => self.signed_text(),
            "trailing-nul" => self.trailing_nul(),
            "over-64" => self.over_64(),
            "ragged-read" => self.ragged_read(),
            "reply-unused" => self.reply_unused(),
            "stray-octets" => self.stray_octets(),
            other => unreachable!("the table has a check that no code judges: {other}"),
        }
    }

    fn answers(&mut self) -> Result<Judgement, Failure> {
        let asked = self.ask(Operator::Sum, Format::Integer, &ODD)?;
        Ok(match asked.reply() {
            Some(_) => holds(&asked),
            None => broken(&asked, "a datagram in answer"),
        })
    }

    fn source_port(&mut self) -> Result<Judgement, Failure> {
        let asked = self.ask(Operator::Sum, Format::Integer, &ODD)?;
        let (target, from) = (self.prober.target(), asked.replies.first().map(|reply| reply.from));
        Ok(match from {
            Some(from) if from.port() == target.port() => holds(&asked),
            Some(from) => {
                let expected = format!("a reply from port {}", target.port());
                Judgement::broken([asked.sent.clone()], expected, format!("one from port {}", from.port()))
            }
            None => broken(&asked, "a reply"),
        })
    }

    fn success(&mut self) -> Result<Judgement, Failure> {
        let asked = self.ask(Operator::Sum, Format::Integer, &ODD)?;
        let Some(reply) = asked.reply() else { return Ok(broken(&asked, "a reply")) };
        Ok(match reply {
            [first, _, ..] if first & SUCCESS_BIT != 0 => holds(&asked),
            [0, 0, 0, 25] | [25, 0, 0, 0] => broken_because(&asked, "ff 00000019", "the header octet is missing"),
            [] => broken_because(&asked, "ff 00000019", "an empty datagram"),
            [_] => broken_because(&asked, "ff 00000019", "a header alone"),
            _ => broken_because(&asked, "ff 00000019", "S is 0: an error"),
        })
    }

    /// Judges integer results of several lists of operands; the first wrong one decides.
    fn integers(&mut self, operator: Operator, lists: &[&[u32]]) -> Result<Judgement, Failure> {
        let mut judgement = Judgement::not_judged("nothing was asked");
        for operands in lists {
            let asked = self.ask(operator, Format::Integer, operands)?;
            judgement = judge_integer(&asked, operator, operands);
            if judgement.verdict != Verdict::Holds {
                break;
            }
        }
        Ok(judgement)
    }

    /// Likewise, text results.
    fn texts(&mut self, operator: Operator, lists: &[&[u32]]) -> Result<Judgement, Failure> {
        let mut judgement = Judgement::not_judged("nothing was asked");
        for operands in lists {
            let asked = self.ask(operator, Format::Text, operands)?;
            judgement = judge_text(&asked, operator, operands);
            if judgement.verdict != Verdict::Holds {
                break;
            }
        }
        Ok(judgement)
    }

    fn unused_bits(&mut self) -> Result<Judgement, Failure> {
        for unused in 0..16 {
            for format in [Format::Integer, Format::Text] {
                let mut request = request(Operator::Sum, format, &[4, 2, 3]);
                request[0] |= unused << 4;
                let asked = self.prober.ask(&request)?;
                let judgement = judge(&asked, Operator::Sum, format, &[4, 2, 3]);
                if judgement.verdict != Verdict::Holds {
                    return Ok(judgement);
                }
            }
        }
        Ok(Judgement::holds([], "all 16 values"))
    }

    /// Clause 2.13.
    fn published(&mut self) -> Result<Judgement, Failure> {
        const CASES: [(u8, Operator, Format); 4] = [
            (0x50, Operator::Sum, Format::Integer),
            (0x71, Operator::Sum, Format::Text),
            (0x52, Operator::Product, Format::Integer),
            (0x83, Operator::Product, Format::Text),
        ];
        for (first, operator, format) in CASES {
            let mut request = request(operator, format, &[4, 2, 3]);
            request[0] = first;
            let asked = self.prober.ask(&request)?;
            let judgement = judge(&asked, operator, format, &[4, 2, 3]);
            if judgement.verdict != Verdict::Holds {
                return Ok(judgement);
            }
        }
        let mut request = request(Operator::Sum, Format::Text, &[4, 2, 3]);
        request[0] = 0x45;
        Ok(judge_error(&self.prober.ask(&request)?))
    }

    fn unknown_opcodes(&mut self, mut opcodes: std::ops::RangeInclusive<u8>) -> Result<Judgement, Failure> {
        let firsts = opcodes.by_ref().flat_map(|opcode| [opcode << 1, opcode << 1 | 1]);
        let mut judgement = Judgement::not_judged("nothing was asked");
        for first in firsts {
            let mut request = request(Operator::Sum, Format::Integer, &[4, 2, 3]);
            request[0] = first;
            judgement = judge_error(&self.prober.ask(&request)?);
            if judgement.verdict != Verdict::Holds {
                break;
            }
        }
        Ok(judgement)
    }

    fn one_operand(&mut self) -> Result<Judgement, Failure> {
        for operator in [Operator::Sum, Operator::Product] {
            let judgement = self.integers(operator, &[&[77], &[0]])?;
            if judgement.verdict != Verdict::Holds {
                return Ok(judgement);
            }
        }
        Ok(Judgement::holds([], ""))
    }

    fn repeat(&mut self) -> Result<Judgement, Failure> {
        for other in 0..3_u32 {
            let judgement = self.integers(Operator::Sum, &[&ODD, &[1_000_000 + other; 40]])?;
            if judgement.verdict != Verdict::Holds {
                return Ok(judgement);
            }
        }
        Ok(Judgement::holds([], ""))
    }

    /// None of the datagrams may be answered.
    fn silent(&mut self, datagrams: &[Vec<u8>]) -> Result<Judgement, Failure> {
        for datagram in datagrams {
            let asked = self.prober.ask(datagram)?;
            if asked.reply().is_some() {
                return Ok(broken(&asked, "no answer"));
            }
        }
        Ok(Judgement::holds(datagrams, "no answer"))
    }

    /// A success and errors of other servers; with lengths that requests have, and without.
    fn silent_replies(&mut self) -> Result<Judgement, Failure> {
        let error = [&[ERROR], classic::UNKNOWN_OPCODE.as_bytes()].concat();
        self.silent(&[vec![SUCCESS, 0, 0, 0, 25], error, vec![ERROR, 0, 0, 0, 1]])
    }

    fn overflow(&mut self) -> Result<Judgement, Failure> {
        for (operator, operands) in OVERFLOWS {
            let asked = self.ask(operator, Format::Integer, operands)?;
            let refused = asked.reply().is_none_or(|reply| reply.first().is_some_and(|first| first & SUCCESS_BIT == 0));
            if !refused {
                return Ok(broken(&asked, format!("an error: the result is {}", exact(operator, operands))));
            }
        }
        Ok(Judgement::holds([], "refused"))
    }

    fn overflow_kind(&mut self) -> Result<Judgement, Failure> {
        let mut kinds = Vec::new();
        let mut sent = Vec::new();
        for (operator, operands) in OVERFLOWS {
            let asked = self.ask(operator, Format::Integer, operands)?;
            let wrapped = exact(operator, operands).to_string_radix(16);
            let low = u32::from_str_radix(&wrapped[wrapped.len().saturating_sub(8)..], 16).unwrap_or_default();
            kinds.push(match asked.reply() {
                None => "does not answer",
                Some([first, ..]) if first & SUCCESS_BIT == 0 => "refuses",
                Some([_, value @ ..]) if value == low.to_be_bytes() => "wraps modulo 2^32",
                Some([_, 0xff, 0xff, 0xff, 0xff]) => "saturates at 2^32 - 1",
                Some([_, 0x7f, 0xff, 0xff, 0xff]) => "saturates at 2^31 - 1",
                Some(_) => "answers some other number",
            });
            sent.push(asked.sent);
        }
        Ok(Judgement::noted(sent, format!("sum: {}; product: {}", kinds[0], kinds[1])))
    }

    /// 2^70 + 1 and 251 digits: beyond the words of machines. Then 261 digits: beyond the form.
    fn long_text(&mut self) -> Result<Judgement, Failure> {
        let longest = [u32::MAX; 26];
        for operands in [&[1 << 31, 1 << 31, 1 << 8][..], &[u32::MAX, 2][..], &longest[..]] {
            let asked = self.ask(Operator::Product, Format::Text, operands)?;
            let expected = exact(Operator::Product, operands).to_string();
            let right = match asked.reply() {
                Some([first, digits @ ..]) if first & SUCCESS_BIT != 0 => without_nul(digits) == expected.as_bytes(),
                _ => true,
            };
            if !right {
                return Ok(broken(&asked, format!("{expected}, or an error")));
            }
        }
        let asked = self.ask(Operator::Product, Format::Text, &[u32::MAX; 27])?;
        Ok(match asked.reply() {
            Some([first, ..]) if first & SUCCESS_BIT != 0 => broken(&asked, "an error: the result has 261 digits"),
            _ => holds(&asked),
        })
    }

    /// Asks a server on the wildcard address at 127.0.0.2: without packet information the reply comes from 127.0.0.1.
    fn asked_address(&mut self) -> Result<Judgement, Failure> {
        let asked_at = Ipv4Addr::new(127, 0, 0, 2);
        let mut started = None;
        let port = match self.recipe {
            Some(Recipe { template, limits, start_time }) => {
                let service = Service::start(template, Ipv6Addr::UNSPECIFIED.into(), limits, *start_time);
                let Ok(service) = service else {
                    return Ok(Judgement::not_judged("it does not start on the address ::"));
                };
                started.insert(service).address().port()
            }
            None if self.prober.target().ip().to_canonical().is_loopback() => self.prober.target().port(),
            None => return Ok(Judgement::not_judged("it is not on this machine, and has but one address here")),
        };
        let target = SocketAddr::new(asked_at.into(), port);
        let asked = Prober::new(target, started, Duration::from_millis(300)).ask(&request(
            Operator::Sum,
            Format::Integer,
            &ODD,
        ))?;
        Ok(match asked.replies.first() {
            None => Judgement::not_judged("it answers at one address only"),
            Some(reply) if reply.from.ip() == target.ip() => holds(&asked),
            Some(reply) => Judgement::broken(
                [asked.sent.clone()],
                format!("a reply from {asked_at}"),
                format!("one from {}", reply.from.ip()),
            ),
        })
    }

    fn signed_text(&mut self) -> Result<Judgement, Failure> {
        let asked = self.ask(Operator::Sum, Format::Text, &[3_000_000_000])?;
        let digits = asked.reply().and_then(|reply| reply.get(1..)).map(without_nul).unwrap_or_default();
        let kind = match digits {
            b"3000000000" => "unsigned, as the operands are",
            b"-1294967296" => "signed: as a negative number",
            _ => "neither as an unsigned nor as a signed number",
        };
        Ok(Judgement::noted([asked.sent.clone()], format!("{kind}: {}", asked.came())))
    }

    fn trailing_nul(&mut self) -> Result<Judgement, Failure> {
        let asked = self.ask(Operator::Sum, Format::Text, &ODD)?;
        let kind = match asked.reply() {
            Some([.., 0]) => "ends with a NUL",
            _ => "ends with the last digit",
        };
        Ok(Judgement::noted([asked.sent.clone()], kind))
    }

    fn over_64(&mut self) -> Result<Judgement, Failure> {
        let operands: Vec<u32> = (1..=65).collect();
        let asked = self.ask(Operator::Sum, Format::Integer, &operands)?;
        let kind = match asked.reply() {
            None => "does not answer",
            Some([first, ..]) if first & SUCCESS_BIT == 0 => "answers an error",
            Some([_, value @ ..]) if value == 2145_u32.to_be_bytes() => "computes all 65",
            Some([_, value @ ..]) if value == 2080_u32.to_be_bytes() => {
                "computes the first 64 and says nothing of the rest"
            }
            Some(_) => "answers some other number",
        };
        Ok(Judgement::noted([asked.sent.clone()], kind))
    }

    /// Fills what buffers there are with a pattern, then cuts the second operand in the middle. The control request,
    /// which has been in the same buffer last, tells where missing octets come from.
    fn ragged_read(&mut self) -> Result<Judgement, Failure> {
        let stale = 7 + u32::from_be_bytes([0, 5, CONTROL[7], CONTROL[8]]);
        let mut sent = Vec::new();
        let mut kind = "does not answer";
        for format in [Format::Integer, Format::Text] {
            self.ask(Operator::Sum, format, &[0x0101_0101; 64])?;
            let mut cut = request(Operator::Sum, format, &[7, 0x0005_0000]);
            cut.truncate(classic::HEADER + classic::OPERAND + 2);
            let asked = self.prober.ask(&cut)?;
            let value = match (asked.reply(), format) {
                (None, _) => None,
                (Some([first, ..]), _) if first & SUCCESS_BIT == 0 => {
                    kind = "answers an error";
                    None
                }
                (Some([_, value @ ..]), Format::Integer) => <[u8; 4]>::try_from(value).ok().map(u32::from_be_bytes),
                (Some([_, digits @ ..]), _) => {
                    str::from_utf8(without_nul(digits)).ok().and_then(|text| text.parse().ok())
                }
                (Some([]), _) => None,
            };
            match value {
                None => {}
                Some(7) => kind = "leaves the cut operand out",
                Some(12) => kind = "takes the octets that came as a smaller integer",
                Some(0x0005_0007) => kind = "takes the missing octets as 0",
                Some(value) if value == stale => {
                    kind = "reads the missing octets from an earlier request: an over-read"
                }
                Some(_) => kind = "answers some other number: an over-read, perhaps of memory that nobody set",
            }
            sent.push(cut);
        }
        Ok(Judgement::noted(sent, kind))
    }

    fn reply_unused(&mut self) -> Result<Judgement, Failure> {
        let success = self.ask(Operator::Sum, Format::Integer, &ODD)?;
        let mut unknown = request(Operator::Sum, Format::Integer, &ODD);
        unknown[0] = 2 << 1;
        let error = self.prober.ask(&unknown)?;
        let bits = |asked: &Asked| match asked.reply() {
            Some([first, ..]) => format!("0x{:02x}", first & !SUCCESS_BIT),
            _ => "no reply".into(),
        };
        let came = format!("{} in a success, {} in an error", bits(&success), bits(&error));
        Ok(Judgement::noted([success.sent, error.sent], came))
    }

    fn stray_octets(&mut self) -> Result<Judgement, Failure> {
        let mut unknown = request(Operator::Sum, Format::Integer, &[4, 2, 3]);
        unknown[0] = 2 << 1;
        let requests =
            [request(Operator::Sum, Format::Integer, &ODD), request(Operator::Product, Format::Text, &ODD), unknown];
        let mut came = String::from("none seen");
        for request in &requests {
            let first = self.prober.ask(request)?;
            for fill in [0x41_u32, 0x5a5a_5a5a, 0xffff_ffff] {
                self.ask(Operator::Product, Format::Text, &[fill, 3, 1])?;
                self.ask(Operator::Sum, Format::Integer, &[fill; 64])?;
                let again = self.prober.ask(request)?;
                if let (Some(a), Some(b)) = (first.reply(), again.reply())
                    && a != b
                {
                    came = format!("{} and {}", hex(a), hex(b));
                }
            }
        }
        Ok(Judgement::noted(requests, came))
    }

    fn ask(&mut self, operator: Operator, format: Format, operands: &[u32]) -> Result<Asked, Failure> {
        self.prober.ask(&request(operator, format, operands))
    }
}

/// A sum and a product that do not fit 32 bits.
const OVERFLOWS: [(Operator, &[u32]); 2] = [(Operator::Sum, &[u32::MAX, 5]), (Operator::Product, &[70_000, 70_000])];

/// A request in the classic form, however many operands it has.
pub fn request(operator: Operator, format: Format, operands: &[u32]) -> Vec<u8> {
    let opcode = u8::from(operator == Operator::Product);
    let mut datagram = vec![opcode << 1 | format as u8];
    datagram.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
    datagram
}

/// The exact result.
pub fn exact(operator: Operator, operands: &[u32]) -> Number {
    let numbers: Vec<Number> = operands.iter().map(|operand| Number::from(*operand)).collect();
    evaluate(operator, &numbers, u64::MAX).unwrap_or(Number::ZERO)
}

/// Judges the answer to a request whose exact result fits 32 bits.
pub fn judge(asked: &Asked, operator: Operator, format: Format, operands: &[u32]) -> Judgement {
    match format {
        Format::Integer => judge_integer(asked, operator, operands),
        Format::Text => judge_text(asked, operator, operands),
    }
}

fn judge_integer(asked: &Asked, operator: Operator, operands: &[u32]) -> Judgement {
    let Ok(value) = u32::try_from(&exact(operator, operands)) else {
        return Judgement::not_judged("the result does not fit 32 bits");
    };
    let expected = hex(&[&[SUCCESS][..], &value.to_be_bytes()].concat());
    match asked.reply() {
        None => broken(asked, expected),
        Some([first, result @ ..]) if first & SUCCESS_BIT != 0 && result == value.to_be_bytes() => holds(asked),
        Some(reply) => broken_because(asked, expected, &diagnose_integer(reply, operator, operands, value)),
    }
}

/// What a wrong integer reply looks like.
fn diagnose_integer(reply: &[u8], operator: Operator, operands: &[u32], value: u32) -> String {
    let other = if operator == Operator::Sum { Operator::Product } else { Operator::Sum };
    let other = u32::try_from(&exact(other, operands)).ok();
    let swapped: Vec<u32> = operands.iter().map(|operand| operand.swap_bytes()).collect();
    let swapped_in = exact(operator, &swapped).to_string_radix(16);
    let swapped_in = u32::from_str_radix(&swapped_in[swapped_in.len().saturating_sub(8)..], 16).unwrap_or_default();
    match reply {
        [] => "an empty datagram".into(),
        whole if whole == value.to_be_bytes() => "the header octet is missing".into(),
        [first, ..] if first & SUCCESS_BIT == 0 => "S is 0: an error".into(),
        [_, rest @ ..] if rest == value.to_string().as_bytes() => "text, though F is 0".into(),
        [_, rest @ ..] if rest.len() != classic::OPERAND => format!("{} octets of result instead of 4", rest.len()),
        [_, rest @ ..] if rest == value.to_le_bytes() => "the result is in little-endian order".into(),
        [_, rest @ ..] if rest == swapped_in.to_be_bytes() => "the operands are read in little-endian order".into(),
        [_, rest @ ..] if rest == swapped_in.to_le_bytes() => "operands and result are in little-endian order".into(),
        [_, rest @ ..] if other.is_some_and(|other| rest == other.to_be_bytes()) => {
            "the result of the other opcode".into()
        }
        [_, rest @ ..] => format!("the number {}", Number::from_unsigned_octets(rest)),
    }
}

fn judge_text(asked: &Asked, operator: Operator, operands: &[u32]) -> Judgement {
    let text = exact(operator, operands).to_string();
    let expected = format!("{} (\"{text}\")", hex(&[&[SUCCESS], text.as_bytes()].concat()));
    match asked.reply() {
        None => broken(asked, expected),
        Some([first, digits @ ..]) if first & SUCCESS_BIT != 0 && without_nul(digits) == text.as_bytes() => {
            holds(asked)
        }
        Some([first, ..]) if first & SUCCESS_BIT == 0 => broken_because(asked, expected, "S is 0: an error"),
        Some([_, rest @ ..]) => {
            let value = u32::try_from(&exact(operator, operands)).ok();
            let why = match rest {
                rest if value.is_some_and(|value| rest == value.to_be_bytes()) => "an integer, though F is 1".into(),
                rest if rest.starts_with(text.as_bytes()) => {
                    format!("{} more octets behind the digits", rest.len() - text.len())
                }
                rest => format!("{:?}", String::from_utf8_lossy(rest)),
            };
            broken_because(asked, expected, &why)
        }
        Some([]) => broken_because(asked, expected, "an empty datagram"),
    }
}

/// An error of any length.
fn judge_error(asked: &Asked) -> Judgement {
    match asked.reply() {
        Some([first, ..]) if first & SUCCESS_BIT == 0 => holds(asked),
        Some([_, ..]) => broken_because(asked, "an error: S = 0", "a success"),
        _ => broken(asked, "an error: S = 0"),
    }
}

/// What all requests together say.
fn gathered(key: &str, observed: &Observed, replies: &[(Vec<u8>, Vec<u8>)]) -> Judgement {
    let none = |seen: &Option<Asked>, expected: &str| match seen {
        None => Judgement::holds([], ""),
        Some(asked) => broken(asked, expected),
    };
    match key {
        "one-reply" => none(&observed.several, "one datagram"),
        "reply-length" => none(&observed.too_long, "at most 257 octets"),
        "amplification" => match &observed.amplified {
            None => Judgement::holds([], ""),
            Some(asked) => {
                let longest = asked.replies.iter().map(|reply| reply.octets.len()).max().unwrap_or_default();
                let expected = format!("at most {} octets for {}", 3 * asked.sent.len(), asked.sent.len());
                Judgement::broken([asked.sent.clone()], expected, format!("{longest} octets"))
            }
        },
        "survives" => match observed.ends.first() {
            None => Judgement::holds([], ""),
            Some(end) => Judgement::broken([end.datagram.clone()], "that it goes on serving", end.how.clone()),
        },
        key => extended::gathered(key, replies),
    }
}

/// Every datagram that ended the server, the first of them made as small as it goes.
fn crashes(prober: &mut Prober) -> Result<Vec<Crash>, Failure> {
    let ends = std::mem::take(&mut prober.observed.ends);
    let mut crashes: Vec<Crash> = Vec::new();
    for end in ends {
        let datagram = hex(&end.datagram);
        if crashes.iter().any(|crash| crash.datagram == datagram) {
            continue;
        }
        let shrunk = match prober.can_restart() && crashes.is_empty() {
            true => shrink_crash(prober, &end.datagram)?.map(|datagram| hex(&datagram)),
            false => None,
        };
        crashes.push(Crash { datagram, how: end.how, shrunk });
    }
    Ok(crashes)
}

/// The smallest datagram that still ends the server when it is the first one; `None` if the given one does not.
pub fn shrink_crash(prober: &mut Prober, datagram: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let deadline = Instant::now() + SHRINK_TIME;
    let mut failure = None;
    prober.believe_silence_at_once(true);
    let mut ends = |candidate: &[u8]| match prober.ask(candidate) {
        Ok(_) if Instant::now() > deadline => false,
        Ok(asked) => asked.end.is_some(),
        Err(error) => {
            failure = Some(error);
            false
        }
    };
    let shrunk = if ends(datagram) { Some(shrink(datagram, &mut ends)) } else { None };
    prober.believe_silence_at_once(false);
    match failure {
        Some(error) => Err(error),
        None => Ok(shrunk),
    }
}

pub fn holds(asked: &Asked) -> Judgement {
    Judgement::holds([asked.sent.clone()], asked.came())
}

pub fn broken(asked: &Asked, expected: impl Into<String>) -> Judgement {
    Judgement::broken([asked.sent.clone()], expected, asked.came())
}

pub fn broken_because(asked: &Asked, expected: impl Into<String>, why: &str) -> Judgement {
    Judgement::broken([asked.sent.clone()], expected, format!("{}: {why}", asked.came()))
}

fn without_nul(text: &[u8]) -> &[u8] {
    text.strip_suffix(&[0]).unwrap_or(text)
}
