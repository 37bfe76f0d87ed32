//! Exchanges over sockets: each has a connected socket, and so a 5-tuple, of its own.
//!
//! Where there are several addresses they are asked in turn, the next one once the one before has been silent for a
//! wait or has refused; those asked before go on, and the first answer counts: evaluation is pure, so asking two is
//! harmless.

use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cancel::Cancellation;
use super::error::{Error, Unanswered, UnansweredReason};
use super::random::Random;
use crate::exchange::{Exchange, Outcome, Payload, PortSharing, Question, Received, Retransmission, Statistics};
use crate::net::peer;
use crate::net::wait::{AsFd, BorrowedFd};
use crate::wire::{self, Form};

/// What happens on the way to an answer, for those who watch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A datagram was sent.
    Sent {
        /// To whom.
        peer: SocketAddrV6,
        /// Its octets.
        datagram: &'a [u8],
        /// Which transmission of the exchange this is, the first being 1.
        transmission: u32,
    },
    /// A wait for a reply ended without one; the request is sent again.
    TimedOut {
        /// Who is asked.
        peer: SocketAddrV6,
        /// Which repeat follows, the first being 1.
        repeat: u32,
        /// How many repeats there are at most.
        retries: u32,
    },
    /// A server that shares the work of many requests stopped answering, or never answered: others take over.
    GivenUp {
        /// Its address.
        peer: SocketAddrV6,
        /// Another address of the same server, which is asked next.
        next: Option<SocketAddrV6>,
    },
    /// A datagram arrived.
    Received {
        /// From whom.
        peer: SocketAddrV6,
        /// Its octets.
        datagram: &'a [u8],
        /// Whether it counts, and if not, why not.
        received: Received,
    },
    /// A datagram arrived that is longer than any reply.
    Oversize {
        /// From whom.
        peer: SocketAddrV6,
    },
    /// The system reports an error for this peer: ECONNREFUSED, which leads to another attempt, or another, which
    /// counts as a loss.
    Failed {
        /// Which peer.
        peer: SocketAddrV6,
        /// The system's words.
        error: &'a io::Error,
    },
}

impl Event<'_> {
    /// The peer that it is about.
    pub fn peer(&self) -> SocketAddrV6 {
        let (Event::Sent { peer, .. }
        | Event::Received { peer, .. }
        | Event::Oversize { peer }
        | Event::TimedOut { peer, .. }
        | Event::GivenUp { peer, .. }
        | Event::Failed { peer, .. }) = *self;
        peer
    }
}

/// An answer and how it came.
#[derive(Debug)]
pub struct PeerAnswer {
    /// Who answered.
    pub peer: SocketAddrV6,
    /// The answer.
    pub answer: Payload,
    /// What its exchange counted.
    pub statistics: Statistics,
}

/// One octet more than the longest reply, to tell longer datagrams from it.
pub const BUFFER: usize = wire::MAX_REPLY_CEILING + 1;

/// How many datagrams of one socket are taken in before anything else is done.
pub const RECEIVED_AT_ONCE: usize = 64;

/// How many questions are asked at the same time. Few, as nothing but the doubling of waits slows them down (RFC 8085,
/// section 3.1.3); more go through a pipeline.
pub const AT_ONCE: usize = 8;

/// What exchanges need besides their questions.
pub struct AskContext<'a> {
    /// Whom to ask, in turn.
    pub peers: Arc<[SocketAddrV6]>,
    pub retransmission: &'a Retransmission,
    pub random: &'a mut Random,
    pub cancellation: &'a Cancellation,
}

/// Called for every event, with the time since the start.
pub type Watch<'a> = dyn FnMut(Duration, Event<'_>) + 'a;

/// What an attempt sends on.
pub struct AttemptSocket {
    /// Connected to the peer, and non-blocking.
    pub udp: Arc<socket2::Socket>,
    /// Whether other attempts send on it too.
    pub sharing: PortSharing,
}

impl AttemptSocket {
    /// A socket of an attempt's own.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2).
    pub fn own(peer: SocketAddrV6) -> io::Result<AttemptSocket> {
        Ok(AttemptSocket { udp: Arc::new(peer::connect(peer)?), sharing: PortSharing::Exclusive })
    }
}

