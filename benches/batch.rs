//! Ten million operands of a file, summed by a server, against reading the same file alone, in turn.
//!
//! `cargo bench --bench batch [-- PAIRS]`. The server has one worker, which stays on one processor. Nothing else is
//! pinned: the client has two threads, and runs as a user runs it.

#[path = "bench/mod.rs"]
mod bench;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bench::{Pinned, quantile};
use calc6::client::text::{IntegerReader, TextItem};

const OPERANDS: u64 = 10_000_000;
/// The lowest acceptable rate, as a fraction of the rate of reading alone.
const GOAL: f64 = 0.9;

fn main() {
    let pairs: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let (file, sum) = operands();
    // In a thread of its own, as it pins its caller.
    let start = || Pinned::new().start(env!("CARGO_BIN_EXE_server"), &["::1", "0", "--workers", "1"]);
    let server = std::thread::scope(|scope| scope.spawn(start).join().expect("it starts"));
    let port = server.port().to_string();
    let mut ratios: Vec<f64> = Vec::new();
    let (mut reading, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let start = Instant::now();
        assert_eq!(read(&file), sum);
        let alone = start.elapsed().as_secs_f64();
        let start = Instant::now();
        ask(&file, &port, sum);
        let asked = start.elapsed().as_secs_f64();
        ratios.push(alone / asked);
        reading.push(alone);
        whole.push(asked);
    }
    drop(server);
    let [ratio, low, high] = [0.5, 0.25, 0.75].map(|part| quantile(&mut ratios, part));
    println!("{OPERANDS} operands through one server, {pairs} pairs: rate / rate of reading the file alone");
    println!("  ratio: median {ratio:.2}, middle half {low:.2} to {high:.2}; goal {GOAL}");
    println!("  median times: {:.3} s / {:.3} s", quantile(&mut whole, 0.5), quantile(&mut reading, 0.5));
    let _ = std::fs::remove_file(file);
}

/// Up to seven digits each, from a multiplicative generator.
fn operands() -> (PathBuf, i64) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operands");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    let (mut state, mut sum) = (1u64, 0);
    for _ in 0..OPERANDS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let operand = (state >> 33) % 10_000_000;
        sum += operand as i64;
        writeln!(file, "{operand}").expect("room for 80 MB");
    }
    file.flush().expect("room for 80 MB");
    (path, sum)
}

fn read(file: &Path) -> i64 {
    let mut text = IntegerReader::new(File::open(file).expect("written before"));
    let (mut sum, mut words) = (0, [0; 512]);
    loop {
        let taken = text.take_words(&mut words);
        sum += words[..taken].iter().sum::<i64>();
        if taken == words.len() {
            continue;
        }
        match text.next_item().expect("integers") {
            TextItem::Word(operand) => sum += operand,
            TextItem::Pending => text.read().expect("written before"),
            TextItem::End => return sum,
            item => unreachable!("all are short, not {item:?}"),
        }
    }
}

fn ask(file: &Path, port: &str, sum: i64) {
    let mut client = Command::new(env!("CARGO_BIN_EXE_client"));
    let output = client.args(["-op", "+", "--file"]).arg(file).args(["::1", port]).output().expect("the client starts");
    let [printed, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(printed, format!("Result: {sum}\n"), "{said}");
}
