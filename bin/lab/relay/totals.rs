//! Counts of the datagrams of one direction, by their fates.

use std::fmt;

use super::fate::{DropReason, Fate};

/// Counts of the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RelayTotals {
    /// Datagrams that came in.
    pub received: u64,
    /// Octets of payload that came in.
    pub received_octets: u64,
    /// Dropped at random.
    pub lost: u64,
    /// Dropped because the queue before the limited bandwidth was full.
    pub queue_full: u64,
    /// Dropped because too much was in flight.
    pub overflow: u64,
    /// Forwarded with flipped bits.
    pub corrupted: u64,
    /// Forwarded truncated.
    pub truncated: u64,
    /// Forwarded twice.
    pub duplicated: u64,
    /// Held until another overtook it.
    pub reordered: u64,
    /// Forwarded, copies included.
    pub sent: u64,
    /// Octets of payload that were forwarded.
    pub sent_octets: u64,
}

impl RelayTotals {
    /// Counts a datagram that came in.
    pub fn count(&mut self, length: usize, fate: &Fate) {
        self.received += 1;
        self.received_octets += length as u64;
        match fate.dropped {
            Some(DropReason::Lost) => self.lost += 1,
            Some(DropReason::QueueFull) => self.queue_full += 1,
            Some(DropReason::Overflow) => self.overflow += 1,
            None => {
                self.corrupted += u64::from(!fate.flipped.is_empty());
                self.truncated += u64::from(fate.truncated.is_some());
                self.duplicated += u64::from(fate.duplicated);
                self.reordered += u64::from(fate.held);
            }
        }
    }
}

impl fmt::Display for RelayTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in", self.received)?;
        let causes = [
            (self.lost, "lost"),
            (self.queue_full, "dropped by the queue"),
            (self.overflow, "dropped as too many in flight"),
            (self.corrupted, "corrupted"),
            (self.truncated, "truncated"),
            (self.duplicated, "duplicated"),
            (self.reordered, "held back"),
        ];
        for (count, cause) in causes.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {cause}")?;
        }
        write!(f, ", {} out", self.sent)
    }
}

impl std::ops::Sub for RelayTotals {
    type Output = Self;

    /// The difference of two readings.
    fn sub(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            received_octets: self.received_octets - earlier.received_octets,
            lost: self.lost - earlier.lost,
            queue_full: self.queue_full - earlier.queue_full,
            overflow: self.overflow - earlier.overflow,
            corrupted: self.corrupted - earlier.corrupted,
            truncated: self.truncated - earlier.truncated,
            duplicated: self.duplicated - earlier.duplicated,
            reordered: self.reordered - earlier.reordered,
            sent: self.sent - earlier.sent,
            sent_octets: self.sent_octets - earlier.sent_octets,
        }
    }
}
