//! What the command line asks for: the options as typed become one [`Command`].

use std::time::Duration;

use getopts::{Fail, Matches};

use super::arguments::Prepared;
use super::failure::{Failure, UsageError};
use super::host::Endpoint;
use super::options::{self, Value};
use calc6::arithmetic::Number;
use calc6::client::text::MAX_WORD;
use calc6::client::{Config, Forms};
use calc6::exchange;
use calc6::expression::Expression;
use calc6::wire::{Format, Operator};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Ask.
    Run(Box<Run>),
}

/// What to ask, whom, and how to show it.
#[derive(Debug)]
pub struct Run {
    pub ask: Ask,
    pub target: Target,
    /// Servers that share the work.
    pub also: Vec<Endpoint>,
    pub config: Config,
    /// How often to ask.
    pub repeat: Option<u64>,
    /// The most octets of a product or lcm of a file.
    pub max_result: u64,
    pub show: Show,
}

/// What to ask.
#[derive(Debug)]
pub enum Ask {
    /// An operator over operands.
    Operator(Operator, Operands),
    /// What the server is.
    Describe,
    /// An expression, as typed and as read.
    Expression(String, Expression),
    /// Line by line.
    Interactive,
}

/// Where operands are.
#[derive(Debug)]
pub enum Operands {
    /// On the command line.
    Typed(Vec<Number>),
    /// On standard input.
    Input,
    /// In a file.
    File(String),
}

/// Whom to ask.
#[derive(Debug)]
pub enum Target {
    /// A server somewhere.
    Remote(Endpoint),
    /// A server inside this process.
    Local,
}

/// What is printed.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// The bare number, no notes.
    pub quiet: bool,
    /// Draw what is sent and received.
    pub verbose: bool,
    /// One JSON object.
    pub json: bool,
    pub base: Base,
}

/// The base of the printed result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Binary,
    Octal,
    Decimal,
    Hexadecimal,
}

impl TryFrom<Prepared> for Command {
    type Error = Failure;

    fn try_from(prepared: Prepared) -> Result<Command, Failure> {
        for (place, word) in prepared.words.iter().enumerate() {
            if word.to_str().is_none() {
                let place = place + 1 + prepared.typed - prepared.words.len();
                return Err(UsageError::new(format!("argument {place}: {word:?} is not UTF-8")).into());
            }
        }
        let matches = options::parser().parse(&prepared.words).map_err(failure)?;
        if matches.opt_present("help") {
            return Ok(Command::Help);
        }
        if matches.opt_present("version") {
            return Ok(Command::Version);
        }
        Run::new(&matches, prepared.typed).map(|run| Command::Run(Box::new(run)))
    }
}

impl Run {
    /// `typed` is how many words the command line has behind the program's name.
    fn new(matches: &Matches, typed: usize) -> Result<Run, Failure> {
        let wanted = Wanted::new(matches)?;
        let (target, words) = target(matches)?;
        let first = typed - words.len() + 1;
        let ask = match wanted {
            Wanted::Operator(Operator::Describe) | Wanted::Describe => Ask::Describe,
            Wanted::Operator(operator) => Ask::Operator(operator, operands(matches, first, words)?),
            Wanted::Interactive => Ask::Interactive,
            Wanted::Expression(text) => match Expression::parse(&text, None) {
                Ok(expression) => Ask::Expression(text, expression),
                Err(error) => return Err(Failure::syntax("-e: ", &text, &error)),
            },
        };
        let run = Run {
            target,
            also: also(matches)?,
            config: config(matches)?,
            repeat: whole(matches, "repeat", 1, u64::MAX)?,
            max_result: octets(matches, "max-result")?.unwrap_or(1 << 20),
            show: show(matches)?,
            ask,
        };
        run.check(matches, words)?;
        Ok(run)
    }

    /// What does not go together.
    fn check(&self, matches: &Matches, words: &[String]) -> Result<(), UsageError> {
        let without_operands = match self.ask {
            Ask::Operator(..) => None,
            Ask::Describe => Some("describe"),
            Ask::Expression(..) => Some("-e"),
            Ask::Interactive => Some("-i"),
        };
        let typed = matches!(self.ask, Ask::Operator(_, Operands::Typed(_)));
        match without_operands {
            Some(name) if !words.is_empty() => {
                Err(UsageError::new(format!("{name} takes no operands, not {}", words.len())))
            }
            Some(name) if matches.opt_present("file") => {
                Err(UsageError::new(format!("{name} takes no operands, so no --file")))
            }
            _ if self.repeat.is_some() && !typed => {
                Err(UsageError::new("--repeat asks -op over operands of the command line, nothing else"))
            }
            Some("-i") if self.show.json => Err(UsageError::new("--json prints one object, so it does not go with -i")),
            _ => Ok(()),
        }
    }
}

/// Which of the things to ask was chosen.
enum Wanted {
    Operator(Operator),
    Expression(String),
    Interactive,
    Describe,
}

