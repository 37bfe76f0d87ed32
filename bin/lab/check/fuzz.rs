//! `lab check fuzz`: random and mutated datagrams against a live server, and right answers in between.

use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::probe::{Probe, Prober};
use super::report::{CheckVerdict, hex};
use super::server::{exact, extended_request, judge, request, shrink_crash};
use crate::Failure;
use calc6::arithmetic::Number;
use calc6::responder::{self, Limits, respond};
use calc6::wire::{Form, Format, Kind, MAX_REPLY_CEILING, MAX_REQUEST, Operator, SUCCESS_BIT, Status, classic};

/// Between two requests whose answers are known.
const CONTROL_EVERY: u64 = 8;

/// Something that a server did wrong.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Wrong {
    /// The datagram, in hex.
    pub sent: String,
    /// What it owed.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// The smallest datagram found that ends the server too, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<String>,
}

/// The result of a run.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct FuzzSummary {
    /// The seed of the run.
    pub seed: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Datagrams whose answer the protocol fixes, all of them verified.
    pub owed: u64,
    /// Datagrams answered.
    pub answered: u64,
    /// What was wrong; the run ends at the tenth.
    pub wrong: Vec<Wrong>,
}

impl FuzzSummary {
    /// Whether nothing was wrong.
    pub fn passes(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// How many wrong answers end a run.
const ENOUGH: usize = 10;

/// Sends up to `count` datagrams, for `duration` at most.
pub fn run(
    prober: &mut Prober,
    seed: u64,
    count: u64,
    duration: Duration,
    with_extended: bool,
) -> Result<FuzzSummary, Failure> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut outcome = FuzzSummary { seed, ..FuzzSummary::default() };
    let deadline = Instant::now() + duration;
    prober.learn_control()?;
    while outcome.datagrams < count && Instant::now() < deadline && outcome.wrong.len() < ENOUGH {
        let control = outcome.datagrams % CONTROL_EVERY == CONTROL_EVERY - 1;
        let datagram = if control { well_formed(&mut random, false) } else { draw(&mut random, with_extended) };
        prober.believe_silence_at_once(true);
        let mut asked = prober.try_datagram(&datagram)?;
        prober.believe_silence_at_once(false);
        if asked.end.is_none() && verify(&asked, with_extended, &mut 0).is_some() {
            // The answer may only have been late: the same request always has the same answer (clause 4.5).
            asked = prober.ask(&datagram)?;
        }
        outcome.datagrams += 1;
        outcome.answered += u64::from(asked.reply().is_some());
        if let Some(how) = &asked.end {
            let shrunk = if prober.can_restart() { shrink_crash(prober, &datagram)? } else { None };
            let shrunk = shrunk.map(|datagram| hex(&datagram));
            let expected = "that it keeps serving".into();
            outcome.wrong.push(Wrong { sent: hex(&datagram), expected, found: how.clone(), shrunk });
            if !prober.can_restart() {
                break;
            }
        } else if let Some(wrong) = verify(&asked, with_extended, &mut outcome.owed) {
            outcome.wrong.push(wrong);
        }
    }
    Ok(outcome)
}

/// A datagram of any kind: well-formed, mutated, or noise.
pub fn draw(random: &mut ChaCha8Rng, with_extended: bool) -> Vec<u8> {
    match random.random_range(0..10) {
        0..=3 => well_formed(random, with_extended),
        4..=8 => {
            let datagram = well_formed(random, with_extended);
            mutated(random, datagram)
        }
        _ => {
            let length = random.random_range(0..=1500);
            octets(random, length)
        }
    }
}

fn well_formed(random: &mut ChaCha8Rng, with_extended: bool) -> Vec<u8> {
    let format = if random.random() { Format::Integer } else { Format::Text };
    if with_extended && random.random_bool(0.6) {
        let operator = *Operator::ALL.choose(random).unwrap_or(&Operator::Sum);
        let width = *[1, 2, 3, 4, 8, 9, 16, 40, 255].choose(random).unwrap_or(&4);
        let most = (MAX_REQUEST - calc6::wire::extended::HEADER) / width;
        let count = if operator == Operator::Power { 2 } else { random.random_range(1..=most.min(12)) };
        let operands: Vec<Number> = (0..count).map(|_| small_or_wide(random, width)).collect();
        return extended_request(operator, format, width, &operands);
    }
    let operator = if random.random() { Operator::Sum } else { Operator::Product };
    let count = if random.random_bool(0.1) { random.random_range(1..=64) } else { random.random_range(1..=6) };
    let mut operand = || if random.random_bool(0.1) { random.next_u32() } else { random.random_range(0..1000) };
    let operands: Vec<u32> = (0..count).map(|_| operand()).collect();
    request(operator, format, &operands)
}

fn small_or_wide(random: &mut ChaCha8Rng, width: usize) -> Number {
    if random.random() {
        return Number::from(random.random_range(-100..=100));
    }
    Number::from_octets(&octets(random, width))
}

/// A few changes of the kinds that break parsers.
fn mutated(random: &mut ChaCha8Rng, mut datagram: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.random_range(1..=3) {
        let at = random.random_range(0..=datagram.len());
        match random.random_range(0..6) {
            0 => datagram.truncate(at),
            1 => {
                let surplus = random.random_range(1..=40);
                datagram.extend(octets(random, surplus));
            }
            2 => datagram.insert(at, random.random()),
            3 if at < datagram.len() => datagram[at] ^= 1 << random.random_range(0..8),
            4 if at < datagram.len() => datagram[at] = *[0x00, 0x7f, 0x80, 0xff].choose(random).unwrap_or(&0),
            5 if !datagram.is_empty() => datagram[0] = random.random(),
            _ => {}
        }
    }
    datagram
}

fn octets(random: &mut ChaCha8Rng, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    random.fill_bytes(&mut octets);
    octets
}

/// Compares an answer with what the protocol fixes; what the course leaves open is not judged.
fn verify(asked: &Probe, with_extended: bool, owed: &mut u64) -> Option<Wrong> {
    let wrong = |expected: String| Wrong { sent: hex(&asked.sent), expected, found: asked.found(), shrunk: None };
    if asked.replies.len() > 1 {
        return Some(wrong("one datagram at most".into()));
    }
    match Kind::of(&asked.sent) {
        Kind::Extended if with_extended => {
            *owed += 1;
            verify_extended(asked).map(wrong)
        }
        Kind::Classic => verify_classic(asked, owed).map(wrong),
        _ if with_extended => verify_silence(asked).map(wrong),
        _ => None,
    }
}

/// Classic: sums and products that fit, and errors for unknown opcodes.
fn verify_classic(asked: &Probe, owed: &mut u64) -> Option<String> {
    let decoded = classic::Request::decode(&asked.sent).ok()?;
    let Some(operator) = decoded.operator() else {
        *owed += 1;
        let error = asked.reply().is_some_and(|reply| reply.first().is_some_and(|first| first & SUCCESS_BIT == 0));
        return (!error).then(|| "an error: S = 0".into());
    };
    let operands: Vec<u32> = decoded.integers().collect();
    // Below 2^31 signed and unsigned servers agree, in both formats.
    i32::try_from(&exact(operator, &operands)).ok()?;
    *owed += 1;
    let judgement = judge(asked, operator, decoded.format(), &operands);
    (judgement.verdict == CheckVerdict::Broken).then_some(judgement.expected)
}

/// Extended: our own responder knows the answer; only texts and the count of status 4 are free.
fn verify_extended(asked: &Probe) -> Option<String> {
    let mut buffer = [0; MAX_REPLY_CEILING];
    let responder::Verdict::Reply(expected) = respond(&asked.sent, &mut buffer, &Limits::default()) else {
        return asked.reply().map(|_| "no answer".into());
    };
    let whole = &buffer[..expected.len];
    let described = expected.operator == Some(Operator::Describe);
    let right = asked.reply().is_some_and(|reply| match expected.status {
        Status::Ok if described => reply.starts_with(&whole[..calc6::wire::extended::HEADER]),
        Status::Ok => reply == whole,
        _ => reply.len() >= 12 && reply[..12] == whole[..12],
    });
    // A description may be longer or shorter than ours, and then does or does not fit.
    (!right && !described).then(|| hex(whole))
}

/// What a server of this specification does not answer, or answers by a classic error.
fn verify_silence(asked: &Probe) -> Option<String> {
    let mut buffer = [0; MAX_REPLY_CEILING];
    match (respond(&asked.sent, &mut buffer, &Limits::default()), asked.reply()) {
        (responder::Verdict::Silence(_), Some(_)) => Some("no answer".into()),
        (responder::Verdict::Reply(responder::WrittenReply { form: Form::Classic, .. }), None) => {
            Some("a classic error".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_datagrams() {
        let drawn = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..200).map(|_| draw(&mut random, true)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn every_kind_is_drawn() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let drawn: Vec<Kind> = (0..2_000).map(|_| Kind::of(&draw(&mut random, true))).collect();
        for kind in [Kind::Empty, Kind::Reply, Kind::Classic, Kind::Extended] {
            assert!(drawn.contains(&kind), "{kind:?}");
        }
    }
}
