//! Chapter 3: the classic protocol, both ways round with C, and with this project's server and client.
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use crate::receiving::Receive as _;
use crate::support::{c, fails, run, rust, serve};

fn ours() -> Command {
    rust("calculator")
}

fn theirs() -> Command {
    c("3-calculator")
}

const ODD: [&str; 5] = ["1", "3", "5", "7", "9"];

/// The four questions of the course, put to a server by the page's client and by the C client.
fn questions(port: &str) {
    for (symbol, sum) in [("+", "Result: 25\n"), ("*", "Result: 945\n")] {
        for format in ["d", "s"] {
            let option = format!("-{format}");
            let page = [&[symbol, &option, "::1", port], &ODD[..]].concat();
            assert_eq!(run(ours(), &page), sum);
            let counterpart = [&[symbol, format, "::1", port], &ODD[..]].concat();
            assert_eq!(run(theirs(), &counterpart), sum);
        }
    }
}

#[test]
fn the_page_and_c_understand_each_other() {
    for server in [ours, theirs] {
        let (_server, port) = serve(server(), &["server", "::1", "0"]);
        questions(&port);
    }
}

#[test]
fn the_page_and_c_ask_the_server() {
    let (_server, port) = serve(Command::new(env!("CARGO_BIN_EXE_server")), &["::1", "0"]);
    questions(&port);
}

#[test]
fn the_client_asks_the_page_and_c() {
    for server in [ours, theirs] {
        let (_server, port) = serve(server(), &["server", "::1", "0"]);
        for (symbol, result) in [("+", "Result: 25\n"), ("*", "Result: 945\n")] {
            let client = || Command::new(env!("CARGO_BIN_EXE_client"));
            assert_eq!(run(client(), &[&["-op", symbol, "::1", &port], &ODD[..]].concat()), result);
            assert_eq!(run(client(), &[&["-op", symbol, "-s", "::1", &port], &ODD[..]].concat()), result);
        }
    }
}

/// What only the extended form can say, the client says of a server that does not know it.
#[test]
fn the_client_learns_that_the_page_is_classic() {
    let (_server, port) = serve(ours(), &["server", "::1", "0"]);
    let client = Command::new(env!("CARGO_BIN_EXE_client"));
    let (code, said) = fails(client, &["-op", "-", "--timeout", "0.2", "--retries", "1", "::1", &port, "3", "-5"]);
    assert_eq!(code, 1);
    assert!(said.contains("classic"), "{said}");
}

#[test]
fn strings_are_exact_and_integers_are_never_wrong() {
    let (_server, port) = serve(ours(), &["server", "::1", "0"]);
    let largest = ["4294967295"; 26];
    let product = run(ours(), &[&["*", "-s", "::1", &port], &largest[..]].concat());
    assert_eq!(product.len(), "Result: \n".len() + 251);
    assert!(product.starts_with("Result: 28638903745"), "{product}");
    let (code, said) = fails(ours(), &[&["*", "-s", "::1", &port], &["4294967295"; 27][..]].concat());
    assert_eq!((code, said.as_str()), (1, "calculator: the server answered with an error\n"));
    let (code, said) = fails(ours(), &["+", "-d", "::1", &port, "4294967295", "1"]);
    assert_eq!((code, said.as_str()), (1, "calculator: the server answered with an error\n"));
}

#[test]
fn golden_octets() {
    let (_server, port) = serve(ours(), &["server", "::1", "0"]);
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    socket.connect(format!("[::1]:{port}")).expect("a peer");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // Unanswered: nothing at all, no operand, half an operand, 65 operands, a reply.
    for silent in [&[][..], &[0], &[0, 0, 0, 1], &[0; 261], &[0xff, 0, 0, 0, 1], &[0x7f, 0, 0, 0, 1]] {
        socket.send(silent).expect("a datagram sent");
    }
    let odd = [0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
    let mut reply = [0; 512];
    let mut exchange = |request: &[u8]| {
        socket.send(request).expect("a datagram sent");
        let length = socket.receive(&mut reply).expect("a reply");
        reply[..length].to_vec()
    };
    assert_eq!(exchange(&[&[0x00], &odd[..]].concat()), [0xff, 0, 0, 0, 0x19]);
    assert_eq!(exchange(&[&[0x03], &odd[..]].concat()), b"\xff945");
    assert_eq!(exchange(&[0x71, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3]), b"\xff9");
    assert!(exchange(&[0x45, 0, 0, 0, 4])[0] < 0x80);
    assert_eq!(exchange(&[0x03, 0, 0, 0, 0]), b"\xff0");
}
