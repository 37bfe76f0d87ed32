//! Server and floor under the same load, in turn: requests per second of server processor time, and their ratio.
//!
//! `cargo bench --bench floor [-- PAIRS [MILLISECONDS]]`. It runs in a network namespace of its own, where addresses
//! other than loopback exist, because the rate limit exempts loopback: every protection is at work.

#[path = "bench/mod.rs"]
mod bench;

use std::time::Duration;

use bench::{Pinned, Program, SERVER, quantile};

/// Sum of five operands, answered with five octets, as the floor does.
const REQUEST: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];

/// Enough for any load, so that the limit is computed and refuses nothing.
const UNLIMITED: &str = "--rate-limit=1000000000/s";

fn main() {
    bench::enter_namespace();
    let (pairs, time) = bench::arguments(30, 300);
    let pinned = Pinned::new();
    println!("{pairs} pairs of {} ms; requests per second of server processor time:", time.as_millis());
    for (name, host, goal) in [("one address", SERVER, 0.98), ("wildcard", "::", 0.93)] {
        let floor = || pinned.start(env!("CARGO_BIN_EXE_lab"), &["floor", host, "0"]);
        let server = || pinned.start(env!("CARGO_BIN_EXE_server"), &[host, "0", UNLIMITED]);
        let [floor, server] = compare(|| [floor(), server()], pairs, time);
        let mut ratios: Vec<f64> = server.iter().zip(&floor).map(|(server, floor)| server / floor).collect();
        let [low, ratio, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
        let [floor, server] = [floor, server].map(|mut rates| quantile(&mut rates, 0.5));
        println!(
            "{name:12} floor {floor:8.0}  server {server:8.0}  ratio {ratio:.3}, half of them {low:.3} to {high:.3} \
             (goal {goal})"
        );
    }
    protections(&pinned, pairs, time);
    println!("the floor itself, as the ratio to the floor above:");
    for (name, host, option) in [
        ("8 datagrams a batch", SERVER, "--batch=8"),
        ("16 datagrams a batch", SERVER, "--batch=16"),
        ("64 datagrams a batch", SERVER, "--batch=64"),
        ("128 datagrams a batch", SERVER, "--batch=128"),
        ("address received", "::", "--packet-info=receive"),
        ("address received and sent", "::", "--packet-info=reply"),
    ] {
        let floor = || pinned.start(env!("CARGO_BIN_EXE_lab"), &["floor", host, "0"]);
        let other = || pinned.start(env!("CARGO_BIN_EXE_lab"), &["floor", host, "0", option]);
        let [floor, other] = compare(|| [floor(), other()], pairs, time);
        print_ratio(name, &other, &floor);
    }
}

fn print_ratio(name: &str, one: &[f64], other: &[f64]) {
    let mut ratios: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
    let [low, ratio, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
    println!("{name:30} {ratio:.3}, half of them {low:.3} to {high:.3}");
}

/// What each protection costs: the server with and without it.
fn protections(pinned: &Pinned, pairs: usize, time: Duration) {
    println!("what a protection costs, as the ratio of the server with it to the server without:");
    let unlimited: &[&str] = &[SERVER, "0", UNLIMITED];
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("sandbox", unlimited, &[SERVER, "0", UNLIMITED, "--no-sandbox"]),
        ("rate limit", unlimited, &[SERVER, "0", "--rate-limit=off"]),
        ("100 prefixes denied", &[SERVER, "0", UNLIMITED, DENY], unlimited),
        ("answer from the asked address", &["::", "0", UNLIMITED], unlimited),
    ];
    for (name, with, without) in cases {
        let deny: Vec<String> = (0..100).map(|n| format!("--deny=2001:db8:{n:x}::/48")).collect();
        let start = |arguments: &[&str]| {
            let denied = arguments.contains(&DENY).then_some(&deny).into_iter().flatten().map(String::as_str);
            let arguments: Vec<&str> = arguments.iter().copied().filter(|word| *word != DENY).chain(denied).collect();
            pinned.start(env!("CARGO_BIN_EXE_server"), &arguments)
        };
        let [with, without] = compare(|| [start(with), start(without)], pairs, time);
        print_ratio(name, &with, &without);
    }
}

/// Stands for a hundred denied prefixes.
const DENY: &str = "deny";

/// Pairs for which two programs run. Where a process happens to lie in memory is worth a hundredth or two, so a run
/// takes the median over several.
const PAIRS_A_START: usize = 4;

/// The rates of two programs, pair by pair; who is first alternates, so that drift favours neither.
fn compare(start: impl Fn() -> [Program; 2], pairs: usize, time: Duration) -> [Vec<f64>; 2] {
    let mut rates = [Vec::new(), Vec::new()];
    for first in (0..pairs).step_by(PAIRS_A_START) {
        let programs = start();
        let mut loads = programs.each_ref().map(|program| program.load(&REQUEST));
        for load in &mut loads {
            load.run(time);
        }
        for pair in first..pairs.min(first + PAIRS_A_START) {
            for turn in 0..2 {
                let which = (pair + turn) % 2;
                let (requests, used) = programs[which].measure(&mut loads[which], time);
                rates[which].push(requests as f64 / used.as_secs_f64());
            }
        }
    }
    rates
}
