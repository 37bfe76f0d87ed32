//! Many extended requests in flight at once, to one server or several, as a pure state machine: no socket, no clock.
//!
//! Each server has a [`CongestionWindow`], which bounds its unanswered requests. A request counts as lost when three
//! that were sent after it have been answered (RFC 9002, section 6.1.1), or when its timer runs out (RFC 6298). Lost
//! requests go to whichever server has room, so servers take over from one another; a server that answers nothing for
//! as long as a single exchange would wait is given up. Evaluation is pure, so asking twice is harmless: the first
//! reply counts, later ones are ignored.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::congestion::CongestionWindow;
use crate::exchange::{IgnoredReason, backed_off};
use crate::wire::extended::{self, Reply};
use crate::wire::{Format, MAX_REQUEST, Operator};

/// The first window of a server (RFC 6928, section 2).
const INITIAL_WINDOW: usize = 10;

/// The least window (RFC 9002, section 7.2): two chances each time a timer runs out.
const LEAST_WINDOW: usize = 2;

/// The largest window: within what a socket's default receive buffer holds of replies.
pub const MAX_WINDOW: usize = 256;

/// A request is lost when one sent this many places later has been answered (RFC 9002, section 6.1.1).
const REORDERING: u64 = 3;

/// The least retransmission timeout, unless the first wait is shorter.
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// The wait between two attempts at a server that refused; it doubles.
const REFUSAL_WAIT: Duration = Duration::from_millis(10);

/// When requests are repeated, and when a server is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The retransmission timeout before the first measurement.
    pub first_wait: Duration,
    /// A server that has not answered anything for so long is given up.
    pub give_up: Duration,
    /// A server that has refused for so long is given up.
    pub refusal: Duration,
}

/// Requests in flight.
#[derive(Debug)]
pub struct Pipeline {
    timeouts: Timeouts,
    servers: Vec<ServerState>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Identifiers in progress, and the slots of their requests.
    in_progress: HashMap<u64, usize>,
    /// Requests to send next: slots with the identifiers that they had then.
    ready: VecDeque<(usize, u64)>,
    counts: PipelineCounts,
}

/// What a pipeline counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PipelineCounts {
    /// Requests that were answered.
    pub answered: u64,
    /// Datagrams that were sent.
    pub transmissions: u64,
    /// Of these, repeats.
    pub repeats: u64,
    /// Datagrams that arrived and do not count as a reply.
    pub ignored: u64,
}

/// Why a server is no longer asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It has not answered anything for [`Timeouts::give_up`].
    Silent,
    /// ECONNREFUSED for [`Timeouts::refusal`].
    Refused,
    /// None of its addresses can be sent to ([`Pipeline::abandon`]).
    Unreachable,
}

/// A request to submit; the operands are two's complement of `width` octets each, in network byte order.
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    pub operator: Operator,
    pub format: Format,
    pub width: u8,
    pub operands: &'a [u8],
}

#[derive(Debug)]
struct Slot {
    datagram: Box<[u8; MAX_REQUEST]>,
    len: usize,
    id: u64,
    tag: u64,
    transmissions: u32,
    flight: Option<Flight>,
}

/// The last transmission of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flight {
    server: usize,
    sequence: u64,
    at: Duration,
}

#[derive(Debug)]
struct ServerState {
    window: CongestionWindow,
    /// Whether the window, not the supply of requests, has limited what is in flight.
    limited: bool,
    in_flight: usize,
    /// Transmissions in their order; those whose slot has moved on are stale.
    log: VecDeque<(u64, usize)>,
    next_sequence: u64,
    /// The newest transmission that was answered for sure.
    newest_answered: u64,
    rtt: Option<Rtt>,
    /// How often the timer has run out in a row.
    backoff: u32,
    /// The first transmission since the last reply.
    silent_since: Option<Duration>,
    /// Since when it refuses, how often it has, and when to try again.
    refusing: Option<(Duration, u32, Duration)>,
    given_up: Option<GivenUp>,
}

