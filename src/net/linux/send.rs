//! Many datagrams out with one system call: sendmmsg(2), those of one peer as segments of one message where the kernel
//! can (UDP_SEGMENT of udp(7)).
//!
//! All memory is allocated by [`SendBatch::new`]; a round neither allocates nor copies.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddrV6;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null_mut;

use super::super::segments::{self, Key, Train, Trains};
use super::super::{Local, Sent};
use super::control::SendControl;
use super::fixed::Fixed;

/// Buffers for datagrams to be sent.
///
/// A round is [`append`](Self::append) or [`append_with`](Self::append_with) until [`is_full`](Self::is_full), then
/// [`flush`](Self::flush).
pub struct SendBatch {
    octets: Fixed<u8>,
    used: usize,
    /// Octets of the longest datagram.
    length: usize,
    trains: Trains<Route>,
    /// The first train that is still to be sent.
    next: usize,
    messages: Messages,
    /// For the datagrams of a train that was refused.
    singles: Messages,
    refusals: RefusalBudget,
    #[cfg(test)]
    rule: Option<fn(usize) -> Option<i32>>,
}

// SAFETY: the headers' raw pointers lead into the `Fixed` arrays of the same batch, which move with it.
unsafe impl Send for SendBatch {}

/// What the datagrams of a train have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Route {
    to: Option<SocketAddrV6>,
    from: Option<Local>,
}

impl Key for Route {
    #[inline]
    fn bucket(&self) -> usize {
        // Peers differ in their ports, or in their addresses' last octets.
        self.to.map_or(0, |to| usize::from(to.port()) ^ usize::from(to.ip().octets()[15]) << 2)
    }
}

/// What flushing does with datagrams for which the send buffer has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NoRoom {
    GiveUp,
    Keep,
}

impl SendBatch {
    /// Buffers for `slots` datagrams of up to `length` octets, joined into trains if `segmentation` says so. Panics if
    /// `slots` is 0 or over [`segments::MAX_CAPACITY`].
    pub fn new(slots: usize, length: usize, segmentation: bool) -> Self {
        Self {
            // One more, so that a datagram without octets has a place, too.
            octets: Fixed::zeroed(slots * length + 1),
            used: 0,
            length,
            trains: Trains::new(slots, segmentation),
            next: 0,
            messages: Messages::new(slots),
            singles: Messages::new(if segmentation { segments::MAX_SEGMENTS } else { 0 }),
            refusals: RefusalBudget::default(),
            #[cfg(test)]
            rule: None,
        }
    }

