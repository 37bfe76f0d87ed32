//! One exchange over one path, datagram by datagram, for a ladder diagram. Virtual time, everything from one seed.
//!
//! The playground draws these runs; `main.rs` has their fingerprints, so that a seed gives the same run there and
//! here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use calc6::exchange::{Exchange, Outcome, PortSharing, Question, Received, Retransmission};
use calc6::responder::{Limits, Verdict, respond};
use calc6::wire::MAX_REPLY_CEILING;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::path::Path;

/// The server at the other end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The real one.
    Calc6,
    /// One that never answers.
    Silent,
    /// None: the system answers with "port unreachable".
    Absent,
}

/// A datagram in flight: one for each copy that arrives, or one that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    /// Whether the client sent it.
    pub from_client: bool,
    pub sent: Duration,
    /// `None` if it is lost.
    pub arrives: Option<Duration>,
    /// Empty for "port unreachable", which is not a datagram of the protocol.
    pub octets: Vec<u8>,
    /// For a request, which transmission of the exchange it belongs to, the first being 1.
    pub transmission: u32,
    /// A note on how the receiver handled it; empty if it just accepted it.
    pub note: String,
}

/// A run, from the first datagram to the last that arrives.
#[derive(Debug)]
pub struct Trace {
    /// In the order in which they are sent.
    pub flights: Vec<Flight>,
    /// When each transmission that was not answered in time was repeated, or given up.
    pub timeouts: Vec<Duration>,
    /// When the exchange ended.
    pub ended: Duration,
    pub exchange: Exchange,
}

#[derive(Debug)]
enum Event {
    Wake,
    Arrive { flight: usize },
}

/// Runs one exchange to its end, and further until nothing is on its way.
pub fn run(question: Question, config: &Retransmission, path: &Path, server: Server, seed: u64) -> Trace {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let exchange = Exchange::new(question, PortSharing::Exclusive, config, Duration::ZERO, &mut || random.next_u64());
    let mut run = Run {
        random,
        path,
        server,
        now: Duration::ZERO,
        sequence: 0,
        events: BTreeMap::new(),
        wake_at: None,
        transmissions: 0,
        trace: Trace { flights: Vec::new(), timeouts: Vec::new(), ended: Duration::ZERO, exchange },
    };
    run.schedule(Duration::ZERO, Event::Wake);
    while let Some(((now, _), event)) = run.events.pop_first() {
        run.now = now;
        match event {
            Event::Wake => run.pump(),
            Event::Arrive { flight } if run.trace.flights[flight].from_client => run.serve(flight),
            Event::Arrive { flight } => run.hear(flight),
        }
    }
    run.trace
}

struct Run<'p> {
    random: ChaCha8Rng,
    path: &'p Path,
    server: Server,
    now: Duration,
    sequence: u64,
    events: BTreeMap<(Duration, u64), Event>,
    wake_at: Option<Duration>,
    transmissions: u32,
    trace: Trace,
}

impl Run<'_> {
    fn schedule(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    /// Sends the due datagrams and notes when to wake.
    fn pump(&mut self) {
        if self.trace.ended > Duration::ZERO {
            return;
        }
        while let Some(datagram) = self.trace.exchange.transmit(self.now).map(<[u8]>::to_vec) {
            if self.transmissions > 0 && self.wake_at == Some(self.now) {
                self.trace.timeouts.push(self.now);
            }
            self.transmissions += 1;
            self.send(true, datagram, self.transmissions);
        }
        match self.trace.exchange.wake_at() {
            Some(then) if self.wake_at != Some(then) => {
                self.wake_at = Some(then);
                self.schedule(then, Event::Wake);
            }
            Some(_) => {}
            None => {
                if matches!(self.trace.exchange.outcome(), Some(Outcome::Silent | Outcome::Deadline)) {
                    self.trace.timeouts.push(self.now);
                }
                // Never 0, which means that it has not ended.
                self.trace.ended = self.now.max(Duration::from_nanos(1));
            }
        }
    }

    fn send(&mut self, from_client: bool, octets: Vec<u8>, transmission: u32) {
        let delays = self.path.delays(&mut self.random);
        let sent = self.now;
        let flight =
            |arrives| Flight { from_client, sent, arrives, octets: octets.clone(), transmission, note: String::new() };
        if delays.is_empty() {
            self.trace.flights.push(flight(None));
        }
        let arrivals: Vec<Duration> = delays.into_iter().map(|delay| sent + delay).collect();
        for arrives in arrivals {
            let index = self.trace.flights.len();
            let flight = flight(Some(arrives));
            self.trace.flights.push(flight);
            self.schedule(arrives, Event::Arrive { flight: index });
        }
    }

    fn serve(&mut self, flight: usize) {
        let request = self.trace.flights[flight].octets.clone();
        let transmission = self.trace.flights[flight].transmission;
        match self.server {
            Server::Silent => self.trace.flights[flight].note = "not answered".to_owned(),
            Server::Absent => self.send(false, Vec::new(), transmission),
            Server::Calc6 => {
                let mut reply = vec![0; MAX_REPLY_CEILING];
                match respond(&request, &mut reply, &Limits::default()) {
                    Verdict::Reply(answer) => self.send(false, reply[..answer.len].to_vec(), transmission),
                    Verdict::Silence(reason) => self.trace.flights[flight].note = reason.name().to_owned(),
                }
            }
        }
    }

    fn hear(&mut self, flight: usize) {
        let octets = self.trace.flights[flight].octets.clone();
        if octets.is_empty() {
            self.trace.flights[flight].note = "port unreachable".to_owned();
            self.trace.exchange.refused(self.now);
        } else {
            match self.trace.exchange.receive(self.now, true, &octets) {
                Received::Accepted => {}
                Received::Widened => self.trace.flights[flight].note = "asked again with a larger Width".to_owned(),
                Received::ProbeAnswered => self.trace.flights[flight].note = "it knows the classic form".to_owned(),
                Received::Ignored(why) => self.trace.flights[flight].note = format!("ignored: {why}"),
                other => panic!("{other:?}"),
            }
        }
        self.pump();
    }
}

impl Trace {
    /// A number that identifies a run: FNV-1a, 64 bits, over every datagram.
    pub fn fingerprint(&self) -> u64 {
        let mut text = String::new();
        for flight in &self.flights {
            let Flight { from_client, sent, arrives, octets, transmission, .. } = flight;
            let arrives = arrives.map(|arrives| arrives.as_nanos());
            let _ = writeln!(text, "{from_client} {} {arrives:?} {octets:02x?} {transmission}", sent.as_nanos());
        }
        let _ = writeln!(text, "{}", self.ended.as_nanos());
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
    }
}
