//! What goes wrong on a network, done to a real server: forged senders, floods, loss, failing system calls, interfaces
//! that come and go. Short in a usual run; with CALC6_SOAK=1 at full length.

mod receiving;
mod seed;
mod serving;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use calc6::client::{Client, Config, Error};
use calc6::responder::{Limits, Verdict, respond};
use calc6::wire::{MAX_REPLY, Operator, extended};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use receiving::{Receive as _, until_answered};
use rustix::process::Signal;
use serving::forging::Forger;
use serving::{Server, namespace, peer};

/// 1 + 3 + 5 + 7 + 9 in the classic form, and the answer.
const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

/// 1 + 2 in the extended form, and the answer: of very many classic requests from one socket one is dropped, to end
/// loops.
const EXTENDED: [u8; 20] = [0x1e, 0x2b, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 0, 0, 2];
const EXTENDED_REPLY: [u8; 13] = [0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3];

// ---- Loops.

#[test]
fn two_servers_made_to_talk_fall_silent() {
    namespace::enter();
    // A request, an error, a reply, an unknown opcode, noise: forged to come from one server to the other.
    let firsts: [&[u8]; 6] = [&SUM, &[0x45, 0, 0, 0, 1], &SUM_REPLY, &[0x7f, 2, 1, 0], &[0x1e; 12], &[0x80; 5]];
    for first in firsts {
        let servers = [Server::start(&["::1", "0"]), Server::start(&["::1", "0"])];
        let address = |server: &Server| SocketAddrV6::new(Ipv6Addr::LOCALHOST, server.port, 0, 0);
        let mut forger = Forger::new();
        forger.send(address(&servers[1]), address(&servers[0]), first);
        forger.send(address(&servers[0]), address(&servers[0]), first);
        // Were there a loop, thousands of datagrams would pass in this time.
        thread::sleep(Duration::from_millis(50));
        let received: u64 = servers.into_iter().map(|server| received(&server.stop())).sum();
        assert!(received <= 3, "{received} datagrams after two: {first:02x?}");
    }
}

// ---- Floods.

#[test]
fn every_answer_is_right_during_a_flood_of_noise() {
    let server = Server::start(&["::1", "0", "--workers", "2"]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let flood = peer("[::1]:0", ("::1", server.port));
            let mut random = Random(seed());
            while !over.load(Relaxed) {
                let datagram = random.datagram();
                // Refused now and then, when the port of this very socket is answered with an ICMP error.
                let _ = flood.send(&datagram);
            }
        });
        ask_for(length(Duration::from_millis(700)), server.port);
        over.store(true, Relaxed);
    });
    server.stop();
}

#[test]
fn random_requests_of_all_operators_over_the_socket() {
    let server = Server::start(&["::1", "0", "--workers", "1"]);
    ask_for(length(Duration::from_millis(300)), server.port);
    let before = memory(&server, "RssAnon:");
    ask_for(length(Duration::from_millis(700)), server.port);
    let after = memory(&server, "RssAnon:");
    assert!(after <= before + 128, "{before} KiB before, {after} KiB after");
    let totals = server.stop();
    assert!(totals.contains("dropped 0"), "{totals}");
}

// ---- The network.

#[test]
fn loss_delays_and_never_corrupts() {
    namespace::enter();
    let server = Server::start(&["::1", "0"]);
    namespace::nft(&format!(
        "add table inet t; add chain inet t in {{ type filter hook input priority 0; }}; \
         add rule inet t in meta l4proto udp {}",
        loss_of_30_percent()
    ));
    let exchanges = if seed::is_soak() { 1000 } else { 60 };
    // Few repeats: the right result or an end without one.
    let hasty = exchanges_through_loss(server.port, exchanges, Duration::from_millis(10), 2);
    let answered = hasty.iter().filter(|result| result.is_ok()).count();
    assert!(answered > exchanges / 2, "{answered}");
    for error in hasty.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, Error::Unanswered(_)), "{error}");
    }
    // Many repeats: always the right result. Few exchanges in a usual run: each wait is twice the one before.
    let exchanges = if seed::is_soak() { exchanges } else { 20 };
    for result in exchanges_through_loss(server.port, exchanges, Duration::from_millis(20), 30) {
        result.unwrap();
    }
}

