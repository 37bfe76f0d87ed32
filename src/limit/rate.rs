//! A rate limit per source prefix, in memory that never grows.
//!
//! The limit applies to a *network*: the first 64 bits of an IPv6 source, which is one link (RFC 4291 section 2.5.4),
//! or the first 24 of an IPv4 one. An IPv6 *site*, a /48 (RFC 6177), has 65536 networks; all of them together may
//! therefore send no more than `site` times as much as one. Loopback addresses have no limit.
//!
//! Each network and each site has a bucket: `burst` datagrams may come at once, and `per_second` in the long run (the
//! generic cell rate algorithm, ITU-T I.371: all that is kept is the time at which the bucket will be empty). The
//! excess is dropped, never delayed, except for exactly one of each `leak` of them, chosen at random: an attacker who
//! forges a victim's address can then use up the victim's rate, but not silence it. A leaked reply must not be longer
//! than its request ([`RateDecision::Leak`]), so that at most one part in `leak` of the excess comes back.
//!
//! The table is set-associative: a keyed hash, which a sender cannot predict, chooses a set of four buckets, one cache
//! line. A prefix that is new there replaces the one whose bucket is empty first, *and inherits that level*
//! (the rule of the Space-Saving algorithm, Metwally et al. 2005). The levels of a set therefore fall only with time,
//! and so:
//!
//! - no prefix is admitted more than `burst + per_second * t` times in `t` seconds, for any other traffic from any
//!   number of prefixes: a prefix that is evicted from the table and comes back gains nothing;
//! - other prefixes affect a new one only if all four buckets of its set are in use. To fill every set a flood of
//!   forged sources needs [`ENTRIES`] times `per_second` datagrams a second, more than a worker can read.
//!
//! The leak reduces the converse error, a prefix that is limited because of another in its set.
//!
//! Each worker has its own table, so that no cache line is shared. The rate holds for the whole process if all
//! datagrams of one bucket reach the same worker: that is what [`Steering`](super::Steering) is for. Without it
//! SO_REUSEPORT spreads datagrams by address *and port*, and a prefix that uses many ports can reach the rate times the
//! number of workers.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;
use core::num::{NonZeroU32, ParseIntError};
use core::str::FromStr;

use siphasher::sip::SipHasher13;
use thiserror::Error;

use super::steering::Origin;

/// The number of networks that one table holds, and also of sites.
pub const ENTRIES: usize = 8192;

/// How many datagrams a network may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Datagrams per second in the long run, 1 to 10^9.
    pub per_second: NonZeroU32,
    /// Datagrams that may come at once, 1 to 10^9.
    pub burst: NonZeroU32,
    /// The factor, 1 to 65536, by which rate and burst of a whole IPv6 /48 exceed those of one network.
    pub site: NonZeroU32,
    /// One in `leak` of the datagrams over the rate is answered nevertheless; 0: none is.
    pub leak: u32,
}

impl Policy {
    /// Datagrams per second in the long run, 1 to 10^9.
    #[must_use]
    pub fn with_per_second(mut self, per_second: NonZeroU32) -> Policy {
        self.per_second = per_second;
        self
    }

    /// Datagrams that may come at once, 1 to 10^9.
    #[must_use]
    pub fn with_burst(mut self, burst: NonZeroU32) -> Policy {
        self.burst = burst;
        self
    }

    /// The factor for a whole IPv6 /48, 1 to 65536.
    #[must_use]
    pub fn with_site(mut self, site: NonZeroU32) -> Policy {
        self.site = site;
        self
    }

    /// One in `leak` of the datagrams over the rate is answered nevertheless; 0: none is.
    #[must_use]
    pub fn with_leak(mut self, leak: u32) -> Policy {
        self.leak = leak;
        self
    }
}

/// The setting of the operator: `off`, or `N/s`, optionally followed by `,burst=B`, `,site=S` and `,leak=L`.
///
/// ```
/// use calc6::limit::rate::{Policy, Setting};
/// let setting: Setting = "500/s,burst=1000".parse()?;
/// let Setting::On(policy) = setting else { panic!("a limit") };
/// assert_eq!((policy.per_second.get(), policy.burst.get()), (500, 1000));
/// assert_eq!("off".parse(), Ok(Setting::Off));
/// # Ok::<(), calc6::limit::rate::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Every datagram is answered.
    Off,
    /// The limit.
    On(Policy),
}

