//! Captures that the lab writes, as pcapng (draft-ietf-opsawg-pcapng), for Wireshark and similar tools.
//!
//! The lab sees datagrams, not packets: it makes up the IP and UDP headers (hop limit 64, correct checksums).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etherparse::PacketBuilder;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::{DataLink, PcapError};

const HOP_LIMIT: u8 = 64;

/// if_tsresol: timestamps count units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// The largest UDP payload in an IPv4 packet: 65,535 less 20 and 8 octets of headers.
const MAX_IPV4_PAYLOAD: usize = 65_507;

/// The direction of a datagram, seen from the capturing host; the values are those of epb_flags, bits 0 and 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketDirection {
    /// It was received.
    In = 1,
    /// It was sent.
    Out = 2,
}

/// One datagram to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The number of the interface, in the order of the argument of [`CaptureWriter::create`].
    pub interface: u32,
    /// When it was received or sent.
    pub time: SystemTime,
    /// Received or sent.
    pub direction: PacketDirection,
    /// The source.
    pub from: SocketAddr,
    /// The destination.
    pub to: SocketAddr,
    /// The UDP payload.
    pub payload: &'a [u8],
    /// A packet comment; empty for none.
    pub comment: &'a str,
}

/// A pcapng file that is being written.
pub struct CaptureWriter<W: Write = BufWriter<File>> {
    writer: PcapNgWriter<W>,
    packet: Vec<u8>,
}

impl CaptureWriter {
    /// Creates the file, or empties it, and describes the interfaces: (name, description) each.
    pub fn create(path: &Path, interfaces: &[(&str, &str)]) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create(path)?), interfaces)
    }
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a capture on any writer.
    pub fn new(writer: W, interfaces: &[(&str, &str)]) -> io::Result<Self> {
        let mut writer = PcapNgWriter::new(writer).map_err(io_error)?;
        for (name, description) in interfaces {
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::RAW,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                    InterfaceDescriptionOption::IfDescription(Cow::Borrowed(description)),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            };
            writer.write_pcapng_block(block).map_err(io_error)?;
        }
        Ok(Self { writer, packet: Vec::new() })
    }

    /// Appends one datagram.
    pub fn record(&mut self, record: Record<'_>) -> io::Result<()> {
        self.packet.clear();
        write_packet(&mut self.packet, record.from, record.to, record.payload)?;
        let mut options = vec![EnhancedPacketOption::Flags(record.direction as u32)];
        if !record.comment.is_empty() {
            options.push(EnhancedPacketOption::Comment(Cow::Borrowed(record.comment)));
        }
        let block = EnhancedPacketBlock {
            interface_id: record.interface,
            timestamp: record.time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            original_len: self.packet.len() as u32,
            data: Cow::Borrowed(&self.packet),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(io_error)?;
        Ok(())
    }

    /// Writes everything recorded so far to the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }
}

/// Writes an IP packet with a UDP datagram in it; IPv4 only if both addresses are.
fn write_packet(packet: &mut Vec<u8>, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
    let built = match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let payload = &payload[..payload.len().min(MAX_IPV4_PAYLOAD)];
            PacketBuilder::ipv4(source.octets(), destination.octets(), HOP_LIMIT)
                .udp(from.port(), to.port())
                .write(packet, payload)
        }
        (source, destination) => PacketBuilder::ipv6(as_ipv6(source), as_ipv6(destination), HOP_LIMIT)
            .udp(from.port(), to.port())
            .write(packet, payload),
    };
    built.map_err(io::Error::other)
}

fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    #[test]
    fn recorded_datagrams_can_be_read_back() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        let datagrams = [
            ("[::1]:4000", "[::1]:10000", "a comment", PacketDirection::In),
            ("127.0.0.1:4000", "[::ffff:127.0.0.1]:10000", "", PacketDirection::Out),
            ("127.0.0.1:4000", "[::1]:10000", "", PacketDirection::Out),
        ];
        let mut file = Vec::new();
        let mut capture = CaptureWriter::new(&mut file, &[("a", "first"), ("b", "second")]).unwrap();
        for (from, to, comment, direction) in datagrams {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            capture.record(Record { interface: 1, time, direction, from, to, payload: b"octets", comment }).unwrap();
        }
        capture.flush().unwrap();

        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut read = 0;
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.unwrap() else {
                continue;
            };
            assert_eq!(packet.timestamp, Duration::new(1_700_000_000, 123_456_789));
            assert_eq!(packet.interface_id, 1);
            assert!(packet.options.contains(&EnhancedPacketOption::Flags(datagrams[read].3 as u32)));
            let comment = EnhancedPacketOption::Comment(Cow::Borrowed(datagrams[read].2));
            assert_eq!(packet.options.contains(&comment), !datagrams[read].2.is_empty());
            let sliced = SlicedPacket::from_ip(&packet.data).unwrap();
            assert_eq!(matches!(sliced.net, Some(NetSlice::Ipv4(_))), read == 1);
            let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP") };
            assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (4000, 10000, &b"octets"[..]));
            read += 1;
        }
        assert_eq!(read, datagrams.len());
    }
}
