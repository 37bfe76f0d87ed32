//! What the command line asks for: the options as typed become one [`Command`].

use std::time::Duration;

use getopts::{Fail, Matches};

use super::UsageError;
use super::arguments::Prepared;
use super::host::Endpoint;
use super::options::{self, Value};
use crate::arithmetic::Number;
use crate::client::{Config, Forms};
use crate::exchange;
use crate::wire::{Format, Operator, extended};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Ask.
    Run(Run),
}

/// What to ask, whom, and how to show it.
#[derive(Debug)]
pub struct Run {
    pub operator: Operator,
    pub operands: Vec<Number>,
    pub target: Target,
    pub config: Config,
    /// The bare number, no notes.
    pub quiet: bool,
    /// Say what is sent and received.
    pub verbose: bool,
}

/// Whom to ask.
#[derive(Debug)]
pub enum Target {
    /// A server somewhere.
    Remote(Endpoint),
    /// A server inside this process.
    Local,
}

impl TryFrom<Prepared> for Command {
    type Error = UsageError;

    fn try_from(prepared: Prepared) -> Result<Command, UsageError> {
        for (place, word) in prepared.words.iter().enumerate() {
            if word.to_str().is_none() {
                let place = place + 1 + prepared.typed - prepared.words.len();
                return Err(UsageError::new(format!("argument {place}: {word:?} is not UTF-8")));
            }
        }
        let matches = options::parser().parse(&prepared.words).map_err(failure)?;
        if matches.opt_present("help") {
            return Ok(Command::Help);
        }
        if matches.opt_present("version") {
            return Ok(Command::Version);
        }
        Run::new(&matches, prepared.typed).map(Command::Run)
    }
}

impl Run {
    /// `typed` is how many words the command line has behind the program's name.
    fn new(matches: &Matches, typed: usize) -> Result<Run, UsageError> {
        let operator = operator(matches)?;
        let (target, words) = match (matches.opt_present("local"), matches.free.as_slice()) {
            (true, words) => (Target::Local, words),
            (false, [host, port, words @ ..]) => {
                let endpoint = Endpoint::new(host, port).map_err(|error| UsageError::new(error.to_string()))?;
                (Target::Remote(endpoint), words)
            }
            (false, []) => {
                return Err(UsageError::new("no HOST and PORT; --help shows how to ask, --local needs none"));
            }
            (false, [host]) => return Err(UsageError::new(format!("no PORT behind the host {host:?}"))),
        };
        if operator == Operator::Describe && !words.is_empty() {
            return Err(UsageError::new(format!("describe takes no operands, not {}", words.len())));
        }
        let first = typed - words.len() + 1;
        let operands = words.iter().enumerate().map(|(place, word)| operand(first + place, word));
        Ok(Run {
            operator,
            operands: operands.collect::<Result<_, _>>()?,
            target,
            config: config(matches)?,
            quiet: matches.opt_present("quiet"),
            verbose: matches.opt_present("verbose"),
        })
    }
}

/// More characters than any operand that can be sent has: 255 octets in binary, with room for `_` and zeros in front.
const MAX_WORD: usize = 16 * extended::MAX_WIDTH;

fn operand(place: usize, word: &str) -> Result<Number, UsageError> {
    if word.len() > MAX_WORD {
        let len = word.len();
        return Err(UsageError::new(format!("argument {place}: {len} characters; an operand has at most 255 octets")));
    }
    word.parse().map_err(|error| UsageError::new(format!("argument {place}: {word:?} is no integer: {error}")))
}

fn operator(matches: &Matches) -> Result<Operator, UsageError> {
    let Some(word) = matches.opt_str("op") else {
        return Err(UsageError::new("no operator: -op OPERATOR wanted; --help lists them"));
    };
    Operator::from_word(&word).ok_or_else(|| UsageError::new(no_operator(&word)))
}

