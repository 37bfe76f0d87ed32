//! The pipeline on virtual time, over paths that lose, delay, reorder and repeat, to servers that queue and die.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::wire::SUCCESS;

const TIMEOUTS: Timeouts = Timeouts {
    first_wait: Duration::from_secs(1),
    give_up: Duration::from_secs(15),
    refusal: Duration::from_millis(300),
};

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, parts: u64) -> bool {
        parts != 0 && self.next().is_multiple_of(parts)
    }

    fn up_to(&mut self, time: Duration) -> Duration {
        Duration::from_nanos(self.next() % (time.as_nanos() as u64 + 1))
    }
}

/// A server and the path to it.
#[derive(Clone, Copy, Debug)]
struct Path {
    delay: Duration,
    jitter: Duration,
    /// One datagram in so many is lost, each way; 0: none.
    loss: u64,
    /// One reply in so many comes twice; 0: none.
    twice: u64,
    /// How long the server takes for a request.
    service: Duration,
    /// How many requests it queues.
    queue: u32,
    /// When it stops answering.
    dies: Duration,
    /// Whether nobody listens there.
    refuses: bool,
}

const GOOD: Path = Path {
    delay: Duration::from_millis(5),
    jitter: Duration::ZERO,
    loss: 0,
    twice: 0,
    service: Duration::from_micros(20),
    queue: 100,
    dies: Duration::MAX,
    refuses: false,
};

enum Arrival {
    Request(Vec<u8>),
    Reply(Vec<u8>),
    Refusal,
}

struct World {
    pipeline: Pipeline,
    paths: Vec<Path>,
    /// When each server is done with what it has.
    busy_until: Vec<Duration>,
    on_the_way: BTreeMap<(Duration, u64), (usize, Arrival)>,
    random: Random,
    sent: u64,
    dropped: u64,
    largest_window: usize,
    answers: HashMap<u64, u32>,
}

impl World {
    fn new(paths: &[Path], seed: u64) -> World {
        World {
            pipeline: Pipeline::new(paths.len(), TIMEOUTS),
            paths: paths.to_vec(),
            busy_until: vec![Duration::ZERO; paths.len()],
            on_the_way: BTreeMap::new(),
            random: Random(seed),
            sent: 0,
            dropped: 0,
            largest_window: 0,
            answers: HashMap::new(),
        }
    }

