//! What is recommended to a server, and what it does where the course leaves it open.

use calc6::wire::{ERROR, Format, Operator, SUCCESS, SUCCESS_BIT, classic};

use super::diagnosis;
use super::session::Judge::Now;
use super::session::{Judge, ODD, ServerCheck, ServerSession, broken, exact, holds, request, with_first};
use crate::Failure;
use crate::check::probe::{CONTROL, Probe, without_nul};
use crate::check::report::{Advice, Judgement, hex};
use crate::check::table::Level::{Informative, Should};
use crate::check::table::{Check, Level};

/// A sum and a product that do not fit 32 bits.
const OVERFLOWS: [(Operator, &[u32]); 2] = [(Operator::Sum, &[u32::MAX, 5]), (Operator::Product, &[70_000, 70_000])];

/// What is recommended.
pub const RECOMMENDED: &[ServerCheck] = &[
    check(
        "silent-empty",
        "2.7",
        Should,
        "an empty datagram is not answered",
        "It has no header to answer to. (recvfrom returns 0 for it; in UDP that is not an end of file.)",
        &["others"],
        Now(|session| silent(session, &[Vec::new()])),
    ),
    check(
        "silent-header",
        "2.7",
        Should,
        "a header without operands is not answered",
        "A header alone could be an error that another server sent: answering it can start an endless loop.",
        &["others"],
        Now(|session| silent(session, &[vec![0x00], vec![0x03]])),
    ),
    check(
        "silent-ragged",
        "2.7",
        Should,
        "operands that are not whole are not answered",
        "The last operand was truncated on its way, or was never one: any result would be a guess.",
        &["others"],
        Now(|session| silent(session, &[vec![0, 0, 0, 0, 1, 0], vec![1, 0, 0, 0, 1, 0, 0, 0]])),
    ),
    check(
        "silent-replies",
        "4.1",
        Should,
        "datagrams that start as replies, 0xff or 0x7f, are not answered",
        "Two servers that answer each other's errors loop forever, started by one datagram with a forged source \
         (CVE-2024-2169).",
        &["others"],
        Now(silent_replies),
    ),
    check(
        "overflow",
        "2.9",
        Should,
        "a result over 2^32 - 1 with F = 0 is refused",
        "A wrong number without an error is the worst answer: the client takes it for the right one.",
        &["product"],
        Now(overflow),
    ),
    check(
        "long-text",
        "2.10",
        Should,
        "text results of up to 256 digits are exact; longer or unsupported results are an error",
        "Text has no word size. What does not fit the machine's words needs integers of any size, or an error.",
        &["text-product"],
        Now(long_text),
    ),
];

/// What is only noted.
pub const NOTED: &[ServerCheck] = &[
    check(
        "overflow-kind",
        "2.9",
        Informative,
        "what it does with a result over 2^32 - 1 and F = 0",
        "The course leaves it open.",
        &["product"],
        Now(overflow_kind),
    ),
    check(
        "signed-text",
        "2.11",
        Informative,
        "how a result from 2^31 to 2^32 - 1 is written as text",
        "printf's %d prints such a number as a negative one; %u prints what was meant.",
        &["text-sum"],
        Now(signed_text),
    ),
    check(
        "trailing-nul",
        "2.11",
        Informative,
        "whether text ends with a NUL",
        "The length of a datagram is known; strlen(s) + 1 sends one octet too many.",
        &["text-sum"],
        Now(trailing_nul),
    ),
    check(
        "over-64",
        "2.7",
        Informative,
        "what it does with a request of 65 operands",
        "A buffer of 257 octets truncates it to 64 operands and gives a wrong sum; recvfrom with MSG_TRUNC tells.",
        &["sum", "64-operands"],
        Now(over_64),
    ),
    check(
        "ragged-read",
        "2.7",
        Informative,
        "what is read where the last operand is not whole",
        "A loop that counts operands by rounding up reads beyond the datagram: old octets of other clients.",
        &["sum"],
        Now(ragged_read),
    ),
    check(
        "reply-unused",
        "2.5",
        Informative,
        "the value of the reply's seven unused bits",
        "Clients ignore them. If all of them are 1, a server recognises a reply, and does not answer it.",
        &["success"],
        Now(reply_unused),
    ),
    check(
        "stray-octets",
        "7.5",
        Informative,
        "whether replies to the same request differ in any octet",
        "Octets that are not set hold old contents of memory, perhaps secret ones.",
        &["success"],
        Now(stray_octets),
    ),
];

