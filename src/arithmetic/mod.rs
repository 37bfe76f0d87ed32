//! What the operators mean: an [`Operator`] and integers make an integer. Pure, exact, and bounded in cost.
//!
//! Numbers of up to 128 bits take no memory. Nothing here panics: divisors of zero, negative exponents and results
//! beyond the caller's bound are errors. With operands of `s` octets in all, no result but a power's has more than
//! `s + 9` octets, and a power is refused before it is computed where it cannot fit.

mod number;
mod octets;

pub use number::{Number, OutOfRange, ParseError, TextTooLong};
pub use octets::Operands;

use dashu_int::IBig;
use dashu_int::ops::{BitTest, Gcd, UnsignedAbs};
use thiserror::Error;

use crate::wire::Operator;

/// Why there is no result. The order is that of the checks (docs/protocol.md, clause 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// The operator does not take so many operands, or (describe) computes nothing.
    #[error("operator {operator} does not take {count} operands")]
    OperandCount {
        /// The operator.
        operator: Operator,
        /// How many there are.
        count: usize,
    },
    /// The exponent of a power is below 0.
    #[error("negative exponent")]
    NegativeExponent,
    /// An operand that divides is 0.
    #[error("division by zero")]
    DivisionByZero,
    /// A power that was not computed: it surely has more bits than the caller allows.
    #[error("a result of {at_least} to {at_most} bits")]
    TooLarge {
        /// Bits that its magnitude has at least.
        at_least: u64,
        /// Bits that its magnitude has at most.
        at_most: u64,
    },
}

/// Evaluates an operator over integers.
///
/// A power of surely more than `max_bits` bits is refused uncomputed; other results may exceed `max_bits`, as their
/// operands bound them.
///
/// ```
/// use calc6::arithmetic::{Number, evaluate};
/// use calc6::wire::Operator;
/// let digits = [1, 3, 5, 7, 9].map(Number::from);
/// assert_eq!(evaluate(Operator::Product, &digits, 128), Ok(Number::from(945)));
/// ```
///
/// # Errors
/// See [`Error`].
pub fn evaluate(operator: Operator, operands: &[Number], max_bits: u64) -> Result<Number, Error> {
    fold(operator, operands.iter().map(|number| number.0.clone()), operands.len(), max_bits).map(Number)
}

/// Evaluates an operator over operands as they stand in a request; otherwise as [`evaluate`].
///
/// # Errors
/// See [`Error`].
pub fn evaluate_octets(operator: Operator, operands: Operands<'_>, max_bits: u64) -> Result<Number, Error> {
    if let Some(result) = operands.evaluate_packed(operator) {
        return Ok(Number(result));
    }
    fold(operator, operands.iter(), operands.len(), max_bits).map(Number)
}

/// The least sum of bits at which `len` characters of decimal are surely exceeded: for `max_bits`.
pub fn decimal_bits(len: usize) -> u64 {
    // log2(10) is below 3.3220.
    (len as u64).saturating_mul(33_220) / 10_000 + 1
}

fn fold(
    operator: Operator,
    mut operands: impl Iterator<Item = IBig> + Clone,
    count: usize,
    max_bits: u64,
) -> Result<IBig, Error> {
    let refused = Error::OperandCount { operator, count };
    if !operator.operand_count().contains(&count) {
        return Err(refused);
    }
    let divisors = || operands.clone().skip(1);
    Ok(match operator {
        Operator::Sum => sum(operands),
        Operator::Product => product(operands),
        Operator::Difference => {
            let first = operands.next().ok_or(refused)?;
            if count == 1 { -first } else { first - sum(operands) }
        }
        Operator::Quotient | Operator::Remainder if divisors().any(|divisor| divisor.is_zero()) => {
            return Err(Error::DivisionByZero);
        }
        Operator::Quotient => operands.reduce(|dividend, divisor| dividend / divisor).ok_or(refused)?,
        Operator::Remainder => operands.reduce(|dividend, divisor| dividend % divisor).ok_or(refused)?,
        Operator::Power => {
            let (base, exponent) = (operands.next().ok_or(refused)?, operands.next().ok_or(refused)?);
            power(base, &exponent, max_bits)?
        }
        Operator::Gcd => operands.fold(IBig::ZERO, gcd),
        Operator::Lcm => lcm(operands),
        Operator::Min => operands.min().ok_or(refused)?,
        Operator::Max => operands.max().ok_or(refused)?,
        Operator::And => operands.reduce(|a, b| a & b).ok_or(refused)?,
        Operator::Or => operands.reduce(|a, b| a | b).ok_or(refused)?,
        Operator::Xor => operands.reduce(|a, b| a ^ b).ok_or(refused)?,
        Operator::Describe => return Err(refused),
    })
}

