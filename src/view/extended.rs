//! The fields of the extended form.

use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Range;

use super::classic::format_bit;
use super::{Fault, Field, Name, View, octets_counted};
use crate::arithmetic::Number;
use crate::wire::extended::{
    FORMAT, HEADER, ID, NEEDED, NEEDED_OVER_LIMIT, OPERATOR, RESERVED, Reply, ReplyError, Request, RequestError,
    STATUS, VERSION, WIDTH, id,
};
use crate::wire::{self, ESCAPE_OPCODE, Form, Format, Kind, Operator, SUCCESS_BIT, Status, version};

const VERSION_BITS: Range<usize> = 0..4;
const OPCODE_BITS: Range<usize> = 4..7;
const S: Range<usize> = 0..1;
const ONES: Range<usize> = 1..8;

pub(super) fn request(view: &mut View<'_>) {
    view.form = Form::Extended;
    first_octet(view);
    header(view);
    view.operator = Operator::from_octet(view.octets[OPERATOR]);
    operands(view);
    match Request::decode(view.octets) {
        Err(error) => request_error(view, &error),
        Ok(request) => domain(view, &request),
    }
}

/// Opcode 7 in a datagram that is not an extended request: too short, or of an unknown version.
pub(super) fn escape(view: &mut View<'_>) {
    let (octets, number) = (view.octets, version(view.octets[0]));
    view.form = Form::Extended;
    first_octet(view);
    let what = if number == VERSION {
        view.operator = octets.get(OPERATOR).copied().and_then(Operator::from_octet);
        header(view);
        format!("{}: an extended request has 12 or more", octets_counted(octets.len()))
    } else {
        if octets.len() > 1 {
            let value = format!("{} more", octets_counted(octets.len() - 1));
            view.fields.push(Field::new(Name::Rest, 8..octets.len() * 8, value, "4.4"));
        }
        format!("version {number} of the extended form is unknown")
    };
    let answered = Kind::of(octets) == Kind::Escape { answered: true } && octets.len() <= wire::MAX_REQUEST;
    let answer = if answered { "answers with a classic error" } else { "does not answer" };
    let bits = if number == VERSION { 0..0 } else { VERSION_BITS };
    view.fault(Fault::wrong("4.4", format!("{what}; a server {answer}")).at(bits));
}

fn first_octet(view: &mut View<'_>) {
    let first = view.octets[0];
    view.fields.push(Field::new(Name::Version, VERSION_BITS, version(first), "3.2"));
    view.fields.push(Field::new(Name::Opcode, OPCODE_BITS, ESCAPE_OPCODE, "2.3").meaning("extended"));
    view.fields.push(format_bit(first));
}

/// The header's octets after the first, as many as the datagram has.
fn header(view: &mut View<'_>) {
    let octets = view.octets;
    if let Some(&octet) = octets.get(OPERATOR) {
        let meaning = Operator::from_octet(octet).map_or("unknown", Operator::word);
        view.fields.push(octet_field(Name::Operator, OPERATOR, quoted(octet), "3.4").meaning(meaning));
    }
    if let Some(&octet) = octets.get(WIDTH) {
        let meaning = if octet == 1 { "octet an operand" } else { "octets an operand" };
        view.fields.push(octet_field(Name::Width, WIDTH, octet, "3.6").meaning(meaning));
    }
    if let Some(&octet) = octets.get(RESERVED) {
        view.fields.push(octet_field(Name::Reserved, RESERVED, octet, "3.3"));
    }
    identifier(view, "3.5");
}

fn octet_field(name: Name, offset: usize, value: impl ToString, clause: &'static str) -> Field {
    Field::new(name, offset * 8..(offset + 1) * 8, value, clause)
}

fn quoted(octet: u8) -> String {
    if octet.is_ascii_graphic() { format!("'{}'", octet as char) } else { format!("{octet:#04x}") }
}

fn identifier(view: &mut View<'_>, clause: &'static str) {
    let octets = view.octets;
    let field = match id(octets) {
        Some(id) => Field::new(Name::Id, ID * 8..HEADER * 8, format!("{id:#018x}"), clause),
        None if octets.len() > ID => Field::new(Name::Id, ID * 8..octets.len() * 8, "", clause)
            .meaning(format!("truncated: {} of 8 octets", octets.len() - ID)),
        None => return,
    };
    view.fields.push(field);
}

