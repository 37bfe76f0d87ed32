//! Asking a server over sockets, and noticing when it has ended.
//!
//! Whether a server stays silent cannot be seen by waiting alone. So each datagram is followed by a control request
//! whose answer is known: when that has come and nothing else, there was no answer. Each datagram has a socket of its
//! own (clause 4.6), not connected, so that replies from elsewhere are seen as well.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::report::hex;
use super::subject::Service;
use crate::Failure;
use calc6::wire::{AMPLIFICATION, Kind, classic};

/// The sum of two operands, with the same octets in every byte order, and with an answer that no other request here has.
pub const CONTROL: [u8; 9] = [0x00, 0x5a, 0x00, 0x00, 0x5a, 0x01, 0x00, 0x00, 0x01];

/// Between looks at whether the server still runs.
const SLICE: Duration = Duration::from_millis(10);

/// How long to go on listening for a second reply when the reply and the control's answer have come.
const SHORT_GRACE: Duration = Duration::from_millis(2);

/// How long to wait for the reply when only the control's answer has come: time for a server with many threads to
/// finish in another order.
const GRACE: Duration = Duration::from_millis(40);

/// How long to go on listening where there is no control.
const LONG_GRACE: Duration = Duration::from_millis(120);

/// How often a datagram that seems to have been lost is sent.
const TRIES: usize = 3;

/// How often the control is asked to learn how it is answered, and how many octets of that must be steady.
const LESSONS: usize = 3;
const STEADY: usize = 4;

/// The end of a server that still runs.
const MUTE: &str = "it answers no more";

/// A datagram that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Where it came from.
    pub from: SocketAddr,
    /// Its payload.
    pub octets: Vec<u8>,
}

/// What came of one datagram.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The datagram.
    pub sent: Vec<u8>,
    /// What it was answered with, the control's answer left out; several, if there were several.
    pub replies: Vec<Arrival>,
    /// How the server ended, or that it answers no more.
    pub end: Option<String>,
}

impl Asked {
    /// The first reply.
    pub fn reply(&self) -> Option<&[u8]> {
        self.replies.first().map(|reply| &reply.octets[..])
    }

    /// What came, in words.
    pub fn came(&self) -> String {
        match (&self.replies[..], &self.end) {
            ([], Some(end)) => format!("nothing: {end}"),
            ([], None) => "nothing".into(),
            (replies, _) => replies.iter().map(|reply| hex(&reply.octets)).collect::<Vec<_>>().join(", then "),
        }
    }
}

/// A datagram after which the server had ended.
#[derive(Clone, Debug)]
pub struct End {
    /// The datagram.
    pub datagram: Vec<u8>,
    /// How it ended.
    pub how: String,
}

/// What has been seen over all datagrams.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// A request, and more than one reply to it.
    pub several: Option<Asked>,
    /// A request of classic form, and a reply of more octets than the form allows.
    pub too_long: Option<Asked>,
    /// A request, and a reply of more than three times its length.
    pub amplified: Option<Asked>,
    /// What ended the server.
    pub ends: Vec<End>,
}

/// A server that is asked.
pub struct Prober {
    target: SocketAddr,
    /// If lab has started it.
    service: Option<Service>,
    timeout: Duration,
    /// How the server answers [`CONTROL`], once known: each octet, or `None` where it varies.
    control: Option<Vec<Option<u8>>>,
    /// It has answered something.
    answered: bool,
    /// How long silence must last to be believed.
    grace: Duration,
    /// It has ended, and cannot be started again.
    gone: bool,
    /// What has been seen so far.
    pub observed: Observed,
}

impl Prober {
    /// Prepares to ask a server; waits `timeout` for each reply.
    pub fn new(target: SocketAddr, service: Option<Service>, timeout: Duration) -> Self {
        Self {
            target,
            service,
            timeout,
            control: None,
            answered: false,
            grace: GRACE,
            gone: false,
            observed: Observed::default(),
        }
    }

    /// The address that is asked.
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// From now on believes silence at once, or, again, only after a while. Where nothing hangs on it, that saves time.
    pub fn believe_silence_at_once(&mut self, at_once: bool) {
        self.grace = if at_once { SHORT_GRACE } else { GRACE };
    }

