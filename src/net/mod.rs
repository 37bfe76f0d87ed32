//! Sockets and batches of datagrams over IPv6. Knows nothing of calculators.
//!
//! Main types: [`Socket`], with [`ReceiveBatch`] and [`SendBatch`]. May call no other room.
//!
//! Every socket here is `AF_INET6`; IPv4 peers appear with mapped addresses (`::ffff:192.0.2.1`, RFC 4291
//! section 2.5.5.2). A round of a server is three calls:
//!
//! ```no_run
//! use calc6::net::{ReceiveBatch, SendBatch, SocketOptions, Wait, bind_group};
//! let socket = bind_group("[::1]:0".parse().unwrap(), 1, &SocketOptions::default())?.remove(0);
//! let mut received = ReceiveBatch::new(32, 1500, socket.capabilities());
//! let mut replies = SendBatch::new(128, 1500, socket.capabilities().segmentation);
//! loop {
//!     received.receive(&socket, Wait::ForOne)?;
//!     for datagram in received.datagrams() {
//!         if replies.is_full() {
//!             replies.flush(&socket);
//!         }
//!         replies.append(Some(datagram.source), datagram.destination.local(), datagram.octets);
//!     }
//!     replies.flush(&socket);
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What a system cannot do is said by name, [`SYSTEM`], and what a socket cannot do, [`Capabilities`]. The rest of this
//! module is the same everywhere; `linux` holds Linux's system calls and all `unsafe`, `portable` serves every other
//! system with safe code, one datagram a call.

mod address;
mod error;
#[cfg(target_os = "linux")]
mod linux;
mod options;
pub mod peer;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;
pub mod segments;
pub mod wait;

use std::net::{Ipv6Addr, SocketAddrV6};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

pub use address::{is_group_address, mapped};
pub use error::{ReceiveError, has_no_ipv6, is_out_of_descriptors, is_privileged_port};
pub use options::{Instruction, SEND_BUFFER, SocketOptions};
use segments::SegmentBounds;
#[cfg(feature = "tokio")]
pub use system::readiness;
pub use system::socket::{Socket, bind_group};
pub use system::{ReceiveBatch, SYSTEM, SendBatch, clock, cpu, socket};

/// What this system can do beyond datagrams one by one, for all its sockets: [`SYSTEM`]. What it can do for one socket is
/// said by that socket's [`Capabilities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemCapabilities {
    /// One call receives or sends many datagrams (recvmmsg(2), sendmmsg(2)).
    pub batches: bool,
    /// Datagrams of one length travel as segments of one message (UDP_SEGMENT, UDP_GRO of udp(7)).
    pub segments: bool,
    /// Datagrams come with the address they were sent to, so that on a wildcard address a reply leaves from the address
    /// that was asked (RFC 3542 section 6.2). Without it the system chooses the address.
    pub packet_info: bool,
    /// Several sockets have one port, and each peer has one of them (SO_REUSEPORT of socket(7)). Without it all workers
    /// share one socket, and no port is shared between processes.
    pub port_groups: bool,
    /// A program chooses which socket of a group a datagram goes to (SO_ATTACH_REUSEPORT_CBPF). Without it a source prefix
    /// may reach several workers.
    pub steering: bool,
    /// Threads can be pinned to processors (sched_setaffinity(2)).
    pub pinning: bool,
    /// A socket can be closed for what arrives and still be read (SO_ATTACH_FILTER, shutdown(2)).
    pub closed_intake: bool,
}

impl SystemCapabilities {
    /// What is missing, each in a few words that complete "this system has no".
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.batches, "batches of datagrams"),
            (self.segments, "segments"),
            (self.packet_info, "choice of the address that a reply leaves from"),
            (self.port_groups, "sockets that share a port"),
            (self.steering, "choice of the worker by source prefix"),
            (self.pinning, "pinning of threads"),
            (self.closed_intake, "closing of a socket's intake"),
        ];
        all.into_iter().filter(|(there, _)| !there).map(|(_, name)| name)
    }
}

/// What a system can do with a socket beyond sending and receiving datagrams one by one. All of it is best effort:
/// without it, sending is slower or a count is missing; only without packet info a server cannot serve all addresses
/// on one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// One call sends many datagrams of one length to one peer (UDP_SEGMENT of udp(7)).
    pub segmentation: bool,
    /// One call receives many datagrams of one length from one peer (UDP_GRO of udp(7)).
    pub receive_offload: bool,
    /// Datagrams come with the address and interface that they were sent to (IPV6_RECVPKTINFO, RFC 3542 section 6.2).
    pub packet_info: bool,
    /// Datagrams come with the number that were dropped because the receive buffer was full (SO_RXQ_OVFL of socket(7)).
    pub drop_counter: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self { segmentation: true, receive_offload: true, packet_info: true, drop_counter: true };

    /// Nothing: datagrams one by one.
    pub const NONE: Self =
        Self { segmentation: false, receive_offload: false, packet_info: false, drop_counter: false };

    /// Asks `socket` for each of these, and returns those that it has now.
    pub fn enable(self, socket: &socket2::Socket) -> Self {
        system::socket::enable(self, socket)
    }
}

/// Whether datagrams may be joined into segments of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segmentation {
    /// Where the system can, and as long as it does not refuse.
    #[default]
    Auto,
    /// Never: one datagram, one message.
    Off,
}

