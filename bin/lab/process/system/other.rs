//! Systems that do not show, without privileges or `unsafe`, what other processes do. Checks that need this are
//! skipped, and the report says so.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

#[cfg(unix)]
use super::unix::Id;
#[cfg(windows)]
use super::windows::Id;
use super::{KernelSocket, Transport, Usage};

/// Whether the system shows what other processes use, and which sockets exist.
pub const KNOWS_PROCESSES: bool = false;

/// Whether there are namespaces.
pub const NAMESPACES: bool = false;

/// A started program; nothing is known about its descendants.
#[derive(Clone, Debug)]
pub struct Family;

impl Family {
    /// Nothing is looked up.
    pub fn new(_: Id, _: String) -> Self {
        Self
    }

    /// Nothing is known.
    pub fn outside_group(&self) -> Vec<Id> {
        Vec::new()
    }

    /// Nothing is known.
    pub fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Always true: a server that went into the background may still start to listen.
    pub fn runs(&self) -> bool {
        true
    }

    /// Nothing is known.
    pub fn sockets(&self, _: Transport) -> Vec<KernelSocket> {
        Vec::new()
    }

    /// Nothing is known.
    pub fn has_sockets(&self) -> bool {
        true
    }
}

/// Nothing is known.
pub fn sockets(_: Transport) -> Vec<KernelSocket> {
    Vec::new()
}

/// The UDP socket that receives datagrams for `address`, if there is one: then no other socket can bind the address, or
/// all addresses.
pub fn socket_at(address: SocketAddr) -> Option<KernelSocket> {
    let taken = |ip: IpAddr| {
        let bound = UdpSocket::bind((ip, address.port()));
        // Windows reports that access is denied if the other socket is exclusive.
        bound.is_err_and(|error| matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied))
    };
    let all: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let unknown = SocketAddr::new(all, 0);
    (taken(address.ip()) || taken(all)).then_some(KernelSocket {
        local: address,
        remote: unknown,
        waiting: 0,
        identity: 0,
    })
}

/// Always false, so that nothing that needs root is tried.
pub fn has_root() -> bool {
    false
}

/// Does nothing.
///
/// # Errors
/// None.
pub fn shield_this_process() -> io::Result<()> {
    Ok(())
}

/// There are no namespaces.
///
/// # Errors
/// `Unsupported`.
pub fn own_network() -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// The system does not show this for other processes.
///
/// # Errors
/// `Unsupported`.
pub fn processor_time(_: u32) -> io::Result<Duration> {
    Err(io::Error::new(ErrorKind::Unsupported, "this system does not report the processor time of other processes"))
}
