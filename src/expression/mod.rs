//! Expressions as people write them, and the requests that evaluate them. Pure: text goes in, questions come out.
//!
//! Main type: [`Expression`]. May call `arithmetic`, `wire` and `abridge`.
//!
//! From the loosest to the tightest binding:
//!
//! | operators | meaning | grouping |
//! | --- | --- | --- |
//! | `a \| b` | bitwise or | from the left |
//! | `a & b` | bitwise and | from the left |
//! | `a + b`, `a - b` | sum, difference | from the left |
//! | `a * b`, `a / b`, `a % b` | product, quotient truncated towards zero, remainder | from the left |
//! | `-a`, `+a` | negation, nothing | |
//! | `a ^ b` | power | from the right |
//!
//! So `-2^2` is -4, `2^3^2` is 2^9, and `2^-1` may be written without parentheses. Every operator also is a function by
//! any of its words: `gcd(12, 18)`, `xor(5, 3)`, `sum(1, 2, 3)`. Integers are those of [`Number`]: decimal, or after
//! `0x`, `0o`, `0b`, with `_` between digits. `_` alone is the last result.
//!
//! ```
//! use calc6::arithmetic::{Number, evaluate};
//! use calc6::expression::Evaluator;
//!
//! let mut evaluator = Evaluator::new("(1+3)*5 - 2^10".parse()?);
//! while let Some(operation) = evaluator.next_operation() {
//!     // A client asks a server here, and may ask for all the operations that are ready at the same time.
//!     let result = evaluate(operation.operator, &operation.operands, 1 << 20).expect("no division here");
//!     evaluator.answer(operation.node, result);
//! }
//! assert_eq!(evaluator.result(), Some(&Number::from(-1004)));
//! # Ok::<(), calc6::expression::SyntaxError>(())
//! ```
//!
//! Time and memory are linear in the text at any depth of nesting: nothing here recurses. Nothing panics on any text.

mod error;
mod parse;
mod plan;
#[cfg(any(test, fuzzing))]
pub mod property;
mod simplify;
mod token;

pub use error::{SyntaxError, SyntaxErrorKind};
pub use plan::{Evaluator, Operation};

use alloc::vec::Vec;
use core::str::FromStr;

use crate::arithmetic::Number;
use crate::wire::Operator;

/// A place in [`Expression::nodes`].
pub type NodeId = usize;

/// A parsed expression: a tree in which operands come before the node that uses them, and the whole comes last.
///
/// Chains of one operator are one node, so `1+2+3+4` is one request. So are sums and differences mixed, as far as one
/// request can say them: `10 - 3 + 2` is the sum of 10, -3 and 2.
///
/// ```
/// use calc6::expression::Expression;
/// assert_eq!(Expression::parse("1+2+3+4", None)?.requests(), 1);
/// let error = Expression::parse("2 * (3 + )", None).unwrap_err();
/// assert_eq!(error.column(), 10);
/// assert_eq!(error.to_string(), "column 10: expected an integer, a function or '(' before ')'");
/// # Ok::<(), calc6::expression::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    nodes: Vec<Node>,
}

/// One node of an [`Expression`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// An integer that was written, or the last result.
    Number(Number),
    /// An operator over nodes that come before this one. Each node but the last is an operand exactly once.
    Apply {
        /// The operator; never describe.
        operator: Operator,
        /// As many as the operator takes, in their order.
        operands: Vec<NodeId>,
        /// Where the operator is in the text; of a chain that became one node, the last one. 1 is the first character.
        column: usize,
    },
}

impl Expression {
    /// Reads an expression; `last` is the value of `_`.
    ///
    /// # Errors
    /// What is wrong with the text, and in which column. Integers of over 255 octets, which no request carries, are
    /// refused too.
    pub fn parse(text: &str, last: Option<&Number>) -> Result<Expression, SyntaxError> {
        let tree = parse::parse(text, last)?;
        simplify::simplify(tree).map(|nodes| Expression { nodes })
    }

    /// The nodes; operands come before the node that uses them, and the last is the whole.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many requests it takes, if every one of them fits a datagram.
    pub fn requests(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node, Node::Apply { .. })).count()
    }
}