/// Asks questions, a few at the same time. Each has its own reply or error, in the order of the questions.
///
/// # Errors
/// What concerns no question alone: an interruption, that the system refuses what every exchange needs, or that one of
/// several questions is answered by no address.
pub fn ask_all(
    questions: Vec<Question>,
    context: &mut AskContext<'_>,
    watch: &mut Watch<'_>,
) -> Result<Vec<Result<PeerAnswer, Error>>, Error> {
    let AskContext { peers, retransmission, random, cancellation } = context;
    let start = Instant::now();
    let several = questions.len() > 1;
    let mut replies: Vec<Option<Result<PeerAnswer, Error>>> = questions.iter().map(|_| None).collect();
    let mut waiting = questions.into_iter().enumerate();
    let mut under_way: Vec<(usize, AddressAttempts)> = Vec::new();
    loop {
        let room = AT_ONCE - under_way.len();
        under_way.extend(waiting.by_ref().take(room).map(|(place, question)| {
            (place, AddressAttempts::new(question, Arc::clone(peers), **retransmission, start))
        }));
        for (_, attempts) in &mut under_way {
            attempts.proceed(random, &mut |peer, _| AttemptSocket::own(peer), watch)?;
        }
        for (place, attempts) in &mut under_way {
            match attempts.settle() {
                // The others would be silent too.
                Some(Err(error @ Error::Unanswered(_))) if several => return Err(error),
                settled => replies[*place] = settled,
            }
        }
        under_way.retain(|(place, _)| replies[*place].is_none());
        if under_way.is_empty() && waiting.len() == 0 {
            return Ok(replies.into_iter().flatten().collect());
        }
        if under_way.len() == AT_ONCE || waiting.len() == 0 {
            wait(&mut under_way, start, cancellation, watch)?;
        }
    }
}

/// Waits until something arrives or is due, and takes in what arrived.
fn wait(
    under_way: &mut [(usize, AddressAttempts)],
    start: Instant,
    cancellation: &Cancellation,
    watch: &mut Watch<'_>,
) -> Result<(), Error> {
    let Some(wake_at) = under_way.iter().filter_map(|(_, attempts)| attempts.wake_at()).min() else {
        return Ok(());
    };
    let timeout = wake_at.saturating_sub(start.elapsed());
    let attempts = under_way.iter().flat_map(|(_, attempts)| &attempts.attempts);
    let sockets: Vec<BorrowedFd<'_>> = attempts.map(|attempt| attempt.socket.udp.as_fd()).collect();
    let ready = cancellation.wait(&sockets, Some(timeout))?;
    let attempts = under_way.iter_mut().flat_map(|(_, attempts)| &mut attempts.attempts);
    for (attempt, _) in attempts.zip(ready).filter(|(_, ready)| *ready) {
        attempt.receive(start, watch);
    }
    Ok(())
}

/// One question at several addresses.
pub struct AddressAttempts {
    question: Question,
    peers: Arc<[SocketAddrV6]>,
    /// How many of them have been asked.
    tried: usize,
    retransmission: Retransmission,
    start: Instant,
    attempts: Vec<Attempt>,
    failures: Vec<Unanswered>,
}

struct Attempt {
    peer: SocketAddrV6,
    socket: AttemptSocket,
    exchange: Exchange,
    /// How often it repeats at most.
    retries: u32,
    /// The last error of the system other than ECONNREFUSED.
    trouble: Option<io::Error>,
}

/// Opens what an attempt sends on, for a question of this form.
pub type OpenAttempt<'a> = dyn FnMut(SocketAddrV6, Form) -> io::Result<AttemptSocket> + 'a;

impl AddressAttempts {
    /// Nothing is sent yet. The deadline and all times count from `start`.
    pub fn new(
        question: Question,
        peers: Arc<[SocketAddrV6]>,
        retransmission: Retransmission,
        start: Instant,
    ) -> AddressAttempts {
        AddressAttempts { question, peers, tried: 0, retransmission, start, attempts: Vec::new(), failures: Vec::new() }
    }

    /// Sends what is due, also to the next address where it is time for that.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn proceed(
        &mut self,
        random: &mut Random,
        open: &mut OpenAttempt<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<(), Error> {
        loop {
            for attempt in &mut self.attempts {
                attempt.transmit(self.start, watch);
            }
            if !self.wants_another() {
                return Ok(());
            }
            let Some(&peer) = self.peers.get(self.tried) else { return Ok(()) };
            self.tried += 1;
            self.begin(peer, random, open)?;
        }
    }