    /// Whether lab can start the server again.
    pub fn can_restart(&self) -> bool {
        self.service.is_some()
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

    /// Sends a datagram and gathers what is answered; a server that has ended is started again first.
    pub fn ask(&mut self, datagram: &[u8]) -> Result<Asked, Failure> {
        self.revive()?;
        let mut asked = Asked { sent: datagram.to_vec(), replies: Vec::new(), end: None };
        // On one machine silence is no loss.
        let tries = if self.target.ip().to_canonical().is_loopback() { 1 } else { TRIES };
        for _ in 0..tries {
            self.exchange(&mut asked)?;
            if !asked.replies.is_empty() || asked.end.is_some() {
                break;
            }
        }
        self.observe(&asked);
        Ok(asked)
    }

    /// Starts the server again if it has ended.
    fn revive(&mut self) -> Result<(), Failure> {
        if let Some(service) = &mut self.service
            && (self.gone || service.ended().is_some())
        {
            service.restart()?;
            self.gone = false;
        }
        Ok(())
    }

    fn exchange(&mut self, asked: &mut Asked) -> Result<(), Failure> {
        let socket = socket_towards(self.target)?;
        send(&socket, &asked.sent, self.target)?;
        let Some(control) = self.control.clone() else { return self.exchange_without_control(&socket, asked) };
        let grace = self.grace;
        let is_control = |reply: &Arrival| matches(&control, &reply.octets);
        for sent in 1..=TRIES {
            send(&socket, &CONTROL, self.target)?;
            self.gather(&socket, &mut asked.replies, |replies| {
                let answered = replies.iter().any(is_control);
                answered.then_some(if replies.len() > 1 { SHORT_GRACE } else { grace })
            });
            let controls = asked.replies.iter().filter(|reply| is_control(reply)).count();
            if controls > sent && self.observed.several.is_none() {
                self.observed.several = Some(Asked { sent: CONTROL.to_vec(), ..asked.clone() });
            }
            if controls > 0 {
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
        self.exchange(asked)
    }

    /// Judges silence by time, and asks once more whether the server is still there.
    fn exchange_without_control(&mut self, socket: &UdpSocket, asked: &mut Asked) -> Result<(), Failure> {
        let enough = |replies: &[Arrival]| (!replies.is_empty()).then_some(LONG_GRACE);
        self.gather(socket, &mut asked.replies, enough);
        asked.end = self.service.as_mut().and_then(Service::ended);
        self.answered |= !asked.replies.is_empty();
        if !asked.replies.is_empty() || asked.end.is_some() || !self.answered {
            return Ok(());
        }
        let mut others = Vec::new();
        for _ in 0..TRIES {
            let socket = socket_towards(self.target)?;
            send(&socket, &CONTROL, self.target)?;
            self.gather(&socket, &mut others, |replies| (!replies.is_empty()).then_some(Duration::ZERO));
            asked.end = self.service.as_mut().and_then(Service::ended);
            if asked.end.is_some() || !others.is_empty() {
                return Ok(());
            }
        }
        asked.end = Some(MUTE.into());
        Ok(())
    }

    /// Receives for the time-out, or for as long as `more` says once it does, or until the server has ended.
    fn gather(
        &mut self,
        socket: &UdpSocket,
        replies: &mut Vec<Arrival>,
        more: impl Fn(&[Arrival]) -> Option<Duration>,
    ) {
        let mut deadline = Instant::now() + self.timeout;
        let mut buffer = vec![0; 65_536];
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            // A time-out of 0 would be none at all, and is refused; it is at most a slice.
            let _ = socket.set_read_timeout(Some(left.min(SLICE)));
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    replies.push(Arrival { from, octets: buffer[..length].to_vec() });
                    if let Some(grace) = more(replies) {
                        deadline = Instant::now() + grace;
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

    fn observe(&mut self, asked: &Asked) {
        let request = asked.sent.len();
        let over = |limit: usize| asked.replies.iter().any(|reply| reply.octets.len() > limit);
        let observed = &mut self.observed;
        let note = |seen: &mut Option<Asked>, is: bool| {
            if is && seen.is_none() {
                *seen = Some(asked.clone());
            }
        };
        note(&mut observed.several, asked.replies.len() > 1);
        let extended = Kind::of(&asked.sent) == Kind::Extended;
        note(&mut observed.too_long, !extended && over(classic::MAX_REPLY));
        note(&mut observed.amplified, request > 0 && over(AMPLIFICATION * request));
        if let Some(how) = &asked.end {
            self.observed.ends.push(End { datagram: asked.sent.clone(), how: how.clone() });
            self.gone = true;
        }
    }
}

/// A socket that can reach `target`, on a port of its own and not connected.
pub fn socket_towards(target: SocketAddr) -> Result<UdpSocket, Failure> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0))
        .and_then(|socket| socket.set_read_timeout(Some(SLICE)).map(|()| socket))
        .map_err(|error| Failure::run("cannot open a socket", error))
}

fn matches(pattern: &[Option<u8>], octets: &[u8]) -> bool {
    pattern.len() == octets.len()
        && pattern.iter().zip(octets).all(|(known, octet)| known.is_none_or(|known| known == *octet))
}

fn send(socket: &UdpSocket, datagram: &[u8], target: SocketAddr) -> Result<(), Failure> {
    match socket.send_to(datagram, target) {
        Ok(_) => Ok(()),
        // The control that follows shows whether anybody is there.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => Ok(()),
        Err(error) => Err(Failure::run(format_args!("cannot send to {target}"), error)),
    }
}
