//! Many datagrams in, many out, with two system calls: recvmmsg(2) and sendmmsg(2).
//!
//! All memory is allocated by [`Batch::new`]; a round neither allocates nor copies. The kernel overwrites lengths
//! (name, control data, flags) in each header it fills, so each round restores exactly those that the last one used.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

use super::fixed::Fixed;

/// A set of receive and send buffers for one worker.
///
/// A round is [`receive`](Batch::receive), [`answer`](Batch::answer), [`send`](Batch::send).
pub struct Batch {
    requests: Buffers,
    replies: Buffers,
    names: Fixed<libc::sockaddr_in6>,
    controls: Fixed<Control>,
    request_headers: Fixed<libc::mmsghdr>,
    reply_headers: Fixed<libc::mmsghdr>,
    packet_info: bool,
    /// How many request headers the kernel filled in this round.
    received: usize,
    /// How many reply headers wait to be sent.
    queued: usize,
    /// The last value of the socket's drop counter.
    drops: u32,
}

// SAFETY: the headers' raw pointers lead into the `Fixed` arrays of the same `Batch`, which move with it.
unsafe impl Send for Batch {}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: SocketAddrV6,
    /// The address it was sent to.
    pub destination: Destination,
    /// Its octets, as many as a receive buffer holds.
    pub octets: &'a [u8],
    /// Its real length in octets, which may be more.
    pub length: usize,
}

/// Where a datagram was sent to, as far as the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The one address that the socket is bound to: the batch does not ask for packet info.
    Bound,
    /// This address.
    Address(Ipv6Addr),
    /// A broadcast address: the local address of a datagram that came over IPv4 is another one (`ipi_spec_dst` and
    /// `ipi_addr`, ip(7)).
    Broadcast,
    /// The packet info is missing or truncated (MSG_CTRUNC).
    Unknown,
}

/// Whether [`Batch::receive`] waits for the first datagram. It never waits for a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until one arrives, SO_RCVTIMEO passes, a signal comes or the socket is shut down.
    ForOne,
    /// Not at all.
    No,
}

/// What [`Batch::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Datagrams in this batch. 0 after shutdown(2) of an empty socket.
    pub count: usize,
    /// Datagrams that the kernel dropped since the last report because the socket's buffer was full (SO_RXQ_OVFL).
    pub dropped_by_kernel: u32,
}

/// What became of the replies of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Replies that the kernel took.
    pub sent: usize,
    /// Replies given up because the send queue was full (EAGAIN, ENOBUFS, ENOMEM).
    pub queue_full: usize,
    /// Replies that the kernel refused each on its own account (EPERM, ENETUNREACH, EMSGSIZE and so on).
    pub refused: usize,
    /// The errno of the last refusal.
    pub last_refusal: Option<i32>,
}

impl Batch {
    /// Buffers for `slots` datagrams of up to `request_len` octets (longer ones are cut, and seen to be) and replies
    /// of up to `reply_len`. With `packet_info` replies leave from the address that was asked; the socket must then
    /// have IPV6_RECVPKTINFO set. Panics if `slots` is 0.
    pub fn new(slots: usize, request_len: usize, reply_len: usize, packet_info: bool) -> Self {
        assert!(slots > 0, "a batch holds at least one datagram");
        let requests = Buffers::new(slots, request_len);
        let replies = Buffers::new(slots, reply_len);
        // SAFETY: for these C structs of integers and pointers all zeroes is a value.
        let names = Fixed::new(slots, |_| unsafe { zeroed::<libc::sockaddr_in6>() });
        let controls = Fixed::new(slots, |_| Control([0; CONTROL_LEN]));
        let request_headers = Fixed::new(slots, |slot| {
            // The drop counter of one datagram in a batch is enough; the others do without control data if they can.
            let control = if packet_info || slot == 0 { controls.at(slot).cast() } else { null_mut() };
            header(names.at(slot), requests.iovecs.at(slot), control)
        });
        let reply_headers = Fixed::new(slots, |slot| header(names.at(slot), replies.iovecs.at(slot), null_mut()));
        let mut batch = Self {
            requests,
            replies,
            names,
            controls,
            request_headers,
            reply_headers,
            packet_info,
            received: slots,
            queued: 0,
            drops: 0,
        };
        batch.restore_request_headers();
        batch
    }

    /// Reports only drops above this value of the socket's counter: see [`Socket::drops`](super::Socket::drops).
    pub fn count_drops_from(&mut self, drops: u32) {
        self.drops = drops;
    }

