//! What a confined process and a confined thread can still do, tried in processes of their own.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::process::Signal;

use super::*;
use crate::hardening::ThreadRole;

/// The calls that end the process in every role.
const FORBIDDEN: [(&str, fn()); 8] = [
    ("socket", || attempt(UdpSocket::bind("[::1]:0"))),
    ("execute", || attempt(Command::new("/bin/true").status())),
    ("kill", || rustix::process::kill_process(rustix::process::getpid(), Signal::CONT).unwrap()),
    ("identity", || assert!(rustix::process::getuid().as_raw() < u32::MAX)),
    // The same system call as TIOCSTI, which types into the terminal's shell.
    ("terminal", || attempt(rustix::termios::tcgetattr(std::io::stderr()))),
    ("nonblocking", || attempt(rustix::io::ioctl_fionbio(std::io::stderr(), false))),
    ("descriptor", || attempt(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 0))),
    ("option", || attempt(rustix::net::sockopt::set_socket_keepalive(std::io::stderr(), true))),
];

/// The result does not matter: the attempt counts.
fn attempt<T, E>(_: Result<T, E>) {}

/// Calls that fail without ending the process, and work that still succeeds.
const HARMLESS: [(&str, fn()); 3] = [
    ("open", || assert_eq!(fs::File::open("/etc/hostname").unwrap_err().kind(), ErrorKind::PermissionDenied)),
    ("stat", || assert_eq!(fs::metadata("/etc/hostname").unwrap_err().kind(), ErrorKind::PermissionDenied)),
    ("heap", churn),
];

/// Grows the heap of the calling thread by megabytes, and shrinks it from its end, so that glibc returns memory.
fn churn() {
    for _ in 0..3 {
        // Smaller than the allocations that have their own mapping (mallopt(3), M_MMAP_THRESHOLD).
        let mut blocks: Vec<Vec<u8>> = (0..200).map(|fill| vec![fill as u8; 100 << 10]).collect();
        while blocks.pop().is_some() {}
    }
}

fn filters(name: &str) -> Filters {
    Filters::new(role(name), name == "reader").unwrap()
}

fn role(name: &str) -> ThreadRole {
    match name {
        "worker" => ThreadRole::Worker,
        "main" => ThreadRole::Main,
        "supervisor" | "reader" => ThreadRole::Supervisor,
        _ => ThreadRole::Metrics,
    }
}

const ROLES: [&str; 5] = ["worker", "main", "supervisor", "reader", "metrics"];

/// Run by the tests below, in its own process: confines itself, and does what the environment says.
#[test]
#[ignore = "a part of other tests"]
fn confined_child() {
    let Ok(deed) = std::env::var("CALC6_TEST_DEED") else { return };
    if let Some(deed) = deed.strip_prefix("files-") {
        assert_eq!(close_files(&[]).unwrap(), Files::Closed, "these tests need Linux 6.12 with Landlock");
        let refused = match deed {
            "open" => fs::File::open("/etc/hostname").map(drop),
            "create" => fs::File::create("/tmp/calc6-must-not-exist").map(drop),
            "list" => fs::read_dir("/").map(drop),
            "listen" => TcpListener::bind("[::1]:0").map(drop),
            "connect" => TcpStream::connect("[::1]:9").map(drop),
            _ => panic!("no such deed"),
        };
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
        // The calls that serving needs still work.
        let (one, other) = (UdpSocket::bind("[::1]:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        one.send_to(b"x", other.local_addr().unwrap()).unwrap();
        assert_eq!(other.recv(&mut [0; 9]).unwrap(), 1);
        return;
    }
    let (name, deed) = deed.split_once('-').unwrap();
    let (filters, deed) = (filters(name), deed.to_owned());
    // In a new thread: its heap is not the first one of the process, and shrinks in another way.
    let confined = move || {
        filters.confine().unwrap();
        FORBIDDEN.iter().chain(&HARMLESS).find(|(name, _)| *name == deed).unwrap().1();
        eprintln!("survived {deed}");
    };
    thread::spawn(confined).join().unwrap();
}

fn in_child(deed: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::confined_child");
    command.args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdout(Stdio::null()).env("CALC6_TEST_DEED", deed).output().unwrap()
}

#[test]
fn a_forbidden_system_call_kills() {
    for role in ROLES {
        for (deed, _) in FORBIDDEN {
            let output = in_child(&format!("{role}-{deed}"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{role} {deed}: {} {said}", output.status);
        }
    }
}

#[test]
fn what_the_c_library_may_try_fails_and_memory_is_freed() {
    for role in ROLES {
        for (deed, _) in HARMLESS {
            // The reader may open files: Landlock decides about these.
            if (role, deed) != ("reader", "open") {
                let output = in_child(&format!("{role}-{deed}"));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{role} {deed}: {} {said}", output.status);
            }
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

#[test]
fn a_file_stays_readable_where_it_stands_and_where_it_leads() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    fs::write(real.join("access"), "").unwrap();
    std::os::unix::fs::symlink(real.join("access"), &link).unwrap();
    assert_eq!(folders_of(&real.join("access")), std::slice::from_ref(&real));
    assert_eq!(folders_of(&link), [folder.path().to_owned(), real]);
}
