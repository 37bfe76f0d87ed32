//! The access rules in force, which can be replaced while the workers run.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limit::access::Contradiction;
use crate::limit::{Access, Rules};

/// The rules of all workers. A worker compares the version once a batch, and takes the lock only when it has changed.
pub(super) struct CurrentRules {
    version: AtomicU64,
    /// One for each worker.
    access: Mutex<Vec<Access>>,
    /// The ports of the workers' sockets.
    ports: Vec<u16>,
}

/// One worker's view of them.
pub(super) struct WorkerRules<'a> {
    current: &'a CurrentRules,
    worker: usize,
    version: u64,
    access: Access,
}

impl CurrentRules {
    pub fn new(rules: &Rules, ports: Vec<u16>) -> Result<CurrentRules, Contradiction> {
        let access = Mutex::new(compile(rules, &ports)?);
        Ok(CurrentRules { version: AtomicU64::new(0), access, ports })
    }

    /// Replaces the rules: every worker applies the new ones from its next batch on.
    pub fn replace(&self, rules: &Rules) -> Result<(), Contradiction> {
        let compiled = compile(rules, &self.ports)?;
        let mut access = self.lock();
        *access = compiled;
        self.version.fetch_add(1, Release);
        Ok(())
    }

    pub fn of_worker(&self, worker: usize) -> WorkerRules<'_> {
        let access = self.lock();
        WorkerRules { current: self, worker, version: self.version.load(Acquire), access: access[worker].clone() }
    }

    /// The rules are replaced as a whole, so they are valid even after a panic with the lock held.
    fn lock(&self) -> MutexGuard<'_, Vec<Access>> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerRules<'_> {
    /// Takes new rules, if there are any.
    #[inline]
    pub fn refresh(&mut self) {
        if self.current.version.load(Acquire) != self.version {
            *self = self.current.of_worker(self.worker);
        }
    }

    #[inline]
    pub fn access(&self) -> &Access {
        &self.access
    }
}

fn compile(rules: &Rules, ports: &[u16]) -> Result<Vec<Access>, Contradiction> {
    ports.iter().map(|port| Access::new(rules, *port)).collect()
}
