//! One definition of the operators for three integer types: i64 and i128, which are cheap but may overflow, and
//! [`IBig`], which cannot.

use alloc::vec::Vec;
use core::ops::{BitAnd, BitOr, BitXor};

use dashu_int::ops::{BitTest, Gcd, UnsignedAbs};
use dashu_int::{IBig, UBig};

use super::Error;
use crate::wire::Operator;

/// Why an evaluation ended without a result.
pub(super) enum Stop {
    /// This integer type is too narrow: try a wider one.
    Overflow,
    /// There is no result, in any integer type.
    Failed(Error),
}

/// The operations that the operators need. `None` is an overflow.
pub(super) trait Integer:
    Clone + Ord + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self>
{
    const ZERO: Self;

    fn add(self, other: Self) -> Option<Self>;
    fn sub(self, other: Self) -> Option<Self>;
    /// Truncated towards zero; `other` is not 0.
    fn div(self, other: Self) -> Option<Self>;
    /// Zero, or of the sign of `self`; `other` is not 0.
    fn rem(self, other: Self) -> Option<Self>;
    /// Never negative; of two zeros 0.
    fn gcd(self, other: Self) -> Option<Self>;
    fn product(operands: impl Iterator<Item = Self>) -> Option<Self>;
    /// Of operands none of which is 0: never negative.
    fn lcm(operands: impl Iterator<Item = Self>) -> Option<Self>;
    fn power(self, exponent: &Self, max_bits: u64) -> Result<Self, Stop>;

    fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// Evaluates any operator but describe.
pub(super) fn fold<T: Integer>(
    operator: Operator,
    mut operands: impl Iterator<Item = T> + Clone,
    count: usize,
    max_bits: u64,
) -> Result<T, Stop> {
    let wrong_count = || Stop::Failed(Error::OperandCount { operator, count });
    if !operator.operand_count().contains(&count) || operator == Operator::Describe {
        return Err(wrong_count());
    }
    let divides = matches!(operator, Operator::Quotient | Operator::Remainder);
    if divides && operands.clone().skip(1).any(|divisor| divisor.is_zero()) {
        return Err(Stop::Failed(Error::DivisionByZero));
    }
    if operator == Operator::Product {
        return T::product(operands).ok_or(Stop::Overflow);
    }
    if operator == Operator::Lcm {
        let zero = operands.clone().any(|operand| operand.is_zero());
        return if zero { Ok(T::ZERO) } else { T::lcm(operands).ok_or(Stop::Overflow) };
    }
    let first = operands.next().ok_or_else(wrong_count)?;
    let result = match operator {
        Operator::Sum => operands.try_fold(first, T::add),
        Operator::Difference if count == 1 => T::ZERO.sub(first),
        Operator::Difference => operands.try_fold(first, T::sub),
        Operator::Quotient => operands.try_fold(first, T::div),
        Operator::Remainder => operands.try_fold(first, T::rem),
        Operator::Power => return first.power(&operands.next().ok_or_else(wrong_count)?, max_bits),
        Operator::Gcd => operands.try_fold(first.gcd(T::ZERO).ok_or(Stop::Overflow)?, T::gcd),
        Operator::Min => Some(operands.fold(first, Ord::min)),
        Operator::Max => Some(operands.fold(first, Ord::max)),
        Operator::And => Some(operands.fold(first, BitAnd::bitand)),
        Operator::Or => Some(operands.fold(first, BitOr::bitor)),
        Operator::Xor => Some(operands.fold(first, BitXor::bitxor)),
        Operator::Product | Operator::Lcm | Operator::Describe => None,
    };
    result.ok_or(Stop::Overflow)
}

macro_rules! machine_integers {
    ($($integer:ty)*) => {$(
        impl Integer for $integer {
            const ZERO: Self = 0;

            fn add(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }

            fn sub(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }

            fn div(self, other: Self) -> Option<Self> {
                self.checked_div(other)
            }

            fn rem(self, other: Self) -> Option<Self> {
                self.checked_rem(other)
            }

            fn gcd(self, other: Self) -> Option<Self> {
                let (a, b) = (self.unsigned_abs(), other.unsigned_abs());
                // dashu panics for two zeros.
                let divisor = if a == 0 || b == 0 { a | b } else { Gcd::gcd(a, b) };
                divisor.try_into().ok()
            }

            fn product(mut operands: impl Iterator<Item = Self>) -> Option<Self> {
                operands.try_fold(1, Self::checked_mul)
            }

            fn lcm(mut operands: impl Iterator<Item = Self>) -> Option<Self> {
                operands.try_fold(1, |multiple: Self, operand| {
                    let (left, right) = (multiple.unsigned_abs(), operand.unsigned_abs());
                    // The remainder first: a common divisor of short numbers is found sooner.
                    let remainder = left % right;
                    let divisor = if remainder == 0 { right } else { Gcd::gcd(remainder, right) };
                    left.checked_mul(right / divisor)?.try_into().ok()
                })
            }

            /// Left to [`IBig`]: a machine integer would gain nothing for a single operation.
            fn power(self, _: &Self, _: u64) -> Result<Self, Stop> {
                Err(Stop::Overflow)
            }
        }
    )*};
}
machine_integers!(i64 i128);

impl Integer for IBig {
    const ZERO: Self = IBig::ZERO;

    fn add(self, other: Self) -> Option<Self> {
        Some(self + other)
    }

    fn sub(self, other: Self) -> Option<Self> {
        Some(self - other)
    }

    fn div(self, other: Self) -> Option<Self> {
        Some(self / other)
    }

    fn rem(self, other: Self) -> Option<Self> {
        Some(self % other)
    }

    fn gcd(self, other: Self) -> Option<Self> {
        // dashu panics for two zeros.
        Some(match (self.is_zero(), other.is_zero()) {
            (true, _) => absolute(other),
            (_, true) => absolute(self),
            _ => Gcd::gcd(self, other).into(),
        })
    }

    /// Multiplies within 128 bits as far as possible, then these parts in a balanced tree, so that the factors of each
    /// multiplication have similar sizes.
    fn product(operands: impl Iterator<Item = Self>) -> Option<Self> {
        let mut parts = Vec::new();
        let mut part = IBig::ONE;
        for operand in operands {
            if operand.is_zero() {
                return Some(IBig::ZERO);
            }
            if part.bit_len() + operand.bit_len() > 128 {
                parts.push(core::mem::replace(&mut part, operand));
            } else {
                part *= operand;
            }
        }
        parts.push(part);
        Some(multiply_balanced(parts))
    }

    fn lcm(operands: impl Iterator<Item = Self>) -> Option<Self> {
        Some(lcm_in_blocks::<4>(operands.map(UnsignedAbs::unsigned_abs)).into())
    }

    fn power(self, exponent: &Self, max_bits: u64) -> Result<Self, Stop> {
        if exponent.is_zero() {
            return Ok(IBig::ONE);
        }
        if *exponent < IBig::ZERO {
            return Err(Stop::Failed(Error::NegativeExponent));
        }
        let bits = self.bit_len() as u64;
        if bits < 2 {
            // For 0, 1 and -1 only the parity of the exponent matters.
            let even = exponent.trailing_zeros() != Some(0);
            return Ok(if even { absolute(self) } else { self });
        }
        let times = u64::try_from(exponent).unwrap_or(u64::MAX);
        let at_least = (bits - 1).saturating_mul(times).saturating_add(1);
        if at_least > max_bits {
            let at_most = bits.saturating_mul(times);
            return Err(Stop::Failed(Error::TooLarge { at_least, at_most }));
        }
        Ok(self.pow(times as usize))
    }
}

/// Multiplies neighbours until one number is left.
pub(super) fn multiply_balanced(mut parts: Vec<IBig>) -> IBig {
    while parts.len() > 1 {
        let pairs = parts.chunks(2).map(|pair| match pair {
            [left, right] => left * right,
            rest => rest.iter().product(),
        });
        parts = pairs.collect();
    }
    parts.pop().unwrap_or(IBig::ONE)
}

/// The least common multiple of integers above 0, in blocks of `BLOCK` operands: the multiple so far, which is long, is
/// divided once for each block; the search for divisors uses its remainder modulo the product of the block instead.
/// So the cost of the search depends on the size of an operand, not on that of the multiple.
pub(super) fn lcm_in_blocks<const BLOCK: usize>(operands: impl Iterator<Item = UBig>) -> UBig {
    let mut operands = operands.peekable();
    let mut multiple = UBig::ONE;
    while operands.peek().is_some() {
        let block: [UBig; BLOCK] = core::array::from_fn(|_| operands.next().unwrap_or(UBig::ONE));
        let residue = &multiple % block.iter().product::<UBig>();
        // The factor by which the block extends the multiple.
        let mut added = UBig::ONE;
        for operand in block {
            let remainder = &residue * &added % &operand;
            if !remainder.is_zero() {
                let divisor = Gcd::gcd(remainder, &operand);
                added *= if divisor.is_one() { operand } else { operand / divisor };
            }
        }
        multiple *= added;
    }
    multiple
}

fn absolute(number: IBig) -> IBig {
    number.unsigned_abs().into()
}
