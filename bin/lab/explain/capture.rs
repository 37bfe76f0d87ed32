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

use super::sequence::{ExplainInput, Seen};
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
    packets_read: u64,
}

type Input = std::io::Chain<Cursor<Vec<u8>>, Box<dyn Read>>;

enum Packets {
    Pcap(Box<PcapReader<Input>>),
    PcapNg(Box<PcapNgReader<Input>>),
}

/// A datagram of the capture.
#[derive(Debug, PartialEq, Eq)]
pub struct CapturedDatagram {
    number: u64,
    octets: Vec<u8>,
    message: Option<Direction>,
    time: Duration,
    from: SocketAddr,
    to: SocketAddr,
    missing: usize,
}

impl CapturedDatagram {
    /// The number of its packet in the capture, as Wireshark shows it: the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn as_datagram(&self) -> ExplainInput<'_> {
        let CapturedDatagram { time, from, to, missing, .. } = *self;
        ExplainInput { octets: &self.octets, message: self.message, seen: Some(Seen { time, from, to, missing }) }
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

/// A packet of the capture.
struct Packet {
    link: DataLink,
    time: Duration,
    octets: Vec<u8>,
    /// Whether the capture truncated it.
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
    /// Reads the file header.
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
        let packets = packets.map_err(|error| format!("neither pcap nor pcapng ({})", words(&error)))?;
        Ok(Capture { packets, port, first: None, left_out: LeftOut::default(), packets_read: 0 })
    }

    /// The next datagram from or to the port.
    pub fn next_datagram(&mut self) -> Option<Result<CapturedDatagram, String>> {
        loop {
            let packet = match self.packets.next()? {
                Ok(packet) => packet,
                Err(error) => return Some(Err(format!("the capture is damaged: {}", words(&error)))),
            };
            self.packets_read += 1;
            match datagram(&packet, Some(self.port)) {
                Ok(captured) => {
                    let first = *self.first.get_or_insert(packet.time);
                    let (number, time) = (self.packets_read, packet.time.saturating_sub(first));
                    return Some(Ok(CapturedDatagram { number, time, ..captured }));
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

/// The UDP payload of a packet that begins with an Ethernet or IP header; `None` if these octets are not one whole
/// packet.
pub fn payload(octets: &[u8]) -> Option<Vec<u8>> {
    [DataLink::RAW, DataLink::ETHERNET].into_iter().find_map(|link| {
        let captured =
            datagram(&Packet { link, time: Duration::ZERO, octets: octets.to_vec(), truncated: false }, None).ok()?;
        // Ethernet pads short packets; nothing follows an IP packet that was captured without Ethernet.
        let whole = captured.missing == 0 && (link == DataLink::ETHERNET || octets.ends_with(&captured.octets));
        whole.then_some(captured.octets)
    })
}

/// The destination ports of a capture, the most likely server port first: by the number of datagrams, then by the
/// first appearance.
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
    // A capture of one exchange has as many datagrams in each direction; the client sent first.
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
    // Units that no clock has count as 0.
    let Some(per_second) = base.checked_pow(exponent) else { return Duration::ZERO };
    let (seconds, rest) = (u128::from(units) / per_second, u128::from(units) % per_second);
    let nanoseconds = rest.saturating_mul(1_000_000_000) / per_second;
    Duration::new(seconds as u64, nanoseconds as u32)
}

/// `port` is the server's; without it, every UDP datagram is taken.
fn datagram(packet: &Packet, port: Option<u16>) -> Result<CapturedDatagram, Skip> {
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
    let missing = usize::from(udp.length()).saturating_sub(UDP_HEADER + udp.payload().len());
    Ok(CapturedDatagram {
        number: 0,
        octets: udp.payload().to_vec(),
        message,
        time: Duration::ZERO,
        from: SocketAddr::new(from, udp.source_port()),
        to: SocketAddr::new(to, udp.destination_port()),
        missing,
    })
}

/// Finds the IP packet after the link's header (tcpdump.org/linktypes.html).
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
mod tests;
