//! `lab bench` end to end: against servers whose delays and mistakes are scripted, and against ours.

#![cfg(feature = "programs")]

mod receiving;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calc6::responder::{Limits, Verdict, respond};
use receiving::receive_from;
use serde_json::Value;

/// What becomes of a request: the reply is sent after a time, perhaps changed, perhaps again.
#[derive(Clone, Copy)]
enum Act {
    Right(Duration),
    Wrong,
    Error,
    /// The right result and 1.
    OffByOne,
    Twice,
    Nothing,
}

/// A server that answers its n-th request as its script says; ends with the value.
struct Scripted {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    fn start(script: impl Fn(u64) -> Act + Send + 'static) -> Self {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&socket, &seen, script));
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool, script: impl Fn(u64) -> Act) {
    socket.set_read_timeout(Some(Duration::from_micros(200))).unwrap();
    let mut queue: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let (mut request, mut reply) = ([0; 2048], [0; 4096]);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, source)) = receive_from(socket, &mut request) {
            let Verdict::Reply(verdict) = respond(&request[..length], &mut reply, &Limits::default()) else { continue };
            let mut right = reply[..verdict.len].to_vec();
            match script(number) {
                Act::Right(delay) => queue.push_back((Instant::now() + delay, source, right)),
                Act::Wrong => {
                    right[1] ^= 0x55;
                    queue.push_back((Instant::now(), source, right));
                }
                Act::OffByOne => {
                    let last = right.last_mut().unwrap();
                    *last = last.wrapping_add(1);
                    queue.push_back((Instant::now(), source, right));
                }
                Act::Error => queue.push_back((Instant::now(), source, vec![0x7f, b'?'])),
                Act::Twice => {
                    queue.push_back((Instant::now(), source, right.clone()));
                    queue.push_back((Instant::now(), source, right));
                }
                Act::Nothing => {}
            }
            number += 1;
        }
        // Delays differ, so that the queue is not in their order.
        queue.retain(|(due, client, octets)| {
            let waits = *due > Instant::now();
            if !waits {
                socket.send_to(octets, client).unwrap();
            }
            waits
        });
    }
}

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab"))
}

/// Runs it and reads its JSON.
fn bench(server: SocketAddr, options: &[&str]) -> (Option<i32>, Value) {
    let output = lab()
        .args(["bench", "::1", &server.port().to_string(), "--json", "--warm-up", "0s"])
        .args(options)
        .output()
        .unwrap();
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), json)
}

fn count(json: &Value, name: &str) -> u64 {
    json["counts"][name].as_u64().unwrap()
}

#[test]
fn a_known_delay_is_the_lower_bound_and_the_median() {
    let server = Scripted::start(|_| Act::Right(Duration::from_millis(20)));
    for options in [&["--duration", "800ms"][..], &["--duration", "800ms", "--rate", "500", "--spacing", "poisson"]] {
        let (code, json) = bench(server.address, options);
        assert_eq!(code, Some(0), "{json}");
        let p50 = json["latency"]["p50"].as_f64().unwrap();
        // HdrHistogram keeps three digits; a busy machine only adds to the delay.
        assert!((19_980.0..1_000_000.0).contains(&p50), "{json}");
        assert_eq!(count(&json, "right"), count(&json, "sent"), "{json}");
        assert_eq!(json["pacing_error"].is_object(), options.contains(&"--rate"), "{json}");
    }
}

#[test]
fn every_kind_of_reply_is_counted() {
    // Extended: each reply names its request.
    let server = Scripted::start(|number| match number % 8 {
        0 => Act::Wrong,
        1 => Act::Twice,
        2 => Act::Nothing,
        // After the time-out of 500 ms.
        3 => Act::Right(Duration::from_millis(900)),
        _ => Act::Right(Duration::ZERO),
    });
    let options = ["--form", "extended", "--duration", "3s", "--timeout", "500ms", "--connections", "1"];
    let (code, json) = bench(server.address, &options);
    assert_eq!(code, Some(1), "{json}");
    let sent = count(&json, "sent");
    let near = |name: &str, share: u64, slack: u64| {
        let count = count(&json, name);
        assert!(count.abs_diff(sent * share / 8) <= slack, "{name}: {json}");
    };
    // The wrong reply has a wrong header octet: it is wrong, and its request answered.
    near("wrong", 1, 2);
    near("duplicate", 1, 2);
    near("timed_out", 2, 4);
    near("right", 5, 4);
    // What is late at the end of the run is not waited for.
    assert!(count(&json, "late") > 0, "{json}");
    assert!(json["latency"]["p90"].is_null(), "a quarter timed out: {json}");
    assert!(json["latency"]["p50"].is_f64(), "{json}");
}

#[test]
fn classic_errors_and_wrong_results_are_counted() {
    let server = Scripted::start(|number| match number % 4 {
        0 => Act::Error,
        1 => Act::Wrong,
        _ => Act::Right(Duration::ZERO),
    });
    for options in [&["--string"][..], &["--operator", "*"]] {
        let (code, json) =
            bench(server.address, &[&["--duration", "400ms", "--connections", "1", "--window", "1"], options].concat());
        assert_eq!(code, Some(1), "{json}");
        let quarter = count(&json, "sent") / 4;
        for name in ["errors", "wrong"] {
            assert!(count(&json, name).abs_diff(quarter) <= 1, "{json}");
        }
        assert!(quarter > 0 && count(&json, "timed_out") == 0, "{json}");
    }
}

