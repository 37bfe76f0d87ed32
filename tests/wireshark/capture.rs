//! Conversations that the tests make up, as a capture file and as text for stub.lua.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::pcap::{CaptureWriter, PacketDirection, Record};

/// The port of the calculators.
pub const SERVER: u16 = 10000;

/// One datagram.
#[derive(Clone)]
pub struct Datagram {
    pub time: Duration,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub octets: Vec<u8>,
}

/// Datagrams between ports of ::1, in the order of capture.
#[derive(Clone, Default)]
pub struct Traffic {
    pub datagrams: Vec<Datagram>,
}

impl Traffic {
    pub fn new() -> Traffic {
        Traffic::default()
    }

    /// Adds a datagram, 42 µs after the one before it.
    pub fn send(&mut self, from: u16, to: u16, octets: impl Into<Vec<u8>>) -> &mut Traffic {
        self.send_after(Duration::from_micros(42), from, to, octets)
    }

    /// Adds a datagram some time after the one before it.
    pub fn send_after(&mut self, pause: Duration, from: u16, to: u16, octets: impl Into<Vec<u8>>) -> &mut Traffic {
        let time = self.datagrams.last().map_or(Duration::ZERO, |last| last.time + pause);
        let octets = octets.into();
        self.datagrams.push(Datagram { time, from: local(from), to: local(to), octets });
        self
    }

    /// Adds a request and its reply.
    pub fn ask(&mut self, client: u16, request: impl Into<Vec<u8>>, reply: impl Into<Vec<u8>>) -> &mut Traffic {
        self.send(client, SERVER, request).send(SERVER, client, reply)
    }

    /// Writes a pcapng file.
    pub fn write(&self, path: &Path) {
        let mut capture = CaptureWriter::create(path, &[("lo", "made by a test")]).unwrap();
        for Datagram { time, from, to, octets } in &self.datagrams {
            let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + *time;
            let record = Record {
                interface: 0,
                time,
                direction: PacketDirection::Out,
                from: *from,
                to: *to,
                payload: octets,
                comment: "",
            };
            capture.record(record).unwrap();
        }
        capture.flush().unwrap();
    }

    /// The text that stub.lua reads; `way` is `port` or `heuristic`.
    pub fn for_stub(&self, way: &str) -> String {
        let mut text = String::new();
        for (frame, Datagram { time, from, to, octets }) in self.datagrams.iter().enumerate() {
            let octets = if octets.is_empty() { "-".to_owned() } else { hex(octets) };
            let (seconds, frame) = (time.as_secs_f64(), frame + 1);
            let (from_port, to_port) = (from.port(), to.port());
            writeln!(text, "{frame} {seconds:.9} {} {from_port} {} {to_port} {way} {octets}", from.ip(), to.ip())
                .unwrap();
        }
        text
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)
}

/// Octets written in hex, spaces allowed.
pub fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A classic request.
pub fn classic(header: u8, operands: &[u32]) -> Vec<u8> {
    let mut octets = vec![header];
    octets.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
    octets
}

/// An extended request whose operands are given as octets of one width.
pub fn extended(text: bool, operator: u8, width: u8, id: u64, operands: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x1e | u8::from(text), operator, width, 0];
    octets.extend(id.to_be_bytes());
    octets.extend_from_slice(operands);
    octets
}
