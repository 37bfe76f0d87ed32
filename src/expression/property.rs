//! What holds for every text: for both the property test and the fuzz target.

use alloc::string::ToString;
use alloc::vec;

use super::{Evaluator, Expression, Node};
use crate::arithmetic::{self, Number};

/// Results beyond this are not computed.
const MAX_BITS: u64 = 2_000;

/// Checks the promises of this module for a text.
///
/// # Panics
/// If the text breaks one.
pub fn check(text: &str) {
    let last = Number::from(-3);
    let expression = match Expression::parse(text, Some(&last)) {
        Ok(expression) => expression,
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column()), "{error}");
            assert!(error.to_string().len() < 200, "{error}");
            return;
        }
    };
    check_tree(text, expression.nodes());
    let results = [false, true].map(|oldest_first| evaluate(expression.clone(), oldest_first));
    if let [Ok(first), Ok(second)] = &results {
        assert_eq!(first, second, "the order of the answers matters");
    }
    assert_eq!(results[0].is_ok(), results[1].is_ok());
}

fn check_tree(text: &str, nodes: &[Node]) {
    // Chains of sums and differences may get a zero or a sum in front.
    assert!(nodes.len() <= 2 * text.len());
    let mut uses = vec![0; nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        if let Node::Apply { operator, operands, .. } = node {
            assert!(operator.operand_count().contains(&operands.len()));
            for &operand in operands {
                assert!(operand < id);
                uses[operand] += 1;
            }
        }
    }
    let whole = uses.pop();
    assert_eq!(whole, Some(0));
    assert!(uses.iter().all(|&uses| uses == 1));
}

