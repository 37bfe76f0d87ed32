//! The path between the client and the server: the fate of each datagram.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The faults of a path, in both directions.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    loss: f64,
    repetition: f64,
    /// The delay is drawn between these, so that datagrams overtake each other.
    least: Duration,
    most: Duration,
    /// How often a datagram comes up to a minute late.
    stragglers: f64,
}

impl Path {
    /// One that is fast and loses nothing, or one that is bad in some respects.
    pub fn new(random: &mut ChaCha8Rng) -> Path {
        let mut sometimes = |most: f64| if random.random_bool(0.5) { random.random_range(0.0..most) } else { 0.0 };
        let (loss, repetition, stragglers) = (sometimes(0.6), sometimes(0.5), sometimes(0.3));
        let least = Duration::from_micros(random.random_range(10..50_000));
        let most = least + Duration::from_micros(random.random_range(1..2_000_000));
        let perfect = Path { loss: 0.0, repetition: 0.0, least, most: least, stragglers: 0.0 };
        if random.random_bool(0.2) { perfect } else { Path { loss, repetition, stragglers, most, ..perfect } }
    }

    /// One that loses and repeats with these probabilities, 0 to 1, and delays between these times.
    pub fn of(loss: f64, repetition: f64, least: Duration, most: Duration) -> Path {
        Path { loss, repetition, least, most: most.max(least), stragglers: 0.0 }
    }

    /// Whether nothing is lost, repeated or late: an answer then always comes within twice [`least`](Self::least).
    pub fn is_perfect(&self) -> bool {
        self.loss == 0.0 && self.repetition == 0.0 && self.stragglers == 0.0 && self.least == self.most
    }

    /// The least delay.
    pub fn least(&self) -> Duration {
        self.least
    }

    /// The delays after which a datagram arrives: none, one, or several.
    pub fn delays(&self, random: &mut ChaCha8Rng) -> Vec<Duration> {
        let mut delays = Vec::new();
        let mut copies = u32::from(!random.random_bool(self.loss));
        while copies > 0 && random.random_bool(self.repetition) && copies < 5 {
            copies += 1;
        }
        for _ in 0..copies {
            let late = if random.random_bool(self.stragglers) { random.random_range(0..60_000) } else { 0 };
            let usual = random.random_range(self.least.as_micros()..=self.most.as_micros()) as u64;
            delays.push(Duration::from_micros(usual) + Duration::from_millis(late));
        }
        delays
    }
}
