//! The server's counters as metrics, in the text format of OpenMetrics 1.0, which Prometheus reads.
//!
//! docs/operations.md says what each of them means.

use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use calc6::limit::Refusal;
use calc6::responder::Reason;
use calc6::server::{Config, Counter, Handle, Totals};
use calc6::wire::{Form, Operator, Status};

/// The type of the text, for HTTP's Content-Type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A running server's metrics.
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Metrics of the server behind `handle`, which starts now.
    pub fn new(handle: Handle) -> Metrics {
        let mut registry = Registry::with_prefix("calc6");
        registry.register_collector(Box::new(MetricsSource { handle, started: SystemTime::now() }));
        Metrics { registry }
    }

    /// Appends the metrics at this moment.
    pub fn write(&self, to: &mut String) {
        // Writing to a String cannot fail.
        let _ = encode(to, &self.registry);
    }

    /// The samples that are not zero, one a line, without their descriptions.
    pub fn totals(&self) -> Vec<String> {
        let mut text = String::new();
        self.write(&mut text);
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        samples.filter(|line| !line.contains("_bucket{")).map(str::to_owned).collect()
    }
}

/// Reads the counters whenever it is asked.
struct MetricsSource {
    handle: Handle,
    started: SystemTime,
}

impl fmt::Debug for MetricsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsSource").field("started", &self.started).finish_non_exhaustive()
    }
}

impl Collector for MetricsSource {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.handle.totals();
        let mut page = Scrape { encoder: &mut encoder, totals: &totals };
        page.requests()?;
        page.replies()?;
        page.drops()?;
        page.singles()?;
        page.batches()?;
        page.process(self.handle.workers(), self.started)
    }
}

type Label<'a> = [(&'a str, &'a str)];

/// One scrape.
struct Scrape<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
    totals: &'a Totals,
}

impl Scrape<'_, '_> {
    fn requests(&mut self) -> fmt::Result {
        let totals = self.totals;
        let mut family = self.family("requests", "Requests answered, by form and operator", MetricType::Counter)?;
        for (form, form_name) in [(Form::Classic, "classic"), (Form::Extended, "extended")] {
            for operator in Operator::ALL.into_iter().map(Some).chain([None]) {
                let name = operator.map_or("unknown", Operator::word);
                let count = totals.count(Counter::Request(form, operator));
                sample(&mut family, &[("form", form_name), ("operator", name)], count)?;
            }
        }
        Ok(())
    }

    fn replies(&mut self) -> fmt::Result {
        let totals = self.totals;
        let mut family = self.family("replies", "Replies made, by status", MetricType::Counter)?;
        for status in Status::ALL {
            sample(&mut family, &[("status", status.text())], totals.count(Counter::Reply(status)))?;
        }
        Ok(())
    }

    fn drops(&mut self) -> fmt::Result {
        let totals = self.totals;
        let mut family = self.family("drops", "Datagrams received and not answered, by reason", MetricType::Counter)?;
        for refusal in Refusal::ALL {
            sample(&mut family, &[("reason", refusal.name())], totals.count(Counter::Refused(refusal)))?;
        }
        for reason in Reason::ALL {
            sample(&mut family, &[("reason", reason.name())], totals.count(Counter::Silent(reason)))?;
        }
        Ok(())
    }

