//! Trains of segments: datagrams of one length, of which the last may be shorter, that a capture holds as one.
//!
//! The sender gave them to the system in one message (UDP_SEGMENT of udp(7)), or the receiver takes them so (UDP_GRO), and
//! the capture was taken before they were divided or after they were joined; the loopback interface never divides. The
//! capture does not say where a segment ends: only the octets of the messages do. `docs/wireshark/calc6.lua` has the
//! same rules.

use std::collections::HashSet;

use calc6::wire::{ERROR, Form, Format, MAX_REQUEST, SUCCESS, classic, extended};

/// Most segments of one train: UDP_MAX_SEGMENTS since Linux 6.9, 64 before.
const MAX_SEGMENTS: usize = 128;

/// Where a segment of a train stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// From 1.
    pub number: usize,
    /// How many segments the train has.
    pub count: usize,
}

/// The segments of a train, in order.
pub fn segments(octets: &[u8], length: usize) -> impl Iterator<Item = (Segment, &[u8])> {
    let count = octets.len().div_ceil(length);
    octets.chunks(length).enumerate().map(move |(place, octets)| (Segment { number: place + 1, count }, octets))
}

/// The length of the segments, if the octets are a train of replies as this specification sends them.
///
/// Replies of other servers are never divided: their first octet can be anything, so that octets after a reply could look
/// like another one.
pub fn replies(octets: &[u8]) -> Option<usize> {
    const SHORTEST: usize = 2;
    // A train has one form: the last octets of a single extended reply may look like a classic one.
    let length =
        |form| segment_length(octets, [SUCCESS, ERROR], SHORTEST, |reply| form_of_our_reply(reply) == Some(form));
    length(Form::Classic).or_else(|| length(Form::Extended))
}

/// The length of the segments, if the octets are a train of extended requests, each with an identifier of its own.
pub fn extended_requests(octets: &[u8]) -> Option<usize> {
    const STARTS: [u8; 2] = [0x1e, 0x1f];
    let length =
        segment_length(octets, STARTS, extended::HEADER, |segment| extended::Request::decode(segment).is_ok())?;
    let mut seen = HashSet::new();
    let different = octets.chunks(length).all(|segment| seen.insert(extended::id(segment)));
    (different && !could_be_operands(octets, length)).then_some(length)
}

/// Whether the octets divide into classic sums and products of this length. That alone is no proof, because the octets of
/// a request with padding in its header, or of a buffer with zeros, do so too: only an answer proves it.
pub fn divides_into_classic(octets: &[u8], length: usize) -> bool {
    let opcodes_0_and_1 = |segment: &[u8]| segment[0] <= 0b0011 && classic::Request::decode(segment).is_ok();
    length < octets.len() && octets.len() <= length * MAX_SEGMENTS && octets.chunks(length).all(opcodes_0_and_1)
}

/// The lengths that a classic request can have, with operands.
pub fn classic_lengths() -> impl Iterator<Item = usize> {
    (1..=classic::MAX_OPERANDS).map(|operands| classic::HEADER + operands * classic::OPERAND)
}

/// The shortest length that divides the octets into messages that all pass `fits`; `starts` are the octets with which a
/// message starts.
fn segment_length(octets: &[u8], starts: [u8; 2], shortest: usize, fits: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let least = shortest.max(octets.len().div_ceil(MAX_SEGMENTS));
    (least..octets.len()).find(|&length| starts.contains(&octets[length]) && octets.chunks(length).all(&fits))
}

fn form_of_our_reply(octets: &[u8]) -> Option<Form> {
    let (first, payload) = (octets[0], &octets[classic::HEADER..]);
    let is_text = |text: &[u8]| text.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\n'));
    if octets.len() >= extended::HEADER && octets[extended::STATUS] < extended::STATUS_END {
        let reply = extended::Reply::decode(octets).ok()?;
        let text = &reply.result()[if reply.needed().is_some() { extended::NEEDED } else { 0 }..];
        let ours = octets[extended::RESERVED] == 0 && (reply.format() == Format::Integer || is_text(text));
        return ours.then_some(Form::Extended);
    }
    let ours = match first {
        SUCCESS => octets.len() == 5 || classic::Decimal::new(payload).is_some_and(|decimal| !decimal.trailing_nul()),
        ERROR => is_text(payload),
        _ => false,
    };
    ours.then_some(Form::Classic)
}

