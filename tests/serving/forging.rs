//! Datagrams with any source, for tests in network namespaces.

use std::net::SocketAddrV6;

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

/// Sends datagrams with any source, through a raw socket whose packets carry their own header (IPPROTO_RAW, raw(7)).
pub struct Forger {
    socket: Socket,
    packet: Vec<u8>,
}

impl Forger {
    pub fn new() -> Forger {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).unwrap();
        Forger { socket, packet: Vec::new() }
    }

    /// Sends one datagram, and waits while the interface's queue is full.
    pub fn send(&mut self, from: SocketAddrV6, to: SocketAddrV6, payload: &[u8]) {
        self.packet.clear();
        let headers = PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), 64).udp(from.port(), to.port());
        headers.write(&mut self.packet, payload).unwrap();
        // A raw socket takes no port; the one in the packet counts (ipv6(7)).
        let to = SocketAddrV6::new(*to.ip(), 0, 0, 0).into();
        loop {
            match self.socket.send_to(&self.packet, &to) {
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => std::thread::yield_now(),
                sent => break assert_eq!(sent.unwrap(), self.packet.len()),
            }
        }
    }
}
