//! The least common multiple of many integers, the dearest of all results.
//!
//! Each new operand is compared with the multiple's residue modulo it: the search for the common divisor then costs what
//! the operand's size does, not the multiple's. Powers of two are kept apart, as all that is used here is made for odd
//! numbers. Several operands make a block, so that their residues are found together.

use alloc::vec;
use alloc::vec::Vec;
use core::iter;

use dashu_int::{IBig, UBig, Word};

use super::divisor::{divisor, divisor_of_words, divisors_of_words};
use super::residue::{divide_exactly, factor, multiply, product, residue, residues};

/// An integer that is not 0.
pub(super) trait Operand {
    /// Writes its magnitude in words, least significant first, to room that is filled with zeros and large enough.
    fn write(&self, words: &mut [u64]);
}

/// Of integers of which none is 0 and none has more octets than `width`. Up to a width of 64, results up to 128 bits take
/// no memory.
pub(super) fn lcm(operands: impl Iterator<Item = impl Operand>, width: usize) -> IBig {
    let mut multiple = Multiple { twos: 0, small: 1, odd: Vec::new(), added: Vec::new() };
    match width {
        0..=1 => multiple.take_narrow::<8>(operands),
        2 => multiple.take_narrow::<4>(operands),
        3..=4 => multiple.take_narrow::<2>(operands),
        5..=8 => multiple.take_narrow::<1>(operands),
        9..=16 => multiple.take::<2, 6>(operands),
        17..=24 => multiple.take::<3, 4>(operands),
        25..=32 => multiple.take::<4, 3>(operands),
        33..=40 => multiple.take::<5, 2>(operands),
        41..=48 => multiple.take::<6, 2>(operands),
        49..=56 => multiple.take::<7, 2>(operands),
        57..=64 => multiple.take::<8, 1>(operands),
        _ => multiple.take_wide(operands, width.div_ceil(8)),
    }
    multiple.into_integer()
}

/// The multiple of what has been taken.
struct Multiple {
    /// How many times it can be halved.
    twos: usize,
    /// Its odd part, as long as that fits.
    small: u128,
    /// Its odd part from then on, without leading zeros.
    odd: Vec<u64>,
    /// Empty: room for what a block adds.
    added: Vec<u64>,
}

impl Multiple {
    /// Takes operands of one word, of which the multiple of `PART` is one word again, for there to be fewer to compare.
    fn take_narrow<const PART: usize>(&mut self, operands: impl Iterator<Item = impl Operand>) {
        let mut twos = 0;
        let mut operands = operands.map(|operand| odd_part(&operand, &mut twos));
        if let Some(first) = self.take_small(&mut operands) {
            let mut words = iter::once(first).chain(operands).map(|[word]| word).peekable();
            while words.peek().is_some() {
                self.take_block(multiples::<8>(&mut words, PART).map(|part| [part]));
            }
        }
        self.twos = self.twos.max(twos);
    }

    /// Takes operands of `WORDS` words, `COUNT` at once.
    fn take<const WORDS: usize, const COUNT: usize>(&mut self, operands: impl Iterator<Item = impl Operand>) {
        let mut twos = 0;
        let mut operands = operands.map(|operand| odd_part(&operand, &mut twos));
        if let Some(first) = self.take_small(&mut operands) {
            let mut operands = iter::once(first).chain(operands).peekable();
            while operands.peek().is_some() {
                let block: [_; COUNT] = core::array::from_fn(|_| operands.next().unwrap_or_else(one::<WORDS>));
                self.take_block(block);
            }
        }
        self.twos = self.twos.max(twos);
    }

    /// Takes operands until one makes the multiple's odd part too large for 128 bits: that one is handed back.
    fn take_small<const WORDS: usize>(
        &mut self,
        operands: &mut impl Iterator<Item = [u64; WORDS]>,
    ) -> Option<[u64; WORDS]> {
        let too_large = operands.find(|operand| {
            let multiple = small(operand).and_then(|operand| {
                let divisor = divisor_of_small(self.small % operand, operand);
                self.small.checked_mul(operand / divisor)
            });
            self.small = multiple.unwrap_or(self.small);
            multiple.is_none()
        });
        if too_large.is_some() {
            self.odd.extend(words_of(self.small).into_iter().filter(|&word| word != 0));
        }
        too_large
    }

    /// Takes odd operands. What one of them adds to the multiple, it adds to the residues of those that follow.
    #[inline(never)]
    fn take_block<const WORDS: usize, const COUNT: usize>(&mut self, operands: [[u64; WORDS]; COUNT]) {
        let factors = operands.map(|operand| factor(operand[0]));
        let mut found = residues(&self.odd, &operands, &factors);
        let mut added = core::mem::take(&mut self.added);
        added.push(1);
        for place in 0..COUNT {
            let operand = without_common_divisor(operands[place], found[place]);
            if operand == one() {
                continue;
            }
            for later in place + 1..COUNT {
                let number = product(&found[later], &operand);
                [found[later]] = residues(number.as_flattened(), &[operands[later]], &[factors[later]]);
            }
            multiply(&mut added, &operand, &mut [0; WORDS]);
        }
        self.multiply(&added);
        added.clear();
        self.added = added;
    }

