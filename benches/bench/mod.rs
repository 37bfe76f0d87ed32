//! What the benchmarks over sockets share: a network namespace, pinned programs, and their processor time.
#![allow(dead_code, reason = "each benchmark uses its part")]

mod load;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::process::{Child, Command, Stdio, exit};
use std::time::Duration;

use calc6::net::{Segmentation, cpu};
pub use load::{Idle, Load, LoadShape, Pace};

/// The address of the server in the namespace, none of loopback's.
pub const SERVER: &str = "fd00:ca1c:6::1";
const CLIENT: &str = "fd00:ca1c:6::2";

/// The load: sockets, and requests in flight on each.
const SOCKETS: usize = 4;
const WINDOW: usize = 64;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "CALC6_BENCH_INSIDE";

/// Runs this program again in its own network namespace, and exits with its status; returns only inside.
pub fn enter_namespace() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let setup = format!(
        "ip link set lo up && ip addr add {SERVER}/128 dev lo nodad && ip addr add {CLIENT}/128 dev lo nodad && \
         exec \"$@\""
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let program = std::env::current_exe().expect("a path of its own");
    command.args(["--net", "sh", "-c", &setup, "sh"]).arg(program).args(std::env::args().skip(1)).env(INSIDE, "1");
    match command.status() {
        Ok(status) => exit(status.code().unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot start unshare (apt-get install util-linux iproute2): {error}");
            exit(1)
        }
    }
}

/// Two numbers from the command line, or these: rounds, and the milliseconds of each.
pub fn arguments(rounds: usize, milliseconds: u64) -> (usize, Duration) {
    // Cargo adds `--bench`.
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let rounds = numbers.next().map_or(rounds, |rounds| rounds as usize);
    (rounds, Duration::from_millis(numbers.next().unwrap_or(milliseconds)))
}

/// The first word of the command line that is no number and no option; empty if there is none.
pub fn word() -> String {
    std::env::args().skip(1).find(|word| !word.starts_with('-') && word.parse::<u64>().is_err()).unwrap_or_default()
}

/// One processor for the servers, another for the load.
pub struct Pinned {
    server: usize,
    load: usize,
}

impl Pinned {
    /// Moves the caller, and what it starts itself, to the load's processor.
    pub fn new() -> Pinned {
        let processors = cpu::allowed().expect("sched_getaffinity");
        let pinned = Pinned { server: processors[0], load: *processors.last().expect("at least one") };
        if pinned.server == pinned.load {
            println!("server and load share the only processor: the figures mean little");
        }
        cpu::pin(pinned.load).expect("sched_setaffinity");
        pinned
    }

    /// Starts a server on the servers' processor, which it inherits; with only one it starts one worker.
    pub fn start(&self, path: &str, arguments: &[&str]) -> Program {
        cpu::pin(self.server).expect("sched_setaffinity");
        let program = Program::start(path, arguments);
        cpu::pin(self.load).expect("sched_setaffinity");
        program
    }

    /// As [`start`](Self::start), but in a network namespace of its own, at the other end of a veth pair; it has to serve
    /// a wildcard address.
    pub fn start_behind_veth(&self, path: &str, arguments: &[&str]) -> Program {
        let mut program = self.start("unshare", &[&["--net", path], arguments].concat());
        program.link();
        program
    }
}

/// The quantile of a share; sorts the values.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// A server process.
pub struct Program {
    child: Child,
    port: u16,
    /// The addresses of load and server.
    client: Ipv6Addr,
    server: Ipv6Addr,
}

impl Program {
    /// Starts a server and waits for the line that says where it listens.
    pub fn start(path: &str, arguments: &[&str]) -> Program {
        let mut child = Command::new(path).args(arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        stderr.read_line(&mut line).expect("text");
        let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = port else {
            panic!("{path} said {line:?}");
        };
        // The rest of its output is not read; it fits the pipe.
        std::mem::forget(stderr);
        let [client, server] = [CLIENT, SERVER].map(|address| address.parse().expect("an address"));
        Program { child, port, client, server }
    }

    /// Joins its network namespace to this one by a veth pair; it goes with the process.
    fn link(&mut self) {
        let pid = self.child.id();
        let [client, server] =
            [1, 2].map(|end| Ipv6Addr::new(0xfd00, 0xca1c, 7, (pid >> 16) as u16, pid as u16, 0, 0, end));
        let far = format!("nsenter -t {pid} -n ip");
        let setup = format!(
            "set -e; ip link add near{pid} type veth peer name far netns {pid}
             ip addr add {client}/112 dev near{pid} nodad; ip link set near{pid} up
             {far} addr add {server}/112 dev far nodad; {far} link set far up"
        );
        let done = Command::new("sh").args(["-c", &setup]).status().expect("sh");
        assert!(done.success(), "a veth pair is needed: apt-get install iproute2 util-linux");
        (self.client, self.server) = (client, server);
    }

    /// The port it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A load of copies of one request.
    pub fn load(&self, request: &[u8]) -> Load {
        let segmentation = Segmentation::Off;
        self.load_of(
            request,
            LoadShape { sockets: SOCKETS, window: WINDOW, segmentation, pace: Pace::Sliding, idle: Idle::Spin },
        )
    }

    /// A load of this shape.
    pub fn load_of(&self, request: &[u8], shape: LoadShape) -> Load {
        let (from, to) = (SocketAddrV6::new(self.client, 0, 0, 0), SocketAddrV6::new(self.server, self.port, 0, 0));
        Load::new(from, to, request, shape).expect("sockets")
    }

    /// Runs a load and returns how many requests were answered, and the server's processor time.
    pub fn measure(&self, load: &mut Load, time: Duration) -> (u64, Duration) {
        let before = self.cpu_time();
        let outcome = load.run(time);
        (outcome.replies, self.cpu_time() - before)
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
