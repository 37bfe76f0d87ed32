//! Server and floors under the same load, in turn: requests per second of server processor time, and their ratio.
//!
//! `cargo bench --bench floor [-- PAIRS [MILLISECONDS]] [WORD]`; with a word only the rows whose names hold it. It runs in a
//! network namespace of its own, where addresses other than loopback exist, because the rate limit exempts loopback: every
//! protection is active. Some rows have each program in a namespace of its own, behind a veth pair. The floors are in C
//! (benches/floor.c): one call receives many datagrams and one sends many replies; one that also joins the replies to a
//! peer into segments; and one that receives trains of requests, too.

#[path = "bench/mod.rs"]
mod bench;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::{Idle, LoadShape, Pace, Pinned, Program, SERVER, quantile};
use calc6::net::Segmentation;

/// Sum of five operands, answered with five octets, as the floor does.
const REQUEST: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];

/// Enough for any load, so that the limit is computed and refuses nothing.
const UNLIMITED: &str = "--rate-limit=1000000000/s";

/// An ordinary client, which knows nothing of segments and sleeps until replies arrive.
const ORDINARY: LoadShape =
    LoadShape { sockets: 4, window: 64, segmentation: Segmentation::Off, pace: Pace::Sliding, idle: Idle::Sleep };
/// The same, but it never sleeps: it takes replies one by one, and a server that is faster than it finds few requests
/// at a time.
const SPINNING: LoadShape = LoadShape { idle: Idle::Spin, ..ORDINARY };
/// The same, but so that the requests of one socket are next to each other in the server's queue.
const IN_BURSTS: LoadShape = LoadShape { pace: Pace::Bursts, ..ORDINARY };
const WITH_SEGMENTS: LoadShape = LoadShape { segmentation: Segmentation::Auto, ..SPINNING };
/// Nothing to join.
const MANY_SOCKETS: LoadShape = LoadShape { sockets: 256, window: 1, ..SPINNING };
const ONE_AT_A_TIME: LoadShape = LoadShape { sockets: 1, window: 1, ..SPINNING };

fn main() {
    bench::enter_namespace();
    let (pairs, time) = bench::arguments(30, 300);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench { pinned: Pinned::new(), c_floor: compiled(folder.path()), pairs, time, word: bench::word() };
    println!("{pairs} pairs of {} ms; requests per second of server processor time, in thousands:", time.as_millis());
    let c: fn(&Bench, &[&str]) -> Program = |bench, words| bench.floor(words);
    for (name, load, host, floor, goal) in [
        ("ordinary client, to mmsg", ORDINARY, SERVER, &[][..], 1.5),
        ("ordinary client, wildcard, to mmsg", ORDINARY, "::", &[], 1.5),
        ("ordinary client, to joined replies", ORDINARY, SERVER, &["segments"], 0.95),
        ("ordinary, spinning, to mmsg", SPINNING, SERVER, &[], 0.0),
        ("ordinary, spinning, to joined", SPINNING, SERVER, &["segments"], 0.0),
        ("ordinary, in bursts, to mmsg", IN_BURSTS, SERVER, &[], 1.5),
        ("ordinary, in bursts, to joined", IN_BURSTS, SERVER, &["segments"], 0.95),
        ("client with segments, to mmsg", WITH_SEGMENTS, SERVER, &[], 25.0),
        ("client with segments, to trains", WITH_SEGMENTS, SERVER, &["segments", "trains"], 0.0),
        ("256 sockets, 1 in flight, to mmsg", MANY_SOCKETS, SERVER, &[], 0.97),
    ] {
        let floor_words: Vec<&str> = [host].iter().chain(floor).copied().collect();
        let start = || [c(&bench, &floor_words), bench.server(&[host, "0", UNLIMITED])];
        if let Some([floor, server]) = bench.compare(name, load, start, per_processor_second) {
            print_line(name, &server, &floor, goal);
        }
    }
    for (name, load) in [
        ("veth, ordinary, to mmsg", ORDINARY),
        ("veth, ordinary, in bursts, to mmsg", IN_BURSTS),
        ("veth, with segments, to mmsg", WITH_SEGMENTS),
        ("veth, 256 sockets, 1 in flight", MANY_SOCKETS),
    ] {
        let start = || {
            let floor = bench.pinned.start_behind_veth(bench.c_floor.to_str().expect("a path of letters"), &["::"]);
            [floor, bench.pinned.start_behind_veth(env!("CARGO_BIN_EXE_server"), &["::", "0", UNLIMITED])]
        };
        if let Some([floor, server]) = bench.compare(name, load, start, per_processor_second) {
            print_line(name, &server, &floor, 0.0);
        }
    }
    let start = || [c(&bench, &[SERVER]), bench.server(&[SERVER, "0", UNLIMITED])];
    let time_of_one: Figure = |replies, _, time| time.as_secs_f64() / replies as f64;
    bench.print_ratio("time of an exchange, 1 in flight (goal 1.02)", ONE_AT_A_TIME, start, time_of_one);
    println!("segments and pauses, as the ratio of the server with them to the server without:");
    for (name, load) in [("ordinary client", ORDINARY), ("256 sockets, 1 in flight", MANY_SOCKETS)] {
        let off = [SERVER, "0", UNLIMITED, "--segmentation=off"];
        let start = || [bench.server(&off), bench.server(&[SERVER, "0", UNLIMITED])];
        bench.print_ratio(name, load, start, per_processor_second);
    }
    let start = || {
        let without = bench.server(&[SERVER, "0", UNLIMITED, "--no-moderation"]);
        [without, bench.server(&[SERVER, "0", UNLIMITED])]
    };
    bench.print_ratio("pauses: ordinary client", ORDINARY, start, per_processor_second);
    println!("lab floor, as the ratio to the floor in C:");
    for (name, load, ours, words) in [
        ("mmsg", ORDINARY, &[][..], &[][..]),
        ("joined replies", ORDINARY, &["--segments"], &["segments"]),
        ("trains", WITH_SEGMENTS, &["--segments"], &["segments", "trains"]),
    ] {
        let c_words: Vec<&str> = [SERVER].iter().chain(words).copied().collect();
        let our_words: Vec<&str> = ["floor", SERVER, "0"].iter().chain(ours).copied().collect();
        let start = || [c(&bench, &c_words), bench.lab(&our_words)];
        bench.print_ratio(name, load, start, per_processor_second);
    }
    protections(&bench);
    println!("lab floor, as the ratio to itself without the option:");
    for (name, host, option) in [
        ("8 datagrams a batch", SERVER, "--batch=8"),
        ("16 datagrams a batch", SERVER, "--batch=16"),
        ("64 datagrams a batch", SERVER, "--batch=64"),
        ("128 datagrams a batch", SERVER, "--batch=128"),
        ("address received", "::", "--packet-info=receive"),
        ("address received and sent", "::", "--packet-info=reply"),
    ] {
        let start = || [bench.lab(&["floor", host, "0"]), bench.lab(&["floor", host, "0", option])];
        bench.print_ratio(name, ORDINARY, start, per_processor_second);
    }
}

