//! The network with faults, without sockets: datagrams enter at one time, and some leave at later times.
//!
//! Nothing here reads a clock or draws from the system's randomness. What happens to a datagram (loss, copies, flipped
//! bits, the random part of its delay) depends on the seed, the number of its client, its direction, its place in that
//! direction's sequence and its length, and on nothing else. Only two things depend on time: the queue before the
//! limited bandwidth, and which datagram overtakes a held one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

use crate::units::{HumanDuration, Probability};

/// What an IPv6 and a UDP header add to every datagram on a link of limited bandwidth, in octets.
const HEADERS: usize = 48;

/// Datagrams in flight at the same time, over all clients; further ones are dropped and counted.
const MAX_UNDER_WAY: usize = 65_536;

/// Octets in flight at the same time, likewise.
const MAX_OCTETS_UNDER_WAY: usize = 64 << 20;

/// Blocks of randomness (64 bytes of ChaCha) for each datagram; more than any fate draws.
const BLOCKS_PER_DATAGRAM: u128 = 64;

/// The direction of a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From a client to the server.
    ToServer = 0,
    /// From the server to a client.
    ToClient = 1,
}

/// How the random part of the delay is distributed; `--jitter` gives its scale.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Distribution {
    /// Evenly from delay - jitter to delay + jitter.
    #[default]
    Uniform,
    /// Normally distributed around the delay, with the jitter as standard deviation.
    Normal,
    /// At least the delay, and the jitter more on average; small additions are the most likely.
    Exponential,
    /// At least the delay, and the jitter more on average, with rare large outliers (shape 3).
    Pareto,
}

/// The impairments of one direction. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Impairments {
    /// The probability that a datagram is dropped.
    pub loss: Probability,
    /// The probability that a datagram arrives twice.
    pub duplicate: Probability,
    /// The probability that a datagram waits until the next one of its client has overtaken it.
    pub reorder: Probability,
    /// The longest wait for that, after which it goes on anyway.
    pub reorder_hold: Duration,
    /// The probability that bits of a datagram are flipped.
    pub corrupt: Probability,
    /// How many bits are flipped then, all different; in a shorter datagram all bits are flipped.
    pub corrupt_bits: usize,
    /// The probability that a datagram is truncated to a random length, from 0 to one octet less than its own.
    pub truncate: Probability,
    /// The fixed part of the delay.
    pub delay: Duration,
    /// The scale of the random part of the delay.
    pub jitter: Duration,
    /// The shape of the random part of the delay.
    pub distribution: Distribution,
    /// Bandwidth in bit/s; `None` is unlimited. UDP and IPv6 headers (48 octets a datagram) count.
    pub rate: Option<u64>,
    /// How many octets may wait for the bandwidth; a datagram that would exceed this is dropped.
    pub queue: usize,
}

/// The fate of a datagram, decided when it arrives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fate {
    /// Why it is dropped, if it is.
    pub dropped: Option<DropReason>,
    /// The length that remains, if it is truncated.
    pub truncated: Option<usize>,
    /// The bits that are flipped; bit 0 is the most significant one of the first octet.
    pub flipped: Vec<usize>,
    /// It arrives twice.
    pub duplicated: bool,
    /// It waits to be overtaken.
    pub held: bool,
    /// The delays of the original and of the copy, including the wait for bandwidth.
    pub delays: [Duration; 2],
}

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DropReason {
    /// At random, by `--loss`.
    Lost,
    /// The queue before the limited bandwidth is full.
    QueueFull,
    /// More is in flight than the limits of this program allow.
    Overflow,
}

/// Counts of the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Datagrams that came in.
    pub received: u64,
    /// Octets of payload that came in.
    pub received_octets: u64,
    /// Dropped at random.
    pub lost: u64,
    /// Dropped because the queue before the limited bandwidth was full.
    pub queue_full: u64,
    /// Dropped because too much was in flight.
    pub overflow: u64,
    /// Forwarded with flipped bits.
    pub corrupted: u64,
    /// Forwarded truncated.
    pub truncated: u64,
    /// Forwarded twice.
    pub duplicated: u64,
    /// Held until another overtook it.
    pub reordered: u64,
    /// Came out, copies included.
    pub sent: u64,
    /// Octets of payload that came out.
    pub sent_octets: u64,
}

