//! The result of a sweep, for people, as CSV and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use super::span::{Unit, short};
use crate::columns;
use crate::units::HumanDuration;

/// The 97.5th percentile of the normal distribution: 95% of it is within this many standard deviations.
const Z: f64 = 1.96;

/// All steps.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sweep {
    /// The option that is varied.
    pub varied: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// The options that are the same in all steps.
    pub fixed: Vec<String>,
    /// Whether each value is the same multiple of the one before.
    pub logarithmic: bool,
    /// The client's command.
    pub client: String,
    /// The server's command, or its host and port.
    pub server: String,
    /// Runs for each value.
    pub repeat: usize,
    /// The seed of the first run of each step.
    pub seed: u64,
    /// In the order of the values.
    pub steps: Vec<SweepStep>,
}

/// The runs with one value.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SweepStep {
    /// In the unit of the sweep.
    pub value: f64,
    /// Runs that ended with the right result.
    pub right: usize,
    /// Runs that ended with another result and exit status 0.
    pub wrong: usize,
    /// Runs that ended without a result, or with another exit status.
    pub failed: usize,
    /// Runs that did not end in time.
    pub timed_out: usize,
    /// The share of right runs, and the 95% confidence interval of its probability (Wilson's score interval).
    pub success: Share,
    /// Percentiles of the time from the first request to the end of the client, in seconds, over runs with the right
    /// result; `None` if there are none.
    pub seconds: Option<Percentiles>,
    /// The totals of all runs.
    pub datagrams: DatagramTotals,
    /// Each run.
    pub runs: Vec<SweepRun>,
}

/// A share, and where its true value lies in 95% of cases.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Share {
    /// The share.
    pub ratio: f64,
    /// The lower bound of the interval.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Percentiles of some numbers: each percentile is one of the numbers (the nearest rank).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// The 10th.
    pub p10: f64,
    /// The median.
    pub p50: f64,
    /// The 90th.
    pub p90: f64,
    /// The greatest.
    pub max: f64,
}

/// Totals of datagrams, counted on both sides of the relay.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct DatagramTotals {
    /// That the clients sent.
    pub requests_sent: u64,
    /// That were handed to the server, copies included.
    pub requests_delivered: u64,
    /// That the server sent.
    pub replies_sent: u64,
    /// That were handed to the clients, copies included.
    pub replies_delivered: u64,
}

/// One run of the client.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SweepRun {
    /// The seed of its relay.
    pub seed: u64,
    /// How it ended.
    pub outcome: RunOutcome,
    /// From the first request to the end of the client, in seconds; `None` if it sent nothing.
    pub seconds: Option<f64>,
    /// As in [`DatagramTotals`].
    pub requests_sent: u64,
    /// As in [`DatagramTotals`].
    pub requests_delivered: u64,
    /// As in [`DatagramTotals`].
    pub replies_sent: u64,
    /// As in [`DatagramTotals`].
    pub replies_delivered: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// With the right result, and exit status 0.
    Right,
    /// With another result, and exit status 0.
    Wrong,
    /// Without a result, or with another exit status.
    Failed,
    /// It did not end in time.
    TimedOut,
}

impl SweepStep {
    /// Counts the runs.
    pub fn new(value: f64, runs: Vec<SweepRun>) -> Self {
        let count = |outcome| runs.iter().filter(|run| run.outcome == outcome).count();
        let right = count(RunOutcome::Right);
        let seconds =
            runs.iter().filter(|run| run.outcome == RunOutcome::Right).filter_map(|run| run.seconds).collect();
        let sum = |datagrams: fn(&SweepRun) -> u64| runs.iter().map(datagrams).sum();
        Self {
            value,
            right,
            wrong: count(RunOutcome::Wrong),
            failed: count(RunOutcome::Failed),
            timed_out: count(RunOutcome::TimedOut),
            success: Share::of(right, runs.len()),
            seconds: Percentiles::of(seconds),
            datagrams: DatagramTotals {
                requests_sent: sum(|run| run.requests_sent),
                requests_delivered: sum(|run| run.requests_delivered),
                replies_sent: sum(|run| run.replies_sent),
                replies_delivered: sum(|run| run.replies_delivered),
            },
            runs,
        }
    }

    /// The mean number of datagrams per run.
    pub fn mean(&self, datagrams: u64) -> f64 {
        datagrams as f64 / self.runs.len().max(1) as f64
    }
}

