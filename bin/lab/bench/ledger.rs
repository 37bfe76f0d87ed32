//! The requests of one connection: which are unanswered, and how an arriving reply counts. Time is an argument.
//!
//! A measurement has one thing in common with the library's clients: how octets name a request (`wire::extended::id`).
//! The rest differs on purpose. A client counts one reply a request and ignores all others; here every datagram counts,
//! as in time, late or duplicate. A client repeats a request, and its congestion window follows the losses; here each
//! request is sent once, and the load is what was asked for: a fixed window, or a rate. A client finds a request by a
//! random identifier in a hash map; here identifiers are consecutive, and the number of a request is its place in a
//! ring, in the classic form too, whose replies have no identifier.

/// The state of the request that last used an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum EntryState {
    Unused,
    Waiting,
    Answered,
    /// A wrong reply that identifies no request was counted as its answer; the right one may still arrive.
    Blamed,
    TimedOut,
}

#[derive(Clone, Copy, Debug)]
struct LedgerEntry {
    /// The number of the request, counted from 0 over the whole connection.
    number: u64,
    /// When it was due, in nanoseconds since the start.
    intended: u64,
    state: EntryState,
}

/// How a reply counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyMatch {
    /// The first reply in time, so many nanoseconds after the request was due.
    InTime(u64),
    /// The first reply, but after the time-out.
    Late,
    /// The request has been answered before.
    Duplicate,
    /// There is no such request.
    Unasked,
    /// The request was sent before the measurement began: nothing of it is counted.
    Earlier,
}

/// The requests of one connection, numbered from 0. A ring: a much later request uses the same entry again.
pub struct Ledger {
    places: Vec<LedgerEntry>,
    next: u64,
    /// All requests before this one are answered or given up.
    oldest: u64,
    waiting: usize,
    /// Requests before this one are not counted.
    first_counted: u64,
}

impl Ledger {
    /// Room for `places` requests; more than are ever in flight, so that late replies are recognised.
    pub fn new(places: usize) -> Self {
        let unused = LedgerEntry { number: 0, intended: 0, state: EntryState::Unused };
        Self { places: vec![unused; places], next: 0, oldest: 0, waiting: 0, first_counted: 0 }
    }

    /// How many requests are in flight.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The place that the next request will use.
    pub fn next_place(&self) -> usize {
        (self.next % self.places.len() as u64) as usize
    }

    /// The number that the next request will have.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// From now on only requests that are issued later are counted: the end of the warm-up.
    pub fn begin_counting(&mut self) {
        self.first_counted = self.next;
    }

    /// Notes a request that is due at `intended`. True if its entry was still in use: the earlier request
    /// counts as timed out.
    pub fn issue(&mut self, intended: u64) -> bool {
        let at = self.next_place();
        let LedgerEntry { number, state, .. } = self.places[at];
        let overdue = state == EntryState::Waiting;
        self.places[at] = LedgerEntry { number: self.next, intended, state: EntryState::Waiting };
        self.next += 1;
        self.waiting += usize::from(!overdue);
        overdue && number >= self.first_counted
    }

    /// A reply to the request that last used a place.
    pub fn settle(&mut self, at: usize, now: u64) -> ReplyMatch {
        let place = &mut self.places[at];
        let arrival = match std::mem::replace(&mut place.state, EntryState::Answered) {
            EntryState::Waiting => {
                self.waiting -= 1;
                ReplyMatch::InTime(now.saturating_sub(place.intended))
            }
            EntryState::Blamed => {
                let waited = now.saturating_sub(place.intended);
                // The wrong reply answered another request: most likely the oldest one that is unanswered.
                self.blame(now);
                ReplyMatch::InTime(waited)
            }
            EntryState::TimedOut => ReplyMatch::Late,
            EntryState::Answered => ReplyMatch::Duplicate,
            EntryState::Unused => {
                place.state = EntryState::Unused;
                ReplyMatch::Unasked
            }
        };
        match self.places[at].number {
            number if number < self.first_counted && arrival != ReplyMatch::Unasked => ReplyMatch::Earlier,
            _ => arrival,
        }
    }

    /// A wrong reply that identifies no request: it counts for the oldest one, so that the closed loop continues.
    pub fn blame(&mut self, now: u64) -> Option<ReplyMatch> {
        let at = self.oldest_waiting()?;
        let place = &mut self.places[at];
        place.state = EntryState::Blamed;
        self.waiting -= 1;
        match place.number {
            number if number < self.first_counted => Some(ReplyMatch::Earlier),
            _ => Some(ReplyMatch::InTime(now.saturating_sub(place.intended))),
        }
    }

    /// Whether the request that last used an entry is unanswered.
    pub fn waits(&self, at: usize) -> bool {
        self.places[at].state == EntryState::Waiting
    }

    /// A reply to the request of this number.
    pub fn settle_number(&mut self, number: u64, now: u64) -> ReplyMatch {
        let at = (number % self.places.len() as u64) as usize;
        match number {
            number if number >= self.next => ReplyMatch::Unasked,
            // Its place has been used again: it was answered or given up long ago.
            number if self.places[at].number != number => match number < self.first_counted {
                true => ReplyMatch::Earlier,
                false => ReplyMatch::Late,
            },
            _ => self.settle(at, now),
        }
    }