    /// Whether it is full: call [`flush`](Self::flush) first.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.trains.is_full() || self.next > 0
    }

    /// How many datagrams wait for [`flush`](Self::flush).
    #[inline]
    pub fn waiting(&self) -> usize {
        self.trains.datagrams()
    }

    /// Whether datagrams are joined into trains: not if the kernel has refused it too often.
    pub fn segments(&self) -> bool {
        self.trains.joins()
    }

    /// Adds a datagram: to this address, or to the peer of a connected socket; from this one, or from one of the
    /// system's choice.
    ///
    /// # Panics
    /// If there is no room, or the datagram is too long.
    #[inline]
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
    #[inline]
    pub fn append_with(
        &mut self,
        to: Option<SocketAddrV6>,
        from: Option<Local>,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        assert!(!self.is_full());
        // One after the other: a train of such datagrams is one piece of memory.
        let room = &mut self.octets.as_mut_slice()[self.used..][..self.length];
        if let Some(length) = write(room) {
            assert!(length <= self.length);
            self.trains.append(Route { to, from }, self.used, length);
            self.used += length;
        }
    }

    /// Sends what was appended and never waits. A partial send is resumed; a datagram that the kernel refuses, or for
    /// which the send buffer has no room, is dropped and counted, and does not affect the others.
    pub fn flush(&mut self, socket: &socket2::Socket) -> Sent {
        self.send_all(socket, NoRoom::GiveUp)
    }

    /// The same, but what finds no room in the send buffer is kept, with all that follows; until it has been sent by
    /// another call the batch is full.
    pub fn flush_or_keep(&mut self, socket: &socket2::Socket) -> Sent {
        self.send_all(socket, NoRoom::Keep)
    }

    fn send_all(&mut self, socket: &socket2::Socket, no_room: NoRoom) -> Sent {
        let fd = socket.as_raw_fd();
        let mut sent = Sent::default();
        let count = self.trains.all().len();
        if self.next == 0 {
            self.write_messages();
        }
        while self.next < count {
            let next = self.next;
            let taken = self.send(fd, next, count);
            let errno = match taken {
                Ok(taken) => {
                    // sendmmsg(2) returns at least 1 here; if it returned 0, this entry would count as sent.
                    let end = (next + taken.max(1)).min(count);
                    for train in &self.trains.all()[next..end] {
                        sent.datagrams += train.count;
                        if train.count > 1 {
                            sent.trains += 1;
                            sent.in_trains += train.count;
                            self.refusals.worked();
                        }
                    }
                    self.next = end;
                    continue;
                }
                Err(errno) => errno,
            };
            let train = self.trains.all()[next];
            match SendFailure::of(errno) {
                SendFailure::Interrupted => continue,
                SendFailure::ClosedPort => {
                    sent.closed_port += 1;
                    continue;
                }
                SendFailure::NoRoom if no_room == NoRoom::Keep => break,
                SendFailure::NoRoom => sent.queue_full += train.count,
                SendFailure::NoMemory | SendFailure::Refused if train.count > 1 => {
                    self.send_singly(fd, &train, errno, &mut sent);
                }
                SendFailure::NoMemory => sent.queue_full += 1,
                SendFailure::Refused => {
                    sent.refused += 1;
                    sent.last_refusal = Some(errno);
                }
            }
            self.next += 1;
        }
        if self.next == count {
            self.trains.clear();
            (self.next, self.used) = (0, 0);
            if self.refusals.is_spent() {
                self.trains.stop_joining();
            }
        }
        sent
    }

    /// Sends the messages from `next` up to `end`.
    #[inline]
    fn send(&mut self, fd: RawFd, next: usize, end: usize) -> Result<usize, i32> {
        #[cfg(test)]
        if let Some(rule) = self.rule {
            return rule(self.trains.all()[next].count).map_or_else(|| self.messages.send(fd, next, next + 1), Err);
        }
        self.messages.send(fd, next, end)
    }

    fn send_single(&mut self, fd: RawFd, next: usize, end: usize) -> Result<usize, i32> {
        #[cfg(test)]
        if let Some(errno) = self.rule.and_then(|rule| rule(1)) {
            return Err(errno);
        }
        self.singles.send(fd, next, end)
    }

    /// Writes one message for each train.
    #[inline]
    fn write_messages(&mut self) {
        let mut message = self.messages.writer();
        for train in self.trains.all() {
            let segment = (train.count > 1).then_some(train.segment);
            for piece in self.trains.pieces(train) {
                message.piece(self.octets.at(piece.start), piece.len());
            }
            message.end(&train.key, segment);
        }
    }

    /// Sends the datagrams of a train that was refused, one by one. A datagram that was refused for another reason is
    /// refused again.
    #[cold]
    fn send_singly(&mut self, fd: RawFd, train: &Train<Route>, errno: i32, sent: &mut Sent) {
        let mut message = self.singles.writer();
        for range in self.trains.ranges(train) {
            message.piece(self.octets.at(range.start), range.len());
            message.end(&train.key, None);
        }
        let (mut next, before) = (0, sent.datagrams);
        while next < train.count {
            match self.send_single(fd, next, train.count) {
                Ok(taken) => {
                    let taken = taken.max(1).min(train.count - next);
                    sent.datagrams += taken;
                    next += taken;
                    continue;
                }
                Err(errno) => match SendFailure::of(errno) {
                    SendFailure::Interrupted => continue,
                    SendFailure::ClosedPort => {
                        sent.closed_port += 1;
                        continue;
                    }
                    SendFailure::NoRoom | SendFailure::NoMemory => sent.queue_full += 1,
                    SendFailure::Refused => {
                        sent.refused += 1;
                        sent.last_refusal = Some(errno);
                    }
                },
            }
            next += 1;
        }
        if sent.datagrams > before && SendFailure::of(errno) == SendFailure::Refused {
            sent.refused_trains += 1;
            self.refusals.refused();
        }
    }
}

/// Why the kernel did not send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendFailure {
    /// A signal came.
    Interrupted,
    /// The send buffer is full.
    NoRoom,
    /// There is no memory for this message, or a queue is full.
    NoMemory,
    /// An error of an earlier datagram, reported once: the next call sends (udp(7)).
    ClosedPort,
    /// Any other refusal of this message. A train may be refused with EIO, EINVAL, EMSGSIZE, ENOPROTOOPT or
    /// EOPNOTSUPP where its datagrams alone are not: by old kernels, by devices without checksum offload, by
    /// encrypted routes, by links whose MTU is smaller than a segment.
    Refused,
}

