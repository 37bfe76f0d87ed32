//! `lab relay`: a network with configured faults, between any clients and any UDP service.

mod clients;
mod event_loop;
mod fate;
mod forwarder;
mod impairments;
mod network;
mod port;
mod recorder;
mod totals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::units::{Probability, bandwidth};
use crate::common::usage::duration;
use crate::common::usage::{Port, whole};
use calc6::net::Segmentation;
pub use impairments::{Distribution, FlowDirection, Impairments};
pub use network::Network;
pub use totals::RelayTotals;

/// Relays datagrams of any UDP service, and loses, repeats, reorders, damages and delays some of them
///
/// Each client has its own port towards the server. A report goes to standard output: a line a second, and totals at
/// the end (Ctrl-C). Probabilities are numbers from 0 to 1, or percentages.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: a third of all datagrams lost, the rest 20 to 40 ms late, towards a server on port \
10000, and a capture of both sides:
  lab relay ::1 10001 ::1 10000 --loss 33% --delay 30ms --jitter 10ms --pcap relay.pcapng")]
pub struct Arguments {
    /// Address to receive the clients' datagrams on
    listen_host: String,
    /// Port to receive them on; 0 takes a free one
    #[arg(value_parser = Port::to_serve)]
    listen_port: Port,
    /// Host of the service
    to_host: String,
    /// Port of the service, a number or its name
    #[arg(value_parser = Port::to_ask)]
    to_port: Port,
    /// Probability that a datagram is lost
    #[arg(long, value_name = "PROBABILITY", default_value = "0")]
    loss: Probability,
    /// Probability that a datagram arrives twice
    #[arg(long, value_name = "PROBABILITY", default_value = "0")]
    duplicate: Probability,
    /// Probability that a datagram waits until the client's next one has overtaken it
    #[arg(long, value_name = "PROBABILITY", default_value = "0")]
    reorder: Probability,
    /// Longest such wait
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    reorder_hold: Duration,
    /// Probability that bits of a datagram are flipped
    #[arg(long, value_name = "PROBABILITY", default_value = "0")]
    corrupt: Probability,
    /// Number of bits flipped in such a datagram
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u16>(1..=65535))]
    corrupt_bits: u16,
    /// Probability that a datagram is truncated
    #[arg(long, value_name = "PROBABILITY", default_value = "0")]
    truncate: Probability,
    /// Delay of every datagram
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// Random part of the delay
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    jitter: Duration,
    /// How the random part is distributed
    #[arg(long, value_enum, default_value = "uniform")]
    distribution: Distribution,
    /// Bandwidth of each direction in bit/s (64kbit, 10Mbit), 48 octets of headers a datagram included
    #[arg(long, value_name = "BANDWIDTH", value_parser = bandwidth)]
    rate: Option<u64>,
    /// Octets that may wait for the bandwidth; further datagrams are dropped
    #[arg(long, value_name = "OCTETS", default_value = "65536", requires = "rate", value_parser = whole::<usize>(0..=u64::MAX))]
    queue: usize,
    /// Direction to which all of this applies
    #[arg(long, value_enum, default_value = "both")]
    direction: Directions,
    /// Seed of the random choices: for the same seed the same sequence of datagrams has the same fate [default: a new
    /// one, shown]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Most clients at the same time, each with its own port; datagrams of further ones are dropped
    #[arg(long, value_name = "N", default_value = "1000", value_parser = whole::<u32>(1..=1000000))]
    clients: u32,
    /// Time without a datagram after which a client is forgotten and its port closed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    idle: Duration,
    /// Datagrams of one peer as segments of one message (UDP_SEGMENT and UDP_GRO of udp(7)), in and out: `auto`, where
    /// the system can, or `off`. Each datagram is impaired on its own in both cases
    #[arg(long, value_name = "WHEN", default_value_t)]
    segmentation: Segmentation,
    /// Write the datagrams in and out to a pcapng file, with the fate of each one as its comment; they are then sent one
    /// by one
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Write the totals at the end only
    #[arg(short, long)]
    quiet: bool,
}

/// The datagrams that are impaired, as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Directions {
    /// From the clients to the server and back
    Both,
    /// From the clients to the server only
    ToServer,
    /// From the server to the clients only
    ToClient,
}

/// Relays until SIGINT or SIGTERM (Ctrl-C on Windows).
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    event_loop::run(arguments)?;
    Ok(ExitCode::SUCCESS)
}

impl Directions {
    /// The impairments of datagrams to the server and to the clients.
    pub fn impairments(self, impairments: Impairments) -> [Impairments; 2] {
        match self {
            Self::Both => [impairments.clone(), impairments],
            Self::ToServer => [impairments, Impairments::default()],
            Self::ToClient => [Impairments::default(), impairments],
        }
    }
}

impl Arguments {
    /// The impairments of (datagrams to the server, datagrams to the clients).
    fn impairments(&self) -> (Impairments, Impairments) {
        let impairments = Impairments {
            loss: self.loss,
            duplicate: self.duplicate,
            reorder: self.reorder,
            reorder_hold: self.reorder_hold,
            corrupt: self.corrupt,
            corrupt_bits: usize::from(self.corrupt_bits),
            truncate: self.truncate,
            delay: self.delay,
            jitter: self.jitter,
            distribution: self.distribution,
            rate: self.rate,
            queue: self.queue,
        };
        self.direction.impairments(impairments).into()
    }
}
