//! Which reply answers which request.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::train;
use super::verdict;
use calc6::view::{Name, View};
use calc6::wire::{Form, Kind, classic, extended};

/// Client and server; `None` where there is only one of each.
pub type Flow = Option<(SocketAddr, SocketAddr)>;

/// The most flows, and requests of a flow, that are kept; older ones are dropped.
const MAX_FLOWS: usize = 65_536;
const MAX_REQUESTS: usize = 256;

/// How many malformed requests are compared with a reply that no request is answered by, in case they are trains.
const UNDIVIDED: usize = 8;

/// The relation of a datagram to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A request that was not there before.
    First,
    /// The same octets once more.
    RepeatOf {
        /// The number of the first of them.
        request: u64,
        /// How often they were sent by now.
        times: u32,
    },
    /// The first reply to a request.
    ReplyTo {
        /// The request's number.
        request: u64,
        /// The time since the request was last sent; `None` outside of captures.
        after: Option<Duration>,
    },
    /// A reply to a request that was answered before.
    AnotherReplyTo {
        /// The request's number.
        request: u64,
    },
    /// A reply without a request.
    ReplyToNothing,
}

impl Relation {
    /// The same in words, without the times; `None` for a request that was not there before.
    pub fn said(&self) -> Option<String> {
        match self {
            Relation::First => None,
            Relation::RepeatOf { request, times } => {
                Some(format!("the same octets as #{request}, sent {times} times now"))
            }
            Relation::ReplyTo { request, .. } => Some(format!("answers #{request}")),
            Relation::AnotherReplyTo { request } => Some(format!("another reply to #{request}: a client ignores it")),
            Relation::ReplyToNothing => Some("no earlier request that this could answer".to_owned()),
        }
    }
}

/// The requests that may still be answered, by flow.
#[derive(Debug, Default)]
pub struct Pairs {
    flows: HashMap<Flow, VecDeque<OpenRequest>>,
    /// Flows with trains of classic requests, and the length of the segments: an answer proved it.
    segments: HashMap<Flow, usize>,
    /// The request that the last answer proved to be a train, and the length of its segments.
    divided: Option<(u64, usize)>,
    /// In the order of their first datagrams.
    order: VecDeque<Flow>,
    requests: u64,
    replies: u64,
    answered: u64,
}

#[derive(Debug)]
struct OpenRequest {
    number: u64,
    octets: Vec<u8>,
    /// Whether the capture has all of it.
    whole: bool,
    /// Of the classic form, and whole: perhaps a train.
    malformed: bool,
    last_sent: Duration,
    times: u32,
    replies: u32,
}

impl Pairs {
    /// Records a request.
    pub fn request(&mut self, flow: Flow, number: u64, time: Duration, octets: &[u8], whole: bool) -> Relation {
        if !self.flows.contains_key(&flow) {
            if self.order.len() == MAX_FLOWS
                && let Some(oldest) = self.order.pop_front()
            {
                self.flows.remove(&oldest);
                self.segments.remove(&oldest);
            }
            self.order.push_back(flow);
        }
        let asked = self.flows.entry(flow).or_default();
        // An identifier makes a request of the extended form unique; in the classic form the same question may be asked
        // twice.
        let again = |asked: &&mut OpenRequest| {
            asked.octets == octets && asked.whole && whole && (asked.replies == 0 || Kind::of(octets) == Kind::Extended)
        };
        if let Some(known) = asked.iter_mut().rev().find(again) {
            known.times = known.times.saturating_add(1);
            known.last_sent = time;
            return Relation::RepeatOf { request: known.number, times: known.times };
        }
        self.requests += 1;
        while asked.len() >= MAX_REQUESTS {
            asked.pop_front();
        }
        let malformed = whole && Kind::of(octets) == Kind::Classic && classic::Request::decode(octets).is_err();
        let octets = octets.to_vec();
        asked.push_back(OpenRequest { number, octets, whole, malformed, last_sent: time, times: 1, replies: 0 });
        Relation::First
    }

