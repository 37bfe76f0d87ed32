//! Datagrams to ask about, and descriptions of them.

use calc6::arithmetic::Number;
use calc6::responder::{Limits, Verdict, respond};
use calc6::view::{Field, Name, View};
use calc6::wire::{Format, MAX_REPLY, MAX_REQUEST, Operator, classic, extended};

use crate::quiz::draw::SeededDraw;

/// What a server does with a datagram.
pub enum ServerReaction {
    /// It answers with these octets.
    Reply(Vec<u8>),
    /// It does not answer, because of this clause.
    Silence { reason: &'static str, clause: &'static str },
}

/// A sum or a product, as integer or as text.
pub fn operation(draw: &mut SeededDraw) -> (Operator, Format) {
    (*draw.pick(&[Operator::Sum, Operator::Product]), *draw.pick(&[Format::Integer, Format::Text]))
}

/// An operand of one, two or three significant octets.
pub fn operand(draw: &mut SeededDraw) -> u32 {
    match draw.between(0..=2) {
        0 => draw.between(2..=255),
        1 => draw.between(256..=65_535),
        _ => draw.between(65_536..=9_999_999),
    }
}

/// Several operands, all different.
pub fn operands(draw: &mut SeededDraw, count: u32) -> Vec<u32> {
    let mut operands = Vec::new();
    while operands.len() < count as usize {
        let operand = operand(draw);
        if !operands.contains(&operand) {
            operands.push(operand);
        }
    }
    operands
}

/// Small integers, some of them negative.
pub fn integers(draw: &mut SeededDraw, count: u32) -> Vec<Number> {
    (0..count).map(|_| Number::from(i64::from(draw.between(0..=1_000)) - 500)).collect()
}

/// The octets of a classic request.
pub fn classic_request(operator: Operator, format: Format, operands: &[u32]) -> Option<Vec<u8>> {
    let octets: Vec<u8> = operands.iter().flat_map(|operand| operand.to_be_bytes()).collect();
    let mut datagram = [0; classic::MAX_REQUEST];
    let len = classic::Request::new(operator, format, &octets).ok()?.encode(&mut datagram);
    Some(datagram[..len].to_vec())
}

/// The octets of an extended request.
pub fn extended_request(
    operator: Operator,
    format: Format,
    width: usize,
    id: u64,
    operands: &[Number],
) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for operand in operands {
        octets.extend(operand.to_octets_of_width(width)?);
    }
    let mut datagram = [0; MAX_REQUEST];
    let request = extended::Request::new(operator, format, u8::try_from(width).ok()?, id, &octets).ok()?;
    let len = request.encode(&mut datagram);
    Some(datagram[..len].to_vec())
}

/// What a server that follows the specification does.
pub fn done(request: &[u8]) -> ServerReaction {
    done_within(request, &Limits::default())
}

/// What a server with these limits does.
pub fn done_within(request: &[u8], limits: &Limits) -> ServerReaction {
    let mut reply = [0; MAX_REPLY];
    match respond(request, &mut reply, limits) {
        Verdict::Reply(verdict) => ServerReaction::Reply(reply[..verdict.len].to_vec()),
        Verdict::Silence(reason) => ServerReaction::Silence { reason: reason.name(), clause: reason.clause() },
    }
}

/// The reply, if it is not an error.
pub fn success(request: &[u8]) -> Option<Vec<u8>> {
    match done(request) {
        ServerReaction::Reply(reply) if value(&View::reply(&reply, Some(request)), Name::Result).is_some() => {
            Some(reply)
        }
        _ => None,
    }
}

/// The field of that name.
pub fn field<'a>(view: &'a View<'_>, name: Name) -> Option<&'a Field> {
    view.fields().iter().find(|field| field.name == name)
}

/// The value of a field that is an integer.
pub fn value(view: &View<'_>, name: Name) -> Option<Number> {
    field(view, name)?.value.parse().ok()
}

/// The result of a request, if it has one.
pub fn result(request: &[u8]) -> Option<Number> {
    let reply = success(request)?;
    value(&View::reply(&reply, Some(request)), Name::Result)
}

/// What a server does with a datagram, in words: the reaction, the reason, and the clause.
pub fn done_in_words(request: &[u8]) -> (String, String, &'static str) {
    match done(request) {
        ServerReaction::Silence { reason, clause } => {
            ("It does not answer.".into(), format!("It does not answer ({reason})."), clause)
        }
        ServerReaction::Reply(reply) => {
            let view = View::reply(&reply, Some(request));
            match field(&view, Name::Result) {
                Some(field) => {
                    let words = format!("It answers with the result {}.", field.value);
                    (words, "It is a request, and its result fits the reply.".into(), field.clause)
                }
                None => {
                    let asked = View::request(request);
                    let fault = asked.faults().first();
                    let why =
                        fault.map_or_else(|| format!("It answers {view}."), |fault| format!("Its {}.", fault.text));
                    ("It answers with an error.".into(), why, fault.map_or("2.9", |fault| fault.clause))
                }
            }
        }
    }
}

/// What a classic request asks for, in words.
pub fn asked_for(request: &[u8]) -> Option<String> {
    let decoded = classic::Request::decode(request).ok()?;
    let operator = match decoded.operator() {
        Some(operator) => format!("the {}", operator.word()),
        None => format!("opcode {}, which is unknown,", decoded.opcode()),
    };
    let operands: Vec<String> = decoded.integers().map(|operand| operand.to_string()).collect();
    Some(format!("{operator} of {}, {}", listed(&operands), in_words(decoded.format())))
}

/// A format, in words.
pub fn in_words(format: Format) -> &'static str {
    match format {
        Format::Integer => "as a 32-bit integer",
        Format::Text => "as text",
    }
}

/// `a, b and c`.
pub fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The position of a field, in words.
pub fn place(field: &Field) -> String {
    let octets = field.octets();
    match octets.len() {
        1 if field.is_part_of_an_octet() => {
            let (first, last) = (field.bits.start % 8, (field.bits.end - 1) % 8);
            match first == last {
                true => format!("bit {first} of octet {}", octets.start),
                false => format!("bits {first} to {last} of octet {}", octets.start),
            }
        }
        1 => format!("octet {}", octets.start),
        _ => format!("octets {} to {}", octets.start, octets.end - 1),
    }
}
