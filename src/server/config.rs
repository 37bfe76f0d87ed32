//! The configuration of a server.

use std::num::NonZeroUsize;

use crate::limit::Rules;
use crate::limit::rate::{Policy, Setting};
use crate::net::Segmentation;
use crate::responder::Limits;

/// The configuration of a [`Server`](super::Server). [`Config::default`] is that of the program without options.
///
/// ```
/// use calc6::limit::rate::Setting;
/// use calc6::server::Config;
/// let config = Config::default().with_batch(16).with_rate_limit(Setting::Off);
/// assert!(config.workers.is_none(), "one for each processor");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Workers, each a thread with a socket of its own; `None`: one for each processor that the process may use, or a single
    /// one where the system cannot give several a port ([`SystemCapabilities::port_groups`](crate::net::SystemCapabilities)).
    pub workers: Option<NonZeroUsize>,
    /// Processors, by the system's numbers, to which the workers are pinned in turn (sched_setaffinity(2)); empty: none
    /// is pinned.
    pub processors: Vec<usize>,
    /// Most messages, each a datagram or a train of them, that one system call takes, 1 to [`Config::MAX_BATCH`].
    pub batch: usize,
    /// Whether datagrams of one peer may be received and answered as segments of one message.
    pub segmentation: Segmentation,
    /// Whether workers may pause for 50 us after a batch under load, so that the next one is fuller: less processor time for
    /// each request. They pause only where replies can be joined into segments and throughput does not fall.
    pub moderation: bool,
    /// The limits of the responder.
    pub limits: Limits,
    /// Serves IPv6 only; otherwise the wildcard address `::` also serves IPv4, through mapped addresses.
    pub ipv6_only: bool,
    /// Shares the port with other servers of the same user that share it too.
    pub share_port: bool,
    /// Which sources are answered at all.
    pub access: Rules,
    /// How often each source prefix is answered.
    pub rate_limit: Setting,
    /// Counts what the rate limit would drop, and answers it.
    pub rate_limit_dry_run: bool,
    /// Reports datagrams that are not answered, a few a second, through
    /// [`Handle::take_dropped`](super::Handle::take_dropped).
    pub verbose: bool,
}

impl Config {
    /// The fastest batch: larger ones save almost nothing per datagram, and do not fit the processor's first-level
    /// cache (docs/performance.md).
    pub const DEFAULT_BATCH: usize = 32;

    /// The largest batch.
    pub const MAX_BATCH: usize = 64;

    /// With this number of [`workers`](Self::workers).
    #[must_use]
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Config {
        self.workers = Some(workers);
        self
    }

    /// With workers pinned to these [`processors`](Self::processors).
    #[must_use]
    pub fn with_processors(mut self, processors: impl IntoIterator<Item = usize>) -> Config {
        self.processors = processors.into_iter().collect();
        self
    }

    /// With another size of the [`batch`](Self::batch). Sizes out of range are an error of
    /// [`Server::bind`](super::Server::bind).
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Config {
        self.batch = batch;
        self
    }

    /// With [`segmentation`](Self::segmentation), or without.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Config {
        self.segmentation = segmentation;
        self
    }

    /// With [`moderation`](Self::moderation), or without.
    #[must_use]
    pub fn with_moderation(mut self, moderation: bool) -> Config {
        self.moderation = moderation;
        self
    }

    /// With other [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Config {
        self.limits = limits;
        self
    }

    /// For [IPv6 only](Self::ipv6_only), or for both families.
    #[must_use]
    pub fn with_ipv6_only(mut self, ipv6_only: bool) -> Config {
        self.ipv6_only = ipv6_only;
        self
    }

    /// [Sharing the port](Self::share_port), or not.
    #[must_use]
    pub fn with_share_port(mut self, share_port: bool) -> Config {
        self.share_port = share_port;
        self
    }

    /// With these [`access`](Self::access) rules.
    #[must_use]
    pub fn with_access(mut self, access: Rules) -> Config {
        self.access = access;
        self
    }

    /// With this [`rate_limit`](Self::rate_limit).
    #[must_use]
    pub fn with_rate_limit(mut self, rate_limit: Setting) -> Config {
        self.rate_limit = rate_limit;
        self
    }

    /// With a rate limit that [only counts](Self::rate_limit_dry_run), or one that drops.
    #[must_use]
    pub fn with_rate_limit_dry_run(mut self, dry_run: bool) -> Config {
        self.rate_limit_dry_run = dry_run;
        self
    }

    /// [Reporting](Self::verbose) datagrams that are not answered, or not.
    #[must_use]
    pub fn with_verbose(mut self, verbose: bool) -> Config {
        self.verbose = verbose;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: None,
            processors: Vec::new(),
            batch: Self::DEFAULT_BATCH,
            segmentation: Segmentation::Auto,
            moderation: true,
            limits: Limits::default(),
            ipv6_only: false,
            share_port: false,
            access: Rules::default(),
            rate_limit: Setting::On(Policy::default()),
            rate_limit_dry_run: false,
            verbose: false,
        }
    }
}
