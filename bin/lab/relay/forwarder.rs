//! The sockets, one that the clients send to and one towards the server for each client, and the network in between.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use calc6::net::{Datagram, Local, ReceiveBatch, ReceivedCounts, SendBatch, Sent, mapped};
use mio::{Registry, Token};

use super::Arguments;
use super::clients::{Client, Clients};
use super::impairments::FlowDirection;
use super::network::{Departure, Network};
use super::port::{RelayPort, unmapped};
use super::recorder::{Recorder, Side};
use super::totals::RelayTotals;
use crate::Failure;
use crate::pcap::PacketDirection;
use crate::target::resolve;

/// The token of the clients' socket; those of the sockets towards the server begin at [`Clients::FIRST_TOKEN`].
const LISTENER: Token = Token(0);

/// A token that belongs to no socket.
pub const WAKER: Token = Token(1);

/// Messages that one call receives, each a datagram or a train of them.
const MESSAGES: usize = 64;

/// Calls for one socket before the other sockets and due departures are served.
const CALLS: usize = 4;

/// Datagrams that wait for one call to send them.
const DEPARTURES: usize = 128;

/// Datagrams taken out of the network at once.
const ROUND: usize = 1024;

/// The longest UDP payload (65,535 less 8 octets of header) fits.
const LONGEST: usize = 65_535;

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Receives and sends.
pub struct Forwarder<'a> {
    listener: RelayPort,
    /// What clients send, what the server answers, and what leaves.
    requests: ReceiveBatch,
    answers: ReceiveBatch,
    departures: SendBatch,
    state: State<'a>,
    /// The departure that the sending thread waits for.
    awaited: Duration,
}

/// Everything except the listening socket and the batches.
struct State<'a> {
    arguments: &'a Arguments,
    started: Instant,
    seed: u64,
    network: Network,
    /// The address to which clients send.
    local: SocketAddrV6,
    server: SocketAddrV6,
    clients: Clients,
    recorder: Recorder,
    counts: SocketCounts,
    reported: Reported,
}

/// Events at the sockets, which the network does not count.
#[derive(Clone, Copy, Debug, Default)]
struct SocketCounts {
    /// Datagrams of clients over `--clients`.
    refused: u64,
    /// Datagrams that the system dropped before they were received: a receive buffer was full.
    overrun: u64,
    /// Datagrams that the system did not send: no buffers, no route, too long...
    unsent: u64,
    /// Times that the server's host reported that no socket listens on the port (ICMP port unreachable).
    unreachable: u64,
    /// Received and sent trains.
    came: TrainCounts,
    left: TrainCounts,
}

/// Datagrams that were segments of messages.
#[derive(Clone, Copy, Debug, Default)]
struct TrainCounts {
    messages: u64,
    datagrams: u64,
}

struct Reported {
    at: Duration,
    totals: [RelayTotals; 2],
}

