use proptest::prelude::*;

use super::*;
use crate::wire::{Format, Status, classic as course, extended as ours};

const ID: u64 = 0x0102_0304_0506_0708;

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let any_length = prop::collection::vec(any::<u8>(), 0..1500);
    let short =
        prop::collection::vec(prop::sample::select(&[0, 1, 4, b'+', b'/', b'^', b'?', b'1', 0x7f, 0xff][..]), 0..40);
    let first = prop::sample::select(&[0x00, 0x03, 0x0e, 0x1e, 0x1f, 0x2e, 0x45, 0x7f, 0x80, 0xff][..]);
    (first, prop_oneof![any_length, short], any::<bool>()).prop_map(|(first, mut octets, set)| {
        if let Some(octet) = octets.first_mut().filter(|_| set) {
            *octet = first;
        }
        octets
    })
}

proptest! {
    #[test]
    fn any_octets_are_fields_without_gaps(octets in octets(), request in octets()) {
        property::check(&request, &octets);
    }

    /// A view is wrong exactly where the wire room rejects the datagram.
    #[test]
    fn wrong_is_what_wire_rejects(octets in octets(), request in octets()) {
        let view = View::request(&octets);
        let refused = match Kind::of(&octets) {
            Kind::Classic => course::Request::decode(&octets).is_ok_and(|request| request.operator().is_some()),
            Kind::Extended => ours::Request::decode(&octets).is_ok(),
            _ => false,
        };
        // The wire room does not check the values of divisors and exponents.
        if matches!(view.operator(), Some(Operator::Quotient | Operator::Remainder | Operator::Power)) {
            prop_assert!(refused || view.is_wrong());
        } else {
            prop_assert_eq!(view.is_wrong(), !refused);
        }
        let format = request.first().map_or(Format::Integer, |&first| Format::of(first));
        if Kind::of(&request) == Kind::Classic {
            let counts = course::Reply::decode(&octets, format).is_ok();
            prop_assert_eq!(View::reply(&octets, Some(&request)).is_wrong(), !counts);
        }
    }
}

/// Clause and beginning of every fault.
fn faults(view: &View<'_>) -> Vec<(&'static str, Severity, String)> {
    view.faults().iter().map(|fault| (fault.clause, fault.severity, fault.text.chars().take(24).collect())).collect()
}

#[test]
fn what_is_wrong_with_requests() {
    use Severity::{Remark, Wrong};
    for (octets, expected) in [
        (&b""[..], vec![("2.7", Wrong, "no octets: a request has")]),
        (&[0x00], vec![("2.7", Wrong, "no operands: a request h")]),
        (&[0x00, 0, 0, 0, 1, 0], vec![("2.7", Wrong, "5 octets of operands: no")]),
        (&[0x00; 261], vec![("2.7", Wrong, "260 octets of operands: ")]),
        (
            &[0x45, 0, 0, 0, 1],
            vec![("2.6", Wrong, "opcode 2 is unknown: a s"), ("2.2", Remark, "the unused bits are 4: c")],
        ),
        (&[0x71, 0, 0, 0, 1], vec![("2.2", Remark, "the unused bits are 7: c")]),
        (&[0xff, 0, 0, 0, 1], vec![("4.1", Wrong, "the first octet 0xff is ")]),
        (&[0x1e, b'+', 4, 0], vec![("4.4", Wrong, "4 octets: an extended re")]),
        (&[0x2e, 0, 0, 0, 9], vec![("4.4", Wrong, "version 2 of the extende")]),
        (b"\x1e+\x04\x0112345678\0\0\0\x01", vec![("3.3", Wrong, "reserved octet 0x01: exp")]),
        (b"\x1e!\x04\x0012345678\0\0\0\x01", vec![("3.4", Wrong, "unknown operator 0x21; a")]),
        (b"\x1e+\x04\x0012345678\0\0\0\x01\x02", vec![("3.9", Wrong, "5 octets of operands: no")]),
        (b"\x1e+\x00\x0012345678\x01", vec![("3.9", Wrong, "1 octets of operands: no")]),
        (b"\x1e+\x04\x0012345678", vec![("3.9", Wrong, "operator + does not take")]),
        (b"\x1e/\x01\x0012345678\x01\x02\x00", vec![("3.9", Wrong, "a divisor that is 0; a s")]),
        (b"\x1e^\x01\x0012345678\x01\xfe", vec![("3.4", Wrong, "a negative exponent; a s")]),
        (b"\x1e+\x01\x0012345678\x01", vec![]),
        (b"\x1f?\x00\x0012345678", vec![]),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(clause, severity, text)| (clause, severity, text.to_owned())).collect();
        assert_eq!(faults(&View::request(octets)), expected, "{octets:02x?}");
    }
}

