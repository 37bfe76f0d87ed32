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

/// Operands whose widths are looked at together.
const TOGETHER: usize = 64;

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

    /// Adds operands from the first on, as many as there is room for, and says how many.
    #[must_use]
    pub fn push_words(&mut self, operands: &[i64]) -> usize {
        let mut taken = 0;
        while let rest @ [first, ..] = &operands[taken..] {
            // Together, so that the width is looked at once and not for each.
            let mut together = &rest[..rest.len().min(TOGETHER)];
            let mut width = self.width_with(together);
            let fit = (self.room / width).saturating_sub(self.count);
            if fit < together.len() {
                together = &together[..fit];
                width = self.width_with(together);
            }
            if together.is_empty() || width > WORD || (width > self.width && !self.widen(width)) {
                if !self.push(*first) {
                    break;
                }
                taken += 1;
                continue;
            }
            let write =
                [write::<1>, write::<2>, write::<3>, write::<4>, write::<5>, write::<6>, write::<7>, write::<8>];
            write[width - 1](together, &mut self.octets[self.count * width..]);
            self.count += together.len();
            taken += together.len();
        }
        taken
    }

    /// The least width for what it holds and these.
    fn width_with(&self, operands: &[i64]) -> usize {
        // The most significant bit of all that differs from its sign.
        let magnitudes = operands.iter().fold(0, |all, operand| all | (operand ^ (operand >> 63)));
        self.width.max(octet_len(magnitudes))
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

/// Writes the low `WIDTH` octets of each operand, one after the other. A constant width makes it a few instructions each.
fn write<const WIDTH: usize>(operands: &[i64], octets: &mut [u8]) {
    for (place, operand) in octets.chunks_exact_mut(WIDTH).zip(operands) {
        place.copy_from_slice(&operand.to_be_bytes()[WORD - WIDTH..]);
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

        #[test]
        fn words_are_pushed_together_as_one_by_one(
            wide in prop::option::of(any::<i128>()),
            words in prop::collection::vec(prop_oneof![-9i64..9, -70_000i64..70_000, any::<i64>()], 0..700),
            narrow in any::<bool>(),
            piece in 1usize..600,
            room in 255usize..1220,
        ) {
            let words: Vec<i64> = words.into_iter().map(|word| if narrow { word % 100 } else { word }).collect();
            let mut singly = Chunk::new(room);
            let mut together = Chunk::new(room);
            if let Some(wide) = wide {
                prop_assert!(singly.push_number(&wide.into()) && together.push_number(&wide.into()));
            }
            let pushed = words.iter().take_while(|word| singly.push(**word)).count();
            let mut taken = 0;
            for piece in words.chunks(piece) {
                let of_piece = together.push_words(piece);
                taken += of_piece;
                if of_piece < piece.len() {
                    break;
                }
            }
            prop_assert_eq!(taken, pushed);
            prop_assert_eq!((together.width(), together.octets()), (singly.width(), singly.octets()));
        }
    }
}
