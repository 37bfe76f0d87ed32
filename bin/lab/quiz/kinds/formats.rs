//! Questions about the forms of numbers.

use calc6::arithmetic::Number;
use calc6::view::{Name, View};
use calc6::wire::{Format, Operator, classic};

use super::subject::{classic_request, extended_request, field, listed, operation, result, success, value};
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion};

/// Digits on the wire.
pub fn text_result(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operator = operation(draw).0;
    let request = classic_request(operator, Format::Text, &[draw.between(11..=99), draw.between(12..=99)])?;
    let reply = success(&request)?;
    let right = value(&View::reply(&reply, Some(&request)), Name::Result)?;
    let payload = &reply[classic::HEADER..];
    let digits = |octets: Vec<u8>| String::from_utf8(octets).ok()?.parse::<Number>().ok();
    let reversed = digits(payload.iter().rev().copied().collect())?;
    let codes = digits(payload.iter().flat_map(|octet| format!("{octet:02x}").into_bytes()).collect())?;
    let stem = "The request had F = 1. Which number is the result in this classic reply?";
    let why = format!(
        "With F = 1 the payload is ASCII digits: 30 to 39 in hexadecimal are 0 to 9. Together they are \
                       {right}."
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "2.4", why)
        .about(&reply)
        .wrong_number(Number::from_unsigned_octets(payload), "that is the payload as an integer, as for F = 0")
        .wrong_number(reversed, "text has no byte order: the first digit comes first")
        .wrong_number(codes, "these are the codes of the digits");
    Some(question)
}

/// Two's complement of the smallest width.
pub fn twos_complement(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operands = [Number::from(draw.between(1..=600)), Number::from(draw.between(601..=2_000))];
    let (width, id) = (operands.iter().map(Number::octet_len).max()?, draw.bits());
    let request = extended_request(Operator::Difference, Format::Integer, width, id, &operands)?;
    let reply = success(&request)?;
    let view = View::reply(&reply, Some(&request));
    let (field, right) = (field(&view, Name::Result)?, value(&view, Name::Result)?);
    let octets = &reply[field.octets()];
    let unsigned = Number::from_unsigned_octets(octets);
    let reversed: Vec<u8> = octets.iter().rev().copied().collect();
    let magnitude = Number::from_unsigned_octets(&[&[octets[0] & 0x7f], &octets[1..]].concat());
    let stem = "Which number is the result in this extended reply, whose Format is 0?";
    let why = format!(
        "After the header of 12 octets comes two's complement in network byte order. Its most significant bit is 1, so it \
         is negative: {unsigned} minus 2^{} is {right}.",
        8 * octets.len()
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right.clone()), "3.8", why)
        .about(&reply)
        .wrong_number(unsigned, "read as unsigned: the extended form has two's complement")
        .wrong_number(-right, "its most significant bit is 1: it is negative")
        .wrong_number(Number::from_octets(&reversed), "read in little-endian order")
        .wrong_number(-magnitude, "two's complement is not a sign bit with a magnitude");
    Some(question)
}

/// Digits that the student writes.
pub fn text_payload(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operator = operation(draw).0;
    let numbers = [draw.between(11..=99), draw.between(12..=99)];
    let request = classic_request(operator, Format::Text, &numbers)?;
    let payload = success(&request)?[classic::HEADER..].to_vec();
    let result = result(&request)?;
    let (word, asked) = (operator.word(), listed(&numbers.map(|number| number.to_string())));
    let stem = format!(
        "A client asks for the {word} of {asked}, as text (F = 1). Which octets follow the first octet of the reply?"
    );
    let why = format!("The result {result} as ASCII decimal digits, without a terminating NUL.");
    let integer = success(&classic_request(operator, Format::Integer, &numbers)?)?[classic::HEADER..].to_vec();
    let question = QuizQuestion::open(stem, AnswerValue::Octets(payload.clone()), "2.4", why)
        .mistake(AnswerValue::Octets([&payload[..], &[0]].concat()), "no NUL ends a text on the wire")
        .mistake(AnswerValue::Octets(integer), "that is the result as an integer, as for F = 0")
        .mistake(AnswerValue::Octets(payload.iter().map(|digit| digit & 0x0f).collect()), "ASCII: the digit 0 is 30")
        .mistake(AnswerValue::Octets(payload.iter().rev().copied().collect()), "text has no byte order");
    Some(question)
}

/// The smallest width of the operands.
pub fn least_width(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    // Around the limits of one, two and three octets, where the sign decides.
    let edge = *draw.pick(&[127_i64, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 8_388_607, 8_388_608]);
    let edge = if draw.percent(40) { -edge } else { edge };
    let mut numbers = [edge, i64::from(draw.between(1..=100)), -i64::from(draw.between(1..=100))];
    draw.shuffle(&mut numbers);
    let numbers = numbers.map(Number::from);
    let width = numbers.iter().map(Number::octet_len).max()?;
    // The smallest width that can hold all of them.
    extended_request(Operator::Sum, Format::Integer, width, 0, &numbers)?;
    let unsigned = u64::from(edge.unsigned_abs().ilog2() / 8 + 1);
    let asked = listed(&numbers.each_ref().map(Number::to_string));
    let widest = numbers.iter().max_by_key(|number| number.octet_len())?;
    let all = numbers.iter().map(Number::octet_len).sum::<usize>() as u64;
    let stem = format!("What is the least Width with which an extended request can carry the operands {asked}?");
    let why = format!(
        "Operands are two's complement, all of the same width. n octets hold -2^(8n-1) to 2^(8n-1) - 1, and {widest} needs \
         {width}."
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(width as u64), "3.6", why)
        .wrong_number(unsigned, "so many octets hold it as unsigned; two's complement needs a bit for the sign")
        .wrong_number(unsigned + 1, "the sign needs a bit, not an octet")
        .wrong_number(all, "Width is that of each operand")
        .wrong_number(4, "4 octets are the width of the classic form");
    Some(question)
}