    /// Finds the request that a reply answers: by its identifier, else one whose result it carries, else the last one.
    /// Gives its octets too, and whether they are all of it.
    pub fn reply(&mut self, flow: Flow, time: Duration, octets: &[u8]) -> (Relation, Option<(Vec<u8>, bool)>) {
        self.replies += 1;
        let Some(asked) = self.flows.get_mut(&flow) else { return (Relation::ReplyToNothing, None) };
        let mut place = answered_by(asked, octets);
        if asked.iter().any(|request| request.malformed)
            && !place.is_some_and(|place| answers(&asked[place].octets, octets))
            && let Some((number, length, more)) = divide_by_answer(asked, octets)
        {
            self.divided = Some((number, length));
            self.segments.insert(flow, length);
            self.requests += more;
            place = answered_by(asked, octets);
        }
        let Some(place) = place else { return (Relation::ReplyToNothing, None) };
        let request = &mut asked[place];
        request.replies = request.replies.saturating_add(1);
        let relation = if request.replies > 1 {
            Relation::AnotherReplyTo { request: request.number }
        } else {
            self.answered += 1;
            let after = flow.map(|_| time.saturating_sub(request.last_sent));
            Relation::ReplyTo { request: request.number, after }
        };
        (relation, Some((request.octets.clone(), request.whole)))
    }

    /// The last request of a flow, if it has no reply yet.
    pub fn open(&self, flow: Flow) -> Option<&[u8]> {
        let last = self.flows.get(&flow)?.back()?;
        (last.replies == 0).then_some(&last.octets)
    }

    /// The request of an extended reply, by its identifier.
    pub fn identified(&self, flow: Flow, reply: &[u8]) -> Option<&[u8]> {
        let asked = self.flows.get(&flow)?;
        identified(asked, reply).map(|place| &*asked[place].octets)
    }

    /// Whether an open request of the flow is answered rightly by this.
    pub fn awaits(&self, flow: Flow, reply: &[u8]) -> bool {
        let open = |asked: &OpenRequest| asked.replies == 0 && answers(&asked.octets, reply);
        self.flows.get(&flow).is_some_and(|asked| asked.iter().take(TRIED).any(open))
    }

    /// The length of the segments of classic requests in this flow, once an answer has proved that it has trains.
    pub fn classic_segment(&self, flow: Flow) -> Option<usize> {
        self.segments.get(&flow).copied()
    }

    /// The number of the request that the last answer proved to be a train, and the length of its segments.
    pub fn take_divided(&mut self) -> Option<(u64, usize)> {
        self.divided.take()
    }

    /// How many requests there were, repeats not counted.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many replies there were.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// How many requests have no reply.
    pub fn unanswered(&self) -> u64 {
        self.requests - self.answered
    }
}

/// How many open requests are evaluated to find the one whose result a reply carries.
const TRIED: usize = 16;

fn identified(asked: &VecDeque<OpenRequest>, reply: &[u8]) -> Option<usize> {
    if View::reply(reply, None).form() != Form::Extended {
        return None;
    }
    asked.iter().rposition(|request| {
        Kind::of(&request.octets) == Kind::Extended && extended::id(&request.octets) == extended::id(reply)
    })
}

/// Whether this is the right result.
fn answers(request: &[u8], reply: &[u8]) -> bool {
    let view = View::reply(reply, Some(request));
    let has_result = view.fields().iter().any(|field| field.name == Name::Result);
    has_result && !view.is_wrong() && verdict::verdict(request, &view).is_none()
}

/// The octets of a train of classic requests could also be one malformed request. It is a train if the reply is the
/// result of its first segment: then the segments take its place. Gives its number, the length of the segments, and how
/// many requests there are more.
fn divide_by_answer(asked: &mut VecDeque<OpenRequest>, reply: &[u8]) -> Option<(u64, usize, u64)> {
    let candidate = |request: &OpenRequest| request.malformed && request.replies == 0;
    let candidates = asked.iter().enumerate().rev().filter(|(_, request)| candidate(request)).take(UNDIVIDED);
    let (place, length) = candidates
        .flat_map(|(place, _)| train::classic_lengths().map(move |length| (place, length)))
        .find(|&(place, length)| {
            let octets = &asked[place].octets;
            train::divides_into_classic(octets, length) && answers(&octets[..length], reply)
        })?;
    let OpenRequest { number, octets, whole, last_sent, times, replies, .. } = asked.remove(place)?;
    for (offset, segment) in octets.chunks(length).enumerate() {
        let octets = segment.to_vec();
        let segment = OpenRequest { number, octets, whole, malformed: false, last_sent, times, replies };
        asked.insert(place + offset, segment);
    }
    Some((number, length, octets.len().div_ceil(length) as u64 - 1))
}

