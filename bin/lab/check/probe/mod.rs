//! Asking a server over sockets, and noticing when it has ended.
//!
//! Whether a server stays silent cannot be seen by waiting alone. So a datagram that needs no answer is followed by a
//! control request whose answer is known: when that has come, and nothing else within the server's own pace, there was
//! no answer. Each datagram has a socket of its own (clause 4.6), not connected, so that replies from elsewhere are
//! seen as well.

mod observed;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use observed::End;
pub use observed::{Observed, Probe, ReceivedReply, without_nul};

use super::service::{Service, StartError};
use super::through::LossyRelay;
use crate::Failure;

/// The sum of two operands, with the same octets in every byte order, and with an answer that no other request here
/// has.
pub const CONTROL: [u8; 9] = [0x00, 0x5a, 0x00, 0x00, 0x5a, 0x01, 0x00, 0x00, 0x01];

/// Between looks at whether the server still runs.
const SLICE: Duration = Duration::from_millis(10);

/// How long to go on listening for a second reply.
const SETTLING: Duration = Duration::from_millis(2);

/// How long silence lasts at least before it is believed; time for threads to finish in another order.
const SILENCE: Duration = Duration::from_millis(30);

/// How long silence lasts where there is no control.
const LONG_SILENCE: Duration = Duration::from_millis(120);

/// The least time for an answer before anything else is sent.
const USUAL: Duration = Duration::from_millis(20);

/// How many times the patience the first request waits that a server which lab started has not answered: on a busy
/// machine it is still on its way from its bind to its loop.
const FIRST: u32 = 4;

/// How often a datagram that seems to have been lost is sent.
const TRIES: usize = 3;

/// Through a relay that loses datagrams: how often one is sent that has to be answered, and one that need not be.
const LOSSY_TRIES: usize = 20;
const LOSSY_SILENCE: usize = 4;

/// The least wait for a reply through such a relay.
const LOSSY_WAIT: Duration = Duration::from_millis(100);

/// How often the control is asked to learn how it is answered, and how many octets of that must be the same.
const LESSONS: usize = 3;
const STEADY: usize = 4;

/// The end of a server that still runs.
pub const MUTE: &str = "it no longer answers";

/// Whether a datagram has to be answered.
#[derive(Clone, Copy, PartialEq)]
enum ReplyDue {
    /// A missing answer is a mistake, so it is waited for.
    Owed,
    /// Silence is right, or as good.
    Open,
}

/// A server that is asked.
pub struct Prober {
    target: SocketAddr,
    /// The address to ask from; the kernel's choice if none.
    source: Option<IpAddr>,
    /// If lab has started it.
    service: Option<Service>,
    /// What is between lab and the server.
    through: Option<LossyRelay>,
    patience: Duration,
    /// The slowest answer so far.
    slowest: Duration,
    /// How the server answers [`CONTROL`], once known: each octet, or `None` where it varies.
    control: Option<Vec<Option<u8>>>,
    /// It has answered something.
    answered: bool,
    /// Silence is believed at once, as nothing depends on it.
    hurried: bool,
    /// It has ended, or is mute.
    down: bool,
    /// It has ended, and cannot be started again.
    gone: bool,
    /// Start it again after this many datagrams, and how many it has had.
    renewal: Option<usize>,
    asked: usize,
    /// What has been seen so far.
    pub observed: Observed,
}

impl Prober {
    /// Prepares to ask a server; waits `patience` for a reply that it owes.
    pub fn new(target: SocketAddr, service: Option<Service>, patience: Duration) -> Self {
        Self {
            target,
            source: None,
            service,
            through: None,
            patience,
            slowest: Duration::ZERO,
            control: None,
            answered: false,
            hurried: false,
            down: false,
            gone: false,
            renewal: None,
            asked: 0,
            observed: Observed::default(),
        }
    }

