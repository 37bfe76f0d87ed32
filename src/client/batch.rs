//! A pipeline over sockets: one for each server, shared by all requests to it.

use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Config;
use super::cancel::Cancellation;
use super::error::{Error, Unanswered, UnansweredReason};
use super::evaluation::ServerShare;
use super::pipeline::{GivenUp, NewRequest, Pipeline, PipelineCounts, Timeouts};
use super::random::Random;
use super::transport::{BUFFER, Event, RECEIVED_AT_ONCE, Watch};
use crate::exchange::{self, Received, Retransmission};
use crate::net::wait::{AsFd, BorrowedFd};
use crate::net::{Capabilities, ReceiveBatch, Segmentation, SendBatch, Wait, peer};
use crate::wire::{self, extended};

/// Where requests come from and replies go to.
pub trait RequestSource {
    /// The next request.
    ///
    /// # Errors
    /// What ends the batch.
    fn next(&mut self) -> Result<NextRequest<'_>, Error>;

    /// Takes a reply to the request of this tag.
    ///
    /// # Errors
    /// What ends the batch.
    fn answered(&mut self, peer: SocketAddrV6, tag: u64, reply: &extended::Reply<'_>) -> Result<(), Error>;

    /// What [`NextRequest::Later`] waits for.
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The input can be read.
    ///
    /// # Errors
    /// What ends the batch.
    fn read(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Called between sending and receiving, often: it may tell how far things are.
    fn pause(&mut self) {}
}

/// What comes next.
pub enum NextRequest<'a> {
    /// A request, and the tag that comes back with its reply.
    Request(u64, NewRequest<'a>),
    /// More input is needed first.
    Later,
    /// Nothing more.
    Done,
}

/// A server is given up when a single exchange would be.
fn timeouts(retransmission: &Retransmission) -> Timeouts {
    Timeouts {
        first_wait: retransmission.first_wait,
        give_up: retransmission.waits(),
        refusal: exchange::REFUSAL_WINDOW,
    }
}

/// What a batch has counted.
pub struct BatchReport {
    pub counts: PipelineCounts,
    /// Each server that was asked.
    pub servers: Vec<ServerShare>,
}

/// A pipeline and its sockets.
pub struct BatchDriver {
    pipeline: Pipeline,
    servers: Vec<PeerSocket>,
    replies: ReceiveBatch,
    /// What is asked of each socket.
    wanted: Capabilities,
    start: Instant,
    deadline: Option<Duration>,
    open: Box<OpenSocket>,
    failures: Vec<Unanswered>,
}

/// How many batches of one server are taken in before anything else is done.
const RECEIVED_ROUNDS: usize = 4;

/// Opens a connected, non-blocking socket.
pub type OpenSocket = dyn FnMut(SocketAddrV6) -> io::Result<Arc<socket2::Socket>> + Send;

/// What to do after a turn.
pub enum Turn {
    /// Nothing: all has been answered.
    Done,
    /// The next turn.
    Again,
    /// To wait for a datagram, or until [`BatchDriver::wake_at`]; `later`, or for the input of the work.
    Wait { later: bool },
}

/// What makes batches of datagrams cheap.
const SEGMENTS: Capabilities = Capabilities { segmentation: true, receive_offload: true, ..Capabilities::NONE };

/// Requests that one system call sends, in one train or several.
const SENT_AT_ONCE: usize = 64;

/// One server: the address in use, with its socket, and those untried.
struct PeerSocket {
    untried: Vec<SocketAddrV6>,
    peer: Option<(SocketAddrV6, Arc<socket2::Socket>)>,
    /// Requests that wait to be sent.
    requests: SendBatch,
    /// The last error of the system other than ECONNREFUSED.
    trouble: Option<io::Error>,
    /// The address in use last, what it was sent and has answered, and whether it is given up.
    share: Option<ServerShare>,
}

impl PeerSocket {
    fn new(addresses: &[SocketAddrV6]) -> PeerSocket {
        // Made again for each socket: see `next_address`.
        let requests = SendBatch::new(1, 0, false);
        PeerSocket {
            untried: addresses.iter().rev().copied().collect(),
            peer: None,
            requests,
            trouble: None,
            share: None,
        }
    }
}

impl BatchDriver {
    /// Opens a socket to each server, whose addresses are tried in turn. The deadline counts from `start`.
    ///
    /// # Errors
    /// No server can be asked.
    pub fn new(servers: &[Vec<SocketAddrV6>], config: &Config, start: Instant) -> Result<BatchDriver, Error> {
        BatchDriver::with_sockets(servers, config, start, Box::new(|peer| peer::connect(peer).map(Arc::new)))
    }

    /// As [`new`](Self::new); `open` opens the sockets.
    ///
    /// # Errors
    /// As there.
    pub fn with_sockets(
        servers: &[Vec<SocketAddrV6>],
        config: &Config,
        start: Instant,
        open: Box<OpenSocket>,
    ) -> Result<BatchDriver, Error> {
        let pipeline = Pipeline::new(servers.len(), timeouts(&config.retransmission));
        let servers = servers.iter().map(|addresses| PeerSocket::new(addresses)).collect();
        let wanted = match config.segmentation {
            Segmentation::Auto => SEGMENTS,
            Segmentation::Off => Capabilities::NONE,
        };
        let replies = ReceiveBatch::connected(RECEIVED_AT_ONCE, BUFFER, wanted);
        let mut driver = BatchDriver {
            pipeline,
            servers,
            replies,
            wanted,
            start,
            deadline: config.retransmission.deadline,
            open,
            failures: Vec::new(),
        };
        (0..driver.servers.len()).for_each(|place| driver.next_address(place, UnansweredReason::Unasked));
        driver.check().map(|()| driver)
    }

    /// Asks all that `work` has.
    ///
    /// # Errors
    /// What the work ends with, a cancellation, or that no server is left that answers.
    pub fn run(
        &mut self,
        random: &mut Random,
        cancellation: &Cancellation,
        work: &mut dyn RequestSource,
        watch: &mut Watch<'_>,
    ) -> Result<(), Error> {
        while self.step(random, cancellation, work, watch)? {}
        Ok(())
    }

    /// A turn, and the wait after it; false once all has been answered.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    pub fn step(
        &mut self,
        random: &mut Random,
        cancellation: &Cancellation,
        work: &mut dyn RequestSource,
        watch: &mut Watch<'_>,
    ) -> Result<bool, Error> {
        match self.turn(random, cancellation, work, watch)? {
            Turn::Done => return Ok(false),
            Turn::Again => {}
            // The driver of the work has to go on first.
            Turn::Wait { later: true } if work.input().is_none() => {}
            Turn::Wait { later } => {
                if self.wait(cancellation, later.then_some(&*work))? {
                    work.read()?;
                }
            }
        }
        Ok(true)
    }

    /// What was counted so far.
    pub fn report(&self) -> BatchReport {
        let servers = self.servers.iter().filter_map(|server| server.share).collect();
        BatchReport { counts: *self.pipeline.counts(), servers }
    }

    /// Sends what there is room for, and takes in what has arrived.
    ///
    /// # Errors
    /// What the work ends with, or that no server is left that answers.
    pub fn turn(
        &mut self,
        random: &mut Random,
        cancellation: &Cancellation,
        work: &mut dyn RequestSource,
        watch: &mut Watch<'_>,
    ) -> Result<Turn, Error> {
        work.pause();
        cancellation.check()?;
        if self.deadline.is_some_and(|deadline| self.start.elapsed() >= deadline) {
            return Err(self.late());
        }
        // Also forgets what waited to be repeated and has been answered since, so that there may be room now.
        self.transmit(watch);
        let (mut later, mut done) = (false, false);
        while !done && !later && self.pipeline.has_room() {
            match work.next()? {
                NextRequest::Request(tag, request) => {
                    while !self.pipeline.submit(tag, random.draw().map_err(Error::random)?, &request) {}
                    self.transmit(watch);
                }
                NextRequest::Later => later = true,
                NextRequest::Done => done = true,
            }
        }
        self.flush(watch);
        if done && self.pipeline.unanswered() == 0 {
            return Ok(Turn::Done);
        }
        let received = self.receive(work, watch)?;
        self.replace(watch);
        self.check()?;
        Ok(if received == 0 { Turn::Wait { later } } else { Turn::Again })
    }

    /// When the next turn is due if nothing arrives before, counted from the start.
    pub fn wake_at(&self) -> Option<Duration> {
        [self.pipeline.wake_at(), self.deadline].into_iter().flatten().min()
    }

    /// Appends what is due to what is sent next.
    fn transmit(&mut self, watch: &mut Watch<'_>) {
        loop {
            let now = self.start.elapsed();
            let Some((place, datagram, transmission)) = self.pipeline.transmit(now) else { return };
            let server = &mut self.servers[place];
            let Some((peer, _)) = server.peer else { continue };
            server.requests.append(None, None, datagram);
            if let Some(share) = &mut server.share {
                share.sent += 1;
            }
            watch(now, Event::Sent { peer, datagram, transmission });
            if server.requests.is_full() {
                self.flush_server(place, watch);
            }
        }
    }

    /// Sends what has been appended: requests of one length as segments of one message.
    fn flush(&mut self, watch: &mut Watch<'_>) {
        for place in 0..self.servers.len() {
            if self.servers[place].requests.waiting() > 0 {
                self.flush_server(place, watch);
            }
        }
    }

    fn flush_server(&mut self, place: usize, watch: &mut Watch<'_>) {
        let BatchDriver { pipeline, servers, start, .. } = self;
        let server = &mut servers[place];
        let Some((peer, socket)) = &server.peer else { return };
        let peer = *peer;
        let sent = server.requests.flush(socket);
        // What could not be sent counts as sent, and is repeated like what was lost.
        let closed_port = (sent.closed_port > 0).then(|| io::ErrorKind::ConnectionRefused.into());
        let queue_full = (sent.queue_full > 0).then(|| io::ErrorKind::WouldBlock.into());
        let refused = sent.last_refusal.map(io::Error::from_raw_os_error);
        for error in [closed_port, queue_full, refused].into_iter().flatten() {
            failed(pipeline, server, place, start.elapsed(), peer, error, watch);
        }
    }

    /// Takes in what has arrived, and says how many datagrams.
    fn receive(&mut self, work: &mut dyn RequestSource, watch: &mut Watch<'_>) -> Result<usize, Error> {
        let BatchDriver { pipeline, servers, replies, start, .. } = self;
        let mut received = 0;
        for (place, server) in servers.iter_mut().enumerate() {
            let Some((peer, socket)) = &server.peer else { continue };
            let peer = *peer;
            // A peer that floods does not hold up timers, deadline and other servers.
            for _ in 0..RECEIVED_ROUNDS {
                let found = match replies.receive(socket, Wait::No) {
                    Ok(found) => found,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        failed(pipeline, server, place, start.elapsed(), peer, error, watch);
                        break;
                    }
                };
                received += found.datagrams;
                let now = start.elapsed();
                for datagram in replies.datagrams() {
                    let counted = take(pipeline, now, place, peer, datagram.octets, datagram.length, work, watch)?;
                    if let (true, Some(share)) = (counted, &mut server.share) {
                        share.answered += 1;
                    }
                }
                if found.messages < RECEIVED_AT_ONCE {
                    break;
                }
            }
        }
        Ok(received)
    }