fn answered_by(asked: &VecDeque<OpenRequest>, reply: &[u8]) -> Option<usize> {
    if let Some(place) = identified(asked, reply) {
        return Some(place);
    }
    let open = || asked.iter().enumerate().filter(|(_, request)| request.replies == 0);
    open()
        .take(TRIED)
        .find(|(_, request)| answers(&request.octets, reply))
        .or_else(|| open().next_back())
        .map(|(place, _)| place)
        .or_else(|| asked.len().checked_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: [u8; 9] = [0, 0, 0, 0, 1, 0, 0, 0, 2];
    const PRODUCT: [u8; 9] = [2, 0, 0, 0, 1, 0, 0, 0, 2];

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn repeats_replies_and_duplicates() {
        let flow = Some(("[::1]:4000".parse().unwrap(), "[::1]:10000".parse().unwrap()));
        let mut pairs = Pairs::default();
        assert_eq!(pairs.reply(flow, at(0), &[0xff, 0, 0, 0, 3]).0, Relation::ReplyToNothing);
        assert_eq!(pairs.request(flow, 2, at(1), &SUM, true), Relation::First);
        assert_eq!(pairs.request(flow, 3, at(5), &SUM, true), Relation::RepeatOf { request: 2, times: 2 });
        let (relation, asked) = pairs.reply(flow, at(7), &[0xff, 0, 0, 0, 3]);
        assert_eq!(relation, Relation::ReplyTo { request: 2, after: Some(at(2)) });
        assert_eq!(asked, Some((SUM.to_vec(), true)));
        assert_eq!(pairs.reply(flow, at(8), &[0xff, 0, 0, 0, 3]).0, Relation::AnotherReplyTo { request: 2 });
        assert_eq!(pairs.request(flow, 6, at(9), &SUM, true), Relation::First, "asked again after the answer");
        assert_eq!((pairs.requests(), pairs.replies(), pairs.unanswered()), (2, 3, 1));
    }

    #[test]
    fn among_several_the_one_whose_result_it_is() {
        let mut pairs = Pairs::default();
        pairs.request(None, 1, at(0), &SUM, true);
        pairs.request(None, 2, at(0), &PRODUCT, true);
        assert_eq!(pairs.reply(None, at(0), &[0xff, 0, 0, 0, 3]).0, Relation::ReplyTo { request: 1, after: None });
        assert_eq!(pairs.reply(None, at(0), &[0xff, 0, 0, 0, 9]).0, Relation::ReplyTo { request: 2, after: None });
    }

    #[test]
    fn identifiers_decide() {
        let mut pairs = Pairs::default();
        pairs.request(None, 1, at(0), b"\x1e+\x01\x00\0\0\0\0\0\0\0\x01\x05", true);
        pairs.request(None, 2, at(0), b"\x1e+\x01\x00\0\0\0\0\0\0\0\x02\x05", true);
        let reply = b"\xff\0\0\0\0\0\0\0\0\0\0\x01\x05";
        assert_eq!(pairs.reply(None, at(0), reply).0, Relation::ReplyTo { request: 1, after: None });
        assert_eq!(pairs.reply(None, at(0), reply).0, Relation::AnotherReplyTo { request: 1 });
    }

    #[test]
    fn memory_is_bounded() {
        let mut pairs = Pairs::default();
        let server: SocketAddr = "[::1]:10000".parse().unwrap();
        for number in 0..MAX_FLOWS as u64 + 10 {
            let client = SocketAddr::new(std::net::Ipv6Addr::from(u128::from(number)).into(), 4000);
            pairs.request(Some((client, server)), number, at(0), &SUM, true);
        }
        assert_eq!((pairs.flows.len(), pairs.order.len()), (MAX_FLOWS, MAX_FLOWS));
    }
}
