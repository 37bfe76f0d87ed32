//! Tokens to a tree, by operator precedence with a stack of its own (E. W. Dijkstra's shunting yard).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::token::{Lexer, Token};
use super::{SyntaxError, SyntaxErrorKind};
use crate::abridge::abridged;
use crate::arithmetic::Number;
use crate::wire::{Operator, extended};

/// A node as it was written. Operands come before the node that uses them, and the last node is the whole.
#[derive(Debug)]
pub(super) enum Draft {
    Number { number: Number, column: usize },
    Apply { operator: Operator, operands: Vec<usize>, column: usize },
}

/// What waits on the stack for its last operand.
enum Pending {
    Infix { operator: Operator, column: usize },
    Negation { column: usize },
    Group { column: usize },
    Call { operator: Operator, word: usize, column: usize, operands_before: usize },
}

/// How tightly an operator binds, from the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Or,
    And,
    Additive,
    Multiplicative,
    Sign,
    Power,
}

impl Precedence {
    fn of(operator: Operator) -> Precedence {
        match operator {
            Operator::Or => Precedence::Or,
            Operator::And => Precedence::And,
            Operator::Sum | Operator::Difference => Precedence::Additive,
            Operator::Power => Precedence::Power,
            _ => Precedence::Multiplicative,
        }
    }
}

