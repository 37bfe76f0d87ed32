//! The task of a client and its clones: it owns sockets, timers and exchanges.
//!
//! Callers only wait for what it sends them. So a caller that does not poll its future delays no other: it has no
//! socket that others would read from, and no place that others wait for.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::super::addresses::to_front;
use super::super::congestion::CongestionWindow;
use super::super::error::{Error, Unanswered, UnansweredReason};
use super::super::random::Random;
use super::super::transport::{
    AT_ONCE, AddressAttempts, AttemptSocket, BUFFER, OpenAttempt, PeerAnswer, RECEIVED_AT_ONCE, Watch,
};
use super::bounded;
use super::queue::Queue;
use super::watch::SharedWatch;
use crate::exchange::{PortSharing, Question, Retransmission};
use crate::net::peer;
use crate::net::readiness::{Readiness, Ready};
use crate::wire::{Form, extended};

/// What a client tells its task.
pub enum DriverCommand {
    /// To ask.
    Ask {
        /// Never given before.
        number: u64,
        question: Question,
        /// When the caller began.
        start: Instant,
        answer: AnswerSender,
    },
    /// The answer to the question of this number is not needed any more.
    Forget(u64),
}

/// The least window: a lost question does not hold up all others.
const LEAST: usize = 2;

/// The largest window. Each question may need a socket of its own at each address; a process may often open only 1024
/// (getrlimit(2)).
pub const MOST: usize = 64;

/// Where an answer goes.
pub type AnswerSender = oneshot::Sender<Result<PeerAnswer, Error>>;

/// The task's state.
pub struct Driver {
    commands: UnboundedReceiver<DriverCommand>,
    /// Whom to ask, in turn: first who answered last.
    peers: Arc<[SocketAddrV6]>,
    retransmission: Retransmission,
    waiting: Queue<Waiting>,
    asking: Vec<Asking>,
    window: CongestionWindow,
    /// How many questions have begun.
    begun: u64,
    shared_sockets: Vec<SharedSocket>,
    readiness: Readiness,
    random: Random,
    watch: SharedWatch,
    /// When an answer came last.
    answered_at: Option<Instant>,
}

struct Waiting {
    question: Question,
    start: Instant,
    answer: AnswerSender,
}

struct Asking {
    number: u64,
    /// Its number in the window.
    place: u64,
    begun: Instant,
    attempts: AddressAttempts,
    answer: AnswerSender,
}

/// A socket that extended exchanges share, to a peer that has answered one. Others have sockets of their own: only
/// there a peer that knows only classic can be recognised.
struct SharedSocket {
    peer: SocketAddrV6,
    socket: Arc<socket2::Socket>,
    /// Whether the peer has been silent since, and no further exchange is to use it.
    retired: bool,
}

impl Driver {
    /// A task that takes these commands.
    ///
    /// # Errors
    /// Those of [`Readiness::new`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O is enabled.
    pub fn new(
        commands: UnboundedReceiver<DriverCommand>,
        peers: &[SocketAddrV6],
        retransmission: Retransmission,
        watch: SharedWatch,
    ) -> io::Result<Driver> {
        Ok(Driver {
            commands,
            peers: peers.into(),
            retransmission,
            waiting: Queue::new(),
            asking: Vec::new(),
            window: CongestionWindow::new(AT_ONCE, LEAST, MOST).without_slow_start(),
            begun: 0,
            shared_sockets: Vec::new(),
            readiness: Readiness::new()?,
            random: Random::new(),
            watch,
            answered_at: None,
        })
    }

    /// Runs until no client is left.
    pub async fn run(mut self) {
        let mut running = true;
        while running {
            self.proceed();
            let until = bounded(self.wake_at());
            running = timeout_at(until, poll_fn(|cx| self.poll(cx))).await.unwrap_or(true);
        }
    }