    /// The entry of the oldest unanswered request: the one that a reply without an identifier answers, if replies
    /// arrive in order.
    pub fn oldest_waiting(&mut self) -> Option<usize> {
        while self.oldest < self.next {
            let at = (self.oldest % self.places.len() as u64) as usize;
            if self.places[at].state == EntryState::Waiting && self.places[at].number == self.oldest {
                return Some(at);
            }
            self.oldest += 1;
        }
        None
    }

    /// Gives up requests that are older than `timeout` nanoseconds, and returns how many of them are counted.
    pub fn expire(&mut self, now: u64, timeout: u64) -> usize {
        let mut expired = 0;
        let overdue = |place: &LedgerEntry| place.intended.saturating_add(timeout) <= now;
        while let Some(at) = self.oldest_waiting().filter(|at| overdue(&self.places[*at])) {
            self.places[at].state = EntryState::TimedOut;
            self.waiting -= 1;
            expired += usize::from(self.places[at].number >= self.first_counted);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reply_is_what_it_is() {
        let mut ledger = Ledger::new(8);
        assert_eq!(ledger.settle(0, 5), ReplyMatch::Unasked);
        assert!(!ledger.issue(100));
        assert!(!ledger.issue(200));
        assert_eq!(ledger.waiting(), 2);
        assert_eq!(ledger.settle(1, 250), ReplyMatch::InTime(50));
        assert_eq!(ledger.settle(1, 260), ReplyMatch::Duplicate);
        assert_eq!(ledger.expire(149, 50), 0);
        assert_eq!(ledger.expire(150, 50), 1);
        assert_eq!(ledger.settle(0, 300), ReplyMatch::Late);
        assert_eq!(ledger.settle(0, 301), ReplyMatch::Duplicate);
        assert_eq!(ledger.waiting(), 0);
    }

    #[test]
    fn replies_in_order_answer_the_oldest() {
        let mut ledger = Ledger::new(4);
        (0..3).for_each(|time| assert!(!ledger.issue(time)));
        assert_eq!(ledger.oldest_waiting(), Some(0));
        ledger.settle(0, 10);
        ledger.settle(2, 10);
        assert_eq!(ledger.oldest_waiting(), Some(1));
        ledger.settle(1, 10);
        assert_eq!(ledger.oldest_waiting(), None);
    }

    #[test]
    fn a_wrong_reply_without_a_name_moves_on_when_the_right_one_arrives() {
        let mut ledger = Ledger::new(4);
        (0..3).for_each(|time| assert!(!ledger.issue(time)));
        assert_eq!(ledger.blame(10), Some(ReplyMatch::InTime(10)));
        assert_eq!(ledger.waiting(), 2);
        // It was not the answer to the first request: then to the second one.
        assert_eq!(ledger.settle(0, 12), ReplyMatch::InTime(12));
        assert_eq!(ledger.oldest_waiting(), Some(2));
        assert_eq!(ledger.settle(0, 13), ReplyMatch::Duplicate);
        assert_eq!(ledger.settle(2, 14), ReplyMatch::InTime(12));
        assert_eq!((ledger.waiting(), ledger.blame(15)), (0, None));
    }

    #[test]
    fn requests_of_the_warm_up_are_not_counted() {
        let mut ledger = Ledger::new(4);
        (0..3).for_each(|time| assert!(!ledger.issue(time)));
        ledger.begin_counting();
        assert!(!ledger.issue(3));
        assert_eq!(ledger.settle(1, 5), ReplyMatch::Earlier);
        assert_eq!(ledger.settle(1, 5), ReplyMatch::Earlier);
        // Of 0, 2 and 3, which time out, only 3 is counted; the place of 0 is needed again without a time-out.
        assert!(!ledger.issue(4));
        assert_eq!(ledger.expire(10, 7), 1);
        assert_eq!(ledger.settle(2, 11), ReplyMatch::Earlier);
        assert_eq!(ledger.settle(3, 11), ReplyMatch::Late);
        assert_eq!(ledger.settle_number(4, 11), ReplyMatch::InTime(7));
        assert_eq!(ledger.settle_number(0, 11), ReplyMatch::Earlier);
    }

    #[test]
    fn a_place_that_is_needed_again_is_given_up() {
        let mut ledger = Ledger::new(2);
        assert!(!ledger.issue(0));
        assert!(!ledger.issue(1));
        assert!(ledger.issue(2));
        assert_eq!(ledger.waiting(), 2);
        assert_eq!(ledger.settle_number(0, 9), ReplyMatch::Late);
        assert_eq!(ledger.settle_number(2, 9), ReplyMatch::InTime(7));
        assert_eq!(ledger.settle_number(3, 9), ReplyMatch::Unasked);
        assert_eq!(ledger.expire(9, 5), 1);
        assert_eq!(ledger.waiting(), 0);
    }
}
