//! Operands in the form of a request, and the operators that work on them without conversion to numbers.

use alloc::vec::Vec;

use dashu_int::ops::Gcd;
use dashu_int::{IBig, UBig};

use super::Number;
use super::integer::{Stop, fold, lcm_in_blocks, multiply_balanced};
use crate::wire::Operator;

/// Integers of one width, one after the other, in network byte order.
///
/// ```
/// use calc6::arithmetic::{Operands, evaluate_octets};
/// use calc6::wire::Operator;
/// let operands = Operands::signed(&[0xff, 0xfe, 0, 5], 2); // -2 and 5
/// assert_eq!(evaluate_octets(Operator::Sum, operands, 64)?, 3);
/// # Ok::<(), calc6::arithmetic::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    octets: &'a [u8],
    width: usize,
    signed: bool,
}

impl<'a> Operands<'a> {
    /// Two's complement integers of `width` octets each; octets after the last whole one are ignored.
    pub fn signed(octets: &'a [u8], width: usize) -> Operands<'a> {
        Operands { octets, width: width.max(1), signed: true }
    }

    /// Unsigned 32-bit integers; octets after the last whole one are ignored.
    pub fn unsigned32(octets: &'a [u8]) -> Operands<'a> {
        Operands { octets, width: size_of::<u32>(), signed: false }
    }

    /// How many integers there are.
    pub fn len(&self) -> usize {
        self.octets.len() / self.width
    }

    /// Whether there are no integers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integers as numbers.
    pub fn numbers(&self) -> impl ExactSizeIterator<Item = Number> + Clone + use<'a> {
        self.iter().map(Number)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = IBig> + Clone + use<'a> {
        let signed = self.signed;
        self.octets.chunks_exact(self.width).map(move |octets| match signed {
            true => Number::from_octets(octets).0,
            false => Number::from_unsigned_octets(octets).0,
        })
    }

    /// The sum or product modulo 2^32, as a C program computes it in an `unsigned int`.
    pub fn evaluate_wrapping(&self, operator: Operator) -> Option<u32> {
        match operator {
            Operator::Sum => Some(words(self.octets).fold(0, u32::wrapping_add)),
            Operator::Product => Some(words(self.octets).fold(1, u32::wrapping_mul)),
            _ => None,
        }
    }

    /// The sum or product of unsigned 32-bit integers; `None` if it does not fit 32 bits, and for other operators.
    pub fn evaluate_u32(&self, operator: Operator) -> Option<u32> {
        let over = 1u64 << u32::BITS;
        let result = match operator {
            Operator::Sum => words(self.octets).map(u64::from).sum(),
            // A product over the limit stays over it, unless a zero follows. Both factors are at most 2^32: no
            // overflow.
            Operator::Product => words(self.octets).fold(1, |product, word| (product * u64::from(word)).min(over)),
            _ => over,
        };
        u32::try_from(result).ok()
    }

    /// In machine integers: vectorised where operator and width allow it, else one by one until one overflows.
    pub(super) fn evaluate_narrow(&self, operator: Operator, max_bits: u64) -> Result<IBig, Stop> {
        match (operator, self.width, self.signed) {
            _ if self.is_empty() => Err(Stop::Overflow),
            _ if self.width > size_of::<i128>() => Err(Stop::Overflow),
            (Operator::Sum, 4, false) => Ok(words(self.octets).map(u64::from).sum::<u64>().into()),
            (Operator::Sum, 4, true) => {
                Ok(words(self.octets).map(|word| i64::from(word.cast_signed())).sum::<i64>().into())
            }
            (Operator::Sum, 8, true) => Ok(sum64(self.octets).into()),
            (Operator::Product, ..=8, _) => Ok(self.product_narrow()),
            (Operator::Lcm, ..=8, _) => Ok(self.lcm_narrow()),
            (_, 9.., _) => fold(operator, self.integers128(), self.len(), max_bits).map(IBig::from),
            _ => fold(operator, self.integers64(), self.len(), max_bits).map(IBig::from),
        }
    }

    /// The integers, of a width of at most 8.
    fn integers64(&self) -> impl Iterator<Item = i64> + Clone + use<'a> {
        let signed = self.signed;
        self.octets.chunks_exact(self.width).map(move |octets| {
            let sign = -i64::from(signed && octets[0] & 0x80 != 0);
            octets.iter().fold(sign, |value, octet| value << 8 | i64::from(*octet))
        })
    }

    /// The integers, of a width of at most 16.
    fn integers128(&self) -> impl Iterator<Item = i128> + Clone + use<'a> {
        let signed = self.signed;
        self.octets.chunks_exact(self.width).map(move |octets| {
            let sign = -i128::from(signed && octets[0] & 0x80 != 0);
            octets.iter().fold(sign, |value, octet| value << 8 | i128::from(*octet))
        })
    }

    /// Of integers of a width of at most 8: as many as fit 128 bits at a time.
    fn product_narrow(&self) -> IBig {
        let mut parts = Vec::new(); // does not allocate while it is empty
        let mut part = 1i128;
        for operand in self.integers64().map(i128::from) {
            match part.checked_mul(operand) {
                Some(0) => return IBig::ZERO,
                Some(product) => part = product,
                None => parts.push(IBig::from(core::mem::replace(&mut part, operand))),
            }
        }
        if parts.is_empty() {
            return part.into();
        }
        parts.push(part.into());
        multiply_balanced(parts)
    }

    /// The least common multiple of integers of a width of at most 8: as many as fit 128 bits at a time.
    fn lcm_narrow(&self) -> IBig {
        let mut parts = Vec::new(); // does not allocate while it is empty
        let mut part = 1u128;
        for operand in self.integers64().map(i64::unsigned_abs) {
            if operand == 0 {
                return IBig::ZERO;
            }
            match lcm_with_word(part, operand) {
                Some(multiple) => part = multiple,
                None => parts.push(UBig::from(core::mem::replace(&mut part, operand.into()))),
            }
        }
        lcm_in_blocks::<4>(parts.into_iter().chain([part.into()])).into()
    }
}

