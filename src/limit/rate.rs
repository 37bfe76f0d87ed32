//! A rate limit per source prefix, in memory that never grows.
//!
//! A prefix is the first 64 bits of an IPv6 source, which is what one site or one host has (RFC 4291 section 2.5.4,
//! RFC 6177), or the whole of an IPv4 one; the loopback addresses have no limit. Each prefix has a bucket: `burst`
//! datagrams may come at once, and `per_second` in the long run (the generic cell rate algorithm, ITU-T I.371: all
//! that is kept is the time at which the bucket will have emptied). What is over is dropped, never delayed, except
//! for one in `leak`, chosen by chance: whoever forges a victim's address can then use up the victim's rate, but not
//! silence it.
//!
//! The table is set-associative: a keyed hash, which a sender cannot predict, chooses a set of four buckets, one cache
//! line. A prefix that is new there takes the place of the one whose bucket empties first, *and inherits that level*
//! (the rule of the Space-Saving algorithm, Metwally et al. 2005). The levels of a set therefore only rise but for the
//! passing of time, and so:
//!
//! - whatever else arrives, and from however many prefixes, no prefix is admitted more than `burst + per_second * t`
//!   times in `t` seconds: being pushed out of the table and coming back gains nothing;
//! - a new prefix suffers from others only where all four buckets of its set are in use. To fill every set a flood of
//!   forged sources needs [`ENTRIES`] times `per_second` datagrams a second, more than a worker can read.
//!
//! The converse error, a prefix limited for the sake of another in its set, is what the leaked share softens.
//!
//! Each worker has a table of its own, so that no cache line is shared. SO_REUSEPORT spreads datagrams by address *and
//! port*: one socket of a client always meets the same worker and is limited to the rate; a prefix that uses many
//! ports can reach that many times the rate as there are workers.

use std::fmt;
use std::net::Ipv6Addr;
use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;

use siphasher::sip::SipHasher13;
use thiserror::Error;

/// The number of prefixes that one table tells apart.
pub const ENTRIES: usize = 8192;

/// How many datagrams a prefix may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Datagrams per second in the long run, 1 to 10^9.
    pub per_second: NonZeroU32,
    /// Datagrams at once, 1 to 10^9.
    pub burst: NonZeroU32,
    /// Of the datagrams over the rate, one in `leak` is answered all the same; 0: none is.
    pub leak: u32,
}

/// What the operator asks for: `off`, or `N/s` with `,burst=B` and `,leak=L` behind it if wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Every datagram is answered.
    Off,
    /// The limit.
    On(Policy),
}

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its prefix is within its rate, or has none: answer.
    Answer,
    /// Over the rate; answer all the same, by chance or because this is a dry run.
    Leak,
    /// Over the rate: drop.
    Drop,
}

/// The table of one worker: 16 octets for each of its [`ENTRIES`], written once at the start, so that they are resident
/// from then on and no flood can make them grow.
#[derive(Clone)]
pub struct RateLimit {
    /// None if there is no limit.
    sets: Box<[Set]>,
    hasher: SipHasher13,
    /// Nanoseconds between two datagrams at the rate.
    interval: u64,
    /// How far ahead of the present, in nanoseconds, a bucket's time may lie for one more datagram to be admitted.
    tolerance: u64,
    leak: u32,
    dry_run: bool,
    /// Counts the draws for a leak.
    draws: u64,
}

/// A text is not a setting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingError {
    /// The first part is not `N/s`.
    #[error("the rate must be `off` or a number per second such as 5000/s, optionally with ,burst=N and ,leak=N")]
    Rate,
    /// Something else than `burst=` or `leak=` follows.
    #[error("`{0}` is neither burst=N nor leak=N")]
    Field(String),
    /// A number cannot be read.
    #[error("`{0}`: {1}")]
    Number(String, ParseIntError),
    /// A number is zero that must not be, or over 10^9.
    #[error("{0} must be 1 to 1000000000")]
    Range(&'static str),
    /// One in one would be no limit.
    #[error("leak must be 0 (answer nothing that is over the rate) or from 2 (answer one in two) to 1000000000")]
    Leak,
}

impl RateLimit {
    /// A table for `setting`, with a `key` that no sender can know. In a dry run nothing is dropped: what would be is
    /// a [`Decision::Leak`].
    pub fn new(setting: Setting, dry_run: bool, key: [u64; 2]) -> RateLimit {
        RateLimit::with_sets(setting, dry_run, key, ENTRIES / WAYS)
    }

