//! Receiving as a test means it: a machine that stops every process for a moment, as one does whose memory is saved,
//! ends recv(2) with EINTR where the socket has a time-out (signal(7)), though no signal came.
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;

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

fn again<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
