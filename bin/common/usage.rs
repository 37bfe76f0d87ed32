//! Parsers for numbers, durations and ports, and messages for a command line that cannot be parsed.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorFormatter, ErrorKind};
use dns_lookup::{AddrInfoHints, SockType};

/// A word of the user in quotes, as it was typed: only what a terminal does not show is escaped, so a backslash of a
/// Windows path stays single.
pub struct Typed<'a>(pub &'a str);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                // Marks without a width, and those that turn the direction of the text.
                '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                    write!(f, "{}", character.escape_unicode())?;
                }
                control if control.is_control() => write!(f, "{}", control.escape_debug())?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Prints help or the version on standard output, or, for a command line that cannot be parsed, one line on standard
/// error. Returns the exit status: 0, 2, or 1 if standard output cannot be written. A closed standard output is not a
/// failure.
pub fn answer(command: &clap::Command, mut error: clap::Error) -> ExitCode {
    // clap also suggests hidden subcommands.
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::ValidSubcommand) {
        let hidden = |name: &String| command.find_subcommand(name).is_some_and(clap::Command::is_hide_set);
        let shown = names.iter().filter(|name| !hidden(name) && *name != "help").cloned().collect();
        error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(shown));
    }
    let (line, status) = match error.use_stderr() {
        true => (error.apply::<OneLine>().to_string(), 2),
        false => match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => (format!("standard output: {error}"), 1),
            _ => return ExitCode::SUCCESS,
        },
    };
    // Standard error may be closed too: then there is no way to report it.
    let _ = writeln!(io::stderr(), "{}: {line}", command.get_name());
    ExitCode::from(status)
}

/// The form of clap's errors: what was wrong, where, and what would be right.
struct OneLine;

impl ErrorFormatter for OneLine {
    fn format_error(error: &clap::error::Error<Self>) -> StyledStr {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(all)) => all.join(", "),
            Some(ContextValue::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let known = |kind, before: &str| match text(kind) {
            known if known.is_empty() => known,
            known => format!("{before}{known}"),
        };
        let argument = text(ContextKind::InvalidArg);
        let value = text(ContextKind::InvalidValue);
        let line = match error.kind() {
            ErrorKind::UnknownArgument => {
                let what = if argument.starts_with('-') { "unknown option" } else { "unexpected argument" };
                format!("{what} {argument}{}", known(ContextKind::SuggestedArg, "; similar: "))
            }
            ErrorKind::InvalidSubcommand => {
                let name = text(ContextKind::InvalidSubcommand);
                format!("unknown subcommand {}{}", Typed(&name), known(ContextKind::SuggestedSubcommand, "; similar: "))
            }
            ErrorKind::MissingSubcommand => {
                format!("missing subcommand{}", known(ContextKind::ValidSubcommand, "; expected one of "))
            }
            ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
            ErrorKind::InvalidValue if value.is_empty() => format!("missing value after {argument}"),
            ErrorKind::InvalidValue => {
                format!("{argument}: {}: expected {}", Typed(&value), text(ContextKind::ValidValue))
            }
            ErrorKind::ValueValidation => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                format!("{argument}: {}: {reason}", Typed(&value))
            }
            ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg) {
                prior if prior == argument => format!("{argument} may be given only once"),
                prior => format!("{argument} cannot be combined with {prior}"),
            },
            ErrorKind::TooManyValues => format!("{argument}: unexpected value {}", Typed(&value)),
            ErrorKind::TooFewValues => format!(
                "{argument}: expected {} values, found {}",
                text(ContextKind::MinValues),
                text(ContextKind::ActualNumValues)
            ),
            ErrorKind::WrongNumberOfValues => format!(
                "{argument}: expected {} values, found {}",
                text(ContextKind::ExpectedNumValues),
                text(ContextKind::ActualNumValues)
            ),
            ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
            kind => kind.as_str().unwrap_or("the command line cannot be parsed").to_owned(),
        };
        StyledStr::from(format!("{line} (see --help)"))
    }
}

/// Parses a duration, for clap: seconds without a unit (`0.1`), or with units (`100ms`, `1.5s`, `2m 30s`). At most a
/// day.
///
/// # Errors
/// A message that says what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.is_sign_positive());
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => humantime::parse_duration(text).ok(),
    };
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "expected a duration up to a day, such as 0.1 (seconds) or 100ms".to_owned())
}

/// The longest duration that is accepted.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Parses a whole number of a range, for clap; a range that ends with `u64::MAX` has no upper bound.
pub fn whole<T: FromStr>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.and_then(|_| text.parse().ok()).ok_or_else(|| match (range.start(), range.end()) {
            (least, &u64::MAX) => format!("expected a whole number from {least}"),
            (least, most) => format!("expected a whole number from {least} to {most}"),
        })
    }
}

/// A UDP port as typed: a number, or the name of a service (services(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// A number.
    Number(u16),
    /// A name, which the system may not know.
    Service(String),
}

impl Port {
    /// Parses a port to listen on, for clap: 0 lets the system choose.
    ///
    /// # Errors
    /// A message that says what is expected.
    pub fn to_serve(text: &str) -> Result<Port, String> {
        Port::from(text, 0)
    }

