//! Converts the options as typed to one [`Command`].

use std::time::Duration;

use getopts::{Fail, Matches};

use super::arguments::Prepared;
use super::failure::{Failure, UsageError};
use super::host::{BadEndpoint, Endpoint};
use super::options;
use crate::common::usage::{self, Typed};
use calc6::arithmetic::Number;
use calc6::client::text::MAX_WORD;
use calc6::client::{Config, Forms};
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
    Run(Box<Invocation>),
}

/// The question, the servers, and the output.
#[derive(Debug)]
pub struct Invocation {
    pub ask: Ask,
    pub target: Target,
    /// Servers that share the work.
    pub also: Vec<Endpoint>,
    pub config: Config,
    /// The number of questions.
    pub repeat: Option<u64>,
    /// From the start of one question of `--repeat` to the next.
    pub interval: Duration,
    /// Whether results are also computed here.
    pub verify: bool,
    /// Whether the prompt's history is kept.
    pub history: bool,
    pub show: Show,
}

/// What to ask.
#[derive(Debug)]
pub enum Ask {
    /// An operator over operands.
    Operator(Operator, OperandSource),
    /// The description of the server.
    Describe,
    /// An expression, as typed and as read.
    Expression(String, Expression),
    /// Expressions, a line each, from standard input.
    Lines,
    /// Line by line.
    Interactive,
}

/// The source of the operands.
#[derive(Debug)]
pub enum OperandSource {
    /// On the command line.
    Typed(Vec<Number>),
    /// On standard input.
    Input,
    /// In a file.
    File(String),
}

/// The server to ask.
#[derive(Debug)]
pub enum Target {
    /// A server somewhere.
    Remote(Endpoint),
    /// A server inside this process.
    Local,
}

/// The form of the output.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// The bare number, no notes.
    pub quiet: bool,
    /// Draw what is sent and received.
    pub verbose: bool,
    /// One JSON object.
    pub json: bool,
    /// Whether several servers share the work.
    pub several: bool,
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
        if let Some(place) = prepared.words.iter().position(|word| word.to_str().is_none()) {
            let options = prepared.words.len() - prepared.places.len();
            let typed = place.checked_sub(options).and_then(|place| prepared.places.get(place));
            let typed = typed.map_or(String::new(), |place| format!("argument {place}: "));
            return Err(UsageError::new(format!("{typed}{:?} is not UTF-8", prepared.words[place])).into());
        }
        let matches = options::parser().parse(&prepared.words).map_err(failure)?;
        if matches.opt_present("help") {
            return Ok(Command::Help);
        }
        if matches.opt_present("version") {
            return Ok(Command::Version);
        }
        Invocation::new(&matches, &prepared.places).map(|run| Command::Run(Box::new(run)))
    }
}

impl Invocation {
    /// `places` are the places on the command line of the words that are not options.
    fn new(matches: &Matches, places: &[usize]) -> Result<Invocation, Failure> {
        let wanted = Wanted::new(matches)?;
        let (target, words) = target(matches)?;
        let places = &places[places.len() - words.len()..];
        let ask = match wanted {
            Wanted::Operator(Operator::Describe) | Wanted::Describe => Ask::Describe,
            Wanted::Operator(operator) => Ask::Operator(operator, operands(matches, places, words)?),
            Wanted::Interactive => Ask::Interactive,
            Wanted::Expression(text) if text == "-" => Ask::Lines,
            Wanted::Expression(text) => match Expression::parse(&text, None) {
                Ok(expression) => Ask::Expression(text, expression),
                Err(error) => return Err(Failure::syntax("-e: ", &text, &error)),
            },
        };
        let run = Invocation {
            target,
            also: also(matches)?,
            config: config(matches)?,
            repeat: whole(matches, "repeat", 1, u64::MAX)?,
            interval: duration(matches, "interval", Duration::ZERO)?.unwrap_or_default(),
            verify: matches.opt_present("verify"),
            history: !matches.opt_present("no-history"),
            show: show(matches)?,
            ask,
        };
        run.check(matches, words)?;
        Ok(run)
    }

