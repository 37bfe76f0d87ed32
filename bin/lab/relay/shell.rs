//! The sockets around the network: one that the clients send to, and one towards the server for each client.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Arguments;
use super::network::{Departure, Direction, Fate, Network, Totals};
use crate::Failure;
use crate::pcap::{CaptureWriter, PacketDirection, Record};
use crate::target::resolve;

/// Datagrams read from one socket before the other sockets and due departures are served.
const BURST: usize = 64;

/// The largest UDP payload (65,535 less 8 octets of header) fits.
const BUFFER: usize = 65_536;

/// Descriptors besides the clients': standard streams, listening socket, epoll, signal pipe, capture, some in reserve.
const OTHER_DESCRIPTORS: u64 = 32;

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The tokens of epoll; those of clients follow, by their number.
const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;
const FIRST_CLIENT: u64 = 2;

/// Relays until SIGINT or SIGTERM, then writes the totals.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut relay = Relay::new(arguments)?;
    let result = relay.serve();
    relay.flush_capture()?;
    result?;
    relay.report_totals()
}

struct Relay<'a> {
    arguments: &'a Arguments,
    started: Instant,
    network: Network,
    epoll: rustix::fd::OwnedFd,
    listener: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    /// Kept open because epoll watches it.
    _signals: UnixStream,
    clients: HashMap<u64, Client>,
    numbers: HashMap<SocketAddr, u64>,
    next_client: u64,
    capture: Option<CaptureWriter>,
    counts: SocketCounts,
    reported: Reported,
}

struct Client {
    address: SocketAddr,
    /// Connected: the kernel delivers only the server's datagrams.
    upstream: UdpSocket,
    /// The address of `upstream`.
    local: SocketAddr,
    last_heard: Duration,
}

/// Events at the sockets, which the network does not count.
#[derive(Clone, Copy, Debug, Default)]
struct SocketCounts {
    /// Datagrams of clients over `--clients`.
    refused: u64,
    /// Datagrams that the kernel did not send: no buffers, no route, too long...
    unsent: u64,
    /// Times that the server's host reported that no socket listens on the port (ICMP port unreachable).
    unreachable: u64,
}

struct Reported {
    at: Duration,
    totals: [Totals; 2],
}

