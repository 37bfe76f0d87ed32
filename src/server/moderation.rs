//! Fewer and fuller batches under load.
//!
//! A worker that is faster than its clients finds few datagrams at a time, and for each few it pays two system calls and a
//! wakeup, and its replies to one peer leave in short trains. A short pause after such a batch lets more gather. Network
//! cards moderate their interrupts for the same reason (ethtool(8): adaptive-rx and rx-usecs).
//!
//! A client that waits for its replies sends later because of the pause. So a worker compares how many datagrams a second it
//! receives with pauses and without, and pauses only where they become hardly fewer, and only under load, where requests wait
//! for each other anyway.

use std::time::{Duration, Instant};

use crate::net::ReceivedCounts;

/// How long a pause is: at [`LOAD`] five datagrams gather in it.
pub(super) const PAUSE: Duration = Duration::from_micros(50);

/// Datagrams a second and worker below which there are no pauses.
const LOAD: f64 = 100_000.0;

/// What is left of the datagrams a second, at least, where pauses go on.
const KEPT: f64 = 15.0 / 16.0;

/// How long datagrams are counted before anything is decided, in nanoseconds: several ticks of the coarse clock.
const INTERVAL: u64 = 10_000_000;

/// Shorter ones tell nothing.
const SHORTEST: Duration = Duration::from_nanos(INTERVAL / 2);

/// Intervals with pauses after which one without tells anew how many datagrams there are then.
const UNTIL_MEASURED_AGAIN: u32 = 64;

/// The most intervals until pauses are tried again: 10 s.
const LONGEST_BREAK: u32 = 1024;

/// Decides after each batch whether to pause.
#[derive(Debug)]
pub(super) struct Moderation {
    enabled: bool,
    pausing: bool,
    /// Datagrams since the interval began.
    datagrams: u64,
    began: Instant,
    /// By the coarse clock.
    ends: u64,
    /// Datagrams a second without pauses.
    unpaused: f64,
    /// Intervals until pauses are tried, or left out, again.
    left: u32,
    /// The next number of intervals without pauses: each vain attempt makes it four times as long.
    rest: u32,
}

impl Moderation {
    /// Without `enabled` there are no pauses.
    pub fn new(enabled: bool, began: Instant) -> Moderation {
        Moderation { enabled, pausing: false, datagrams: 0, began, ends: 0, unpaused: 0.0, left: 0, rest: 1 }
    }

    /// Whether to pause after this batch; `full`, if more may wait already. `now` is by the coarse clock, in nanoseconds;
    /// `clock` is an exact one, asked once an interval.
    #[inline]
    pub fn pauses_after(
        &mut self,
        received: ReceivedCounts,
        full: bool,
        now: u64,
        clock: impl FnOnce() -> Instant,
    ) -> bool {
        self.datagrams += received.datagrams as u64;
        if now >= self.ends && self.enabled {
            self.end_interval(clock());
            self.ends = now + INTERVAL;
        }
        // A single request may be all that its client sends before it has the reply; trains have gathered already.
        self.pausing && !full && received.messages > 1 && received.trains == 0
    }

    fn end_interval(&mut self, now: Instant) {
        let time = now.duration_since(self.began);
        let rate = self.datagrams as f64 / time.as_secs_f64();
        (self.datagrams, self.began) = (0, now);
        // At the start, and where the two clocks differ.
        if time < SHORTEST {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if !self.pausing {
            self.unpaused = rate;
            if self.left == 0 && rate >= LOAD {
                (self.pausing, self.left) = (true, UNTIL_MEASURED_AGAIN);
            }
        } else if rate < self.unpaused * KEPT {
            (self.pausing, self.left) = (false, self.rest);
            self.rest = (self.rest * 4).min(LONGEST_BREAK);
        } else {
            self.rest = 1;
            self.pausing = self.left > 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What a worker did in a second of virtual time.
    struct Run {
        requests: u64,
        batches: u64,
        pauses: u64,
    }

    /// Clients keep `window` requests in flight: one processor makes them, `client` nanoseconds each. A batch costs the
    /// worker 3 us, and each of its datagrams 1 us.
    fn run(enabled: bool, window: usize, client: u64) -> Run {
        let start = Instant::now();
        let mut moderation = Moderation::new(enabled, start);
        let mut arrivals: VecDeque<u64> = (1..=window as u64).map(|place| place * client).collect();
        let (mut now, mut client_until) = (0, window as u64 * client);
        let mut run = Run { requests: 0, batches: 0, pauses: 0 };
        while now < 1_000_000_000 {
            now = now.max(arrivals[0]);
            let waiting = arrivals.iter().take_while(|arrival| **arrival <= now).count().min(32);
            now += 3000 + 1000 * waiting as u64;
            for _ in arrivals.drain(..waiting).collect::<Vec<_>>() {
                client_until = client_until.max(now) + client;
                arrivals.push_back(client_until);
            }
            run.requests += waiting as u64;
            run.batches += 1;
            let received = ReceivedCounts { messages: waiting, datagrams: waiting, ..ReceivedCounts::default() };
            let coarse = now / 4_000_000 * 4_000_000;
            let clock = || start + Duration::from_nanos(now);
            if moderation.pauses_after(received, waiting == 32, coarse, clock) {
                now += PAUSE.as_nanos() as u64;
                run.pauses += 1;
            }
        }
        run
    }

    #[test]
    fn many_requests_in_flight_are_answered_in_fuller_batches() {
        for client in [1500, 2000, 3000] {
            let (without, with) = (run(false, 256, client), run(true, 256, client));
            let fill = |run: &Run| run.requests as f64 / run.batches as f64;
            assert!(fill(&with) > 2.0 * fill(&without), "{client}: {} to {}", fill(&without), fill(&with));
            assert_eq!(without.pauses, 0);
        }
    }

    #[test]
    fn pauses_cost_no_throughput() {
        for window in [1, 2, 4, 8, 12, 16, 32, 64, 256] {
            for client in [100, 1000, 1500, 3000, 9000] {
                let (without, with) = (run(false, window, client).requests, run(true, window, client).requests);
                assert!(with as f64 > 0.93 * without as f64, "{window} of {client} ns: {without} to {with}");
            }
        }
    }

    #[test]
    fn there_are_none_without_load_or_after_single_requests() {
        assert_eq!(run(true, 256, 11_000).pauses, 0);
        assert_eq!(run(true, 1, 100).pauses, 0);
    }
}
