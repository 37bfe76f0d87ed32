//! What can be wrong with an expression.

use alloc::format;
use alloc::string::String;

use thiserror::Error;

use crate::wire::{Operator, extended};

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {kind}")]
#[non_exhaustive]
pub struct SyntaxError {
    column: usize,
    kind: SyntaxErrorKind,
}

impl SyntaxError {
    pub(super) fn new(column: usize, kind: SyntaxErrorKind) -> SyntaxError {
        SyntaxError { column, kind }
    }

    /// The character that a caret belongs under: 1 is the first, one more than there are is the end.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong; its text is a sentence without the column.
    pub fn kind(&self) -> &SyntaxErrorKind {
        &self.kind
    }
}

/// What is wrong with an expression. Words and characters are those of the text, shortened where they are long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// Nothing but white space.
    #[error("nothing to evaluate")]
    Empty,
    /// An operand is missing.
    #[error("expected an integer, a function or '(' before {before}")]
    OperandExpected {
        /// What is there instead.
        before: String,
    },
    /// An operand follows an operand.
    #[error("expected an operator before {before}")]
    OperatorExpected {
        /// What is there instead.
        before: String,
    },
    /// A character that means nothing.
    #[error("unexpected character {found:?}{}", instead(*found))]
    Character {
        /// The character.
        found: char,
    },
    /// The symbol of an operator that is written as a function.
    #[error("'{0}' is not an infix operator; write {word}(a, b)", word = .0.word())]
    NotInfix(Operator),
    /// A parenthesis without its partner.
    #[error("this '(' is never closed")]
    Unclosed,
    /// A closing parenthesis too many.
    #[error("this ')' has no '('")]
    ClosesNothing,
    /// A comma outside a function's parentheses.
    #[error("',' separates the operands of a function; there is no function here")]
    Comma,
    /// A word that is not an operator's.
    #[error("unknown function '{word}'; known: {KNOWN_FUNCTIONS}")]
    UnknownFunction {
        /// The word.
        word: String,
    },
    /// An operator's word without operands in parentheses.
    #[error("expected '(' after the function {word}", word = .0.word())]
    ParenthesisExpected(Operator),
    /// A word of one letter without operands in parentheses: it was meant as a variable.
    #[error("{word} is the function {}; there are no variables", operator.word())]
    NoVariables {
        /// The word.
        word: String,
        /// The operator that it is a word of.
        operator: Operator,
    },
    /// Describe, which computes nothing.
    #[error("describe returns a text, not a number")]
    Describe,
    /// A function that does not take this number of operands.
    #[error("{} takes {}, not {count}", operator.word(), operands_taken(*operator))]
    OperandCount {
        /// The function.
        operator: Operator,
        /// How many operands it was given.
        count: usize,
    },
    /// A prefix such as `0x` without digits.
    #[error("expected digits")]
    NoDigits,
    /// A character in an integer that is not a digit.
    #[error("{found:?} is not a digit of base {base}")]
    Digit {
        /// The character.
        found: char,
        /// 2, 8, 10 or 16.
        base: u32,
    },
    /// A `_` that neither separates digits nor is a word of its own.
    #[error("'_' separates two digits, or alone is the last result")]
    Underscore,
    /// A `_` where nothing has been evaluated before.
    #[error("there is no last result yet for '_'")]
    NoLastResult,
    /// An integer that no request can carry.
    #[error("an integer of over {} octets, which no request carries", extended::MAX_WIDTH)]
    IntegerTooLarge,
}

/// The first word of each operator.
const KNOWN_FUNCTIONS: &str = "sum, difference, product, quotient, remainder, power, gcd, lcm, min, max, and, or, xor";

/// What people mean by some characters of typeset formulas.
fn instead(found: char) -> &'static str {
    match found {
        '×' | '·' | '⋅' => "; write '*'",
        '÷' | '∕' => "; write '/'",
        '−' | '–' => "; write '-'",
        _ => "",
    }
}

fn operands_taken(operator: Operator) -> String {
    let count = operator.operand_count();
    let (least, most) = (*count.start(), *count.end());
    let at_least = if most == least { "" } else { "at least " };
    format!("{at_least}{least} operand{}", if least == 1 { "" } else { "s" })
}
