//! Datagram sockets for a group of workers: one port, one socket each.

use std::io;
use std::net::SocketAddrV6;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Type};

use super::super::address::{bound_address, group_address, invalid, is_group_address, is_wildcard, other_socket};
use super::super::options::{Instruction, SEND_BUFFER, SocketOptions};
use super::super::{Capabilities, DropCounter, Segmentation};

/// A bound `AF_INET6`, `SOCK_DGRAM` socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    local: SocketAddrV6,
    capabilities: Capabilities,
}

/// Binds `count` sockets to one address; the kernel spreads the peers over them by the hash of addresses and ports.
/// With port 0 the kernel chooses the port.
///
/// # Errors
/// Those of socket(2), setsockopt(2) and bind(2), and `InvalidInput` for a multicast or broadcast address.
pub fn bind_group(address: SocketAddrV6, count: usize, options: &SocketOptions) -> io::Result<Vec<Socket>> {
    if is_group_address(*address.ip()) {
        return Err(group_address());
    }
    let first = open(options)?;
    first.set_reuse_port(options.share_port)?;
    first.bind(&SockAddr::from(address))?;
    // Without the option, bind(2) fails if the port is taken, even by a group like ours. The
    // kernel compares the option of both sockets when the later one binds (Linux, inet_rcv_saddr_any and
    // udp_lib_lport_inuse), so setting it now lets our other sockets bind, and no socket that lacks the option.
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

/// Lets a program choose the socket of each datagram: it returns the socket's place in the group, in the order in which
/// they were bound; with a place outside the group, the kernel's hash chooses (SO_ATTACH_REUSEPORT_CBPF, socket(7)).
/// The program's data are the datagram's payload.
///
/// # Errors
/// Those of setsockopt(2).
pub fn steer(group: &[Socket], program: &[Instruction]) -> io::Result<()> {
    let Some(socket) = group.first() else { return Ok(()) };
    let mut filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|&Instruction { code, jump_true, jump_false, value }| libc::sock_filter {
            code,
            jt: jump_true,
            jf: jump_false,
            k: value,
        })
        .collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: setsockopt(2) reads `program`, of the given length, and the `len` instructions of `filter`, which
    // outlives the call; it writes to neither.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Socket {
    /// Takes a socket that somebody else has bound, and prepares it for a worker: blocking, without options that add
    /// control data, or that split, join or delay datagrams. Buffers only grow: the owner may have made them
    /// larger than this process is allowed to (SO_RCVBUFFORCE, socket(7)).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a bound, unconnected, open `AF_INET6` UDP socket on a unicast or wildcard address;
    /// else those of the calls that prepare it.
    pub fn adopt(socket: impl Into<socket2::Socket>, options: &SocketOptions) -> io::Result<Self> {
        let socket: socket2::Socket = socket.into();
        bound_address(&socket)?;
        if socket.protocol()? != Some(Protocol::UDP) {
            return Err(other_socket());
        }
        if wait(&socket, PollFlags::RDHUP, Duration::ZERO)?.contains(PollFlags::RDHUP) {
            return Err(invalid("shut down for receiving"));
        }
        reset(&socket)?;
        Self::prepared(socket, options)
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.local
    }

    /// Whether it is bound to every address of the machine, of IPv6 (`::`) or of IPv4 (`::ffff:0.0.0.0`), so that
    /// replies must name the one they leave from.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(self.local.ip())
    }

    /// The capabilities that were asked for and that it has.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// How many datagrams the kernel has dropped at this socket since it was opened, modulo 2^32 (SO_MEMINFO); 0
    /// where the kernel does not report it. Count drops from here on: earlier ones belong to an earlier owner.
    pub fn drop_counter(&self) -> DropCounter {
        const WORDS: usize = libc::SK_MEMINFO_DROPS as usize + 1;
        let found = option::<[u32; WORDS]>(self, libc::SOL_SOCKET, SO_MEMINFO);
        DropCounter(found.map_or(0, |words| words[WORDS - 1]))
    }

    /// Waits until there is something to receive, or `limit` has passed. False if the socket is shut down for
    /// receiving.
    ///
    /// # Errors
    /// Those of poll(2), except EINTR.
    pub fn wait_readable(&self, limit: Duration) -> io::Result<bool> {
        Ok(!wait(self, PollFlags::IN | PollFlags::RDHUP, limit)?.contains(PollFlags::RDHUP))
    }

    /// Connects to a peer: only its datagrams are received, and datagrams without an address go to it.
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
        self.inner.send_to(octets, &SockAddr::from(to))
    }

    /// Accepts no more datagrams: those in the queue can still be received, later ones are dropped (a filter that
    /// accepts 0 octets, SO_ATTACH_FILTER of socket(7)), and a waiting receive call returns.
    ///
    /// # Errors
    /// Those of setsockopt(2) and shutdown(2).
    pub fn close_intake(&self) -> io::Result<()> {
        let nothing = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
        self.inner.attach_filter(&[nothing])?;
        match self.inner.shutdown(std::net::Shutdown::Read) {
            // shutdown(2) returns this for every unconnected socket, and still wakes its readers.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    fn prepared(socket: socket2::Socket, options: &SocketOptions) -> io::Result<Self> {
        let local = socket.local_addr()?.as_socket_ipv6().expect("bound to an IPv6 address");
        let timeout = Some(options.receive_timeout).filter(|timeout| !timeout.is_zero());
        socket.set_read_timeout(timeout)?;
        enlarge(&socket, libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, options.receive_buffer);
        enlarge(&socket, libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, SEND_BUFFER);
        // Forged ICMP errors must not lead to fragmented replies, since fragments can be forged too (RFC 8900,
        // section 3.7): the interface's MTU counts, not a path MTU that the network reports.
        let _ = set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT);
        let _ = set_option(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT);
        let segmentation = options.segmentation == Segmentation::Auto;
        let wanted = Capabilities {
            segmentation,
            receive_offload: segmentation,
            packet_info: options.packet_info && is_wildcard(local.ip()),
            drop_counter: true,
        };
        let capabilities = wanted.enable(&socket);
        if wanted.packet_info && !capabilities.packet_info {
            let what = "this system does not report where datagrams were sent to (IPV6_RECVPKTINFO, IP_PKTINFO)";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(Self { inner: socket, local, capabilities })
    }
}

