//! Datagrams of one peer as segments of one message (UDP_SEGMENT, UDP_GRO): server and client with and without, on
//! kernels and links that refuse them.

mod asking;
#[path = "../benches/bench/load.rs"]
mod load;
mod serving;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use calc6::net::{ReceiveBatch, Segmentation, SendBatch, Socket, SocketOptions, Wait, bind_group};

use asking::{Ended, run};
use load::{Idle, Load, LoadShape, Pace};
use serving::{Server, namespace};

/// The sum of 1, 3, 5, 7 and 9.
const REQUEST: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

const OPERANDS: u64 = 100_000;

/// A library to preload: see tests/serving/refusing.c.
struct Refusing(tempfile::TempDir);

impl Refusing {
    fn new() -> Refusing {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serving/refusing.c");
        let library = folder.path().join("refusing.so");
        let compiled = Command::new("gcc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
        let compiled = compiled.expect("gcc is needed: apt-get install gcc libc6-dev");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Refusing(folder)
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("refusing.so")
    }

    /// A command for which the kernel refuses this.
    fn command(&self, program: &str, refuse: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", self.library()).env("REFUSE", refuse);
        command
    }
}

fn server_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_server"))
}

fn client_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_client"))
}

/// Starts a server with one worker and metrics.
fn start(mut command: Command, host: &str, options: &[&str]) -> (Server, SocketAddr) {
    command.args([host, "0", "--workers", "1", "--metrics", "[::1]:0"]).args(options);
    let mut server = Server::spawn(command);
    let metrics = server.metrics();
    (server, metrics)
}

/// The value of a sample on the metrics page.
fn sample(metrics: SocketAddr, name: &str) -> u64 {
    let mut stream = TcpStream::connect(metrics).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let line = page.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_else(|| panic!("no {name}: {page}"))
}

const TRAINS_IN: &str = "calc6_trains_total{direction=\"in\"}";
const TRAINS_OUT: &str = "calc6_trains_total{direction=\"out\"}";
const SEGMENTS_IN: &str = "calc6_segments_total{direction=\"in\"}";
const SEGMENTS_OUT: &str = "calc6_segments_total{direction=\"out\"}";
const REFUSED: &str = "calc6_refused_trains_total";
const PAUSES: &str = "calc6_pauses_total";

/// Sums 1 to `OPERANDS` through a server.
fn sum(mut client: Command, host: &str, port: u16, options: &[&str]) -> Ended {
    let operands: String = (1..=OPERANDS).map(|number| format!("{number}\n")).collect();
    client.args(["-op", "+"]).args(options).args([host, &port.to_string(), "-"]);
    run(client, operands.as_bytes())
}

fn summed(ended: Ended) {
    ended.printed(&format!("Result: {}\n", OPERANDS * (OPERANDS + 1) / 2));
}

/// A connected socket and its batches.
fn peer(from: &str, to: SocketAddrV6) -> (Socket, SendBatch, ReceiveBatch) {
    let options = SocketOptions::default().with_packet_info(false).with_receive_timeout(Duration::from_secs(5));
    let socket = bind_group(from.parse().unwrap(), 1, &options).unwrap().remove(0);
    socket.connect(to).unwrap();
    let replies = ReceiveBatch::connected(64, 2000, socket.capabilities());
    (socket, SendBatch::new(256, 1232, true), replies)
}

/// Waits for `count` replies, and returns their octets.
fn receive(socket: &Socket, replies: &mut ReceiveBatch, count: usize) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    while received.len() < count {
        replies.receive(socket, Wait::ForOne).expect("a reply");
        received.extend(replies.datagrams().map(|datagram| datagram.octets.to_vec()));
    }
    received
}

#[test]
fn a_batch_travels_in_trains_both_ways_unless_one_side_disables_them() {
    for (server_says, client_says) in [("auto", "auto"), ("off", "auto"), ("auto", "off"), ("off", "off")] {
        let (server, metrics) = start(server_command(), "::1", &["--segmentation", server_says]);
        summed(sum(client_command(), "::1", server.port, &["--segmentation", client_says]));
        let [trains_in, segments_in, trains_out, segments_out] =
            [TRAINS_IN, SEGMENTS_IN, TRAINS_OUT, SEGMENTS_OUT].map(|name| sample(metrics, name));
        let said = format!("{server_says} {client_says}: {trains_in} {segments_in} {trains_out} {segments_out}");
        assert_eq!(trains_in > 0, (server_says, client_says) == ("auto", "auto"), "{said}");
        assert!(segments_in >= 2 * trains_in && segments_out >= 2 * trains_out, "{said}");
        assert!(server_says == "auto" || trains_out == 0, "{said}");
        assert!(client_says == "off" || server_says == "off" || trains_out > 0, "{said}");
        assert_eq!(sample(metrics, REFUSED), 0);
    }
}

