//! An exchange over a bad network, on virtual time: the simulation's own path and loop.

use std::time::Duration;

use calc6::exchange::{Outcome, Question, Retransmission};
use calc6::view::{Direction, Name, View};
use calc6::wire::{Kind, classic, extended};
use serde::{Deserialize, Serialize};

#[path = "../../tests/simulation/path.rs"]
#[allow(dead_code, reason = "the simulation uses the rest")]
mod path;
#[path = "../../tests/simulation/trace.rs"]
mod trace;

use path::Path;
use trace::{Flight, Server, Trace};

use crate::explain::json::hexadecimal;

/// Every kind of server, its name in calls, and what it is.
pub const SERVERS: [(Server, &str, &str); 3] = [
    (Server::Calc6, "calc6", "a server of this project"),
    (Server::Silent, "silent", "a server that never answers"),
    (Server::Absent, "nobody", "no server at this port"),
];

/// What the network does, and how patient the client is.
#[derive(Debug, Deserialize)]
pub struct Settings {
    seed: u64,
    /// Percent of the datagrams that are lost, in either direction.
    loss: f64,
    /// Percent of the datagrams that arrive again.
    duplication: f64,
    /// The least delay on the way, in milliseconds.
    delay_ms: u32,
    /// How much longer it may take, in milliseconds: datagrams overtake each other.
    jitter_ms: u32,
    server: String,
    first_wait_ms: u32,
    retries: u32,
}

/// A run, for a ladder.
#[derive(Debug, Serialize)]
pub struct Run {
    /// In the order in which they were sent.
    flights: Vec<Flown>,
    /// When the client's timer ran out, in milliseconds.
    timeouts_ms: Vec<f64>,
    ended_ms: f64,
    /// How it ended, in words.
    outcome: String,
    /// Whether there is a result.
    answered: bool,
    transmissions: u32,
    repeats: u32,
    ignored: u32,
    /// Tells this run from others: the same seed and settings give the same.
    fingerprint: String,
}

#[derive(Debug, Serialize)]
struct Flown {
    from_client: bool,
    sent_ms: f64,
    /// Null if it is lost.
    arrives_ms: Option<f64>,
    octets: String,
    summary: String,
    /// The request identifier, where there is one.
    identifier: Option<String>,
    transmission: u32,
    note: String,
}

/// Runs the exchange that begins with `request`.
///
/// # Errors
/// A sentence: a client sends no such request, or a setting is out of range.
pub fn run(request: &[u8], settings: &Settings) -> Result<Run, String> {
    let question = question(request)?;
    let chance = |name: &str, percent: f64| match percent {
        0.0..=100.0 => Ok(percent / 100.0),
        _ => Err(format!("{name} is {percent}: expected 0 to 100 percent")),
    };
    let least = Duration::from_millis(settings.delay_ms.into());
    let path = Path::of(
        chance("loss", settings.loss)?,
        chance("duplication", settings.duplication)?,
        least,
        least + Duration::from_millis(settings.jitter_ms.into()),
    );
    let config = Retransmission::default()
        .with_first_wait(Duration::from_millis(settings.first_wait_ms.clamp(1, 60_000).into()))
        .with_retries(settings.retries.min(10));
    let known = SERVERS.iter().find(|(_, name, _)| *name == settings.server);
    let (server, ..) = known.ok_or_else(|| format!("no server '{}'", settings.server))?;
    Ok(Run::new(&trace::run(question, &config, &path, *server, settings.seed)))
}

/// The question that a request asks. Its identifier is not kept: an exchange draws its own.
fn question(request: &[u8]) -> Result<Question, String> {
    let refused = |error: String| format!("a client sends no such request: {error}");
    match Kind::of(request) {
        Kind::Classic => {
            let decoded = classic::Request::decode(request).map_err(|error| refused(error.to_string()))?;
            let operator = decoded.operator().ok_or_else(|| refused("the opcode is unknown".to_owned()))?;
            let operands = decoded.operands().chunks_exact(classic::OPERAND);
            let operands = operands.filter_map(|operand| Some(u32::from_be_bytes(operand.try_into().ok()?)));
            Question::classic(operator, decoded.format(), operands).map_err(|error| refused(error.to_string()))
        }
        Kind::Extended => {
            let decoded = extended::Request::decode(request).map_err(|error| refused(error.to_string()))?;
            let operands = decoded.operands().to_vec();
            Question::extended(decoded.operator(), decoded.format(), decoded.width(), operands)
                .map_err(|error| refused(error.to_string()))
        }
        _ => {
            let view = View::request(request);
            Err(refused(view.faults().first().map_or_else(|| view.kind(), |fault| fault.text.clone())))
        }
    }
}

impl Run {
    fn new(trace: &Trace) -> Run {
        let statistics = trace.exchange.statistics();
        let outcome = trace.exchange.outcome();
        Run {
            flights: trace.flights.iter().map(Flown::new).collect(),
            timeouts_ms: trace.timeouts.iter().copied().map(milliseconds).collect(),
            ended_ms: milliseconds(trace.ended),
            outcome: words(outcome, trace),
            answered: matches!(outcome, Some(Outcome::Answer(_))),
            transmissions: statistics.transmissions,
            repeats: statistics.repeats,
            ignored: statistics.ignored.total(),
            fingerprint: format!("{:016x}", trace.fingerprint()),
        }
    }
}

/// What the accepted reply says, else how it ended.
fn words(outcome: Option<&Outcome>, trace: &Trace) -> String {
    match outcome {
        Some(Outcome::Silent) => "no reply to any attempt".to_owned(),
        Some(Outcome::Refused) => "no server at this port".to_owned(),
        Some(Outcome::Deadline) => "no reply before the deadline".to_owned(),
        Some(Outcome::ClassicOnly(_)) => "the server knows the classic form only".to_owned(),
        _ => {
            let in_time = |flight: &&Flight| flight.arrives.is_some_and(|arrives| arrives <= trace.ended);
            let accepted = |flight: &&Flight| !flight.from_client && flight.note.is_empty() && in_time(flight);
            let at_end = trace.flights.iter().rfind(accepted);
            at_end
                .map(|flight| View::reply(&flight.octets, Some(trace.exchange.request())).to_string())
                .unwrap_or_default()
        }
    }
}

impl Flown {
    fn new(flight: &Flight) -> Flown {
        let view = if flight.from_client { View::request(&flight.octets) } else { View::reply(&flight.octets, None) };
        debug_assert!(flight.from_client == (view.direction() == Direction::Request));
        let identifier = view.fields().iter().find(|field| field.name == Name::Id).map(|field| field.value.clone());
        Flown {
            identifier,
            from_client: flight.from_client,
            sent_ms: milliseconds(flight.sent),
            arrives_ms: flight.arrives.map(milliseconds),
            octets: hexadecimal(&flight.octets),
            summary: if flight.octets.is_empty() { flight.note.clone() } else { view.to_string() },
            transmission: flight.transmission,
            note: flight.note.clone(),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
