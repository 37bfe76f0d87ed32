//! The options of a server that is run as a service, as typed or from the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use thiserror::Error;

use super::access_file::{AccessFile, AccessFileError};
use super::hardening::{self, HardeningError};
use super::log;
use calc6::limit::access::{Contradiction, Prefix};
use calc6::limit::rate::{Policy, Setting};
use calc6::limit::{Access, Rules};
use calc6::responder::Limits;
use calc6::server::Config;

/// Which sources are answered, and how often.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessOptions {
    /// Answer these sources only; of all prefixes of --allow and --deny the longest that contains a source decides
    #[arg(long, value_name = "PREFIX", env = "CALC6_ALLOW", value_delimiter = ',')]
    allow: Vec<Prefix>,
    /// Do not answer these sources
    #[arg(long, value_name = "PREFIX", env = "CALC6_DENY", value_delimiter = ',')]
    deny: Vec<Prefix>,
    /// Answer source ports below 1024 too; services there may answer the reply, which starts a loop
    #[arg(long, env = "CALC6_ANSWER_LOW_PORTS", value_parser = BoolishValueParser::new())]
    answer_low_ports: bool,
    /// Read more rules from FILE, one a line: allow PREFIX, deny PREFIX or exempt PREFIX
    #[arg(long, value_name = "FILE", env = "CALC6_ACCESS_FILE")]
    access_file: Option<PathBuf>,
    /// Do not limit the rate of these sources
    #[arg(long, value_name = "PREFIX", env = "CALC6_RATE_EXEMPT", value_delimiter = ',')]
    rate_exempt: Vec<Prefix>,
    /// Datagrams per second from each IPv6 /64 or IPv4 /24: `N/s[,burst=N][,site=N][,leak=N]` or `off`. The
    /// burst (twice the rate) may come at once; all of an IPv6 /48 may send `site` (8) times as much; the excess is
    /// dropped, except for one in `leak` (4; 0: none), so that forged sources cannot silence a client. Loopback has
    /// no limit
    #[arg(long, value_name = "RATE", env = "CALC6_RATE_LIMIT", default_value_t = Setting::On(Policy::default()))]
    rate_limit: Setting,
    /// Answer what the rate limit would drop, but count it
    #[arg(long, env = "CALC6_RATE_LIMIT_DRY_RUN", value_parser = BoolishValueParser::new())]
    rate_limit_dry_run: bool,
}

/// What the process gives up, tells, and is told.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct Options {
    #[command(flatten)]
    pub hardening: hardening::HardeningOptions,
    /// Serve metrics for Prometheus at http://ADDR/metrics, such as `[::1]:9469`
    #[arg(long, value_name = "ADDR", env = "CALC6_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// Format of the lines on stderr
    #[arg(long, value_name = "FORMAT", env = "CALC6_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: log::LogFormat,
    /// Write a line for each datagram that is not answered, a few a second for each reason
    #[arg(short, long, env = "CALC6_VERBOSE", value_parser = BoolishValueParser::new())]
    pub verbose: bool,
    /// Check the options, print the resulting configuration, and exit
    #[arg(long)]
    pub check_config: bool,
}

impl Options {
    /// Looks up the names in the options, and describes the resulting configuration, one line each.
    ///
    /// # Errors
    ///
    /// [`HardeningError`] if there is no such user.
    pub fn check(&self, config: &Config, access_file: Option<&AccessFile>) -> Result<Vec<String>, HardeningError> {
        let dry = if config.rate_limit_dry_run { " (dry run)" } else { "" };
        let Limits { max_reply, wrap, .. } = config.limits;
        let workers = config.workers.map_or("one for each processor".to_owned(), |workers| workers.to_string());
        let processors: Vec<String> = config.processors.iter().map(ToString::to_string).collect();
        let processors = if processors.is_empty() { "none".to_owned() } else { processors.join(", ") };
        let Rules { allow, deny, exempt, answer_low_ports, .. } = &config.access;
        let file = access_file.map_or("none".to_owned(), |file| file.path().display().to_string());
        let metrics = self.metrics.map_or("none".to_owned(), |address| format!("http://{address}/metrics"));
        let mut lines = vec![
            format!("workers: {workers}"),
            format!("workers pinned to processors: {processors}"),
            format!("longest reply: {max_reply} octets"),
            format!("classic integers modulo 2^32: {}", yes(wrap)),
            format!("segmentation: {}", config.segmentation),
            format!("pauses under load: {}", yes(config.moderation)),
            format!("IPv6 only: {}", yes(config.ipv6_only)),
            format!("port shared with other servers: {}", yes(config.share_port)),
            format!("access file: {file}"),
            format!("allowed: {}", list(allow, if deny.is_empty() { "all" } else { "all others" })),
            format!("denied: {}", list(deny, if allow.is_empty() { "none" } else { "all others" })),
            format!("source ports below 1024: {}", if *answer_low_ports { "answered" } else { "dropped" }),
            format!("rate limit: {}{dry}", config.rate_limit),
            format!("without a rate limit, beside loopback: {}", list(exempt, "none")),
        ];
        lines.extend(self.hardening.check()?);
        lines.extend([
            format!("metrics: {metrics}"),
            format!("log: {}", self.log_format),
            format!("log of datagrams that are not answered: {}", yes(self.verbose)),
        ]);
        Ok(lines)
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn list(prefixes: &[Prefix], none: &str) -> String {
    if prefixes.is_empty() {
        return none.to_owned();
    }
    prefixes.iter().map(Prefix::to_string).collect::<Vec<_>>().join(", ")
}

/// Why the options of access cannot be served.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The options contradict each other.
    #[error(transparent)]
    Options(Contradiction),
    /// The file cannot be read or is wrong.
    #[error(transparent)]
    File(#[from] AccessFileError),
}

impl AccessOptions {
    /// Adds them to a server's configuration, and returns the access file if there is one.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the rules contradict each other or the file cannot be read.
    pub fn apply(self, config: &mut Config) -> Result<Option<AccessFile>, AccessError> {
        let Self { allow, deny, rate_exempt, answer_low_ports, .. } = self;
        config.rate_limit = self.rate_limit;
        config.rate_limit_dry_run = self.rate_limit_dry_run;
        config.access = Rules::default()
            .with_allow(allow)
            .with_deny(deny)
            .with_exempt(rate_exempt)
            .with_low_ports(answer_low_ports);
        Access::new(&config.access, 0).map_err(AccessError::Options)?;
        let file = self.access_file.map(|path| AccessFile::new(path, config.access.clone()));
        if let Some(file) = &file {
            config.access = file.read()?;
        }
        Ok(file)
    }
}