/// Whether a server with these options pauses within this time, while an ordinary client keeps many requests in flight.
fn pauses(options: &[&str], within: Duration) -> bool {
    let (server, metrics) = start(server_command(), "::1", options);
    let SocketAddr::V6(from) = "[::1]:0".parse().unwrap() else { unreachable!() };
    let to = SocketAddrV6::new(*from.ip(), server.port, 0, 0);
    let (segmentation, pace, idle) = (Segmentation::Off, Pace::Sliding, Idle::Sleep);
    let shape = LoadShape { sockets: 4, window: 64, segmentation, pace, idle };
    let mut load = Load::new(from, to, &REQUEST, shape).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < within {
        let outcome = load.run(Duration::from_millis(100));
        assert!(outcome.replies >= 256, "{outcome:?}");
        if sample(metrics, PAUSES) > 0 {
            return true;
        }
    }
    false
}

#[test]
#[ignore = "takes an idle processor for 100,000 requests a second"]
fn a_server_pauses_under_load() {
    assert!(pauses(&[], Duration::from_secs(30)));
}

#[test]
fn a_server_without_moderation_or_segments_never_pauses() {
    for option in ["--no-moderation", "--segmentation=off"] {
        assert!(!pauses(&[option], Duration::from_millis(300)), "{option}");
    }
}

#[test]
fn server_and_client_work_on_a_kernel_without_segments() {
    let refusing = Refusing::new();
    let command = refusing.command(env!("CARGO_BIN_EXE_server"), "options");
    // The preloaded library is in a folder that the sandbox does not allow.
    let (server, metrics) = start(command, "::", &[]);
    summed(sum(refusing.command(env!("CARGO_BIN_EXE_client"), "options"), "::1", server.port, &[]));
    summed(sum(client_command(), "127.0.0.1", server.port, &[]));
    for name in [TRAINS_IN, TRAINS_OUT, REFUSED] {
        assert_eq!(sample(metrics, name), 0, "{name}");
    }
}

#[test]
fn a_kernel_that_refuses_trains_gets_single_datagrams_and_soon_no_more_trains() {
    let refusing = Refusing::new();
    for errno in [libc_errno::EIO, libc_errno::EINVAL, libc_errno::EMSGSIZE, libc_errno::ENOPROTOOPT] {
        let errno = errno.to_string();
        let (server, metrics) = start(refusing.command(env!("CARGO_BIN_EXE_server"), &errno), "::1", &[]);
        summed(sum(client_command(), "::1", server.port, &[]));
        let refused = sample(metrics, REFUSED);
        assert!((1..=16).contains(&refused), "{refused} refusals");
        assert_eq!(sample(metrics, TRAINS_OUT), 0);
        assert!(sample(metrics, TRAINS_IN) > 0);
        summed(sum(refusing.command(env!("CARGO_BIN_EXE_client"), &errno), "::1", server.port, &[]));
    }
}

/// errno(3), as Linux numbers them.
mod libc_errno {
    pub const EIO: i32 = 5;
    pub const EINVAL: i32 = 22;
    pub const EMSGSIZE: i32 = 90;
    pub const ENOPROTOOPT: i32 = 92;
}

