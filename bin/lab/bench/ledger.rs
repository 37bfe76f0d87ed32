//! The requests of one connection: which are waited for, and what an arriving reply means. Time is an argument.

/// What has become of the request that last used a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Unused,
    Waiting,
    Answered,
    TimedOut,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The number of the request, counted from 0 over the whole connection.
    number: u64,
    /// When it was to be sent, in nanoseconds since the start.
    intended: u64,
    state: State,
}

/// What a reply turns out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// The first reply in time, so many nanoseconds after the request was to be sent.
    InTime(u64),
    /// The first reply, but after the time-out.
    Late,
    /// The request has been answered before.
    Duplicate,
    /// There is no such request.
    Unasked,
}

/// The requests of one connection, numbered from 0. A ring: a request's place is used again by one much later.
pub struct Ledger {
    places: Vec<Place>,
    next: u64,
    /// No request before this one is waited for.
    oldest: u64,
    waiting: usize,
}

impl Ledger {
    /// Room for `places` requests at once; more than are ever waited for, so that late replies are recognised.
    pub fn new(places: usize) -> Self {
        let unused = Place { number: 0, intended: 0, state: State::Unused };
        Self { places: vec![unused; places], next: 0, oldest: 0, waiting: 0 }
    }

    /// How many requests are waited for.
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

    /// Notes a request that is to be sent at `intended`. True if its place was still waited for: the earlier request
    /// is given up, as timed out.
    pub fn issue(&mut self, intended: u64) -> bool {
        let at = self.next_place();
        let overdue = self.places[at].state == State::Waiting;
        self.places[at] = Place { number: self.next, intended, state: State::Waiting };
        self.next += 1;
        self.waiting += usize::from(!overdue);
        overdue
    }

    /// A reply to the request that last used a place.
    pub fn settle(&mut self, at: usize, now: u64) -> Arrival {
        let place = &mut self.places[at];
        match std::mem::replace(&mut place.state, State::Answered) {
            State::Waiting => {
                self.waiting -= 1;
                Arrival::InTime(now.saturating_sub(place.intended))
            }
            State::TimedOut => Arrival::Late,
            State::Answered => Arrival::Duplicate,
            State::Unused => {
                place.state = State::Unused;
                Arrival::Unasked
            }
        }
    }

    /// A reply to the request of this number.
    pub fn settle_number(&mut self, number: u64, now: u64) -> Arrival {
        let at = (number % self.places.len() as u64) as usize;
        match number {
            number if number >= self.next => Arrival::Unasked,
            // Its place has been used again: it was answered or given up long ago.
            number if self.places[at].number != number => Arrival::Late,
            _ => self.settle(at, now),
        }
    }

    /// The place of the oldest request that is waited for: what a reply without a name answers, if all come in order.
    pub fn oldest_waiting(&mut self) -> Option<usize> {
        while self.oldest < self.next {
            let at = (self.oldest % self.places.len() as u64) as usize;
            if self.places[at].state == State::Waiting && self.places[at].number == self.oldest {
                return Some(at);
            }
            self.oldest += 1;
        }
        None
    }

    /// Gives up what has been waited for `timeout` nanoseconds, and returns how many that are.
    pub fn expire(&mut self, now: u64, timeout: u64) -> usize {
        let mut expired = 0;
        let overdue = |place: &Place| place.intended.saturating_add(timeout) <= now;
        while let Some(at) = self.oldest_waiting().filter(|at| overdue(&self.places[*at])) {
            self.places[at].state = State::TimedOut;
            self.waiting -= 1;
            expired += 1;
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
        assert_eq!(ledger.settle(0, 5), Arrival::Unasked);
        assert!(!ledger.issue(100));
        assert!(!ledger.issue(200));
        assert_eq!(ledger.waiting(), 2);
        assert_eq!(ledger.settle(1, 250), Arrival::InTime(50));
        assert_eq!(ledger.settle(1, 260), Arrival::Duplicate);
        assert_eq!(ledger.expire(149, 50), 0);
        assert_eq!(ledger.expire(150, 50), 1);
        assert_eq!(ledger.settle(0, 300), Arrival::Late);
        assert_eq!(ledger.settle(0, 301), Arrival::Duplicate);
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
    fn a_place_that_is_needed_again_is_given_up() {
        let mut ledger = Ledger::new(2);
        assert!(!ledger.issue(0));
        assert!(!ledger.issue(1));
        assert!(ledger.issue(2));
        assert_eq!(ledger.waiting(), 2);
        assert_eq!(ledger.settle_number(0, 9), Arrival::Late);
        assert_eq!(ledger.settle_number(2, 9), Arrival::InTime(7));
        assert_eq!(ledger.settle_number(3, 9), Arrival::Unasked);
        assert_eq!(ledger.expire(9, 5), 1);
        assert_eq!(ledger.waiting(), 0);
    }
}
