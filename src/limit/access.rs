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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The first address: the bits after the prefix are 0.
    address: IpAddr,
    length: u8,
}

/// The rules of the operator. [`Rules::from_str`] reads them from the text of an access file (see
/// [`file`](super::file)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// The compiled rules of one socket. A clone copies a pointer.
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
        let rule = Rule::new(*self, true);
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
        let [one, other] = [self, other].map(|prefix| Rule::new(*prefix, true));
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
struct Rule {
    start: u128,
    length: u8,
    verdict: bool,
    prefix: Prefix,
}

impl Rule {
    fn new(prefix: Prefix, verdict: bool) -> Rule {
        let (start, length) = match prefix.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 96 + prefix.length),
            IpAddr::V6(address) => (address.to_bits(), prefix.length),
        };
        Rule { start, length, verdict, prefix }
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
    let list = |prefixes: &[Prefix], verdict| prefixes.iter().map(|prefix| Rule::new(*prefix, verdict)).collect();
    let mut access: Vec<Rule> = list(&rules.allow, true);
    access.extend::<Vec<Rule>>(list(&rules.deny, false));
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
fn flatten(mut rules: Vec<Rule>, otherwise: bool) -> Result<Vec<(u128, bool)>, Contradiction> {
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
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn access(allow: &[&str], deny: &[&str], exempt: &[&str]) -> Access {
        let prefixes = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let rules =
            Rules { allow: prefixes(allow), deny: prefixes(deny), exempt: prefixes(exempt), ..Rules::default() };
        Access::new(&rules, 4242).unwrap()
    }

    fn address(text: &str) -> Ipv6Addr {
        match text.parse().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
    }

    fn arrival(text: &str) -> Arrival {
        let source = address(text);
        let over_ipv4 = source.to_ipv4_mapped().is_some();
        Arrival { source, port: 50_000, destination: DestinationAddress::Bound, over_ipv4 }
    }

    fn verdict(access: &Access, text: &str) -> Result<RateClass, Refusal> {
        access.check(&arrival(text))
    }

    const LIMITED: Result<RateClass, Refusal> = Ok(RateClass::Limited);

    #[test]
    fn ports_of_services_are_refused() {
        let strict = access(&[], &[], &[]);
        let lenient = Access::new(&Rules { answer_low_ports: true, ..Rules::default() }, 4242).unwrap();
        let low = Access::new(&Rules::default(), 7).unwrap();
        let from = |access: &Access, port| access.check(&Arrival { port, ..arrival("::1") });
        assert_eq!(from(&strict, 0), Err(Refusal::PortZero));
        assert_eq!(from(&strict, 1), Err(Refusal::LowPort));
        assert_eq!(from(&strict, 1023), Err(Refusal::LowPort));
        assert_eq!(from(&strict, 1024), LIMITED);
        assert_eq!(from(&strict, 4242), Err(Refusal::OwnPort));
        assert_eq!(from(&low, 7), Err(Refusal::OwnPort));
        assert_eq!(from(&lenient, 0), Err(Refusal::PortZero));
        assert_eq!(from(&lenient, 1), LIMITED);
        assert_eq!(from(&lenient, 4242), Err(Refusal::OwnPort));
    }

    #[test]
    fn neither_source_nor_destination_is_multicast_or_broadcast() {
        let access = access(&[], &[], &["::/0"]);
        let sent_to = |destination| access.check(&Arrival { destination, ..arrival("2001:db8::1") });
        let to = |text| sent_to(DestinationAddress::Address(address(text)));
        for text in ["ff02::1", "ffff::", "224.0.0.1", "239.255.255.255"] {
            assert_eq!(to(text), Err(Refusal::Multicast), "{text}");
            assert_eq!(verdict(&access, text), Err(Refusal::Multicast), "{text}");
        }
        assert_eq!(to("255.255.255.255"), Err(Refusal::Broadcast));
        assert_eq!(verdict(&access, "255.255.255.255"), Err(Refusal::Broadcast));
        assert_eq!(sent_to(DestinationAddress::Broadcast), Err(Refusal::Broadcast));
        assert_eq!(sent_to(DestinationAddress::Unknown), Err(Refusal::UnknownDestination));
        for text in ["::1", "fe80::1", "223.255.255.255", "240.0.0.1", "255.255.255.254", "::e000:1"] {
            assert_eq!(to(text), Ok(RateClass::Exempt), "{text}");
            assert_eq!(verdict(&access, text), Ok(RateClass::Exempt), "{text}");
        }
        assert_eq!(verdict(&access, "::"), Err(Refusal::Unspecified));
        assert_eq!(verdict(&access, "0.0.0.0"), Err(Refusal::Unspecified));
    }

    #[test]
    fn a_mapped_source_comes_over_ipv4_only() {
        let access = access(&["192.0.2.0/24", "127.0.0.0/8"], &[], &["::/0"]);
        for text in ["192.0.2.1", "127.0.0.1", "198.51.100.1"] {
            let forged = Arrival { over_ipv4: false, ..arrival(text) };
            assert_eq!(access.check(&forged), Err(Refusal::MappedSource), "{text}");
        }
        assert_eq!(verdict(&access, "192.0.2.1"), Ok(RateClass::Exempt));
    }

    #[test]
    fn the_longest_prefix_decides() {
        let allow = ["2001:db8::/32", "2001:db8:0:1::/64", "192.0.2.0/24"];
        let rules = access(&allow, &["2001:db8::/48", "192.0.2.7"], &[]);
        for allowed in ["2001:db8:1::", "2001:db8:0:1::9", "2001:db8:ffff:ffff::", "192.0.2.6", "192.0.2.8"] {
            assert_eq!(verdict(&rules, allowed), LIMITED, "{allowed}");
        }
        for denied in ["2001:db8::", "2001:db8:0:2::", "2001:db9::", "192.0.2.7", "192.0.3.0", "::1", "feff::1"] {
            assert_eq!(verdict(&rules, denied), Err(Refusal::Denied), "{denied}");
        }
    }

    #[test]
    fn only_deny_allows_the_rest_and_everything_can_be_denied() {
        let some = access(&[], &["10.0.0.0/8"], &[]);
        assert_eq!(verdict(&some, "10.1.2.3"), Err(Refusal::Denied));
        assert_eq!(verdict(&some, "::10.1.2.3"), LIMITED);
        assert_eq!(verdict(&some, "feff::"), LIMITED);
        let all = access(&[], &["::/0"], &[]);
        assert_eq!(verdict(&all, "10.1.2.3"), Err(Refusal::Denied));
        assert_eq!(verdict(&all, "::1"), Err(Refusal::Denied));
        let only_v4 = access(&["0.0.0.0/0"], &["::/0"], &[]);
        assert_eq!(verdict(&only_v4, "10.1.2.3"), LIMITED);
        assert_eq!(verdict(&only_v4, "::1"), Err(Refusal::Denied));
    }

    #[test]
    fn exempt_sources_still_have_to_be_allowed() {
        let rules = access(&[], &["2001:db8:0:1::/64"], &["2001:db8::/32", "192.0.2.0/28"]);
        for (text, expected) in [
            ("2001:db8::1", Ok(RateClass::Exempt)),
            ("2001:db8:0:1::1", Err(Refusal::Denied)),
            ("2001:db9::", LIMITED),
            ("192.0.2.15", Ok(RateClass::Exempt)),
            ("192.0.2.16", LIMITED),
        ] {
            assert_eq!(verdict(&rules, text), expected, "{text}");
        }
    }

    #[test]
    fn wrong_prefixes_are_explained() {
        let error = |text: &str| text.parse::<Prefix>().unwrap_err().to_string();
        assert!(error("2001:db8::1/32").contains("the prefix is 2001:db8::/32, the address alone 2001:db8::1"));
        for text in ["", "example.org", "1.2.3.4/33", "::/129", "1.2.3/8", "::/"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Syntax), "{text}");
        }
    }

    #[test]
    fn prefixes_are_read_and_written() {
        let texts = [("::1", "::1/128"), ("192.0.2.7", "192.0.2.7/32"), ("::/0", "::/0"), ("0.0.0.0/0", "0.0.0.0/0")];
        for (text, expected) in
            texts.into_iter().chain([("2001:db8::/32", "2001:db8::/32"), ("10.0.0.0/8", "10.0.0.0/8")])
        {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), expected);
        }
        for text in ["::/+8", "::/256", "/8", "::1%lo", "1.2.3.4/33"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Syntax), "{text}");
        }
        let host: IpAddr = "10.1.2.3".parse().unwrap();
        assert_eq!(Prefix::containing(host, 8), Some("10.0.0.0/8".parse().unwrap()));
        assert_eq!(Prefix::containing(host, 33), None);
    }

    #[test]
    fn a_contradiction_is_an_error() {
        let both = |prefix: &str| alloc::vec![prefix.parse().unwrap()];
        let rules = Rules { allow: both("::ffff:192.0.2.0/120"), deny: both("192.0.2.0/24"), ..Rules::default() };
        let error = Access::new(&rules, 1).unwrap_err().to_string();
        assert_eq!(error, "::ffff:192.0.2.0/120 is both allowed and denied");
    }

    /// Addresses and prefixes close to each other, so that they nest.
    fn nearby() -> impl Strategy<Value = u128> {
        prop_oneof![1..16_u128, (u128::MAX - 15)..=u128::MAX, Just(MAPPED), (MAPPED..MAPPED + 16), any::<u128>()]
    }

    fn prefixes() -> impl Strategy<Value = Vec<Prefix>> {
        let prefix = (nearby(), prop_oneof![120..=128_u8, 0..=128_u8])
            .prop_map(|(bits, length)| Prefix::containing(IpAddr::V6(bits.into()), length).unwrap());
        prop::collection::vec(prefix, 0..6)
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_search_of_all_prefixes(
            allow in prefixes(),
            deny in prefixes(),
            exempt in prefixes(),
            bits in nearby(),
        ) {
            let longest = |list: &[Prefix]| {
                let containing = list.iter().filter(|prefix| {
                    Prefix::containing(IpAddr::V6(bits.into()), prefix.length) == Some(**prefix)
                });
                containing.map(|prefix| prefix.length).max()
            };
            let allowed = match (longest(&allow), longest(&deny)) {
                (None, None) => allow.is_empty(),
                (allowed, denied) => allowed > denied,
            };
            let expected = match (allowed, longest(&exempt)) {
                (false, _) => Err(Refusal::Denied),
                (true, None) => LIMITED,
                (true, Some(_)) => Ok(RateClass::Exempt),
            };
            prop_assert_eq!(exempt.iter().any(|prefix| prefix.contains(bits.into())), longest(&exempt).is_some());
            if let Ok(access) = Access::new(&Rules { allow, deny, exempt, answer_low_ports: false }, 4242) {
                let found = if access.ranges.is_empty() { LIMITED } else { access.decide(bits) };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
