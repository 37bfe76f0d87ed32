//! The thirteen operators, and the describe request.

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

use thiserror::Error;

/// An operator; its value is its ASCII code on the wire (docs/protocol.md, clause 3.4).
///
/// The classic form has only [`Sum`](Operator::Sum) and [`Product`](Operator::Product).
///
/// ```
/// use calc6::wire::Operator;
/// let operator: Operator = "power".parse()?;
/// assert_eq!((operator, operator.symbol()), (Operator::Power, '^'));
/// assert_eq!("^".parse(), Ok(operator));
/// assert_eq!(Operator::from_octet(b'^'), Some(operator));
/// # Ok::<(), calc6::wire::UnknownOperator>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Operator {
    /// `+`: the sum of one operand or more.
    Sum = b'+',
    /// `*`: the product of one operand or more.
    Product = b'*',
    /// `-`: the first operand less all the others; of one operand, its negation.
    Difference = b'-',
    /// `/`: the first operand divided by the others in turn, truncated towards zero.
    Quotient = b'/',
    /// `%`: the remainder by the others in turn: zero, or of the dividend's sign.
    Remainder = b'%',
    /// `^`: the first operand raised to the second; x^0 is 1, also for x = 0.
    Power = b'^',
    /// `g`: the greatest common divisor, never negative; gcd(0, 0) is 0.
    Gcd = b'g',
    /// `l`: the least common multiple, never negative; 0 if any operand is 0.
    Lcm = b'l',
    /// `<`: the least operand.
    Min = b'<',
    /// `>`: the greatest operand.
    Max = b'>',
    /// `&`: bitwise and, on two's complement of unlimited width.
    And = b'&',
    /// `|`: bitwise inclusive or, on two's complement of unlimited width.
    Or = b'|',
    /// `~`: bitwise exclusive or (not the complement), on two's complement of unlimited width.
    Xor = b'~',
    /// `?`: what the server is and can do; operands are padding.
    Describe = b'?',
}

impl Operator {
    /// Every operator, in the order of the specification; [`index`](Self::index) is the place in it.
    pub const ALL: [Operator; 14] = [
        Operator::Sum,
        Operator::Product,
        Operator::Difference,
        Operator::Quotient,
        Operator::Remainder,
        Operator::Power,
        Operator::Gcd,
        Operator::Lcm,
        Operator::Min,
        Operator::Max,
        Operator::And,
        Operator::Or,
        Operator::Xor,
        Operator::Describe,
    ];

    /// The operator of this octet on the wire.
    pub const fn from_octet(octet: u8) -> Option<Operator> {
        Some(match octet {
            b'+' => Operator::Sum,
            b'*' => Operator::Product,
            b'-' => Operator::Difference,
            b'/' => Operator::Quotient,
            b'%' => Operator::Remainder,
            b'^' => Operator::Power,
            b'g' => Operator::Gcd,
            b'l' => Operator::Lcm,
            b'<' => Operator::Min,
            b'>' => Operator::Max,
            b'&' => Operator::And,
            b'|' => Operator::Or,
            b'~' => Operator::Xor,
            b'?' => Operator::Describe,
            _ => return None,
        })
    }

    /// The operator of a symbol or word as people type it: `+`, `sum`, `add`, …, and `x` for `*`.
    ///
    /// ```
    /// use calc6::wire::Operator;
    /// assert_eq!(Operator::from_word("mul"), Some(Operator::Product));
    /// assert_eq!(Operator::from_word("+"), Some(Operator::Sum));
    /// assert_eq!(Operator::from_word("plus"), None);
    /// ```
    pub fn from_word(word: &str) -> Option<Operator> {
        match word.as_bytes() {
            [octet] if *octet != b'x' => Operator::from_octet(*octet),
            _ => Operator::ALL.into_iter().find(|operator| operator.words().contains(&word)),
        }
    }

    /// Its octet on the wire.
    pub const fn octet(self) -> u8 {
        self as u8
    }

