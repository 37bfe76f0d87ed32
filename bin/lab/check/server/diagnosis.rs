//! From a wrong answer to the mistake behind it, in the words of its author.
//!
//! An explanation is given only if it predicts all answers to several requests that tell the usual mistakes apart.

use calc6::wire::{Format, Operator, SUCCESS_BIT, classic};

use super::mistakes::{MISTAKES, NTOHL, swapped};
use super::session::{ODD, ServerSession, exact, exact_u64, judge, other, request, with_first};
use crate::Failure;
use crate::check::probe::Probe;
use crate::check::report::Advice;

/// Operands whose results differ under every mistake that is known here.
const TELLING: [&[u32]; 4] =
    [&[1, 3, 5, 7, 9], &[200, 100], &[0x0102_0304, 0x0002_0a0b, 1], &[0x0102_037f, 0x7f, 0x7f]];

/// How long a datagram that is meant to explain something is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(400);

/// The mistake behind a wrong integer; asks some more.
pub fn integer(
    session: &mut ServerSession<'_>,
    operator: Operator,
    asked: &Probe,
    operands: &[u32],
) -> Result<Option<Advice>, Failure> {
    let reply = asked.reply();
    if let Some(advice) = reply.and_then(|reply| shape(reply, operands, operator)) {
        return Ok(Some(advice));
    }
    let mut seen = vec![(operands.to_vec(), reply.map(<[u8]>::to_vec))];
    for telling in TELLING {
        let asked = session.ask(operator, Format::Integer, telling)?;
        seen.push((telling.to_vec(), asked.reply().map(<[u8]>::to_vec)));
    }
    if operator == Operator::Product
        && seen.iter().all(|(_, reply)| reply.as_ref().is_some_and(|reply| reply.ends_with(&[0; 4])))
    {
        return zero_product(session).map(Some);
    }
    if let Some(mistake) = MISTAKES
        .iter()
        .find(|mistake| seen.iter().all(|(operands, reply)| mistake.predicts(operator, operands, reply.as_deref())))
    {
        return Ok(Some(Advice::new(mistake.likely, mistake.hint)));
    }
    if is_imprecise(operator, &seen) {
        return Ok(Some(Advice::new(
            "the result is rounded: a float has 24 bits of precision",
            "Compute with uint64_t: float and double are for measurements.",
        )));
    }
    let [first, second] = [0; 2].map(|_| session.ask(operator, Format::Integer, &ODD));
    let (first, second) = (first?, second?);
    if first.reply() != second.reply() {
        return Ok(Some(Advice::new(
            "the result of an earlier request is still in the variable when the next one begins",
            "Set the result at the beginning of each request: to 0 for a sum, to 1 for a product.",
        )));
    }
    let rest = session.ask(operator, Format::Integer, &[7])?;
    if judge(&rest, operator, Format::Integer, &[7]).is_good() && reply.is_none() {
        return Ok(Some(Advice::new(
            "requests with several operands are not answered",
            "Look at what is done with the length.",
        )));
    }
    Ok(None)
}

/// What is wrong with a reply as a whole.
fn shape(reply: &[u8], operands: &[u32], operator: Operator) -> Option<Advice> {
    let value = u32::try_from(&exact(operator, operands)).ok()?;
    let octets = value.to_be_bytes();
    Some(match reply {
        [_, rest @ ..] if rest.starts_with(&octets) && rest.len() > 8 => Advice::new(
            "the whole buffer is sent, not only the reply",
            "Give sendto the number of octets that were written: 1 + 4 for an integer.",
        ),
        [first] | [first, 0] if octets[0] == 0 && first & SUCCESS_BIT != 0 => Advice::new(
            "only the header is sent: strlen, or %s, which end at the first octet that is 0",
            "Count: a reply with an integer has 1 + 4 octets, whatever is in them.",
        ),
        _ => return None,
    })
}

