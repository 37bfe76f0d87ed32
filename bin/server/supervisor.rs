//! The thread beside the workers: it waits for signals, writes the log, reads the access file again, and notifies the
//! service manager.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::access_file::{AccessFile, AccessFileError};
use crate::hardening::{ServiceManager, Signals};
use crate::in_full;
use crate::metrics::Metrics;
use calc6::server::{Config, Counter, Dropped, Handle, Totals};

/// What the thread watches.
pub struct Supervisor {
    pub handle: Handle,
    pub signals: Signals,
    pub manager: Arc<ServiceManager>,
    pub metrics: Arc<Metrics>,
    pub access_file: Option<AccessFile>,
    /// Whether dropped datagrams are logged.
    pub verbose: bool,
}

impl Supervisor {
    /// Watches without end: the process ends when the workers have ended.
    pub fn watch(mut self) -> ! {
        let mut watchdog = Watchdog::new(&self.handle, self.manager.watchdog());
        loop {
            let look = self.verbose.then_some(LOG_INTERVAL);
            let asked = self.signals.wait(look.into_iter().chain(watchdog.wait()).min());
            write_dropped(&self.handle);
            if asked.totals {
                self.metrics.totals().iter().for_each(|total| info!("{total}"));
            }
            if asked.reload {
                self.reload();
            }
            if asked.stop {
                self.manager.stopping();
                self.handle.stop();
            }
            if watchdog.is_due() && watchdog.all_alive(&self.handle) {
                self.manager.alive();
            }
        }
    }

    /// Reads the access file again and puts its rules into force; after an error the old ones stay.
    fn reload(&self) {
        let Some(file) = &self.access_file else {
            info!("SIGHUP: there is no --access-file to read again");
            return;
        };
        self.manager.reloading();
        match self.apply(file) {
            Ok(summary) => info!("read {} again: {summary}", file.path().display()),
            Err(error) => warn!("{}; the earlier rules stay in force", in_full(&error)),
        }
        self.manager.reloaded();
    }

    fn apply(&self, file: &AccessFile) -> Result<String, AccessFileError> {
        let rules = file.read()?;
        let summary =
            format!("{} allowed, {} denied, {} exempt", rules.allow.len(), rules.deny.len(), rules.exempt.len());
        let contradiction = |error| AccessFileError::Contradiction(file.path().to_owned(), error);
        self.handle.set_rules(&rules).map_err(contradiction)?;
        Ok(summary)
    }
}

/// How often a verbose server logs dropped datagrams.
const LOG_INTERVAL: Duration = Duration::from_millis(100);

/// Logs the dropped datagrams that the workers report.
pub fn write_dropped(handle: &Handle) {
    for Dropped { source, length, reason, suppressed, .. } in handle.take_dropped() {
        match suppressed {
            0 => info!("dropped {length} octets from {source}: {reason}"),
            _ => info!("dropped {length} octets from {source}: {reason} ({suppressed} similar messages suppressed)"),
        }
    }
}

/// Whether each worker still runs its loop. If one hangs, the service manager restarts the server, even if the others
/// work.
struct Watchdog {
    /// How often the service manager wants to be notified.
    interval: Option<Duration>,
    notified: Instant,
    workers: Vec<WorkerProgress>,
}

/// What was last seen of a worker.
struct WorkerProgress {
    rounds: u64,
    since: Instant,
}

/// How long one round of a worker may take: twice as long as an idle round. It does not depend on the watchdog
/// interval, which may be shorter than an idle round.
const HUNG_AFTER: Duration = Handle::IDLE_ROUND.saturating_mul(2);

impl Watchdog {
    fn new(handle: &Handle, interval: Option<Duration>) -> Watchdog {
        let now = Instant::now();
        let workers = (0..handle.workers()).map(|_| WorkerProgress { rounds: 0, since: now }).collect();
        Watchdog { interval, notified: now, workers }
    }

    fn wait(&self) -> Option<Duration> {
        self.interval.map(|interval| interval.saturating_sub(self.notified.elapsed()))
    }

    fn is_due(&self) -> bool {
        self.wait() == Some(Duration::ZERO)
    }

    fn all_alive(&mut self, handle: &Handle) -> bool {
        let now = Instant::now();
        self.notified = now;
        let mut alive = true;
        for (worker, seen) in self.workers.iter_mut().enumerate() {
            let rounds = rounds(&handle.worker_totals(worker));
            if rounds != seen.rounds {
                *seen = WorkerProgress { rounds, since: now };
            } else if now - seen.since > HUNG_AFTER {
                warn!("worker {worker} has made no progress for {:?}: the watchdog is not notified", now - seen.since);
                alive = false;
            }
        }
        alive
    }
}

fn rounds(totals: &Totals) -> u64 {
    let batches = (0..=Config::MAX_BATCH).map(Counter::Batch);
    batches.chain([Counter::ReceiveErrors]).fold(0, |sum, counter| sum.wrapping_add(totals.count(counter)))
}
