//! Questions about what a server does, and what a client accepts.

use std::time::Duration;

use calc6::arithmetic::Number;
use calc6::exchange::{Exchange, PortSharing, Question as Asked, Received, Retransmission};
use calc6::responder::Limits;
use calc6::view::{Name, View, flipped};
use calc6::wire::{Format, Operator, Status, classic, extended};

use super::subject::{
    ServerReaction, asked_for, classic_request, done, done_in_words, done_within, extended_request, field, integers,
    listed, operands, operation, result, value,
};
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion, hex};

/// A datagram that is a request, or almost one.
pub fn server_does(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let count = draw.between(2..=3);
    let whole = classic_request(operator, format, &operands(draw, count))?;
    let mut datagram = whole.clone();
    match draw.between(0..=6) {
        0 => datagram[0] |= (draw.between(1..=6) as u8) << 4,
        1 => datagram[0] = datagram[0] & 0x01 | (draw.between(2..=6) as u8) << 1,
        2 => datagram.truncate(datagram.len() - draw.between(1..=3) as usize),
        3 => datagram.truncate(classic::HEADER),
        4 => datagram[0] = *draw.pick(&[0xff, 0x7f]),
        5 => {
            let large = [u32::MAX - draw.between(0..=9), draw.between(10..=99)];
            datagram = classic_request(Operator::Sum, Format::Integer, &large)?;
        }
        _ => {}
    }
    let (right, why, clause) = done_in_words(&datagram);
    let answers = |result: Number| format!("It answers with the result {result}.");
    let wrapped = match done_within(&datagram, &Limits::default().with_wrap(true)) {
        ServerReaction::Reply(reply) => value(&View::reply(&reply, Some(&datagram)), Name::Result),
        ServerReaction::Silence { .. } => None,
    };
    let complete = classic::HEADER + (datagram.len() - classic::HEADER) / classic::OPERAND * classic::OPERAND;
    let guesses = [
        (Some("It does not answer.".into()), "it is a request, so it is answered"),
        (Some("It answers with an error.".into()), "an error is for an unknown opcode, or a result that does not fit"),
        (result(&whole).map(answers), "that would be the answer to the request without the mistake"),
        (result(&datagram[..complete]).map(answers), "the whole datagram counts"),
        (wrapped.map(answers), "that is modulo 2^32: a silently wrong number"),
        (result(&flipped(&whole, 6)).map(answers), "that would be the other opcode"),
    ];
    let stem = "What does a server that follows the specification do with this datagram?";
    let mut question = QuizQuestion::choice(stem, right, clause, why).about(&datagram);
    for (text, words) in guesses {
        if let Some(text) = text {
            question = question.wrong_text(text, words);
        }
    }
    Some(question)
}

/// The status in the reply to an extended request: success or an error.
pub fn status(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    const ASKED: [Operator; 5] =
        [Operator::Sum, Operator::Quotient, Operator::Remainder, Operator::Power, Operator::Lcm];
    let id = draw.bits();
    let mut numbers = integers(draw, 2);
    let operator = *draw.pick(&ASKED);
    match operator {
        Operator::Quotient | Operator::Remainder if draw.percent(60) => numbers[1] = Number::ZERO,
        Operator::Power => numbers[1] = Number::from(if draw.percent(50) { -3 } else { 300 }),
        _ => {}
    }
    let mut request = extended_request(operator, Format::Integer, 2, id, &numbers)?;
    match draw.between(0..=7) {
        0 => request[extended::RESERVED] = 1,
        1 => request[extended::OPERATOR] = *draw.pick(b"!$x=@"),
        2 => drop(request.pop()),
        3 => request[extended::WIDTH] = 3,
        _ => {}
    }
    let ServerReaction::Reply(reply) = done(&request) else { return None };
    let view = View::reply(&reply, Some(&request));
    let right = Status::from_octet(field(&view, Name::Status)?.value.parse().ok()?)?;
    let in_words = |status: Status| format!("{}, {}", status.octet(), status.text());
    let asked = View::request(&request);
    let reason = asked
        .faults()
        .first()
        .map_or_else(|| format!("{asked} is answered by {view}"), |fault| format!("{} [{}]", fault.text, fault.clause));
    let why = format!("The reason: {reason}. Of the checks, the first that fails decides.");
    let stem = "With which status does a server answer this extended request?";
    let mut others = Status::ALL;
    draw.shuffle(&mut others);
    let question = QuizQuestion::choice(stem, in_words(right), "3.9", why).about(&request);
    Some(others.into_iter().fold(question, |question, other| {
        let words = format!("not status {}: the checks have an order", other.octet());
        question.wrong_text(in_words(other), words)
    }))
}