#[test]
fn link_local_addresses_are_answered_and_multicast_is_not() {
    namespace::enter();
    let server = Server::spawn(unshared(&["::", "0", "--workers", "1"]));
    let link = Link::to(&server);
    link.far(&server, "ip addr add fe80::2/64 dev far nodad");
    namespace::run("ip addr add fe80::1/64 dev near nodad");
    // Connected: only a reply from the address that was asked arrives.
    let asker = peer("[::]:0", ("fe80::2%near", server.port));
    assert_eq!(ask(&asker, &SUM), SUM_REPLY);
    let every_node = peer("[::]:0", ("ff02::1%near", server.port));
    every_node.send(&SUM).unwrap();
    assert_eq!(ask(&asker, &SUM), SUM_REPLY);
    let totals = server.stop();
    assert!(totals.contains("dropped 1 (multicast 1)"), "{totals}");
}

#[test]
fn an_interface_that_goes_and_comes_back() {
    namespace::enter();
    let server = Server::spawn(unshared(&["::", "0", "--workers", "2"]));
    let link = Link::to(&server);
    let asker = peer("[fd00::1]:0", ("fd00::2", server.port));
    for _ in 0..3 {
        assert_eq!(ask(&asker, &SUM), SUM_REPLY);
        // With replies on their way.
        server.freeze();
        for _ in 0..50 {
            asker.send(&SUM).unwrap();
        }
        link.far(&server, "ip link set far down");
        server.signal(Signal::CONT);
        thread::sleep(Duration::from_millis(50));
        link.far(&server, "ip link set far up");
        link.far(&server, "ip addr replace fd00::2/64 dev far nodad");
        until_answered(&asker, &SUM);
    }
    let totals = server.stop();
    assert!(totals.contains("replies not sent"), "{totals}");
}

#[test]
fn a_firewall_and_a_missing_route_cost_only_their_replies() {
    namespace::enter();
    namespace::run("ip addr add fd00::1/128 dev lo nodad");
    namespace::run("ip addr add fd00::2/128 dev lo nodad");
    let server = Server::start(&["::", "0", "--workers", "1"]);
    let [gone, forbidden, fine] = ["[fd00::2]:0", "[::1]:0", "[::1]:0"].map(|bound| {
        let socket = UdpSocket::bind(bound).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = if bound.starts_with("[fd00") { "fd00::1" } else { "::1" };
        socket.connect((to, server.port)).unwrap();
        socket
    });
    let blocked = forbidden.local_addr().unwrap().port();
    namespace::nft("add table inet t; add chain inet t out { type filter hook output priority 0; }");
    namespace::nft(&format!("add rule inet t out udp dport {blocked} drop"));
    server.freeze();
    for socket in [&gone, &forbidden, &fine, &gone, &forbidden, &fine] {
        socket.send(&SUM).unwrap();
    }
    namespace::run("ip addr del fd00::2/128 dev lo");
    server.signal(Signal::CONT);
    // ENETUNREACH, EPERM, sent; twice.
    for _ in 0..2 {
        assert_eq!(fine.receive(&mut [0; 99]).unwrap(), SUM_REPLY.len());
    }
    namespace::nft("flush table inet t");
    assert_eq!(ask(&forbidden, &SUM), SUM_REPLY);
    let totals = server.stop();
    assert!(totals.contains("served 7,") && totals.contains("replies not sent 4"), "{totals}");
}

#[test]
fn failing_system_calls_end_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::spawn(failing(&folder, &["::1", "0", "--workers", "1"]));
    let mut client = patient(server.port);
    // Of every three calls one fails, each time with another error, and of the rest every second is cut short.
    for operand in 0..if seed::is_soak() { 50_000 } else { 300 } {
        assert_eq!(client.evaluate(Operator::Sum, [operand, -1]).unwrap().to_string(), (operand - 1).to_string());
    }
    let totals = server.stop();
    assert!(totals.contains("replies not sent"), "{totals}");
}

#[test]
fn a_kernel_without_the_options_that_count_or_tune_is_served_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = failing(&folder, &["::", "0", "--workers", "2"]);
    command.env("NO_OPTIONS", "1");
    let server = Server::spawn(command);
    for (from, to) in [("[::1]:0", "::1"), ("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.9")] {
        assert_eq!(ask(&peer(from, (to, server.port)), &SUM), SUM_REPLY);
    }
    let said = server.stop();
    assert!(said.contains("each worker allows every source prefix the whole rate: the kernel refuses"), "{said}");
    assert!(said.contains("served 3,"), "{said}");
}

// ---- The end.

