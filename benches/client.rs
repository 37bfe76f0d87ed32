//! The client's whole process, from start to exit, against the smallest C client of the classic form, in turn.
//!
//! `cargo bench --bench client [-- PAIRS]`. The C client is compiled by `cc -O2` in the same run; both ask the same
//! server for the same sum. Both are copied first, as an installation does: a linker writes its output in such small
//! pieces that the page cache maps it more slowly, which costs a tenth of the wall time. Three placements: chosen by
//! the scheduler, which varies from run to run; the server on another processor; all on one processor.

#[path = "bench/mod.rs"]
mod bench;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use bench::{Pinned, Program, quantile};
use calc6::net::cpu;

/// The highest acceptable wall time, as a multiple of the C client's.
const GOAL: f64 = 1.3;
const OPERANDS: [&str; 5] = ["1", "3", "5", "7", "9"];
const SERVE: (&str, &[&str]) = (env!("CARGO_BIN_EXE_server"), &["::1", "0", "--workers", "1"]);

fn main() {
    let pairs = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    let folder = tempfile::tempdir().expect("a folder");
    let programs = [Path::new(env!("CARGO_BIN_EXE_client")), &compile()].map(|program| install(program, folder.path()));
    println!("wall time of the whole process, {pairs} pairs: client / smallest C client; goal {GOAL}");
    compare("left to the scheduler", &Program::start(SERVE.0, SERVE.1), &programs, pairs);
    let pinned = Pinned::new();
    compare("server on another processor", &pinned.start(SERVE.0, SERVE.1), &programs, pairs);
    cpu::pin(cpu::allowed().expect("sched_getaffinity")[0]).expect("sched_setaffinity");
    compare("all on one processor", &Program::start(SERVE.0, SERVE.1), &programs, pairs);
}

fn compare(placement: &str, server: &Program, [client, smallest]: &[PathBuf; 2], pairs: usize) {
    let port = &server.port().to_string();
    let ours = || command(client, &["-op", "+", "::1", port]);
    let theirs = || command(smallest, &["::1", port]);
    for mut command in [ours(), theirs()] {
        let output = command.output().expect("the program starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Result: 25\n");
    }
    // The order alternates.
    let pair = |number| {
        if number % 2 == 0 {
            (microseconds(ours()), microseconds(theirs()))
        } else {
            let theirs = microseconds(theirs());
            (microseconds(ours()), theirs)
        }
    };
    let (mut ours, mut theirs): (Vec<f64>, Vec<f64>) = (0..pairs).map(pair).unzip();
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [ratio, low, high] = [0.5, 0.25, 0.75].map(|part| quantile(&mut ratios, part));
    let [ours, theirs] = [quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5)];
    println!("  {placement:27}  median {ratio:.3}, middle half {low:.3} to {high:.3}; {ours:.0} us / {theirs:.0} us");
}

/// A copy in a folder.
fn install(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().expect("a file"));
    fs::copy(program, &copy).expect("room for a copy");
    copy
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    // Cargo's, which a user does not have: the loader would search its folders first.
    command.args(arguments).args(OPERANDS).env_remove("LD_LIBRARY_PATH");
    command
}

fn microseconds(mut command: Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the program starts");
    let time = start.elapsed();
    assert!(status.success());
    time.as_secs_f64() * 1e6
}

fn compile() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("smallest_client");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/smallest_client.c");
    let status = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "cc is needed (apt-get install gcc)");
    program
}
