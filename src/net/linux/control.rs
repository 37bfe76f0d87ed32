//! Control data of a message in the layout of cmsg(3), as the machine's C library defines it.

use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;

use super::super::{Destination, Local};

/// Room for the control data of one received message: packet info of both kinds, the drop counter, the length of
/// segments, and other data that the owner of a handed-over socket may have asked for (time stamps, hop limits), so
/// that nothing is truncated.
#[repr(C, align(8))]
pub struct ReceiveControl([u8; ReceiveControl::LEN]);

/// Room for the control data of one message to be sent: the length of its segments and the address it leaves from.
#[repr(C, align(8))]
pub struct SendControl([u8; SendControl::LEN]);

/// The contents of a received message's control data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// Where the message was sent to, if there was packet info at all.
    packet_info: Option<Local>,
    /// The local address of a message that came over IPv4.
    local_ipv4: Option<Ipv4Addr>,
    /// The socket's count of dropped datagrams.
    pub drops: Option<u32>,
    /// The length of each datagram of a train but the last; 0 if it is none.
    pub segment: usize,
}

impl Ancillary {
    /// Where the message was sent to, where packet info of both kinds was asked for.
    #[inline]
    pub fn destination(&self) -> Destination {
        let Some(info) = self.packet_info else { return Destination::Unknown };
        match (info.address.to_ipv4_mapped(), self.local_ipv4) {
            (None, _) => Destination::Address(info),
            (Some(_), None) => Destination::Unknown,
            (Some(address), Some(local)) if address != local && !address.is_multicast() => Destination::Broadcast,
            (Some(_), Some(_)) => Destination::Address(info),
        }
    }
}

const HEADER: usize = size_of::<libc::cmsghdr>();

/// Octets up to the next message, after one with `length` octets of data.
const fn space(length: usize) -> usize {
    // SAFETY: CMSG_SPACE of cmsg(3) is arithmetic alone.
    unsafe { libc::CMSG_SPACE(length as u32) as usize }
}

/// The value of cmsg_len for `length` octets of data.
const fn len(length: usize) -> usize {
    // SAFETY: CMSG_LEN of cmsg(3) is arithmetic alone.
    unsafe { libc::CMSG_LEN(length as u32) as usize }
}

/// Where a message's data begins.
const DATA: usize = len(0);

/// struct in6_pktinfo of RFC 3542: 16 octets of address, then the interface.
const PACKET_INFO: usize = size_of::<libc::in6_pktinfo>();
const ADDRESS: usize = 16;

/// UDP_SEGMENT takes a u16, UDP_GRO gives an int (udp(7)).
const SEGMENT: usize = size_of::<u16>();

impl ReceiveControl {
    /// Octets.
    pub const LEN: usize = 256;

    /// All zeroes.
    pub const EMPTY: Self = Self([0; Self::LEN]);

    /// Reads what the kernel has written; parts that did not fit are missing (MSG_CTRUNC).
    #[inline]
    pub fn read(&self, header: &libc::msghdr) -> Ancillary {
        self.read_octets(header.msg_controllen as usize)
    }

    fn read_octets(&self, length: usize) -> Ancillary {
        let octets = &self.0[..length.min(Self::LEN)];
        let mut found = Ancillary::default();
        let mut at = 0;
        while let Some(header) = octets.get(at..at + HEADER) {
            // SAFETY: HEADER octets, in which every pattern is a value of this C struct of integers.
            let header = unsafe { ptr::read_unaligned(header.as_ptr().cast::<libc::cmsghdr>()) };
            let length = header.cmsg_len as usize;
            let Some(data) = at.checked_add(length).and_then(|end| octets.get(at + DATA..end)) else { break };
            match (header.cmsg_level, header.cmsg_type) {
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => found.packet_info = local(data),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => found.local_ipv4 = local_ipv4(data),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => found.drops = number(data),
                (libc::SOL_UDP, libc::UDP_GRO) => found.segment = number(data).unwrap_or(0) as usize,
                _ => {}
            }
            at += space(length - DATA);
        }
        found
    }
}

fn number(data: &[u8]) -> Option<u32> {
    data.first_chunk().map(|octets| u32::from_ne_bytes(*octets))
}

#[inline]
fn local(data: &[u8]) -> Option<Local> {
    let (address, rest) = data.split_first_chunk::<ADDRESS>()?;
    Some(Local { address: Ipv6Addr::from(*address), interface: number(rest)? })
}