    /// Goes on to the next address of servers that were given up.
    fn replace(&mut self, watch: &mut Watch<'_>) {
        for place in 0..self.servers.len() {
            let server = &mut self.servers[place];
            let Some(share) = &mut server.share else { continue };
            let (peer, known) = (share.peer, share.given_up);
            let given_up = self.pipeline.given_up(place);
            share.given_up = given_up.is_some();
            let Some(why) = given_up.filter(|_| !known) else { continue };
            let last = server.peer.is_none() || server.untried.is_empty();
            if !last {
                let reason = reason(why, server.trouble.take());
                self.next_address(place, reason);
            }
            let next = if last { None } else { self.servers[place].peer.as_ref().map(|(peer, _)| *peer) };
            watch(self.start.elapsed(), Event::GivenUp { peer, next });
        }
    }

    /// Opens the next address of a server that can be opened; `reason` is why the last one is left.
    fn next_address(&mut self, place: usize, reason: UnansweredReason) {
        let server = &mut self.servers[place];
        if let Some((peer, _)) = server.peer.take() {
            self.failures.push(Unanswered::new(peer, reason));
        }
        while let Some(peer) = server.untried.pop() {
            match (self.open)(peer) {
                Ok(socket) => {
                    let segmentation = self.wanted.enable(&socket).segmentation;
                    server.requests = SendBatch::new(SENT_AT_ONCE, wire::MAX_REQUEST, segmentation);
                    server.peer = Some((peer, socket));
                    let (sent, answered) = server.share.map_or((0, 0), |share| (share.sent, share.answered));
                    server.share = Some(ServerShare { peer, sent, answered, given_up: false });
                    self.pipeline.replace(place);
                    return;
                }
                Err(error) => self.failures.push(Unanswered::new(peer, UnansweredReason::Io(error))),
            }
        }
        self.pipeline.abandon(place);
    }