    /// Takes operands of any number of words, one at a time. Of operand and multiple the shorter is the modulus.
    fn take_wide(&mut self, operands: impl Iterator<Item = impl Operand>, words: usize) {
        self.odd.push(1);
        let mut room = vec![0; words];
        let mut rooms = [(); 4].map(|()| vec![0; words]);
        for source in operands {
            room.fill(0);
            source.write(&mut room);
            self.twos = self.twos.max(remove_twos(&mut room));
            let operand = without_zeros(&room);
            let multiple = self.odd.as_slice();
            let (number, modulus) =
                if multiple.len() < operand.len() { (operand, multiple) } else { (multiple, operand) };
            let [found, copy, spare_a, spare_b] = rooms.each_mut().map(|room| &mut room[..modulus.len()]);
            residue(number, modulus, found);
            copy.copy_from_slice(modulus);
            let divisor = divisor(found, copy, [spare_a, spare_b]);
            divide_exactly(&mut room, divisor);
            let added = without_zeros(&room);
            multiply(&mut self.odd, added, &mut rooms[0][..added.len()]);
        }
    }

    /// Multiplies the odd part by a number of few words: of a known count, for the compiler to keep in registers.
    fn multiply(&mut self, factor: &[u64]) {
        macro_rules! of_words {
            ($($count:literal)*) => {
                match factor.len() {
                    $($count => multiply(&mut self.odd, factor.first_chunk::<$count>().unwrap_or(&[0; $count]), &mut [0; $count]),)*
                    count => multiply(&mut self.odd, factor, &mut vec![0; count]),
                }
            };
        }
        of_words!(1 2 3 4 5 6 7 8 9 10 11 12 14);
    }

    fn into_integer(self) -> IBig {
        let odd = if self.odd.is_empty() { self.small.into() } else { integer(&self.odd) };
        (odd << self.twos).into()
    }
}

/// The multiples of `each` odd words, as many as are wanted; where there are no more words, of fewer.
fn multiples<const COUNT: usize>(words: &mut impl Iterator<Item = u64>, each: usize) -> [u64; COUNT] {
    if each <= 1 {
        return core::array::from_fn(|_| words.next().unwrap_or(1));
    }
    let (left, right) = (multiples::<COUNT>(words, each / 2), multiples::<COUNT>(words, each / 2));
    let divisors = divisors_of_words(left, right);
    core::array::from_fn(|place| left[place] * (right[place] / divisors[place]))
}

/// An odd operand divided by what it has in common with a number that leaves this residue.
#[inline(always)]
fn without_common_divisor<const WORDS: usize>(mut operand: [u64; WORDS], mut residue: [u64; WORDS]) -> [u64; WORDS] {
    if let ([operand], [residue]) = (operand.as_mut_slice(), residue.as_slice()) {
        *operand /= divisor_of_words(*residue, *operand);
    } else {
        let mut copy = operand;
        divide_exactly(&mut operand, divisor(&mut residue, &mut copy, [&mut [0; WORDS], &mut [0; WORDS]]));
    }
    operand
}

fn odd_part<const WORDS: usize>(operand: &impl Operand, twos: &mut usize) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    operand.write(&mut words);
    *twos = remove_twos(&mut words).max(*twos);
    words
}

/// Divides by the largest power of two that divides, and returns its exponent.
#[inline(always)]
fn remove_twos(words: &mut [u64]) -> usize {
    let whole = words.iter().take_while(|&&word| word == 0).count();
    if whole > 0 {
        words.rotate_left(whole);
    }
    let bits = words.first().map_or(0, |word| word.trailing_zeros());
    if bits > 0 {
        for place in 0..words.len() {
            let above = words.get(place + 1).map_or(0, |above| above << (u64::BITS - bits));
            words[place] = above | words[place] >> bits;
        }
    }
    whole * u64::BITS as usize + bits as usize
}

/// The divisor of two numbers, the second of them odd.
fn divisor_of_small(a: u128, odd: u128) -> u128 {
    match u64::try_from(odd) {
        Ok(odd) => divisor_of_words(a as u64, odd).into(),
        Err(_) => small(divisor(&mut words_of(a), &mut words_of(odd), [&mut [0; 2], &mut [0; 2]])).unwrap_or(1),
    }
}

fn one<const WORDS: usize>() -> [u64; WORDS] {
    core::array::from_fn(|place| u64::from(place == 0))
}

/// The number, if it has at most 128 bits.
fn small(words: &[u64]) -> Option<u128> {
    let word = |place| words.get(place).copied().map_or(0, u128::from);
    (without_zeros(words).len() <= 2).then(|| word(1) << u64::BITS | word(0))
}

fn words_of(number: u128) -> [u64; 2] {
    [number as u64, (number >> u64::BITS) as u64]
}

/// Without leading zeros.
fn without_zeros(words: &[u64]) -> &[u64] {
    let len = words.iter().rposition(|&word| word != 0).map_or(0, |place| place + 1);
    &words[..len]
}

