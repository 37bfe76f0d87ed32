//! Whom the server answers, and how often: access rules and a rate limit per source prefix.
//!
//! Both are pure: addresses, time and keys are arguments. What a worker calls for each datagram ([`Access::check`] and
//! [`RateLimit::admit`]) allocates nothing, takes no lock, makes no system call and cannot panic.

pub mod access;
pub mod rate;

pub use access::{Access, Rules};
pub use rate::{Decision, RateLimit};

/// Why a datagram is dropped before it is read.
///
/// The reasons are tried in this order, so each datagram has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The source port is 0: there is nobody to answer (RFC 768: a source port of zero means that none is used).
    PortZero,
    /// The source port is the server's own: another server of this kind, or a datagram forged to look like one.
    OwnPort,
    /// The source port is below 1024, where the services live that answer whatever they get (echo, chargen, DNS, NTP).
    LowPort,
    /// The datagram was sent to a multicast or broadcast address: one datagram would get an answer from every server.
    Multicast,
    /// The source is the unspecified address, which Linux takes for loopback when one sends to it (RFC 4291
    /// section 2.5.2: it "must never be used as a destination").
    Unspecified,
    /// The access rules deny the source.
    Denied,
    /// The source's prefix is over its rate.
    RateLimited,
}

impl Refusal {
    /// Every reason, in the order of their numbers (`reason as usize` is its place here).
    pub const ALL: [Refusal; 7] = [
        Refusal::PortZero,
        Refusal::OwnPort,
        Refusal::LowPort,
        Refusal::Multicast,
        Refusal::Unspecified,
        Refusal::Denied,
        Refusal::RateLimited,
    ];

    /// The reason's name in counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::PortZero => "port-zero",
            Refusal::OwnPort => "own-port",
            Refusal::LowPort => "low-port",
            Refusal::Multicast => "multicast",
            Refusal::Unspecified => "unspecified",
            Refusal::Denied => "denied",
            Refusal::RateLimited => "rate-limited",
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
