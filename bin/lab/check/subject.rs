//! The programs that are checked: started with limits in process groups of their own, watched, and ended.
//!
//! What is checked may be anybody's code. Limits on processor time, memory and file size are set by the hidden
//! subcommand `lab limited`, which then becomes the program (execve(2)): so they hold from its first instruction on,
//! and for all its children. They do not make hostile code harmless: see docs/teaching.md.

use std::collections::VecDeque;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use crate::Failure;
use crate::common::usage::whole;

/// How much of a program's output is kept: its end.
const KEPT_OUTPUT: usize = 64 << 10;

/// Files that a program writes may have this many octets.
const MAX_FILE: u64 = 64 << 20;

/// How long a program has to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_millis(500);

/// How often what has no event of its own is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Where --help shows them.
const LIMITS: &str = "Limits of the started program";

/// What a program may use.
#[derive(Clone, Debug, clap::Args)]
pub struct Limits {
    /// Processor time in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub cpu: u64,
    /// Memory for its data in MiB
    #[arg(long, value_name = "MIB", default_value = "1024", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub memory: u64,
    /// Time from start to end in seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub time: u64,
    /// Take all capabilities from it, for good: then not even root can look into the process that judges it
    #[arg(long, hide = true)]
    pub confined: bool,
}

impl Limits {
    /// As options of `lab limited`.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec![format!("--cpu={}", self.cpu), format!("--memory={}", self.memory)];
        options.extend(self.confined.then(|| "--confined".to_owned()));
        options
    }
}

/// The hidden subcommand: sets limits on itself and becomes the command.
#[derive(Debug, clap::Args)]
pub struct LimitedArguments {
    #[command(flatten)]
    limits: Limits,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the command, within the limits.
pub fn run_limited(arguments: &LimitedArguments) -> Result<ExitCode, Failure> {
    let Limits { cpu, memory, .. } = arguments.limits;
    let limits = [
        (Resource::Cpu, cpu),
        (Resource::Data, memory.saturating_mul(1 << 20)),
        (Resource::Fsize, MAX_FILE),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        rustix::process::setrlimit(resource, limit).map_err(|error| Failure::run("cannot set a limit", error))?;
    }
    // If lab dies, so does what it started.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::run("cannot ask to end with the parent", error))?;
    if arguments.limits.confined {
        give_up_capabilities().map_err(|error| Failure::run("cannot give up capabilities", error))?;
    }
    let (program, words) = arguments.command.split_first().ok_or_else(|| Failure::Usage("no command".into()))?;
    let error = Command::new(program).args(words).exec();
    Err(Failure::run(format_args!("cannot start {program}"), error))
}

/// Gives up every capability, so that execve(2) gives none back: capabilities(7).
fn give_up_capabilities() -> rustix::io::Result<()> {
    let held = thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in held.permitted.iter() {
            thread::remove_capability_from_bounding_set(capability)?;
        }
        // Root is then a user like any other.
        thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    }
    thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// A started program. It ends with the value, with everything in its process group.
#[derive(Debug)]
pub struct Program {
    child: Child,
    deadline: Instant,
    status: Option<ExitStatus>,
    stdout: Output,
    stderr: Output,
}

/// The end of what a program wrote to one stream.
#[derive(Debug)]
struct Output {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts `command` with its limits, its output captured and no input.
    pub fn start(command: &[String], limits: &Limits) -> Result<Self, Failure> {
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let mut child = Command::new(this)
            .arg("limited")
            .args(limits.options())
            .arg("--")
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::run(format_args!("cannot start {}", command.join(" ")), error))?;
        let stdout = Output::read(child.stdout.take());
        let stderr = Output::read(child.stderr.take());
        let deadline = Instant::now() + Duration::from_secs(limits.time);
        Ok(Self { child, deadline, status: None, stdout, stderr })
    }

    /// How it ended, if it has. One that has used up its time is ended by this call.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        if self.status.is_none() && Instant::now() >= self.deadline {
            self.stop();
        }
        self.status
    }

    /// Ends it and its children: SIGTERM, and SIGKILL for whoever is left.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let group = Pid::from_child(&self.child);
        // ESRCH only says that nobody is left in the group.
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while self.status.is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL);
            self.status = self.child.try_wait().ok().flatten();
        }
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// What it has written to standard output, as far as kept; all of it once it has ended.
    pub fn stdout(&mut self) -> String {
        self.stdout.text(self.status.is_some())
    }

    /// Likewise, standard error.
    pub fn stderr(&mut self) -> String {
        self.stderr.text(self.status.is_some())
    }

    /// The last line it wrote, to standard error or else standard output; for messages.
    pub fn last_words(&mut self) -> String {
        let last = |text: String| text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        last(self.stderr()).or_else(|| last(self.stdout())).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Output {
    fn read(stream: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let reader = stream.map(|mut stream| {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let Ok(mut kept) = kept.lock() else { return };
                    kept.extend(&buffer[..length]);
                    let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
                    kept.drain(..surplus);
                }
            })
        });
        Self { kept, reader }
    }

    fn text(&mut self, ended: bool) -> String {
        // A child that left the group may hold the stream open: then what has come so far must do.
        let deadline = Instant::now() + GRACE;
        while ended && self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let Ok(kept) = self.kept.lock() else { return String::new() };
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<u8>>()).into_owned()
    }
}

