//! `lab explain` end to end: the real program, its words, its standard input and captures.

#![cfg(feature = "programs")]

#[allow(dead_code, reason = "lab relay uses the rest")]
#[path = "../bin/lab/pcap.rs"]
mod pcap;

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use pcap::{CaptureWriter, PacketDirection, Record};

fn explain(line: &str, stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("explain")
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without having read everything.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

/// Exit status and standard output; standard error must be empty.
fn explained(line: &str, stdin: &[u8]) -> (Option<i32>, String) {
    let output = explain(line, stdin);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Exit status and standard error; nothing is printed.
fn refused(line: &str, stdin: &[u8]) -> (Option<i32>, String) {
    let output = explain(line, stdin);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

struct File(PathBuf);

impl File {
    fn new(name: &str) -> File {
        File(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_request_and_its_reply() {
    let expected = "\
#1  classic request, 9 octets: * 1 3
      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0000 |Unused |Opcod|F|                 Operand 1 = 1                 |
     |0 0 0 0|0 0 1|1|      00              00              00       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0004 |               |                 Operand 2 = 3                 |
     |      01       |      00              00              00       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0008 |      03       |
     +-+-+-+-+-+-+-+-+
0000  03  0000....             Unused              0  [2.2]
          ....001.             Opcode              1 product  [2.3]
          .......1             Format              1 text  [2.4]
0001  00 00 00 01              Operand 1           1  [2.1]
0005  00 00 00 03              Operand 2           3  [2.1]

#2  classic reply, 2 octets: = 3
   answers #1
      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0000 |S|   Unused    |  Result = 3   |
     |1|1 1 1 1 1 1 1|      33       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0000  ff  1.......             Success             1 yes  [2.5]
          .1111111             Unused              127  [2.5]
0001  33                       Result              3 text  [2.4]
";
    assert_eq!(explained("03 00000001 00000003 / ff 33", b""), (Some(0), expected.to_owned()));
    assert_eq!(explained("", b"03 00000001 00000003\nff33\n"), (Some(0), expected.to_owned()));
    assert_eq!(
        explained("", b"# xxd\n00000000: 0300 0000 0100 0000 03  .........\nff33"),
        (Some(0), expected.to_owned())
    );
}

#[test]
fn what_is_wrong_is_pointed_at_and_is_exit_status_1() {
    for (line, pointed) in [
        (
            "00 00000001 0000",
            "0005  00 00                    Operand 2           truncated: 2 of 4 octets  [2.1]\n      ^^ ^^                    ! 6 octets of operands: not a multiple of 4; a server does not answer  [2.7]\n",
        ),
        (
            "44 00000001",
            "          ....010.             Opcode              2 unknown  [2.3]\n              ^^^              ! opcode 2 is \
             unknown: a server answers with an error  [2.6]\n",
        ),
        ("00 00000001 00000003 / ff 00000005", "      ^^ ^^ ^^ ^^              ! the right result is 4  [2.3]\n"),
        (
            "ff 2020",
            "      ^^ ^^                    ! the payload is not a decimal integer, for either value of the request's bit F; a",
        ),
        (
            "1e2b0400 0102030405060708 00000001/ff000000 0102030405060709 01",
            "      ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^  ! not the identifier of the request; a client ignores this",
        ),
    ] {
        let (status, stdout) = explained(line, b"");
        assert_eq!(status, Some(1), "{line}\n{stdout}");
        assert!(stdout.contains(pointed), "{line}\n{stdout}");
    }
    // Remarks are not errors.
    let (status, stdout) = explained("71 00000004 / 80 34", b"");
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.contains("* the unused bits are 7: clients send 0, servers ignore them  [2.2]"), "{stdout}");
    let (status, stdout) = explained("01 00000004 / ff 3400", b"");
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.contains("\n         ^^                    * a NUL after the digits"), "{stdout}");
}

#[test]
fn arguments_that_cannot_be_parsed_are_exit_status_2() {
    let (status, stderr) = refused("00 0z", b"");
    assert_eq!(
        (status, &stderr[..]),
        (Some(2), "lab: argument 2: \"0z\", character 2: expected hexadecimal digits, found 'z'\n")
    );
    let (status, stderr) = refused("", b"\n  0\n");
    assert_eq!(
        (status, &stderr[..]),
        (Some(2), "lab: line 2, column 4: expected two digits for each octet, found one\n")
    );
    assert_eq!(refused("", b"\xff").0, Some(2));
    assert_eq!(refused("--pcap x", b"").0, Some(2), "no port");
    assert_eq!(refused("--pcap x --port 0", b"").0, Some(2));
    assert_eq!(refused("--pcap x --port 1 00", b"").0, Some(2));
    let (status, stderr) = refused("--pcap /no/such/file --port 1", b"");
    assert_eq!(
        (status, &stderr[..]),
        (Some(1), "lab: cannot read /no/such/file: No such file or directory (os error 2)\n")
    );
    let (status, stderr) = refused("--pcap - --port 1", b"text");
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with("lab: -: neither pcap nor pcapng"), "{stderr}");
}

/// A capture of datagrams between a port of ::1 and the server's, 10000: milliseconds, the port, whether it goes to the
/// server, and its octets.
fn written(name: &str, datagrams: impl IntoIterator<Item = (u64, u16, bool, Vec<u8>)>) -> File {
    let file = File::new(name);
    let mut capture = CaptureWriter::create(&file.0, &[("lo", "made by a test")]).unwrap();
    let server = "[::1]:10000".parse().unwrap();
    for (milliseconds, port, to_server, payload) in datagrams {
        let client = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let (from, to) = if to_server { (client, server) } else { (server, client) };
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(milliseconds);
        let payload = &payload[..];
        capture
            .record(Record { interface: 0, time, direction: PacketDirection::In, from, to, payload, comment: "" })
            .unwrap();
    }
    capture.flush().unwrap();
    file
}

/// An exchange with a lost request, a reply, its duplicate, and a request that stays unanswered.
fn capture(name: &str) -> File {
    let request = vec![0x00, 0, 0, 0, 4, 0, 0, 0, 2];
    let reply = vec![0xff, 0, 0, 0, 6];
    let datagrams = [
        (0, 4000, true, request.clone()),
        (1_200, 4000, true, request),
        (1_250, 4000, false, reply.clone()),
        (1_300, 4000, false, reply),
        (2_000, 4000, true, vec![0x02, 0, 0, 0, 7]),
    ];
    written(name, datagrams)
}

#[test]
fn a_capture_is_paired_and_timed() {
    let file = capture("explain-paired.pcapng");
    let line = format!("--pcap {} --port 10000 --show dump", file.0.display());
    let (status, stdout) = explained(&line, b"");
    assert_eq!(status, Some(0), "{stdout}");
    for line in [
        "#1  0.000000 s  [::1]:4000 -> [::1]:10000  classic request, 9 octets: + 4 2\n",
        "#2  1.200000 s  [::1]:4000 -> [::1]:10000  classic request, 9 octets: + 4 2\n   the same octets as #1, sent 2 times now\n",
        "#3  1.250000 s  [::1]:10000 -> [::1]:4000  classic reply, 5 octets: = 6\n   answers #1 after 50.0 ms\n",
        "   another reply to #1: a client ignores it\n",
        "\n5 datagrams: 2 requests, 1 of them unanswered; 2 replies; 0 wrong\n",
    ] {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    assert!(!stdout.contains("+-+-+"), "{stdout}");
    // From standard input too; and what is not on the port is left out.
    let octets = std::fs::read(&file.0).unwrap();
    let (status, stdout) = explained("--pcap - --port 9", &octets);
    assert_eq!(status, Some(0));
    let nothing = "0 datagrams: 0 requests, 0 of them unanswered; 0 replies; 0 wrong\nleft out: 5 packets of other protocols or ports\n";
    assert_eq!(stdout, nothing);
}

/// The capture of `capture`, as one taken with a snap length; pcap, raw IP (link type 101).
fn truncated(name: &str, snap_length: usize) -> File {
    let whole = capture("explain-whole.pcapng");
    let mut reader = pcap_file::pcapng::PcapNgReader::new(std::fs::File::open(&whole.0).unwrap()).unwrap();
    let mut octets: Vec<u8> = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, snap_length as u32, 101]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    while let Some(block) = reader.next_block() {
        let pcap_file::pcapng::Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        let kept = &packet.data[..packet.data.len().min(snap_length)];
        for word in [1_700_000_000, 0, kept.len() as u32, packet.original_len] {
            octets.extend(word.to_be_bytes());
        }
        octets.extend(kept);
    }
    let file = File::new(name);
    std::fs::write(&file.0, octets).unwrap();
    file
}

#[test]
fn what_a_snap_length_truncated_is_not_judged() {
    const HEADERS: usize = 40 + 8;
    // The second operand is missing, and the result; the reply is whole, but its request is not; nothing but headers.
    for (snap_length, not_judged) in [(HEADERS + 6, 4), (HEADERS + 3, 5), (HEADERS + 8, 4), (HEADERS, 5)] {
        let file = truncated("explain-truncated.pcap", snap_length);
        let (status, stdout) = explained(&format!("--pcap {} --port 10000 --show dump", file.0.display()), b"");
        assert_eq!(status, Some(0), "{stdout}");
        assert!(stdout.contains("; 0 wrong\n"), "{stdout}");
        assert!(stdout.contains("octets: not judged\n"), "{stdout}");
        assert!(
            stdout.contains(&format!("\nnot judged: {not_judged} datagrams that the capture's snap length")),
            "{stdout}"
        );
        assert!(!stdout.contains(" ! "), "{stdout}");
    }
    let file = truncated("explain-headers.pcap", HEADERS - 4);
    let (_, stdout) = explained(&format!("--pcap {} --port 10000", file.0.display()), b"");
    assert!(
        stdout.ends_with(
            "left out: 5 packets that the capture's snap length truncated before the end of their headers\n"
        ),
        "{stdout}"
    );
}

#[test]
fn a_wrong_port_is_reported() {
    let file = capture("explain-port.pcapng");
    let output = explain(&format!("--pcap {} --port 9", file.0.display()), b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said.starts_with("lab explain: no datagram from or to port 9; there are some to port 10000"), "{said}");
}

#[test]
fn json_has_an_object_for_each_datagram() {
    let (status, stdout) = explained("--json 00 00000001 00000003 / ff 00000005", b"");
    assert_eq!(status, Some(1));
    let objects: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [request, reply] = &objects[..] else { panic!("{stdout}") };
    assert_eq!(request["summary"], "+ 1 3");
    assert_eq!(request["kind"], "classic request, 9 octets");
    assert_eq!(request["octets"], "000000000100000003");
    assert_eq!(request["relation"]["kind"], "first");
    assert!(request.get("time_s").is_none(), "outside of captures there is no time");
    let operand = &request["fields"][4];
    let expected = serde_json::json!({
        "name": "Operand", "label": "Operand 2", "letter": "Operand", "filter": "calc6.operand", "bit": 40, "bits": 32,
        "value": "3", "meaning": "", "clause": "2.1",
    });
    assert_eq!(*operand, expected);
    assert_eq!((&reply["direction"], &reply["wrong"]), (&"reply".into(), &true.into()));
    assert_eq!(reply["relation"]["words"], "answers #1");
    let fault = &reply["faults"][0];
    assert_eq!((&fault["severity"], &fault["clause"], &fault["bit"]), (&"wrong".into(), &"2.3".into(), &8.into()));

    let file = capture("explain-json.pcapng");
    let (_, stdout) = explained(&format!("--pcap {} --port 10000 --json", file.0.display()), b"");
    let third: serde_json::Value = serde_json::from_str(stdout.lines().nth(2).unwrap()).unwrap();
    assert_eq!((&third["time_s"], &third["relation"]["after_s"]), (&1.25.into(), &0.05.into()));
    assert_eq!((&third["from"], &third["to"]), (&"[::1]:10000".into(), &"[::1]:4000".into()));
}

/// Trains of segments, which a capture holds as one datagram each: of extended requests, of classic ones, which only their
/// answers give away, and of replies; and a malformed request that is none.
fn trains(name: &str) -> File {
    let ask = |id: u8, operand: u8| [&[0x1e, b'+', 1, 0, 0, 0, 0, 0, 0, 0, 0, id][..], &[operand, 1]].concat();
    let answer = |id: u8, value: u8| [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, id, value];
    let sum = |operand: u8| [0, 0, 0, 0, 1, 0, 0, 0, operand];
    let datagrams = [
        (4000, true, [ask(1, 2), ask(2, 3)].concat()),
        (4000, false, [answer(1, 3), answer(2, 9)].concat()),
        (4001, true, [sum(4), sum(5), sum(6)].concat()),
        (4001, false, [[0xff, 0, 0, 0, 5], [0xff, 0, 0, 0, 6], [0xff, 0, 0, 0, 7]].concat()),
        (4001, true, [sum(7), sum(8)].concat()),
        (4002, true, vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 7]),
    ];
    written(name, datagrams.map(|(port, to_server, payload)| (0, port, to_server, payload)))
}

#[test]
fn trains_of_segments_are_divided() {
    let file = trains("explain-trains.pcapng");
    let line = format!("--pcap {} --port 10000 --show dump --color never", file.0.display());
    let (status, stdout) = explained(&line, b"");
    assert_eq!(status, Some(1));
    for line in [
        "extended request, 14 octets: + 3 1\n   segment 2 of 2 of a train, which the capture holds as one datagram\n",
        "classic request, 9 octets: + 1 6\n   segment 3 of 3 of a train, which the capture holds as one datagram\n",
        "classic reply, 5 octets: = 7\n   segment 3 of 3 of a train, which the capture holds as one datagram\n   answers #7",
        "classic request, 9 octets: + 1 8\n   segment 2 of 2 of a train, which the capture holds as one datagram\n",
        // A wrong result and the malformed request.
        "\n13 datagrams: 8 requests, 3 of them unanswered; 5 replies; 2 wrong\ntrains: 5, which the capture holds as one \
         datagram each",
    ] {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    // A pipe is read once: the first train of a client's classic requests is known only from then on.
    let octets = std::fs::read(&file.0).unwrap();
    let (_, stdout) = explained("--pcap - --port 10000 --show dump --color never", &octets);
    assert!(stdout.contains("classic request, 27 octets"), "{stdout}");
    assert!(
        stdout.contains("\n11 datagrams: 8 requests, 3 of them unanswered; 5 replies; 3 wrong\ntrains: 4,"),
        "{stdout}"
    );
    let (_, stdout) = explained(&format!("--json --pcap {} --port 10000", file.0.display()), b"");
    let second: serde_json::Value = serde_json::from_str(stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["segment"], serde_json::json!({ "number": 2, "of": 2 }));
}

#[test]
fn the_output_of_tcpdump_is_read_as_packets() {
    let pasted = b"10:00:00.000000 IP6 ::1.4000 > ::1.10000: UDP, length 9\n\
        \t0x0000:  6000 0000 0011 1140 0000 0000 0000 0000\n\t0x0010:  0000 0000 0000 0001 0000 0000 0000 0000\n\
        \t0x0020:  0000 0000 0000 0001 0fa0 2710 0011 0000\n\t0x0030:  0000 0000 0100 0000 03\n";
    let (status, stdout) = explained("--show dump", pasted);
    assert_eq!(status, Some(0));
    assert!(stdout.starts_with("#1  classic request, 9 octets: + 1 3\n"), "{stdout}");
}

#[test]
fn a_capture_as_a_ladder() {
    let file = capture("explain-ladder.pcapng");
    let line = format!("--pcap {} --port 10000 --show ladder", file.0.display());
    let (_, stdout) = explained(&line, b"");
    let expected = "              [::1]:4000                                             [::1]:10000
    0.000 ms  |-- #1 + 4 2 --------------------------------------------------->|
 1200.000 ms  |-- #2 + 4 2 (sent 2 times) ------------------------------------>|
 1250.000 ms  |<- #3 = 6 ------------------------------------------------------|
 1300.000 ms  |x- #4 = 6 ------------------------------------------------------|
              |           ignored: another reply to the same request           |
 2000.000 ms  |-- #5 * 7 ----------------------------------------------------->|
";
    assert!(stdout.starts_with(expected), "{stdout}");
}

/// The captures that the dissector's page shows in class.
#[test]
fn the_dissectors_captures() {
    let explained = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark").join(name);
        explained(&format!("--pcap {} --port 10000 --show ladder", path.display()), b"")
    };
    for name in ["classic.pcapng", "extended.pcapng"] {
        let (status, stdout) = explained(name);
        assert_eq!(status, Some(0), "{name}\n{stdout}");
        assert!(stdout.contains(" 0 of them unanswered; ") && stdout.contains("; 0 wrong"), "{name}\n{stdout}");
    }
    let (status, stdout) = explained("loss.pcapng");
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.contains("(sent 2 times)"), "{stdout}");
    for name in ["errors.pcapng", "malformed.pcapng", "loop.pcapng"] {
        assert_eq!(explained(name).0, Some(1), "{name}");
    }
}

#[test]
fn a_damaged_capture_is_explained_as_far_as_it_goes() {
    let file = capture("explain-damaged.pcapng");
    let octets = std::fs::read(&file.0).unwrap();
    let output = explain("--pcap - --port 10000 --show ladder", &octets[..octets.len() - 40]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "lab: -: the capture is damaged: it ends early\n");
    assert!(String::from_utf8(output.stdout).unwrap().contains("#4 = 6"));
}

#[test]
fn colours_on_a_terminal_unless_no_color_is_set() {
    let lab = env!("CARGO_BIN_EXE_lab");
    let client = env!("CARGO_BIN_EXE_client");
    // script(1) gives the command a pseudo-terminal.
    let on_a_terminal = |command: &str, variable: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", command, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR").stdin(Stdio::null());
        script.envs([variable].into_iter().filter_map(|pair| pair.split_once('=')));
        let output = script.output().expect("script(1) is installed: apt-get install bsdutils");
        String::from_utf8(output.stdout).unwrap()
    };
    for command in [format!("{lab} explain 00 00000001"), format!("{client} -v --local -op + 1 3")] {
        let coloured = on_a_terminal(&command, "");
        assert!(coloured.contains("\x1b[36mOperand 1"), "{command}: {coloured}");
        for plain in ["NO_COLOR=1", "TERM=dumb"] {
            let plain = on_a_terminal(&command, plain);
            assert!(plain.contains("Operand 1") && !plain.contains('\x1b'), "{command}: {plain}");
        }
        assert!(on_a_terminal(&command, "NO_COLOR=").contains('\x1b'), "{command}");
    }
    assert!(on_a_terminal(&format!("{lab} explain --color always 00 | cat"), "").contains('\x1b'));
    assert!(!on_a_terminal(&format!("{lab} explain 00 | cat"), "").contains('\x1b'));
    assert!(!on_a_terminal(&format!("{lab} explain --color never 00"), "").contains('\x1b'));
}

#[test]
fn a_closed_standard_output_ends_it_quietly() {
    let script = format!("{} explain 00 00000001 / 00 | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_lab"));
    let output = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    // Where the pipe took everything before it was closed, the second datagram decides.
    assert!(["0\n", "1\n"].contains(&&status[..]), "{status}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