/// A product that is always 0.
fn zero_product(session: &mut ServerSession<'_>) -> Result<Advice, Failure> {
    // If the buffer is full of ones beyond what comes next, they count.
    let ones = with_first(2, request(Operator::Product, Format::Integer, &[1; 300]));
    session.prober.try_datagram(&ones[..classic::MAX_REQUEST])?;
    session.prober.try_datagram(&ones)?;
    let again = session.prober.ask_from_one_socket(
        &[&ones[..classic::MAX_REQUEST], &request(Operator::Product, Format::Integer, &[1; 64])],
        PATIENCE,
    )?;
    let of_64 = again.last().is_some_and(|asked| judge(asked, Operator::Product, Format::Integer, &[1; 64]).is_good());
    let after = session.prober.ask(&request(Operator::Product, Format::Integer, &ODD))?;
    let of_few = judge(&after, Operator::Product, Format::Integer, &ODD).is_good();
    Ok(match of_64 || of_few {
        true => Advice::new(
            "the whole buffer is multiplied, with the zeros after the received operands",
            "Use the received length: recvfrom's result in C, packet.getLength() and not getData().length in Java.",
        ),
        false => Advice::new(
            "the product starts with 0, and stays 0",
            "Start with 1, or with the first operand. (In Java, count with packet.getLength(), not getData().length.)",
        ),
    })
}

fn is_imprecise(operator: Operator, seen: &[(Vec<u32>, Option<Vec<u8>>)]) -> bool {
    seen.iter().all(|(operands, reply)| {
        let Some(right) = exact_u64(operator, operands) else { return true };
        let value = reply.as_ref().and_then(|reply| Some(u32::from_be_bytes(reply.get(1..)?.try_into().ok()?)));
        // Each operand may add an error of its own.
        value.is_some_and(|value| u64::from(value).abs_diff(right) <= right >> 21)
    })
}

/// The mistake behind wrong text.
pub fn text(asked: &Probe, operator: Operator, operands: &[u32]) -> Option<Advice> {
    let right = exact(operator, operands).to_string();
    let [first, digits @ ..] = asked.reply()? else { return None };
    let text = String::from_utf8_lossy(digits).into_owned();
    let value = u32::try_from(&exact(operator, operands)).ok();
    let otherwise = exact(other(operator), operands).to_string();
    let swapped = exact(operator, &swapped(operands)).to_string();
    let advice = match &text[..] {
        _ if first & SUCCESS_BIT == 0 => {
            Advice::new("S is 0: an error", "Set S, the most significant bit of the first octet: 0x80.")
        }
        _ if value.is_some_and(|value| digits == value.to_be_bytes()) => Advice::new(
            "an integer, although F is 1: F is ignored, or read at the wrong end of the octet",
            "F is the least significant bit: octet & 1. Where it is 1, send the digits (snprintf, str, Integer.toString).",
        ),
        text if text.trim_end_matches('\0') == right => Advice::new(
            format!("{} NULs after the digits: the whole buffer is sent", text.len() - right.len()),
            "Give sendto 1 + strlen(digits) octets.",
        ),
        text if text.starts_with(&right) && text.contains('\0') => Advice::new(
            "old contents of the buffer after the digits are sent too",
            "Give sendto 1 + strlen(digits) octets.",
        ),
        text if text.chars().rev().collect::<String>() == right => Advice::new(
            "the digits are in reverse order",
            "n % 10 gives the last digit first: write from the end, or reverse them (or use snprintf).",
        ),
        text if text.trim_start_matches(' ') == right => {
            Advice::new("spaces before the digits: a width in printf's format", "\"%u\" and no width.")
        }
        text if text.trim_start_matches('0') == right => Advice::new("zeros before the digits", "\"%u\" and no width."),
        text if text.trim_end() == right => {
            Advice::new("a line feed or space after the digits", "Digits only: no \"\\n\" in the format.")
        }
        text if text.contains(&right) && text.chars().any(char::is_alphabetic) => {
            Advice::new("words around the digits", "The reply has only the digits; the client prints the words.")
        }
        text if text.strip_suffix(".0").is_some_and(|text| text == right) => {
            Advice::new("a floating-point number", "Compute with integers.")
        }
        text if text.contains('e') || text.contains('E') => {
            Advice::new("a floating-point number with an exponent", "Compute with integers that are large enough.")
        }
        text if text == format!("{value:x}", value = value.unwrap_or_default()) => {
            Advice::new("the number in hexadecimal", "\"%u\", not \"%x\".")
        }
        text if text == otherwise => Advice::new(
            "the result of the other operation",
            "opcode = octet >> 1 & 7, whatever the format: they are fields of their own.",
        ),
        text if text == swapped => Advice::new("the operands are read in little-endian order", NTOHL),
        _ => return None,
    };
    Some(advice)
}

