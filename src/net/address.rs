//! Addresses as the sockets of this room take them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::io::Errno;
use socket2::{Domain, Type};

/// The source of what a connected socket receives.
pub const NOBODY: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);

/// The address for an `AF_INET6` socket: an IPv4 address is mapped into IPv6 (RFC 4291 section 2.5.5.2).
///
/// ```
/// use calc6::net::mapped;
/// let address: std::net::SocketAddr = "192.0.2.7:53".parse()?;
/// assert_eq!(mapped(address).to_string(), "[::ffff:192.0.2.7]:53");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn mapped(address: impl Into<SocketAddr>) -> SocketAddrV6 {
    match address.into() {
        SocketAddr::V6(address) => address,
        SocketAddr::V4(address) => SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0),
    }
}

/// Whether what is sent to this address reaches more than one machine: a multicast address, or a broadcast address of
/// this machine's networks, of IPv4 in its mapped form. Sends nothing.
pub fn is_group_address(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(ipv4) => ipv4.is_multicast() || ipv4.is_broadcast() || is_subnet_broadcast(ipv4),
        None => address.is_multicast(),
    }
}

/// The routing table knows: connect(2) of a socket without SO_BROADCAST to a broadcast address fails with EACCES.
fn is_subnet_broadcast(address: Ipv4Addr) -> bool {
    const ANY_PORT: u16 = 9;
    let probe = || {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.connect(&SocketAddrV4::new(address, ANY_PORT).into())
    };
    !address.is_unspecified()
        && probe().is_err_and(|error: io::Error| Errno::from_io_error(&error) == Some(Errno::ACCESS))
}

/// All addresses of the machine: `::`, or `0.0.0.0` in its mapped form.
pub(super) fn is_wildcard(address: &Ipv6Addr) -> bool {
    address.is_unspecified() || address.to_ipv4_mapped().is_some_and(|ipv4| ipv4.is_unspecified())
}

/// The address of a socket that somebody else has bound.
///
/// # Errors
/// `InvalidInput` if it is not a bound, unconnected `AF_INET6` datagram socket on a unicast or wildcard address;
/// otherwise those of the calls that ask.
pub(super) fn bound_address(socket: &socket2::Socket) -> io::Result<SocketAddrV6> {
    let local = match socket.local_addr()?.as_socket_ipv6() {
        Some(local) if socket.r#type()? == Type::DGRAM => local,
        _ => return Err(other_socket()),
    };
    if local.port() == 0 {
        return Err(invalid("not bound to a port"));
    }
    if socket.peer_addr().is_ok() {
        return Err(invalid("connected to a peer"));
    }
    if is_group_address(*local.ip()) {
        return Err(group_address());
    }
    Ok(local)
}

pub(super) fn group_address() -> io::Error {
    invalid("bound to a multicast or broadcast address")
}

pub(super) fn other_socket() -> io::Error {
    invalid("not an IPv6 datagram socket")
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
