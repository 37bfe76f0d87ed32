//! How a server is configured: options, variables, the access file, and what is said of each that is wrong.

mod receiving;
mod serving;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use receiving::Receive as _;
use rustix::process::Signal;
use serving::{Server, peer};

/// 1 + 3 + 5 + 7 + 9 in the classic form, and the answer.
const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

#[test]
fn sources_are_refused_by_flags_and_by_the_environment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::", "0", "--allow", "127.0.0.0/8"]).env("CALC6_DENY", "::1,127.0.0.64/26");
    let server = Server::spawn(command);
    let from = |address: &str| {
        let to = if address.contains(':') { "::1" } else { "127.0.0.1" };
        peer(&SocketAddr::new(address.parse().unwrap(), 0).to_string(), (to, server.port))
    };
    for denied in ["127.0.0.65", "::1"] {
        from(denied).send(&SUM).unwrap();
    }
    for allowed in ["127.0.0.1", "127.0.0.128"] {
        assert_eq!(ask(&from(allowed), &SUM), SUM_REPLY);
    }
    // The workers have their own queues: only the totals say that nobody is left.
    assert!(server.stop().contains("denied 2"));
}

#[test]
fn the_access_file_is_read_again_without_losing_a_request_or_a_count() {
    let folder = tempfile::tempdir().unwrap();
    // Readable for the user that serves.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("access");
    let write = |text: &str| {
        // As an editor does: another file takes the name.
        let other = folder.path().join("other");
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
        fs::rename(&other, &file).unwrap();
    };
    write("deny 127.0.0.0/8 # at first\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::", "0", "--workers", "1", "--require-sandbox", "--access-file"]).arg(&file);
    let mut server = Server::spawn(command);
    let [v4, v6] = [peer("127.0.0.1:0", ("127.0.0.1", server.port)), peer("[::1]:0", ("::1", server.port))];
    v4.send(&SUM).unwrap();
    assert_eq!(ask(&v6, &SUM), SUM_REPLY);

    write("allow 127.0.0.0/8\nexempt ::1\n");
    server.signal(Signal::HUP);
    assert!(server.line_with("again").contains("1 allowed, 0 denied, 1 exempt"));
    assert_eq!(ask(&v4, &SUM), SUM_REPLY);
    v6.send(&SUM).unwrap();

    for (text, problem) in [("\npermit ::1", "line 2: unknown rule \"permit\""), ("allow ::1\ndeny ::1", "line 2: ")] {
        write(text);
        server.signal(Signal::HUP);
        let line = server.line_with("stay in force");
        assert!(line.contains("warning: ") && line.contains(problem), "{line}");
        assert_eq!(ask(&v4, &SUM), SUM_REPLY, "by the rules before");
    }
    fs::remove_file(&file).unwrap();
    server.signal(Signal::HUP);
    assert!(server.line_with("stay in force").contains("cannot read the access file"));
    assert_eq!(ask(&v4, &SUM), SUM_REPLY);
    let totals = server.stop();
    assert!(totals.contains("served 5,") && totals.contains("denied 2"), "{totals}");
}

#[test]
fn rules_change_under_load_without_losing_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access");
    fs::write(&file, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["::1", "0", "--workers", "2", "--no-sandbox", "--access-file"]).arg(&file);
    let mut server = Server::spawn(command);
    for round in 0..20 {
        fs::write(&file, format!("deny 2001:db8:{round}::/48\nexempt ::1\n")).unwrap();
        server.signal(Signal::HUP);
        let peer = peer("[::1]:0", ("::1", server.port));
        (0..50).for_each(|_| assert_eq!(ask(&peer, &SUM), SUM_REPLY));
    }
    server.line_with("again: 0 allowed, 1 denied, 1 exempt");
    assert!(server.stop().contains("served 1000, errors answered 0, dropped 0"));
}

#[test]
fn a_hangup_ends_nothing_without_an_access_file() {
    let mut server = Server::start(&["::1", "0"]);
    server.signal(Signal::HUP);
    server.line_with("there is no --access-file to read again");
    assert_eq!(ask(&peer("[::1]:0", ("::1", server.port)), &SUM), SUM_REPLY);
    server.stop();
}

#[test]
fn workers_are_pinned_as_told_and_otherwise_not() {
    let allowed = |server: &Server, thread: &str| {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).unwrap();
        let mut lists = tasks.filter_map(|task| {
            let path = task.unwrap().path();
            let name = fs::read_to_string(path.join("comm")).unwrap();
            let status = fs::read_to_string(path.join("status")).unwrap();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap().to_owned();
            (name.trim_end() == thread).then_some(list)
        });
        lists.next().unwrap()
    };
    let free = Server::start(&["::1", "0", "--workers", "2"]);
    assert_eq!(allowed(&free, "worker 0"), allowed(&free, "supervisor"));
    let first = allowed(&free, "supervisor").split([',', '-']).next().unwrap().to_owned();
    let pinned = Server::start(&["::1", "0", "--workers", "2", "--cpus", &first]);
    for worker in ["worker 0", "worker 1"] {
        assert_eq!(allowed(&pinned, worker), first);
    }
}