impl Deref for Socket {
    type Target = socket2::Socket;

    fn deref(&self) -> &socket2::Socket {
        &self.inner
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// See [`Capabilities::enable`].
pub fn enable(wanted: Capabilities, socket: &socket2::Socket) -> Capabilities {
    // What only counts or tunes is best effort: not every kernel has it.
    let set = |level, name, value| set_option(socket, level, name, value).is_ok();
    Capabilities {
        // A test only: if it stayed on, the kernel would divide single datagrams too.
        segmentation: wanted.segmentation
            && set(libc::SOL_UDP, libc::UDP_SEGMENT, 1232)
            && set(libc::SOL_UDP, libc::UDP_SEGMENT, 0),
        receive_offload: wanted.receive_offload && set(libc::SOL_UDP, libc::UDP_GRO, 1),
        packet_info: wanted.packet_info
            && set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
            && set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        drop_counter: wanted.drop_counter && set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1),
    }
}

/// Sets an option whose value is an int.
fn set_option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: setsockopt(2) reads `value`, of the given length.
    let result = unsafe {
        let lent = (&raw const value).cast::<libc::c_void>();
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, lent, size_of_val(&value) as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option that consists of integers alone; `None` if the kernel does not have it in full.
fn option<T: Default>(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> Option<T> {
    let mut value = T::default();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: getsockopt(2) writes at most `len` octets into `value`; every octet pattern is a valid `T`, see the
    // callers.
    let result = unsafe {
        let lent = (&raw mut value).cast::<libc::c_void>();
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, lent, &raw mut len)
    };
    (result == 0 && len as usize == size_of::<T>()).then_some(value)
}

/// Options of sockets that somebody else has prepared, and the values with which a worker can serve them: no control
/// data but what it asks for, and no datagrams that are joined, split or held back. An option that the kernel lacks
/// cannot have been set.
const NEUTRAL: [(libc::c_int, libc::c_int, libc::c_int); 31] = [
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP, 0),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 0),
    (libc::SOL_SOCKET, SO_WIFI_STATUS, 0),
    (libc::SOL_SOCKET, SO_RCVMARK, 0),
    (libc::SOL_SOCKET, SO_RCVPRIORITY, 0),
    (libc::SOL_SOCKET, libc::SO_BROADCAST, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPOPTS, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVDSTOPTS, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVRTHDR, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPATHMTU, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO, 0),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 0),
    (libc::IPPROTO_IP, libc::IP_PKTINFO, 0),
    (libc::IPPROTO_IP, libc::IP_RECVTTL, 0),
    (libc::IPPROTO_IP, libc::IP_RECVTOS, 0),
    (libc::IPPROTO_IP, libc::IP_RECVOPTS, 0),
    (libc::IPPROTO_IP, libc::IP_RETOPTS, 0),
    (libc::IPPROTO_IP, libc::IP_PASSSEC, 0),
    (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR, 0),
    (libc::IPPROTO_IP, libc::IP_CHECKSUM, 0),
    (libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE, 0),
    (libc::IPPROTO_IP, libc::IP_RECVERR, 0),
    (libc::SOL_UDP, libc::UDP_CORK, 0),
    (libc::SOL_UDP, UDP_ENCAP, 0),
    (libc::SOL_UDP, libc::UDP_SEGMENT, 0),
    (libc::SOL_UDP, libc::UDP_GRO, 0),
];