const fn check(
    key: &'static str,
    clause: &'static str,
    level: Level,
    title: &'static str,
    why: &'static str,
    needs: &'static [&'static str],
    judge: Judge,
) -> ServerCheck {
    ServerCheck { check: Check { key, clause, level, title, why, needs }, judge }
}

/// What a datagram is that was answered and should not have been.
fn answered(datagram: &[u8]) -> Advice {
    let likely = match datagram {
        [] => "its length, 0, is not looked at",
        [_] => "a header alone is read as a request",
        [0xff | 0x7f, ..] => "a reply is read as a request",
        _ => "its length is not looked at: 1 + 4n octets, and nothing else",
    };
    Advice::new(
        likely,
        "Check the length, and the first octet, before anything else; where they are wrong, send nothing.",
    )
}

/// None of the datagrams may be answered.
fn silent(session: &mut ServerSession<'_>, datagrams: &[Vec<u8>]) -> Result<Judgement, Failure> {
    for datagram in datagrams {
        let asked = session.prober.try_datagram(datagram)?;
        if asked.reply().is_some() {
            return Ok(broken(&asked, "no answer").because(answered(datagram)));
        }
    }
    Ok(Judgement::holds(datagrams, "no answer"))
}

/// A success and errors of other servers; with lengths that requests have, and without.
fn silent_replies(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let error = [&[ERROR], classic::UNKNOWN_OPCODE.as_bytes()].concat();
    silent(session, &[vec![SUCCESS, 0, 0, 0, 25], error, vec![ERROR, 0, 0, 0, 1]])
}

fn overflow(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    for (operator, operands) in OVERFLOWS {
        let asked = session.prober.try_datagram(&request(operator, Format::Integer, operands))?;
        let refused = asked.reply().is_none_or(|reply| reply.first().is_some_and(|first| first & SUCCESS_BIT == 0));
        if !refused {
            let advice = Advice::new(
                "the result wraps, or is truncated to 32 bits",
                "Compute in 64 bits, and answer an error if the result is over 4294967295.",
            );
            return Ok(broken(&asked, format!("an error: the result is {}", exact(operator, operands))).because(advice));
        }
    }
    Ok(Judgement::holds([], "refused"))
}

fn overflow_kind(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let mut kinds = Vec::new();
    let mut sent = Vec::new();
    for (operator, operands) in OVERFLOWS {
        let asked = session.prober.try_datagram(&request(operator, Format::Integer, operands))?;
        let wrapped = exact(operator, operands).to_string_radix(16);
        let low = u32::from_str_radix(&wrapped[wrapped.len().saturating_sub(8)..], 16).unwrap_or_default();
        kinds.push(match asked.reply() {
            None => "does not answer",
            Some([first, ..]) if first & SUCCESS_BIT == 0 => "refuses",
            Some([_, value @ ..]) if value == low.to_be_bytes() => "wraps modulo 2^32",
            Some([_, 0xff, 0xff, 0xff, 0xff]) => "saturates at 2^32 - 1",
            Some([_, 0x7f, 0xff, 0xff, 0xff]) => "saturates at 2^31 - 1",
            Some(_) => "answers with another number",
        });
        sent.push(asked.sent);
    }
    Ok(Judgement::noted(sent, format!("sum: {}; product: {}", kinds[0], kinds[1])))
}

/// 2^70 + 1 and 251 digits: beyond the words of machines. Then 261 digits: beyond the form.
fn long_text(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let mut longest = [u32::MAX; 27];
    longest[26] = 99_999;
    for operands in [&[1 << 31, 1 << 31, 1 << 8][..], &[u32::MAX, 2][..], &longest[..]] {
        let asked = session.prober.try_datagram(&request(Operator::Product, Format::Text, operands))?;
        let expected = exact(Operator::Product, operands).to_string();
        let right = match asked.reply() {
            Some([first, digits @ ..]) if first & SUCCESS_BIT != 0 => without_nul(digits) == expected.as_bytes(),
            _ => true,
        };
        if !right {
            let advice = asked.reply().and_then(|reply| diagnosis::long_text(reply, &expected));
            return Ok(broken(&asked, format!("{expected}, or an error")).because(advice));
        }
    }
    let asked = session.prober.try_datagram(&request(Operator::Product, Format::Text, &[u32::MAX; 27]))?;
    Ok(match asked.reply() {
        Some([first, ..]) if first & SUCCESS_BIT != 0 => broken(&asked, "an error: the result has 261 digits"),
        _ => holds(&asked),
    })
}

