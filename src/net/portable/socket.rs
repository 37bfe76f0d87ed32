//! Datagram sockets for a group of workers: one port, one socket, shared by all.

use std::io;
use std::net::SocketAddrV6;
use std::ops::Deref;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::super::address::{bound_address, group_address, is_group_address, is_wildcard};
use super::super::error::named;
use super::super::options::{Instruction, SEND_BUFFER, SocketOptions};
use super::super::wait;
use super::super::{Capabilities, DropCounter};

/// A bound `AF_INET6`, `SOCK_DGRAM` socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    local: SocketAddrV6,
}

/// Binds one socket and returns it `count` times: the workers share it. With port 0 the system chooses the port.
///
/// # Errors
/// Those of socket(2), setsockopt(2) and bind(2); `InvalidInput` for a multicast or broadcast address; `Unsupported` if
/// the port is to be shared with other processes.
pub fn bind_group(address: SocketAddrV6, count: usize, options: &SocketOptions) -> io::Result<Vec<Socket>> {
    if is_group_address(*address.ip()) {
        return Err(group_address());
    }
    if options.share_port {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no port can be shared between processes on this system",
        ));
    }
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(options.ipv6_only)?;
    socket.bind(&SockAddr::from(address))?;
    let first = Socket::prepared(socket, options)?;
    let others = (1..count).map(|_| Ok(Socket { inner: first.inner.try_clone()?, local: first.local }));
    let others = others.collect::<io::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

/// On other systems, lets a program choose the socket of each datagram.
///
/// # Errors
/// `Unsupported`, if there is more than one.
pub fn steer(group: &[Socket], _: &[Instruction]) -> io::Result<()> {
    if group.len() < 2 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "no program chooses the socket of a datagram on this system"))
}

impl Socket {
    /// Takes a socket that is already bound.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a bound, unconnected, open `AF_INET6` datagram socket on a unicast or wildcard
    /// address; otherwise those of the calls that prepare it.
    pub fn adopt(socket: impl Into<socket2::Socket>, options: &SocketOptions) -> io::Result<Self> {
        let socket: socket2::Socket = socket.into();
        bound_address(&socket)?;
        Self::prepared(socket, options)
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.local
    }

    /// Whether it is bound to every address of the machine, of IPv6 (`::`) or of IPv4 (`::ffff:0.0.0.0`). Replies leave
    /// from the address that the system chooses.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(self.local.ip())
    }

    /// Its features beyond sending and receiving: none.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::NONE
    }

    /// Drops are not counted.
    pub fn drop_counter(&self) -> DropCounter {
        DropCounter::default()
    }

    /// Waits until there is something to receive, or `limit` has passed. Always true.
    ///
    /// # Errors
    /// Those of poll(2), except EINTR.
    pub fn wait_readable(&self, limit: Duration) -> io::Result<bool> {
        wait_readable(&self.inner, Some(limit)).map(|()| true)
    }

    /// Sets the peer: only its datagrams are received, and datagrams without an address are sent to it.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn connect(&self, peer: SocketAddrV6) -> io::Result<()> {
        self.inner.connect(&SockAddr::from(peer))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// Those of sendto(2).
    pub fn send_to(&self, octets: &[u8], to: SocketAddrV6) -> io::Result<usize> {
        self.inner.send_to(octets, &SockAddr::from(to)).map_err(named)
    }

    /// Does nothing: these systems have no option that stops new datagrams. A waiting receive call continues until its
    /// time-out.
    ///
    /// # Errors
    /// None.
    pub fn close_intake(&self) -> io::Result<()> {
        Ok(())
    }

    fn prepared(socket: socket2::Socket, options: &SocketOptions) -> io::Result<Self> {
        let local = socket.local_addr()?.as_socket_ipv6().ok_or_else(|| io::Error::other("not bound to IPv6"))?;
        socket.set_nonblocking(true)?;
        socket.set_read_timeout(Some(options.receive_timeout).filter(|timeout| !timeout.is_zero()))?;
        if socket.recv_buffer_size().is_ok_and(|size| size < options.receive_buffer) {
            enlarge(options.receive_buffer, |size| socket.set_recv_buffer_size(size));
        }
        if socket.send_buffer_size().is_ok_and(|size| size < SEND_BUFFER) {
            enlarge(SEND_BUFFER, |size| socket.set_send_buffer_size(size));
        }
        Ok(Self { inner: socket, local })
    }
}

impl Deref for Socket {
    type Target = socket2::Socket;

    fn deref(&self) -> &socket2::Socket {
        &self.inner
    }
}

/// The descriptor to wait for.
#[cfg(not(windows))]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> wait::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(windows)]
impl rustix::fd::AsSocket for Socket {
    fn as_socket(&self) -> wait::BorrowedFd<'_> {
        wait::AsFd::as_fd(&self.inner)
    }
}

/// See [`Capabilities::enable`].
pub fn enable(_: Capabilities, _: &socket2::Socket) -> Capabilities {
    Capabilities::NONE
}

/// A socket for a client: unbound and non-blocking.
///
/// # Errors
/// Those of socket(2).
pub fn nonblocking() -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Waits until a socket can be read, at most for `limit`.
pub(super) fn wait_readable(socket: &socket2::Socket, limit: Option<Duration>) -> io::Result<()> {
    wait::wait(&[wait::AsFd::as_fd(socket)], limit).map(drop)
}

/// Asks for a buffer of this size, then half of it, and so on: some systems reject sizes over their limit
/// (kern.ipc.maxsockbuf).
fn enlarge(wanted: usize, set: impl Fn(usize) -> io::Result<()>) {
    const LEAST: usize = 64 << 10;
    let mut size = wanted;
    while size >= LEAST && set(size).is_err() {
        size /= 2;
    }
}
