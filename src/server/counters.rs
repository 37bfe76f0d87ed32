//! What a server counts: every datagram exactly once, by form and operator, by status, or by the reason why it was dropped.
//!
//! Each worker has its own [`Counters`], which no other thread writes, so counting is a load, an addition and a store
//! without a lock prefix; [`Totals`] is a sum over the workers, taken while they run.

use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::config::Config;
use crate::limit::Refusal;
use crate::responder::Reason;
use crate::wire::{Form, Operator, Status};

/// One worker's counters. Aligned to two cache lines (processors fetch them in pairs), so that workers share none.
#[repr(align(128))]
pub(super) struct Counters([AtomicU64; COUNT]);

impl Counters {
    pub fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNT])
    }

    /// Adds to one counter. Only the worker that owns the counters may call this.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.0[counter.index()];
        cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
    }
}

/// The name of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// Requests answered, of this form and operator (`None`: one that the server does not know).
    Request(Form, Option<Operator>),
    /// Replies made, with this status.
    Reply(Status),
    /// Datagrams left unanswered by the responder.
    Silent(Reason),
    /// Datagrams refused before they were read.
    Refused(Refusal),
    /// Requests let through although their source was over its rate.
    Leaked,
    /// Octets of UDP payload received.
    OctetsIn,
    /// Octets of UDP payload in replies made.
    OctetsOut,
    /// Replies dropped because the send buffer was full.
    SendQueueFull,
    /// Replies that the kernel refused to send: no route, a firewall, a size over the link's.
    SendRefused,
    /// Datagrams that the kernel dropped before the server saw them: its receive buffer was full.
    KernelDrops,
    /// Receive calls that failed.
    ReceiveErrors,
    /// Trains received: datagrams of one length and source that came as one message (UDP_GRO of udp(7)).
    TrainsReceived,
    /// Datagrams in these trains.
    SegmentsReceived,
    /// Trains sent: replies of one length to one peer that left as one message (UDP_SEGMENT of udp(7)).
    TrainsSent,
    /// Replies in these trains.
    SegmentsSent,
    /// Trains that the kernel refused to send: their replies were sent one by one.
    TrainsRefused,
    /// Pauses that let requests gather ([`Config::moderation`]).
    Pauses,
    /// Receive calls that returned this many messages, 0 to [`Config::MAX_BATCH`]; 0 if a wait ended without any. A
    /// train is one message.
    Batch(usize),
}

const OPERATORS: usize = Operator::ALL.len() + 1;
const REQUESTS: usize = 0;
const REPLIES: usize = REQUESTS + 2 * OPERATORS;
const SILENT: usize = REPLIES + Status::ALL.len();
const REFUSED: usize = SILENT + Reason::ALL.len();
const SINGLE: usize = REFUSED + Refusal::ALL.len();
const BATCHES: usize = SINGLE + 13;
const COUNT: usize = BATCHES + Config::MAX_BATCH + 1;

impl Counter {
    /// Every counter, in a fixed order.
    pub fn all() -> impl Iterator<Item = Counter> {
        let operators = || Operator::ALL.into_iter().map(Some).chain([None]);
        [Form::Classic, Form::Extended]
            .into_iter()
            .flat_map(move |form| operators().map(move |operator| Counter::Request(form, operator)))
            .chain(Status::ALL.into_iter().map(Counter::Reply))
            .chain(Reason::ALL.into_iter().map(Counter::Silent))
            .chain(Refusal::ALL.into_iter().map(Counter::Refused))
            .chain([
                Counter::Leaked,
                Counter::OctetsIn,
                Counter::OctetsOut,
                Counter::SendQueueFull,
                Counter::SendRefused,
                Counter::KernelDrops,
                Counter::ReceiveErrors,
                Counter::TrainsReceived,
                Counter::SegmentsReceived,
                Counter::TrainsSent,
                Counter::SegmentsSent,
                Counter::TrainsRefused,
                Counter::Pauses,
            ])
            .chain((0..=Config::MAX_BATCH).map(Counter::Batch))
    }

