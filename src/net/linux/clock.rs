//! A clock that is cheap enough to read once a batch.

use std::num::NonZeroU64;

use rustix::thread::set_current_timer_slack;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on CLOCK_MONOTONIC_COARSE (clock_gettime(2)), which never goes back and advances with the timer tick,
/// every 1 to 10 ms. No system call where the kernel provides a vDSO.
pub fn coarse() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    // Both parts are never negative on a monotonic clock, and a u64 holds 584 years.
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Lets the calling thread sleep as long as it asks for, and not up to 50 us longer (PR_SET_TIMERSLACK of prctl(2)). It is
/// best effort.
pub fn sharpen() {
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}