/// A datagram that leaves the network.
#[derive(Debug, Eq, PartialEq)]
pub struct Departure {
    /// The number of its client.
    pub client: u64,
    /// Where it goes.
    pub direction: Direction,
    /// Its octets, truncated or changed by its fate.
    pub payload: Vec<u8>,
    /// Whether it is the second one of two.
    pub copy: bool,
}

/// The network between any number of clients and one server.
pub struct Network {
    impairments: [Impairments; 2],
    seed: u64,
    /// When each direction's bandwidth is free again.
    busy_until: [Duration; 2],
    links: HashMap<(u64, Direction), Link>,
    /// In order of departure; the number orders datagrams of the same instant.
    in_flight: BTreeMap<(Duration, u64), Departure>,
    octets_in_flight: usize,
    next_number: u64,
    totals: [Totals; 2],
}

/// One client's sequence in one direction.
struct Link {
    random: ChaCha8Rng,
    /// How many datagrams have come in so far.
    count: u64,
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
            totals: [Totals::default(); 2],
        }
    }

    /// Accepts a datagram at time `now` (since any fixed instant, monotonic) and decides its fate.
    ///
    /// `client` numbers the clients from 0 in the order of their first datagrams.
    pub fn send(&mut self, now: Duration, client: u64, direction: Direction, datagram: &[u8]) -> Fate {
        let seed = self.seed;
        let link = self.links.entry((client, direction)).or_insert_with(|| Link::new(seed, client, direction));
        let mut fate = link.draw(&self.impairments[direction as usize], datagram.len());
        if fate.dropped.is_none() {
            fate.dropped = self.occupy(now, direction, &mut fate.delays, datagram.len());
        }
        self.count(direction, datagram.len(), &fate);
        if fate.dropped.is_some() {
            return fate;
        }
        let payload = altered(datagram, &fate);
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
        self.links.remove(&(client, Direction::ToServer));
        self.links.remove(&(client, Direction::ToClient));
    }

    /// The counts so far of one direction.
    pub fn totals(&self, direction: Direction) -> Totals {
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
        direction: Direction,
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

    /// Moves the datagrams that waited for this one to just after it, unless they leave before it anyway.
    fn overtake(&mut self, client: u64, direction: Direction, key: (Duration, u64), held: bool) {
        let Some(link) = self.links.get_mut(&(client, direction)) else {
            return;
        };
        let waiting = if held { std::mem::replace(&mut link.held, vec![key]) } else { std::mem::take(&mut link.held) };
        for early in waiting {
            if early < key {
                if held {
                    // It is held itself, so it overtakes none: all of them wait.
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

    fn count(&mut self, direction: Direction, length: usize, fate: &Fate) {
        let totals = &mut self.totals[direction as usize];
        totals.received += 1;
        totals.received_octets += length as u64;
        match fate.dropped {
            Some(DropReason::Lost) => totals.lost += 1,
            Some(DropReason::QueueFull) => totals.queue_full += 1,
            Some(DropReason::Overflow) => totals.overflow += 1,
            None => {
                totals.corrupted += u64::from(!fate.flipped.is_empty());
                totals.truncated += u64::from(fate.truncated.is_some());
                totals.duplicated += u64::from(fate.duplicated);
                totals.reordered += u64::from(fate.held);
            }
        }
    }
}

impl Link {
    fn new(seed: u64, client: u64, direction: Direction) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(client << 1 | direction as u64);
        Self { random, count: 0, held: Vec::new() }
    }

    /// Draws the fate of the next datagram, apart from the effect of the bandwidth.
    fn draw(&mut self, impairments: &Impairments, length: usize) -> Fate {
        let random = &mut self.random;
        random.set_word_pos(u128::from(self.count) * BLOCKS_PER_DATAGRAM * 16);
        self.count += 1;
        // Every probability is drawn every time, in this order: one option does not change which datagrams another one
        // affects.
        let mut happens = |probability: Probability| random.random_bool(probability.value());
        let lost = happens(impairments.loss);
        let duplicated = happens(impairments.duplicate);
        let held = happens(impairments.reorder);
        let corrupted = happens(impairments.corrupt);
        let truncated = happens(impairments.truncate) && length > 0;
        let delays = [impairments.draw_delay(random), impairments.draw_delay(random)];
        let truncated = truncated.then(|| random.random_range(0..length));
        let flipped = match truncated.unwrap_or(length) * 8 {
            bits if corrupted && bits > 0 => distinct(random, bits, impairments.corrupt_bits),
            _ => Vec::new(),
        };
        Fate { dropped: lost.then_some(DropReason::Lost), truncated, flipped, duplicated, held, delays }
    }
}

impl Impairments {
    /// One delay: the fixed part and a random one. Never negative.
    fn draw_delay(&self, random: &mut ChaCha8Rng) -> Duration {
        let scale = match self.distribution {
            Distribution::Uniform => random.random_range(-1.0..=1.0),
            Distribution::Normal => StandardNormal.sample(random),
            Distribution::Exponential => Exp1.sample(random),
            Distribution::Pareto => pareto(random.random()),
        };
        let seconds = self.delay.as_secs_f64() + self.jitter.as_secs_f64() * scale;
        Duration::from_secs_f64(seconds.clamp(0.0, MAX_DELAY))
    }
}

/// The longest delay, in seconds: a day, as the options allow, and a day of jitter.
const MAX_DELAY: f64 = 172_800.0;

/// A Pareto (Lomax) variable of shape 3 with mean 1, from a uniform one in 0 to 1, by inversion.
fn pareto(uniform: f64) -> f64 {
    const SHAPE: f64 = 3.0;
    (SHAPE - 1.0) * ((1.0 - uniform).powf(-1.0 / SHAPE) - 1.0)
}

/// `wanted` different numbers below `bound` in ascending order, or all of them if there are not as many.
fn distinct(random: &mut ChaCha8Rng, bound: usize, wanted: usize) -> Vec<usize> {
    let mut chosen = rand::seq::index::sample(random, bound, wanted.min(bound)).into_vec();
    chosen.sort_unstable();
    chosen
}

fn altered(datagram: &[u8], fate: &Fate) -> Vec<u8> {
    let mut payload = datagram[..fate.truncated.unwrap_or(datagram.len())].to_vec();
    for bit in &fate.flipped {
        payload[bit / 8] ^= 0x80 >> (bit % 8);
    }
    payload
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dropped {
            Some(DropReason::Lost) => return f.write_str("lost"),
            Some(DropReason::QueueFull) => return f.write_str("dropped: the queue is full"),
            Some(DropReason::Overflow) => return f.write_str("dropped: too many datagrams in flight"),
            None => write!(f, "delayed by {}", HumanDuration(self.delays[0]))?,
        }
        if let Some(length) = self.truncated {
            write!(f, ", truncated to {length} octets")?;
        }
        match &self.flipped[..] {
            [] => {}
            [bit] => write!(f, ", bit {bit} flipped")?,
            bits => write!(f, ", bits {bits:?} flipped")?,
        }
        if self.held {
            f.write_str(", held until overtaken")?;
        }
        if self.duplicated {
            write!(f, ", and a copy by {}", HumanDuration(self.delays[1]))?;
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in", self.received)?;
        let causes = [
            (self.lost, "lost"),
            (self.queue_full, "dropped by the queue"),
            (self.overflow, "dropped as too many in flight"),
            (self.corrupted, "corrupted"),
            (self.truncated, "truncated"),
            (self.duplicated, "duplicated"),
            (self.reordered, "held back"),
        ];
        for (count, cause) in causes.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {cause}")?;
        }
        write!(f, ", {} out", self.sent)
    }
}

impl std::ops::Sub for Totals {
    type Output = Self;

    /// The difference of two readings.
    fn sub(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            received_octets: self.received_octets - earlier.received_octets,
            lost: self.lost - earlier.lost,
            queue_full: self.queue_full - earlier.queue_full,
            overflow: self.overflow - earlier.overflow,
            corrupted: self.corrupted - earlier.corrupted,
            truncated: self.truncated - earlier.truncated,
            duplicated: self.duplicated - earlier.duplicated,
            reordered: self.reordered - earlier.reordered,
            sent: self.sent - earlier.sent,
            sent_octets: self.sent_octets - earlier.sent_octets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{ToClient, ToServer};
    use super::*;

    const TRIALS: u32 = 20_000;

    /// A fixed seed, or in a soak a new one, printed.
    fn seed(fixed: u64) -> u64 {
        match std::env::var_os("CALC6_SOAK") {
            None => fixed,
            Some(_) => {
                let seed = getrandom::u64().unwrap();
                println!("seed {seed}");
                seed
            }
        }
    }

    fn probability(text: &str) -> Probability {
        text.parse().unwrap()
    }

    /// Runs `TRIALS` numbered datagrams of 8 octets through, one a millisecond, until all have come out.
    fn run(impairments: &Impairments, seed: u64) -> (Totals, Vec<(Duration, Vec<u8>)>) {
        let mut network = Network::new(impairments.clone(), Impairments::default(), seed);
        let mut out = Vec::new();
        for trial in 0..TRIALS {
            let now = Duration::from_millis(trial.into());
            collect(&mut network, now, &mut out);
            network.send(now, 0, ToServer, &u64::from(trial).to_be_bytes());
        }
        collect(&mut network, Duration::MAX, &mut out);
        assert_eq!(network.in_flight(), 0);
        assert_eq!(network.octets_in_flight, 0);
        (network.totals(ToServer), out)
    }

    fn collect(network: &mut Network, until: Duration, out: &mut Vec<(Duration, Vec<u8>)>) {
        while let Some(time) = network.next_departure().filter(|time| *time <= until) {
            let departure = network.depart(time).unwrap();
            assert_eq!(departure.direction, ToServer);
            out.push((time, departure.payload));
        }
    }

    /// Within five standard deviations of a binomial count; a wrong run is expected once in two million seeds.
    fn assert_share(count: u64, probability: f64) {
        let trials = f64::from(TRIALS);
        let deviation = (trials * probability * (1.0 - probability)).sqrt();
        let distance = (count as f64 - trials * probability).abs();
        assert!(distance <= 5.0 * deviation, "{count} of {trials}, not {probability}");
    }

    #[test]
    fn without_impairments_everything_passes_at_once_and_in_order() {
        let (totals, out) = run(&Impairments::default(), 1);
        assert_eq!((totals.received, totals.sent), (TRIALS.into(), TRIALS.into()));
        for (trial, (time, payload)) in out.iter().enumerate() {
            assert_eq!(*time, Duration::from_millis(trial as u64));
            assert_eq!(payload[..], (trial as u64).to_be_bytes());
        }
    }

    #[test]
    fn each_rate_is_the_configured_one() {
        for seed in [1, 2, 3].map(seed) {
            let impairments = Impairments {
                loss: probability("30%"),
                duplicate: probability("5%"),
                reorder: probability("10%"),
                reorder_hold: Duration::from_secs(1),
                corrupt: probability("2%"),
                corrupt_bits: 3,
                truncate: probability("1%"),
                ..Impairments::default()
            };
            let (totals, out) = run(&impairments, seed);
            assert_share(totals.lost, 0.3);
            assert_share(totals.duplicated, 0.7 * 0.05);
            assert_share(totals.reordered, 0.7 * 0.1);
            assert_share(totals.truncated, 0.7 * 0.01);
            // A datagram that is truncated to 0 octets has no bits to flip.
            assert_share(totals.corrupted, 0.7 * 0.02 * (1.0 - 0.01 / 8.0));
            assert_eq!(totals.sent, u64::from(TRIALS) - totals.lost + totals.duplicated);
            assert_eq!(totals.sent, out.len() as u64);
        }
    }

    #[test]
    fn the_configured_number_of_different_bits_is_flipped() {
        let impairments = Impairments { corrupt: probability("1"), corrupt_bits: 5, ..Impairments::default() };
        let (_, out) = run(&impairments, seed(7));
        let mut hits = [0_u64; 64];
        for (trial, (_, payload)) in out.iter().enumerate() {
            let flipped = u64::from_be_bytes(payload[..].try_into().unwrap()) ^ trial as u64;
            assert_eq!(flipped.count_ones(), 5);
            (0..64).for_each(|bit| hits[bit] += flipped >> bit & 1);
        }
        hits.into_iter().for_each(|hit| assert_share(hit, 5.0 / 64.0));
        let mut network = Network::new(impairments, Impairments::default(), 7);
        assert_eq!(network.send(Duration::ZERO, 0, ToServer, b"").flipped, [0; 0]);
    }

    #[test]
    fn every_shorter_length_is_equally_likely() {
        let (_, out) = run(&Impairments { truncate: probability("1"), ..Impairments::default() }, seed(5));
        let mut lengths = [0; 8];
        out.iter().for_each(|(_, payload)| lengths[payload.len()] += 1);
        lengths.into_iter().for_each(|count| assert_share(count, 1.0 / 8.0));
    }

    #[test]
    fn a_held_datagram_is_overtaken_by_the_next_one_that_is_not() {
        let hold = Duration::from_millis(100);
        let (totals, out) =
            run(&Impairments { reorder: probability("20%"), reorder_hold: hold, ..Impairments::default() }, 3);
        let order: Vec<u64> =
            out.iter().map(|(_, payload)| u64::from_be_bytes(payload[..].try_into().unwrap())).collect();
        let overtaken = (0..order.len()).filter(|&at| order[at + 1..].iter().take(20).any(|later| *later < order[at]));
        assert!(overtaken.count() > 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..u64::from(TRIALS)), "each arrives once");
        for (time, payload) in &out {
            let sent = Duration::from_millis(u64::from_be_bytes(payload[..].try_into().unwrap()));
            assert!(*time - sent <= hold);
        }
        assert!(totals.reordered > 0);
    }

    #[test]
    fn a_held_datagram_that_nothing_overtakes_leaves_after_the_longest_wait() {
        let hold = Duration::from_millis(40);
        let reorder = Impairments { reorder: probability("1"), reorder_hold: hold, ..Impairments::default() };
        let mut network = Network::new(reorder, Impairments::default(), 1);
        network.send(Duration::ZERO, 0, ToServer, b"only");
        assert_eq!(network.next_departure(), Some(hold));
        assert_eq!(network.depart(hold - Duration::from_nanos(1)), None);
        assert!(network.depart(hold).is_some());
    }

    #[test]
    fn delays_have_the_mean_and_spread_of_their_distribution() {
        let (delay, jitter) = (Duration::from_millis(200), Duration::from_millis(20));
        // In units of the jitter: mean, standard deviation, median, and the least possible value.
        let expected = [
            (Distribution::Uniform, 0.0, 1.0 / 3.0_f64.sqrt(), 0.0, -1.0),
            (Distribution::Normal, 0.0, 1.0, 0.0, -10.0),
            (Distribution::Exponential, 1.0, 1.0, 2.0_f64.ln(), 0.0),
            (Distribution::Pareto, 1.0, 3.0_f64.sqrt(), 2.0 * (2.0_f64.cbrt() - 1.0), 0.0),
        ];
        for (distribution, mean, deviation, median, least) in expected {
            let (_, out) = run(&Impairments { delay, jitter, distribution, ..Impairments::default() }, seed(11));
            let mut scaled: Vec<f64> = out
                .iter()
                .map(|(time, payload)| {
                    let sent = Duration::from_millis(u64::from_be_bytes(payload[..].try_into().unwrap()));
                    ((*time - sent).as_secs_f64() - delay.as_secs_f64()) / jitter.as_secs_f64()
                })
                .collect();
            let trials = f64::from(TRIALS);
            let seen = scaled.iter().sum::<f64>() / trials;
            assert!((seen - mean).abs() < 5.0 * deviation / trials.sqrt(), "{distribution:?}: mean {seen}");
            let spread = (scaled.iter().map(|value| (value - seen).powi(2)).sum::<f64>() / trials).sqrt();
            // The variance of a Pareto variable of shape 3 has itself no finite variance: its tail is seen by the
            // median.
            let heavy = distribution == Distribution::Pareto;
            assert!(heavy || (spread / deviation - 1.0).abs() < 0.05, "{distribution:?}: spread {spread}");
            scaled.sort_by(f64::total_cmp);
            let middle = scaled[scaled.len() / 2];
            assert!((middle - median).abs() < 0.05, "{distribution:?}: median {middle}");
            assert!(scaled.iter().all(|value| *value >= least - 1e-6), "{distribution:?}");
        }
    }

    #[test]
    fn the_bandwidth_spaces_datagrams_and_a_full_queue_drops() {
        // 1,000 octets with headers take a second; four of them may wait.
        let narrow = Impairments { rate: Some(8_000), queue: 4_000, ..Impairments::default() };
        let mut network = Network::new(narrow, Impairments::default(), 1);
        let fates = [(); 10].map(|()| network.send(Duration::ZERO, 0, ToServer, &[0; 1000 - HEADERS]));
        let dropped = fates.map(|fate| fate.dropped);
        assert_eq!(dropped[..4], [None; 4]);
        assert_eq!(dropped[4..], [Some(DropReason::QueueFull); 6]);
        let mut out = Vec::new();
        collect(&mut network, Duration::MAX, &mut out);
        let times: Vec<u64> = out.iter().map(|(time, _)| time.as_millis() as u64).collect();
        assert_eq!(times, [1000, 2000, 3000, 4000]);
        // After a pause the link is free again; the other direction was never occupied.
        let later = Duration::from_secs(60);
        assert_eq!(network.send(later, 0, ToServer, &[0; 1000 - HEADERS]).delays[0], Duration::from_secs(1));
        assert_eq!(network.send(later, 0, ToClient, &[0; 1000]).delays[0], Duration::ZERO);
    }

    #[test]
    fn the_same_seed_gives_the_same_fate_among_other_clients() {
        let all = Impairments {
            loss: probability("20%"),
            duplicate: probability("20%"),
            corrupt: probability("20%"),
            corrupt_bits: 2,
            truncate: probability("20%"),
            jitter: Duration::from_millis(10),
            ..Impairments::default()
        };
        let fates = |seed, others: bool| -> Vec<Fate> {
            let mut network = Network::new(all.clone(), all.clone(), seed);
            let mut now = Duration::ZERO;
            (0..200)
                .map(|_| {
                    if others {
                        now += Duration::from_millis(3);
                        network.send(now, 1, ToServer, b"another client's");
                        network.send(now, 0, ToClient, b"the other direction");
                    }
                    network.send(now, 0, ToServer, b"sixteen octets..")
                })
                .collect()
        };
        assert_eq!(fates(9, false), fates(9, true));
        assert_ne!(fates(9, false), fates(10, false));
    }

    #[test]
    fn one_option_does_not_change_the_effect_of_another() {
        let lost = |truncate| {
            let impairments =
                Impairments { loss: probability("20%"), truncate: probability(truncate), ..Impairments::default() };
            let mut network = Network::new(impairments, Impairments::default(), 4);
            let send = |_| network.send(Duration::ZERO, 0, ToServer, b"octets").dropped;
            (0..500).map(send).collect::<Vec<_>>()
        };
        assert_eq!(lost("0"), lost("50%"));
    }

    #[test]
    fn datagrams_in_flight_are_bounded() {
        let slow = Impairments { delay: Duration::from_secs(1), ..Impairments::default() };
        let mut network = Network::new(slow.clone(), Impairments::default(), 1);
        let overflow = (0..=MAX_UNDER_WAY).filter(|_| {
            let fate = network.send(Duration::ZERO, 0, ToServer, b"");
            fate.dropped == Some(DropReason::Overflow)
        });
        assert_eq!(overflow.count(), 2);
        let mut network = Network::new(slow, Impairments::default(), 1);
        (0..2_000).for_each(|_| drop(network.send(Duration::ZERO, 0, ToServer, &[0; 60_000])));
        assert!(network.octets_in_flight <= MAX_OCTETS_UNDER_WAY);
    }

    #[test]
    fn a_fate_is_described_in_words() {
        let fate = Fate {
            dropped: None,
            truncated: Some(3),
            flipped: vec![17],
            duplicated: true,
            held: true,
            delays: [Duration::from_millis(10), Duration::from_millis(12)],
        };
        let words =
            "delayed by 10.0 ms, truncated to 3 octets, bit 17 flipped, held until overtaken, and a copy by 12.0 ms";
        assert_eq!(fate.to_string(), words);
        assert_eq!(Fate { dropped: Some(DropReason::Lost), ..fate }.to_string(), "lost");
    }
}
