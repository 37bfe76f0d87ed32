//! How many requests may be unanswered at a time: slow start, additive increase, multiplicative decrease (RFC 8085,
//! section 3.1.2; RFC 5681, section 3.1). Pure. Both ways to ask much at a time have it: the pipeline, a window for each
//! server, and the tasks that share a client on Tokio.

/// A congestion window, in requests.
#[derive(Debug, Clone)]
pub struct CongestionWindow {
    size: usize,
    least: usize,
    most: usize,
    /// Below it the window grows by one for every reply (slow start), from it on by one for every window of replies.
    threshold: usize,
    /// Replies since it last grew, from the threshold on.
    replies: usize,
    /// Losses of requests before this one belong to a window that has been halved already.
    recovered: u64,
}

impl CongestionWindow {
    /// A window of `initial` requests, between `least` and `most`, that begins with slow start.
    pub fn new(initial: usize, least: usize, most: usize) -> CongestionWindow {
        CongestionWindow { size: initial, least, most, threshold: most, replies: 0, recovered: 0 }
    }

    /// The same without slow start.
    #[cfg(feature = "tokio")]
    pub fn without_slow_start(self) -> CongestionWindow {
        CongestionWindow { threshold: self.size, ..self }
    }

    /// How many requests may be unanswered.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A request was answered. `limiting` says whether the window, not the supply of requests, limited what was in
    /// flight: only then it grows (RFC 9002, section 7.8).
    pub fn answered(&mut self, limiting: bool) {
        if !limiting {
            return;
        }
        if self.size < self.threshold {
            self.size += 1;
        } else {
            self.replies += 1;
            if self.replies >= self.size {
                (self.replies, self.size) = (0, self.size + 1);
            }
        }
        self.size = self.size.min(self.most);
    }

    /// The request of this number was lost, and `next` is the number of the next one to be sent: the window is halved,
    /// once for all that were in flight.
    pub fn lost(&mut self, number: u64, next: u64) {
        if number >= self.recovered {
            self.threshold = (self.size / 2).max(self.least);
            (self.replies, self.size) = (0, self.threshold);
            self.recovered = next;
        }
    }

    /// Nothing was answered until the timer ran out: the window is the least.
    pub fn timed_out(&mut self, next: u64) {
        self.threshold = (self.size / 2).max(self.least);
        self.size = self.least;
        self.recovered = next;
    }

    /// What was in flight was refused: the window is the least, and grows again as before.
    pub fn refused(&mut self) {
        self.size = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_one_for_every_reply_then_by_one_for_every_window_of_replies() {
        let mut window = CongestionWindow::new(10, 2, 64);
        (0..100).for_each(|_| window.answered(false));
        assert_eq!(window.size(), 10, "it did not limit anything");
        (0..10).for_each(|_| window.answered(true));
        assert_eq!(window.size(), 20);
        window.lost(15, 30);
        assert_eq!(window.size(), 10);
        (0..10).for_each(|_| window.answered(true));
        assert_eq!(window.size(), 11);
        (0..10_000).for_each(|_| window.answered(true));
        assert_eq!(window.size(), 64);
    }

    #[test]
    fn it_is_halved_once_for_the_losses_of_one_window() {
        let mut window = CongestionWindow::new(16, 2, 64);
        (0..16).for_each(|number| window.lost(number, 16));
        assert_eq!(window.size(), 8);
        (16..30).for_each(|number| window.lost(number, number + 1));
        assert_eq!(window.size(), 2);
        window.answered(true);
        window.timed_out(31);
        window.lost(30, 31);
        assert_eq!(window.size(), 2);
    }
}
