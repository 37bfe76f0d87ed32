//! A socket of the relay, which the event loop watches.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};

use calc6::net::{
    Capabilities, DropCounter, ReceiveBatch, ReceivedCounts, Segmentation, SendBatch, Sent, SocketOptions, Wait,
    bind_group,
};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

/// A bound socket that never blocks.
pub struct RelayPort {
    socket: mio::net::UdpSocket,
    local: SocketAddrV6,
    capabilities: Capabilities,
    drops: DropCounter,
}

impl RelayPort {
    /// Binds a socket to `address`, connects it to `peer` if there is one, and lets `registry` watch it.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and connect(2).
    pub fn open(
        address: SocketAddrV6,
        peer: Option<SocketAddrV6>,
        segmentation: Segmentation,
        registry: &Registry,
        token: Token,
    ) -> io::Result<RelayPort> {
        let options = SocketOptions::default().with_segmentation(segmentation);
        let bind = |packet_info| bind_group(address, 1, &options.with_packet_info(packet_info));
        let group = match bind(peer.is_none()) {
            // Without packet information the system chooses the source address of replies.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => bind(false),
            group => group,
        };
        let bound = group?.remove(0);
        if let Some(peer) = peer {
            bound.connect(peer)?;
        }
        bound.set_nonblocking(true)?;
        let (capabilities, drops) = (bound.capabilities(), bound.drop_counter());
        // A duplicate, which outlives `bound`: mio watches only sockets of its own types.
        let mut socket = mio::net::UdpSocket::from_std(bound.try_clone()?.into());
        let local = SockRef::from(&socket).local_addr()?.as_socket_ipv6().unwrap_or(bound.local_addr());
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(RelayPort { socket, local, capabilities, drops })
    }

    /// The address of the socket.
    pub fn local(&self) -> SocketAddrV6 {
        self.local
    }

    /// The capabilities of the socket.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Receives waiting datagrams, and reports how many the system has dropped before them.
    ///
    /// # Errors
    /// Those of recvmsg(2); `WouldBlock` if there is none: the event loop reports the next one.
    pub fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<(ReceivedCounts, u32)> {
        let socket = &self.socket;
        let received = socket.try_io(|| batch.receive(&SockRef::from(socket), Wait::No))?;
        Ok((received, self.drops.advance(received.drops)))
    }

    /// Sends what was appended to `batch`.
    pub fn flush(&self, batch: &mut SendBatch) -> Sent {
        batch.flush(&SockRef::from(&self.socket))
    }
}

/// An address as people write it: an IPv4 one as such, not mapped into IPv6.
pub fn unmapped(address: SocketAddrV6) -> SocketAddr {
    match address.ip().to_ipv4_mapped() {
        Some(ipv4) => SocketAddr::new(ipv4.into(), address.port()),
        None => address.into(),
    }
}
