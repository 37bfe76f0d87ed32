//! Greatest common divisors of odd numbers, in words of 64 bits, least significant first.
//!
//! Stein's algorithm (Journal of Computational Physics 1, 1967, 397-405): of two odd numbers the difference is even; its
//! odd part takes the larger's place, until both are equal. For numbers of several words, the steps are found on their
//! highest and lowest bits alone, many steps at a time, and then made on all words at once, as Lehmer (American
//! Mathematical Monthly 45, 1938, 227-233) did for Euclid's algorithm. Highest and lowest bits fit one word (Pornin,
//! "Optimized Binary GCD for Modular Inversion", 2020).

/// The divisor of two numbers, the second of them odd.
#[inline(always)]
pub(super) fn divisor_of_words(a: u64, odd: u64) -> u64 {
    if a == 0 {
        return odd;
    }
    let (mut a, mut b) = (a >> a.trailing_zeros(), odd);
    loop {
        let (difference, less) = a.overflowing_sub(b);
        if difference == 0 {
            return a;
        }
        let zeros = difference.trailing_zeros();
        b = if less { a } else { b };
        a = if less { difference.wrapping_neg() } else { difference } >> zeros;
    }
}

/// The same for numbers of two words.
#[inline(always)]
fn divisor_of_two_words(a: u128, odd: u128) -> u128 {
    if a == 0 {
        return odd;
    }
    let (mut a, mut b) = (a >> a.trailing_zeros(), odd);
    while (a | b) >> 64 != 0 {
        let (difference, less) = a.overflowing_sub(b);
        let mask = u128::from(less).wrapping_neg();
        let magnitude = (difference ^ mask).wrapping_sub(mask);
        b = b.wrapping_add(difference & mask);
        let low = difference as u64;
        a = if low != 0 {
            // Not a shift of two words at once, which takes the processor longer.
            let zeros = low.trailing_zeros();
            let (low, high) = (magnitude as u64, (magnitude >> 64) as u64);
            double(low >> zeros | high << 1 << (63 - zeros), high >> zeros)
        } else if difference != 0 {
            magnitude >> magnitude.trailing_zeros()
        } else {
            return b;
        };
    }
    divisor_of_words(a as u64, b as u64).into()
}

/// The divisors of pairs of odd numbers, all searched for at once, so that the processor need not wait for one to go on
/// with another.
#[inline(always)]
pub(super) fn divisors_of_words<const COUNT: usize>(mut a: [u64; COUNT], mut b: [u64; COUNT]) -> [u64; COUNT] {
    loop {
        let mut pending = 0;
        for (a, b) in a.iter_mut().zip(&mut b) {
            let (difference, less) = a.overflowing_sub(*b);
            *b = if less { *a } else { *b };
            let magnitude = if less { difference.wrapping_neg() } else { difference };
            *a = magnitude >> (difference | 1 << 63).trailing_zeros();
            pending |= *b;
        }
        // A pair that is equal becomes 0 and the divisor, then the divisor and 0, and stays so.
        if pending == 0 {
            return a;
        }
    }
}

/// The divisor of two numbers of one length, the second of them odd: in the first words of the result.
///
/// All but the result is overwritten; the spare room has the numbers' length as well. It ends because each round shortens
/// the two together, by 31 bits but for what is lost to approximation, and the odd one never becomes 0.
pub(super) fn divisor<'a>(
    mut a: &'a mut [u64],
    mut b: &'a mut [u64],
    [mut next_a, mut next_b]: [&'a mut [u64]; 2],
) -> &'a [u64] {
    loop {
        let len = a.iter().zip(&*b).rposition(|(&a, &b)| a | b != 0).map_or(1, |place| place + 1);
        [a, b, next_a, next_b] = [a, b, next_a, next_b].map(|words| &mut words[..len]);
        if len == 1 {
            b[0] = divisor_of_words(a[0], b[0]);
            return b;
        }
        if let ([a0, a1 @ ..=SHORT], [b0, b1 @ ..=SHORT]) = (&*a, &mut *b) {
            let divisor = divisor_of_two_words(double(*a0, *a1), double(*b0, *b1));
            (*b0, *b1) = (divisor as u64, (divisor >> 64) as u64);
            return if *b1 == 0 { &b[..1] } else { b };
        }
        if a.iter().all(|&word| word == 0) {
            return b;
        }
        let [row_a, row_b] = two_rounds(a, b);
        row_a.write(a, b, next_a);
        row_b.write(a, b, next_b);
        (a, b, next_a, next_b) = (next_a, next_b, a, b);
    }
}

