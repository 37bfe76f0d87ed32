use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn access(allow: &[&str], deny: &[&str], exempt: &[&str]) -> Access {
    let prefixes = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
    let rules = Rules { allow: prefixes(allow), deny: prefixes(deny), exempt: prefixes(exempt), ..Rules::default() };
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
    for (text, expected) in texts.into_iter().chain([("2001:db8::/32", "2001:db8::/32"), ("10.0.0.0/8", "10.0.0.0/8")])
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
