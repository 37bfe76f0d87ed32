//! The usual mistakes in a server's integers, each with what it makes of operands and result.

use calc6::wire::{Format, Operator, SUCCESS_BIT};

use super::session::{exact_u64, other, request};

/// A mistake: its name, what to try, and the operands that the server then computes with, or the octets it sends.
pub struct Mistake {
    /// What is probably wrong.
    pub likely: &'static str,
    /// What to try.
    pub hint: &'static str,
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

pub const NTOHL: &str =
    "operand = ntohl(operand) in C, \"!I\" in Python's struct, ByteOrder.BIG_ENDIAN (the default) in Java.";
const HTONL: &str =
    "result = htonl(result) in C, \"!I\" in Python's struct, ByteOrder.BIG_ENDIAN (the default) in Java.";

/// In the order in which they are tried.
pub const MISTAKES: &[Mistake] = &[
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
        likely: "text, although F is 0",
        hint: "F is the least significant bit of the first octet: octet & 1. Where it is 0, send 4 octets.",
        effect: Effect::Octets(|value| value.to_string().into_bytes()),
    },
    Mistake {
        likely: "the result of the other operation: the opcode is taken from other bits, perhaps at the wrong end of \
                 the octet",
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
        likely: "the operands are read from octet 0 on: the header is read as a part of the first one",
        hint: "The first operand is octets 1 to 4.",
        effect: Effect::Operands(|operands| read_from(operands, 0)),
    },
    Mistake {
        likely: "the operands are read from octet 2 on",
        hint: "The first operand is octets 1 to 4.",
        effect: Effect::Operands(|operands| read_from(operands, 2)),
    },
    Mistake {
        likely: "octets over 127 are read as negative numbers: they are signed",
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

/// The operands in the other byte order.
pub fn swapped(operands: &[u32]) -> Vec<u32> {
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

impl Mistake {
    /// Whether a server with this mistake would reply this.
    pub fn predicts(&self, operator: Operator, operands: &[u32], reply: Option<&[u8]>) -> bool {
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
