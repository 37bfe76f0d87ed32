//! Chapter 5: the same tests for all five ways in all three languages.
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::support::{PATIENCE, Program, Running, c, eventually, fails, python, rust, serve, start};

fn ours() -> Command {
    rust("echo")
}

fn in_c() -> Command {
    c("5-echo")
}

fn in_python() -> Command {
    python("5-echo")
}

const ALL: [Program; 3] = [ours, in_c, in_python];
const WAYS: [&str; 5] = ["iterative", "processes", "threads", "pool", "events"];

/// Each program with each way, and whether it serves a second client while the first says nothing.
fn servers() -> impl Iterator<Item = (Program, &'static str, bool)> {
    ALL.into_iter().flat_map(|program| WAYS.map(|way| (program, way, way != "iterative")))
}

#[test]
fn what_is_sent_comes_back() {
    for (program, mode, _) in servers() {
        let (_server, port) = serve(program(), &[mode, "::1", "0"]);
        for client in [in_c as Program, in_python] {
            let mut client = start(client(), &["client", "::1", &port]);
            for line in ["one", "", "three"] {
                client.type_line(line);
                assert_eq!(client.line(), line, "{mode}");
            }
        }
        let mut client = start(ours(), &["client", "::1", &port]);
        assert_eq!(client.line(), format!("connected to [::1]:{port}"));
        client.type_line("four");
        assert!(client.line().ends_with(" ms: four"), "{mode}");
    }
}

#[test]
fn a_second_client_waits_on_the_iterative_one_only() {
    for (program, mode, served) in servers() {
        let (_server, port) = serve(program(), &[mode, "::1", "0"]);
        let mut first = start(in_c(), &["client", "::1", &port]);
        first.type_line("first");
        assert_eq!(first.line(), "first", "{mode}");
        let mut second = start(ours(), &["client", "::1", &port]);
        // The kernel completes the handshake for both: connect(2) says nothing about accept(2).
        assert!(second.line().starts_with("connected"));
        second.type_line("second");
        if served {
            assert!(second.line().ends_with(" ms: second"), "{mode}");
        } else {
            let mut line = second.line();
            assert!(line.starts_with("waiting for "), "{mode}: {line}");
            drop(first);
            while line.starts_with("waiting") {
                line = second.line();
            }
            assert!(line.ends_with(" ms: second"), "{mode}: {line}");
        }
    }
}

#[test]
fn a_pool_serves_as_many_as_it_has_threads() {
    for program in ALL {
        a_pool_serves_eight(program);
    }
}

fn a_pool_serves_eight(program: Program) {
    let (_server, port) = serve(program(), &["pool", "::1", "0"]);
    let mut clients: Vec<TcpStream> = (0..9).map(|_| connect(&port)).collect();
    for client in &mut clients {
        client.write_all(b"x").expect("an octet sent");
    }
    for client in &mut clients[..8] {
        client.read_exact(&mut [0]).expect("an echo");
    }
    let ninth = &clients[8];
    ninth.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    assert!((&clients[8]).read(&mut [0]).is_err());
    ninth.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    clients.remove(3);
    clients[7].read_exact(&mut [0]).expect("an echo once a thread is free");
}

/// More octets than all buffers on the way hold: a server that writes without reading would block.
#[test]
fn a_large_transfer_is_complete() {
    for (program, mode, _) in servers() {
        let (_server, port) = serve(program(), &[mode, "::1", "0"]);
        let stream = connect(&port);
        let sent: Vec<u8> = (0..8_000_000u32).map(|i| (i ^ i >> 11) as u8).collect();
        let mut back = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&sent).expect("all of it sent");
                stream.shutdown(Shutdown::Write).expect("the end");
            });
            (&stream).read_to_end(&mut back).expect("all of it back");
        });
        assert!(back == sent, "{mode}: {} of {} octets", back.len(), sent.len());
    }
}

/// No descriptor, thread, process or zombie remains of clients that have gone, even of those that reset.
#[test]
fn nothing_remains_of_clients_that_have_gone() {
    for (program, mode, _) in servers() {
        let (server, port) = serve(program(), &[mode, "::1", "0"]);
        let mut first = connect(&port);
        exchange(&mut first);
        let before = descriptors(&server);
        drop(first);
        for round in 0..20 {
            let mut client = connect(&port);
            if round % 2 == 0 {
                exchange(&mut client);
            }
            if round % 5 == 0 {
                // Leaves with a reset, and with an echo on its way: a linger time of 0 s (socket(7)).
                client.write_all(b"gone").expect("octets sent");
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
            }
        }
        exchange(&mut connect(&port));
        eventually(mode, || descriptors(&server) <= before && children(&server) == 0 && threads(&server) <= 10);
    }
}

#[test]
fn each_server_prints_its_clients_and_what_it_received() {
    for (program, mode, _) in servers() {
        let (server, port) = serve(program(), &[mode, "::1", "0"]);
        let mut client = connect(&port);
        exchange(&mut client);
        let own = client.local_addr().expect("an address").port();
        assert_eq!(server.line(), format!("Connected to (::1, {own})"), "{mode}");
        assert_eq!(server.line(), "server received 5 bytes", "{mode}");
    }
}

#[test]
fn a_server_can_be_started_again_at_once() {
    for program in ALL {
        let (running, port) = serve(program(), &["iterative", "::1", "0"]);
        let mut client = connect(&port);
        exchange(&mut client);
        // The server's side closes first, and stays in TIME-WAIT.
        drop(running);
        drop(client);
        serve(program(), &["iterative", "::1", &port]);
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for program in ALL {
        for wrong in [&[][..], &["pool", "::1"], &["dance", "::1", "1"], &["pool", "::1", "65536"]] {
            let (code, said) = fails(program(), wrong);
            assert!(code == 2 && said.starts_with("usage: "), "{wrong:?}: {said}");
        }
    }
}

fn exchange(client: &mut TcpStream) {
    client.write_all(b"hello").expect("octets sent");
    let mut back = [0; 5];
    client.read_exact(&mut back).expect("an echo");
    assert_eq!(&back, b"hello");
}

fn descriptors(server: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).map_or(0, Iterator::count)
}

fn threads(server: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/task", server.id())).map_or(0, Iterator::count)
}

/// The child processes of all threads of the server.
fn children(server: &Running) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).expect("a running server");
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks.flatten().map(|task| of(task).split_whitespace().count()).sum()
}

fn connect(port: &str) -> TcpStream {
    let stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}