    /// The most datagrams that one round takes.
    pub fn slots(&self) -> usize {
        self.request_headers.as_slice().len()
    }

    /// Receives what is there, at most [`slots`](Batch::slots) datagrams. Errors are those of recvmmsg(2).
    pub fn receive(&mut self, socket: impl AsFd, wait: Wait) -> io::Result<Received> {
        self.restore_request_headers();
        let flags = libc::MSG_TRUNC | if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: the headers and all they point to live in `self`; vlen is their number. A null timeout is allowed.
        let count = unsafe {
            let headers = self.request_headers.at(0);
            libc::recvmmsg(socket.as_fd().as_raw_fd(), headers, self.slots() as u32, flags as _, null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.received = count;
        // A socket that was shut down yields one "datagram" without a sender: the end, not a message.
        if count == 1 && self.request_headers.as_slice()[0].msg_hdr.msg_namelen == 0 {
            return Ok(Received { count: 0, dropped_by_kernel: 0 });
        }
        Ok(Received { count, dropped_by_kernel: self.new_drops() })
    }

    /// Shows each received datagram to `answer` with room for its reply, in order. `answer` returns the length of the
    /// reply, 0 for none; the reply is queued for [`send`](Batch::send) to the datagram's sender.
    /// Panics if `answer` returns more than the room it was given.
    #[inline]
    pub fn answer(&mut self, mut answer: impl FnMut(Datagram<'_>, &mut [u8]) -> usize) {
        self.queued = 0;
        let headers = self.request_headers.as_slice();
        let reply_headers = self.reply_headers.as_mut_slice();
        for (slot, header) in headers[..self.received].iter().enumerate() {
            let name = &self.names.as_slice()[slot];
            if header.msg_hdr.msg_namelen == 0 {
                continue;
            }
            let (destination, info) = match self.packet_info {
                true => self.controls.as_slice()[slot].destination(&header.msg_hdr),
                false => (Destination::Bound, None),
            };
            let length = header.msg_len as usize;
            let datagram = Datagram {
                source: socket_addr(name),
                destination,
                octets: &self.requests.slot(slot)[..length.min(self.requests.len)],
                length,
            };
            let reply = self.replies.slot_mut(self.queued);
            let reply_len = answer(datagram, reply);
            if reply_len == 0 {
                continue;
            }
            assert!(reply_len <= reply.len());
            self.replies.iovecs.as_mut_slice()[self.queued].iov_len = reply_len;
            let reply_header = &mut reply_headers[self.queued].msg_hdr;
            reply_header.msg_name = self.names.at(slot).cast();
            (reply_header.msg_control, reply_header.msg_controllen) = match info {
                Some(info) => (self.controls.as_mut_slice()[slot].source_from(info), PACKET_INFO_LEN),
                None => (null_mut(), 0),
            };
            self.queued += 1;
        }
    }

    /// Sends what [`answer`](Batch::answer) queued and never waits. A partial send is resumed; a reply that the kernel
    /// refuses is skipped and counted; where the send queue is full the rest of the batch is given up.
    pub fn send(&mut self, socket: impl AsFd) -> Sent {
        let fd = socket.as_fd().as_raw_fd();
        let mut sent = Sent::default();
        let mut next = 0;
        while next < self.queued {
            let headers = self.reply_headers.at(next);
            // SAFETY: the headers from `next` to `queued` and all they point to live in `self`.
            let taken = unsafe { libc::sendmmsg(fd, headers, (self.queued - next) as u32, libc::MSG_DONTWAIT as _) };
            if let Ok(taken) = usize::try_from(taken) {
                // sendmmsg(2) returns at least 1 here; should it return 0 all the same, this entry counts as taken.
                sent.sent += taken.max(1);
                next += taken.max(1);
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => {
                    sent.queue_full += self.queued - next;
                    break;
                }
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    sent.queue_full += 1;
                    next += 1;
                }
                errno => {
                    sent.refused += 1;
                    sent.last_refusal = errno;
                    next += 1;
                }
            }
        }
        self.queued = 0;
        sent
    }

    /// Undoes what the kernel wrote into the headers that the last round used.
    fn restore_request_headers(&mut self) {
        let headers = self.request_headers.as_mut_slice();
        for header in &mut headers[..self.received] {
            header.msg_hdr.msg_namelen = NAME_LEN;
            header.msg_hdr.msg_controllen = if header.msg_hdr.msg_control.is_null() { 0 } else { CONTROL_LEN };
        }
        self.received = 0;
    }

    /// How far the socket's drop counter, which wraps, has moved.
    fn new_drops(&mut self) -> u32 {
        let header = &self.request_headers.as_slice()[0].msg_hdr;
        // A datagram carries the count at its arrival. One that was queued before the first count was read is behind it.
        match self.controls.as_slice()[0].drops(header).map(|drops| (drops, drops.wrapping_sub(self.drops))) {
            Some((drops, moved)) if moved <= u32::MAX / 2 => {
                self.drops = drops;
                moved
            }
            _ => 0,
        }
    }
}

const NAME_LEN: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

/// Octet buffers of one length, one a slot, each with its iovec.
pub(super) struct Buffers {
    octets: Fixed<u8>,
    pub(super) iovecs: Fixed<libc::iovec>,
    len: usize,
    stride: usize,
}

impl Buffers {
    pub(super) fn new(slots: usize, len: usize) -> Self {
        // An odd number of cache lines apart, so that the slots' first lines spread over all sets of the cache.
        let stride = (len.div_ceil(CACHE_LINE) | 1) * CACHE_LINE;
        let octets = Fixed::new(slots * stride, |_| 0u8);
        let iovecs = Fixed::new(slots, |slot| libc::iovec { iov_base: octets.at(slot * stride).cast(), iov_len: len });
        Self { octets, iovecs, len, stride }
    }

    pub(super) fn slot(&self, slot: usize) -> &[u8] {
        &self.octets.as_slice()[slot * self.stride..][..self.len]
    }

    pub(super) fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        &mut self.octets.as_mut_slice()[slot * self.stride..][..self.len]
    }
}

const CACHE_LINE: usize = 64;

/// Control data of one datagram: room for the drop counter and the packet info of both families.
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_LEN]);