impl Share {
    /// Wilson's score interval (E. B. Wilson, Probable inference, 1927): unlike the normal approximation it is correct
    /// for few runs, and if none or all of them succeed.
    fn of(right: usize, runs: usize) -> Self {
        let (n, p) = (runs.max(1) as f64, right as f64 / runs.max(1) as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { ratio: p, low: (middle - half).clamp(0.0, p), high: (middle + half).clamp(p, 1.0) }
    }
}

impl Percentiles {
    fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * numbers.len() as f64).ceil() as usize;
            numbers.get(rank.max(1) - 1).copied()
        };
        Some(Self { p10: at(0.1)?, p50: at(0.5)?, p90: at(0.9)?, max: at(1.0)? })
    }
}

impl Sweep {
    /// One row per step.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let heading = [
            self.varied,
            "right",
            "95% interval",
            "wrong",
            "failed",
            "timed out",
            "p10",
            "median",
            "p90",
            "max",
            "requests",
            "replies",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for step in &self.steps {
            let Share { ratio, low, high } = step.success;
            let percent = |share: f64| format!("{:.0}%", share * 100.0);
            let time = |time: fn(&Percentiles) -> f64| {
                step.seconds
                    .as_ref()
                    .map_or("-".to_owned(), |seconds| HumanDuration(Duration::from_secs_f64(time(seconds))).to_string())
            };
            rows.push(vec![
                self.unit.shown(step.value),
                percent(ratio),
                format!("{} to {}", percent(low), percent(high)),
                step.wrong.to_string(),
                step.failed.to_string(),
                step.timed_out.to_string(),
                time(|seconds| seconds.p10),
                time(|seconds| seconds.p50),
                time(|seconds| seconds.p90),
                time(|seconds| seconds.max),
                short(step.mean(step.datagrams.requests_sent)),
                short(step.mean(step.datagrams.replies_delivered)),
            ]);
        }
        columns::write(out, &rows)?;
        let fixed = self.fixed.iter().map(|option| format!(", {option}")).collect::<String>();
        writeln!(out, "\n{} runs for each value, seeds from {}{fixed}", self.repeat, self.seed)?;
        writeln!(
            out,
            "times are those of right runs, from the first request to the end of the client; requests sent and replies received are means of all runs"
        )
    }

    /// One row per step.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let unit = match self.unit {
            Unit::Probability => self.varied.to_owned(),
            Unit::Seconds => format!("{}_s", self.varied),
            Unit::BitsPerSecond => format!("{}_bit_per_s", self.varied),
        };
        table.write_record([
            unit.as_str(),
            "runs",
            "right",
            "wrong",
            "failed",
            "timed_out",
            "success",
            "success_low",
            "success_high",
            "seconds_p10",
            "seconds_p50",
            "seconds_p90",
            "seconds_max",
            "requests_sent",
            "requests_delivered",
            "replies_sent",
            "replies_delivered",
        ])?;
        for step in &self.steps {
            let Share { ratio, low, high } = step.success;
            let seconds = match step.seconds {
                Some(Percentiles { p10, p50, p90, max }) => [p10, p50, p90, max].map(|time| format!("{time:.6}")),
                None => Default::default(),
            };
            let DatagramTotals { requests_sent, requests_delivered, replies_sent, replies_delivered } = step.datagrams;
            let counts =
                [step.runs.len(), step.right, step.wrong, step.failed, step.timed_out].map(|count| count.to_string());
            let datagrams =
                [requests_sent, requests_delivered, replies_sent, replies_delivered].map(|count| count.to_string());
            let value = [format!("{:.6}", step.value)];
            let shares = [ratio, low, high].map(|share| format!("{share:.4}"));
            table.write_record(value.iter().chain(&counts).chain(&shares).chain(&seconds).chain(&datagrams))?;
        }
        table.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        let rounded = |right, runs| {
            let Share { ratio, low, high } = Share::of(right, runs);
            [ratio, low, high].map(|share| (share * 1000.0).round() / 1000.0)
        };
        // R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I.
        assert_eq!(rounded(81, 263), [0.308, 0.255, 0.366]);
        assert_eq!(rounded(15, 148), [0.101, 0.062, 0.160]);
        assert_eq!(rounded(0, 20), [0.0, 0.0, 0.161]);
        assert_eq!(rounded(1, 29), [0.034, 0.006, 0.172]);
    }

    #[test]
    fn percentiles_are_of_the_numbers() {
        let numbers: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(Percentiles::of(numbers), Some(Percentiles { p10: 2.0, p50: 10.0, p90: 18.0, max: 20.0 }));
        assert_eq!(Percentiles::of(vec![3.0]), Some(Percentiles { p10: 3.0, p50: 3.0, p90: 3.0, max: 3.0 }));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
