//! Partial results, combined as they come.

use super::error::{Error, ResultTooLong};
use crate::arithmetic::{Number, evaluate};
use crate::wire::Operator;

/// The result so far.
///
/// Products and least common multiples grow, so their parts are kept apart while they are small: numbers of like size
/// are multiplied with one another, which is far cheaper than one after the other with the result so far.
#[derive(Debug, Clone)]
pub struct Accumulator {
    /// What combines the parts.
    operator: Operator,
    /// The last step, where it is another one: the operator that was asked for, and its first operand.
    last_step: Option<(Operator, Number)>,
    /// Of growing operators, each more than twice as long as the next; of others at most one.
    parts: Vec<Number>,
    max_octets: u64,
}

/// Refuses a result whose magnitude has more than `max_octets` octets.
///
/// # Errors
/// It has.
pub fn check_length(operator: Operator, result: &Number, max_octets: u64) -> Result<(), ResultTooLong> {
    let fits = result.bit_len() <= max_octets.saturating_mul(8);
    if fits { Ok(()) } else { Err(ResultTooLong { operator, max_octets }) }
}

impl Accumulator {
    /// Over nothing yet. A result whose magnitude has more than `max_octets` octets is refused.
    ///
    /// # Panics
    /// If the operator is not associative.
    pub fn new(operator: Operator, max_octets: u64) -> Accumulator {
        assert!(operator.is_associative(), "only associative operators have partial results");
        Accumulator { operator, last_step: None, parts: Vec::new(), max_octets }
    }

    /// Over nothing yet, of a [`Plan`](crate::exchange::plan::Plan) for `asked`: its operator, and the operand set
    /// aside.
    pub fn of_plan(asked: Operator, operator: Operator, first: Option<Number>, max_octets: u64) -> Accumulator {
        Accumulator { last_step: first.map(|first| (asked, first)), ..Accumulator::new(operator, max_octets) }
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
        let max_bits = self.max_bits();
        let bits: u64 = self.parts.iter().map(|part| part.bit_len().saturating_sub(1)).sum();
        if bits < max_bits {
            return Ok(());
        }
        // A lower bound for products; a least common multiple may be much shorter.
        let whole = self.whole();
        let (length, too_long) = (whole.bit_len(), whole.bit_len() > max_bits);
        self.parts = vec![whole];
        match &self.last_step {
            // Any longer divisor gives the quotient 0, too.
            Some(_) if too_long => self.parts = vec![longer_than(max_bits.min(length))],
            None if too_long => return Err(self.too_long()),
            _ => {}
        }
        Ok(())
    }

    /// The result; `None` over nothing.
    ///
    /// # Errors
    /// It is too long, or a division by zero.
    pub fn finish(mut self) -> Result<Option<Number>, Error> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        let mut result = self.whole();
        let mut operator = self.operator;
        if let Some((last, first)) = self.last_step.take() {
            result = evaluate(last, &[first, result], u64::MAX).map_err(Error::Combine)?;
            operator = last;
        }
        check_length(operator, &result, self.max_octets)?;
        Ok(Some(result))
    }

    fn grows(&self) -> bool {
        matches!(self.operator, Operator::Product | Operator::Lcm)
    }

    /// Beyond which the parts need not be known exactly.
    fn max_bits(&self) -> u64 {
        match &self.last_step {
            Some((_, first)) => first.bit_len() + 1,
            None => self.max_octets.saturating_mul(8),
        }
    }

    fn too_long(&self) -> ResultTooLong {
        ResultTooLong { operator: self.operator, max_octets: self.max_octets }
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

/// A number of more than this number of bits.
fn longer_than(bits: u64) -> Number {
    let mut octets = vec![0; usize::try_from(bits / 8 + 2).unwrap_or(usize::MAX)];
    octets[0] = 1;
    Number::from_octets(&octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accumulated(operator: Operator, numbers: &[Number], max_octets: u64) -> Result<Option<Number>, String> {
        let mut accumulator = Accumulator::new(operator, max_octets);
        let added = numbers.iter().try_for_each(|number| accumulator.add(number.clone()));
        added.map_err(|error| error.to_string())?;
        accumulator.finish().map_err(|error| error.to_string())
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
        assert_eq!(accumulated(Operator::Sum, &same, 7), Ok(Some((1000i64 << 40).into())));
        assert!(accumulated(Operator::Sum, &same, 6).is_err());
        assert_eq!(accumulated(Operator::Sum, &[], 1), Ok(None));
    }

    #[test]
    fn the_last_step_takes_the_first_operand() {
        let stepped = |asked, operator, first: i64, parts: &[i64]| {
            let mut accumulator = Accumulator::of_plan(asked, operator, Some(first.into()), 100);
            parts.iter().for_each(|&part| accumulator.add(part.into()).unwrap());
            accumulator.finish().map(Option::unwrap)
        };
        let number = |value: i64| Number::from(value);
        assert_eq!(stepped(Operator::Difference, Operator::Sum, 5, &[1, 2, 3]).unwrap(), number(-1));
        assert_eq!(stepped(Operator::Quotient, Operator::Product, -1000, &[3, 7]).unwrap(), number(-47));
        // However long the product gets, it takes no room, and a zero among the divisors still counts.
        let many = vec![-(1 << 60); 10_000];
        assert_eq!(stepped(Operator::Quotient, Operator::Product, 1000, &many).unwrap(), number(0));
        let zero = stepped(Operator::Quotient, Operator::Product, 1000, &[&many[..], &[0]].concat());
        assert!(matches!(zero, Err(Error::Combine(_))));
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
            let result = |number: i64| evaluate(operator, &[Number::from(number)], u64::MAX).unwrap();
            let numbers: Vec<Number> = numbers.into_iter().map(result).collect();
            let expected = evaluate(operator, &numbers, u64::MAX).unwrap();
            prop_assert_eq!(accumulated(operator, &numbers, 1 << 20), Ok(Some(expected)));
        }
    }
}