/// The verdict of the rate limit on a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateDecision {
    /// Its prefixes are within their rates, or no limit applies: answer.
    Answer,
    /// Over the rate, but chosen to be answered nevertheless, with no more octets than the request has. Give
    /// [`respond`](crate::responder::respond) a reply buffer of the request's length.
    Leak,
    /// Over the rate in a dry run: answer nevertheless, and count it.
    DryRun,
    /// Over the rate: drop.
    Drop,
}

/// The tables of one worker: 16 bytes for each of twice [`ENTRIES`]. They are allocated and written at the start and
/// never grow.
///
/// ```
/// use calc6::limit::{RateDecision, RateLimit};
/// let mut limit = RateLimit::new("2/s,burst=2,leak=0".parse()?, false, [1, 2]); // random numbers in a server
/// let source = "2001:db8::7".parse()?;
/// let mut at = |seconds: u64| limit.admit(source, seconds * 1_000_000_000);
/// assert_eq!([at(0), at(0), at(0)], [RateDecision::Answer, RateDecision::Answer, RateDecision::Drop]);
/// assert_eq!(at(1), RateDecision::Answer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RateLimit {
    networks: Table,
    sites: Table,
    hasher: SipHasher13,
    latest: LatestSource,
    leak: u32,
    dry_run: bool,
    /// The datagrams over the rate in the current block of `leak`, and the index of the one that leaks.
    over: u32,
    chosen: u32,
    /// Counts the blocks.
    draws: u64,
}

/// Why a text is not a setting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The first part is not `N/s`.
    #[error("expected `off` or a rate such as 1000/s, optionally with ,burst=N ,site=N ,leak=N")]
    Rate,
    /// An unknown field follows.
    #[error("unknown field `{0}`: expected burst=N, site=N or leak=N")]
    Field(String),
    /// Not a number.
    #[error("`{0}`: {1}")]
    Number(String, ParseIntError),
    /// A number is out of range.
    #[error("{name} must be 1 to {most}")]
    Range {
        /// The name of the number.
        name: &'static str,
        /// The largest valid number.
        most: u32,
    },
    /// 1 is invalid: one in one would be no limit.
    #[error("leak must be 0 (answer nothing that is over the rate) or 2 (answer one in two) to 1000000000")]
    Leak,
}

impl RateLimit {
    /// Tables for `setting`, with a `key` that senders cannot know. In a dry run nothing is dropped: a datagram over
    /// the rate is a [`RateDecision::DryRun`].
    pub fn new(setting: Setting, dry_run: bool, key: [u64; 2]) -> RateLimit {
        RateLimit::with_sets(setting, dry_run, key, ENTRIES / WAYS)
    }

    /// Decides on a datagram from `source` that is read at `now`, in nanoseconds on any monotonic clock; one
    /// reading for a batch is enough.
    #[inline]
    pub fn admit(&mut self, source: Ipv6Addr, now: u64) -> RateDecision {
        if self.networks.sets.is_empty() {
            return RateDecision::Answer;
        }
        if self.latest.source != source {
            self.latest = LatestSource { source, buckets: self.buckets(source) };
        }
        match self.latest.buckets {
            Buckets::Unlimited => RateDecision::Answer,
            Buckets::Ipv4(network) => {
                if self.networks.admits(network, now) {
                    self.networks.charge(network, now)
                } else {
                    self.excess()
                }
            }
            Buckets::Ipv6 { site, network } => {
                if !self.sites.admits(site, now) {
                    return self.excess();
                }
                let network = match network {
                    FoundNetwork::At(place) => place,
                    FoundNetwork::NotYet(network) => {
                        let place = self.networks.bucket(&self.hasher, network);
                        self.latest.buckets = Buckets::Ipv6 { site, network: FoundNetwork::At(place) };
                        place
                    }
                };
                if !self.networks.admits(network, now) {
                    return self.excess();
                }
                self.sites.charge(site, now);
                self.networks.charge(network, now)
            }
        }
    }

