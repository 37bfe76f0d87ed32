//! The `server` program on real sockets.

mod receiving;
mod serving;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use receiving::{Receive as _, receive_from};
use rustix::process::Signal;
use serving::{Server, peer};

/// 1 + 3 + 5 + 7 + 9 in the classic form, and the answer.
const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

#[test]
fn answers_both_forms_and_both_families() {
    let server = Server::start(&["::", "0"]);
    let v6 = peer("[::1]:0", ("::1", server.port));
    assert_eq!(ask(&v6, &SUM), SUM_REPLY);
    // The extended golden octets of docs/protocol.md: -2 + 5.
    let request = [0x1e, 0x2b, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5];
    assert_eq!(ask(&v6, &request), [0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3]);
    // A connected socket takes replies only from the address that it asked.
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 99)] {
        let v4 = peer("127.0.0.1:0", (&address.to_string(), server.port));
        assert_eq!(ask(&v4, &SUM), SUM_REPLY, "{address}");
    }
    let totals = server.stop();
    assert!(totals.contains("served 4, errors answered 0, dropped 0"), "{totals}");
}

#[test]
fn ipv6_only_leaves_the_port_to_ipv4_servers() {
    let server = Server::start(&["::", "0", "--ipv6-only"]);
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port)), &SUM), SUM_REPLY);
    UdpSocket::bind(("127.0.0.1", server.port)).expect("nobody has it");
}

#[test]
fn wrap_and_max_reply_reach_the_responder() {
    let server = Server::start(&["::1", "0", "--wrap", "--max-reply", "3696"]);
    let peer = peer("[::1]:0", ("::1", server.port));
    assert_eq!(ask(&peer, &[0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3]), [0xff, 0, 0, 0, 2]);
    // 2^8000 as text: 2409 digits to a request of 1232 octets.
    let mut request = [0x1f, b'^', 244, 0, 0, 0, 0, 0, 0, 0, 0, 1].to_vec();
    for operand in [2_u16, 8000] {
        request.extend([0; 242]);
        request.extend(operand.to_be_bytes());
    }
    let short = ask(&peer, &request);
    assert_eq!(short[..2], [0x7f, 4], "three times 500 octets are too few");
    request.splice(2..3, [255]);
    request.splice(12.., std::iter::repeat_n(0, 510));
    request[12 + 254] = 2;
    request[12 + 508..].copy_from_slice(&5000_u16.to_be_bytes());
    let reply = ask(&peer, &request);
    assert_eq!((reply[0], reply.len()), (0xff, 12 + 1506));
}

#[test]
fn what_must_not_be_answered_is_counted_with_its_reason() {
    let server = Server::start(&["::1", "0", "-v"]);
    let peer = peer("[::1]:0", ("::1", server.port));
    let silent: [&[u8]; 6] = [&[], &[0xff, 0, 0, 0, 25], &[0x7f], &[0], &[0, 1, 2], &[0; 1233]];
    for datagram in silent {
        peer.send(datagram).unwrap();
    }
    let mut long_extended = vec![0; 4000];
    long_extended[..3].copy_from_slice(&[0x1e, b'+', 1]);
    assert_eq!(ask(&peer, &long_extended)[..2], [0x7f, 5]);
    assert_eq!(ask(&peer, &SUM), SUM_REPLY, "nothing came before it");
    let said = server.stop();
    for reason in ["empty 1", "is-reply 2", "no-operands 1", "ragged 1", "oversize 1"] {
        assert!(said.contains(reason), "{reason:?} in {said}");
    }
    assert!(said.contains("served 1, errors answered 1, dropped 6"), "{said}");
    let source = peer.local_addr().unwrap();
    assert!(said.contains(&format!("dropped 1233 octets from {source}: oversize")), "{said}");
}

