use alloc::vec;
use alloc::vec::Vec;

use super::*;

const ID: u64 = 0x0102_0304_0506_0708;

/// The reply's octets, or the reason for silence. The buffer is dirty, like the buffer of a worker.
fn answer(request: &[u8]) -> Result<(WrittenReply, Vec<u8>), Reason> {
    answer_within(request, &Limits::default())
}

fn answer_within(request: &[u8], limits: &Limits) -> Result<(WrittenReply, Vec<u8>), Reason> {
    let mut reply = vec![0xa5; limits.max_reply.octets()];
    match respond(request, &mut reply, limits) {
        Verdict::Reply(verdict) => Ok((verdict, reply[..verdict.len].to_vec())),
        Verdict::Silence(reason) => Err(reason),
    }
}

fn classic(first: u8, operands: &[u32]) -> Vec<u8> {
    let mut request = vec![first];
    request.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
    request
}

fn extended(operator: Operator, format: Format, width: u8, operands: &[u8]) -> Vec<u8> {
    let mut out = vec![0; wire::MAX_REQUEST];
    let len = extended::Request::new(operator, format, width, ID, operands).unwrap().encode(&mut out);
    out.truncate(len);
    out
}

/// Operands of one width, as a request carries them.
fn operands(width: u8, numbers: &[i128]) -> Vec<u8> {
    let mut octets = vec![0; usize::from(width) * numbers.len()];
    for (number, out) in numbers.iter().zip(octets.chunks_exact_mut(width.into())) {
        Number::from(*number).write_octets(out).unwrap();
    }
    octets
}

fn status(request: &[u8]) -> (Status, Vec<u8>) {
    let (verdict, octets) = answer(request).unwrap();
    assert_eq!(octets[4..12], ID.to_be_bytes());
    assert_eq!(octets[1], verdict.status.octet());
    assert_eq!(octets[0] == wire::SUCCESS, verdict.status == Status::Ok);
    (verdict.status, octets[12..].to_vec())
}

#[test]
fn clauses_are_those_of_the_specification() {
    let specification = include_str!("../../docs/protocol.md");
    let reply = |form, status| WrittenReply { len: 0, form, operator: None, status };
    let mut clauses: Vec<&str> = Reason::ALL.into_iter().map(Reason::clause).collect();
    for form in [Form::Classic, Form::Extended] {
        for status in (0..extended::STATUS_END).filter_map(Status::from_octet) {
            clauses.extend([Format::Integer, Format::Text].map(|format| reply(form, status).clause(format)));
        }
    }
    for clause in clauses {
        let numbered = [" ", "*", "."].iter().any(|end| specification.contains(&format!("**{clause}{end}")));
        assert!(numbered, "{clause}");
    }
}

#[test]
fn classic_results_are_exact_or_errors() {
    assert_eq!(answer(&classic(0x00, &[1, 3, 5, 7, 9])).unwrap().1, [0xff, 0, 0, 0, 0x19]);
    assert_eq!(answer(&classic(0x03, &[1, 3, 5, 7, 9])).unwrap().1, b"\xff945");
    assert_eq!(answer(&classic(0x00, &[u32::MAX, 0])).unwrap().1, [0xff; 5]);
    let (verdict, octets) = answer(&classic(0x00, &[u32::MAX, 1])).unwrap();
    assert_eq!((verdict.status, &octets[..]), (Status::TooLarge, &b"\x7ftoo large"[..]));
    assert_eq!(answer(&classic(0x02, &[u32::MAX, u32::MAX, 0])).unwrap().1, [0xff, 0, 0, 0, 0]);
}

#[test]
fn classic_wraps_on_request_and_text_stays_exact() {
    let limits = Limits { wrap: true, ..Limits::default() };
    let octets = |request: &[u8]| answer_within(request, &limits).unwrap().1;
    assert_eq!(octets(&classic(0x00, &[u32::MAX, 3])), [0xff, 0, 0, 0, 2]);
    assert_eq!(octets(&classic(0x02, &[0x8000_0001, 2])), [0xff, 0, 0, 0, 2]);
    assert_eq!(octets(&classic(0x01, &[u32::MAX, 3])), b"\xff4294967298");
}

#[test]
fn classic_text_has_up_to_256_digits() {
    let digits = |count: usize| answer(&classic(0x03, &vec![u32::MAX; count])).unwrap();
    let (verdict, octets) = digits(26);
    assert_eq!((verdict.status, octets.len()), (Status::Ok, 1 + 251));
    let (verdict, octets) = digits(27);
    assert_eq!((verdict.status, octets[0]), (Status::TooLarge, wire::ERROR));
}