#[test]
fn a_worker_that_cannot_go_on_takes_the_server_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = failing(&folder, &["::1", "0", "--workers", "2"]);
    command.env("BROKEN_SOCKET", "1").stdin(std::process::Stdio::null());
    // The idle workers' waits end four times a second, so the tenth call comes by itself.
    let begun = Instant::now();
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Bad file descriptor"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn stopping_under_load_answers_what_was_received() {
    for _ in 0..if seed::is_soak() { 50 } else { 5 } {
        let server = Server::start(&["::1", "0", "--workers", "2"]);
        let over = AtomicBool::new(false);
        let (totals, replies) = thread::scope(|scope| {
            let loads: Vec<_> = (0..2).map(|_| scope.spawn(|| load(server.port, &over))).collect();
            thread::sleep(Duration::from_millis(50));
            server.signal(Signal::TERM);
            let pid = server.pid();
            while rustix::process::test_kill_process(pid).is_ok() && !zombie(pid) {
                thread::sleep(Duration::from_millis(1));
            }
            over.store(true, Relaxed);
            let replies: u64 = loads.into_iter().map(|load| load.join().unwrap()).sum();
            (String::new(), replies)
        });
        let totals = totals + &server.wait();
        let served: u64 = number_behind(&totals, "served ");
        assert!(served > 100, "{totals}");
        assert_eq!(served, replies, "{totals}");
        assert!(totals.contains("errors answered 0, dropped 0") && !totals.contains("not sent"), "{totals}");
    }
}

/// Keeps at most 32 requests in flight until `over`, and returns how many replies came.
fn load(port: u16, over: &AtomicBool) -> u64 {
    let socket = peer("[::1]:0", ("::1", port));
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut replies = 0;
    let mut buffer = [0; 99];
    while !over.load(Relaxed) {
        for _ in 0..32 {
            let _ = socket.send(&EXTENDED);
        }
        for _ in 0..32 {
            match socket.receive(&mut buffer) {
                Ok(len) => {
                    assert_eq!(buffer[..len], EXTENDED_REPLY);
                    replies += 1;
                }
                // No server any more: a refusal, or silence.
                Err(_) => break,
            }
        }
    }
    while let Ok(len) = socket.receive(&mut buffer) {
        assert_eq!(buffer[..len], EXTENDED_REPLY);
        replies += 1;
    }
    replies
}

// ---- Helpers.

/// A short time, or a minute.
fn length(short: Duration) -> Duration {
    if seed::is_soak() { Duration::from_secs(60) } else { short }
}

/// Fixed in a usual run.
fn seed() -> u64 {
    if !seed::is_soak() {
        return 6;
    }
    let seed = getrandom::u64().unwrap();
    eprintln!("seed {seed}");
    seed
}

/// Asks random requests of every operator one by one and compares with the pure responder, for so long, but
/// over a hundred on a machine that is slow.
fn ask_for(time: Duration, port: u16) {
    let mut socket = peer("[::1]:0", ("::1", port));
    let mut random = Random(seed());
    let until = Instant::now() + time;
    let mut asked = 0;
    while asked <= 100 || Instant::now() < until {
        if asked % 1000 == 999 {
            // Of very many errors to one socket one is dropped, to end loops.
            socket = peer("[::1]:0", ("::1", port));
        }
        let request = random.request(asked);
        let mut expected = [0; MAX_REPLY];
        let Verdict::Reply(verdict) = respond(&request, &mut expected, &Limits::default()) else {
            panic!("a whole extended request is answered")
        };
        assert_eq!(ask(&socket, &request), expected[..verdict.len], "{request:02x?}");
        asked += 1;
    }
}

