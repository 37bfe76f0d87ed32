//! Which requests express what is asked: the form, the Width, and where one datagram is not enough, the parts.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use thiserror::Error;

use super::Question;
use crate::abridge::abridged;
use crate::arithmetic::{Number, evaluate};
use crate::wire::{self, Form, Format, Operator, classic, extended};

/// The most characters of a number in a message.
const DIGITS: usize = 40;

/// Which form a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Forms {
    /// The classic form where request and result can be expressed in it, else the extended form.
    #[default]
    Either,
    /// The classic form alone.
    Classic,
    /// The extended form alone.
    Extended,
}

/// Why no request can express what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The operator does not take this number of operands.
    #[error("{} takes {}, not {found}", operator.word(), wanted(*operator))]
    OperandCount {
        /// The operator.
        operator: Operator,
        /// How many there are.
        found: usize,
    },
    /// Describe returns a text.
    #[error("describe returns a text, not a number")]
    Describe,
    /// More operands than one datagram holds, for an operator whose requests cannot be split.
    #[error("{} takes at most {most} operands of up to {width} octets in one datagram, not {found}", operator.word())]
    TooMany {
        /// The operator.
        operator: Operator,
        /// How many fit.
        most: usize,
        /// Octets of the largest operand.
        width: usize,
        /// How many there are.
        found: usize,
    },
    /// An operand of more octets than a Width can say.
    #[error("operand {place} has {octets} octets in two's complement; at most 255 can be sent")]
    TooWide {
        /// Its place among the operands, the first being 1.
        place: usize,
        /// Its octets.
        octets: usize,
    },
    /// The classic form has no opcode for it.
    #[error("the classic form has only sum and product, not {}", .0.word())]
    ClassicOperator(Operator),
    /// The classic form cannot express an operand.
    #[error("operand {place} is {operand}; the classic form has only integers from 0 to 4294967295")]
    ClassicOperand {
        /// Its place among the operands, the first being 1.
        place: usize,
        /// Its value, abridged.
        operand: String,
    },
    /// The result exceeds what the classic form can return as an integer.
    #[error("the {} is over 4294967295, the largest integer that the classic form can return", operator.word())]
    ClassicInteger {
        /// The operator.
        operator: Operator,
    },
    /// The result has more digits than the classic form can return.
    #[error("the {} has over 256 digits, the most that the classic form can return", operator.word())]
    ClassicText {
        /// The operator.
        operator: Operator,
    },
}

impl PlanError {
    /// More operands than one datagram holds.
    pub(super) fn too_many(operator: Operator, format: Format, operands: &[Number]) -> PlanError {
        let width = operands.iter().map(Number::octet_len).max().unwrap_or(1).min(extended::MAX_WIDTH);
        PlanError::TooMany { operator, most: room(operator, format) / width, width, found: operands.len() }
    }
}

fn wanted(operator: Operator) -> &'static str {
    match operator {
        Operator::Power => "two operands",
        Operator::Quotient | Operator::Remainder => "two operands or more",
        _ => "one operand or more",
    }
}

/// One request of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedRequest {
    /// Which operands it carries.
    pub operands: Range<usize>,
    /// In which form.
    pub form: Form,
    /// The octets of each operand.
    pub width: usize,
}

/// The requests that ask for an operator over operands. The results of the parts are combined by the operator of the
/// requests, and then, where an operand was [set aside](Plan::first), by the one that was asked for.
///
/// ```
/// use calc6::arithmetic::Number;
/// use calc6::exchange::{Forms, plan::plan};
/// use calc6::wire::{Format, Operator};
/// let operands: Vec<Number> = (0..2000).map(Number::from).collect();
/// let plan = plan(Operator::Sum, Format::Integer, Forms::Either, &operands)?;
/// assert_eq!(plan.operator, Operator::Sum);
/// assert_eq!(plan.parts.iter().map(|part| part.operands.len()).sum::<usize>(), 2000);
/// # Ok::<(), calc6::exchange::PlanError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// What the requests ask for; with more than one of them, an associative operator.
    pub operator: Operator,
    /// The first operand of a difference or quotient that is too long for one request: it is the first less the sum of
    /// the others, or the first divided by their product.
    pub first: Option<Number>,
    /// The requests.
    pub parts: Vec<PlannedRequest>,
}

