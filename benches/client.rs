//! The client's whole process, from start to exit, against the smallest C client of the classic form, in turn.
//!
//! `cargo bench --bench client [-- PAIRS]`. The C client is compiled by `cc -O2` in the same run; both ask the same
//! server for the same sum.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The most that the client's wall time may be, in times of the C client's.
const GOAL: f64 = 1.3;
const OPERANDS: [&str; 5] = ["1", "3", "5", "7", "9"];

fn main() {
    let pairs = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    let smallest = compile();
    let (server, port) = serve();
    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.args(["-op", "+", "::1", &port]).args(OPERANDS);
        command
    };
    let theirs = || {
        let mut command = Command::new(&smallest);
        command.args(["::1", &port]).args(OPERANDS);
        command
    };
    for command in [ours(), theirs()] {
        check(command);
    }
    let mut times: Vec<(Duration, Duration)> = (0..pairs).map(|_| (time(ours()), time(theirs()))).collect();
    drop(server);
    times.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let at = |part: usize| ratio(&times[(times.len() - 1) * part / 100]);
    let median = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e6
    };
    println!("whole process, {pairs} pairs: client / smallest C client");
    println!("  ratio: median {:.3}, middle half {:.3} to {:.3}; goal {GOAL}", at(50), at(25), at(75));
    let (ours, theirs) = times.into_iter().unzip();
    println!("  median times: {:.0} us / {:.0} us", median(ours), median(theirs));
}

fn ratio((ours, theirs): &(Duration, Duration)) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn time(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the program starts");
    let time = start.elapsed();
    assert!(status.success());
    time
}

fn check(mut command: Command) {
    let output = command.output().expect("the program starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Result: 25\n");
}

fn compile() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("smallest_client");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/smallest_client.c");
    let status = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "cc is needed (apt-get install gcc)");
    program
}

fn serve() -> (Served, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    let server = server.args(["::1", "0", "--workers", "1"]).stderr(Stdio::piped()).spawn();
    let mut server = Served(server.expect("the server starts"));
    let mut line = String::new();
    BufReader::new(server.0.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let port = line.trim_end().rsplit(':').next().expect("a port").to_owned();
    (server, port)
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
