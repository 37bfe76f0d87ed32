//! Access rules: which sources are answered, and which have no rate limit.
//!
//! Addresses are those of an AF_INET6 socket: IPv4 sources are the mapped addresses `::ffff:a.b.c.d` (RFC 4291
//! section 2.5.5.2), and an IPv4 prefix means the mapped prefix, which is 96 bits longer.
//!
//! Among the allowed and denied prefixes that contain a source the longest decides, so their order does not matter. A
//! source that none contains is denied if there is any `allow`, else allowed. `::/0` therefore contains every source,
//! IPv4 included, and `0.0.0.0/0`, which is longer, has precedence for IPv4. A source in any `exempt` prefix has no
//! rate limit; it still has to be allowed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use thiserror::Error;

use super::Refusal;

/// The first port that any user may bind on Linux by default (`net.ipv4.ip_unprivileged_port_start`, ip(7)).
pub const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// An address prefix of an access rule: `2001:db8::/32`, `192.0.2.0/24`, or one address.
///
/// ```
/// use calc6::limit::Prefix;
/// let network: Prefix = "2001:db8::/32".parse()?;
/// assert!(network.contains("2001:db8::7".parse()?));
/// assert_eq!(Prefix::containing("192.0.2.7".parse()?, 24).unwrap().to_string(), "192.0.2.0/24");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The first address: the bits after the prefix are 0.
    address: IpAddr,
    length: u8,
}

/// The rules of the operator. [`Rules::from_str`] reads them from the text of an access file (see
/// [`file`](super::file)).
///
/// ```
/// use calc6::limit::Rules;
/// let typed = Rules::default().with_allow(["2001:db8::/32".parse()?]).with_exempt(["2001:db8::7".parse()?]);
/// let file: Rules = "allow 2001:db8::/32\nexempt 2001:db8::7 # the monitoring host".parse()?;
/// assert_eq!(typed, file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Sources to answer; with at least one of these, all others are denied.
    pub allow: Vec<Prefix>,
    /// Sources not to answer.
    pub deny: Vec<Prefix>,
    /// Sources without a rate limit.
    pub exempt: Vec<Prefix>,
    /// Also answer sources whose port is below 1024.
    pub answer_low_ports: bool,
}

impl Rules {
    /// The sources to answer; with at least one of these, all others are denied.
    #[must_use]
    pub fn with_allow(mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Rules {
        self.allow = prefixes.into_iter().collect();
        self
    }

    /// The sources not to answer.
    #[must_use]
    pub fn with_deny(mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Rules {
        self.deny = prefixes.into_iter().collect();
        self
    }

    /// The sources without a rate limit.
    #[must_use]
    pub fn with_exempt(mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Rules {
        self.exempt = prefixes.into_iter().collect();
        self
    }

    /// Whether sources whose port is below 1024 are answered too.
    #[must_use]
    pub fn with_low_ports(mut self, answered: bool) -> Rules {
        self.answer_low_ports = answered;
        self
    }
}

/// The compiled rules of one socket. A clone copies a pointer.
///
/// ```
/// use calc6::limit::{Access, Arrival, DestinationAddress, RateClass, Refusal, Rules};
/// let access = Access::new(&"deny 2001:db8::/32".parse()?, 10_000)?;
/// let destination = DestinationAddress::Bound;
/// let from = |source| access.check(&Arrival { source, port: 50_000, destination, over_ipv4: false });
/// assert_eq!(from("2001:db8::7".parse()?), Err(Refusal::Denied));
/// assert_eq!(from("::1".parse()?), Ok(RateClass::Limited));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Access {
    own_port: u16,
    lowest_port: u16,
    /// Empty if there is no rule; else sorted, the first starts at 0, and each extends to the start of the next.
    ranges: Arc<[Range]>,
}

/// Addresses and ports of a datagram, as the system reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The source address; a mapped one if the datagram came over IPv4.
    pub source: Ipv6Addr,
    /// The source port.
    pub port: u16,
    /// The address that it was sent to.
    pub destination: DestinationAddress,
    /// Whether it came over IPv4. It did if the socket is bound to a mapped address, or if the packet information says
    /// that it was sent to one.
    pub over_ipv4: bool,
}

/// The address that a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationAddress {
    /// The unicast address that the socket is bound to.
    Bound,
    /// The address in the packet information (RFC 3542 section 6), for a socket bound to a wildcard address.
    Address(Ipv6Addr),
    /// The broadcast address of a subnet, which only the system knows: for IPv4, ip(7) returns another address in
    /// `ipi_spec_dst` than in `ipi_addr`.
    Broadcast,
    /// Not known: the packet information is missing, and the socket is bound to a wildcard address.
    Unknown,
}