/// Explains what the shell may have done where the word is a file's name.
fn no_operator(word: &str) -> String {
    let known = "known are + - * / % ^ gcd lcm min max & | ~ and words such as mul (--help lists them)";
    let from_tilde = std::env::home_dir().is_some_and(|home| home.as_os_str() == word);
    let because = if from_tilde {
        "; the shell puts the home folder in place of ~: quote it, -op '~', or write xor"
    } else if !word.is_empty() && std::fs::symlink_metadata(word).is_ok() {
        "; it is a file's name, which the shell puts in place of * and ?: quote them, -op '*', or write mul"
    } else {
        ""
    };
    if because.is_empty() {
        format!("-op: {word:?} is no operator; {known}")
    } else {
        format!("-op: {word:?} is no operator{because}")
    }
}

fn config(matches: &Matches) -> Result<Config, UsageError> {
    let forms = match (matches.opt_present("classic"), matches.opt_present("extended")) {
        (true, true) => return Err(UsageError::new("--classic and --extended exclude each other")),
        (true, false) => Forms::Classic,
        (false, true) => Forms::Extended,
        (false, false) => Forms::Either,
    };
    let usual = exchange::Config::default();
    let patience = exchange::Config {
        first_wait: seconds(matches, "timeout")?.unwrap_or(usual.first_wait),
        retries: retries(matches)?.unwrap_or(usual.retries),
        deadline: seconds(matches, "deadline")?.or(usual.deadline),
        ..usual
    };
    let format = if matches.opt_present("string") { Format::Text } else { Format::Integer };
    Ok(Config { patience, forms, format })
}

/// The longest time that an option takes: a day.
const MAX_SECONDS: f64 = 86_400.0;

fn seconds(matches: &Matches, option: &str) -> Result<Option<Duration>, UsageError> {
    let Some(word) = matches.opt_str(option) else { return Ok(None) };
    let seconds = word.parse().ok().filter(|&seconds: &f64| seconds > 0.0 && seconds <= MAX_SECONDS);
    // Below a microsecond there is no waiting.
    let time = seconds.map(Duration::from_secs_f64).filter(|time| *time >= Duration::from_micros(1));
    time.map(Some)
        .ok_or_else(|| UsageError::new(format!("--{option}: {word:?}: seconds above 0 and up to {MAX_SECONDS} wanted")))
}

/// The most repeats that an option takes; the waits double each time.
const MAX_RETRIES: u32 = 30;

fn retries(matches: &Matches) -> Result<Option<u32>, UsageError> {
    let Some(word) = matches.opt_str("retries") else { return Ok(None) };
    match word.parse() {
        Ok(retries) if retries <= MAX_RETRIES => Ok(Some(retries)),
        _ => Err(UsageError::new(format!("--retries: {word:?}: a whole number from 0 to {MAX_RETRIES} wanted"))),
    }
}

fn failure(fail: Fail) -> UsageError {
    UsageError::new(match fail {
        Fail::UnrecognizedOption(name) => format!("unknown option {}; --help lists them", dashed(&name)),
        Fail::UnexpectedArgument(name) => format!("option {} takes no value", dashed(&name)),
        Fail::OptionDuplicated(name) | Fail::OptionMissing(name) => {
            format!("option {} may stand only once", dashed(&name))
        }
        Fail::ArgumentMissing(name) => match options::named(&dashed(&name)).and_then(|spec| spec.value) {
            Some(Value::Operator) => {
                "-op: no operator behind it; the shell keeps some for itself: quote '<' '>' '&' '|'".to_owned()
            }
            Some(value) => format!("option {} needs {} behind it", dashed(&name), value.placeholder()),
            None => format!("option {} needs a value behind it", dashed(&name)),
        },
    })
}

/// An option as people write it: `-op` is the one long name that usually has one dash.
fn dashed(name: &str) -> String {
    if name == "op" || name.chars().count() == 1 { format!("-{name}") } else { format!("--{name}") }
}