/// struct in6_pktinfo, and where in the control data its cmsghdr begins.
#[derive(Clone, Copy)]
struct PacketInfo {
    address: [u8; 16],
    at: usize,
}

// CMSG_SPACE(4) and CMSG_SPACE(20) of cmsg(3), which are const functions in no libc version.
// Sending is done with CMSG_LEN(20), without the padding: the kernel copies control data of up to 36 octets to its stack,
// and allocates memory for more (Linux, ____sys_sendmsg), which costs as much as all else about the address.
const HEADER_LEN: usize = size_of::<libc::cmsghdr>();
const DROPS_SPACE: usize = HEADER_LEN + 8;
const PACKET_INFO_LEN: usize = HEADER_LEN + 20;
const PACKET_INFO_SPACE: usize = HEADER_LEN + 24;
/// CMSG_SPACE of struct in_pktinfo: three words.
const PACKET_INFO4_SPACE: usize = HEADER_LEN + 16;
const PACKET_INFO4_LEN: usize = HEADER_LEN + 12;
pub(super) const CONTROL_LEN: usize = DROPS_SPACE + PACKET_INFO_SPACE + PACKET_INFO4_SPACE;
const ADDRESS_LEN: usize = 16;

impl Control {
    /// Where the datagram was sent to, and the packet info that makes the reply leave from there.
    #[inline]
    fn destination(&self, header: &libc::msghdr) -> (Destination, Option<PacketInfo>) {
        let Some(info) = self.packet_info(header) else { return (Destination::Unknown, None) };
        let address = Ipv6Addr::from(info.address);
        let Some(ipv4) = address.to_ipv4_mapped() else { return (Destination::Address(address), Some(info)) };
        match self.local_ipv4(header) {
            None => (Destination::Unknown, None),
            Some(local) if local != ipv4.octets() && !ipv4.is_multicast() => (Destination::Broadcast, None),
            Some(_) => (Destination::Address(address), Some(info)),
        }
    }

    /// `ipi_spec_dst` of the IP_PKTINFO message: the local address of a datagram that came over IPv4, which is also its
    /// destination unless that is a multicast or broadcast address. It follows `ipi_ifindex`.
    fn local_ipv4(&self, header: &libc::msghdr) -> Option<[u8; 4]> {
        let at = self.find(header, libc::IPPROTO_IP, libc::IP_PKTINFO, PACKET_INFO4_LEN)?;
        Some(self.0[at + HEADER_LEN + 4..][..4].try_into().expect("a slice of 4"))
    }

    /// The IPV6_PKTINFO message, if the kernel wrote one.
    #[inline]
    fn packet_info(&self, header: &libc::msghdr) -> Option<PacketInfo> {
        let at = self.find(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, PACKET_INFO_SPACE)?;
        let address = self.0[at + HEADER_LEN..][..ADDRESS_LEN].try_into().expect("a slice of 16");
        Some(PacketInfo { address, at })
    }

