//! A `server` process for a test, which ends with it.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod forging;
pub mod namespace;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running server.
pub struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// The port that it listens on.
    pub port: u16,
}

impl Server {
    /// Starts `server` with `arguments` and waits until it listens.
    pub fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(arguments);
        Server::spawn(command)
    }

    /// Starts a command that becomes, or starts, a server, and waits until it listens.
    pub fn spawn(mut command: Command) -> Server {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let port = line.trim_end_matches(['\n', '"', '}']).rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = port.filter(|_| line.contains("listening on")) else {
            panic!("the server said {line:?}");
        };
        Server { child, stderr, port }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The next line on its stderr that contains `part`.
    pub fn line_with(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "the server ended without {part:?}");
        }
        line
    }

    /// The address of its metrics, once it has said it.
    pub fn metrics(&mut self) -> SocketAddr {
        let line = self.line_with("metrics at http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("the server said {line:?}"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops it (SIGSTOP) and waits until every thread has stopped; SIGCONT lets it go on.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let stopped = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.unwrap().path().join("status")).unwrap().contains("State:\tT")
        };
        while !std::fs::read_dir(format!("/proc/{}/task", self.pid().as_raw_nonzero())).unwrap().all(stopped) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it with SIGTERM and returns what it wrote to stderr after the listening line.
    pub fn stop(self) -> String {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end, which must be a success, and returns what it wrote to stderr after the listening line.
    pub fn wait(mut self) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        let mut said = String::new();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        self.stderr.read_to_string(&mut said).unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket that exchanges datagrams with one address only, and waits five seconds for one.
pub fn peer(bound: &str, to: (&str, u16)) -> UdpSocket {
    let socket = UdpSocket::bind(bound).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(to.to_socket_addrs().unwrap().next().unwrap()).unwrap();
    socket
}