impl<'a> Forwarder<'a> {
    /// Binds the socket for the clients, on the first of the host's addresses that works.
    pub fn new(arguments: &'a Arguments, registry: &Registry) -> Result<Self, Failure> {
        let listener = listen(arguments, registry)?;
        let server = mapped(resolve(&arguments.to_host, &arguments.to_port)?[0]);
        let seed = match arguments.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| Failure::run("cannot draw a seed", error))?,
        };
        let registry = registry.try_clone().map_err(|error| Failure::run("cannot watch the sockets", error))?;
        let most = arguments.clients as usize;
        let (to_server, to_client) = arguments.impairments();
        let state = State {
            arguments,
            started: Instant::now(),
            seed,
            network: Network::new(to_server, to_client, seed),
            local: listener.local(),
            server,
            clients: Clients::new(registry, server, arguments.segmentation, most, arguments.idle),
            recorder: Recorder::new(arguments.pcap.as_deref())?,
            counts: SocketCounts::default(),
            reported: Reported { at: Duration::ZERO, totals: [RelayTotals::default(); 2] },
        };
        let capabilities = listener.capabilities();
        Ok(Self {
            listener,
            requests: ReceiveBatch::new(MESSAGES, LONGEST, capabilities),
            answers: ReceiveBatch::connected(MESSAGES, LONGEST, capabilities),
            departures: SendBatch::new(DEPARTURES, LONGEST, capabilities.segmentation),
            state,
            awaited: Duration::MAX,
        })
    }

    /// Where it listens, and what it does.
    pub fn introduction(&self) -> String {
        let State { local, server, seed, .. } = &self.state;
        format!("listening on {}, sending to {}, seed {seed}", unmapped(*local), unmapped(*server))
    }

    /// Receives from a socket; true if there may be more.
    pub fn receive(&mut self, token: Token) -> bool {
        (0..CALLS).all(|_| match token {
            LISTENER => self.receive_from_clients(),
            token => self.receive_from_server(Clients::number(token)),
        })
    }

    /// One batch of the clients' datagrams; false if there is none.
    fn receive_from_clients(&mut self) -> bool {
        let Self { listener, requests, state, .. } = self;
        match listener.receive(requests) {
            Ok((ReceivedCounts { messages: 0, .. }, _)) => return false,
            Ok((received, dropped)) => state.counts.count_received(received, dropped),
            // An error queued by an earlier datagram. It has been read now, and the socket still works.
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
        // One reading of the clock is enough: the datagrams had arrived when the call returned.
        let now = state.started.elapsed();
        requests.datagrams().for_each(|datagram| state.accept(&datagram, now));
        true
    }

    /// One batch of the server's datagrams for a client; false if there is none.
    fn receive_from_server(&mut self, number: u64) -> bool {
        let Self { answers, state, .. } = self;
        let State { clients, counts, network, recorder, server, started, .. } = state;
        let Some(client) = clients.get_mut(number) else { return false };
        match client.upstream.receive(answers) {
            Ok((ReceivedCounts { messages: 0, .. }, _)) => return false,
            Ok((received, dropped)) => counts.count_received(received, dropped),
            Err(error) => {
                let closed = matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset);
                counts.unreachable += u64::from(closed);
                return error.kind() != ErrorKind::WouldBlock;
            }
        }
        let now = started.elapsed();
        client.last_heard = now;
        let local = client.upstream.local();
        for datagram in answers.datagrams() {
            let fate = network.send(now, number, FlowDirection::ToClient, datagram.octets);
            recorder.record_fate(Side::Server, *server, local, datagram.octets, &fate);
        }
        true
    }

    /// Sends what has left the network.
    pub fn send_due(&mut self) {
        // One reading of the clock is enough: datagrams that become due meanwhile wait for the next round.
        let now = self.state.started.elapsed();
        loop {
            let departed = std::iter::from_fn(|| self.state.network.depart(now));
            let mut due: Vec<Departure> = departed.take(ROUND).collect();
            // Datagrams of one socket together, so that they can travel as trains. The order between clients has no
            // meaning.
            due.sort_by_key(socket_of);
            due.chunk_by(|one, other| socket_of(one) == socket_of(other)).for_each(|due| self.send(due));
            if due.len() < ROUND {
                return;
            }
        }
    }

    /// Sends datagrams that leave through the same socket.
    fn send(&mut self, due: &[Departure]) {
        let Self { listener, departures, state, .. } = self;
        let State { clients, counts, recorder, local, server, .. } = state;
        let port = match due.first() {
            Some(Departure { direction: FlowDirection::ToClient, .. }) => Some(&*listener),
            Some(Departure { client, .. }) => clients.get(*client).map(|client| &client.upstream),
            None => None,
        };
        let Some(port) = port else { return };
        for Departure { client, direction, payload, copy } in due {
            let Some(Client { address, asked, .. }) = clients.get(*client) else { continue };
            if departures.is_full() {
                counts.count_sent(port.flush(departures));
            }
            match direction {
                FlowDirection::ToServer => departures.append(None, None, payload),
                FlowDirection::ToClient => departures.append(Some(*address), *asked, payload),
            }
            if !recorder.records() {
                continue;
            }
            // Alone, so that the result of this one datagram is known.
            let sent = port.flush(departures);
            counts.count_sent(sent);
            let (side, from, to) = match direction {
                FlowDirection::ToServer => (Side::Server, port.local(), *server),
                FlowDirection::ToClient => (Side::Clients, asked_address(*local, *asked), *address),
            };
            if sent.datagrams > 0 {
                let comment = if *copy { "a copy" } else { "" };
                recorder.record(side, PacketDirection::Out, from, to, payload, comment);
            }
        }
        counts.count_sent(port.flush(departures));
    }

    /// The time until the next departure. The sending thread waits for it.
    pub fn wait_for_departure(&mut self) -> Option<Duration> {
        let next = self.state.network.next_departure();
        self.awaited = next.unwrap_or(Duration::MAX);
        next.map(|next| next.saturating_sub(self.state.started.elapsed()))
    }

    /// Whether a datagram leaves earlier than the departure that the sending thread waits for.
    pub fn leaves_early(&self) -> bool {
        self.state.network.next_departure().is_some_and(|next| next < self.awaited)
    }

    /// Why the capture could not be written, or `None`. After a failure nothing more is recorded.
    pub fn capture_failure(&self) -> Option<&str> {
        self.state.recorder.failure()
    }

    /// Once a second, forgets silent clients, and writes a line if anything happened. Returns the time until the next
    /// call.
    pub fn report(&mut self) -> Result<Duration, Failure> {
        self.state.report()
    }

    /// Writes the totals of all datagrams.
    pub fn report_totals(&self) -> Result<(), Failure> {
        self.state.report_totals()
    }

    /// Writes what the capture's buffer holds.
    pub fn flush_capture(&mut self) {
        self.state.recorder.flush();
    }
}

