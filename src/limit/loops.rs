//! A guard against loops: two servers that take each other's replies for requests.
//!
//! calc6 servers never answer each other, because they recognise each other's replies. The error of another server may,
//! however, look like a request; the answer is then an error to that server, and one datagram with a forged source
//! starts an exchange that neither side ends. A slow loop stays below every rate limit. But a loop has no timer: it
//! ends with the first datagram that is lost, while a client repeats its request. Therefore one of very many requests
//! from one source and port is dropped.
//!
//! The guard counts requests from one source address and port whose replies can be part of a loop: those that are
//! answered with an error, with any octets, because the errors of another server need not be identical; and those that
//! are answered with a classic result, if they are identical to the one before. An extended result requires a
//! well-formed extended request, with an operator and a reserved octet of 0, which no other protocol sends by chance.
//! So a client that asks ever different questions loses nothing, however many they are. What is left is a foreign
//! server whose errors all differ and all read as well-formed sums or products.
//!
//! The memory is [`ENTRIES`] entries in sets of eight, in which the least recently used entry is evicted. The hash that
//! chooses the set is keyed, so that a sender cannot aim at an entry. The bounds, for a loop of any delay:
//!
//! - While the entry of the loop stays in memory, it ends after [`LIMIT`] exchanges, and a client that asks fewer than
//!   `LIMIT` times loses nothing. If there are `k` loops between the same two ports, one ends every `LIMIT` datagrams,
//!   so that the last has had about `LIMIT * (1 + 1/2 + ... + 1/k)` exchanges: below 10,000 for up to 70 loops.
//! - If so many others send that an entry is evicted within an hour of its last use, new entries of its set start with
//!   a random count from `LIMIT / 2`: then each exchange ends the loop with a probability of at least 1 in `LIMIT`, and
//!   of 1 in `LIMIT / 2` if the entry is always evicted before the next request (10,000 exchanges then do not end one
//!   loop in 17,000). Other clients lose one request in `LIMIT / 2` at most.

use alloc::boxed::Box;
use core::fmt;
use core::net::Ipv6Addr;

use siphasher::sip::SipHasher13;

use super::Refusal;

/// One in this many requests from one source and port is dropped. It is more than twice the requests of a client that
/// asks a thousand times, and low enough to end dozens of loops between the same ports within 10,000 exchanges.
pub const LIMIT: u32 = 2048;

/// The number of sources and ports that one worker remembers, in 16 bytes each.
pub const ENTRIES: usize = 4096;

/// The sources and ports that one worker answers: 64 KiB, allocated and written at the start; it never grows.
///
/// ```
/// use calc6::limit::{LoopGuard, Refusal, loops::LIMIT};
/// let mut guard = LoopGuard::new([1, 2]); // random numbers in a server
/// let source = "2001:db8::7".parse()?;
/// let refused = (0..LIMIT).map(|_| guard.check(source, 50_000, &[], true, 0)).find_map(Result::err);
/// assert_eq!(refused, Some(Refusal::Loop));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone)]
pub struct LoopGuard {
    sets: Box<[LoopSet]>,
    hasher: SipHasher13,
    latest: LatestPeer,
    /// Counts the random counts given to new entries.
    draws: u64,
}

impl LoopGuard {
    /// A guard with an empty memory and a `key` that senders cannot know. It may be the key of the rate limit.
    pub fn new(key: [u64; 2]) -> LoopGuard {
        LoopGuard::with_sets(key, ENTRIES / WAYS)
    }

    fn with_sets(key: [u64; 2], sets: usize) -> LoopGuard {
        debug_assert!(sets.is_power_of_two() && sets as u64 <= 1 << 32);
        let sets = alloc::vec![LoopSet { entries: [Entry(0); WAYS], requests: [0; WAYS] }; sets].into_boxed_slice();
        let hasher = SipHasher13::new_with_keys(key[0], key[1]);
        let latest = LatestPeer { source: Ipv6Addr::UNSPECIFIED, port: 0, hash: 0 };
        let mut guard = LoopGuard { sets, hasher, latest, draws: 0 };
        guard.latest.hash = guard.hash(guard.latest.source, guard.latest.port);
        guard
    }