/// Whether the rate limit applies to a source that the access rules allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateClass {
    /// The rate limit applies.
    Limited,
    /// The rules exempt it: answer without a rate limit.
    Exempt,
}

/// The same prefix is both allowed and denied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} is both allowed and denied")]
pub struct Contradiction(pub Prefix);

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// Neither an address nor an address and a length.
    #[error("not an address or prefix (such as 2001:db8::/32, 192.0.2.0/24 or ::1)")]
    Syntax,
    /// Bits are set after the prefix's length.
    #[error("bits are set after the prefix: the prefix is {prefix}, the address alone {address}")]
    HostBits {
        /// The prefix that contains the address.
        prefix: Prefix,
        /// The address.
        address: IpAddr,
    },
}

impl Access {
    /// Compiles `rules` for a socket bound to `own_port`.
    ///
    /// # Errors
    ///
    /// [`Contradiction`] if a prefix is both allowed and denied.
    pub fn new(rules: &Rules, own_port: u16) -> Result<Access, Contradiction> {
        let lowest_port = if rules.answer_low_ports { 1 } else { FIRST_UNPRIVILEGED_PORT };
        Ok(Access { own_port, lowest_port, ranges: ranges(rules)?.into() })
    }

    /// Whether to read a datagram, and whether it counts against its prefix's rate.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], if it must be dropped.
    #[inline]
    pub fn check(&self, arrival: &Arrival) -> Result<RateClass, Refusal> {
        if arrival.port < self.lowest_port || arrival.port == self.own_port {
            return Err(self.refused_port(arrival.port));
        }
        match arrival.destination {
            DestinationAddress::Bound => {}
            DestinationAddress::Address(address) => unicast(address)?,
            DestinationAddress::Broadcast => return Err(Refusal::Broadcast),
            DestinationAddress::Unknown => return Err(Refusal::UnknownDestination),
        }
        unicast(arrival.source)?;
        let bits = arrival.source.to_bits();
        if bits == 0 || bits == MAPPED {
            return Err(Refusal::Unspecified);
        }
        if bits >> 32 == MAPPED >> 32 && !arrival.over_ipv4 {
            return Err(Refusal::MappedSource);
        }
        if self.ranges.is_empty() { Ok(RateClass::Limited) } else { self.decide(bits) }
    }

    #[cold]
    fn refused_port(&self, port: u16) -> Refusal {
        match port {
            0 => Refusal::PortZero,
            _ if port == self.own_port => Refusal::OwnPort,
            _ => Refusal::LowPort,
        }
    }

    fn decide(&self, bits: u128) -> Result<RateClass, Refusal> {
        let next = self.ranges.partition_point(|range| range.start <= bits);
        match self.ranges[..next].last() {
            Some(Range { allowed: true, exempt, .. }) if *exempt => Ok(RateClass::Exempt),
            Some(Range { allowed: true, .. }) => Ok(RateClass::Limited),
            _ => Err(Refusal::Denied),
        }
    }
}

impl Rules {
    /// Adds the prefixes of `other`, and low ports if `other` allows them.
    pub fn extend(&mut self, other: Rules) {
        self.allow.extend(other.allow);
        self.deny.extend(other.deny);
        self.exempt.extend(other.exempt);
        self.answer_low_ports |= other.answer_low_ports;
    }
}

impl Prefix {
    /// Whether it contains `source`, an address as an AF_INET6 socket has it.
    pub fn contains(&self, source: Ipv6Addr) -> bool {
        let rule = AccessRule::new(*self, true);
        (rule.start..=rule.end()).contains(&source.to_bits())
    }

    /// The first address of the prefix.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of bits that every address of the prefix shares: 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The prefix of `length` bits that contains `address`; `None` if the address has fewer bits.
    pub fn containing(address: IpAddr, length: u8) -> Option<Prefix> {
        let free = u32::from(bits(address).checked_sub(length)?);
        let address: IpAddr = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(free).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(free).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        Some(Prefix { address, length })
    }

    /// Whether both contain the same sources: `192.0.2.0/24` and `::ffff:192.0.2.0/120` do.
    pub(super) fn same_sources(&self, other: &Prefix) -> bool {
        let [one, other] = [self, other].map(|prefix| AccessRule::new(*prefix, true));
        (one.start, one.length) == (other.start, other.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Syntax)?;
        let Some(length) = length else { return Ok(address.into()) };
        if !length.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(PrefixError::Syntax);
        }
        let length = length.parse().map_err(|_| PrefixError::Syntax)?;
        let prefix = Prefix::containing(address, length).ok_or(PrefixError::Syntax)?;
        if prefix.address == address { Ok(prefix) } else { Err(PrefixError::HostBits { prefix, address }) }
    }
}

