//! Datagrams one after the other: which way each went, what it answers, its fields, and what is wrong with it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use calc6::view::{Direction, View};
use calc6::wire::{Kind, SUCCESS_BIT, classic};

use super::pairs::{Flow, Pairs, Relation};
use super::train::{self, Segment};
use super::verdict;

/// A datagram, and what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct ExplainInput<'a> {
    pub octets: &'a [u8],
    /// `None` if only the octets can tell.
    pub message: Option<Direction>,
    /// In a capture: when and between whom.
    pub seen: Option<Seen>,
}

/// What a capture says about a datagram.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Since the first datagram of the capture.
    pub time: Duration,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Octets of it that the capture left out.
    pub missing: usize,
}

/// A datagram of a sequence, explained.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Its place in the sequence; the first is 1.
    pub number: u64,
    pub view: View<'a>,
    pub relation: Relation,
    /// Client and server, where the capture says who they are.
    pub flow: Flow,
    pub seen: Option<Seen>,
    /// Where it stands in a train that the capture holds as one datagram.
    pub segment: Option<Segment>,
    /// Whether the capture has all octets of it and of the request that it answers; otherwise it is not judged.
    pub judged: bool,
}

/// A sequence of datagrams, as it is read.
#[derive(Debug, Default)]
pub struct Sequence {
    pairs: Pairs,
    datagrams: u64,
    wrong: u64,
    not_judged: u64,
    trains: u64,
    /// How many datagrams of a capture there were, trains not divided.
    captured: u64,
    /// The captured datagrams that are trains, by their places, and the length of the segments: from the first reading.
    divided: HashMap<u64, usize>,
    first_reading: Option<FirstReading>,
}

/// Which captured datagrams are trains. For a file only: it grows with the capture.
#[derive(Debug, Default)]
struct FirstReading {
    divided: HashMap<u64, usize>,
    /// The places of malformed classic requests, which may turn out to be trains, by their numbers.
    places: HashMap<u64, u64>,
}

impl Sequence {
    /// The first reading of a capture that is read twice, because only their answers prove that classic requests are
    /// trains.
    pub fn first_reading() -> Sequence {
        Sequence { first_reading: Some(FirstReading::default()), ..Sequence::default() }
    }

    /// The second reading.
    pub fn again(self) -> Sequence {
        Sequence { divided: self.first_reading.unwrap_or_default().divided, ..Sequence::default() }
    }

