//! Chapter 5: the same tests for all five ways, with the Rust and the C client, and the C servers besides.
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{PATIENCE, Program, Running, c, eventually, rust, serve, start};

fn ours() -> Command {
    rust("echo")
}

fn theirs() -> Command {
    c("5-echo")
}

/// Program, mode, and whether a second client is served while the first says nothing.
const SERVERS: [(Program, &str, bool); 7] = [
    (ours, "iterative", false),
    (ours, "processes", true),
    (ours, "threads", true),
    (ours, "pool", true),
    (ours, "events", true),
    (theirs, "iterative", false),
    (theirs, "fork", true),
];

#[test]
fn what_is_sent_comes_back() {
    for (program, mode, _) in SERVERS {
        let (_server, port) = serve(program(), &[mode, "::1", "0"]);
        let mut client = start(theirs(), &["client", "::1", &port]);
        for line in ["one", "", "three"] {
            client.type_line(line);
            assert_eq!(client.line(), line, "{mode}");
        }
        drop(client);
        let mut client = start(ours(), &["client", "::1", &port]);
        assert_eq!(client.line(), format!("connected to [::1]:{port}"));
        client.type_line("four");
        assert!(client.line().ends_with(" ms: four"), "{mode}");
    }
}

#[test]
fn a_second_client_waits_on_the_iterative_one_only() {
    for (program, mode, served) in SERVERS {
        let (_server, port) = serve(program(), &[mode, "::1", "0"]);
        let mut first = start(theirs(), &["client", "::1", &port]);
        first.type_line("first");
        assert_eq!(first.line(), "first", "{mode}");
        let mut second = start(ours(), &["client", "::1", &port]);
        // The kernel completes the handshake for both: connect(2) tells nothing of accept(2).
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
    let (_server, port) = serve(ours(), &["pool", "::1", "0"]);
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

/// More than all the buffers on the way hold: whoever writes on without reading would stand still.
#[test]
fn a_large_transfer_is_complete() {
    for (program, mode, _) in SERVERS {
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

/// No descriptor, thread or process (zombies too) remains of clients that have gone, even of those that break off.
#[test]
fn nothing_remains_of_clients_that_have_gone() {
    for (program, mode, _) in SERVERS {
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
        }
        exchange(&mut connect(&port));
        eventually(mode, || descriptors(&server) <= before && children(&server) == 0 && threads(&server) <= 10);
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

/// The server's child processes, of whichever of its threads.
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
