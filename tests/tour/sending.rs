//! Chapter 1: hello in one datagram, both ways round.
use std::io;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use signal_hook::consts::SIGPIPE;

use crate::support::{Program, c, fails, run, rust, serve};

const HELLO: &str = "0x68 ('h') 0x65 ('e') 0x6c ('l') 0x6c ('l') 0x6f ('o')";

fn ours() -> Command {
    rust("sending")
}

fn theirs() -> Command {
    c("1-sending")
}

/// Who receives and who sends.
const PAIRS: [(Program, Program); 3] = [(ours, theirs), (theirs, ours), (ours, ours)];

#[test]
fn a_receiver_prints_each_octet() {
    for (receiver, sender) in PAIRS {
        let (mut receiver, port) = serve(receiver(), &["receive", "::1", "0"]);
        assert!(run(sender(), &["send", "::1", &port]).starts_with("sent 5 octets"));
        let (printed, status) = receiver.finish();
        assert_eq!(printed, format!("received 5 octets:\n{HELLO}\n"));
        assert!(status.success());
    }
}

#[test]
fn a_receiver_prints_the_peers_socket_address() {
    for (receiver, sender) in PAIRS {
        let (mut receiver, port) = serve(receiver(), &["receive-from", "::1", "0"]);
        run(sender(), &["send", "::1", &port]);
        let (printed, _) = receiver.finish();
        let (octets, peer) = printed.split_once("\nfrom [::1]:").expect(&printed);
        assert_eq!(octets, format!("received 5 octets:\n{HELLO}"));
        assert!(peer.trim_end().parse::<u16>().is_ok_and(|port| port > 0), "{peer}");
    }
}

#[test]
fn a_connected_socket_reads_the_reply_back() {
    for (receiver, sender) in PAIRS {
        let (mut receiver, port) = serve(receiver(), &["answer", "::1", "0"]);
        let printed = run(sender(), &["connected", "::1", &port]);
        assert!(printed.contains(&format!("received 14 octets:\n{HELLO} 0x20 (' ') 0x79 ('y')")), "{printed}");
        let (heard, _) = receiver.finish();
        assert!(heard.starts_with(&format!("received 5 octets:\n{HELLO}\nfrom [::1]:")), "{heard}");
        if let Some(from) = printed.split(" from ").nth(1) {
            let local = from.split(' ').next().expect("an address");
            assert!(heard.contains(local), "{heard} came from {local}");
        }
    }
}

#[test]
fn octets_that_cannot_be_printed_are_a_full_stop() {
    for receiver in [ours, theirs] {
        let (mut receiver, port) = serve(receiver(), &["receive", "::1", "0"]);
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        socket.send_to(&[0, 7, 0xff, b'~'], format!("[::1]:{port}")).expect("a datagram sent");
        assert_eq!(receiver.finish().0, "received 4 octets:\n0x00 ('.') 0x07 ('.') 0xff ('.') 0x7e ('~')\n");
    }
}

#[test]
fn a_connected_socket_hears_that_nobody_listens() {
    let gone = UdpSocket::bind("[::1]:0").and_then(|socket| socket.local_addr()).expect("an address");
    let (code, said) = fails(ours(), &["connected", "::1", &gone.port().to_string()]);
    assert_eq!(code, 1);
    assert!(said.starts_with("sending: Connection refused"), "{said}");
}

#[test]
fn wrong_arguments_are_explained() {
    for args in [&["send", "::1"][..], &["send", "nowhere", "1"], &["send", "::1", "65536"], &["shout", "::1", "1"]] {
        let (code, said) = fails(ours(), args);
        assert_eq!(code, 2, "{args:?}");
        assert!(said.starts_with("usage: sending "), "{said}");
    }
}

#[test]
fn it_ends_as_in_c_when_nobody_reads_what_it_prints() {
    let lookup = |program: fn(&str) -> Command, name| (program(name), &["lookup", "::1", "9"]);
    let send = |program: fn(&str) -> Command, name| (program(name), &["send", "::1", "9"]);
    for (mut command, args) in [send(rust, "sending"), send(c, "1-sending"), lookup(rust, "messages")] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = command.args(args).stdin(Stdio::null()).stdout(writer).output().expect("a program");
        assert_eq!((output.status.signal(), output.stderr.as_slice()), (Some(SIGPIPE), &b""[..]), "{command:?}");
    }
}