/// A first octet that says error, where a success should be.
pub fn no_success(asked: &Probe) -> Option<Advice> {
    let reply = asked.reply()?;
    Some(match reply {
        [0, 0, 0, 25] | [25, 0, 0, 0] | [b'2', b'5', ..] => Advice::new(
            "the header octet is missing: the reply begins with the result",
            "Send 1 octet of header, 0x80 for a success, then the result, in one datagram.",
        ),
        [] => Advice::new("an empty datagram", "Give sendto the length of the reply."),
        [first, 0, 0, 0, 25] | [first, 25, 0, 0, 0] if *first == 1 => Advice::new(
            "S is put into the least significant bit",
            "S is the first bit of the diagram, the most significant one: 0x80.",
        ),
        [first, 0, 0, 0, 25] | [first, 25, 0, 0, 0] => Advice::new(
            format!("the result is right, and S is 0 in the header {first:02x}"),
            "Set the most significant bit: 0x80.",
        ),
        _ => Advice::new(
            "S is 0: an error",
            "The opcode is octet >> 1 & 7, and 0 is the sum: is it handled as an unknown one?",
        ),
    })
}

/// What should have been an error.
pub fn no_error(asked: &Probe) -> Advice {
    match asked.reply() {
        None => Advice::new(
            "an unknown opcode is not answered",
            "Answer it with one octet of header whose most significant bit is 0.",
        ),
        Some([first, ..]) => Advice::new(
            format!("S is 1 in {first:02x}: a success"),
            "Where the opcode is neither 0 nor 1, send a header whose most significant bit is 0.",
        ),
        Some([]) => {
            Advice::new("an empty datagram", "An error has a header: one octet with the most significant bit 0.")
        }
    }
}

/// A wrong answer where the result is 0.
pub fn zero(asked: &Probe) -> Option<Advice> {
    Some(match asked.reply() {
        None => Advice::new("0 is a result, and there is no answer to it", "Does 0 stand for a failure somewhere?"),
        Some([first, ..]) if first & SUCCESS_BIT == 0 => Advice::new(
            "0 is a result like any other, and is answered as an error",
            "Let the function that computes report a failure by other means than 0.",
        ),
        Some([_]) => Advice::new(
            "the digits of 0 are missing: the loop that writes digits ends before the first one",
            "Use do … while, or snprintf.",
        ),
        _ => return None,
    })
}

/// The most operands that are computed right, which shows the size of a buffer.
pub fn most_operands(session: &mut ServerSession<'_>) -> Result<Advice, Failure> {
    let (mut right, mut wrong) = (5, 64);
    while wrong - right > 1 {
        let count = (right + wrong) / 2;
        let operands: Vec<u32> = (1..=count).collect();
        let asked = session.ask(Operator::Sum, Format::Integer, &operands)?;
        match judge(&asked, Operator::Sum, Format::Integer, &operands).is_good() {
            true => right = count,
            false => wrong = count,
        }
    }
    let (longest, too_long) = (1 + 4 * right, 1 + 4 * wrong);
    Ok(match right {
        63 => Advice::new(
            "63 operands are right and 64 are not: a length that is kept in one octet, which ends at 255, or a buffer for 63",
            "Keep lengths in size_t or int; a request has up to 257 octets.",
        ),
        _ => Advice::new(
            format!(
                "{right} operands are right and {wrong} are not: recv has room for less than {too_long} octets, or the \
                     array of operands for less than {wrong}"
            ),
            format!("Receive into 257 octets or more; {longest} octets still fit."),
        ),
    })
}

