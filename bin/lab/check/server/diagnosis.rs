//! From a wrong answer to the mistake behind it, in the words of whoever made it.
//!
//! An explanation is given only if it predicts all answers to several requests that tell the usual mistakes apart.

use calc6::wire::{Format, Operator, SUCCESS_BIT, classic};

use super::session::{ODD, Session, exact, exact_u64, judge, other, request, with_first};
use crate::Failure;
use crate::check::probe::Asked;
use crate::check::report::Advice;

/// Operands whose results differ under every mistake that is known here.
const TELLING: [&[u32]; 4] =
    [&[1, 3, 5, 7, 9], &[200, 100], &[0x0102_0304, 0x0002_0a0b, 1], &[0x0102_037f, 0x7f, 0x7f]];

/// How long a datagram that is meant to explain something is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(400);

/// A mistake: its name, what to try, and the operands that the server then computes with, or the octets it sends.
struct Mistake {
    likely: &'static str,
    hint: &'static str,
    effect: Effect,
}

/// A result as octets.
type Encode = fn(u32) -> Vec<u8>;

enum Effect {
    /// It computes with other operands.
    Operands(fn(&[u32]) -> Vec<u32>),
    /// It does something else to them; `None` if the result is no 64-bit integer.
    Result(fn(Operator, &[u32]) -> Option<u64>),
    /// It sends the right result as these octets.
    Octets(Encode),
    /// It computes with other operands, and sends the result as these octets.
    Both(fn(&[u32]) -> Vec<u32>, Encode),
}

const NTOHL: &str =
    "operand = ntohl(operand) in C, \"!I\" in Python's struct, ByteOrder.BIG_ENDIAN (the default) in Java.";
const HTONL: &str =
    "result = htonl(result) in C, \"!I\" in Python's struct, ByteOrder.BIG_ENDIAN (the default) in Java.";