    /// Decides on a datagram from `source` that is read at `now`, in nanoseconds on any clock that never goes back: one
    /// reading for a batch is enough.
    #[inline]
    pub fn admit(&mut self, source: Ipv6Addr, now: u64) -> Decision {
        match prefix(source) {
            Some(prefix) if !self.sets.is_empty() => self.charge(prefix, now),
            _ => Decision::Answer,
        }
    }

    fn with_sets(setting: Setting, dry_run: bool, key: [u64; 2], sets: usize) -> RateLimit {
        let (sets, interval, tolerance, leak) = match setting {
            Setting::Off => (0, 0, 0, 0),
            Setting::On(policy) => {
                // Rounded up, so that the rate is never exceeded.
                let interval = SECOND.div_ceil(policy.per_second.get().into());
                (sets, interval, interval * u64::from(policy.burst.get() - 1), policy.leak)
            }
        };
        debug_assert!(sets == 0 || sets.is_power_of_two());
        let sets = vec![Set([Bucket { prefix: UNUSED, empty_at: 0 }; WAYS]); sets].into_boxed_slice();
        let hasher = SipHasher13::new_with_keys(key[0], key[1]);
        RateLimit { sets, hasher, interval, tolerance, leak, dry_run, draws: 0 }
    }

    fn charge(&mut self, prefix: u64, now: u64) -> Decision {
        // A mask within the length, which is a power of two: the index is always in range.
        let index = self.hasher.hash(&prefix.to_le_bytes()) as usize & (self.sets.len() - 1);
        let bucket = self.sets[index].bucket(prefix);
        let empty_at = bucket.empty_at.max(now);
        if empty_at - now <= self.tolerance {
            bucket.empty_at = empty_at.saturating_add(self.interval);
            return Decision::Answer;
        }
        self.over()
    }

    #[cold]
    fn over(&mut self) -> Decision {
        self.draws = self.draws.wrapping_add(1);
        let drawn = self.leak > 0 && {
            // A prefix has 8 octets and a draw 9, so that the hash of a draw says nothing about where a prefix lies.
            let mut draw = [0; 9];
            draw[..8].copy_from_slice(&self.draws.to_le_bytes());
            self.hasher.hash(&draw) <= u64::MAX / u64::from(self.leak)
        };
        if drawn || self.dry_run { Decision::Leak } else { Decision::Drop }
    }
}

impl Default for Policy {
    /// Far above what a person, a class or a batch over the Internet asks for, and far below what hurts a network.
    fn default() -> Policy {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Policy { per_second: number(5000), burst: number(10_000), leak: DEFAULT_LEAK }
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Setting, SettingError> {
        if text == "off" {
            return Ok(Setting::Off);
        }
        let mut fields = text.split(',');
        let rate = fields.next().and_then(|field| field.strip_suffix("/s")).ok_or(SettingError::Rate)?;
        let per_second = positive("the rate", rate, rate)?;
        let mut policy = Policy { per_second, burst: default_burst(per_second), leak: DEFAULT_LEAK };
        for field in fields {
            match field.split_once('=') {
                Some(("burst", value)) => policy.burst = positive("burst", field, value)?,
                Some(("leak", value)) => policy.leak = leak(field, value)?,
                _ => return Err(SettingError::Field(field.to_owned())),
            }
        }
        Ok(Setting::On(policy))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Off => f.write_str("off"),
            Setting::On(Policy { per_second, burst, leak }) => write!(f, "{per_second}/s,burst={burst},leak={leak}"),
        }
    }
}

impl fmt::Debug for RateLimit {
    /// Neither the key nor the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("entries", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

const WAYS: usize = 4;
const SECOND: u64 = 1_000_000_000;
const MAX: u32 = 1_000_000_000;

/// With replies of at most three times their request (and usually less), what leaks of a flood with forged sources is
/// then less than what the forger sent.
const DEFAULT_LEAK: u32 = 4;

/// Not a source: it would be the broadcast address 255.255.255.255.
const UNUSED: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Bucket {
    prefix: u64,
    empty_at: u64,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Bucket; WAYS]);

const _: () = assert!(size_of::<Set>() == 64 && (ENTRIES / WAYS).is_power_of_two());

impl Set {
    /// The bucket of `prefix`: its own, or else the one that empties first, with its level.
    fn bucket(&mut self, prefix: u64) -> &mut Bucket {
        let way = self.0.iter().position(|bucket| bucket.prefix == prefix).unwrap_or_else(|| self.lowest());
        let bucket = &mut self.0[way];
        bucket.prefix = prefix;
        bucket
    }