#[test]
fn sources_that_would_loop_are_refused_unless_told_otherwise() {
    // Needs a privileged port: the tests run as root, or in a user namespace whose ports are all theirs.
    let low = || (1..1024).rev().find_map(|port| UdpSocket::bind(("::1", port)).ok()).expect("a free low port");
    let strict = Server::start(&["::1", "0"]);
    let lenient = Server::start(&["::1", "0", "--answer-low-ports"]);
    let from = low();
    from.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for server in [&strict, &lenient] {
        from.send_to(&SUM, ("::1", server.port)).unwrap();
    }
    assert_eq!(receive_from(&from, &mut [0; 9]).unwrap().1.port(), lenient.port);
    // The server's own port, on another address of the machine.
    let wildcard = Server::start(&["127.0.0.1", "0"]);
    let twin = peer(&format!("127.0.0.2:{}", wildcard.port), ("127.0.0.1", wildcard.port));
    twin.send(&SUM).unwrap();
    assert_eq!(ask(&peer("127.0.0.1:0", ("127.0.0.1", wildcard.port)), &SUM), SUM_REPLY);
    assert!(strict.stop().contains("low-port 1"));
    assert!(wildcard.stop().contains("own-port 1"));
}

#[test]
fn access_rules_decide_by_prefix() {
    let server = Server::start(&["::", "0", "--allow", "127.0.0.0/24", "--deny", "127.0.0.64/26"]);
    let from = |address: &str| peer(&format!("{address}:0"), ("127.0.0.1", server.port));
    for denied in ["127.0.0.65", "127.0.1.1"] {
        from(denied).send(&SUM).unwrap();
    }
    peer("[::1]:0", ("::1", server.port)).send(&SUM).unwrap();
    for allowed in ["127.0.0.1", "127.0.0.128"] {
        assert_eq!(ask(&from(allowed), &SUM), SUM_REPLY, "{allowed}");
    }
    let totals = server.stop();
    assert!(totals.contains("served 2, errors answered 0, dropped 3 (denied 3)"), "{totals}");
}

#[test]
fn a_flood_from_one_prefix_is_limited_but_loopback_is_not() {
    let server = Server::start(&["::1", "0"]);
    for _ in 0..20 {
        // Of very many classic requests from one socket one is dropped, to end loops.
        let peer = peer("[::1]:0", ("::1", server.port));
        for _ in 0..1000 {
            assert_eq!(ask(&peer, &SUM), SUM_REPLY);
        }
    }
    assert!(server.stop().contains("served 20000,"));
}

#[test]
fn stopping_answers_what_was_received() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&["::1", "0"]);
        server.freeze();
        let peers: Vec<UdpSocket> = (0..200).map(|_| peer("[::1]:0", ("::1", server.port))).collect();
        for peer in &peers {
            peer.send(&SUM).unwrap();
        }
        server.signal(signal);
        server.signal(Signal::CONT);
        let totals = server.wait();
        assert!(totals.contains("served 200,"), "{totals}");
        let mut buffer = [0; 9];
        for peer in &peers {
            assert_eq!(peer.receive(&mut buffer).unwrap(), SUM_REPLY.len());
        }
    }
}

#[test]
fn stopping_while_idle_is_immediate_and_frees_the_port() {
    let server = Server::start(&["::1", "0"]);
    let port = server.port.to_string();
    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed() < Duration::from_secs(5));
    Server::start(&["::1", &port]);
}

#[test]
fn a_second_server_is_told_that_the_port_is_taken() {
    let first = Server::start(&["::1", "0"]);
    let port = first.port.to_string();
    for host in ["::1", "::"] {
        let second = run(&[host, &port]);
        assert_eq!(second.status.code(), Some(1));
        let message = String::from_utf8(second.stderr).unwrap();
        assert!(message.contains(&format!("{port} is in use")) && message.lines().count() == 1, "{message}");
    }
    drop(first);
    let shared = [Server::start(&["::1", &port, "--share-port"]), Server::start(&["::1", &port, "--share-port"])];
    for _ in 0..50 {
        assert_eq!(ask(&peer("[::1]:0", ("::1", shared[0].port)), &SUM), SUM_REPLY);
    }
}

