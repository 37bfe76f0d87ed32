//! Access rules: which sources are answered at all.
//!
//! Addresses are those of an AF_INET6 socket: IPv4 sources are the mapped addresses `::ffff:a.b.c.d` (RFC 4291
//! section 2.5.5.2), and an IPv4 prefix stands for the mapped prefix that is 96 bits longer.
//!
//! Among the prefixes that contain a source the longest decides, whether it allows or denies, so the order in which
//! they are given does not matter. A source that no prefix contains is denied if there is any `allow`, else allowed.
//! `::/0` is therefore every source, IPv4 included, and `0.0.0.0/0`, being longer, decides for IPv4 over it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use super::Refusal;

/// The first port that any user may bind on Linux by default (`net.ipv4.ip_unprivileged_port_start`, ip(7)).
pub const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// An address prefix of an access rule: `2001:db8::/32`, `192.0.2.0/24`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(IpNet);

/// What the operator asks for.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Sources to answer; with at least one of these, all others are denied.
    pub allow: Vec<Prefix>,
    /// Sources not to answer.
    pub deny: Vec<Prefix>,
    /// Answer sources whose port is below 1024, too.
    pub answer_low_ports: bool,
}

/// The compiled rules of one socket. Cloning it copies a pointer.
#[derive(Clone, Debug)]
pub struct Access {
    own_port: u16,
    lowest_port: u16,
    /// Empty if every source is allowed; else sorted, the first starts at 0, and each reaches to the next one's start.
    ranges: Arc<[Range]>,
}

/// The same prefix is both allowed and denied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} is both allowed and denied")]
pub struct Contradiction(pub IpNet);

/// A text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// Neither an address nor an address and a length.
    #[error("not an address or prefix (such as 2001:db8::/32, 192.0.2.0/24 or ::1)")]
    Syntax,
    /// Bits are set behind the prefix's length.
    #[error("bits are set behind the prefix: the prefix is {prefix}, the address alone {address}")]
    HostBits {
        /// The prefix that contains the address.
        prefix: IpNet,
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

    /// Whether to read a datagram from `source` and `port`, sent to `destination` (`None`: to the one unicast address
    /// that the socket is bound to).
    ///
    /// # Errors
    ///
    /// The [`Refusal`], if it is to be dropped.
    #[inline]
    pub fn check(&self, source: Ipv6Addr, port: u16, destination: Option<Ipv6Addr>) -> Result<(), Refusal> {
        if port < self.lowest_port || port == self.own_port {
            return Err(self.refused_port(port));
        }
        if destination.is_some_and(is_multicast) {
            return Err(Refusal::Multicast);
        }
        let bits = source.to_bits();
        if bits == 0 || bits == MAPPED {
            return Err(Refusal::Unspecified);
        }
        if self.ranges.is_empty() || self.allows(bits) { Ok(()) } else { Err(Refusal::Denied) }
    }

    #[cold]
    fn refused_port(&self, port: u16) -> Refusal {
        match port {
            0 => Refusal::PortZero,
            _ if port == self.own_port => Refusal::OwnPort,
            _ => Refusal::LowPort,
        }
    }

    fn allows(&self, bits: u128) -> bool {
        let next = self.ranges.partition_point(|range| range.start <= bits);
        self.ranges[..next].last().is_some_and(|range| range.allowed)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Prefix(address.into()));
        }
        let net: IpNet = text.parse().map_err(|_| PrefixError::Syntax)?;
        let prefix = net.trunc();
        if prefix == net { Ok(Prefix(net)) } else { Err(PrefixError::HostBits { prefix, address: net.addr() }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `::ffff:0:0`, where the mapped IPv4 addresses start.
const MAPPED: u128 = 0xffff_0000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u128,
    allowed: bool,
}

/// A rule in the address space of an AF_INET6 socket.
#[derive(Clone, Copy)]
struct Rule {
    start: u128,
    length: u8,
    allowed: bool,
    net: IpNet,
}

impl Rule {
    fn new(Prefix(net): Prefix, allowed: bool) -> Rule {
        let (start, length) = match net.addr() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 96 + net.prefix_len()),
            IpAddr::V6(address) => (address.to_bits(), net.prefix_len()),
        };
        Rule { start, length, allowed, net }
    }

    fn end(&self) -> u128 {
        self.start | u128::MAX.checked_shr(self.length.into()).unwrap_or(0)
    }
}