    fn lowest(&self) -> usize {
        (1..WAYS).fold(0, |lowest, way| if self.0[way].empty_at < self.0[lowest].empty_at { way } else { lowest })
    }
}

/// What identifies the source's bucket; `None` for loopback.
#[inline]
fn prefix(source: Ipv6Addr) -> Option<u64> {
    let bits = source.to_bits();
    let (upper, lower) = ((bits >> 64) as u64, bits as u64);
    if upper != 0 {
        return Some(upper);
    }
    match lower >> 32 {
        0xffff if lower as u32 >> 24 == 127 => None,
        // No IPv6 source starts like this: ff00::/8 is multicast (RFC 4291 section 2.4).
        0xffff => Some(0xffff_ffff << 32 | lower & 0xffff_ffff),
        _ if lower == 1 => None,
        _ => Some(0),
    }
}

fn default_burst(per_second: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(per_second.get().saturating_mul(2).min(MAX)).unwrap_or(per_second)
}

fn positive(name: &'static str, field: &str, value: &str) -> Result<NonZeroU32, SettingError> {
    let number = number(field, value)?;
    NonZeroU32::new(number).filter(|number| number.get() <= MAX).ok_or(SettingError::Range(name))
}

fn leak(field: &str, value: &str) -> Result<u32, SettingError> {
    let number = number(field, value)?;
    if number == 1 || number > MAX { Err(SettingError::Leak) } else { Ok(number) }
}

