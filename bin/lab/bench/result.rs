//! The result of a run, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use super::tally::{Counts, Percentile, Tally};
use crate::units::HumanDuration;

/// The percentiles that are shown, besides the maximum.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// Width of the longest bar of a histogram.
const BAR: usize = 40;

/// What was measured of one server.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The server's address.
    pub server: String,
    /// How long requests were sent.
    pub time: Duration,
    /// Everything that was seen.
    pub tally: Tally,
    /// Processor time that the server used, if its process is known.
    pub processor: Option<Duration>,
    /// In order, at equal intervals.
    pub series: Vec<Point>,
}

/// What was seen in one slice of time.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Point {
    /// Seconds since the start, at the end of the slice.
    pub seconds: f64,
    /// Replies in time, a second.
    pub rate: f64,
    /// Median latency in microseconds; none without replies.
    pub p50: Option<f64>,
    /// The 99th percentile; none without replies, or if it timed out.
    pub p99: Option<f64>,
    /// The largest latency.
    pub max: Option<f64>,
    /// Requests that timed out.
    pub timed_out: u64,
}

/// The JSON form.
#[derive(Debug, serde::Serialize)]
pub struct Json<'a> {
    server: &'a str,
    seconds: f64,
    counts: Counts,
    replies_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replies_per_processor_second: Option<f64>,
    /// In microseconds; null where the request timed out.
    latency: serde_json::Map<String, serde_json::Value>,
    /// Open loop: how late requests were sent, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pacing_error: Option<Pacing>,
    series: &'a [Point],
}

#[derive(Debug, serde::Serialize)]
struct Pacing {
    mean: f64,
    p99: f64,
    max: f64,
}

impl Measured {
    /// Replies in time, right or not, a second.
    pub fn rate(&self) -> f64 {
        self.tally.latencies.len() as f64 / self.time.as_secs_f64()
    }

    /// Replies in time for a second of the server's processor time.
    pub fn processor_rate(&self) -> Option<f64> {
        let seconds = self.processor?.as_secs_f64();
        (seconds > 0.0).then(|| self.tally.latencies.len() as f64 / seconds)
    }

    /// Whether every reply was right and every request had one.
    pub fn is_clean(&self) -> bool {
        let Counts { wrong, errors, timed_out, right, .. } = self.tally.counts;
        right > 0 && wrong == 0 && errors == 0 && timed_out == 0
    }

    /// Writes it for people.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Counts { sent, right, wrong, errors, timed_out, late, duplicate, dropped_by_kernel, refused } =
            self.tally.counts;
        writeln!(out, "server      {}", self.server)?;
        writeln!(out, "replies     {:.0} a second, over {}", self.rate(), HumanDuration(self.time))?;
        if let Some(rate) = self.processor_rate() {
            writeln!(out, "            {rate:.0} for each second of the server's processor time")?;
        }
        writeln!(out, "requests    {sent} sent: {right} right, {wrong} wrong, {errors} errors, {timed_out} timed out")?;
        writeln!(
            out,
            "besides     {late} late, {duplicate} duplicate, {dropped_by_kernel} dropped by this kernel, {refused} refused"
        )?;
        write!(out, "latency    ")?;
        for percentile in PERCENTILES {
            write!(out, " p{percentile} {} ", shown(self.tally.percentile(percentile / 100.0)))?;
        }
        writeln!(out, " max {}", shown(self.tally.percentile(1.0)))?;
        if !self.tally.pacing.is_empty() {
            let Pacing { mean, p99, max } = self.pacing();
            writeln!(
                out,
                "pacing      requests were sent {mean:.1} µs late on average, p99 {p99:.1} µs, max {max:.1} µs"
            )?;
        }
        self.write_histogram(out)
    }

    /// The JSON form.
    pub fn json(&self) -> Json<'_> {
        let mut latency = serde_json::Map::new();
        let microseconds = |percentile| match percentile {
            Percentile::At(latency) => Some(latency.as_secs_f64() * 1e6),
            _ => None,
        };
        for percentile in PERCENTILES {
            let value = microseconds(self.tally.percentile(percentile / 100.0));
            latency.insert(format!("p{percentile}"), value.into());
        }
        latency.insert("max".into(), microseconds(self.tally.percentile(1.0)).into());
        Json {
            server: &self.server,
            seconds: self.time.as_secs_f64(),
            counts: self.tally.counts,
            replies_per_second: self.rate(),
            replies_per_processor_second: self.processor_rate(),
            latency,
            pacing_error: (!self.tally.pacing.is_empty()).then(|| self.pacing()),
            series: &self.series,
        }
    }

    fn pacing(&self) -> Pacing {
        let pacing = &self.tally.pacing;
        let p99 = pacing.value_at_quantile(0.99) as f64 / 1e3;
        Pacing { mean: pacing.mean() / 1e3, p99, max: pacing.max() as f64 / 1e3 }
    }

    /// A bar for every doubling of the latency, and one for what timed out.
    fn write_histogram(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bars: Vec<(String, u64)> = Vec::new();
        let (least, most) = (self.tally.latencies.min().max(1), self.tally.latencies.max());
        let mut from = 1_u64 << least.ilog2();
        while from <= most && !self.tally.latencies.is_empty() {
            let count = self.tally.latencies.count_between(from, 2 * from - 1);
            bars.push((format!("up to {}", HumanDuration(Duration::from_nanos(2 * from))), count));
            from *= 2;
        }
        bars.push(("timed out".into(), self.tally.counts.timed_out));
        let (all, longest) = (bars.iter().map(|bar| bar.1).sum::<u64>(), bars.iter().map(|bar| bar.1).max());
        let longest = longest.unwrap_or_default().max(1);
        for (name, count) in bars.iter().filter(|bar| bar.1 > 0) {
            let length = (*count as u128 * BAR as u128).div_ceil(u128::from(longest)) as usize;
            let share = *count as f64 * 100.0 / all as f64;
            writeln!(out, "  {name:>14}  {:<BAR$}  {share:6.2} %", "#".repeat(length))?;
        }
        Ok(())
    }
}

impl Point {
    /// From the counts of all threads in a slice.
    pub fn new(seconds: f64, slice: Duration, tally: &Tally) -> Self {
        let microseconds = |quantile| match tally.percentile(quantile) {
            Percentile::At(latency) => Some(latency.as_secs_f64() * 1e6),
            _ => None,
        };
        let max = (!tally.latencies.is_empty()).then(|| tally.latencies.max() as f64 / 1e3);
        let rate = tally.latencies.len() as f64 / slice.as_secs_f64();
        let timed_out = tally.counts.timed_out;
        Self { seconds, rate, p50: microseconds(0.5), p99: microseconds(0.99), max, timed_out }
    }
}

fn shown(percentile: Percentile) -> String {
    match percentile {
        Percentile::At(latency) => HumanDuration(latency).to_string(),
        Percentile::TimedOut => "timed out".into(),
        Percentile::None => "-".into(),
    }
}
