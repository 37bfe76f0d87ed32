//! Reports of single datagrams that were dropped: a few a second for each reason, at any load, through a queue that a
//! worker never waits for.

use std::net::SocketAddrV6;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::limit::Refusal;
use crate::responder::Reason;

/// A datagram that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Where it came from.
    pub source: SocketAddrV6,
    /// The octets of its payload.
    pub length: usize,
    /// The reason's name.
    pub reason: &'static str,
    /// How many more the same worker dropped before it, for the same reason, without a report.
    pub suppressed: u64,
}

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// Before it is read.
    Refused(Refusal),
    /// By the responder.
    Silent(Reason),
}

/// One worker's reports.
pub(super) struct Journal {
    to: SyncSender<Dropped>,
    second: u64,
    reported: [u32; CAUSES],
    suppressed: [u64; CAUSES],
}

/// The queue from the workers to the reader; it has no room if drops are not reported.
pub(super) fn queue(enabled: bool) -> (SyncSender<Dropped>, Receiver<Dropped>) {
    sync_channel(if enabled { ROOM } else { 0 })
}

const ROOM: usize = 1024;

/// How many datagrams a worker reports in a second, for each reason.
const PER_SECOND: u32 = 10;

const CAUSES: usize = Refusal::ALL.len() + Reason::ALL.len();

impl Journal {
    pub fn new(to: SyncSender<Dropped>) -> Journal {
        Journal { to, second: 0, reported: [0; CAUSES], suppressed: [0; CAUSES] }
    }

    /// Reports a datagram dropped at `now`, in nanoseconds, or counts it as suppressed.
    pub fn dropped(&mut self, source: SocketAddrV6, length: usize, cause: Cause, now: u64) {
        let second = now / 1_000_000_000;
        if self.second != second {
            self.second = second;
            self.reported = [0; CAUSES];
        }
        let place = cause.place();
        let dropped = Dropped { source, length, reason: cause.name(), suppressed: self.suppressed[place] };
        // The queue is full if its reader is slow or gone.
        if self.reported[place] < PER_SECOND && self.to.try_send(dropped).is_ok() {
            self.reported[place] += 1;
            self.suppressed[place] = 0;
        } else {
            self.suppressed[place] += 1;
        }
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Cause {
        Cause::Refused(refusal)
    }
}

impl Cause {
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Refused(refusal) => refusal.name(),
            Cause::Silent(reason) => reason.name(),
        }
    }

    const fn place(self) -> usize {
        match self {
            Cause::Refused(refusal) => refusal as usize,
            Cause::Silent(reason) => Refusal::ALL.len() + reason.index(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_reason_is_reported_a_few_times_a_second_and_the_rest_counted() {
        let (to, from) = queue(true);
        let mut journal = Journal::new(to);
        let source = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5, 0, 0);
        for _ in 0..1000 {
            journal.dropped(source, 1, Cause::Silent(Reason::Ragged), 1);
        }
        journal.dropped(source, 0, Cause::Silent(Reason::Empty), 1);
        journal.dropped(source, 2, Cause::Silent(Reason::Ragged), 1_000_000_001);
        let reported: Vec<Dropped> = from.try_iter().collect();
        assert_eq!(reported.len() as u32, PER_SECOND + 2);
        assert!(reported[..PER_SECOND as usize].iter().all(|dropped| dropped.length == 1 && dropped.suppressed == 0));
        assert_eq!(reported[PER_SECOND as usize].reason, Reason::Empty.name());
        assert_eq!(reported[PER_SECOND as usize + 1].suppressed, 1000 - u64::from(PER_SECOND));
    }

    #[test]
    fn a_full_queue_stops_nobody() {
        let (to, from) = queue(true);
        let mut journal = Journal::new(to);
        let source = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5, 0, 0);
        for second in 0..10_000 {
            journal.dropped(source, 1, Cause::Silent(Reason::Ragged), second * 1_000_000_000);
        }
        assert_eq!(from.try_iter().count(), ROOM);
        journal.dropped(source, 1, Cause::Silent(Reason::Ragged), 0);
        assert_eq!(from.recv().unwrap().suppressed, 10_000 - ROOM as u64);
    }
}
