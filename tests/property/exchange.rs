//! The exchange against a peer, a path and a clock that follow a script of octets.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use calc6::exchange::{ClassicOnly, Exchange, Outcome, PROBE, PortSharing, Question, Received, Retransmission};
use calc6::responder::Limits;
use calc6::wire::{ERROR, Form, MAX_REQUEST, Operator, SUCCESS, extended};
use num_bigint::BigInt;

use super::responder::answer;

/// Reads the octets as a script: a question, a configuration, then what happens. For every script: a datagram is
/// accepted as the reply if and only if docs/protocol.md says so; the exchange sends the request's octets, unchanged,
/// and at most once a wider request and the probe; every datagram is counted once; the outcome never changes; and it
/// comes within the bound.
pub fn exchange(script: &[u8]) {
    // A script too short to contain a question is ignored.
    if let Ok(mut world) = World::new(&mut Unstructured::new(script)) {
        world.run(script);
    }
}

struct World {
    exchange: Exchange,
    sharing: PortSharing,
    config: Retransmission,
    start: Duration,
    now: Duration,
    ended: Option<Duration>,
    sent: Vec<Vec<u8>>,
    handed: u32,
    accepted: u32,
    refused: u32,
    script_from: usize,
    probed: bool,
    probe_answered: bool,
    widened: bool,
}

impl World {
    fn new(script: &mut Unstructured<'_>) -> Result<World> {
        let length = script.len();
        let question = question(script)?;
        let sharing = if question.form() == Form::Extended && script.arbitrary()? {
            PortSharing::Shared
        } else {
            PortSharing::Exclusive
        };
        let config = Retransmission::default()
            .with_first_wait(Duration::from_millis(script.int_in_range(1..=4000)?))
            .with_retries(script.int_in_range(0..=5)?)
            .with_deadline(script.arbitrary::<Option<u16>>()?.map(|ms| Duration::from_millis(ms.into())))
            .with_probe(script.arbitrary()?);
        let start = Duration::from_millis(script.arbitrary::<u32>()?.into());
        let draws: [u64; 3] = script.arbitrary()?;
        let mut draws = draws.into_iter();
        let mut random = || draws.next().expect("an exchange draws three numbers");
        Ok(World {
            exchange: Exchange::new(question, sharing, &config, start, &mut random),
            sharing,
            config,
            start,
            now: start,
            ended: None,
            sent: Vec::new(),
            handed: 0,
            accepted: 0,
            refused: 0,
            script_from: length - script.len(),
            probed: false,
            probe_answered: false,
            widened: false,
        })
    }

    fn run(&mut self, script: &[u8]) {
        let mut script = Unstructured::new(&script[self.script_from..]);
        self.transmit();
        while !script.is_empty() && self.event(&mut script).is_ok() {
            self.transmit();
        }
        while let Some(then) = self.exchange.wake_at() {
            self.now = self.now.max(then);
            self.transmit();
        }
        self.check_end();
    }

    fn event(&mut self, script: &mut Unstructured<'_>) -> Result<()> {
        let from_peer = script.ratio(3, 4)?;
        let id = self.exchange.id().unwrap_or_default();
        match script.int_in_range(0..=9)? {
            0 => self.now = self.exchange.wake_at().unwrap_or(self.now),
            1 => {
                let then = self.now + Duration::from_millis(script.arbitrary::<u16>()?.into());
                self.now = self.exchange.wake_at().map_or(then, |wake| wake.min(then));
            }
            2 => {
                self.exchange.refused(self.now);
                self.refused += 1;
            }
            3 => {
                let octets: Vec<u8> = script.arbitrary()?;
                self.receive(from_peer, &octets);
            }
            4 => {
                let result: Vec<u8> = script.arbitrary()?;
                self.receive(from_peer, &reply([SUCCESS, 0, script.int_in_range(0..=2)?, 0], id, &result));
            }
            5 => {
                let text: Vec<u8> = script.arbitrary()?;
                self.receive(from_peer, &reply([ERROR, script.int_in_range(0..=33)?, 1, 0], id, &text));
            }
            6 => {
                let needed: u32 =
                    if script.arbitrary()? { script.int_in_range(0..=4000)? } else { script.arbitrary()? };
                self.receive(from_peer, &reply([ERROR, 4, 1, 0], id, &needed.to_be_bytes()));
            }
            7 => self.echo_of_the_server(script, from_peer)?,
            8 => {
                let datagram: [u8; 5] = if script.arbitrary()? { [SUCCESS, 0, 0, 0, 0] } else { script.arbitrary()? };
                self.receive(from_peer, &datagram);
            }
            _ => self.receive(from_peer, &reply([SUCCESS, 0, 1, 0], script.arbitrary()?, b"1")),
        }
        Ok(())
    }

