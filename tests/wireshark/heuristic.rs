//! Messages recognised without a port: extended requests, their replies, and nothing else.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::capture::{SERVER, Traffic, classic, extended, octets};
use crate::tools::Desk;

/// Ports that no dissector of Wireshark has registered.
const CLIENT: u16 = 45000;
const ELSEWHERE: u16 = 45999;

const OPERATORS: &[u8] = b"+*-/%^gl<>&|~?";

/// Our heuristic is on.
const ANYWHERE: [&str; 2] = ["-o", "calc6.heuristic:TRUE"];

/// Our heuristic is on, and asked before any dissector that a port selects.
const HEURISTICS_FIRST: [&str; 4] = ["-o", "calc6.heuristic:TRUE", "-o", "udp.try_heuristic_first:TRUE"];

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(53)
}

fn noise(random: &mut impl Rng, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    random.fill_bytes(&mut octets);
    octets
}

/// A DNS message (RFC 1035, section 4.1) with one question.
fn dns(id: u16, flags: u16, additional: u16, name: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [id, flags, 1, 0, 0, additional] {
        message.extend(word.to_be_bytes());
    }
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend([0, 0, 28, 0, 1]);
    if additional == 1 {
        // EDNS(0): RFC 6891, section 6.1.2.
        message.extend(octets("00 0029 04d0 00000000 0000"));
    }
    message
}

/// Every identifier whose octets could begin an extended message, with names of many lengths: queries and answers.
fn dns_messages() -> Vec<Vec<u8>> {
    const NAMES: [&str; 6] = ["a.se", "ns.nl", "example.com", "www.example.org", "_ipp._tcp.local", "x.ip6.arpa"];
    let ids = [0x1e00..=0x1eff, 0x1f00..=0x1fff, 0x7f00..=0x7fff, 0xff00..=0xffff];
    let mut messages = Vec::new();
    for (number, id) in ids.into_iter().flatten().enumerate() {
        for flags in [0x0000, 0x0100, 0x0120, 0x0200, 0x2000, 0x2800, 0x8180] {
            messages.push(dns(id, flags, (number % 2) as u16, NAMES[number % NAMES.len()]));
        }
    }
    messages
}

/// Multicast DNS (RFC 6762): identifier 0, or one of a legacy query.
fn mdns_messages() -> Vec<Vec<u8>> {
    [0, 0x1e2b, 0x1f2a, 0xff00].iter().map(|id| dns(*id, 0, 0, "_calculator._udp.local")).collect()
}

/// NTP (RFC 5905): every leap indicator, version and mode; control and private messages (modes 6 and 7) of version 3
/// begin with 0x1e and 0x1f.
fn ntp_packets(random: &mut impl Rng) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for first in 0..=255 {
        for _ in 0..8 {
            let mut packet = vec![first, random.random_range(0..16), 6, 0xec];
            packet.extend(noise(random, 44));
            packets.push(packet);
        }
    }
    for operation in 0..32 {
        for sequence in 0..256u16 {
            // Mode 6 (RFC 9327): operation, sequence, status, association, offset, count.
            let mut control = vec![0x1e, operation | if sequence % 2 == 0 { 0 } else { 0x20 }];
            control.extend((sequence * 256).to_be_bytes());
            control.extend([0; 8]);
            packets.push(control.clone());
            control.extend(noise(random, 12));
            packets.push(control);
        }
    }
    for request in 0..64 {
        for sequence in 0..128 {
            // Mode 7, as ntpdc sent it: sequence, implementation 3, request code, no items.
            let mut private = vec![0x1f, sequence, 3, request, 0, 0, 0, 0];
            private.extend([0; 40]);
            packets.push(private);
        }
    }
    packets
}

