//! Questions about exchanges over a network that loses and duplicates datagrams.

use std::time::Duration;

use calc6::arithmetic::Number;
use calc6::exchange::{Exchange, PortSharing, Question as Asked, Received, Retransmission};
use calc6::view::{Direction, View};
use calc6::wire::{Format, Operator};

use super::subject::listed;
use crate::explain::pairs::Relation;
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion};
use crate::quiz::trace::{QuizTrace, TraceFrame};

/// Which source address and port a reply must have.
pub fn source(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let port = 40_000 + draw.between(0..=9_000);
    let (server, other) = (draw.between(1..=9), draw.between(11..=99));
    let service = draw.between(10_000..=10_099);
    let candidates = [
        ((server, service), port, ""),
        ((other, service), port, "another address: anybody can send to the client's port"),
        ((server, service + 1), port, "another port of the server: a new socket, not the one that was asked"),
        ((server, port), service, "the ports are swapped"),
        ((server, service), port + 1, "it goes to another port of the client, and so to another socket"),
    ];
    let (mut right, mut wrong) = (None, Vec::new());
    for (from, to, words) in candidates {
        let ends = format!("from [2001:db8::{}]:{} to [2001:db8::a]:{to}", from.0, from.1);
        // A datagram to another port never reaches this socket.
        match to == port && counts_from(from == (server, service))? {
            true => right = Some(ends),
            false => wrong.push((ends, words)),
        }
    }
    draw.shuffle(&mut wrong);
    let stem = format!(
        "A client at [2001:db8::a]:{port} has sent a classic request to [2001:db8::{server}]:{service}. These datagrams \
         carry the right octets. Which of them counts as the reply?"
    );
    let why = "A reply comes from the address and port that the client asked, and goes to those from which it asked.";
    let question = QuizQuestion::choice(stem, right?, "2.8", why);
    Some(wrong.into_iter().fold(question, |question, (text, words)| question.wrong_text(text, words)))
}

/// Whether the client accepts a correct reply, from the address and port that it asked or from others.
fn counts_from(peer: bool) -> Option<bool> {
    let asked = Asked::classic(Operator::Sum, Format::Integer, [4, 2, 3]).ok()?;
    let config = Retransmission::default();
    let mut exchange = Exchange::new(asked, PortSharing::Exclusive, &config, Duration::ZERO, &mut || 4);
    exchange.transmit(Duration::ZERO);
    Some(exchange.receive(Duration::from_millis(10), peer, &[0xff, 0, 0, 0, 9]) == Received::Accepted)
}

/// When a client repeats its request for the second or third time.
pub fn next_repeat(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let first_wait = Duration::from_millis(u64::from(draw.between(2..=20)) * 50);
    let config = Retransmission::default().with_first_wait(first_wait).with_retries(3).with_probe(false);
    let asked = Asked::classic(Operator::Sum, Format::Integer, [4, 2, 3]).ok()?;
    let mut exchange = Exchange::new(asked, PortSharing::Exclusive, &config, Duration::ZERO, &mut || draw.bits());
    let (mut sent, mut now) = (Vec::new(), Duration::ZERO);
    while exchange.outcome().is_none() {
        while exchange.transmit(now).is_some() {
            sent.push(now.as_millis() as u64);
        }
        let Some(wake) = exchange.wake_at() else { break };
        now = wake;
    }
    let [_, first, second, third] = sent[..] else { return None };
    let (known, last, wait, right) = match draw.percent(40) {
        false => (format!("at 0 ms and again at {first} ms"), first, first, second),
        true => (format!("at 0 ms, {first} ms and {second} ms"), second, second - first, third),
    };
    // Times are rounded to milliseconds one by one; here the sums must match.
    if last + 2 * wait != right {
        return None;
    }
    let stem = format!(
        "A client that follows the specification has sent a request {known}. No reply comes. At which time, in ms, \
         does it send the request next?"
    );
    let next = 2 * wait;
    let why = format!(
        "The last wait was {wait} ms and waits double, so the next one is {next} ms: {last} + {next} = {right}."
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(right), "5.1", why)
        .wrong_number(last + wait, "waits double: many clients with constant waits would overload a busy server")
        .wrong_number(next, "that is the wait, counted from the last request")
        .wrong_number(2 * last, "the wait doubles, not the time since the first request");
    Some(question)
}

/// The repeat of a request.
pub fn repeat(draw: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let repeats = of(trace, |frame| matches!(frame.relation, Relation::RepeatOf { times: 2, .. }));
    let frame = one_of(draw, &repeats)?;
    let Relation::RepeatOf { request, .. } = frame.relation else { return None };
    let number = frame.number;
    let stem = format!("Which datagram of the capture is the first repeat of request no. {request}? Give its number.");
    let why = format!(
        "No. {number} has the octets, the source and the destination of no. {request}: a client repeats every octet, from \
         the same socket."
    );
    Some(or_another(QuizQuestion::open(stem, AnswerValue::number(number), "5.1", why), trace, in_words))
}

