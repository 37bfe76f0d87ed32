//! What can be wrong with an expression.

use alloc::format;
use alloc::string::String;

use thiserror::Error;

use crate::wire::{Operator, extended};

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {kind}")]
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
pub enum SyntaxErrorKind {
    /// Nothing but white space.
    #[error("there is nothing to evaluate")]
    Empty,
    /// An operand is missing.
    #[error("an integer, a function or '(' was to come before {before}")]
    OperandExpected {
        /// What stands there instead.
        before: String,
    },
    /// An operand follows an operand.
    #[error("an operator was to come before {before}")]
    OperatorExpected {
        /// What stands there instead.
        before: String,
    },
    /// A character that means nothing.
    #[error("{found:?} has no place in an expression{}", instead(*found))]
    Character {
        /// The character.
        found: char,
    },
    /// The symbol of an operator that is written as a function.
    #[error("'{0}' is not written between operands: {word}(a, b)", word = .0.word())]
    NotInfix(Operator),
    /// A parenthesis without its partner.
    #[error("this '(' is never closed")]
    Unclosed,
    /// A closing parenthesis too many.
    #[error("this ')' closes nothing")]
    ClosesNothing,
    /// A comma outside a function's parentheses.
    #[error("',' stands between the operands of a function only")]
    Comma,
    /// A word that is no operator's.
    #[error("'{word}' is no function; + - * / % ^ gcd lcm min max and or xor are")]
    UnknownFunction {
        /// The word.
        word: String,
    },
    /// An operator's word without operands in parentheses.
    #[error("'(' was to come behind the function {word}", word = .0.word())]
    ParenthesisExpected(Operator),
    /// Describe, which computes nothing.
    #[error("describe asks about the server and gives no number")]
    Describe,
    /// A function that does not take so many operands.
    #[error("{} takes {}, not {count}", operator.word(), operands_taken(*operator))]
    OperandCount {
        /// The function.
        operator: Operator,
        /// How many operands it was given.
        count: usize,
    },
    /// A prefix such as `0x` with nothing behind it.
    #[error("digits were to come")]
    NoDigits,
    /// A character in an integer that is no digit.
    #[error("{found:?} is no digit of base {base}")]
    Digit {
        /// The character.
        found: char,
        /// 2, 8, 10 or 16.
        base: u32,
    },
    /// A `_` that neither separates digits nor stands alone.
    #[error("'_' stands between two digits, or alone for the last result")]
    Underscore,
    /// A `_` where nothing has been evaluated before.
    #[error("there is no last result yet for '_' to stand for")]
    NoLastResult,
    /// An integer that no request can carry.
    #[error("an integer of over {} octets, more than a request carries", extended::MAX_WIDTH)]
    IntegerTooLarge,
}

/// What people mean by some characters of typeset formulas.
fn instead(found: char) -> &'static str {
    match found {
        '×' | '·' | '⋅' => ": write '*'",
        '÷' | '∕' => ": write '/'",
        '−' | '–' => ": write '-'",
        _ => "",
    }
}

fn operands_taken(operator: Operator) -> String {
    let count = operator.operand_count();
    let (least, most) = (*count.start(), *count.end());
    let at_least = if most == least { "" } else { "at least " };
    format!("{at_least}{least} operand{}", if least == 1 { "" } else { "s" })
}