    /// When to [`proceed`](Self::proceed) if nothing arrives before.
    pub fn wake_at(&self) -> Option<Duration> {
        self.attempts.iter().filter_map(|attempt| attempt.exchange.wake_at()).min()
    }

    fn is_late(&self) -> bool {
        self.retransmission.deadline.is_some_and(|deadline| self.start.elapsed() >= deadline)
    }

    /// Whether each address asked so far has been silent for a wait, or refused, so that the next one is to be tried.
    fn wants_another(&self) -> bool {
        let silent = |attempt: &Attempt| {
            let Statistics { repeats, refusals, .. } = *attempt.exchange.statistics();
            repeats > 0 || refusals > 0 || attempt.exchange.outcome().is_some_and(is_silence)
        };
        !self.is_late() && self.attempts.iter().all(silent)
    }

    fn begin(&mut self, peer: SocketAddrV6, random: &mut Random, open: &mut OpenAttempt<'_>) -> Result<(), Error> {
        let socket = match open(peer, self.question.form()) {
            Ok(socket) => socket,
            Err(error) => {
                self.failures.push(Unanswered::new(peer, UnansweredReason::Io(error)));
                return Ok(());
            }
        };
        let mut source = random.source().map_err(Error::random)?;
        let now = self.start.elapsed();
        let deadline = self.retransmission.deadline.map(|deadline| deadline.saturating_sub(now));
        let config = Retransmission { deadline, ..self.retransmission };
        let exchange = Exchange::new(self.question.clone(), socket.sharing, &config, now, &mut source);
        self.attempts.push(Attempt { peer, socket, exchange, retries: config.retries, trouble: None });
        Ok(())
    }

    /// Takes out the attempts that have ended. An answer, or an error that a server answers with, ends the attempts,
    /// and so does the end of the last attempt.
    pub fn settle(&mut self) -> Option<Result<PeerAnswer, Error>> {
        while let Some(place) = self.attempts.iter().position(|attempt| attempt.exchange.outcome().is_some()) {
            let Attempt { peer, exchange, trouble, .. } = self.attempts.remove(place);
            let statistics = *exchange.statistics();
            let Some(outcome) = exchange.into_outcome() else { continue };
            let ignored = statistics.ignored.total();
            let Statistics { transmissions, refusals: refused, .. } = statistics;
            let reason = match (outcome, trouble) {
                (Outcome::Answer(answer), _) => return Some(Ok(PeerAnswer { peer, answer, statistics })),
                (Outcome::Refused, _) => UnansweredReason::Refused,
                (Outcome::Silent | Outcome::Deadline, Some(error)) => UnansweredReason::Io(error),
                // The waits may end before the refusals do.
                (Outcome::Silent | Outcome::Deadline, None) if refused > 0 && refused >= transmissions => {
                    UnansweredReason::Refused
                }
                (Outcome::Silent, None) => UnansweredReason::Silent { transmissions, refused, ignored },
                (Outcome::Deadline, None) => UnansweredReason::Deadline { ignored },
                (outcome, _) => match Error::of_outcome(peer, outcome) {
                    Some(error) => return Some(Err(error)),
                    None => continue,
                },
            };
            self.failures.push(Unanswered::new(peer, reason));
        }
        let untried = &self.peers[self.tried..];
        if !self.attempts.is_empty() || (!untried.is_empty() && !self.is_late()) {
            return None;
        }
        let mut failures = std::mem::take(&mut self.failures);
        failures.extend(untried.iter().map(|&peer| Unanswered::new(peer, UnansweredReason::Unasked)));
        Some(Err(Error::unanswered(failures)))
    }
}

/// For a caller that reads the sockets itself.
#[cfg(feature = "tokio")]
impl AddressAttempts {
    /// Takes in what has arrived on those sockets of its own that are ready.
    pub fn receive(&mut self, ready: impl Fn(&Arc<socket2::Socket>) -> bool, watch: &mut Watch<'_>) {
        let own = self.attempts.iter_mut().filter(|attempt| attempt.socket.sharing == PortSharing::Exclusive);
        own.filter(|attempt| ready(&attempt.socket.udp)).for_each(|attempt| attempt.receive(self.start, watch));
    }