    /// Asks from this address.
    pub fn asking_from(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Asks through a relay.
    pub fn through(self, relay: LossyRelay) -> Self {
        Self { through: Some(relay), ..self }
    }

    /// How often what may have been lost is tried.
    pub fn tries(&self) -> usize {
        if self.through.is_some() { LOSSY_TRIES } else { TRIES }
    }

    /// The address that is asked.
    pub fn target(&self) -> SocketAddr {
        if let Some(relay) = &self.through {
            return relay.address;
        }
        self.service.as_ref().map_or(self.target, |service| SocketAddr::new(self.target.ip(), service.address().port()))
    }

    /// Whether the server is on this machine, where the network loses nothing.
    pub fn is_local(&self) -> bool {
        self.through.is_none() && (self.service.is_some() || self.target.ip().to_canonical().is_loopback())
    }

    /// The server that lab has started.
    pub fn service(&mut self) -> Option<&mut Service> {
        self.service.as_mut()
    }

    /// Its slowest answer so far.
    pub fn pace(&self) -> Duration {
        self.slowest
    }

    /// How long a reply that is owed is waited for.
    pub fn patience(&self) -> Duration {
        self.patience.max(4 * self.slowest)
    }

    /// From now on believes silence at once, or, again, only after a while. Where nothing depends on it, that saves
    /// time.
    pub fn believe_silence_at_once(&mut self, at_once: bool) {
        self.hurried = at_once;
    }

    /// Starts the server again after every so many datagrams: it leaks.
    pub fn renew_every(&mut self, datagrams: usize) {
        self.renewal = Some(datagrams);
        self.asked = datagrams;
    }

    /// Whether lab can start the server again.
    pub fn can_restart(&self) -> bool {
        self.service.is_some() && !self.gone
    }

    /// Whether the server has ended for good.
    pub fn gone(&self) -> bool {
        self.gone
    }

    /// Learns how the control request is answered; without a steady answer there will be no control.
    pub fn learn_control(&mut self) -> Result<(), Failure> {
        let mut pattern: Option<Vec<Option<u8>>> = None;
        for _ in 0..LESSONS {
            let asked = self.ask(&CONTROL)?;
            let Some(reply) = asked.reply() else { return Ok(()) };
            let same = pattern.get_or_insert_with(|| reply.iter().copied().map(Some).collect());
            if same.len() != reply.len() {
                return Ok(());
            }
            let unsteady = same.iter_mut().zip(reply).filter(|(known, octet)| **known != Some(**octet));
            unsteady.for_each(|(known, _)| *known = None);
        }
        let steady = |pattern: &Vec<Option<u8>>| pattern.iter().flatten().count() >= STEADY;
        self.control = pattern.filter(steady);
        Ok(())
    }

    /// Sends a request, and waits for the reply that the server owes.
    pub fn ask(&mut self, datagram: &[u8]) -> Result<Probe, Failure> {
        self.send_and_gather(datagram, ReplyDue::Owed)
    }

    /// Sends a datagram that need not be answered, and gathers what comes.
    pub fn try_datagram(&mut self, datagram: &[u8]) -> Result<Probe, Failure> {
        self.send_and_gather(datagram, ReplyDue::Open)
    }

    fn send_and_gather(&mut self, datagram: &[u8], reply: ReplyDue) -> Result<Probe, Failure> {
        let mut asked = Probe { sent: datagram.to_vec(), replies: Vec::new(), end: None };
        self.revive()?;
        if self.gone {
            asked.end = Some(MUTE.into());
            return Ok(asked);
        }
        if self.through.is_some() {
            self.exchange_through(&mut asked, reply)?;
            self.observe(&asked);
            return Ok(asked);
        }
        let tries = if self.is_local() { 1 } else { TRIES };
        for _ in 0..tries {
            self.exchange(&mut asked, reply)?;
            if !asked.replies.is_empty() || asked.end.is_some() {
                break;
            }
        }
        self.observe(&asked);
        Ok(asked)
    }

    /// Sends requests together, each from a socket of its own, and gathers what comes, in their order.
    pub fn ask_together(&mut self, datagrams: &[Vec<u8>]) -> Result<Vec<Probe>, Failure> {
        self.revive()?;
        let sockets = datagrams.iter().map(|_| self.socket()).collect::<Result<Vec<_>, _>>()?;
        for (socket, datagram) in sockets.iter().zip(datagrams) {
            send(socket, datagram, self.target())?;
        }
        // One after the other, a slow server takes its time for each.
        let deadline = Instant::now() + self.patience() + self.slowest * datagrams.len() as u32;
        let mut all = Vec::new();
        for (socket, datagram) in sockets.iter().zip(datagrams) {
            let mut asked = Probe { sent: datagram.clone(), replies: Vec::new(), end: None };
            let left = deadline.saturating_duration_since(Instant::now()).max(SETTLING);
            self.gather(socket, &mut asked.replies, left, |replies| (!replies.is_empty()).then_some(Duration::ZERO));
            all.push(asked);
        }
        let end = self.service.as_mut().and_then(Service::ended);
        if let (Some(how), Some(last)) = (end, datagrams.last()) {
            self.observed.ends.push(End { datagram: last.clone(), how });
        }
        Ok(all)
    }

    /// Sends several datagrams from one socket, each after the answer to the one before or after `patience`; gives what
    /// came after each.
    pub fn ask_from_one_socket(&mut self, datagrams: &[&[u8]], patience: Duration) -> Result<Vec<Probe>, Failure> {
        self.revive()?;
        let socket = self.socket()?;
        let mut all = Vec::new();
        for datagram in datagrams {
            send(&socket, datagram, self.target())?;
            let mut asked = Probe { sent: datagram.to_vec(), replies: Vec::new(), end: None };
            self.gather(&socket, &mut asked.replies, patience, |replies| (!replies.is_empty()).then_some(SETTLING));
            all.push(asked);
        }
        Ok(all)
    }

    /// Starts the server again if it has ended.
    fn revive(&mut self) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let worn = self.renewal.is_some_and(|limit| self.asked >= limit);
        let Some(service) = &mut self.service else { return Ok(()) };
        if !(self.down || worn || service.ended().is_some()) {
            return Ok(());
        }
        (self.asked, self.down) = (0, false);
        match service.restart() {
            Ok(()) => {}
            Err(StartError::Failure(failure)) => return Err(failure),
            Err(StartError::NotListening(advice)) => {
                self.gone = true;
                if let Some(end) = self.observed.ends.last_mut() {
                    end.how = format!("{}; then it did not start again: {}", end.how, advice.found);
                }
            }
        }
        Ok(())
    }

