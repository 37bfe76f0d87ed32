//! Questions about lengths and padding.

use calc6::arithmetic::Number;
use calc6::view::{Name, View};
use calc6::wire::{Format, MAX_REPLY, Operator, classic, extended, reply_limit};
use etherparse::{PacketBuilder, UdpHeader};

use super::subject::{asked_for, classic_request, done_in_words, extended_request, operands, operation, value};
use crate::quiz::draw::SeededDraw;
use crate::quiz::question::{AnswerValue, QuizQuestion};

/// The length of a classic request.
pub fn request_length(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let count = draw.between(3..=64);
    let length = sum_of_ones(count)?.len() as u64;
    let stem = format!("How many octets of UDP payload does a classic request with {count} operands have?");
    let why = format!("One octet of header and {count} operands of {} octets: {length}.", classic::OPERAND);
    let question = QuizQuestion::open(stem, AnswerValue::number(length), "2.1", why)
        .wrong_number(length - 1, "the header has one octet more")
        .wrong_number(length + 3, "the header is one octet; only a C struct would pad it to four")
        .wrong_number(length + 8, "the payload does not include the header of UDP")
        .wrong_number(1 + 8 * u64::from(count), "operands have 32 bits: 4 octets")
        .wrong_number(1 + u64::from(count), "operands have 4 octets each, whatever their values");
    Some(question)
}

/// The operands in a datagram of some length.
pub fn operand_count(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let request = sum_of_ones(draw.between(2..=64))?;
    let found = classic::Request::decode(&request).ok()?.integers().len() as u64;
    let (header, payload) = (UdpHeader::LEN, request.len());
    let length = header + payload;
    let stem = format!(
        "Wireshark shows a UDP header with the Length {length}; the payload is a classic request. How many operands does \
         it carry?"
    );
    let why = format!(
        "UDP's Length counts its own header of {header} octets (RFC 768). Of the other {payload}, one is the request's \
         header: {} / 4 = {found}.",
        payload - 1
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(found), "2.1", why)
        .wrong_number((length as u64 - 1) / 4, "UDP's Length includes its own header of 8 octets")
        .wrong_number(length as u64 / 4, "the headers of UDP and of the request were not subtracted")
        .wrong_number(found + 1, "one too many: the request's header is one octet");
    Some(question)
}

/// The length of an extended request.
pub fn extended_length(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (count, width) = (draw.between(2..=20), draw.between(1..=16));
    let length = ones(Operator::Sum, count, width)?.len() as u64;
    let header = extended::HEADER as u64;
    let stem =
        format!("How many octets of UDP payload does an extended request with {count} operands of Width {width} have?");
    let why = format!("{header} octets of header, and {count} times {width}: {length}.");
    let question = QuizQuestion::open(stem, AnswerValue::number(length), "3.1", why)
        .wrong_number(length - header + 1, "a header of one octet belongs to the classic form")
        .wrong_number(length - header, "the header was forgotten")
        .wrong_number(header + 4 * u64::from(count), "operands have Width octets here, not 4")
        .wrong_number(length - 8, "the request identifier has 8 octets and belongs to the header");
    Some(question)
}

/// The length of the packet around a datagram.
pub fn packet_length(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let count = draw.between(1..=40);
    let payload = sum_of_ones(count)?.len();
    let length = PacketBuilder::ipv6([0; 16], [0; 16], 64).udp(1, 1).size(payload) as u64;
    let payload = payload as u64;
    let stem = format!(
        "A classic request with {count} operands is sent in an IPv6 packet without extension headers. How many octets does \
         the packet have?"
    );
    let why = format!(
        "{payload} octets of payload, and {} of headers: 40 of IPv6 (RFC 8200, section 3) and 8 of UDP (RFC 768).",
        length - payload
    );
    let question = QuizQuestion::open(stem, AnswerValue::number(length), "1.1", why)
        .wrong_number(payload, "that is the payload; UDP and IPv6 have headers too")
        .wrong_number(payload + 8, "the header of IPv6 is missing")
        .wrong_number(payload + 40, "the header of UDP is missing")
        .wrong_number(payload + 28, "20 octets are the header of IPv4; IPv6 has 40");
    Some(question)
}

