//! The fields of the classic form.

use alloc::format;
use core::ops::Range;

use super::{Fault, Field, Name, View};
use crate::arithmetic::Number;
use crate::wire::classic::{
    Decimal, HEADER, MAX_OPERANDS, MAX_PAYLOAD, OPERAND, Reply, ReplyError, Request, RequestError,
};
use crate::wire::{Format, Kind, Operator, SUCCESS_BIT, opcode, version};

const UNUSED: Range<usize> = 0..4;
const OPCODE: Range<usize> = 4..7;
const F: Range<usize> = 7..8;

const S: Range<usize> = 0..1;
const REPLY_UNUSED: Range<usize> = 1..8;
const REPLY_UNUSED_ALL_ONES: u8 = !SUCCESS_BIT;

pub(super) fn request(view: &mut View<'_>) {
    let octets = view.octets;
    let Some(&first) = octets.first() else {
        view.fault(Fault::wrong("2.7", "no octets: a request has 5 or more; a server does not answer"));
        return;
    };
    let code = opcode(first);
    view.operator = match code {
        0 => Some(Operator::Sum),
        1 => Some(Operator::Product),
        _ => None,
    };
    let meaning = view.operator.map_or("unknown", Operator::word);
    view.fields.push(Field::new(Name::Unused, UNUSED, version(first), "2.2"));
    view.fields.push(Field::new(Name::Opcode, OPCODE, code, "2.3").meaning(meaning));
    view.fields.push(format_bit(first));
    operands(view);
    request_faults(view, first);
}

pub(super) fn format_bit(first: u8) -> Field {
    let (value, meaning) = match Format::of(first) {
        Format::Integer => (0, "integer"),
        Format::Text => (1, "text"),
    };
    Field::new(Name::Format, F, value, "2.4").meaning(meaning)
}

fn operands(view: &mut View<'_>) {
    let (octets, mut start) = (view.octets, HEADER);
    let chunks = octets[HEADER..].chunks_exact(OPERAND);
    let rest = chunks.remainder();
    for (place, operand) in chunks.enumerate() {
        let value = Number::from_unsigned_octets(operand);
        view.fields.push(Field::new(Name::Operand, start * 8..(start + OPERAND) * 8, value, "2.1").number(place + 1));
        start += OPERAND;
    }
    view.operand_count = view.fields.len() - 3;
    if !rest.is_empty() {
        let field = Field::new(Name::Operand, start * 8..octets.len() * 8, "", "2.1").number(view.operand_count + 1);
        view.fields.push(field.meaning(format!("truncated: {} of 4 octets", rest.len())));
    }
}

fn request_faults(view: &mut View<'_>, first: u8) {
    let (octets, end) = (view.octets, view.octets.len() * 8);
    if Kind::of(octets) == Kind::Reply {
        let text = format!("the first octet {first:#04x} is that of a reply: a server does not answer");
        view.fault(Fault::wrong("4.1", text).at(0..8));
        return;
    }
    if let Err(error) = Request::decode(octets) {
        let whole = HEADER + octets[HEADER..].len() / OPERAND * OPERAND;
        let bits = match error {
            RequestError::Ragged { .. } => whole * 8..end,
            RequestError::TooManyOperands { .. } => (HEADER + MAX_OPERANDS * OPERAND) * 8..end,
            _ => 0..0,
        };
        view.fault(Fault::wrong("2.7", format!("{error}; a server does not answer")).at(bits));
    } else if view.operator.is_none() {
        let text = format!("opcode {} is unknown: a server answers with an error", opcode(first));
        view.fault(Fault::wrong("2.6", text).at(OPCODE));
    }
    if version(first) != 0 {
        let text = format!("the unused bits are {}: clients send 0, servers ignore them", version(first));
        view.fault(Fault::remark("2.2", text).at(UNUSED));
    }
}

