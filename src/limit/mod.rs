//! Which sources the server answers, and how often: access rules, a rate limit per source prefix, and a guard against
//! loops.
//!
//! Main types: [`Access`], [`RateLimit`] and [`LoopGuard`], one for each decision. May call no other room.
//!
//! A worker asks for each datagram, in this order: [`Access::check`] before it reads the datagram (once for a train),
//! [`RateLimit::admit`] unless the access rules exempt the source, and [`LoopGuard::check`] before it sends a reply
//! that could be part of a loop. All three are pure: addresses, time and keys are arguments. None of them allocates,
//! takes a lock, makes a system call or panics.
//!
//! ```
//! use calc6::limit::{Access, Arrival, RateDecision, DestinationAddress, LoopGuard, RateClass, RateLimit, Rules};
//!
//! let rules: Rules = "allow 2001:db8::/32 # our own network\nexempt 2001:db8:0:1::/64".parse()?;
//! let access = Access::new(&rules, 10_000)?;
//! let key = [1, 2]; // random numbers in a server
//! let mut rate_limit = RateLimit::new(Default::default(), false, key);
//! let mut loops = LoopGuard::new(key);
//!
//! let source = "2001:db8::7".parse()?;
//! let arrival = Arrival { source, port: 50_000, destination: DestinationAddress::Bound, over_ipv4: false };
//! let now = 0; // nanoseconds
//! assert_eq!(access.check(&arrival), Ok(RateClass::Limited));
//! assert_eq!(rate_limit.admit(source, now), RateDecision::Answer);
//! assert_eq!(loops.check(source, 50_000, &[0, 0, 0, 0, 1], false, now), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod file;
pub mod loops;
pub mod rate;
pub mod steering;

pub use access::{Access, Arrival, DestinationAddress, Prefix, RateClass, Rules};
pub use loops::LoopGuard;
pub use rate::{RateDecision, RateLimit};
pub use steering::Steering;

/// Why a datagram is dropped, independent of its octets.
///
/// Each datagram has exactly one reason: the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Refusal {
    /// The source port is 0: there is no port to answer to (RFC 768: zero means that no source port is used).
    PortZero,
    /// The source port is the server's own: another server of this kind, or a datagram forged to look like one.
    OwnPort,
    /// The source port is below 1024, where services answer any datagram (echo, chargen, DNS, NTP).
    LowPort,
    /// The datagram was sent to a multicast address, or its source is one: one datagram would get an answer from every
    /// server, or one answer would reach every host.
    Multicast,
    /// The datagram was sent to a broadcast address, or its source is one.
    Broadcast,
    /// The socket is bound to a wildcard address and the system did not say to which address the datagram was sent:
    /// the reply could leave from an address that was not asked.
    UnknownDestination,
    /// The source is the unspecified address, which Linux treats as loopback when a datagram is sent to it (RFC 4291
    /// section 2.5.2: it "must never be used as a destination").
    Unspecified,
    /// The source is an IPv4-mapped IPv6 address (`::ffff:0:0/96`) and the datagram came over IPv6: it is forged,
    /// to look like an IPv4 source (draft-itojun-v6ops-v4mapped-harmful describes the attack).
    MappedSource,
    /// The access rules deny the source.
    Denied,
    /// The source's prefix is over its rate.
    RateLimited,
    /// One of very many requests from one source and port. It is dropped to end a loop of two servers that answer each
    /// other.
    Loop,
}

impl Refusal {
    /// Every reason, in the order of their numbers (`reason as usize` is its index).
    pub const ALL: [Refusal; 11] = [
        Refusal::PortZero,
        Refusal::OwnPort,
        Refusal::LowPort,
        Refusal::Multicast,
        Refusal::Broadcast,
        Refusal::UnknownDestination,
        Refusal::Unspecified,
        Refusal::MappedSource,
        Refusal::Denied,
        Refusal::RateLimited,
        Refusal::Loop,
    ];

    /// The reason's name in counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::PortZero => "port-zero",
            Refusal::OwnPort => "own-port",
            Refusal::LowPort => "low-port",
            Refusal::Multicast => "multicast",
            Refusal::Broadcast => "broadcast",
            Refusal::UnknownDestination => "unknown-destination",
            Refusal::Unspecified => "unspecified",
            Refusal::MappedSource => "mapped-source",
            Refusal::Denied => "denied",
            Refusal::RateLimited => "rate-limited",
            Refusal::Loop => "loop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_in_order_and_named_once() {
        for (i, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            assert!(Refusal::ALL[..i].iter().all(|other| other.name() != reason.name()));
        }
    }
}