    #[inline]
    fn index(self) -> usize {
        match self {
            Counter::Request(form, operator) => {
                let form = matches!(form, Form::Extended) as usize;
                REQUESTS + form * OPERATORS + operator.map_or(Operator::ALL.len(), Operator::index)
            }
            Counter::Reply(status) => REPLIES + status as usize,
            Counter::Silent(reason) => SILENT + reason.index(),
            Counter::Refused(refusal) => REFUSED + refusal as usize,
            Counter::Leaked => SINGLE,
            Counter::OctetsIn => SINGLE + 1,
            Counter::OctetsOut => SINGLE + 2,
            Counter::SendQueueFull => SINGLE + 3,
            Counter::SendRefused => SINGLE + 4,
            Counter::KernelDrops => SINGLE + 5,
            Counter::ReceiveErrors => SINGLE + 6,
            Counter::TrainsReceived => SINGLE + 7,
            Counter::SegmentsReceived => SINGLE + 8,
            Counter::TrainsSent => SINGLE + 9,
            Counter::SegmentsSent => SINGLE + 10,
            Counter::TrainsRefused => SINGLE + 11,
            Counter::Pauses => SINGLE + 12,
            Counter::Batch(size) => BATCHES + size.min(Config::MAX_BATCH),
        }
    }
}

/// What a server has counted so far. Its `Display` is one line.
///
/// ```
/// use calc6::server::{Counter, Totals};
/// let totals = Totals::default();
/// assert_eq!(totals.count(Counter::OctetsIn), 0);
/// assert_eq!(totals.to_string(), "served 0, errors answered 0, dropped 0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals([u64; COUNT]);

impl Default for Totals {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Totals {
    /// The value of one counter.
    pub fn count(&self, counter: Counter) -> u64 {
        self.0[counter.index()]
    }

    /// Requests answered with a result.
    pub fn served(&self) -> u64 {
        self.count(Counter::Reply(Status::Ok))
    }

    /// Requests answered with an error.
    pub fn errors(&self) -> u64 {
        Status::ALL.into_iter().map(|status| self.count(Counter::Reply(status))).sum::<u64>() - self.served()
    }

    /// Datagrams received and not answered, with the name of each reason that occurred.
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let silent = Reason::ALL.into_iter().map(|reason| (reason.name(), self.count(Counter::Silent(reason))));
        let refused = Refusal::ALL.into_iter().map(|refusal| (refusal.name(), self.count(Counter::Refused(refusal))));
        silent.chain(refused).filter(|&(_, count)| count > 0)
    }
}

impl AddAssign<&Counters> for Totals {
    fn add_assign(&mut self, counters: &Counters) {
        for (total, counter) in self.0.iter_mut().zip(&counters.0) {
            *total = total.wrapping_add(counter.load(Relaxed));
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped: u64 = self.dropped().map(|(_, count)| count).sum();
        write!(f, "served {}, errors answered {}, dropped {dropped}", self.served(), self.errors())?;
        for (place, (reason, count)) in self.dropped().enumerate() {
            write!(f, "{}{reason} {count}", if place == 0 { " (" } else { ", " })?;
        }
        if dropped > 0 {
            f.write_str(")")?;
        }
        let unsent = self.count(Counter::SendQueueFull) + self.count(Counter::SendRefused);
        if unsent > 0 {
            write!(f, ", replies not sent {unsent}")?;
        }
        match self.count(Counter::KernelDrops) {
            0 => Ok(()),
            drops => write!(f, ", dropped by the kernel {drops}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_place_of_its_own() {
        let places: Vec<usize> = Counter::all().map(Counter::index).collect();
        assert_eq!(places, (0..COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn totals_add_up_and_read_as_one_line() {
        let workers = [Counters::new(), Counters::new()];
        for counters in &workers {
            counters.add(Counter::Reply(Status::Ok), 3);
            counters.add(Counter::Reply(Status::TooLarge), 1);
        }
        let mut totals = Totals::default();
        workers.iter().for_each(|counters| totals += counters);
        assert_eq!(totals.to_string(), "served 6, errors answered 2, dropped 0");
        workers[1].add(Counter::Silent(Reason::Empty), 2);
        workers[0].add(Counter::SendRefused, 1);
        workers.iter().for_each(|counters| totals += counters);
        let (served, empty) = (totals.served(), Reason::Empty.name());
        assert_eq!(served, 12);
        let expected = format!("served 12, errors answered 4, dropped 2 ({empty} 2), replies not sent 1");
        assert_eq!(totals.to_string(), expected);
    }
}
