//! The responder against the second server of [`reference`](super::reference).

use calc6::exchange::Question;
use calc6::responder::{Limits, Reason, ReplyLimit, Verdict, respond};
use calc6::wire::{self, Form, Format, Status, classic, extended};
use num_bigint::BigInt;

use super::reference::{Expected, TooLarge, expected};
use super::{DIRT, neighbours};

/// How many octets of a datagram are truncated and changed one by one: the header and a little more.
const NEAR: usize = 20;

/// Every verdict is the specification's and its octets are exact; no reply exceeds its bound, leaves an octet unset, or
/// is answered; and a request widened by the count of status 4 learns its answer.
pub fn responder(datagram: &[u8]) {
    for max_reply in [ReplyLimit::default(), ReplyLimit::MAX] {
        for wrap in [false, true] {
            check(datagram, &Limits::default().with_max_reply(max_reply).with_wrap(wrap));
        }
    }
    let limits = Limits::default();
    if datagram.len() <= 64 {
        neighbours(datagram, NEAR, |neighbour| check(neighbour, &limits));
    }
}

/// The same with limits on the reply that are often too low, so that results of every operator do not fit.
pub fn counts(datagram: &[u8]) {
    let [least, most] = [ReplyLimit::MIN, ReplyLimit::MAX].map(ReplyLimit::octets);
    let some = datagram.iter().fold(0, |sum: usize, octet| sum.wrapping_mul(31).wrapping_add(usize::from(*octet)));
    for octets in [least + some % 200, least + some % (most - least + 1), 1232] {
        let max_reply = ReplyLimit::new(octets).expect("in range");
        check(datagram, &Limits::default().with_max_reply(max_reply));
    }
}

/// The reply to a request, or `None` for silence, after every check that needs no second server.
pub fn answer(datagram: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let [first, second] = DIRT.map(|dirt| {
        let mut out = vec![dirt; limits.max_reply.octets()];
        let verdict = respond(datagram, &mut out, limits);
        if let Verdict::Reply(reply) = verdict {
            out.truncate(reply.len);
        }
        (verdict, out)
    });
    assert_eq!(first.0, second.0, "the verdict depends on the buffer");
    let Verdict::Reply(reply) = first.0 else { return None };
    assert_eq!(first.1, second.1, "the reply depends on the buffer");
    let octets = first.1;
    assert!(octets.len() <= wire::reply_limit(datagram.len(), limits.max_reply.octets()), "longer than its bound");
    assert_eq!(reply.form == Form::Extended, wire::Kind::of(datagram) == wire::Kind::Extended);
    assert_eq!(reply.status == Status::Ok, octets[0] == wire::SUCCESS);
    let mut out = [0; 64];
    assert_eq!(respond(&octets, &mut out, limits), Verdict::Silence(Reason::IsReply), "a reply is answered");
    Some(octets)
}

fn check(datagram: &[u8], limits: &Limits) {
    let answer = answer(datagram, limits);
    let expected = expected(datagram, limits.max_reply.octets(), limits.wrap);
    let octets = match (&expected, answer) {
        (Expected::Silence, None) => return,
        (Expected::Silence, Some(octets)) => panic!("answered {octets:02x?}"),
        (_, None) => panic!("silence instead of {expected:02x?}"),
        (_, Some(octets)) => octets,
    };
    match expected {
        Expected::Silence => {}
        Expected::Reply(reply) => assert_eq!(octets, reply),
        Expected::ClassicError => check_classic_error(&octets),
        Expected::Error { status, id } => check_error(&octets, status, id),
        Expected::TooLarge(too_large) => check_too_large(datagram, &octets, &too_large, limits),
        Expected::Describe { id } => check_description(datagram, &octets, id, limits),
    }
}

