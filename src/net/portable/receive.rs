//! Datagrams in, one call each: recvfrom(2).
//!
//! All memory is allocated by [`ReceiveBatch::new`].

use std::io;
use std::net::SocketAddrV6;

use rustix::net::{RecvFlags, recvfrom};

use super::super::address::NOBODY;
use super::super::error::named;
use super::super::{Capabilities, Datagram, Destination, Message, ReceivedCounts, Wait};
use super::socket::wait_readable;

/// Buffers for received datagrams.
pub struct ReceiveBatch {
    /// The visible part of each datagram, one after the other.
    octets: Vec<u8>,
    /// Room for a whole datagram: one too long for a buffer is an error on some systems, and truncated on others.
    whole: Vec<u8>,
    shown: usize,
    slots: usize,
    named: bool,
    found: Vec<Found>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    source: SocketAddrV6,
    length: usize,
}

/// The longest datagram: an IPv6 payload (RFC 8200 section 3).
const MAX_DATAGRAM: usize = 65_535;

impl ReceiveBatch {
    /// Buffers for `slots` datagrams, which show up to `length` octets of each: longer ones are truncated.
    ///
    /// # Panics
    /// If `slots` is 0.
    pub fn new(slots: usize, length: usize, _: Capabilities) -> Self {
        Self::with_names(slots, length, true)
    }

    /// The same for connected sockets: sources are not asked for.
    ///
    /// # Panics
    /// If `slots` is 0.
    pub fn connected(slots: usize, length: usize, _: Capabilities) -> Self {
        Self::with_names(slots, length, false)
    }

    fn with_names(slots: usize, shown: usize, named: bool) -> Self {
        assert!(slots > 0, "a batch holds at least one datagram");
        let (octets, whole) = (vec![0; slots * shown], vec![0; MAX_DATAGRAM.max(shown)]);
        Self { octets, whole, shown, slots, named, found: Vec::with_capacity(slots) }
    }

    /// The most datagrams that one [`receive`](Self::receive) takes.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Receives waiting datagrams, at most [`slots`](Self::slots). The socket is non-blocking from then on.
    ///
    /// # Errors
    /// Those of recvfrom(2) and poll(2); a closed port is `ConnectionRefused`, and a time-out is `WouldBlock`.
    pub fn receive(&mut self, socket: &socket2::Socket, wait: Wait) -> io::Result<ReceivedCounts> {
        self.found.clear();
        socket.set_nonblocking(true)?;
        let mut first = self.receive_one(socket);
        if let (Err(error), Wait::ForOne) = (&first, wait)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            wait_readable(socket, socket.read_timeout()?)?;
            first = self.receive_one(socket);
        }
        first?;
        // An error of a later call is dropped with it: a closed port is reported again, for the next datagram.
        while self.found.len() < self.slots && self.receive_one(socket).is_ok() {}
        let datagrams = self.found.len();
        Ok(ReceivedCounts { messages: datagrams, datagrams, ..ReceivedCounts::default() })
    }

    fn receive_one(&mut self, socket: &socket2::Socket) -> io::Result<()> {
        let (_, length, source) = match recvfrom(socket, &mut self.whole[..], RecvFlags::empty()) {
            Ok(received) => received,
            Err(errno) => return Err(named(errno.into())),
        };
        let source = match source {
            Some(source) if self.named => SocketAddrV6::try_from(source)?,
            _ => NOBODY,
        };
        let length = length.min(self.whole.len());
        let shown = length.min(self.shown);
        let start = self.found.len() * self.shown;
        self.octets[start..start + shown].copy_from_slice(&self.whole[..shown]);
        self.found.push(Found { source, length });
        Ok(())
    }

    /// The datagrams of the last [`receive`](Self::receive), in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.messages().flat_map(Message::datagrams)
    }

    /// The messages of the last [`receive`](Self::receive), in the order of their arrival: each is a datagram.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.found.iter().enumerate().map(|(slot, &Found { source, length })| {
            let octets = &self.octets[slot * self.shown..][..length.min(self.shown)];
            Message::new(source, Destination::Bound, octets, length, 0, self.shown)
        })
    }
}
