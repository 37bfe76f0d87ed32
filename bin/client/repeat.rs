//! `--repeat`: the same question again and again, and a summary of the round-trip times.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::failure::Failure;
use super::output::{self, Output};
use super::report::{Report, RoundTrips, microseconds};
use calc6::arithmetic::Number;
use calc6::client::{Canceller, Client, Error, Evaluation, Event};
use calc6::wire::Operator;

/// The number of questions and their interval.
#[derive(Debug, Clone, Copy)]
pub struct Repetition {
    pub count: u64,
    /// From the start of one question to the start of the next; a question that takes longer delays the next.
    pub interval: Duration,
    /// The end of the whole run.
    pub deadline: Option<Instant>,
}

/// Asks again and again, each time when the time before has ended; Ctrl-C ends it early.
///
/// # Errors
/// An error that the server answers with, that it never answers, or that it answers the same question differently
/// (docs/protocol.md, clause 4.5).
pub fn repeat(
    client: &mut Client,
    operator: Operator,
    operands: &[Number],
    repetition: Repetition,
    output: &Output,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut times = Times::new();
    let mut watch = output.watch();
    let mut last = None;
    for _ in 0..repetition.count {
        let started = Instant::now();
        if let Some(deadline) = repetition.deadline {
            let left = deadline.saturating_duration_since(started);
            if left.is_zero() && times.asked > 0 {
                break;
            }
            client.config_mut().retransmission.deadline = Some(left);
        }
        let mut counted = |time, event: Event<'_>| {
            times.sent += u64::from(matches!(event, Event::Sent { .. }));
            watch(time, event);
        };
        let evaluated = client.evaluate_watched(operator, operands, &mut counted);
        match evaluated {
            Ok(evaluation) => {
                times.answered(&evaluation);
                if !output.0.json && !output.0.quiet {
                    output::print(&line(output, &evaluation))?;
                }
                report.evaluation(&evaluation);
            }
            Err(Error::Cancelled) => {
                output::leave_interrupted_line();
                if times.asked == 0 {
                    return Err(Failure::Interrupted(String::new()));
                }
                break;
            }
            Err(error @ Error::Unanswered(_)) => {
                times.asked += 1;
                if !output.0.json {
                    output::complain(&super::failure::chain(&error));
                }
                last = Some(error);
            }
            Err(error) => {
                let hint = output::hint(&error, operator, Some(operands), client.config());
                return Err(Failure::client(error, hint));
            }
        }
        if !rest(client, repetition.interval.saturating_sub(started.elapsed())) {
            output::leave_interrupted_line();
            break;
        }
    }
    if !output.0.json {
        output::print(&times.summary())?;
    }
    report.counts(times.asked, times.sent);
    match last {
        Some(error) if times.answered == 0 => Err(Failure::client(error, "")),
        _ => {
            report.round_trips(times.round_trips());
            match times.results.len() {
                0 | 1 => Ok(()),
                count => Err(Failure::inconsistent(count, times.answered)),
            }
        }
    }
}

/// Sleeps; false if a Ctrl-C came meanwhile.
fn rest(client: &Client, interval: Duration) -> bool {
    /// A Ctrl-C is noticed within this time.
    const STEP: Duration = Duration::from_millis(50);
    let until = Instant::now() + interval;
    let canceller = client.canceller().ok();
    loop {
        if canceller.as_ref().is_some_and(Canceller::is_pending) {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(STEP));
    }
}

fn line(output: &Output, evaluation: &Evaluation) -> String {
    let time = evaluation.rtt.map_or(0.0, microseconds) / 1e3;
    format!("Result: {}  {time:.3} ms\n", output.number(&evaluation.result))
}

/// The most different results that are remembered; only one is right.
const MOST_RESULTS: usize = 1000;

struct Times {
    asked: u64,
    answered: u64,
    /// Datagrams, those that were refused too.
    sent: u64,
    results: BTreeSet<String>,
    /// Nanoseconds, to three digits.
    histogram: Histogram<u64>,
}

impl Times {
    fn new() -> Times {
        let histogram = Histogram::new(3).expect("three digits are allowed");
        Times { asked: 0, answered: 0, sent: 0, results: BTreeSet::new(), histogram }
    }

    fn answered(&mut self, evaluation: &Evaluation) {
        self.asked += 1;
        self.answered += 1;
        if self.results.len() < MOST_RESULTS {
            self.results.insert(evaluation.result.to_string());
        }
        let nanoseconds = evaluation.rtt.map_or(0, |rtt| rtt.as_nanos() as u64);
        // It grows with its values; 64 bits of nanoseconds are centuries.
        let _ = self.histogram.record(nanoseconds);
    }

    fn round_trips(&self) -> RoundTrips {
        let at = |nanoseconds: u64| microseconds(Duration::from_nanos(nanoseconds));
        let times = &self.histogram;
        RoundTrips {
            asked: self.asked,
            answered: self.answered,
            results: self.results.len() as u64,
            min_us: at(times.min()),
            mean_us: at(times.mean().round() as u64),
            p50_us: at(times.value_at_quantile(0.5)),
            p99_us: at(times.value_at_quantile(0.99)),
            max_us: at(times.max()),
        }
    }

    fn summary(&self) -> String {
        let Times { asked, answered, sent, .. } = self;
        let (lost, plural) = (asked - answered, if *sent == 1 { "" } else { "s" });
        let counts = format!("{asked} asked, {answered} answered, {lost} unanswered; {sent} datagram{plural} sent\n");
        if *answered == 0 {
            return counts;
        }
        let RoundTrips { min_us, mean_us, p50_us, p99_us, max_us, .. } = self.round_trips();
        let [min, mean, p50, p99, max] = [min_us, mean_us, p50_us, p99_us, max_us].map(|time| time / 1e3);
        counts + &format!("round trip min/mean/p50/p99/max = {min:.3}/{mean:.3}/{p50:.3}/{p99:.3}/{max:.3} ms\n")
    }
}