impl SendFailure {
    fn of(errno: i32) -> SendFailure {
        match errno {
            libc::EINTR => SendFailure::Interrupted,
            libc::EAGAIN => SendFailure::NoRoom,
            libc::ENOBUFS | libc::ENOMEM => SendFailure::NoMemory,
            libc::ECONNREFUSED => SendFailure::ClosedPort,
            _ => SendFailure::Refused,
        }
    }
}

/// How many refused trains are accepted before datagrams are sent one by one: a refusal costs a system call, and so
/// counts as much as several trains that were sent.
#[derive(Clone, Copy, Debug, Default)]
struct RefusalBudget {
    lost: u32,
}

impl RefusalBudget {
    const REFUSAL: u32 = 16;
    const LIMIT: u32 = 8 * Self::REFUSAL;

    #[inline]
    fn worked(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    fn refused(&mut self) {
        self.lost += Self::REFUSAL;
    }

    fn is_spent(&self) -> bool {
        self.lost >= Self::LIMIT
    }
}

/// Headers for sendmmsg(2), with all that they point to.
struct Messages {
    headers: Fixed<libc::mmsghdr>,
    iovecs: Fixed<libc::iovec>,
    names: Fixed<libc::sockaddr_in6>,
    controls: Fixed<SendControl>,
}

/// For tests: a kernel that takes one message a call, or answers it with the errno that `rule` says for its number of
/// segments.
#[cfg(test)]
pub(super) fn inject(batch: &mut SendBatch, rule: fn(usize) -> Option<i32>) {
    batch.rule = Some(rule);
}

impl Messages {
    fn new(slots: usize) -> Self {
        // SAFETY: all zeroes is a valid value of these C structs of integers and pointers.
        let (headers, iovecs, names) = unsafe {
            (
                Fixed::new(slots, |_| zeroed::<libc::mmsghdr>()),
                Fixed::new(slots, |_| zeroed::<libc::iovec>()),
                Fixed::new(slots, |_| zeroed::<libc::sockaddr_in6>()),
            )
        };
        Self { headers, iovecs, names, controls: Fixed::new(slots, |_| SendControl::EMPTY) }
    }

    /// Sends those from `next` up to `end` with sendmmsg(2): how many messages were taken, or an errno.
    #[inline]
    fn send(&mut self, fd: RawFd, next: usize, end: usize) -> Result<usize, i32> {
        let count = self.headers.as_slice()[next..end].len() as u32;
        // SAFETY: a `Writer` has completed the headers up to `end`; all they point to lives in `self`, or in the octets
        // of the batch that is borrowed for this call.
        let taken = unsafe { libc::sendmmsg(fd, self.headers.at(next), count, libc::MSG_DONTWAIT as _) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// Starts over.
    fn writer(&mut self) -> Writer<'_> {
        Writer { messages: self, header: 0, piece: 0, first_piece: 0 }
    }
}

/// Writes headers one after the other.
struct Writer<'a> {
    messages: &'a mut Messages,
    header: usize,
    piece: usize,
    first_piece: usize,
}

impl Writer<'_> {
    /// Adds octets to the current message.
    #[inline]
    fn piece(&mut self, octets: *mut u8, length: usize) {
        self.messages.iovecs.as_mut_slice()[self.piece] = libc::iovec { iov_base: octets.cast(), iov_len: length };
        self.piece += 1;
    }

    /// Ends the current message.
    #[inline]
    fn end(&mut self, route: &Route, segment: Option<usize>) {
        let Messages { headers, iovecs, names, controls } = &mut *self.messages;
        let header = &mut headers.as_mut_slice()[self.header].msg_hdr;
        header.msg_iov = iovecs.at(self.first_piece);
        header.msg_iovlen = (self.piece - self.first_piece) as _;
        (header.msg_name, header.msg_namelen) = match route.to {
            Some(to) => {
                names.as_mut_slice()[self.header] = name(&to);
                (names.at(self.header).cast(), size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
            None => (null_mut(), 0),
        };
        (header.msg_control, header.msg_controllen) = if segment.is_none() && route.from.is_none() {
            (null_mut(), 0)
        } else {
            let length = controls.as_mut_slice()[self.header].write(segment, route.from);
            (controls.at(self.header).cast(), length as _)
        };
        self.header += 1;
        self.first_piece = self.piece;
    }
}

#[inline]
fn name(address: &SocketAddrV6) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: address.flowinfo(),
        sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
        sin6_scope_id: address.scope_id(),
    }
}
