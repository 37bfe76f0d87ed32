//! Lines on stderr about single datagrams, never more than a few a second, whatever arrives.

use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

/// One worker's voice.
pub(super) struct Journal {
    enabled: bool,
    since: Instant,
    lines: u32,
    withheld: u64,
}

/// Lines a second and worker.
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

impl Journal {
    /// A journal that writes, or one that keeps silent.
    pub fn new(enabled: bool) -> Self {
        Self { enabled, since: Instant::now(), lines: 0, withheld: 0 }
    }

    /// Says that a datagram was dropped.
    #[cold]
    pub fn dropped(&mut self, source: &SocketAddrV6, length: usize, reason: &str) {
        if !self.enabled {
            return;
        }
        if self.since.elapsed() >= PERIOD {
            if self.withheld > 0 {
                eprintln!("server: dropped {} more datagrams without a line each", self.withheld);
            }
            (self.since, self.lines, self.withheld) = (Instant::now(), 0, 0);
        }
        if self.lines == LINES {
            self.withheld += 1;
            return;
        }
        self.lines += 1;
        eprintln!("server: dropped {length} octets from {source}: {reason}");
    }
}