/// Asks everything that is ready before it answers anything.
fn evaluate(expression: Expression, oldest_first: bool) -> Result<Number, arithmetic::Error> {
    let mut evaluator = Evaluator::new(expression);
    let mut questions = alloc::collections::VecDeque::new();
    loop {
        questions.extend(core::iter::from_fn(|| evaluator.next_operation()));
        let question = if oldest_first { questions.pop_front() } else { questions.pop_back() };
        let Some(question) = question else { break };
        let result = arithmetic::evaluate(question.operator, &question.operands, MAX_BITS)?;
        if result.bit_len() > MAX_BITS {
            return Err(arithmetic::Error::TooLarge { at_least: result.bit_len(), at_most: result.bit_len() });
        }
        evaluator.answer(question.node, result);
    }
    Ok(evaluator.result().expect("every question was answered").clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tree of its own, with its own text and its own value: nothing here is shared with the parser.
    #[derive(Debug, Clone)]
    enum Tree {
        Integer(i128),
        Negated(Box<Tree>),
        Binary(char, Box<Tree>, Box<Tree>),
        Call(&'static str, Vec<Tree>),
    }

    const INFIX: [char; 8] = ['|', '&', '+', '-', '*', '/', '%', '^'];
    const CALLS: [&str; 9] = ["gcd", "lcm", "min", "max", "xor", "and", "or", "sum", "product"];

    /// How tightly it binds: |, &, + -, * / %, sign, ^, everything else.
    fn level(tree: &Tree) -> u8 {
        match tree {
            Tree::Integer(value) if *value < 0 => 4,
            Tree::Negated(_) => 4,
            Tree::Binary(operator, ..) => level_of(*operator),
            Tree::Integer(_) | Tree::Call(..) => 6,
        }
    }

    fn level_of(operator: char) -> u8 {
        match operator {
            '|' => 0,
            '&' => 1,
            '+' | '-' => 2,
            '^' => 5,
            _ => 3,
        }
    }

    /// The text with no more parentheses than it needs, or in some places more.
    fn text(tree: &Tree, generous: bool) -> String {
        let operand = |tree: &Tree, least: u8| {
            let inner = text(tree, generous);
            if level(tree) < least || generous && inner.len().is_multiple_of(3) { format!("( {inner})") } else { inner }
        };
        match tree {
            Tree::Integer(value) => value.to_string(),
            Tree::Negated(inner) => format!("-{}", operand(inner, 4)),
            // A sign binds less than the power it stands in, but may stand in its exponent.
            Tree::Binary('^', base, exponent) => format!("{}^{}", operand(base, 6), operand(exponent, 4)),
            Tree::Binary(operator, left, right) => {
                let level = level_of(*operator);
                format!("{} {operator} {}", operand(left, level), operand(right, level + 1))
            }
            Tree::Call(word, operands) => {
                let operands: Vec<_> = operands.iter().map(|operand| text(operand, generous)).collect();
                format!("{word}({})", operands.join(", "))
            }
        }
    }

    /// `None` where a step has no value, or exceeds 128 bits.
    fn value(tree: &Tree) -> Option<i128> {
        match tree {
            Tree::Integer(value) => Some(*value),
            Tree::Negated(inner) => value(inner)?.checked_neg(),
            Tree::Binary(operator, left, right) => binary(*operator, value(left)?, value(right)?),
            Tree::Call(word, operands) => {
                let values: Option<Vec<i128>> = operands.iter().map(value).collect();
                let values = values?;
                match *word {
                    "sum" => values.into_iter().try_fold(0i128, i128::checked_add),
                    "product" => values.into_iter().try_fold(1i128, i128::checked_mul),
                    "min" => values.into_iter().min(),
                    "max" => values.into_iter().max(),
                    "and" => values.into_iter().reduce(|a, b| a & b),
                    "or" => values.into_iter().reduce(|a, b| a | b),
                    "xor" => values.into_iter().reduce(|a, b| a ^ b),
                    "gcd" => values.into_iter().try_fold(0, |a, b| Some(euclid(a, b.checked_abs()?))),
                    _ => values.into_iter().try_fold(1i128, |a, b| match euclid(a, b.checked_abs()?) {
                        0 => Some(0),
                        divisor => (a / divisor).checked_mul(b.checked_abs()?),
                    }),
                }
            }
        }
    }

    fn binary(operator: char, left: i128, right: i128) -> Option<i128> {
        match operator {
            '|' => Some(left | right),
            '&' => Some(left & right),
            '+' => left.checked_add(right),
            '-' => left.checked_sub(right),
            '*' => left.checked_mul(right),
            '/' => left.checked_div(right),
            '%' => left.checked_rem(right),
            _ => left.checked_pow(u32::try_from(right).ok()?),
        }
    }

    fn euclid(a: i128, b: i128) -> i128 {
        if b == 0 { a } else { euclid(b, a % b) }
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let integer = prop_oneof![8 => -9i128..10, 1 => any::<i32>().prop_map(i128::from)];
        integer.prop_map(Tree::Integer).prop_recursive(6, 60, 4, |inner| {
            let binary = (prop::sample::select(&INFIX[..]), inner.clone(), inner.clone());
            let call = (prop::sample::select(&CALLS[..]), prop::collection::vec(inner.clone(), 1..5));
            prop_oneof![
                5 => binary.prop_map(|(operator, a, b)| Tree::Binary(operator, Box::new(a), Box::new(b))),
                1 => inner.prop_map(|inner| Tree::Negated(Box::new(inner))),
                2 => call.prop_map(|(word, operands)| Tree::Call(word, operands)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn the_value_is_that_of_an_independent_evaluation(tree in trees(), generous: bool) {
            let text = text(&tree, generous);
            check(&text);
            let expression = Expression::parse(&text, None).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            if let Some(value) = value(&tree) {
                prop_assert_eq!(evaluate(expression, true), Ok(Number::from(value)), "{}", text);
            }
        }
    }

    /// The seed corpus of the fuzz target `expression`, and what fuzzing has found.
    #[test]
    fn the_fuzz_corpus_holds() {
        let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            return; // a published package has none
        }
        let entries = std::fs::read_dir(fuzz.join("corpus/expression")).unwrap();
        let texts = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        assert!(texts.inspect(|text| check(&String::from_utf8_lossy(text))).count() > 5);
    }

    proptest! {
        #[test]
        fn any_text_at_all(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn any_tokens(tokens in prop::collection::vec(prop::sample::select(&TOKENS[..]), 0..30)) {
            check(&tokens.concat());
            check(&tokens.join(" "));
        }
    }

    const TOKENS: [&str; 24] = [
        "1",
        "22",
        "0x",
        "_",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "&",
        "|",
        "~",
        "(",
        "(",
        ")",
        ")",
        ",",
        "gcd(",
        "pow(",
        "min",
        "describe(",
        "é",
        "0b11",
    ];
}
