//! The text of an access file: one rule a line, as [`Rules`] read it with [`str::parse`].
//!
//! ```text
//! # Comments and empty lines are ignored.
//! allow  2001:db8::/32     # sources to answer; with one of these, all others are denied
//! deny   2001:db8:bad::/48 # sources not to answer; the longest prefix decides
//! exempt 192.0.2.7         # sources without a rate limit
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use thiserror::Error;

use super::access::{Access, Contradiction, Prefix, PrefixError, Rules};

/// A line of an access file that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct FileError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it: part of the message, and so not a `source()`.
    pub problem: Problem,
}

/// What is wrong with a line of an access file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// It does not begin with `allow`, `deny` or `exempt`.
    #[error("unknown rule \"{0}\": expected allow, deny or exempt")]
    Rule(String),
    /// Nothing follows the rule's name.
    #[error("no prefix after \"{0}\" (such as 2001:db8::/32, 192.0.2.0/24 or ::1)")]
    NoPrefix(String),
    /// What follows is not a prefix.
    #[error("\"{text}\": {error}")]
    Prefix {
        /// The text after the rule's name.
        text: String,
        /// Why it is not a prefix.
        error: PrefixError,
    },
    /// Something follows the prefix.
    #[error("unexpected \"{0}\" after the prefix: expected one prefix a line")]
    Surplus(String),
    /// An earlier line says the opposite.
    #[error("{contradiction}: see line {earlier}")]
    Contradiction {
        /// The prefix.
        contradiction: Contradiction,
        /// The number of the earlier line.
        earlier: usize,
    },
}

impl FromStr for Rules {
    type Err = FileError;

    /// Reads the text of an access file; `answer_low_ports` stays off.
    ///
    /// # Errors
    ///
    /// [`FileError`] for the first line that is not a rule, or that contradicts an earlier one.
    fn from_str(text: &str) -> Result<Rules, FileError> {
        let mut rules = Rules::default();
        let mut lines = Vec::new();
        // Some editors begin a file with a byte order mark.
        for (place, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let error = |problem| FileError { line: place + 1, problem };
            let Some((rule, prefix)) = parse_line(line).map_err(error)? else { continue };
            match rule {
                Directive::Allow => rules.allow.push(prefix),
                Directive::Deny => rules.deny.push(prefix),
                Directive::Exempt => rules.exempt.push(prefix),
            }
            lines.push((place + 1, rule, prefix));
        }
        match Access::new(&rules, 0) {
            Ok(_) => Ok(rules),
            Err(contradiction) => Err(locate(contradiction, &lines)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Allow,
    Deny,
    Exempt,
}

fn parse_line(line: &str) -> Result<Option<(Directive, Prefix)>, Problem> {
    let rule = line.split_once('#').map_or(line, |(rule, _)| rule);
    let mut words = rule.split_whitespace();
    let Some(name) = words.next() else { return Ok(None) };
    let rule = match name {
        "allow" => Directive::Allow,
        "deny" => Directive::Deny,
        "exempt" => Directive::Exempt,
        _ => return Err(Problem::Rule(name.to_string())),
    };
    let text = words.next().ok_or_else(|| Problem::NoPrefix(name.to_string()))?;
    let prefix = text.parse().map_err(|error| Problem::Prefix { text: text.to_string(), error })?;
    match words.next() {
        Some(surplus) => Err(Problem::Surplus(surplus.to_string())),
        None => Ok(Some((rule, prefix))),
    }
}

/// The lines of a contradiction: the first that names the prefix, and the first after it that says the opposite.
fn locate(contradiction: Contradiction, lines: &[(usize, Directive, Prefix)]) -> FileError {
    let named = |prefix: &Prefix| prefix.same_sources(&contradiction.0);
    let mut naming = lines.iter().filter(|(_, rule, prefix)| *rule != Directive::Exempt && named(prefix));
    let (earlier, first) = naming.next().map_or((0, Directive::Allow), |(line, rule, _)| (*line, *rule));
    let line = naming.find(|(_, rule, _)| *rule != first).map_or(earlier, |(line, ..)| *line);
    FileError { line, problem: Problem::Contradiction { contradiction, earlier } }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_comments_and_empty_lines() {
        let text = "\u{feff}# ours\r\n\r\nallow 2001:db8::/32 # all of it\n\tdeny\t192.0.2.7\nexempt ::1#here\n   \nallow 10.0.0.0/8";
        let rules: Rules = text.parse().unwrap();
        let list = |prefixes: &[Prefix]| prefixes.iter().map(Prefix::to_string).collect::<Vec<_>>();
        assert_eq!(list(&rules.allow), ["2001:db8::/32", "10.0.0.0/8"]);
        assert_eq!(list(&rules.deny), ["192.0.2.7/32"]);
        assert_eq!(list(&rules.exempt), ["::1/128"]);
        assert_eq!("".parse(), Ok(Rules::default()));
        assert_eq!("# nothing".parse(), Ok(Rules::default()));
    }

    #[test]
    fn errors_say_the_line_and_what_is_expected() {
        for (text, error) in [
            ("\npermit ::1", "line 2: unknown rule \"permit\": expected allow, deny or exempt"),
            ("Allow ::1", "line 1: unknown rule \"Allow\": expected allow, deny or exempt"),
            ("deny # ::1", "line 1: no prefix after \"deny\" (such as 2001:db8::/32, 192.0.2.0/24 or ::1)"),
            (
                "allow ::1\nallow example.org",
                "line 2: \"example.org\": not an address or prefix (such as 2001:db8::/32, 192.0.2.0/24 or ::1)",
            ),
            (
                "deny 192.0.2.1/24",
                "line 1: \"192.0.2.1/24\": bits are set after the prefix: the prefix is 192.0.2.0/24, the address alone \
                 192.0.2.1",
            ),
            ("allow ::1 ::2", "line 1: unexpected \"::2\" after the prefix: expected one prefix a line"),
            (
                "allow ::1\nexempt 192.0.2.0/24\ndeny 192.0.2.0/24\n\nallow ::ffff:192.0.2.0/120",
                "line 5: ::ffff:192.0.2.0/120 is both allowed and denied: see line 3",
            ),
        ] {
            assert_eq!(text.parse::<Rules>().unwrap_err().to_string(), error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_errors_name_a_line_of_it(text in "(allow|deny|exempt|#|x)?[ \t]*[0-9a-f:./]{0,12}[ \n\r#]{0,3}(deny|allow) (::1|0\\.0\\.0\\.0/[0-9]{1,2})\n.{0,9}") {
            if let Err(error) = text.parse::<Rules>() {
                prop_assert!((1..=text.lines().count()).contains(&error.line), "{}", error);
            }
        }

        #[test]
        fn what_is_written_is_read(words in prop::collection::vec((0..3_usize, any::<u128>()), 0..20)) {
            let prefixes: Vec<Prefix> =
                words.iter().map(|(_, bits)| core::net::IpAddr::V6((*bits).into()).into()).collect();
            let text: String =
                words.iter().zip(&prefixes).map(|((rule, _), prefix)| format!("{} {prefix}\n", ["allow", "deny", "exempt"][*rule])).collect();
            let of = |wanted: usize| {
                words.iter().zip(&prefixes).filter(move |((rule, _), _)| *rule == wanted).map(|(_, prefix)| *prefix).collect()
            };
            let expected = Rules { allow: of(0), deny: of(1), exempt: of(2), answer_low_ports: false };
            prop_assert_eq!(text.parse(), Ok(expected));
        }
    }
}