#[test]
fn silence_has_its_reason() {
    for (request, reason) in [
        (vec![], Reason::Empty),
        (vec![0xff, 0, 0, 0, 1], Reason::IsReply),
        (vec![0x7f; 40], Reason::IsReply),
        (vec![0x00], Reason::NoOperands),
        (vec![0x45], Reason::NoOperands),
        (vec![0x00; 8], Reason::Ragged),
        (vec![0x45; 8], Reason::Ragged),
        (vec![0x00; 261], Reason::TooManyOperands),
        (vec![0x00; 1233], Reason::Oversize),
        (vec![0x0e; 1233], Reason::Oversize),
        (vec![0x1e; 11], Reason::Escape),
        (vec![0x0e; 8], Reason::Escape),
    ] {
        assert_eq!(answer(&request).unwrap_err(), reason, "{request:02x?}");
    }
}

#[test]
fn unknown_opcodes_are_answered() {
    for request in [classic(0x45, &[4, 2, 3]), classic(0x0e, &[1]), classic(0x1e, &[1, 2]), vec![0x2e; 13]] {
        let (verdict, octets) = answer(&request).unwrap();
        assert_eq!((verdict.status, verdict.operator), (Status::UnknownOperator, None));
        assert_eq!(octets, b"\x7funknown opcode", "{request:02x?}");
    }
}

#[test]
fn extended_statuses_in_the_order_of_the_checks() {
    let two = operands(4, &[-2, 5]);
    let good = extended(Operator::Sum, Format::Integer, 4, &two);
    assert_eq!(status(&good), (Status::Ok, vec![3]));
    let with = |place: usize, octet: u8| {
        let mut request = good.clone();
        request[place] = octet;
        status(&request)
    };
    assert_eq!(with(3, 1), (Status::Unsupported, b"unsupported".to_vec()));
    assert_eq!(with(1, b'!'), (Status::UnknownOperator, b"unknown operator".to_vec()));
    assert_eq!(with(2, 0), (Status::Malformed, b"malformed request".to_vec()));
    assert_eq!(with(2, 3), (Status::Malformed, b"malformed request".to_vec()));
    let oversize = [&good[..12], &[0; 1221]].concat();
    assert_eq!(status(&oversize).0, Status::Unsupported);
    let zero = extended(Operator::Quotient, Format::Text, 1, &operands(1, &[1, 2, 0]));
    assert_eq!(status(&zero), (Status::DivisionByZero, b"division by zero".to_vec()));
    let negative = extended(Operator::Power, Format::Text, 1, &operands(1, &[1, -1]));
    assert_eq!(status(&negative), (Status::OutsideDomain, b"outside the domain".to_vec()));
}

#[test]
fn too_large_says_how_much_is_needed() {
    let power = |width: u8, exponent: i128, format| {
        status(&extended(Operator::Power, format, width, &operands(width, &[2, exponent])))
    };
    // 16 octets of request allow 48 of reply: 36 of result.
    assert_eq!(power(2, 286, Format::Integer).0, Status::Ok);
    assert_eq!(power(2, 287, Format::Integer), (Status::TooLarge, b"\0\0\0\x31result too large".to_vec()));
    // Not computed: 2^8000 has at least 8001 bits, at most 16000, which the server's 1232 octets may not hold.
    assert_eq!(power(2, 8000, Format::Integer).1[..4], 1232u32.to_be_bytes());
    assert_eq!(power(2, 9999, Format::Integer).1[..4], u32::MAX.to_be_bytes());
    // Text: 2^4000 has 1205 digits.
    assert_eq!(power(255, 4000, Format::Text).0, Status::Ok);
    assert_eq!(power(255, 4052, Format::Text).0, Status::Ok, "1220 digits");
    assert_eq!(power(255, 4053, Format::Text).1[..4], u32::MAX.to_be_bytes(), "1221 digits");
}

#[test]
fn describe_is_whole_or_too_large() {
    let (short, octets) = status(&extended(Operator::Describe, Format::Integer, 0, &[]));
    assert_eq!(short, Status::TooLarge);
    let needed = u32::from_be_bytes(octets[..4].try_into().unwrap());
    let padding = vec![0; (needed as usize).div_ceil(3) - extended::HEADER];
    let (status, text) = status(&extended(Operator::Describe, Format::Integer, 1, &padding));
    assert_eq!(status, Status::Ok);
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text, concat!("calc6 ", env!("CARGO_PKG_VERSION"), "\noperators=+*-/%^gl<>&|~?\nlargest-reply=1232\n"));
}

