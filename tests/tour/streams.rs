//! Chapter 4: frames over TCP, names, one message each way and the host, between each two of the languages.
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use socket2::SockRef;

use crate::support::{Program, Running, c, fails, python, run, rust, serve, start};

fn commands() -> Command {
    rust("commands")
}

fn c_commands() -> Command {
    c("4-commands")
}

fn python_commands() -> Command {
    python("4-commands")
}

fn messages() -> Command {
    rust("messages")
}

fn c_messages() -> Command {
    c("4-messages")
}

fn python_messages() -> Command {
    python("4-messages")
}

const COMMANDS: [Program; 3] = [commands, c_commands, python_commands];
const MESSAGES: [Program; 3] = [messages, c_messages, python_messages];
const HELP: &str = "server is active.\n\ncommands:\n  help  this text\n  stop  the server closes this connection\nquit ends the client\n";
const INVALID: &str = "invalid command (try help).\n";
const STOP: &str = "closing server connection\n";

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
    for server in COMMANDS {
        let (server, port) = serve(server(), &["server", "::1", "0"]);
        for client in COMMANDS {
            // After quit nothing more is sent; the server accepts the next client.
            let printed = talk(client(), &["client", "::1", &port], &["help", "dance", "", "quit", "help"]);
            assert_eq!(printed, format!("{HELP}{INVALID}{INVALID}"));
            assert_eq!(server.line(), "Connection received from ::1");
            // stop ends this connection, and no other.
            assert_eq!(talk(client(), &["client", "::1", &port], &["stop"]), STOP);
            assert_eq!(server.line(), "Connection received from ::1");
        }
    }
}

#[test]
fn a_frame_may_come_in_pieces_and_two_at_once() {
    for server in COMMANDS {
        let (_server, port) = serve(server(), &["server", "::1", "0"]);
        let printed = talk(c_commands(), &["dribble", "::1", &port], &["help", "dance", ""]);
        assert_eq!(printed, format!("{HELP}{INVALID}{INVALID}"));
        let mut stream = connect(&port);
        stream.write_all(b"\0\0\0\x05dance\0\0\0\x04stop").expect("two frames at once");
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).expect("two answers");
        assert_eq!(answers, b"\0\0\0\x1binvalid command (try help).\0\0\0\x19closing server connection");
    }
}

