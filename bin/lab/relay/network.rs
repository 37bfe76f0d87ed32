//! The network with faults, without sockets: datagrams enter at one time, and some of them leave later.
//!
//! Nothing here reads a clock or draws from the system's randomness. What happens to a datagram (loss, copies, flipped
//! bits, the random part of its delay) depends on the seed, the number of its client, its direction, its place in that
//! direction's sequence, and its length, and on nothing else. Only two things depend on time: the queue before the
//! limited bandwidth, and which datagram overtakes a held one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::fate::{DropReason, Fate, Fates};
use super::impairments::{FlowDirection, Impairments};
use super::totals::RelayTotals;

/// The octets that the IPv6 and UDP headers add to every datagram on a link of limited bandwidth.
const HEADERS: usize = 48;

/// Datagrams in flight at the same time, over all clients; further ones are dropped and counted.
const MAX_UNDER_WAY: usize = 65_536;

/// The same for octets in flight.
const MAX_OCTETS_UNDER_WAY: usize = 64 << 20;

/// A datagram that leaves the network.
#[derive(Debug, Eq, PartialEq)]
pub struct Departure {
    /// The number of its client.
    pub client: u64,
    /// Where it goes.
    pub direction: FlowDirection,
    /// Its octets, truncated or changed by its fate.
    pub payload: Vec<u8>,
    /// Whether it is the copy.
    pub copy: bool,
}

/// The network between any number of clients and one server.
pub struct Network {
    impairments: [Impairments; 2],
    seed: u64,
    /// When each direction's bandwidth is free again.
    busy_until: [Duration; 2],
    links: HashMap<(u64, FlowDirection), Link>,
    /// In order of departure; the number decides between datagrams of the same instant.
    in_flight: BTreeMap<(Duration, u64), Departure>,
    octets_in_flight: usize,
    next_number: u64,
    totals: [RelayTotals; 2],
}

/// One client's sequence in one direction.
struct Link {
    fates: Fates,
    /// Keys in `in_flight` of the datagrams that are held until another overtakes them.
    held: Vec<(Duration, u64)>,
}

impl Network {
    /// A network without datagrams in it. For the same seed the same sequence has the same fate.
    pub fn new(to_server: Impairments, to_client: Impairments, seed: u64) -> Self {
        Self {
            impairments: [to_server, to_client],
            seed,
            busy_until: [Duration::ZERO; 2],
            links: HashMap::new(),
            in_flight: BTreeMap::new(),
            octets_in_flight: 0,
            next_number: 0,
            totals: [RelayTotals::default(); 2],
        }
    }

    /// Accepts a datagram at time `now` (since any fixed instant, monotonic) and decides its fate.
    ///
    /// `client` numbers the clients from 0 in the order of their first datagrams.
    pub fn send(&mut self, now: Duration, client: u64, direction: FlowDirection, datagram: &[u8]) -> Fate {
        let seed = self.seed;
        let link = || Link { fates: Fates::new(seed, client, direction), held: Vec::new() };
        let link = self.links.entry((client, direction)).or_insert_with(link);
        let mut fate = link.fates.draw(&self.impairments[direction as usize], datagram.len());
        if fate.dropped.is_none() {
            fate.dropped = self.occupy(now, direction, &mut fate.delays, datagram.len());
        }
        self.totals[direction as usize].count(datagram.len(), &fate);
        if fate.dropped.is_some() {
            return fate;
        }
        let payload = fate.applied_to(datagram);
        if fate.duplicated {
            let copy = Departure { client, direction, payload: payload.clone(), copy: true };
            self.schedule(now + fate.delays[1], copy);
        }
        let hold = if fate.held { self.impairments[direction as usize].reorder_hold } else { Duration::ZERO };
        let departure = Departure { client, direction, payload, copy: false };
        let key = self.schedule(now + fate.delays[0] + hold, departure);
        self.overtake(client, direction, key, fate.held);
        fate
    }

    /// When the next datagram leaves, if one is in flight.
    pub fn next_departure(&self) -> Option<Duration> {
        self.in_flight.first_key_value().map(|((time, _), _)| *time)
    }

    /// The next datagram that has left by `now`.
    pub fn depart(&mut self, now: Duration) -> Option<Departure> {
        let entry = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (key, departure) = entry.remove_entry();
        self.octets_in_flight -= departure.payload.len();
        if let Some(link) = self.links.get_mut(&(departure.client, departure.direction)) {
            link.held.retain(|held| *held != key);
        }
        let totals = &mut self.totals[departure.direction as usize];
        totals.sent += 1;
        totals.sent_octets += departure.payload.len() as u64;
        Some(departure)
    }

    /// Forgets a client's sequences; its datagrams in flight still leave.
    pub fn forget(&mut self, client: u64) {
        self.links.remove(&(client, FlowDirection::ToServer));
        self.links.remove(&(client, FlowDirection::ToClient));
    }

    /// The counts so far of one direction.
    pub fn totals(&self, direction: FlowDirection) -> RelayTotals {
        self.totals[direction as usize]
    }

    /// The clients that have datagrams in flight, each once for every datagram.
    pub fn clients_in_flight(&self) -> impl Iterator<Item = u64> {
        self.in_flight.values().map(|departure| departure.client)
    }

    /// Datagrams that are still in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Queues a datagram and adds the wait for the bandwidth to its delays, or returns why it is dropped.
    fn occupy(
        &mut self,
        now: Duration,
        direction: FlowDirection,
        delays: &mut [Duration; 2],
        length: usize,
    ) -> Option<DropReason> {
        // Always with room for a copy, so that the decision does not depend on whether there is one.
        if self.in_flight.len() + 2 > MAX_UNDER_WAY || self.octets_in_flight + 2 * length > MAX_OCTETS_UNDER_WAY {
            return Some(DropReason::Overflow);
        }
        let impairments = &self.impairments[direction as usize];
        let rate = impairments.rate? as f64;
        let busy_until = &mut self.busy_until[direction as usize];
        let waiting = busy_until.saturating_sub(now).as_secs_f64() * rate / 8.0;
        let size = (length + HEADERS) as f64;
        if waiting > 0.0 && waiting + size > impairments.queue as f64 {
            return Some(DropReason::QueueFull);
        }
        *busy_until = (*busy_until).max(now) + Duration::from_secs_f64(size * 8.0 / rate);
        let wait = *busy_until - now;
        delays.iter_mut().for_each(|delay| *delay += wait);
        None
    }

    fn schedule(&mut self, time: Duration, departure: Departure) -> (Duration, u64) {
        let key = (time, self.next_number);
        self.next_number += 1;
        self.octets_in_flight += departure.payload.len();
        self.in_flight.insert(key, departure);
        key
    }

    /// Moves the datagrams that waited for this one to just after it, unless they leave earlier.
    fn overtake(&mut self, client: u64, direction: FlowDirection, key: (Duration, u64), held: bool) {
        let Some(link) = self.links.get_mut(&(client, direction)) else {
            return;
        };
        let waiting = if held { std::mem::replace(&mut link.held, vec![key]) } else { std::mem::take(&mut link.held) };
        for early in waiting {
            if early < key {
                if held {
                    // This datagram is held too, so it overtakes none: all of them wait.
                    link.held.push(early);
                }
                continue;
            }
            let Some(departure) = self.in_flight.remove(&early) else {
                continue;
            };
            self.in_flight.insert((key.0, self.next_number), departure);
            self.next_number += 1;
        }
    }
}

#[cfg(test)]
mod tests;
