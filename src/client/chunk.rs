//! Operands packed for one extended request, as they come.

use crate::arithmetic::Number;
use crate::wire::extended;

/// The operands of one request, at the least Width that holds them.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Operands of `width` octets each, and room to write a whole word after the last.
    octets: Vec<u8>,
    width: usize,
    count: usize,
    /// The most octets of operands.
    room: usize,
}

/// What an operand is pushed as: 64 bits, whose low octets are kept.
const WORD: usize = size_of::<u64>();

impl Chunk {
    /// An empty chunk for at most `room` octets of operands.
    pub fn new(room: usize) -> Chunk {
        Chunk { octets: vec![0; room + WORD], width: 1, count: 0, room }
    }

    /// How many operands it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Octets of each operand.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The operands in two's complement, network byte order.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.count * self.width]
    }

    /// Empties it.
    pub fn clear(&mut self) {
        (self.width, self.count) = (1, 0);
    }

    /// Adds an operand; false, and nothing is added, if there is no room.
    #[inline]
    #[must_use]
    pub fn push(&mut self, operand: i64) -> bool {
        let width = octet_len(operand);
        if width > self.width && !self.widen(width) {
            return false;
        }
        let place = self.count * self.width;
        if place + self.width > self.room {
            return false;
        }
        // The low octets go in front, the rest of the word is overwritten by the next operand. Wider than a word, the
        // sign comes first.
        if self.width <= WORD {
            let word = (operand << (8 * (WORD - self.width))).to_be_bytes();
            self.octets[place..place + WORD].copy_from_slice(&word);
        } else {
            let end = place + self.width;
            self.octets[place..end - WORD].fill(sign(operand < 0));
            self.octets[end - WORD..end].copy_from_slice(&operand.to_be_bytes());
        }
        self.count += 1;
        true
    }

    /// As [`push`](Self::push), for an operand of any size up to 255 octets.
    #[must_use]
    pub fn push_number(&mut self, operand: &Number) -> bool {
        if let Ok(operand) = i64::try_from(operand) {
            return self.push(operand);
        }
        let width = operand.octet_len();
        debug_assert!(width <= extended::MAX_WIDTH);
        if width > self.width && !self.widen(width) {
            return false;
        }
        let place = self.count * self.width;
        if place + self.width > self.room {
            return false;
        }
        let written = operand.write_octets(&mut self.octets[place..place + self.width]);
        debug_assert!(written.is_some());
        self.count += 1;
        true
    }

    /// Makes every operand wider; false if one more of that width would have no room then.
    #[cold]
    fn widen(&mut self, width: usize) -> bool {
        if (self.count + 1) * width > self.room {
            return false;
        }
        for operand in (0..self.count).rev() {
            let (from, to) = (operand * self.width, operand * width);
            let fill = sign(self.octets[from] & 0x80 != 0);
            self.octets.copy_within(from..from + self.width, to + width - self.width);
            self.octets[to..to + width - self.width].fill(fill);
        }
        self.width = width;
        true
    }
}

fn sign(negative: bool) -> u8 {
    if negative { 0xff } else { 0x00 }
}

/// The least number of octets that hold it in two's complement.
#[inline]
fn octet_len(value: i64) -> usize {
    let magnitude = value ^ (value >> 63);
    (64 - magnitude.leading_zeros() as usize) / 8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_words() {
        for value in [0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, i64::MAX, i64::MIN] {
            assert_eq!(octet_len(value), Number::from(value).octet_len(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn chunks_hold_what_was_pushed(
            operands in prop::collection::vec(
                prop_oneof![-9i128..9, -70_000i128..70_000, any::<i64>().prop_map(i128::from), any::<i128>()],
                0..200,
            ),
            room in 255usize..1220,
        ) {
            let mut chunk = Chunk::new(room);
            let mut held = Vec::new();
            for operand in operands {
                let operand = Number::from(operand);
                let widest = held.iter().chain([&operand]).map(Number::octet_len).max().unwrap_or(1);
                let fits = (held.len() + 1) * widest <= room;
                prop_assert_eq!(chunk.push_number(&operand), fits);
                if !fits {
                    break;
                }
                held.push(operand);
            }
            let widest = held.iter().map(Number::octet_len).max().unwrap_or(1);
            prop_assert_eq!((chunk.width(), chunk.count()), (widest, held.len()));
            let read: Vec<Number> = chunk.octets().chunks_exact(widest).map(Number::from_octets).collect();
            prop_assert_eq!(read, held);
        }
    }
}
