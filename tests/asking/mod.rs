//! The `client` program as a child process, and servers that follow a script.
#![allow(dead_code, reason = "each test program uses its part")]

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The time limit of each child.
const LIMIT: Duration = Duration::from_secs(60);

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts success with exactly this on standard output, and returns standard error.
    #[track_caller]
    pub fn printed(self, stdout: &str) -> String {
        assert_eq!((self.status, self.stdout.as_str()), (Some(0), stdout), "{}", self.stderr);
        self.stderr
    }

    /// Asserts that it failed with this status and exactly this line on standard error.
    #[track_caller]
    pub fn complained(self, status: i32, line: &str) {
        assert_eq!(self.stderr, format!("client: {line}\n"));
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""));
    }

    /// Asserts that it failed with this status and one line on standard error that contains these words.
    #[track_caller]
    pub fn complained_of(self, status: i32, words: &str) {
        assert_eq!(self.stderr.matches('\n').count(), 1, "one line: {}", self.stderr);
        assert!(self.stderr.starts_with("client: ") && self.stderr.contains(words), "{words:?}: {}", self.stderr);
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""));
    }
}

/// Runs `client` over words.
pub fn client<I: IntoIterator<Item: AsRef<OsStr>>>(words: I) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(words);
    run(command, b"")
}

/// Runs `client` over the words of a line.
pub fn client_line(line: &str) -> Ended {
    client(line.split_whitespace())
}

/// Runs a command to its end, which must come within a minute, with `input` on its standard input.
pub fn run(mut command: Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guard(command.spawn().expect("the program starts"));
    let mut stdin = child.0.stdin.take().unwrap();
    let mut stdout = child.0.stdout.take().unwrap();
    let mut stderr = child.0.stderr.take().unwrap();
    thread::scope(|scope| {
        // Ends within this scope, also when the test fails, so that the threads end.
        let mut child = child;
        scope.spawn(move || {
            // A program that does not read its input closes it.
            let _ = stdin.write_all(input);
        });
        let text = scope.spawn(move || read(&mut stdout));
        let complaints = scope.spawn(move || read(&mut stderr));
        let status = child.wait();
        Ended { status: status.code(), stdout: text.join().unwrap(), stderr: complaints.join().unwrap() }
    })
}

fn read(from: &mut impl Read) -> String {
    let mut text = Vec::new();
    from.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// A child that ends with its test.
pub struct Guard(pub Child);

impl Guard {
    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the program does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The actions of a scripted server on a datagram, in order.
pub enum Act {
    /// Sends these octets back.
    Reply(Vec<u8>),
    /// Sends these octets back from a socket of another port.
    FromElsewhere(Vec<u8>),
    /// Waits.
    Wait(Duration),
}

/// A server that follows a script, until it is dropped.
pub struct Scripted {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Scripted {
    /// On a free port of ::1. The script gets each datagram and the number of datagrams before it.
    pub fn start(script: impl FnMut(&[u8], usize) -> Vec<Act> + Send + 'static) -> Scripted {
        Scripted::on(UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap(), script)
    }

    /// On a socket that is bound already.
    pub fn on(socket: UdpSocket, mut script: impl FnMut(&[u8], usize) -> Vec<Act> + Send + 'static) -> Scripted {
        let address = socket.local_addr().unwrap();
        let elsewhere = UdpSocket::bind((address.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serving = thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let (len, from) = match socket.recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                        continue;
                    }
                    // The report that an earlier reply reached no socket.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                    Err(error) => panic!("{error}"),
                };
                for act in script(&buffer[..len], count) {
                    match act {
                        Act::Reply(octets) => drop(socket.send_to(&octets, from)),
                        Act::FromElsewhere(octets) => drop(elsewhere.send_to(&octets, from)),
                        Act::Wait(time) => thread::sleep(time),
                    }
                }
                count += 1;
            }
        });
        Scripted { address, stop, serving: Some(serving) }
    }

    /// Always sends the same octets back.
    pub fn replying(octets: &[u8]) -> Scripted {
        let octets = octets.to_vec();
        Scripted::start(move |_, _| vec![Act::Reply(octets.clone())])
    }

    /// Host and port, as arguments of the client.
    pub fn words(&self) -> String {
        format!("{} {}", self.address.ip(), self.address.port())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.serving.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(ended.is_some_and(|ended| ended.is_ok()), "the scripted server failed");
        }
    }
}

/// A port of ::1 on which no server listens.
pub fn free_port() -> u16 {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
