//! `--repeat`: the same question again and again, and a summary of the round-trip times.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::failure::Failure;
use super::output::{self, Output};
use super::report::{Report, RoundTrips, microseconds};
use calc6::arithmetic::Number;
use calc6::client::{Client, Error, Evaluation};
use calc6::wire::Operator;

/// Asks `count` times, each time when the time before has ended; Ctrl-C ends it early.
///
/// # Errors
/// An error that the server answers with, or that it never answers.
pub fn repeat(
    client: &mut Client,
    operator: Operator,
    operands: &[Number],
    count: u64,
    output: &Output,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut times = Times::new();
    let mut watch = output.watch();
    let mut last = None;
    for _ in 0..count {
        match client.evaluate_watched(operator, operands, &mut watch) {
            Ok(evaluation) => {
                times.answered(&evaluation);
                if !output.0.json && !output.0.quiet {
                    output::print(&line(output, &evaluation))?;
                }
                report.evaluation(&evaluation, output.number(&evaluation.result));
            }
            Err(Error::Interrupted) => {
                output::leave_interrupted_line();
                if times.asked == 0 {
                    return Err(Failure::Interrupted(String::new()));
                }
                break;
            }
            Err(error @ Error::Unanswered(_)) => {
                times.asked += 1;
                if !output.0.json {
                    output::complain(&error);
                }
                last = Some(error);
            }
            Err(error) => {
                let hint = output::hint(&error, operator, Some(operands), client.config());
                return Err(Failure::client(error, hint));
            }
        }
    }
    if !output.0.json {
        output::print(&times.summary())?;
    }
    match last {
        Some(error) if times.answered == 0 => Err(Failure::client(error, "")),
        _ => {
            report.round_trips(times.round_trips());
            Ok(())
        }
    }
}

fn line(output: &Output, evaluation: &Evaluation) -> String {
    let time = evaluation.rtt.map_or(0.0, microseconds) / 1e3;
    format!("Result: {}  {time:.3} ms\n", output.number(&evaluation.result))
}

struct Times {
    asked: u64,
    answered: u64,
    sent: u64,
    /// Nanoseconds, to three digits.
    histogram: Histogram<u64>,
}

impl Times {
    fn new() -> Times {
        let histogram = Histogram::new(3).expect("three digits are allowed");
        Times { asked: 0, answered: 0, sent: 0, histogram }
    }

    fn answered(&mut self, evaluation: &Evaluation) {
        self.asked += 1;
        self.answered += 1;
        self.sent += evaluation.transmissions;
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
            min_us: at(times.min()),
            mean_us: times.mean() / 1e3,
            p50_us: at(times.value_at_quantile(0.5)),
            p99_us: at(times.value_at_quantile(0.99)),
            max_us: at(times.max()),
        }
    }

    fn summary(&self) -> String {
        let Times { asked, answered, sent, .. } = self;
        let (lost, plural) = (asked - answered, if *sent == 1 { "" } else { "s" });
        let counts =
            format!("{asked} asked, {answered} answered, {lost} lost; {sent} datagram{plural} sent for the answers\n");
        if *answered == 0 {
            return counts;
        }
        let RoundTrips { min_us, mean_us, p50_us, p99_us, max_us, .. } = self.round_trips();
        let [min, mean, p50, p99, max] = [min_us, mean_us, p50_us, p99_us, max_us].map(|time| time / 1e3);
        counts + &format!("round trip min/mean/p50/p99/max = {min:.3}/{mean:.3}/{p50:.3}/{p99:.3}/{max:.3} ms\n")
    }
}
