//! When requests of an open loop are sent, also while earlier ones are unanswered.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

/// How requests of an open loop are spaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// At even intervals
    Even,
    /// As independent users do: exponentially distributed intervals
    Poisson,
}

/// The intended times of the requests of one thread.
pub struct Pace {
    interval: f64,
    spacing: Spacing,
    random: ChaCha8Rng,
    /// In nanoseconds since the start; a float, so that rounding does not add up.
    next: f64,
}

impl Pace {
    /// `rate` requests a second, the first one `start` nanoseconds after the start.
    pub fn new(rate: f64, spacing: Spacing, seed: u64, start: u64) -> Self {
        let mut pace =
            Self { interval: 1e9 / rate, spacing, random: ChaCha8Rng::seed_from_u64(seed), next: start as f64 };
        if spacing == Spacing::Poisson {
            pace.step();
        }
        pace
    }

    /// When the next request is due.
    pub fn next(&self) -> u64 {
        self.next as u64
    }

    /// Takes the next request if it is due.
    pub fn due(&mut self, now: u64) -> Option<u64> {
        let intended = self.next();
        (intended <= now).then(|| {
            self.step();
            intended
        })
    }

    fn step(&mut self) {
        let factor: f64 = match self.spacing {
            Spacing::Even => 1.0,
            Spacing::Poisson => Exp1.sample(&mut self.random),
        };
        self.next += self.interval * factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_spacing_is_even_and_does_not_drift() {
        let mut pace = Pace::new(3.0, Spacing::Even, 0, 10);
        let times: Vec<u64> = std::iter::from_fn(|| pace.due(1_000_000_010)).collect();
        assert_eq!(times, [10, 333_333_343, 666_666_676, 1_000_000_010]);
        assert_eq!(pace.due(1_000_000_010), None);
    }

    #[test]
    fn poisson_spacing_has_the_rate_and_the_spread() {
        let mut pace = Pace::new(1e6, Spacing::Poisson, 7, 0);
        let times: Vec<u64> = std::iter::from_fn(|| pace.due(100_000_000)).collect();
        let count = times.len() as f64;
        // 100,000 expected, with a standard deviation of 316.
        assert!((count - 100_000.0).abs() < 5.0 * 316.0, "{count}");
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation} {mean}");
    }
}