/// Flattens the prefixes, which are nested or disjoint, into ranges in which one verdict holds.
fn ranges(rules: &Rules) -> Result<Vec<Range>, Contradiction> {
    let allow = rules.allow.iter().map(|prefix| Rule::new(*prefix, true));
    let mut sorted: Vec<Rule> = allow.chain(rules.deny.iter().map(|prefix| Rule::new(*prefix, false))).collect();
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    // Outer prefixes before the ones inside them.
    sorted.sort_by_key(|rule| (rule.start, rule.length));
    for pair in sorted.windows(2) {
        let same = (pair[0].start, pair[0].length) == (pair[1].start, pair[1].length);
        if same && pair[0].allowed != pair[1].allowed {
            return Err(Contradiction(pair[0].net));
        }
    }

    let otherwise = rules.allow.is_empty();
    let mut found = vec![Range { start: 0, allowed: otherwise }];
    let mut open: Vec<(u128, bool)> = Vec::new();
    for rule in &sorted {
        close(&mut open, &mut found, otherwise, |end| end < rule.start);
        found.push(Range { start: rule.start, allowed: rule.allowed });
        open.push((rule.end(), rule.allowed));
    }
    close(&mut open, &mut found, otherwise, |_| true);
    Ok(found)
}

/// Closes the innermost open prefixes while `ended`: what lies behind one has the verdict of the prefix around it.
fn close(open: &mut Vec<(u128, bool)>, found: &mut Vec<Range>, otherwise: bool, ended: impl Fn(u128) -> bool) {
    while let Some((end, _)) = open.pop_if(|(end, _)| ended(*end)) {
        if let Some(start) = end.checked_add(1) {
            found.push(Range { start, allowed: open.last().map_or(otherwise, |(_, allowed)| *allowed) });
        }
    }
}