    /// Its symbol: the octet as an ASCII character.
    pub const fn symbol(self) -> char {
        self as u8 as char
    }

    /// The words that people may type for it, the usual one first.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Operator::Sum => &["sum", "add"],
            Operator::Product => &["product", "mul", "x"],
            Operator::Difference => &["difference", "sub"],
            Operator::Quotient => &["quotient", "div"],
            Operator::Remainder => &["remainder", "rem"],
            Operator::Power => &["power", "pow"],
            Operator::Gcd => &["gcd"],
            Operator::Lcm => &["lcm"],
            Operator::Min => &["min"],
            Operator::Max => &["max"],
            Operator::And => &["and"],
            Operator::Or => &["or"],
            Operator::Xor => &["xor"],
            Operator::Describe => &["describe"],
        }
    }

    /// The usual word for it: `sum`, `product`, …
    pub const fn word(self) -> &'static str {
        self.words()[0]
    }

    /// How many operands it takes.
    pub const fn operand_count(self) -> RangeInclusive<usize> {
        match self {
            Operator::Describe => 0..=usize::MAX,
            Operator::Power => 2..=2,
            Operator::Quotient | Operator::Remainder => 2..=usize::MAX,
            _ => 1..=usize::MAX,
        }
    }

    /// Whether a request over many operands may be split and the partial results combined by the same operator.
    pub const fn is_associative(self) -> bool {
        match self {
            Operator::Sum
            | Operator::Product
            | Operator::Gcd
            | Operator::Lcm
            | Operator::Min
            | Operator::Max
            | Operator::And
            | Operator::Or
            | Operator::Xor => true,
            Operator::Difference | Operator::Quotient | Operator::Remainder | Operator::Power | Operator::Describe => {
                false
            }
        }
    }

    /// Its place in [`ALL`](Self::ALL): 0 to 13, for tables of counters.
    pub const fn index(self) -> usize {
        match self {
            Operator::Sum => 0,
            Operator::Product => 1,
            Operator::Difference => 2,
            Operator::Quotient => 3,
            Operator::Remainder => 4,
            Operator::Power => 5,
            Operator::Gcd => 6,
            Operator::Lcm => 7,
            Operator::Min => 8,
            Operator::Max => 9,
            Operator::And => 10,
            Operator::Or => 11,
            Operator::Xor => 12,
            Operator::Describe => 13,
        }
    }
}

/// A text is neither the symbol of an operator nor a word for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown operator (expected a symbol or a word such as +, sum or mul)")]
pub struct UnknownOperator;

impl FromStr for Operator {
    type Err = UnknownOperator;

    /// Reads a symbol or a word, as [`Operator::from_word`] does.
    ///
    /// ```
    /// use calc6::wire::Operator;
    /// assert_eq!("gcd".parse(), Ok(Operator::Gcd));
    /// assert_eq!("plus".parse::<Operator>().unwrap_err().to_string(),
    ///     "unknown operator (expected a symbol or a word such as +, sum or mul)");
    /// ```
    fn from_str(text: &str) -> Result<Operator, UnknownOperator> {
        Operator::from_word(text).ok_or(UnknownOperator)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_agree() {
        for (place, operator) in Operator::ALL.into_iter().enumerate() {
            assert_eq!(operator.index(), place);
            assert_eq!(Operator::from_octet(operator.octet()), Some(operator));
            assert_eq!(operator.to_string().parse(), Ok(operator));
            for word in operator.words() {
                assert_eq!(Operator::from_word(word), Some(operator));
            }
        }
        let known = (0..=u8::MAX).filter(|&octet| Operator::from_octet(octet).is_some()).count();
        assert_eq!(known, Operator::ALL.len());
    }

    #[test]
    fn other_words_are_rejected() {
        for word in ["", "plus", "SUM", "xx", "é", "++"] {
            assert_eq!(Operator::from_word(word), None, "{word:?}");
        }
    }
}