fn sum(operands: impl Iterator<Item = IBig>) -> IBig {
    operands.fold(IBig::ZERO, |total, operand| total + operand)
}

/// Multiplies within 128 bits as long as that goes, then what has come together in a balanced tree.
fn product(operands: impl Iterator<Item = IBig>) -> IBig {
    let mut parts = Vec::new(); // does not allocate while it is empty
    let mut part = IBig::ONE;
    for operand in operands {
        if operand.is_zero() {
            return IBig::ZERO;
        }
        if part.bit_len() + operand.bit_len() > 128 {
            parts.push(std::mem::replace(&mut part, operand));
        } else {
            part *= operand;
        }
    }
    if parts.is_empty() {
        return part;
    }
    parts.push(part);
    reduce_balanced(parts, |a, b| a * b)
}

fn lcm(operands: impl Iterator<Item = IBig> + Clone) -> IBig {
    if operands.clone().any(|operand| operand.is_zero()) {
        return IBig::ZERO;
    }
    let mut parts = Vec::new();
    let mut part = IBig::ONE;
    for operand in operands {
        if part.bit_len() + operand.bit_len() > 128 {
            parts.push(std::mem::replace(&mut part, absolute(operand)));
        } else {
            part = lcm_of_two(part, operand);
        }
    }
    if parts.is_empty() {
        return part;
    }
    parts.push(part);
    reduce_balanced(parts, lcm_of_two)
}

/// Combines neighbours until one is left, so that large numbers meet large numbers.
fn reduce_balanced(mut parts: Vec<IBig>, combine: impl Fn(IBig, IBig) -> IBig) -> IBig {
    while parts.len() > 1 {
        let mut rest = parts.into_iter();
        let mut halved = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(left) = rest.next() {
            halved.push(match rest.next() {
                Some(right) => combine(left, right),
                None => left,
            });
        }
        parts = halved;
    }
    parts.pop().unwrap_or(IBig::ONE)
}

fn power(base: IBig, exponent: &IBig, max_bits: u64) -> Result<IBig, Error> {
    if exponent.is_zero() {
        return Ok(IBig::ONE);
    }
    if exponent < &IBig::ZERO {
        return Err(Error::NegativeExponent);
    }
    let bits = base.bit_len() as u64;
    if bits < 2 {
        // 0, 1 and -1 go by parity, whatever the exponent.
        let squared_away = base < IBig::ZERO && exponent.trailing_zeros() != Some(0);
        return Ok(if squared_away { -base } else { base });
    }
    let times = u64::try_from(exponent).unwrap_or(u64::MAX);
    let at_least = (bits - 1).saturating_mul(times).saturating_add(1);
    if at_least > max_bits {
        return Err(Error::TooLarge { at_least, at_most: bits.saturating_mul(times) });
    }
    Ok(base.pow(times as usize))
}

/// Never negative; gcd(0, 0) is 0, for which dashu panics.
fn gcd(a: IBig, b: IBig) -> IBig {
    if a.is_zero() {
        absolute(b)
    } else if b.is_zero() {
        absolute(a)
    } else {
        a.gcd(b).into()
    }
}

/// Of two numbers that are not 0.
fn lcm_of_two(a: IBig, b: IBig) -> IBig {
    let divisor = IBig::from((&a).gcd(&b));
    absolute(a / divisor * b)
}

