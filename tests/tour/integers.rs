//! Chapter 2: integers in network order, between each two of the languages, and in the wrong order.
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use crate::receiving::Receive as _;
use crate::support::{Program, c, fails, python, run, rust, serve};

fn ours() -> Command {
    rust("integers")
}

fn in_c() -> Command {
    c("2-integers")
}

fn in_python() -> Command {
    python("2-integers")
}

const ALL: [Program; 3] = [ours, in_c, in_python];
const PAIRS: [(Program, Program); 4] = [(ours, in_c), (in_c, in_python), (in_python, ours), (ours, ours)];
const ODD: [&str; 5] = ["1", "3", "5", "7", "9"];

fn ask(program: Command, mode: &str, port: &str, numbers: &[&str]) -> String {
    run(program, &[&[mode, "::1", port], numbers].concat())
}

#[test]
fn a_server_sums_a_list_of_integers() {
    for (server, client) in PAIRS {
        let (_server, port) = serve(server(), &["sum-server", "::1", "0"]);
        assert!(ask(client(), "ask", &port, &ODD).ends_with("sum      25\n"));
        // Unsigned 32-bit arithmetic, as in C: 2^32 - 1 + 2 = 1.
        assert!(ask(client(), "ask", &port, &["4294967295", "2"]).ends_with("sum      1\n"));
    }
}

#[test]
fn a_server_answers_with_a_string() {
    for (server, client) in PAIRS {
        let (_server, port) = serve(server(), &["text-server", "::1", "0"]);
        assert!(ask(client(), "ask-text", &port, &ODD).ends_with("sum      25\n"));
        assert!(ask(client(), "ask-text", &port, &["4000000000"]).ends_with("sum      4000000000\n"));
    }
}

#[test]
fn the_octets_on_the_wire_are_in_network_order() {
    let (_server, port) = serve(ours(), &["sum-server", "::1", "0"]);
    for client in ALL {
        // Without numbers, the odd digits are sent.
        let printed = run(client(), &["ask", "::1", &port]);
        assert_eq!(printed, "sent     00000001 00000003 00000005 00000007 00000009\nreceived 00000019\nsum      25\n");
    }
}

/// A client that forgets both conversions: the sum of small numbers is right by luck, that of larger ones is not.
/// If the server forgets both too, every sum is right, between machines of one octet order. One forgotten conversion
/// is always wrong, but for sums that read the same in both orders, such as 0.
#[cfg(target_endian = "little")]
#[test]
fn without_htonl_the_octets_are_in_the_wrong_order() {
    for (server, client) in PAIRS {
        let (_server, port) = serve(server(), &["sum-server", "::1", "0"]);
        let odd = ask(client(), "ask-unswapped", &port, &ODD);
        assert!(odd.ends_with("sum      25\n"), "{odd}");
        let large = ask(client(), "ask-unswapped", &port, &["100", "200"]);
        assert!(large.ends_with("sum      44\n"), "{large}");
        let half = ask(client(), "ask-half-swapped", &port, &["1", "1"]);
        assert!(half.ends_with("received 00000002\nsum      33554432\n"), "{half}");

        let (_server, port) = serve(server(), &["unswapped-server", "::1", "0"]);
        let both = ask(client(), "ask-unswapped", &port, &["100", "200"]);
        assert!(both.ends_with("sum      300\n"), "{both}");
    }
    let (server, port) = serve(ours(), &["sum-server", "::1", "0"]);
    let printed = run(ours(), &["ask-unswapped", "::1", &port]);
    assert!(printed.starts_with("sent     01000000 03000000 05000000 07000000 09000000\nreceived 19000000\n"));
    server.line();
    assert!(server.line().ends_with("5 integers, sum 419430400"));
}

#[test]
fn what_is_not_a_list_of_integers_is_skipped() {
    for program in ALL {
        let (server, port) = serve(program(), &["sum-server", "::1", "0"]);
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        socket.connect(format!("[::1]:{port}")).expect("a peer");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        for datagram in [&b""[..], b"abc", b"abcde", &[0, 0, 0, 7]] {
            socket.send(datagram).expect("a datagram sent");
        }
        let mut reply = [0; 8];
        assert_eq!(socket.receive(&mut reply).expect("a reply"), 4);
        assert_eq!(reply[..4], [0, 0, 0, 7]);
        let printed: Vec<String> = (0..6).map(|_| server.line()).collect();
        assert!(printed[5].ends_with("5 octets are not a list of 32-bit integers"), "{printed:?}");
    }
}

#[test]
fn a_reply_that_is_not_an_integer_is_rejected() {
    let (_server, port) = serve(ours(), &["text-server", "::1", "0"]);
    for program in ALL {
        let (code, said) = fails(program(), &["ask", "::1", &port, "12"]);
        assert_eq!(code, 1);
        assert!(said.contains("this is not a reply to such a request"), "{said}");
        for wrong in
            [&["ask", "::1", &port, "twelve"][..], &["ask", "::1", &port, "-1"], &["ask"], &["sing", "::1", "1"]]
        {
            let (code, said) = fails(program(), wrong);
            assert_eq!(code, 2, "{wrong:?}");
            assert!(said.starts_with("usage: "), "{said}");
        }
    }
}
