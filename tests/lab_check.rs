//! `lab check` end to end: against our programs, and against deliberately wrong ones (tests/wrong), each with the
//! exact set of findings.

#![cfg(feature = "programs")]

#[path = "lab_check/extended.rs"]
mod extended;
#[path = "serving/namespace.rs"]
#[expect(dead_code, reason = "only enter() is needed")]
mod namespace;
mod receiving;
mod seed;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;

/// What a run found.
#[derive(Debug, PartialEq)]
struct Found {
    code: Option<i32>,
    /// Keys of the broken checks, in order.
    broken: Vec<String>,
    /// (key, words) of what is open.
    notes: Vec<(String, String)>,
    crashes: Value,
}

/// A mistake, the exit status, the checks that it breaks, and what is noted otherwise than of a right program.
type Case = (&'static str, i32, &'static [&'static str], &'static [(&'static str, &'static str)]);

const SERVERS: &[Case] = &[
    ("byte-order", 1, &["sum"], &[]),
    ("result-order", 1, &["sum"], &[]),
    ("no-header", 1, &["success"], &[]),
    ("success-bit", 1, &["success"], &[]),
    ("opcode-shifted", 1, &["product"], &[]),
    ("no-text", 1, &["text-sum"], &[]),
    ("unused-bits", 1, &["unused-bits"], &[]),
    ("signed", 0, &["long-text"], &[("signed-text", "signed: as a negative number: ff 2d31323934393637323936")]),
    (
        "nul",
        0,
        &[],
        &[
            ("signed-text", "unsigned, as the operands are: ff 3330303030303030303000"),
            ("trailing-nul", "ends with a NUL"),
        ],
    ),
    ("padded", 1, &["text-sum"], &[]),
    (
        "wraps",
        0,
        &["overflow", "long-text"],
        &[("overflow-kind", "sum: wraps modulo 2^32; product: wraps modulo 2^32")],
    ),
    ("too-long", 1, &["reply-length", "long-text"], &[]),
    (
        "from-second",
        1,
        &["one-operand", "long-text"],
        &[("signed-text", "neither as an unsigned nor as a signed number: ff 30")],
    ),
    ("empty-zero", 1, &["zero", "long-text"], &[]),
    ("small-buffer", 1, &["64-operands"], &[]),
    ("silent-unknown", 1, &["unknown-opcode"], &[("reply-unused", "0x7f in a success, no reply in an error")]),
    (
        "answers-malformed",
        0,
        &["amplification", "silent-empty", "silent-header", "silent-ragged", "silent-replies"],
        &[("ragged-read", "answers with an error")],
    ),
    ("answers-replies", 0, &["silent-replies"], &[]),
    ("over-64", 0, &[], &[("over-64", "computes all 65")]),
    (
        "over-read",
        0,
        &["silent-ragged"],
        &[("ragged-read", "reads the missing octets from an earlier request: an over-read")],
    ),
    ("wrong-port", 1, &["source-port"], &[]),
    ("wrong-address", 0, &["asked-address"], &[]),
    ("amplify", 0, &["amplification"], &[]),
    ("hang", 1, &["survives"], &[]),
    ("one-shot", 1, &["survives"], &[]),
    ("mute", 1, &["answers"], &[]),
];

const CLIENTS: &[Case] = &[
    ("byte-order", 1, &["sum-request", "integer-reply"], &[]),
    ("reversed", 1, &["sum-request"], &[]),
    ("opcode-shifted", 1, &["product-request"], &[]),
    ("no-text", 1, &["text-request"], &[]),
    ("unused-bits", 1, &["unused-zero"], &[]),
    ("two-sends", 1, &["sum-request"], &[]),
    ("fixed-length", 1, &["sum-request"], &[]),
    (
        "atoi",
        1,
        &["unsigned-operand"],
        &[
            (
                "operand-over",
                "sends 9 octets, 00 7fffffff00000001; \"Result: 2147483648\" on standard output; \
                 it ended with exit status 0",
            ),
            (
                "operand-negative",
                "sends 9 octets, 00 000000057fffffff; \"Result: 2147483652\" on standard output; \
                 it ended with exit status 0",
            ),
        ],
    ),
    ("signed", 0, &["unsigned-reply"], &[]),
    ("exact-header", 1, &["reply-unused"], &[]),
    ("no-error", 1, &["error-reply", "truncated", "oversized"], &[]),
    ("exit-zero", 0, &["error-status"], &[]),
    ("any-source", 1, &["stranger"], &[]),
    ("prints-twice", 1, &["one-request", "integer-reply"], &[]),
    ("no-retry", 0, &["repeats"], &[]),
    ("blocks", 0, &["repeats"], &[]),
    ("changes", 0, &["repeats"], &[]),
    ("silent-success", 0, &["gives-up"], &[]),
    ("no-length", 0, &["truncated", "oversized", "oversized-text", "empty-reply"], &[]),
    ("any-text", 0, &["not-decimal"], &[]),
    ("unterminated", 1, &["text-reply"], &[]),
    ("prints-nul", 1, &["text-reply"], &[]),
    ("empty-is-end", 0, &["empty-reply"], &[]),
    ("crash-empty", 1, &["survives"], &[]),
    ("crash-long", 1, &["survives"], &[]),
];

#[test]
fn each_wrong_server_has_its_exact_findings() {
    namespace::enter();
    let right = check_server("-", &[]);
    assert_eq!((right.code, &right.broken[..]), (Some(0), &[][..]), "{right:?}");
    judge(SERVERS, &right, &|fault| check_server(fault, &[]));
}

#[test]
fn each_wrong_client_has_its_exact_findings() {
    namespace::enter();
    let right = check_client("-");
    assert_eq!((right.code, &right.broken[..]), (Some(0), &[][..]), "{right:?}");
    judge(CLIENTS, &right, &check_client);
}

#[test]
fn uninitialised_octets_are_noted() {
    namespace::enter();
    let found = check_server("stray", &[]);
    assert_eq!((found.code, &found.broken[..]), (Some(0), &[][..]), "{found:?}");
    let (_, words) = found.notes.iter().find(|(key, _)| key == "stray-octets").unwrap();
    assert!(words.contains(" and "), "{words}");
}

#[test]
fn a_crash_is_reported_with_the_datagram_and_the_smallest_one() {
    namespace::enter();
    let crash = |fault| {
        let found = check_server(fault, &[]);
        assert_eq!((found.code, &found.broken[..]), (Some(1), &["survives".to_owned()][..]), "{found:?}");
        assert_eq!(found.crashes[0]["how"], "signal 6 (SIGABRT)");
        found.crashes[0].clone()
    };
    assert_eq!(crash("crash-empty")["datagram"], "(empty)");
    let long = crash("crash-long");
    let length = |hex: &Value| (hex.as_str().unwrap().len() - 1) / 2;
    assert_eq!(length(&long["datagram"]), 261);
    assert!(length(&long["shrunk"]) >= 258, "{long}");
    assert!(length(&long["shrunk"]) < 261, "{long}");
}

#[test]
fn our_server_holds_every_clause() {
    namespace::enter();
    let server = env!("CARGO_BIN_EXE_server");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            namespace::enter();
            let wrapping = run(&["server", "--json", "--", server, "--wrap"]);
            assert_eq!((wrapping.code, &wrapping.broken[..]), (Some(0), &["overflow".to_owned()][..]), "{wrapping:?}");
        });
        let found = run(&["server", "--json", "--extended", "--", server]);
        assert_eq!((found.code, &found.broken[..]), (Some(0), &[][..]), "{found:?}");
    });
}

