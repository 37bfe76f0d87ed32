//! Replies: decoding is total, what counts is what the specification says, and it re-encodes to the same octets.

use calc6::responder::{Limits, Reason, Verdict, respond};
use calc6::wire::{ERROR, Format, SUCCESS, classic, extended};

use super::{encoded, neighbours};

/// How many octets of a datagram are truncated and changed one by one.
const NEAR: usize = 128;

/// What decodes re-encodes to the same octets, apart from what receivers ignore; exactly what docs/protocol.md, clauses
/// 2.8 and 3.11, count as a reply decodes; no reply of calc6 is a request; and this holds for every truncation and
/// every change of one bit.
pub fn reply(datagram: &[u8]) {
    check(datagram);
    neighbours(datagram, NEAR, check);
}

fn check(datagram: &[u8]) {
    check_classic(datagram, Format::Integer);
    check_classic(datagram, Format::Text);
    check_extended(datagram);
    if matches!(datagram.first(), Some(&(SUCCESS | ERROR))) {
        let mut reply = [0; 64];
        assert_eq!(respond(datagram, &mut reply, &Limits::default()), Verdict::Silence(Reason::IsReply));
    }
}

fn check_classic(datagram: &[u8], format: Format) {
    let counts = match (datagram, format) {
        ([], _) => false,
        ([0..0x80, ..], _) => true,
        (_, Format::Integer) => datagram.len() == 5,
        ([_, payload @ ..], Format::Text) => is_decimal(payload),
    };
    let decoded = classic::Reply::decode(datagram, format);
    assert_eq!(decoded.is_ok(), counts, "{decoded:?}");
    let Ok(reply) = decoded else { return };
    let octets = encoded(datagram.len() + 7, |out| reply.encode(out));
    assert_eq!(octets[0], datagram[0] | 0x7f, "unused bits are sent 1");
    let sent = match reply {
        classic::Reply::Text(decimal) if decimal.trailing_nul() => &datagram[..datagram.len() - 1],
        _ => datagram,
    };
    assert_eq!(octets[1..], sent[1..]);
    if !matches!(reply, classic::Reply::Text(decimal) if decimal.trailing_nul()) {
        assert_eq!(classic::Reply::decode(&octets, format), Ok(reply));
    }
}

/// 1 to 256 octets: `-?[0-9]+`, perhaps followed by one NUL.
fn is_decimal(payload: &[u8]) -> bool {
    let text = payload.strip_suffix(&[0]).unwrap_or(payload);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    payload.len() <= 256 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn check_extended(datagram: &[u8]) {
    let counts = match datagram {
        [SUCCESS, 0, 0 | 1, _, rest @ ..] => rest.len() > 8,
        [ERROR, 1..32, 0 | 1, _, rest @ ..] => rest.len() >= 8,
        _ => false,
    };
    let decoded = extended::Reply::decode(datagram);
    assert_eq!(decoded.is_ok(), counts, "{decoded:?}");
    let Ok(reply) = decoded else { return };
    let octets = encoded(datagram.len() + 7, |out| reply.encode(out));
    let mut expected = datagram.to_vec();
    expected[extended::RESERVED] = 0;
    assert_eq!(octets, expected, "only Reserved is ignored");
    assert_eq!(extended::Reply::decode(&octets), Ok(reply));
    assert_eq!(extended::id(datagram), Some(reply.id()));
    let rebuilt = match reply.status() {
        Some(_) if reply.is_success() => extended::Reply::success(reply.format(), reply.id(), reply.result()),
        Some(status) if reply.format() == Format::Text => extended::Reply::error(status, reply.id(), reply.result()),
        _ => Ok(reply),
    };
    assert_eq!(rebuilt, Ok(reply));
    let counted = reply.status_octet() == 4 && reply.result().len() >= 4;
    assert_eq!(
        reply.needed().map(u32::to_be_bytes).as_ref().map(|count| &count[..]),
        counted.then(|| &datagram[12..16])
    );
}