    /// Asks so many requests; the time that it took, and whether all were answered.
    fn run(&mut self, requests: u64) -> (Duration, bool) {
        let mut now = Duration::ZERO;
        let mut next = 0;
        loop {
            self.transmit(now);
            while next < requests && self.pipeline.has_room() {
                let operands = [next as u8];
                let request =
                    NewRequest { operator: Operator::Sum, format: Format::Integer, width: 1, operands: &operands };
                let id = self.random.next();
                assert!(self.pipeline.submit(next, id, &request));
                assert!(!self.pipeline.submit(next, id, &request), "an identifier is in progress once");
                next += 1;
                self.transmit(now);
            }
            self.check();
            if next == requests && self.pipeline.unanswered() == 0 {
                return (now, true);
            }
            if self.pipeline.is_abandoned() {
                return (now, false);
            }
            let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
            let wake = self.pipeline.wake_at();
            now = [arrival, wake].into_iter().flatten().min().expect("something is awaited").max(now);
            while let Some(entry) = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= now) {
                let (server, arrival) = entry.remove();
                self.arrive(now, server, arrival);
            }
        }
    }

    fn transmit(&mut self, now: Duration) {
        while let Some((server, datagram, _)) = self.pipeline.transmit(now) {
            let datagram = datagram.to_vec();
            self.send(now, server, Arrival::Request(datagram));
        }
        let windows = self.pipeline.servers.iter().map(|server| server.window.size());
        self.largest_window = windows.fold(self.largest_window, usize::max);
    }

    fn send(&mut self, now: Duration, server: usize, arrival: Arrival) {
        let Path { delay, jitter, loss, .. } = self.paths[server];
        if self.random.one_in(loss) {
            self.dropped += 1;
            return;
        }
        self.sent += 1;
        let at = now + delay + self.random.up_to(jitter);
        self.on_the_way.insert((at, self.sent), (server, arrival));
    }

    fn arrive(&mut self, now: Duration, server: usize, arrival: Arrival) {
        let path = self.paths[server];
        match arrival {
            Arrival::Request(_) if path.refuses => self.send(now, server, Arrival::Refusal),
            Arrival::Request(_) if now >= path.dies => {}
            Arrival::Request(request) => {
                let start = self.busy_until[server].max(now);
                if start - now > path.service * path.queue {
                    self.dropped += 1;
                    return;
                }
                self.busy_until[server] = start + path.service;
                let done = start + path.service;
                let mut reply = vec![SUCCESS, 0, 0, 0];
                reply.extend_from_slice(&request[4..]);
                let copies = 1 + u32::from(self.random.one_in(path.twice));
                (0..copies).for_each(|_| self.send(done, server, Arrival::Reply(reply.clone())));
            }
            Arrival::Refusal => self.pipeline.refused(now, server),
            Arrival::Reply(reply) => {
                if let Ok((tag, reply)) = self.pipeline.receive(now, server, &reply) {
                    assert_eq!(reply.result(), [tag as u8]);
                    *self.answers.entry(tag).or_default() += 1;
                }
            }
        }
    }

    /// What always holds.
    fn check(&self) {
        let Pipeline { servers, slots, in_progress, .. } = &self.pipeline;
        for (place, server) in servers.iter().enumerate() {
            let flying = slots.iter().filter(|slot| slot.flight.is_some_and(|flight| flight.server == place)).count();
            assert_eq!(server.in_flight, flying);
            assert!((1..=MAX_WINDOW).contains(&server.window.size()));
        }
        assert!(in_progress.len() <= slots.len() && slots.len() <= MAX_WINDOW * servers.len());
    }
}

/// The same each time, but for `make soak`.
fn seeds() -> std::ops::Range<u64> {
    if std::env::var_os("CALC6_SOAK").is_none() {
        return 0..40;
    }
    let first = getrandom::u64().expect("random numbers") >> 1;
    first..first + 5_000
}

