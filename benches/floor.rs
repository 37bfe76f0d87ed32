//! Server and floor under the same load, in turn: requests per second of server processor time, and their ratio.
//!
//! `cargo bench --bench floor [-- PAIRS [MILLISECONDS]]`. It runs itself in a network namespace of its own, where
//! addresses other than loopback exist, because the rate limit exempts loopback: every protection is at work.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddrV6;
use std::process::{Child, Command, Stdio, exit};
use std::time::Duration;

use calc6::lab::floor::load::Load;
use calc6::net::cpu;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "CALC6_BENCH_INSIDE";
const SERVER: &str = "fd00:ca1c:6::1";
const CLIENT: &str = "[fd00:ca1c:6::2]:0";

/// Sum of five operands, answered with five octets, as the floor does.
const REQUEST: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SOCKETS: usize = 4;
const WINDOW: usize = 64;

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        exit(enter_namespace());
    }
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let pairs = numbers.first().map_or(30, |&pairs| pairs as usize);
    let time = Duration::from_millis(numbers.get(1).copied().unwrap_or(300));
    let processors = cpu::allowed().expect("sched_getaffinity");
    let (server_cpu, load_cpu) = (processors[0], *processors.last().expect("at least one"));
    if server_cpu == load_cpu {
        println!("only one processor: server and load share it, and the figures mean little");
    }
    println!("{pairs} pairs of {} ms, {SOCKETS} sockets with {WINDOW} requests in flight each", time.as_millis());
    println!("requests per second of server processor time:");
    let unlimited = "--rate-limit=1000000000/s";
    let bound: [&str; 3] = [SERVER, "0", unlimited];
    let wildcard: [&str; 3] = ["::", "0", unlimited];
    let cases: [(&str, &[&str], f64); 2] = [("one address", &bound, 0.98), ("wildcard", &wildcard, 0.93)];
    for (name, arguments, goal) in cases {
        compare(name, arguments, goal, pairs, time, server_cpu, load_cpu);
    }
}

/// Runs this program again where it may make addresses.
fn enter_namespace() -> i32 {
    let setup = format!(
        "ip link set lo up && ip addr add {SERVER}/128 dev lo nodad && ip addr add fd00:ca1c:6::2/128 dev lo nodad && \
         exec \"$@\""
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let program = std::env::current_exe().expect("a path of its own");
    command.args(["--net", "sh", "-c", &setup, "sh"]).arg(program).args(std::env::args().skip(1)).env(INSIDE, "1");
    match command.status() {
        Ok(status) => status.code().unwrap_or(1),
        Err(error) => {
            eprintln!("cannot start unshare (apt-get install util-linux iproute2): {error}");
            1
        }
    }
}

fn compare(
    name: &str,
    arguments: &[&str],
    goal: f64,
    pairs: usize,
    time: Duration,
    server_cpu: usize,
    load_cpu: usize,
) {
    // Children inherit the processor; the server then starts one worker.
    cpu::pin(server_cpu).expect("sched_setaffinity");
    let floor = Program::start(env!("CARGO_BIN_EXE_lab"), &["floor", arguments[0], "0"]);
    let server = Program::start(env!("CARGO_BIN_EXE_server"), arguments);
    cpu::pin(load_cpu).expect("sched_setaffinity");
    let mut loads = [floor.load(), server.load()];
    let programs = [&floor, &server];
    // Warm up both.
    for load in &mut loads {
        load.run(time);
    }
    let mut rates = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        // Alternate who is first, so that drift favours neither.
        for turn in 0..2 {
            let which = (pair + turn) % 2;
            let before = programs[which].cpu_time();
            let outcome = loads[which].run(time);
            let used = programs[which].cpu_time() - before;
            rates[which].push(outcome.replies as f64 / used.as_secs_f64());
        }
    }
    let mut ratios: Vec<f64> = rates[1].iter().zip(&rates[0]).map(|(server, floor)| server / floor).collect();
    let [floor, server] = rates.map(|mut rates| quantile(&mut rates, 0.5));
    let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
    println!(
        "{name:12} floor {floor:9.0}  server {server:9.0}  ratio {median:.3} (half of them {low:.3} to {high:.3}), \
         goal {goal}"
    );
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// A server process.
struct Program {
    child: Child,
    port: u16,
}

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Program {
        let mut child = Command::new(path).args(arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        stderr.read_line(&mut line).expect("text");
        let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = port else {
            panic!("{path} said {line:?}");
        };
        // Whatever else it says is not read, and fits the pipe.
        std::mem::forget(stderr);
        Program { child, port }
    }

    fn load(&self) -> Load {
        let server = SocketAddrV6::new(SERVER.parse().expect("an address"), self.port, 0, 0);
        Load::new(CLIENT.parse().expect("an address"), server, &REQUEST, SOCKETS, WINDOW).expect("sockets")
    }

    /// Time on a processor of all threads: the first field of schedstat, in nanoseconds.
    fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let time = |task: std::io::Result<fs::DirEntry>| -> u64 {
            let text = fs::read_to_string(task.expect("an entry").path().join("schedstat")).expect("CONFIG_SCHEDSTATS");
            text.split(' ').next().and_then(|field| field.parse().ok()).expect("nanoseconds")
        };
        Duration::from_nanos(tasks.map(time).sum())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
