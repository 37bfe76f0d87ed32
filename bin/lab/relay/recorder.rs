//! The capture of both sides of the relay.

use std::io;
use std::net::SocketAddrV6;
use std::path::Path;
use std::time::SystemTime;

use super::fate::Fate;
use super::port::unmapped;
use crate::Failure;
use crate::pcap::{CaptureWriter, PacketDirection, Record};

/// Writes datagrams to a capture, if there is one.
pub struct Recorder {
    capture: Option<CaptureWriter>,
    failure: Option<String>,
}

/// A side of the relay; the values are the numbers of the capture's interfaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Between the clients and the relay.
    Clients = 0,
    /// Between the relay and the server.
    Server = 1,
}

impl Recorder {
    /// Creates the file, if the options name one.
    pub fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let create = |path: &Path| {
            let interfaces = [("clients", "between the clients and the relay"), ("server", "between relay and server")];
            CaptureWriter::create(path, &interfaces)
                .map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
        };
        Ok(Self { capture: path.map(create).transpose()?, failure: None })
    }

    /// Whether a capture is written.
    pub fn records(&self) -> bool {
        self.capture.is_some()
    }

    /// Records a datagram that came in, with its fate.
    pub fn record_fate(&mut self, side: Side, from: SocketAddrV6, to: SocketAddrV6, payload: &[u8], fate: &Fate) {
        if self.records() {
            self.record(side, PacketDirection::In, from, to, payload, &fate.to_string());
        }
    }

    /// Records a datagram. After a failure nothing more is recorded.
    pub fn record(
        &mut self,
        side: Side,
        direction: PacketDirection,
        from: SocketAddrV6,
        to: SocketAddrV6,
        payload: &[u8],
        comment: &str,
    ) {
        let (from, to, time) = (unmapped(from), unmapped(to), SystemTime::now());
        let record = Record { interface: side as u32, time, direction, from, to, payload, comment };
        self.try_to(|capture| capture.record(record));
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) {
        self.try_to(CaptureWriter::flush);
    }

    /// Why the capture could not be written, or `None`.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn try_to(&mut self, write: impl FnOnce(&mut CaptureWriter) -> io::Result<()>) {
        if let Some(Err(error)) = self.capture.as_mut().map(write) {
            self.failure = Some(format!("cannot write the capture: {error}"));
            self.capture = None;
        }
    }
}
