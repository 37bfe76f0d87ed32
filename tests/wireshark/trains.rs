//! Trains of segments, each captured as one datagram: where they are divided, and where they must not be.

use crate::capture::{SERVER, Traffic, classic, extended, octets};
use crate::fields::summary;
use crate::tools::{Desk, run};

fn result(id: u64, value: u8) -> Vec<u8> {
    [&[0xff, 0, 0, 0][..], &id.to_be_bytes(), &[value]].concat()
}

fn sum(a: u32, b: u32) -> Vec<u8> {
    classic(0, &[a, b])
}

/// What is sent, and what two passes show of it.
fn script() -> (Traffic, Vec<&'static str>) {
    let mut traffic = Traffic::new();
    let mut expected = Vec::new();
    let mut say = |from: u16, to: u16, octets: Vec<u8>, shown: &'static str| {
        traffic.send(from, to, octets);
        expected.push(shown);
    };
    let ask = |operator: u8, id: u64, operands: &[u8]| extended(false, operator, 1, id, operands);
    // Extended requests and their replies, the last of each shorter than the others.
    say(
        43001,
        SERVER,
        [ask(b'+', 1, &[1, 3]), ask(b'*', 2, &[5, 7]), ask(b'-', 3, &[9])].concat(),
        "[3 segments] sum 1, 3 (2 operands); product 5, 7 (2 operands); difference 9 (1 operand)",
    );
    say(
        SERVER,
        43001,
        [result(1, 4), result(2, 35), result(3, 0xf7)].concat(),
        "[3 segments] Result 4 in T; Result 35 in T; Result -9 in T",
    );
    // Classic requests one by one, and their replies joined: integers, texts, errors.
    say(43002, SERVER, sum(1, 2), "sum 1, 2 (2 operands)");
    say(43002, SERVER, sum(3, 4), "sum 3, 4 (2 operands)");
    say(SERVER, 43002, octets("ff 00000003 ff 00000007"), "[2 segments] Result 3 in T; Result 7 in T");
    say(43003, SERVER, classic(3, &[3, 13]), "product 3, 13 (2 operands) as text");
    say(43003, SERVER, classic(1, &[3, 4]), "sum 3, 4 (2 operands) as text");
    say(SERVER, 43003, octets("ff 3339 ff 37"), "[2 segments] Result 39 in T; Result 7 in T");
    say(43004, SERVER, classic(4, &[1]), "[Unknown opcode 2] 1 (1 operand)");
    say(43004, SERVER, classic(4, &[2]), "[Unknown opcode 2] 2 (1 operand)");
    say(SERVER, 43004, octets("7f 6f6f7073 7f 6f6f7073"), "[2 segments] Error \"oops\" in T; Error \"oops\" in T");
    // Classic requests joined: the first train is one malformed request until its answers come, the second is known.
    say(
        43005,
        SERVER,
        [sum(1, 300), sum(2, 301), sum(3, 302)].concat(),
        "[3 segments] sum 1, 300 (2 operands); sum 2, 301 (2 operands); sum 3, 302 (2 operands)",
    );
    say(
        SERVER,
        43005,
        [classic(0xff, &[301]), classic(0xff, &[303]), classic(0xff, &[305])].concat(),
        "[3 segments] Result 301 in T; Result 303 in T; Result 305 in T",
    );
    say(
        43005,
        SERVER,
        [sum(4, 300), sum(5, 301)].concat(),
        "[2 segments] sum 4, 300 (2 operands); sum 5, 301 (2 operands)",
    );
    // A wrong result in a train is reported as wrong, and the others are not.
    say(
        SERVER,
        43005,
        [classic(0xff, &[304]), classic(0xff, &[99])].concat(),
        "[2 segments] Result 304 in T; Result 99 in T [Wrong: 306 expected]",
    );
    // Not trains: padding after the header, which reads as four sums of one operand; half an operand; zeros.
    say(
        43006,
        SERVER,
        octets("00000000 00000001 00000003 00000100 00000007"),
        "[Malformed: 19 octets after the header, not a multiple of 4]",
    );
    say(43007, SERVER, octets("00 00000001 0002"), "[Malformed: 6 octets after the header, not a multiple of 4]");
    say(43008, SERVER, vec![0; 1024], "[Malformed: 1023 octets after the header, not a multiple of 4]");
    // Replies of other servers with octets after them, and a structure of 8 octets.
    say(43009, SERVER, sum(1, 2), "sum 1, 2 (2 operands)");
    say(
        SERVER,
        43009,
        octets("80 00000003 000000"),
        "[Malformed: 7 octets for an integer, which has 4] in T [Wrong: 7 octets for an integer, which has 4]",
    );
    say(43010, SERVER, sum(1, 2), "sum 1, 2 (2 operands)");
    say(
        SERVER,
        43010,
        octets("80 00000003 80 00000003"),
        "[Malformed: 9 octets for an integer, which has 4] in T [Wrong: 9 octets for an integer, which has 4]",
    );
    // An integer whose octets could be two texts, and a correct result that reads as two replies.
    say(43011, SERVER, classic(0, &[0x3934_ff00, 0x37]), "sum 959774464, 55 (2 operands)");
    say(SERVER, 43011, octets("ff 3934ff37"), "Result 959774519 in T");
    say(
        43012,
        SERVER,
        extended(false, b'|', 14, 4, &octets("05 ff000000 0000000000000005 07")),
        "or 121615229459395758206089963767047 (1 operand)",
    );
    say(
        SERVER,
        43012,
        [&octets("ff000000")[..], &4u64.to_be_bytes(), &octets("05 ff000000 0000000000000005 07")].concat(),
        "Result 121615229459395758206089963767047 in T",
    );
    (traffic, expected)
}

