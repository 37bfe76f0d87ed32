//! Chapter 3: the classic protocol, between each two of the languages and with this project's server and client; and
//! fields of any number of bits.
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use crate::receiving::Receive as _;
use crate::support::{Program, c, fails, python, run, rust, serve};

fn ours() -> Command {
    rust("calculator")
}

fn in_c() -> Command {
    c("3-calculator")
}

fn in_python() -> Command {
    python("3-calculator")
}

const ALL: [Program; 3] = [ours, in_c, in_python];
const ODD: [&str; 5] = ["1", "3", "5", "7", "9"];

/// The four questions of the course, asked by each client.
fn questions(port: &str) {
    for client in ALL {
        for (symbol, sum) in [("+", "Result: 25\n"), ("*", "Result: 945\n")] {
            for format in ["-d", "-s"] {
                assert_eq!(run(client(), &[&[symbol, format, "::1", port], &ODD[..]].concat()), sum);
            }
        }
    }
}

#[test]
fn each_client_asks_each_server() {
    for server in ALL {
        let (_server, port) = serve(server(), &["server", "::1", "0"]);
        questions(&port);
    }
}

#[test]
fn each_client_asks_this_projects_server() {
    let (_server, port) = serve(Command::new(env!("CARGO_BIN_EXE_server")), &["::1", "0"]);
    questions(&port);
}

#[test]
fn this_projects_client_asks_each_server() {
    for server in ALL {
        let (_server, port) = serve(server(), &["server", "::1", "0"]);
        for (symbol, result) in [("+", "Result: 25\n"), ("*", "Result: 945\n")] {
            let client = || Command::new(env!("CARGO_BIN_EXE_client"));
            assert_eq!(run(client(), &[&["-op", symbol, "::1", &port], &ODD[..]].concat()), result);
            assert_eq!(run(client(), &[&["-op", symbol, "-s", "::1", &port], &ODD[..]].concat()), result);
        }
    }
}

/// What needs the extended form, the client says of a server that does not know it.
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
    // C computes modulo 2^32.
    for program in [ours as Program, in_python] {
        let (_server, port) = serve(program(), &["server", "::1", "0"]);
        let largest = ["4294967295"; 26];
        let product = run(program(), &[&["*", "-s", "::1", &port], &largest[..]].concat());
        assert_eq!(product.len(), "Result: \n".len() + 251);
        assert!(product.starts_with("Result: 28638903745"), "{product}");
        let (code, said) = fails(program(), &[&["*", "-s", "::1", &port], &["4294967295"; 27][..]].concat());
        assert!(code == 1 && said.ends_with(": the server replied with an error\n"), "{said}");
        let (code, said) = fails(program(), &["+", "-d", "::1", &port, "4294967295", "1"]);
        assert!(code == 1 && said.ends_with(": the server replied with an error\n"), "{said}");
    }
}

#[test]
fn golden_octets() {
    for program in ALL {
        let (_server, port) = serve(program(), &["server", "::1", "0"]);
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        socket.connect(format!("[::1]:{port}")).expect("a peer");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        // Not answered: nothing at all, no operand, half an operand, 65 operands, a reply.
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
}

#[test]
fn a_short_reply_is_not_read_beyond_its_end() {
    for program in ALL {
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        let port = socket.local_addr().expect("an address").port().to_string();
        let client = crate::support::start(program(), &["+", "-d", "::1", &port, "1"]);
        let (_, peer) = socket.recv_from(&mut [0; 16]).expect("a request");
        socket.send_to(&[0xff, 1, 2, 3], peer).expect("a short reply");
        let said = client.error();
        assert!(said.ends_with("this is not a reply to such a request"), "{said}");
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for program in ALL {
        for wrong in [
            &[][..],
            &["server", "::1"],
            &["+", "-x", "::1", "1", "1"],
            &["+", "-d", "::1", "1"],
            &["+", "-d", "::1", "1", "-1"],
            &["-", "-d", "::1", "1", "1"],
            &["+", "-d", "nowhere", "1", "1"],
        ] {
            let (code, said) = fails(program(), wrong);
            assert_eq!(code, 2, "{wrong:?}");
            assert!(said.starts_with("usage: "), "{said}");
        }
    }
}

/// The course's message: 16 bits, eight flags, 24, 8 and 8 bits.
const COURSE: [&str; 12] =
    ["4660:16", "1:1", "0:1", "1:1", "0:1", "0:1", "0:1", "0:1", "1:1", "66051:24", "7:8", "255:8"];

#[test]
fn fields_of_any_width_are_packed_and_unpacked() {
    for program in [|| rust("fields"), || c("3-fields"), || python("3-fields")] as [Program; 3] {
        let pack = |fields: &[&str]| run(program(), &[&["pack"], fields].concat());
        assert_eq!(pack(&COURSE), "12 34 a1 01 02 03 07 ff\n");
        // IPv6's first word (RFC 8200, section 3): version, traffic class, flow label.
        assert_eq!(pack(&["6:4", "0:8", "546297:20"]), "60 08 55 f9\n");
        assert_eq!(pack(&["18446744073709551615:64"]), "ff ff ff ff ff ff ff ff\n");
        for fields in [&COURSE[..], &["6:4", "0:8", "546297:20"], &["5:3", "18446744073709551615:64", "9:5"]] {
            let octets = pack(fields);
            let (values, widths): (Vec<&str>, Vec<&str>) =
                fields.iter().map(|field| field.split_once(':').expect("VALUE:BITS")).unzip();
            let unpacked = run(program(), &[&["unpack", octets.trim_end()], &widths[..]].concat());
            assert_eq!(unpacked, values.join(" ") + "\n");
        }
        for wrong in [
            &[][..],
            &["pack", "2:1", "0:7"],
            &["pack", "1:7"],
            &["pack", "1"],
            &["pack", "-1:8"],
            &["pack", "1:65", "0:7"],
            &["unpack", "12", "16"],
            &["unpack", "xx", "8"],
            &["unpack", "12", "0", "8"],
        ] {
            let (code, said) = fails(program(), wrong);
            assert_eq!(code, 2, "{wrong:?}: {said}");
            assert!(!said.contains("Traceback") && !said.is_empty(), "{said}");
        }
    }
}
