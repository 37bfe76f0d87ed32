//! Requests and replies are matched: on the first pass, on the second, and on clicks in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::capture::{SERVER, Traffic, classic, extended, octets};
use crate::fields::{EXPERTS, summary};
use crate::tools::Desk;

/// The port of a second server, in the conversations between two.
const OTHER_SERVER: u16 = SERVER + 1;

const BOTH_SERVERS: [&str; 2] = ["-o", "calc6.ports:10000-10001"];

/// The fields that link one datagram to others.
const LINKS: [&str; 11] = [
    "calc6.reply_in",
    "calc6.request_in",
    "calc6.time",
    "calc6.time.repeat",
    "calc6.repeat_of",
    "calc6.repeated_in",
    "calc6.sent",
    "calc6.replies",
    "calc6.copy_of",
    "calc6.duplicate_of",
    "calc6.answers",
];

/// What is sent, and what two passes show: links and expert items. In one pass, results that follow from later packets
/// are missing.
fn script() -> (Traffic, Vec<&'static str>) {
    let mut traffic = Traffic::new();
    let mut expected = Vec::new();
    let mut say = |pause: u64, from: u16, to: u16, octets: Vec<u8>, links: &'static str| {
        traffic.send_after(Duration::from_micros(pause), from, to, octets);
        expected.push(links);
    };
    let sum = |a: u32, b: u32| classic(0, &[a, b]);
    let result = |value: u32| classic(0xff, &[value]);
    let ask = |id: u64, operand: u8| extended(false, b'+', 1, id, &[operand, 1]);
    let answer = |id: u64, value: u8| [&[0xff, 0, 0, 0][..], &id.to_be_bytes()[..], &[value][..]].concat();

    // Frames 1 and 2: one request, one reply.
    say(0, 42001, SERVER, sum(1, 3), "reply_in=2");
    say(42, SERVER, 42001, result(4), "request_in=1 time=0.000042000");
    // 3 to 7: a loss, and then the same question again.
    say(100, 42002, SERVER, sum(1, 3), "repeated_in=4 reply_in=5 sent=2");
    say(1_200_000, 42002, SERVER, sum(1, 3), "repeat_of=3 reply_in=5 sent=2 retransmission");
    say(50, SERVER, 42002, result(4), "request_in=3,4 time=1.200050000 time.repeat=0.000050000 sent=2");
    say(100, 42002, SERVER, sum(1, 3), "reply_in=7");
    say(50, SERVER, 42002, result(4), "request_in=6 time=0.000050000");
    // 8, 9: a request without a reply, a reply without a request.
    say(100, 42003, SERVER, sum(1, 3), "unanswered");
    say(100, SERVER, 42004, result(4), "orphan");
    // 10 to 12: two replies to one request.
    say(100, 42005, SERVER, sum(1, 3), "reply_in=11,12 replies=2");
    say(10, SERVER, 42005, result(4), "request_in=10 time=0.000010000");
    say(10, SERVER, 42005, result(4), "request_in=10 time=0.000020000 duplicate_of=11 duplicate");
    // 13 to 18: three classic requests on one port; the second reply comes last.
    say(100, 42006, SERVER, sum(1, 1), "reply_in=16");
    say(10, 42006, SERVER, sum(2, 2), "reply_in=18");
    say(10, 42006, SERVER, sum(3, 3), "reply_in=17");
    say(10, SERVER, 42006, result(2), "request_in=13 time=0.000030000");
    say(10, SERVER, 42006, result(6), "request_in=15 time=0.000020000");
    say(10, SERVER, 42006, result(4), "request_in=14 time=0.000040000");
    // 19 to 24: the second reply to a repeated request crosses the next request.
    say(100, 42007, SERVER, sum(1, 1), "repeated_in=20 reply_in=21,23 sent=2 replies=2");
    say(6000, 42007, SERVER, sum(1, 1), "repeat_of=19 reply_in=21,23 sent=2 replies=2 retransmission");
    say(10, SERVER, 42007, result(2), "request_in=19,20 time=0.006010000 time.repeat=0.000010000 sent=2");
    say(10, 42007, SERVER, sum(2, 2), "reply_in=24");
    say(
        10,
        SERVER,
        42007,
        result(2),
        "request_in=19,20 time=0.006030000 time.repeat=0.000030000 sent=2 duplicate_of=21 duplicate",
    );
    say(10, SERVER, 42007, result(4), "request_in=22 time=0.000020000");
    // 25 to 28: a wrong reply is matched with the oldest request, and does not displace another reply.
    say(100, 42008, SERVER, sum(5, 5), "reply_in=27");
    say(10, 42008, SERVER, sum(6, 6), "reply_in=28");
    say(10, SERVER, 42008, result(99), "request_in=25 time=0.000020000 wrong");
    say(10, SERVER, 42008, result(12), "request_in=26 time=0.000020000");
    // 29 to 38: extended requests share a port, and replies name theirs.
    say(100, 42009, SERVER, ask(1, 1), "reply_in=32");
    say(10, 42009, SERVER, ask(2, 2), "reply_in=31");
    say(10, SERVER, 42009, answer(2, 3), "request_in=30 time=0.000010000");
    say(10, SERVER, 42009, answer(1, 2), "request_in=29 time=0.000030000");
    say(10, 42009, SERVER, ask(3, 3), "repeated_in=34 reply_in=35,36 sent=2 replies=2");
    say(6000, 42009, SERVER, ask(3, 3), "repeat_of=33 reply_in=35,36 sent=2 replies=2 retransmission");
    say(10, SERVER, 42009, answer(3, 4), "request_in=33,34 time=0.006010000 time.repeat=0.000010000 sent=2");
    say(
        10,
        SERVER,
        42009,
        answer(3, 4),
        "request_in=33,34 time=0.006020000 time.repeat=0.000020000 sent=2 duplicate_of=35 duplicate",
    );
    say(10, 42009, SERVER, ask(1, 9), "unanswered reused");
    say(10, SERVER, 42009, answer(99, 9), "orphan");
    // 39, 40: a peer that knows only the classic form.
    say(100, 42010, SERVER, ask(1, 1), "reply_in=40");
    say(10, SERVER, 42010, octets("00"), "request_in=39 time=0.000010000 error classic_peer");
    // 41: a reply sent to a server, without a request.
    say(100, 42011, SERVER, octets("7f 61"), "error stray orphan");
    // 42 to 44: an error of one server, as if from the other; the answer to it would be a loop.
    say(100, OTHER_SERVER, SERVER, octets("45 00000001"), "reply_in=43 unknown_opcode liberty");
    say(10, SERVER, OTHER_SERVER, octets("7f 6f"), "request_in=42 time=0.000010000 error");
    say(10, OTHER_SERVER, SERVER, octets("7f 6f"), "answers=43 error reply_to_reply orphan");
    // 45 to 47: the same between servers whose errors look like requests.
    say(100, OTHER_SERVER, SERVER, octets("04 00000001"), "reply_in=46 unknown_opcode");
    say(10, SERVER, OTHER_SERVER, octets("00 00000001"), "request_in=45 time=0.000010000 error");
    say(10, OTHER_SERVER, SERVER, octets("00 00000001"), "answers=46 reply_to_reply unanswered");
    // 48 to 50: no answer is required, but one is sent.
    say(100, 42012, SERVER, octets("00 0001"), "ragged silence");
    say(100, 42013, SERVER, octets("00 0001"), "reply_in=50 ragged");
    say(10, SERVER, 42013, result(1), "request_in=49 time=0.000010000 wrong");
    // 51 to 58: three copies at once are three requests; a second later two of them are repeated, as one reply was lost
    // and one came too late.
    say(100, 42014, SERVER, sum(7, 7), "reply_in=54");
    say(1, 42014, SERVER, sum(7, 7), "repeated_in=55 reply_in=57 sent=2");
    say(1, 42014, SERVER, sum(7, 7), "repeated_in=56 reply_in=58 sent=2");
    say(10, SERVER, 42014, result(14), "request_in=51 time=0.000012000");
    say(1_000_000, 42014, SERVER, sum(7, 7), "repeat_of=52 reply_in=57 sent=2 retransmission");
    say(1, 42014, SERVER, sum(7, 7), "repeat_of=53 reply_in=58 sent=2 retransmission");
    say(10, SERVER, 42014, result(14), "request_in=52,55 time=1.000022000 time.repeat=0.000011000 sent=2");
    say(10, SERVER, 42014, result(14), "request_in=53,56 time=1.000031000 time.repeat=0.000020000 sent=2");
    // 59 to 61: an identifier that is seen again at once: the network, or the capture, duplicated the datagram.
    say(100, 42015, SERVER, ask(4, 4), "repeated_in=60 reply_in=61 sent=2");
    say(1, 42015, SERVER, ask(4, 4), "copy_of=59 reply_in=61 sent=2 copy");
    say(10, SERVER, 42015, answer(4, 5), "request_in=59,60 time=0.000011000 time.repeat=0.000010000 sent=2");
    // 62 to 65: texts of three digits with a NUL, and two open requests: each finds its own.
    say(100, 42016, SERVER, classic(1, &[100, 11]), "reply_in=65");
    say(10, 42016, SERVER, classic(1, &[200, 22]), "reply_in=64");
    say(10, SERVER, 42016, octets("80 323232 00"), "request_in=63 time=0.000010000 liberty");
    say(10, SERVER, 42016, octets("80 313131 00"), "request_in=62 time=0.000030000 liberty");
    (traffic, expected)
}

