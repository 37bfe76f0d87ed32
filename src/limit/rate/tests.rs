use alloc::vec::Vec;
use std::collections::HashMap;

use alloc::string::ToString;
use proptest::prelude::*;

use super::*;

const KEY: [u64; 2] = [1, 2];

fn policy(per_second: u32, burst: u32, site: u32, leak: u32) -> Setting {
    let number = |number| NonZeroU32::new(number).unwrap();
    Setting::On(Policy { per_second: number(per_second), burst: number(burst), site: number(site), leak })
}

/// A host in a site of its own.
fn host(site: u64) -> Ipv6Addr {
    host_in(site, 0)
}

fn host_in(site: u64, network: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(0x2000_0000_0000_0000 | site << 16 | u64::from(network)) << 64 | 1)
}

fn mapped(text: &str) -> Ipv6Addr {
    text.parse::<core::net::Ipv4Addr>().unwrap().to_ipv6_mapped()
}

fn admitted(limit: &mut RateLimit, source: Ipv6Addr, now: u64, datagrams: u32) -> u32 {
    (0..datagrams).map(|_| u32::from(limit.admit(source, now) == RateDecision::Answer)).sum()
}

#[test]
fn a_network_gets_its_burst_then_its_rate() {
    let mut limit = RateLimit::new(policy(1000, 50, 8, 0), false, KEY);
    assert_eq!(admitted(&mut limit, host(1), 0, 200), 50);
    assert_eq!(admitted(&mut limit, host(1), SECOND / 100, 200), 10);
    assert_eq!(admitted(&mut limit, host(2), SECOND / 100, 200), 50, "another site has its own bucket");
    assert_eq!(admitted(&mut limit, host(1), 100 * SECOND, 200), 50, "a bucket holds no more than the burst");
}

#[test]
fn hosts_of_a_64_or_an_ipv4_24_share() {
    let mut limit = RateLimit::new(policy(1, 3, 8, 0), false, KEY);
    let neighbour = Ipv6Addr::from_bits(host(1).to_bits() + 77);
    assert_eq!(admitted(&mut limit, host(1), 0, 2) + admitted(&mut limit, neighbour, 0, 5), 3);
    for [one, other] in [["192.0.2.1", "192.0.2.255"], ["192.0.3.0", "192.0.3.1"], ["255.255.255.0", "255.255.255.9"]] {
        let both = admitted(&mut limit, mapped(one), 0, 2) + admitted(&mut limit, mapped(other), 0, 5);
        assert_eq!(both, 3, "{one} and {other}");
    }
    assert_eq!(admitted(&mut limit, "::2".parse().unwrap(), 0, 5), 3);
}

#[test]
fn networks_of_a_48_share_a_larger_allowance() {
    let mut limit = RateLimit::new(policy(10, 5, 4, 0), false, KEY);
    let sum = |limit: &mut RateLimit, now| -> u32 {
        (0..100).map(|network| admitted(limit, host_in(1, network), now, 5)).sum()
    };
    assert_eq!(sum(&mut limit, 0), 20);
    assert_eq!(sum(&mut limit, SECOND / 10), 4);
    assert_eq!(admitted(&mut limit, host_in(2, 0), 0, 9), 5, "another site has its own");
    assert_eq!(admitted(&mut limit, host_in(2, 1), 0, 9), 5, "and its networks theirs");
}

#[test]
fn loopback_and_off_have_no_limit() {
    let mut limit = RateLimit::new(policy(1, 1, 1, 0), false, KEY);
    for text in ["::1", "::ffff:127.0.0.1", "::ffff:127.255.255.255"] {
        assert_eq!(admitted(&mut limit, text.parse().unwrap(), 0, 1000), 1000, "{text}");
    }
    let mut off = RateLimit::new(Setting::Off, false, KEY);
    assert_eq!(admitted(&mut off, host(1), 0, 1000), 1000);
}

