//! The JSON object that `lab explain --json` writes for each datagram.

use std::fmt::Write as _;

use calc6::view::{self, Severity, View};
use serde::Serialize;

use super::pairs::Relation;
use super::sequence::{Explained, Seen};
use super::train;

/// A datagram of a sequence.
#[derive(Debug, Serialize)]
pub struct DatagramJson<'a> {
    /// Its place in the sequence; the first is 1.
    number: u64,
    #[serde(flatten)]
    description: DescriptionJson<'a>,
    /// Its relation to the datagrams before it.
    relation: Related,
    /// Where it stands in a train that the capture holds as one datagram; absent if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<SegmentJson>,
    /// When it was captured, and between whom; absent outside of captures.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    captured: Option<CapturedJson>,
}

/// A datagram, independent of those before it.
#[derive(Debug, Serialize)]
pub struct DescriptionJson<'a> {
    /// `request` or `reply`.
    direction: &'static str,
    /// `classic` or `extended`.
    form: &'static str,
    /// Form, direction and length in words.
    kind: String,
    /// What it says, in one line.
    summary: String,
    /// The octets in hexadecimal.
    octets: String,
    /// Whether anything is wrong with it.
    wrong: bool,
    fields: Vec<FieldJson<'a>>,
    faults: Vec<FaultJson<'a>>,
}

#[derive(Debug, Serialize)]
struct FieldJson<'a> {
    name: &'static str,
    /// The name with the number of an operand.
    label: String,
    /// What stands in a cell of the bit diagram that has one bit.
    letter: &'static str,
    /// What Wireshark's display filters call it.
    filter: Option<&'static str>,
    /// Its first bit; bit 0 is the most significant of the first octet.
    bit: usize,
    /// How many bits it has.
    bits: usize,
    value: &'a str,
    meaning: &'a str,
    clause: &'static str,
}

#[derive(Debug, Serialize)]
struct FaultJson<'a> {
    /// `wrong` or `remark`.
    severity: &'static str,
    clause: &'static str,
    text: &'a str,
    /// The first bit that it is about; null if it is about the whole, or about what is missing.
    bit: Option<usize>,
    bits: usize,
}

#[derive(Debug, Serialize)]
struct SegmentJson {
    /// From 1.
    number: usize,
    of: usize,
}

#[derive(Debug, Serialize)]
struct CapturedJson {
    /// Since the first datagram of the capture.
    time_s: f64,
    from: String,
    to: String,
    /// Octets of it that the capture left out.
    octets_left_out: usize,
    /// False if octets of it, or of the request that it answers, were left out.
    judged: bool,
}

/// Members that do not apply to a kind of relation are null.
#[derive(Debug, Serialize)]
struct Related {
    kind: &'static str,
    /// The number of the request that it repeats or answers.
    request: Option<u64>,
    /// How often the same octets were sent by now.
    times: Option<u32>,
    /// From the last sending of the request to this reply.
    after_s: Option<f64>,
    /// The same in words; empty for a request that was not there before.
    words: String,
}

impl<'a> DatagramJson<'a> {
    pub fn new(explained: &'a Explained<'_>) -> DatagramJson<'a> {
        let captured = explained.seen.map(|Seen { time, from, to, missing }| CapturedJson {
            time_s: time.as_secs_f64(),
            from: from.to_string(),
            to: to.to_string(),
            octets_left_out: missing,
            judged: explained.judged,
        });
        DatagramJson {
            number: explained.number,
            description: DescriptionJson::new(&explained.view),
            relation: Related::new(&explained.relation),
            segment: explained.segment.map(|train::Segment { number, count }| SegmentJson { number, of: count }),
            captured,
        }
    }
}

impl<'a> DescriptionJson<'a> {
    pub fn new(view: &'a View<'_>) -> DescriptionJson<'a> {
        DescriptionJson {
            direction: view.direction().name(),
            form: view.form().name(),
            kind: view.kind(),
            summary: view.to_string(),
            octets: hexadecimal(view.octets()),
            wrong: view.is_wrong(),
            fields: view.fields().iter().map(FieldJson::new).collect(),
            faults: view.faults().iter().map(FaultJson::new).collect(),
        }
    }
}

impl<'a> FieldJson<'a> {
    fn new(field: &'a view::Field) -> FieldJson<'a> {
        FieldJson {
            name: field.name.label(),
            label: field.label(),
            letter: field.name.letter(),
            filter: field.name.filter(),
            bit: field.bits.start,
            bits: field.bits.len(),
            value: &field.value,
            meaning: &field.meaning,
            clause: field.clause,
        }
    }
}

impl<'a> FaultJson<'a> {
    fn new(fault: &'a view::Fault) -> FaultJson<'a> {
        let severity = match fault.severity {
            Severity::Wrong => "wrong",
            Severity::Remark => "remark",
        };
        let bits = fault.bits.as_ref();
        FaultJson {
            severity,
            clause: fault.clause,
            text: &fault.text,
            bit: bits.map(|bits| bits.start),
            bits: bits.map_or(0, ExactSizeIterator::len),
        }
    }
}

impl Related {
    fn new(relation: &Relation) -> Related {
        let (kind, request, times, after) = match *relation {
            Relation::First => ("first", None, None, None),
            Relation::RepeatOf { request, times } => ("repeat", Some(request), Some(times), None),
            Relation::ReplyTo { request, after } => ("reply", Some(request), None, after),
            Relation::AnotherReplyTo { request } => ("another-reply", Some(request), None, None),
            Relation::ReplyToNothing => ("reply-to-nothing", None, None, None),
        };
        let after_s = after.map(|after| after.as_secs_f64());
        Related { kind, request, times, after_s, words: relation.said().unwrap_or_default() }
    }
}

/// Two digits for each octet.
pub fn hexadecimal(octets: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * octets.len());
    for octet in octets {
        let _ = write!(digits, "{octet:02x}");
    }
    digits
}