#[test]
fn a_variable_that_is_no_option_is_an_error() {
    let kubernetes = "(of Kubernetes? enableServiceLinks: false unsets it)";
    for (name, hint) in [
        ("CALC6_RATELIMIT", "; similar: CALC6_RATE_LIMIT (see --help)".to_owned()),
        ("CALC6_SERVICE_HOST", format!(" {kubernetes}")),
        ("CALC6_PORT_10000_UDP", format!(" {kubernetes}")),
    ] {
        for arguments in [&["::1", "0"][..], &["--check-config", "::1", "0"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
            let output = command.args(arguments).env(name, "1/s").output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert_eq!(said, format!("server: unknown environment variable {name}{hint}\n"));
        }
    }
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let taken = TcpListener::bind("[::1]:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_server")).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (arguments, status, part) in [
        (&["::1", "0", "--user", "no-such-user"][..], 1, "there is no user \"no-such-user\""),
        (&["::1", "0", "--user", "root"], 1, "the user \"root\" is root"),
        (&["::1", "0", "--metrics", &taken], 1, "cannot serve metrics on"),
        (&["::1", "0", "--metrics", "here"], 2, "--metrics"),
        (&["::1", "0", "--deny", "::1/64"], 2, "the prefix is ::/64, the address alone ::1"),
        (&["::1", "0", "--deny", "::/0", "--allow", "::/0"], 2, "::/0 is both allowed and denied"),
        (&["::1", "0", "--rate-limit", "fast"], 2, "a rate such as 1000/s"),
        (&["::1", "0", "--log-format", "xml"], 2, "xml"),
        (&["::1", "0", "--no-sandbox", "--require-sandbox"], 2, "--require-sandbox"),
        (&["::1"], 2, "PORT is missing"),
        (&[], 2, "HOST and PORT are missing"),
    ] {
        let (code, said) = run(arguments);
        assert!(code == status && said.contains(part) && said.lines().count() == 1, "{arguments:?}: {code} {said}");
    }
}

#[test]
fn failures_are_objects_where_the_log_is_json() {
    let arguments = ["::1", "0", "--log-format", "json", "--user", "no-such-user"];
    let output = Command::new(env!("CARGO_BIN_EXE_server")).args(arguments).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one object");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&said["level"], &said["message"]), (&"ERROR".into(), &"there is no user \"no-such-user\"".into()));
}

#[test]
fn the_configuration_is_checked_without_serving() {
    let check = |variable: (&str, &str)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(["--check-config", "::1", "10000", "--rate-limit", "7/s"]).env(variable.0, variable.1);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (status, said) = check(("CALC6_ALLOW", "2001:db8::/32,192.0.2.0/24"));
    assert_eq!(status, 0, "{said}");
    for line in [
        "serves: ::1 port 10000",
        "allowed: 2001:db8::/32, 192.0.2.0/24",
        "denied: all others",
        "rate limit: 7/s,burst=14,site=8,leak=4",
        "sandbox: as far as the kernel supports it",
        "without a rate limit, beside loopback: none",
        "workers pinned to processors: none",
        "port shared with other servers: no",
        "pauses under load: yes",
        "access file: none",
        "log: text",
        "log of datagrams that are not answered: no",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in {said}");
    }
    // Flags come before the environment.
    assert!(check(("CALC6_RATE_LIMIT", "off")).1.contains("rate limit: 7/s"));
    assert_eq!(check(("CALC6_WORKERS", "many")).0, 2);
    assert_eq!(check(("CALC6_USER", "no-such-user")).0, 1);
}

#[test]
fn help_names_every_variable() {
    let output = Command::new(env!("CARGO_BIN_EXE_server")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let flags = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    for flag in flags.filter(|flag| !matches!(*flag, "check-config" | "help" | "version")) {
        let name = flag.trim_end_matches(|c: char| !c.is_alphanumeric()).to_uppercase().replace('-', "_");
        assert!(help.contains(&format!("[env: CALC6_{name}=")), "{flag} in {help}");
    }
}

fn ask(peer: &UdpSocket, request: &[u8]) -> Vec<u8> {
    peer.send(request).unwrap();
    let mut reply = [0; 4000];
    let length = peer.receive(&mut reply).expect("a reply");
    reply[..length].to_vec()
}