#[test]
fn exactly_one_of_each_leak_of_the_excess_is_answered() {
    for leak in [2, 4, 100] {
        let mut limit = RateLimit::new(policy(1, 1, 8, leak), false, KEY);
        limit.admit(host(1), 0);
        let blocks: Vec<Vec<RateDecision>> =
            (0..200).map(|_| (0..leak).map(|_| limit.admit(host(1), 0)).collect()).collect();
        let places = blocks.iter().map(|block| {
            assert_eq!(block.iter().filter(|decision| **decision == RateDecision::Leak).count(), 1);
            block.iter().position(|decision| *decision == RateDecision::Leak).unwrap() as f64
        });
        let mean = places.sum::<f64>() / 200.0;
        let expected = f64::from(leak - 1) / 2.0;
        assert!((mean - expected).abs() < 0.15 * f64::from(leak), "leak={leak}: at {mean} of the block");
    }
    let mut none = RateLimit::new(policy(1, 1, 8, 0), false, KEY);
    assert!((0..10_000).all(|i| (none.admit(host(1), 0) == RateDecision::Drop) == (i > 0)));
}

/// A victim's address is forged 30,000 times a second in requests that ask for the longest reply.
#[test]
fn a_victim_gets_a_quarter_of_the_requests_with_its_forged_address() {
    let mut limit = RateLimit::new(Setting::default(), false, KEY);
    let (mut answered, mut leaked) = (0, 0);
    let sent = 30_000 * 10;
    for datagram in 0..sent {
        match limit.admit(host(1), datagram * SECOND / 30_000) {
            RateDecision::Answer => answered += 1,
            RateDecision::Leak => leaked += 1,
            _ => {}
        }
    }
    assert!((11_990..=12_000).contains(&answered), "a burst of 2000 and 1000 a second: {answered}");
    assert!(4 * leaked <= sent - answered + 4, "{leaked} of {}", sent - answered);
}

#[test]
fn a_dry_run_drops_nothing() {
    let mut limit = RateLimit::new(policy(1, 1, 8, 0), true, KEY);
    assert_eq!(limit.admit(host(1), 0), RateDecision::Answer);
    assert!((0..1000).all(|_| limit.admit(host(1), 0) == RateDecision::DryRun));
}

#[test]
fn a_million_prefixes_reset_no_bucket() {
    let mut limit = RateLimit::new(policy(10, 100, 1, 0), false, KEY);
    let offender = host(0);
    let mut total = admitted(&mut limit, offender, 0, 1000);
    for site in 1..1_000_000 {
        // A million datagrams a second, with the offender's own mixed in.
        let now = site * 1000;
        limit.admit(host(site), now);
        if site % 100 == 0 {
            total += admitted(&mut limit, offender, now, 1);
        }
    }
    assert!(total <= 110, "{total} in a second at 10/s with a burst of 100");
}

#[test]
fn a_flood_of_forged_prefixes_limits_no_new_prefix() {
    // A million a second, each site new, is below what the table as a whole lets through at the default rate.
    let mut limit = RateLimit::new(Setting::default(), false, KEY);
    assert!((1..2_000_000).all(|site| limit.admit(host(site), site * 1000) == RateDecision::Answer));
}

#[test]
fn a_flood_from_one_site_limits_no_other() {
    let mut limit = RateLimit::new(Setting::default(), false, KEY);
    for i in 0..500_000_u64 {
        limit.admit(host_in(7, i as u16), i * 2000);
        if i % 1000 == 0 {
            assert_eq!(limit.admit(host(8 + i), i * 2000), RateDecision::Answer);
        }
    }
}

