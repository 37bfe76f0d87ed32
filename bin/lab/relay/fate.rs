//! What happens to one datagram, and the random numbers that decide it.

use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::impairments::{FlowDirection, Impairments};
use crate::units::{HumanDuration, Probability};

/// The fate of a datagram, decided when it arrives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fate {
    /// Why it is dropped, or `None`.
    pub dropped: Option<DropReason>,
    /// The remaining length, if it is truncated.
    pub truncated: Option<usize>,
    /// The bits that are flipped; bit 0 is the most significant one of the first octet.
    pub flipped: Vec<usize>,
    /// It arrives twice.
    pub duplicated: bool,
    /// It waits to be overtaken.
    pub held: bool,
    /// The delays of the original and of the copy, including the wait for bandwidth.
    pub delays: [Duration; 2],
}

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DropReason {
    /// At random, by `--loss`.
    Lost,
    /// The queue before the limited bandwidth is full.
    QueueFull,
    /// More is in flight than the limits of this program allow.
    Overflow,
}

/// The fates of one client's datagrams in one direction, in order.
pub struct Fates {
    random: ChaCha8Rng,
    /// How many datagrams have come in so far.
    count: u64,
}

/// Blocks of randomness (64 bytes of ChaCha) for each datagram; more than any fate draws.
const BLOCKS_PER_DATAGRAM: u128 = 64;

impl Fates {
    /// Each client and direction has its own stream of the generator.
    pub fn new(seed: u64, client: u64, direction: FlowDirection) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(client << 1 | direction as u64);
        Self { random, count: 0 }
    }

    /// Draws the fate of the next datagram, apart from the effect of the bandwidth.
    pub fn draw(&mut self, impairments: &Impairments, length: usize) -> Fate {
        let random = &mut self.random;
        random.set_word_pos(u128::from(self.count) * BLOCKS_PER_DATAGRAM * 16);
        self.count += 1;
        // Every probability is drawn every time, in this order: one option does not change which datagrams another one
        // affects.
        let mut happens = |probability: Probability| random.random_bool(probability.value());
        let lost = happens(impairments.loss);
        let duplicated = happens(impairments.duplicate);
        let held = happens(impairments.reorder);
        let corrupted = happens(impairments.corrupt);
        let truncated = happens(impairments.truncate) && length > 0;
        let delays = [impairments.draw_delay(random), impairments.draw_delay(random)];
        let truncated = truncated.then(|| random.random_range(0..length));
        let flipped = match truncated.unwrap_or(length) * 8 {
            bits if corrupted && bits > 0 => distinct(random, bits, impairments.corrupt_bits),
            _ => Vec::new(),
        };
        Fate { dropped: lost.then_some(DropReason::Lost), truncated, flipped, duplicated, held, delays }
    }
}

/// `wanted` different numbers below `bound` in ascending order, or all of them if there are not as many.
fn distinct(random: &mut ChaCha8Rng, bound: usize, wanted: usize) -> Vec<usize> {
    let mut chosen = rand::seq::index::sample(random, bound, wanted.min(bound)).into_vec();
    chosen.sort_unstable();
    chosen
}

impl Fate {
    /// The octets that are forwarded.
    pub fn applied_to(&self, datagram: &[u8]) -> Vec<u8> {
        let mut payload = datagram[..self.truncated.unwrap_or(datagram.len())].to_vec();
        for bit in &self.flipped {
            payload[bit / 8] ^= 0x80 >> (bit % 8);
        }
        payload
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dropped {
            Some(DropReason::Lost) => return f.write_str("lost"),
            Some(DropReason::QueueFull) => return f.write_str("dropped: the queue is full"),
            Some(DropReason::Overflow) => return f.write_str("dropped: too many datagrams in flight"),
            None => write!(f, "delayed by {}", HumanDuration(self.delays[0]))?,
        }
        if let Some(length) = self.truncated {
            write!(f, ", truncated to {length} octets")?;
        }
        match &self.flipped[..] {
            [] => {}
            [bit] => write!(f, ", bit {bit} flipped")?,
            bits => write!(f, ", bits {bits:?} flipped")?,
        }
        if self.held {
            f.write_str(", held until overtaken")?;
        }
        if self.duplicated {
            write!(f, ", and a copy by {}", HumanDuration(self.delays[1]))?;
        }
        Ok(())
    }
}
