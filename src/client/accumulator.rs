//! Partial results of an associative operator, combined as they come.

use thiserror::Error;

use crate::arithmetic::{Number, evaluate};
use crate::wire::Operator;

/// The result so far.
///
/// Products and least common multiples grow, so their parts are kept apart while they are small: numbers of like size
/// are multiplied with one another, which is far cheaper than one after the other with the result so far.
#[derive(Debug, Clone)]
pub struct Accumulator {
    operator: Operator,
    /// Of growing operators, each more than twice as long as the next; of others at most one.
    parts: Vec<Number>,
    max_bits: u64,
}

/// The result is longer than was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the {} has over {max_octets} octets", operator.word())]
pub struct ResultTooLong {
    /// The operator.
    pub operator: Operator,
    /// The most octets that were allowed.
    pub max_octets: u64,
}

impl Accumulator {
    /// Over nothing yet. Results of more than `max_octets` octets are refused; only those of product and lcm can be.
    ///
    /// # Panics
    /// If the operator is not associative.
    pub fn new(operator: Operator, max_octets: u64) -> Accumulator {
        assert!(operator.is_associative(), "only associative operators have partial results");
        Accumulator { operator, parts: Vec::new(), max_bits: max_octets.saturating_mul(8) }
    }

    /// Adds a partial result.
    ///
    /// # Errors
    /// The result is too long.
    pub fn add(&mut self, part: Number) -> Result<(), ResultTooLong> {
        self.parts.push(part);
        while let [.., longer, shorter] = &self.parts[..]
            && (!self.grows() || longer.is_zero() || longer.bit_len() < 2 * shorter.bit_len().max(1))
        {
            self.combine_last();
        }
        if !self.grows() {
            return Ok(());
        }
        let bits: u64 = self.parts.iter().map(|part| part.bit_len().saturating_sub(1)).sum();
        if bits < self.max_bits {
            return Ok(());
        }
        // A lower bound for products; a least common multiple may be much shorter.
        let whole = self.whole();
        self.parts = vec![whole];
        if self.parts[0].bit_len() > self.max_bits { Err(self.too_long()) } else { Ok(()) }
    }

    /// The result; `None` over nothing.
    ///
    /// # Errors
    /// It is too long.
    pub fn finish(mut self) -> Result<Option<Number>, ResultTooLong> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        let whole = self.whole();
        if self.grows() && whole.bit_len() > self.max_bits { Err(self.too_long()) } else { Ok(Some(whole)) }
    }

    fn grows(&self) -> bool {
        matches!(self.operator, Operator::Product | Operator::Lcm)
    }

    fn too_long(&self) -> ResultTooLong {
        ResultTooLong { operator: self.operator, max_octets: self.max_bits / 8 }
    }

    fn whole(&mut self) -> Number {
        while self.parts.len() > 1 {
            self.combine_last();
        }
        self.parts.pop().unwrap_or_default()
    }

    fn combine_last(&mut self) {
        let last = self.parts.len() - 2;
        // These operators refuse no operands.
        let combined = evaluate(self.operator, &self.parts[last..], u64::MAX).unwrap_or_default();
        self.parts.truncate(last);
        self.parts.push(combined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accumulated(operator: Operator, numbers: &[Number], max_octets: u64) -> Result<Option<Number>, ResultTooLong> {
        let mut accumulator = Accumulator::new(operator, max_octets);
        numbers.iter().try_for_each(|number| accumulator.add(number.clone()))?;
        accumulator.finish()
    }

    #[test]
    fn results_are_bounded() {
        let twos = vec![Number::from(2); 79];
        assert_eq!(accumulated(Operator::Product, &twos, 10).unwrap().unwrap().bit_len(), 80);
        let longer = vec![Number::from(2); 80];
        assert!(accumulated(Operator::Product, &longer, 10).is_err());
        assert!(accumulated(Operator::Product, &vec![Number::from(-2); 100_000], 10).is_err());
        let same = vec![Number::from(1i64 << 40); 1000];
        assert_eq!(accumulated(Operator::Lcm, &same, 10), Ok(Some((1i64 << 40).into())));
        assert_eq!(accumulated(Operator::Sum, &same, 1), Ok(Some((1000i64 << 40).into())), "sums are not bounded");
        assert_eq!(accumulated(Operator::Sum, &[], 1), Ok(None));
    }

    #[test]
    fn memory_is_bounded() {
        for operator in [Operator::Product, Operator::Lcm, Operator::Sum] {
            let mut accumulator = Accumulator::new(operator, 1000);
            for part in 0..10_000 {
                let _ = accumulator.add(Number::from(part % 7 - 3));
                assert!(accumulator.parts.len() < 64);
            }
        }
    }

    proptest! {
        #[test]
        fn the_order_of_combining_is_unseen(
            numbers in prop::collection::vec(-1000i64..1000, 1..60),
            operator in prop::sample::select(&Operator::ALL[..13]).prop_filter("", |operator| operator.is_associative()),
        ) {
            let numbers: Vec<Number> = numbers.into_iter().map(Number::from).collect();
            let expected = evaluate(operator, &numbers, u64::MAX).unwrap();
            prop_assert_eq!(accumulated(operator, &numbers, 1 << 20), Ok(Some(expected)));
        }
    }
}
