//! Rearranges the words of the command line for getopts: every option with its value in one word, then `--`, then
//! everything else.
//!
//! Options may be anywhere before `--`. Three habits of users are accepted:
//!
//! 1. `-op *` unquoted: the shell has replaced it by the names of the files in the folder; they become `*` again.
//! 2. A word that starts with a dash and a digit is a negative integer, not an option.
//! 3. Short flags after one dash: `-sq` is `-s -q`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::failure::UsageError;
use super::options::{self, Value};
use calc6::wire::Operator;

/// The words for getopts.
#[derive(Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Options as `--NAME` or `--NAME=VALUE`, then `--`, then the other words.
    pub words: Vec<OsString>,
    /// The place on the command line of each word after `--`, counted from 1.
    pub places: Vec<usize>,
    /// How file names after `-op` were understood.
    pub star: Option<Star>,
}

/// How words after `-op` were understood, if the shell may have put them in place of `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Star {
    /// They are exactly the folder's file names: they mean `*`.
    Expanded,
    /// The folder's only file has an operator's name: it means that operator.
    Operator(String),
}

/// The folder whose file names the shell may have put in place of an operator.
pub trait Folder {
    /// Whether it contains a file of this name.
    fn contains(&self, name: &OsStr) -> bool;
    /// The names of all files in it, except those that start with a dot; empty if it cannot be read.
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

/// Rearranges the words.
///
/// # Errors
/// An option that does not exist, or one without its value.
pub fn prepare(words: Vec<OsString>, folder: &(impl Folder + ?Sized)) -> Result<Prepared, UsageError> {
    let (mut found, mut free, mut places, mut star) = (Vec::new(), Vec::new(), Vec::new(), None);
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_encoded_bytes() {
            b"--" => {
                places.extend(at + 1..=words.len());
                free.extend_from_slice(&words[at..]);
                break;
            }
            [b'-', b'0'..=b'9', ..] | b"-" => {}
            [b'-', _, ..] => {
                let option = Word::read(word)?;
                let Word::Valued { spec, value: None } = option else {
                    found.extend(option.words());
                    continue;
                };
                let Some(next) = words.get(at) else { return Err(missing_value(word, spec)) };
                let mut value = next.clone();
                at += 1;
                if spec.value == Some(Value::Operator)
                    && let Some((understood, count)) = expanded_star(&words[at - 1..], folder)
                {
                    if understood == Star::Expanded {
                        value = OsString::from("*");
                        at += count - 1;
                    }
                    star = Some(understood);
                }
                found.extend(Word::Valued { spec, value: Some(value) }.words());
                continue;
            }
            _ => {}
        }
        free.push(word.clone());
        places.push(at);
    }
    found.push(OsString::from("--"));
    found.extend(free);
    Ok(Prepared { words: found, places, star })
}

/// One word that starts with a dash.
enum Word {
    Valued { spec: &'static options::Spec, value: Option<OsString> },
    Flags(Vec<&'static options::Spec>),
}

impl Word {
    fn read(word: &OsStr) -> Result<Word, UsageError> {
        let Some(text) = word.to_str() else {
            return Err(UsageError::new(format!("option {}: it is not UTF-8", word.display())));
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        match options::named(name) {
            Some(spec) if spec.value.is_some() => Ok(Word::Valued { spec, value }),
            Some(_) if value.is_some() => Err(UsageError::new(format!("option {name} takes no value"))),
            Some(spec) => Ok(Word::Flags(vec![spec])),
            None => cluster(text).map(Word::Flags).ok_or_else(|| unknown(name)),
        }
    }

    fn words(self) -> Vec<OsString> {
        match self {
            Word::Flags(specs) => specs.iter().map(|spec| OsString::from(format!("--{}", spec.long))).collect(),
            Word::Valued { spec, value } => {
                let mut word = OsString::from(format!("--{}=", spec.long));
                word.push(value.unwrap_or_default());
                vec![word]
            }
        }
    }
}

/// Short flags after one dash.
fn cluster(text: &str) -> Option<Vec<&'static options::Spec>> {
    let letters = text.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let flag = |letter: char| {
        let spec = options::all().find(|spec| spec.short.chars().eq([letter]))?;
        spec.value.is_none().then_some(spec)
    };
    letters.chars().map(flag).collect()
}

fn missing_value(word: &OsStr, spec: &options::Spec) -> UsageError {
    let name = word.display();
    UsageError::new(match spec.value {
        Some(Value::Operator) => {
            format!("{name}: missing operator; some symbols have a meaning in the shell: quote '<' '>' '&' '|' '~'")
        }
        Some(value) => format!("option {name}: missing {}", value.placeholder()),
        None => format!("option {name}: missing value"),
    })
}

fn unknown(name: &str) -> UsageError {
    let typed = name.trim_start_matches('-');
    let similar = options::all().map(|spec| (strsim::jaro_winkler(typed, spec.long), spec.long));
    let best = similar.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(similarity, _)| *similarity > 0.8);
    let hint = best.map_or(String::new(), |(_, long)| format!("; similar: --{long}"));
    UsageError::new(format!("unknown option {name}{hint} (see --help)"))
}

/// How many words at the start are exactly the names in the folder, in any order, and what that means.
fn expanded_star(words: &[OsString], folder: &(impl Folder + ?Sized)) -> Option<(Star, usize)> {
    let first = words.first()?;
    if !folder.contains(first) {
        return None;
    }
    let names = folder.names();
    let run: BTreeSet<&OsString> = words.get(..names.len())?.iter().collect();
    if !run.into_iter().eq(&names) {
        return None;
    }
    // `-op max` means the operator in any folder.
    let operator = first.to_str().filter(|word| names.len() == 1 && Operator::from_word(word).is_some());
    Some((operator.map_or(Star::Expanded, |word| Star::Operator(word.to_owned())), names.len()))
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
        let star = match prepared.star {
            None => String::new(),
            Some(Star::Expanded) => " !".to_owned(),
            Some(Star::Operator(word)) => format!(" !{word}"),
        };
        Ok(words.join(" ") + &star)
    }