/// `ipi_spec_dst` of struct in_pktinfo, which follows the interface (ip(7)).
fn local_ipv4(data: &[u8]) -> Option<Ipv4Addr> {
    data.get(4..)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

impl SendControl {
    /// Octets.
    pub const LEN: usize = space(SEGMENT) + space(PACKET_INFO);

    /// All zeroes.
    pub const EMPTY: Self = Self([0; Self::LEN]);

    /// Writes the given parts, and returns the length, 0 for none.
    ///
    /// The last message is written without its padding (CMSG_LEN in place of CMSG_SPACE): the kernel copies control
    /// data of up to 36 octets to its stack and allocates memory for more (Linux, ____sys_sendmsg), which costs as much
    /// as all other work for the address. Both messages together are longer, but they are sent once for all segments of
    /// a message.
    #[inline]
    pub fn write(&mut self, segment: Option<usize>, from: Option<Local>) -> usize {
        let mut at = 0;
        let mut end = 0;
        if let Some(segment) = segment {
            let octets = (segment as u16).to_ne_bytes();
            self.put(at, libc::SOL_UDP, libc::UDP_SEGMENT, &octets);
            (at, end) = (space(SEGMENT), len(SEGMENT));
        }
        if let Some(from) = from {
            let mut octets = [0; PACKET_INFO];
            octets[..ADDRESS].copy_from_slice(&from.address.octets());
            if from.address.is_unicast_link_local() {
                octets[ADDRESS..].copy_from_slice(&from.interface.to_ne_bytes());
            }
            self.put(at, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &octets);
            end = at + len(PACKET_INFO);
        }
        end
    }

    #[inline]
    fn put(&mut self, at: usize, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        // SAFETY: all zeroes is a value of this C struct of integers; musl's has padding of its own.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = len(data.len()) as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        let room = &mut self.0[at..at + len(data.len())];
        room[DATA..].copy_from_slice(data);
        // SAFETY: `room` has at least HEADER octets, and octets have no alignment.
        unsafe { ptr::write_unaligned(room.as_mut_ptr().cast(), header) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Control data as the kernel writes it: messages of a level, type and data.
    fn written(messages: &[(libc::c_int, libc::c_int, &[u8])]) -> (ReceiveControl, usize) {
        let (mut control, mut at) = (ReceiveControl::EMPTY, 0);
        for (level, kind, data) in messages {
            let mut one = SendControl([0; SendControl::LEN]);
            one.put(0, *level, *kind, data);
            control.0[at..at + len(data.len())].copy_from_slice(&one.0[..len(data.len())]);
            at += space(data.len());
        }
        (control, at)
    }

    const LOCAL: Local = Local { address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9), interface: 0x0102_0304 };

    fn packet_info() -> [u8; PACKET_INFO] {
        let mut octets = [0; PACKET_INFO];
        octets[..16].copy_from_slice(&LOCAL.address.octets());
        octets[16..].copy_from_slice(&LOCAL.interface.to_ne_bytes());
        octets
    }

    #[test]
    fn all_that_can_come_is_found_in_any_order() {
        let info = packet_info();
        let mut messages: [(libc::c_int, libc::c_int, &[u8]); 4] = [
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes()),
            (libc::SOL_UDP, libc::UDP_GRO, &1232i32.to_ne_bytes()),
            // A time stamp that nobody here asked for.
            (libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[0; 16]),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info),
        ];
        for _ in 0..messages.len() {
            messages.rotate_left(1);
            let (control, length) = written(&messages);
            let expected = Ancillary { packet_info: Some(LOCAL), local_ipv4: None, drops: Some(7), segment: 1232 };
            assert_eq!(control.read_octets(length), expected);
        }
    }

    #[test]
    fn what_is_cut_off_counts_for_nothing() {
        let info = packet_info();
        let (control, length) = written(&[(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)]);
        for cut in 0..=length {
            let found = control.read_octets(cut);
            assert_eq!(found.packet_info, (cut >= len(PACKET_INFO)).then_some(LOCAL), "{cut} octets");
        }
        // The kernel shortens the message that it has no room for.
        let (control, length) = written(&[(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info[..17])]);
        assert_eq!(control.read_octets(length), Ancillary::default());
    }

    #[test]
    fn a_broadcast_address_is_none_of_the_machine() {
        let info = |address: &str| {
            let address = address.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped();
            Ancillary { packet_info: Some(Local { address, interface: 1 }), ..Ancillary::default() }
        };
        let destination = |address, local: Option<&str>| {
            let local_ipv4 = local.map(|local| local.parse().unwrap());
            Ancillary { local_ipv4, ..info(address) }.destination()
        };
        assert_eq!(destination("192.0.2.255", Some("192.0.2.1")), Destination::Broadcast);
        assert_eq!(destination("255.255.255.255", Some("192.0.2.1")), Destination::Broadcast);
        assert_eq!(destination("192.0.2.1", None), Destination::Unknown);
        for (address, local) in [("192.0.2.1", "192.0.2.1"), ("224.0.0.1", "192.0.2.1")] {
            assert_eq!(destination(address, Some(local)).local(), info(address).packet_info);
        }
        assert_eq!(Ancillary::default().destination(), Destination::Unknown);
    }

    #[test]
    fn no_octets_lead_to_an_endless_loop() {
        for filler in [0, 1, 0x7f, 0xff] {
            let control = ReceiveControl([filler; ReceiveControl::LEN]);
            assert_eq!(control.read_octets(usize::MAX), Ancillary::default());
        }
    }

    #[test]
    fn what_is_sent_reads_as_what_was_meant() {
        let mut control = SendControl::EMPTY;
        assert_eq!(control.write(None, None), 0);
        assert_eq!(control.write(None, Some(LOCAL)), len(PACKET_INFO));
        assert!(control.write(None, Some(LOCAL)) <= 36, "the kernel's stack has room for it");
        let length = control.write(Some(5), Some(LOCAL));
        assert!(length <= SendControl::LEN);
        let mut read = ReceiveControl::EMPTY;
        read.0[..length].copy_from_slice(&control.0[..length]);
        assert_eq!(read.read_octets(length).packet_info, Some(LOCAL));
        // SAFETY: the header of the first message, in 8 aligned octets or more.
        let first = unsafe { ptr::read_unaligned(control.0.as_ptr().cast::<libc::cmsghdr>()) };
        assert_eq!((first.cmsg_level, first.cmsg_type), (libc::SOL_UDP, libc::UDP_SEGMENT));
        assert_eq!(control.0[DATA..DATA + 2], 5u16.to_ne_bytes());
    }

    #[test]
    fn only_link_local_addresses_keep_their_interface() {
        let mut control = SendControl::EMPTY;
        let global = Local { address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), interface: 7 };
        let length = control.write(None, Some(global));
        let mut read = ReceiveControl::EMPTY;
        read.0[..length].copy_from_slice(&control.0[..length]);
        assert_eq!(read.read_octets(length).packet_info, Some(Local { interface: 0, ..global }));
    }
}