    /// Begins, sends and ends whatever is due.
    fn proceed(&mut self) {
        while let Some(late) = self.waiting.pop_late(Instant::now()) {
            let _ = late.answer.send(Err(self.unanswered(|| UnansweredReason::Unasked)));
        }
        let mut ended = true;
        while ended {
            self.begin();
            ended = false;
            for place in (0..self.asking.len()).rev() {
                if let Some(result) = self.advance(place) {
                    let asking = self.asking.swap_remove(place);
                    self.end(asking, result);
                    ended = true;
                }
            }
        }
        self.shared_sockets.retain(|shared| !shared.retired || Arc::strong_count(&shared.socket) > 1);
    }

    /// Gives places to those who wait. Where there are several addresses and none has answered, one goes alone.
    fn begin(&mut self) {
        let scouting = self.peers.len() > 1 && self.answered_at.is_none();
        let places = if scouting { 1 } else { self.window.size() };
        while self.asking.len() < places {
            let Some((number, Waiting { question, start, answer })) = self.waiting.pop() else { return };
            let attempts = AddressAttempts::new(question, Arc::clone(&self.peers), self.retransmission, start);
            let place = self.begun;
            self.begun += 1;
            self.asking.push(Asking { number, place, begun: Instant::now(), attempts, answer });
        }
    }