impl State<'_> {
    /// Hands a client's datagram to the network.
    fn accept(&mut self, datagram: &Datagram<'_>, now: Duration) {
        let (source, asked) = (datagram.source, datagram.destination.local());
        let to = asked_address(self.local, asked);
        let Some(number) = self.client(source, now) else {
            self.counts.refused += 1;
            let fate = "dropped: too many clients";
            self.recorder.record(Side::Clients, PacketDirection::In, source, to, datagram.octets, fate);
            return;
        };
        if let Some(client) = self.clients.get_mut(number) {
            (client.asked, client.last_heard) = (asked, now);
        }
        let fate = self.network.send(now, number, FlowDirection::ToServer, datagram.octets);
        self.recorder.record_fate(Side::Clients, source, to, datagram.octets, &fate);
    }

    /// The number of the client at `source`, a new one if it is not known; `None` if there are too many.
    fn client(&mut self, source: SocketAddrV6, now: Duration) -> Option<u64> {
        if let Some(number) = self.clients.known(source) {
            return Some(number);
        }
        if !self.clients.has_room() {
            self.forget_idle(now);
        }
        if self.clients.has_room() { self.clients.add(source, now).ok() } else { None }
    }

    /// Forgets the clients that have been silent for long enough and have nothing in flight.
    fn forget_idle(&mut self, now: Duration) {
        let busy: HashSet<u64> = self.network.clients_in_flight().collect();
        for number in self.clients.forget_idle(now, &busy) {
            self.network.forget(number);
        }
    }

    fn report(&mut self) -> Result<Duration, Failure> {
        let now = self.started.elapsed();
        let next = self.reported.at + REPORT_EVERY;
        if now < next {
            return Ok(next - now);
        }
        self.forget_idle(now);
        self.recorder.flush();
        let totals = self.totals();
        let [to_server, to_client] = [0, 1].map(|way| totals[way] - self.reported.totals[way]);
        self.reported = Reported { at: now, totals };
        let nothing = RelayTotals::default();
        if !self.arguments.quiet && (to_server != nothing || to_client != nothing) {
            let seconds = now.as_secs();
            let mut out = io::stdout().lock();
            writeln!(out, "{seconds:5} s  to the server: {to_server}; to clients: {to_client}")?;
            out.flush()?;
        }
        Ok(REPORT_EVERY)
    }

    fn report_totals(&self) -> Result<(), Failure> {
        let [to_server, to_client] = self.totals();
        let counts = &self.counts;
        let mut out = io::stdout().lock();
        writeln!(out, "totals, {} clients", self.clients.seen())?;
        writeln!(out, "  to the server: {to_server}")?;
        writeln!(out, "  to clients:    {to_client}")?;
        let others = [
            (self.network.in_flight() as u64, "datagrams still in flight"),
            (counts.refused, "datagrams dropped because there were too many clients (--clients)"),
            (counts.overrun, "datagrams that the system dropped because a receive buffer was full"),
            (counts.unsent, "datagrams that the system did not send"),
            (counts.unreachable, "times no socket listened on the server's port"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(out, "  {count} {what}")?;
        }
        for (TrainCounts { messages, datagrams }, way) in [(counts.came, "came"), (counts.left, "left")] {
            if messages > 0 {
                writeln!(out, "  {datagrams} datagrams {way} as segments of {messages} messages")?;
            }
        }
        Ok(out.flush()?)
    }

    fn totals(&self) -> [RelayTotals; 2] {
        [FlowDirection::ToServer, FlowDirection::ToClient].map(|direction| self.network.totals(direction))
    }
}

impl SocketCounts {
    fn count_received(&mut self, received: ReceivedCounts, dropped: u32) {
        self.overrun += u64::from(dropped);
        self.came.messages += received.trains as u64;
        self.came.datagrams += received.in_trains as u64;
    }

    fn count_sent(&mut self, sent: Sent) {
        self.unsent += (sent.queue_full + sent.refused) as u64;
        self.unreachable += sent.closed_port as u64;
        self.left.messages += sent.trains as u64;
        self.left.datagrams += sent.in_trains as u64;
    }
}

/// The address that a client sent to: that of the socket, or the address of this machine in the datagram's header.
fn asked_address(local: SocketAddrV6, asked: Option<Local>) -> SocketAddrV6 {
    asked.map_or(local, |asked| SocketAddrV6::new(asked.address, local.port(), 0, local.scope_id()))
}

/// The socket through which a datagram leaves: that of its client towards the server, or the listening one.
fn socket_of(departure: &Departure) -> Option<u64> {
    (departure.direction == FlowDirection::ToServer).then_some(departure.client)
}

/// The socket for the clients, on the first of the host's addresses that works.
fn listen(arguments: &Arguments, registry: &Registry) -> Result<RelayPort, Failure> {
    let Arguments { listen_host, listen_port, segmentation, .. } = arguments;
    let mut result = Err(io::Error::from(ErrorKind::AddrNotAvailable));
    for address in resolve(listen_host, listen_port)? {
        result = RelayPort::open(mapped(address), None, *segmentation, registry, LISTENER);
        if result.is_ok() {
            break;
        }
    }
    result.map_err(|error| Failure::run(format_args!("cannot receive on {listen_host} port {listen_port}"), error))
}