#[test]
fn what_is_refused_is_said_in_one_line() {
    let cases: [(&[&str], i32, &str); 20] = [
        (&[], 2, "HOST and PORT are missing"),
        (&["::1"], 2, "PORT is missing"),
        (&["::1", "65536"], 2, "[PORT]: \"65536\": expected a port from 0 to 65535 or the name of a service"),
        (&["::1", "http-ish"], 1, "port \"http-ish\": no UDP service of that name is known"),
        (&["::1", "0", "0"], 2, "unexpected argument 0"),
        (&["::1", "0", "--max-reply", "1231"], 2, "expected a whole number from 1232 to 3696"),
        (&["::1", "0", "--workers", "0"], 2, "--workers <N>: \"0\": expected a whole number from 1"),
        (&["::1", "0", "--no-such"], 2, "--no-such"),
        (&["::1", "0", "--rate-limit", "many"], 2, "a rate such as 1000/s"),
        (&["::1", "0", "--deny", "2001:db8::1/32"], 2, "the prefix is 2001:db8::/32"),
        (&["::1", "0", "--deny", "::/0", "--allow", "::/0"], 2, "::/0 is both allowed and denied"),
        (&["2001:db8::1", "0"], 1, "2001:db8::1 is none of this machine's addresses"),
        (&["host.invalid", "0"], 1, "\"host.invalid\""),
        (&["fe80::1%nowhere", "0"], 1, "fe80::1%nowhere"),
        (&["ff02::1", "0"], 1, "ff02::1 is a multicast or broadcast address"),
        (&["224.0.0.1", "0"], 1, "server: 224.0.0.1 is a multicast or broadcast address"),
        (&["192.0.2.1", "0"], 1, "server: 192.0.2.1 is none of this machine's addresses"),
        (&["::1", "0", "--cpus", "9999"], 1, "processor 9999 is not among those that this process may use"),
        (&["::1", "0", "--cpus", "3-1"], 2, "expected `none`, or processors such as 0-3,6"),
        (&["::1", "0", "--access-file", "/nowhere"], 1, "cannot read the access file /nowhere: No such file"),
    ];
    for (arguments, status, part) in cases {
        let output = run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {message}");
        assert!(message.contains(part) && message.lines().count() == 1, "{arguments:?}: {message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_privileged_port_is_refused_in_one_line() {
    // In a namespace of its own, where even root may bind no port below 2000 without the capability.
    let script = "echo 2000 > /proc/sys/net/ipv4/ip_unprivileged_port_start; ip link set lo up; \
        exec setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service \"$0\" ::1 1999";
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", script, env!("CARGO_BIN_EXE_server")])
        .output()
        .expect("unshare of util-linux");
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("port 1999 is privileged") && message.lines().count() == 1, "{message}");
}

#[test]
fn too_few_descriptors_are_said_in_one_line() {
    let script = "ulimit -n 8; exec \"$0\" ::1 0 --workers 40";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_server")]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("no descriptor left for the sockets of 40 workers"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn help_and_version_go_to_stdout() {
    for (argument, part) in [("--help", "Usage: server"), ("-h", "server :: 10000"), ("--version", "server ")] {
        let output = run(&[argument]);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
}

#[test]
fn a_peer_that_is_gone_harms_nobody() {
    let server = Server::start(&["::1", "0", "--workers", "1"]);
    let stays = peer("[::1]:0", ("::1", server.port));
    for _ in 0..100 {
        // Its port is closed when the reply arrives: ECONNREFUSED, if anyone were told.
        UdpSocket::bind("[::1]:0").unwrap().send_to(&SUM, ("::1", server.port)).unwrap();
        assert_eq!(ask(&stays, &SUM), SUM_REPLY);
    }
    assert!(server.stop().contains("served 200,"));
}

/// One request and its reply; panics after five seconds of silence.
fn ask(peer: &UdpSocket, request: &[u8]) -> Vec<u8> {
    peer.send(request).unwrap();
    let mut buffer = [0; 4096];
    match peer.receive(&mut buffer) {
        Ok(len) => buffer[..len].to_vec(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no reply to {request:02x?}"),
        Err(error) => panic!("{error}"),
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_server")).args(arguments).output().unwrap()
}