/// The floors in C.
fn compiled(folder: &Path) -> PathBuf {
    let program = folder.join("floor");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floor.c");
    let gcc = Command::new("gcc").args(["-O2", "-o"]).arg(&program).arg(source).status();
    assert!(gcc.expect("gcc is needed: apt-get install gcc libc6-dev").success());
    program
}

/// What is compared, from replies, processor time and time.
type Figure = fn(u64, Duration, Duration) -> f64;

fn per_processor_second(replies: u64, used: Duration, _: Duration) -> f64 {
    replies as f64 / used.as_secs_f64()
}

struct Bench {
    pinned: Pinned,
    c_floor: PathBuf,
    pairs: usize,
    time: Duration,
    /// What the names of rows hold that are wanted.
    word: String,
}

fn print_line(name: &str, server: &[f64], floor: &[f64], goal: f64) {
    let [low, ratio, high] = quartiles(server, floor);
    let [floor, server] = [floor, server].map(|rates| quantile(&mut rates.to_vec(), 0.5) / 1000.0);
    let goal = if goal > 0.0 { format!(" (goal {goal})") } else { String::new() };
    println!(
        "{name:36} floor {floor:7.0}  server {server:7.0}  ratio {ratio:6.3}, half of them {low:.3} to {high:.3}{goal}"
    );
}

/// The quartiles of the ratios, pair by pair.
fn quartiles(over: &[f64], under: &[f64]) -> [f64; 3] {
    let mut ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
    [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share))
}

/// What each protection costs: the server with and without it.
fn protections(bench: &Bench) {
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
            bench.server(&arguments)
        };
        bench.print_ratio(name, ORDINARY, || [start(without), start(with)], per_processor_second);
    }
}

/// The placeholder of a hundred denied prefixes.
const DENY: &str = "deny";

/// Pairs for which two programs run. The placement of a process in memory changes the ratio by 1 or 2 %, so a run takes
/// the median over several.
const PAIRS_A_START: usize = 4;

impl Bench {
    fn floor(&self, words: &[&str]) -> Program {
        self.pinned.start(self.c_floor.to_str().expect("a path of letters"), words)
    }

    fn server(&self, words: &[&str]) -> Program {
        self.pinned.start(env!("CARGO_BIN_EXE_server"), words)
    }

    fn lab(&self, words: &[&str]) -> Program {
        self.pinned.start(env!("CARGO_BIN_EXE_lab"), words)
    }

    /// Prints the figure of the second program as a ratio to that of the first, if the row of this name is wanted.
    fn print_ratio(&self, name: &str, load: LoadShape, start: impl Fn() -> [Program; 2], figure: Figure) {
        if let Some([first, second]) = self.compare(name, load, start, figure) {
            let [low, ratio, high] = quartiles(&second, &first);
            println!("{name:46} {ratio:.3}, half of them {low:.3} to {high:.3}");
        }
    }

    /// The figures of two programs, pair by pair; who is first alternates, so that drift favours neither. `None` if the row
    /// of this name is not wanted.
    fn compare(
        &self,
        name: &str,
        load: LoadShape,
        start: impl Fn() -> [Program; 2],
        figure: Figure,
    ) -> Option<[Vec<f64>; 2]> {
        if !name.contains(&self.word) {
            return None;
        }
        let mut figures = [Vec::new(), Vec::new()];
        for first in (0..self.pairs).step_by(PAIRS_A_START) {
            let programs = start();
            let mut loads = programs.each_ref().map(|program| program.load_of(&REQUEST, load));
            for load in &mut loads {
                load.run(self.time);
            }
            for pair in first..self.pairs.min(first + PAIRS_A_START) {
                for turn in 0..2 {
                    let which = (pair + turn) % 2;
                    let (requests, used) = programs[which].measure(&mut loads[which], self.time);
                    figures[which].push(figure(requests, used, self.time));
                }
            }
        }
        Some(figures)
    }
}
