//! From a wrong request to the mistake behind it.

use super::scenario::{ClientRun, integers};
use crate::check::report::Advice;

/// The mistake behind a request that is not as it should be.
pub fn diagnose(expected: &[u8], got: &[u8], run: &ClientRun) -> Option<Advice> {
    let ([header, operands @ ..], [first, octets @ ..]) = (expected, got) else {
        return Some(Advice::new("an empty datagram", "Give send the length of the request: 1 + 4n octets."));
    };
    let numbers = integers(run.scenario.operands);
    let encoded =
        |encode: &dyn Fn(u32) -> Vec<u8>| numbers.iter().flat_map(|number| encode(*number)).collect::<Vec<u8>>();
    let little = encoded(&|number| number.to_le_bytes().to_vec());
    let wide = encoded(&|number| u64::from(number).to_be_bytes().to_vec());
    let wide_little = encoded(&|number| u64::from(number).to_le_bytes().to_vec());
    let short = encoded(&|number| (number as u16).to_be_bytes().to_vec());
    let text = run.scenario.operands.join(" ").into_bytes();
    let header_hint =
        "The first octet is opcode << 1 | format: opcode 0 for a sum, 1 for a product; format 1 for text.";
    let advice = match octets {
        octets if octets == operands => return Some(wrong_header(*header, *first, run)),
        octets if octets == little => Advice::new(
            "the operands are sent in little-endian order",
            "operand = htonl(operand) in C, \"!I\" in Python's struct, ByteOrder.BIG_ENDIAN (the default) in Java.",
        ),
        [] => Advice::new(
            "the header is sent alone: two sends are two datagrams",
            "Put header and operands into one buffer, and send that once.",
        ),
        _ if got == operands => Advice::new("the header octet is missing", header_hint),
        _ if got == little => {
            Advice::new("the header octet is missing, and the operands are in little-endian order", header_hint)
        }
        octets if octets.ends_with(operands) && octets.len() == operands.len() + 3 => Advice::new(
            "three octets of padding after the header: a struct as the compiler lays it out, or a header of 4 octets",
            "__attribute__((packed)), or better: fill a buffer of octets with memcpy.",
        ),
        octets if octets.ends_with(&little) && octets.len() == operands.len() + 3 => Advice::new(
            "three octets of padding after the header, and operands in little-endian order",
            "Fill a buffer of octets: the header, then htonl of each operand with memcpy.",
        ),
        octets if octets.ends_with(operands) && octets.len() == operands.len() + 4 => {
            let extra = u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]);
            match extra {
                extra if extra == u32::from(run.port) => Advice::new(
                    "the port is sent as the first operand: the operands begin one word later on the command line",
                    "Print argv[i] for each operand that you send.",
                ),
                extra if extra as usize == numbers.len() => Advice::new(
                    "the number of operands is sent before them",
                    "It is not in the request: the length of the datagram says it.",
                ),
                _ => Advice::new(
                    format!("{extra} is sent before the operands"),
                    "Print argv[i] for each operand that you send.",
                ),
            }
        }
        octets if octets == wide || octets == wide_little => {
            Advice::new("the operands have 8 octets each: long", "uint32_t, and 4 octets for each.")
        }
        octets if octets == short => Advice::new("the operands have 2 octets each: htons", "htonl is for 32 bits."),
        octets if octets.starts_with(operands) => Advice::new(
            format!("{} octets come after the operands: the whole array is sent", octets.len() - operands.len()),
            "Send 1 + 4n octets, not sizeof of the array.",
        ),
        _ if got.len() == size_of::<usize>() && expected.starts_with(got) => Advice::new(
            "8 octets of the request: sizeof of a pointer",
            "sizeof request is that of the pointer: send 1 + 4n octets.",
        ),
        _ if expected.starts_with(got) => {
            Advice::new(format!("only {} of {} octets are sent", got.len(), expected.len()), "Send 1 + 4n octets.")
        }
        octets if octets.windows(text.len()).any(|window| window == text) || got == text => {
            Advice::new("the operands are sent as text", "An operand is an integer of 32 bits: strtoul, then htonl.")
        }
        octets if octets.len() == operands.len() && sorted(octets) == sorted(operands) => Advice::new(
            "the operands are sent in another order than they were given",
            "Look at the loop that fills the request.",
        ),
        octets if octets.len() == operands.len() && sorted(octets) == sorted(&little) => Advice::new(
            "the operands are sent in another order than they were given, and in little-endian order",
            "Look at the loop that fills the request; htonl for each.",
        ),
        octets if octets.len() + 4 == operands.len() => {
            Advice::new("an operand is missing", "Look at where the loop over the operands begins and ends.")
        }
        octets
            if octets.len() == operands.len() && octets.chunks(4).any(|octets| octets == [0x7f, 0xff, 0xff, 0xff]) =>
        {
            Advice::new(
                "an operand is 2147483647: the largest value of atoi, or of strtol",
                "Use strtoul, and a uint32_t.",
            )
        }
        _ => return None,
    };
    Some(advice)
}

fn sorted(octets: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = octets.chunks(4).collect();
    words.sort_unstable();
    words
}

fn wrong_header(expected: u8, got: u8, run: &ClientRun) -> Advice {
    let hint = "The first octet is opcode << 1 | format: opcode 0 for a sum, 1 for a product; format 1 for text.";
    let reversed = expected.reverse_bits();
    let likely = match got {
        b'+' | b'*' => format!("the operator's character, '{}', is sent as the header", char::from(got)),
        b'0' | b'1' => format!("a digit as a character, '{}', is sent as the header", char::from(got)),
        got if got == reversed && expected & 1 != 0 => {
            "F is at the wrong end of the octet: it is the least significant bit".to_owned()
        }
        got if got == reversed => "the bits are at the wrong end of the octet".to_owned(),
        got if got == expected << 4 || got == expected << 3 => {
            "the fields are shifted too far: the unused bits come first".to_owned()
        }
        got if expected >> 1 == got && expected & 1 == 0 => {
            "the opcode is not shifted: it stands above F, opcode << 1".to_owned()
        }
        got if got == expected & 1 || got == expected & 0b1110 => "a field of the header is missing".to_owned(),
        got if run.scenario.text && got & 1 == 0 => "F is 0: text is not asked for".to_owned(),
        got => format!("the header is {got:02x}, not {expected:02x}"),
    };
    Advice::new(likely, hint)
}
