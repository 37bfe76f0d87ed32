//! A simulation on virtual time: exchanges against the real responder, and against faulty servers, through paths
//! that lose, repeat, reorder and delay, with attackers that send random octets, forgeries and stale replies.
//!
//! In every run, no result is wrong, every exchange ends within its bound, and the same seed gives the same
//! run, octet for octet. `CALC6_SEED` replays a run; `CALC6_SOAK` draws new seeds and runs many.

mod check;
mod path;
#[allow(dead_code)] // the bodies are for other drivers; only the second server is used here
#[path = "../property/mod.rs"]
mod property;
mod questions;
#[path = "../seed/mod.rs"]
mod seed;
mod trace;
mod world;

use std::time::Duration;

use calc6::exchange::{Outcome, Question, Retransmission};
use calc6::wire::{Format, Operator};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use check::Tally;
use world::World;

/// The number of exchanges of a run.
const EXCHANGES: usize = 50_000;
const SOAK_RUNS: usize = 100;

/// Runs worlds until `exchanges` exchanges have ended. Returns the outcomes and a fingerprint of all events.
fn run(seed: u64, exchanges: usize) -> (Tally, u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut tally, mut fingerprint) = (Tally::default(), seed);
    while tally.exchanges < exchanges {
        let mut world = World::new(&mut random);
        fingerprint = fingerprint.rotate_left(1) ^ world.run(&mut tally);
    }
    (tally, fingerprint)
}

#[test]
fn no_result_is_wrong_and_every_exchange_ends() {
    if !seed::is_soak() {
        let (tally, fingerprint) = run(seed::of_run("simulation"), EXCHANGES);
        println!("fingerprint {fingerprint:016x}, {tally:#?}");
        return tally.assert_everything_happened();
    }
    for _ in 0..SOAK_RUNS {
        let (tally, _) = run(seed::of_run("simulation"), EXCHANGES);
        tally.assert_everything_happened();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let seed = seed::of_run("repeated simulation");
    let first = run(seed, EXCHANGES / 10);
    assert_eq!(first, run(seed, EXCHANGES / 10));
    assert_ne!(first.1, run(seed.wrapping_add(1), EXCHANGES / 10).1, "another seed gives another run");
}

/// The run that the playground shows first: + 1 3 5 with 30% loss.
fn shown(seed: u64, server: trace::Server) -> trace::Trace {
    let question = Question::classic(Operator::Sum, Format::Integer, [1, 3, 5]).unwrap();
    let delay = Duration::from_millis(40);
    let path = path::Path::of(0.3, 0.1, delay, delay + Duration::from_millis(200));
    trace::run(question, &Retransmission::default(), &path, server, seed)
}

/// `docs/playground/test.js` checks the page against the same numbers.
const FINGERPRINTS: &str = include_str!("../../docs/playground/fingerprints.txt");

#[test]
fn traced_runs_are_those_of_the_playground() {
    let runs: Vec<String> =
        (1..=20).map(|seed| format!("{seed} {:016x}", shown(seed, trace::Server::Calc6).fingerprint())).collect();
    assert_eq!(runs, FINGERPRINTS.lines().collect::<Vec<_>>(), "\n{}", runs.join("\n"));
}

#[test]
fn traced_runs_contain_every_event() {
    let mut lost = 0;
    for seed in 1..=200 {
        let trace = shown(seed, trace::Server::Calc6);
        let sent = trace.flights.iter().filter(|flight| flight.from_client).map(|flight| flight.transmission).max();
        assert_eq!(sent, Some(trace.exchange.statistics().transmissions), "seed {seed}");
        lost += trace.flights.iter().filter(|flight| flight.arrives.is_none()).count();
        let ignored = trace.flights.iter().filter(|flight| flight.note.starts_with("ignored")).count();
        assert_eq!(ignored, trace.exchange.statistics().ignored.total() as usize, "seed {seed}");
        let answered = matches!(trace.exchange.outcome(), Some(Outcome::Answer(_)));
        assert!(answered || trace.timeouts.len() == 4, "seed {seed}: {trace:?}");
        assert!(trace.ended <= Retransmission::default().longest());
    }
    assert!(lost > 50, "{lost}");
    let silent = shown(1, trace::Server::Silent);
    assert_eq!(silent.exchange.outcome(), Some(&Outcome::Silent));
    let refused = shown(1, trace::Server::Absent);
    assert_eq!(refused.exchange.outcome(), Some(&Outcome::Refused), "{refused:?}");
}
