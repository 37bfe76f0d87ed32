//! The meaning of the operators: [`evaluate`] applies an [`Operator`] to integers of any size, [`Number`]s. Pure,
//! exact, and bounded in cost.
//!
//! Main type: [`Number`]. May call `wire`, of which it uses the operators only.
//!
//! Numbers of up to 128 bits take no memory on the heap. Evaluation never panics: divisors of zero, negative exponents
//! and results beyond the caller's limit are errors. With operands of `s` octets in all, no result except a power's has
//! more than `s + 9` octets, and a power that cannot fit is an error before it is computed.

mod integer;
mod number;
mod octets;

pub use number::{Number, OutOfRange, ParseError, TextTooLong};
pub use octets::Operands;

use thiserror::Error;

use self::integer::{Stop, fold};
use crate::wire::Operator;

/// Why there is no result. The order is that of the checks (docs/protocol.md, clause 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator does not take this number of operands, or (describe) computes nothing.
    #[error("operator {operator} does not take {count} operands")]
    OperandCount {
        /// The operator.
        operator: Operator,
        /// The number of operands.
        count: usize,
    },
    /// The exponent of a power is below 0.
    #[error("negative exponent")]
    NegativeExponent,
    /// An operand that divides is 0.
    #[error("division by zero")]
    DivisionByZero,
    /// A power that was not computed, because it has more bits than the caller allows.
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
/// A power that has more than `max_bits` bits by the sizes of its operands is an error before it is computed; other
/// results may exceed `max_bits`, since their operands limit them.
///
/// ```
/// use calc6::arithmetic::{Number, evaluate};
/// use calc6::wire::Operator;
/// let digits = [1, 3, 5, 7, 9].map(Number::from);
/// assert_eq!(evaluate(Operator::Product, &digits, 128), Ok(Number::from(945)));
/// ```
///
/// # Errors
/// See [`Error`](enum@Error).
pub fn evaluate(operator: Operator, operands: &[Number], max_bits: u64) -> Result<Number, Error> {
    let numbers = operands.iter().map(|number| number.0.clone());
    fold(operator, numbers, operands.len(), max_bits).map(Number).map_err(widest)
}

/// Evaluates an operator over operands in the form of a request; otherwise the same as [`evaluate`].
///
/// # Errors
/// See [`Error`](enum@Error).
pub fn evaluate_octets(operator: Operator, operands: Operands<'_>, max_bits: u64) -> Result<Number, Error> {
    match operands.evaluate_narrow(operator, max_bits) {
        Ok(result) => Ok(Number(result)),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Overflow) => fold(operator, operands.iter(), operands.len(), max_bits).map(Number).map_err(widest),
    }
}

/// The error of an evaluation in integers that do not overflow.
fn widest(stop: Stop) -> Error {
    match stop {
        Stop::Failed(error) => error,
        Stop::Overflow => Error::TooLarge { at_least: u64::MAX, at_most: u64::MAX },
    }
}

/// Bits that a number of `len` decimal characters has at most: what to give as `max_bits` for a result as text.
pub fn decimal_bits(len: usize) -> u64 {
    // log2(10) is below 3.3220.
    (len as u64).saturating_mul(33_220) / 10_000 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calculate(symbol: char, operands: &[i128]) -> Result<Number, Error> {
        let operands: Vec<Number> = operands.iter().copied().map(Number::from).collect();
        evaluate(Operator::from_octet(symbol as u8).unwrap(), &operands, 10_000)
    }

    #[test]
    fn every_operator_follows_the_specification() {
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
