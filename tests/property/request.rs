//! Requests: decoding is total, and what it accepts is what it would have sent.

use calc6::wire::{ESCAPE_OPCODE, Form, Format, Kind, MAX_REQUEST, classic, extended};

use super::{encoded, neighbours};

/// How many octets of a datagram are truncated and changed one by one.
const NEAR: usize = 128;

/// What decodes re-encodes to the same octets, unused bits apart; what does not breaks a rule of lengths; and this
/// holds for every truncation and every change of one bit.
pub fn request(datagram: &[u8]) {
    check(datagram);
    neighbours(datagram, NEAR, check);
}

fn check(datagram: &[u8]) {
    check_classic(datagram);
    check_extended(datagram);
    check_kind(datagram);
}

fn check_classic(datagram: &[u8]) {
    let len = datagram.len();
    let has_a_length_of_requests = (5..=257).contains(&len) && len % 4 == 1;
    let Ok(request) = classic::Request::decode(datagram) else {
        assert!(!has_a_length_of_requests, "refused");
        return;
    };
    assert!(has_a_length_of_requests, "accepted");
    let octets = encoded(datagram.len() + 7, |out| request.encode(out));
    assert_eq!(octets[0], datagram[0] & 0x0f, "unused bits are sent 0");
    assert_eq!(octets[1..], datagram[1..]);
    assert_eq!(classic::Request::decode(&octets), Ok(request));
    assert_eq!(request.opcode(), datagram[0] >> 1 & 7);
    assert_eq!(request.format() as u8, datagram[0] & 1);
    let integers: Vec<u8> = request.integers().flat_map(u32::to_be_bytes).collect();
    assert_eq!(integers, datagram[1..]);
    match request.operator() {
        Some(operator) => {
            assert_eq!(classic::Request::new(operator, request.format(), request.operands()), Ok(request));
        }
        None => assert!(request.opcode() > 1),
    }
}

fn check_extended(datagram: &[u8]) {
    let request = match extended::Request::decode(datagram) {
        Ok(request) => request,
        Err(error) => {
            let other_form = error == extended::RequestError::OtherForm;
            assert_eq!(other_form, Kind::of(datagram) != Kind::Extended);
            assert!((1..=5).contains(&error.status().octet()) && !error.to_string().is_empty());
            return;
        }
    };
    assert!((extended::HEADER..=MAX_REQUEST).contains(&datagram.len()));
    let octets = encoded(datagram.len() + 7, |out| request.encode(out));
    assert_eq!(octets, datagram, "there are no unused bits");
    let extended::Request { .. } = request;
    let (operator, format, width) = (request.operator(), request.format(), request.width());
    assert_eq!(extended::Request::new(operator, format, width, request.id(), request.operands()), Ok(request));
    assert_eq!(extended::id(datagram), Some(request.id()));
    assert_eq!(request.operand_count() * usize::from(width), request.operands().len());
    assert!(operator.operand_count().contains(&request.operand_count()));
}

fn check_kind(datagram: &[u8]) {
    match Kind::of(datagram) {
        Kind::Empty => assert!(datagram.is_empty()),
        Kind::Reply => assert!(datagram[0] & 0x7f == 0x7f),
        Kind::Classic => assert_ne!(datagram[0] >> 1 & 7, ESCAPE_OPCODE),
        Kind::Extended => assert!(matches!(datagram[0], 0x1e | 0x1f) && datagram.len() >= extended::HEADER),
        Kind::Escape { answered } => {
            assert_eq!(datagram[0] >> 1 & 7, ESCAPE_OPCODE);
            let len = datagram.len();
            let later_version = datagram[0] >> 4 != extended::VERSION && (12..=1232).contains(&len);
            assert_eq!(answered, later_version || (5..=257).contains(&len) && len % 4 == 1);
        }
        kind => panic!("{kind:?} has no check"),
    }
    // Only the first octet distinguishes the two forms; any octets may follow.
    if let Some(&first) = datagram.first() {
        let form = if first >> 1 & 7 == ESCAPE_OPCODE { Form::Extended } else { Form::Classic };
        assert_eq!(form == Form::Classic, matches!(Kind::of(datagram), Kind::Classic));
        assert_eq!(Format::of(first) as u8, first & 1);
    }
}