/// Up to here, a second word costs less one step at a time.
const SHORT: u64 = u32::MAX as u64;

fn double(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// Halvings in a round: as many as leave a row's two factors room in one word.
const ROUND: u32 = 31;
const LOW: u64 = (1 << ROUND) - 1;

/// How one of two new numbers comes of the two old ones, a and b: `x a - y b`, or `y b - x a`, divided by a power of two.
#[derive(Clone, Copy)]
struct Row {
    x: u64,
    y: u64,
    negative: bool,
}

/// What decides about the next steps: the highest bits, of which the larger number fills 96, and the lowest word.
#[derive(Clone, Copy)]
struct Ends {
    high: u128,
    low: u64,
}

/// The rows of two rounds' halvings.
#[inline(always)]
fn two_rounds(a: &[u64], b: &[u64]) -> [Row; 2] {
    let shift = (a[a.len() - 1] | b[b.len() - 1] | 1).leading_zeros();
    let (a, b) = (Ends::of(a, shift), Ends::of(b, shift));
    let first = round(a, b, 32);
    let (next_a, next_b) = (first[0].ends(a, b), first[1].ends(a, b));
    // Of the first rows one is x a - y b and the other y b - x a: what the second subtract from each other adds up.
    let shift = (next_a.high | next_b.high | 1).leading_zeros();
    round(next_a, next_b, shift).map(|second| {
        let x = second.x * first[0].x + second.y * first[1].x;
        let y = second.x * first[0].y + second.y * first[1].y;
        Row { x, y, negative: u128::from(x) * (a.high >> 32) < u128::from(y) * (b.high >> 32) }
    })
}

/// The rows of one round, for numbers of which the second is odd, and the larger begins with `shift` zeros.
#[inline(always)]
fn round(a: Ends, b: Ends, shift: u32) -> [Row; 2] {
    let near = |ends: Ends| (ends.high << shift >> 64) as u64 & !LOW | ends.low & LOW;
    let (mut near_a, mut near_b) = (near(a), near(b));
    // Of each row both factors, y above x; no sum of the two exceeds 2 to the halvings.
    let (mut row_a, mut row_b) = (1_u64, 1_u64 << 32);
    let zeros = (near_a | 1 << ROUND).trailing_zeros();
    near_a >>= zeros;
    row_b <<= zeros;
    let mut left = ROUND - zeros;
    while left > 0 {
        let (difference, less) = near_a.overflowing_sub(near_b);
        let zeros = (difference | 1 << left).trailing_zeros();
        // Which is less is a coin's toss: no branch.
        let mask = u64::from(less).wrapping_neg();
        left -= zeros;
        near_b = near_b.wrapping_add(difference & mask);
        near_a = (difference ^ mask).wrapping_sub(mask) >> zeros;
        let sum = row_a + row_b;
        row_b = if less { row_a } else { row_b } << zeros;
        row_a = sum;
    }
    let [mut row_a, mut row_b] =
        [row_a, row_b].map(|row| Row { x: row & u64::from(u32::MAX), y: row >> 32, negative: false });
    row_a.negative = a.high * u128::from(row_a.x) < b.high * u128::from(row_a.y);
    row_b.negative = !row_a.negative;
    [row_a, row_b]
}

impl Ends {
    /// Of at least two words, the highest of which begins with `shift` zeros or more.
    #[inline(always)]
    fn of(words: &[u64], shift: u32) -> Ends {
        let [.., second, first] = words else { return Ends { high: 0, low: 0 } };
        let third = words.len().checked_sub(3).map_or(0, |place| words[place]);
        let high = (u128::from(*first) << 64 | u128::from(*second)) << shift | u128::from(third) << shift >> 64;
        Ends { high: high >> 32, low: words[0] }
    }
}

impl Row {
    /// The ends of the new number; where its highest bits are not known for sure, and it seems negative, they are 0.
    #[inline(always)]
    fn ends(self, a: Ends, b: Ends) -> Ends {
        // Which is larger is a coin's toss, here and in what follows: no branches.
        let mask = u64::from(self.negative).wrapping_neg();
        let low = self.x.wrapping_mul(a.low).wrapping_sub(self.y.wrapping_mul(b.low));
        let high = (u128::from(self.x) * a.high).wrapping_sub(u128::from(self.y) * b.high).cast_signed();
        let wide_mask = -i128::from(self.negative);
        let high = ((high ^ wide_mask) - wide_mask).max(0).cast_unsigned();
        Ends { high: high >> ROUND, low: (low ^ mask).wrapping_sub(mask) >> ROUND }
    }

    /// Writes the magnitude of the new number.
    #[inline(always)]
    fn write(self, a: &[u64], b: &[u64], out: &mut [u64]) {
        // -y b is y (-1 - b) + y, and -1 - b has all bits of b inverted. Which of a and b is to be inverted is a coin's
        // toss: no branch. No sum exceeds 2^127.
        let mask = u64::from(self.negative).wrapping_neg();
        let start = if self.negative { self.x } else { self.y };
        let sum = |a: u64, b: u64, carry: u64| {
            u128::from(self.x) * u128::from(a ^ mask) + u128::from(self.y) * u128::from(b ^ !mask) + u128::from(carry)
        };
        let shifted = |high: u64, low: u64| high << (64 - 2 * ROUND) | low >> (2 * ROUND);
        let mut last = sum(a[0], b[0], start);
        for ((out, &a), &b) in out.iter_mut().zip(&a[1..]).zip(&b[1..]) {
            let next = sum(a, b, (last >> 64) as u64);
            *out = shifted(next as u64, last as u64);
            last = next;
        }
        let highest = ((last >> 64) as u64).wrapping_sub(start);
        out[a.len() - 1] = shifted(highest, last as u64);
        if highest >> 63 == 1 {
            negate(out);
        }
    }
}

/// Happens where the highest bits were too few to tell which is larger.
#[cold]
fn negate(words: &mut [u64]) {
    let mut carry = true;
    for word in words {
        (*word, carry) = (!*word).overflowing_add(u64::from(carry));
    }
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

    fn words_of(number: &BigUint, len: usize) -> Vec<u64> {
        let mut words = number.to_u64_digits();
        words.resize(len, 0);
        words
    }

    /// Makes the second odd.
    fn check(a: &BigUint, b: &BigUint) {
        let b = b | BigUint::from(1u8);
        let len = a.to_u64_digits().len().max(b.to_u64_digits().len()).max(1);
        let [mut spare_a, mut spare_b] = [vec![7; len], vec![7; len]];
        let (mut words_a, mut words_b) = (words_of(a, len), words_of(&b, len));
        let found = number(divisor(&mut words_a, &mut words_b, [&mut spare_a, &mut spare_b]));
        assert_eq!(found, a.gcd(&b), "{a:x} {b:x}");
        if let ([a], [b]) = (&words_of(a, 1)[..], &words_of(&b, 1)[..]) {
            let divisor = a.gcd(b);
            assert_eq!(divisor_of_words(*a, *b), divisor);
            assert_eq!(divisors_of_words([a | 1, *b, 1], [*b, *b, *b]), [(a | 1).gcd(b), *b, 1]);
        }
    }

    /// Lengths apart, bounds of words, runs of ones and zeros.
    fn numbers() -> impl Strategy<Value = BigUint> {
        let word = prop_oneof![any::<u64>(), Just(u64::MAX), Just(0), Just(1), Just(1 << 63)];
        (prop::collection::vec(word, 1..34), 0_u32..64).prop_map(|(words, shift)| number(&words) >> shift)
    }

    #[test]
    fn neighbours_of_fibonaccis_sequence_and_powers_of_two() {
        let (mut a, mut b) = (BigUint::from(1u8), BigUint::from(1u8));
        for exponent in 0..2000_u32 {
            check(&a, &b);
            check(&b, &a);
            (a, b) = (&a + &b, a);
            let power = BigUint::from(1u8) << exponent;
            for (left, right) in [(&power, &a), (&a, &power), (&(&power - 1u8), &a), (&power, &(&power - 1u8))] {
                check(left, right);
            }
        }
    }

    #[test]
    fn steps_that_halve_but_once() {
        // Backwards from equal numbers: what is halved was 2 a, and b more before the subtraction.
        let (mut a, mut b) = (BigUint::from(3u8), BigUint::from(3u8));
        while a.bits() < 2100 {
            check(&a, &b);
            (a, b) = (b.clone(), &b + (&a << 1));
        }
    }

    proptest! {
        #[test]
        fn divisors_are_greatest(a in numbers(), b in numbers(), common in numbers(), apart in 0_u32..300) {
            check(&a, &b);
            check(&(&a * &common), &((b | BigUint::from(1u8)) * (&common | BigUint::from(1u8))));
            // So close that their highest bits do not tell which is larger, and a multiple.
            check(&(&a + (&common >> apart)), &a);
            check(&a, &(&a * &common));
            check(&(&a >> apart), &a);
            check(&BigUint::ZERO, &a);
        }
    }
}