pub(super) fn parse(text: &str, last: Option<&Number>) -> Result<Vec<Draft>, SyntaxError> {
    let mut parser =
        Parser { lexer: Lexer::new(text), last, nodes: Vec::new(), operands: Vec::new(), stack: Vec::new() };
    loop {
        parser.operand()?;
        if parser.operator()? == Expected::End {
            return Ok(parser.nodes);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Expected {
    Operand,
    End,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    last: Option<&'a Number>,
    nodes: Vec<Draft>,
    /// Nodes that no other node uses yet.
    operands: Vec<usize>,
    stack: Vec<Pending>,
}

impl Parser<'_> {
    /// Signs, opening parentheses and functions as long as they come, then an integer.
    fn operand(&mut self) -> Result<(), SyntaxError> {
        loop {
            let (token, column, text) = self.lexer.next()?;
            match token {
                Token::Integer(number) => return self.number(&number, column),
                Token::LastResult => {
                    let last = self.last.ok_or(SyntaxError::new(column, SyntaxErrorKind::NoLastResult))?;
                    return self.number(last, column);
                }
                Token::Infix(Operator::Sum) => {}
                Token::Infix(Operator::Difference) => self.stack.push(Pending::Negation { column }),
                Token::Open => self.stack.push(Pending::Group { column }),
                Token::Word(word) => self.function(word, column)?,
                Token::Close if self.closes_empty_call() => {
                    // Refused there: no function takes no operands.
                    return self.close(column);
                }
                Token::End if self.nodes.is_empty() && self.stack.is_empty() => {
                    return Err(SyntaxError::new(column, SyntaxErrorKind::Empty));
                }
                Token::Infix(_) | Token::Close | Token::Comma | Token::End => {
                    let before = shown(text);
                    return Err(SyntaxError::new(column, SyntaxErrorKind::OperandExpected { before }));
                }
            }
        }
    }

    /// Closing parentheses as long as they come, then an operator, a comma or the end.
    fn operator(&mut self) -> Result<Expected, SyntaxError> {
        loop {
            let (token, column, text) = self.lexer.next()?;
            match token {
                Token::Infix(operator) => {
                    let precedence = Precedence::of(operator);
                    let from_the_right = operator == Operator::Power;
                    self.reduce_while(|before| before > precedence || before == precedence && !from_the_right);
                    self.stack.push(Pending::Infix { operator, column });
                    return Ok(Expected::Operand);
                }
                Token::Close => self.close(column)?,
                Token::Comma => {
                    self.reduce_while(|_| true);
                    if !matches!(self.stack.last(), Some(Pending::Call { .. })) {
                        return Err(SyntaxError::new(column, SyntaxErrorKind::Comma));
                    }
                    return Ok(Expected::Operand);
                }
                Token::End => {
                    self.reduce_while(|_| true);
                    return match self.stack.pop() {
                        Some(Pending::Group { column } | Pending::Call { column, .. }) => {
                            Err(SyntaxError::new(column, SyntaxErrorKind::Unclosed))
                        }
                        _ => Ok(Expected::End),
                    };
                }
                Token::Integer(_) | Token::LastResult | Token::Word(_) | Token::Open => {
                    let before = shown(text);
                    return Err(SyntaxError::new(column, SyntaxErrorKind::OperatorExpected { before }));
                }
            }
        }
    }

    /// A magnitude of one octet too many is let pass: as the least negative integer it may be one that fits.
    fn number(&mut self, number: &Number, column: usize) -> Result<(), SyntaxError> {
        if number.octet_len() > extended::MAX_WIDTH + 1 {
            return Err(SyntaxError::new(column, SyntaxErrorKind::IntegerTooLarge));
        }
        self.push(Draft::Number { number: number.clone(), column });
        Ok(())
    }

    fn function(&mut self, text: &str, word: usize) -> Result<(), SyntaxError> {
        let operator = Operator::from_word(text).ok_or_else(|| {
            let text = abridged(text, WORD);
            SyntaxError::new(word, SyntaxErrorKind::UnknownFunction { word: text })
        })?;
        if operator == Operator::Describe {
            return Err(SyntaxError::new(word, SyntaxErrorKind::Describe));
        }
        match self.lexer.next()? {
            (Token::Open, column, _) => {
                self.stack.push(Pending::Call { operator, word, column, operands_before: self.operands.len() });
                Ok(())
            }
            _ if text.len() == 1 => {
                Err(SyntaxError::new(word, SyntaxErrorKind::NoVariables { word: text.into(), operator }))
            }
            (_, column, _) => Err(SyntaxError::new(column, SyntaxErrorKind::ParenthesisExpected(operator))),
        }
    }

    fn closes_empty_call(&self) -> bool {
        matches!(self.stack.last(), Some(Pending::Call { operands_before, .. })
            if *operands_before == self.operands.len())
    }

    fn close(&mut self, column: usize) -> Result<(), SyntaxError> {
        self.reduce_while(|_| true);
        match self.stack.pop() {
            Some(Pending::Call { operator, word, operands_before, .. }) => {
                let count = self.operands.len() - operands_before;
                if !operator.operand_count().contains(&count) {
                    return Err(SyntaxError::new(word, SyntaxErrorKind::OperandCount { operator, count }));
                }
                self.apply(operator, count, word);
                Ok(())
            }
            Some(Pending::Group { .. }) => Ok(()),
            _ => Err(SyntaxError::new(column, SyntaxErrorKind::ClosesNothing)),
        }
    }

    /// Gives their operands to the operators on top of the stack, down to the first that `binds` refuses, or to a
    /// parenthesis.
    fn reduce_while(&mut self, binds: impl Fn(Precedence) -> bool) {
        loop {
            match self.stack.last() {
                Some(&Pending::Infix { operator, column }) if binds(Precedence::of(operator)) => {
                    self.apply(operator, 2, column);
                }
                Some(&Pending::Negation { column }) if binds(Precedence::Sign) => self.negate(column),
                _ => return,
            }
            self.stack.pop();
        }
    }

    /// An integer is negated here; only of what is not known yet is the server asked.
    fn negate(&mut self, column: usize) {
        match self.operands.last().map(|&operand| &mut self.nodes[operand]) {
            Some(Draft::Number { number, .. }) => *number = -core::mem::take(number),
            _ => self.apply(Operator::Difference, 1, column),
        }
    }

    fn apply(&mut self, operator: Operator, count: usize, column: usize) {
        let operands = self.operands.split_off(self.operands.len() - count);
        self.push(Draft::Apply { operator, operands, column });
    }

    fn push(&mut self, node: Draft) {
        self.operands.push(self.nodes.len());
        self.nodes.push(node);
    }
}

fn shown(text: &str) -> String {
    if text.is_empty() { "the end".into() } else { format!("'{}'", abridged(text, WORD)) }
}

/// The most characters of a word in a message.
const WORD: usize = 20;
