//! Datagram sockets for a group of workers: one port, one socket each.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockFilter, Type};

/// A bound `AF_INET6`, `SOCK_DGRAM` socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    local: SocketAddrV6,
}

/// How [`bind_group`] opens its sockets.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only IPv6, no mapped IPv4 (IPV6_V6ONLY, RFC 3493 section 5.3).
    pub ipv6_only: bool,
    /// Let other processes of this user bind the same address (SO_REUSEPORT from the start).
    pub share_port: bool,
    /// Receive buffer to ask for, in octets; the kernel gives at most net.core.rmem_max.
    pub receive_buffer: usize,
    /// How long a receive call waits (SO_RCVTIMEO); zero: for ever.
    pub receive_timeout: Duration,
    /// Ask for the address that each datagram was sent to (IPV6_RECVPKTINFO) where the socket is bound to all of them.
    pub packet_info: bool,
}

/// Binds `count` sockets to one address; the kernel spreads the peers over them by the hash of addresses and ports.
/// With port 0 the kernel chooses the port. Errors are those of bind(2).
pub fn bind_group(address: SocketAddrV6, count: usize, options: &Options) -> io::Result<Vec<Socket>> {
    let first = open(options)?;
    first.set_reuse_port(options.share_port)?;
    first.bind(&SockAddr::from(address))?;
    // Bound without the option, the first socket is refused where the port is taken, by a group such as ours too. The
    // kernel compares the option of both sockets when the later one binds (Linux, inet_rcv_saddr_any and
    // udp_lib_lport_inuse), so setting it now lets our own others join, and no one who binds without it.
    first.set_reuse_port(true)?;
    let first = Socket::prepared(first, options)?;
    let address = first.local;
    let mut group = vec![first];
    for _ in 1..count {
        let socket = open(options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(address))?;
        group.push(Socket::prepared(socket, options)?);
    }
    Ok(group)
}

impl Socket {
    /// Takes a socket that somebody else has bound. It must be an `AF_INET6` datagram socket. Its receive buffer stays as
    /// it is: its owner may have made it larger than we are allowed to (SO_RCVBUFFORCE, socket(7)).
    pub fn adopt(fd: OwnedFd, options: &Options) -> io::Result<Self> {
        let socket = socket2::Socket::from(fd);
        if socket.r#type()? != Type::DGRAM || socket.local_addr()?.as_socket_ipv6().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an IPv6 datagram socket"));
        }
        Self::prepared(socket, options)
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.local
    }

    /// Whether it is bound to every address of the machine, so that replies must name the one they leave from.
    pub fn is_wildcard(&self) -> bool {
        *self.local.ip() == Ipv6Addr::UNSPECIFIED
    }

    /// Fixes the peer: only its datagrams are received, and what is sent without an address goes there. Errors are those
    /// of connect(2).
    pub fn connect(&self, peer: SocketAddrV6) -> io::Result<()> {
        self.inner.connect(&SockAddr::from(peer))
    }

    /// Sends one datagram. Errors are those of sendto(2).
    pub fn send_to(&self, octets: &[u8], to: SocketAddrV6) -> io::Result<usize> {
        self.inner.send_to(octets, &SockAddr::from(to))
    }

    /// Lets nothing more in: what is queued can still be received, what arrives later is dropped (a filter that
    /// accepts 0 octets, SO_ATTACH_FILTER of socket(7)), and a waiting receive call returns.
    pub fn close_intake(&self) -> io::Result<()> {
        let nothing = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
        self.inner.attach_filter(&[nothing])?;
        match self.inner.shutdown(std::net::Shutdown::Read) {
            // shutdown(2) says so of every unconnected socket, and wakes its readers all the same.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    fn prepared(socket: socket2::Socket, options: &Options) -> io::Result<Self> {
        let local = socket.local_addr()?.as_socket_ipv6().expect("bound to an IPv6 address");
        let socket = Self { inner: socket, local };
        let timeout = Some(options.receive_timeout).filter(|timeout| !timeout.is_zero());
        socket.inner.set_read_timeout(timeout)?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        // Forged ICMP errors must not make replies travel in fragments, which can be forged in their turn (RFC 8900,
        // section 3.7): what counts is the interface's MTU, not what was heard of the path's.
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)?;
        set_option(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)?;
        if socket.is_wildcard() && options.packet_info {
            set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        }
        Ok(socket)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Sets an option whose value is an int.
fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: setsockopt(2) reads the int that `value` lends it, of the length it is told.
    let result = unsafe {
        let lent = (&raw const value).cast::<libc::c_void>();
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, lent, size_of_val(&value) as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn open(options: &Options) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(options.ipv6_only)?;
    // More than net.core.rmem_max is no error: the kernel then gives that much.
    socket.set_recv_buffer_size(options.receive_buffer)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        ipv6_only: false,
        share_port: false,
        receive_buffer: 1 << 16,
        receive_timeout: Duration::from_secs(5),
        packet_info: true,
    };

    #[test]
    fn a_group_has_one_port_and_no_second_group_gets_it() {
        let any: SocketAddrV6 = "[::1]:0".parse().unwrap();
        let group = bind_group(any, 3, &OPTIONS).unwrap();
        let address = group[0].local_addr();
        assert!(address.port() != 0 && group.iter().all(|socket| socket.local_addr() == address));
        let wildcard = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, address.port(), 0, 0);
        for other in [address, wildcard] {
            assert_eq!(bind_group(other, 2, &OPTIONS).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        bind_group(address, 2, &Options { share_port: true, ..OPTIONS }).expect("both groups are of one user");
    }

    #[test]
    fn only_ipv6_datagram_sockets_are_adopted() {
        let stream = std::net::TcpListener::bind("[::1]:0").unwrap();
        assert!(Socket::adopt(stream.into(), &OPTIONS).is_err());
        let ipv4 = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Socket::adopt(ipv4.into(), &OPTIONS).is_err());
        let ipv6 = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let address = ipv6.local_addr().unwrap();
        assert_eq!(std::net::SocketAddr::V6(Socket::adopt(ipv6.into(), &OPTIONS).unwrap().local_addr()), address);
    }
}
