//! Why a client printed no result, or a wrong one.

use super::scenario::ClientRun;
use crate::check::report::Advice;
use crate::process::shown;

/// Why a result is not printed, or another one.
pub(super) fn explain_result(run: &ClientRun, results: &[String], expected: &str) -> Option<Advice> {
    if results == [expected] && !run.succeeded() {
        return Some(match run.status {
            None => Advice::new(
                "the result is right, and the program does not end",
                "End after the first reply that counts.",
            ),
            Some(_) => Advice::new("the result is right, and the exit status is not 0", "return 0 from main."),
        });
    }
    let value = expected.parse::<u32>().ok();
    let printed = match results {
        [] => return no_result(run),
        [first, second, ..] if first == second => {
            return Some(Advice::new(
                "each reply that comes is printed, also one that comes twice",
                "End after the first reply that counts.",
            ));
        }
        [.., last] => last.as_str(),
    };
    let integer = printed.parse::<i64>().ok();
    let is = |number: u32| integer == Some(i64::from(number)) || integer == Some(i64::from(number as i32));
    let header = run.answered.first().and_then(|reply| reply.first()).copied().unwrap_or(0x80);
    let with_header = |value: u32| {
        u32::from_be_bytes([header, value.to_be_bytes()[0], value.to_be_bytes()[1], value.to_be_bytes()[2]])
    };
    let advice = match (printed, value) {
        (_, Some(value)) if value != value.swap_bytes() && is(value.swap_bytes()) => Advice::new(
            "the result is read in the other byte order",
            "ntohl of the four octets after the header; \"!I\" in Python's struct.",
        ),
        (_, Some(value)) if is(with_header(value)) || is(with_header(value).swap_bytes()) => Advice::new(
            "the header octet is read as a part of the result",
            "The result begins at the second octet of the reply.",
        ),
        (_, Some(value)) if value > i32::MAX as u32 && is(value) => Advice::new(
            "the result is printed as a signed number",
            "\"%u\" or PRIu32 in C, Integer.toUnsignedString in Java, \"!I\" and not \"!i\" in Python's struct.",
        ),
        (printed, _) if printed.contains('.') && printed.starts_with(expected) => {
            Advice::new(format!("a floating-point number, {}", shown(printed)), "Compute and print with integers.")
        }
        (printed, _) if printed.starts_with("b'") => {
            Advice::new("Python's bytes are printed as they are", "reply[1:].decode(), then print that.")
        }
        (printed, _) if printed.trim_matches(['\'', '"']) == expected && printed != expected => {
            Advice::new("quotes around the number", "Print the number alone.")
        }
        (_, _) if run.stdout.contains('\0') => Advice::new(
            "NULs are printed after the digits: the whole buffer",
            "The text ends where the datagram does: recv's result, packet.getLength() in Java.",
        ),
        (printed, _) if expected.len() > 20 && expected.starts_with(printed) => Advice::new(
            format!("only {} digits are printed: the buffer is too short", printed.len()),
            "A reply has up to 257 octets: make room for 256 digits.",
        ),
        (printed, _) if expected.len() > 10 && (integer.is_some() || printed.len() < expected.len()) => Advice::new(
            "the text is turned into an integer that cannot hold it",
            "Print the digits as they are; they need not become a number.",
        ),
        (printed, _) if printed.starts_with(expected) && run.scenario.text => Advice::new(
            "more is printed than was received: no NUL ends the text, and old contents of the buffer follow",
            "printf(\"%.*s\", length - 1, reply + 1), with recv's result as the length.",
        ),
        _ => return None,
    };
    Some(advice)
}

/// A run that prints nothing.
fn no_result(run: &ClientRun) -> Option<Advice> {
    let first = *run.answered.first()?.first()?;
    let plain = run.answered.len() == 1;
    Some(match run.status {
        Some(status) if !status.success() && plain && first & 0x80 != 0 => {
            if first == 0x80 {
                Advice::new(
                    "a success is read as an error, or as no reply: S is the most significant bit of the first octet",
                    "if (octet & 0x80) it is a success.",
                )
            } else {
                Advice::new(
                    format!("the header {first:02x} is not accepted as a success: it is compared with 0x80 as a whole"),
                    "S is one bit: test octet & 0x80, and ignore the others.",
                )
            }
        }
        Some(status) if !status.success() && !run.stderr.is_empty() => Advice::new(
            "it ends when a datagram does not count; it should keep waiting",
            "Judge each datagram by its length and its first octet; if it does not count, receive again.",
        ),
        Some(_) => {
            Advice::new("it ended without a result", "Does it keep receiving after a datagram that does not count?")
        }
        None => Advice::new(
            "it waits although the reply has arrived",
            "Does it wait for a second datagram, or for more octets?",
        ),
    })
}
