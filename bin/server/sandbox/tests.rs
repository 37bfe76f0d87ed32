//! What a confined process and a confined thread can still do, tried in processes of their own.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use super::*;

/// What a thread of a role must not be able to do.
const FORBIDDEN: [(&str, fn()); 5] = [
    ("open", || drop(fs::File::open("/etc/hostname"))),
    ("socket", || drop(UdpSocket::bind("[::1]:0"))),
    ("execute", || drop(Command::new("/bin/true").status())),
    ("kill", || rustix::process::kill_process(rustix::process::getpid(), Signal::CONT).unwrap()),
    ("identity", || assert!(rustix::process::getuid().as_raw() < u32::MAX)),
];

/// Run by the tests below, in a process of its own: confines itself, and does what the environment says.
#[test]
#[ignore = "a part of other tests"]
fn confined_child() {
    let Ok(deed) = std::env::var("CALC6_TEST_DEED") else { return };
    if let Some(deed) = deed.strip_prefix("files-") {
        assert_eq!(close_files().unwrap(), Files::Closed, "these tests need Linux 6.12 with Landlock");
        let refused = match deed {
            "open" => fs::File::open("/etc/hostname").map(drop),
            "create" => fs::File::create("/tmp/calc6-must-not-exist").map(drop),
            "list" => fs::read_dir("/").map(drop),
            "listen" => TcpListener::bind("[::1]:0").map(drop),
            "connect" => TcpStream::connect("[::1]:9").map(drop),
            _ => panic!("no such deed"),
        };
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
        // What serving needs goes on.
        let (one, other) = (UdpSocket::bind("[::1]:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        one.send_to(b"x", other.local_addr().unwrap()).unwrap();
        assert_eq!(other.recv(&mut [0; 9]).unwrap(), 1);
        return;
    }
    let (role, deed) = deed.split_once('-').unwrap();
    let role = match role {
        "worker" => Role::Worker,
        "main" => Role::Main,
        _ => Role::Metrics,
    };
    Filters::new().unwrap().confine(role).unwrap();
    FORBIDDEN.iter().find(|(name, _)| *name == deed).unwrap().1();
    eprintln!("survived {deed}");
}

fn in_child(deed: &str) -> Output {
    child(deed).output().unwrap()
}

fn child(deed: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sandbox::tests::confined_child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdout(Stdio::null()).env("CALC6_TEST_DEED", deed);
    command
}

#[test]
fn a_forbidden_system_call_kills() {
    for role in ["worker", "main", "metrics"] {
        for (deed, _) in FORBIDDEN {
            let output = in_child(&format!("{role}-{deed}"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{role} {deed}: {} {said}", output.status);
        }
    }
}

#[test]
fn landlock_closes_files_and_tcp_but_not_open_sockets() {
    for deed in ["open", "create", "list", "listen", "connect"] {
        let output = in_child(&format!("files-{deed}"));
        assert!(output.status.success(), "{deed}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