    #[test]
    fn file_names_become_an_asterisk() {
        let folder = ["client", "lab", "server"];
        for (line, expected) in [
            ("-op client lab server -s", "--op=* --string"),
            ("--op server client lab", "--op=*"),
            ("-s -op client lab server", "--string --op=*"),
        ] {
            let ready = format!("{expected} -- ::1 10000 1 3 !");
            assert_eq!(prepared(&format!("{line} ::1 10000 1 3"), &folder), Ok(ready));
        }
        for (line, expected) in [
            ("-op client lab", "--op=client -- lab"),
            ("-op client lab lab", "--op=client -- lab lab"),
            ("-op * -s", "--op=* --string --"),
            ("-op=*", "--op=* --"),
        ] {
            assert_eq!(prepared(line, &folder), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn file_names_that_are_operators_or_options() {
        for (line, folder, expected) in [
            ("-op sum ::1 1 2", &["sum"][..], "--op=sum -- ::1 1 2 !sum"),
            ("-op file ::1 1 2", &["file"], "--op=* -- ::1 1 2 !"),
            ("-op + -s server ::1 1 2", &["server", "+", "-s"], "--op=* -- ::1 1 2 !"),
            ("-op + ::1 1 2", &["server", "+", "-s"], "--op=+ -- ::1 1 2"),
            ("-op * ::1 1 2", &[], "--op=* -- ::1 1 2"),
        ] {
            assert_eq!(prepared(line, folder), Ok(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn options_may_be_anywhere_and_negative_integers_are_not_options() {
        for (line, expected) in [
            ("-op + --local -5 3", "--op=+ --local -- -5 3"),
            ("-op - -5 3", "--op=- -- -5 3"),
            ("--timeout -5 -5 3", "--timeout=-5 -- -5 3"),
            ("--timeout=2 -5 3", "--timeout=2 -- -5 3"),
            ("-op + -- ::1 1 -5 -s", "--op=+ -- ::1 1 -5 -s"),
            ("-op + ::1 1 -", "--op=+ -- ::1 1 -"),
            ("::1 10000 1 3 -op + -v", "--op=+ --verbose -- ::1 10000 1 3"),
            ("-op + ::1 10000 1 --help", "--op=+ --help -- ::1 10000 1"),
            ("-sq -e 1+1 --local", "--string --quiet --expression=1+1 --local --"),
        ] {
            assert_eq!(prepared(line, &[]), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn places_are_those_of_the_command_line() {
        let words = "-op + ::1 -v 10000 1 -- -3".split(' ').map(OsString::from).collect();
        assert_eq!(prepare(words, &[] as &[&str]).unwrap().places, [3, 5, 6, 8]);
    }

    #[test]
    fn errors_quote_the_words_as_typed() {
        for (line, expected) in [
            ("--timeuot 1 -op + ::1 1 1", "unknown option --timeuot; similar: --timeout (see --help)"),
            ("-op + ::1 1 1 -x", "unknown option -x (see --help)"),
            ("-sx", "unknown option -sx (see --help)"),
            ("-quite", "unknown option -quite; similar: --quiet (see --help)"),
            ("--json=1", "option --json takes no value"),
            ("--timeout", "option --timeout: missing DURATION"),
            ("-op", "-op: missing operator; some symbols have a meaning in the shell: quote '<' '>' '&' '|' '~'"),
        ] {
            assert_eq!(prepared(line, &[]), Err(expected.to_owned()));
        }
    }
}
