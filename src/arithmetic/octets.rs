//! Operands as they stand in a request, and the operators that run on them without taking them apart.

use alloc::vec::Vec;

use dashu_int::IBig;

use super::Number;
use super::integer::{Stop, fold, multiply_balanced};
use super::multiple::{Operand, lcm};
use crate::wire::Operator;

/// Integers of one width, one behind the other, in network byte order.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    octets: &'a [u8],
    width: usize,
    signed: bool,
}

impl<'a> Operands<'a> {
    /// Two's complement integers of `width` octets each; octets behind the last whole one are left out.
    pub fn signed(octets: &'a [u8], width: usize) -> Operands<'a> {
        Operands { octets, width: width.max(1), signed: true }
    }

    /// Unsigned 32-bit integers; octets behind the last whole one are left out.
    pub fn unsigned32(octets: &'a [u8]) -> Operands<'a> {
        Operands { octets, width: size_of::<u32>(), signed: false }
    }

    /// How many integers there are.
    pub fn len(&self) -> usize {
        self.octets.len() / self.width
    }

    /// Whether there is no integer.
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

    /// The sum or product of unsigned 32-bit integers, if it is one; nothing for other operators either.
    pub fn evaluate_u32(&self, operator: Operator) -> Option<u32> {
        let over = 1u64 << u32::BITS;
        let result = match operator {
            Operator::Sum => words(self.octets).map(u64::from).sum(),
            // What is over stays over, unless a zero follows; neither factor exceeds 2^32, so nothing overflows.
            Operator::Product => words(self.octets).fold(1, |product, word| (product * u64::from(word)).min(over)),
            _ => over,
        };
        u32::try_from(result).ok()
    }

    /// In machine integers: vectorised where operator and width allow it, else one by one as long as they do not
    /// overflow.
    pub(super) fn evaluate_narrow(&self, operator: Operator, max_bits: u64) -> Result<IBig, Stop> {
        match (operator, self.width, self.signed) {
            _ if self.is_empty() => Err(Stop::Overflow),
            (Operator::Lcm, ..) => Ok(self.lcm()),
            _ if self.width > size_of::<i128>() => Err(Stop::Overflow),
            (Operator::Sum, 4, false) => Ok(words(self.octets).map(u64::from).sum::<u64>().into()),
            (Operator::Sum, 4, true) => {
                Ok(words(self.octets).map(|word| i64::from(word.cast_signed())).sum::<i64>().into())
            }
            (Operator::Sum, 8, true) => Ok(sum64(self.octets).into()),
            (Operator::Product, ..=8, _) => Ok(self.product_narrow()),
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

    /// The least common multiple.
    pub(super) fn lcm(&self) -> IBig {
        let operands = self.octets.chunks_exact(self.width);
        if operands.clone().any(|octets| octets.iter().all(|&octet| octet == 0)) {
            return IBig::ZERO;
        }
        lcm(operands.map(|octets| Magnitude { octets, signed: self.signed }), self.width)
    }
}

/// The magnitude of an integer.
struct Magnitude<'a> {
    octets: &'a [u8],
    signed: bool,
}

impl Operand for Magnitude<'_> {
    #[inline(always)]
    fn write(&self, words: &mut [u64]) {
        let negative = self.signed && self.octets[0] & 0x80 != 0;
        let sign = u64::from(negative).wrapping_neg();
        // -x is all bits of x inverted, plus 1; the sign is extended to whole words.
        let mut carry = negative;
        let (first, others) = self.octets.as_rchunks();
        let first = first.iter().fold(sign, |value, octet| value << 8 | u64::from(*octet));
        let values = others.iter().rev().map(|octets| u64::from_be_bytes(*octets)).chain([first]);
        for (word, value) in words.iter_mut().zip(values) {
            (*word, carry) = (value ^ sign).overflowing_add(u64::from(carry));
        }
    }
}

/// Halves summed apart, each within 64 bits, so that the loop vectorises: at most 2^31 operands, far over a datagram's.
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
        fn packed_and_unpacked_agree(octets in prop::collection::vec(any::<u8>(), 8..300), signed: bool) {
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
