//! How a server is to serve.

use std::num::NonZeroUsize;

use crate::limit::Rules;
use crate::limit::rate::{Policy, Setting};
use crate::responder::Limits;

/// Everything that a [`Server`](super::Server) can be told. [`Config::default`] is what the program does without
/// options.
#[derive(Clone, Debug)]
pub struct Config {
    /// Workers, each a thread with a socket of its own; `None`: one for each processor that the process may use.
    pub workers: Option<NonZeroUsize>,
    /// Pins each worker to a processor.
    pub pin: bool,
    /// Most datagrams that one system call takes or sends, 1 to [`Config::MAX_BATCH`].
    pub batch: usize,
    /// What the responder may do.
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
    /// Tells of datagrams that are not answered, a few a second, through
    /// [`Handle::take_dropped`](super::Handle::take_dropped).
    pub verbose: bool,
}

impl Config {
    /// The batch that serves best: larger ones save next to nothing per datagram, and outgrow the processor's nearest
    /// cache (docs/performance.md).
    pub const DEFAULT_BATCH: usize = 32;

    /// The largest batch.
    pub const MAX_BATCH: usize = 64;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: None,
            pin: true,
            batch: Self::DEFAULT_BATCH,
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
