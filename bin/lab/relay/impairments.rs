//! The impairments of a direction of the network: probabilities, delays and bandwidth, as in the options.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

use crate::units::Probability;

/// The direction of a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FlowDirection {
    /// From a client to the server.
    ToServer = 0,
    /// From the server to a client.
    ToClient = 1,
}

/// How the random part of the delay is distributed; `--jitter` gives its scale.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Distribution {
    /// Evenly from delay - jitter to delay + jitter.
    #[default]
    Uniform,
    /// Normally distributed around the delay, with the jitter as standard deviation.
    Normal,
    /// At least the delay, and the jitter more on average; small additions are the most likely.
    Exponential,
    /// At least the delay, and the jitter more on average, with rare large outliers (shape 3).
    Pareto,
}

/// The impairments of one direction. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Impairments {
    /// The probability that a datagram is dropped.
    pub loss: Probability,
    /// The probability that a datagram arrives twice.
    pub duplicate: Probability,
    /// The probability that a datagram waits until the next one of its client has overtaken it.
    pub reorder: Probability,
    /// The longest time that it waits; after this time it is sent anyway.
    pub reorder_hold: Duration,
    /// The probability that bits of a datagram are flipped.
    pub corrupt: Probability,
    /// How many bits are flipped in such a datagram, all different; in a shorter datagram all bits are flipped.
    pub corrupt_bits: usize,
    /// The probability that a datagram is truncated to a random length, from 0 to one octet less than its own.
    pub truncate: Probability,
    /// The fixed part of the delay.
    pub delay: Duration,
    /// The scale of the random part of the delay.
    pub jitter: Duration,
    /// The shape of the random part of the delay.
    pub distribution: Distribution,
    /// Bandwidth in bit/s; `None` is unlimited. UDP and IPv6 headers (48 octets a datagram) count.
    pub rate: Option<u64>,
    /// How many octets may wait for the bandwidth; a datagram that would exceed this is dropped.
    pub queue: usize,
}

impl Impairments {
    /// One delay: the fixed part plus a random part. Never negative.
    pub fn draw_delay(&self, random: &mut ChaCha8Rng) -> Duration {
        let scale = match self.distribution {
            Distribution::Uniform => random.random_range(-1.0..=1.0),
            Distribution::Normal => StandardNormal.sample(random),
            Distribution::Exponential => Exp1.sample(random),
            Distribution::Pareto => pareto(random.random()),
        };
        let seconds = self.delay.as_secs_f64() + self.jitter.as_secs_f64() * scale;
        Duration::from_secs_f64(seconds.clamp(0.0, MAX_DELAY))
    }
}

/// The longest delay, in seconds: a day, as the options allow, and a day of jitter.
const MAX_DELAY: f64 = 172_800.0;

/// A Pareto (Lomax) variable of shape 3 with mean 1, from a uniform one in 0 to 1, by inversion.
fn pareto(uniform: f64) -> f64 {
    const SHAPE: f64 = 3.0;
    (SHAPE - 1.0) * ((1.0 - uniform).powf(-1.0 / SHAPE) - 1.0)
}
