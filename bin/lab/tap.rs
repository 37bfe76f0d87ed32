//! A relay inside this process, between clients and one server, that keeps the datagrams.
//!
//! `lab relay` is for programs that are started by hand. This relay ends with its run, and the programs under test
//! cannot change what it has recorded. Both use the same network between their sockets.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calc6::net::wait::{AsFd, Waker, wait};

use crate::Failure;
use crate::relay::{FlowDirection, Impairments, Network, RelayTotals};

/// Datagrams read from one socket before the others are served.
const BURST: usize = 64;

/// The largest UDP payload fits.
const BUFFER: usize = 65_536;

/// The most client addresses: a client that opens a socket for each try has several. Datagrams of others are dropped.
const MAX_CLIENTS: usize = 64;

/// Limits on the datagrams that are kept, and on their octets; further ones are forwarded and counted.
const MAX_KEPT: usize = 4096;
const MAX_KEPT_OCTETS: usize = 4 << 20;

/// A running relay. It ends when its record is requested, or when it is dropped.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    shared: Arc<TapState>,
    thread: Option<JoinHandle<Passed>>,
}

#[derive(Debug)]
struct TapState {
    waker: Waker,
    ended: AtomicBool,
    replied: AtomicBool,
}

/// The record of a relay.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// In the order of arrival.
    pub datagrams: Vec<PassedDatagram>,
    /// When each datagram left for a client.
    pub delivered: Vec<Instant>,
    /// Counts of the datagrams to the server, and to the clients.
    pub totals: [RelayTotals; 2],
}

/// A datagram that arrived.
#[derive(Clone, Debug)]
pub struct PassedDatagram {
    /// The time of arrival.
    pub at: Instant,
    /// The direction.
    pub direction: FlowDirection,
    /// The client that sent it, or that it is sent to.
    pub client: SocketAddr,
    /// The source. A reply from another address than the server's is not forwarded: a connected client would not
    /// receive it either.
    pub from: SocketAddr,
    /// Its payload.
    pub octets: Vec<u8>,
}

impl Tap {
    /// Listens on a free port of the loopback address, and relays to `server` through a network with these impairments,
    /// first those of datagrams to the server, then those of datagrams to the clients.
    pub fn start(server: SocketAddr, impairments: [Impairments; 2], seed: u64) -> Result<Self, Failure> {
        let cannot = |error| Failure::run("cannot open the sockets of a relay", error);
        let loopback: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let listener = UdpSocket::bind((loopback, 0)).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let waker = Waker::new().map_err(cannot)?;
        let shared = Arc::new(TapState { waker, ended: AtomicBool::new(false), replied: AtomicBool::new(false) });
        let [to_server, to_client] = impairments;
        let relay = Relay {
            started: Instant::now(),
            network: Network::new(to_server, to_client, seed),
            listener,
            server,
            clients: Vec::new(),
            passed: Passed::default(),
            kept_octets: 0,
        };
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("tap".to_owned()).spawn(move || relay.serve(&shared)).map_err(cannot)?
        };
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// The address to which clients send.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the server has sent anything.
    pub fn has_replied(&self) -> bool {
        self.shared.replied.load(Ordering::Acquire)
    }

    /// Ends the relay, and returns its record.
    pub fn finish(mut self) -> Result<Passed, Failure> {
        self.end().ok_or_else(|| Failure::Run("a relay failed".into()))
    }

    fn end(&mut self) -> Option<Passed> {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.waker.wake();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end();
    }
}

struct Relay {
    started: Instant,
    network: Network,
    listener: UdpSocket,
    server: SocketAddr,
    /// In the order of their first datagrams: their addresses, and their sockets towards the server.
    clients: Vec<(SocketAddr, UdpSocket)>,
    passed: Passed,
    kept_octets: usize,
}

impl Relay {
    fn serve(mut self, shared: &TapState) -> Passed {
        let mut buffer = vec![0; BUFFER];
        loop {
            let ended = shared.ended.load(Ordering::Acquire);
            // Once more after the end: earlier datagrams count.
            self.receive_from_clients(&mut buffer);
            self.receive_from_server(&mut buffer, &shared.replied);
            self.send_due();
            if ended {
                break;
            }
            let now = self.started.elapsed();
            let due = self.network.next_departure().map(|departure| departure.saturating_sub(now));
            let mut sources = vec![shared.waker.as_fd(), self.listener.as_fd()];
            sources.extend(self.clients.iter().map(|(_, socket)| socket.as_fd()));
            // If poll(2) fails, it fails every time; sleeping avoids a busy loop.
            if wait(&sources, due).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.passed.totals =
            [FlowDirection::ToServer, FlowDirection::ToClient].map(|direction| self.network.totals(direction));
        self.passed
    }

    fn receive_from_clients(&mut self, buffer: &mut [u8]) {
        for _ in 0..BURST {
            let (length, from) = match self.listener.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An error of an earlier datagram. It has been read now.
                Err(_) => continue,
            };
            let Some(number) = self.client(from) else { continue };
            self.keep(FlowDirection::ToServer, from, from, &buffer[..length]);
            self.network.send(self.started.elapsed(), number as u64, FlowDirection::ToServer, &buffer[..length]);
        }
    }

