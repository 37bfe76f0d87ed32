//! Counts, and percentiles that include timed-out requests.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::ledger::ReplyMatch;
use super::workload::ReplyVerdict;

/// The largest latency that is recorded, in nanoseconds: ten minutes.
const MAX_LATENCY: u64 = 600_000_000_000;

/// Significant decimal digits of latencies.
const DIGITS: u8 = 3;

/// Every datagram sent or received, counted once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Counts {
    /// Requests sent.
    pub sent: u64,
    /// Right replies in time.
    pub right: u64,
    /// Replies with another result.
    pub wrong: u64,
    /// Replies with an error status.
    pub errors: u64,
    /// Requests without a reply in time.
    pub timed_out: u64,
    /// Right replies after the time-out.
    pub late: u64,
    /// Further replies to a request.
    pub duplicate: u64,
    /// Replies that this machine's kernel dropped because the generator's socket was full (SO_RXQ_OVFL).
    pub dropped_by_kernel: u64,
    /// ICMP errors: nobody listens.
    pub refused: u64,
}

/// What one thread, or all of them, saw in some time.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The counts.
    pub counts: Counts,
    /// Latencies of replies in time, right, wrong and errors, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Open loop: how much later than intended requests were sent, in nanoseconds.
    pub pacing: Histogram<u64>,
}

/// A percentile over all requests, those without a reply included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Percentile {
    /// A latency.
    At(Duration),
    /// So many requests had no reply in time that this one is among them.
    TimedOut,
    /// There were no requests.
    None,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || Histogram::new_with_max(MAX_LATENCY, DIGITS).expect("the bounds are legal");
        Self { counts: Counts::default(), latencies: histogram(), pacing: histogram() }
    }
}

impl Tally {
    /// Counts a reply.
    #[inline]
    pub fn reply(&mut self, answer: ReplyVerdict) {
        let arrival = match answer {
            ReplyVerdict::Right(arrival) => Some(arrival),
            ReplyVerdict::Wrong(arrival) | ReplyVerdict::Error(arrival) => arrival,
        };
        match arrival {
            Some(ReplyMatch::Earlier) => return,
            Some(ReplyMatch::InTime(latency)) => self.latencies.saturating_record(latency),
            _ => {}
        }
        let counts = &mut self.counts;
        let count = match answer {
            ReplyVerdict::Wrong(_) => &mut counts.wrong,
            ReplyVerdict::Error(_) => &mut counts.errors,
            ReplyVerdict::Right(ReplyMatch::InTime(_)) => &mut counts.right,
            ReplyVerdict::Right(ReplyMatch::Late) => &mut counts.late,
            ReplyVerdict::Right(ReplyMatch::Duplicate | ReplyMatch::Unasked | ReplyMatch::Earlier) => {
                &mut counts.duplicate
            }
        };
        *count += 1;
    }

