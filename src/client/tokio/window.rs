//! How many questions may be asked at a time: additive increase, multiplicative decrease (RFC 8085, section 3.1.2; RFC
//! 5681, section 3.1). Pure.

/// At first, as of [`AT_ONCE`](super::super::transport::AT_ONCE).
const FIRST: usize = super::super::transport::AT_ONCE;

/// The least: a lost question does not hold up all others.
const LEAST: usize = 2;

/// The most. Each may need a socket of its own at each address; a process may often open only 1024 (getrlimit(2)).
pub const MOST: usize = 64;

/// A number of places.
#[derive(Debug)]
pub struct Window {
    size: usize,
    /// Replies since it last changed.
    replies: usize,
    /// How many questions have begun.
    begun: u64,
    /// Losses of questions before this one belong to a window that has been halved already.
    recovered: u64,
}

impl Window {
    /// The first window.
    pub fn new() -> Window {
        Window { size: FIRST, replies: 0, begun: 0, recovered: 0 }
    }

    /// How many questions may be asked at a time.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Counts a question that begins, and gives its number.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun - 1
    }

    /// A question was answered at the first attempt; `full` says whether all places were taken.
    pub fn answered(&mut self, full: bool) {
        self.replies += usize::from(full);
        if self.replies >= self.size {
            (self.replies, self.size) = (0, (self.size + 1).min(MOST));
        }
    }

    /// Something was lost of the question of this number.
    pub fn lost(&mut self, number: u64) {
        if number >= self.recovered {
            (self.replies, self.size) = (0, (self.size / 2).max(LEAST));
            self.recovered = self.begun;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_one_for_every_window_of_replies_if_it_was_full() {
        let mut window = Window::new();
        (0..100).for_each(|_| window.answered(false));
        assert_eq!(window.size(), FIRST);
        (0..FIRST).for_each(|_| window.answered(true));
        assert_eq!(window.size(), FIRST + 1);
        (0..10_000).for_each(|_| window.answered(true));
        assert_eq!(window.size(), MOST);
    }

    #[test]
    fn it_is_halved_once_for_the_losses_of_one_window() {
        let mut window = Window::new();
        let numbers: Vec<u64> = (0..FIRST).map(|_| window.begin()).collect();
        numbers.iter().for_each(|number| window.lost(*number));
        assert_eq!(window.size(), FIRST / 2);
        for _ in 0..10 {
            let number = window.begin();
            window.lost(number);
        }
        assert_eq!(window.size(), LEAST);
    }
}