/// A server that lab starts, and starts again when it has ended.
#[derive(Debug)]
pub struct Service {
    template: Vec<String>,
    limits: Limits,
    start_time: Duration,
    address: SocketAddr,
    program: Program,
}

impl Service {
    /// Starts a server on a free port of `host` and waits, `start_time` at most, until it has bound it.
    ///
    /// In `template`, `{host}` and `{port}` are replaced; without a `{port}` both are appended.
    pub fn start(template: &[String], host: IpAddr, limits: &Limits, start_time: Duration) -> Result<Self, Failure> {
        let address = SocketAddr::new(host, free_port(host)?);
        let program = Self::launch(template, address, limits, start_time)?;
        Ok(Self { template: template.to_vec(), limits: limits.clone(), start_time, address, program })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it ended, in words, if it has.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.program.ended()?;
        let words = self.program.last_words();
        let status = describe(status);
        Some(if words.is_empty() { status } else { format!("{status}; its last line: {words}") })
    }

    /// Ends what is left of it and starts it on the same port.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.program.stop();
        self.program = Self::launch(&self.template, self.address, &self.limits, self.start_time)?;
        Ok(())
    }

    fn launch(
        template: &[String],
        address: SocketAddr,
        limits: &Limits,
        start_time: Duration,
    ) -> Result<Program, Failure> {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let command = fill(template, &[("{host}", &host), ("{port}", &port)], &[&host, &port]);
        let mut program = Program::start(&command, limits)?;
        let deadline = Instant::now() + start_time;
        loop {
            if is_bound(address.port()) {
                return Ok(program);
            }
            if let Some(status) = program.ended() {
                let words = program.last_words();
                let command = command.join(" ");
                return Err(Failure::Run(format!(
                    "the server ended before it listened: {command}: {}: {words}",
                    describe(status)
                )));
            }
            if Instant::now() >= deadline {
                return Err(Failure::Run(format!(
                    "the server did not bind UDP port {port} within {} s: {}",
                    start_time.as_secs_f64(),
                    command.join(" ")
                )));
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Replaces placeholders in every word; appends `default` if there is no `{port}`.
pub fn fill(template: &[String], values: &[(&str, &str)], default: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = template
        .iter()
        .map(|word| values.iter().fold(word.clone(), |word, (name, value)| word.replace(name, value)))
        .collect();
    if !template.iter().any(|word| word.contains("{port}")) {
        words.extend(default.iter().map(|word| (*word).to_owned()));
    }
    words
}

/// An exit status in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}{}", signal_name(signal)),
        (None, None) => "an unknown end".into(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        _ => "",
    }
}

/// A port that was free a moment ago.
fn free_port(host: IpAddr) -> Result<u16, Failure> {
    UdpSocket::bind((host, 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::run(format_args!("cannot use the address {host}"), error))
}

/// Whether any UDP socket of this network namespace is bound to the port: proc_net_udp(5).
fn is_bound(port: u16) -> bool {
    ["/proc/net/udp6", "/proc/net/udp"].iter().any(|file| {
        let table = std::fs::read_to_string(file).unwrap_or_default();
        table.lines().skip(1).any(|line| local_port(line) == Some(port))
    })
}

/// The local port in a line `sl local_address:port remote_address:port …`, all hexadecimal.
fn local_port(line: &str) -> Option<u16> {
    let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_without_a_port_gets_host_and_port_behind_it() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let fill = |text| fill(&words(text), &[("{host}", "::1"), ("{port}", "7")], &["::1", "7"]).join(" ");
        assert_eq!(fill("./server"), "./server ::1 7");
        assert_eq!(fill("./server {port}"), "./server 7");
        assert_eq!(fill("./server --at=[{host}]:{port} -v"), "./server --at=[::1]:7 -v");
    }

    #[test]
    fn a_bound_port_is_seen() {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(is_bound(port));
        drop(socket);
        assert!(!is_bound(port));
    }
}
