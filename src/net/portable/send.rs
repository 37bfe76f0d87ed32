//! Datagrams out, one call each: send(2) or sendto(2).
//!
//! All memory is allocated by [`SendBatch::new`].

use std::io;
use std::net::SocketAddrV6;
use std::ops::Range;

use rustix::io::Errno;
use socket2::SockAddr;

use super::super::error::named;
use super::super::segments;
use super::super::{Local, Sent};

/// Buffers for datagrams to be sent.
///
/// A round is [`append`](Self::append) or [`append_with`](Self::append_with) until [`is_full`](Self::is_full), then
/// [`flush`](Self::flush).
pub struct SendBatch {
    octets: Vec<u8>,
    used: usize,
    /// The length of the longest datagram in octets.
    length: usize,
    slots: usize,
    waiting: Vec<(Option<SocketAddrV6>, Range<usize>)>,
    /// The index of the first datagram still to be sent.
    next: usize,
}

impl SendBatch {
    /// Buffers for `slots` datagrams of up to `length` octets; they are never joined.
    ///
    /// # Panics
    /// If `slots` is 0 or over [`segments::MAX_CAPACITY`].
    pub fn new(slots: usize, length: usize, _: bool) -> Self {
        assert!((1..=segments::MAX_CAPACITY).contains(&slots), "a batch of {slots} datagrams");
        let octets = vec![0; slots * length];
        Self { octets, used: 0, length, slots, waiting: Vec::with_capacity(slots), next: 0 }
    }

    /// Whether there is no room: then call [`flush`](Self::flush) first.
    pub fn is_full(&self) -> bool {
        self.waiting.len() == self.slots || self.next > 0
    }

    /// How many datagrams wait for [`flush`](Self::flush).
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether datagrams are joined into trains: never.
    pub fn segments(&self) -> bool {
        false
    }

    /// Adds a datagram: to this address, or to the peer of a connected socket. The system chooses
    /// the source address.
    ///
    /// # Panics
    /// If there is no room, or the datagram is too long.
    pub fn append(&mut self, to: Option<SocketAddrV6>, from: Option<Local>, octets: &[u8]) {
        self.append_with(to, from, |room| {
            room[..octets.len()].copy_from_slice(octets);
            Some(octets.len())
        });
    }

    /// Adds a datagram that `write` writes into the room it is given; it returns the length, or `None` for no datagram.
    ///
    /// # Panics
    /// If there is no room, or `write` returns more than there was.
    pub fn append_with(
        &mut self,
        to: Option<SocketAddrV6>,
        _: Option<Local>,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        assert!(!self.is_full());
        let room = &mut self.octets[self.used..][..self.length];
        if let Some(length) = write(room) {
            assert!(length <= self.length);
            self.waiting.push((to, self.used..self.used + length));
            self.used += length;
        }
    }

    /// Sends what was appended and never waits. A datagram that the system rejects, or for which the send buffer has no
    /// room, is dropped and counted, and does not affect others. The socket is non-blocking from then on.
    pub fn flush(&mut self, socket: &socket2::Socket) -> Sent {
        self.send_all(socket, false)
    }

    /// The same, but a datagram for which the send buffer has no room is kept, with all that follow. Until another call
    /// has sent them, the batch is full.
    pub fn flush_or_keep(&mut self, socket: &socket2::Socket) -> Sent {
        self.send_all(socket, true)
    }

    fn send_all(&mut self, socket: &socket2::Socket, keep: bool) -> Sent {
        let mut sent = Sent::default();
        // If this fails, sending fails too.
        let _ = socket.set_nonblocking(true);
        while let Some((to, range)) = self.waiting.get(self.next) {
            let octets = &self.octets[range.clone()];
            let result = match to {
                Some(to) => socket.send_to(octets, &SockAddr::from(*to)),
                None => socket.send(octets),
            };
            match result.map_err(named) {
                Ok(_) => sent.datagrams += 1,
                Err(error) => match Failure::of(&error) {
                    Failure::Interrupted => continue,
                    // Reported once; the next call sends.
                    Failure::ClosedPort => {
                        sent.closed_port += 1;
                        continue;
                    }
                    Failure::NoRoom if keep => return sent,
                    Failure::NoRoom | Failure::NoMemory => sent.queue_full += 1,
                    Failure::Refused => {
                        sent.refused += 1;
                        sent.last_refusal = error.raw_os_error();
                    }
                },
            }
            self.next += 1;
        }
        self.waiting.clear();
        (self.next, self.used) = (0, 0);
        sent
    }
}

/// Why the system did not send a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// A signal interrupted the call.
    Interrupted,
    /// The send buffer is full.
    NoRoom,
    /// There is no memory, or no room in a queue, for this datagram.
    NoMemory,
    /// An earlier datagram reached a closed port.
    ClosedPort,
    /// Any other error with this datagram.
    Refused,
}

impl Failure {
    fn of(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::Interrupted => Failure::Interrupted,
            io::ErrorKind::WouldBlock => Failure::NoRoom,
            io::ErrorKind::OutOfMemory => Failure::NoMemory,
            io::ErrorKind::ConnectionRefused => Failure::ClosedPort,
            _ if Errno::from_io_error(error) == Some(Errno::NOBUFS) => Failure::NoMemory,
            _ => Failure::Refused,
        }
    }
}
