//! What people type: whole numbers, ports, and what is wrong with a command line, in one line.

use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;

use dns_lookup::{AddrInfoHints, SockType};

/// Answers a command line that asks for help or the version, on standard output, or that cannot be read, in one line on
/// standard error; gives the exit status, 0 or 2, or 1 if standard output cannot be written. Whoever has closed it has read
/// enough.
pub fn answer(command: &clap::Command, error: &clap::Error) -> ExitCode {
    let (line, status) = match error.use_stderr() {
        true => (complaint(command, error), 2),
        false => match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => (format!("standard output: {error}"), 1),
            _ => return ExitCode::SUCCESS,
        },
    };
    // With standard error closed nobody is left to be told.
    let _ = writeln!(io::stderr(), "{}: {line}", command.get_name());
    ExitCode::from(status)
}

/// The first paragraph of clap's text, and the option or subcommand that may have been meant.
fn complaint(command: &clap::Command, error: &clap::Error) -> String {
    let text = error.render().to_string();
    let (what, more) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut what = what.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    // clap lists these all the same.
    for hidden in command.get_subcommands().filter(|subcommand| subcommand.is_hide_set()) {
        what = what.replace(&format!(" {},", hidden.get_name()), "");
    }
    let tips = more.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).filter(|tip| tip.contains("similar"));
    let tips: String = tips.map(|tip| format!("; {tip}")).collect();
    format!("{what}{tips} (see --help)")
}

/// Reads a whole number of a range, for clap; one that ends with `u64::MAX` has no end.
pub fn whole<T: FromStr>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.and_then(|_| text.parse().ok()).ok_or_else(|| match (range.start(), range.end()) {
            (least, &u64::MAX) => format!("a whole number from {least} on wanted"),
            (least, most) => format!("a whole number from {least} to {most} wanted"),
        })
    }
}

/// A UDP port as typed: a number, or the name of a service (services(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// A number.
    Number(u16),
    /// A name, which may be none.
    Service(String),
}

impl Port {
    /// Reads a port to listen on, for clap: 0 lets the system choose.
    ///
    /// # Errors
    /// What would be right.
    pub fn to_serve(text: &str) -> Result<Port, String> {
        Port::from(text, 0)
    }

    /// Reads a port to send to, for clap: not 0.
    ///
    /// # Errors
    /// What would be right.
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
            _ => Err(format!("a port from {least} to 65535 or the name of a service wanted")),
        }
    }

    /// Its number.
    ///
    /// # Errors
    /// A sentence, if the system knows no service of this name.
    pub fn number(&self) -> Result<u16, String> {
        let service = match self {
            Port::Number(number) => return Ok(*number),
            Port::Service(name) => name,
        };
        let hints = AddrInfoHints { socktype: SockType::DGram.into(), ..AddrInfoHints::default() };
        let found = dns_lookup::getaddrinfo(None, Some(service), Some(hints)).ok();
        found.and_then(|mut found| found.find_map(Result::ok)).map(|found| found.sockaddr.port()).ok_or_else(|| {
            format!("port {service:?}: no UDP service of that name is known (see services(5)); a number would do too")
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
            assert_eq!(window(wrong), Err("a whole number from 1 to 4096 wanted".to_owned()), "{wrong}");
        }
        let workers = whole::<NonZeroUsize>(1..=u64::MAX);
        assert_eq!(workers("7"), Ok(NonZeroUsize::new(7).unwrap()));
        assert_eq!(workers("0"), Err("a whole number from 1 on wanted".to_owned()));
    }

    #[test]
    fn ports_are_numbers_or_services() {
        assert_eq!(Port::to_serve("0"), Ok(Port::Number(0)));
        assert_eq!(Port::to_ask("65535").unwrap().number(), Ok(65535));
        for wrong in ["", "65536", "-1", "+1", "1 2", "a b", "99999999999999999999"] {
            let error = "a port from 0 to 65535 or the name of a service wanted";
            assert_eq!(Port::to_serve(wrong), Err(error.to_owned()), "{wrong}");
        }
        assert_eq!(Port::to_ask("0"), Err("a port from 1 to 65535 or the name of a service wanted".to_owned()));
        assert_eq!(Port::to_ask("domain").unwrap().number(), Ok(53));
        let unknown = Port::to_ask("no-such-service").unwrap();
        assert!(
            unknown.number().unwrap_err().starts_with("port \"no-such-service\": no UDP service of that name is known")
        );
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let command = || {
            let color = clap::Arg::new("color").long("color").value_parser(["auto", "never"]);
            clap::Command::new("x").arg(color).arg(clap::Arg::new("PORT").required(true).value_parser(Port::to_ask))
        };
        for (words, line) in [
            (&["x"][..], "the following required arguments were not provided: <PORT> (see --help)"),
            (
                &["x", "--color", "no", "1"],
                "invalid value 'no' for '--color <color>' [possible values: auto, never] (see --help)",
            ),
            (
                &["x", "--colour", "no", "1"],
                "unexpected argument '--colour' found; a similar argument exists: '--color' (see --help)",
            ),
            (
                &["x", "0"],
                "invalid value '0' for '<PORT>': a port from 1 to 65535 or the name of a service wanted (see --help)",
            ),
        ] {
            assert_eq!(complaint(&command(), &command().try_get_matches_from(words).unwrap_err()), line);
        }
    }
}
