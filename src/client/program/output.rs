//! What is printed: the result on standard output, notes and the exchange on standard error.

use std::io::{self, Write};
use std::time::Duration;

use super::command::Run;
use super::trace::Trace;
use crate::arithmetic::Number;
use crate::client::{Config, Error, Evaluation, Event, Forms, plan};
use crate::wire::{Format, Operator};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    quiet: bool,
    verbose: bool,
}

impl Output {
    /// As the options say.
    pub fn new(run: &Run) -> Output {
        Output { quiet: run.quiet, verbose: run.verbose }
    }

    /// A line for people, on standard error.
    pub fn note(&self, sentence: &str) {
        if !self.quiet {
            eprintln!("client: note: {sentence}");
        }
    }

    /// The result.
    pub fn result(&self, evaluation: &Evaluation) -> io::Result<()> {
        if self.verbose && evaluation.trailing_nul {
            self.note("the server's string has a terminating NUL, which the course's format has not");
        }
        if self.verbose && evaluation.form == crate::wire::Form::Classic && evaluation.result.is_negative() {
            self.note("the server's string is negative; the course's integers are unsigned");
        }
        let result = &evaluation.result;
        print(&if self.quiet { format!("{result}\n") } else { format!("Result: {result}\n") })
    }

    /// Draws what is sent and received, if that is wanted.
    pub fn watch(&self) -> impl FnMut(Duration, Event<'_>) + use<> {
        let mut trace = self.verbose.then(Trace::for_stderr);
        move |time, event| {
            if let Some(trace) = &mut trace {
                trace.show(time, &event);
            }
        }
    }
}

/// Prints to standard output, all of it or an error.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What the program could do about an error, for the end of its sentence.
pub fn hint(error: &Error, operator: Operator, operands: &[Number], config: &Config) -> String {
    let says = |format, forms| plan::plan(operator, format, forms, operands).is_ok();
    match error {
        Error::ClassicOnly { .. } if says(config.format, Forms::Classic) => {
            "; --classic can ask exactly this of it".to_owned()
        }
        Error::ClassicOnly { .. } if says(Format::Text, Forms::Classic) => {
            "; --classic -s can ask exactly this of it".to_owned()
        }
        Error::ClassicOnly { .. } => "; with --classic it can still be asked for sums and products of integers from 0 \
                                      to 4294967295, with -s up to 256 digits"
            .to_owned(),
        Error::Plan(_) if config.forms != Forms::Classic => String::new(),
        Error::Plan(_) if says(Format::Text, Forms::Classic) => "; -s asks for a string of digits instead".to_owned(),
        Error::Plan(_) if says(config.format, Forms::Extended) => "; without --classic it can be asked".to_owned(),
        _ => String::new(),
    }
}