// Of asm-generic/socket.h and linux/udp.h, which libc lacks.
const SO_WIFI_STATUS: libc::c_int = 41;
const SO_ATTACH_REUSEPORT_CBPF: libc::c_int = 51;
const SO_MEMINFO: libc::c_int = 55;
const SO_RCVMARK: libc::c_int = 75;
const SO_RCVPRIORITY: libc::c_int = 82;
const UDP_ENCAP: libc::c_int = 100;

/// Makes a socket that somebody else has prepared blocking, undoes its options and takes its pending error.
fn reset(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    for (level, name, value) in NEUTRAL {
        let _ = set_option(socket, level, name, value);
    }
    socket.take_error().map(drop)
}

/// Makes a buffer at least `octets` large, or as large as is allowed. The kernel doubles what it is asked for
/// (socket(7)).
fn enlarge(socket: &impl AsFd, name: libc::c_int, force: libc::c_int, octets: usize) {
    let size = |socket: &dyn AsFd| option::<libc::c_int>(&socket, libc::SOL_SOCKET, name).unwrap_or(0);
    let wanted = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX / 2);
    let before = size(socket);
    if before / 2 >= wanted || set_option(socket, libc::SOL_SOCKET, force, wanted).is_ok() {
        return;
    }
    // Without CAP_NET_ADMIN the kernel gives at most net.core.rmem_max or wmem_max, which may be less than there is:
    // what it gives shows on another socket.
    let Ok(other) = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None) else { return };
    if set_option(&other, libc::SOL_SOCKET, name, wanted).is_ok() && size(&other) > before {
        let _ = set_option(socket, libc::SOL_SOCKET, name, wanted);
    }
}

/// What is ready of `flags`, within `limit`.
fn wait(socket: &impl AsFd, flags: PollFlags, limit: Duration) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(socket, flags)];
    match poll(&mut fds, Some(&Timespec::try_from(limit).unwrap_or_default())) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(fds[0].revents()),
        Err(error) => Err(error.into()),
    }
}

/// A socket for a client: unbound and non-blocking.
///
/// # Errors
/// Those of socket(2).
pub fn nonblocking() -> io::Result<socket2::Socket> {
    socket2::Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP))
}

