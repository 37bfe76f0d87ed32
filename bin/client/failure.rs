//! Why the program has no result: a message, a kind for programs, and an exit status.

use std::io;

use super::host::ResolveError;
use crate::common::usage::Typed;
use calc6::arithmetic::Number;
use calc6::client::{Error, ErrorKind, OperandError, Peer, Unanswered, UnansweredReason};
use calc6::expression::SyntaxError;
use rustix::io::Errno;

/// Exit status if the server, the network or the system gives no result.
const FAILED: u8 = 1;
/// Exit status if the command line or an operand cannot be parsed, or no request can express the question.
const UNREADABLE: u8 = 2;
/// The exit status that a shell shows for SIGINT, the signal of Ctrl-C.
const INTERRUPTED: u8 = 128 + 2;

/// A command line that cannot be parsed: what is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// A sentence.
    pub fn new(sentence: impl Into<String>) -> UsageError {
        UsageError(sentence.into())
    }
}

/// Why the program has no result.
#[derive(Debug)]
pub enum Failure {
    /// A message, and an exit status.
    Said(Complaint),
    /// Standard output cannot be written.
    Output(io::Error),
    /// A signal has ended it; when.
    Interrupted(String),
}

/// The report of a failure.
#[derive(Debug)]
pub struct Complaint {
    /// A line.
    pub sentence: String,
    /// Further lines that show the place.
    pub place: String,
    /// Which kind of failure it is; docs/client.md lists them.
    pub kind: &'static str,
    /// The status octet that the server answered with.
    pub status: Option<u8>,
    /// The column of the error in the text, from 1.
    pub column: Option<usize>,
    /// How the process ends.
    pub exit: u8,
}

impl Complaint {
    /// For an end by a signal. `after` is empty, or says how far the program was.
    pub fn interrupted(after: &str) -> Complaint {
        let sentence = format!("interrupted{after}");
        Complaint { sentence, place: String::new(), kind: "interrupted", status: None, column: None, exit: INTERRUPTED }
    }
}

impl Failure {
    fn said(kind: &'static str, exit: u8, sentence: String) -> Failure {
        Failure::Said(Complaint { sentence, place: String::new(), kind, status: None, column: None, exit })
    }

    /// No server for `--local`.
    pub fn local(error: &io::Error) -> Failure {
        Failure::said("local", FAILED, format!("no server could be started for --local: {error}"))
    }

    /// The file of the operands.
    pub fn file(name: &str, error: &io::Error) -> Failure {
        Failure::said("read", FAILED, format!("--file: {}: {error}", Typed(name)))
    }

    /// Standard input cannot be read.
    pub fn input(error: &io::Error) -> Failure {
        Failure::said("read", FAILED, format!("standard input: {error}"))
    }

    /// A line that is not text.
    pub fn unreadable(wrong: &str) -> Failure {
        Failure::said("usage", UNREADABLE, wrong.to_owned())
    }

    /// The server's result differs from the one that was computed here.
    pub fn differs(expected: &str, result: &Number) -> Failure {
        Failure::said(
            "differs",
            FAILED,
            format!("the server's result {result} is wrong: computed here, it is {expected}"),
        )
    }

    /// The same question had different answers.
    pub fn inconsistent(results: usize, answers: u64) -> Failure {
        let sentence = format!("{results} different results in {answers} answers to the same request");
        Failure::said("inconsistent", FAILED, sentence)
    }

    /// An error in the evaluation of an expression: a caret stands under the operator that failed.
    pub fn expression(error: Error, text: &str) -> Failure {
        let column = if let Error::Operation { column, .. } = &error { Some(*column) } else { None };
        match (Failure::client(error, ""), column) {
            (Failure::Said(complaint), Some(column)) => {
                Failure::Said(Complaint { place: pointed_at(text, column), column: Some(column), ..complaint })
            }
            (failure, _) => failure,
        }
    }

    /// A word of a text that is not an operand, at its place in the file if there is one.
    pub fn operand(file: Option<&str>, error: &OperandError) -> Failure {
        let sentence = match file {
            Some(file) => format!("{file}:{}:{}: {}", error.line, error.column, error.reason),
            None => error.to_string(),
        };
        Failure::said("operand", UNREADABLE, sentence)
    }

    /// Lines of a pipe.
    pub fn lines(failures: u64) -> Failure {
        let plural = if failures == 1 { "" } else { "s" };
        Failure::said("lines", FAILED, format!("{failures} line{plural} had no result"))
    }