pub fn conversation() -> Traffic {
    script().0
}

/// Links and expert items of every packet, as words.
fn shown(desk: &Desk, capture: &std::path::Path, passes: &[&str]) -> Vec<String> {
    let columns: Vec<&str> = LINKS.iter().chain(EXPERTS).copied().collect();
    let options: Vec<&str> = BOTH_SERVERS.iter().chain(passes).copied().collect();
    let rows = desk.fields(capture, &options, &columns);
    rows.iter().map(|row| words(columns.iter().copied().zip(row.iter().map(String::as_str)))).collect()
}

fn words<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let present = fields.filter(|(_, value)| !value.is_empty());
    let words = present.map(|(name, value)| {
        let name = name.trim_start_matches("calc6.");
        if EXPERTS.iter().any(|expert| expert.ends_with(&format!(".{name}"))) {
            name.to_owned()
        } else {
            format!("{name}={value}")
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The words in a fixed order, for comparison.
fn sorted(line: &str) -> Vec<&str> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.sort_unstable();
    words
}

#[test]
fn two_passes_link_both_ways() {
    let desk = Desk::new();
    let (traffic, expected) = script();
    let capture = desk.path("tracking.pcapng");
    traffic.write(&capture);
    let shown = shown(&desk, &capture, &["-2"]);
    assert_eq!(shown.len(), expected.len());
    for (number, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
        assert_eq!(sorted(shown), sorted(expected), "frame {}", number + 1);
    }
}

/// One pass cannot know what comes later, and shows everything else.
#[test]
fn one_pass_links_backwards() {
    let desk = Desk::new();
    let (traffic, expected) = script();
    let capture = desk.path("tracking.pcapng");
    traffic.write(&capture);
    let later = ["reply_in", "repeated_in", "replies", "unanswered", "silence"];
    for (number, (shown, expected)) in shown(&desk, &capture, &[]).iter().zip(&expected).enumerate() {
        let mut expected = sorted(expected);
        expected.retain(|word| !later.contains(&word.split('=').next().unwrap()));
        // A request does not know yet how often it will be sent.
        let first_of_several = expected.iter().any(|word| word.starts_with("sent="))
            && !expected
                .iter()
                .any(|word| ["repeat_of", "copy_of", "request_in"].contains(&word.split('=').next().unwrap()));
        expected.retain(|word| !(first_of_several && word.starts_with("sent=")));
        assert_eq!(sorted(shown), expected, "frame {}", number + 1);
    }
}

/// The frame numbers below the protocol's item, by label.
fn frame_links(tree: &Value) -> BTreeMap<String, Vec<u64>> {
    let protocol = tree.as_array().unwrap().iter().find(|item| item["f"] == "calc6").unwrap();
    let mut links: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for item in protocol["n"].as_array().unwrap().iter().filter(|item| item["t"] == "framenum") {
        let label = item["l"].as_str().unwrap();
        let name = label.split(':').next().unwrap().to_owned();
        links.entry(name).or_default().push(item["fnum"].as_u64().unwrap());
    }
    links
}

/// On a click sharkd does the same as Wireshark: it dissects that one packet again. The last packets first, some twice.
#[test]
fn clicks_in_any_order_show_the_same() {
    let desk = Desk::new();
    let (traffic, expected) = script();
    let capture = desk.path("tracking.pcapng");
    // The second server's port is not in the default range: its conversation is left out.
    let mut traffic = traffic;
    traffic.datagrams.truncate(41);
    traffic.write(&capture);
    let mut order: Vec<usize> = (1..=41).rev().collect();
    order.extend([5, 3, 12, 36, 8]);
    let labels = [
        ("reply_in", "Reply in frame"),
        ("request_in", "Request in frame"),
        ("repeat_of", "Retransmission of frame"),
        ("repeated_in", "Retransmitted in frame"),
        ("duplicate_of", "Duplicate of the reply in frame"),
        ("copy_of", "Copy of frame"),
    ];
    for (frame, tree) in order.iter().zip(desk.click(&capture, &order)) {
        let mut wanted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for word in expected[frame - 1].split(' ') {
            let Some((name, frames)) = word.split_once('=') else { continue };
            if let Some((_, label)) = labels.iter().find(|(short, _)| *short == name) {
                wanted.insert((*label).to_owned(), frames.split(',').map(|number| number.parse().unwrap()).collect());
            }
        }
        assert_eq!(frame_links(&tree), wanted, "frame {frame}");
    }
}

/// With names instead of addresses, two of them the same, and one that appears only in the middle.
#[test]
fn names_of_addresses_change_nothing() {
    let desk = Desk::new();
    let (mut traffic, expected) = script();
    let capture = desk.path("tracking.pcapng");
    for datagram in &mut traffic.datagrams {
        let server = datagram.from.port() == SERVER;
        datagram.from.set_ip(if server { "2001:db8::1" } else { "2001:db8::2" }.parse().unwrap());
        datagram.to.set_ip(if server { "2001:db8::2" } else { "2001:db8::1" }.parse().unwrap());
    }
    traffic.write(&capture);
    let hosts = desk.path("hosts");
    std::fs::write(&hosts, "2001:db8::1 calculator\n2001:db8::2 calculator\n").unwrap();
    let shown = shown(&desk, &capture, &["-2", "-N", "n", "-H", hosts.to_str().unwrap()]);
    for (number, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
        assert_eq!(sorted(shown), sorted(expected), "frame {}", number + 1);
    }
}

/// The copy of a request in an ICMPv6 error is shown, but is not counted as a request.
#[test]
fn a_copy_in_an_icmp_error_is_not_a_request() {
    let desk = Desk::new();
    let capture = desk.path("icmp.pcap");
    let packet = port_unreachable(&classic(0, &[1, 3]));
    let text: String = packet.iter().map(|octet| format!(" {octet:02x}")).collect();
    let dump = desk.path("dump");
    std::fs::write(&dump, format!("000000{text}\n")).unwrap();
    let mut text2pcap = desk.command("text2pcap");
    text2pcap.args(["-q", "-l", "101"]).arg(&dump).arg(&capture);
    assert!(text2pcap.output().unwrap().status.success());
    let rows = desk.fields(&capture, &["-2"], &["calc6.op", "calc6.operand", "calc6.unanswered"]);
    assert_eq!(rows, [["+", "1,3", ""]]);
    assert!(desk.info(&capture, &[])[0].contains("unreachable"));
}

/// An ICMPv6 error, "port unreachable" (RFC 4443, section 3.1), about a datagram from port 42000 to the server.
fn port_unreachable(payload: &[u8]) -> Vec<u8> {
    use etherparse::PacketBuilder;
    let address = std::net::Ipv6Addr::LOCALHOST.octets();
    let mut asked = Vec::new();
    PacketBuilder::ipv6(address, address, 64).udp(42000, SERVER).write(&mut asked, payload).unwrap();
    let mut packet = Vec::new();
    let unreachable = etherparse::Icmpv6Type::DestinationUnreachable(etherparse::icmpv6::DestUnreachableCode::Port);
    PacketBuilder::ipv6(address, address, 64).icmpv6(unreachable).write(&mut packet, &asked).unwrap();
    packet
}

/// If a capture truncates packets, the captured octets are shown, and missing octets cause no fault.
#[test]
fn packets_truncated_by_the_capture_are_not_checked() {
    let desk = Desk::new();
    let (whole, truncated) = (desk.path("whole.pcapng"), desk.path("truncated.pcapng"));
    let mut traffic = Traffic::new();
    traffic.ask(42000, classic(0, &[1, 3, 5]), classic(0xff, &[9]));
    traffic.ask(42001, extended(false, b'+', 2, 0x0102_0304_0506_0708, &[0, 1, 0, 2]), octets("7f"));
    traffic.write(&whole);
    // IPv6 and UDP take 48 octets; six more are kept.
    let mut editcap = desk.command("editcap");
    editcap.args(["-s", "54"]).arg(&whole).arg(&truncated);
    crate::tools::run(editcap);
    let columns = ["calc6.form", "calc6.operand", "calc6.check", "calc6.cut", "calc6.malformed"];
    let rows = desk.fields(&truncated, &[], &columns);
    assert_eq!(rows[0], ["classic", "1", "", "1", ""]);
    assert_eq!(rows[1], ["classic", "", "not checked", "", ""]);
    assert_eq!(rows[2], ["extended", "", "", "1", ""]);
    let info: Vec<String> = desk.info(&truncated, &[]).iter().map(|info| summary(info)).collect();
    assert_eq!(info[0], "sum 1, ... (3 operands)");
    assert_eq!(info[1], "Result 9 in T");
}