pub(super) fn reply(view: &mut View<'_>, asked: Option<&View<'_>>) {
    view.operator = asked.and_then(View::operator);
    let Some((&first, payload)) = view.octets.split_first() else {
        view.fault(Fault::wrong("2.8", ReplyError::Empty));
        return;
    };
    let success = first & SUCCESS_BIT != 0;
    let unused = first & REPLY_UNUSED_ALL_ONES;
    let meaning = if success { "yes" } else { "no: an error" };
    view.fields.push(Field::new(Name::Success, S, u8::from(success), "2.5").meaning(meaning));
    view.fields.push(Field::new(Name::Unused, REPLY_UNUSED, unused, "2.5"));
    if success {
        let asked_format = asked.and_then(|asked| asked.octets.first()).map(|&first| Format::of(first));
        result(view, payload, asked_format);
    } else if !payload.is_empty() {
        error_text(view, payload);
    }
    to_extended(view, asked, success);
    if unused != REPLY_UNUSED_ALL_ONES {
        let text =
            "unused bits that are not all 1: clients ignore them, but a server could mistake this reply for a request";
        view.fault(Fault::remark("2.5", text).at(REPLY_UNUSED));
    }
}

fn result(view: &mut View<'_>, payload: &[u8], asked: Option<Format>) {
    let bits = HEADER * 8..view.octets.len() * 8;
    let format = asked.unwrap_or_else(|| likely_format(payload));
    match Reply::decode(view.octets, format) {
        Ok(Reply::Integer(value)) => {
            view.fields.push(Field::new(Name::Result, bits.clone(), value, "2.4").meaning("integer"));
            if asked.is_none() && payload.iter().all(u8::is_ascii_digit) {
                let text = format!("or the text \"{}\": the request's bit F decides", payload.escape_ascii());
                view.fault(Fault::remark("2.4", text).at(bits));
            }
        }
        Ok(Reply::Text(decimal)) => text_result(view, &decimal),
        Ok(Reply::Error(_)) => {}
        Err(error) => {
            if !payload.is_empty() {
                let value = format!("\"{}\"", payload.escape_ascii());
                view.fields.push(Field::new(Name::Result, bits.clone(), value, "2.8").meaning("does not count"));
            }
            let scope = if asked.is_some() { "" } else { ", for either value of the request's bit F" };
            let text = format!("{error}{scope}; a client ignores this and goes on waiting");
            view.fault(Fault::wrong("2.8", text).at(bits));
        }
    }
}

/// Without the request: a payload of 4 octets is an integer, any other of legal length is text.
fn likely_format(payload: &[u8]) -> Format {
    let text = payload.len() != OPERAND && payload.len() <= MAX_PAYLOAD;
    if text { Format::Text } else { Format::Integer }
}

fn text_result(view: &mut View<'_>, decimal: &Decimal<'_>) {
    let bits = HEADER * 8..view.octets.len() * 8;
    view.fields.push(Field::new(Name::Result, bits.clone(), decimal.as_str(), "2.4").meaning("text"));
    if decimal.trailing_nul() {
        let text = "a NUL after the digits: C's string terminator does not belong on the wire; clients accept it";
        view.fault(Fault::remark("2.11", text).at(bits.end - 8..bits.end));
    }
    if decimal.is_negative() {
        let text = "a sum or product of unsigned integers is never negative: did the server print it as signed? Clients accept it";
        view.fault(Fault::remark("2.11", text).at(bits.start..bits.start + 8));
    }
}

fn error_text(view: &mut View<'_>, payload: &[u8]) {
    let bits = HEADER * 8..view.octets.len() * 8;
    let value = format!("\"{}\"", payload.escape_ascii());
    view.fields.push(Field::new(Name::Text, bits.clone(), value, "2.6"));
    if !payload.iter().all(|&octet| matches!(octet, b' '..=b'~')) {
        let text = "octets that are not printable ASCII: legal, but they may come from the server's memory";
        view.fault(Fault::remark("2.6", text).at(bits));
    }
}

/// What a classic reply to an extended request means about the peer.
fn to_extended(view: &mut View<'_>, asked: Option<&View<'_>>, success: bool) {
    if asked.is_none_or(|asked| Kind::of(asked.octets) != Kind::Extended) {
        return;
    }
    view.fault(if success {
        let text = "a classic result in reply to an extended request: the server does not check for unknown opcodes";
        Fault::wrong("3.11", text).at(S)
    } else {
        Fault::remark("3.12", "a classic error in reply to an extended request: the server knows only the classic form")
    });
}
