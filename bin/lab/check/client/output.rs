//! The result in what a client prints: after `Result: `, or where else its plainest runs show it.

use crate::check::report::{Advice, Judgement};
use crate::process::shown;

/// What the assignment says stands before a result.
const PREFIX: &str = "Result: ";

/// How a client shows its results.
pub struct Printed {
    prefix: String,
    /// There is no prefix: the last integer on the last line counts as the result.
    loose: bool,
    /// Whether it prints as it was told.
    pub line: Judgement,
}

impl Printed {
    /// Looks for the prefix (`Result: ` unless another one is given) in several runs: what each printed, and its
    /// result.
    pub fn learn(prefix: Option<&str>, runs: &[(&str, String)]) -> Self {
        let wanted = prefix.unwrap_or(PREFIX).to_owned();
        if runs.iter().any(|(stdout, _)| stdout.contains(&wanted)) {
            return Self { prefix: wanted, loose: false, line: Judgement::holds([], "") };
        }
        let with_result = |(stdout, result): &(&str, String)| {
            let line = stdout.lines().rev().find(|line| line.contains(result.as_str()))?;
            Some((line.to_owned(), result.clone()))
        };
        let Some((line, result)) = runs.iter().find_map(with_result) else {
            // Without a result there is nothing to say of how it is printed.
            return Self { prefix: wanted, loose: true, line: Judgement::see("integer-reply") };
        };
        let near = line.to_lowercase().contains("result") || prefix.is_some();
        let judgement = match near {
            true => Judgement::broken([], format!("\"{wanted}{result}\""), format!("\"{}\"", shown(&line)))
                .because(near_miss(&line, &wanted, &result)),
            false => Judgement::holds([], format!("\"{}\"", shown(&line))),
        };
        Self { prefix: wanted, loose: true, line: judgement }
    }

    /// What stands before a result.
    pub fn prefix(&self) -> &str {
        if self.loose { "" } else { &self.prefix }
    }

    /// What is printed as results.
    pub fn results(&self, stdout: &str) -> Vec<String> {
        let token = |rest: &str| rest.split_whitespace().next().unwrap_or_default().to_owned();
        let has_digit = |token: &String| token.chars().any(|c| c.is_ascii_digit());
        if !self.loose {
            // A prefix that ends with a space may be followed by more of them.
            return stdout.split(self.prefix.as_str()).skip(1).map(token).filter(has_digit).collect();
        }
        let line = stdout.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | '\'');
        let mut numbers = line.split(|c| !is_number(c)).map(|number| number.trim_end_matches('.').to_owned());
        numbers.rfind(has_digit).into_iter().collect()
    }
}

fn near_miss(line: &str, wanted: &str, result: &str) -> Option<Advice> {
    let before = line.split(result).next().unwrap_or_default();
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let advice = |likely: &str| {
        Some(Advice::new(
            likely,
            format!("Print \"{wanted}\" and the number, for example with printf(\"{wanted}%u\\n\", …)."),
        ))
    };
    match before {
        before if squeezed(before) == squeezed(wanted) => advice("a space too few or too many before the number"),
        before if squeezed(before).eq_ignore_ascii_case(&squeezed(wanted)) => advice("capitals or spaces differ"),
        _ => advice("other words stand before the number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::CheckVerdict;

    fn learn(prefix: Option<&str>, stdout: &str) -> (CheckVerdict, Vec<String>) {
        let printed = Printed::learn(prefix, &[(stdout, "25".into())]);
        (printed.line.verdict, printed.results(stdout))
    }

    #[test]
    fn dates_ports_and_equations_do_not_matter() {
        for stdout in [
            "Result: 25\n",
            "2026-11-21 17:25:25 port 25252\nResult: 25\n",
            "1 + 3 + 5 + 7 + 9: Result: 25 (in 25 ms)\n",
            "1 + 3 + 5 + 7 + 9 = 25\n",
            "asked [::1]:25000\nThe sum is 25.\n",
            "25",
        ] {
            assert_eq!(learn(None, stdout), (CheckVerdict::Holds, vec!["25".to_owned()]), "{stdout}");
        }
        assert_eq!(learn(Some("= "), "1 + 24 = 25"), (CheckVerdict::Holds, vec!["25".to_owned()]));
    }

    #[test]
    fn what_is_nearly_right_is_said() {
        for stdout in ["Result:25\n", "Result : 25", "result: 25\n", "Result = 25\n"] {
            assert_eq!(learn(None, stdout), (CheckVerdict::Broken, vec!["25".to_owned()]), "{stdout}");
        }
        assert_eq!(learn(Some("Sum: "), "Result: 25").0, CheckVerdict::Broken);
    }

    #[test]
    fn results_are_whole_words() {
        assert_eq!(learn(None, "Result: 25.0\n").1, ["25.0"]);
        assert_eq!(learn(None, "Result: b'25'\nResult: 7").1, ["b'25'", "7"]);
        assert_eq!(learn(None, "Result: none\n").1, [""; 0]);
    }
}