#[test]
fn our_client_holds_every_clause() {
    namespace::enter();
    let client = env!("CARGO_BIN_EXE_client");
    let found = run(&["client", "--json", "--patience", "20s", "--", client, "--timeout", "0.3", "--retries", "3"]);
    assert_eq!((found.code, &found.broken[..]), (Some(0), &[][..]), "{found:?}");
}

#[test]
fn a_server_that_knows_only_classic_fails_the_extended_clauses() {
    namespace::enter();
    let found = check_server("-", &["--extended"]);
    assert_eq!((found.code, &found.broken[..]), (Some(1), &["x-golden".to_owned()][..]), "{found:?}");
}

#[test]
fn fuzzing_verifies_our_server_and_finds_a_rare_crash() {
    namespace::enter();
    let seed = seed::of_run("fuzz").to_string();
    let count = if seed::is_soak() { "20000" } else { "400" };
    let words = ["check", "fuzz", "--extended", "--seed", &seed, "--count", count, "--duration", "300s"];
    let output = lab().args(words).args(["--", env!("CARGO_BIN_EXE_server")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.ends_with(", 0 wrong\n"), "{text}");

    let words = ["check", "fuzz", "--json", "--seed", "2", "--count", "300", "--"];
    let output = lab().args(words).arg(wrong("server")).args(["{host}", "{port}", "crash-ragged"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["wrong"][0]["found"], "signal 6 (SIGABRT)", "{outcome}");
    let shrunk = outcome["wrong"][0]["shrunk"].as_str().unwrap();
    // Over 40 octets and ragged: 42, all of them 0.
    assert_eq!(shrunk, format!("00 {}", "00".repeat(41)), "{outcome}");
}

#[test]
fn fuzzing_finds_wrong_results() {
    namespace::enter();
    for fault in ["wraps", "byte-order", "twice"] {
        let words = ["check", "fuzz", "--json", "--seed", "3", "--count", "200", "--"];
        let output = lab().args(words).arg(wrong("server")).args(["{host}", "{port}", fault]).output().unwrap();
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        // What wraps is left open by the course, and is not wrong.
        let expected = if fault == "wraps" { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(expected), "{outcome}");
    }
}

#[test]
fn the_reports_are_complete() {
    namespace::enter();
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("report.xml");
    let output = lab()
        .args(["check", "server", "--junit"])
        .arg(&junit)
        .arg("--")
        .arg(wrong("server"))
        .args(["{host}", "{port}", "result-order"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "FAIL   2.3   sum: opcode 0 is the sum, and with F = 0 one 32-bit integer in network byte order",
        "             sent      00 0000000100000003000000050000000700000009",
        "             expected  ff 00000019 (25)",
        "             found     ff 19000000",
        "             likely    the result is in little-endian order",
        "             not judged see 2.3 sum",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line}\nnot in\n{text}");
    }
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("<testsuite name=\"server required\" tests=\"25\""), "{xml}");
    assert!(xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("<skipped message=\"see 2.3 sum\""), "{xml}");
}

#[test]
fn a_server_that_does_not_listen_is_told_why() {
    let output = lab().args(["check", "server", "--", "/nonexistent"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("lab: cannot start /nonexistent: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    let told = |command: &[&str], came: &str| {
        let options = ["check", "server", "--json", "--start-time", "500ms", "--"];
        let output = lab().args(options).args(command).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["passed"]), (Some(1), &Value::Bool(false)), "{report}");
        let answers = &report["findings"][0];
        assert_eq!((&answers["key"], &answers["verdict"]), (&"answers".into(), &"broken".into()));
        assert!(answers["found"].as_str().unwrap().starts_with(came), "{answers}");
    };
    told(&["false"], "nothing: exit status 1");
    told(
        &["sh", "-c", "echo bind: Address already in use >&2; exit 3"],
        "nothing: exit status 3: bind: Address already",
    );
    let wrong = wrong("server");
    told(
        &[wrong.to_str().unwrap(), "{host}", "{port}", "never-binds"],
        "nothing: after 0.5 s it did not bind UDP [::1]:",
    );
}

#[test]
fn what_a_program_writes_reaches_the_terminal_without_control_characters_and_long_lines() {
    let noise = r"printf '\033]0;x\007%.0s' 1 2 3; head -c 200000 /dev/zero | tr '\0' x; exit 1";
    for role in ["server", "client"] {
        let output = lab().args(["check", role, "--", "sh", "-c", noise, "{port}"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("(200018 characters)") || text.contains("(65536 characters)"), "{text}");
        assert!(text.lines().all(|line| line.len() < 2_000 && !line.contains('\x1b')), "{text}");
    }
}

#[test]
fn the_verdicts_are_the_same_under_a_bad_network() {
    const THROUGH: [&str; 2] = ["--through", "--loss 20% --delay 1ms --seed 3"];
    let cases: [(_, &[&str], &[&str]); 2] = [("-", &[], &[]), ("signed", &["long-text"], &["unsigned-reply"])];
    std::thread::scope(|scope| {
        for (fault, of_server, of_client) in cases {
            scope.spawn(move || {
                namespace::enter();
                assert_eq!(check_server(fault, &THROUGH).broken, of_server, "server {fault}");
            });
            scope.spawn(move || {
                namespace::enter();
                let options = [&["client", "--json", "--patience", "8s"], &THROUGH[..]].concat();
                let found = run(&[&options[..], &["--", wrong("client").to_str().unwrap(), fault]].concat());
                assert_eq!(found.broken, of_client, "client {fault}");
            });
        }
    });
}

#[test]
fn without_ipv6_the_checks_run_over_ipv4() {
    namespace::enter();
    let server = env!("CARGO_BIN_EXE_server");
    let found = run(&["server", "--json", "--host", "127.0.0.1", "--", server]);
    assert_eq!((found.code, &found.broken[..]), (Some(0), &[][..]), "{found:?}");
    let client = [env!("CARGO_BIN_EXE_client"), "--timeout", "0.3", "--retries", "3"];
    let found = run(&[&["client", "--json", "--host", "127.0.0.1", "--"], &client[..]].concat());
    assert_eq!((found.code, &found.broken[..]), (Some(0), &[][..]), "{found:?}");
}

#[test]
fn a_remote_server_that_dies_is_said_so() {
    namespace::enter();
    let port = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap().port().to_string();
    let mut server = Command::new(wrong("server")).args(["::1", &port, "crash-empty"]).spawn().unwrap();
    while !is_bound(&port) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = run(&["server", "--json", "--patience", "200ms", "::1", &port]);
    server.wait().unwrap();
    assert_eq!(found.broken, ["survives"]);
    assert_eq!(found.crashes[0]["datagram"], "(empty)");
    assert_eq!(found.crashes[0]["how"], "it no longer answers");
}

/// Runs every case, many at once, as each of them mostly waits, and compares.
fn judge(cases: &[Case], right: &Found, check: &(dyn Fn(&str) -> Found + Sync)) {
    let cases = Mutex::new(cases.iter());
    let next = || cases.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                // A port that one run gives back is not another's at once, with the requests that still come to it.
                namespace::enter();
                while let Some((fault, code, broken, notes)) = next() {
                    let found = check(fault);
                    assert_eq!(found.broken, *broken, "{fault}");
                    assert_eq!(found.code, Some(*code), "{fault}");
                    // Times differ from run to run.
                    let differs = |note: &&(String, String)| !right.notes.contains(note) && note.0 != "retransmission";
                    let seen: Vec<_> = found.notes.iter().filter(differs).cloned().collect();
                    let notes: Vec<_> = notes.iter().map(|(key, words)| ((*key).into(), (*words).into())).collect();
                    assert_eq!(seen, notes, "{fault}");
                }
            });
        }
    });
}