    /// Adds what another one saw.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        // All have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.pacing.add(&other.pacing);
    }

    /// Empties it without giving back its memory.
    pub fn clear(&mut self) {
        self.counts = Counts::default();
        self.latencies.clear();
        self.pacing.clear();
    }

    /// The latency within which the share `quantile` (0 to 1) of all requests were answered.
    pub fn percentile(&self, quantile: f64) -> Percentile {
        let answered = self.latencies.len();
        let all = answered + self.counts.timed_out;
        let rank = ((quantile * all as f64).ceil() as u64).clamp(1, all.max(1));
        match rank {
            _ if all == 0 => Percentile::None,
            rank if rank > answered => Percentile::TimedOut,
            rank => {
                let latency = self.latencies.value_at_quantile(rank as f64 / answered as f64);
                Percentile::At(Duration::from_nanos(latency.min(self.latencies.max())))
            }
        }
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let Self { sent, right, wrong, errors, timed_out, late, duplicate, dropped_by_kernel, refused } = self;
        for (sum, more) in [
            (sent, other.sent),
            (right, other.right),
            (wrong, other.wrong),
            (errors, other.errors),
            (timed_out, other.timed_out),
            (late, other.late),
            (duplicate, other.duplicate),
            (dropped_by_kernel, other.dropped_by_kernel),
            (refused, other.refused),
        ] {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::super::pace::{Pace, Spacing};
    use super::*;

    const MS: u64 = 1_000_000;

    fn near(percentile: Percentile, milliseconds: f64) {
        let Percentile::At(latency) = percentile else { panic!("{percentile:?}") };
        let latency = latency.as_secs_f64() * 1e3;
        assert!((latency / milliseconds - 1.0).abs() < 0.002, "{latency} ms, not {milliseconds}");
    }

    /// Sends at `rate` for a second of virtual time to a server that answers at `answered(sent)`.
    fn open_loop(rate: f64, timeout: u64, answered: impl Fn(u64) -> Option<u64>) -> Tally {
        let (mut ledger, mut tally) = (Ledger::new(16_384), Tally::default());
        let mut pace = Pace::new(rate, Spacing::Even, 0, 0);
        let mut arriving: std::collections::BTreeMap<(u64, usize), ()> = std::collections::BTreeMap::new();
        while pace.next() < 1_000 * MS || ledger.waiting() > 0 {
            let sending = Some(pace.next()).filter(|next| *next < 1_000 * MS);
            let arrival = arriving.first_key_value().map(|((time, place), ())| (*time, *place));
            let expiry = arrival.map_or(u64::MAX, |(time, _)| time);
            match sending {
                Some(now) if now <= expiry => {
                    let (intended, place) = (pace.due(now).unwrap(), ledger.next_place());
                    ledger.issue(intended);
                    tally.counts.sent += 1;
                    if let Some(time) = answered(now) {
                        arriving.insert((time, place), ());
                    }
                }
                _ => match arrival {
                    Some((now, place)) => {
                        tally.counts.timed_out += ledger.expire(now, timeout) as u64;
                        arriving.remove(&(now, place));
                        tally.reply(ReplyVerdict::Right(ledger.settle(place, now)));
                    }
                    None => tally.counts.timed_out += ledger.expire(u64::MAX, 0) as u64,
                },
            }
        }
        tally
    }

    #[test]
    fn percentiles_are_those_of_the_delays() {
        // 1 to 100 ms in turn, 1,000 requests: each delay ten times.
        let tally = open_loop(1_000.0, 1_000 * MS, |sent| Some(sent + (sent / MS % 100 + 1) * MS));
        assert_eq!(tally.counts.right, 1_000);
        near(tally.percentile(0.5), 50.0);
        near(tally.percentile(0.9), 90.0);
        near(tally.percentile(0.99), 99.0);
        near(tally.percentile(1.0), 100.0);
    }

    #[test]
    fn what_timed_out_counts_as_the_slowest() {
        // Every tenth is lost.
        let tally = open_loop(1_000.0, 100 * MS, |sent| (!(sent / MS).is_multiple_of(10)).then_some(sent + MS));
        assert_eq!((tally.counts.right, tally.counts.timed_out), (900, 100));
        near(tally.percentile(0.5), 1.0);
        near(tally.percentile(0.9), 1.0);
        assert_eq!(tally.percentile(0.901), Percentile::TimedOut);
        assert_eq!(tally.percentile(0.99), Percentile::TimedOut);
    }

    #[test]
    fn a_stalled_server_is_not_flattered() {
        // It answers at once, but for a stop of 500 ms in the middle: half of the requests wait for its end.
        let stall = 250 * MS..750 * MS;
        let tally =
            open_loop(1_000.0, 1_000 * MS, |sent| Some(if stall.contains(&sent) { stall.end } else { sent + 1 }));
        assert_eq!(tally.counts.right, 1_000);
        near(tally.percentile(0.75), 250.0);
        near(tally.percentile(0.99), 490.0);
        near(tally.percentile(1.0), 500.0);
    }

    #[test]
    fn late_replies_are_told_from_duplicates() {
        let tally = open_loop(100.0, 10 * MS, |sent| Some(sent + if sent < 500 * MS { 5 * MS } else { 15 * MS }));
        assert_eq!((tally.counts.right, tally.counts.timed_out, tally.counts.late), (50, 50, 50));
        assert_eq!(Tally::default().percentile(0.5), Percentile::None);
    }
}
