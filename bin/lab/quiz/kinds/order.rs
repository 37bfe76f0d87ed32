//! Questions about byte order.

use calc6::arithmetic::Number;
use calc6::responder::Limits;
use calc6::view::{Field, Name, View};
use calc6::wire::{Format, Operator, classic};

use super::subject::{
    ServerReaction, classic_request, done_within, field, listed, operand, operands, operation, result, success, value,
};
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion, hex};

/// An operand, read from the octets.
pub fn operand_value(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let count = draw.between(2..=4);
    let request = classic_request(operator, format, &operands(draw, count))?;
    let view = View::request(&request);
    let swapped = view.byte_swapped();
    let swapped = View::request(&swapped);
    let all: Vec<&Field> = view.fields().iter().filter(|field| field.name == Name::Operand).collect();
    let place = draw.place(all.len());
    let (field, octets) = (all[place], all[place].octets());
    let number = |field: &Field| field.value.parse::<Number>().ok();
    let other = swapped.fields().iter().find(|other| other.bits == field.bits)?;
    let neighbour = all[if place == 0 { 1 } else { place - 1 }];
    let stem = format!("What is the value of operand {} of this classic request?", place + 1);
    let (first, last) = (octets.start, octets.end - 1);
    let why = format!("It is octets {first} to {last}, the most significant first: {}.", field.value);
    let shifted = Number::from_unsigned_octets(&request[first - 1..last]);
    let question = QuizQuestion::open(stem, AnswerValue::Number(number(field)?), field.clause, why)
        .about(&request)
        .wrong_number(number(other)?, "read in little-endian order: the most significant octet comes first")
        .wrong_number(number(neighbour)?, "that is another operand; they are counted from 1")
        .wrong_number(shifted, "one octet too early: octet 0 is the header, and operand 1 begins at octet 1");
    Some(question)
}

/// The payload of a reply with an integer.
pub fn reply_payload(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operator = operation(draw).0;
    let count = draw.between(2..=4);
    let numbers: Vec<u32> = (0..count).map(|_| draw.between(2..=900)).collect();
    let request = classic_request(operator, Format::Integer, &numbers)?;
    let reply = success(&request)?;
    let payload = reply[classic::HEADER..].to_vec();
    let view = View::reply(&reply, Some(&request));
    let field = field(&view, Name::Result)?;
    let swapped = payload.iter().rev().copied().collect();
    let least = payload.iter().copied().skip_while(|octet| *octet == 0).collect();
    let stem = "A server answers this classic request. Which octets follow the first octet of its reply?";
    let why = format!("F = 0: the result {} travels as an unsigned 32-bit integer in network byte order.", field.value);
    let question = QuizQuestion::open(stem, AnswerValue::Octets(payload), field.clause, why)
        .about(&request)
        .mistake(AnswerValue::Octets(swapped), "that is little-endian order; htonl gives network byte order")
        .mistake(
            AnswerValue::Octets(field.value.as_bytes().to_vec()),
            "that is the result as text, which F = 1 asks for",
        )
        .mistake(AnswerValue::Octets(reply), "the first octet was not asked for")
        .mistake(AnswerValue::Octets(least), "an integer of the classic form always has 4 octets");
    Some(question)
}

/// What the server reads if the client omits htonl.
pub fn no_htonl(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let typed = operand(draw);
    let request = classic_request(Operator::Sum, Format::Integer, &[typed])?;
    let sent = View::request(&request).byte_swapped();
    let right = value(&View::request(&sent), Name::Operand)?;
    let stem = format!(
        "A client on a little-endian processor (x86-64, most ARM) copies its operand into the request and forgets htonl. \
         Its user typed {typed}. Which operand does the server read?"
    );
    let octets = hex(&sent[classic::HEADER..]);
    let why = format!(
        "In memory the least significant octet comes first, and so it is sent: {octets}. In network byte order that is \
         {right}."
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "1.3", why)
        .wrong_number(typed, "that is what was typed; the server's ntohl swaps what was never swapped")
        .wrong_number(typed.rotate_left(16), "the halves are swapped; all four octets are reversed")
        .wrong_number(u32::from((typed as u16).swap_bytes()), "that is htons, for 16 bits");
    Some(question)
}

/// What a correct client prints if the server converts neither operands nor result.
pub fn no_ntohl(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let numbers = [draw.between(130..=255), draw.between(130..=255)];
    let request = classic_request(Operator::Sum, Format::Integer, &numbers)?;
    // The request as the server reads it, its reply modulo 2^32, and that reply as the client reads it.
    let misread = View::request(&request).byte_swapped();
    let wrapping = Limits::default().with_wrap(true);
    let ServerReaction::Reply(mut reply) = done_within(&misread, &wrapping) else { return None };
    reply[classic::HEADER..].reverse();
    let right = value(&View::reply(&reply, Some(&request)), Name::Result)?;
    let exact = result(&request)?;
    let asked = listed(&numbers.map(|number| number.to_string()));
    let stem = format!(
        "A server in C on a little-endian processor uses neither ntohl nor htonl, and computes with uint32_t. A right \
         client asks it for the sum of {asked}, as an integer. Which number does the client print?"
    );
    let why = format!(
        "The server adds the operands with their octets reversed, so the carry of the least significant octet is lost at \
         the top: {right} instead of {exact}. Without a carry, as in 1 + 3, the two mistakes cancel out."
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "1.3", why)
        .wrong_number(exact, "that would be right without a carry from the least significant octet");
    Some(question)
}
