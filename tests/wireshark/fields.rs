//! Every field of every kind of datagram, as tshark shows it, and the octets that each field marks, as sharkd does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capture::{SERVER, Traffic, octets};
use crate::tools::Desk;

/// The fields that are in the octets, or that follow from one datagram and its request.
pub const CONTENT: &[&str] = &[
    "calc6.form",
    "calc6.message",
    "calc6.unused",
    "calc6.opcode",
    "calc6.format",
    "calc6.version",
    "calc6.operator",
    "calc6.op",
    "calc6.width",
    "calc6.reserved",
    "calc6.id",
    "calc6.operands",
    "calc6.operand",
    "calc6.operand.text",
    "calc6.success",
    "calc6.ones",
    "calc6.status",
    "calc6.needed",
    "calc6.result",
    "calc6.result.text",
    "calc6.text",
    "calc6.rest",
    "calc6.check",
    "calc6.expected",
    "calc6.expected.text",
];

/// The expert items.
pub const EXPERTS: &[&str] = &[
    "calc6.malformed",
    "calc6.ragged",
    "calc6.no_operands",
    "calc6.too_many",
    "calc6.unknown_opcode",
    "calc6.unknown_operator",
    "calc6.unsupported",
    "calc6.domain",
    "calc6.overflow",
    "calc6.wrong",
    "calc6.error",
    "calc6.classic_peer",
    "calc6.long_reply",
    "calc6.reply_to_reply",
    "calc6.stray",
    "calc6.unanswered",
    "calc6.silence",
    "calc6.copy",
    "calc6.retransmission",
    "calc6.reused",
    "calc6.orphan",
    "calc6.duplicate",
    "calc6.liberty",
    "calc6.train",
    "calc6.cut",
];

/// What a packet must show: the Info column, and every content field that it has, without the `calc6.`; `experts` lists
/// its expert items.
pub struct Expected {
    pub info: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
}

/// Compares every packet of a capture with what is expected of it; fields that are not mentioned must be absent.
pub fn check(desk: &Desk, capture: &std::path::Path, options: &[&str], expected: &[Expected]) {
    let infos = desk.info(capture, options);
    let columns: Vec<&str> = CONTENT.iter().chain(EXPERTS).copied().collect();
    let rows = desk.fields(capture, options, &columns);
    assert_eq!((infos.len(), rows.len()), (expected.len(), expected.len()), "{infos:#?}");
    for (number, ((info, row), expected)) in infos.iter().zip(&rows).zip(expected).enumerate() {
        assert_eq!(summary(info), expected.info, "frame {}", number + 1);
        assert_eq!(present(row), wanted(expected.fields), "frame {}, {info}", number + 1);
    }
}

/// The fields that a row has, by name.
fn present(row: &[String]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut experts = Vec::new();
    for (name, value) in CONTENT.iter().chain(EXPERTS).zip(row) {
        let name = name.trim_start_matches("calc6.");
        match value.as_str() {
            "" => {}
            _ if EXPERTS.contains(&format!("calc6.{name}").as_str()) => experts.push(name),
            "True" => drop(fields.insert(name.to_owned(), "1".to_owned())),
            "False" => drop(fields.insert(name.to_owned(), "0".to_owned())),
            value => drop(fields.insert(name.to_owned(), value.to_owned())),
        }
    }
    leave_out_equal_texts(&mut fields);
    if !experts.is_empty() {
        fields.insert("experts".to_owned(), experts.join(" "));
    }
    fields
}

/// An integer is a number and an exact text: the text is left out if it equals the number.
fn leave_out_equal_texts(fields: &mut BTreeMap<String, String>) {
    for name in ["operand", "result", "expected"] {
        let text = format!("{name}.text");
        if fields.get(name).is_some_and(|number| fields.get(&text) == Some(number)) {
            fields.remove(&text);
        }
    }
}

fn wanted(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The Info column without values that differ between runs: `10000 → 51234 Result 25 in 0.042 ms` is `Result 25 in T`.
///
/// # Panics
/// If it does not begin with the ports.
pub fn summary(info: &str) -> String {
    let (from, rest) = info.split_once(" → ").unwrap_or_else(|| panic!("no ports: {info}"));
    let (to, rest) = rest.split_once(' ').unwrap();
    assert!(from.parse::<u16>().is_ok() && to.parse::<u16>().is_ok(), "no ports: {info}");
    let words: Vec<&str> = rest.split(' ').collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        kept.push(words[at]);
        let unit = words.get(at + 2).copied().unwrap_or_default();
        let timed = words[at] == "in" && ["ms", "s"].contains(&unit.trim_end_matches(';'));
        if timed && words[at + 1].parse::<f64>().is_ok() {
            kept.push(if unit.ends_with(';') { "T;" } else { "T" });
            at += 2;
        }
        at += 1;
    }
    kept.join(" ")
}

