//! One server, one path to it, attackers, and the exchanges of one client, on virtual time.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use calc6::exchange::{Exchange, PortSharing, Question, Received, Retransmission};
use calc6::responder::{Limits, ReplyLimit, Verdict, respond};
use calc6::wire::{MAX_REPLY_CEILING, extended, opcode};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use crate::check::{Ended, Tally};
use crate::path::Path;
use crate::questions;

/// The kind of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The real one.
    Calc6(Limits),
    /// Knows the classic form: unknown opcodes are an error, its unused bits are garbage, its strings end with NUL.
    Classic,
    /// Knows the classic form, and drops what it does not expect.
    ClassicAndSilent,
    /// Sends the right answer, from another port.
    OtherPort,
    /// Never answers.
    Silent,
    /// Begins to listen only then; until then the system answers with "port unreachable".
    From(Duration),
}

#[derive(Debug, Hash)]
enum Event {
    Wake { exchange: usize },
    AtServer { port: usize, datagram: Vec<u8> },
    AtClient { port: usize, from_peer: bool, datagram: Vec<u8> },
    Refused { port: usize },
}

struct Asking {
    exchange: Exchange,
    original: Question,
    config: Retransmission,
    port: usize,
    started: Duration,
    /// When the exchange has asked to be woken, so that each time is noted once.
    wake_at: Option<Duration>,
    ended: bool,
}

/// A world, from the first datagram to the last.
pub struct World<'r> {
    random: &'r mut ChaCha8Rng,
    peer: Peer,
    path: Path,
    /// The probability that an attacker sends a datagram when a client does.
    strangers: f64,
    sharing: PortSharing,
    to_begin: usize,
    now: Duration,
    sequence: u64,
    events: BTreeMap<(Duration, u64), Event>,
    asking: Vec<Asking>,
    /// Replies of the server, for attackers to send again.
    received: Vec<Vec<u8>>,
    trace: DefaultHasher,
}