    /// A reply of the real server to something that was sent before.
    fn echo_of_the_server(&mut self, script: &mut Unstructured<'_>, from_peer: bool) -> Result<()> {
        let request = self.sent.get(script.int_in_range(0..=self.sent.len().max(1) - 1)?);
        if let Some(octets) = request.and_then(|request| answer(request, &Limits::default())) {
            self.receive(from_peer, &octets);
        }
        Ok(())
    }

    fn transmit(&mut self) {
        while let Some(datagram) = self.exchange.transmit(self.now) {
            let datagram = datagram.to_vec();
            if datagram == PROBE && self.exchange.request() != PROBE {
                assert!(
                    self.may_probe() && (!self.probed || self.refused > 0),
                    "probed {:?}",
                    self.exchange.question()
                );
                self.probed = true;
            } else {
                assert_eq!(datagram, self.exchange.request());
                assert!(datagram.len() <= MAX_REQUEST);
            }
            self.sent.push(datagram);
        }
        assert_eq!(self.exchange.wake_at().is_none(), self.exchange.outcome().is_some());
        if self.exchange.outcome().is_some() {
            self.ended.get_or_insert(self.now);
        }
        assert!(self.exchange.wake_at().is_none_or(|then| then > self.now), "nothing remains to be sent");
    }

    fn may_probe(&self) -> bool {
        self.config.probe
            && self.sharing == PortSharing::Exclusive
            && self.exchange.question().form() == Form::Extended
            && !self.widened
    }

    fn receive(&mut self, from_peer: bool, datagram: &[u8]) {
        let before = self.exchange.outcome().cloned();
        let counts = before.is_none() && from_peer && self.counts(datagram);
        let (old_id, old) = (self.exchange.id(), self.exchange.question().clone());
        self.handed += 1;
        let received = self.exchange.receive(self.now, from_peer, datagram);
        assert_eq!(!matches!(received, Received::Ignored(_)), counts, "{received:?} {datagram:02x?}");
        match received {
            Received::Ignored(why) => {
                assert!(!why.to_string().is_empty());
                assert_eq!(self.exchange.outcome(), before.as_ref(), "the outcome changed");
            }
            Received::Accepted => {
                self.accepted += 1;
                assert!(before.is_none() && self.exchange.outcome().is_some());
            }
            Received::ProbeAnswered => {
                self.accepted += 1;
                self.probe_answered = true;
                assert!(self.probed && self.exchange.outcome().is_none());
            }
            Received::Widened => {
                self.accepted += 1;
                assert!(!self.widened, "widened twice");
                self.widened = true;
                assert_ne!(self.exchange.id(), old_id);
                let needed = extended::Reply::decode(datagram).unwrap().needed().unwrap();
                assert!(3 * self.exchange.request().len() >= needed as usize);
                assert_same_question(&old, self.exchange.question());
            }
            other => panic!("{other:?}"),
        }
        let statistics = self.exchange.statistics();
        assert_eq!(statistics.ignored.total() + self.accepted, self.handed, "each is counted once");
    }