    /// Rejects options that cannot be combined.
    fn check(&self, matches: &Matches, words: &[String]) -> Result<(), UsageError> {
        let without_operands = match self.ask {
            Ask::Operator(..) => None,
            Ask::Describe => Some("describe"),
            Ask::Expression(..) | Ask::Lines => Some("-e"),
            Ask::Interactive => Some("-i"),
        };
        let typed = matches!(self.ask, Ask::Operator(_, OperandSource::Typed(_)));
        match without_operands {
            Some(name) if !words.is_empty() => {
                Err(UsageError::new(format!("{name} takes no operands, not {}", words.len())))
            }
            Some(name) if matches.opt_present("file") => {
                Err(UsageError::new(format!("{name} takes no operands, so no --file")))
            }
            _ if self.repeat.is_some() && !typed => {
                Err(UsageError::new("--repeat needs -op with operands on the command line"))
            }
            _ if self.repeat.is_none() && matches.opt_present("interval") => {
                Err(UsageError::new("--interval needs --repeat"))
            }
            _ if self.verify && matches!(self.ask, Ask::Describe | Ask::Operator(_, OperandSource::Input)) => {
                Err(UsageError::new("--verify computes over operands of the command line, a file or an expression"))
            }
            _ => Ok(()),
        }
    }
}

/// The question that was chosen.
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
                "nothing to ask: expected -op OPERATOR, -e EXPRESSION, -i or --describe (see --help)",
            )),
            ["-op"] => operator(matches).map(Wanted::Operator),
            ["-e"] => Ok(Wanted::Expression(matches.opt_str("expression").unwrap_or_default())),
            ["-i"] => Ok(Wanted::Interactive),
            [_] => Ok(Wanted::Describe),
            [one, other, ..] => Err(UsageError::new(format!("{one} and {other} cannot be combined"))),
        }
    }
}

/// The server to ask, and the words after that: `HOST PORT`, or `HOST:PORT` with an IPv6 address in brackets.
fn target(matches: &Matches) -> Result<(Target, &[String]), UsageError> {
    let remote = |endpoint: Result<Endpoint, BadEndpoint>| {
        endpoint.map(Target::Remote).map_err(|error| UsageError::new(error.to_string()))
    };
    match (matches.opt_present("local"), matches.free.as_slice()) {
        (true, words) => Ok((Target::Local, words)),
        (false, [place, words @ ..]) if has_port(place) => Ok((remote(Endpoint::from_word(place))?, words)),
        (false, [host, port, words @ ..]) => Ok((remote(Endpoint::new(host, port))?, words)),
        (false, []) => Err(UsageError::new("missing HOST and PORT (--local needs none; see --help)")),
        (false, [host]) => Err(UsageError::new(format!("missing PORT after the host {}", Typed(host)))),
    }
}

/// Whether a word is a host with its port: an address or name without one has no colon, or several, or is in brackets.
fn has_port(word: &str) -> bool {
    word.contains("]:") || word.matches(':').count() == 1
}

