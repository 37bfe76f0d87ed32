//! The words of the command line, before getopts reads them: three steps that make the shell's habits and negative
//! integers harmless.
//!
//! 1. `-op *` unquoted: the shell has put the folder's file names in its place; they become `*` again.
//! 2. The first word of the form `-DIGIT…` where an option could stand ends the options, as `--` does.
//! 3. An option among the operands is refused.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::failure::UsageError;
use super::options::{self, Value};
use calc6::wire::Operator;

/// The words that getopts reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Every word but the program's name, in its order.
    pub words: Vec<OsString>,
    /// How many words were typed, as the shell passed them.
    pub typed: usize,
    /// Whether file names were taken for `*`.
    pub unglobbed: bool,
}

/// The folder whose file names the shell may have put in an operator's place.
pub trait Folder {
    /// Whether something of this name is in it.
    fn contains(&self, name: &OsStr) -> bool;
    /// The names of all that is in it, except those that start with a dot; empty where it cannot be read.
    fn names(&self) -> BTreeSet<OsString>;
}

impl Folder for Path {
    fn contains(&self, name: &OsStr) -> bool {
        !name.as_encoded_bytes().contains(&b'/') && self.join(name).symlink_metadata().is_ok()
    }

    fn names(&self) -> BTreeSet<OsString> {
        let Ok(entries) = self.read_dir() else {
            return BTreeSet::new();
        };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect()
    }
}

/// Takes the three steps.
///
/// # Errors
/// An option among the operands.
pub fn prepare(mut words: Vec<OsString>, folder: &(impl Folder + ?Sized)) -> Result<Prepared, UsageError> {
    let typed = words.len();
    let mut unglobbed = false;
    let mut place = 0;
    while let Some(word) = words.get(place).map(|word| word.as_encoded_bytes()) {
        match word {
            b"--" => {
                place += 1;
                break;
            }
            [b'-', b'0'..=b'9', ..] => {
                words.insert(place, OsString::from("--"));
                place += 1;
                break;
            }
            [b'-', _, ..] => {}
            _ => break,
        }
        let spec = words[place].to_str().and_then(options::named);
        let value = spec.and_then(|spec| spec.value).filter(|_| !word.contains(&b'='));
        place += 1;
        if value == Some(Value::Operator)
            && let Some(count) = file_names(&words[place..], folder)
        {
            words.splice(place..place + count, [OsString::from("*")]);
            unglobbed = true;
        }
        place += usize::from(value.is_some());
    }
    match words.iter().skip(place).find(|word| word.to_str().is_some_and(|word| options::named(word).is_some())) {
        Some(option) => Err(UsageError::new(format!(
            "option {} stands behind the host or an operand; options come before the host",
            option.display()
        ))),
        None => Ok(Prepared { words, typed, unglobbed }),
    }
}

/// How many words at the start are exactly the names in the folder, in any order.
fn file_names(words: &[OsString], folder: &(impl Folder + ?Sized)) -> Option<usize> {
    let first = words.first()?;
    if !folder.contains(first) {
        return None;
    }
    let names = folder.names();
    let run: BTreeSet<&OsString> = words.get(..names.len())?.iter().collect();
    // A single file that is called like an operator: who writes `-op sum` means the operator.
    let is_operator = names.len() == 1 && first.to_str().and_then(Operator::from_word).is_some();
    (!is_operator && run.into_iter().eq(&names)).then_some(names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Folder for [&str] {
        fn contains(&self, name: &OsStr) -> bool {
            self.iter().any(|known| *known == name)
        }

        fn names(&self) -> BTreeSet<OsString> {
            self.iter().map(OsString::from).collect()
        }
    }

    fn prepared(line: &str, folder: &[&str]) -> Result<String, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        let prepared = prepare(words, folder).map_err(|error| error.to_string())?;
        let words: Vec<_> = prepared.words.iter().map(|word| word.to_str().unwrap()).collect();
        Ok(words.join(" ") + if prepared.unglobbed { " !" } else { "" })
    }

    #[test]
    fn file_names_become_an_asterisk() {
        let folder = ["client", "lab", "server"];
        let then = "::1 10000 1 3";
        for (line, expected) in [
            ("-op client lab server -s", "-op * -s"),
            ("--op server client lab", "--op *"),
            ("-s -op client lab server", "-s -op *"),
        ] {
            assert_eq!(prepared(&format!("{line} {then}"), &folder), Ok(format!("{expected} {then} !")));
        }
        for line in ["-op client lab", "-op client lab lab", "-op client lab other", "-op * -s", "-op=*", "-op"] {
            assert_eq!(prepared(line, &folder), Ok(line.to_owned()));
        }
    }

    #[test]
    fn file_names_that_are_operators_or_options() {
        assert_eq!(prepared("-op sum ::1 1 2", &["sum"]), Ok("-op sum ::1 1 2".to_owned()));
        assert_eq!(prepared("-op file ::1 1 2", &["file"]), Ok("-op * ::1 1 2 !".to_owned()));
        assert_eq!(prepared("-op + -s server ::1 1 2", &["server", "+", "-s"]), Ok("-op * ::1 1 2 !".to_owned()));
        assert_eq!(prepared("-op + ::1 1 2", &["server", "+", "-s"]), Ok("-op + ::1 1 2".to_owned()));
        assert_eq!(prepared("-op * ::1 1 2", &[]), Ok("-op * ::1 1 2".to_owned()));
    }

    #[test]
    fn negative_integers_end_the_options() {
        for (line, expected) in [
            ("-op + --local -5 3", "-op + --local -- -5 3"),
            ("-op - -5 3", "-op - -- -5 3"),
            ("--timeout -5 -5 3", "--timeout -5 -- -5 3"),
            ("--timeout=2 -5 3", "--timeout=2 -- -5 3"),
            ("-op + ::1 1 -5", "-op + ::1 1 -5"),
            ("-op + -- ::1 1 -5", "-op + -- ::1 1 -5"),
            ("-op + ::1 1 -", "-op + ::1 1 -"),
        ] {
            assert_eq!(prepared(line, &[]), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn options_come_before_the_host() {
        for option in ["-s", "--string", "-op", "--op", "--timeout=3", "-V"] {
            let error = prepared(&format!("-op + ::1 10000 1 {option}"), &[]).unwrap_err();
            assert!(error.starts_with(&format!("option {option} stands")), "{error}");
            assert!(error.ends_with("options come before the host"), "{error}");
        }
        assert!(prepared("::1 10000 -op + 1", &[]).is_err());
        assert!(prepared("-op + --local -5 -s", &[]).is_err());
        assert!(prepared("-op + ::1 10000 1 -", &[]).is_ok());
        assert!(prepared("-op + ::1 10000 1 -x", &[]).is_ok(), "a bad operand, for others to say");
    }
}
