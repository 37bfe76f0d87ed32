//! The output: the result on standard output, notes and the exchange on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::command::{Base, Show};
use super::trace::Trace;
use calc6::arithmetic::{Number, evaluate};
use calc6::client::{Config, Error, Evaluation, Event, Forms, Peer, ServerShare};
use calc6::exchange::TooLarge;
use calc6::wire::{Form, Format, MAX_REPLY, MAX_REQUEST, Operator, extended, reply_limit};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output(pub Show);

impl Output {
    /// A line for people, on standard error.
    pub fn note(&self, sentence: &str) {
        if !self.0.quiet {
            complain(&format_args!("note: {sentence}"));
        }
    }

    /// Notes of `-v` about a reply that differs from the course's format.
    pub fn remark(&self, evaluation: &Evaluation) {
        if self.0.verbose && evaluation.trailing_nul {
            self.note("the server's string has a terminating NUL, which the course's format does not have");
        }
        if self.0.verbose && evaluation.form == Form::Classic && evaluation.result.is_negative() {
            self.note("the server's string is negative; the course's integers are unsigned");
        }
    }

    /// Notes which of several servers answered nothing, where the others had all done before it was given up.
    pub fn note_silent(&self, servers: &[ServerShare]) {
        let silent = |share: &&ServerShare| share.sent > 0 && share.answered == 0 && !share.given_up;
        for ServerShare { peer, sent, .. } in servers.iter().filter(silent) {
            let plural = if *sent == 1 { "" } else { "s" };
            self.note(&format!(
                "{} answered none of {sent} datagram{plural}; the other servers took over",
                Peer(*peer)
            ));
        }
    }

    /// A number in the requested base.
    pub fn number(&self, number: &Number) -> String {
        let (radix, prefix) = match self.0.base {
            Base::Decimal => return number.to_string(),
            Base::Binary => (2, "0b"),
            Base::Octal => (8, "0o"),
            Base::Hexadecimal => (16, "0x"),
        };
        let digits = number.to_string_radix(radix);
        match digits.strip_prefix('-') {
            Some(magnitude) => format!("-{prefix}{magnitude}"),
            None => format!("{prefix}{digits}"),
        }
    }

    /// The line of a result.
    pub fn result(&self, number: &Number) -> String {
        let number = self.number(number);
        if self.0.quiet { format!("{number}\n") } else { format!("Result: {number}\n") }
    }

    /// Draws the datagrams sent and received, with `-v`.
    pub fn watch(&self) -> impl FnMut(Duration, Event<'_>) + use<> {
        watch(self.0.verbose, self.0)
    }
}

/// Draws what is sent and received, if that is wanted; else notes what takes time on a terminal, and which of several
/// servers no longer answers.
pub fn watch(draws: bool, show: Show) -> impl FnMut(Duration, Event<'_>) {
    let mut trace = draws.then(Trace::for_stderr);
    let waits_seen = !show.quiet && io::stderr().is_terminal();
    move |time, event| match (&mut trace, event) {
        (Some(trace), event) => trace.show(time, &event),
        (None, Event::TimedOut { peer, repeat, retries }) if waits_seen => complain(&format_args!(
            "no reply yet from {}, asking again ({} of {})",
            Peer(peer),
            u64::from(repeat) + 1,
            u64::from(retries) + 1
        )),
        (None, Event::GivenUp { peer, next }) if !show.quiet && show.several => match next {
            Some(next) => complain(&format_args!("{} does not answer; asking {}", Peer(peer), Peer(next))),
            None => complain(&format_args!("{} does not answer; the other servers take over", Peer(peer))),
        },
        _ => {}
    }
}

/// Writes the whole text to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a line with the program's name to standard error.
pub fn complain(sentence: &dyn Display) {
    say(&format!("client: {sentence}\n"));
}

/// Prints to standard error; errors are ignored, because there is no other place to report them.
pub fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// After Ctrl-C the terminal shows ^C (ECHOCTL, termios(3)); further output starts on the next line.
pub fn leave_interrupted_line() {
    if io::stderr().is_terminal() {
        say("\n");
    }
}

/// What the program could do about an error, for the end of its sentence. Which operands are asked for may be unknown.
pub fn hint(error: &Error, operator: Operator, operands: Option<&[Number]>, config: &Config) -> &'static str {
    let says = |format, forms| {
        let mut config = config.clone();
        (config.format, config.forms) = (format, forms);
        operands.is_some_and(|operands| config.can_ask(operator, operands).is_ok())
    };
    match error {
        Error::ClassicOnly { .. } if says(config.format, Forms::Classic) => "; --classic can ask exactly this of it",
        Error::ClassicOnly { .. } if says(Format::Text, Forms::Classic) => "; --classic -s can ask exactly this of it",
        Error::ClassicOnly { .. } => {
            "; with --classic it can still be asked for sums and products of integers from 0 to 4294967295, with -s up \
             to 256 digits"
        }
        Error::Status { too_large: Some(TooLarge::NoWiderRequest { .. } | TooLarge::OverLimit), .. }
            if config.format == Format::Text && fits_as_integer(operator, operands) =>
        {
            "; without -s it fits"
        }
        Error::Plan(_) if config.forms != Forms::Classic => "",
        Error::Plan(_) if says(Format::Text, Forms::Classic) => "; -s asks for a string of digits instead",
        Error::Plan(_) if says(config.format, Forms::Extended) => "; without --classic it can be asked",
        _ => "",
    }
}

/// Whether the reply to the largest request over these operands has room for the result as an integer.
fn fits_as_integer(operator: Operator, operands: Option<&[Number]>) -> bool {
    let Some(operands) = operands else { return false };
    let largest = (extended::HEADER + operands.len() * extended::MAX_WIDTH).min(MAX_REQUEST);
    let room = reply_limit(largest, MAX_REPLY) - extended::HEADER;
    evaluate(operator, operands, 8 * room as u64).is_ok_and(|result| result.octet_len() <= room)
}