    /// Sends the datagrams of one question that are due, and returns its result if it has ended.
    fn advance(&mut self, place: usize) -> Option<Result<PeerAnswer, Error>> {
        let Driver { asking, shared_sockets, readiness, random, watch, .. } = self;
        let tell: &mut Watch<'_> = &mut |time, event| watch.tell(time, event);
        let open: &mut OpenAttempt<'_> = &mut |peer, form| {
            let shared =
                shared_sockets.iter().find(|shared| shared.peer == peer && !shared.retired && form == Form::Extended);
            if let Some(shared) = shared {
                return Ok(AttemptSocket { udp: Arc::clone(&shared.socket), sharing: PortSharing::Shared });
            }
            let socket = AttemptSocket::own(peer)?;
            readiness.add(&socket.udp)?;
            Ok(socket)
        };
        let attempts = &mut asking[place].attempts;
        let before = attempts.shared().map_or(0, |(_, refusals)| refusals);
        let proceeded = attempts.proceed(random, open, tell);
        if let Some((socket, _)) = attempts.shared().filter(|(_, refusals)| *refusals > before) {
            // The system has told one of them what is true of all.
            let socket = Arc::clone(socket);
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            let others = asking.iter_mut().enumerate().filter(|(other, _)| *other != place);
            others.for_each(|(_, other)| other.attempts.failed(&socket, &refused, tell));
        }
        proceeded.err().map(Err).or_else(|| asking[place].attempts.settle())
    }

    fn end(&mut self, asking: Asking, result: Result<PeerAnswer, Error>) {
        match &result {
            Err(Error::Unanswered(failures)) => {
                self.window.lost(asking.place, self.begun);
                self.shared_sockets.iter_mut().for_each(|shared| shared.retired = true);
                if self.answered_at.is_none_or(|at| at < asking.begun) {
                    self.answered_at = None;
                    self.give_up(failures.addresses());
                }
            }
            Ok(PeerAnswer { peer, .. }) | Err(Error::Status { peer, .. }) => {
                self.answered(*peer, &asking);
                match &result {
                    Ok(reply) if reply.statistics.repeats > 0 => self.window.lost(asking.place, self.begun),
                    _ => self.window.answered(!self.waiting.is_empty()),
                }
            }
            Err(_) => self.answered_at = Some(Instant::now()),
        }
        // The caller may be gone.
        let _ = asking.answer.send(result);
    }

    fn answered(&mut self, peer: SocketAddrV6, asking: &Asking) {
        self.answered_at = Some(Instant::now());
        if self.peers.first() != Some(&peer) {
            to_front(Arc::make_mut(&mut self.peers), peer);
        }
        let known = self.shared_sockets.iter().any(|shared| shared.peer == peer && !shared.retired);
        if known || asking.attempts.form() == Form::Classic {
            return;
        }
        // Without it, exchanges go on with sockets of their own.
        let socket = peer::connect(peer).map(Arc::new);
        if let Ok(socket) = socket.and_then(|socket| self.readiness.add(&socket).map(|()| socket)) {
            self.shared_sockets.push(SharedSocket { peer, socket, retired: false });
        }
    }

    /// Fails the waiting questions because no server answers: one question has run its whole time, and no other was
    /// answered meanwhile.
    fn give_up(&mut self, failures: &[Unanswered]) {
        // With more time a server might have answered, or with fewer open files been asked.
        let own = |reason: &UnansweredReason| {
            matches!(reason, UnansweredReason::Deadline { .. } | UnansweredReason::Unasked | UnansweredReason::Io(_))
        };
        if failures.iter().any(|failure| own(&failure.reason)) {
            return;
        }
        let refused =
            !failures.is_empty() && failures.iter().all(|one| matches!(one.reason, UnansweredReason::Refused));
        while let Some((_, Waiting { answer, .. })) = self.waiting.pop() {
            let reason = || if refused { UnansweredReason::Refused } else { UnansweredReason::Stopped };
            let _ = answer.send(Err(self.unanswered(reason)));
        }
    }

    fn unanswered(&self, reason: impl Fn() -> UnansweredReason) -> Error {
        Error::unanswered(self.peers.iter().map(|&peer| Unanswered::new(peer, reason())).collect())
    }

    /// When something is due.
    fn wake_at(&self) -> Option<Instant> {
        let attempts = self.asking.iter().filter_map(|asking| asking.attempts.wake_at_instant());
        attempts.chain(self.waiting.deadline()).min()
    }

    /// Takes in commands and datagrams, as soon as there are any; false once no client is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut taken = false;
        loop {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(message)) => self.take(message),
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending => break,
            }
            taken = true;
        }
        match self.poll_readiness(cx) {
            Poll::Pending if taken => Poll::Ready(true),
            polled => polled,
        }
    }

    /// Takes in datagrams, as soon as there are any.
    fn poll_readiness(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let polled = ready!(self.readiness.poll(cx));
        if let Ok(ready) = &polled {
            self.receive(ready);
        }
        // With an error the runtime is ending, and this task with it.
        Poll::Ready(polled.is_ok())
    }

    fn take(&mut self, message: DriverCommand) {
        match message {
            DriverCommand::Ask { number, question, start, answer } => {
                let deadline = self.retransmission.deadline.and_then(|deadline| start.checked_add(deadline));
                self.waiting.push(number, Waiting { question, start, answer }, deadline);
            }
            DriverCommand::Forget(number) => {
                self.waiting.remove(number);
                self.asking.retain(|asking| asking.number != number);
            }
        }
    }

    fn receive(&mut self, ready: &Ready) {
        let Driver { asking, shared_sockets, watch, .. } = self;
        let tell: &mut Watch<'_> = &mut |time, event| watch.tell(time, event);
        asking.iter_mut().for_each(|asking| asking.attempts.receive(|socket| ready.contains(socket), tell));
        for shared in shared_sockets.iter().filter(|shared| ready.contains(&shared.socket)) {
            shared.receive(asking, tell);
        }
    }
}