#[test]
fn what_is_wrong_with_replies() {
    use Severity::{Remark, Wrong};
    let integer = [0x00, 0, 0, 0, 1];
    let text = [0x01, 0, 0, 0, 1];
    let extended = b"\x1e+\x01\x0012345678\x01";
    for (request, octets, expected) in [
        (&integer[..], &[0xff, 0, 0, 0, 1][..], vec![]),
        (&integer, b"", vec![("2.8", Wrong, "empty: a reply has at le")]),
        (&integer, &[0xff, 1], vec![("2.8", Wrong, "2 octets: a result as in")]),
        (&integer, &[0x80, 0, 0, 0, 1], vec![("2.5", Remark, "unused bits that are not")]),
        (
            &text,
            b"\xff-2\0",
            vec![("2.11", Remark, "a NUL after the digits: "), ("2.11", Remark, "a sum or product of unsi")],
        ),
        (&text, b"\xff1x", vec![("2.8", Wrong, "the payload is not a dec")]),
        (&integer, b"\x7fwhat?", vec![]),
        (&integer, b"\x7f\x01\x02", vec![("2.6", Remark, "octets that are not prin")]),
        (extended, b"\xff\0\0\x0012345678\x01", vec![]),
        (extended, b"\xff\0\0\x0012345679\x01", vec![("3.11", Wrong, "not the identifier of th")]),
        (extended, b"\xff\0\x01\x0012345678\x31", vec![("3.8", Remark, "format 1 where 0 is expe")]),
        (extended, b"\xff\0\0\x0012345678\x00\x01", vec![("3.8", Remark, "wider than necessary: cl")]),
        (extended, b"\xff\0\0\x0012345678", vec![("3.11", Wrong, "success without a result")]),
        (extended, b"\xff\x01\0\x0012345678\x01", vec![("3.11", Wrong, "status 1 after first oct")]),
        (extended, b"\x7f\x07\x01\x0012345678?", vec![("3.8", Remark, "status 7 is not assigned")]),
        (extended, b"\x7f\x04\x01\x0012345678?", vec![("3.10", Remark, "status 4 without the cou")]),
        (extended, b"\x7fno", vec![("3.12", Remark, "a classic error in reply")]),
        (
            extended,
            b"\x80\0\0\0\x19",
            vec![("3.11", Wrong, "a classic result in repl"), ("2.5", Remark, "unused bits that are not")],
        ),
        (
            &integer,
            &[0x7f; 16],
            vec![("2.6", Remark, "octets that are not prin"), ("4.2", Remark, "16 octets in reply to 5:")],
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(clause, severity, text)| (clause, severity, text.to_owned())).collect();
        assert_eq!(faults(&View::reply(octets, Some(request))), expected, "{octets:02x?}");
    }
}

#[test]
fn summaries() {
    for (octets, expected) in [
        (&b""[..], "empty"),
        (&[0x03, 0, 0, 0, 1, 0, 0, 0, 3], "* 1 3"),
        (&[0x45, 0, 0, 0, 1], "unknown operator 1"),
        (b"\x1e-\x02\x0012345678\xff\xfe\x00\x05", "- -2 5"),
        (b"\x1f?\x01\x0012345678\x01", "?"),
        (&[0x00; 61], "+ 0 0 0 0 0 0 0 0 … (7 more)"),
    ] {
        assert_eq!(View::request(octets).to_string(), expected);
    }
    for (octets, expected) in [
        (&b""[..], "error"),
        (&[0xff, 0, 0, 0, 9], "= 9"),
        (b"\xff945", "= 945"),
        (b"\x7funknown opcode", "error: \"unknown opcode\""),
        (b"\xff\0\0\x0012345678\xfe", "= -2"),
        (b"\xff\0\x01\x0012345678a\nb", "= \"a\\nb\""),
        (b"\x7f\x03\x01\x0012345678", "error: division by zero"),
        (b"\x7f\x04\x01\x0012345678\0\0\0\x31result too large", "error: result too large, needs 49 octets"),
    ] {
        assert_eq!(View::reply(octets, None).to_string(), expected);
    }
}

#[test]
fn messages_of_calc6_have_no_faults() {
    let mut out = [0; 1232];
    let request = ours::Request::new(Operator::Sum, Format::Text, 2, ID, &[0, 1, 0, 2]).unwrap();
    let len = request.encode(&mut out);
    let request = out[..len].to_vec();
    assert!(View::request(&request).faults().is_empty());
    for status in &Status::ALL[1..] {
        let text = [&[0; 4][..], b"text"].concat();
        let text = if *status == Status::TooLarge { &text[..] } else { &text[4..] };
        let len = ours::Reply::error(*status, ID, text).unwrap().encode(&mut out);
        let view = View::reply(&out[..len], Some(&request));
        assert_eq!((view.form(), view.faults()), (Form::Extended, &[][..]));
    }
}

#[test]
fn a_wide_field_is_open_between_its_rows() {
    let drawn =
        diagram(&View::request(b"\x1e+\x04\x00\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xfe"), &Drawing::default());
    let expected = "      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0000 |Version|Opcod|F|Operator = '+' |   Width = 4   | Reserved = 0  |
     |0 0 0 1|1 1 1|0|      2b       |      04       |      00       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
0004 |            Request identifier = 0x0102030405060708            |
     |      01              02              03              04       |
     +                                                               +
0008 |      05              06              07              08       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
000c |                        Operand 1 = -2                         |
     |      ff              ff              ff              fe       |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
";
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn long_datagrams_are_drawn_in_part() {
    let request = [&[0x00][..], &[0; 256]].concat();
    let view = View::request(&request);
    let (short, whole) = (Drawing::default(), Drawing { whole: true, ..Drawing::default() });
    assert!(dump(&view, &short).contains("\n      … 55 more operands omitted, 220 octets\n00fd  00 00 00 00"));
    assert_eq!(dump(&view, &whole).lines().count(), 3 + 64);
    assert!(diagram(&view, &short).contains("octets 0020 to 00ff: 56 more rows omitted"));
    let wide = [&b"\x1e+\xff\x0012345678"[..], &[0x11; 255]].concat();
    assert!(dump(&View::request(&wide), &short).contains("… 223 more octets omitted"));
}