#[test]
fn no_reply_is_longer_than_three_times_its_request_or_the_limit() {
    for max_reply in [ReplyLimit::MIN, ReplyLimit::default(), ReplyLimit::MAX] {
        let limits = Limits { max_reply, wrap: false };
        for width in [1, 100, 255] {
            let numbers = operands(width, &[120, 120]);
            for format in [Format::Integer, Format::Text] {
                let request = extended(Operator::Power, format, width, &numbers);
                let (verdict, _) = answer_within(&request, &limits).unwrap();
                assert!(verdict.len <= wire::reply_limit(request.len(), max_reply.octets()));
            }
        }
    }
}

#[test]
fn reply_limits_are_in_range() {
    let limits =
        [0, 35, 36, 1232, 3696, 3697, usize::MAX].map(|octets| ReplyLimit::new(octets).map(ReplyLimit::octets));
    assert_eq!(limits, [None, None, Some(36), Some(1232), Some(3696), None, None]);
    let error = ReplyLimit::try_from(16).unwrap_err().to_string();
    assert_eq!(error, "the longest reply must be 36 to 3696 octets, not 16");
}

#[test]
fn every_error_fits_the_smallest_limit() {
    let limits = Limits { max_reply: ReplyLimit::MIN, wrap: false };
    for status in Status::ALL {
        assert!(extended::HEADER + extended::NEEDED + status.text().len() <= ReplyLimit::MIN.octets() + 4);
    }
    let large = extended(Operator::Power, Format::Text, 255, &operands(255, &[2, 4000]));
    let (verdict, octets) = answer_within(&large, &limits).unwrap();
    assert_eq!((verdict.status, &octets[16..]), (Status::TooLarge, &b"result too large"[..]));
    let unknown = answer_within(&classic(0x45, &[1]), &limits).unwrap();
    assert_eq!(unknown.1, b"\x7funknown opcode");
}

/// A short buffer leads to the same reply or none; only error texts are shortened.
#[test]
fn a_short_buffer_changes_no_answer() {
    let sum = |width| extended(Operator::Sum, Format::Text, width, &operands(width, &[100, 27]));
    let requests = [
        classic(0x00, &[1, 2]),
        classic(0x01, &[u32::MAX; 3]),
        classic(0x02, &[u32::MAX; 3]),
        classic(0x03, &[u32::MAX; 30]),
        classic(0x45, &[1]),
        classic(0x0e, &[1]),
        vec![0xff; 5],
        vec![],
        sum(1),
        sum(8),
        sum(8)[..extended::HEADER].to_vec(),
        extended(Operator::Power, Format::Text, 1, &operands(1, &[2, 100])),
        extended(Operator::Power, Format::Integer, 1, &operands(1, &[2, 127])),
        extended(Operator::Quotient, Format::Integer, 1, &operands(1, &[1, 0])),
        extended(Operator::Describe, Format::Text, 1, &[0; 60]),
    ];
    for request in &requests {
        let whole = answer(request);
        for len in 0..100 {
            let mut reply = vec![0xa5; len];
            match (respond(request, &mut reply, &Limits::default()), &whole) {
                (Verdict::Reply(found), Ok((expected, octets))) => {
                    assert!(found.len <= len && found.len <= expected.len);
                    assert_eq!(WrittenReply { len: 0, ..found }, WrittenReply { len: 0, ..*expected });
                    assert_eq!(reply[..found.len], octets[..found.len]);
                    assert!(found.len == expected.len || found.status != Status::Ok, "{request:02x?} in {len}");
                }
                (Verdict::Silence(reason), Ok((expected, _))) => {
                    let least = match (expected.form, expected.status) {
                        (_, Status::Ok) => expected.len,
                        (Form::Classic, _) => 1,
                        (Form::Extended, Status::TooLarge) => 16,
                        (Form::Extended, _) => 12,
                    };
                    assert!(reason == Reason::NoRoom && len < least, "{request:02x?} in {len}");
                }
                (Verdict::Silence(reason), Err(expected)) => assert_eq!(reason, *expected),
                (Verdict::Reply(_), Err(_)) => panic!("an answer to {request:02x?}"),
            }
        }
    }
}

#[test]
fn the_count_of_a_computed_result_is_exact() {
    let octets = [[&[0; 23][..], &[7]].concat(), [&[0; 23][..], &[201]].concat()].concat();
    let request = extended(Operator::Power, Format::Text, 24, &octets);
    let (status, payload) = status(&request);
    assert_eq!((status, request.len()), (Status::TooLarge, 60));
    assert_eq!(payload[..4], 182u32.to_be_bytes(), "12 octets and the 170 digits of 7^201");
}
