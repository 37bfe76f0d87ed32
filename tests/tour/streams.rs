//! Chapter 4: frames over TCP, names, one message each way and the caller, both ways round with C.
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::support::{Program, Running, c, fails, run, rust, serve, start};

fn commands() -> Command {
    rust("commands")
}

fn c_commands() -> Command {
    c("4-commands")
}

fn messages() -> Command {
    rust("messages")
}

fn c_messages() -> Command {
    c("4-messages")
}

const ANSWERS: &str = "commands: help, stop; quit ends the client\ninvalid command\ninvalid command\n";

/// Starts a client, types these lines and returns what it printed.
fn talk(client: Command, args: &[&str], lines: &[&str]) -> String {
    let mut client = start(client, args);
    for line in lines {
        client.type_line(line);
    }
    client.close_stdin();
    let (printed, status) = client.finish();
    assert!(status.success(), "{args:?}: {status}, {}", client.errors());
    printed
}

#[test]
fn commands_are_answered() {
    for (server, client) in [(commands as Program, c_commands as Program), (c_commands, commands)] {
        let (mut server, port) = serve(server(), &["server", "::1", "0"]);
        // After quit nothing more is sent; the server takes the next client.
        let printed = talk(client(), &["client", "::1", &port], &["help", "dance", "", "quit", "help"]);
        assert_eq!(printed, ANSWERS);
        assert_eq!(talk(client(), &["client", "::1", &port], &["stop"]), "the server stops\n");
        assert!(server.finish().1.success());
    }
}

#[test]
fn a_frame_may_come_in_pieces_and_two_at_once() {
    let (mut server, port) = serve(commands(), &["server", "::1", "0"]);
    assert_eq!(talk(c_commands(), &["dribble", "::1", &port], &["help", "dance", ""]), ANSWERS);
    let mut stream = connect(&port);
    stream.write_all(b"\0\0\0\x04help\0\0\0\x04stop").expect("two frames at once");
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("two answers");
    assert_eq!(answers, b"\0\0\0\x2acommands: help, stop; quit ends the client\0\0\0\x10the server stops");
    assert!(server.finish().1.success());
}

#[test]
fn a_broken_frame_costs_only_its_sender() {
    let (server, port) = serve(commands(), &["server", "::1", "0"]);
    let mut within = connect(&port);
    within.write_all(b"\0\0\0\x04he").expect("half a frame");
    within.shutdown(Shutdown::Write).expect("the end");
    assert!(server.error().ends_with("failed to fill whole buffer"));
    let mut huge = connect(&port);
    huge.write_all(b"\xff\xff\xff\xff").expect("a length");
    assert!(server.error().ends_with("a frame of 4294967295 octets; at most 65536 are accepted"));
    let end = huge.read(&mut [0; 8]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert_eq!(talk(commands(), &["client", "::1", &port], &["help"]), &ANSWERS[..43]);
}

#[test]
fn names_are_resolved() {
    let addresses = run(messages(), &["lookup", "localhost", "10000"]);
    assert!(!addresses.is_empty());
    for address in addresses.lines() {
        let address: SocketAddr = address.parse().expect("a socket address");
        assert!(address.ip().is_loopback() && address.port() == 10000, "{address}");
    }
    // RFC 1035, section 2.3.4: a label has at most 63 octets, so nobody needs to be asked about this one.
    let (code, said) = fails(messages(), &["lookup", &"x".repeat(64), "10000"]);
    assert_eq!(code, 1);
    assert!(said.starts_with("messages: "), "{said}");
}

#[test]
fn one_message_each_way() {
    for (server, client) in [(messages as Program, c_messages as Program), (c_messages, messages)] {
        let (server, port) = serve(server(), &["listen", "::1", "0"]);
        for text in ["Hello, world", ""] {
            assert_eq!(run(client(), &["say", "::1", &port, text]), "I got your message\n");
            assert_eq!(server.line(), format!("Here is the message: {text}"));
        }
    }
}

#[test]
fn a_caller_is_told_who_it_is_and_when_it_called() {
    for (server, client) in [(messages as Program, c_messages as Program), (c_messages, messages)] {
        let (server, port) = serve(server(), &["host", "::1", "0"]);
        let told = run(client(), &["call", "::1", &port, "Good morning"]);
        let lines: Vec<&str> = told.lines().collect();
        let [who, when, "Bye"] = lines[..] else { panic!("{told}") };
        let who: SocketAddr = who.strip_prefix("You are ").expect(who).parse().expect("a socket address");
        assert_eq!(who.ip(), Ipv6Addr::LOCALHOST);
        assert!(when.starts_with("You called at ") && when.ends_with(" UTC"), "{when}");
        assert_eq!(server.line(), format!("{who} says: Good morning"));
    }
}

#[test]
fn the_time_of_a_call_is_the_callers() {
    for server in [messages as Program, c_messages] {
        let (server, port): (Running, String) = serve(server(), &["host", "::1", "0"]);
        let mut stream = connect(&port);
        stream.write_all(b"86399\nlate\n").expect("a call");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("an answer");
        assert!(told.ends_with("\nYou called at 23:59:59 UTC\nBye\n"), "{told}");
        assert!(server.line().ends_with(" says: late"));
    }
}

fn connect(port: &str) -> TcpStream {
    let stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}