    fn socket(&self) -> Result<UdpSocket, Failure> {
        match self.source {
            Some(source) => bind(source),
            None => socket_towards(self.target),
        }
    }

    /// Through a relay a control proves nothing: silence is what several tries have in common.
    fn exchange_through(&mut self, asked: &mut Probe, reply: ReplyDue) -> Result<(), Failure> {
        let tries = if reply == ReplyDue::Owed { LOSSY_TRIES } else { LOSSY_SILENCE };
        self.try_through(&asked.sent, &mut asked.replies, tries)?;
        asked.end = self.service.as_mut().and_then(Service::ended);
        if asked.end.is_none() && asked.replies.is_empty() && self.answered {
            let mut replies = Vec::new();
            self.try_through(&CONTROL, &mut replies, LOSSY_TRIES)?;
            asked.end = self.service.as_mut().and_then(Service::ended);
            if asked.end.is_none() && replies.is_empty() {
                asked.end = Some(MUTE.into());
            }
        }
        self.answered |= !asked.replies.is_empty();
        Ok(())
    }

    fn try_through(&mut self, datagram: &[u8], replies: &mut Vec<ReceivedReply>, tries: usize) -> Result<(), Failure> {
        for attempt in 0..tries {
            let socket = self.socket()?;
            send(&socket, datagram, self.target())?;
            // Longer with each attempt: a machine that is busy with others is slow now and then.
            let wait = LOSSY_WAIT * (1 + attempt as u32 / 4) + 2 * self.slowest;
            self.gather(&socket, replies, wait, |replies| (!replies.is_empty()).then_some(SETTLING));
            if !replies.is_empty() || self.service.as_mut().and_then(Service::ended).is_some() {
                break;
            }
        }
        Ok(())
    }

    fn exchange(&mut self, asked: &mut Probe, reply: ReplyDue) -> Result<(), Failure> {
        let socket = self.socket()?;
        self.asked += 1;
        send(&socket, &asked.sent, self.target())?;
        let some = |replies: &[ReceivedReply]| (!replies.is_empty()).then_some(SETTLING);
        if reply == ReplyDue::Owed {
            let usual = if self.control.is_some() { USUAL.max(3 * self.slowest) } else { self.patience() };
            let first = self.asked == 1 && !self.answered && self.service.is_some();
            let wait = if first { FIRST * self.patience() } else { usual.min(self.patience()) };
            self.gather(&socket, &mut asked.replies, wait, some);
            asked.end = self.service.as_mut().and_then(Service::ended);
            if !asked.replies.is_empty() || asked.end.is_some() {
                self.answered |= !asked.replies.is_empty();
                return Ok(());
            }
        }
        let Some(control) = self.control.clone() else { return self.exchange_without_control(&socket, asked) };
        let is_control = |reply: &ReceivedReply| matches(&control, &reply.octets);
        let silence = match (reply, self.hurried) {
            (_, true) => SETTLING,
            (ReplyDue::Owed, _) => self.patience(),
            (ReplyDue::Open, _) => SILENCE.max(2 * self.slowest),
        };
        for sent in 1..=TRIES {
            send(&socket, &CONTROL, self.target())?;
            let patience = self.patience();
            self.gather(&socket, &mut asked.replies, patience, |replies| {
                let answered = replies.iter().any(is_control);
                answered.then_some(if replies.len() > 1 { SETTLING } else { silence })
            });
            let controls = asked.replies.iter().filter(|reply| is_control(reply)).count();
            if controls > sent && self.observed.several.is_none() {
                self.observed.several = Some(Probe { sent: CONTROL.to_vec(), ..asked.clone() });
            }
            if controls > 0 {
                if controls < sent && self.is_local() && self.observed.swallowed.is_none() {
                    self.observed.swallowed = Some(asked.sent.clone());
                }
                asked.replies.retain(|reply| !is_control(reply));
                return Ok(());
            }
            asked.end = self.service.as_mut().and_then(Service::ended);
            if asked.end.is_some() {
                return Ok(());
            }
        }
        if asked.replies.is_empty() {
            asked.end = Some(MUTE.into());
            return Ok(());
        }
        // It answers, but the control in another way than before: so there is none.
        self.control = None;
        asked.replies.clear();
        self.exchange(asked, reply)
    }