fn operands(view: &mut View<'_>) {
    let octets = view.octets;
    let (rest, width) = (&octets[HEADER..], usize::from(octets[WIDTH]));
    if rest.is_empty() {
        return;
    }
    if view.operator == Some(Operator::Describe) || width == 0 {
        let meaning = if width == 0 { "no operands: Width is 0" } else { "padding" };
        let value = octets_counted(rest.len());
        view.fields.push(Field::new(Name::Rest, HEADER * 8..octets.len() * 8, value, "3.4").meaning(meaning));
        view.operand_count = rest.len().checked_div(width).unwrap_or(0);
        return;
    }
    let mut start = HEADER;
    for (place, operand) in rest.chunks(width).enumerate() {
        let bits = start * 8..(start + operand.len()) * 8;
        let field = Field::new(Name::Operand, bits, "", "3.6").number(place + 1);
        view.fields.push(if operand.len() == width {
            view.operand_count += 1;
            Field { value: Number::from_octets(operand).to_string(), ..field }
        } else {
            field.meaning(format!("truncated: {} of {}", operand.len(), octets_counted(width)))
        });
        start += operand.len();
    }
}

fn request_error(view: &mut View<'_>, error: &RequestError) {
    let end = view.octets.len() * 8;
    let (clause, bits) = match error {
        RequestError::Oversize { .. } => ("4.2", wire::MAX_REQUEST * 8..end),
        RequestError::Reserved { .. } => ("3.3", RESERVED * 8..RESERVED * 8 + 8),
        RequestError::Operator { .. } => ("3.4", OPERATOR * 8..OPERATOR * 8 + 8),
        RequestError::Ragged { width: 0, .. } => ("3.9", WIDTH * 8..WIDTH * 8 + 8),
        RequestError::Ragged { width, octets } => ("3.9", (HEADER + octets - octets % usize::from(*width)) * 8..end),
        RequestError::OperandCount { .. } | RequestError::OtherForm => ("3.9", OPERATOR * 8..OPERATOR * 8 + 8),
    };
    answered_with(view, clause, bits, &error.to_string(), error.status());
}

/// Faults that follow from the operands' values.
fn domain(view: &mut View<'_>, request: &Request<'_>) {
    let Some(width) = Some(usize::from(request.width())).filter(|&width| width > 0) else { return };
    let operands = request.operands().chunks_exact(width).enumerate().skip(1);
    let bits = |place: usize| (HEADER + place * width) * 8..(HEADER + (place + 1) * width) * 8;
    match request.operator() {
        Operator::Power => {
            for (place, _) in operands.filter(|(_, exponent)| exponent[0] & 0x80 != 0) {
                answered_with(view, "3.4", bits(place), "a negative exponent", Status::OutsideDomain);
            }
        }
        Operator::Quotient | Operator::Remainder => {
            let zero = |operand: &[u8]| operand.iter().all(|&octet| octet == 0);
            if let Some((place, _)) = operands.into_iter().find(|(_, divisor)| zero(divisor)) {
                answered_with(view, "3.9", bits(place), "a divisor that is 0", Status::DivisionByZero);
            }
        }
        _ => {}
    }
}

fn answered_with(view: &mut View<'_>, clause: &'static str, bits: Range<usize>, what: &str, status: Status) {
    let text = format!("{what}; a server answers with status {}, {}", status.octet(), status.text());
    view.fault(Fault::wrong(clause, text).at(bits));
}

pub(super) fn reply(view: &mut View<'_>, asked: Option<&View<'_>>) {
    view.form = Form::Extended;
    view.operator = asked.and_then(View::operator);
    let octets = view.octets;
    let Some(&first) = octets.first() else { return };
    let success = first & SUCCESS_BIT != 0;
    let meaning = if success { "yes" } else { "no: an error" };
    view.fields.push(Field::new(Name::Success, S, u8::from(success), "3.7").meaning(meaning));
    view.fields.push(Field::new(Name::Ones, ONES, first & !SUCCESS_BIT, "3.7"));
    reply_header(view);
    if octets.len() > HEADER {
        payload(view);
    }
    match Reply::decode(octets) {
        Err(error) => reply_error(view, &error),
        Ok(reply) => reply_remarks(view, &reply, asked),
    }
}

fn reply_header(view: &mut View<'_>) {
    let octets = view.octets;
    if let Some(&octet) = octets.get(STATUS) {
        let meaning = Status::from_octet(octet).map_or("not assigned", Status::text);
        view.fields.push(octet_field(Name::Status, STATUS, octet, "3.8").meaning(meaning));
    }
    if let Some(&octet) = octets.get(FORMAT) {
        let meaning = match octet {
            0 => "integer",
            1 => "text",
            _ => "unknown",
        };
        view.fields.push(octet_field(Name::Format, FORMAT, octet, "3.8").meaning(meaning));
    }
    if let Some(&octet) = octets.get(RESERVED) {
        view.fields.push(octet_field(Name::Reserved, RESERVED, octet, "3.7"));
    }
    identifier(view, "3.7");
}

