//! Residues without quotients to guess: Montgomery's reduction (Mathematics of Computation 44, 1985, 519-521), on words
//! of 64 bits, least significant first. Multiples of an odd modulus are added that make the lowest words of a number zero
//! one by one; what is left is the number divided by a power of two, modulo the modulus. As the modulus is odd, that has
//! the same common divisors with it as the number.

/// What [`residues`] needs to know of a modulus: -1 divided by its lowest word, modulo 2^64.
use alloc::vec::Vec;

pub(super) fn factor(odd: u64) -> u64 {
    inverse(odd).wrapping_neg()
}

/// Of an odd word, modulo 2^64: each step of Newton's doubles the right bits, from 5.
pub(super) fn inverse(odd: u64) -> u64 {
    let start = odd.wrapping_mul(3) ^ 2;
    (0..4).fold(start, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// The residues of a number modulo several moduli at once, so that the processor need not wait for one to go on with
/// another.
pub(super) fn residues<const WORDS: usize, const COUNT: usize>(
    number: &[u64],
    moduli: &[[u64; WORDS]; COUNT],
    factors: &[u64; COUNT],
) -> [[u64; WORDS]; COUNT] {
    let (low, high) = number.split_at(number.len().saturating_sub(WORDS));
    let mut states = [[0; WORDS]; COUNT];
    for &word in low {
        for ((state, modulus), &factor) in states.iter_mut().zip(moduli).zip(factors) {
            reduce_step(state, word, modulus, factor);
        }
    }
    for (state, modulus) in states.iter_mut().zip(moduli) {
        add_high_words(state, high, modulus);
    }
    states
}

/// The residue of a number modulo one modulus of any length, into as many words as that has.
pub(super) fn residue(number: &[u64], modulus: &[u64], state: &mut [u64]) {
    let (low, high) = number.split_at(number.len().saturating_sub(modulus.len()));
    let factor = factor(modulus[0]);
    state.fill(0);
    let (pairs, others) = if modulus.len() > FEW { low.as_chunks() } else { (&[][..], low) };
    for &pair in pairs {
        reduce_two_steps(state, pair, modulus, factor);
    }
    for &word in others {
        reduce_step(state, word, modulus, factor);
    }
    add_high_words(state, high, modulus);
}

/// Of more words, two steps at a time pay: the one's carries need not wait for the other's.
const FEW: usize = 8;

/// `(state + word + q modulus) / 2^64` for the `q` that makes it whole: at most `modulus`, if `state` is.
#[inline(always)]
fn reduce_step(state: &mut [u64], word: u64, modulus: &[u64], factor: u64) {
    let (quotient, mut carry) = quotient(state[0], word, modulus[0], factor);
    for place in 1..state.len() {
        (state[place - 1], carry) = multiply_add(quotient, modulus[place], state[place], carry);
    }
    state[state.len() - 1] = carry;
}

/// The same for two words one after the other, of a modulus of at least two.
fn reduce_two_steps(state: &mut [u64], words: [u64; 2], modulus: &[u64], factor: u64) {
    let len = state.len();
    let modulus = &modulus[..len];
    let (first, carry) = quotient(state[0], words[0], modulus[0], factor);
    let (lowest, mut first_carry) = multiply_add(first, modulus[1], state[1], carry);
    let (second, mut second_carry) = quotient(lowest, words[1], modulus[0], factor);
    for place in 2..len {
        let between;
        (between, first_carry) = multiply_add(first, modulus[place], state[place], first_carry);
        (state[place - 2], second_carry) = multiply_add(second, modulus[place - 1], between, second_carry);
    }
    (state[len - 2], state[len - 1]) = multiply_add(second, modulus[len - 1], first_carry, second_carry);
}

/// What the modulus is to be multiplied by, and what that carries beyond the lowest word.
#[inline(always)]
fn quotient(lowest: u64, word: u64, modulus: u64, factor: u64) -> (u64, u64) {
    let (sum, over) = lowest.overflowing_add(word);
    let quotient = sum.wrapping_mul(factor);
    let (_, carry) = multiply_add(quotient, modulus, sum, 0);
    // It fits: the high word of a product is at most 2^64 - 2.
    (quotient, carry + u64::from(over))
}

/// Adds to a state, which is at most `modulus`, what was left out of the number; of a sum that does not fit, `modulus` is
/// subtracted once, and then it does.
#[inline(always)]
fn add_high_words(state: &mut [u64], high: &[u64], modulus: &[u64]) {
    let mut carry = false;
    for (place, word) in state.iter_mut().enumerate() {
        (*word, carry) = add_with_carry(*word, high.get(place).copied().unwrap_or(0), carry);
    }
    if carry {
        let mut carry = true;
        for (word, &subtracted) in state.iter_mut().zip(modulus) {
            (*word, carry) = add_with_carry(*word, !subtracted, carry);
        }
    }
}

fn add_with_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    (sum, first | second)
}

/// Multiplies a number by `factor`, of which `state` has the length.
#[inline(always)]
pub(super) fn multiply(number: &mut Vec<u64>, factor: &[u64], state: &mut [u64]) {
    state.fill(0);
    let (pairs, others) =
        if factor.len() > FEW { number.as_chunks_mut() } else { (&mut [][..], number.as_mut_slice()) };
    for pair in pairs {
        multiply_two_steps(state, pair, factor);
    }
    for word in others {
        multiply_step(state, word, factor);
    }
    number.extend_from_slice(state);
    number.truncate(number.iter().rposition(|&word| word != 0).map_or(0, |place| place + 1));
}

/// `(state + word factor) / 2^64`, and the remainder in place of the word.
#[inline(always)]
fn multiply_step(state: &mut [u64], word: &mut u64, factor: &[u64]) {
    let (lowest, mut carry) = multiply_add(*word, factor[0], state[0], 0);
    for place in 1..state.len() {
        (state[place - 1], carry) = multiply_add(*word, factor[place], state[place], carry);
    }
    state[state.len() - 1] = carry;
    *word = lowest;
}

/// The same for two words one after the other, with a factor of at least two.
fn multiply_two_steps(state: &mut [u64], words: &mut [u64; 2], factor: &[u64]) {
    let len = state.len();
    let factor = &factor[..len];
    let (lowest, carry) = multiply_add(words[0], factor[0], state[0], 0);
    let (between, mut first_carry) = multiply_add(words[0], factor[1], state[1], carry);
    let (next, mut second_carry) = multiply_add(words[1], factor[0], between, 0);
    for place in 2..len {
        let between;
        (between, first_carry) = multiply_add(words[0], factor[place], state[place], first_carry);
        (state[place - 2], second_carry) = multiply_add(words[1], factor[place - 1], between, second_carry);
    }
    (state[len - 2], state[len - 1]) = multiply_add(words[1], factor[len - 1], first_carry, second_carry);
    *words = [lowest, next];
}

/// Lower words first, in two halves.
#[inline(always)]
pub(super) fn product<const WORDS: usize>(a: &[u64; WORDS], b: &[u64; WORDS]) -> [[u64; WORDS]; 2] {
    let mut product = [[0; WORDS]; 2];
    let words = product.as_flattened_mut();
    for (lowest, &word) in a.iter().enumerate() {
        let mut carry = 0;
        for (place, &other) in b.iter().enumerate() {
            (words[lowest + place], carry) = multiply_add(word, other, words[lowest + place], carry);
        }
        words[lowest + WORDS] = carry;
    }
    product
}

/// Divides a number by an odd divisor of it, from the lowest word up (Jebelean, Journal of Symbolic Computation 15, 1993,
/// 169-180): a word of the quotient is what makes the lowest word that is left zero.
pub(super) fn divide_exactly(number: &mut [u64], divisor: &[u64]) {
    if let [1] = divisor {
        return;
    }
    let inverse = inverse(divisor[0]);
    for lowest in 0..number.len() {
        let quotient = number[lowest].wrapping_mul(inverse);
        let mut carry = 0;
        for (word, &part) in number[lowest..].iter_mut().zip(divisor) {
            let (low, high) = multiply_add(quotient, part, carry, 0);
            let (difference, borrow) = word.overflowing_sub(low);
            (*word, carry) = (difference, high + u64::from(borrow));
        }
        for word in number[lowest..].iter_mut().skip(divisor.len()) {
            if carry == 0 {
                break;
            }
            let (difference, borrow) = word.overflowing_sub(carry);
            (*word, carry) = (difference, u64::from(borrow));
        }
        number[lowest] = quotient;
    }
}

/// `a b + c + d` in two words, the lower first: (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1, it fits.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let sum = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (sum as u64, (sum >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use num_integer::Integer;
    use proptest::prelude::*;

    fn number(words: &[u64]) -> BigUint {
        words.iter().rev().fold(BigUint::ZERO, |number, &word| (number << 64) + word)
    }

    /// Words that stand at a bound as often as not.
    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), Just(u64::MAX), Just(0), Just(1), Just(1 << 63)]
    }

    fn words(least: usize, most: usize) -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(word(), least..=most)
    }

    /// Has the divisors that it must, and nothing was lost.
    fn check_residue(words: &[u64], modulus: &[u64], residue: &[u64]) {
        let shift = 64 * words.len().saturating_sub(modulus.len());
        let modulus = number(modulus);
        assert_eq!((number(residue) << shift) % &modulus, number(words) % &modulus);
    }

    fn check_fixed<const WORDS: usize>(words: &[u64], moduli: &[u64]) {
        let moduli: [[u64; WORDS]; 2] = std::array::from_fn(|place| {
            std::array::from_fn(|word| moduli[place * WORDS + word] | u64::from(word == 0))
        });
        let residues = residues(words, &moduli, &moduli.map(|modulus| factor(modulus[0])));
        for (modulus, residue) in moduli.iter().zip(&residues) {
            check_residue(words, modulus, residue);
        }
        let [a, b] = moduli;
        assert_eq!(number(product(&a, &b).as_flattened()), number(&a) * number(&b));
    }

    #[test]
    fn inverses() {
        for odd in [1, 3, 5, 0xdead_beef, u64::MAX, u64::MAX / 3] {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1, "{odd}");
            assert_eq!(odd.wrapping_mul(factor(odd)), u64::MAX, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn residues_are_congruent(number in words(1, 40), moduli in words(16, 16), len in 1_usize..=16) {
            check_fixed::<1>(&number, &moduli);
            check_fixed::<2>(&number, &moduli);
            check_fixed::<3>(&number, &moduli);
            check_fixed::<8>(&number, &moduli);
            let mut modulus = moduli[..len].to_vec();
            modulus[0] |= 1;
            let mut state = vec![7; len];
            residue(&number, &modulus, &mut state);
            check_residue(&number, &modulus, &state);
        }

        #[test]
        fn products_and_exact_quotients(a in words(1, 40), b in words(1, 12)) {
            let (mut odd, mut words) = (b, a.clone());
            odd[0] |= 1;
            multiply(&mut words, &odd, &mut vec![7; odd.len()]);
            prop_assert_eq!(number(&words), number(&a) * number(&odd));
            prop_assert!(words.last() != Some(&0));
            let expected = number(&words).div_floor(&number(&odd));
            divide_exactly(&mut words, &odd);
            prop_assert_eq!(number(&words), expected);
        }
    }
}
