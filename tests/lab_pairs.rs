//! `lab grade --pairs` end to end: who is told to be at fault.

#![cfg(feature = "programs")]

mod submissions;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use submissions::{BUILD, submission};

fn grade(folder: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).arg("grade").arg(folder).arg("--pairs").args(options).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// A submission that is one shell script or Python program for each side.
fn scripts(folder: &Path, name: &str, server: &str, client: &str) {
    let folder = folder.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("server"), server).unwrap();
    fs::write(folder.join("client"), client).unwrap();
}

/// A right server, whose replies start with 0x80; `extra` is run for each request before it is answered.
fn server(extra: &str) -> String {
    format!(
        "import math, os, signal, socket, struct, sys, time\n\
         s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n\
         s.bind((sys.argv[1], int(sys.argv[2])))\n\
         while True:\n\
         \x20   d, peer = s.recvfrom(4096)\n\
         \x20   if len(d) < 5 or len(d) % 4 != 1: continue\n\
         \x20   n = struct.unpack('!%dI' % (len(d) // 4), d[1:])\n\
         \x20   r = sum(n) if d[0] >> 1 & 7 == 0 else math.prod(n)\n\
         \x20   {extra}\n\
         \x20   s.sendto(b'\\x80' + (str(r).encode() if d[0] & 1 else struct.pack('!I', r)), peer)\n"
    )
}

/// A right client that asks once and waits for 5 s; `extra` is run with the reply, and may change it.
fn client(extra: &str) -> String {
    format!(
        "import os, signal, socket, struct, sys, time\n\
         a = sys.argv[1:]; op = a[1]; a = a[2:]; text = a[0] == '-s'; a = a[1:] if text else a\n\
         s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(5); s.connect((a[0], int(a[1])))\n\
         q = bytes([(op == '*') << 1 | text]) + struct.pack('!%dI' % len(a[2:]), *map(int, a[2:]))\n\
         s.send(q)\n\
         r = s.recv(4096)\n\
         {extra}\n\
         if r[0] != 0x80: sys.exit('an error')\n\
         print('Result: ' + (r[1:].decode() if text else str(struct.unpack('!I', r[1:])[0])))\n"
    )
}

/// The pair of that server and that client.
fn pair<'a>(grades: &'a Value, server: &str, client: &str) -> &'a Value {
    let pairs = grades["pairs"]["pairs"].as_array().unwrap();
    let found = pairs.iter().find(|pair| pair["server"] == server && pair["client"] == client);
    found.unwrap_or_else(|| panic!("{server} and {client} in {grades}"))
}

/// The sides and clauses of a pair's faults, each once.
fn faults(pair: &Value) -> Vec<String> {
    let exchanges = pair["exchanges"].as_array().unwrap_or_else(|| panic!("{pair}"));
    let all = exchanges.iter().flat_map(|exchange| exchange["faults"].as_array().unwrap());
    let said = |fault: &Value| format!("{} {}", fault["side"].as_str().unwrap(), fault["clause"].as_str().unwrap());
    let mut faults: Vec<String> = all.map(said).collect();
    faults.sort();
    faults.dedup();
    faults
}

/// Kills whatever it sees but itself.
const KILL_ALL: &str =
    "for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $PPID ] || [ $p = $$ ] || kill -9 $p; done 2>/dev/null";

const OWN: &str = "calc6's own";