/// RFC 6298, section 2.
#[derive(Debug, Clone, Copy)]
struct Rtt {
    smoothed: Duration,
    variation: Duration,
}

impl Pipeline {
    /// A pipeline to this number of servers, numbered from 0.
    pub fn new(servers: usize, timeouts: Timeouts) -> Pipeline {
        Pipeline {
            timeouts,
            servers: (0..servers).map(|_| ServerState::new()).collect(),
            slots: Vec::new(),
            free: Vec::new(),
            in_progress: HashMap::new(),
            ready: VecDeque::new(),
            counts: PipelineCounts::default(),
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> &PipelineCounts {
        &self.counts
    }

    /// How many submitted requests have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.in_progress.len()
    }

    /// Whether a further request could be sent at once.
    pub fn has_room(&self) -> bool {
        self.ready.is_empty() && self.servers.iter().any(ServerState::has_room)
    }

    /// Why a server is no longer asked, if it is not.
    pub fn given_up(&self, server: usize) -> Option<GivenUp> {
        self.servers[server].given_up
    }

    /// Whether no server is left to ask.
    pub fn is_abandoned(&self) -> bool {
        self.servers.iter().all(|server| server.given_up.is_some())
    }

    /// Asks a server again that was given up, at another address.
    pub fn replace(&mut self, server: usize) {
        self.requeue_all(server);
        self.servers[server] = ServerState::new();
    }

    /// Gives a server up that cannot be sent to.
    pub fn abandon(&mut self, server: usize) {
        self.requeue_all(server);
        self.servers[server].given_up = Some(GivenUp::Unreachable);
    }

    /// Takes a request; `tag` comes back with its reply. `id` is from a cryptographic generator; false if it is in
    /// progress already, and another must be drawn.
    ///
    /// # Panics
    /// If the operands do not make a request; see [`extended::Request::new`].
    #[must_use]
    pub fn submit(&mut self, tag: u64, id: u64, request: &NewRequest<'_>) -> bool {
        if self.in_progress.contains_key(&id) {
            return false;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new());
            self.slots.len() - 1
        });
        let NewRequest { operator, format, width, operands } = *request;
        let request = extended::Request::new(operator, format, width, id, operands).expect("checked by the caller");
        let entry = &mut self.slots[slot];
        entry.len = request.encode(&mut entry.datagram[..]);
        (entry.id, entry.tag, entry.transmissions, entry.flight) = (id, tag, 0, None);
        self.in_progress.insert(id, slot);
        self.ready.push_back((slot, id));
        true
    }

    /// A datagram that is due, the server that it goes to, and which transmission of its request this is, the first
    /// being 1. It counts as sent. Call it again until it gives none. This is also what notices that time is up.
    pub fn transmit(&mut self, now: Duration) -> Option<(usize, &[u8], u32)> {
        self.expire(now);
        while let Some(&(slot, id)) = self.ready.front() {
            if self.in_progress.get(&id) != Some(&slot) || self.slots[slot].flight.is_some() {
                // Answered, or sent, since it was put here.
                self.ready.pop_front();
                continue;
            }
            let server = self.with_most_room(now)?;
            self.ready.pop_front();
            let entry = &mut self.slots[slot];
            entry.transmissions = entry.transmissions.saturating_add(1);
            self.counts.transmissions += 1;
            self.counts.repeats += u64::from(entry.transmissions > 1);
            entry.flight = Some(self.servers[server].fly(slot, server, now));
            return Some((server, &entry.datagram[..entry.len], entry.transmissions));
        }
        None
    }

    /// When to call [`transmit`](Self::transmit) next if nothing arrives before; `None` if nothing is awaited.
    pub fn wake_at(&self) -> Option<Duration> {
        let waiting = !self.ready.is_empty();
        let timers = self.servers.iter().filter_map(|server| match server.refusing {
            _ if server.given_up.is_some() => None,
            Some((_, _, again)) if server.in_flight == 0 => waiting.then_some(again),
            _ => self.timer(server),
        });
        timers.min()
    }

    /// Takes a datagram that arrived from a server; returns the tag of the request that it answers, and the reply.
    ///
    /// # Errors
    /// It does not count as a reply, and is ignored.
    pub fn receive<'a>(
        &mut self,
        now: Duration,
        server: usize,
        datagram: &'a [u8],
    ) -> Result<(u64, Reply<'a>), IgnoredReason> {
        let (slot, reply) = self.judge(datagram).inspect_err(|_| self.counts.ignored += 1)?;
        self.counts.answered += 1;
        let Slot { id, tag, transmissions, ref mut flight, .. } = self.slots[slot];
        self.in_progress.remove(&id);
        self.free.push(slot);
        let flight = flight.take();
        // A server that answers is alive, also if the request has been sent to another one since.
        self.servers[server].answered(now);
        if let Some(flight) = flight {
            let asked = &mut self.servers[flight.server];
            asked.in_flight -= 1;
            // A reply to a repeated request tells neither when nor which transmission (Karn; RFC 6298, section 3).
            if transmissions == 1 {
                asked.measured(now.saturating_sub(flight.at), flight.sequence);
                self.find_losses(flight.server);
            }
        }
        Ok((tag, reply))
    }

    /// A server's socket reported ECONNREFUSED.
    pub fn refused(&mut self, now: Duration, server: usize) {
        self.requeue_all(server);
        let asked = &mut self.servers[server];
        asked.window.refused();
        let (since, times) = asked.refusing.map_or((now, 0), |(since, times, _)| (since, times + 1));
        asked.refusing = Some((since, times, now.saturating_add(backed_off(REFUSAL_WAIT, times.into()))));
        if now.saturating_sub(since) >= self.timeouts.refusal {
            asked.given_up = Some(GivenUp::Refused);
        }
    }

    fn judge<'a>(&self, datagram: &'a [u8]) -> Result<(usize, Reply<'a>), IgnoredReason> {
        let reply = Reply::decode(datagram).map_err(IgnoredReason::of_extended)?;
        let unknown = IgnoredReason::UnknownIdentifier { found: reply.id() };
        let slot = self.in_progress.get(&reply.id()).ok_or(unknown)?;
        Ok((*slot, reply))
    }

    /// Of the servers that answer, else of those that do not, the one with the largest free share of its window.
    fn with_most_room(&mut self, now: Duration) -> Option<usize> {
        let free =
            |server: &ServerState| (server.window.size() - server.in_flight) as f64 / server.window.size() as f64;
        let doubt = |server: &ServerState| server.backoff + u32::from(server.refusing.is_some());
        let able = self.servers.iter().enumerate().filter(|(_, server)| server.has_room() && server.may_try(now));
        let best = able.max_by(|(_, a), (_, b)| doubt(b).cmp(&doubt(a)).then(free(a).total_cmp(&free(b))));
        let best = best.map(|(place, _)| place);
        if best.is_none() {
            self.servers.iter_mut().for_each(|server| server.limited = true);
        }
        best
    }

    /// When the oldest request of a server counts as lost, or the server is given up.
    fn timer(&self, server: &ServerState) -> Option<Duration> {
        let &(_, slot) = server.log.iter().find(|entry| self.is_live(server, entry))?;
        let at = self.slots[slot].flight?.at;
        let lost = at.saturating_add(server.timeout(&self.timeouts));
        let given_up = server.silent_since.map_or(Duration::MAX, |since| since.saturating_add(self.timeouts.give_up));
        Some(lost.min(given_up))
    }

    fn is_live(&self, server: &ServerState, &(sequence, slot): &(u64, usize)) -> bool {
        let flight = self.slots[slot].flight;
        flight.is_some_and(|flight| flight.sequence == sequence && std::ptr::eq(&self.servers[flight.server], server))
    }

    fn expire(&mut self, now: Duration) {
        for place in 0..self.servers.len() {
            let due = self.timer(&self.servers[place]).is_some_and(|timer| timer <= now);
            if due && self.servers[place].given_up.is_none() {
                self.requeue_all(place);
                let server = &mut self.servers[place];
                server.window.timed_out(server.next_sequence);
                server.backoff = server.backoff.saturating_add(1);
                let silent =
                    server.silent_since.is_some_and(|since| now.saturating_sub(since) >= self.timeouts.give_up);
                server.given_up = silent.then_some(GivenUp::Silent);
            }
        }
    }

    /// Requeues all that a server has not answered, oldest first, for any server that has room.
    fn requeue_all(&mut self, server: usize) {
        while let Some(entry) = self.servers[server].log.pop_back() {
            if self.is_live(&self.servers[server], &entry) {
                self.requeue(entry.1);
            }
        }
        self.servers[server].in_flight = 0;
    }

    fn requeue(&mut self, slot: usize) {
        self.slots[slot].flight = None;
        self.ready.push_front((slot, self.slots[slot].id));
    }

    /// Requeues what was sent well before something that has been answered.
    fn find_losses(&mut self, place: usize) {
        while let Some(&entry) = self.servers[place].log.front() {
            let live = self.is_live(&self.servers[place], &entry);
            let server = &mut self.servers[place];
            if live && entry.0 + REORDERING > server.newest_answered {
                break;
            }
            server.log.pop_front();
            if live {
                server.in_flight -= 1;
                server.window.lost(entry.0, server.next_sequence);
                self.requeue(entry.1);
            }
        }
    }
}