/// The limit of amplification.
pub fn longest_reply(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (count, width) = (draw.between(1..=60), draw.between(1..=20));
    let length = ones(Operator::Product, count, width)?.len();
    let most = reply_limit(length, MAX_REPLY) as u64;
    let length = length as u64;
    let stem = format!(
        "A server with the default limits receives an extended request of {length} octets. How many octets may its reply \
         have at most?"
    );
    let why = format!(
        "Three times the request is {}, and no reply has over {MAX_REPLY} octets: the smaller of both is {most}. So \
         forging a source gains an attacker little.",
        3 * length
    );
    let fragments = format!("{MAX_REPLY} octets are the limit, so that no path fragments the reply");
    let question = QuizQuestion::open(stem, AnswerValue::number(most), "4.2", why)
        .wrong_number(3 * length, fragments)
        .wrong_number(MAX_REPLY as u64, "three times the request is less")
        .wrong_number(length, "a reply may be longer than its request, up to three times")
        .wrong_number(classic::MAX_REPLY as u64, "that is the limit of the classic form");
    Some(question)
}

/// What a server does with a struct that has padding.
pub fn padded_struct(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (stem, request, padded) = padded(draw)?;
    let (right, why, clause) = done_in_words(&padded);
    let length = padded.len();
    let why = format!(
        "The compiler puts three octets of padding after the header: {length} octets, which is not 1 + 4n. {why}"
    );
    let (intended, ..) = done_in_words(&request);
    let (shifted, ..) = done_in_words(&padded[..length - 3]);
    let question = QuizQuestion::choice(
        format!("{stem} What does a server that follows the specification do?"),
        right,
        clause,
        why,
    )
    .wrong_text(intended, "there is padding after the header")
    .wrong_text(shifted, "the whole datagram counts, and its length is not 1 + 4n")
    .wrong_text("It answers with an error.", "an error could be the answer to an error");
    Some(question)
}

/// What is read from it.
pub fn padded_operand(draw: &mut SeededDraw) -> Option<QuizQuestion> {
    let (stem, request, padded) = padded(draw)?;
    let right = value(&View::request(&padded), Name::Operand)?;
    let intended = value(&View::request(&request), Name::Operand)?;
    let stem = format!("{stem} Which first operand does a server read that does not check the length?");
    let why = format!(
        "Octets 1 to 4 are three octets of padding and the first octet of the operand: {right}. That is why a server checks \
         the length."
    );
    let question = QuizQuestion::open(stem, AnswerValue::Number(right), "2.1", why)
        .wrong_number(intended, "there is padding after the header");
    Some(question)
}

/// A request as a C struct without __attribute__((packed)): the question, the intended request, and the octets sent.
fn padded(draw: &mut SeededDraw) -> Option<(String, Vec<u8>, Vec<u8>)> {
    let (operator, format) = operation(draw);
    let count = draw.between(2..=3);
    let mut numbers = operands(draw, count);
    // With a first octet that is not 0.
    numbers[0] = draw.between(0x0100_0000..=0x2fff_ffff);
    let request = classic_request(operator, format, &numbers)?;
    // uint32_t is aligned to a multiple of 4 (System V ABI): three octets, here 0, follow the header.
    let padded = [&request[..classic::HEADER], &[0; 3], &request[classic::HEADER..]].concat();
    let asked = asked_for(&request)?;
    let stem = format!(
        "A client in C fills struct {{ uint8_t header; uint32_t operands[{count}]; }}, which is 0 at first, with a request \
         for {asked}. It uses htonl, and sends the struct with sizeof."
    );
    Some((stem, request, padded))
}

fn sum_of_ones(count: u32) -> Option<Vec<u8>> {
    classic_request(Operator::Sum, Format::Integer, &vec![1; count as usize])
}

fn ones(operator: Operator, count: u32, width: u32) -> Option<Vec<u8>> {
    let numbers: Vec<Number> = (0..count).map(|_| Number::from(1)).collect();
    extended_request(operator, Format::Text, width as usize, 0, &numbers)
}