/// One line of the table below: from port, to port, octets, the Info column, and the fields.
type Line = (u16, u16, &'static str, &'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    // The golden octets of clause 2.13.
    (41000, SERVER, "00 00000001 00000003 00000005 00000007 00000009", "sum 1, 3, 5, 7, 9 (5 operands)", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "5"), ("operand", "1,3,5,7,9"),
    ]),
    (SERVER, 41000, "ff 00000019", "Result 25 in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("result", "25"),
        ("check", "right"),
    ]),
    (41001, SERVER, "03 00000001 00000003 00000005 00000007 00000009", "product 1, 3, 5, 7, 9 (5 operands) as text", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "1"), ("format", "1"), ("op", "*"),
        ("operands", "5"), ("operand", "1,3,5,7,9"),
    ]),
    (SERVER, 41001, "ff 393435", "Result 945 in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("result", "945"),
        ("check", "right"),
    ]),
    (41002, SERVER, "71 00000004 00000002 00000003", "sum 4, 2, 3 (3 operands) as text", &[
        ("form", "classic"), ("message", "request"), ("unused", "7"), ("opcode", "0"), ("format", "1"), ("op", "+"),
        ("operands", "3"), ("operand", "4,2,3"), ("experts", "liberty"),
    ]),
    (SERVER, 41002, "ff 39", "Result 9 in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("result", "9"),
        ("check", "right"),
    ]),
    (41003, SERVER, "45 00000004 00000002 00000003", "[Unknown opcode 2] 4, 2, 3 (3 operands) as text", &[
        ("form", "classic"), ("message", "request"), ("unused", "4"), ("opcode", "2"), ("format", "1"),
        ("operands", "3"), ("operand", "4,2,3"), ("experts", "unknown_opcode liberty"),
    ]),
    (SERVER, 41003, "7f 6f6f7073", "Error \"oops\" in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "0"), ("unused", "127"), ("text", "oops"),
        ("check", "right"), ("experts", "error"),
    ]),
    // Clause 3.13.
    (41004, SERVER, "1e 2b 04 00 0102030405060708 fffffffe 00000005", "sum -2, 5 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2b"), ("op", "+"), ("width", "4"), ("reserved", "0x00"), ("id", "0x0102030405060708"),
        ("operands", "2"), ("operand", "-2,5"),
    ]),
    (SERVER, 41004, "ff 00 00 00 0102030405060708 03", "Result 3 in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "0"),
        ("reserved", "0x00"), ("id", "0x0102030405060708"), ("result", "3"), ("check", "right"),
    ]),
    // Operands around the ends of 64 bits: 2^63 - 1, -2^63, then 2^63, -2^63 - 1.
    (41004, SERVER, "1f 3c 09 00 0202030405060708 007fffffffffffffff ff8000000000000000",
        "min 9223372036854775807, -9223372036854775808 (2 operands) as text", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "1"),
        ("operator", "0x3c"), ("op", "<"), ("width", "9"), ("reserved", "0x00"), ("id", "0x0202030405060708"),
        ("operands", "2"), ("operand", "9.22337203685478e+18,-9.22337203685478e+18"),
        ("operand.text", "9223372036854775807,-9223372036854775808"),
    ]),
    (SERVER, 41004, "ff 00 01 00 0202030405060708 2d39323233333732303336383534373735383038",
        "Result -9223372036854775808 in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0202030405060708"), ("result", "-9.22337203685478e+18"),
        ("result.text", "-9223372036854775808"), ("check", "right"),
    ]),
    (41004, SERVER, "1e 3e 09 00 0302030405060708 008000000000000000 ff7fffffffffffffff",
        "max 9223372036854775808, -9223372036854775809 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x3e"), ("op", ">"), ("width", "9"), ("reserved", "0x00"), ("id", "0x0302030405060708"),
        ("operands", "2"), ("operand", "9.22337203685478e+18,-9.22337203685478e+18"),
        ("operand.text", "9223372036854775808,-9223372036854775809"),
    ]),
    (SERVER, 41004, "ff 00 00 00 0302030405060708 008000000000000000", "Result 9223372036854775808 in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "0"),
        ("reserved", "0x00"), ("id", "0x0302030405060708"), ("result", "9.22337203685478e+18"),
        ("result.text", "9223372036854775808"), ("check", "right"),
    ]),
    // Each status, and the shapes that cause it.
    (41005, SERVER, "1e 2b 04 00 0402030405060708 00000001 00",
        "[Malformed: 5 octets after the header, not a multiple of Width 4]", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2b"), ("op", "+"), ("width", "4"), ("reserved", "0x00"), ("id", "0x0402030405060708"),
        ("operands", "1"), ("operand", "1"), ("rest", "00"), ("experts", "malformed"),
    ]),
    (SERVER, 41005, "7f 01 01 00 0402030405060708 6c656e677468", "Error 1 (malformed) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "1"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0402030405060708"), ("text", "length"),
        ("check", "right"), ("experts", "error"),
    ]),
    (41005, SERVER, "1e 40 01 00 0502030405060708 01 02", "[Unknown operator 0x40] 1, 2 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x40"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0502030405060708"),
        ("operands", "2"), ("operand", "1,2"), ("experts", "unknown_operator"),
    ]),
    (SERVER, 41005, "7f 02 01 00 0502030405060708", "Error 2 (unknown operator) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "2"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0502030405060708"), ("check", "right"), ("experts", "error"),
    ]),
    (41005, SERVER, "1e 2f 01 00 0602030405060708 07 00", "quotient 7, 0 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2f"), ("op", "/"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0602030405060708"),
        ("operands", "2"), ("operand", "7,0"), ("experts", "domain"),
    ]),
    (SERVER, 41005, "7f 03 01 00 0602030405060708 7a", "Error 3 (division by zero) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "3"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0602030405060708"), ("text", "z"), ("check", "right"), ("experts", "error"),
    ]),
    (41005, SERVER, "1f 5e 02 00 0702030405060708 0002 0fa0", "power 2, 4000 (2 operands) as text", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "1"),
        ("operator", "0x5e"), ("op", "^"), ("width", "2"), ("reserved", "0x00"), ("id", "0x0702030405060708"),
        ("operands", "2"), ("operand", "2,4000"),
    ]),
    (SERVER, 41005, "7f 04 01 00 0702030405060708 000004c1 6c6172676572", "Error 4 (result too large) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "4"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0702030405060708"), ("needed", "1217"), ("text", "larger"),
        ("check", "not checked"), ("experts", "error"),
    ]),
    (41005, SERVER, "1e 2b 01 80 0802030405060708 01", "[Unsupported: Reserved is 0x80, not 0]", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2b"), ("op", "+"), ("width", "1"), ("reserved", "0x80"), ("id", "0x0802030405060708"),
        ("operands", "1"), ("operand", "1"), ("experts", "unsupported"),
    ]),
    (SERVER, 41005, "7f 05 01 00 0802030405060708 72", "Error 5 (unsupported) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "5"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0802030405060708"), ("text", "r"), ("check", "right"), ("experts", "error"),
    ]),
    (41005, SERVER, "1e 5e 01 00 0902030405060708 02 ff", "power 2, -1 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x5e"), ("op", "^"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0902030405060708"),
        ("operands", "2"), ("operand", "2,-1"), ("experts", "domain"),
    ]),
    (SERVER, 41005, "7f 06 01 00 0902030405060708 64", "Error 6 (outside the operator's domain) in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "6"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0902030405060708"), ("text", "d"), ("check", "right"), ("experts", "error"),
    ]),
    // Too many, too few and wrongly shaped.
    (41006, SERVER, "1e 5e 01 00 0a02030405060708 02 03 04", "[Malformed: 3 operands for power, which takes 2]", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x5e"), ("op", "^"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0a02030405060708"),
        ("operands", "3"), ("operand", "2,3,4"), ("experts", "malformed"),
    ]),
    (41006, SERVER, "1e 2b 00 00 0b02030405060708 02",
        "[Malformed: 1 octet after the header, not a multiple of Width 0]", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2b"), ("op", "+"), ("width", "0"), ("reserved", "0x00"), ("id", "0x0b02030405060708"),
        ("operands", "0"), ("rest", "02"), ("experts", "malformed"),
    ]),
    (41007, SERVER, "00", "[Malformed: no operands after the header]", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "0"), ("experts", "no_operands"),
    ]),
    (41007, SERVER, "00 00000001 0002", "[Malformed: 6 octets after the header, not a multiple of 4]", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "1"), ("operand", "1"), ("rest", "0002"), ("experts", "ragged"),
    ]),
    (41007, SERVER, "1e 2b 04 00",
        "[Malformed: 4 octets, of the 12 of an extended header]", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2b"), ("width", "4"), ("reserved", "0x00"), ("experts", "malformed"),
    ]),
    (41008, SERVER, "2e 2b 04 00 0102030405060708",
        "[Unsupported: version 2 of the extended form]", &[
        ("form", "extended"), ("message", "request"), ("version", "2"), ("opcode", "7"), ("format", "0"),
        ("rest", "2b04000102030405060708"), ("experts", "unsupported"),
    ]),
    (SERVER, 41008, "7f", "Error in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "0"), ("unused", "127"), ("check", "right"),
        ("experts", "error"),
    ]),
    // Other servers: other unused bits, %d, a NUL, 2^32 exceeded.
    (41009, SERVER, "00 00000019", "sum 25 (1 operand)", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "1"), ("operand", "25"),
    ]),
    (SERVER, 41009, "80 00000019", "Result 25 in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "0"), ("result", "25"),
        ("check", "right"),
    ]),
    (41009, SERVER, "01 fffffffe", "sum 4294967294 (1 operand) as text", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "1"), ("op", "+"),
        ("operands", "1"), ("operand", "4294967294"),
    ]),
    (SERVER, 41009, "80 2d32 00", "Result -2 in T [4294967294 modulo 2^32]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "0"), ("result", "-2"),
        ("check", "wrapped"), ("expected", "4294967294"), ("experts", "overflow liberty"),
    ]),
    (41010, SERVER, "00 ffffffff ffffffff", "sum 4294967295, 4294967295 (2 operands)", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "2"), ("operand", "4294967295,4294967295"), ("experts", "overflow"),
    ]),
    (SERVER, 41010, "80 fffffffe", "Result 4294967294 in T [8589934590 modulo 2^32]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "0"), ("result", "4294967294"),
        ("check", "wrapped"), ("expected", "8589934590"), ("experts", "overflow"),
    ]),
    (41011, SERVER, "00 ffffffff 00000001", "sum 4294967295, 1 (2 operands)", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "2"), ("operand", "4294967295,1"), ("experts", "overflow"),
    ]),
    (SERVER, 41011, "7f", "Error in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "0"), ("unused", "127"), ("check", "right"),
        ("experts", "error"),
    ]),
    // Wrong.
    (41012, SERVER, "00 00000001 00000003", "sum 1, 3 (2 operands)", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "0"), ("format", "0"), ("op", "+"),
        ("operands", "2"), ("operand", "1,3"),
    ]),
    (SERVER, 41012, "ff 00000005", "Result 5 in T [Wrong: 4 expected]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("result", "5"),
        ("check", "wrong"), ("expected", "4"), ("experts", "wrong"),
    ]),
    (41013, SERVER, "1e 2d 01 00 0c02030405060708 01 03", "difference 1, 3 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x2d"), ("op", "-"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0c02030405060708"),
        ("operands", "2"), ("operand", "1,3"),
    ]),
    (SERVER, 41013, "ff 00 00 07 0c02030405060708 0002", "Result 2 in T [Wrong: -2 expected]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "0"),
        ("reserved", "0x07"), ("id", "0x0c02030405060708"), ("result", "2"), ("check", "wrong"), ("expected", "-2"),
        ("experts", "wrong liberty"),
    ]),
    (41013, SERVER, "1e 25 01 00 0d02030405060708 01 00", "remainder 1, 0 (2 operands)", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x25"), ("op", "%"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0d02030405060708"),
        ("operands", "2"), ("operand", "1,0"), ("experts", "domain"),
    ]),
    (SERVER, 41013, "ff 00 00 00 0d02030405060708 01", "Result 1 in T [Wrong: status 3 (division by zero) expected]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "0"),
        ("reserved", "0x00"), ("id", "0x0d02030405060708"), ("result", "1"), ("check", "wrong"), ("experts", "wrong"),
    ]),
    // A reply that is longer than three times its request: 12 octets allow 36.
    (41014, SERVER, "1e 3f 01 00 0e02030405060708", "describe", &[
        ("form", "extended"), ("message", "request"), ("version", "1"), ("opcode", "7"), ("format", "0"),
        ("operator", "0x3f"), ("op", "?"), ("width", "1"), ("reserved", "0x00"), ("id", "0x0e02030405060708"),
        ("operands", "0"),
    ]),
    (SERVER, 41014, "ff 00 01 00 0e02030405060708 63616c63362030 0a 6c6172676573742d7265706c793d3132",
        "Description calc6 0 in T", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0e02030405060708"), ("result.text", "calc6 0\\nlargest-reply=12"),
        ("check", "not checked"),
    ]),
    (SERVER, 41014, "ff 00 01 00 0e02030405060708 63616c63362030 0a 6c6172676573742d7265706c793d313233",
        "Description calc6 0 in T [Duplicate of frame 49] [over three times its request]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0e02030405060708"), ("result.text", "calc6 0\\nlargest-reply=123"),
        ("check", "not checked"), ("experts", "long_reply duplicate"),
    ]),
    // A text of three digits and a NUL has four octets, like an integer.
    (41017, SERVER, "03 00000001 00000003 00000005 00000007 00000009", "product 1, 3, 5, 7, 9 (5 operands) as text", &[
        ("form", "classic"), ("message", "request"), ("unused", "0"), ("opcode", "1"), ("format", "1"), ("op", "*"),
        ("operands", "5"), ("operand", "1,3,5,7,9"),
    ]),
    (SERVER, 41017, "80 393435 00", "Result 945 in T", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "0"), ("result", "945"),
        ("check", "right"), ("experts", "liberty"),
    ]),
    (SERVER, 41018, "80 393435 00", "Result 959722752 or \"945\" [no request seen]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "0"), ("result", "959722752"),
        ("experts", "orphan liberty"),
    ]),
    // Replies that are not valid.
    (SERVER, 41015, "ff 01 00 00 0f02030405060708 01", "[Malformed: S is 1, but Status is 1] [no request seen]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "1"), ("format", "0"),
        ("reserved", "0x00"), ("id", "0x0f02030405060708"), ("rest", "01"), ("experts", "malformed orphan"),
    ]),
    (SERVER, 41015, "ff 00 02 00 0f02030405060708 01", "[Malformed: Format is 2, neither 0 nor 1] [no request seen]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "2"),
        ("reserved", "0x00"), ("id", "0x0f02030405060708"), ("rest", "01"), ("experts", "malformed orphan"),
    ]),
    (SERVER, 41015, "ff 00 00 00 0f02030405060708", "[Malformed: a success without a result] [no request seen]", &[
        ("form", "extended"), ("message", "reply"), ("success", "1"), ("ones", "127"), ("status", "0"), ("format", "0"),
        ("reserved", "0x00"), ("id", "0x0f02030405060708"), ("experts", "malformed orphan"),
    ]),
    (SERVER, 41015, "7f 04 01 00 0f02030405060708 0000",
        "[Malformed: status 4 without the count of octets needed] [no request seen]", &[
        ("form", "extended"), ("message", "reply"), ("success", "0"), ("ones", "127"), ("status", "4"), ("format", "1"),
        ("reserved", "0x00"), ("id", "0x0f02030405060708"), ("text", "\\x00\\x00"),
        ("experts", "malformed error orphan"),
    ]),
    (SERVER, 41016, "ff 31323334", "Result 825373492 or \"1234\" [no request seen]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("result", "825373492"),
        ("experts", "orphan liberty"),
    ]),
    (SERVER, 41016, "ff 313a", "[Malformed: neither a 32-bit integer nor a decimal text] [no request seen]", &[
        ("form", "classic"), ("message", "reply"), ("success", "1"), ("unused", "127"), ("rest", "313a"),
        ("experts", "malformed orphan"),
    ]),
];

