//! Random numbers for identifiers and waits, from the kernel's generator, a few at a time.

use std::io;

/// Draws from getrandom(2).
#[derive(Debug)]
pub struct Random {
    pool: [u64; POOL],
    left: usize,
}

/// How many numbers one call to the kernel brings.
const POOL: usize = 16;

impl Random {
    /// What one exchange draws at most.
    pub const EXCHANGE: usize = 3;

    /// An empty pool.
    pub const fn new() -> Random {
        Random { pool: [0; POOL], left: 0 }
    }

    /// One number.
    ///
    /// # Errors
    /// The kernel gives none (getrandom(2)).
    pub fn draw(&mut self) -> io::Result<u64> {
        self.source().map(|mut source| source())
    }

    /// A source of at least [`Self::EXCHANGE`] numbers.
    ///
    /// # Errors
    /// The kernel gives none (getrandom(2)).
    pub fn source(&mut self) -> io::Result<impl FnMut() -> u64> {
        if self.left < Self::EXCHANGE {
            let mut octets = [0; POOL * size_of::<u64>()];
            getrandom::fill(&mut octets).map_err(io::Error::other)?;
            for (number, octets) in self.pool.iter_mut().zip(octets.as_chunks().0) {
                *number = u64::from_ne_bytes(*octets);
            }
            self.left = POOL;
        }
        Ok(|| {
            self.left -= 1;
            self.pool[self.left]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let mut random = Random::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let mut source = random.source().unwrap();
            for _ in 0..Random::EXCHANGE {
                assert!(seen.insert(source()));
            }
        }
    }
}
