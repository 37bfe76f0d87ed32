//! The same work for many items, several at once.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Failure;

/// So many at once as there are processors, times `factor`: for work that mostly waits.
pub fn per_processor(factor: usize) -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get) * factor
}

/// Runs `work` for every item, `at_once` of them at the same time; gives the results in the order of the items.
///
/// # Errors
/// The first failure; what has not begun by then does not begin.
pub fn map<T: Sync, R: Send>(
    at_once: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let (queue, failed) = (Mutex::new(items.iter().enumerate()), AtomicBool::new(false));
    let worker = || -> Result<Vec<(usize, R)>, Failure> {
        let mut done = Vec::new();
        while let Some((place, item)) = queue.lock().ok().and_then(|mut queue| queue.next()) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            done.push((place, work(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))?));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.clamp(1, items.len().max(1))).map(|_| scope.spawn(worker)).collect();
        let mut results = Vec::new();
        for worker in workers {
            results.extend(worker.join().map_err(|_| Failure::Run("a part of the run failed".into()))??);
        }
        results.sort_by_key(|(place, _)| *place);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(map(8, &items, |item| Ok(item * 2)).ok(), Some(items.iter().map(|item| item * 2).collect()));
        assert_eq!(map(8, &[] as &[u32], |item| Ok(*item)).ok(), Some(Vec::new()));
    }

    #[test]
    fn a_failure_ends_the_run() {
        let items: Vec<u32> = (0..100).collect();
        let failing = |item: &u32| match item {
            3 => Err(Failure::Run("three".into())),
            item => Ok(*item),
        };
        assert!(matches!(map(2, &items, failing), Err(Failure::Run(what)) if what == "three"));
    }
}