    fn receive_from_server(&mut self, buffer: &mut [u8], replied: &AtomicBool) {
        for number in 0..self.clients.len() {
            for _ in 0..BURST {
                let (client, socket) = &self.clients[number];
                let (length, from) = match socket.recv_from(buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => continue,
                };
                self.keep(FlowDirection::ToClient, *client, from, &buffer[..length]);
                if from == self.server {
                    replied.store(true, Ordering::Release);
                    let now = self.started.elapsed();
                    self.network.send(now, number as u64, FlowDirection::ToClient, &buffer[..length]);
                }
            }
        }
    }

    fn send_due(&mut self) {
        while let Some(departure) = self.network.depart(self.started.elapsed()) {
            let Some((client, socket)) = self.clients.get(departure.client as usize) else { continue };
            // A peer whose socket is closed receives nothing.
            let _ = match departure.direction {
                FlowDirection::ToServer => socket.send_to(&departure.payload, self.server),
                FlowDirection::ToClient => self.listener.send_to(&departure.payload, client),
            };
            if departure.direction == FlowDirection::ToClient && self.passed.delivered.len() < MAX_KEPT {
                self.passed.delivered.push(Instant::now());
            }
        }
    }

    /// The index of the client with this address.
    fn client(&mut self, address: SocketAddr) -> Option<usize> {
        if let Some(known) = self.clients.iter().position(|(client, _)| *client == address) {
            return Some(known);
        }
        if self.clients.len() == MAX_CLIENTS {
            return None;
        }
        let socket = towards(self.server).ok()?;
        self.clients.push((address, socket));
        Some(self.clients.len() - 1)
    }

    fn keep(&mut self, direction: FlowDirection, client: SocketAddr, from: SocketAddr, octets: &[u8]) {
        if self.passed.datagrams.len() < MAX_KEPT && self.kept_octets + octets.len() <= MAX_KEPT_OCTETS {
            self.kept_octets += octets.len();
            let octets = octets.to_vec();
            self.passed.datagrams.push(PassedDatagram { at: Instant::now(), direction, client, from, octets });
        }
    }
}

/// Not connected, so that a reply from another port is received too.
fn towards(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 100];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => return (buffer[..length].to_vec(), from),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn what_passes_is_handed_on_and_kept() {
        let (client, server, stranger) = (socket(), socket(), socket());
        let tap = Tap::start(server.local_addr().unwrap(), Default::default(), 1).unwrap();
        client.send_to(b"request", tap.address()).unwrap();
        let (octets, from) = receive(&server);
        assert_eq!(octets, b"request");
        stranger.send_to(b"from elsewhere", from).unwrap();
        server.send_to(b"reply", from).unwrap();
        assert_eq!(receive(&client), (b"reply".to_vec(), tap.address()));

        let passed = tap.finish().unwrap();
        let octets: Vec<&[u8]> = passed.datagrams.iter().map(|datagram| &datagram.octets[..]).collect();
        assert_eq!(octets, [&b"request"[..], b"from elsewhere", b"reply"]);
        assert_eq!(passed.datagrams[1].from, stranger.local_addr().unwrap());
        let counts = passed.totals.map(|totals| (totals.received, totals.sent));
        assert_eq!((counts, passed.delivered.len()), ([(1, 1), (1, 1)], 1));
    }

    #[test]
    fn what_is_lost_is_counted() {
        let (client, server) = (socket(), socket());
        let loss = Impairments { loss: "1".parse().unwrap(), ..Impairments::default() };
        let tap = Tap::start(server.local_addr().unwrap(), [loss, Impairments::default()], 1).unwrap();
        client.send_to(b"request", tap.address()).unwrap();
        let passed = tap.finish().unwrap();
        assert_eq!((passed.totals[0].received, passed.totals[0].lost, passed.totals[0].sent), (1, 1, 0));
    }
}