/// QUIC (RFC 9000, section 17): long headers of every kind, Retry and Version Negotiation among them, and short ones,
/// with the fixed bit greased (RFC 9287) too.
fn quic_packets(random: &mut impl Rng) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for _ in 0..3000 {
        let mut long = vec![0xc0 | random.random::<u8>()];
        long.extend([0, 0, 0, random.random_range(0..2)]);
        let id_length = random.random_range(0..=20);
        long.push(id_length);
        long.extend(noise(random, usize::from(id_length)));
        long.push(8);
        let length = random.random_range(20..1200);
        long.extend(noise(random, length));
        packets.push(long);
        let mut short =
            vec![if random.random() { 0x40 | random.random::<u8>() } else { 0x1e | random.random::<u8>() & 1 }];
        let length = random.random_range(20..1200);
        short.extend(noise(random, length));
        packets.push(short);
    }
    // A Retry whose first octets are those of a successful reply.
    packets.extend((0..200).map(|_| [&octets("ff 00000001 08")[..], &noise(random, 60)].concat()));
    packets
}

/// Random octets of random lengths; some of them begin like calc6 messages.
fn random_octets(random: &mut impl Rng) -> Vec<Vec<u8>> {
    (0..20_000)
        .map(|number| {
            let length = random.random_range(1..200);
            let mut octets = noise(random, length);
            if number % 2 == 0 {
                octets[0] = [0x1e, 0x1f, 0x7f, 0xff][random.random_range(0..4)];
            }
            octets
        })
        .collect()
}

/// Each kind with the port that Wireshark assigns to it.
fn strangers() -> Vec<(&'static str, u16, Vec<Vec<u8>>)> {
    let mut random = random();
    vec![
        ("DNS", 53, dns_messages()),
        ("mDNS", 5353, mdns_messages()),
        ("NTP", 123, ntp_packets(&mut random)),
        ("QUIC", 443, quic_packets(&mut random)),
        ("random octets", 9, random_octets(&mut random)),
    ]
}

#[test]
fn messages_of_other_protocols_are_not_claimed() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    for (_, port, messages) in strangers() {
        for (number, message) in messages.into_iter().enumerate() {
            // On its own port and on an unknown one, in either direction.
            let server = if number % 2 == 0 { port } else { ELSEWHERE };
            if number % 3 == 0 {
                traffic.send_after(Duration::from_micros(1), server, CLIENT, message);
            } else {
                traffic.send_after(Duration::from_micros(1), CLIENT, server, message);
            }
        }
    }
    assert!(traffic.datagrams.len() > 50_000);
    let capture = desk.path("strangers.pcapng");
    traffic.write(&capture);
    let claimed = desk.info(&capture, &[&HEURISTICS_FIRST[..], &["-Y", "calc6"]].concat());
    assert!(claimed.is_empty(), "{claimed:?}");
}

/// Well-formed requests with random identifiers, and the replies to them, on a port that no preference names.
#[test]
fn extended_messages_are_recognised_anywhere() {
    const COUNT: usize = 2000;
    let desk = Desk::new();
    let mut random = random();
    let mut traffic = Traffic::new();
    for number in 0..COUNT {
        let operator = OPERATORS[number % OPERATORS.len()];
        let id = random.random();
        let operands: Vec<u8> = [random.random_range(1..128), 0, 0, random.random_range(1..128)].to_vec();
        let request = extended(random.random(), operator, 2, id, &operands);
        let reply = [&[0xff, 0, 0, 0][..], &id.to_be_bytes(), &[5]].concat();
        let client = CLIENT + (number % 50) as u16;
        traffic.send(client, ELSEWHERE, request).send(ELSEWHERE, client, reply);
    }
    let capture = desk.path("extended.pcapng");
    traffic.write(&capture);
    for passes in [&[][..], &["-2"][..]] {
        let options = [&ANYWHERE[..], passes].concat();
        let rows = desk.fields(&capture, &options, &["calc6.message", "calc6.request_in"]);
        for (number, row) in rows.iter().enumerate() {
            let asked_in = number.to_string();
            let expected = if number % 2 == 0 { ["request", ""] } else { ["reply", &asked_in] };
            assert_eq!(row[..], expected, "frame {}", number + 1);
        }
    }
}