fn integer(words: &[u64]) -> UBig {
    let octets: Vec<[u8; 8]> = words.iter().map(|word| word.to_le_bytes()).collect();
    UBig::from_le_bytes(octets.as_flattened())
}

impl Operand for &IBig {
    #[allow(clippy::useless_conversion, reason = "a word of dashu-int has 64 bits here, 32 elsewhere")]
    fn write(&self, words: &mut [u64]) {
        for (place, &part) in self.as_sign_words().1.iter().enumerate() {
            let bit = place * Word::BITS as usize;
            words[bit / 64] |= u64::from(part) << (bit % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Number, Operands, evaluate, evaluate_octets};
    use crate::wire::Operator;
    use num_bigint::BigInt;
    use num_integer::Integer;
    use proptest::prelude::*;

    /// From the octets of a request and from numbers, against another library.
    fn check(octets: &[u8], width: usize) {
        let operands = Operands::signed(octets, width);
        let expected =
            octets.chunks_exact(width).map(BigInt::from_signed_bytes_be).fold(BigInt::from(1), |a, b| a.lcm(&b));
        let result = evaluate_octets(Operator::Lcm, operands, 0).unwrap();
        assert_eq!(result.to_string(), expected.to_string(), "{width}: {octets:02x?}");
        let numbers: Vec<Number> = operands.numbers().collect();
        assert_eq!(evaluate(Operator::Lcm, &numbers, 0).unwrap(), result, "{width}: {octets:02x?}");
    }

    /// Every width that makes other words, parts or blocks.
    const WIDTHS: [usize; 25] =
        [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 25, 32, 33, 40, 41, 48, 49, 56, 57, 64, 65, 128, 255];

    fn octet() -> impl Strategy<Value = u8> {
        prop_oneof![4 => any::<u8>(), 1 => Just(0), 1 => Just(0xff), 1 => Just(0x80), 1 => Just(1)]
    }

    #[test]
    fn bounds_of_every_width() {
        for width in WIDTHS {
            let [mut least, mut most, mut minus_one] = [vec![0; width], vec![0xff; width], vec![0xff; width]];
            (least[0], most[0], minus_one[0]) = (0x80, 0x7f, 0xff);
            for counts in [[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 2], [2, 20, 2], [1, 1, 40]] {
                let [a, b, c] = [least.repeat(counts[0]), most.repeat(counts[1]), minus_one.repeat(counts[2])];
                check(&[&a[..], &b, &c].concat(), width);
                check(&[c, b, a].concat(), width);
            }
            check(&[most.repeat(9), vec![0; width], most].concat(), width);
        }
    }

    #[test]
    fn results_about_128_bits() {
        // 2^64 - 59 and 2^63 - 25 are prime, so are 3 and 5: products of 127 bits, 128, 129 and more.
        let [a, b] = [u64::MAX - 58, (1 << 63) - 25];
        for factors in [[1, 1], [2, 1], [2, 2], [3, 5], [4, 8], [1 << 20, 1]] {
            for width in [9, 16, 17, 24] {
                let write = |number: u64| {
                    let mut octets = vec![0; width];
                    octets[width - 9..].copy_from_slice(&i128::from(number).to_be_bytes()[7..]);
                    octets
                };
                check(&[a, b, factors[0], factors[1], b, a].map(write).concat(), width);
            }
        }
    }

    #[test]
    fn long_and_short_operands() {
        // As a client has it that puts the results of many requests together.
        let long: Number = format!("0x{}", "3f".repeat(100_000)).parse().unwrap();
        let [three, seven, hundred] = [3, 7, 100].map(Number::from);
        // It is divisible by 3, 7 and 25, and odd.
        let expected = evaluate(Operator::Product, &[long.clone(), Number::from(4)], 0);
        for operands in [[&three, &long, &hundred, &seven], [&long, &hundred, &seven, &three]] {
            let operands = operands.map(Clone::clone);
            assert!(evaluate(Operator::Lcm, &operands, 0) == expected);
        }
    }

    proptest! {
        #[test]
        fn multiples_are_least(octets in prop::collection::vec(octet(), 255..1220), place in 0..WIDTHS.len()) {
            check(&octets, WIDTHS[place]);
        }

        #[test]
        fn operands_share_factors(
            factors in prop::collection::vec(1_i128..1 << 40, 8),
            choices in prop::collection::vec((0_usize..8, 0_usize..8, 0_usize..8, any::<bool>()), 1..75),
            width in 16_usize..60,
        ) {
            let operands: Vec<u8> = choices.into_iter().flat_map(|(a, b, c, negative)| {
                let value = factors[a] * factors[b] * factors[c];
                let mut octets = vec![0; width];
                Number::from(if negative { -value } else { value }).write_octets(&mut octets).unwrap();
                octets
            }).collect();
            check(&operands, width);
        }

        #[test]
        fn narrow_operands_share_factors(values in prop::collection::vec(-360_i64..360, 1..300), width in 2_usize..9) {
            let operands: Vec<u8> = values.into_iter().filter(|&value| value != 0).flat_map(|value| {
                value.to_be_bytes()[8 - width..].to_vec()
            }).collect();
            if !operands.is_empty() {
                check(&operands, width);
            }
        }
    }
}
