//! The checks of a worker before it answers, in process: access rules, rate limit, loop guard.
//!
//! `cargo bench --bench limit`. Each figure is for one datagram, from one source and from a thousand sources in turn.

use std::net::Ipv6Addr;

use calc6::limit::{Access, Arrival, DestinationAddress, LoopGuard, Prefix, RateLimit, Rules};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const SOURCES: [u64; 2] = [1, 1000];

/// Sources in IPv6 sites of their own, or in IPv4 networks of their own.
fn sources(count: u64, ipv4: bool) -> impl FnMut() -> Ipv6Addr {
    let mut next = 0;
    move || {
        next = (next + 1) % count;
        let bits = u128::from(next);
        Ipv6Addr::from_bits(if ipv4 { 0xffff_c000_0001 | bits << 8 } else { 0x2001_0db8 << 96 | bits << 80 | 1 })
    }
}

#[divan::bench(args = SOURCES, sample_size = 10_000, consts = [false, true])]
fn rate_limit<const IPV4: bool>(bencher: Bencher<'_, '_>, count: u64) {
    let setting = "1000000000/s".parse().expect("a rate");
    let (mut limit, mut source, mut now) = (RateLimit::new(setting, false, [1, 2]), sources(count, IPV4), 0);
    bencher.bench_local(|| {
        now += 1000;
        limit.admit(black_box(source()), now)
    });
}

#[divan::bench(args = SOURCES, sample_size = 10_000)]
fn loop_guard(bencher: Bencher<'_, '_>, count: u64) {
    let (mut guard, mut source, mut now) = (LoopGuard::new([1, 2]), sources(count, false), 0);
    bencher.bench_local(|| {
        now += 1000;
        guard.check(black_box(source()), 50_000, black_box(&[0; 21]), false, now)
    });
}

#[divan::bench(args = SOURCES, sample_size = 10_000, consts = [0, 100])]
fn access_rules<const DENIED: u16>(bencher: Bencher<'_, '_>, count: u64) {
    let deny: Vec<Prefix> =
        (0..DENIED).map(|n| format!("2001:db8:{n:x}:8000::/49").parse().expect("a prefix")).collect();
    let access = Access::new(&Rules::default().with_deny(deny), 10_000).expect("rules");
    let mut source = sources(count, false);
    bencher.bench_local(|| {
        let destination = DestinationAddress::Bound;
        access.check(black_box(&Arrival { source: source(), port: 50_000, destination, over_ipv4: false }))
    });
}