impl<'r> World<'r> {
    pub fn new(random: &'r mut ChaCha8Rng) -> World<'r> {
        let path = Path::new(random);
        let max_reply = [1232, 1232, 200, MAX_REPLY_CEILING][random.random_range(0..4)];
        let max_reply = ReplyLimit::new(max_reply).expect("in range");
        let limits = Limits::default().with_max_reply(max_reply).with_wrap(random.random());
        let peer = match random.random_range(0..20) {
            0 => Peer::Classic,
            1 => Peer::ClassicAndSilent,
            2 => Peer::OtherPort,
            3 => Peer::Silent,
            4 => Peer::From(Duration::from_millis(random.random_range(0..600))),
            _ => Peer::Calc6(limits),
        };
        World {
            peer,
            path,
            strangers: if random.random() { random.random_range(0.0..0.9) } else { 0.0 },
            sharing: if random.random_bool(0.4) { PortSharing::Shared } else { PortSharing::Exclusive },
            to_begin: random.random_range(1..60),
            now: Duration::from_secs(random.random_range(0..1000)),
            sequence: 0,
            events: BTreeMap::new(),
            asking: Vec::new(),
            received: Vec::new(),
            trace: DefaultHasher::new(),
            random,
        }
    }

    /// Runs the world to its end; returns the fingerprint of the trace.
    pub fn run(&mut self, tally: &mut Tally) -> u64 {
        for _ in 0..self.random.random_range(1..=16) {
            self.begin();
        }
        while let Some((&(now, sequence), _)) = self.events.first_key_value() {
            assert!(now >= self.now, "time runs backwards");
            let event = self.events.remove(&(now, sequence)).expect("the first");
            self.now = now;
            (now, &event).hash(&mut self.trace);
            self.happen(event, tally);
        }
        assert!(self.asking.iter().all(|asking| asking.ended), "an exchange waits for ever");
        tally.exchanges += self.asking.len();
        self.trace.finish()
    }

    fn begin(&mut self) {
        if self.to_begin == 0 {
            return;
        }
        self.to_begin -= 1;
        let question = match self.sharing {
            PortSharing::Exclusive => questions::any(self.random),
            PortSharing::Shared => questions::extended(self.random),
        };
        let config = self.config();
        let exchange = Exchange::new(question.clone(), self.sharing, &config, self.now, &mut || self.random.next_u64());
        let index = self.asking.len();
        let port = if self.sharing == PortSharing::Shared { 0 } else { index };
        let started = self.now;
        self.asking.push(Asking { exchange, original: question, config, port, started, wake_at: None, ended: false });
        self.schedule(Duration::ZERO, Event::Wake { exchange: index });
    }

    fn config(&mut self) -> Retransmission {
        let deadline = self.random.random_bool(0.2).then(|| self.random.random_range(0..20_000));
        Retransmission::default()
            .with_first_wait(Duration::from_millis(self.random.random_range(100..2000)))
            .with_retries(self.random.random_range(0..5))
            .with_deadline(deadline.map(Duration::from_millis))
            .with_probe(self.random.random_bool(0.8))
    }

    fn happen(&mut self, event: Event, tally: &mut Tally) {
        match event {
            Event::Wake { exchange } => self.pump(exchange, tally),
            Event::AtServer { port, datagram } => self.serve(port, &datagram),
            Event::AtClient { port, from_peer, datagram } => self.arrive(port, from_peer, &datagram, tally),
            Event::Refused { port } => {
                for index in self.on_port(port) {
                    self.asking[index].exchange.refused(self.now);
                    self.pump(index, tally);
                }
            }
        }
    }

    /// Sends the due datagrams and notes when to wake; at the end, checks the outcome and begins another exchange.
    fn pump(&mut self, index: usize, tally: &mut Tally) {
        if self.asking[index].ended {
            return;
        }
        while let Some(datagram) = self.asking[index].exchange.transmit(self.now).map(<[u8]>::to_vec) {
            let port = self.asking[index].port;
            for delay in self.path.delays(self.random) {
                self.schedule(delay, Event::AtServer { port, datagram: datagram.clone() });
            }
            if self.random.random_bool(self.strangers) {
                self.send_as_stranger(port, &datagram);
            }
        }
        let asking = &mut self.asking[index];
        match asking.exchange.wake_at() {
            Some(then) if asking.wake_at != Some(then) => {
                asking.wake_at = Some(then);
                self.schedule(then - self.now, Event::Wake { exchange: index });
            }
            Some(_) => {}
            None => self.end(index, tally),
        }
    }

    fn end(&mut self, index: usize, tally: &mut Tally) {
        let asking = &mut self.asking[index];
        asking.ended = true;
        let ended = Ended {
            question: &asking.original,
            exchange: &asking.exchange,
            config: &asking.config,
            took: self.now - asking.started,
            peer: self.peer,
            path: &self.path,
        };
        ended.check(tally);
        ended.exchange.outcome().map(|outcome| format!("{outcome:?}")).hash(&mut self.trace);
        self.begin();
    }

    fn schedule(&mut self, delay: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), event);
    }

    fn on_port(&self, port: usize) -> Vec<usize> {
        (0..self.asking.len()).filter(|&index| self.asking[index].port == port && !self.asking[index].ended).collect()
    }

    /// Delivers a datagram to its exchange: on a socket of its own to the exchange there, even if that has ended, else
    /// by its identifier.
    fn arrive(&mut self, port: usize, from_peer: bool, datagram: &[u8], tally: &mut Tally) {
        let id = extended::id(datagram);
        let in_progress = |index: &usize| id.is_some() && self.asking[*index].exchange.id() == id;
        let whose = match self.sharing {
            PortSharing::Exclusive => Some(port),
            PortSharing::Shared => self.on_port(port).into_iter().find(in_progress),
        };
        let Some(index) = whose else {
            tally.undelivered += 1;
            return;
        };
        let asking = &mut self.asking[index];
        match asking.exchange.receive(self.now, from_peer, datagram) {
            Received::Ignored(why) => tally.ignored(&why),
            _ => {
                assert!(from_peer && !asking.ended, "a stranger or a latecomer is received")
            }
        }
        self.pump(index, tally);
    }

    fn serve(&mut self, port: usize, request: &[u8]) {
        let reply = match self.peer {
            Peer::Silent => None,
            Peer::From(then) if self.now < self.asking[0].started + then => {
                return self.schedule(self.path.least(), Event::Refused { port });
            }
            Peer::Classic => classic_reply(request, self.random),
            Peer::ClassicAndSilent => classic_reply(request, self.random).filter(|_| opcode(request[0]) < 2),
            Peer::Calc6(limits) => reply(request, &limits),
            Peer::OtherPort | Peer::From(_) => reply(request, &Limits::default()),
        };
        let Some(datagram) = reply else { return };
        self.received.push(datagram.clone());
        for delay in self.path.delays(self.random) {
            let from_peer = self.peer != Peer::OtherPort;
            self.schedule(delay, Event::AtClient { port, from_peer, datagram: datagram.clone() });
        }
    }

    /// Off the path, an attacker can forge the server's address but not guess an identifier; from its own address it
    /// may send anything.
    fn send_as_stranger(&mut self, port: usize, request: &[u8]) {
        let noise = self.noise(0, 60);
        let id = extended::id(request).unwrap_or_default().to_be_bytes();
        let forged = |start: [u8; 4], result: &[u8]| [&start[..], &id, result].concat();
        let (from_peer, datagram) = match self.random.random_range(0..9) {
            0 => (false, noise),
            1 => (false, forged([0xff, 0, 0, 0], &noise)),
            2 => (false, forged([0xff, 0, 1, 0], b"666")),
            3 => (false, forged([0x7f, 4, 1, 0], &[0, 0, 4, 0])),
            4 => (false, b"\x7funknown opcode".to_vec()),
            5 => (false, [0xff, 0, 0, 0, 0].to_vec()),
            6 => match self.received.is_empty() || request.len() < extended::HEADER || opcode(request[0]) != 7 {
                true => (false, noise),
                // A stale reply, from the right address: of an extended exchange, or not a reply to one.
                false => {
                    let stale = self.received[self.random.random_range(0..self.received.len())].clone();
                    let is_extended = stale.len() >= extended::HEADER && extended::Reply::decode(&stale).is_ok();
                    (is_extended && extended::id(&stale) != extended::id(request), stale)
                }
            },
            7 => {
                let unguessed = self.random.next_u64().to_be_bytes();
                (opcode(request[0]) == 7, [&[0xff, 0, 1, 0], &unguessed[..], b"666"].concat())
            }
            // From the right address, but neither an error nor a success of a length or with digits that count.
            _ => (true, [0x80].into_iter().chain(self.noise(5, 40)).map(|octet| octet | 0x80).collect()),
        };
        for delay in self.path.delays(self.random) {
            self.schedule(delay, Event::AtClient { port, from_peer, datagram: datagram.clone() });
        }
    }

    fn noise(&mut self, least: usize, most: usize) -> Vec<u8> {
        let len = self.random.random_range(least..=most);
        (0..len).map(|_| self.random.random()).collect()
    }
}

/// The real server.
fn reply(request: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let mut out = vec![0xa5; MAX_REPLY_CEILING];
    match respond(request, &mut out, limits) {
        Verdict::Reply(reply) => Some(out[..reply.len].to_vec()),
        Verdict::Silence(_) => None,
    }
}

/// A typical server of the course: it checks the opcode first, computes the same results, sets the unused bits
/// arbitrarily, and sends the terminating NUL.
fn classic_reply(request: &[u8], random: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let garbage = random.random_range(0..0x7f);
    if opcode(request[0]) > 1 {
        return Some(vec![garbage]);
    }
    let mut out = reply(request, &Limits::default().with_wrap(true))?;
    let is_success = out[0] == 0xff;
    out[0] = out[0] & 0x80 | garbage;
    if is_success && request[0] & 1 == 1 && out.len() < 257 {
        out.push(0);
    }
    Some(out)
}