    /// The client's error, with a hint about the options that avoid it.
    pub fn client(error: Error, hint: &str) -> Failure {
        let sentence = format!("{}{hint}", chain(&error));
        let (kind, exit) = match error.kind() {
            ErrorKind::Cancelled => return Failure::Interrupted(String::new()),
            ErrorKind::Request => ("request", UNREADABLE),
            ErrorKind::Operand => ("operand", UNREADABLE),
            ErrorKind::Read => ("read", FAILED),
            ErrorKind::Result => ("too-long", FAILED),
            ErrorKind::Status => ("server", FAILED),
            ErrorKind::ClassicError => ("classic-error", FAILED),
            ErrorKind::ClassicOnly => ("classic-only", FAILED),
            ErrorKind::NotANumber => ("not-a-number", FAILED),
            ErrorKind::Timeout | ErrorKind::Refused | ErrorKind::Unreachable => ("unanswered", FAILED),
            _ => ("system", FAILED),
        };
        let status = error.status();
        Failure::Said(Complaint { sentence, place: String::new(), kind, status, column: None, exit })
    }

    /// An expression that cannot be read: a caret stands under the place. `before` goes before the sentence.
    pub fn syntax(before: &str, text: &str, error: &SyntaxError) -> Failure {
        Failure::Said(Complaint {
            sentence: format!("{before}{error}"),
            place: pointed_at(text, error.column()),
            kind: "usage",
            status: None,
            column: Some(error.column()),
            exit: UNREADABLE,
        })
    }
}

/// An error and its causes, in one line.
pub fn chain(error: &Error) -> String {
    if let Error::Unanswered(all) = error {
        let unasked = |one: &Unanswered| matches!(one.reason, UnansweredReason::Unasked);
        if !all.addresses().is_empty() && all.addresses().iter().all(unasked) {
            return "the deadline passed before anything was sent".to_owned();
        }
        let each: Vec<String> = all.addresses().iter().map(unanswered).collect();
        if !each.is_empty() {
            return each.join("; ");
        }
    }
    let all = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What happened at an address, with the system's errors in words that say where to look.
fn unanswered(one: &Unanswered) -> String {
    let (peer, reason) = (Peer(one.peer), &one.reason);
    let UnansweredReason::Io(error) = reason else { return format!("{peer}: {reason}") };
    let sentence = match (error.kind(), Errno::from_io_error(error)) {
        (_, Some(Errno::ACCESS)) => "refused by a firewall on the way (administratively prohibited)",
        // EPERM, which Windows does not have.
        (io::ErrorKind::PermissionDenied, _) => "this machine's firewall drops it",
        (_, Some(Errno::ADDRNOTAVAIL)) if one.peer.ip().is_loopback() => "IPv6 is off on this machine (try 127.0.0.1)",
        (_, Some(Errno::ADDRNOTAVAIL)) if one.peer.ip().to_ipv4_mapped().is_none() => "IPv6 is off on this machine",
        (_, Some(Errno::AFNOSUPPORT)) => {
            "this system has no IPv6 sockets, through which IPv4 is asked too (boot it without ipv6.disable=1)"
        }
        (_, Some(Errno::NETUNREACH)) => "no route to its network",
        (_, Some(Errno::HOSTUNREACH)) => "no route to it",
        _ => return format!("{peer}: {reason}: {error}"),
    };
    format!("{peer}: {sentence}")
}

/// The text, or what is around the column where it is long, and below it a caret.
fn pointed_at(text: &str, column: usize) -> String {
    /// With the indent, less than the 80 columns of a usual terminal.
    const MOST: usize = 72;
    let length = text.chars().count();
    // Two thirds of it are before the column, if the text is that long.
    let start = column.saturating_sub(MOST * 2 / 3).min((length + 1).saturating_sub(MOST));
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + MOST < length { "…" } else { "" });
    let shown = text.chars().skip(start).take(MOST).map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = before.chars().chain(shown.skip(before.chars().count())).chain(after.chars()).collect();
    let caret = " ".repeat(column - 1 - start) + "^";
    format!("    {shown}\n    {caret}\n")
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Failure {
        Failure::said("usage", UNREADABLE, error.to_string())
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Failure {
        Failure::said("resolve", FAILED, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shown_around_the_place() {
        assert_eq!(pointed_at("2 * (", 6), "    2 * (\n         ^\n");
        let long = "1 + ".repeat(60);
        for (column, first, last) in [(1, '1', '…'), (40, '1', '…'), (120, '…', '…'), (240, '…', ' '), (241, '…', ' ')]
        {
            let shown = pointed_at(&long, column);
            let [line, caret] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
            let line: Vec<char> = line.strip_prefix("    ").unwrap().chars().collect();
            assert!(line.len() <= 73, "{shown}");
            assert_eq!((line.first(), line.last()), (Some(&first), Some(&last)), "{shown}");
            let place = caret.find('^').unwrap() - 4;
            assert_eq!(line.get(place), long.chars().nth(column - 1).as_ref(), "{shown}");
        }
    }
}