    /// Counts a reply that is about to be sent to `source` and `port` at `now`, in nanoseconds on any monotonic clock:
    /// an error, or a classic result. `request` has the octets that are answered.
    ///
    /// # Errors
    ///
    /// [`Refusal::Loop`] if it must not be sent.
    #[inline]
    pub fn check(
        &mut self,
        source: Ipv6Addr,
        port: u16,
        request: &[u8],
        is_error: bool,
        now: u64,
    ) -> Result<(), Refusal> {
        // Datagrams of one socket often come together: the hash of the latest is remembered.
        if (self.latest.source, self.latest.port) != (source, port) {
            self.latest = LatestPeer { source, port, hash: self.hash(source, port) };
        }
        let hash = self.latest.hash;
        // A mask within the length, which is a power of two: the index is always in range. The tag has other bits.
        let index = hash as usize & (self.sets.len() - 1);
        let (tag, second) = ((hash >> 32) as u32, (now / SECOND) as u32);
        let request = fingerprint(request);
        let set = &self.sets[index];
        let (way, count) = match set.entries.iter().position(|entry| entry.tag() == tag) {
            Some(way) => {
                let counts = is_error || set.requests[way] == request;
                (way, set.entries[way].count() + u32::from(counts))
            }
            None => (WAYS - 1, self.first_count(set.entries[WAYS - 1], second)),
        };
        let set = &mut self.sets[index];
        if way > 0 {
            set.entries.copy_within(..way, 1);
            set.requests.copy_within(..way, 1);
        }
        set.entries[0] = Entry::new(tag, second, count % LIMIT);
        set.requests[0] = request;
        if count < LIMIT { Ok(()) } else { Err(Refusal::Loop) }
    }

    fn hash(&self, source: Ipv6Addr, port: u16) -> u64 {
        let mut octets = [0; 18];
        octets[..16].copy_from_slice(&source.octets());
        octets[16..].copy_from_slice(&port.to_be_bytes());
        self.hasher.hash(&octets)
    }

    /// The first count of a new entry that replaces `evicted`.
    fn first_count(&mut self, evicted: Entry, second: u32) -> u32 {
        if evicted.0 == 0 || evicted.age(second) >= EXPIRY {
            return 1;
        }
        self.draws = self.draws.wrapping_add(1);
        // A source and port have 18 octets and a draw 8, so that the hash of a draw reveals nothing about their set.
        let random = self.hasher.hash(&self.draws.to_le_bytes()) as u32;
        LIMIT / 2 + 1 + random % (LIMIT / 2)
    }
}

impl fmt::Debug for LoopGuard {
    /// Shows neither the key nor the memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopGuard").field("entries", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

const WAYS: usize = 8;
const SECOND: u64 = 1_000_000_000;

/// Seconds after which an unused entry counts as empty.
const EXPIRY: u32 = 3600;

/// A number that tells different requests apart, nearly always. It needs no key: who makes two requests look alike is
/// counted as if they were.
fn fingerprint(request: &[u8]) -> u32 {
    // The multiplier of splitmix64's sequence: an odd number whose bits have no pattern.
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = request.as_chunks::<8>();
    let mut hash = words.iter().fold(request.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = match request.last_chunk::<8>() {
        // It overlaps the word before it: copying the rest would cost more.
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |last, octet| last << 8 | u64::from(*octet)),
    };
    hash = mix(hash, last);
    (hash >> 32) as u32
}

/// The latest source and port, and their hash.
#[derive(Clone)]
struct LatestPeer {
    source: Ipv6Addr,
    port: u16,
    hash: u64,
}

/// Most recently used first.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct LoopSet {
    entries: [Entry; WAYS],
    /// The fingerprint of the latest request of each.
    requests: [u32; WAYS],
}

/// 32 bits of the hash, 20 bits of the second of the last use, 12 bits of a count below [`LIMIT`]. 0 if unused.
#[derive(Clone, Copy)]
struct Entry(u64);

const SECOND_BITS: u32 = 20;
const COUNT_BITS: u32 = 12;
const _: () = assert!(size_of::<LoopSet>() == 128 && (ENTRIES / WAYS).is_power_of_two() && LIMIT <= 1 << COUNT_BITS);

impl Entry {
    fn new(tag: u32, second: u32, count: u32) -> Entry {
        let second = second % (1 << SECOND_BITS);
        Entry(u64::from(tag) << 32 | u64::from(second) << COUNT_BITS | u64::from(count))
    }

    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn count(self) -> u32 {
        self.0 as u32 % (1 << COUNT_BITS)
    }