/// Whether operands of a single request could have made this train by chance, unless no request is so long. A short
/// request has few places for a second header; in a longer one, two headers must also agree in Width.
fn could_be_operands(octets: &[u8], length: usize) -> bool {
    const SHORT: usize = 256;
    let two = octets.len() <= 2 * length;
    two && (SHORT + 1..=MAX_REQUEST).contains(&octets.len())
        && octets[extended::WIDTH] != octets[length + extended::WIDTH]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(id: u64, operands: &[u8]) -> Vec<u8> {
        let mut request = vec![0x1e, b'+', 1, 0];
        request.extend(id.to_be_bytes());
        request.extend_from_slice(operands);
        request
    }

    fn result(id: u64, result: &[u8]) -> Vec<u8> {
        [&[0xff, 0, 0, 0][..], &id.to_be_bytes(), result].concat()
    }

    #[test]
    fn trains_of_replies() {
        for (train, length) in [
            (b"\xff\0\0\0\x19\xff\0\0\0\x07\xff\0\0\0\x09".to_vec(), Some(5)),
            (b"\xff945\xff12".to_vec(), Some(4)),
            (b"\x7ftoo large\x7ftoo large".to_vec(), Some(10)),
            ([result(1, &[3]), result(2, &[5])].concat(), Some(13)),
            ([result(1, &[3, 0]), result(2, &[5])].concat(), Some(14)),
            // One reply, or none of ours.
            (b"\xff\0\0\0\x19".to_vec(), None),
            (result(1, &[0xff; 40]), None),
            (b"\x80\0\0\0\x19\x80\0\0\0\x07".to_vec(), None),
            (b"\xff\0\0\0\x19\0\0\0".to_vec(), None),
            ([result(1, &[3]), result(2, &[5, 6])].concat(), None),
            (vec![], None),
        ] {
            assert_eq!(replies(&train), length, "{train:02x?}");
        }
        let most: Vec<u8> = b"\xff9".repeat(MAX_SEGMENTS);
        assert_eq!(replies(&most), Some(2));
        assert_eq!(replies(&[&most[..], b"\xff9"].concat()), None, "more than a train can have");
    }

    #[test]
    fn trains_of_requests() {
        assert_eq!(extended_requests(&[sum(1, &[5, 7]), sum(2, &[6, 8])].concat()), Some(14));
        assert_eq!(extended_requests(&[sum(1, &[5, 7]), sum(2, &[6])].concat()), Some(14));
        assert_eq!(extended_requests(&[sum(1, &[5]), sum(2, &[6, 7])].concat()), None, "the last may only be shorter");
        assert_eq!(extended_requests(&[sum(1, &[5]), sum(1, &[5])].concat()), None, "the same identifier");
        assert_eq!(extended_requests(&sum(1, &[0x1e; 40])), None);
        // In a long request, something that looks like a header of another Width is taken for operands.
        let mut long = [sum(1, &[5; 200]), sum(2, &[6; 200])].concat();
        assert_eq!(extended_requests(&long), Some(212));
        long[212 + extended::WIDTH] = 2;
        assert_eq!(extended_requests(&long), None);
        assert!(divides_into_classic(&[0, 0, 0, 0, 1, 2, 0, 0, 0, 1], 5));
        assert!(!divides_into_classic(&[0, 0, 0, 0, 1, 2, 0, 0, 0], 5));
        assert!(!divides_into_classic(&[0, 0, 0, 0, 1], 5));
    }

    /// Whatever arrives is divided in bounded time, and into parts that make it up.
    #[test]
    fn any_octets() {
        for octets in [vec![0xff; 65_507], vec![0x7f; 65_507], vec![0x1e; 65_507], vec![0; 65_507]] {
            let divided = [replies(&octets), extended_requests(&octets)];
            for length in divided.into_iter().flatten() {
                assert_eq!(segments(&octets, length).map(|(_, part)| part.len()).sum::<usize>(), octets.len());
            }
            assert!(!divides_into_classic(&octets, 5));
        }
    }
}
