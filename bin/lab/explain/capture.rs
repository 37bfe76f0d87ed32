//! Captures: the UDP datagrams of one port, out of packets of several link types.

use std::fmt;
use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice, UdpSlice};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

use super::sequence::{Datagram, Seen};
use calc6::view::Direction;

/// The type of a Section Header Block, with which every pcapng file starts (draft-ietf-opsawg-pcapng, section 4.1);
/// the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const UDP_HEADER: usize = 8;

/// A capture that is being read, from a file or as it is written.
pub struct Capture {
    packets: Packets,
    port: u16,
    first: Option<Duration>,
    left_out: LeftOut,
}

type Input = std::io::Chain<Cursor<Vec<u8>>, Box<dyn Read>>;

enum Packets {
    Pcap(Box<PcapReader<Input>>),
    PcapNg(Box<PcapNgReader<Input>>),
}

/// A datagram of the capture.
#[derive(Debug, PartialEq, Eq)]
pub struct Captured {
    octets: Vec<u8>,
    message: Option<Direction>,
    time: Duration,
    from: SocketAddr,
    to: SocketAddr,
    cut: usize,
}

impl Captured {
    pub fn as_datagram(&self) -> Datagram<'_> {
        let Captured { time, from, to, cut, .. } = *self;
        Datagram { octets: &self.octets, message: self.message, seen: Some(Seen { time, from, to, cut }) }
    }
}