const MISTAKES: &[Mistake] = &[
    Mistake {
        likely: "the result is in little-endian order",
        hint: HTONL,
        effect: Effect::Octets(|value| value.to_le_bytes().to_vec()),
    },
    Mistake { likely: "the operands are read in little-endian order", hint: NTOHL, effect: Effect::Operands(swapped) },
    Mistake {
        likely: "operands and result are in little-endian order: neither is converted",
        hint: "ntohl for every operand, and htonl for the result.",
        effect: Effect::Both(swapped, |value| value.to_le_bytes().to_vec()),
    },
    Mistake {
        likely: "text, though F is 0",
        hint: "F is the least significant bit of the first octet: octet & 1. Where it is 0, send 4 octets.",
        effect: Effect::Octets(|value| value.to_string().into_bytes()),
    },
    Mistake {
        likely: "the result of the other operation: the opcode is taken from other bits, at the other end of the octet perhaps",
        hint: "opcode = octet >> 1 & 7. Bit-fields of a struct begin at the least significant bit on most machines.",
        effect: Effect::Result(|operator, operands| exact_u64(other(operator), operands)),
    },
    Mistake {
        likely: "the last operand is left out",
        hint: "There are (length - 1) / 4 operands; look at where the loop ends.",
        effect: Effect::Operands(|operands| operands[..operands.len() - 1].to_vec()),
    },
    Mistake {
        likely: "the first operand is left out",
        hint: "The first operand is octets 1 to 4; look at where the loop begins.",
        effect: Effect::Operands(|operands| operands[1..].to_vec()),
    },
    Mistake {
        likely: "only the first operand is used",
        hint: "There are (length - 1) / 4 operands: a loop.",
        effect: Effect::Operands(|operands| operands[..1].to_vec()),
    },
    Mistake {
        likely: "only the first two operands are used",
        hint: "There are (length - 1) / 4 operands: a loop.",
        effect: Effect::Operands(|operands| operands[..operands.len().min(2)].to_vec()),
    },
    Mistake {
        likely: "the operands are read from octet 4 on: a struct with the compiler's padding after its first octet",
        hint: "The padding is not in the datagram: read octet 0, then copy 4 octets at a time from octet 1 on (memcpy).",
        effect: Effect::Operands(|operands| read_from(operands, 4)),
    },
    Mistake {
        likely: "the operands are read from octet 0 on: the header is taken for a part of the first one",
        hint: "The first operand is octets 1 to 4.",
        effect: Effect::Operands(|operands| read_from(operands, 0)),
    },
    Mistake {
        likely: "the operands are read from octet 2 on",
        hint: "The first operand is octets 1 to 4.",
        effect: Effect::Operands(|operands| read_from(operands, 2)),
    },
    Mistake {
        likely: "octets over 127 are taken for negative numbers: they are signed",
        hint: "In Java data[i] & 0xff, in C uint8_t and not char.",
        effect: Effect::Operands(|operands| operands.iter().map(|operand| sign_extended(*operand)).collect()),
    },
    Mistake {
        likely: "only the lowest octet of each operand is used",
        hint: "An operand has 4 octets.",
        effect: Effect::Operands(|operands| operands.iter().map(|operand| operand & 0xff).collect()),
    },
    Mistake {
        likely: "operands are read as 16 bits",
        hint: "An operand has 4 octets: uint32_t, ntohl.",
        effect: Effect::Operands(|operands| operands.iter().map(|operand| operand & 0xffff).collect()),
    },
    Mistake {
        likely: "operands are read by ntohs, which is for 16 bits",
        hint: "ntohl is for 32 bits.",
        effect: Effect::Operands(|operands| operands.iter().map(|o| u32::from((*o as u16).swap_bytes())).collect()),
    },
    Mistake {
        likely: "the sum begins with 1, or one is added",
        hint: "Begin with 0, and add each operand once.",
        effect: Effect::Result(|operator, operands| exact_u64(operator, operands).map(|result| result + 1)),
    },
    Mistake {
        likely: "one is missing",
        hint: "Begin with 0, and add each operand once.",
        effect: Effect::Result(|operator, operands| {
            exact_u64(operator, operands).and_then(|result| result.checked_sub(1))
        }),
    },
    Mistake {
        likely: "the first operand counts twice",
        hint: "Begin with 0 and the first operand, or with the first and the second.",
        effect: Effect::Operands(|operands| [&operands[..1], operands].concat()),
    },
    Mistake {
        likely: "the last operand counts twice",
        hint: "Look at where the loop ends.",
        effect: Effect::Operands(|operands| [operands, &operands[operands.len() - 1..]].concat()),
    },
    Mistake {
        likely: "the number of operands is sent",
        hint: "Send the result.",
        effect: Effect::Result(|_, operands| Some(operands.len() as u64)),
    },
    Mistake {
        likely: "the result's octets are those of a 64-bit integer",
        hint: "uint32_t, and 4 octets.",
        effect: Effect::Octets(|value| u64::from(value).to_be_bytes().to_vec()),
    },
];

fn swapped(operands: &[u32]) -> Vec<u32> {
    operands.iter().map(|operand| operand.swap_bytes()).collect()
}

/// As many operands as there are, read from this octet of the datagram on; zeros follow it.
fn read_from(operands: &[u32], start: usize) -> Vec<u32> {
    let mut datagram = request(Operator::Sum, Format::Integer, operands);
    datagram.extend([0; 8]);
    let words = datagram[start..].chunks_exact(4).take(operands.len());
    words.filter_map(|word| Some(u32::from_be_bytes(word.try_into().ok()?))).collect()
}

fn sign_extended(operand: u32) -> u32 {
    let signed = |octet: u8, shift: u32| (i32::from(octet as i8) << shift) as u32;
    let [a, b, c, d] = operand.to_be_bytes();
    signed(a, 24).wrapping_add(signed(b, 16)).wrapping_add(signed(c, 8)).wrapping_add(signed(d, 0))
}