/// Nothing came in answer to the first request: tries others.
pub fn no_answer(session: &mut ServerSession<'_>, asked: &Probe) -> Result<Option<Advice>, Failure> {
    if asked.end.is_some() {
        return Ok(Some(Advice::new(
            "it ended when the first request arrived",
            "Read its last line; send the request by hand, with a debugger attached.",
        )));
    }
    let waiting =
        session.prober.service().and_then(|service| service.socket()).is_some_and(|socket| socket.waiting > 0);
    if waiting {
        return Ok(Some(Advice::new(
            "the request waits in the server's socket: the program does not reach recvfrom",
            "Does it wait for input, for another socket, or in an endless loop?",
        )));
    }
    // No octet is 0.
    let dense = request(Operator::Sum, Format::Text, &[0x0101_0101, 0x0101_0101]);
    let whole = request(Operator::Sum, Format::Integer, &ODD);
    // The header and the operands apart: twice, as it may wait for either.
    let (header, operands) = whole.split_at(1);
    let tried = session.prober.ask_from_one_socket(&[&dense, header, operands, header, header, operands], PATIENCE)?;
    let answered: Vec<bool> = tried.iter().map(|asked| asked.reply().is_some()).collect();
    Ok(Some(match answered[..] {
        [true, ..] => {
            let text = with_first(1, whole.clone());
            match session.prober.ask_from_one_socket(&[&text], PATIENCE)?[0].reply() {
                Some(_) => Advice::new("only requests for text are answered", "F = 0 asks for an integer: 4 octets."),
                None => Advice::new(
                    "requests with an octet that is 0 are not answered: the datagram is treated as a C string, by strlen perhaps",
                    "Octets are no string: recvfrom's result is the length, and nothing ends at 0.",
                ),
            }
        }
        [_, ref apart @ ..] if apart.contains(&true) => Advice::new(
            "the header and the operands are read by two calls, as from a file",
            "Use one recvfrom for the whole datagram: what does not fit into the buffer of a call is lost.",
        ),
        _ => Advice::new(
            "it receives, and does not answer: the reply is sent elsewhere, or sendto fails",
            "Set the address's length before recvfrom, give sendto what recvfrom filled in, and look at what sendto returns.",
        ),
    }))
}

/// A long result that is wrong as text.
pub fn long_text(reply: &[u8], right: &str) -> Option<Advice> {
    let text = String::from_utf8_lossy(reply.get(1..)?).into_owned();
    let digits = text.trim_end_matches('\0');
    let alike = digits.bytes().zip(right.bytes()).take_while(|(a, b)| a == b).count();
    let modulus = |bits: u32| {
        let whole = right.parse::<calc6::arithmetic::Number>().ok()?;
        let hexadecimal = whole.to_string_radix(16);
        let low = &hexadecimal[hexadecimal.len().saturating_sub(bits as usize / 4)..];
        u64::from_str_radix(low, 16).ok()
    };
    let wraps = |bits| modulus(bits).is_some_and(|low| digits == low.to_string());
    let signed = |bits: u32| {
        modulus(bits).is_some_and(|low| match bits {
            32 => digits == (low as u32 as i32).to_string(),
            _ => digits == (low as i64).to_string(),
        })
    };
    Some(match digits {
        _ if wraps(32) || signed(32) => Advice::new(
            "the result is kept in 32 bits, and wraps",
            "Use uint64_t and look for overflow (__builtin_mul_overflow), or numbers of any size; or answer an error.",
        ),
        _ if wraps(64) || signed(64) => Advice::new(
            "the result is kept in 64 bits, and wraps",
            "Look for overflow (__builtin_mul_overflow), or compute with numbers of any size; or answer an error.",
        ),
        digits if digits.contains('e') || digits.contains("inf") || (alike >= 6 && digits.len() == right.len()) => {
            Advice::new(
                "the result is rounded: it is a floating-point number",
                "Use integers of any size (BigInt, BigInteger, Python's int), or answer an error.",
            )
        }
        digits if alike == digits.len() => Advice::new(
            format!("the digits end after {alike}: a buffer that is too short"),
            "Make room for 256 digits.",
        ),
        _ => return None,
    })
}