/// The request of a reply.
pub fn answers(draw: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let frame = one_of(draw, &certain_replies(trace))?;
    let Relation::ReplyTo { request, .. } = frame.relation else { return None };
    let (number, from, to) = (frame.number, frame.from, frame.to);
    let stem = format!("Which request does datagram no. {number} of the capture answer? Give the request's number.");
    let why = format!("No. {request} went from {to} to {from}; its reply goes in the opposite direction.");
    Some(or_another(QuizQuestion::open(stem, AnswerValue::number(request), "4.8", why), trace, in_words))
}

/// The result that a reply carries.
pub fn result(draw: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let is_short = |frame: &TraceFrame| frame.result.as_ref().is_some_and(|result| result.len() <= 9);
    let replies = of(trace, |frame| {
        is_short(frame) && matches!(frame.relation, Relation::ReplyTo { .. }) && is_alone(trace, frame)
    });
    let frame = one_of(draw, &replies)?;
    let Relation::ReplyTo { request, .. } = frame.relation else { return None };
    let right: Number = frame.result.as_ref()?.parse().ok()?;
    let kind = View::request(&trace.frame(request)?.octets).kind();
    let stem = format!("Which number did the server send as the result in datagram no. {}?", frame.number);
    let why = format!("It answers no. {request} ({kind}), whose bit F says how to read the result: {right}.");
    let payload = Number::from_unsigned_octets(&frame.octets[1..]);
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "2.4", why)
        .wrong_number(payload, "that is everything after the first octet, read as one integer");
    Some(question)
}

/// How many sockets sent requests.
pub fn clients(_: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let requests = of(trace, |frame| frame.direction == Direction::Request);
    let different = of(trace, |frame| frame.relation == Relation::First).len() as u64;
    let mut sources: Vec<_> = requests.iter().map(|frame| frame.from).collect();
    sources.sort();
    sources.dedup();
    if sources.is_empty() {
        return None;
    }
    let count = sources.len() as u64;
    let ports: Vec<String> = sources.iter().map(|source| source.port().to_string()).collect();
    let stem = "From how many different sockets (addresses with ports) do the requests of the capture come?";
    let why = format!(
        "The source ports are {}. A classic exchange has a socket of its own, so that a late reply is not taken for the \
         answer to a later request.",
        listed(&ports)
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(count), "4.6", why)
        .wrong_number(requests.len() as u64, "that is the number of requests, repeats included")
        .wrong_number(different, "that is the number of different requests")
        .wrong_number(count + 1, "the server's socket was counted too")
        .wrong_number(1, "one address may have many sockets: ports tell them apart");
    Some(question)
}

/// The time from a request to its reply.
pub fn round_trip(draw: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let frame = one_of(draw, &certain_replies(trace))?;
    let Relation::ReplyTo { request, after: Some(after) } = frame.relation else { return None };
    let asked = trace.frame(request)?;
    let microseconds = |time: Duration| time.as_micros() as u64;
    let right = microseconds(frame.time) - microseconds(asked.time);
    // The answer must be right for the times as shown, in microseconds.
    if right != microseconds(after) {
        return None;
    }
    let stem =
        format!("How many microseconds after request no. {request} did its reply, no. {}, arrive?", frame.number);
    let why = format!(
        "{:.6} s minus {:.6} s. The request was not repeated, so it is certain which one was answered.",
        frame.time.as_secs_f64(),
        asked.time.as_secs_f64()
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(right), "5.1", why)
        .wrong_number(right / 1000, "that is in milliseconds")
        .wrong_number(microseconds(frame.time), "that is the time since the beginning of the capture")
        .wrong_number(right / 2, "half of it would be one way, if both ways took the same time");
    Some(question)
}

/// How many requests have no reply.
pub fn unanswered(_: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let count = |wanted: fn(&TraceFrame) -> bool| of(trace, wanted).len() as u64;
    let requests = count(|frame| frame.relation == Relation::First);
    let answered = count(|frame| matches!(frame.relation, Relation::ReplyTo { .. }));
    let sent = count(|frame| frame.direction == Direction::Request);
    let received = count(|frame| frame.direction == Direction::Reply);
    if requests == 0 || count(|frame| frame.relation == Relation::ReplyToNothing) > 0 {
        return None;
    }
    let right = requests - answered;
    let stem = "How many different requests of the capture have no reply in it? A request and its repeats are one.";
    let why = format!("{requests} different requests, of which {answered} have a reply.");
    let question = QuizQuestion::open(stem, AnswerValue::number(right), "5.1", why)
        .wrong_number(sent.saturating_sub(received), "repeats and second replies were counted")
        .wrong_number(sent - answered, "repeats were counted as requests of their own")
        .wrong_number(requests, "that is how many there are")
        .wrong_number(answered, "that is how many have a reply");
    Some(question)
}