impl std::str::FromStr for Segmentation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Segmentation::Auto),
            "off" => Ok(Segmentation::Off),
            _ => Err("expected auto or off"),
        }
    }
}

impl std::fmt::Display for Segmentation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Segmentation::Auto => "auto",
            Segmentation::Off => "off",
        })
    }
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Who sent it; unspecified where the batch is for connected sockets.
    pub source: SocketAddrV6,
    /// Where it was sent to.
    pub destination: Destination,
    /// Its octets, as many as the batch has room for.
    pub octets: &'a [u8],
    /// Its real length in octets, which may be more: then it was truncated.
    pub length: usize,
}

/// One received message: a datagram, or a train of them, which have one source and one destination.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Who sent it; unspecified where the batch is for connected sockets.
    pub source: SocketAddrV6,
    /// Where it was sent to.
    pub destination: Destination,
    octets: &'a [u8],
    segments: SegmentBounds,
    shown: usize,
}

impl<'a> Message<'a> {
    /// `octets` of the `length` that came, divided every `segment`, 0 for a single datagram; `shown` of each datagram
    /// are kept.
    #[inline]
    fn new(
        source: SocketAddrV6,
        destination: Destination,
        octets: &'a [u8],
        length: usize,
        segment: usize,
        shown: usize,
    ) -> Self {
        Self { source, destination, octets, segments: SegmentBounds::new(length, segment), shown }
    }

    /// The datagrams of it, in their order.
    #[inline]
    pub fn datagrams(self) -> impl Iterator<Item = Datagram<'a>> {
        let Self { source, destination, octets, segments, shown } = self;
        segments.map(move |(at, length)| {
            let octets = octets.get(at..).unwrap_or_default();
            let octets = &octets[..octets.len().min(length).min(shown)];
            Datagram { source, destination, octets, length }
        })
    }
}

/// Where a datagram was sent to, as far as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// The address that the socket is bound to: it was not asked for packet info.
    #[default]
    Bound,
    /// This address.
    Address(Local),
    /// A broadcast address: the local address of a datagram that came over IPv4 is another one (`ipi_spec_dst` and
    /// `ipi_addr`, ip(7)).
    Broadcast,
    /// The packet info is missing or truncated (MSG_CTRUNC of recvmsg(2)).
    Unknown,
}

impl Destination {
    /// The address from which a reply has to leave; `None` leaves it to the system.
    pub fn local(self) -> Option<Local> {
        match self {
            Destination::Address(local) => Some(local),
            _ => None,
        }
    }
}

/// An address of this machine: where a datagram was sent to, or where one is to leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address; mapped for IPv4.
    pub address: Ipv6Addr,
    /// The index of the interface. For sending it counts only with link-local addresses, which are ambiguous without
    /// it (RFC 4007 section 6); for others the routing table decides.
    pub interface: u32,
}

/// Whether [`ReceiveBatch::receive`] waits for the first datagram. It never waits for a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until one arrives, SO_RCVTIMEO passes, a signal comes or the socket is shut down.
    ForOne,
    /// Not at all.
    No,
}

/// What [`ReceiveBatch::receive`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedCounts {
    /// Messages, each a datagram or a train of them. Fewer than the batch has slots: the socket's queue was empty then.
    /// 0 after shutdown(2) of an empty socket.
    pub messages: usize,
    /// Datagrams in all messages.
    pub datagrams: usize,
    /// Messages that were trains of two datagrams or more.
    pub trains: usize,
    /// Datagrams in these trains.
    pub in_trains: usize,
    /// The socket's drop counter, if it came with them: see [`DropCounter`].
    pub drops: Option<u32>,
}

/// How far a socket's drop counter, which wraps, has been read.
///
/// ```
/// use calc6::net::DropCounter;
/// let mut drops = DropCounter(u32::MAX);
/// assert_eq!(drops.advance(Some(1)), 2, "the counter wraps");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounter(pub u32);

impl DropCounter {
    /// How many datagrams the system dropped since the last report, because the socket's buffer was full.
    pub fn advance(&mut self, counter: Option<u32>) -> u32 {
        // A datagram carries the count at its arrival: one that was queued before the last reading has an older one.
        match counter.map(|counter| (counter, counter.wrapping_sub(self.0))) {
            Some((counter, moved)) if moved <= u32::MAX / 2 => {
                self.0 = counter;
                moved
            }
            _ => 0,
        }
    }
}

/// What became of the datagrams of one [`SendBatch::flush`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Datagrams that the system took.
    pub datagrams: usize,
    /// Messages that the system took as trains of two datagrams or more.
    pub trains: usize,
    /// Datagrams in these trains; the others went one by one.
    pub in_trains: usize,
    /// Trains that the system refused to divide into segments, so that their datagrams were sent one by one.
    pub refused_trains: usize,
    /// Datagrams dropped because the send buffer was full (EAGAIN, ENOBUFS, ENOMEM).
    pub queue_full: usize,
    /// Datagrams that the system refused for another reason (EPERM, ENETUNREACH, EMSGSIZE and so on).
    pub refused: usize,
    /// The system's code of the last refusal.
    pub last_refusal: Option<i32>,
    /// On a connected socket: how often the system reported a closed port for an earlier datagram (ECONNREFUSED). The
    /// datagram whose sending returned the report is sent again.
    pub closed_port: usize,
}

#[cfg(test)]
mod tests;