    /// The buckets of a source, but for an IPv6 network's, which is not looked for before its site admits the datagram:
    /// a site over its rate evicts no networks.
    fn buckets(&mut self, source: Ipv6Addr) -> Buckets {
        match Origin::of(source) {
            Origin::Loopback => Buckets::Unlimited,
            Origin::Ipv4(network) => {
                // No IPv6 source starts like this: ff00::/8 is multicast (RFC 4291 section 2.4).
                let network = 0xffff_ffff << 32 | u64::from(network);
                Buckets::Ipv4(self.networks.bucket(&self.hasher, network))
            }
            Origin::Ipv6 { site, network } => {
                let site = self.sites.bucket(&self.hasher, site);
                Buckets::Ipv6 { site, network: FoundNetwork::NotYet(network) }
            }
        }
    }

    fn with_sets(setting: Setting, dry_run: bool, key: [u64; 2], sets: usize) -> RateLimit {
        let (networks, sites, leak) = match setting {
            Setting::Off => (Table::new(0, 1, 1), Table::new(0, 1, 1), 0),
            Setting::On(Policy { per_second, burst, site, leak }) => {
                let [per_second, burst, site] = [per_second, burst, site].map(|number| u64::from(number.get()));
                (Table::new(sets, per_second, burst), Table::new(sets, per_second * site, burst * site), leak)
            }
        };
        let hasher = SipHasher13::new_with_keys(key[0], key[1]);
        let latest = LatestSource { source: Ipv6Addr::LOCALHOST, buckets: Buckets::Unlimited };
        RateLimit { networks, sites, hasher, latest, leak, dry_run, over: 0, chosen: 0, draws: 0 }
    }

    /// Decides on a datagram over the rate.
    #[cold]
    fn excess(&mut self) -> RateDecision {
        if self.over == 0 && self.leak > 0 {
            // A prefix has 8 octets and a draw 9, so that the hash of a draw reveals nothing about the set of a prefix.
            let mut draw = [0; 9];
            draw[..8].copy_from_slice(&self.draws.to_le_bytes());
            self.draws = self.draws.wrapping_add(1);
            // A random number below `leak`, from the upper half of a product.
            self.chosen = ((u128::from(self.hasher.hash(&draw)) * u128::from(self.leak)) >> 64) as u32;
        }
        let leaks = self.leak > 0 && self.over == self.chosen;
        self.over = if self.over + 1 < self.leak { self.over + 1 } else { 0 };
        match (self.dry_run, leaks) {
            (true, _) => RateDecision::DryRun,
            (false, true) => RateDecision::Leak,
            (false, false) => RateDecision::Drop,
        }
    }
}

impl Default for Policy {
    /// Far above the requests of a person, a class or a batch over the Internet, and far below what harms a network.
    fn default() -> Policy {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Policy { per_second: number(1000), burst: number(2000), site: DEFAULT_SITE, leak: DEFAULT_LEAK }
    }
}