fn check_classic_error(octets: &[u8]) {
    assert_eq!(octets[0], wire::ERROR);
    assert!(octets.len() > 1 && octets[1..].iter().all(|octet| (0x20..0x7f).contains(octet)));
    for format in [Format::Integer, Format::Text] {
        assert_eq!(classic::Reply::decode(octets, format), Ok(classic::Reply::Error(&octets[1..])));
    }
}

fn check_error(octets: &[u8], status: u8, id: [u8; 8]) {
    let (header, text) = octets.split_at(12);
    assert_eq!(header, [&[wire::ERROR, status, 1, 0], &id[..]].concat());
    let text = if status == 4 { &text[4..] } else { text };
    assert!(!text.is_empty() && text.iter().all(|octet| (0x20..0x7f).contains(octet)));
}

fn check_too_large(datagram: &[u8], octets: &[u8], too_large: &TooLarge, limits: &Limits) {
    check_error(octets, 4, too_large.id);
    let needed = extended::Reply::decode(octets).unwrap().needed().unwrap();
    let room = wire::reply_limit(datagram.len(), limits.max_reply.octets());
    let limit = limits.max_reply.octets();
    match too_large.octets {
        Some(octets) => assert!(octets > room, "it would have fitted"),
        None => assert!(too_large.at_least.is_some(), "only powers are that large"),
    }
    // A power is refused uncomputed if it surely has more bits than the longest result.
    let most_bits = match datagram[0] & 1 {
        0 => (room - 12) as u64 * 8,
        _ => BigInt::from(10).pow((room - 12) as u32).bits(),
    };
    let computed = too_large.at_least.is_none_or(|bits| bits <= most_bits);
    match too_large.octets.filter(|&octets| octets <= limit) {
        Some(octets) if computed => assert_eq!(needed as usize, octets, "computed, so exact"),
        Some(octets) => {
            assert!((octets..=limit).contains(&(needed as usize)), "{octets} octets, said {needed}");
            assert!(needed as usize <= 2 * octets, "{octets} octets, said {needed}");
        }
        None if computed => assert_eq!(needed, u32::MAX, "over the limit"),
        // If only the computation could decide, the count is the server's limit.
        None => assert!(needed == u32::MAX || needed as usize == limit, "over the limit, said {needed}"),
    }
    check_widened(datagram, needed, limits);
}

/// A request as wide as the count says gets its answer: a result, or that the limit is exceeded.
fn check_widened(datagram: &[u8], needed: u32, limits: &Limits) {
    let request = extended::Request::decode(datagram).unwrap();
    let question =
        Question::extended(request.operator(), request.format(), request.width(), request.operands().to_vec());
    let Some(wider) = question.unwrap().widened(needed) else { return };
    let wider = extended::Request::new(wider.operator(), wider.format(), wider.width(), 7, wider.operands()).unwrap();
    let mut out = [0; wire::MAX_REQUEST];
    let len = wider.encode(&mut out);
    let octets = answer(&out[..len], limits).expect("an answer");
    let reply = extended::Reply::decode(&octets).unwrap();
    assert!(reply.is_success() || reply.needed() == Some(extended::NEEDED_OVER_LIMIT), "{reply:?}");
}

fn check_description(datagram: &[u8], octets: &[u8], id: [u8; 8], limits: &Limits) {
    let reply = extended::Reply::decode(octets).unwrap();
    if !reply.is_success() {
        check_error(octets, 4, id);
        let needed = reply.needed().unwrap();
        assert!(needed as usize > wire::reply_limit(datagram.len(), limits.max_reply.octets()));
        return check_widened(datagram, needed, limits);
    }
    assert_eq!(octets[..12], [&[wire::SUCCESS, 0, 1, 0], &id[..]].concat());
    let text = str::from_utf8(reply.result()).unwrap();
    let largest = format!("largest-reply={}", limits.max_reply);
    assert!(text.starts_with("calc6 ") && text.lines().any(|line| line == largest), "{text}");
    assert!(text.lines().any(|line| line == "operators=+*-/%^gl<>&|~?"), "{text}");
}