/// Classic messages need the port or Decode As; so do replies without a request, and forged identifiers.
#[test]
fn other_messages_need_a_port() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    let sum = classic(0, &[1, 3]);
    traffic.send(CLIENT, ELSEWHERE, sum).send(ELSEWHERE, CLIENT, octets("ff 00000004"));
    traffic.send(ELSEWHERE, CLIENT, octets("ff 00 00 00 a1b2c3d4e5f60718 03"));
    traffic.send(CLIENT, ELSEWHERE, extended(false, b'+', 1, 1, &[1, 3]));
    traffic.send(CLIENT, ELSEWHERE, extended(false, b'@', 1, 0xa1b2_c3d4_e5f6_0718, &[1, 3]));
    traffic.send(CLIENT, ELSEWHERE, extended(false, b'+', 2, 0xa1b2_c3d4_e5f6_0718, &[1, 3, 5]));
    let capture = desk.path("rest.pcapng");
    traffic.write(&capture);
    assert_eq!(desk.info(&capture, &[&ANYWHERE[..], &["-Y", "calc6"]].concat()), [""; 0]);
    let named = format!("udp.port=={ELSEWHERE},calc6");
    assert_eq!(desk.info(&capture, &["-d", &named, "-Y", "calc6"]).len(), traffic.datagrams.len());
}

/// Wireshark puts `_ws.lua.fake` into the hierarchy of packets about which it asks a Lua heuristic.
#[test]
fn the_protocol_hierarchy_of_others_is_untouched() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    traffic.send(CLIENT, 53, dns(7, 0x0100, 0, "example.com")).send(CLIENT, ELSEWHERE, octets("00 01 02"));
    let capture = desk.path("hierarchy.pcapng");
    traffic.write(&capture);
    let hierarchy =
        |options: &[&str]| desk.tshark(&[&["-q", "-z", "io,phs", "-r", capture.to_str().unwrap()], options].concat());
    let without = hierarchy(&[]);
    assert!(without.contains("dns") && without.contains("data") && !without.contains("lua"), "{without}");
    // If this fails, Wireshark has changed, and the heuristic can be on by default.
    assert!(hierarchy(&ANYWHERE).contains("_ws.lua.fake"));
    // Our messages are counted, even if nothing else looks at the packets.
    let mut ours = Traffic::new();
    ours.ask(42000, classic(0, &[1, 3]), octets("ff 00000004"));
    ours.write(&capture);
    let counted = hierarchy(&[]).lines().find(|line| line.trim().starts_with("calc6 ")).map(str::to_owned);
    assert!(counted.is_some_and(|line| line.contains("frames:2 ")));
}

#[test]
fn ports_come_from_the_preference_and_from_decode_as() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    for server in [SERVER, 7000, 7005, 7010, 7011] {
        traffic.send(46000, server, classic(0, &[1, 3])).send(server, 46000, octets("80 00000004"));
    }
    let capture = desk.path("ports.pcapng");
    traffic.write(&capture);
    let seen = |options: &[&str]| -> Vec<String> {
        let rows = desk.fields(&capture, options, &["udp.port", "calc6.message"]);
        let calc6 = rows.into_iter().filter(|row| !row[1].is_empty());
        calc6.map(|row| format!("{} {}", row[0], row[1])).collect()
    };
    let both = |server: u16| [format!("46000,{server} request"), format!("{server},46000 reply")];
    assert_eq!(seen(&[]), both(SERVER));
    assert_eq!(seen(&["-o", "calc6.ports:7000-7010"]), [both(7000), both(7005), both(7010)].concat());
    assert_eq!(seen(&["-o", "calc6.ports:10000,7011"]), [both(SERVER), both(7011)].concat());
    assert_eq!(seen(&["-o", "calc6.ports:"]), [""; 0]);
    assert_eq!(seen(&["-d", "udp.port==7005,calc6"]), [both(SERVER), both(7005)].concat());
    assert_eq!(
        seen(&["-o", "calc6.ports:", "-d", "udp.port==7000-7010,calc6"]),
        [both(7000), both(7005), both(7010)].concat()
    );
}
