//! The addresses of a server, in the order in which they are asked.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};

use crate::net;

/// The addresses of a server, each once.
pub fn mapped<A: Into<SocketAddr>>(addresses: impl IntoIterator<Item = A>) -> Vec<SocketAddrV6> {
    let mut peers = Vec::new();
    for address in addresses.into_iter().map(net::mapped) {
        if !peers.contains(&address) {
            peers.push(address);
        }
    }
    peers
}

/// The error of a name without addresses.
pub fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the server has no address")
}

/// The address that answered is asked first from then on.
pub fn to_front(peers: &mut [SocketAddrV6], peer: SocketAddrV6) {
    if let Some(place) = peers.iter().position(|address| *address == peer) {
        peers[..=place].rotate_right(1);
    }
}