    /// Takes in a datagram that has arrived on a shared socket, where it is for the request with this identifier, or
    /// with `None` in any case; whether it was taken.
    pub fn deliver(
        &mut self,
        socket: &Arc<socket2::Socket>,
        id: Option<u64>,
        datagram: &[u8],
        watch: &mut Watch<'_>,
    ) -> bool {
        let on_it = self.attempts.iter_mut().filter(|attempt| Arc::ptr_eq(&attempt.socket.udp, socket));
        let meant = on_it.filter(|attempt| id.is_none() || attempt.exchange.id() == id);
        meant.map(|attempt| attempt.deliver(datagram, self.start, watch)).count() > 0
    }

    /// The system reported an error for a shared socket.
    pub fn failed(&mut self, socket: &Arc<socket2::Socket>, error: &io::Error, watch: &mut Watch<'_>) {
        let on_it = self.attempts.iter_mut().filter(|attempt| Arc::ptr_eq(&attempt.socket.udp, socket));
        on_it.for_each(|attempt| attempt.failed(copy(error), self.start, watch));
    }

    /// [`wake_at`](Self::wake_at) as a time of the clock.
    pub fn wake_at_instant(&self) -> Option<Instant> {
        self.wake_at().and_then(|wake_at| self.start.checked_add(wake_at))
    }

    /// The socket that it shares with others, if it does, and how often its datagrams there were refused.
    pub fn shared(&self) -> Option<(&Arc<socket2::Socket>, u32)> {
        let attempt = self.attempts.iter().find(|attempt| attempt.socket.sharing == PortSharing::Shared)?;
        Some((&attempt.socket.udp, attempt.exchange.statistics().refusals))
    }

    /// The form of its requests.
    pub fn form(&self) -> Form {
        self.question.form()
    }
}

/// The same error once more.
#[cfg(feature = "tokio")]
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn is_silence(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Silent | Outcome::Refused | Outcome::Deadline)
}

impl Attempt {
    fn transmit(&mut self, start: Instant, watch: &mut Watch<'_>) {
        let peer = self.peer;
        loop {
            let before = self.exchange.statistics().repeats;
            let Some(datagram) = self.exchange.transmit(start.elapsed()) else { return };
            let datagram = datagram.to_vec();
            let Statistics { repeats: repeat, transmissions: transmission, .. } = *self.exchange.statistics();
            if repeat > before {
                watch(start.elapsed(), Event::TimedOut { peer, repeat, retries: self.retries });
            }
            match peer::send(&self.socket.udp, &datagram) {
                Ok(_) => watch(start.elapsed(), Event::Sent { peer, datagram: &datagram, transmission }),
                Err(error) => self.failed(error, start, watch),
            }
        }
    }

    /// Takes in what has arrived, until there is an outcome, and of a flood a part.
    fn receive(&mut self, start: Instant, watch: &mut Watch<'_>) {
        let mut buffer = [0; BUFFER];
        for _ in 0..RECEIVED_AT_ONCE {
            if self.exchange.outcome().is_some() {
                return;
            }
            let len = match peer::receive(&self.socket.udp, &mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.failed(error, start, watch);
                    continue;
                }
            };
            self.deliver(&buffer[..len], start, watch);
        }
    }

    /// Takes in a datagram, which may have been truncated to the length of the buffer.
    fn deliver(&mut self, datagram: &[u8], start: Instant, watch: &mut Watch<'_>) {
        let (now, peer) = (start.elapsed(), self.peer);
        if datagram.len() == BUFFER {
            return watch(now, Event::Oversize { peer });
        }
        // The socket is connected: the kernel passes on the peer's datagrams only.
        let received = self.exchange.receive(now, true, datagram);
        watch(now, Event::Received { peer, datagram, received });
        if received == Received::Widened {
            self.transmit(start, watch);
        }
    }

    fn failed(&mut self, error: io::Error, start: Instant, watch: &mut Watch<'_>) {
        if error.kind() == io::ErrorKind::Interrupted {
            return;
        }
        let now = start.elapsed();
        watch(now, Event::Failed { peer: self.peer, error: &error });
        if error.kind() == io::ErrorKind::ConnectionRefused {
            self.exchange.refused(now);
        } else {
            self.trouble = Some(error);
        }
    }
}
