//! Chapter 1: one datagram, between each two of the languages.
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use signal_hook::consts::SIGPIPE;
use tempfile::TempDir;

use crate::support::{Program, c, fails, python, run, rust, serve, start};

const HELLO: &str = "0x68 ('h') 0x65 ('e') 0x6c ('l') 0x6c ('l') 0x6f ('o')";

fn ours() -> Command {
    rust("sending")
}

fn in_c() -> Command {
    c("1-sending")
}

fn in_python() -> Command {
    python("1-sending")
}

const ALL: [Program; 3] = [ours, in_c, in_python];

/// Who receives and who sends.
const PAIRS: [(Program, Program); 4] = [(ours, in_c), (in_c, in_python), (in_python, ours), (ours, ours)];

#[test]
fn a_receiver_prints_each_octet() {
    for (receiver, sender) in PAIRS {
        let (mut receiver, port) = serve(receiver(), &["receive", "::1", "0"]);
        assert_eq!(run(sender(), &["send", "::1", &port]), format!("sent 5 octets to [::1]:{port}\n"));
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
fn a_connected_socket_receives_the_reply() {
    for (receiver, sender) in PAIRS {
        let (mut receiver, port) = serve(receiver(), &["answer", "::1", "0"]);
        let printed = run(sender(), &["connected", "::1", &port]);
        assert!(printed.contains(&format!("received 14 octets:\n{HELLO} 0x20 (' ') 0x79 ('y')")), "{printed}");
        let (heard, _) = receiver.finish();
        assert!(heard.starts_with(&format!("received 5 octets:\n{HELLO}\nfrom [::1]:")), "{heard}");
        let local = printed.split(" from ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        assert!(heard.contains(local), "{heard} came from {local}");
    }
}

#[test]
fn a_full_stop_stands_for_octets_that_cannot_be_printed() {
    for receiver in ALL {
        let (mut receiver, port) = serve(receiver(), &["receive", "::1", "0"]);
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        socket.send_to(&[0, 7, 0xff, b'~'], format!("[::1]:{port}")).expect("a datagram sent");
        assert_eq!(receiver.finish().0, "received 4 octets:\n0x00 ('.') 0x07 ('.') 0xff ('.') 0x7e ('~')\n");
    }
}

#[test]
fn a_connected_socket_reports_that_nobody_listens() {
    let gone = UdpSocket::bind("[::1]:0").and_then(|socket| socket.local_addr()).expect("an address");
    for program in ALL {
        let (code, said) = fails(program(), &["connected", "::1", &gone.port().to_string()]);
        assert_eq!(code, 1);
        assert!(said.contains("Connection refused"), "{said}");
    }
    let (_, said) = fails(ours(), &["connected", "::1", &gone.port().to_string()]);
    assert!(said.starts_with("sending: Connection refused"), "{said}");
}

#[test]
fn a_path_is_an_address_too() {
    for (receiver, sender) in PAIRS {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("mailbox");
        let path = path.to_str().expect("a path in UTF-8");
        let mut receiver = start(receiver(), &["receive-unix", path]);
        assert_eq!(receiver.error(), format!("listening on {path}"));
        assert_eq!(run(sender(), &["send-unix", path]), format!("sent 5 octets to {path}\n"));
        assert_eq!(receiver.finish().0, format!("received 5 octets:\n{HELLO}\n"));
        assert!(fs::metadata(path).is_err(), "the socket's file is removed");
        assert_eq!(fails(sender(), &["send-unix", path]).0, 1);
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for program in ALL {
        for args in
            [&["send", "::1"][..], &["send", "nowhere", "1"], &["send", "::1", "65536"], &["shout", "::1", "1"], &[]]
        {
            let (code, said) = fails(program(), args);
            assert_eq!(code, 2, "{args:?}");
            assert!(said.starts_with("usage: ") && said.contains("send|receive|"), "{said}");
        }
    }
}

#[test]
fn it_ends_as_in_c_when_nobody_reads_its_output() {
    let lookup = |program: fn(&str) -> Command, name| (program(name), &["lookup", "::1", "9"]);
    let send = |program: fn(&str) -> Command, name| (program(name), &["send", "::1", "9"]);
    let all = [send(rust, "sending"), send(c, "1-sending"), send(python, "1-sending"), lookup(rust, "messages")];
    for (mut command, args) in all {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = command.args(args).stdin(Stdio::null()).stdout(writer).output().expect("a program");
        assert_eq!((output.status.signal(), output.stderr.as_slice()), (Some(SIGPIPE), &b""[..]), "{command:?}");
    }
}