#[test]
fn a_broken_frame_or_a_reset_concerns_only_its_client() {
    for server in COMMANDS {
        let (server, port) = serve(server(), &["server", "::1", "0"]);
        let mut within = connect(&port);
        within.write_all(b"\0\0\0\x04he").expect("half a frame");
        within.shutdown(Shutdown::Write).expect("the end");
        server.error();
        let mut half_a_length = connect(&port);
        half_a_length.write_all(b"\0\0").expect("half a length");
        drop(half_a_length);
        server.error();
        let mut huge = connect(&port);
        huge.write_all(b"\xff\xff\xff\xff").expect("a length");
        server.error();
        let end = huge.read(&mut [0; 8]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        for unfinished in [&b""[..], b"\0\0\0\x04help", b"\0\0"] {
            reset(&port, unfinished);
        }
        assert_eq!(talk(commands(), &["client", "::1", &port], &["help"]), HELP);
    }
}

#[test]
fn a_server_can_be_started_again_at_once() {
    for server in COMMANDS {
        let (running, port) = serve(server(), &["server", "::1", "0"]);
        // The server closes first, so the connection stays in TIME-WAIT on its side.
        assert_eq!(talk(commands(), &["client", "::1", &port], &["stop"]), STOP);
        drop(running);
        serve(server(), &["server", "::1", &port]);
    }
}

#[test]
fn names_are_resolved() {
    for program in MESSAGES {
        let addresses = run(program(), &["lookup", "localhost", "10000"]);
        assert!(!addresses.is_empty());
        for address in addresses.lines() {
            let address: SocketAddr = address.parse().expect("a socket address");
            assert!(address.ip().is_loopback() && address.port() == 10000, "{address}");
        }
        // RFC 1035, section 2.3.4: a label has at most 63 octets, so no server is asked about this one.
        assert_eq!(fails(program(), &["lookup", &"x".repeat(64), "10000"]).0, 1);
        let named = run(program(), &["name", "::1", "80"]);
        assert!(named.starts_with("host ") && named.ends_with(", service http\n"), "{named}");
    }
    let (_, said) = fails(messages(), &["lookup", &"x".repeat(64), "10000"]);
    assert!(said.starts_with("messages: "), "{said}");
}

#[test]
fn one_message_each_way() {
    for server in MESSAGES {
        let (server, port) = serve(server(), &["listen", "::1", "0"]);
        for client in MESSAGES {
            for text in ["Hello, world", ""] {
                assert_eq!(run(client(), &["say", "::1", &port, text]), "I got your message\n");
                assert_eq!(server.line(), format!("Here is the message: {text}"));
            }
            let typed = talk(client(), &["say", "::1", &port], &["Good evening"]);
            assert_eq!(typed, "Please enter the message: I got your message\n");
            assert_eq!(server.line(), "Here is the message: Good evening");
        }
    }
}

#[test]
fn a_client_that_never_shuts_down_gets_its_answer_whatever_it_sends() {
    for server in MESSAGES {
        let (server, port) = serve(server(), &["listen", "::1", "0"]);
        for length in [1, 300, 5000] {
            let mut stream = connect(&port);
            stream.write_all(&vec![b'x'; length]).expect("a message");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer, and no reset");
            assert_eq!(answer, "I got your message");
            let shown = server.line();
            assert!(shown.starts_with("Here is the message: x") && shown.len() <= 21 + 255, "{shown}");
        }
        reset(&port, b"x");
        assert_eq!(run(messages(), &["say", "::1", &port, "still there"]), "I got your message\n");
    }
}

#[test]
fn with_once_a_server_serves_one_client_and_ends() {
    for server in MESSAGES {
        let (mut server, port) = serve(server(), &["listen", "--once", "::1", "0"]);
        assert_eq!(run(messages(), &["say", "::1", &port, "only one"]), "I got your message\n");
        let (printed, status) = server.finish();
        assert_eq!(printed, "Here is the message: only one\n");
        assert!(status.success());
    }
}

#[test]
fn a_host_greets_waits_and_says_bye() {
    for server in MESSAGES {
        let (server, port) = serve(server(), &["host", "::1", "0"]);
        for client in MESSAGES {
            let told = run(client(), &["call", "::1", &port, "Good morning"]);
            let [hello, "Bye"] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
            let (who, when) = hello.strip_prefix("Hello ").and_then(|rest| rest.split_once(", it is ")).expect(hello);
            let who: SocketAddr = who.parse().expect("a socket address");
            assert_eq!(who.ip(), Ipv6Addr::LOCALHOST);
            assert!(when.ends_with(" UTC") && when.len() == 12, "{when}");
            let noted = server.line();
            assert!(noted.starts_with(&format!("{who} called at ")), "{noted}");
            assert!(noted.ends_with(" UTC and says: Good morning"), "{noted}");
        }
    }
}

#[test]
fn a_caller_may_type_and_a_raw_time_is_understood_by_an_option() {
    for server in MESSAGES {
        let (running, port): (Running, String) = serve(server(), &["host", "::1", "0"]);
        let mut stream = connect(&port);
        // As telnet sends lines.
        stream.write_all(b"86399\r\nlate\r\n").expect("a call");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("an answer");
        assert!(told.starts_with("Hello [::1]:") && told.ends_with(" UTC\nBye\n"), "{told}");
        assert!(running.line().ends_with(" called at 23:59:59 UTC and says: late"));
        // What is not a call ends that connection only.
        for wrong in [&b"later\nlate\n"[..], b"1", b""] {
            let mut stream = connect(&port);
            stream.write_all(wrong).expect("no call");
            stream.shutdown(Shutdown::Write).expect("the end");
            running.error();
        }
        reset(&port, b"1\n");

        let (running, port): (Running, String) = serve(server(), &["host", "--time-t", "::1", "0"]);
        let mut stream = connect(&port);
        stream.write_all(&86399_i64.to_ne_bytes()).expect("a call");
        stream.read_to_string(&mut told).expect("an answer");
        assert!(running.line().ends_with(" called at 23:59:59 UTC"));
        for client in MESSAGES {
            assert!(run(client(), &["call", "--time-t", "::1", &port]).ends_with("\nBye\n"));
            let noted = running.line();
            assert!(noted.contains(" called at ") && noted.ends_with(" UTC"), "{noted}");
        }
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for program in COMMANDS {
        for wrong in [&[][..], &["server", "::1"], &["dance", "::1", "1"]] {
            let (code, said) = fails(program(), wrong);
            assert!(code == 2 && said.starts_with("usage: "), "{wrong:?}: {said}");
        }
    }
    for program in MESSAGES {
        for wrong in [
            &[][..],
            &["listen", "::1"],
            &["say", "--once", "::1", "1"],
            &["call", "::1", "1"],
            &["host", "--once", "::1", "1"],
            &["lookup", "::1"],
            &["dance", "::1", "1"],
        ] {
            let (code, said) = fails(program(), wrong);
            assert!(code == 2 && said.starts_with("usage: "), "{wrong:?}: {said}");
        }
    }
}

fn connect(port: &str) -> TcpStream {
    let stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// A client that sends this and leaves with a reset: a linger time of 0 s (socket(7)).
fn reset(port: &str, octets: &[u8]) {
    let mut stream = connect(port);
    stream.write_all(octets).expect("octets sent");
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}