/// The datagrams of the table.
pub fn conversation() -> Traffic {
    let mut traffic = Traffic::new();
    for (from, to, text, ..) in TABLE {
        traffic.send(*from, *to, octets(text));
    }
    traffic
}

#[test]
fn every_field_of_every_packet() {
    let desk = Desk::new();
    let capture = desk.path("table.pcapng");
    conversation().write(&capture);
    let expected: Vec<Expected> = TABLE.iter().map(|(.., info, fields)| Expected { info, fields }).collect();
    check(&desk, &capture, &[], &expected);
}

/// (label, first octet of the datagram, octets) of the items below the protocol's item, as sharkd shows them.
pub fn marks(tree: &Value) -> Vec<(String, u64, u64)> {
    const HEADERS: u64 = 40 + 8;
    let protocol = tree.as_array().unwrap().iter().find(|item| item["f"] == "calc6").unwrap();
    let items = protocol["n"].as_array().unwrap().iter().filter(|item| item["h"].is_array());
    items
        .map(|item| {
            let label = item["l"].as_str().unwrap().to_owned();
            (label, item["h"][0].as_u64().unwrap() - HEADERS, item["h"][1].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn every_field_marks_its_octets() {
    let desk = Desk::new();
    let capture = desk.path("table.pcapng");
    conversation().write(&capture);
    let trees = desk.click(&capture, &[9, 10, 22, 1, 2]);
    let expected: [&[(&str, u64, u64)]; 5] = [
        &[
            ("0001 .... = Version: 1", 0, 1),
            (".... 111. = Opcode: the extended form (7)", 0, 1),
            (".... ...0 = Format: integer (0)", 0, 1),
            ("Operator: + (sum) (0x2b)", 1, 1),
            ("Width: 4", 2, 1),
            ("Reserved: 0x00", 3, 1),
            ("Request identifier: 0x0102030405060708", 4, 8),
            ("Operation: +", 1, 1),
            ("Operand 1: -2", 12, 4),
            ("Operand 2: 5", 16, 4),
        ],
        &[
            ("1... .... = Success: True", 0, 1),
            (".111 1111 = Ones: 127", 0, 1),
            ("Status: ok (0)", 1, 1),
            ("Format: integer (0)", 2, 1),
            ("Reserved: 0x00", 3, 1),
            ("Request identifier: 0x0102030405060708", 4, 8),
            ("Result: 3", 12, 1),
        ],
        &[
            ("0... .... = Success: False", 0, 1),
            (".111 1111 = Ones: 127", 0, 1),
            ("Status: result too large (4)", 1, 1),
            ("Format: text (1)", 2, 1),
            ("Reserved: 0x00", 3, 1),
            ("Request identifier: 0x0702030405060708", 4, 8),
            ("Octets needed: 1217", 12, 4),
            ("Error text: larger", 16, 6),
        ],
        &[
            ("0000 .... = Unused: 0", 0, 1),
            (".... 000. = Opcode: sum (0)", 0, 1),
            (".... ...0 = Format: integer (0)", 0, 1),
            ("Operation: +", 0, 1),
            ("Operand 1: 1", 1, 4),
            ("Operand 2: 3", 5, 4),
            ("Operand 3: 5", 9, 4),
            ("Operand 4: 7", 13, 4),
            ("Operand 5: 9", 17, 4),
        ],
        &[("1... .... = Success: True", 0, 1), (".111 1111 = Unused: 127", 0, 1), ("Result: 25", 1, 4)],
    ];
    for (tree, expected) in trees.iter().zip(expected) {
        let expected: Vec<(String, u64, u64)> =
            expected.iter().map(|(label, at, n)| ((*label).to_owned(), *at, *n)).collect();
        assert_eq!(marks(tree), expected);
    }
}

/// The filters that docs/wireshark/README.md shows select what they should.
#[test]
fn fields_can_be_filtered_by() {
    let desk = Desk::new();
    let capture = desk.path("table.pcapng");
    conversation().write(&capture);
    let filters = [
        ("calc6.op == \"-\"", 1),
        ("calc6.form == \"extended\" && calc6.message == \"request\"", 16),
        ("calc6.operands > 3", 3),
        ("calc6.operand < -1000000000", 2),
        ("calc6.operand > 4294967294", 4),
        ("calc6.operand.text == \"9223372036854775808\"", 1),
        ("calc6.result == 945", 2),
        ("calc6.result.text == \"945\"", 2),
        ("calc6.result > 10 && calc6.result < 1000", 4),
        ("calc6.result > 9000000000000000000", 1),
        ("calc6.result < 0", 2),
        ("calc6.result.text == \"9223372036854775808\"", 1),
        ("calc6.expected > 3 && calc6.expected < 10", 1),
        ("calc6.status == 3", 1),
        ("calc6.status > 0 && calc6.status < 4", 4),
        ("calc6.id == 0x0102030405060708", 2),
        ("calc6.time > 0.00004 && calc6.time < 0.00005", 23),
        ("calc6.check == \"wrong\"", 3),
        ("calc6.wrong || calc6.ragged", 4),
    ];
    let counted = filters.map(|(filter, _)| (filter, desk.info(&capture, &["-Y", filter]).len()));
    assert_eq!(counted, filters);
}
