//! Receive calls that repeat after EINTR: when a machine stops all its processes for a moment, for example for a
//! snapshot, recv(2) on a socket with a timeout ends with EINTR without a signal (signal(7)).
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Receiving again after an interruption.
pub trait Receive {
    /// As recv(2).
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Receive for UdpSocket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        again(|| self.recv(buffer))
    }
}

impl Receive for UnixDatagram {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        again(|| self.recv(buffer))
    }
}

/// As recvfrom(2).
pub fn receive_from(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    again(|| socket.recv_from(buffer))
}

/// Sends `request` until the first answer, for at most ten seconds, and discards further answers.
pub fn until_answered(socket: &UdpSocket, request: &[u8]) {
    let until = Instant::now() + Duration::from_secs(10);
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        assert!(Instant::now() < until, "no answer");
        let _ = socket.send(request);
        if socket.receive(&mut [0; 99]).is_ok() {
            break;
        }
    }
    while socket.receive(&mut [0; 99]).is_ok() {}
}

fn again<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