/// A result modulo 2^32.
pub fn wrapped(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operator = operation(draw).0;
    let numbers = match operator {
        Operator::Sum => [u32::MAX - draw.between(0..=99), draw.between(100..=999)],
        _ => [draw.between(65_536..=99_999), draw.between(65_536..=99_999)],
    };
    let request = classic_request(operator, Format::Integer, &numbers)?;
    let limits = Limits::default().with_wrap(true);
    let ServerReaction::Reply(reply) = done_within(&request, &limits) else { return None };
    let right = value(&View::reply(&reply, Some(&request)), Name::Result)?;
    let exact = result(&classic_request(operator, Format::Text, &numbers)?)?;
    let low = i64::try_from(&right).ok()?;
    let asked = asked_for(&request)?;
    let stem = format!(
        "A server in C computes with uint32_t and does not look for overflow. It is asked for {asked}. Which number does it \
         send?"
    );
    let why = format!(
        "{exact} needs more than 32 bits; modulo 2^32 it is {right}. A server that follows the specification sends an \
         error instead."
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "2.9", why)
        .wrong_number(exact, "that does not fit 32 bits")
        .wrong_number(u32::MAX, "unsigned arithmetic in C wraps round; it does not stop at the largest value")
        .wrong_number(low - 1, "modulo 2^32, not 2^32 - 1")
        .wrong_number(low + 1, "modulo 2^32, not 2^32 - 1")
        .wrong_number(low - (1 << 32), "that is the same octets read as a signed integer");
    Some(question)
}

/// Which of some replies has the right identifier.
pub fn identifier(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let numbers = [Number::from(draw.between(1..=60)), Number::from(-i64::from(draw.between(1..=60)))];
    let asked = listed(&numbers.each_ref().map(Number::to_string));
    let mut operands = Vec::new();
    for number in &numbers {
        operands.extend(number.to_octets_of_width(1)?);
    }
    let exchange = waiting(draw, Asked::extended(Operator::Sum, Format::Integer, 1, operands).ok()?);
    let request = exchange.request().to_vec();
    let ServerReaction::Reply(right) = done(&request) else { return None };
    let changed = |change: fn(&mut [u8])| {
        let mut reply = right.clone();
        change(&mut reply[extended::ID..extended::HEADER]);
        reply
    };
    let candidates = [
        (changed(|id| id.reverse()), "the identifier is in the other byte order; it is copied as it is"),
        (changed(|id| id[7] ^= 1), "the last octet of the identifier is different"),
        (changed(|id| id.fill(0)), "the identifier is 0; that of the request is copied"),
        (changed(|id| id.rotate_left(1)), "the identifier has moved by an octet"),
    ];
    let stem = format!(
        "This extended request asks for the sum of {asked}. Which of these datagrams from the server does the client accept \
         as its reply?"
    );
    let why = "Octets 4 to 11 are the request identifier, copied: only with it does a reply count.";
    let question = QuizQuestion::choice(stem, accepted(&exchange, &right)?, "3.11", why).about(&request);
    Some(with_ignored(question, draw, &exchange, candidates.into()))
}

/// Which of some datagrams is a classic reply.
pub fn counts(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let (other, rule) = match format {
        Format::Integer => (Format::Text, "exactly 5 octets, as F was 0"),
        Format::Text => (Format::Integer, "decimal digits follow, as F was 1"),
    };
    let numbers = [draw.between(2..=99), draw.between(100..=999)];
    let request = classic_request(operator, format, &numbers)?;
    let (ServerReaction::Reply(mut right), ServerReaction::Reply(mut elsewhere)) =
        (done(&request), done(&classic_request(operator, other, &numbers)?))
    else {
        return None;
    };
    // A reply of another server, whose unused bits have any value.
    let first = 0x80 | draw.between(0..=126) as u8;
    right[0] = first;
    elsewhere[0] = first;
    let exchange = waiting(draw, Asked::classic(operator, format, numbers).ok()?);
    let candidates = vec![
        (elsewhere, "the payload is in the other format"),
        (right[..right.len() - 1].to_vec(), "it is one octet too short"),
        ([&right[..], &[0; 4]].concat(), "it is too long, or has other characters than digits"),
        (right[..1].to_vec(), "a success without a result is not a success"),
        ([&right[..1], b"4a2"].concat(), "that is neither 4 octets nor decimal digits"),
    ];
    let asked = asked_for(&request)?;
    let stem = format!(
        "A client has asked for {asked}. Each of these datagrams comes from the server's address and port. Which one does \
         the client accept as the reply?"
    );
    let question = QuizQuestion::choice(stem, accepted(&exchange, &right)?, "2.8", format!("S = 1, and {rule}."));
    Some(with_ignored(question, draw, &exchange, candidates))
}

/// An exchange that has sent its request.
fn waiting(draw: &mut SeededDraw, asked: Asked) -> Exchange {
    let config = Retransmission::default();
    let mut exchange = Exchange::new(asked, PortSharing::Exclusive, &config, Duration::ZERO, &mut || draw.bits());
    exchange.transmit(Duration::ZERO);
    exchange
}

/// Whether the client accepts it as the reply.
fn accepts(exchange: &Exchange, datagram: &[u8]) -> bool {
    exchange.clone().receive(Duration::from_millis(10), true, datagram) == Received::Accepted
}

/// A datagram in hexadecimal, if the client accepts it.
fn accepted(exchange: &Exchange, datagram: &[u8]) -> Option<String> {
    accepts(exchange, datagram).then(|| hex(datagram))
}

/// Adds the datagrams that the client ignores as wrong answers.
fn with_ignored(
    question: QuizQuestion,
    draw: &mut SeededDraw,
    exchange: &Exchange,
    mut datagrams: Vec<(Vec<u8>, &str)>,
) -> QuizQuestion {
    datagrams.retain(|(datagram, _)| !accepts(exchange, datagram));
    draw.shuffle(&mut datagrams);
    datagrams.into_iter().fold(question, |question, (datagram, words)| question.wrong_text(hex(&datagram), words))
}