fn absolute(number: IBig) -> IBig {
    number.unsigned_abs().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calculate(symbol: char, operands: &[i128]) -> Result<Number, Error> {
        let operands: Vec<Number> = operands.iter().copied().map(Number::from).collect();
        evaluate(Operator::from_octet(symbol as u8).unwrap(), &operands, 10_000)
    }

    #[test]
    fn every_operator_as_the_specification_has_it() {
        for (symbol, operands, result) in [
            ('+', &[1, 3, 5, 7, 9][..], 25),
            ('+', &[-2, 5], 3),
            ('*', &[1, 3, 5, 7, 9], 945),
            ('*', &[i128::MAX, 0, -1], 0),
            ('-', &[10, 3, 2], 5),
            ('-', &[7], -7),
            ('/', &[-7, 2], -3),
            ('/', &[100, -7, 2], -7),
            ('%', &[-7, 2], -1),
            ('%', &[7, -4], 3),
            ('%', &[100, 30, 7], 3),
            ('^', &[2, 10], 1024),
            ('^', &[0, 0], 1),
            ('^', &[-2, 3], -8),
            ('^', &[-1, i128::MAX], -1),
            ('^', &[-1, i128::MAX - 1], 1),
            ('^', &[1, i128::MAX], 1),
            ('^', &[0, i128::MAX], 0),
            ('g', &[-12, 18], 6),
            ('g', &[-12], 12),
            ('g', &[0, 0], 0),
            ('g', &[0, -5], 5),
            ('l', &[4, -6], 12),
            ('l', &[-4], 4),
            ('l', &[4, 0, 6], 0),
            ('<', &[3, -1, 2], -1),
            ('>', &[3, -1, 2], 3),
            ('&', &[-1, 12, 10], 8),
            ('|', &[-4, 1], -3),
            ('~', &[-1, 5], -6),
        ] {
            assert_eq!(calculate(symbol, operands), Ok(Number::from(result)), "{symbol} {operands:?}");
        }
    }

    #[test]
    fn one_operand_is_itself() {
        for symbol in "+*<>&|~".chars() {
            assert_eq!(calculate(symbol, &[-42]), Ok(Number::from(-42)), "{symbol}");
        }
    }

    #[test]
    fn no_result() {
        for (symbol, operands, error) in [
            ('/', &[1, 2, 0][..], Error::DivisionByZero),
            ('%', &[0, 0], Error::DivisionByZero),
            ('^', &[0, -1], Error::NegativeExponent),
            ('^', &[1, -1], Error::NegativeExponent),
            ('^', &[2, 10_000], Error::TooLarge { at_least: 10_001, at_most: 20_000 }),
            ('^', &[2, i128::MAX], Error::TooLarge { at_least: u64::MAX, at_most: u64::MAX }),
            ('^', &[1], Error::OperandCount { operator: Operator::Power, count: 1 }),
            ('+', &[], Error::OperandCount { operator: Operator::Sum, count: 0 }),
            ('?', &[1], Error::OperandCount { operator: Operator::Describe, count: 1 }),
        ] {
            assert_eq!(calculate(symbol, operands), Err(error), "{symbol} {operands:?}");
        }
    }

    #[test]
    fn large_products_and_multiples() {
        let factorial = |n: i128| calculate('*', &(1..=n).collect::<Vec<_>>()).unwrap();
        assert_eq!(factorial(25).to_string(), "15511210043330985984000000");
        assert_eq!(factorial(100).bit_len(), 525);
        let multiple = calculate('l', &(1..=100).collect::<Vec<_>>()).unwrap();
        assert_eq!(multiple.to_string(), "69720375229712477164533808935312303556800");
        assert_eq!(calculate('*', &[i128::MIN, i128::MIN]).unwrap().bit_len(), 255);
    }

    #[test]
    fn a_power_at_the_bound_is_computed() {
        assert_eq!(calculate('^', &[2, 9_999]).unwrap().bit_len(), 10_000);
        // 3 has 2 bits: at least (2 - 1) * 9999 + 1.
        assert_eq!(calculate('^', &[3, 9_999]).unwrap().bit_len(), 15_849);
    }

    #[test]
    fn decimal_bits_are_enough() {
        for len in 1..2000 {
            let nines: Number = "9".repeat(len).parse().unwrap();
            assert!(nines.bit_len() <= decimal_bits(len), "{len}");
        }
    }
}
