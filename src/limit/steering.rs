//! The choice of the worker for a datagram, so that a rate holds for the whole process.
//!
//! [`RateLimit`](super::RateLimit) has a bucket for each IPv4 /24, each IPv6 /64 and each IPv6 /48, and a worker has
//! its own tables. If every datagram of a bucket reaches the same worker, the rate of the process is that of one table.
//! The buckets of a source all lie within its IPv4 /24 or its IPv6 /48, so that these bits of the source choose the
//! worker: [`Steering::words`]. Loopback addresses have no bucket; for them the source port chooses.
//!
//! On Linux the choice is made in the kernel, by a classic BPF program (SO_ATTACH_REUSEPORT_CBPF, socket(7)) that
//! computes [`Steering::worker`]: it takes the source address from the network header and the port from the UDP header.
//! All arithmetic is that of such programs: unsigned, 32 bits wide, modulo 2^32.

use core::net::Ipv6Addr;

/// A way to spread sources over workers, which a sender cannot predict. Sources that share a bucket of the rate limit
/// share a worker.
///
/// ```
/// use calc6::limit::Steering;
/// let steering = Steering::new([0x1234_5678, 0x9abc_def0], 4);
/// let worker = |source: &str, port| steering.worker(source.parse().unwrap(), port);
/// assert_eq!(worker("2001:db8::1", 1024), worker("2001:db8:0:9::2", 4096));
/// assert!(worker("2001:db8::1", 1024) < 4);
/// ```
#[derive(Clone, Copy)]
pub struct Steering {
    key: [u32; 2],
    workers: u32,
}

impl Steering {
    /// The odd factors of [`worker`](Steering::worker): 2^32 divided by the golden ratio (Knuth, volume 3,
    /// section 6.4), and two of MurmurHash3's.
    pub const FACTORS: [u32; 3] = [0x9e37_79b1, 0x85eb_ca6b, 0xc2b2_ae35];

    /// Spreads over `workers` workers (0 counts as 1) with a random `key`.
    pub const fn new(key: [u32; 2], workers: u32) -> Steering {
        Steering { key, workers: if workers == 0 { 1 } else { workers } }
    }

    /// The random key.
    pub const fn key(&self) -> [u32; 2] {
        self.key
    }

    /// How many workers there are, at least 1.
    pub const fn workers(&self) -> u32 {
        self.workers
    }

    /// The worker of a datagram, from 0: of the words `a` and `b` of [`words`](Steering::words)
    ///
    /// ```text
    /// h = (a ^ key[0]) * FACTORS[0];  h = h ^ (h >> 15)
    /// h = (h ^ b ^ key[1]) * FACTORS[1];  h = h ^ (h >> 13)
    /// h = h * FACTORS[2];  h = h ^ (h >> 16)
    /// worker = h % workers
    /// ```
    pub const fn worker(&self, source: Ipv6Addr, port: u16) -> u32 {
        let [a, b] = Steering::words(source, port);
        let [first, second, third] = Steering::FACTORS;
        let mut hash = (a ^ self.key[0]).wrapping_mul(first);
        hash ^= hash >> 15;
        hash = (hash ^ b ^ self.key[1]).wrapping_mul(second);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(third);
        hash ^= hash >> 16;
        hash % self.workers
    }

    /// The words that choose the worker:
    ///
    /// | source | `a` | `b` |
    /// | --- | --- | --- |
    /// | `::1`, 127.0.0.0/8 | the source port | 1 |
    /// | other IPv4 | the address, its last octet 0 | 0xffff |
    /// | other IPv6 | octets 0 to 3 | octets 4 and 5, then two octets 0 |
    pub const fn words(source: Ipv6Addr, port: u16) -> [u32; 2] {
        match Origin::of(source) {
            Origin::Loopback => [port as u32, 1],
            Origin::Ipv4(network) => [network, 0xffff],
            Origin::Ipv6 { site, .. } => [(site >> 32) as u32, site as u32],
        }
    }
}

impl core::fmt::Debug for Steering {
    /// Does not show the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Steering").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The part of a source address that chooses its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// No bucket.
    Loopback,
    /// An IPv4 address whose last octet is set to 0.
    Ipv4(u32),
    /// The upper 64 bits of an IPv6 address.
    Ipv6 {
        /// The lower 16 of them set to 0.
        site: u64,
        /// All of them.
        network: u64,
    },
}

impl Origin {
    #[inline]
    pub const fn of(source: Ipv6Addr) -> Origin {
        let bits = source.to_bits();
        let (network, lower) = ((bits >> 64) as u64, bits as u64);
        match (network, lower >> 32) {
            (0, 0xffff) if lower as u32 >> 24 == 127 => Origin::Loopback,
            (0, 0xffff) => Origin::Ipv4(lower as u32 & !0xff),
            (0, 0) if lower == 1 => Origin::Loopback,
            _ => Origin::Ipv6 { site: network & !0xffff, network },
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_each_kind_of_source() {
        let words = |text: &str| Steering::words(text.parse().unwrap(), 40_000);
        assert_eq!(words("::1"), [40_000, 1]);
        assert_eq!(words("::ffff:127.1.2.3"), [40_000, 1]);
        assert_eq!(words("::ffff:192.0.2.7"), [0xc000_0200, 0xffff]);
        assert_eq!(words("2001:db8:1:2:3::4"), [0x2001_0db8, 0x0001_0000]);
        assert_eq!(words("::2"), [0, 0]);
    }

    #[test]
    fn workers_share_evenly() {
        for workers in [1, 2, 3, 8, 64] {
            let steering = Steering::new([7, 11], workers);
            for source in [
                |i: u32| (u128::from(0x2001_0db8_0000_0000 | u64::from(i) << 16) << 64 | 1, 5000),
                |i: u32| (0xffff_0000_0000 | u128::from(i << 8 | 1 << 30), 5000),
                |i: u32| (1, 1024 + (i % 60_000) as u16),
            ] {
                let mut shares = vec![0; workers as usize];
                for i in 0..10_000 * workers {
                    let (source, port) = source(i);
                    shares[steering.worker(Ipv6Addr::from_bits(source), port) as usize] += 1;
                }
                let [least, most] = [shares.iter().min().unwrap(), shares.iter().max().unwrap()];
                assert!(*least > 9_000 && *most < 11_000, "{workers} workers: {least} to {most}");
            }
        }
    }

    proptest! {
        #[test]
        fn sources_that_share_a_bucket_share_a_worker(
            key: [u32; 2],
            bits: u128,
            other: u128,
            ipv4: bool,
            ports: [u16; 2],
            workers in 0..100_u32,
        ) {
            let steering = Steering::new(key, workers);
            // The same IPv4 /24, or the same IPv6 /48.
            let (own, length) = if ipv4 { (0xffff_0000_0000 | bits & 0xffff_ffff, 120) } else { (bits, 48) };
            let neighbour = own ^ other >> length;
            let [source, neighbour] = [own, neighbour].map(Ipv6Addr::from_bits);
            if Origin::of(source) != Origin::Loopback && Origin::of(neighbour) != Origin::Loopback {
                prop_assert_eq!(steering.worker(source, ports[0]), steering.worker(neighbour, ports[1]));
            }
            prop_assert!(steering.worker(source, ports[0]) < workers.max(1));
        }
    }
}