/// The least common multiple of two integers above 0, if it has at most 128 bits.
fn lcm_with_word(multiple: u128, operand: u64) -> Option<u128> {
    let remainder = match u64::try_from(multiple) {
        Ok(multiple) => multiple % operand,
        Err(_) => (multiple % u128::from(operand)) as u64,
    };
    let divisor = if remainder == 0 { operand } else { Gcd::gcd(remainder, operand) };
    multiple.checked_mul(u128::from(operand / divisor))
}

/// The upper and the lower halves are summed separately, each within 64 bits, so that the loop vectorises. Exact for at
/// most 2^31 operands, far more than a datagram holds.
fn sum64(octets: &[u8]) -> i128 {
    let (mut high, mut low) = (0i64, 0u64);
    for word in chunks::<8>(octets).map(u64::from_be_bytes) {
        high += i64::from((word >> 32) as i32);
        low += word & u64::from(u32::MAX);
    }
    (i128::from(high) << 32) + i128::from(low)
}

fn words(octets: &[u8]) -> impl Iterator<Item = u32> {
    chunks(octets).map(u32::from_be_bytes)
}

fn chunks<const WIDTH: usize>(octets: &[u8]) -> impl Iterator<Item = [u8; WIDTH]> {
    octets.as_chunks::<WIDTH>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::super::{evaluate, evaluate_octets};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn octets_and_numbers_give_the_same_results(octets in prop::collection::vec(any::<u8>(), 8..300), signed: bool) {
            for width in [4, 8] {
                let packed = if signed || width == 8 { Operands::signed(&octets, width) } else { Operands::unsigned32(&octets) };
                let numbers: Vec<Number> = packed.numbers().collect();
                for operator in [Operator::Sum, Operator::Product] {
                    let result = evaluate_octets(operator, packed, 10_000).unwrap();
                    prop_assert_eq!(&result, &evaluate(operator, &numbers, 10_000).unwrap());
                    if !packed.signed {
                        prop_assert_eq!(packed.evaluate_u32(operator), u32::try_from(&result).ok());
                        let modulus = Number::from(1u64 << 32);
                        let wrapped = evaluate(Operator::Remainder, &[result, modulus], 64).unwrap();
                        prop_assert_eq!(packed.evaluate_wrapping(operator).map(Number::from), Some(wrapped));
                    }
                }
            }
        }
    }

    #[test]
    fn unsigned_results_of_32_bits() {
        let calculate = |operator, operands: &[u32]| {
            let octets: Vec<u8> = operands.iter().flat_map(|operand| operand.to_be_bytes()).collect();
            Operands::unsigned32(&octets).evaluate_u32(operator)
        };
        assert_eq!(calculate(Operator::Sum, &[u32::MAX, 0]), Some(u32::MAX));
        assert_eq!(calculate(Operator::Sum, &[u32::MAX; 64]), None);
        assert_eq!(calculate(Operator::Product, &[65_535, 65_537]), Some(u32::MAX));
        assert_eq!(calculate(Operator::Product, &[65_536, 65_536]), None);
        assert_eq!(calculate(Operator::Product, &[u32::MAX; 64]), None);
        assert_eq!(calculate(Operator::Product, &[u32::MAX, u32::MAX, 0]), Some(0));
        assert_eq!(calculate(Operator::Min, &[1]), None);
    }

    #[test]
    fn extremes() {
        let most = [[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]; 152].concat();
        let sum = evaluate_octets(Operator::Sum, Operands::signed(&most, 8), 128).unwrap();
        assert_eq!(sum, Number::from(i128::from(i64::MAX) * 152));
        let least = [[0x80, 0, 0, 0, 0, 0, 0, 0]; 152].concat();
        let sum = evaluate_octets(Operator::Sum, Operands::signed(&least, 8), 128).unwrap();
        assert_eq!(sum, Number::from(i128::from(i64::MIN) * 152));
    }
}

#[cfg(test)]
mod multiples {
    use alloc::vec;
    use alloc::vec::Vec;

    use num_bigint::BigInt;
    use num_integer::Integer;
    use proptest::prelude::*;

    use super::super::{evaluate, evaluate_octets};
    use super::*;

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

    /// Widths on both sides of each boundary of words, parts and blocks.
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
        // As in a client that combines the results of many requests.
        let long: Number = format!("0x{}", "3f".repeat(100_000)).parse().unwrap();
        let [three, seven, hundred] = [3, 7, 100].map(Number::from);
        // `long` is divisible by 3, 7 and 25, and odd.
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
