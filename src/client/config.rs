//! How a client asks.

use std::time::Duration;

use crate::arithmetic::Number;
use crate::exchange::plan::plan;
use crate::exchange::{Forms, PlanError, Retransmission};
use crate::net::Segmentation;
use crate::wire::{Format, Operator};

/// How a client asks.
///
/// ```
/// use std::time::Duration;
/// use calc6::client::{Config, Forms};
/// let config = Config::default()
///     .with_timeout(Duration::from_millis(200))
///     .with_retries(5)
///     .with_deadline(Duration::from_secs(10))
///     .with_forms(Forms::Extended);
/// assert_eq!(config.retransmission.retries, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long it waits for a reply, how often it repeats a request, and when it gives up. The deadline is for a
    /// whole call with all its requests.
    pub retransmission: Retransmission,
    /// Which form it may use. By default classic where request and result can be expressed in it, else extended.
    pub forms: Forms,
    /// How results travel: as integers (the default), or as decimal text.
    pub format: Format,
    /// The most octets of the magnitude of a result: longer ones are refused ([`Error::ResultTooLong`]), so that no
    /// amount of operands exhausts memory. By default 1,048,576.
    ///
    /// [`Error::ResultTooLong`]: super::Error::ResultTooLong
    pub max_result: u64,
    /// Whether the requests of many questions may travel as segments of one message. By default where the system can.
    pub segmentation: Segmentation,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            retransmission: Retransmission::default(),
            forms: Forms::default(),
            format: Format::Integer,
            max_result: 1 << 20,
            segmentation: Segmentation::Auto,
        }
    }
}

impl Config {
    /// The least wait for the first reply; see [`Retransmission::first_wait`].
    #[must_use]
    pub fn with_timeout(mut self, first_wait: Duration) -> Config {
        self.retransmission.first_wait = first_wait;
        self
    }

    /// How often an unanswered request is repeated.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Config {
        self.retransmission.retries = retries;
        self
    }

    /// The longest that a call may take, from its start; `None` for as long as the repeats take.
    #[must_use]
    pub fn with_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Config {
        self.retransmission.deadline = deadline.into();
        self
    }

    /// Whether a peer that ignores an extended request is asked whether it knows the classic form.
    #[must_use]
    pub fn with_probe(mut self, probe: bool) -> Config {
        self.retransmission.probe = probe;
        self
    }

    /// Which form it may use.
    #[must_use]
    pub fn with_forms(mut self, forms: Forms) -> Config {
        self.forms = forms;
        self
    }

    /// How results travel.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Config {
        self.format = format;
        self
    }

    /// The most octets of the magnitude of a result.
    #[must_use]
    pub fn with_max_result(mut self, octets: u64) -> Config {
        self.max_result = octets;
        self
    }

    /// Whether requests may travel as segments of one message.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Config {
        self.segmentation = segmentation;
        self
    }

    /// Whether requests of this configuration can express `operator` over `operands`; nothing is sent.
    ///
    /// # Errors
    /// Why not.
    pub fn can_ask(&self, operator: Operator, operands: &[Number]) -> Result<(), PlanError> {
        plan(operator, self.format, self.forms, operands).map(drop)
    }
}
