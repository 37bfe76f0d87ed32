//! A simulation on virtual time: exchanges against the real responder, and against servers that are worse, through
//! paths that lose, repeat, reorder and delay, with strangers that send noise, forgeries and stale replies.
//!
//! Whatever happens, no result is ever wrong, every exchange ends within its bound, and the same seed gives the same
//! run, octet for octet. `CALC6_SEED` replays a run; `CALC6_SOAK` draws new seeds and runs many.

mod check;
mod path;
#[allow(dead_code)] // the bodies are for other drivers; only the second server is used here
#[path = "../property/mod.rs"]
mod property;
mod questions;
#[path = "../seed/mod.rs"]
mod seed;
mod world;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use check::Tally;
use world::World;

/// How many exchanges a run has.
const EXCHANGES: usize = 50_000;
const SOAK_RUNS: usize = 100;

/// Runs worlds until so many exchanges have ended. Gives what came of them and a fingerprint of all that happened.
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
