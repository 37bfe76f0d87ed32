//! Addresses as the sockets of this room take them.

use std::net::{SocketAddr, SocketAddrV6};

/// The address for an `AF_INET6` socket: an IPv4 address is mapped into IPv6 (RFC 4291 section 2.5.5.2).
pub fn mapped(address: impl Into<SocketAddr>) -> SocketAddrV6 {
    match address.into() {
        SocketAddr::V6(address) => address,
        SocketAddr::V4(address) => SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0),
    }
}
