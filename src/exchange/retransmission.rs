//! When requests are repeated: the waits and their limits.

use core::time::Duration;

/// The longest wait between two repeats (RFC 6298, section 2.5), unless the first one is longer.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// When a request is repeated, and when it is given up.
///
/// ```
/// use std::time::Duration;
/// use calc6::exchange::Retransmission;
/// let hasty = Retransmission::default().with_first_wait(Duration::from_millis(100)).with_retries(1);
/// // 150 ms and 300 ms at most, and once more for a wider request.
/// assert_eq!(hasty.longest(), Duration::from_millis(900));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retransmission {
    /// The least wait for the first reply. A random factor of 1 to 1.5 is applied; every repeat doubles the wait, up to
    /// [`MAX_WAIT`].
    pub first_wait: Duration,
    /// How often an unanswered request is repeated.
    pub retries: u32,
    /// When to give up, counted from the start, even if something is still untried.
    pub deadline: Option<Duration>,
    /// Whether to send the classic [`PROBE`](super::PROBE) to a peer that is silent on an extended request. Only an
    /// exchange that is alone on its socket ever does.
    pub probe: bool,
}

impl Default for Retransmission {
    /// 1 s (RFC 8085, section 3.1.1), 3 repeats (RFC 7252, section 4.8, has 4), no deadline, and the probe.
    fn default() -> Retransmission {
        Retransmission { first_wait: Duration::from_secs(1), retries: 3, deadline: None, probe: true }
    }
}

impl Retransmission {
    /// The least wait for the first reply.
    #[must_use]
    pub fn with_first_wait(mut self, first_wait: Duration) -> Retransmission {
        self.first_wait = first_wait;
        self
    }

    /// How often an unanswered request is repeated.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Retransmission {
        self.retries = retries;
        self
    }

    /// When to give up, counted from the start; `None` for after the last wait.
    #[must_use]
    pub fn with_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Retransmission {
        self.deadline = deadline.into();
        self
    }

    /// Whether to send the classic [`PROBE`](super::PROBE).
    #[must_use]
    pub fn with_probe(mut self, probe: bool) -> Retransmission {
        self.probe = probe;
        self
    }

    /// All waits for replies to one request together, with the random factor 1.
    pub fn waits(&self) -> Duration {
        waits(self.first_wait, self.retries)
    }

    /// The longest that any exchange takes from its start to its outcome, if it is called whenever it wants to be
    /// woken: all waits with the factor 1.5, once for the request and once for the wider one. Without repeats, the
    /// probe has a wait of its own.
    pub fn longest(&self) -> Duration {
        let first = scaled(self.first_wait, u32::MAX);
        let request = waits(first, self.retries);
        let probe = if self.retries == 0 { first } else { Duration::ZERO };
        let waited = request.saturating_add(request).saturating_add(probe);
        self.deadline.map_or(waited, |deadline| deadline.min(waited))
    }
}

/// `wait` times 1 + `fraction` / 2^33: a factor of 1 to 1.5.
pub(super) fn scaled(wait: Duration, fraction: u32) -> Duration {
    let extra = (wait.as_nanos() / 2 * (u128::from(fraction) + 1)) >> 32;
    wait.saturating_add(duration_of_nanos(extra))
}

/// The wait after this number of repeats: doubled by each, up to [`MAX_WAIT`].
pub(crate) fn backed_off(first: Duration, repeats: u64) -> Duration {
    doubled(first, repeats).min(MAX_WAIT.max(first))
}

/// The first wait and those of all repeats together.
fn waits(first: Duration, repeats: u32) -> Duration {
    // After as many doublings as a limit of any length allows, all waits are the same.
    let differing = repeats.min(64);
    let sum = (0..=differing).fold(Duration::ZERO, |sum, repeat| sum.saturating_add(backed_off(first, repeat.into())));
    sum.saturating_add(backed_off(first, u64::MAX).saturating_mul(repeats - differing))
}

/// The duration, or the longest that there is.
fn duration_of_nanos(nanos: u128) -> Duration {
    let second = Duration::from_secs(1).as_nanos();
    u64::try_from(nanos / second).map_or(Duration::MAX, |secs| Duration::new(secs, (nanos % second) as u32))
}

/// `wait`, doubled `times` times.
pub(super) fn doubled(wait: Duration, times: u64) -> Duration {
    wait.saturating_mul(u32::try_from(times).ok().and_then(|times| 1u32.checked_shl(times)).unwrap_or(u32::MAX))
}