    /// Judges silence by time, and asks once more whether the server is still there.
    fn exchange_without_control(&mut self, socket: &UdpSocket, asked: &mut Probe) -> Result<(), Failure> {
        let silence = LONG_SILENCE.max(2 * self.slowest);
        self.gather(socket, &mut asked.replies, silence, |replies| (!replies.is_empty()).then_some(SETTLING));
        asked.end = self.service.as_mut().and_then(Service::ended);
        if !asked.replies.is_empty() || asked.end.is_some() || !self.answered {
            return Ok(());
        }
        let mut others = Vec::new();
        for _ in 0..TRIES {
            let socket = self.socket()?;
            send(&socket, &CONTROL, self.target())?;
            let patience = self.patience();
            self.gather(&socket, &mut others, patience, |replies| (!replies.is_empty()).then_some(Duration::ZERO));
            asked.end = self.service.as_mut().and_then(Service::ended);
            if asked.end.is_some() || !others.is_empty() {
                return Ok(());
            }
        }
        asked.end = Some(MUTE.into());
        Ok(())
    }

    /// Receives for `patience`, or for as long as `more` says once it does, or until the server has ended.
    fn gather(
        &mut self,
        socket: &UdpSocket,
        replies: &mut Vec<ReceivedReply>,
        patience: Duration,
        more: impl Fn(&[ReceivedReply]) -> Option<Duration>,
    ) {
        let start = Instant::now();
        let mut deadline = start + patience;
        let mut buffer = vec![0; 65_536];
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            // A time-out of 0 would be none at all, and is refused; it is at most a slice.
            let _ = socket.set_read_timeout(Some(left.min(SLICE)));
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    self.slowest = self.slowest.max(start.elapsed()).min(self.patience);
                    replies.push(ReceivedReply { from, octets: buffer[..length].to_vec() });
                    if let Some(silence) = more(replies) {
                        deadline = Instant::now() + silence;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    // What it sent before it ended has arrived by the second look.
                    if self.service.as_mut().is_some_and(|service| service.ended().is_some()) {
                        deadline = deadline.min(Instant::now() + SLICE);
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn observe(&mut self, asked: &Probe) {
        self.observed.note(asked);
        if asked.end.is_some() {
            self.down = true;
            self.gone |= self.service.is_none();
        }
    }
}

/// A socket that can reach `target`, on a port of its own and not connected.
pub fn socket_towards(target: SocketAddr) -> Result<UdpSocket, Failure> {
    bind(match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    })
}

fn bind(source: IpAddr) -> Result<UdpSocket, Failure> {
    UdpSocket::bind((source, 0))
        .and_then(|socket| socket.set_read_timeout(Some(SLICE)).map(|()| socket))
        .map_err(|error| Failure::run("cannot open a socket", error))
}

/// An error that does not concern the current datagram: a signal, or a closed port for an earlier datagram, which
/// Windows calls a reset.
fn is_passing(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

fn matches(pattern: &[Option<u8>], octets: &[u8]) -> bool {
    pattern.len() == octets.len()
        && pattern.iter().zip(octets).all(|(known, octet)| known.is_none_or(|known| known == *octet))
}

fn send(socket: &UdpSocket, datagram: &[u8], target: SocketAddr) -> Result<(), Failure> {
    match socket.send_to(datagram, target) {
        Ok(_) => Ok(()),
        // The control that follows shows whether anybody is there.
        Err(error) if is_passing(error.kind()) => Ok(()),
        Err(error) => Err(Failure::run(format_args!("cannot send to {target}"), error)),
    }
}
