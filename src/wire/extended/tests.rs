use super::*;

const IDENTIFIER: u64 = 0x0102_0304_0506_0708;

#[test]
fn golden_request() {
    let operands = [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5];
    let request = Request::new(Operator::Sum, Format::Integer, 4, IDENTIFIER, &operands).unwrap();
    let mut out = [0xa5; MAX_REQUEST];
    let len = request.encode(&mut out);
    let golden = [
        0x1e, // version 1, opcode 7, F 0
        b'+', 4, 0, // operator, width, reserved
        1, 2, 3, 4, 5, 6, 7, 8, // request identifier
        0xff, 0xff, 0xff, 0xfe, // -2
        0, 0, 0, 5, // 5
    ];
    assert_eq!(out[..len], golden);
    assert_eq!(Request::decode(&golden), Ok(request));
    assert_eq!(request.operand_count(), 2);
}

#[test]
fn golden_replies() {
    let mut out = [0xa5; 64];
    let success = Reply::success(Format::Integer, IDENTIFIER, &[3]).unwrap();
    let golden = [0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3];
    let len = success.encode(&mut out);
    assert_eq!(out[..len], golden);
    assert_eq!(Reply::decode(&golden), Ok(success));

    let error = Reply::error(Status::TooLarge, IDENTIFIER, b"\x00\x00\x04\xc1result too large").unwrap();
    let len = error.encode(&mut out);
    assert_eq!(out[..4], [0x7f, 4, 1, 0]);
    assert_eq!(Reply::decode(&out[..len]), Ok(error));
    assert_eq!(error.needed(), Some(1217));
    assert_eq!(success.needed(), None);
}

#[test]
fn the_first_failing_check_is_reported() {
    let request = |first: u8, operator: u8, width: u8, reserved: u8, operands: usize| {
        let mut datagram = vec![0; HEADER + operands];
        datagram[..4].copy_from_slice(&[first, operator, width, reserved]);
        datagram
    };
    let refused = |datagram: &[u8]| Request::decode(datagram).unwrap_err();
    assert_eq!(refused(&[0x1e; 11]), RequestError::OtherForm);
    assert_eq!(refused(&request(0x2e, b'+', 1, 0, 1)), RequestError::OtherForm);
    assert_eq!(refused(&request(0x10, b'+', 1, 0, 1)), RequestError::OtherForm);
    assert_eq!(refused(&request(0x1e, b'!', 0, 9, 1221)), RequestError::Oversize { octets: 1233 });
    assert_eq!(refused(&request(0x1e, b'!', 0, 9, 3)), RequestError::Reserved { found: 9 });
    assert_eq!(refused(&request(0x1e, b'!', 0, 0, 3)), RequestError::Operator { found: b'!' });
    assert_eq!(refused(&request(0x1f, b'+', 0, 0, 3)), RequestError::Ragged { width: 0, octets: 3 });
    assert_eq!(refused(&request(0x1f, b'+', 2, 0, 3)), RequestError::Ragged { width: 2, octets: 3 });
    for (operator, count) in [(b'+', 0), (b'/', 1), (b'%', 1), (b'^', 1), (b'^', 3), (b'~', 0)] {
        let error = refused(&request(0x1f, operator, 2, 0, 2 * count));
        assert!(matches!(error, RequestError::OperandCount { count: found, .. } if found == count), "{error}");
        assert_eq!(error.status(), Status::Malformed);
    }
    assert!(Request::decode(&request(0x1f, b'?', 0, 0, 0)).is_ok(), "with no operands any width is legal");
    assert!(Request::decode(&request(0x1f, b'?', 7, 0, 14)).is_ok());
    assert!(Request::decode(&request(0x1f, b'+', 1, 0, 1220)).is_ok());
}

#[test]
fn what_counts_as_a_reply() {
    let reply = |first: u8, status: u8, format: u8, result: usize| {
        let mut datagram = vec![0; HEADER + result];
        datagram[..4].copy_from_slice(&[first, status, format, 0x77]); // Reserved is ignored
        datagram
    };
    assert!(Reply::decode(&reply(0xff, 0, 0, 1)).is_ok());
    assert!(Reply::decode(&reply(0x7f, 31, 1, 0)).is_ok());
    for (datagram, error) in [
        (vec![0xff; 11], ReplyError::Short { octets: 11 }),
        (reply(0xff, 0, 0, 0), ReplyError::NoResult),
        (reply(0xff, 1, 0, 1), ReplyError::Status { first: 0xff, found: 1 }),
        (reply(0x7f, 0, 0, 1), ReplyError::Status { first: 0x7f, found: 0 }),
        (reply(0x7f, 32, 0, 1), ReplyError::Status { first: 0x7f, found: 32 }),
        (reply(0x80, 0, 0, 1), ReplyError::FirstOctet { found: 0x80 }),
        (reply(0xff, 0, 2, 1), ReplyError::Format { found: 2 }),
    ] {
        assert_eq!(Reply::decode(&datagram), Err(error));
    }
}