    /// Parses a port to send to, for clap: not 0.
    ///
    /// # Errors
    /// A message that says what is expected.
    pub fn to_ask(text: &str) -> Result<Port, String> {
        Port::from(text, 1)
    }

    /// RFC 6335, section 5.1: a name has letters, digits and hyphens, at least one letter. Looser names of services(5)
    /// pass too.
    fn from(text: &str, least: u16) -> Result<Port, String> {
        let some = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
        match text.parse() {
            Ok(number) if number >= least && !text.starts_with('+') => Ok(Port::Number(number)),
            Err(_) if some(u8::is_ascii_alphabetic) && !some(|octet| !octet.is_ascii_graphic()) => {
                Ok(Port::Service(text.to_owned()))
            }
            _ => Err(format!("expected a port from {least} to 65535 or the name of a service")),
        }
    }

    /// Its number.
    ///
    /// # Errors
    /// A message, if the system knows no service of this name.
    pub fn number(&self) -> Result<u16, String> {
        let service = match self {
            Port::Number(number) => return Ok(*number),
            Port::Service(name) => name,
        };
        let hints = AddrInfoHints { socktype: SockType::DGram.into(), ..AddrInfoHints::default() };
        let found = dns_lookup::getaddrinfo(None, Some(service), Some(hints)).ok();
        found.and_then(|mut found| found.find_map(Result::ok)).map(|found| found.sockaddr.port()).ok_or_else(|| {
            let service = Typed(service);
            format!("port {service}: no UDP service of that name is known (see services(5)); a number is accepted too")
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Number(number) => number.fmt(f),
            Port::Service(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn whole_numbers_name_their_range() {
        let window = whole::<u16>(1..=4096);
        assert_eq!((window("1"), window("4096")), (Ok(1), Ok(4096)));
        for wrong in ["", "0", "4097", "-1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(window(wrong), Err("expected a whole number from 1 to 4096".to_owned()), "{wrong}");
        }
        let workers = whole::<NonZeroUsize>(1..=u64::MAX);
        assert_eq!(workers("7"), Ok(NonZeroUsize::new(7).unwrap()));
        assert_eq!(workers("0"), Err("expected a whole number from 1".to_owned()));
    }

    #[test]
    fn ports_are_numbers_or_services() {
        assert_eq!(Port::to_serve("0"), Ok(Port::Number(0)));
        assert_eq!(Port::to_ask("65535").unwrap().number(), Ok(65535));
        for wrong in ["", "65536", "-1", "+1", "1 2", "a b", "99999999999999999999"] {
            let error = "expected a port from 0 to 65535 or the name of a service";
            assert_eq!(Port::to_serve(wrong), Err(error.to_owned()), "{wrong}");
        }
        assert_eq!(Port::to_ask("0"), Err("expected a port from 1 to 65535 or the name of a service".to_owned()));
        assert_eq!(Port::to_ask("domain").unwrap().number(), Ok(53));
        let unknown = Port::to_ask("no-such-service").unwrap();
        assert!(
            unknown.number().unwrap_err().starts_with("port \"no-such-service\": no UDP service of that name is known")
        );
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, milliseconds) in [("0.1", 100), ("2", 2000), ("10ms", 10), ("1.5s", 1500), ("2m", 120_000), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        for wrong in ["", "-1", "-0", "ms", "1.2.3s", "2x", "100000", "25h", "inf", "NaN", "1e30"] {
            assert!(duration(wrong).unwrap_err().contains("such as 0.1 (seconds) or 100ms"), "{wrong}");
        }
    }

    #[test]
    fn words_are_quoted_as_typed() {
        for (word, shown) in [
            ("C:\\sums\\a.txt", "\"C:\\sums\\a.txt\""),
            ("it's \"1\"", "\"it's \"1\"\""),
            ("1\u{1b}[2J\n", "\"1\\u{1b}[2J\\n\""),
            ("1\u{202e}2", "\"1\\u{202e}2\""),
            ("\u{e9}", "\"\u{e9}\""),
        ] {
            assert_eq!(Typed(word).to_string(), shown);
        }
    }

    #[test]
    fn each_error_is_one_line() {
        let command = || {
            let color = clap::Arg::new("color").long("color").value_parser(["auto", "never"]);
            clap::Command::new("x").arg(color).arg(clap::Arg::new("PORT").required(true).value_parser(Port::to_ask))
        };
        for (words, line) in [
            (&["x"][..], "missing <PORT> (see --help)"),
            (&["x", "--color", "no", "1"], "--color <color>: \"no\": expected auto, never (see --help)"),
            (&["x", "--color"], "missing value after --color <color> (see --help)"),
            (&["x", "--colour", "no", "1"], "unknown option --colour; similar: --color (see --help)"),
            (&["x", "1", "2"], "unexpected argument 2 (see --help)"),
            (&["x", "0"], "<PORT>: \"0\": expected a port from 1 to 65535 or the name of a service (see --help)"),
            (&["x", "--color", "auto", "--color", "auto", "1"], "--color <color> may be given only once (see --help)"),
        ] {
            let error = command().try_get_matches_from(words).unwrap_err();
            assert_eq!(error.apply::<OneLine>().to_string(), line);
        }
    }
}
