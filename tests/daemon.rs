//! The server as a service: what it gives up, and what it tells.

mod receiving;
mod serving;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use receiving::Receive as _;
use rustix::process::Signal;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serving::{Server, peer};

/// 1 + 3 + 5 + 7 + 9 in the classic form, and the answer.
const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

/// Run by a test below in a process of its own: starts a server on a kernel that seems not to know Landlock.
#[test]
#[ignore = "a part of another test"]
fn server_without_landlock() {
    let Ok(option) = std::env::var("CALC6_TEST_LANDLOCK") else { return };
    // What is started from here inherits the filter.
    let rules = [(libc::SYS_landlock_create_ruleset, vec![])].into_iter().collect();
    let (other, this) = (SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32));
    let filter = SeccompFilter::new(rules, other, this, std::env::consts::ARCH.try_into().unwrap()).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    server.args(["::1", "0"]).args((option == "required").then_some("--require-sandbox"));
    panic!("{}", server.exec());
}

fn without_landlock(option: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "server_without_landlock", "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdout(Stdio::null()).env("CALC6_TEST_LANDLOCK", option);
    command
}

#[test]
fn a_kernel_without_landlock_is_named_and_served_on_unless_forbidden() {
    let server = Server::spawn(without_landlock("optional"));
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port)), &SUM), SUM_REPLY);
    assert!(server.stop().contains("warning: the kernel has no Landlock: files stay accessible"));
    let output = without_landlock("required").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--require-sandbox is given") && said.lines().count() == 1, "{said}");
}

#[test]
fn every_thread_is_confined_and_all_still_works() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::", "0", "-v", "--require-sandbox", "--workers", "3", "--metrics", "[::1]:0"]);
    let mut server = Server::spawn(command);
    let metrics = server.metrics();
    for thread in fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
            assert!(status.contains(line), "{line} in {status}");
        }
        // Without --user too.
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{set} in {status}");
        }
    }
    for peer in [peer("[::1]:0", ("::1", server.port)), peer("127.0.0.1:0", ("127.0.0.1", server.port))] {
        for request in all_operators() {
            let reply = ask(&peer, &request);
            assert_eq!(reply[0], if request[1] == b'/' { 0x7f } else { 0xff }, "{request:?} {reply:?}");
        }
        for datagram in [&[][..], &[0xff], &[0, 1], &[0; 1300]] {
            peer.send(datagram).unwrap();
        }
        assert_eq!(ask(&peer, &SUM), SUM_REPLY);
    }
    assert!(fetch(metrics, "/metrics").contains("\n# EOF\n"));
    server.signal(Signal::USR1);
    assert!(server.line_with("calc6_requests_total").contains("} 2"));
    let said = server.stop();
    assert!(said.contains("dropped 8"), "{said}");
}

#[test]
fn without_a_sandbox_nothing_is_confined() {
    let server = Server::start(&["::1", "0", "--no-sandbox"]);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    assert!(status.contains("Seccomp:\t0") && status.contains("NoNewPrivs:\t0"), "{status}");
    assert!(server.stop().contains("warning: no sandbox"));
}

#[test]
fn root_is_given_up_for_good() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0", "--user", "nobody"]);
    // A user namespace in which one is root may have no other user (user_namespaces(7)).
    let mapped: u64 = fs::read_to_string("/proc/self/uid_map")
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum();
    if mapped < 65535 {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("server: cannot become nobody: ") && said.lines().count() == 1, "{said}");
        return;
    }
    let server = Server::spawn(command);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    for (field, id) in [("Uid", nobody.uid.as_raw()), ("Gid", nobody.gid.as_raw())] {
        assert!(status.contains(&format!("{field}:\t{id}\t{id}\t{id}\t{id}\n")), "{status}");
    }
    assert!(status.contains("Groups:\t \n"), "{status}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{status}");
    }
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port)), &SUM), SUM_REPLY);
    assert!(server.stop().contains("running as nobody"));
}

