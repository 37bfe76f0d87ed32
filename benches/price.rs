//! The cost of the most expensive request of every operator: server processor time per octet on the link.
//!
//! `cargo bench --bench price [-- ROUNDS [MILLISECONDS]]`. An attacker who forges requests pays for octets on the link:
//! the UDP payload and 48 octets of IPv6 and UDP headers. So the measure is processor time per octet, as a ratio to
//! that of the cheapest request, a classic sum of one operand. The most expensive requests are searched for in process,
//! among some thousand candidates of all lengths, then measured over the socket in turn with the cheapest. The goal: no
//! request costs more than 3 times the cheapest per octet, at the default limits. Replies of up to 3696 octets
//! (`--max-reply`) are measured too.

#[path = "bench/mod.rs"]
mod bench;
#[path = "bench/candidates.rs"]
mod candidates;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench::{Pinned, Program, SERVER, quantile};
use calc6::responder::{Limits, ReplyLimit, respond};
use calc6::wire::{MAX_REPLY_CEILING, Operator};
use candidates::{CHEAPEST, Request, candidates};

/// The octets of an IPv6 header and of a UDP header.
const HEADERS: usize = 40 + 8;

/// The most that a request may cost per octet, as a multiple of the cheapest, at the default limits.
const GOAL: f64 = 3.0;

fn main() {
    bench::enter_namespace();
    let (rounds, time) = bench::arguments(9, 100);
    let pinned = Pinned::new();
    for max_reply in [ReplyLimit::default(), ReplyLimit::MAX] {
        let limit = format!("--max-reply={max_reply}");
        let server = pinned.start(env!("CARGO_BIN_EXE_server"), &[SERVER, "0", "--rate-limit=off", &limit]);
        let cheapest = cost(&server, &CHEAPEST, rounds, time);
        let octets = on_link(&CHEAPEST);
        let per_octet = cheapest * 1000.0 / octets as f64;
        println!("longest reply {max_reply} octets; {rounds} rounds of {} ms", time.as_millis());
        println!("cheapest: {cheapest:.2} us for {octets} octets on the link, {per_octet:.1} ns per octet");
        println!("operator    most expensive  octets  per octet  times  half of the rounds");
        let mut highest: f64 = 0.0;
        for operator in Operator::ALL {
            let request = most_expensive(operator, &Limits::default().with_max_reply(max_reply), cheapest);
            let Measured { cost, times: [low, times, high] } = compare(&server, &request.octets, rounds, time);
            highest = highest.max(times);
            let octets = on_link(&request.octets);
            println!(
                "{:10} {cost:12.2} us {octets:7} {:7.1} ns {times:6.2}  {low:.2} to {high:.2}  {}",
                operator.word(),
                cost * 1000.0 / octets as f64,
                request.name
            );
        }
        let goal = if max_reply == ReplyLimit::default() { format!(" (goal {GOAL})") } else { String::new() };
        println!("the most expensive costs {highest:.2} times the cheapest per octet{goal}\n");
    }
}

fn on_link(request: &[u8]) -> usize {
    request.len() + HEADERS
}

/// The candidate that costs most per octet, where the kernel's share of each request is about `kernel` microseconds.
fn most_expensive(operator: Operator, limits: &Limits, kernel: f64) -> Request {
    let per_octet = |request: &Request, runs| {
        let micros = time_in_process(request, limits, runs).as_secs_f64() * 1e6;
        (kernel + micros) / on_link(&request.octets) as f64
    };
    let mut timed: Vec<(f64, Request)> =
        candidates(operator).into_iter().map(|request| (per_octet(&request, 5), request)).collect();
    timed.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    // The first look is noisy: look again, longer, at those that lead.
    timed.truncate(12);
    let again = timed.into_iter().map(|(_, request)| (per_octet(&request, 100), request));
    let (_, request) = again.max_by(|(one, _), (other, _)| one.total_cmp(other)).expect("a candidate");
    request
}

/// The shortest of some runs.
fn time_in_process(request: &Request, limits: &Limits, runs: usize) -> Duration {
    let mut reply = [0; MAX_REPLY_CEILING];
    let run = |_| {
        let begun = Instant::now();
        black_box(respond(black_box(&request.octets), &mut reply, limits));
        begun.elapsed()
    };
    (0..runs).map(run).min().expect("a run")
}

struct Measured {
    /// Microseconds of processor time for one request: the median.
    cost: f64,
    /// The cost per octet as a multiple of the cheapest: the quartiles and the median between them.
    times: [f64; 3],
}

/// Measures a request in turn with the cheapest.
fn compare(server: &Program, request: &[u8], rounds: usize, time: Duration) -> Measured {
    let (mut costs, mut ratios) = (Vec::new(), Vec::new());
    let weight = on_link(&CHEAPEST) as f64 / on_link(request) as f64;
    for _ in 0..rounds {
        let [cheapest, cost] = [&CHEAPEST[..], request].map(|request| cost(server, request, 1, time));
        costs.push(cost);
        ratios.push(cost / cheapest * weight);
    }
    Measured { cost: quantile(&mut costs, 0.5), times: [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share)) }
}

/// Microseconds of processor time for one request: the median of some rounds.
fn cost(server: &Program, request: &[u8], rounds: usize, time: Duration) -> f64 {
    let mut load = server.load(request);
    let mut costs = Vec::new();
    while costs.len() < rounds {
        // A round in which every datagram of the window was lost says nothing.
        if let (requests @ 1.., used) = server.measure(&mut load, time) {
            costs.push(used.as_secs_f64() * 1e6 / requests as f64);
        }
    }
    quantile(&mut costs, 0.5)
}
