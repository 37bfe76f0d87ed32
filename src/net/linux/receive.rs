//! Many datagrams in with one system call: recvmmsg(2).
//!
//! All memory is allocated by [`ReceiveBatch::new`]; a round neither allocates nor copies. The kernel overwrites
//! lengths (name, control data, flags) in each header it fills, so each round restores exactly those that the last one
//! used.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use super::super::address::NOBODY;
use super::super::segments;
use super::super::{Capabilities, Datagram, Destination, Message, ReceivedCounts, Wait};
use super::control::{Ancillary, ReceiveControl};
use super::fixed::Fixed;

/// Buffers for received datagrams. Each slot holds one message: a datagram, or a train of them.
pub struct ReceiveBatch {
    octets: Fixed<u8>,
    stride: usize,
    /// Octets of a slot, and how many of each datagram are kept.
    room: usize,
    shown: usize,
    names: Fixed<libc::sockaddr_in6>,
    controls: Fixed<ReceiveControl>,
    headers: Fixed<libc::mmsghdr>,
    // The headers point into it.
    _iovecs: Fixed<libc::iovec>,
    ancillary: Vec<Ancillary>,
    named: bool,
    packet_info: bool,
    /// How many headers the kernel filled in this round.
    received: usize,
}

// SAFETY: the headers' raw pointers lead into the `Fixed` arrays of the same batch, which move with it.
unsafe impl Send for ReceiveBatch {}

const NAME_LEN: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
const CACHE_LINE: usize = 64;

/// The longest message: an IPv6 payload (RFC 8200 section 3).
const MAX_MESSAGE: usize = 65_535;

impl ReceiveBatch {
    /// Buffers for `slots` messages, and up to `length` octets of each datagram: longer ones are truncated. They have
    /// room for what sockets of these capabilities deliver: trains of up to 64 KiB and control data. Panics if `slots`
    /// is 0.
    pub fn new(slots: usize, length: usize, capabilities: Capabilities) -> Self {
        Self::with_names(slots, length, capabilities, true)
    }

    /// The same for connected sockets: sources are not asked for.
    pub fn connected(slots: usize, length: usize, capabilities: Capabilities) -> Self {
        Self::with_names(slots, length, capabilities, false)
    }

    fn with_names(slots: usize, shown: usize, capabilities: Capabilities, named: bool) -> Self {
        assert!(slots > 0, "a batch holds at least one datagram");
        let room = if capabilities.receive_offload { MAX_MESSAGE.max(shown) } else { shown };
        // An odd number of cache lines apart, so that the slots' first lines spread over all sets of the cache.
        let stride = (room.div_ceil(CACHE_LINE) | 1) * CACHE_LINE;
        let octets = Fixed::zeroed(slots * stride);
        let iovecs = Fixed::new(slots, |slot| libc::iovec { iov_base: octets.at(slot * stride).cast(), iov_len: room });
        // SAFETY: all zeroes is a valid value of these C structs of integers and pointers.
        let names = Fixed::new(slots, |_| unsafe { zeroed::<libc::sockaddr_in6>() });
        let controls = Fixed::new(slots, |_| ReceiveControl::EMPTY);
        let headers = Fixed::new(slots, |slot| {
            // SAFETY: as above.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = if named { names.at(slot).cast() } else { null_mut() };
            header.msg_hdr.msg_iov = iovecs.at(slot);
            header.msg_hdr.msg_iovlen = 1;
            // The drop counter of one datagram in a batch is enough; the others do without control data if they can.
            let needed = capabilities.packet_info || capabilities.receive_offload;
            header.msg_hdr.msg_control = if needed || slot == 0 { controls.at(slot).cast() } else { null_mut() };
            header
        });
        let ancillary = vec![Ancillary::default(); slots];
        Self {
            octets,
            stride,
            room,
            shown,
            names,
            controls,
            headers,
            _iovecs: iovecs,
            ancillary,
            named,
            packet_info: capabilities.packet_info,
            received: slots,
        }
    }

    /// The most messages that one call takes.
    pub fn slots(&self) -> usize {
        self.headers.as_slice().len()
    }

    /// Receives what is there, at most [`slots`](Self::slots) messages.
    ///
    /// # Errors
    /// Those of recvmmsg(2).
    pub fn receive(&mut self, socket: &socket2::Socket, wait: Wait) -> io::Result<ReceivedCounts> {
        self.restore_headers();
        let flags = libc::MSG_TRUNC | if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: the headers and all they point to live in `self`; vlen is their number. A null timeout is allowed.
        let count = unsafe {
            let headers = self.headers.at(0);
            libc::recvmmsg(socket.as_raw_fd(), headers, self.slots() as u32, flags as _, null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.received = count;
        // A socket that was shut down returns one "datagram" without a sender: that is the end, not a message.
        if self.named && count == 1 && self.headers.as_slice()[0].msg_hdr.msg_namelen == 0 {
            self.ancillary[0] = Ancillary::default();
            return Ok(ReceivedCounts::default());
        }
        Ok(self.read_control())
    }

    /// Reads the control data of what was received.
    #[inline]
    fn read_control(&mut self) -> ReceivedCounts {
        let mut received = ReceivedCounts { messages: self.received, ..ReceivedCounts::default() };
        let filled = self.headers.as_slice()[..self.received].iter().zip(self.controls.as_slice());
        for ((header, control), found) in filled.zip(&mut self.ancillary) {
            *found = match header.msg_hdr.msg_control.is_null() {
                true => Ancillary::default(),
                false => control.read(&header.msg_hdr),
            };
            let datagrams = segments::count(header.msg_len as usize, found.segment);
            received.datagrams += datagrams;
            if datagrams > 1 {
                received.trains += 1;
                received.in_trains += datagrams;
            }
            received.drops = found.drops.or(received.drops);
        }
        received
    }

    /// The datagrams of the last [`receive`](Self::receive), in the order of their arrival.
    #[inline]
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.messages().flat_map(Message::datagrams)
    }

    /// The messages of the last [`receive`](Self::receive), in the order of their arrival.
    #[inline]
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        (0..self.received).filter_map(|slot| self.message(slot))
    }

    /// The message in a slot; `None` if it has no sender.
    #[inline]
    fn message(&self, slot: usize) -> Option<Message<'_>> {
        let header = &self.headers.as_slice()[slot];
        let source = match self.named {
            true if header.msg_hdr.msg_namelen == 0 => return None,
            true => socket_addr(&self.names.as_slice()[slot]),
            false => NOBODY,
        };
        let (length, ancillary) = (header.msg_len as usize, &self.ancillary[slot]);
        let octets = &self.octets.as_slice()[slot * self.stride..][..length.min(self.room)];
        let destination = if self.packet_info { ancillary.destination() } else { Destination::Bound };
        Some(Message::new(source, destination, octets, length, ancillary.segment, self.shown))
    }

    /// Undoes what the kernel wrote into the headers that the last round used.
    fn restore_headers(&mut self) {
        for header in &mut self.headers.as_mut_slice()[..self.received] {
            header.msg_hdr.msg_namelen = if self.named { NAME_LEN } else { 0 };
            let length = if header.msg_hdr.msg_control.is_null() { 0 } else { ReceiveControl::LEN };
            header.msg_hdr.msg_controllen = length as _;
        }
        self.received = 0;
    }
}

#[inline]
fn socket_addr(name: &libc::sockaddr_in6) -> SocketAddrV6 {
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    SocketAddrV6::new(address, u16::from_be(name.sin6_port), name.sin6_flowinfo, name.sin6_scope_id)
}
