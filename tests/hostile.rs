//! Attacks with forged sources and by other servers: octets towards a victim, neighbours that do not exist, loops, and
//! group addresses. Everything happens in network namespaces that the tests create.
//! Figures are printed with `--nocapture`; the ignored tests are the long ones.

mod receiving;
mod serving;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use receiving::{Receive as _, until_answered};
use serving::forging::Forger;
use serving::{Server, namespace, peer};

/// 1 + 3 + 5 + 7 + 9 in the classic form, and the answer.
const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

/// 2^158 as text: of 20 octets, with a reply of 60.
const POWER: [u8; 20] = [0x1f, b'^', 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 2, 0, 0, 0, 158];

/// Of IPv6 and UDP, in octets.
const HEADERS: u64 = 40 + 8;

// ---- Octets towards a victim.

#[test]
fn a_victim_gets_at_most_a_quarter_of_the_forged_octets_over_its_rate() {
    flood_a_victim(&POWER, 60, Duration::from_secs(2));
    flood_a_victim(&SUM, 5, Duration::from_secs(2));
}

#[test]
#[ignore = "takes half a minute"]
fn a_forged_victim_gets_at_most_a_quarter_for_long() {
    flood_a_victim(&POWER, 60, Duration::from_secs(30));
    flood_a_victim(&SUM, 5, Duration::from_secs(30));
}

/// 30,000 requests a second in a victim's name, from many of its ports and addresses, to a server with its default
/// rate. `reply`: the octets of the answer.
fn flood_a_victim(request: &[u8], reply: u64, time: Duration) {
    namespace::enter_site();
    let server = Server::start(&["::", "0", "--workers", "4"]);
    namespace::nft(
        "add table inet t; add counter inet t victim; add chain inet t out { type filter hook output priority 0; }; \
         add rule inet t out ip6 saddr fd00:0:0:1::1 ip6 daddr 2001:db8::/64 counter name victim",
    );
    let to = SocketAddrV6::new(namespace::SERVER, server.port, 0, 0);
    let mut forger = Forger::new();
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < time {
        while sent < 30 * begun.elapsed().as_millis() as u64 {
            let host = Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(sent % 1000 + 1));
            forger.send(SocketAddrV6::new(host, 2000 + (sent % 50_000) as u16, 0, 0), to, request);
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    // Queued requests are still answered.
    until_answered(&peer("[::1]:0", ("::1", server.port)), &SUM);
    let seconds = begun.elapsed().as_secs_f64();
    let octets = counted("victim");
    let within = 2000 + (1000.0 * seconds).ceil() as u64;
    let above = sent.saturating_sub(within) * (HEADERS + request.len() as u64);
    let got = octets.saturating_sub(within * (HEADERS + reply));
    let totals = server.stop();
    eprintln!(
        "{sent} requests in {seconds:.2} s: {octets} octets to the victim, {got} of them for {above} sent above the rate \
         ({:.3}); {totals}",
        got as f64 / above as f64
    );
    assert!(octets >= 2000 * (HEADERS + reply), "the burst is answered");
    assert!(4 * got <= above, "{got} octets for {above}");
}

/// The octets of an nftables counter.
fn counted(name: &str) -> u64 {
    let output = Command::new("nft").args(["list", "counter", "inet", "t", name]).output().expect("nft of nftables");
    let text = String::from_utf8(output.stdout).unwrap();
    number_after(&text, "bytes ")
}

// ---- Neighbours that do not exist.

#[test]
fn forged_neighbours_cost_a_client_nothing() {
    flood_with_neighbours(Duration::from_secs(6));
}

#[test]
#[ignore = "takes a minute"]
fn forged_neighbours_cost_a_client_nothing_for_long() {
    flood_with_neighbours(Duration::from_secs(60));
}

/// 500 requests a second from forged neighbours of the server: each reply waits for neighbour discovery.
fn flood_with_neighbours(time: Duration) {
    namespace::enter();
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_server"), "::", "0", "--workers", "1"]);
    let server = Server::spawn(command);
    let pid = server.pid().as_raw_nonzero();
    namespace::run(&format!("ip link add near type veth peer name far netns {pid}"));
    namespace::run("ip addr add fd00::1/64 dev near nodad");
    namespace::run("ip link set near up");
    for line in ["ip link set lo up", "ip addr add fd00::2/64 dev far nodad", "ip link set far up"] {
        namespace::run(&format!("nsenter -t {pid} -n {line}"));
    }
    let client = peer("[fd00::1]:0", ("fd00::2", server.port));
    until_answered(&client, &SUM);
    let to = SocketAddrV6::new("fd00::2".parse().unwrap(), server.port, 0, 0);
    let over = AtomicBool::new(false);
    let (mut asked, mut answered) = (0_u32, 0_u32);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut forger, begun, mut sent) = (Forger::new(), Instant::now(), 0_u64);
            while !over.load(Relaxed) {
                while sent < begun.elapsed().as_millis() as u64 / 2 {
                    let neighbour = Ipv6Addr::from_bits(0xfd00 << 112 | 0x1_0000 | u128::from(sent));
                    forger.send(SocketAddrV6::new(neighbour, 40_000, 0, 0), to, &SUM);
                    sent += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Neighbour discovery gives up after 3 seconds: until then the send buffer fills.
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < time {
            asked += 1;
            // Extended, because one of very many classic requests from one socket is dropped, to end loops.
            client.send(&POWER).unwrap();
            answered += u32::from(client.receive(&mut [0; 99]).is_ok());
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Relaxed);
    });
    eprintln!("500 forged neighbours a second: {asked} asked, {answered} answered; {}", server.stop());
    assert_eq!(answered, asked);
}