impl From<IpAddr> for Prefix {
    /// The prefix that contains this address alone.
    fn from(address: IpAddr) -> Prefix {
        Prefix { address, length: bits(address) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The number of bits of an address of this family.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `::ffff:0:0`, the first of the mapped IPv4 addresses.
const MAPPED: u128 = 0xffff_0000_0000;

/// Addresses with the same verdict, up to the start of the next range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u128,
    allowed: bool,
    exempt: bool,
}

/// A prefix in the address space of an AF_INET6 socket, and its verdict.
#[derive(Clone, Copy)]
struct AccessRule {
    start: u128,
    length: u8,
    verdict: bool,
    prefix: Prefix,
}

impl AccessRule {
    fn new(prefix: Prefix, verdict: bool) -> AccessRule {
        let (start, length) = match prefix.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 96 + prefix.length),
            IpAddr::V6(address) => (address.to_bits(), prefix.length),
        };
        AccessRule { start, length, verdict, prefix }
    }

    fn end(&self) -> u128 {
        self.start | u128::MAX.checked_shr(self.length.into()).unwrap_or(0)
    }
}

/// Converts the rules to ranges of one verdict each.
fn ranges(rules: &Rules) -> Result<Vec<Range>, Contradiction> {
    if rules.allow.is_empty() && rules.deny.is_empty() && rules.exempt.is_empty() {
        return Ok(Vec::new());
    }
    let list = |prefixes: &[Prefix], verdict| prefixes.iter().map(|prefix| AccessRule::new(*prefix, verdict)).collect();
    let mut access: Vec<AccessRule> = list(&rules.allow, true);
    access.extend::<Vec<AccessRule>>(list(&rules.deny, false));
    let access = flatten(access, rules.allow.is_empty())?;
    let exempt = flatten(list(&rules.exempt, true), false)?;

    let verdict = |of: &[(u128, bool)], start: u128| {
        let next = of.partition_point(|(other, _)| *other <= start);
        of[..next].last().is_some_and(|(_, verdict)| *verdict)
    };
    let mut starts: Vec<u128> = access.iter().chain(&exempt).map(|(start, _)| *start).collect();
    starts.sort_unstable();
    starts.dedup();
    let range = |start| Range { start, allowed: verdict(&access, start), exempt: verdict(&exempt, start) };
    Ok(starts.into_iter().map(range).collect())
}

/// The starts of the ranges and their verdicts, in ascending order. The prefixes are nested or disjoint; the longest
/// decides, and `otherwise` is the verdict outside of all.
fn flatten(mut rules: Vec<AccessRule>, otherwise: bool) -> Result<Vec<(u128, bool)>, Contradiction> {
    // Outer prefixes before the ones inside them.
    rules.sort_by_key(|rule| (rule.start, rule.length));
    for pair in rules.windows(2) {
        let same = (pair[0].start, pair[0].length) == (pair[1].start, pair[1].length);
        if same && pair[0].verdict != pair[1].verdict {
            return Err(Contradiction(pair[0].prefix));
        }
    }
    let mut found = alloc::vec![(0, otherwise)];
    let mut open: Vec<(u128, bool)> = Vec::new();
    for rule in &rules {
        close(&mut open, &mut found, otherwise, |end| end < rule.start);
        found.push((rule.start, rule.verdict));
        open.push((rule.end(), rule.verdict));
    }
    close(&mut open, &mut found, otherwise, |_| true);
    Ok(found)
}

/// Closes the innermost open prefixes while `ended`: what follows one has the verdict of the prefix around it.
fn close(open: &mut Vec<(u128, bool)>, found: &mut Vec<(u128, bool)>, otherwise: bool, ended: impl Fn(u128) -> bool) {
    while let Some((end, _)) = open.pop_if(|(end, _)| ended(*end)) {
        if let Some(start) = end.checked_add(1) {
            found.push((start, open.last().map_or(otherwise, |(_, verdict)| *verdict)));
        }
    }
}

/// An error if the address is multicast or the limited broadcast address (RFC 919), in either family.
fn unicast(address: Ipv6Addr) -> Result<(), Refusal> {
    let bits = address.to_bits();
    if bits >> 120 == 0xff || bits >> 28 == (MAPPED | 0xe000_0000) >> 28 {
        return Err(Refusal::Multicast);
    }
    if bits == MAPPED | 0xffff_ffff { Err(Refusal::Broadcast) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