impl SharedSocket {
    /// Passes each datagram to the exchange whose identifier it has; one without a known identifier to all, which count
    /// it as ignored.
    fn receive(&self, asking: &mut [Asking], tell: &mut Watch<'_>) {
        let mut buffer = [0; BUFFER];
        for _ in 0..RECEIVED_AT_ONCE {
            match peer::receive(&self.socket, &mut buffer) {
                Ok(len) => {
                    let datagram = &buffer[..len];
                    let mut deliver =
                        |id| asking.iter_mut().any(|asking| asking.attempts.deliver(&self.socket, id, datagram, tell));
                    if !extended::id(datagram).is_some_and(|id| deliver(Some(id))) {
                        for asking in asking.iter_mut() {
                            asking.attempts.deliver(&self.socket, None, datagram, tell);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error does not name the exchange: all are concerned.
                Err(error) => {
                    asking.iter_mut().for_each(|asking| asking.attempts.failed(&self.socket, &error, tell));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Format, Operator};
    use std::net::UdpSocket;
    use std::time::Duration;
    use tokio::sync::mpsc::unbounded_channel;

    fn bound() -> UdpSocket {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket
    }

    /// A driver that asks a socket which answers nothing.
    fn driver(socket: &UdpSocket, deadline: Option<Duration>) -> Driver {
        let peer = socket.local_addr().unwrap().to_string().parse().unwrap();
        let retransmission = Retransmission { deadline, ..Retransmission::default() };
        Driver::new(unbounded_channel().1, &[peer], retransmission, SharedWatch::default()).unwrap()
    }

    fn ask(driver: &mut Driver, number: u64) -> oneshot::Receiver<Result<PeerAnswer, Error>> {
        let question = Question::extended(Operator::Sum, Format::Integer, 1, vec![1, 2]).unwrap();
        let (answer, awaited) = oneshot::channel();
        driver.take(DriverCommand::Ask { number, question, start: Instant::now(), answer });
        awaited
    }

    /// How many sockets are connected to this port (proc_net(5)); `None` where the system does not report it.
    fn sockets_to(port: u16) -> Option<usize> {
        let peer = format!(":{port:04X} ");
        let table = std::fs::read_to_string("/proc/self/net/udp6").ok()?;
        let connected = |line: &&str| line.split_once(':').is_some_and(|(_, rest)| rest[40..].contains(&peer));
        Some(table.lines().filter(connected).count())
    }

    #[tokio::test]
    async fn what_is_forgotten_leaves_nothing() {
        let socket = bound();
        let port = socket.local_addr().unwrap().port();
        let mut driver = driver(&socket, Some(Duration::from_secs(60)));
        for round in 0..10 {
            let awaited: Vec<_> = (0..100).map(|number| ask(&mut driver, 100 * round + number)).collect();
            driver.proceed();
            assert_eq!(driver.asking.len(), driver.window.size());
            assert!(sockets_to(port).is_none_or(|count| count == driver.asking.len()));
            drop(awaited);
            (0..100).for_each(|number| driver.take(DriverCommand::Forget(100 * round + number)));
            assert!(driver.asking.is_empty() && driver.waiting.is_empty() && driver.shared_sockets.is_empty());
            assert_eq!((sockets_to(port).unwrap_or(0), driver.wake_at()), (0, None));
        }
    }

    #[tokio::test]
    async fn a_shared_socket_is_kept_as_long_as_it_is_used() {
        let socket = bound();
        let mut driver = driver(&socket, None);
        let mut buffer = [0; 99];
        let mut first = ask(&mut driver, 0);
        driver.proceed();
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        let mut reply = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
        reply[4..12].copy_from_slice(&buffer[4..12]);
        assert_eq!(len, 14);
        socket.send_to(&reply, from).unwrap();
        poll_fn(|cx| driver.poll_readiness(cx)).await;
        driver.proceed();
        assert!(first.try_recv().unwrap().is_ok());
        assert_eq!(driver.shared_sockets.len(), 1, "the peer knows the extended form");

        let mut second = ask(&mut driver, 1);
        driver.proceed();
        assert_eq!(Arc::strong_count(&driver.shared_sockets[0].socket), 2);
        driver.shared_sockets[0].retired = true;
        driver.proceed();
        let (_, from) = socket.recv_from(&mut buffer).unwrap();
        reply[4..12].copy_from_slice(&buffer[4..12]);
        socket.send_to(&reply, from).unwrap();
        poll_fn(|cx| driver.poll_readiness(cx)).await;
        driver.proceed();
        assert!(second.try_recv().unwrap().is_ok(), "it is still read");
        assert_eq!(driver.shared_sockets.len(), 1, "and replaced, as the peer has answered again");
        assert!(!driver.shared_sockets[0].retired);
    }
}