#[test]
fn every_client_meets_every_server_and_who_breaks_a_clause_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let submissions = folder.path().join("submissions");
    fs::create_dir(&submissions).unwrap();
    submission(&submissions, "ada", "", "-");
    submission(&submissions, "bob", "result-order", "byte-order");
    submission(&submissions, "joe", "", "-");
    fs::write(submissions.join("joe/server.c"), "int main(void) { return wrong; }").unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let output = grade(
        &submissions,
        &["--build", BUILD, "--server", "./server", "--client", "./client -"]
            .into_iter()
            .chain(["--pairs-html", &path("pairs.html"), "--pairs-csv", &path("pairs.csv")])
            .collect::<Vec<_>>(),
    );
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    let row = |start: &str| -> Vec<&str> {
        let line =
            stdout.lines().rfind(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {stdout}{stderr}"));
        line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()
    };
    assert!(stdout.contains("joe is not built: exit status 1: "), "{stdout}");
    assert_eq!(row("servers, clients"), ["servers, clients", "1", "2", "3", "4"], "{stdout}");
    let little_endian = "C 2.1";
    assert_eq!(row("1 ada"), ["1 ada", "ok", little_endian, "-", "ok"], "{stdout}");
    // Both of bob's programs leave a conversion out: each is told of its own.
    assert_eq!(row("2 bob")[1], "S 2.3", "{stdout}");
    assert_eq!(row("3 joe"), ["3 joe", "-", "-", "-", "-"], "{stdout}");
    assert_eq!(row(&format!("4 {OWN}")), [&format!("4 {OWN}"), "ok", little_endian, "-", "ok"], "{stdout}");
    assert!(stdout.contains("server of bob breaks 2.3, with "), "{stdout}");
    assert!(stdout.contains("found     ff 19000000: the right result is 25"), "{stdout}");
    assert!(stdout.contains("client of bob breaks 2.1, with "), "{stdout}");
    assert!(!stdout.contains("of ada breaks") && !stdout.contains(&format!("of {OWN} breaks")), "{stdout}");

    let html = fs::read_to_string(path("pairs.html")).unwrap();
    assert!(html.contains("<td class=\"ok\">ok</td>") && html.contains("href=\"#pair-1-0\">S 2.3</a>"), "{html}");
    assert!(html.contains("id=\"pair-1-0\">server of bob, client of ada"), "{html}");
    let mut csv = csv::Reader::from_path(path("pairs.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let of = |server: &str, client: &str| {
        rows.iter().filter(|row| &row[0] == server && &row[1] == client).collect::<Vec<_>>()
    };
    assert_eq!(of("ada", OWN).len(), 4);
    assert!(of("ada", OWN).iter().all(|row| &row[3] == "yes" && row[4].is_empty()));
    assert_eq!(of("joe", "ada").len(), 1);
    assert!(of("bob", "ada").iter().any(|row| &row[4] == "server"
        && &row[5] == "2.3"
        && &row[6] == "00 0000000100000003000000050000000700000009"));
}

#[test]
fn nobody_is_blamed_for_what_another_does() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = |name: &str, server: &str, client: &str| scripts(folder.path(), name, server, client);
    scripts("right", &server("pass"), &client("pass"));
    // Each of these shows only in pairs: a server that is killed by what it is asked, one that answers from another port,
    // one that is slow, one that ends, one that goes into the background.
    scripts("dies", &server("os.kill(os.getpid(), signal.SIGSEGV)"), &client("os.kill(os.getpid(), signal.SIGSEGV)"));
    scripts(
        "stray",
        &server("s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)"),
        "import sys; sys.exit('usage: \\x1b[2J')",
    );
    let hasty = client("pass").replace("settimeout(5)", "settimeout(0.1)");
    let hasty = hasty.replace("r = s.recv(4096)", "try: r = s.recv(4096)\nexcept TimeoutError: os._exit(1)");
    scripts("slow", &server("time.sleep(0.9)"), &hasty);
    scripts("hostile", &server(&format!("os.system({KILL_ALL:?})")), &client(&format!("os.system({KILL_ALL:?})")));
    let daemon = server("pass").replacen("while", "if os.fork(): os._exit(0)\nos.setsid()\nwhile", 1);
    scripts("daemon", &daemon, &client("r = b'\\x80' + bytes(4)"));
    let options = [
        "--server",
        "python3 server",
        "--client",
        "python3 client",
        "--json",
        "--pairs-only",
        "--pairs-timeout",
        "20s",
    ];
    let output = grade(folder.path(), &[&options[..], &["--start-time", "20s"]].concat());
    let grades: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    for (server, client, wanted) in [
        ("right", "right", &[][..]),
        ("daemon", "right", &[]),
        ("slow", "right", &[]),
        // A client that demands 0x80, with a server that sets all unused bits.
        (OWN, "right", &["client 2.5"]),
        ("dies", "right", &["server 1.1"]),
        ("right", "dies", &["client 4.9"]),
        ("stray", "right", &["server 4.8"]),
        ("right", "stray", &["client 1.1"]),
        ("slow", "slow", &["client 5.1"]),
        // Process namespaces: neither can end the other, or lab.
        ("right", "hostile", &[]),
        ("hostile", "right", &[]),
        ("daemon", "daemon", &["client 2.5"]),
        (OWN, OWN, &[]),
    ] {
        let pair = pair(&grades, server, client);
        assert_eq!(faults(pair), wanted, "server of {server}, client of {client}: {pair:#}");
    }
    // What a submission wrote is escaped for people.
    let output = grade(folder.path(), &["--client", "python3 client", "--only", "stray", "--pairs-only"]);
    assert!(!output.stdout.contains(&0x1b), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("usage: \\u{1b}[2J"), "{}", text(&output.stdout));
}
