//! The requests of one connection: which are waited for, and what an arriving reply means. Time is an argument.

/// What has become of the request that last used a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Unused,
    Waiting,
    Answered,
    /// A wrong reply that named no request was taken for its answer; the right one may still arrive.
    Blamed,
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
    /// The request was sent before the measurement began: nothing of it is counted.
    Earlier,
}

/// The requests of one connection, numbered from 0. A ring: a request's place is used again by one much later.
pub struct Ledger {
    places: Vec<Place>,
    next: u64,
    /// No request before this one is waited for.
    oldest: u64,
    waiting: usize,
    /// Requests before this one are not counted.
    first_counted: u64,
}

impl Ledger {
    /// Room for `places` requests at once; more than are ever waited for, so that late replies are recognised.
    pub fn new(places: usize) -> Self {
        let unused = Place { number: 0, intended: 0, state: State::Unused };
        Self { places: vec![unused; places], next: 0, oldest: 0, waiting: 0, first_counted: 0 }
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

    /// From now on only requests that are issued later are counted: the end of the warm-up.
    pub fn begin_counting(&mut self) {
        self.first_counted = self.next;
    }

    /// Notes a request that is to be sent at `intended`. True if its place was still waited for: the earlier request
    /// is given up, as timed out.
    pub fn issue(&mut self, intended: u64) -> bool {
        let at = self.next_place();
        let Place { number, state, .. } = self.places[at];
        let overdue = state == State::Waiting;
        self.places[at] = Place { number: self.next, intended, state: State::Waiting };
        self.next += 1;
        self.waiting += usize::from(!overdue);
        overdue && number >= self.first_counted
    }

    /// A reply to the request that last used a place.
    pub fn settle(&mut self, at: usize, now: u64) -> Arrival {
        let place = &mut self.places[at];
        let arrival = match std::mem::replace(&mut place.state, State::Answered) {
            State::Waiting => {
                self.waiting -= 1;
                Arrival::InTime(now.saturating_sub(place.intended))
            }
            State::Blamed => {
                let waited = now.saturating_sub(place.intended);
                // The wrong reply was another request's: of those that still wait, most likely the oldest one's.
                self.blame(now);
                Arrival::InTime(waited)
            }
            State::TimedOut => Arrival::Late,
            State::Answered => Arrival::Duplicate,
            State::Unused => {
                place.state = State::Unused;
                Arrival::Unasked
            }
        };
        match self.places[at].number {
            number if number < self.first_counted && arrival != Arrival::Unasked => Arrival::Earlier,
            _ => arrival,
        }
    }

    /// A wrong reply that names no request: the oldest one is no longer waited for, so that the loop goes on.
    pub fn blame(&mut self, now: u64) -> Option<Arrival> {
        let at = self.oldest_waiting()?;
        let place = &mut self.places[at];
        place.state = State::Blamed;
        self.waiting -= 1;
        match place.number {
            number if number < self.first_counted => Some(Arrival::Earlier),
            _ => Some(Arrival::InTime(now.saturating_sub(place.intended))),
        }
    }

    /// Whether the request that last used a place is waited for.
    pub fn waits(&self, at: usize) -> bool {
        self.places[at].state == State::Waiting
    }

    /// A reply to the request of this number.
    pub fn settle_number(&mut self, number: u64, now: u64) -> Arrival {
        let at = (number % self.places.len() as u64) as usize;
        match number {
            number if number >= self.next => Arrival::Unasked,
            // Its place has been used again: it was answered or given up long ago.
            number if self.places[at].number != number => match number < self.first_counted {
                true => Arrival::Earlier,
                false => Arrival::Late,
            },
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

    /// Gives up what has been waited for `timeout` nanoseconds, and returns how many of the counted ones that are.
    pub fn expire(&mut self, now: u64, timeout: u64) -> usize {
        let mut expired = 0;
        let overdue = |place: &Place| place.intended.saturating_add(timeout) <= now;
        while let Some(at) = self.oldest_waiting().filter(|at| overdue(&self.places[*at])) {
            self.places[at].state = State::TimedOut;
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
    fn a_wrong_reply_without_a_name_moves_on_when_the_right_one_arrives() {
        let mut ledger = Ledger::new(4);
        (0..3).for_each(|time| assert!(!ledger.issue(time)));
        assert_eq!(ledger.blame(10), Some(Arrival::InTime(10)));
        assert_eq!(ledger.waiting(), 2);
        // It was not the answer to the first request: then to the second one.
        assert_eq!(ledger.settle(0, 12), Arrival::InTime(12));
        assert_eq!(ledger.oldest_waiting(), Some(2));
        assert_eq!(ledger.settle(0, 13), Arrival::Duplicate);
        assert_eq!(ledger.settle(2, 14), Arrival::InTime(12));
        assert_eq!((ledger.waiting(), ledger.blame(15)), (0, None));
    }

    #[test]
    fn requests_of_the_warm_up_are_not_counted() {
        let mut ledger = Ledger::new(4);
        (0..3).for_each(|time| assert!(!ledger.issue(time)));
        ledger.begin_counting();
        assert!(!ledger.issue(3));
        assert_eq!(ledger.settle(1, 5), Arrival::Earlier);
        assert_eq!(ledger.settle(1, 5), Arrival::Earlier);
        // Of 0, 2 and 3, which time out, only 3 is counted; the place of 0 is needed again without a time-out.
        assert!(!ledger.issue(4));
        assert_eq!(ledger.expire(10, 7), 1);
        assert_eq!(ledger.settle(2, 11), Arrival::Earlier);
        assert_eq!(ledger.settle(3, 11), Arrival::Late);
        assert_eq!(ledger.settle_number(4, 11), Arrival::InTime(7));
        assert_eq!(ledger.settle_number(0, 11), Arrival::Earlier);
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