impl<'a> Relay<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        raise_descriptor_limit(u64::from(arguments.clients) + OTHER_DESCRIPTORS)?;
        let listener = bind(arguments)?;
        let local = listener.local_addr().map_err(|error| Failure::run("cannot read the relay's address", error))?;
        let server = resolve(&arguments.to_host, &arguments.to_port)?[0];
        let seed = match arguments.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| Failure::run("cannot draw a seed", error))?,
        };
        let signals = signal_pipe().map_err(|error| Failure::run("cannot watch for signals", error))?;
        let epoll = watch(&listener, &signals).map_err(|error| Failure::run("cannot watch the sockets", error))?;
        let capture = arguments.pcap.as_ref().map(|path| {
            let interfaces = [("clients", "between the clients and the relay"), ("server", "between relay and server")];
            CaptureWriter::create(path, &interfaces)
                .map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
        });
        let (to_server, to_client) = arguments.impairments();
        let relay = Self {
            arguments,
            started: Instant::now(),
            network: Network::new(to_server, to_client, seed),
            epoll,
            listener,
            local,
            server,
            _signals: signals,
            clients: HashMap::new(),
            numbers: HashMap::new(),
            next_client: 0,
            capture: capture.transpose()?,
            counts: SocketCounts::default(),
            reported: Reported { at: Duration::ZERO, totals: [Totals::default(); 2] },
        };
        let _ = writeln!(io::stderr(), "lab relay: listening on {local}, sending to {server}, seed {seed}");
        Ok(relay)
    }

    fn serve(&mut self) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(BURST);
        let mut buffer = vec![0; BUFFER];
        loop {
            events.clear();
            let timeout = self.time_to_wait();
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::run("cannot wait for datagrams", error)),
            }
            let mut ending = false;
            for event in &events {
                match event.data.u64() {
                    SIGNALS => ending = true,
                    LISTENER => self.receive_from_clients(&mut buffer)?,
                    client => self.receive_from_server(client - FIRST_CLIENT, &mut buffer)?,
                }
            }
            self.send_due()?;
            if ending {
                return Ok(());
            }
            self.report()?;
        }
    }

    /// Until the next departure or the next line of the report, whichever comes first.
    fn time_to_wait(&self) -> Timespec {
        let report = self.reported.at + REPORT_EVERY;
        let next = self.network.next_departure().map_or(report, |departure| departure.min(report));
        let wait = next.saturating_sub(self.started.elapsed());
        Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) }
    }

    fn receive_from_clients(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for _ in 0..BURST {
            let (length, source) = match self.listener.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An error queued by an earlier datagram. It has been read now; the socket still works.
                Err(_) => continue,
            };
            let now = self.started.elapsed();
            let Some(number) = self.client(source, now) else {
                self.counts.refused += 1;
                self.record(
                    0,
                    PacketDirection::In,
                    source,
                    self.local,
                    &buffer[..length],
                    "dropped: too many clients",
                )?;
                continue;
            };
            let fate = self.network.send(now, number, Direction::ToServer, &buffer[..length]);
            self.record_fate(0, source, self.local, &buffer[..length], &fate)?;
        }
        Ok(())
    }

    fn receive_from_server(&mut self, number: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        for _ in 0..BURST {
            let Some(client) = self.clients.get_mut(&number) else {
                break;
            };
            let length = match client.upstream.recv(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.counts.unreachable += u64::from(error.kind() == ErrorKind::ConnectionRefused);
                    continue;
                }
            };
            let now = self.started.elapsed();
            client.last_heard = now;
            let local = client.local;
            let fate = self.network.send(now, number, Direction::ToClient, &buffer[..length]);
            self.record_fate(1, self.server, local, &buffer[..length], &fate)?;
        }
        Ok(())
    }

    fn send_due(&mut self) -> Result<(), Failure> {
        // One reading of the clock: datagrams that become due meanwhile wait for the next round.
        let now = self.started.elapsed();
        while let Some(departure) = self.network.depart(now) {
            let Departure { client, direction, payload, copy } = departure;
            let Some(client) = self.clients.get(&client) else {
                continue;
            };
            let (sent, interface, from, to) = match direction {
                Direction::ToServer => (send_connected(&client.upstream, &payload), 1, client.local, self.server),
                Direction::ToClient => (self.listener.send_to(&payload, client.address), 0, self.local, client.address),
            };
            if sent.is_err() {
                self.counts.unsent += 1;
                continue;
            }
            self.record(interface, PacketDirection::Out, from, to, &payload, if copy { "a copy" } else { "" })?;
        }
        Ok(())
    }

    /// The number of the client at `source`, a new one if it is not known; `None` if there are too many.
    fn client(&mut self, source: SocketAddr, now: Duration) -> Option<u64> {
        if let Some(number) = self.numbers.get(&source) {
            self.clients.get_mut(number)?.last_heard = now;
            return Some(*number);
        }
        if self.clients.len() >= self.arguments.clients as usize {
            self.forget_idle(now);
        }
        if self.clients.len() >= self.arguments.clients as usize {
            return None;
        }
        let number = self.next_client;
        let client = self.connect(number, source, now).ok()?;
        self.next_client += 1;
        self.numbers.insert(source, number);
        self.clients.insert(number, client);
        Some(number)
    }

    /// Opens the port towards the server for a new client.
    fn connect(&self, number: u64, address: SocketAddr, now: Duration) -> io::Result<Client> {
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let upstream = UdpSocket::bind(any)?;
        upstream.set_nonblocking(true)?;
        upstream.connect(self.server)?;
        let data = epoll::EventData::new_u64(FIRST_CLIENT + number);
        epoll::add(&self.epoll, &upstream, data, epoll::EventFlags::IN)?;
        let local = upstream.local_addr()?;
        Ok(Client { address, upstream, local, last_heard: now })
    }

    /// Forgets the clients that have been silent for long enough and have nothing in flight.
    fn forget_idle(&mut self, now: Duration) {
        let idle = self.arguments.idle;
        let busy: HashSet<u64> = self.network.clients_in_flight().collect();
        let silent = |(number, client): (&u64, &Client)| {
            (now.saturating_sub(client.last_heard) >= idle && !busy.contains(number)).then_some(*number)
        };
        let silent: Vec<u64> = self.clients.iter().filter_map(silent).collect();
        for number in silent {
            if let Some(client) = self.clients.remove(&number) {
                self.numbers.remove(&client.address);
                self.network.forget(number);
            }
        }
    }

    fn record_fate(
        &mut self,
        interface: u32,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        fate: &Fate,
    ) -> Result<(), Failure> {
        if self.capture.is_none() {
            return Ok(());
        }
        self.record(interface, PacketDirection::In, from, to, payload, &fate.to_string())
    }

    fn record(
        &mut self,
        interface: u32,
        direction: PacketDirection,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        comment: &str,
    ) -> Result<(), Failure> {
        let Some(capture) = &mut self.capture else {
            return Ok(());
        };
        let record = Record { interface, time: SystemTime::now(), direction, from, to, payload, comment };
        capture.record(record).map_err(|error| Failure::run("cannot write the capture", error))
    }

    fn flush_capture(&mut self) -> Result<(), Failure> {
        match &mut self.capture {
            Some(capture) => capture.flush().map_err(|error| Failure::run("cannot write the capture", error)),
            None => Ok(()),
        }
    }

    /// Once a second: forgets silent clients, and writes a line if anything happened.
    fn report(&mut self) -> Result<(), Failure> {
        let now = self.started.elapsed();
        if now < self.reported.at + REPORT_EVERY {
            return Ok(());
        }
        self.forget_idle(now);
        self.flush_capture()?;
        let totals = self.totals();
        let [to_server, to_client] = [0, 1].map(|way| totals[way] - self.reported.totals[way]);
        self.reported = Reported { at: now, totals };
        let nothing = Totals::default();
        if self.arguments.quiet || (to_server == nothing && to_client == nothing) {
            return Ok(());
        }
        let seconds = now.as_secs();
        let mut out = io::stdout().lock();
        writeln!(out, "{seconds:5} s  to the server: {to_server}; to clients: {to_client}")?;
        Ok(out.flush()?)
    }

    fn report_totals(&self) -> Result<(), Failure> {
        let [to_server, to_client] = self.totals();
        let SocketCounts { refused, unsent, unreachable } = self.counts;
        let mut out = io::stdout().lock();
        writeln!(out, "totals, {} clients", self.next_client)?;
        writeln!(out, "  to the server: {to_server}")?;
        writeln!(out, "  to clients:    {to_client}")?;
        let others = [
            (self.network.in_flight() as u64, "datagrams still in flight"),
            (refused, "datagrams dropped because there were too many clients (--clients)"),
            (unsent, "datagrams that the system did not send"),
            (unreachable, "times no socket listened on the server's port"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(out, "  {count} {what}")?;
        }
        Ok(out.flush()?)
    }

    fn totals(&self) -> [Totals; 2] {
        [Direction::ToServer, Direction::ToClient].map(|direction| self.network.totals(direction))
    }
}