/// The operator whose result over all operands but the first gives the result of `operator` in one more step: of a
/// difference their sum, of a quotient their product.
pub const fn reducing(operator: Operator) -> Option<Operator> {
    match operator {
        Operator::Difference => Some(Operator::Sum),
        // Truncated towards zero, (a / b) / c is a / (b * c).
        Operator::Quotient => Some(Operator::Product),
        _ => None,
    }
}

/// Plans the requests that ask for `operator` over `operands`, the result in `format`.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(operator: Operator, format: Format, forms: Forms, operands: &[Number]) -> Result<Plan, PlanError> {
    if operator == Operator::Describe {
        return Err(PlanError::Describe);
    }
    if !operator.operand_count().contains(&operands.len()) {
        return Err(PlanError::OperandCount { operator, found: operands.len() });
    }
    let whole = |parts| Plan { operator, first: None, parts };
    match forms {
        Forms::Classic => classic_parts(operator, format, operands).map(whole),
        Forms::Either
            if operands.len() <= classic::MAX_OPERANDS && fits_classic(operator, format, operands).is_ok() =>
        {
            let operands = 0..operands.len();
            Ok(whole(vec![PlannedRequest { operands, form: Form::Classic, width: classic::OPERAND }]))
        }
        Forms::Either | Forms::Extended => match (extended_parts(operator, format, operands), reducing(operator)) {
            (Err(PlanError::TooMany { .. }), Some(reducing)) => {
                let mut parts = extended_parts(reducing, format, &operands[1..])?;
                for part in &mut parts {
                    part.operands = part.operands.start + 1..part.operands.end + 1;
                }
                Ok(Plan { operator: reducing, first: Some(operands[0].clone()), parts })
            }
            (parts, _) => parts.map(whole),
        },
    }
}

/// The question what a server is and can do: with padding that allows the longest reply that servers send by default.
///
/// # Panics
/// Never: describe takes any operands.
#[allow(clippy::missing_panics_doc, reason = "it never panics: describe takes any operands")]
pub fn describing() -> Question {
    let padding = vec![0; wire::MAX_REPLY.div_ceil(wire::AMPLIFICATION) - extended::HEADER];
    Question::extended(Operator::Describe, Format::Text, 1, padding).expect("describe takes any operands")
}

impl PlannedRequest {
    /// The question that this part asks; `operands` are those that were planned for.
    ///
    /// # Panics
    /// If the operands are not those that were planned for.
    pub fn question(&self, operator: Operator, format: Format, operands: &[Number]) -> Question {
        let operands = &operands[self.operands.clone()];
        match self.form {
            Form::Classic => {
                let integers = operands.iter().map(|operand| u32::try_from(operand).expect("checked by the plan"));
                Question::classic(operator, format, integers).expect("checked by the plan")
            }
            Form::Extended => {
                let mut octets = vec![0; operands.len() * self.width];
                for (operand, out) in operands.iter().zip(octets.chunks_exact_mut(self.width)) {
                    operand.write_octets(out).expect("the width was planned for");
                }
                Question::extended(operator, format, self.width as u8, octets).expect("checked by the plan")
            }
        }
    }
}

