//! Questions about fields: their positions and their values.

use calc6::view::{Field, Name, View, flipped};
use calc6::wire::{Format, Operator, classic};

use super::subject::{
    asked_for, classic_request, extended_request, field, in_words, integers, operands, operation, place, success,
};
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion};

/// The offset of a field of whole octets.
pub fn which_octet(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let format = *draw.pick(&[Format::Integer, Format::Text]);
    let classic = draw.percent(30);
    let request = if classic {
        let count = draw.between(2..=5);
        classic_request(Operator::Sum, format, &operands(draw, count))?
    } else {
        let (count, id) = (draw.between(2..=3), draw.bits());
        let operator = *draw.pick(&[Operator::Sum, Operator::Min, Operator::Gcd]);
        extended_request(operator, format, 2, id, &integers(draw, count))?
    };
    let reply = success(&request)?;
    let is_reply = !classic && draw.percent(40);
    let view = if is_reply { View::reply(&reply, Some(&request)) } else { View::request(&request) };
    let is_whole = |field: &&Field| field.bits.start > 0 && !field.is_part_of_an_octet();
    let whole: Vec<&Field> = view.fields().iter().filter(is_whole).collect();
    let field = *draw.pick(&whole);
    let start = field.octets().start as u64;
    let (kind, label) = (view.kind(), field.label());
    let stem = format!("Here is a {kind}. At which octet does the field {label} begin? Count from 0.");
    let why = format!("The field {label} is {} (value {}).", place(field), field.value);
    let question = QuizQuestion::open(stem, AnswerValue::number(start), field.clause, why)
        .about(view.octets())
        .wrong_number(start + 1, "that is its place counted from 1")
        .wrong_number(field.bits.start as u64, "that is its first bit, not its first octet")
        .wrong_number(start - 1, "the first octet, with the opcode or the bit S, was not counted");
    Some(question)
}

/// A field of less than an octet.
pub fn field_bits(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let mut request = classic_request(operator, format, &operands(draw, 2))?;
    // Set some unused bits, so that the student must isolate each field.
    request[0] |= (draw.between(1..=6) as u8) << 4;
    if draw.percent(50) {
        request[0] ^= (draw.between(1..=3) as u8) << 2;
    }
    let view = View::request(&request);
    let parts: Vec<&Field> = view.fields().iter().filter(|field| field.is_part_of_an_octet()).collect();
    let field = *draw.pick(&parts);
    let (first, label) = (request[0], field.label());
    let stem = format!("A classic request begins with the octet {first:#04x}. What is the value of its field {label}?");
    let right: u8 = field.value.parse().ok()?;
    let place = place(field);
    let why = format!("{first:#04x} is {first:08b} in binary, and {label} is {place} (bit 0 is the most significant).");
    let (bits, after) = (field.bits.len(), 8 - field.bits.end);
    let question = QuizQuestion::open(stem, AnswerValue::number(right), field.clause, why)
        .wrong_number(first, "that is the whole octet")
        .wrong_number(u32::from(right) << after, "these are the right bits; they still have to be shifted right")
        .wrong_number(first >> after, "the bits to the left of the field have to be masked")
        .wrong_number(first >> (8 - bits), "these are the most significant bits")
        .wrong_number(first & ((1 << bits) - 1), "these are the least significant bits")
        .wrong_number(first & 0x0f, "these are the lower four bits");
    Some(question)
}

/// The first octet of a request.
pub fn first_octet(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let request = classic_request(operator, format, &[1, 3])?;
    let (first, code) = (request[0], classic::Request::decode(&request).ok()?.opcode());
    let (word, words, f) = (operator.word(), in_words(format), format as u8);
    let stem =
        format!("A client wants a {word}, {words}, in the classic form. With which octet does its request begin?");
    let why = format!(
        "Opcode {code} in bits 4 to 6, F = {f} in bit 7, and unused bits of 0: {code} << 1 | {f} is {first:#04x}."
    );
    let octet = |octet: u8| format!("{octet:#04x}");
    let mut wrong = [
        (code | f << 3, "opcode and F are swapped"),
        (code << 4 | f, "the opcode is not in the upper half of the octet"),
        (f << 7 | code << 1, "F is the least significant bit, not the most significant"),
        (first ^ 1, "the bit F has the other value"),
        (first ^ 2, "that is the other opcode"),
        (0x80 | first, "the most significant bit says success in replies; in requests it is unused and 0"),
        (operator.octet(), "the ASCII code of the operator belongs to the extended form"),
    ];
    draw.shuffle(&mut wrong);
    let question = QuizQuestion::choice(stem, octet(first), "2.1", why);
    Some(wrong.into_iter().fold(question, |question, (value, words)| question.wrong_text(octet(value), words)))
}