fn signed_text(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let asked = session.ask(Operator::Sum, Format::Text, &[3_000_000_000])?;
    let digits = asked.reply().and_then(|reply| reply.get(1..)).map(without_nul).unwrap_or_default();
    let kind = match digits {
        b"3000000000" => "unsigned, as the operands are",
        b"-1294967296" => "signed: as a negative number",
        _ => "neither as an unsigned nor as a signed number",
    };
    Ok(Judgement::noted([asked.sent.clone()], format!("{kind}: {}", asked.found())))
}

fn trailing_nul(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let asked = session.ask(Operator::Sum, Format::Text, &ODD)?;
    let kind = match asked.reply() {
        Some([.., 0]) => "ends with a NUL",
        _ => "ends with the last digit",
    };
    Ok(Judgement::noted([asked.sent.clone()], kind))
}

fn over_64(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let operands: Vec<u32> = (1..=65).collect();
    let asked = session.prober.try_datagram(&request(Operator::Sum, Format::Integer, &operands))?;
    let kind = match asked.reply() {
        None => "does not answer",
        Some([first, ..]) if first & SUCCESS_BIT == 0 => "answers with an error",
        Some([_, value @ ..]) if value == 2145_u32.to_be_bytes() => "computes all 65",
        Some([_, value @ ..]) if value == 2080_u32.to_be_bytes() => {
            "computes the first 64 and ignores the rest silently"
        }
        Some(_) => "answers with another number",
    };
    Ok(Judgement::noted([asked.sent.clone()], kind))
}

/// Fills what buffers there are with a pattern, then cuts the second operand in the middle. The control request,
/// which has been in the same buffer last, tells where missing octets come from.
fn ragged_read(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let stale = 7 + u32::from_be_bytes([0, 5, CONTROL[7], CONTROL[8]]);
    let mut sent = Vec::new();
    let mut kind = "does not answer";
    for format in [Format::Integer, Format::Text] {
        session.ask(Operator::Sum, format, &[0x0101_0101; 64])?;
        let mut truncated = request(Operator::Sum, format, &[7, 0x0005_0000]);
        truncated.truncate(classic::HEADER + classic::OPERAND + 2);
        session.prober.ask(&CONTROL)?;
        let asked = session.prober.try_datagram(&truncated)?;
        let value = match (asked.reply(), format) {
            (None, _) => None,
            (Some([first, ..]), _) if first & SUCCESS_BIT == 0 => {
                kind = "answers with an error";
                None
            }
            (Some([_, value @ ..]), Format::Integer) => <[u8; 4]>::try_from(value).ok().map(u32::from_be_bytes),
            (Some([_, digits @ ..]), _) => str::from_utf8(without_nul(digits)).ok().and_then(|text| text.parse().ok()),
            (Some([]), _) => None,
        };
        match value {
            None => {}
            Some(7) => kind = "leaves the truncated operand out",
            Some(12) => kind = "takes the received octets as a smaller integer",
            Some(0x0005_0007) => kind = "takes the missing octets as 0",
            Some(value) if value == stale => kind = "reads the missing octets from an earlier request: an over-read",
            Some(_) => kind = "answers with another number: an over-read, perhaps of uninitialised memory",
        }
        sent.push(truncated);
    }
    Ok(Judgement::noted(sent, kind))
}

fn reply_unused(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let success = session.ask(Operator::Sum, Format::Integer, &ODD)?;
    let unknown = with_first(2 << 1, request(Operator::Sum, Format::Integer, &ODD));
    let error = session.prober.ask(&unknown)?;
    let bits = |asked: &Probe| match asked.reply() {
        Some([first, ..]) => format!("0x{:02x}", first & !SUCCESS_BIT),
        _ => "no reply".into(),
    };
    let found = format!("{} in a success, {} in an error", bits(&success), bits(&error));
    Ok(Judgement::noted([success.sent, error.sent], found))
}

fn stray_octets(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let unknown = with_first(2 << 1, request(Operator::Sum, Format::Integer, &[4, 2, 3]));
    let requests =
        [request(Operator::Sum, Format::Integer, &ODD), request(Operator::Product, Format::Text, &ODD), unknown];
    let mut found = String::from("none seen");
    for request in &requests {
        let first = session.prober.ask(request)?;
        for fill in [0x41_u32, 0x5a5a_5a5a, 0xffff_ffff] {
            session.ask(Operator::Product, Format::Text, &[fill, 3, 1])?;
            session.ask(Operator::Sum, Format::Integer, &[fill; 64])?;
            let again = session.prober.ask(request)?;
            if let (Some(a), Some(b)) = (first.reply(), again.reply())
                && a != b
            {
                found = format!("{} and {}", hex(a), hex(b));
            }
        }
    }
    Ok(Judgement::noted(requests, found))
}