fn payload(view: &mut View<'_>) {
    let octets = view.octets;
    let (rest, end) = (&octets[HEADER..], octets.len() * 8);
    let text = |text: &[u8]| format!("\"{}\"", text.escape_ascii());
    if octets[STATUS] == Status::Ok.octet() {
        let field = match octets[FORMAT] {
            0 => Field::new(Name::Result, HEADER * 8..end, Number::from_octets(rest), "3.8").meaning("integer"),
            _ if is_number(rest) => {
                let digits = String::from_utf8_lossy(rest);
                Field::new(Name::Result, HEADER * 8..end, digits, "3.8").meaning("text")
            }
            _ => Field::new(Name::Result, HEADER * 8..end, text(rest), "3.8").meaning("text"),
        };
        view.fields.push(field);
        return;
    }
    let mut start = HEADER;
    if octets[STATUS] == Status::TooLarge.octet()
        && let Some(count) = rest.first_chunk::<NEEDED>()
    {
        start += NEEDED;
        let field = match u32::from_be_bytes(*count) {
            NEEDED_OVER_LIMIT => Field::new(Name::Needed, HEADER * 8..start * 8, NEEDED_OVER_LIMIT, "3.10")
                .meaning("(over the server's limit)"),
            needed => Field::new(Name::Needed, HEADER * 8..start * 8, needed, "3.10").meaning("octets"),
        };
        view.fields.push(field);
    }
    if start < octets.len() {
        view.fields.push(Field::new(Name::Text, start * 8..end, text(&octets[start..]), "3.8"));
    }
}

/// `0` or `-?[1-9][0-9]*`.
fn is_number(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn reply_error(view: &mut View<'_>, error: &ReplyError) {
    let bits = match error {
        ReplyError::Short { .. } | ReplyError::NoResult => 0..0,
        ReplyError::FirstOctet { .. } => 0..8,
        ReplyError::Status { .. } => STATUS * 8..STATUS * 8 + 8,
        ReplyError::Format { .. } => FORMAT * 8..FORMAT * 8 + 8,
    };
    view.fault(Fault::wrong("3.11", format!("{error}; a client ignores this and goes on waiting")).at(bits));
}

fn reply_remarks(view: &mut View<'_>, reply: &Reply<'_>, asked: Option<&View<'_>>) {
    if let Some(asked) = asked {
        against_request(view, reply, asked);
    }
    let result = HEADER * 8..view.octets.len() * 8;
    if view.octets[RESERVED] != 0 {
        view.fault(Fault::remark("3.7", "Reserved is not 0: clients ignore it").at(RESERVED * 8..RESERVED * 8 + 8));
    }
    if !reply.is_success() {
        return error_remarks(view, reply);
    }
    match reply.format() {
        Format::Integer if Number::from_octets(reply.result()).octet_len() < reply.result().len() => {
            view.fault(Fault::remark("3.8", "wider than necessary: clients accept it").at(result));
        }
        Format::Text
            if !is_number(reply.result()) && view.operator.is_some_and(|asked| asked != Operator::Describe) =>
        {
            view.fault(
                Fault::wrong("3.8", "the text is not a decimal integer of the form 0 or -?[1-9][0-9]*").at(result),
            );
        }
        _ => {}
    }
}

fn against_request(view: &mut View<'_>, reply: &Reply<'_>, asked: &View<'_>) {
    if id(asked.octets) != Some(reply.id()) {
        let text = "not the identifier of the request; a client ignores this and goes on waiting";
        view.fault(Fault::wrong("3.11", text).at(ID * 8..HEADER * 8));
    }
    let text = !reply.is_success() || view.operator == Some(Operator::Describe);
    let wanted = if text { Format::Text } else { Format::of(asked.octets[0]) };
    if reply.format() != wanted {
        let text = format!("format {} where {} is expected", reply.format() as u8, wanted as u8);
        view.fault(Fault::remark("3.8", text).at(FORMAT * 8..FORMAT * 8 + 8));
    }
}

fn error_remarks(view: &mut View<'_>, reply: &Reply<'_>) {
    let bits = HEADER * 8..view.octets.len() * 8;
    if reply.status().is_none() {
        let text = format!("status {} is not assigned: clients report it as it is", reply.status_octet());
        view.fault(Fault::remark("3.8", text).at(STATUS * 8..STATUS * 8 + 8));
    }
    let too_large = reply.status() == Some(Status::TooLarge);
    if too_large && reply.needed().is_none() {
        view.fault(Fault::remark("3.10", "status 4 without the count of octets that the reply needs").at(bits.clone()));
    }
    let text = if too_large { reply.result().get(NEEDED..).unwrap_or_default() } else { reply.result() };
    if !text.iter().all(|&octet| matches!(octet, b' '..=b'~')) {
        view.fault(Fault::remark("3.8", "an error text that is not printable ASCII").at(bits));
    }
}