/// `places` are the places of the words on the command line.
fn operands(matches: &Matches, places: &[usize], words: &[String]) -> Result<OperandSource, UsageError> {
    let file = matches.opt_str("file");
    match (file, words) {
        (Some(_), [word, ..]) => Err(UsageError::new(format!(
            "argument {}: {}: unexpected operand on the command line with --file",
            places[0],
            Typed(word)
        ))),
        (Some(file), []) => Ok(if file == "-" { OperandSource::Input } else { OperandSource::File(file) }),
        (None, [word]) if word == "-" => Ok(OperandSource::Input),
        (None, words) => {
            let operands = words.iter().zip(places).map(|(word, place)| operand(*place, word));
            operands.collect::<Result<_, _>>().map(OperandSource::Typed)
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
        Some(word) => {
            return Err(UsageError::new(format!("--base: {}: expected 2, 8, 10 or 16", Typed(word))));
        }
    };
    let [quiet, verbose, json] = ["quiet", "verbose", "json"].map(|name| matches.opt_present(name));
    Ok(Show { quiet, verbose, json, several: matches.opt_present("also"), base })
}

fn operand(place: usize, word: &str) -> Result<Number, UsageError> {
    if word.len() > MAX_WORD {
        let len = word.len();
        return Err(UsageError::new(format!("argument {place}: {len} characters; an operand has at most 255 octets")));
    }
    let wrong = |error| UsageError::new(format!("argument {place}: {} is not an integer: {error}", Typed(word)));
    word.parse().map_err(wrong)
}

fn operator(matches: &Matches) -> Result<Operator, UsageError> {
    let word = matches.opt_str("op").unwrap_or_default();
    Operator::from_word(&word).ok_or_else(|| UsageError::new(no_operator(&word)))
}

/// Explains what the shell may have done if the word is the name of a file.
fn no_operator(word: &str) -> String {
    let known = "expected one of + - * / % ^ gcd lcm min max & | ~ or a word such as mul (--help lists them)";
    let from_tilde = std::env::home_dir().is_some_and(|home| home.as_os_str() == word);
    let because = if from_tilde {
        "; the shell substitutes the home folder for ~: quote it, -op '~', or write xor"
    } else if !word.is_empty() && std::fs::symlink_metadata(word).is_ok() {
        "; it is a file name, which the shell substitutes for * and ?: quote them, -op '*', or write mul"
    } else {
        ""
    };
    let word = Typed(word);
    if because.is_empty() {
        format!("-op: {word} is not an operator; {known}")
    } else {
        format!("-op: {word} is not an operator{because}")
    }
}

fn config(matches: &Matches) -> Result<Config, UsageError> {
    let forms = match (matches.opt_present("classic"), matches.opt_present("extended")) {
        (true, true) => return Err(UsageError::new("--classic and --extended cannot be combined")),
        (true, false) => Forms::Classic,
        (false, true) => Forms::Extended,
        (false, false) => Forms::Either,
    };
    let format = if matches.opt_present("string") { Format::Text } else { Format::Integer };
    let mut config = Config::default().with_forms(forms).with_format(format);
    config = config.with_deadline(duration(matches, "deadline", SHORTEST_WAIT)?);
    if let Some(first_wait) = duration(matches, "timeout", SHORTEST_WAIT)? {
        config = config.with_timeout(first_wait);
    }
    if let Some(retries) = whole(matches, "retries", 0, MAX_RETRIES)? {
        config = config.with_retries(retries as u32);
    }
    if let Some(word) = matches.opt_str("segmentation") {
        let wrong = |expected| UsageError::new(format!("--segmentation: {}: {expected}", Typed(&word)));
        config.segmentation = word.parse().map_err(wrong)?;
    }
    if let Some(octets) = octets(matches, "max-result")? {
        config = config.with_max_result(octets);
    }
    Ok(config)
}

/// A duration of at least `least`.
fn duration(matches: &Matches, option: &str, least: Duration) -> Result<Option<Duration>, UsageError> {
    let Some(word) = matches.opt_str(option) else { return Ok(None) };
    match usage::duration(&word) {
        Ok(duration) if duration >= least => Ok(Some(duration)),
        Ok(_) => {
            Err(UsageError::new(format!("--{option}: {}: expected at least {} us", Typed(&word), least.as_micros())))
        }
        Err(expected) => Err(UsageError::new(format!("--{option}: {}: {expected}", Typed(&word)))),
    }
}

/// The shortest wait that the system can keep.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);

/// The most repeats that an option takes; the waits double each time.
const MAX_RETRIES: u64 = 30;

fn whole(matches: &Matches, option: &str, least: u64, most: u64) -> Result<Option<u64>, UsageError> {
    let Some(word) = matches.opt_str(option) else { return Ok(None) };
    match word.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ if most == u64::MAX => {
            Err(UsageError::new(format!("--{option}: {}: expected a whole number from {least}", Typed(&word))))
        }
        _ => Err(UsageError::new(format!(
            "--{option}: {}: expected a whole number from {least} to {most}",
            Typed(&word)
        ))),
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
    octets.filter(|octets| (1..=MOST).contains(octets)).map(Some).ok_or_else(|| {
        UsageError::new(format!("--{option}: {}: expected octets, such as 4096, 64K or 1M", Typed(&word)))
    })
}

/// Errors that getopts finds.
fn failure(fail: Fail) -> UsageError {
    UsageError::new(match fail {
        Fail::OptionDuplicated(name) => format!("option {} may be given only once", dashed(&name)),
        fail => fail.to_string(),
    })
}

/// An option as people write it: `-op` is the one long name that usually has one dash.
fn dashed(name: &str) -> String {
    if name == "op" { format!("-{name}") } else { format!("--{name}") }
}