impl Wanted {
    fn new(matches: &Matches) -> Result<Wanted, UsageError> {
        let chosen: Vec<&str> =
            [("op", "-op"), ("expression", "-e"), ("interactive", "-i"), ("describe", "--describe")]
                .into_iter()
                .filter_map(|(name, shown)| matches.opt_present(name).then_some(shown))
                .collect();
        match chosen[..] {
            [] => Err(UsageError::new(
                "nothing to ask: -op OPERATOR, -e EXPRESSION, -i or --describe wanted (see --help)",
            )),
            ["-op"] => operator(matches).map(Wanted::Operator),
            ["-e"] => Ok(Wanted::Expression(matches.opt_str("expression").unwrap_or_default())),
            ["-i"] => Ok(Wanted::Interactive),
            [_] => Ok(Wanted::Describe),
            [one, other, ..] => Err(UsageError::new(format!("{one} and {other} exclude each other"))),
        }
    }
}

/// Whom to ask, and the words behind that.
fn target(matches: &Matches) -> Result<(Target, &[String]), UsageError> {
    match (matches.opt_present("local"), matches.free.as_slice()) {
        (true, words) => Ok((Target::Local, words)),
        (false, [host, port, words @ ..]) => {
            let endpoint = Endpoint::new(host, port).map_err(|error| UsageError::new(error.to_string()))?;
            Ok((Target::Remote(endpoint), words))
        }
        (false, []) => Err(UsageError::new("no HOST and PORT; --help shows how to ask, --local needs none")),
        (false, [host]) => Err(UsageError::new(format!("no PORT behind the host {host:?}"))),
    }
}

/// `first` is the number of the first word on the command line.
fn operands(matches: &Matches, first: usize, words: &[String]) -> Result<Operands, UsageError> {
    let file = matches.opt_str("file");
    match (file, words) {
        (Some(_), [word, ..]) => Err(UsageError::new(format!(
            "argument {first}: {word:?}: with --file there are no operands on the command line"
        ))),
        (Some(file), []) => Ok(if file == "-" { Operands::Input } else { Operands::File(file) }),
        (None, [word]) if word == "-" => Ok(Operands::Input),
        (None, words) => {
            let operands = words.iter().enumerate().map(|(place, word)| operand(first + place, word));
            operands.collect::<Result<_, _>>().map(Operands::Typed)
        }
    }
}

fn also(matches: &Matches) -> Result<Vec<Endpoint>, UsageError> {
    let endpoint =
        |word: String| Endpoint::from_word(&word).map_err(|error| UsageError::new(format!("--also: {error}")));
    matches.opt_strs("also").into_iter().map(endpoint).collect()
}

fn show(matches: &Matches) -> Result<Show, UsageError> {
    let base = match matches.opt_str("base").as_deref() {
        None | Some("10") => Base::Decimal,
        Some("2") => Base::Binary,
        Some("8") => Base::Octal,
        Some("16") => Base::Hexadecimal,
        Some(word) => return Err(UsageError::new(format!("--base: {word:?}: 2, 8, 10 or 16 wanted"))),
    };
    let [quiet, verbose, json] = ["quiet", "verbose", "json"].map(|name| matches.opt_present(name));
    Ok(Show { quiet, verbose, json, base })
}

fn operand(place: usize, word: &str) -> Result<Number, UsageError> {
    if word.len() > MAX_WORD {
        let len = word.len();
        return Err(UsageError::new(format!("argument {place}: {len} characters; an operand has at most 255 octets")));
    }
    word.parse().map_err(|error| UsageError::new(format!("argument {place}: {word:?} is no integer: {error}")))
}

fn operator(matches: &Matches) -> Result<Operator, UsageError> {
    let word = matches.opt_str("op").unwrap_or_default();
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
    let usual = exchange::Retransmission::default();
    let retransmission = exchange::Retransmission {
        first_wait: seconds(matches, "timeout")?.unwrap_or(usual.first_wait),
        retries: whole(matches, "retries", 0, MAX_RETRIES)?.map_or(usual.retries, |retries| retries as u32),
        deadline: seconds(matches, "deadline")?.or(usual.deadline),
        ..usual
    };
    let format = if matches.opt_present("string") { Format::Text } else { Format::Integer };
    let mut config = Config::default();
    (config.retransmission, config.forms, config.format) = (retransmission, forms, format);
    Ok(config)
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
const MAX_RETRIES: u64 = 30;

fn whole(matches: &Matches, option: &str, least: u64, most: u64) -> Result<Option<u64>, UsageError> {
    let Some(word) = matches.opt_str(option) else { return Ok(None) };
    match word.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ if most == u64::MAX => {
            Err(UsageError::new(format!("--{option}: {word:?}: a whole number from {least} on wanted")))
        }
        _ => Err(UsageError::new(format!("--{option}: {word:?}: a whole number from {least} to {most} wanted"))),
    }
}

fn octets(matches: &Matches, option: &str) -> Result<Option<u64>, UsageError> {
    let Some(word) = matches.opt_str(option) else { return Ok(None) };
    let (digits, shift) = match word.as_bytes().split_last() {
        Some((b'K' | b'k', digits)) => (digits.len(), 10),
        Some((b'M' | b'm', digits)) => (digits.len(), 20),
        Some((b'G' | b'g', digits)) => (digits.len(), 30),
        _ => (word.len(), 0),
    };
    // Beyond this, bits are not counted in 64 bits.
    const MOST: u64 = 1 << 40;
    let octets = word[..digits].parse().ok().and_then(|count: u64| count.checked_mul(1 << shift));
    octets
        .filter(|octets| (1..=MOST).contains(octets))
        .map(Some)
        .ok_or_else(|| UsageError::new(format!("--{option}: {word:?}: octets wanted, such as 4096, 64K or 1M")))
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