    /// Docs/protocol.md, clauses 2.8, 3.11 and 3.12, by the octets.
    fn counts(&self, datagram: &[u8]) -> bool {
        let question = self.exchange.question();
        let is_error = matches!(datagram, [0..0x80, ..]);
        let classic = |text: bool| match datagram {
            [0x80..=0xff, digits @ ..] if text => is_decimal(digits),
            [0x80..=0xff, ..] => datagram.len() == 5,
            _ => is_error,
        };
        if question.form() == Form::Classic {
            return classic(question.format() as u8 == 1);
        }
        let (own_id, has_header) = (self.exchange.id() == extended::id(datagram), datagram.len() >= 12);
        match datagram {
            [SUCCESS, 0, 0 | 1, ..] if has_header => return own_id && datagram.len() > 12,
            [ERROR, 1..32, 0 | 1, ..] if has_header => return own_id,
            [ERROR, 0..32, ..] if has_header => return false,
            _ => {}
        }
        let alone = self.sharing == PortSharing::Exclusive && !self.widened;
        alone && (is_error || self.probed && !self.probe_answered && classic(false))
    }

    fn check_end(&mut self) {
        let statistics = *self.exchange.statistics();
        let took = self.ended.expect("an end") - self.start;
        assert!(took <= self.config.longest(), "{took:?} of {:?}", self.config.longest());
        assert_eq!(statistics.transmissions as usize, self.sent.len());
        assert_eq!((statistics.probed, statistics.widened), (self.probed, self.widened));
        // One more attempt after each refusal: after 10, 20, 40, 80 and 160 ms.
        let requests = (1 + u32::from(self.widened)) * (1 + self.config.retries);
        let for_probe = u32::from(self.probed) + u32::from(self.probe_answered);
        assert!(statistics.transmissions <= requests + for_probe + self.refused.min(5));
        let outcome = self.exchange.outcome().expect("an outcome").clone();
        match outcome {
            Outcome::Deadline => assert_eq!(Some(took), self.config.deadline),
            Outcome::Refused => assert!(self.refused > 1),
            Outcome::Silent => assert!(statistics.repeats >= self.config.retries),
            Outcome::ClassicOnly(ClassicOnly::Probe) => assert!(self.probed && self.accepted > 0),
            _ => assert!(self.accepted > 0),
        }
        self.receive(true, &[0x7f; 40]);
        assert_eq!(self.exchange.outcome(), Some(&outcome), "the outcome changed");
    }
}

fn question(script: &mut Unstructured<'_>) -> Result<Question> {
    let format = if script.arbitrary()? { calc6::wire::Format::Text } else { calc6::wire::Format::Integer };
    let invalid = arbitrary::Error::IncorrectFormat;
    if script.arbitrary()? {
        let operator = if script.arbitrary()? { Operator::Sum } else { Operator::Product };
        let operands: Vec<u32> = script.arbitrary()?;
        return Question::classic(operator, format, operands).map_err(|_| invalid);
    }
    let operator = *script.choose(&Operator::ALL)?;
    let width: u8 = script.arbitrary()?;
    let count = script.int_in_range(0..=4)?;
    let operands = script.bytes((usize::from(width) * count).min(script.len()))?.to_vec();
    Question::extended(operator, format, width, operands).map_err(|_| invalid)
}

fn reply(start: [u8; 4], id: u64, result: &[u8]) -> Vec<u8> {
    [&start[..], &id.to_be_bytes(), result].concat()
}

/// 1 to 256 octets: `-?[0-9]+`, perhaps followed by one NUL.
fn is_decimal(payload: &[u8]) -> bool {
    let text = payload.strip_suffix(&[0]).unwrap_or(payload);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    payload.len() <= 256 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn assert_same_question(narrow: &Question, wide: &Question) {
    assert_eq!((narrow.operator(), narrow.format()), (wide.operator(), wide.format()));
    if narrow.operator() != Operator::Describe {
        let numbers = |question: &Question| -> Vec<BigInt> {
            let width = usize::from(question.width());
            question.operands().chunks(width).map(BigInt::from_signed_bytes_be).collect()
        };
        assert_eq!(numbers(narrow), numbers(wide));
    }
}