// ---- Loops.

#[test]
fn a_loop_is_over_within_ten_thousand_exchanges() {
    loop_with_a_foreign_server(Duration::ZERO);
}

#[test]
#[ignore = "takes a minute"]
fn a_slow_loop_is_over_within_ten_thousand_exchanges() {
    loop_with_a_foreign_server(Duration::from_millis(20));
}

/// A server of another implementation that answers every datagram, after `delay`, with an error that reads as a
/// request.
fn loop_with_a_foreign_server(delay: Duration) {
    namespace::enter();
    let server = Server::start(&["::1", "0"]);
    let foreign = peer("[::1]:0", ("::1", server.port));
    foreign.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut exchanges = 0_u64;
    // The one forged datagram that starts it.
    foreign.send(&[0x00, 0, 0, 0, 2]).unwrap();
    while exchanges < 10_000 && foreign.receive(&mut [0; 2000]).is_ok() {
        exchanges += 1;
        thread::sleep(delay);
        foreign.send(&[0x00, 0, 0, 0, 2]).unwrap();
    }
    let totals = server.stop();
    eprintln!("a loop with {delay:?} of delay ended after {exchanges} exchanges; {totals}");
    assert!((1000..10_000).contains(&exchanges) && totals.contains("loop 1"), "{exchanges}: {totals}");
}

#[test]
fn a_client_that_asks_the_same_a_thousand_times_loses_nothing() {
    let server = Server::start(&["::1", "0"]);
    let client = peer("[::1]:0", ("::1", server.port));
    (0..1000).for_each(|_| assert_eq!(ask(&client), SUM_REPLY));
    assert!(server.stop().contains("dropped 0"));
}

// ---- Addresses.

#[test]
fn datagrams_to_a_group_are_not_answered_for_any_bound_address() {
    site_with_ipv4();
    for host in ["::", "0.0.0.0"] {
        let server = Server::start(&[host, "0", "--workers", "1"]);
        let asker = UdpSocket::bind("192.0.2.1:0").unwrap();
        asker.set_broadcast(true).unwrap();
        for group in ["192.0.2.255", "255.255.255.255", "224.0.0.1"] {
            asker.send_to(&SUM, (group, server.port)).unwrap();
        }
        let mut multicast = 1;
        if host == "::" {
            multicast += 1;
            UdpSocket::bind("[fd00:0:0:1::1]:0").unwrap().send_to(&SUM, ("ff02::1%out", server.port)).unwrap();
        }
        // A connected socket takes replies only from the address that it asked.
        for address in ["127.0.0.1", "127.0.0.99", "192.0.2.1", "192.0.2.2"] {
            let from = if address.starts_with("127") { "127.0.0.1:0" } else { "192.0.2.1:0" };
            assert_eq!(ask(&peer(from, (address, server.port))), SUM_REPLY, "{address}");
        }
        let totals = server.stop();
        // Linux does not deliver 224.0.0.1 to a socket that is bound to 0.0.0.0 in its mapped form.
        let dropped = [multicast, multicast - 1].map(|multicast| match multicast {
            0 => "dropped 2 (broadcast 2)".to_owned(),
            _ => format!("dropped {} (multicast {multicast}, broadcast 2)", multicast + 2),
        });
        let counted = dropped.iter().any(|dropped| totals.contains(dropped));
        assert!(totals.contains("served 4,") && counted, "{host}: {dropped:?} in {totals}");
    }
}

#[test]
fn a_group_address_is_not_served() {
    site_with_ipv4();
    for host in ["ff02::1%out", "ff05::1", "224.0.0.1", "255.255.255.255", "192.0.2.255", "127.255.255.255"] {
        let output = Command::new(env!("CARGO_BIN_EXE_server")).args([host, "0"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{host}: {said}");
        assert!(said.contains("is a multicast or broadcast address") && said.lines().count() == 1, "{host}: {said}");
    }
}

#[test]
fn a_source_that_is_a_mapped_address_is_not_that_ipv4_address() {
    namespace::enter_site();
    let options = ["::", "0", "--workers", "1", "--allow", "127.0.0.1", "--allow", "::1", "--verbose"];
    let mut server = Server::start(&options);
    let to = SocketAddrV6::new(namespace::SERVER, server.port, 0, 0);
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    Forger::new().send(SocketAddrV6::new(mapped, 40_000, 0, 0), to, &SUM);
    server.line_with("mapped-source");
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port))), SUM_REPLY);
    let totals = server.stop();
    assert!(totals.contains("served 1, errors answered 0, dropped 1 (mapped-source 1)"), "{totals}");
}

/// [`namespace::enter_site`], with two IPv4 addresses.
fn site_with_ipv4() {
    namespace::enter_site();
    namespace::run("ip address add 192.0.2.1/24 broadcast 192.0.2.255 dev out");
    namespace::run("ip address add 192.0.2.2/24 broadcast 192.0.2.255 dev out");
    namespace::run("ip route add default dev out");
}

// ---- Helpers.

fn ask(peer: &UdpSocket) -> Vec<u8> {
    peer.send(&SUM).unwrap();
    let mut reply = [0; 100];
    let length = peer.receive(&mut reply).expect("a reply");
    reply[..length].to_vec()
}

fn number_after(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().unwrap_or_else(|_| panic!("a number after {name:?} in {text}"))
}