impl ServerState {
    fn new() -> ServerState {
        ServerState {
            window: CongestionWindow::new(INITIAL_WINDOW, LEAST_WINDOW, MAX_WINDOW),
            limited: false,
            in_flight: 0,
            log: VecDeque::new(),
            next_sequence: 1,
            newest_answered: 0,
            rtt: None,
            backoff: 0,
            silent_since: None,
            refusing: None,
            given_up: None,
        }
    }

    fn has_room(&self) -> bool {
        self.given_up.is_none() && self.in_flight < self.window.size()
    }

    fn may_try(&self, now: Duration) -> bool {
        self.refusing.is_none_or(|(_, _, again)| again <= now)
    }

    fn fly(&mut self, slot: usize, server: usize, now: Duration) -> Flight {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.in_flight += 1;
        self.limited |= self.in_flight == self.window.size();
        self.silent_since.get_or_insert(now);
        self.log.push_back((sequence, slot));
        Flight { server, sequence, at: now }
    }

    fn answered(&mut self, now: Duration) {
        self.backoff = 0;
        self.refusing = None;
        self.given_up = None;
        self.silent_since = (self.in_flight > 1).then_some(now);
        let limiting = self.limited;
        self.limited &= self.in_flight > self.window.size() / 2;
        self.window.answered(limiting);
    }

    fn measured(&mut self, sample: Duration, sequence: u64) {
        self.newest_answered = self.newest_answered.max(sequence);
        self.rtt = Some(match self.rtt {
            None => Rtt { smoothed: sample, variation: sample / 2 },
            Some(Rtt { smoothed, variation }) => Rtt {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
            },
        });
    }

    fn timeout(&self, timeouts: &Timeouts) -> Duration {
        let estimate = self.rtt.map_or(timeouts.first_wait, |rtt| {
            (rtt.smoothed + rtt.variation * 4).max(LEAST_TIMEOUT.min(timeouts.first_wait))
        });
        backed_off(estimate, self.backoff.into())
    }
}

impl Slot {
    fn new() -> Slot {
        Slot { datagram: Box::new([0; MAX_REQUEST]), len: 0, id: 0, tag: 0, transmissions: 0, flight: None }
    }
}

#[cfg(test)]
mod tests;
