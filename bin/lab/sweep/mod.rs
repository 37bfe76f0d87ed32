//! `lab sweep`: how often a client gets its result, how soon, and with how many datagrams, as the network gets worse.

mod measure;
mod plot;
mod result;
mod span;

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::Failure;
use crate::command::{Words, words};
use crate::common::usage::{duration, whole};
use crate::process::ResourceLimits;
use crate::relay::{Directions, Distribution, Impairments};
use measure::Experiment;
use span::Span;

/// Runs a client against a server through a network that changes step by step
///
/// One option is a range, such as --loss 0%..90%; the others are the same in all steps. In each step the client asks for
/// the sum of 1, 3, 5, 7 and 9, --repeat times, each time through a relay of its own. Each of these runs has another
/// seed; the n-th run of every step has the same one, so that steps differ only in the range.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "lab sweep [OPTIONS] --loss FROM..TO [HOST PORT]",
    after_help = "Examples:
  lab sweep --loss 0%..90% --steps 10 --repeat 20 --csv loss.csv --svg loss.svg
  lab sweep --delay 0ms..500ms --loss 10% --client ./client --server ./server
  lab sweep --rate 1kbit..1Mbit --logarithmic --client 'python3 client.py' ::1 10000"
)]
pub struct Arguments {
    /// Host and port of a server that runs [default: a server that lab starts]
    #[arg(num_args = 2, value_names = ["HOST", "PORT"], conflicts_with = "server")]
    target: Vec<String>,
    /// Command that starts a server, as for lab check server [default: calc6's own]
    #[arg(long, value_name = "COMMAND", value_parser = words)]
    server: Option<Words>,
    /// Command that starts the client, as for lab check client [default: calc6's own]
    #[arg(long, value_name = "COMMAND", value_parser = words)]
    client: Option<Words>,
    #[command(flatten)]
    network: NetworkArguments,
    /// Number of values of the range, both ends included
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole::<usize>(2..=1000))]
    steps: usize,
    /// Space the values evenly on a logarithmic scale
    #[arg(long)]
    logarithmic: bool,
    /// Runs of the client for each value
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole::<usize>(1..=100_000))]
    repeat: usize,
    /// Seed of the first run of each step; the next ones follow
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// How long a run may take; a client that still runs then is killed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// How long a started server may take until it listens
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    start_time: Duration,
    /// What the client prints before its result [default: "Result: "]
    #[arg(long, value_name = "TEXT")]
    result_prefix: Option<String>,
    /// Runs at once [default: eight for each processor, as they mostly wait]
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1..=u64::MAX))]
    jobs: Option<NonZeroUsize>,
    /// Write a row for each value as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw success, time and datagrams over the range
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write one JSON object instead of the table, with every run
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: ResourceLimits,
}

/// The network, as for lab relay; each of the first eight options takes a range too.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network, as for lab relay; one of these is a range, FROM..TO")]
struct NetworkArguments {
    /// Probability that a datagram is lost
    #[arg(long, value_name = "PROBABILITY", value_parser = Span::probability)]
    loss: Option<Span>,
    /// Probability that a datagram arrives twice
    #[arg(long, value_name = "PROBABILITY", value_parser = Span::probability)]
    duplicate: Option<Span>,
    /// Probability that a datagram waits until the client's next one has overtaken it
    #[arg(long, value_name = "PROBABILITY", value_parser = Span::probability)]
    reorder: Option<Span>,
    /// Probability that bits of a datagram are flipped
    #[arg(long, value_name = "PROBABILITY", value_parser = Span::probability)]
    corrupt: Option<Span>,
    /// Probability that a datagram is truncated
    #[arg(long, value_name = "PROBABILITY", value_parser = Span::probability)]
    truncate: Option<Span>,
    /// Delay of every datagram
    #[arg(long, value_name = "DURATION", value_parser = Span::duration)]
    delay: Option<Span>,
    /// Random part of the delay
    #[arg(long, value_name = "DURATION", value_parser = Span::duration)]
    jitter: Option<Span>,
    /// Bandwidth of each direction in bit/s, 48 octets of headers a datagram included
    #[arg(long, value_name = "BANDWIDTH", value_parser = Span::bandwidth)]
    rate: Option<Span>,
    /// Octets that may wait for the bandwidth; further datagrams are dropped
    #[arg(long, value_name = "OCTETS", default_value = "65536", requires = "rate", value_parser = whole::<usize>(0..=u64::MAX))]
    queue: usize,
    /// Longest wait of a reordered datagram
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    reorder_hold: Duration,
    /// Number of bits flipped in a corrupted datagram
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u16>(1..=65535))]
    corrupt_bits: u16,
    /// How the random part of the delay is distributed
    #[arg(long, value_enum, default_value = "uniform")]
    distribution: Distribution,
    /// Direction in which all of this applies
    #[arg(long, value_enum, default_value = "both")]
    direction: Directions,
}