    /// Fails if no server is left to ask.
    fn check(&mut self) -> Result<(), Error> {
        if !self.pipeline.is_abandoned() {
            return Ok(());
        }
        let mut failures = std::mem::take(&mut self.failures);
        for (place, server) in self.servers.iter_mut().enumerate() {
            if let (Some((peer, _)), Some(why)) = (&server.peer, self.pipeline.given_up(place)) {
                failures.push(Unanswered::new(*peer, reason(why, server.trouble.take())));
            }
        }
        Err(Error::unanswered(failures))
    }

    fn late(&mut self) -> Error {
        let peers = self.servers.iter().filter_map(|server| server.peer.as_ref());
        let late = peers.map(|(peer, _)| Unanswered::new(*peer, UnansweredReason::Deadline { ignored: 0 }));
        Error::unanswered(late.collect())
    }

    /// Waits until something arrives or is due; true if the input of `waiting` can be read.
    fn wait(&self, cancellation: &Cancellation, waiting: Option<&dyn RequestSource>) -> Result<bool, Error> {
        let timeout = self.wake_at().map(|until| until.saturating_sub(self.start.elapsed()));
        let sockets = self.servers.iter().filter_map(|server| server.peer.as_ref().map(|(_, socket)| socket.as_fd()));
        let input = waiting.and_then(|work| work.input());
        let sources: Vec<BorrowedFd<'_>> = sockets.chain(input).collect();
        let ready = cancellation.wait(&sources, timeout)?;
        Ok(input.is_some() && ready.last() == Some(&true))
    }
}