    fn singles(&mut self) -> fmt::Result {
        let totals = self.totals;
        let count = |counter| totals.count(counter);
        let limited = "Datagrams over their prefix's rate, by what was done with them";
        let mut family = self.family("rate_limited", limited, MetricType::Counter)?;
        let dropped = count(Counter::Refused(Refusal::RateLimited));
        sample(&mut family, &[("action", "dropped")], dropped)?;
        sample(&mut family, &[("action", "answered")], count(Counter::Leaked))?;

        let mut family = self.family("octets", "UDP payload, by direction", MetricType::Counter)?;
        sample(&mut family, &[("direction", "in")], count(Counter::OctetsIn))?;
        sample(&mut family, &[("direction", "out")], count(Counter::OctetsOut))?;

        let unsent = "Replies made that could not be sent, by reason";
        let mut family = self.family("unsent_replies", unsent, MetricType::Counter)?;
        sample(&mut family, &[("reason", "queue-full")], count(Counter::SendQueueFull))?;
        sample(&mut family, &[("reason", "refused")], count(Counter::SendRefused))?;

        let kernel = "Datagrams that the kernel dropped because a socket's receive buffer was full";
        self.counter("kernel_drops", kernel, count(Counter::KernelDrops))?;
        self.counter("receive_errors", "Receive calls that failed", count(Counter::ReceiveErrors))?;

        let trains = "Messages that were trains: datagrams of one peer and length, joined, by direction";
        let mut family = self.family("trains", trains, MetricType::Counter)?;
        sample(&mut family, &[("direction", "in")], count(Counter::TrainsReceived))?;
        sample(&mut family, &[("direction", "out")], count(Counter::TrainsSent))?;
        let mut family = self.family("segments", "Datagrams in trains, by direction", MetricType::Counter)?;
        sample(&mut family, &[("direction", "in")], count(Counter::SegmentsReceived))?;
        sample(&mut family, &[("direction", "out")], count(Counter::SegmentsSent))?;
        let refused = "Trains that the kernel refused: their replies were sent one by one";
        self.counter("refused_trains", refused, count(Counter::TrainsRefused))?;
        self.counter("pauses", "Pauses of 50 us under load that let requests gather", count(Counter::Pauses))
    }

    fn batches(&mut self) -> fmt::Result {
        let sizes = || (1..=Config::MAX_BATCH).map(|size| (size, self.totals.count(Counter::Batch(size))));
        let sum: u64 = sizes().map(|(size, count)| size as u64 * count).sum();
        let number = sizes().map(|(_, count)| count).sum();
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        let mut below = 1;
        for bound in [1, 2, 4, 8, 16, 32, Config::MAX_BATCH] {
            let within = sizes().filter(|(size, _)| (below..=bound).contains(size)).map(|(_, count)| count).sum();
            buckets.push((bound as f64, within));
            below = bound + 1;
        }
        buckets.push((f64::INFINITY, 0));
        let help = "Messages, each a datagram or a train of them, that one receive call returned";
        let mut family = self.family("batch_size", help, MetricType::Histogram)?;
        family.encode_histogram::<Labels<'_>>(sum as f64, number, &buckets, None)
    }

    fn process(&mut self, workers: usize, started: SystemTime) -> fmt::Result {
        let since_epoch = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let up = started.elapsed().unwrap_or(Duration::ZERO);
        self.gauge("workers", "Threads that serve", None, workers as f64)?;
        self.gauge("start_time", "When the server started", Some(Unit::Seconds), since_epoch.as_secs_f64())?;
        self.gauge("uptime", "How long the server has run", Some(Unit::Seconds), up.as_secs_f64())?;
        let mut family = self.family("build", "What is running", MetricType::Info)?;
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("arch", std::env::consts::ARCH), ("profile", profile)];
        family.encode_info(&labels)
    }

    fn family<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.encoder.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.family(name, help, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: f64) -> fmt::Result {
        let family = self.encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        ConstGauge::new(value).encode(family)
    }
}

fn sample(family: &mut MetricEncoder<'_>, labels: &Label<'_>, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(family.encode_family(&Labels(labels))?)
}

/// Labels whose number is known only at run time.
#[derive(Debug)]
struct Labels<'a>(&'a Label<'a>);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel;
        self.0.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

impl super::http::Content for Metrics {
    fn media_type(&self) -> &str {
        CONTENT_TYPE
    }

    fn write(&self, to: &mut String) {
        Metrics::write(self, to);
    }
}
