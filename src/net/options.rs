//! How sockets are opened, and what a program that chooses among them consists of.

use std::time::Duration;

use super::Segmentation;

/// How [`bind_group`](super::bind_group) opens its sockets, and [`Socket::adopt`](super::Socket::adopt) prepares its own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Only IPv6, no mapped IPv4 (IPV6_V6ONLY, RFC 3493 section 5.3).
    pub ipv6_only: bool,
    /// Let other processes of this user bind the same address (SO_REUSEPORT from the start), where the system has
    /// [port groups](super::SystemCapabilities::port_groups).
    pub share_port: bool,
    /// Receive buffer to ask for, in octets: at least as much as that, or as the system allows (net.core.rmem_max on
    /// Linux, where a process with CAP_NET_ADMIN is not bound by that limit: SO_RCVBUFFORCE, socket(7)).
    pub receive_buffer: usize,
    /// How long a receive call waits (SO_RCVTIMEO); zero: for ever.
    pub receive_timeout: Duration,
    /// Ask for the address that each datagram was sent to where the socket is bound to all of them: IPV6_RECVPKTINFO,
    /// and IP_PKTINFO, which tells an address of this machine from a broadcast address. A system that
    /// [cannot tell](super::SystemCapabilities::packet_info) is not asked.
    pub packet_info: bool,
    /// Whether to receive and send trains of datagrams where the system can.
    pub segmentation: Segmentation,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            ipv6_only: false,
            share_port: false,
            receive_buffer: 4 << 20,
            receive_timeout: Duration::ZERO,
            packet_info: true,
            segmentation: Segmentation::Auto,
        }
    }
}

impl SocketOptions {
    /// Only IPv6, no mapped IPv4.
    #[must_use]
    pub fn with_ipv6_only(mut self, ipv6_only: bool) -> Self {
        self.ipv6_only = ipv6_only;
        self
    }

    /// Whether other processes of this user may bind the same address.
    #[must_use]
    pub fn with_share_port(mut self, share_port: bool) -> Self {
        self.share_port = share_port;
        self
    }

    /// The receive buffer to ask for, in octets.
    #[must_use]
    pub fn with_receive_buffer(mut self, receive_buffer: usize) -> Self {
        self.receive_buffer = receive_buffer;
        self
    }

    /// How long a receive call waits; zero: for ever.
    #[must_use]
    pub fn with_receive_timeout(mut self, receive_timeout: Duration) -> Self {
        self.receive_timeout = receive_timeout;
        self
    }

    /// Whether to ask for the address that each datagram was sent to.
    #[must_use]
    pub fn with_packet_info(mut self, packet_info: bool) -> Self {
        self.packet_info = packet_info;
        self
    }

    /// Whether to receive and send trains of datagrams.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }
}

/// Send buffer to ask for, in octets. A reply to a neighbour whose link address is unknown waits in the socket's send
/// buffer until neighbour discovery gives up after 3 seconds (RFC 4861 section 10), so that a few hundred forged
/// neighbours a second fill the usual 208 KiB. Datagrams of any size count with at least 768 octets on Linux: this is
/// room for 5000 of them, as the kernel doubles it (socket(7)).
pub const SEND_BUFFER: usize = 2 << 20;

/// An instruction of a classic BPF program: struct sock_filter of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jump_true: u8,
    /// How many instructions to skip if it does not.
    pub jump_false: u8,
    /// Its operand.
    pub value: u32,
}