fn reason(why: GivenUp, trouble: Option<io::Error>) -> UnansweredReason {
    match (why, trouble) {
        (GivenUp::Refused, _) => UnansweredReason::Refused,
        (GivenUp::Silent, Some(error)) => UnansweredReason::Io(error),
        (GivenUp::Silent, None) => UnansweredReason::Stopped,
        (GivenUp::Unreachable, _) => UnansweredReason::Unasked,
    }
}

fn failed(
    pipeline: &mut Pipeline,
    server: &mut PeerSocket,
    place: usize,
    now: Duration,
    peer: SocketAddrV6,
    error: io::Error,
    watch: &mut Watch<'_>,
) {
    watch(now, Event::Failed { peer, error: &error });
    match error.kind() {
        io::ErrorKind::ConnectionRefused => pipeline.refused(now, place),
        io::ErrorKind::Interrupted => {}
        _ => server.trouble = Some(error),
    }
}

#[allow(clippy::too_many_arguments, reason = "a datagram and all whom it concerns")]
fn take(
    pipeline: &mut Pipeline,
    now: Duration,
    place: usize,
    peer: SocketAddrV6,
    datagram: &[u8],
    length: usize,
    work: &mut dyn RequestSource,
    watch: &mut Watch<'_>,
) -> Result<bool, Error> {
    if length >= BUFFER {
        watch(now, Event::Oversize { peer });
        return Ok(false);
    }
    match pipeline.receive(now, place, datagram) {
        Ok((tag, reply)) => {
            watch(now, Event::Received { peer, datagram, received: Received::Accepted });
            work.answered(peer, tag, &reply).map(|()| true)
        }
        Err(ignored) => {
            watch(now, Event::Received { peer, datagram, received: Received::Ignored(ignored) });
            Ok(false)
        }
    }
}
