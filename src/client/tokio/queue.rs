//! Questions that wait for a place, in the order of their numbers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What waits, each under a number, perhaps with a deadline.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: BTreeMap<u64, (T, Option<Instant>)>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Queue<T> {
        Queue { waiting: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    /// Adds what waits.
    pub fn push(&mut self, number: u64, what: T, deadline: Option<Instant>) {
        self.deadlines.extend(deadline.map(|deadline| (deadline, number)));
        self.waiting.insert(number, (what, deadline));
    }

    /// Takes out the one with the least number.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let number = *self.waiting.keys().next()?;
        self.remove(number).map(|what| (number, what))
    }

    /// Takes out the one with this number.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let (what, deadline) = self.waiting.remove(&number)?;
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, number));
        }
        Some(what)
    }

    /// Takes out one whose deadline has passed.
    pub fn pop_late(&mut self, now: Instant) -> Option<T> {
        let &(deadline, number) = self.deadlines.first()?;
        if deadline <= now { self.remove(number) } else { None }
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_gives_out_by_number_and_by_deadline() {
        let now = Instant::now();
        let mut queue = Queue::new();
        for (number, deadline) in [(3, Some(1)), (1, Some(5)), (2, None), (4, Some(1))] {
            queue.push(number, number, deadline.map(|seconds| now + Duration::from_secs(seconds)));
        }
        assert_eq!(queue.deadline(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.pop_late(now), None);
        assert_eq!(queue.remove(9), None);
        assert_eq!(queue.pop_late(now + Duration::from_secs(1)), Some(3));
        assert_eq!(queue.remove(4), Some(4));
        assert_eq!(queue.pop_late(now + Duration::from_secs(2)), None);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some((1, 1)), Some((2, 2)), None));
        assert!(queue.is_empty() && queue.deadline().is_none(), "nothing is left behind");
    }
}
