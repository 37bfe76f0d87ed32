//! Exchanges over sockets: each has a connected socket, and so a 5-tuple, of its own.
//!
//! Where there are several addresses they are asked in turn, the next one after the first silence of the one before;
//! those asked before go on, and whoever answers first is believed: evaluation is pure, so asking two is harmless.

use std::io;
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::error::{Error, NoAnswer, Unanswered};
use super::random::Random;
use crate::exchange::{self, Answer, Exchange, Heard, Outcome, Question, Statistics};
use crate::wire;

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
    /// A datagram arrived.
    Received {
        /// From whom.
        peer: SocketAddrV6,
        /// Its octets.
        datagram: &'a [u8],
        /// Whether it counts, and if not, why not.
        heard: Heard,
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

/// An answer and how it came.
#[derive(Debug)]
pub struct Reply {
    /// Who answered.
    pub peer: SocketAddrV6,
    /// The answer.
    pub answer: Answer,
    /// What its exchange counted.
    pub statistics: Statistics,
}

/// One octet more than the longest reply, to tell longer datagrams from it.
const BUFFER: usize = wire::MAX_REPLY_CEILING + 1;

/// Asks `question` at `peers` in turn until one answers.
///
/// # Errors
/// An error that a server answers with, or what happened at each address.
pub fn ask(
    question: &Question,
    peers: &[SocketAddrV6],
    config: &exchange::Config,
    random: &mut Random,
    watch: &mut dyn FnMut(Duration, Event<'_>),
) -> Result<Reply, Error> {
    let mut race = Race { question, config, start: Instant::now(), attempts: Vec::new(), failures: Vec::new() };
    let mut untried = peers.iter();
    loop {
        while race.wants_another() {
            match untried.next() {
                Some(&peer) => race.begin(peer, random)?,
                None => break,
            }
        }
        race.transmit(watch);
        if let Some(result) = race.settle() {
            return result;
        }
        if race.attempts.is_empty() && (untried.len() == 0 || race.is_late()) {
            race.failures.extend(untried.map(|&peer| Unanswered { peer, reason: NoAnswer::Unasked }));
            return Err(Error::Unanswered(race.failures));
        }
        race.wait(watch)?;
    }
}

struct Race<'a> {
    question: &'a Question,
    config: &'a exchange::Config,
    start: Instant,
    attempts: Vec<Attempt>,
    failures: Vec<Unanswered>,
}

struct Attempt {
    peer: SocketAddrV6,
    socket: socket2::Socket,
    exchange: Exchange,
    /// The last error of the system other than ECONNREFUSED.
    trouble: Option<io::Error>,
}

impl Race<'_> {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_late(&self) -> bool {
        self.config.deadline.is_some_and(|deadline| self.now() >= deadline)
    }

    /// Whether the addresses tried so far have been silent long enough to try the next one.
    fn wants_another(&self) -> bool {
        !self.is_late() && self.attempts.last().is_none_or(|attempt| attempt.exchange.statistics().repeats > 0)
    }

    fn begin(&mut self, peer: SocketAddrV6, random: &mut Random) -> Result<(), Error> {
        let socket = match connect(peer) {
            Ok(socket) => socket,
            Err(error) => {
                self.failures.push(Unanswered { peer, reason: NoAnswer::Io(error) });
                return Ok(());
            }
        };
        let mut source = random.source().map_err(|error| Error::System { what: "random numbers", error })?;
        let now = self.now();
        let deadline = self.config.deadline.map(|deadline| deadline.saturating_sub(now));
        let config = exchange::Config { deadline, ..*self.config };
        let exchange = Exchange::new(self.question.clone(), exchange::Socket::Own, &config, now, &mut source);
        self.attempts.push(Attempt { peer, socket, exchange, trouble: None });
        Ok(())
    }

    fn transmit(&mut self, watch: &mut dyn FnMut(Duration, Event<'_>)) {
        let start = self.start;
        for attempt in &mut self.attempts {
            attempt.transmit(start, watch);
        }
    }

    /// Takes out the attempts that have ended. An answer, or an error that a server answers with, ends the race.
    fn settle(&mut self) -> Option<Result<Reply, Error>> {
        while let Some(place) = self.attempts.iter().position(|attempt| attempt.exchange.outcome().is_some()) {
            let Attempt { peer, exchange, trouble, .. } = self.attempts.remove(place);
            let statistics = *exchange.statistics();
            let Some(outcome) = exchange.into_outcome() else { continue };
            let ignored = statistics.ignored.total();
            let reason = match (outcome, trouble) {
                (Outcome::Answer(answer), _) => return Some(Ok(Reply { peer, answer, statistics })),
                (Outcome::Refused, _) => NoAnswer::Refused,
                (Outcome::Silent | Outcome::Deadline, Some(error)) => NoAnswer::Io(error),
                (Outcome::Silent, None) => NoAnswer::Silent { transmissions: statistics.transmissions, ignored },
                (Outcome::Deadline, None) => NoAnswer::Deadline { ignored },
                (outcome, _) => match Error::of_outcome(peer, outcome) {
                    Some(error) => return Some(Err(error)),
                    None => continue,
                },
            };
            self.failures.push(Unanswered { peer, reason });
        }
        None
    }

    /// Waits until something arrives or is due, and takes in what arrived.
    fn wait(&mut self, watch: &mut dyn FnMut(Duration, Event<'_>)) -> Result<(), Error> {
        let Some(wake_at) = self.attempts.iter().filter_map(|attempt| attempt.exchange.wake_at()).min() else {
            return Ok(());
        };
        let timeout = timespec(wake_at.saturating_sub(self.now()));
        let mut fds: Vec<PollFd<'_>> =
            self.attempts.iter().map(|attempt| PollFd::from_borrowed_fd(attempt.socket(), PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::System { what: "poll", error: error.into() }),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let start = self.start;
        for (attempt, _) in self.attempts.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            attempt.receive(start, watch);
        }
        Ok(())
    }
}

impl Attempt {
    fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn transmit(&mut self, start: Instant, watch: &mut dyn FnMut(Duration, Event<'_>)) {
        let peer = self.peer;
        while let Some(datagram) = self.exchange.transmit(start.elapsed()) {
            match self.socket.send(datagram) {
                Ok(_) => {
                    let datagram = datagram.to_vec();
                    let transmission = self.exchange.statistics().transmissions;
                    watch(start.elapsed(), Event::Sent { peer, datagram: &datagram, transmission });
                }
                Err(error) => self.failed(error, start, watch),
            }
        }
    }

    /// Takes in all that has arrived, at most until there is an outcome.
    fn receive(&mut self, start: Instant, watch: &mut dyn FnMut(Duration, Event<'_>)) {
        let peer = self.peer;
        let mut buffer = [0; BUFFER];
        while self.exchange.outcome().is_none() {
            let len = match io::Read::read(&mut &self.socket, &mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.failed(error, start, watch);
                    continue;
                }
            };
            let now = start.elapsed();
            if len == BUFFER {
                watch(now, Event::Oversize { peer });
                continue;
            }
            // The socket is connected: the kernel lets nobody else's datagrams through.
            let heard = self.exchange.receive(now, true, &buffer[..len]);
            watch(now, Event::Received { peer, datagram: &buffer[..len], heard });
            if heard == Heard::Widened {
                self.transmit(start, watch);
            }
        }
    }

    fn failed(&mut self, error: io::Error, start: Instant, watch: &mut dyn FnMut(Duration, Event<'_>)) {
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

/// A socket of its own for one exchange, which takes datagrams of this peer only and reports its ICMP errors.
fn connect(peer: SocketAddrV6) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if peer.ip().to_ipv4_mapped().is_some() {
        // The system's default (net.ipv6.bindv6only) may differ.
        socket.set_only_v6(false)?;
    }
    socket.connect(&SockAddr::from(peer))?;
    Ok(socket)
}

fn timespec(wait: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() }
}