/// As [`Expression::parse`], without a last result.
impl FromStr for Expression {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Expression, SyntaxError> {
        Expression::parse(text, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic;

    fn value(text: &str) -> String {
        let last = Number::from(42);
        let mut plan =
            Evaluator::new(Expression::parse(text, Some(&last)).unwrap_or_else(|error| panic!("{text}: {error}")));
        while let Some(question) = plan.next_operation() {
            match arithmetic::evaluate(question.operator, &question.operands, 10_000) {
                Ok(result) => plan.answer(question.node, result),
                Err(error) => return error.to_string(),
            }
        }
        plan.result().unwrap().to_string()
    }

    /// What is asked, in prefix form, in the order of the nodes: `(+ 1 2)`.
    fn asked(text: &str) -> String {
        let mut shown: Vec<String> = Vec::new();
        for node in Expression::parse(text, None).unwrap().nodes() {
            shown.push(match node {
                Node::Number(number) => number.to_string(),
                Node::Apply { operator, operands, .. } => {
                    let operands: Vec<_> = operands.iter().map(|&operand| &shown[operand][..]).collect();
                    format!("({operator} {})", operands.join(" "))
                }
            });
        }
        shown.pop().unwrap()
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("(1+3)*5 - 2^10", "-1004"),
            ("7", "7"),
            ("-7", "-7"),
            ("_", "42"),
            ("_ / -_", "-1"),
            ("-2^2", "-4"),
            ("(-2)^2", "4"),
            ("2^3^2", "512"),
            ("2^-0", "1"),
            ("-2^-(0-2)", "-4"),
            ("--5", "5"),
            ("- + - 5", "5"),
            ("1 - 2 - 3", "-4"),
            ("1 - (2 - 3)", "2"),
            ("1 - (2 + 3) - -4", "0"),
            ("-(1 + gcd(4, 6))", "-3"),
            ("-gcd(4, 6) - gcd(9, 6)", "-5"),
            ("-gcd(4, 6) - gcd(9, 6) + gcd(5) + gcd(25, 5)", "5"),
            ("7 / 2 * 2", "6"),
            ("100 / 7 / 2", "7"),
            ("100 / (7 / 2)", "33"),
            ("-7 % 4", "-3"),
            ("1 | 6 & 3", "3"),
            ("1 | 2 + 4", "7"),
            ("6 & 1 + 2", "2"),
            ("gcd(12, 18, 8)", "2"),
            ("max(1, min(9, 5), 3)", "5"),
            ("xor(0xff, 0b1111, 0o17)", "255"),
            ("1_000 * 0xf_f", "255000"),
            ("pow(2, 100)", "1267650600228229401496703205376"),
            ("1 / (3 - 3)", "division by zero"),
            ("sub(5)", "-5"),
            (" \t1\n+ 1 ", "2"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn chains_are_one_request() {
        for (text, expected) in [
            ("1+2+3+4", "(+ 1 2 3 4)"),
            ("1+(2+3)+sum(4,5)", "(+ 1 2 3 4 5)"),
            ("gcd(gcd(4,6),8)", "(g 4 6 8)"),
            ("2*3*4+1", "(+ (* 2 3 4) 1)"),
            ("1-2-3", "(- 1 2 3)"),
            ("100/5/2", "(/ 100 5 2)"),
            ("100/(5/2)", "(/ 100 (/ 5 2))"),
            ("2^3^4", "(^ 2 (^ 3 4))"),
            ("1-2+3", "(+ 1 -2 3)"),
            ("-2+3", "(+ -2 3)"),
            ("1-(2-3)", "(+ 1 -2 3)"),
            ("1-(2+3)", "(- 1 2 3)"),
            ("1-2*3+4", "(- (+ 1 4) (* 2 3))"),
            ("-(2*3)+4", "(- 4 (* 2 3))"),
            ("-(2*3)", "(- (* 2 3))"),
            ("-(2*3)-4*5", "(- 0 (* 2 3) (* 4 5))"),
            ("-(-(2*3))", "(* 2 3)"),
            ("sum(5)", "(+ 5)"),
            ("-2^2", "(- (^ 2 2))"),
            ("5", "5"),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_have_a_column_and_a_sentence() {
        for (text, expected) in [
            ("", "column 1: nothing to evaluate"),
            ("  ", "column 3: nothing to evaluate"),
            ("1 +", "column 4: expected an integer, a function or '(' before the end"),
            ("1 + * 2", "column 5: expected an integer, a function or '(' before '*'"),
            ("1 2", "column 3: expected an operator before '2'"),
            ("2(3)", "column 2: expected an operator before '('"),
            (
                "é + 1",
                "column 1: unknown function 'é'; known: sum, difference, product, quotient, remainder, power, gcd, lcm, min, max, and, or, xor",
            ),
            ("1 é", "column 3: expected an operator before 'é'"),
            ("1 € 2", "column 3: unexpected character '€'"),
            ("1 ~ 2", "column 3: '~' is not an infix operator; write xor(a, b)"),
            ("3 × 4", "column 3: unexpected character '×'; write '*'"),
            ("1 + (1 + 2", "column 5: this '(' is never closed"),
            ("gcd(1, 2", "column 4: this '(' is never closed"),
            ("1 + 2)", "column 6: this ')' has no '('"),
            ("1, 2", "column 2: ',' separates the operands of a function; there is no function here"),
            ("(1, 2)", "column 3: ',' separates the operands of a function; there is no function here"),
            ("2 * x + 1", "column 5: x is the function product; there are no variables"),
            ("x", "column 1: x is the function product; there are no variables"),
            ("gcd 1", "column 5: expected '(' after the function gcd"),
            ("gcd", "column 4: expected '(' after the function gcd"),
            ("gcd()", "column 1: gcd takes at least 1 operand, not 0"),
            ("pow(1,2,3)", "column 1: power takes 2 operands, not 3"),
            ("div(1)", "column 1: quotient takes at least 2 operands, not 1"),
            ("describe()", "column 1: describe returns a text, not a number"),
            ("gcd(1,)", "column 7: expected an integer, a function or '(' before ')'"),
            ("()", "column 2: expected an integer, a function or '(' before ')'"),
            ("12a", "column 3: 'a' is not a digit of base 10"),
            ("0b12", "column 4: '2' is not a digit of base 2"),
            ("0x", "column 3: expected digits"),
            ("1__2", "column 3: '_' separates two digits, or alone is the last result"),
            ("_1", "column 1: '_' separates two digits, or alone is the last result"),
            ("1 + _", "column 5: there is no last result yet for '_'"),
        ] {
            let error = Expression::parse(text, None).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn integers_of_up_to_255_octets() {
        let most = Number::from_octets(&[&[0x7f][..], &[0xff; 254]].concat());
        let above = arithmetic::evaluate(Operator::Sum, &[most.clone(), Number::from(1)], 0).unwrap();
        assert!(Expression::parse(&format!("1+{most}"), None).is_ok());
        assert!(Expression::parse(&format!("-{above}"), None).is_ok(), "the least negative integer of 255 octets");
        let error = Expression::parse(&format!("1+{above}"), None).unwrap_err();
        assert_eq!(error.to_string(), "column 3: an integer of over 255 octets, which no request carries");
        assert!(Expression::parse("_", Some(&above)).is_err());
        assert!(Expression::parse(&"1".repeat(1 << 20), None).is_err());
        // It cannot be negated, so it is subtracted.
        assert_eq!(asked(&format!("1 - -{above} + 2")).split(' ').next(), Some("(-"));
    }

    #[test]
    fn depth_and_length_cost_no_stack() {
        let deep = 1 << 17;
        let text = format!("{}1{}", "(".repeat(deep), ")".repeat(deep));
        assert_eq!(value(&text), "1");
        assert_eq!(Expression::parse(&"(".repeat(deep), None).unwrap_err().column(), deep + 1);
        assert_eq!(value(&format!("{}1", "-".repeat(deep))), "1");
        assert_eq!(value(&format!("{}0{}", "1-(".repeat(deep), ")".repeat(deep))), "0");
        assert_eq!(Expression::parse(&format!("2{}", "^1".repeat(deep)), None).unwrap().requests(), deep);
        assert_eq!(value(&format!("{}1{}", "gcd(".repeat(deep), ")".repeat(deep))), "1");
        assert_eq!(value(&format!("0{}", "+1".repeat(deep))), deep.to_string());
    }
}