#[test]
fn every_request_is_answered_once_on_bad_paths() {
    for seed in seeds() {
        let mut random = Random(seed);
        let paths: Vec<Path> = (0..1 + seed % 4)
            .map(|place| Path {
                jitter: random.up_to(Duration::from_millis(20)),
                loss: [0, 10, 30, 100][random.next() as usize % 4],
                twice: [0, 5][random.next() as usize % 2],
                refuses: place > 0 && random.one_in(4),
                ..GOOD
            })
            .collect();
        let mut world = World::new(&paths, seed);
        let (_, answered) = world.run(1000);
        assert!(answered, "seed {seed}");
        assert!(world.answers.len() == 1000 && world.answers.values().all(|times| *times == 1), "seed {seed}");
        assert_eq!(world.pipeline.counts().answered, 1000, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let path = Path { jitter: Duration::from_millis(3), loss: 10, twice: 3, ..GOOD };
    let run = |seed| {
        let mut world = World::new(&[path, GOOD], seed);
        (world.run(500), *world.pipeline.counts())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_good_path_is_used_to_the_full_without_repeats() {
    let mut world = World::new(&[GOOD], 1);
    let (time, answered) = world.run(20_000);
    assert!(answered);
    assert_eq!(world.pipeline.counts().repeats, 0);
    // 256 in flight every 10 ms would take 0.8 s, one at a time 200 s.
    assert_eq!(world.largest_window, MAX_WINDOW);
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn the_window_follows_a_short_queue() {
    let narrow = Path { queue: 20, service: Duration::from_millis(1), ..GOOD };
    let mut world = World::new(&[narrow], 1);
    let (time, answered) = world.run(5_000);
    assert!(answered);
    // The server needs 5 s; some requests find its queue full, few of them again and again.
    assert!(time < Duration::from_secs(8), "{time:?}");
    let PipelineCounts { repeats, transmissions, .. } = *world.pipeline.counts();
    assert!(repeats > 0 && repeats * 10 < transmissions, "{repeats} of {transmissions}");
    assert!(world.largest_window < 100, "{}", world.largest_window);
}

#[test]
fn losses_are_found_before_the_timer_runs_out() {
    let mut world = World::new(&[Path { loss: 50, ..GOOD }], 3);
    let (time, answered) = world.run(5_000);
    assert!(answered && world.dropped > 50);
    assert!(time < Duration::from_secs(20), "{time:?}");
}

#[test]
fn others_take_over_from_a_server_that_stops() {
    let dying = Path { dies: Duration::from_millis(200), ..GOOD };
    let mut world = World::new(&[dying, GOOD, dying], 1);
    let (time, answered) = world.run(20_000);
    assert!(answered && world.answers.len() == 20_000);
    assert!(time < Duration::from_secs(60), "{time:?}");
}

#[test]
fn a_server_that_stops_for_good_is_given_up() {
    let dying = Path { dies: Duration::from_millis(200), ..GOOD };
    let mut world = World::new(&[dying], 1);
    let (time, answered) = world.run(20_000);
    assert!(!answered);
    assert_eq!(world.pipeline.given_up(0), Some(GivenUp::Silent));
    let since = time - dying.dies;
    assert!(since >= TIMEOUTS.give_up - Duration::from_secs(1) && since < TIMEOUTS.give_up * 2, "{since:?}");
}

#[test]
fn refusals_are_waited_out_then_believed() {
    let mut pipeline = Pipeline::new(1, TIMEOUTS);
    let request = NewRequest { operator: Operator::Sum, format: Format::Integer, width: 1, operands: &[1] };
    assert!(pipeline.submit(0, 1, &request));
    let mut now = Duration::ZERO;
    let mut attempts = 0;
    while pipeline.given_up(0).is_none() {
        if pipeline.transmit(now).is_some() {
            attempts += 1;
            pipeline.refused(now, 0);
        }
        now = pipeline.wake_at().unwrap_or(now).max(now);
    }
    assert_eq!(pipeline.given_up(0), Some(GivenUp::Refused));
    assert!(pipeline.is_abandoned());
    assert!((TIMEOUTS.refusal..TIMEOUTS.refusal * 3).contains(&now), "{now:?}");
    assert!((4..10).contains(&attempts), "{attempts}");
}

#[test]
fn what_is_no_reply_is_ignored() {
    let mut pipeline = Pipeline::new(1, TIMEOUTS);
    let request = NewRequest { operator: Operator::Sum, format: Format::Integer, width: 1, operands: &[1] };
    assert!(pipeline.submit(9, 1, &request));
    assert!(pipeline.transmit(Duration::ZERO).is_some());
    let now = Duration::from_millis(1);
    let reply = [SUCCESS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7];
    assert_eq!(
        pipeline.receive(now, 0, &reply[..12]),
        Err(IgnoredReason::NoExtendedReply(extended::ReplyError::NoResult))
    );
    let mut other = reply;
    other[11] = 2;
    assert_eq!(pipeline.receive(now, 0, &other), Err(IgnoredReason::UnknownIdentifier { found: 2 }));
    assert_eq!(pipeline.receive(now, 0, &reply).map(|(tag, _)| tag), Ok(9));
    assert_eq!(pipeline.receive(now, 0, &reply), Err(IgnoredReason::UnknownIdentifier { found: 1 }));
    assert_eq!(*pipeline.counts(), PipelineCounts { answered: 1, transmissions: 1, repeats: 0, ignored: 3 });
}