/// A reply that comes after the first one to the same request.
pub fn second_reply(draw: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let again = of(trace, |frame| match frame.relation {
        Relation::AnotherReplyTo { request } => {
            let same = |other: &TraceFrame| other.relation == Relation::AnotherReplyTo { request };
            of(trace, same).len() == 1 && is_alone(trace, frame)
        }
        _ => false,
    });
    let frame = one_of(draw, &again)?;
    let Relation::AnotherReplyTo { request } = frame.relation else { return None };
    let number = frame.number;
    let cause = match was_repeated(trace, request) {
        true => "The request was repeated, and both copies were answered",
        false => "The request was sent once, so the network has repeated the reply",
    };
    let stem =
        format!("Request no. {request} is answered twice. Which datagram does the client ignore? Give its number.");
    let why = format!("{cause}; the first reply ends the exchange, and no. {number} comes after it.");
    Some(or_another(QuizQuestion::open(stem, AnswerValue::number(number), "2.8", why), trace, in_words))
}

/// A reply that reports an error.
pub fn error(_: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let [frame] = of(trace, |frame| frame.error)[..] else { return None };
    let (number, first) = (frame.number, frame.octets.first()?);
    let stem = "One datagram of the capture is an error. Give its number.";
    let why = format!(
        "No. {number} comes from the server, and its first octet {first:#04x} has S, the most significant bit, 0."
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(number), "2.6", why);
    Some(or_another(question, trace, |frame| match frame.direction {
        Direction::Request => format!("no. {} is a request", frame.number),
        Direction::Reply => format!("no. {} says success", frame.number),
    }))
}

/// A reply that is wrong.
pub fn wrong_result(_: &mut SeededDraw, trace: &QuizTrace) -> Option<QuizQuestion> {
    let is_wrong = |frame: &TraceFrame| frame.wrong && frame.direction == Direction::Reply && frame.result.is_some();
    let [frame] = of(trace, is_wrong)[..] else { return None };
    let (text, clause) = frame.fault.clone()?;
    let stem = "One reply of the capture carries a wrong result. Give its number.";
    let why = format!("In no. {}, {text}.", frame.number);
    let question = QuizQuestion::open(stem, AnswerValue::number(frame.number), clause, why);
    Some(or_another(question, trace, |frame| match frame.direction {
        Direction::Request => format!("no. {} is a request", frame.number),
        Direction::Reply => format!("nothing is wrong with the result in no. {}", frame.number),
    }))
}

fn of(trace: &QuizTrace, wanted: impl Fn(&TraceFrame) -> bool) -> Vec<&TraceFrame> {
    trace.frames.iter().filter(|frame| wanted(frame)).collect()
}

fn one_of<'a>(draw: &mut SeededDraw, frames: &[&'a TraceFrame]) -> Option<&'a TraceFrame> {
    (!frames.is_empty()).then(|| *draw.pick(frames))
}

/// Replies that belong to one known request: the request was not repeated (Karn and Partridge), and it was
/// the only one on its socket.
fn certain_replies(trace: &QuizTrace) -> Vec<&TraceFrame> {
    of(trace, |frame| match frame.relation {
        Relation::ReplyTo { request, .. } => !was_repeated(trace, request) && is_alone(trace, frame),
        _ => false,
    })
}

fn was_repeated(trace: &QuizTrace, request: u64) -> bool {
    let repeats =
        |frame: &TraceFrame| matches!(frame.relation, Relation::RepeatOf { request: first, .. } if first == request);
    !of(trace, repeats).is_empty()
}

/// Whether exactly one request was sent from this socket.
fn is_alone(trace: &QuizTrace, reply: &TraceFrame) -> bool {
    of(trace, |frame| frame.relation == Relation::First && frame.flow == reply.flow).len() == 1
}

/// Adds the numbers of the other datagrams as wrong answers.
fn or_another(question: QuizQuestion, trace: &QuizTrace, words: impl Fn(&TraceFrame) -> String) -> QuizQuestion {
    trace.frames.iter().fold(question, |question, frame| question.wrong_number(frame.number, words(frame)))
}

fn in_words(frame: &TraceFrame) -> String {
    let number = frame.number;
    match frame.relation {
        Relation::First => format!("no. {number} is the first request with these octets from its port"),
        Relation::RepeatOf { request, .. } => format!("no. {number} repeats request no. {request}"),
        Relation::ReplyTo { request, .. } => format!("no. {number} is the first reply to no. {request}"),
        Relation::AnotherReplyTo { request } => format!("no. {number} is another reply to no. {request}"),
        Relation::ReplyToNothing => format!("no. {number} is a reply to no request that is shown"),
    }
}