#[test]
fn metrics_count_every_datagram_once() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0", "--metrics", "[::1]:0", "--max-reply", "1300"]);
    let mut server = Server::spawn(command);
    let metrics = server.metrics();
    let peer = peer("[::1]:0", ("::1", server.port));
    for _ in 0..5 {
        ask(&peer, &SUM);
    }
    all_operators().iter().for_each(|request| drop(ask(&peer, request)));
    // An unknown opcode, and an unknown operator.
    ask(&peer, &[0x08, 0, 0, 0, 1]);
    ask(&peer, &[0x1e, b'!', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    peer.send(&[0xff, 1]).unwrap();
    ask(&peer, &SUM);
    let text = fetch(metrics, "/metrics");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(text.starts_with(head), "{text}");
    let value = |sample: &str| {
        let line = text.lines().find(|line| line.strip_prefix(sample).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("{sample} in {text}"));
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert_eq!(value(r#"calc6_requests_total{form="classic",operator="sum"}"#), 6.0);
    assert_eq!(value(r#"calc6_requests_total{form="classic",operator="unknown"}"#), 1.0);
    assert_eq!(value(r#"calc6_requests_total{form="extended",operator="power"}"#), 1.0);
    assert_eq!(value(r#"calc6_requests_total{form="extended",operator="unknown"}"#), 1.0);
    assert_eq!(value(r#"calc6_replies_total{status="division by zero"}"#), 1.0);
    assert_eq!(value(r#"calc6_replies_total{status="unknown operator"}"#), 2.0);
    assert_eq!(value(r#"calc6_drops_total{reason="is-reply"}"#), 1.0);
    let sum_of = |family: &str| {
        let samples = text.lines().filter(|line| line.starts_with(family));
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>()
    };
    let requests = 6.0 + all_operators().len() as f64 + 2.0;
    assert_eq!(sum_of("calc6_requests_total{"), requests);
    assert_eq!(sum_of("calc6_replies_total{"), requests);
    assert_eq!(sum_of("calc6_drops_total{"), 1.0);
    assert_eq!(value("calc6_batch_size_sum"), requests + 1.0);
    assert_eq!(value(r#"calc6_batch_size_bucket{le="+Inf"}"#), value("calc6_batch_size_count"));
    for sample in ["calc6_kernel_drops_total", "calc6_receive_errors_total"] {
        assert_eq!(value(sample), 0.0, "{sample}");
    }
    for sample in ["calc6_uptime_seconds", "calc6_start_time_seconds", r#"calc6_octets_total{direction="out"}"#] {
        assert!(value(sample) > 0.0, "{sample}");
    }
    let build = format!("calc6_build_info{{version=\"{}\",", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&build) && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn every_metric_and_every_reason_is_explained() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0", "--metrics", "[::1]:0"]);
    let mut server = Server::spawn(command);
    let text = fetch(server.metrics(), "/metrics");
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let explained = |name: &str| rows.iter().any(|row| row.contains(&format!("`{name}")));
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(explained(family), "{family}");
    }
    for reason in text.split("reason=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(explained(&format!("{reason}`")), "{reason}");
    }
}

#[test]
fn slow_metrics_clients_hold_neither_memory_nor_the_service() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0", "--metrics", "[::1]:0"]);
    let mut server = Server::spawn(command);
    let metrics = server.metrics();
    fetch(metrics, "/metrics");
    let (threads, resident) = (status_field(&server, "Threads"), status_field(&server, "VmRSS"));
    let mut slow: Vec<TcpStream> = Vec::new();
    for i in 0..100 {
        let mut stream = TcpStream::connect(metrics).unwrap();
        // Some ask and never read; some never end their request, with as much of it as is taken.
        let request = if i % 2 == 0 { "GET /metrics HTTP/1.1\r\n\r\n".to_owned() } else { "A".repeat(100_000) };
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write(request.as_bytes());
        slow.push(stream);
    }
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port)), &SUM), SUM_REPLY);
    assert_eq!(status_field(&server, "Threads"), threads);
    let grown = status_field(&server, "VmRSS").saturating_sub(resident);
    assert!(grown < 1024, "{grown} KiB for {} slow clients", slow.len());
    drop(slow);
    assert!(fetch(metrics, "/metrics").contains("200 OK"));
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let server = Server::start(&["::1", "0", "-v", "--workers", "1"]);
    let peer = peer("[::1]:0", ("::1", server.port));
    let junk: [&[u8]; 5] = [&[], &[0xff], &[0], &[0, 1, 2], &[0; 1300]];
    // At 50 lines of some 60 octets a second, a pipe of 64 KiB takes 20 seconds to fill: the totals fill it sooner.
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        junk.iter().for_each(|datagram| drop(peer.send(datagram)));
        server.signal(Signal::USR1);
        assert_eq!(ask(&peer, &all_operators()[0])[0], 0xff);
    }
    server.signal(Signal::TERM);
    let ended = Instant::now() + Duration::from_secs(10);
    let mut server = server;
    while server.runs() {
        assert!(Instant::now() < ended, "SIGTERM does not end it");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn drops_are_written_down_a_few_a_second_in_either_format() {
    for format in ["text", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(["::1", "0", "--workers", "1", "--log-format", format]).env("CALC6_VERBOSE", "yes");
        let server = Server::spawn(command);
        let peer = peer("[::1]:0", ("::1", server.port));
        for _ in 0..500 {
            peer.send(&[0, 1, 2]).unwrap();
        }
        peer.send(&[]).unwrap();
        assert_eq!(ask(&peer, &SUM), SUM_REPLY);
        let said = server.stop();
        let source = peer.local_addr().unwrap();
        let lines = said.matches(&format!("dropped 3 octets from {source}: ragged")).count();
        assert!((1..=30).contains(&lines), "{lines} lines in {said}");
        assert!(said.contains(&format!("dropped 0 octets from {source}: empty")), "{said}");
        assert_eq!(said.lines().all(|line| line.starts_with("{\"timestamp\":")), format == "json", "{said}");
    }
}

#[test]
fn the_service_manager_hears_of_start_health_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let heard = || {
        let mut octets = [0; 500];
        let length = manager.receive(&mut octets).expect("a notification");
        String::from_utf8(octets[..length].to_vec()).unwrap()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0"]).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let server = Server::spawn(command);
    assert_eq!(heard(), format!("READY=1\nSTATUS=listening on [::1]:{}\n", server.port));
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(heard(), "WATCHDOG=1\n");
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "half the limit each time");
    server.signal(Signal::TERM);
    while heard() != "STOPPING=1\n" {}
    server.wait();
}

#[test]
fn a_short_watchdog_does_not_make_idle_workers_look_hung() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0"]).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let server = Server::spawn(command);
    let mut octets = [0; 500];
    // READY, and twenty times in at least a second that all is well.
    (0..21).for_each(|_| assert!(manager.receive(&mut octets).unwrap() > 0));
    let said = server.stop();
    assert!(!said.contains("has made no progress"), "{said}");
}

/// An extended request for each operator: 2^1000 among them, whose result is longer than a machine word, and 7/0.
fn all_operators() -> Vec<Vec<u8>> {
    let request = |symbol: u8, operands: &[u16]| {
        let mut octets = vec![0x1f, symbol, 64, 0, 9, 9, 9, 9, 9, 9, 9, symbol];
        for operand in operands {
            octets.extend([0; 62]);
            octets.extend(operand.to_be_bytes());
        }
        octets
    };
    let pairs = b"+*-%gl<>&|~".iter().map(|symbol| request(*symbol, &[12, 18]));
    pairs.chain([request(b'/', &[7, 0]), request(b'^', &[2, 1000]), request(b'?', &[0; 10])]).collect()
}

fn ask(peer: &UdpSocket, request: &[u8]) -> Vec<u8> {
    peer.send(request).unwrap();
    let mut reply = [0; 4000];
    let length = peer.receive(&mut reply).expect("a reply");
    reply[..length].to_vec()
}

fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A number of /proc/PID/status (proc(5)); sizes are in KiB.
fn status_field(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