    /// Explains the next datagram of a capture, or each segment if it is a train.
    pub fn explain_captured<'a>(&mut self, datagram: &ExplainInput<'a>) -> Vec<Explained<'a>> {
        self.captured += 1;
        let Some(length) = self.segment_length(datagram) else {
            // Only malformed classic requests can turn out to be trains.
            if let Some(reading) = &mut self.first_reading
                && Kind::of(datagram.octets) == Kind::Classic
                && classic::Request::decode(datagram.octets).is_err()
            {
                reading.places.insert(self.datagrams + 1, self.captured);
            }
            return vec![self.explain(datagram)];
        };
        self.trains += 1;
        if let Some(reading) = &mut self.first_reading {
            reading.divided.insert(self.captured, length);
        }
        let explain = |(segment, octets)| {
            let explained = self.explain(&ExplainInput { octets, ..*datagram });
            Explained { segment: Some(segment), ..explained }
        };
        train::segments(datagram.octets, length).map(explain).collect()
    }

    /// How many datagrams of the capture were trains.
    pub fn trains(&self) -> u64 {
        self.trains
    }

    /// The length of the segments, if a captured datagram is a train.
    fn segment_length(&self, datagram: &ExplainInput<'_>) -> Option<usize> {
        let ExplainInput { octets, message, seen } = *datagram;
        let seen = seen.filter(|seen| seen.missing == 0)?;
        if let Some(length) = self.divided.get(&self.captured) {
            return Some(*length).filter(|length| *length < octets.len());
        }
        let message = message.unwrap_or_else(|| self.guess(Some((seen.to, seen.from)), octets));
        match message {
            Direction::Reply => {
                let flow = Some((seen.to, seen.from));
                let length = train::replies(octets)?;
                let right_as_it_is = self.pairs.identified(flow, octets).is_some_and(|request| {
                    let view = View::reply(octets, Some(request));
                    !view.is_wrong() && verdict::verdict(request, &view).is_none()
                });
                // Five octets are an integer, unless two texts are awaited.
                let integer = octets.len() == classic::HEADER + classic::OPERAND
                    && !octets.chunks(length).all(|segment| self.pairs.awaits(flow, segment));
                (!right_as_it_is && !integer).then_some(length)
            }
            Direction::Request => {
                let flow = Some((seen.from, seen.to));
                let classic = || {
                    let length = self.pairs.classic_segment(flow)?;
                    let malformed = classic::Request::decode(octets).is_err();
                    (malformed && train::divides_into_classic(octets, length)).then_some(length)
                };
                train::extended_requests(octets).or_else(classic)
            }
        }
    }

    /// Explains the next datagram: a request is kept; a reply is matched with its request, and its result computed
    /// again.
    pub fn explain<'a>(&mut self, datagram: &ExplainInput<'a>) -> Explained<'a> {
        self.datagrams += 1;
        let ExplainInput { octets, seen, .. } = *datagram;
        let answered = seen.map(|seen| (seen.to, seen.from));
        let message = datagram.message.unwrap_or_else(|| self.guess(answered, octets));
        let (client, server, time) = match seen {
            Some(Seen { from, to, time, .. }) if message == Direction::Request => (Some(from), Some(to), time),
            Some(Seen { from, to, time, .. }) => (Some(to), Some(from), time),
            None => (None, None, Duration::ZERO),
        };
        let flow = client.zip(server);
        let whole = seen.is_none_or(|seen| seen.missing == 0);
        let (relation, asked) = match message {
            Direction::Request => (self.pairs.request(flow, self.datagrams, time, octets, whole), None),
            Direction::Reply => self.pairs.reply(flow, time, octets),
        };
        if let Some((number, length)) = self.pairs.take_divided()
            && let Some(reading) = &mut self.first_reading
            && let Some(place) = reading.places.remove(&number)
        {
            reading.divided.insert(place, length);
        }
        let (asked, asked_whole) = asked.unzip();
        let mut view = match message {
            Direction::Request => View::request(octets),
            Direction::Reply => View::reply(octets, asked.as_deref()),
        };
        // What was left out of the capture cannot be judged.
        let judged = whole && asked_whole.unwrap_or(true);
        if judged {
            if let Some(fault) = asked.as_deref().and_then(|asked| verdict::verdict(asked, &view)) {
                view.add(fault);
            }
            self.wrong += u64::from(view.is_wrong());
        } else {
            view.clear_faults();
            self.not_judged += 1;
        }
        Explained { number: self.datagrams, view, relation, flow, seen, segment: None, judged }
    }

    /// How many datagrams there were.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// How many of them were wrong.
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// How many could not be judged, because a capture truncated them or their requests.
    pub fn not_judged(&self) -> u64 {
        self.not_judged
    }

    /// What is known of requests and replies.
    pub fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// The direction of a datagram if nothing else tells: it is a reply if it starts like one of ours, or if the
    /// request before it is still open and this could be the reply of another server.
    fn guess(&self, flow: Flow, octets: &[u8]) -> Direction {
        let asked = self.pairs.open(flow).filter(|asked| *asked != octets);
        let answers = asked.is_some_and(|asked| !View::reply(octets, Some(asked)).is_wrong());
        let success = octets.first().is_some_and(|first| first & SUCCESS_BIT != 0);
        if answers && (success || View::request(octets).is_wrong()) {
            Direction::Reply
        } else {
            Direction::guess(octets)
        }
    }
}
