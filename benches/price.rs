//! The price of every operator over the socket: server processor time of its cheapest and its dearest request.
//!
//! `cargo bench --bench price [-- ROUNDS [MILLISECONDS]]`. The dearest are searched for in process, among some thousand
//! candidates, then measured over the socket together with the cheapest. The goal: no request costs more than 20 times
//! the cheapest of all.

#[path = "bench/mod.rs"]
mod bench;
#[path = "bench/dear.rs"]
mod dear;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench::{Pinned, Program, SERVER};
use calc6::responder::{Limits, respond};
use calc6::wire::{MAX_REPLY, Operator};
use dear::{CHEAPEST, Request, candidates};

fn main() {
    bench::enter_namespace();
    let (rounds, time) = bench::arguments(5, 200);
    let pinned = Pinned::new();
    let server = pinned.start(env!("CARGO_BIN_EXE_server"), &[SERVER, "0", "--rate-limit=1000000000/s"]);
    let found: Vec<(Operator, [Request; 2])> =
        Operator::ALL.into_iter().map(|operator| (operator, extremes(operator))).collect();
    let base = price(&server, &CHEAPEST, rounds, time);
    println!("the sum of one operand, classic: {base:.2} us of server processor time");
    println!("operator     cheapest   dearest  times  (the dearest)");
    let mut worst: f64 = 0.0;
    for (operator, [cheap, dear]) in &found {
        let [low, high] = [cheap, dear].map(|request| price(&server, &request.octets, rounds, time));
        worst = worst.max(high / base);
        println!("{:10} {low:8.2} us {high:6.2} us {:6.1}  {}", operator.word(), high / base, dear.name);
    }
    println!("the dearest costs {worst:.1} times the cheapest (goal 20)");
}

/// The cheapest and the dearest candidate, in process.
fn extremes(operator: Operator) -> [Request; 2] {
    let mut timed: Vec<(Duration, Request)> =
        candidates(operator).into_iter().map(|request| (time_once(&request), request)).collect();
    timed.sort_by_key(|(time, _)| *time);
    // The first look is noisy: look again, longer, at the few that lead.
    let mut last: Vec<_> = timed.drain(timed.len().saturating_sub(8)..).map(|(_, request)| request).collect();
    last.sort_by_cached_key(|request| (0..20).map(|_| time_once(request)).min());
    let dear = last.pop().expect("a candidate");
    let cheap = timed.into_iter().next().map_or_else(|| last.pop().unwrap_or_else(|| dear.clone()), |(_, cheap)| cheap);
    [cheap, dear]
}

/// The shortest of a few runs.
fn time_once(request: &Request) -> Duration {
    let mut reply = [0; MAX_REPLY];
    let run = |_| {
        let begun = Instant::now();
        black_box(respond(black_box(&request.octets), &mut reply, &Limits::default()));
        begun.elapsed()
    };
    (0..5).map(run).min().expect("five")
}

/// Microseconds of processor time for one request: the least disturbed of some rounds.
fn price(server: &Program, request: &[u8], rounds: usize, time: Duration) -> f64 {
    let mut load = server.load(request);
    let round = |_| {
        let (requests, used) = server.measure(&mut load, time);
        used.as_secs_f64() * 1e6 / requests as f64
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}
