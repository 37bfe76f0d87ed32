//! Ends a wait from another thread: a socket that sends to itself over loopback. Windows cannot wait for a pipe.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use rustix::fd::{AsFd, BorrowedFd};

/// See [`wait::Waker`](super::super::wait::Waker).
#[derive(Debug)]
pub struct Waker(UdpSocket);

impl Waker {
    /// See [`wait::Waker::new`](super::super::wait::Waker::new).
    pub fn new() -> io::Result<Waker> {
        // If one address family is off, the other one is available.
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).or_else(|_| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)))?;
        // Connected to itself, it receives no other datagrams.
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Waker(socket))
    }

    /// See [`wait::Waker::wake`](super::super::wait::Waker::wake).
    pub fn wake(&self) {
        // If the buffer is full, it has been woken already.
        let _ = self.0.send(&[0]);
    }

    /// See [`wait::Waker::clear`](super::super::wait::Waker::clear).
    pub fn clear(&self) {
        while self.0.recv(&mut [0; 64]).is_ok() {}
    }

    /// The descriptor to wait for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::wait::wait;

    #[test]
    fn it_ends_waits_until_it_is_cleared() {
        let waker = Waker::new().unwrap();
        let brief = Some(Duration::from_millis(1));
        assert_eq!(wait(&[waker.as_fd()], brief).unwrap(), [false]);
        (0..10_000).for_each(|_| waker.wake());
        assert_eq!(wait(&[waker.as_fd()], Some(Duration::from_secs(60))).unwrap(), [true]);
        waker.clear();
        assert_eq!(wait(&[waker.as_fd()], brief).unwrap(), [false]);
    }
}