fn check_server(fault: &str, options: &[&str]) -> Found {
    let program = wrong("server");
    let command = ["--", program.to_str().unwrap(), "{host}", "{port}", fault];
    // What answers must not be hurried on a busy machine; of these, silence is expected.
    let timeout = if ["hang", "mute"].contains(&fault) { "300ms" } else { "3s" };
    run(&[&["server", "--json", "--patience", timeout], options, &command].concat())
}

fn check_client(fault: &str) -> Found {
    let program = wrong("client");
    run(&["client", "--json", "--patience", "4s", "--", program.to_str().unwrap(), fault])
}

/// Runs `lab check` and reads its JSON; every check that was not judged must name one that did not hold.
fn run(words: &[&str]) -> Found {
    let output = lab().arg("check").args(words).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |verdict: &'static str| findings.iter().filter(move |finding| finding["verdict"] == verdict);
    for finding in of("not-judged") {
        let see = text(&finding["see"]);
        let cause = findings.iter().find(|finding| finding["key"] == see.as_str());
        let explained = cause.map_or(!text(&finding["found"]).is_empty(), |cause| cause["verdict"] != "holds");
        assert!(explained, "{finding}");
    }
    Found {
        code: output.status.code(),
        broken: of("broken").map(|finding| text(&finding["key"])).collect(),
        notes: of("noted").map(|finding| (text(&finding["key"]), text(&finding["found"]))).collect(),
        crashes: report["crashes"].clone(),
    }
}

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab"))
}

/// One of the wrong programs, compiled once.
fn wrong(name: &'static str) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["server", "client"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong").join(name).with_extension("c");
            let compiler = Command::new("gcc")
                .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
                .arg(folder.path().join(name))
                .arg(source)
                .status();
            let compiled = compiler.expect("gcc is needed: apt-get install gcc libc6-dev");
            assert!(compiled.success());
        }
        folder
    });
    folder.path().join(name)
}

fn is_bound(port: &str) -> bool {
    let port = format!(":{:04X} ", port.parse::<u16>().unwrap());
    std::fs::read_to_string("/proc/thread-self/net/udp6").unwrap().contains(&port)
}