fn number(field: &str, value: &str) -> Result<u32, SettingError> {
    value.parse().map_err(|error| SettingError::Number(field.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const KEY: [u64; 2] = [1, 2];

    fn policy(per_second: u32, burst: u32, leak: u32) -> Setting {
        let number = |number| NonZeroU32::new(number).unwrap();
        Setting::On(Policy { per_second: number(per_second), burst: number(burst), leak })
    }

    fn host(prefix: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from(0x2001_0db8_0000_0000 | prefix) << 64 | 1)
    }

    fn admitted(limit: &mut RateLimit, source: Ipv6Addr, now: u64, datagrams: u32) -> u32 {
        (0..datagrams).map(|_| u32::from(limit.admit(source, now) == Decision::Answer)).sum()
    }

    #[test]
    fn a_prefix_gets_its_burst_then_its_rate() {
        let mut limit = RateLimit::new(policy(1000, 50, 0), false, KEY);
        assert_eq!(admitted(&mut limit, host(1), 0, 200), 50);
        assert_eq!(admitted(&mut limit, host(1), SECOND / 100, 200), 10);
        assert_eq!(admitted(&mut limit, host(2), SECOND / 100, 200), 50, "another prefix has its own bucket");
        assert_eq!(admitted(&mut limit, host(1), 100 * SECOND, 200), 50, "a bucket holds no more than the burst");
    }

    #[test]
    fn hosts_of_a_64_share_and_ipv4_addresses_do_not() {
        let mut limit = RateLimit::new(policy(1, 3, 0), false, KEY);
        let neighbour = Ipv6Addr::from_bits(host(1).to_bits() + 77);
        assert_eq!(admitted(&mut limit, host(1), 0, 2) + admitted(&mut limit, neighbour, 0, 5), 3);
        let mapped = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped();
        for text in [
            "192.0.2.1",
            "192.0.2.2",
            "0.0.0.1",
            "255.255.255.255",
            "::2".parse().map_or("1.1.1.1", |_: Ipv6Addr| "1.1.1.2"),
        ] {
            assert_eq!(admitted(&mut limit, mapped(text), 0, 5), 3, "{text}");
        }
        assert_eq!(admitted(&mut limit, "::2".parse().unwrap(), 0, 5), 3);
    }

    #[test]
    fn loopback_and_off_have_no_limit() {
        let mut limit = RateLimit::new(policy(1, 1, 0), false, KEY);
        for text in ["::1", "::ffff:127.0.0.1", "::ffff:127.255.255.255"] {
            assert_eq!(admitted(&mut limit, text.parse().unwrap(), 0, 1000), 1000, "{text}");
        }
        let mut off = RateLimit::new(Setting::Off, false, KEY);
        assert_eq!(admitted(&mut off, host(1), 0, 1000), 1000);
    }

    #[test]
    fn a_share_of_the_excess_leaks() {
        for leak in [2, 4, 100] {
            let mut limit = RateLimit::new(policy(1, 1, leak), false, KEY);
            let excess = 100_000;
            limit.admit(host(1), 0);
            let leaked = (0..excess).filter(|_| limit.admit(host(1), 0) == Decision::Leak).count();
            let expected = excess / leak as usize;
            assert!(leaked.abs_diff(expected) < expected / 5, "leak={leak}: {leaked} of {excess}");
        }
        let mut none = RateLimit::new(policy(1, 1, 0), false, KEY);
        assert!((0..10_000).all(|i| (none.admit(host(1), 0) == Decision::Drop) == (i > 0)));
    }

    #[test]
    fn a_dry_run_drops_nothing() {
        let mut limit = RateLimit::new(policy(1, 1, 0), true, KEY);
        assert_eq!(limit.admit(host(1), 0), Decision::Answer);
        assert!((0..1000).all(|_| limit.admit(host(1), 0) == Decision::Leak));
    }

    #[test]
    fn a_million_prefixes_reset_no_bucket() {
        let mut limit = RateLimit::new(policy(10, 100, 0), false, KEY);
        let offender = host(0);
        let mut total = admitted(&mut limit, offender, 0, 1000);
        for prefix in 1..1_000_000 {
            // A million datagrams a second, with the offender's own mixed in.
            let now = prefix * 1000;
            limit.admit(host(prefix), now);
            if prefix % 100 == 0 {
                total += admitted(&mut limit, offender, now, 1);
            }
        }
        assert!(total <= 110, "{total} in a second at 10/s with a burst of 100");
    }

    #[test]
    fn a_flood_of_forged_prefixes_refuses_no_newcomer() {
        // A million a second, each prefix new, is below what the table as a whole lets through at the default rate.
        let mut limit = RateLimit::new(Setting::On(Policy::default()), false, KEY);
        assert!((1..2_000_000).all(|prefix| limit.admit(host(prefix), prefix * 1000) == Decision::Answer));
    }

    #[test]
    fn settings_are_read_and_written() {
        for (text, expected) in [
            ("off", "off"),
            ("5000/s", "5000/s,burst=10000,leak=4"),
            ("1/s,leak=0", "1/s,burst=2,leak=0"),
            ("1000000000/s,burst=1,leak=1000000000", "1000000000/s,burst=1,leak=1000000000"),
        ] {
            assert_eq!(text.parse::<Setting>().unwrap().to_string(), expected);
            assert_eq!(expected.parse::<Setting>().unwrap(), text.parse().unwrap());
        }
        assert_eq!("5000/s".parse(), Ok(Setting::On(Policy::default())));
        for text in [
            "",
            "5",
            "/s",
            "0/s",
            "1000000001/s",
            "-1/s",
            "1/m",
            "1/s,",
            "1/s,burst",
            "1/s,burst=0",
            "1/s,leak=1",
            "1/s,leak=x",
            "1/s,slip=2",
            "ON",
            "99999999999/s",
        ] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }

    proptest! {
        /// The bound of the module's documentation, with far more prefixes than buckets.
        #[test]
        fn no_prefix_exceeds_its_rate_whatever_else_arrives(
            (per_second, burst) in (1..2000_u32, 1..20_u32),
            arrivals in prop::collection::vec((0..24_u64, 0..3_000_000_u64), 1..600),
        ) {
            let mut limit = RateLimit::with_sets(policy(per_second, burst, 0), false, KEY, 2);
            let mut now = 0;
            let mut times: HashMap<u64, Vec<u64>> = HashMap::new();
            for (prefix, pause) in arrivals {
                now += pause;
                if limit.admit(host(prefix), now) == Decision::Answer {
                    times.entry(prefix).or_default().push(now);
                }
            }
            for times in times.values() {
                for (i, start) in times.iter().enumerate() {
                    for (j, end) in times.iter().enumerate().skip(i) {
                        let allowed = u64::from(burst) + (end - start) * u64::from(per_second) / SECOND;
                        prop_assert!((j - i) as u64 <= allowed, "{} in {} ns", j - i + 1, end - start);
                    }
                }
            }
        }

        /// The converse: a prefix that keeps to its rate is always admitted while its set has room.
        #[test]
        fn who_keeps_to_the_rate_is_admitted(
            per_second in 1..1_000_000_u32,
            pauses in prop::collection::vec((0..4_u64, 0..1_000_000_u64), 1..300),
        ) {
            let mut limit = RateLimit::with_sets(policy(per_second, 1, 0), false, KEY, 1);
            let interval = SECOND.div_ceil(per_second.into());
            let mut next = [0_u64; 4];
            for (prefix, extra) in pauses {
                let now = next.iter().copied().max().unwrap() + extra;
                next[prefix as usize] = now + interval;
                prop_assert_eq!(limit.admit(host(prefix), now), Decision::Answer);
            }
        }
    }
}