    /// Seconds since its last use, modulo 2^20, which are twelve days.
    fn age(self, second: u32) -> u32 {
        second.wrapping_sub(self.0 as u32 >> COUNT_BITS) % (1 << SECOND_BITS)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    const KEY: [u64; 2] = [1, 2];

    const PEER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

    /// 1 + 3 in the classic form.
    const SUM: [u8; 9] = [0, 0, 0, 0, 1, 0, 0, 0, 3];

    /// The exchanges after which a loop must have ended.
    const MOST: u64 = 10_000;

    /// The `n`th of many other clients.
    fn other(n: u64) -> (Ipv6Addr, u16) {
        (Ipv6Addr::from_bits(0x2001_0db8_ffff << 80 | u128::from(n)), 1024 + (n % 60_000) as u16)
    }

    /// The exchanges of each of some loops between the same two ports, until it ends. An exchange takes `delay`
    /// nanoseconds; meanwhile `others` clients ask once each.
    fn exchanges(loops: usize, delay: u64, others: f64) -> Vec<u64> {
        let mut guard = LoopGuard::new(KEY);
        let mut ended = Vec::new();
        let (mut now, mut clients, mut due, mut round) = (0, 0, 0.0, 0);
        while ended.len() < loops && round < 10 * MOST {
            round += 1;
            now += delay;
            due += others;
            while due >= 1.0 {
                let (source, port) = other(clients);
                clients += 1;
                due -= 1.0;
                let _ = guard.check(source, port, &SUM, false, now);
            }
            for _ in ended.len()..loops {
                if guard.check(PEER, 4000, &SUM, false, now).is_err() {
                    ended.push(round);
                }
            }
        }
        ended
    }

    const MILLISECOND: u64 = SECOND / 1000;

    #[test]
    fn a_loop_of_any_delay_ends() {
        for delay in [0, 1000, 20 * MILLISECOND, SECOND, 600 * SECOND, 24 * 3600 * SECOND] {
            assert_eq!(exchanges(1, delay, 0.0), [u64::from(LIMIT)], "{delay} ns");
        }
    }

    #[test]
    fn a_loop_ends_among_other_clients() {
        for others in [0.01, 1.0, 20.0, 200.0, 1000.0, 5000.0] {
            for delay in [20 * MILLISECOND, SECOND] {
                let ended = exchanges(1, delay, others);
                assert!(ended.len() == 1 && ended[0] <= MOST, "{others} others, {delay} ns: {ended:?}");
            }
        }
    }

    #[test]
    fn loops_between_the_same_ports_end_one_after_the_other() {
        for loops in [2, 10, 70] {
            let ended = exchanges(loops, 20 * MILLISECOND, 1.0);
            assert!(ended.len() == loops && ended[loops - 1] <= MOST, "{loops}: {ended:?}");
        }
    }

    #[test]
    fn a_client_that_asks_a_thousand_times_loses_nothing() {
        let mut guard = LoopGuard::new(KEY);
        // A thousand clients in turn, an hour each, then some hundred together.
        for client in 0..1000 {
            let (source, port) = other(client);
            for _ in 0..1000 {
                assert_eq!(guard.check(source, port, &SUM, false, client * 3600 * SECOND), Ok(()), "client {client}");
            }
        }
        let mut guard = LoopGuard::new(KEY);
        for round in 0..1000 {
            for client in 0..500 {
                let (source, port) = other(client);
                assert_eq!(guard.check(source, port, &SUM, false, round * SECOND), Ok(()), "client {client}");
            }
        }
    }

    #[test]
    fn one_of_very_many_is_dropped() {
        let mut guard = LoopGuard::new(KEY);
        let dropped: Vec<u32> = (1..=10 * LIMIT).filter(|_| guard.check(PEER, 4000, &SUM, false, 0).is_err()).collect();
        assert_eq!(dropped, (1..=10).map(|n| n * LIMIT).collect::<Vec<_>>());
    }

    #[test]
    fn different_results_never_count_and_different_errors_do() {
        let mut guard = LoopGuard::new(KEY);
        let request = |n: u32| [&[0, 0, 0, 0, 1][..], &n.to_be_bytes()].concat();
        assert!((0..10 * LIMIT).all(|n| guard.check(PEER, 4000, &request(n), false, 0).is_ok()));
        let mut guard = LoopGuard::new(KEY);
        let ended = (1..=10 * LIMIT).position(|n| guard.check(PEER, 4000, &request(n), true, 0).is_err());
        assert_eq!(ended, Some(LIMIT as usize - 1));
    }

    #[test]
    fn fingerprints_tell_requests_apart() {
        let requests = (0..100_000u32).map(|n| fingerprint(&[&[0, 0, 0, 0, 1][..], &n.to_be_bytes()].concat()));
        let different: alloc::collections::BTreeSet<u32> = requests.collect();
        assert!(different.len() > 99_990, "{}", different.len());
        assert_ne!(fingerprint(&[0]), fingerprint(&[0, 0]));
    }

    #[test]
    fn many_clients_lose_few_requests() {
        let mut guard = LoopGuard::new(KEY);
        let asked = 2_000_000;
        let lost =
            (0..asked).filter(|n| guard.check(other(*n).0, other(*n).1, &SUM, false, n * 1000).is_err()).count() as u64;
        let most = asked / u64::from(LIMIT / 2);
        assert!(lost < most + most / 5, "{lost} of {asked}");
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted() {
        let mut guard = LoopGuard::with_sets(KEY, 1);
        let mut counts = vec![];
        for n in 0..8 {
            guard.check(other(n).0, other(n).1, &SUM, false, 0).unwrap();
        }
        for _ in 0..2 {
            guard.check(other(0).0, other(0).1, &SUM, false, 0).unwrap();
        }
        // The eighth other evicts the second, not the first.
        guard.check(other(8).0, other(8).1, &SUM, false, 10_000 * SECOND).unwrap();
        guard.check(other(0).0, other(0).1, &SUM, false, 10_000 * SECOND).unwrap();
        counts.extend(guard.sets[0].entries.iter().map(|entry| entry.count()));
        assert_eq!(counts, [4, 1, 1, 1, 1, 1, 1, 1]);
    }
}