#[test]
fn two_passes_divide_what_is_a_train() {
    let desk = Desk::new();
    let (traffic, expected) = script();
    let capture = desk.path("trains.pcapng");
    traffic.write(&capture);
    let shown: Vec<String> = desk.info(&capture, &["-2"]).iter().map(|info| summary(info)).collect();
    assert_eq!(shown, expected);
    let columns = ["calc6.segments", "calc6.segment", "calc6.result", "calc6.request_in", "calc6.check", "calc6.train"];
    let rows = desk.fields(&capture, &["-2"], &columns);
    assert_eq!(rows[1], ["3", "1,2,3", "4,35,-9", "1,1,1", "right,right,right", "1"]);
    assert_eq!(rows[14], ["2", "1,2", "304,99", "14,14", "right,wrong", "1"]);
    assert_eq!(rows[15], ["", "", "", "", "", ""]);
}

/// One pass recognises a train of classic requests only after its answers came, and everything else as two passes do.
#[test]
fn one_pass_divides_the_first_classic_requests_late() {
    let desk = Desk::new();
    let (traffic, mut expected) = script();
    let capture = desk.path("trains.pcapng");
    traffic.write(&capture);
    expected[11] = "[Malformed: 26 octets after the header, not a multiple of 4]";
    let shown: Vec<String> = desk.info(&capture, &[]).iter().map(|info| summary(info)).collect();
    assert_eq!(shown, expected);
}

/// Each segment is counted, also in one pass.
#[test]
fn statistics_count_segments() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    traffic.send(43001, SERVER, [sum(1, 300), sum(2, 301), sum(3, 302)].concat());
    traffic.send(SERVER, 43001, [classic(0xff, &[301]), classic(0xff, &[303]), classic(0xff, &[9])].concat());
    let capture = desk.path("trains.pcapng");
    traffic.write(&capture);
    let report = desk.tshark(&["-q", "-r", capture.to_str().unwrap(), "-z", "calc6,stat"]);
    let words: Vec<&str> = report.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words, ["sum", "3", "0", "0", "3", "1"], "{report}");
    assert!(report.lines().any(|line| line.starts_with("classic success") && line.ends_with(" 3")), "{report}");
}

