//! Why a server cannot be bound.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use super::Config;
use crate::limit::access::Contradiction;
use crate::net::{has_no_ipv6, is_out_of_descriptors, is_privileged_port};

/// Why a server could not be bound. The system's error, where there is one, is the `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the address and port.
    #[error("{0} is in use: another server has this port")]
    InUse(SocketAddrV6),
    /// The address belongs to another machine, or to none.
    #[error("{} is none of this machine's addresses (try ::, which is all of them)", .0.ip().to_canonical())]
    NotLocal(SocketAddrV6),
    /// An IPv6 address, and IPv6 is off on this machine (`disable_ipv6=1`, as is usual in containers).
    #[error("{} cannot be bound: IPv6 is off on this machine (try 127.0.0.1, or 0.0.0.0, which is all its addresses)", .0.ip().to_canonical())]
    Ipv6Off(SocketAddrV6),
    /// The kernel has no IPv6 sockets (`ipv6.disable=1`), through which IPv4 is served too.
    #[error("this system has no IPv6 sockets, through which IPv4 is served too (boot it without ipv6.disable=1)")]
    NoIpv6(#[source] io::Error),
    /// A multicast or broadcast address: a server answers only what is sent to itself (docs/protocol.md, clause 4.1).
    #[error(
        "{} is a multicast or broadcast address, which is never answered: expected one of this machine's addresses, or ::",
        .0.ip().to_canonical()
    )]
    GroupAddress(SocketAddrV6),
    /// The port is below net.ipv4.ip_unprivileged_port_start.
    #[error("port {} is privileged: take one from 1024 on, or give the program CAP_NET_BIND_SERVICE", .0.port())]
    Privileged(SocketAddrV6),
    /// Neither files nor sockets can be opened any more.
    #[error("no descriptor left for the sockets of {workers} workers (see ulimit -n)")]
    Descriptors {
        /// How many workers were asked for.
        workers: usize,
        /// The system's error.
        source: io::Error,
    },
    /// [`Server::adopt`](super::Server::adopt) was given no socket.
    #[error("no socket was handed over")]
    NoSocket,
    /// A socket that was handed over cannot be served.
    #[error("inherited socket {place} cannot be served")]
    Inherited {
        /// Its place among the sockets, from 0.
        place: usize,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The batch is out of range.
    #[error("a batch of {0} datagrams: expected 1 to {most}", most = Config::MAX_BATCH)]
    Batch(usize),
    /// The process may not use this processor.
    #[error("processor {0} is not among those that this process may use (see nproc, taskset -p)")]
    Processor(usize),
    /// The system pins no threads to processors.
    #[error("threads cannot be pinned to processors on this system")]
    Pinning,
    /// The access rules contradict each other.
    #[error(transparent)]
    Rules(#[from] Contradiction),
    /// No random numbers for the rate limit's key.
    #[error("cannot draw random numbers")]
    Random(#[source] getrandom::Error),
    /// Anything else.
    #[error("cannot bind {address}")]
    Other {
        /// The address asked for.
        address: SocketAddrV6,
        /// The system's error.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(address: SocketAddrV6, workers: usize, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::AddrNotAvailable if is_off(*address.ip()) => Self::Ipv6Off(address),
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(address),
            io::ErrorKind::InvalidInput if source.raw_os_error().is_none() => Self::GroupAddress(address),
            _ if has_no_ipv6(&source) => Self::NoIpv6(source),
            _ if is_privileged_port(&source) => Self::Privileged(address),
            _ if is_out_of_descriptors(&source) => Self::Descriptors { workers, source },
            _ => Self::Other { address, source },
        }
    }
}

/// Whether `address` is an IPv6 address and this machine has not even ::1.
fn is_off(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_none() && UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err()
}