impl Default for Setting {
    fn default() -> Setting {
        Setting::On(Policy::default())
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
        let per_second = positive("the rate", rate, rate, MAX)?;
        let burst = default_burst(per_second);
        let mut policy = Policy { per_second, burst, site: DEFAULT_SITE, leak: DEFAULT_LEAK };
        for field in fields {
            match field.split_once('=') {
                Some(("burst", value)) => policy.burst = positive("burst", field, value, MAX)?,
                Some(("site", value)) => policy.site = positive("site", field, value, MAX_SITE)?,
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
            Setting::On(Policy { per_second, burst, site, leak }) => {
                write!(f, "{per_second}/s,burst={burst},site={site},leak={leak}")
            }
        }
    }
}

impl fmt::Debug for RateLimit {
    /// Shows neither the key nor the tables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("entries", &(self.networks.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

const WAYS: usize = 4;
const SECOND: u64 = 1_000_000_000;
const MAX: u32 = 1_000_000_000;

/// The networks of a site.
const MAX_SITE: u32 = 65_536;

/// A class in a few networks of one site is not limited to the rate of one network, and an attacker with a whole site
/// gains little.
const DEFAULT_SITE: NonZeroU32 = NonZeroU32::new(8).unwrap();

/// With replies of at most the length of their request, at most a quarter of a flood with forged sources leaks
/// back.
const DEFAULT_LEAK: u32 = 4;

/// Not a valid prefix: the last octet of an IPv4 one is 0, and ff00::/8 is multicast.
const UNUSED: u64 = u64::MAX;

/// The buckets of one kind of prefix.
#[derive(Clone)]
struct Table {
    /// Empty if there is no limit.
    sets: Box<[BucketSet]>,
    /// Nanoseconds between two datagrams at the rate.
    interval: u64,
    /// How far ahead of the present, in nanoseconds, a bucket's time may lie for one more datagram to be admitted.
    tolerance: u64,
}

#[derive(Clone, Copy)]
struct Bucket {
    prefix: u64,
    empty_at: u64,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct BucketSet([Bucket; WAYS]);

const _: () = assert!(size_of::<BucketSet>() == 64 && (ENTRIES / WAYS).is_power_of_two());

/// The latest source and its buckets. Datagrams of one source often come together, and until another source is looked
/// up nothing can evict these buckets.
#[derive(Clone, Copy)]
struct LatestSource {
    source: Ipv6Addr,
    buckets: Buckets,
}

/// The buckets that a source charges.
#[derive(Clone, Copy)]
enum Buckets {
    Unlimited,
    Ipv4(BucketIndex),
    Ipv6 { site: BucketIndex, network: FoundNetwork },
}

/// The bucket of a network, or the prefix by which it will be looked up.
#[derive(Clone, Copy)]
enum FoundNetwork {
    At(BucketIndex),
    NotYet(u64),
}

/// The place of a bucket in its table.
#[derive(Clone, Copy)]
struct BucketIndex {
    set: usize,
    way: usize,
}

impl Table {
    fn new(sets: usize, per_second: u64, burst: u64) -> Table {
        debug_assert!(sets == 0 || sets.is_power_of_two());
        // Rounded up, so that the rate is never exceeded.
        let interval = SECOND.div_ceil(per_second);
        let sets = alloc::vec![BucketSet([Bucket { prefix: UNUSED, empty_at: 0 }; WAYS]); sets].into_boxed_slice();
        Table { sets, interval, tolerance: interval.saturating_mul(burst - 1) }
    }

    /// The bucket of `prefix`: its own, or else the one that is empty first, which keeps its level.
    fn bucket(&mut self, hasher: &SipHasher13, prefix: u64) -> BucketIndex {
        // A mask within the length, which is a power of two: the index is always in range.
        let set = hasher.hash(&prefix.to_le_bytes()) as usize & (self.sets.len() - 1);
        let buckets = &mut self.sets[set].0;
        let lowest =
            || (1..WAYS).fold(0, |low, way| if buckets[way].empty_at < buckets[low].empty_at { way } else { low });
        let way = buckets.iter().position(|bucket| bucket.prefix == prefix).unwrap_or_else(lowest);
        buckets[way].prefix = prefix;
        BucketIndex { set, way }
    }

    fn admits(&self, BucketIndex { set, way }: BucketIndex, now: u64) -> bool {
        self.sets[set].0[way].empty_at.saturating_sub(now) <= self.tolerance
    }

    fn charge(&mut self, BucketIndex { set, way }: BucketIndex, now: u64) -> RateDecision {
        let empty_at = &mut self.sets[set].0[way].empty_at;
        *empty_at = now.max(*empty_at).saturating_add(self.interval);
        RateDecision::Answer
    }
}

fn default_burst(per_second: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(per_second.get().saturating_mul(2).min(MAX)).unwrap_or(per_second)
}

fn positive(name: &'static str, field: &str, value: &str, most: u32) -> Result<NonZeroU32, SettingError> {
    let number = number(field, value)?;
    NonZeroU32::new(number).filter(|number| number.get() <= most).ok_or(SettingError::Range { name, most })
}

fn leak(field: &str, value: &str) -> Result<u32, SettingError> {
    let number = number(field, value)?;
    if number == 1 || number > MAX { Err(SettingError::Leak) } else { Ok(number) }
}

fn number(field: &str, value: &str) -> Result<u32, SettingError> {
    value.parse().map_err(|error| SettingError::Number(field.to_owned(), error))
}

#[cfg(test)]
mod tests;