/// A train is shown once for each of its segments, in any order of selection.
#[test]
fn a_click_shows_every_segment() {
    let desk = Desk::new();
    let (traffic, _) = script();
    let capture = desk.path("trains.pcapng");
    traffic.write(&capture);
    for tree in desk.click(&capture, &[13, 12, 13]) {
        let protocol = tree.as_array().unwrap().iter().find(|item| item["f"] == "calc6").unwrap();
        assert_eq!(protocol["l"], "Calculator over UDP, train of 3 segments");
        let labels = protocol["n"].as_array().unwrap().iter().map(|item| item["l"].as_str().unwrap());
        let labels: Vec<&str> = labels.filter(|label| label.starts_with("Segment ")).collect();
        assert_eq!(labels.len(), 3, "{protocol}");
        assert!(labels.iter().zip(1..).all(|(label, number)| label.starts_with(&format!("Segment {number} of 3, "))));
    }
}

/// Our programs on lo, which divides no train: every request and every reply is seen, by the dissector and by `lab
/// explain`, and nothing is wrong.
#[test]
fn trains_of_our_programs_are_divided() {
    let desk = Desk::new();
    let script = r#"ip link set lo up
>says
$SERVER ::1 10000 2>says &
until grep -q listening says; do sleep 0.05; done
seq 20000 >integers
dumpcap -q -i lo -f udp -w film.pcapng 2>dumpcap &
until [ -s film.pcapng ]; do sleep 0.05; done
sleep 0.3
$CLIENT -q -op + --file integers ::1 10000
$LAB bench ::1 10000 --duration 0.05 --warm-up 0 --connections 1 --window 8 --json >bench
sleep 0.5
kill -TERM %1 %2
wait
"#;
    let mut unshare = desk.command("unshare");
    unshare.args(["--net", "--pid", "--fork", "--kill-child", "timeout", "60", "bash", "-ec", script]);
    unshare.env("SERVER", env!("CARGO_BIN_EXE_server")).env("CLIENT", env!("CARGO_BIN_EXE_client"));
    unshare.env("LAB", env!("CARGO_BIN_EXE_lab")).current_dir(desk.path("."));
    assert_eq!(run(unshare).trim(), "200010000");
    let capture = desk.path("film.pcapng");
    let trains = desk.fields(&capture, &["-Y", "calc6.train"], &["calc6.segments"]);
    assert!(trains.len() > 10, "{} trains: nothing was tried", trains.len());
    let report = desk.tshark(&["-q", "-r", capture.to_str().unwrap(), "-z", "calc6,stat"]);
    let line = report.lines().find(|line| line.starts_with("sum ")).unwrap();
    let [requests, repeats, unanswered, replies, wrong] =
        line.split_whitespace().skip(1).map(|word| word.parse::<u64>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{report}")
    };
    assert_eq!((unanswered, wrong, requests), (0, 0, replies), "{report}");
    let orphans = report.lines().find(|line| line.starts_with("Replies without a request")).unwrap();
    assert!(requests > 500 && orphans.ends_with(" 0"), "{report}");
    let mut lab = desk.command(env!("CARGO_BIN_EXE_lab"));
    lab.args(["explain", "--show", "ladder", "--port", "10000", "--pcap"]).arg(&capture);
    let explained = run(lab);
    let total = requests + repeats + replies;
    let totals = format!("{total} datagrams: {requests} requests, 0 of them unanswered; {replies} replies; 0 wrong");
    assert!(explained.contains(&totals), "{totals}\n{}", &explained[explained.len() - 600..]);
}

/// The heuristic recognises a train of extended requests as it recognises each of them.
#[test]
fn a_train_on_any_port() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    let ids = [0x0102_0304_0506_0708, 0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff12];
    let requests: Vec<u8> = ids.iter().flat_map(|id| extended(false, b'+', 3, *id, &[0, 0, 1, 0, 0, 2])).collect();
    let replies: Vec<u8> = ids.iter().flat_map(|id| result(*id, 3)).collect();
    traffic.send(43001, 50505, requests).send(50505, 43001, replies);
    let capture = desk.path("trains.pcapng");
    traffic.write(&capture);
    let rows = desk.fields(&capture, &["-2", "-o", "calc6.heuristic:TRUE"], &["calc6.segments", "calc6.check"]);
    assert_eq!(rows, [["3", ""], ["3", "right,right,right"]]);
}
