//! A socket of its own for one peer, as a client uses it: connected and non-blocking, one datagram a call.

use std::io;
use std::net::SocketAddrV6;

use rustix::io::Errno;
use socket2::{SockAddr, Socket};

use super::error::named;
use super::system;

/// A non-blocking socket that takes datagrams of this peer only and reports its ICMP errors.
///
/// # Errors
/// Those of socket(2) and connect(2).
pub fn connect(peer: SocketAddrV6) -> io::Result<Socket> {
    let socket = system::socket::nonblocking()?;
    if peer.ip().to_ipv4_mapped().is_some() {
        // The system's default (net.ipv6.bindv6only on Linux) may differ.
        socket.set_only_v6(false)?;
    }
    socket.connect(&SockAddr::from(peer))?;
    Ok(socket)
}

/// Sends one datagram to the peer of a connected socket.
///
/// # Errors
/// Those of send(2); a closed port is `ConnectionRefused` on every system.
pub fn send(socket: &Socket, octets: &[u8]) -> io::Result<usize> {
    socket.send(octets).map_err(named)
}

/// Receives one datagram from the peer of a connected socket, and returns its length. A longer one fills the buffer.
///
/// # Errors
/// Those of recv(2); a closed port is `ConnectionRefused`, and nothing there `WouldBlock`, on every system.
pub fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    match io::Read::read(&mut &*socket, buffer) {
        // Windows says so of a longer one, and has filled the buffer.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => Ok(buffer.len()),
        received => received.map_err(named),
    }
}
