//! The thread beside the workers: it waits for signals, writes the log, and tells the service manager that all is well.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};
use tracing::{info, warn};

use super::metrics::Metrics;
use super::systemd::Notifier;
use calc6::server::{Config, Counter, Dropped, Handle, Totals};

/// Signals, caught from the moment that this is made.
pub struct Signals {
    /// One octet for each signal.
    arrived: UnixStream,
    stop: Arc<AtomicBool>,
    totals: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM, which end the server in order, and SIGUSR1, which asks for its totals.
    ///
    /// # Errors
    ///
    /// Those of sigaction(2) and of opening a socket pair.
    pub fn catch() -> io::Result<Signals> {
        let (arrived, sender) = UnixStream::pair()?;
        arrived.set_nonblocking(true)?;
        let signals = Signals { arrived, stop: Arc::default(), totals: Arc::default() };
        for (signal, asked) in [(SIGINT, &signals.stop), (SIGTERM, &signals.stop), (SIGUSR1, &signals.totals)] {
            flag::register(signal, Arc::clone(asked))?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Waits for a signal, or until `limit` has passed.
    fn wait(&mut self, limit: Option<Duration>) {
        let limit = limit.map(|limit| Timespec::try_from(limit).unwrap_or_default());
        // Interrupted or not, what has arrived is in the flags.
        let _ = poll(&mut [PollFd::new(&self.arrived, PollFlags::IN)], limit.as_ref());
        while matches!(self.arrived.read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// What the thread watches.
pub struct Supervisor {
    pub handle: Handle,
    pub signals: Signals,
    pub notifier: Arc<Notifier>,
    pub metrics: Arc<Metrics>,
    /// Whether dropped datagrams are written down.
    pub verbose: bool,
}

impl Supervisor {
    /// Watches for ever: the process ends when the workers have.
    pub fn watch(mut self) -> ! {
        let mut pulse = Pulse::new(&self.handle, self.notifier.watchdog());
        loop {
            let look = self.verbose.then_some(LOOK);
            self.signals.wait(look.into_iter().chain(pulse.wait()).min());
            write_dropped(&self.handle);
            if self.signals.totals.swap(false, Relaxed) {
                self.metrics.totals().iter().for_each(|total| info!("{total}"));
            }
            if self.signals.stop.swap(false, Relaxed) {
                self.notifier.notify(&[NotifyState::Stopping]);
                self.handle.stop();
            }
            if pulse.is_due() && pulse.felt(&self.handle) {
                self.notifier.notify(&[NotifyState::Watchdog]);
            }
        }
    }
}

/// How often a verbose server looks for dropped datagrams to write down.
const LOOK: Duration = Duration::from_millis(100);

/// Writes down which datagrams were dropped, as far as the workers tell.
pub fn write_dropped(handle: &Handle) {
    for Dropped { source, length, reason, suppressed, .. } in handle.take_dropped() {
        match suppressed {
            0 => info!("dropped {length} octets from {source}: {reason}"),
            _ => info!("dropped {length} octets from {source}: {reason} ({suppressed} similar messages suppressed)"),
        }
    }
}

/// The workers' sign of life: each has gone round its loop since it was last felt. A worker that hangs is a reason for
/// the service manager to start the server anew, however well the others do.
struct Pulse {
    every: Option<Duration>,
    felt: Instant,
    rounds: Vec<u64>,
}

impl Pulse {
    fn new(handle: &Handle, every: Option<Duration>) -> Pulse {
        Pulse { every, felt: Instant::now(), rounds: vec![0; handle.workers()] }
    }

    fn wait(&self) -> Option<Duration> {
        self.every.map(|every| every.saturating_sub(self.felt.elapsed()))
    }

    fn is_due(&self) -> bool {
        self.wait() == Some(Duration::ZERO)
    }

    fn felt(&mut self, handle: &Handle) -> bool {
        self.felt = Instant::now();
        let now: Vec<u64> = (0..handle.workers()).map(|worker| rounds(&handle.worker_totals(worker))).collect();
        let hangs = now.iter().zip(&self.rounds).position(|(now, before)| now == before);
        if let Some(worker) = hangs {
            warn!("worker {worker} has not moved: the watchdog is not fed");
        }
        self.rounds = now;
        hangs.is_none()
    }
}

fn rounds(totals: &Totals) -> u64 {
    let batches = (0..=Config::MAX_BATCH).map(Counter::Batch);
    batches.chain([Counter::ReceiveErrors]).fold(0, |sum, counter| sum.wrapping_add(totals.count(counter)))
}