    /// The SO_RXQ_OVFL message: the socket's count of dropped datagrams.
    pub(super) fn drops(&self, header: &libc::msghdr) -> Option<u32> {
        let at = self.find(header, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, DROPS_SPACE)?;
        Some(u32::from_ne_bytes(self.0[at + HEADER_LEN..][..4].try_into().expect("a slice of 4")))
    }

    /// Turns a received IPV6_PKTINFO message into the one that makes its address the reply's source. The interface is
    /// left to the routing table, except for link-local addresses, which mean nothing without theirs (RFC 4007).
    #[inline]
    fn source_from(&mut self, info: PacketInfo) -> *mut libc::c_void {
        let link_local = info.address[0] == 0xfe && info.address[1] & 0xc0 == 0x80;
        if !link_local {
            self.0[info.at + HEADER_LEN + ADDRESS_LEN..][..4].fill(0);
        }
        self.0[info.at..].as_mut_ptr().cast()
    }

    /// Where the message of a level and type begins, with at least `space` octets from there.
    #[inline]
    fn find(&self, header: &libc::msghdr, level: i32, kind: i32, space: usize) -> Option<usize> {
        if header.msg_control.is_null() {
            return None;
        }
        let end = header.msg_controllen.min(CONTROL_LEN);
        let mut at = 0;
        while at + HEADER_LEN <= end {
            // struct cmsghdr of cmsg(3): size_t cmsg_len, int cmsg_level, int cmsg_type.
            let (len, rest) = self.0[at..end].split_first_chunk().expect("a whole header");
            let len = usize::from_ne_bytes(*len);
            let (found_level, rest) = rest.split_first_chunk().expect("a whole header");
            let (found_kind, _) = rest.split_first_chunk().expect("a whole header");
            if i32::from_ne_bytes(*found_level) == level && i32::from_ne_bytes(*found_kind) == kind {
                return (at + space <= end).then_some(at);
            }
            at += len.max(HEADER_LEN).next_multiple_of(size_of::<usize>());
        }
        None
    }
}

/// A header whose pointers never change; lengths are set by each round.
pub(super) fn header(
    name: *mut libc::sockaddr_in6,
    iovec: *mut libc::iovec,
    control: *mut libc::c_void,
) -> libc::mmsghdr {
    // SAFETY: all zeroes is a value of this C struct of integers and pointers.
    let mut header: libc::mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = name.cast();
    header.msg_hdr.msg_namelen = NAME_LEN;
    header.msg_hdr.msg_iov = iovec;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_control = control;
    header
}

