//! Network namespaces for tests: the thread that enters one has it to itself, with whatever it starts.

use std::process::{Command, Output};

use nix::sched::{CloneFlags, unshare};

/// Moves the calling thread into a new network namespace with a loopback interface, where it may do as it likes.
pub fn enter() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (run the tests as root, or with make test)");
    run("ip link set lo up");
}

/// Runs a command line, which must succeed; words are separated by spaces, and nothing is quoted.
pub fn run(line: &str) {
    let output = output(line);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {message}");
}

/// Puts nftables rules into place.
pub fn nft(rules: &str) {
    let output = Command::new("nft").arg(rules).output().expect("nft of nftables");
    assert!(output.status.success(), "{rules}: {}", String::from_utf8_lossy(&output.stderr));
}

fn output(line: &str) -> Output {
    let mut words = line.split(' ');
    let program = words.next().expect("a program");
    Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}