#[test]
fn settings_are_read_and_written() {
    for (text, expected) in [
        ("off", "off"),
        ("1000/s", "1000/s,burst=2000,site=8,leak=4"),
        ("1/s,leak=0", "1/s,burst=2,site=8,leak=0"),
        ("5/s,site=65536,burst=1", "5/s,burst=1,site=65536,leak=4"),
        ("1000000000/s,burst=1,leak=1000000000", "1000000000/s,burst=1,site=8,leak=1000000000"),
    ] {
        assert_eq!(text.parse::<Setting>().unwrap().to_string(), expected);
        assert_eq!(expected.parse::<Setting>().unwrap(), text.parse().unwrap());
    }
    assert_eq!("1000/s".parse(), Ok(Setting::default()));
    for (text, error) in [
        ("", "expected `off` or a rate such as 1000/s, optionally with ,burst=N ,site=N ,leak=N"),
        ("1/m", "expected `off` or a rate such as 1000/s, optionally with ,burst=N ,site=N ,leak=N"),
        ("0/s", "the rate must be 1 to 1000000000"),
        ("1/s,slip=2", "unknown field `slip=2`: expected burst=N, site=N or leak=N"),
        ("1/s,site=65537", "site must be 1 to 65536"),
        ("1/s,burst=0", "burst must be 1 to 1000000000"),
    ] {
        assert_eq!(text.parse::<Setting>().unwrap_err().to_string(), error, "{text}");
    }
    for text in
        ["5", "/s", "1000000001/s", "-1/s", "1/s,", "1/s,burst", "1/s,leak=1", "1/s,leak=x", "ON", "99999999999/s"]
    {
        assert!(text.parse::<Setting>().is_err(), "{text}");
    }
}

#[test]
fn the_largest_settings_do_not_overflow() {
    for (per_second, burst) in [(1, MAX), (MAX, MAX), (MAX, 1), (7, MAX)] {
        let mut limit = RateLimit::new(policy(per_second, burst, MAX_SITE, 2), false, KEY);
        for now in [0, 1, SECOND, u64::MAX - 1, u64::MAX] {
            assert_eq!(limit.admit(host(1), now), RateDecision::Answer);
        }
    }
}

proptest! {
    /// The bound of the module's documentation, for networks and sites, with far more prefixes than buckets.
    #[test]
    fn no_prefix_exceeds_its_rate(
        (per_second, burst, site) in (1..2000_u32, 1..20_u32, 1..4_u32),
        arrivals in prop::collection::vec((0..12_u64, 0..3_u16, 0..3_000_000_u64), 1..600),
    ) {
        let mut limit = RateLimit::with_sets(policy(per_second, burst, site, 0), false, KEY, 2);
        let mut now = 0;
        let mut times: HashMap<(u64, Option<u16>), Vec<u64>> = HashMap::new();
        for (place, network, pause) in arrivals {
            now += pause;
            if limit.admit(host_in(place, network), now) == RateDecision::Answer {
                times.entry((place, None)).or_default().push(now);
                times.entry((place, Some(network))).or_default().push(now);
            }
        }
        for ((_, network), times) in times {
            let times_as_much = if network.is_some() { 1 } else { u64::from(site) };
            for (i, start) in times.iter().enumerate() {
                for (j, end) in times.iter().enumerate().skip(i) {
                    let in_time = (end - start) * u64::from(per_second) * times_as_much / SECOND;
                    let allowed = u64::from(burst) * times_as_much + in_time;
                    prop_assert!((j - i) as u64 <= allowed, "{} in {} ns", j - i + 1, end - start);
                }
            }
        }
    }

    /// The converse: a prefix below its rate is always admitted while its set has an unused bucket.
    #[test]
    fn a_prefix_below_its_rate_is_admitted(
        per_second in 1..1_000_000_u32,
        pauses in prop::collection::vec((0..4_u64, 0..1_000_000_u64), 1..300),
    ) {
        let mut limit = RateLimit::with_sets(policy(per_second, 1, 1, 0), false, KEY, 1);
        let interval = SECOND.div_ceil(per_second.into());
        let mut next = [0_u64; 4];
        for (site, extra) in pauses {
            let now = next.iter().copied().max().unwrap() + extra;
            next[site as usize] = now + interval;
            prop_assert_eq!(limit.admit(host(site), now), RateDecision::Answer);
        }
    }
}