/// The mistake behind a wrong integer; asks some more.
pub fn integer(
    session: &mut Session<'_>,
    operator: Operator,
    asked: &Asked,
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

impl Mistake {
    fn predicts(&self, operator: Operator, operands: &[u32], reply: Option<&[u8]>) -> bool {
        let Some([first, octets @ ..]) = reply else { return false };
        let right = exact_u64(operator, operands);
        let (result, encode): (Option<u64>, Encode) = match self.effect {
            Effect::Operands(change) => (compute(operator, &change(operands)), |value| value.to_be_bytes().to_vec()),
            Effect::Result(change) => (change(operator, operands), |value| value.to_be_bytes().to_vec()),
            Effect::Octets(encode) => (right, encode),
            Effect::Both(change, encode) => (compute(operator, &change(operands)), encode),
        };
        // What is over 32 bits may be refused, or wrapped.
        let refused = first & SUCCESS_BIT == 0 && result.is_none_or(|result| u32::try_from(result).is_err());
        refused || first & SUCCESS_BIT != 0 && result.is_some_and(|result| octets == encode(result as u32))
    }
}

/// Modulo 2^64: what wraps at 32 bits has the same lower half.
fn compute(operator: Operator, operands: &[u32]) -> Option<u64> {
    let operands = operands.iter().map(|operand| u64::from(*operand));
    Some(match operator {
        Operator::Product => operands.fold(1, u64::wrapping_mul),
        _ => operands.fold(0, u64::wrapping_add),
    })
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
fn zero_product(session: &mut Session<'_>) -> Result<Advice, Failure> {
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
            "the whole buffer is multiplied, with the zeros after the operands that came",
            "Use the length that came: recvfrom's result in C, packet.getLength() and not getData().length in Java.",
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
pub fn text(asked: &Asked, operator: Operator, operands: &[u32]) -> Option<Advice> {
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
            "an integer, though F is 1: F is not looked at, or at the other end of the octet",
            "F is the least significant bit: octet & 1. Where it is 1, send the digits (snprintf, str, Integer.toString).",
        ),
        text if text.trim_end_matches('\0') == right => Advice::new(
            format!("{} NULs after the digits: the whole buffer is sent", text.len() - right.len()),
            "Give sendto 1 + strlen(digits) octets.",
        ),
        text if text.starts_with(&right) && text.contains('\0') => Advice::new(
            "what is left in the buffer after the digits is sent too",
            "Give sendto 1 + strlen(digits) octets.",
        ),
        text if text.chars().rev().collect::<String>() == right => Advice::new(
            "the digits are in reverse order",
            "n % 10 gives the last digit first: write from the end, or turn them round (or use snprintf).",
        ),
        text if text.trim_start_matches(' ') == right => {
            Advice::new("spaces before the digits: a width in printf's format", "\"%u\" and no width.")
        }
        text if text.trim_start_matches('0') == right => Advice::new("zeros before the digits", "\"%u\" and no width."),
        text if text.trim_end() == right => {
            Advice::new("a line feed or space after the digits", "Digits only: no \"\\n\" in the format.")
        }
        text if text.contains(&right) && text.chars().any(char::is_alphabetic) => {
            Advice::new("words around the digits", "The reply has the digits only; words are the client's to print.")
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
pub fn no_success(asked: &Asked) -> Option<Advice> {
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
            "The opcode is octet >> 1 & 7, and 0 is the sum: is it taken for an unknown one?",
        ),
    })
}

/// What should have been an error.
pub fn no_error(asked: &Asked) -> Advice {
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
pub fn zero(asked: &Asked) -> Option<Advice> {
    Some(match asked.reply() {
        None => Advice::new("0 is a result, and there is no answer to it", "Does 0 stand for a failure somewhere?"),
        Some([first, ..]) if first & SUCCESS_BIT == 0 => Advice::new(
            "0 is a result like any other, and is answered as an error",
            "Let the function that computes say by other means than 0 that it failed.",
        ),
        Some([_]) => Advice::new(
            "the digits of 0 are missing: the loop that writes digits ends before the first one",
            "Use do … while, or snprintf.",
        ),
        _ => return None,
    })
}

/// How many operands are right at most, and what that tells of a buffer.
pub fn most_operands(session: &mut Session<'_>) -> Result<Advice, Failure> {
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
pub fn no_answer(session: &mut Session<'_>, asked: &Asked) -> Result<Option<Advice>, Failure> {
    if asked.end.is_some() {
        return Ok(Some(Advice::new(
            "it ended when the first request came",
            "Read its last line; send the request by hand, with a debugger attached.",
        )));
    }
    let waiting =
        session.prober.service().and_then(|service| service.socket()).is_some_and(|socket| socket.waiting > 0);
    if waiting {
        return Ok(Some(Advice::new(
            "the request waits in the server's socket: the program does not come to its recvfrom",
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