fn is_multicast(address: Ipv6Addr) -> bool {
    let mapped = |bits: u128| bits >> 28 == (MAPPED | 0xe000_0000) >> 28 || bits == MAPPED | 0xffff_ffff;
    address.octets()[0] == 0xff || mapped(address.to_bits())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let prefixes = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Access::new(&Rules { allow: prefixes(allow), deny: prefixes(deny), answer_low_ports: false }, 4242).unwrap()
    }

    fn source(text: &str) -> Ipv6Addr {
        match text.parse().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
    }

    fn verdict(access: &Access, text: &str) -> Result<(), Refusal> {
        access.check(source(text), 50_000, None)
    }

    #[test]
    fn ports_of_services_are_refused() {
        let strict = access(&[], &[]);
        let lenient = Access::new(&Rules { answer_low_ports: true, ..Rules::default() }, 4242).unwrap();
        let low = Access::new(&Rules::default(), 7).unwrap();
        let from = |access: &Access, port| access.check(Ipv6Addr::LOCALHOST, port, None);
        assert_eq!(from(&strict, 0), Err(Refusal::PortZero));
        assert_eq!(from(&strict, 1), Err(Refusal::LowPort));
        assert_eq!(from(&strict, 1023), Err(Refusal::LowPort));
        assert_eq!(from(&strict, 1024), Ok(()));
        assert_eq!(from(&strict, 4242), Err(Refusal::OwnPort));
        assert_eq!(from(&low, 7), Err(Refusal::OwnPort));
        assert_eq!(from(&lenient, 0), Err(Refusal::PortZero));
        assert_eq!(from(&lenient, 1), Ok(()));
        assert_eq!(from(&lenient, 4242), Err(Refusal::OwnPort));
    }

    #[test]
    fn multicast_destinations_and_unspecified_sources_are_refused() {
        let access = access(&[], &[]);
        let to = |text: &str| access.check(Ipv6Addr::LOCALHOST, 50_000, Some(source(text)));
        for text in ["ff02::1", "ffff::", "224.0.0.1", "239.255.255.255", "255.255.255.255"] {
            assert_eq!(to(text), Err(Refusal::Multicast), "{text}");
        }
        for text in ["::1", "fe80::1", "223.255.255.255", "240.0.0.1", "255.255.255.254", "::e000:1"] {
            assert_eq!(to(text), Ok(()), "{text}");
        }
        assert_eq!(verdict(&access, "::"), Err(Refusal::Unspecified));
        assert_eq!(verdict(&access, "0.0.0.0"), Err(Refusal::Unspecified));
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rules = access(&["2001:db8::/32", "2001:db8:0:1::/64", "192.0.2.0/24"], &["2001:db8::/48", "192.0.2.7"]);
        for allowed in ["2001:db8:1::", "2001:db8:0:1::9", "2001:db8:ffff:ffff::", "192.0.2.6", "192.0.2.8"] {
            assert_eq!(verdict(&rules, allowed), Ok(()), "{allowed}");
        }
        for denied in ["2001:db8::", "2001:db8:0:2::", "2001:db9::", "192.0.2.7", "192.0.3.0", "::1", "ffff::1"] {
            assert_eq!(verdict(&rules, denied), Err(Refusal::Denied), "{denied}");
        }
    }

    #[test]
    fn only_deny_allows_the_rest_and_everything_can_be_denied() {
        let some = access(&[], &["10.0.0.0/8"]);
        assert_eq!(verdict(&some, "10.1.2.3"), Err(Refusal::Denied));
        assert_eq!(verdict(&some, "::10.1.2.3"), Ok(()));
        assert_eq!(verdict(&some, "ffff::"), Ok(()));
        let all = access(&[], &["::/0"]);
        assert_eq!(verdict(&all, "10.1.2.3"), Err(Refusal::Denied));
        assert_eq!(verdict(&all, "::1"), Err(Refusal::Denied));
        let only_v4 = access(&["0.0.0.0/0"], &["::/0"]);
        assert_eq!(verdict(&only_v4, "10.1.2.3"), Ok(()));
        assert_eq!(verdict(&only_v4, "::1"), Err(Refusal::Denied));
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
    fn a_contradiction_is_an_error() {
        let both = |prefix: &str| vec![prefix.parse().unwrap()];
        let rules = Rules { allow: both("::ffff:192.0.2.0/120"), deny: both("192.0.2.0/24"), ..Rules::default() };
        let error = Access::new(&rules, 1).unwrap_err().to_string();
        assert_eq!(error, "::ffff:192.0.2.0/120 is both allowed and denied");
    }

    /// Addresses and prefixes close to each other, so that they nest.
    fn nearby() -> impl Strategy<Value = u128> {
        prop_oneof![0..16_u128, (u128::MAX - 15)..=u128::MAX, Just(MAPPED), (MAPPED..MAPPED + 16), any::<u128>()]
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        (nearby(), prop_oneof![120..=128_u8, 0..=128_u8])
            .prop_map(|(bits, length)| Prefix(ipnet::Ipv6Net::new(bits.into(), length).unwrap().trunc().into()))
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_search_of_all_prefixes(
            allow in prop::collection::vec(prefix(), 0..6),
            deny in prop::collection::vec(prefix(), 0..6),
            bits in nearby(),
        ) {
            let longest = |list: &[Prefix]| {
                let containing = list.iter().filter(|prefix| prefix.0.contains(&IpAddr::V6(bits.into())));
                containing.map(|prefix| prefix.0.prefix_len()).max()
            };
            let expected = match (longest(&allow), longest(&deny)) {
                (None, None) => allow.is_empty(),
                (allowed, denied) => allowed > denied,
            };
            if let Ok(access) = Access::new(&Rules { allow, deny, answer_low_ports: false }, 4242) {
                prop_assert_eq!(access.ranges.is_empty() || access.allows(bits), expected);
            }
        }
    }
}
