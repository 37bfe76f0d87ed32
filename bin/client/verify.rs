//! `--verify`: computes the same results here.

use std::fs::File;

use calc6::arithmetic::{Number, evaluate};
use calc6::client::Error;
use calc6::client::text::{IntegerReader, TextItem};
use calc6::expression::{Evaluator, Expression};
use calc6::wire::Operator;

use super::failure::Failure;

/// Compares a server's result of an operator.
///
/// # Errors
/// It differs.
pub fn operator(operator: Operator, operands: &[Number], result: &Number) -> Result<(), Failure> {
    compare(&compute(operator, operands, result)?, result)
}

/// Compares a server's result of an expression.
///
/// # Errors
/// It differs.
pub fn expression(expression: Expression, result: &Number) -> Result<(), Failure> {
    let mut evaluator = Evaluator::new(expression);
    while let Some(operation) = evaluator.next_operation() {
        match evaluate(operation.operator, &operation.operands, MAX_BITS) {
            Ok(value) => evaluator.answer(operation.node, value),
            Err(error) => return Err(Failure::differs(&error.to_string(), result)),
        }
    }
    evaluator.result().map_or(Ok(()), |expected| compare(expected, result))
}

/// Compares the result over a file's operands, which are read again.
///
/// # Errors
/// It differs, or the file cannot be read again.
pub fn file(operator: Operator, file: File, result: &Number) -> Result<(), Failure> {
    let mut reader = IntegerReader::new(file);
    // The first less the sum of the others, the first by the product of the others.
    let (apart, folded) = match operator {
        Operator::Difference => (true, Operator::Sum),
        Operator::Quotient => (true, Operator::Product),
        other => (false, other),
    };
    let (mut first, mut total, mut block) = (None, None, Vec::new());
    loop {
        let number = match reader.next_item().map_err(|error| Failure::client(error.into(), ""))? {
            TextItem::Word(number) => Number::from(number),
            TextItem::Number(number) => number,
            TextItem::Pending => {
                reader.read().map_err(|error| Failure::client(Error::Read(error), ""))?;
                continue;
            }
            // The end: there is no other item.
            _ => break,
        };
        if apart && first.is_none() {
            first = Some(number);
            continue;
        }
        block.push(number);
        if block.len() == BLOCK && folded.is_associative() {
            total = Some(fold(folded, total.take(), &mut block, result)?);
        }
    }
    let expected = match first {
        None => fold(operator, total, &mut block, result)?,
        Some(first) if block.is_empty() && total.is_none() => compute(operator, &[first], result)?,
        Some(first) => {
            let rest = fold(folded, total, &mut block, result)?;
            compute(operator, &[first, rest], result)?
        }
    };
    compare(&expected, result)
}

/// Operands that are combined at a time.
const BLOCK: usize = 4096;

/// More than any result that a server can send, or that a client combines within `--max-result`.
const MAX_BITS: u64 = 1 << 43;

fn fold(
    operator: Operator,
    total: Option<Number>,
    block: &mut Vec<Number>,
    result: &Number,
) -> Result<Number, Failure> {
    let operands: Vec<Number> = total.into_iter().chain(block.drain(..)).collect();
    compute(operator, &operands, result)
}

fn compute(operator: Operator, operands: &[Number], result: &Number) -> Result<Number, Failure> {
    evaluate(operator, operands, MAX_BITS).map_err(|error| Failure::differs(&error.to_string(), result))
}

fn compare(expected: &Number, result: &Number) -> Result<(), Failure> {
    if expected == result { Ok(()) } else { Err(Failure::differs(&expected.to_string(), result)) }
}
