//! The least common multiple of many large integers, the dearest of all results.

use dashu_int::ops::{Gcd, UnsignedAbs};
use dashu_int::{DoubleWord, IBig, UBig, Word};

/// Of numbers of which none is 0. Each new operand is compared with the multiple's residue modulo it: the search for the
/// common divisor then costs what the operand's size does, not the multiple's.
pub(super) fn lcm_in_turn(first: IBig, operands: impl Iterator<Item = IBig>) -> IBig {
    // Powers of two are kept apart: for what is left, which is odd, residues cost a third.
    let mut twos = 0;
    let mut odd_part = |number: IBig| {
        let number = number.unsigned_abs();
        let zeros = number.trailing_zeros().unwrap_or(0);
        twos = zeros.max(twos);
        number >> zeros
    };
    let mut multiple = odd_part(first);
    let mut words = Vec::new();
    for operand in operands {
        let odd = odd_part(operand);
        let divisor = residue(multiple.as_words(), odd.as_words(), &mut words).gcd(&odd);
        multiple *= if divisor.is_one() { odd } else { odd / divisor };
    }
    (multiple << twos).into()
}

/// A number whose common divisors with `odd` are those of `number`, and that is not much larger than `odd`: `number`
/// divided by a power of two, modulo `odd`. It is Montgomery's reduction (Mathematics of Computation 44, 1985, 519-521):
/// multiples of `odd` are added that make the lowest words zero one by one, so no quotient has to be guessed.
fn residue(number: &[Word], odd: &[Word], words: &mut Vec<Word>) -> UBig {
    let (len, Some(&lowest)) = (odd.len(), odd.first()) else { return UBig::ZERO };
    if number.len() <= len {
        return UBig::from_words(number);
    }
    words.clear();
    words.extend_from_slice(number);
    let factor = inverse(lowest).wrapping_neg();
    let mut overflow = 0;
    for lowest in 0..number.len() - len {
        let (low, high) = words[lowest..].split_at_mut(len);
        let carry = add_multiple(low, low[0].wrapping_mul(factor), odd);
        let sum = DoubleWord::from(high[0]) + DoubleWord::from(carry) + overflow;
        (high[0], overflow) = (sum as Word, sum >> Word::BITS);
    }
    words.push(overflow as Word);
    UBig::from_words(&words[number.len() - len..])
}

/// Adds `factor` times `addend`, of the same length, to `words`, and returns what does not fit.
fn add_multiple(words: &mut [Word], factor: Word, addend: &[Word]) -> Word {
    words.iter_mut().zip(addend).fold(0, |carry, (word, &addend)| {
        // (2^b - 1)^2 + 2 (2^b - 1) = 2^2b - 1: it fits.
        let sum =
            DoubleWord::from(factor) * DoubleWord::from(addend) + DoubleWord::from(*word) + DoubleWord::from(carry);
        *word = sum as Word;
        (sum >> Word::BITS) as Word
    })
}

/// Of an odd word, modulo 2^64 (or 2^32): each step of Newton's doubles the right bits, from 5.
fn inverse(odd: Word) -> Word {
    let start = odd.wrapping_mul(3) ^ 2;
    (0..4).fold(start, |inverse, _| inverse.wrapping_mul((2 as Word).wrapping_sub(odd.wrapping_mul(inverse))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inverses() {
        for odd in [1, 3, 5, 0xdead_beef, Word::MAX, Word::MAX / 3] {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1, "{odd}");
        }
    }

    fn numbers(most: usize) -> impl Strategy<Value = UBig> {
        let word = prop_oneof![any::<Word>(), Just(Word::MAX), Just(0)];
        prop::collection::vec(word, 1..most).prop_map(|words| UBig::from_words(&words))
    }

    proptest! {
        #[test]
        fn a_residue_has_the_same_common_divisors(number in numbers(40), odd in numbers(10), common in numbers(3)) {
            let odd = (odd | UBig::ONE) * (&common | UBig::ONE);
            let number = number * common;
            let residue = residue(number.as_words(), odd.as_words(), &mut Vec::new());
            let most = odd.as_words().len() + 1;
            prop_assert!(residue.as_words().len() <= most);
            prop_assert_eq!(residue.gcd(&odd), number.gcd(&odd));
        }

        #[test]
        fn multiples_are_least(operands in prop::collection::vec((numbers(4), numbers(2)), 1..12), twos in 0_usize..200) {
            let mut operands: Vec<UBig> = operands.into_iter().map(|(a, b)| (a | UBig::ONE) * (b | UBig::ONE)).collect();
            operands[0] <<= twos;
            let expected = operands.iter().fold(UBig::ONE, |multiple, operand| {
                &multiple / (&multiple).gcd(operand) * operand
            });
            let mut signed = operands.into_iter().enumerate().map(|(place, operand)| {
                if place % 2 == 0 { IBig::from(operand) } else { -IBig::from(operand) }
            });
            let first = signed.next().unwrap();
            prop_assert_eq!(lcm_in_turn(first, signed), IBig::from(expected));
        }
    }
}
