//! The generator of `lab bench` against one in C that verifies nothing, in turn: replies a second. Without segments on the
//! floor server, and with them on our server.
//!
//! `cargo bench --bench generator [-- PAIRS [MILLISECONDS]]`

#[path = "bench/mod.rs"]
mod bench;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bench::{Pinned, Program, quantile};

/// Sockets.
const CONNECTIONS: &str = "4";

fn main() {
    bench::enter_namespace();
    let (pairs, time) = bench::arguments(20, 500);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let generator = folder.path().join("generator");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/generator.c");
    let gcc = Command::new("gcc").args(["-O2", "-o"]).arg(&generator).arg(source).status();
    assert!(gcc.expect("gcc is needed: apt-get install gcc libc6-dev").success());

    println!("{pairs} pairs of {} ms, replies a second:", time.as_millis());
    let pinned = Pinned::new();
    let floor = pinned.start(env!("CARGO_BIN_EXE_lab"), &["floor", "::1", "0"]);
    compare("floor, single datagrams", &floor, &generator, "16", "off", 0.95, pairs, time);
    drop(floor);
    let server = pinned.start(env!("CARGO_BIN_EXE_server"), &["::1", "0", "--workers", "1"]);
    compare("server, segments", &server, &generator, "64", "auto", 0.7, pairs, time);
}

#[allow(clippy::too_many_arguments, reason = "one line of the table each")]
fn compare(
    name: &str,
    server: &Program,
    generator: &Path,
    window: &str,
    segmentation: &str,
    goal: f64,
    pairs: usize,
    time: Duration,
) {
    let port = server.port().to_string();
    let rates: Vec<[f64; 2]> = (0..pairs)
        .map(|pair| {
            let mut rates = [0.0; 2];
            for which in [pair % 2, 1 - pair % 2] {
                rates[which] = match which {
                    0 => ours(&port, window, segmentation, time),
                    _ => c(generator, &port, window, segmentation, time),
                };
            }
            rates
        })
        .collect();
    let mut ratios: Vec<f64> = rates.iter().map(|[ours, c]| ours / c).collect();
    let [low, ratio, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
    let [ours, c] = [0, 1].map(|which| quantile(&mut rates.iter().map(|pair| pair[which]).collect::<Vec<_>>(), 0.5));
    println!(
        "{name:24} C {c:.0}  lab bench {ours:.0}  ratio {ratio:.3}, half of them {low:.3} to {high:.3} (goal {goal})"
    );
}

fn ours(port: &str, window: &str, segmentation: &str, time: Duration) -> f64 {
    let duration = format!("{}ms", time.as_millis());
    let words = ["bench", "::1", port, "--fixed", "--json", "--connections", CONNECTIONS, "--window", window];
    let options = ["--segmentation", segmentation, "--duration", &duration, "--warm-up", "0s"];
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).args(words).args(options).output().expect("lab runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["replies_per_second"].as_f64().expect("a number")
}

fn c(generator: &Path, port: &str, window: &str, segmentation: &str, time: Duration) -> f64 {
    let seconds = time.as_secs_f64().to_string();
    let mut command = Command::new(generator);
    command.args(["::1", port, CONNECTIONS, window, &seconds]);
    if segmentation == "auto" {
        command.arg("segments");
    }
    let output = command.output().expect("it runs");
    String::from_utf8(output.stdout).expect("text").trim().parse().expect("a number")
}
