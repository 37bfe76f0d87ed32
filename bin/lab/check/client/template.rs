//! The command of a client, with placeholders for what is asked.

use std::net::SocketAddr;

use super::scenario::{ClientSubject, Runs, Scenario, run, run_all};
use crate::Failure;

/// What a command lacks, in the order of the course: everything that it does not name; nothing if it names a {port}.
fn missing(template: &[String]) -> Vec<&'static str> {
    let names = |placeholder: &str| template.iter().any(|word| word.contains(placeholder));
    if names("{port}") {
        return Vec::new();
    }
    let mut missing = Vec::new();
    for (placeholder, words) in [
        ("{op}", &["-op", "{op}"][..]),
        ("{string", &["{string}"]),
        ("{host}", &["{host}"]),
        ("{port}", &["{port}"]),
        ("{operands}", &["{operands}"]),
    ] {
        if !names(placeholder) {
            missing.extend(words);
        }
    }
    missing
}

impl Scenario {
    /// The client's command line, for a server at this address.
    pub fn words(&self, template: &[String], server: SocketAddr) -> Vec<String> {
        let appended = missing(template);
        let values = [
            ("{host}", server.ip().to_string()),
            ("{port}", server.port().to_string()),
            ("{op}", self.operator.to_string()),
        ];
        let mut words = Vec::new();
        for word in template.iter().map(String::as_str).chain(appended) {
            match word {
                "{operands}" => words.extend(self.operands.iter().map(|operand| (*operand).to_owned())),
                "{string}" => words.extend(self.text.then(|| "-s".to_owned())),
                word => match word.strip_prefix("{string:").and_then(|word| word.strip_suffix('}')) {
                    Some(option) => words.extend(self.text.then(|| option.to_owned())),
                    None => {
                        words.push(values.iter().fold(word.to_owned(), |word, (name, value)| word.replace(name, value)))
                    }
                },
            }
        }
        words
    }
}

impl ClientSubject {
    /// The same client with `--op` in place of `-op`, if nothing says how it names its operator.
    fn with_two_dashes(&self) -> Option<Self> {
        if !missing(&self.template).contains(&"-op") {
            return None;
        }
        let mut other = self.clone();
        other.template.extend(["--op".to_owned(), "{op}".to_owned()]);
        Some(other)
    }
}

/// The client, and its runs, as it understands its operator: with two dashes if it sends something only then.
pub fn run_as_understood(subject: &ClientSubject) -> Result<(ClientSubject, Runs), Failure> {
    let runs = run_all(subject)?;
    let first = runs.of("sum");
    let refused = first.requests.is_empty() && first.status.is_some() && !first.succeeded();
    if refused
        && let Some(other) = subject.with_two_dashes()
        && !run(first.scenario, &other, None, 0)?.requests.is_empty()
    {
        let runs = run_all(&other)?;
        return Ok((other, runs));
    }
    Ok((subject.clone(), runs))
}

#[cfg(test)]
mod tests {
    use super::super::scenario::scenario;

    /// The words of a command for `sum` and `text`.
    fn typed(template: &str) -> [String; 2] {
        let template: Vec<String> = template.split(' ').map(str::to_owned).collect();
        ["sum", "text"].map(|name| scenario(name).words(&template, "[::1]:7".parse().unwrap()).join(" "))
    }

    #[test]
    fn what_a_command_does_not_name_is_appended() {
        let operands = "1 3 5 7 9";
        for (template, sum, text) in [
            ("./c", "./c -op + ::1 7", "./c -op + -s ::1 7"),
            ("./c --op {op}", "./c --op + ::1 7", "./c --op + -s ::1 7"),
            ("./c --op {op} {string:--string}", "./c --op + ::1 7", "./c --op + --string ::1 7"),
            ("./c {string:text}", "./c -op + ::1 7", "./c text -op + ::1 7"),
            ("./c {host}", "./c ::1 -op + 7", "./c ::1 -op + -s 7"),
        ] {
            assert_eq!(typed(template), [sum, text].map(|start| format!("{start} {operands}")), "{template}");
        }
        assert_eq!(typed("./c {host}:{port} {operands}")[0], "./c ::1:7 1 3 5 7 9", "with a {{port}} it is complete");
    }
}