#[test]
fn trains_of_every_length_are_answered_one_datagram_each() {
    let (server, metrics) = start(server_command(), "::", &["--rate-limit", "off"]);
    let mut asked = 0;
    for (from, to) in [("[::1]:0", "::1"), ("[::ffff:127.0.0.2]:0", "::ffff:127.0.0.9")] {
        // A connected socket receives replies only from the address that it asked.
        let to = SocketAddrV6::new(to.parse().unwrap(), server.port, 0, 0);
        let (socket, mut requests, mut replies) = peer(from, to);
        for count in [1, 2, 63, 64, 65, 129] {
            (0..count).for_each(|_| requests.append(None, None, &REQUEST));
            // A ragged end: the sum of one operand.
            requests.append(None, None, &REQUEST[..5]);
            assert_eq!(requests.flush(&socket).datagrams, count + 1);
            let mut received = receive(&socket, &mut replies, count + 1);
            assert_eq!(received.pop().unwrap(), [0xff, 0, 0, 0, 1]);
            assert!(received.iter().all(|reply| *reply == REPLY));
            asked += count as u64 + 1;
        }
    }
    assert_eq!(sample(metrics, "calc6_replies_total{status=\"ok\"}"), asked);
    assert!(sample(metrics, SEGMENTS_IN) > 0);
    // Datagrams that are not requests are dropped one by one, at any place in a train.
    let to = SocketAddrV6::new("::1".parse().unwrap(), server.port, 0, 0);
    let (socket, mut requests, mut replies) = peer("[::1]:0", to);
    for datagram in [&REQUEST[..], &[0xff; 21], &[0xff; 21], &REQUEST] {
        requests.append(None, None, datagram);
    }
    assert_eq!(requests.flush(&socket).trains, 1);
    assert_eq!(receive(&socket, &mut replies, 2), [REPLY, REPLY]);
    assert_eq!(sample(metrics, "calc6_replies_total{status=\"ok\"}"), asked + 2);
}

#[test]
fn a_train_is_admitted_datagram_by_datagram() {
    namespace::enter_site();
    let host = namespace::SERVER.to_string();
    let (server, metrics) = start(server_command(), &host, &["--rate-limit", "1/s,burst=30,leak=0"]);
    let to = SocketAddrV6::new(namespace::SERVER, server.port, 0, 0);
    let (socket, mut requests, mut replies) = peer(&format!("[{}]:0", namespace::PEER), to);
    (0..64).for_each(|_| requests.append(None, None, &REQUEST));
    assert_eq!(requests.flush(&socket).trains, 1);
    assert!(receive(&socket, &mut replies, 30).iter().all(|reply| *reply == REPLY));
    assert_eq!(sample(metrics, SEGMENTS_IN), 64);
    assert_eq!(sample(metrics, "calc6_replies_total{status=\"ok\"}"), 30);
    assert_eq!(sample(metrics, "calc6_drops_total{reason=\"rate-limited\"}"), 34);
    assert_eq!(sample(metrics, "calc6_octets_total{direction=\"in\"}"), 64 * 21);
}

#[test]
fn a_denied_train_counts_as_all_its_datagrams() {
    let (server, metrics) = start(server_command(), "::1", &["--deny", "::1/128"]);
    let to = SocketAddrV6::new("::1".parse().unwrap(), server.port, 0, 0);
    let (socket, mut requests, _) = peer("[::1]:0", to);
    (0..64).for_each(|_| requests.append(None, None, &REQUEST));
    assert_eq!(requests.flush(&socket).trains, 1);
    let until = Instant::now() + Duration::from_secs(30);
    while sample(metrics, "calc6_drops_total{reason=\"denied\"}") < 64 {
        assert!(Instant::now() < until, "fewer are counted");
    }
    let [trains, denied, replies] =
        [TRAINS_IN, "calc6_drops_total{reason=\"denied\"}", "calc6_replies_total{status=\"ok\"}"]
            .map(|name| sample(metrics, name));
    assert_eq!((trains, denied, replies), (1, 64, 0));
}

#[test]
fn a_link_narrower_than_a_segment_gets_fragments_of_single_datagrams() {
    namespace::enter();
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_server"), "0.0.0.0", "0", "--workers", "1"]);
    let server = Server::spawn(command);
    let pid = server.pid().as_raw_nonzero();
    let far = |line: &str| namespace::run(&format!("nsenter -t {pid} -n {line}"));
    namespace::run(&format!("ip link add near mtu 600 type veth peer name far mtu 600 netns {pid}"));
    namespace::run("ip addr add 10.9.0.1/24 dev near");
    namespace::run("ip link set near up");
    far("ip addr add 10.9.0.2/24 dev far");
    far("ip link set far up");
    summed(sum(client_command(), &Ipv4Addr::new(10, 9, 0, 2).to_string(), server.port, &["--timeout", "5"]));
}