/// What is varied.
#[derive(Clone, Copy, Debug)]
struct SweptOption {
    /// The option, without the dashes.
    name: &'static str,
    span: Span,
}

/// Runs every step, and writes the results.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let range = arguments.network.range().map_err(Failure::Usage)?;
    if arguments.logarithmic && range.span.from.min(range.span.to.unwrap_or_default()) <= 0.0 {
        return Err(Failure::Usage(format!(
            "--logarithmic: expected --{} from more than 0, found {}",
            range.name, range.span
        )));
    }
    // Before the runs, because they take a long time.
    for path in [&arguments.csv, &arguments.svg].into_iter().flatten() {
        fs::File::create(path).map_err(|error| cannot_write(path, error))?;
    }
    let sweep = Experiment::new(arguments, range)?.run()?;
    if let Some(path) = &arguments.csv {
        let table = sweep.csv().map_err(|error| cannot_write(path, error))?;
        fs::write(path, table).map_err(|error| cannot_write(path, error))?;
    }
    if let Some(path) = &arguments.svg {
        plot::draw(path, &sweep)?;
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &sweep).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        sweep.write_text(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cannot_write(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::run(format_args!("cannot write {}", path.display()), error)
}

impl NetworkArguments {
    fn spans(&self) -> [(&'static str, Option<Span>); 8] {
        [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
            ("truncate", self.truncate),
            ("delay", self.delay),
            ("jitter", self.jitter),
            ("rate", self.rate),
        ]
    }

    /// The one option that is a range.
    fn range(&self) -> Result<SweptOption, String> {
        let ranges: Vec<SweptOption> = self
            .spans()
            .into_iter()
            .filter_map(|(name, span)| Some(SweptOption { name, span: span.filter(|span| span.to.is_some())? }))
            .collect();
        match ranges[..] {
            [range] => Ok(range),
            [] => Err("nothing is varied: expected one option with a range, such as --loss 0%..90%".into()),
            [one, other, ..] => Err(format!("--{} and --{} are ranges: expected one range", one.name, other.name)),
        }
    }

    /// The options that are the same in all steps, as typed.
    fn fixed(&self) -> Vec<String> {
        let fixed =
            self.spans().into_iter().filter_map(|(name, span)| Some((name, span.filter(|span| span.to.is_none())?)));
        let mut words: Vec<String> =
            fixed.map(|(name, span)| format!("--{name} {}", span.to_string().replace(' ', ""))).collect();
        words.extend(match self.direction {
            Directions::Both => None,
            Directions::ToServer => Some("--direction to-server".to_owned()),
            Directions::ToClient => Some("--direction to-client".to_owned()),
        });
        words
    }

    /// The impairments of datagrams to the server and to the client, where `varied` has this value.
    fn impairments(&self, varied: &str, value: f64) -> [Impairments; 2] {
        let value = |name: &str, span: Option<Span>| match span {
            Some(_) if name == varied => value,
            span => span.map_or(0.0, |span| span.from),
        };
        let [loss, duplicate, reorder, corrupt, truncate, delay, jitter, rate] =
            self.spans().map(|(name, span)| value(name, span));
        let probability = crate::units::Probability::clamped;
        self.direction.impairments(Impairments {
            loss: probability(loss),
            duplicate: probability(duplicate),
            reorder: probability(reorder),
            reorder_hold: self.reorder_hold,
            corrupt: probability(corrupt),
            corrupt_bits: usize::from(self.corrupt_bits),
            truncate: probability(truncate),
            delay: Duration::from_secs_f64(delay),
            jitter: Duration::from_secs_f64(jitter),
            distribution: self.distribution,
            rate: self.rate.map(|_| rate as u64),
            queue: self.queue,
        })
    }
}