/// How many packets are not shown, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    other: u64,
    fragments: u64,
    unreadable: u64,
    truncated: u64,
    link_types: u64,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, what) in [
            (self.other, "packets of other protocols or ports"),
            (self.fragments, "fragments, which are not put together"),
            (self.unreadable, "damaged packets"),
            (self.truncated, "packets that the capture's snap length truncated before the end of their headers"),
            (self.link_types, "packets of link types other than Ethernet, Linux cooked, loopback and raw IP"),
        ] {
            if count > 0 {
                write!(f, "\nleft out: {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// A packet as the capture has it.
struct Packet {
    link: DataLink,
    time: Duration,
    octets: Vec<u8>,
    /// Whether the capture has less of it than was on the link.
    truncated: bool,
}

/// Why a packet is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Other,
    Fragment,
    Unreadable,
    LinkType,
}

impl Capture {
    /// Reads the beginning.
    ///
    /// # Errors
    /// Neither pcap nor pcapng.
    pub fn new(mut reader: Box<dyn Read>, port: u16) -> Result<Capture, String> {
        let mut magic = Vec::new();
        (&mut reader).take(PCAPNG_MAGIC.len() as u64).read_to_end(&mut magic).map_err(|error| error.to_string())?;
        let is_pcapng = magic == PCAPNG_MAGIC;
        let input = Cursor::new(magic).chain(reader);
        let packets = if is_pcapng {
            PcapNgReader::new(input).map(|reader| Packets::PcapNg(Box::new(reader)))
        } else {
            PcapReader::new(input).map(|reader| Packets::Pcap(Box::new(reader)))
        };
        let packets =
            packets.map_err(|error| format!("no capture in the form of pcap or pcapng ({})", words(&error)))?;
        Ok(Capture { packets, port, first: None, left_out: LeftOut::default() })
    }

    /// The next datagram from or to the port.
    pub fn next_datagram(&mut self) -> Option<Result<Captured, String>> {
        loop {
            let packet = match self.packets.next()? {
                Ok(packet) => packet,
                Err(error) => return Some(Err(format!("the capture is damaged: {}", words(&error)))),
            };
            match datagram(&packet, Some(self.port)) {
                Ok(captured) => {
                    let first = *self.first.get_or_insert(packet.time);
                    return Some(Ok(Captured { time: packet.time.saturating_sub(first), ..captured }));
                }
                Err(Skip::Other) => self.left_out.other += 1,
                Err(Skip::Fragment) => self.left_out.fragments += 1,
                Err(Skip::Unreadable) if packet.truncated => self.left_out.truncated += 1,
                Err(Skip::Unreadable) => self.left_out.unreadable += 1,
                Err(Skip::LinkType) => self.left_out.link_types += 1,
            }
        }
    }

    /// What was not shown so far.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }
}

/// The UDP payload of a packet that begins with an Ethernet or IP header; `None` if these octets are no whole
/// such packet.
pub fn payload(octets: &[u8]) -> Option<Vec<u8>> {
    [DataLink::RAW, DataLink::ETHERNET].into_iter().find_map(|link| {
        let captured =
            datagram(&Packet { link, time: Duration::ZERO, octets: octets.to_vec(), truncated: false }, None).ok()?;
        // Ethernet pads what is short; nothing follows an IP packet that was captured without it.
        let whole = captured.cut == 0 && (link == DataLink::ETHERNET || octets.ends_with(&captured.octets));
        whole.then_some(captured.octets)
    })
}

/// The ports to which the datagrams of a capture were sent, the likeliest server's first: those that most were sent to,
/// and of these the one that was met first.
///
/// # Errors
/// Neither pcap nor pcapng.
pub fn ports(file: &[u8]) -> Result<Vec<u16>, String> {
    let mut capture = Capture::new(Box::new(Cursor::new(file.to_vec())), 0)?;
    let mut ports: Vec<(u16, usize)> = Vec::new();
    while let Some(Ok(packet)) = capture.packets.next() {
        let Ok(captured) = datagram(&packet, None) else { continue };
        let port = captured.to.port();
        match ports.iter_mut().find(|(known, _)| *known == port) {
            Some((_, count)) => *count += 1,
            None => ports.push((port, 1)),
        }
    }
    ports.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    // A capture of one exchange has as many datagrams either way; the client spoke first.
    Ok(ports.into_iter().map(|(port, _)| port).collect())
}

fn words(error: &PcapError) -> String {
    match error {
        PcapError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "it ends early".to_owned(),
        PcapError::IoError(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl Packets {
    fn next(&mut self) -> Option<Result<Packet, PcapError>> {
        match self {
            Packets::Pcap(reader) => {
                let header = reader.header();
                Some(reader.next_raw_packet()?.map(|packet| {
                    let nanoseconds = match header.ts_resolution {
                        TsResolution::MicroSecond => u64::from(packet.ts_frac) * 1_000,
                        TsResolution::NanoSecond => packet.ts_frac.into(),
                    };
                    let time = Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(nanoseconds);
                    let truncated = packet.data.len() < packet.orig_len as usize;
                    Packet { link: header.datalink, time, octets: packet.data.into_owned(), truncated }
                }))
            }
            Packets::PcapNg(reader) => next_of_pcapng(reader),
        }
    }
}

fn next_of_pcapng(reader: &mut PcapNgReader<Input>) -> Option<Result<Packet, PcapError>> {
    loop {
        let (interface, time, original, octets) = match reader.next_block()? {
            Err(error) => return Some(Err(error)),
            // The reader does not know the units: its nanoseconds are the file's number as it is.
            Ok(Block::EnhancedPacket(packet)) => {
                (packet.interface_id, packet.timestamp.as_nanos() as u64, packet.original_len, packet.data.into_owned())
            }
            Ok(Block::Packet(packet)) => {
                (packet.interface_id.into(), packet.timestamp, packet.original_len, packet.data.into_owned())
            }
            Ok(Block::SimplePacket(packet)) => (0, 0, packet.original_len, packet.data.into_owned()),
            Ok(_) => continue,
        };
        return Some(match reader.interfaces().get(interface as usize) {
            Some(description) => Ok(Packet {
                link: description.linktype,
                time: since_1970(time, description),
                truncated: octets.len() < original as usize,
                octets,
            }),
            None => Err(PcapError::InvalidInterfaceId(interface)),
        });
    }
}

/// A timestamp in the units of its interface: if_tsresol, by default microseconds.
fn since_1970(units: u64, interface: &InterfaceDescriptionBlock<'_>) -> Duration {
    const MICROSECONDS: u8 = 6;
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let (base, exponent) = match resolution.unwrap_or(MICROSECONDS) {
        octet if octet & 0x80 != 0 => (2u128, u32::from(octet & 0x7f)),
        octet => (10u128, u32::from(octet)),
    };
    // Units too small for any clock count as none.
    let Some(per_second) = base.checked_pow(exponent) else { return Duration::ZERO };
    let (seconds, rest) = (u128::from(units) / per_second, u128::from(units) % per_second);
    let nanoseconds = rest.saturating_mul(1_000_000_000) / per_second;
    Duration::new(seconds as u64, nanoseconds as u32)
}

/// `port` is the server's; without it, every UDP datagram is taken.
fn datagram(packet: &Packet, port: Option<u16>) -> Result<Captured, Skip> {
    let sliced = slice(packet.link, &packet.octets)?;
    let payload = sliced.ip_payload();
    let (from, to) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(LaxNetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return Err(Skip::Other),
    };
    if payload.is_some_and(|payload| payload.fragmented) {
        return Err(Skip::Fragment);
    }
    let udp: UdpSlice<'_> = match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => udp.clone(),
        Some(_) => return Err(Skip::Other),
        None if sliced.stop_err.is_some() => return Err(Skip::Unreadable),
        None => return Err(Skip::Other),
    };
    let is = |other: u16| port.is_none_or(|port| port == other);
    let message = match (is(udp.source_port()), is(udp.destination_port())) {
        (false, true) => Some(Direction::Request),
        (true, false) => Some(Direction::Reply),
        (true, true) => None,
        (false, false) => return Err(Skip::Other),
    };
    let cut = usize::from(udp.length()).saturating_sub(UDP_HEADER + udp.payload().len());
    Ok(Captured {
        octets: udp.payload().to_vec(),
        message,
        time: Duration::ZERO,
        from: SocketAddr::new(from, udp.source_port()),
        to: SocketAddr::new(to, udp.destination_port()),
        cut,
    })
}

/// Finds the IP packet behind the link's header (tcpdump.org/linktypes.html).
fn slice(link: DataLink, octets: &[u8]) -> Result<LaxSlicedPacket<'_>, Skip> {
    // Offsets of the EtherType, and lengths, of the headers of Linux cooked captures.
    const COOKED: (usize, usize) = (14, 16);
    const COOKED_V2: (usize, usize) = (0, 20);
    const ADDRESS_FAMILY: usize = 4;
    let cooked = |(ether_type, header): (usize, usize)| {
        let rest = octets.get(header..).ok_or(Skip::Unreadable)?;
        let ether_type = u16::from_be_bytes([octets[ether_type], octets[ether_type + 1]]);
        Ok(LaxSlicedPacket::from_ether_type(EtherType(ether_type), rest))
    };
    match link {
        DataLink::ETHERNET => LaxSlicedPacket::from_ethernet(octets).map_err(|_| Skip::Unreadable),
        DataLink::LINUX_SLL => cooked(COOKED),
        DataLink::LINUX_SLL2 => cooked(COOKED_V2),
        DataLink::NULL | DataLink::LOOP => ip(octets.get(ADDRESS_FAMILY..).unwrap_or_default()),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => ip(octets),
        _ => Err(Skip::LinkType),
    }
}

fn ip(octets: &[u8]) -> Result<LaxSlicedPacket<'_>, Skip> {
    LaxSlicedPacket::from_ip(octets).map_err(|_| Skip::Unreadable)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] = &[0x00, 0, 0, 0, 1];
    const CLIENT: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const SERVER: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

    fn udp6(payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(CLIENT, SERVER, 64).udp(4000, 10000).write(&mut packet, payload).unwrap();
        packet
    }

    fn udp4(payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64).udp(10000, 4000).write(&mut packet, payload).unwrap();
        packet
    }

    /// A pcap file in network byte order, timestamps in microseconds.
    fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0x0004_0000, link] {
            file.extend(u32::to_be_bytes(word));
        }
        for (number, packet) in packets.iter().enumerate() {
            for word in [number as u32, 500_000, packet.len() as u32, packet.len() as u32] {
                file.extend(word.to_be_bytes());
            }
            file.extend(packet);
        }
        file
    }

    fn read(file: Vec<u8>) -> (Vec<Result<Captured, String>>, LeftOut) {
        let mut capture = match Capture::new(Box::new(Cursor::new(file)), 10000) {
            Ok(capture) => capture,
            Err(error) => return (vec![Err(error)], LeftOut::default()),
        };
        let mut read = Vec::new();
        while let Some(datagram) = capture.next_datagram() {
            let failed = datagram.is_err();
            read.push(datagram);
            if failed {
                break;
            }
        }
        (read, capture.left_out)
    }

    #[test]
    fn every_link_type() {
        let behind = |header: &[u8], packet: Vec<u8>| [header, &packet].concat();
        let mut cooked = [0; 16];
        cooked[14..].copy_from_slice(&[0x86, 0xdd]);
        let mut cooked2 = [0; 20];
        cooked2[..2].copy_from_slice(&[0x86, 0xdd]);
        let ethernet = [&[0; 12][..], &[0x86, 0xdd]].concat();
        let vlan = [&[0; 12][..], &[0x81, 0x00, 0, 7, 0x86, 0xdd]].concat();
        for (link, packet) in [
            (0, behind(&[30, 0, 0, 0], udp6(REQUEST))),
            (1, behind(&ethernet, udp6(REQUEST))),
            (1, behind(&vlan, udp6(REQUEST))),
            (101, udp6(REQUEST)),
            (108, behind(&[0, 0, 0, 24], udp6(REQUEST))),
            (113, behind(&cooked, udp6(REQUEST))),
            (229, udp6(REQUEST)),
            (276, behind(&cooked2, udp6(REQUEST))),
        ] {
            let (read, _) = read(pcap(link, &[packet]));
            let [Ok(captured)] = &read[..] else { panic!("link type {link}: {read:?}") };
            assert_eq!(
                (&captured.octets[..], captured.message),
                (REQUEST, Some(Direction::Request)),
                "link type {link}"
            );
            assert_eq!(captured.to.to_string(), "[fe80::2]:10000");
        }
        let (read, left_out) = read(pcap(147, &[udp6(REQUEST)]));
        assert_eq!((read, left_out), (vec![], LeftOut { link_types: 1, ..LeftOut::default() }));
    }

    #[test]
    fn payloads_of_pasted_packets() {
        let ethernet = [&[0; 12][..], &[0x86, 0xdd], &udp6(REQUEST)].concat();
        assert_eq!(payload(&udp6(REQUEST)).as_deref(), Some(REQUEST));
        assert_eq!(payload(&udp4(REQUEST)).as_deref(), Some(REQUEST));
        assert_eq!(payload(&ethernet).as_deref(), Some(REQUEST));
        assert_eq!(payload(&[udp6(REQUEST), vec![0]].concat()), None);
        for octets in [&[][..], REQUEST, &[0x60; 60], &[0; 300]] {
            assert_eq!(payload(octets), None);
        }
    }

    #[test]
    fn the_likeliest_port_of_the_server_comes_first() {
        let file = pcap(101, &[udp6(REQUEST), udp4(b"\xff\0\0\0\x01"), udp6(REQUEST)]);
        assert_eq!(ports(&file), Ok(vec![10000, 4000]));
        assert_eq!(ports(&pcap(101, &[])), Ok(vec![]));
        assert!(ports(b"no capture").is_err());
    }

    #[test]
    fn extension_headers_fragments_and_other_protocols() {
        // Hop-by-hop options (RFC 8200, section 4.3): next header UDP, length 0, a PadN of four octets.
        let with = |next: u8, extension: &[u8]| {
            let mut packet = udp6(REQUEST);
            packet[6] = next;
            packet[5] += extension.len() as u8;
            packet.splice(40..40, extension.iter().copied());
            packet
        };
        let options = with(0, &[17, 0, 1, 4, 0, 0, 0, 0]);
        // A fragment header (section 4.5): offset 0, more to follow.
        let fragment = with(44, &[17, 0, 0, 1, 0, 0, 0, 9]);
        let mut tcp = Vec::new();
        PacketBuilder::ipv6(CLIENT, SERVER, 64).tcp(4000, 10000, 0, 0).write(&mut tcp, &[]).unwrap();
        let mut other_port = Vec::new();
        PacketBuilder::ipv6(CLIENT, SERVER, 64).udp(1, 2).write(&mut other_port, REQUEST).unwrap();
        let packets = [options, udp4(b"\xff\0\0\0\x01"), fragment, tcp, other_port, vec![0x60], vec![]];
        let (read, left_out) = read(pcap(101, &packets));
        let messages: Vec<_> = read.iter().map(|read| read.as_ref().unwrap().message).collect();
        assert_eq!(messages, [Some(Direction::Request), Some(Direction::Reply)]);
        assert_eq!(left_out, LeftOut { other: 2, fragments: 1, unreadable: 2, ..LeftOut::default() });
    }

    #[test]
    fn what_the_capture_cut_off_is_counted() {
        let mut packet = udp6(&[0; 65]);
        packet.truncate(packet.len() - 60);
        let (read, _) = read(pcap(101, &[packet]));
        let captured = read[0].as_ref().unwrap();
        assert_eq!((captured.octets.len(), captured.cut), (5, 60));
    }

    #[test]
    fn times_count_from_the_first_datagram() {
        let (read, _) = read(pcap(101, &[vec![], udp6(REQUEST), udp6(REQUEST)]));
        let times: Vec<_> = read.into_iter().map(|read| read.unwrap().time).collect();
        assert_eq!(times, [Duration::ZERO, Duration::from_secs(1)]);
    }

    #[test]
    fn the_units_of_pcapng() {
        let since = |units, options| {
            since_1970(units, &InterfaceDescriptionBlock { linktype: DataLink::RAW, snaplen: 0, options })
        };
        let resolution = |octet| vec![InterfaceDescriptionOption::IfTsResol(octet)];
        assert_eq!(since(1_500_000, vec![]), Duration::from_millis(1500));
        assert_eq!(since(1_500_000_000, resolution(9)), Duration::from_millis(1500));
        assert_eq!(since(3 << 9, resolution(0x80 | 10)), Duration::from_millis(1500));
        assert_eq!(since(u64::MAX, resolution(0)), Duration::from_secs(u64::MAX));
        assert_eq!(since(u64::MAX, resolution(0xff)), Duration::ZERO);
        assert_eq!(since(u64::MAX, resolution(39)), Duration::ZERO);
    }

    #[test]
    fn damaged_captures() {
        let whole = pcap(101, &[udp6(REQUEST), udp6(REQUEST)]);
        let (read_part, _) = read(whole[..whole.len() - 1].to_vec());
        assert_eq!(read_part[1], Err("the capture is damaged: it ends early".to_owned()));
        let (none, _) = read(b"#!/bin/sh\n".to_vec());
        assert!(none[0].as_ref().unwrap_err().starts_with("no capture in the form of pcap or pcapng"));
        assert!(read(vec![]).0[0].is_err());
    }

    proptest! {
        #[test]
        fn no_capture_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), place: usize, ng: bool, link in 0..300u32) {
            let mut file = if ng {
                let mut file = Vec::new();
                let mut capture = crate::pcap::CaptureWriter::new(&mut file, &[("a", "b")]).unwrap();
                let (from, to) = ("[::1]:4000".parse().unwrap(), "[::1]:10000".parse().unwrap());
                let record = crate::pcap::Record {
                    interface: 0,
                    time: std::time::UNIX_EPOCH,
                    direction: crate::pcap::PacketDirection::In,
                    from,
                    to,
                    payload: REQUEST,
                    comment: "c",
                };
                capture.record(record).unwrap();
                drop(capture);
                file
            } else {
                pcap(link, &[udp6(REQUEST), octets.clone()])
            };
            let start = place % (file.len() + 1);
            for (octet, other) in file[start..].iter_mut().zip(octets.iter().take(6)) {
                *octet ^= other;
            }
            read(file);
            read(octets);
        }
    }
}