#[inline]
fn socket_addr(name: &libc::sockaddr_in6) -> SocketAddrV6 {
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    SocketAddrV6::new(address, u16::from_be(name.sin6_port), name.sin6_flowinfo, name.sin6_scope_id)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::super::socket::{Options, Socket, bind_group};
    use super::*;

    const OPTIONS: Options = Options {
        ipv6_only: false,
        share_port: false,
        receive_buffer: 1 << 16,
        receive_timeout: Duration::from_secs(5),
        packet_info: true,
    };

    fn bind(address: &str) -> Socket {
        bind_group(address.parse().unwrap(), 1, &OPTIONS).unwrap().remove(0)
    }

    fn peer(bound: &str, to: (&str, u16)) -> UdpSocket {
        let socket = UdpSocket::bind(bound).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.connect(to).unwrap();
        socket
    }

    fn echo(batch: &mut Batch) {
        batch.answer(|datagram, reply| {
            reply[..datagram.octets.len()].copy_from_slice(datagram.octets);
            datagram.octets.len()
        });
    }

    #[test]
    fn each_sender_gets_its_reply_round_after_round() {
        let socket = bind("[::1]:0");
        let port = socket.local_addr().port();
        let peers: Vec<UdpSocket> = (0..6).map(|_| peer("[::1]:0", ("::1", port))).collect();
        let mut batch = Batch::new(4, 1500, 1500, false);
        let mut buffer = [0; 1500];
        for len in [1, 1400, 3, 900] {
            for (mark, peer) in peers.iter().enumerate() {
                peer.send(&vec![mark as u8; len]).unwrap();
            }
            for expected in [4, 2] {
                let received = batch.receive(&socket, Wait::ForOne).unwrap();
                assert_eq!(received, Received { count: expected, dropped_by_kernel: 0 });
                echo(&mut batch);
                assert_eq!(batch.send(&socket), Sent { sent: expected, ..Sent::default() });
            }
            for (mark, peer) in peers.iter().enumerate() {
                let len_received = peer.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..len_received], vec![mark as u8; len]);
            }
        }
    }

    #[test]
    fn on_the_wildcard_replies_leave_from_the_address_that_was_asked() {
        let socket = bind("[::]:0");
        let port = socket.local_addr().port();
        // Connected sockets take datagrams from that address only.
        let peers = [
            peer("[::1]:0", ("::1", port)),
            peer("127.0.0.1:0", ("127.0.0.9", port)),
            peer("127.0.0.3:0", ("127.1.2.3", port)),
        ];
        for peer in &peers {
            peer.send(b"whence").unwrap();
        }
        let mut batch = Batch::new(8, 100, 100, true);
        assert_eq!(batch.receive(&socket, Wait::ForOne).unwrap().count, 3);
        let mut asked = Vec::new();
        batch.answer(|datagram, reply| {
            asked.push(datagram.destination);
            reply[0] = 1;
            1
        });
        let expected = ["::1", "::ffff:127.0.0.9", "::ffff:127.1.2.3"].map(|text| text.parse().unwrap());
        let expected = expected.map(Destination::Address);
        assert_eq!(asked, expected);
        assert_eq!(batch.send(&socket).sent, 3);
        for peer in &peers {
            assert_eq!(peer.recv(&mut [0; 9]).unwrap(), 1);
        }
    }

    #[test]
    fn a_long_datagram_is_cut_and_seen_to_be() {
        let socket = bind("[::1]:0");
        let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
        peer.send(&[7; 5000]).unwrap();
        let mut batch = Batch::new(2, 1233, 1, false);
        assert_eq!(batch.receive(&socket, Wait::ForOne).unwrap().count, 1);
        batch.answer(|datagram, _| {
            assert_eq!((datagram.octets.len(), datagram.length), (1233, 5000));
            0
        });
        assert_eq!(batch.send(&socket), Sent::default());
    }

    #[test]
    fn a_reply_that_cannot_be_sent_spoils_no_other() {
        let socket = bind("[::1]:0");
        let peers: Vec<UdpSocket> = (0..5).map(|_| peer("[::1]:0", ("::1", socket.local_addr().port()))).collect();
        for (mark, peer) in peers.iter().enumerate() {
            peer.send(&[mark as u8]).unwrap();
        }
        let mut batch = Batch::new(8, 1, 66_000, false);
        assert_eq!(batch.receive(&socket, Wait::ForOne).unwrap().count, 5);
        // More than a UDP length can say: EMSGSIZE for the first and the fourth.
        batch.answer(|datagram, _| if datagram.octets[0] % 3 == 0 { 66_000 } else { 1 });
        let expected = Sent { sent: 3, queue_full: 0, refused: 2, last_refusal: Some(libc::EMSGSIZE) };
        assert_eq!(batch.send(&socket), expected);
        for mark in [1, 2, 4] {
            assert_eq!(peers[mark].recv(&mut [0; 9]).unwrap(), 1);
        }
    }

    #[test]
    fn what_the_kernel_dropped_is_reported_once() {
        let socket = bind("[::1]:0");
        let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
        let sent = 1000;
        for _ in 0..sent {
            peer.send(&[0; 1000]).unwrap();
        }
        let mut batch = Batch::new(16, 1233, 1, false);
        let (mut received, mut dropped) = (0, 0);
        while let Ok(found) = batch.receive(&socket, Wait::No) {
            received += found.count;
            dropped += found.dropped_by_kernel;
            // The counter travels with datagrams queued after the drops.
            peer.send(&[0]).unwrap();
            if found.count == 1 {
                break;
            }
        }
        assert!(received < sent && dropped > 0, "received {received}, dropped {dropped}");
        assert_eq!(batch.receive(&socket, Wait::No).unwrap().dropped_by_kernel, 0);
    }

    #[test]
    fn a_closed_intake_lets_the_queue_be_read_and_no_more() {
        let socket = bind("[::1]:0");
        let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
        peer.send(b"before").unwrap();
        socket.close_intake().unwrap();
        // Dropped by the filter.
        let _ = peer.send(b"after");
        let mut batch = Batch::new(4, 100, 100, false);
        assert_eq!(batch.receive(&socket, Wait::ForOne).unwrap().count, 1);
        echo(&mut batch);
        assert_eq!(batch.send(&socket).sent, 1);
        assert_eq!(peer.recv(&mut [0; 100]).unwrap(), 6);
        assert_eq!(batch.receive(&socket, Wait::ForOne).unwrap().count, 0);
    }
}