#[test]
fn a_server_that_is_always_off_by_one_is_never_right() {
    let server = Scripted::start(|_| Act::OffByOne);
    for options in [&["--operator", "+"][..], &["--operator", "*"], &["--operands", "1"], &["--rate", "2000"]] {
        let (code, json) = bench(server.address, &[&["--duration", "300ms"], options].concat());
        assert_eq!((code, count(&json, "right")), (Some(1), 0), "{json}");
        assert_eq!(count(&json, "wrong"), count(&json, "sent"), "{json}");
        assert_eq!((count(&json, "duplicate"), count(&json, "timed_out")), (0, 0), "{json}");
    }
}

#[test]
fn wrong_replies_are_told_from_late_and_duplicate_ones() {
    // The others wait longer, so that wrong replies overtake them.
    let server = Scripted::start(|number| match number % 4 {
        0 => Act::OffByOne,
        1 => Act::Wrong,
        _ => Act::Right(Duration::from_millis(3)),
    });
    let (_, json) = bench(server.address, &["--duration", "500ms", "--connections", "1"]);
    let sent = count(&json, "sent");
    assert_eq!((count(&json, "duplicate"), count(&json, "late"), count(&json, "timed_out")), (0, 0, 0), "{json}");
    assert_eq!(count(&json, "right") + count(&json, "wrong"), sent, "{json}");
    assert!(count(&json, "wrong").abs_diff(sent / 2) <= 2, "{json}");
}

#[test]
fn what_the_warm_up_sent_is_not_counted() {
    // Nothing is answered in the first 400 ms: those requests time out after the warm-up.
    let begun = Instant::now();
    let server = Scripted::start(move |_| match begun.elapsed() < Duration::from_millis(400) {
        true => Act::Nothing,
        false => Act::Right(Duration::ZERO),
    });
    let output = lab()
        .args(["bench", "::1", &server.address.port().to_string(), "--json", "--rate", "500"])
        .args(["--warm-up", "600ms", "--duration", "600ms", "--timeout", "2s"])
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(count(&json, "timed_out"), 0, "{json}");
    assert_eq!(count(&json, "right"), count(&json, "sent"), "{json}");
    assert!(output.status.success(), "{json}");
}

#[test]
fn an_open_loop_does_not_flatter_a_server_that_stops() {
    // At its 100th request it stands still for 400 ms; then it answers the 200 that have queued, and fit its buffer.
    let server = Scripted::start(|number| {
        if number == 100 {
            std::thread::sleep(Duration::from_millis(400));
        }
        Act::Right(Duration::ZERO)
    });
    let (_, json) = bench(server.address, &["--rate", "500/s", "--duration", "1s", "--timeout", "5s"]);
    // Two in five of all requests waited for the end of the stop, 200 ms on average.
    let percentile = |name: &str| json["latency"][name].as_f64().unwrap_or_else(|| panic!("{json}"));
    assert!(percentile("max") >= 360_000.0, "{json}");
    assert!(percentile("p90") >= 200_000.0, "{json}");
    assert_eq!(count(&json, "right"), count(&json, "sent"), "{json}");
}

/// Our server on a port of the kernel's choice; ended with the value.
struct Ours(Child, SocketAddr);

impl Ours {
    fn start() -> Self {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_server")).args(["::1", "0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self(child, address)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn our_server_is_measured_compared_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("bench.svg");
    let server = Ours::start();
    let process = server.0.id().to_string();
    let options =
        ["--threads", "2", "--form", "extended", "--operator", "gcd", "--duration", "500ms", "--pid", &process];
    let (code, json) = bench(server.1, &[&options[..], &["--svg", picture.to_str().unwrap()]].concat());
    assert_eq!(code, Some(0), "{json}");
    assert!(json["replies_per_processor_second"].as_f64().unwrap() > 0.0, "{json}");
    assert!(!json["series"].as_array().unwrap().is_empty());
    let svg = std::fs::read_to_string(&picture).unwrap();
    for text in ["<svg", "Latency by percentile", "Latency over time", "99.9"] {
        assert!(svg.contains(text), "{text}");
    }

    let (code, json) = bench(server.1, &["--floor", "--pid", &process, "--duration", "1200ms", "--pairs", "3"]);
    assert_eq!(code, Some(0), "{json}");
    assert_eq!(json["servers"][1]["server"], "floor");
    let ratio = &json["ratio_of_replies_per_processor_second"];
    assert_eq!(ratio["pairs"], 3, "{json}");
    assert!(ratio["median"].as_f64().unwrap() > 0.0, "{json}");

    let other = Ours::start();
    let port = other.1.port().to_string();
    let output = lab()
        .args(["bench", "::1", &server.1.port().to_string(), "--compare", "::1", &port])
        .args(["--duration", "800ms", "--pairs", "2"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("ratio "), "{text}");
    assert!(text.contains("half of 2 pairs from "), "{text}");
}

#[test]
fn nobody_there_and_wrong_words_are_said() {
    let gone = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap();
    let (code, json) = bench(gone, &["--duration", "300ms", "--timeout", "100ms"]);
    assert_eq!(code, Some(1));
    assert!(count(&json, "refused") > 0, "{json}");
    assert!(json["latency"]["p50"].is_null(), "{json}");

    for (words, message) in [
        (&["--operator", "gcd"][..], "add --form extended"),
        (&["--operator", "nonsense"], "expected an operator: a symbol"),
        (&["--operands", "65"], "at most 64 operands"),
        (&["--rate", "0"], "expected requests per second"),
        (&["--floor", "--string"], "cannot be combined with"),
        (&["--compare", "::1", "0"], "--compare: \"0\": expected a port from 1 to 65535"),
    ] {
        let output = lab().args(["bench", "::1", "9"]).args(words).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(message), "{words:?}: {stderr}");
    }
}