fn bind(arguments: &Arguments) -> Result<UdpSocket, Failure> {
    let addresses = resolve(&arguments.listen_host, &arguments.listen_port)?;
    let what = format!("cannot receive on {} port {}", arguments.listen_host, arguments.listen_port);
    let listener = UdpSocket::bind(&addresses[..]).map_err(|error| Failure::run(&what, error))?;
    listener.set_nonblocking(true).map_err(|error| Failure::run(&what, error))?;
    Ok(listener)
}

/// A stream that becomes readable at the first SIGINT or SIGTERM; none can be missed.
fn signal_pipe() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGINT, write.try_clone()?)?;
    signal_hook::low_level::pipe::register(SIGTERM, write)?;
    Ok(read)
}

fn watch(listener: &UdpSocket, signals: &UnixStream) -> io::Result<rustix::fd::OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    epoll::add(&epoll, signals, epoll::EventData::new_u64(SIGNALS), epoll::EventFlags::IN)?;
    Ok(epoll)
}

/// On a connected socket an ICMP error of an earlier datagram fails the next send(2), which then sends nothing: try
/// again.
fn send_connected(socket: &UdpSocket, payload: &[u8]) -> io::Result<usize> {
    match socket.send(payload) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => socket.send(payload),
        result => result,
    }
}

/// Each client needs a descriptor; any user may raise the usual soft limit of 1,024 to the hard limit.
fn raise_descriptor_limit(wanted: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < wanted) {
        let limit = maximum.unwrap_or_default().saturating_sub(OTHER_DESCRIPTORS);
        return Err(Failure::Run(format!(
            "too few descriptors for --clients: expected at most {limit} clients, or a higher `ulimit -Hn`"
        )));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|error| Failure::run("cannot raise the limit of open descriptors", error))
}
