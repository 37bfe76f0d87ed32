//! A machine where IPv6 is off, as is usual in containers: what falls back to 127.0.0.1, and what the messages say to type.

#![cfg(feature = "programs")]

mod asking;
mod serving;

use std::path::Path;
use std::process::Command;

use asking::{Ended, client_line, run};
use serving::{Server, namespace};

fn program(path: &str, line: &str) -> Ended {
    let mut command = Command::new(path);
    command.args(line.split_whitespace());
    run(command, b"")
}

fn lab(line: &str) -> Ended {
    program(env!("CARGO_BIN_EXE_lab"), line)
}

/// What a server that cannot start writes.
fn server_error(line: &str) -> String {
    let ended = program(env!("CARGO_BIN_EXE_server"), line);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn the_client_falls_back_and_says_so() {
    namespace::enter_without_ipv6();
    let note = "client: note: IPv6 is off on this machine: asking 127.0.0.1 instead of ::1\n";
    assert_eq!(client_line("--local -op + 1 3 5 7 9").printed("Result: 25\n"), note);
    assert_eq!(client_line("--local -q -op + 1 3 5 7 9").printed("25\n"), "");
    let drawn = client_line("--local -v -op + 1 3").printed("Result: 4\n");
    assert!(drawn.contains("127.0.0.1 port "), "{drawn}");
    client_line("-op + ::1 9 1").complained(1, "::1 port 9: IPv6 is off on this machine (try 127.0.0.1)");
}

#[test]
fn the_server_says_what_is_wrong_and_what_to_type() {
    namespace::enter_without_ipv6();
    for (line, typed) in [("::1 0", "::1"), ("fd00::1 7", "fd00::1")] {
        let expected = format!(
            "server: {typed} cannot be bound: IPv6 is off on this machine (try 127.0.0.1, or 0.0.0.0, which is all its \
             addresses)\n"
        );
        assert_eq!(server_error(line), expected);
    }
    let metrics = server_error("127.0.0.1 0 --metrics [::1]:0");
    assert!(metrics.contains(" (IPv6 is off on this machine: try 127.0.0.1)\n"), "{metrics}");

    let mut server = Server::start(&["::", "0"]);
    let warning = server.line_with("IPv6 is off on this machine: only IPv4 can arrive (type: server 0.0.0.0 ");
    client_line(&format!("-op + 127.0.0.1 {} 1 3", server.port)).printed("Result: 4\n");
    server.stop();
    // As the warning says.
    let typed = warning.split("type: server ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let server = Server::start(&typed.split(' ').collect::<Vec<_>>());
    client_line(&format!("-op + 127.0.0.1 {} 1 3", server.port)).printed("Result: 4\n");
    let said = server.stop();
    assert!(!said.contains("IPv6"), "{said}");

    let mut server = Server::start(&["::", "0", "--ipv6-only"]);
    server.line_with("IPv6 is off on this machine: nothing can arrive, because of --ipv6-only (type: server 0.0.0.0 ");
}

#[test]
fn lab_checks_on_127_0_0_1_and_says_so() {
    namespace::enter_without_ipv6();
    let note = "lab: note: IPv6 is off on this machine: using 127.0.0.1 instead of ::1\n";
    let (server, client) = (env!("CARGO_BIN_EXE_server"), env!("CARGO_BIN_EXE_client"));
    for (line, expected) in [
        (format!("check server --extended -- {server}"), note),
        (format!("check server --extended --host 127.0.0.1 -- {server}"), ""),
        (format!("check client -- {client} --timeout 0.3 --retries 3"), note),
        (format!("check client --host 127.0.0.1 -- {client} --timeout 0.3 --retries 3"), ""),
        (format!("check fuzz --count 100 -- {server}"), note),
    ] {
        let ended = lab(&line);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), expected), "{line}: {}", ended.stdout);
    }
    let submissions = tempfile::tempdir().unwrap();
    std::fs::create_dir(submissions.path().join("ada")).unwrap();
    let graded = format!("grade {} --isolation none --build true --server {server}", submissions.path().display());
    for line in [&*graded, "sweep --loss 0%..10% --steps 2 --repeat 1"] {
        let ended = lab(line);
        assert_eq!((ended.status, ended.stderr.matches(note).count()), (Some(0), 1), "{line}: {}", ended.stderr);
    }
    let running = Server::start(&["0.0.0.0", "0"]);
    assert_eq!(lab(&format!("check server 127.0.0.1 {}", running.port)).status, Some(0));
    for target in ["localhost", "--floor 127.0.0.1"] {
        let ended = lab(&format!("bench {target} {} --duration 300ms", running.port));
        assert_eq!(ended.status, Some(0), "{target}: {}", ended.stderr);
    }
    for line in ["bench ::1 9", "check server ::1 9", "floor ::1 0", "relay ::1 0 ::1 9", "relay 127.0.0.1 0 ::1 9"] {
        let ended = lab(line);
        assert_eq!(ended.stderr, "lab: ::1: IPv6 is off on this machine (try 127.0.0.1)\n", "{line}");
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{line}");
    }
}

#[test]
fn the_advice_for_a_server_names_the_address_that_it_was_told() {
    namespace::enter_without_ipv6();
    let folder = tempfile::tempdir().unwrap();
    for (text, advice) in [
        ("import sys\nsys.exit('no')\n", "Start it by hand with 127.0.0.1 and a port"),
        // Right, and for IPv6 only.
        (
            "import socket, sys\nsocket.getaddrinfo(sys.argv[1], sys.argv[2], socket.AF_INET6)\n",
            "or check on a machine with IPv6",
        ),
    ] {
        let script = folder.path().join("server.py");
        std::fs::write(&script, text).unwrap();
        let ended = lab(&format!("check server -- python3 {}", script.display()));
        assert_eq!(ended.status, Some(1));
        assert!(ended.stdout.contains(advice), "{}", ended.stdout);
    }
}

/// A kernel that was booted with ipv6.disable=1.
#[test]
fn a_kernel_without_ipv6_sockets_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("no_ipv6.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serving/no_ipv6.c");
    let built = Command::new("gcc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    assert!(built.expect("gcc").success());
    let preloaded = |path: &str, line: &str| {
        let mut command = Command::new(path);
        command.args(line.split(' ')).env("LD_PRELOAD", &library);
        run(command, b"")
    };
    for line in [":: 0", "0.0.0.0 0"] {
        let ended = preloaded(env!("CARGO_BIN_EXE_server"), line);
        let expected = "server: this system has no IPv6 sockets, through which IPv4 is served too (boot it without \
                        ipv6.disable=1)";
        assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
        assert_eq!(ended.status, Some(1));
    }
    let ended = preloaded(env!("CARGO_BIN_EXE_client"), "-op + 127.0.0.1 9 1");
    let expected = "127.0.0.1 port 9: this system has no IPv6 sockets, through which IPv4 is asked too (boot it without \
                    ipv6.disable=1)";
    ended.complained(1, expected);
}