/// One request and its reply, repeated for five seconds while the reply is missing.
fn ask(socket: &UdpSocket, request: &[u8]) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..10 {
        let _ = socket.send(request);
        loop {
            match socket.receive(&mut buffer) {
                // Extended replies carry the identifier of their request; an older one is a repeat.
                Ok(len) if request[0] & 0x0e == 0x0e && buffer[4..12] != request[4..12] => assert!(len >= 12),
                Ok(len) => return buffer[..len].to_vec(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
    panic!("no reply to {request:02x?}");
}

fn patient(port: u16) -> Client {
    let config = Config::default().with_timeout(Duration::from_millis(5)).with_retries(12).with_probe(false);
    Client::new(vec![SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0)], config)
}

/// Exchanges in parallel, each checked if it has a result.
fn exchanges_through_loss(port: u16, count: usize, first_wait: Duration, retries: u32) -> Vec<Result<(), Error>> {
    let exchange = move |operand: usize| {
        let mut client = patient(port);
        *client.config_mut() = Config::default().with_timeout(first_wait).with_retries(retries).with_probe(false);
        let operand = operand as i64 - 7;
        let result = client.evaluate(Operator::Product, [operand, 1_000_003])?;
        assert_eq!(result.to_string(), (operand * 1_000_003).to_string());
        Ok(())
    };
    let threads: Vec<_> = (0..count).map(|operand| thread::spawn(move || exchange(operand))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// The end of a rule that drops 30 of 100 datagrams: by chance in a soak, else those that a seed says, again and again.
/// By chance the last of many exchanges may wait for minutes, as each of its waits is twice the one before.
fn loss_of_30_percent() -> String {
    if seed::is_soak() {
        return "numgen random mod 100 < 30 drop".to_owned();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed::of_run("loss"));
    let mut places: Vec<u32> = (0..100).collect();
    places.sort_by_cached_key(|_| random.next_u64());
    let drops: Vec<String> = places.iter().take(30).map(|place| format!("{place} : drop")).collect();
    format!("numgen inc mod 100 vmap {{ {} }}", drops.join(", "))
}

/// A server whose system calls fail as tests/serving/failing.c says.
fn failing(folder: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let library = folder.path().join("failing.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serving/failing.c");
    let compiled = Command::new("gcc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
    let compiled = compiled.expect("gcc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(arguments).env("LD_PRELOAD", &library);
    command
}

/// A server in a network namespace of its own.
fn unshared(arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_server")]).args(arguments);
    command
}

/// A pair of interfaces: `near`, fd00::1, in this namespace, and `far`, fd00::2, in the server's.
struct Link;

impl Link {
    fn to(server: &Server) -> Link {
        namespace::run(&format!("ip link add near type veth peer name far netns {}", pid(server)));
        namespace::run("ip addr add fd00::1/64 dev near nodad");
        namespace::run("ip link set near up");
        let link = Link;
        for line in ["ip link set lo up", "ip addr add fd00::2/64 dev far nodad", "ip link set far up"] {
            link.far(server, line);
        }
        until_answered(&peer("[fd00::1]:0", ("fd00::2", server.port)), &SUM);
        link
    }

    /// Runs a command in the server's namespace.
    fn far(&self, server: &Server, line: &str) {
        namespace::run(&format!("nsenter -t {} -n {line}", pid(server)));
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Noise of any length up to over the longest request, every second with a plausible first octet.
    fn datagram(&mut self) -> Vec<u8> {
        let len = self.next() as usize % if self.next().is_multiple_of(4) { 1400 } else { 40 };
        let mut datagram: Vec<u8> = (0..len).map(|_| self.next() as u8).collect();
        if let Some(first) = datagram.first_mut().filter(|first| **first & 1 == 0) {
            *first = 0x1e;
        }
        datagram
    }

    /// A whole extended request of any operator and width.
    fn request(&mut self, id: u64) -> Vec<u8> {
        loop {
            let operator = Operator::ALL[self.next() as usize % Operator::ALL.len()];
            let width = [1, 2, 4, 8, 9, 16, 17, 40, 255][self.next() as usize % 9];
            let most = extended::MAX_OPERAND_OCTETS / usize::from(width);
            let count = if operator == Operator::Power { 2 } else { 1 + self.next() as usize % most };
            let mut operands: Vec<u8> =
                (0..count * usize::from(width)).map(|_| self.next() as u8 & self.next() as u8).collect();
            if operator == Operator::Power {
                operands[usize::from(width)..2 * usize::from(width) - 1].fill(0);
            }
            let format = calc6::wire::Format::of(self.next() as u8);
            if let Ok(request) = extended::Request::new(operator, format, width, id, &operands) {
                let mut octets = vec![0; calc6::wire::MAX_REQUEST];
                let len = request.encode(&mut octets);
                octets.truncate(len);
                return octets;
            }
        }
    }
}

fn pid(server: &Server) -> i32 {
    server.pid().as_raw_nonzero().get()
}

/// Whether a process has ended and is waited for.
fn zombie(pid: rustix::process::Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    status.contains("State:\tZ")
}

/// Resident memory in KiB: all of it (VmRSS), or what no file backs (RssAnon); proc_pid_status(5).
fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid(server))).unwrap();
    number_behind(&status, field)
}

/// How many datagrams a server has received, by its totals.
fn received(totals: &str) -> u64 {
    ["served ", "errors answered ", "dropped "].iter().map(|name| number_behind(totals, name)).sum()
}

fn number_behind(text: &str, name: &str) -> u64 {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("{name:?} in {text}"));
    let rest = rest.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().unwrap_or_else(|_| panic!("a number behind {name:?} in {text}"))
}