/// Whether the classic form can express operator, operands and result: decided exactly. The number of operands is the
/// caller's to bound.
fn fits_classic(operator: Operator, format: Format, operands: &[Number]) -> Result<(), PlanError> {
    if !matches!(operator, Operator::Sum | Operator::Product) {
        return Err(PlanError::ClassicOperator(operator));
    }
    let mut sum = 0u64;
    let mut product = 1u64;
    let mut product_bits = 0u32;
    for (place, operand) in operands.iter().enumerate() {
        let Ok(operand) = u32::try_from(operand) else {
            return Err(PlanError::ClassicOperand {
                place: place + 1,
                operand: abridged(&operand.to_string(), DIGITS),
            });
        };
        sum = sum.saturating_add(u64::from(operand));
        // Saturates for good, unless a zero follows.
        product = product.saturating_mul(u64::from(operand));
        product_bits = if operand == 0 { 0 } else { product_bits.saturating_add(u32::BITS - operand.leading_zeros()) };
    }
    let result = if operator == Operator::Sum { sum } else { product };
    match format {
        Format::Integer if result > u64::from(u32::MAX) => Err(PlanError::ClassicInteger { operator }),
        Format::Text if operator == Operator::Product && product != 0 && product_bits > SURELY_256_DIGITS => {
            let product = evaluate(operator, operands, u64::MAX).map_or(Number::ZERO, |product| product);
            let digits = product.to_string().len();
            if digits > classic::MAX_PAYLOAD { Err(PlanError::ClassicText { operator }) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// A natural number of this number of bits has at most 256 digits: 256 / log10(2) is 850.4.
const SURELY_256_DIGITS: u32 = 850;

fn classic_parts(operator: Operator, format: Format, operands: &[Number]) -> Result<Vec<PlannedRequest>, PlanError> {
    let mut parts = Vec::with_capacity(operands.len().div_ceil(classic::MAX_OPERANDS));
    for start in (0..operands.len()).step_by(classic::MAX_OPERANDS) {
        let range = start..operands.len().min(start + classic::MAX_OPERANDS);
        fits_classic(operator, format, &operands[range.clone()]).map_err(|error| match error {
            PlanError::ClassicOperand { place, operand } => PlanError::ClassicOperand { place: place + start, operand },
            error => error,
        })?;
        parts.push(PlannedRequest { operands: range, form: Form::Classic, width: classic::OPERAND });
    }
    Ok(parts)
}

fn extended_parts(operator: Operator, format: Format, operands: &[Number]) -> Result<Vec<PlannedRequest>, PlanError> {
    let room = room(operator, format);
    let mut parts = Vec::new();
    let mut start = 0;
    let mut width = 1;
    for (place, operand) in operands.iter().enumerate() {
        let octets = operand.octet_len();
        if octets > extended::MAX_WIDTH {
            return Err(PlanError::TooWide { place: place + 1, octets });
        }
        let wider = width.max(octets);
        if (place + 1 - start) * wider > room {
            parts.push(PlannedRequest { operands: start..place, form: Form::Extended, width });
            (start, width) = (place, octets);
        } else {
            width = wider;
        }
    }
    parts.push(PlannedRequest { operands: start..operands.len(), form: Form::Extended, width });
    if parts.len() > 1 && !operator.is_associative() {
        let width = parts.iter().map(|part| part.width).max().unwrap_or(1);
        return Err(PlanError::TooMany { operator, most: room / width, width, found: operands.len() });
    }
    Ok(parts)
}

/// Octets of operands that one request may carry, so that its reply fits into [`wire::MAX_REPLY`] octets. As integers,
/// all results of associative operators do; as text, those that are as long as all operands together are the limit.
pub fn room(operator: Operator, format: Format) -> usize {
    let grows = matches!(operator, Operator::Product | Operator::Lcm);
    if format == Format::Text && grows {
        // 8 bits are at most 2.409 digits; one digit for the sign.
        (wire::MAX_REPLY - extended::HEADER - 1) * 1000 / 2409
    } else {
        extended::MAX_OPERAND_OCTETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const U32_MAX: i128 = u32::MAX as i128;

    fn numbers(values: &[i128]) -> Vec<Number> {
        values.iter().copied().map(Number::from).collect()
    }

    fn planned(operator: Operator, format: Format, operands: &[i128]) -> Vec<(Form, usize, usize)> {
        let plan = plan(operator, format, Forms::Either, &numbers(operands)).unwrap();
        plan.parts.into_iter().map(|part| (part.form, part.operands.len(), part.width)).collect()
    }

    #[test]
    fn classic_whenever_it_can_be() {
        use Format::{Integer, Text};
        use Operator::{Product, Sum};
        for (operator, format, operands) in [
            (Sum, Integer, &[1, 3, 5, 7, 9][..]),
            (Sum, Integer, &[U32_MAX]),
            (Sum, Integer, &[U32_MAX - 1, 1]),
            (Sum, Text, &[U32_MAX; 64]),
            (Product, Integer, &[65536, 65535]),
            (Product, Integer, &[U32_MAX, U32_MAX, U32_MAX, 0]),
            (Product, Text, &[U32_MAX; 26]),
            (Product, Text, &[10; 64]),
        ] {
            let expected = vec![(Form::Classic, operands.len(), 4)];
            assert_eq!(planned(operator, format, operands), expected, "{operator} {operands:?}");
        }
        assert_eq!(planned(Product, Text, &[U32_MAX, 0].repeat(32)), [(Form::Classic, 64, 4)]);
    }

    #[test]
    fn extended_with_the_least_width_otherwise() {
        use Format::{Integer, Text};
        for (operator, format, operands, width) in [
            (Operator::Sum, Integer, &[-1, 5][..], 1),
            (Operator::Sum, Integer, &[U32_MAX, 1], 5),
            (Operator::Sum, Integer, &[U32_MAX + 1], 5),
            (Operator::Sum, Integer, &[1; 65], 1),
            (Operator::Product, Integer, &[65536, 65536], 3),
            (Operator::Product, Text, &[U32_MAX; 27], 5),
            (Operator::Gcd, Integer, &[12, 18], 1),
            (Operator::Power, Text, &[2, 4000], 2),
        ] {
            let expected = vec![(Form::Extended, operands.len(), width)];
            assert_eq!(planned(operator, format, operands), expected, "{operator} {operands:?}");
        }
    }

    #[test]
    fn the_256th_digit_is_decided_exactly() {
        // 2^31 * 2^31 * … : 27 factors make 2^837; with 2^13 2^850, of 256 digits; with 2^14 2^851, of 257.
        let mut operands = vec![1 << 31; 27];
        operands.push(1 << 13);
        assert_eq!(planned(Operator::Product, Format::Text, &operands)[0].0, Form::Classic);
        operands[27] = 1 << 14;
        assert_eq!(planned(Operator::Product, Format::Text, &operands)[0].0, Form::Extended);
    }

    #[test]
    fn what_the_classic_form_cannot_say() {
        let refused = |operator, format, operands: &[i128]| {
            plan(operator, format, Forms::Classic, &numbers(operands)).unwrap_err().to_string()
        };
        let sum = |operands: &[i128]| refused(Operator::Sum, Format::Integer, operands);
        assert_eq!(refused(Operator::Gcd, Format::Text, &[1]), "the classic form has only sum and product, not gcd");
        assert_eq!(sum(&[1, -5]), "operand 2 is -5; the classic form has only integers from 0 to 4294967295");
        assert_eq!(sum(&[vec![0; 70], vec![-1]].concat())[..11], *"operand 71 ");
        assert!(sum(&[U32_MAX, 1]).starts_with("the sum is over 4294967295"));
        let product = refused(Operator::Product, Format::Text, &[U32_MAX; 27]);
        assert!(product.starts_with("the product has over 256 digits"), "{product}");
    }

    #[test]
    fn many_operands_become_parts() {
        let operands = numbers(&[1; 130]);
        let parts = plan(Operator::Sum, Format::Integer, Forms::Classic, &operands).unwrap().parts;
        let ranges: Vec<_> = parts.iter().map(|part| part.operands.clone()).collect();
        assert_eq!(ranges, [0..64, 64..128, 128..130]);

        assert_eq!(planned(Operator::Sum, Format::Integer, &[1; 1220]), [(Form::Extended, 1220, 1)]);
        let parts = planned(Operator::Sum, Format::Integer, &[1; 1221]);
        assert_eq!(parts, [(Form::Extended, 1220, 1), (Form::Extended, 1, 1)]);
        let parts = planned(Operator::Product, Format::Text, &[-1; 1220]);
        assert_eq!(parts.len(), 3, "as text, 1220 octets of product would have 2939 digits");
    }

    #[test]
    fn what_cannot_be_split_says_how_many_fit() {
        let error = plan(Operator::Remainder, Format::Integer, Forms::Either, &numbers(&[300; 700])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "remainder takes at most 610 operands of up to 2 octets in one datagram, not 700"
        );
        let error = plan(Operator::Power, Format::Integer, Forms::Either, &numbers(&[1])).unwrap_err();
        assert_eq!(error.to_string(), "power takes two operands, not 1");
    }

    #[test]
    fn long_differences_are_sums_of_all_but_the_first() {
        let planned = plan(Operator::Difference, Format::Integer, Forms::Either, &numbers(&[300; 700])).unwrap();
        assert_eq!((planned.operator, planned.first), (Operator::Sum, Some(Number::from(300))));
        let ranges: Vec<_> = planned.parts.into_iter().map(|part| part.operands).collect();
        assert_eq!(ranges, [1..611, 611..700]);
        let planned = plan(Operator::Quotient, Format::Integer, Forms::Either, &numbers(&[300; 700])).unwrap();
        assert_eq!((planned.operator, planned.parts.len()), (Operator::Product, 2));
    }

    #[test]
    fn operands_have_at_most_255_octets() {
        let widest: Number = format!("-0x80{}", "0".repeat(508)).parse().unwrap();
        let wider: Number = format!("0x80{}", "0".repeat(508)).parse().unwrap();
        let planned =
            |operand: &Number| plan(Operator::Sum, Format::Integer, Forms::Either, &[Number::ZERO, operand.clone()]);
        assert_eq!(planned(&widest).unwrap().parts[0].width, 255);
        assert_eq!(planned(&wider), Err(PlanError::TooWide { place: 2, octets: 256 }));
    }

    proptest! {
        /// The parts are all operands, in order, each request fits, and together they give the answer.
        #[test]
        fn parts_cover_the_operands(
            operands in prop::collection::vec(prop_oneof![any::<i128>(), (0..9i128), (0..=U32_MAX)], 1..400),
            operator in prop::sample::select(&Operator::ALL[..13]),
            text: bool,
            forms in prop::sample::select(&[Forms::Either, Forms::Classic, Forms::Extended][..]),
        ) {
            let format = if text { Format::Text } else { Format::Integer };
            let operands = numbers(&operands);
            let Ok(plan) = plan(operator, format, forms, &operands) else { return Ok(()) };
            let (parts, whole) = (plan.parts, plan.first.is_none());
            let mut next = usize::from(!whole);
            let mut results = Vec::new();
            for part in &parts {
                prop_assert_eq!(part.operands.start, next);
                next = part.operands.end;
                let question = part.question(plan.operator, format, &operands);
                prop_assert!(question.request_len() <= wire::MAX_REQUEST);
                prop_assert_eq!(question.form(), part.form);
                if let Ok(result) = evaluate(plan.operator, &operands[part.operands.clone()], 1 << 20) {
                    results.push(result);
                }
            }
            prop_assert_eq!(next, operands.len());
            if operator.is_associative() {
                prop_assert_eq!(evaluate(operator, &results, u64::MAX), evaluate(operator, &operands, u64::MAX));
            }
            if let Some(first) = plan.first {
                let rest = evaluate(plan.operator, &results, u64::MAX).unwrap();
                prop_assert_eq!(evaluate(operator, &[first, rest], u64::MAX), evaluate(operator, &operands, u64::MAX));
            }
        }
    }
}
