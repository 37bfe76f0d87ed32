//! Network namespaces for tests: only the thread that enters one, and the processes that it starts, are in it.

use std::net::Ipv6Addr;
use std::process::{Command, Output};

use nix::sched::{CloneFlags, unshare};

/// Moves the calling thread into a new network namespace with a loopback interface, where it may do as it likes.
pub fn enter() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (run the tests as root, or with make test)");
    run("ip link set lo up");
}

/// [`enter`], where IPv6 is off, as is usual in containers.
pub fn enter_without_ipv6() {
    enter();
    // This file is that of the namespace of the thread that opens it.
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").expect("ip-sysctl.rst: disable_ipv6");
    assert!(std::net::UdpSocket::bind("[::1]:0").is_err() && std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
}

/// An address of [`enter_site`] that is not loopback, so that the rate limit holds for it.
pub const SERVER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 1);
/// Another one, in another /64 than [`SERVER`].
pub const PEER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 2, 0, 0, 0, 2);

/// [`enter`], where the namespace also has [`SERVER`], [`PEER`], and a link on which datagrams to any other address are
/// lost.
pub fn enter_site() {
    enter();
    // The other end never answers; without ARP no neighbour is searched for either (ip-link(8)).
    run("ip link add out type veth peer name nowhere");
    run("ip link set out arp off");
    run("ip link set out up");
    run("ip link set nowhere up");
    run(&format!("ip address add {SERVER}/64 dev out nodad"));
    run(&format!("ip address add {PEER}/64 dev out nodad"));
    run("ip -6 route add default dev out");
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