/// Operation, format and operands of a request.
pub fn asks_for(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (operator, format) = operation(draw);
    let count = draw.between(2..=3);
    let request = classic_request(operator, format, &operands(draw, count))?;
    let view = View::request(&request);
    let (opcode, f) = (field(&view, Name::Opcode)?, field(&view, Name::Format)?);
    let why = format!(
        "The first octet is {:#04x}: opcode {}, F = {}. Operands of 4 octets in network byte order follow.",
        request[0], opcode.value, f.value
    );
    let other_opcode = flipped(&request, opcode.bits.end - 1);
    let mut wrong = [
        (view.byte_swapped(), "the operands are in network byte order: the most significant octet comes first"),
        (flipped(&request, f.bits.start), "F has the other value"),
        (flipped(&other_opcode, f.bits.start), "opcode and F have other values"),
        (other_opcode, "that is the other opcode"),
    ];
    draw.shuffle(&mut wrong);
    let stem = "What does this classic request ask for?";
    let mut question = QuizQuestion::choice(stem, asked_for(&request)?, "2.1", why).about(&request);
    for (octets, words) in wrong {
        question = question.wrong_text(asked_for(&octets)?, words);
    }
    Some(question)
}

/// The first octet of a reply.
pub fn success_bit(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let says_success = |first: u8| {
        let reply = [first, 0, 0, 0, 25];
        matches!(classic::Reply::decode(&reply, Format::Integer), Ok(classic::Reply::Integer(_)))
    };
    let stem = "Each of these octets begins a classic reply, and 00 00 00 19 follows. Which one says success?";
    let drawn: Vec<u8> = (0..24).map(|_| draw.between(0..=255) as u8).collect();
    let right = *drawn.iter().find(|&&first| says_success(first))?;
    let octet = |octet: u8| format!("{octet:#04x}");
    let why = format!(
        "S is the most significant bit, and {right:#04x} is {right:08b} in binary. The other seven bits are unused, and \
         ignored."
    );
    let mut wrong = vec![
        (0x01, "S is the most significant bit, not the least significant"),
        (0x7f, "the unused bits are set, and S is not"),
        (0x00, "S = 0 says error"),
        (0x40, "S is bit 0, the most significant; this is bit 1"),
    ];
    wrong.extend(drawn.iter().map(|&first| (first, "its most significant bit is 0")));
    wrong.retain(|(first, _)| !says_success(*first));
    draw.shuffle(&mut wrong);
    let question = QuizQuestion::choice(stem, octet(right), "2.5", why);
    Some(wrong.into_iter().fold(question, |question, (first, words)| question.wrong_text(octet(first), words)))
}

/// The operator of an extended request.
pub fn operator_octet(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let operator = *draw.pick(&Operator::ALL);
    let (format, id) = (*draw.pick(&[Format::Integer, Format::Text]), draw.bits());
    let request = extended_request(operator, format, 2, id, &integers(draw, 2))?;
    let view = View::request(&request);
    let named = view.operator()?;
    let field = field(&view, Name::Operator)?;
    let start = field.octets().start;
    let why = format!("Octet {start} is {:#04x}, the ASCII code of {}.", request[start], named.symbol());
    let stem = "Which operator does this extended request name?";
    let mut question = QuizQuestion::choice(stem, named.word(), field.clause, why).about(&request);
    let mut others = Operator::ALL;
    draw.shuffle(&mut others);
    for other in others.into_iter().filter(|other| *other != named) {
        let words = format!("the octet of {} is {:#04x}", other.word(), other.octet());
        question = question.wrong_text(other.word(), words);
    }
    Some(question)
}
