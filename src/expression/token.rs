//! Text to tokens.

use super::{SyntaxError, SyntaxErrorKind};
use crate::arithmetic::{Number, ParseError};
use crate::wire::{Operator, extended};

/// Longer integers are not parsed: 255 octets in binary, every digit after a `_`.
const MAX_INTEGER_TEXT: usize = 2 * 8 * extended::MAX_WIDTH + "0b".len();

/// A word or a sign of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Integer(Number),
    LastResult,
    Word(&'a str),
    Infix(Operator),
    Open,
    Close,
    Comma,
    End,
}

/// Takes a text apart from the left.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    /// The column of the first character of `rest`.
    column: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { rest: text, column: 1 }
    }

    /// The next token with its column and its text; at the end always [`Token::End`].
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize, &'a str), SyntaxError> {
        let blank = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
        self.take(blank);
        let column = self.column;
        let Some(first) = self.rest.chars().next() else { return Ok((Token::End, column, "")) };
        let len =
            if is_word(first) { self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()) } else { first.len_utf8() };
        let text = self.take(len);
        let token = match first {
            '_' if text == "_" => Token::LastResult,
            '_' => return Err(SyntaxError::new(column, SyntaxErrorKind::Underscore)),
            '0'..='9' => Token::Integer(integer(text, column)?),
            _ if is_word(first) => Token::Word(text),
            _ => sign(first).map_err(|kind| SyntaxError::new(column, kind))?,
        };
        Ok((token, column, text))
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.column += taken.chars().count();
        taken
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn sign(c: char) -> Result<Token<'static>, SyntaxErrorKind> {
    Ok(match c {
        '(' => Token::Open,
        ')' => Token::Close,
        ',' => Token::Comma,
        '+' | '-' | '*' | '/' | '%' | '^' | '&' | '|' => Token::Infix(operator(c).expect("every one is an operator's")),
        _ => match operator(c) {
            Some(operator) if operator != Operator::Describe => return Err(SyntaxErrorKind::NotInfix(operator)),
            _ => return Err(SyntaxErrorKind::Character { found: c }),
        },
    })
}

fn operator(c: char) -> Option<Operator> {
    u8::try_from(c).ok().and_then(Operator::from_octet)
}

fn integer(text: &str, column: usize) -> Result<Number, SyntaxError> {
    if text.len() > MAX_INTEGER_TEXT {
        return Err(SyntaxError::new(column, SyntaxErrorKind::IntegerTooLarge));
    }
    text.parse().map_err(|error| match error {
        ParseError::NoDigits => SyntaxError::new(column + text.len(), SyntaxErrorKind::NoDigits),
        ParseError::Digit { found, column: place, base } => {
            SyntaxError::new(column + place - 1, SyntaxErrorKind::Digit { found, base })
        }
        ParseError::Underscore { column: place } => SyntaxError::new(column + place - 1, SyntaxErrorKind::Underscore),
    })
}