fn open(options: &SocketOptions) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(options.ipv6_only)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const OPTIONS: SocketOptions = SocketOptions {
        ipv6_only: false,
        share_port: false,
        receive_buffer: 1 << 16,
        receive_timeout: Duration::from_secs(5),
        packet_info: true,
        segmentation: Segmentation::Off,
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
        bind_group(address, 2, &SocketOptions { share_port: true, ..OPTIONS }).expect("both groups are of one user");
    }

    #[test]
    fn only_ipv6_datagram_sockets_are_adopted() {
        let stream = std::net::TcpListener::bind("[::1]:0").unwrap();
        assert!(Socket::adopt(stream, &OPTIONS).is_err());
        let ipv4 = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Socket::adopt(ipv4, &OPTIONS).is_err());
        let ipv6 = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let address = ipv6.local_addr().unwrap();
        assert_eq!(std::net::SocketAddr::V6(Socket::adopt(ipv6, &OPTIONS).unwrap().local_addr()), address);
    }

    #[test]
    fn handed_over_sockets_are_brought_into_a_known_state() {
        let owner = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        owner.bind(&"[::]:0".parse::<SocketAddrV6>().unwrap().into()).unwrap();
        owner.set_nonblocking(true).unwrap();
        for (level, name, value) in NEUTRAL {
            // Some exclude each other, and a kernel may lack some.
            let _ = set_option(
                &owner,
                level,
                name,
                i32::from(value == 0) * if name == libc::UDP_SEGMENT { 512 } else { 1 },
            );
        }
        let receive_buffer = owner.recv_buffer_size().unwrap();
        let socket = Socket::adopt(owner.try_clone().unwrap(), &OPTIONS).unwrap();
        assert!(!owner.nonblocking().unwrap());
        for (level, name, value) in NEUTRAL {
            let asked = [(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO), (libc::IPPROTO_IP, libc::IP_PKTINFO)];
            let expected = if asked.contains(&(level, name)) { 1 } else { value };
            let found = option::<libc::c_int>(&socket, level, name);
            assert!(found.is_none_or(|found| found == expected), "level {level}, option {name}: {found:?}");
        }
        assert!(owner.recv_buffer_size().unwrap() >= receive_buffer);
        assert!(owner.send_buffer_size().unwrap() >= 2 << 20, "as root, or with net.core.wmem_max at 1 MiB or more");
    }

    #[test]
    fn sockets_that_cannot_be_served_are_refused() {
        let refused = |socket: std::net::UdpSocket| Socket::adopt(socket, &OPTIONS).unwrap_err().to_string();
        let bound = || std::net::UdpSocket::bind("[::1]:0").unwrap();
        let connected = bound();
        connected.connect(bound().local_addr().unwrap()).unwrap();
        assert_eq!(refused(connected), "connected to a peer");
        let shut = bound();
        let _ = socket2::SockRef::from(&shut).shutdown(std::net::Shutdown::Read);
        assert_eq!(refused(shut), "shut down for receiving");
        let unbound = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        assert_eq!(refused(unbound.into()), "not bound to a port");
    }

    #[test]
    fn every_wildcard_is_one_and_no_group_address_is_bound() {
        for (text, wildcard) in [("[::]:0", true), ("[::ffff:0.0.0.0]:0", true), ("[::ffff:127.0.0.1]:0", false)] {
            let group = bind_group(text.parse().unwrap(), 1, &OPTIONS).unwrap();
            assert_eq!(group[0].is_wildcard(), wildcard, "{text}");
        }
        for text in ["ff02::1", "::ffff:224.0.0.1", "::ffff:255.255.255.255", "::ffff:127.255.255.255"] {
            let address = SocketAddrV6::new(text.parse().unwrap(), 0, 0, 0);
            let error = bind_group(address, 1, &OPTIONS).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn buffers_grow_and_never_shrink() {
        let owner = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        owner.bind(&"[::1]:0".parse::<SocketAddrV6>().unwrap().into()).unwrap();
        owner.set_recv_buffer_size(200_000).unwrap();
        let before = owner.recv_buffer_size().unwrap();
        let socket = Socket::adopt(owner, &OPTIONS).unwrap();
        assert_eq!(socket.inner.recv_buffer_size().unwrap(), before, "65536 were asked for");
    }
}
