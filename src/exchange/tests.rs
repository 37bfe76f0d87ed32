use super::*;
use crate::wire::Operator;

const START: Duration = Duration::from_secs(1_000);
const MS: Duration = Duration::from_millis(1);

/// Identifiers 0x11… and 0x22…, and then a factor of exactly 1 as far as nanoseconds go.
fn draws() -> impl FnMut() -> u64 {
    let mut draws = [0x1111_1111_1111_1111, 0x2222_2222_2222_2222, 0].into_iter();
    move || draws.next().expect("an exchange draws three numbers")
}

fn classic_question() -> Question {
    Question::classic(Operator::Sum, Format::Integer, [4, 2, 3]).unwrap()
}

fn extended_question() -> Question {
    Question::extended(Operator::Power, Format::Text, 2, vec![0, 2, 0x0f, 0xa0]).unwrap()
}

fn begin(question: Question, sharing: PortSharing, config: Retransmission) -> Exchange {
    Exchange::new(question, sharing, &config, START, &mut draws())
}

fn extended_exchange() -> Exchange {
    let mut exchange = begin(extended_question(), PortSharing::Exclusive, Retransmission::default());
    exchange.transmit(START).unwrap();
    exchange
}

fn success(id: u64, text: &str) -> Vec<u8> {
    let mut out = vec![0xa5; extended::HEADER + text.len()];
    extended::Reply::success(Format::Text, id, text.as_bytes()).unwrap().encode(&mut out);
    out
}

fn too_large(id: u64, needed: u32) -> Vec<u8> {
    let mut out = vec![0xa5; extended::HEADER + extended::NEEDED + 16];
    let text = [&needed.to_be_bytes()[..], b"result too large"].concat();
    extended::Reply::error(Status::TooLarge, id, &text).unwrap().encode(&mut out);
    out
}

/// Runs an exchange that hears nothing; gives when it sent what, and when it ended.
fn unheard(mut exchange: Exchange) -> (Vec<(Duration, Vec<u8>)>, Outcome, Duration) {
    let (mut sent, mut now) = (Vec::new(), START);
    loop {
        while let Some(datagram) = exchange.transmit(now) {
            sent.push((now - START, datagram.to_vec()));
        }
        match exchange.wake_at() {
            Some(then) => now = then,
            None => return (sent, exchange.into_outcome().unwrap(), now - START),
        }
    }
}

#[test]
fn repeats_double_their_waits_and_repeat_every_octet() {
    let config = Retransmission::default().with_probe(false);
    let (sent, outcome, end) = unheard(begin(extended_question(), PortSharing::Exclusive, config));
    assert_eq!(sent.iter().map(|(at, _)| at.as_secs()).collect::<Vec<_>>(), [0, 1, 3, 7]);
    assert!(sent.iter().all(|(_, datagram)| *datagram == sent[0].1));
    assert_eq!((outcome, end.as_secs()), (Outcome::Silent, 15));
}

#[test]
fn the_first_wait_is_drawn_between_1_and_1_5() {
    for (draw, least, most) in [(0, 1.0, 1.000_001), (1 << 63, 1.249_999, 1.250_001), (u64::MAX, 1.499_999, 1.5)] {
        let mut exchange =
            Exchange::new(classic_question(), PortSharing::Exclusive, &Retransmission::default(), START, &mut || draw);
        exchange.transmit(START);
        let wait = (exchange.wake_at().unwrap() - START).as_secs_f64();
        assert!((least..=most).contains(&wait), "{draw:#x}: {wait}");
    }
}

#[test]
fn nothing_takes_longer_than_the_bound() {
    let config = Retransmission::default();
    assert_eq!(config.longest(), Duration::from_millis(1500 * (15 + 15)));
    let mut random = || u64::MAX;
    let mut exchange = Exchange::new(extended_question(), PortSharing::Exclusive, &config, START, &mut random);
    // The worst that a peer can do: to say at the last moment that a wider request would do, and then nothing.
    let mut now = START;
    for _ in 0..=config.retries {
        while exchange.transmit(now).is_some() {}
        now = exchange.wake_at().unwrap();
    }
    now -= Duration::from_nanos(1);
    let id = exchange.id().unwrap();
    assert_eq!(exchange.receive(now, true, &too_large(id, 1217)), Received::Widened);
    while exchange.outcome().is_none() {
        while exchange.transmit(now).is_some() {}
        now = exchange.wake_at().unwrap_or(now);
    }
    assert!(now - START <= config.longest() && now - START > config.longest() - MS, "{:?}", now - START);

    let deadline = Retransmission { deadline: Some(Duration::from_secs(2)), ..config };
    assert_eq!(deadline.longest(), Duration::from_secs(2));
}

#[test]
fn waits_grow_to_60_seconds() {
    let config = Retransmission::default().with_first_wait(Duration::from_secs(20)).with_retries(4).with_probe(false);
    let (sent, outcome, end) = unheard(begin(classic_question(), PortSharing::Exclusive, config));
    assert_eq!(sent.iter().map(|(at, _)| at.as_secs()).collect::<Vec<_>>(), [0, 20, 60, 120, 180]);
    assert_eq!((outcome, end.as_secs()), (Outcome::Silent, 240));
    assert_eq!(config.waits().as_secs(), 240);
    // A first wait that is longer is what was asked for.
    let config = config.with_first_wait(Duration::from_secs(100)).with_retries(1_000_000);
    assert_eq!(config.waits().as_secs(), 100_000_100);
}

#[test]
fn extreme_configurations_neither_panic_nor_overflow() {
    for first_wait in [Duration::ZERO, Duration::MAX] {
        for retries in [0, 31, 32, 127, u32::MAX] {
            let config = Retransmission { first_wait, retries, ..Retransmission::default() };
            let longest = config.longest();
            assert_eq!(longest, first_wait, "no wait at all, or for ever");
            let mut exchange =
                Exchange::new(extended_question(), PortSharing::Exclusive, &config, Duration::MAX, &mut || u64::MAX);
            for _ in 0..100 {
                exchange.transmit(Duration::MAX);
                exchange.refused(Duration::MAX);
            }
        }
    }
}

#[test]
fn a_reply_ends_it() {
    let mut exchange = extended_exchange();
    let reply = success(0x1111_1111_1111_1111, "1606938044258990275541962092341162602522202993782792835301376");
    assert_eq!(exchange.receive(START + 25 * MS, true, &reply), Received::Accepted);
    let Some(Outcome::Answer(Payload::Decimal { digits, trailing_nul: false })) = exchange.outcome() else { panic!() };
    assert_eq!(digits.len(), 61);
    assert_eq!(exchange.statistics().rtt, Some(25 * MS));
    assert_eq!((exchange.wake_at(), exchange.transmit(START + 25 * MS)), (None, None));
    exchange.refused(START + 26 * MS);
    assert!(matches!(exchange.outcome(), Some(Outcome::Answer(_))), "what comes later changes nothing");
}

#[test]
fn a_reply_after_a_repeat_is_timed_from_the_repeat() {
    let mut exchange = extended_exchange();
    let later = exchange.wake_at().unwrap();
    exchange.transmit(later).unwrap();
    assert_eq!(exchange.receive(later + 3 * MS, true, &success(exchange.id().unwrap(), "7")), Received::Accepted);
    assert_eq!(exchange.statistics().rtt, Some(3 * MS));
    assert_eq!((exchange.statistics().transmissions, exchange.statistics().repeats), (2, 1));
}

#[test]
fn the_filter_has_a_fixed_order() {
    let mut exchange = begin(extended_question(), PortSharing::Shared, Retransmission::default());
    exchange.transmit(START);
    let id = exchange.id().unwrap();
    let other = success(7, "1");
    let mut damaged = success(id, "1");
    damaged[extended::FORMAT] = 2;
    // Each would also fail the checks after the one that is reported.
    for (from_peer, datagram, why) in [
        (false, &[0xff; 11][..], IgnoredReason::Short { octets: 11 }),
        (false, &damaged, IgnoredReason::OtherSource),
        (true, &damaged, IgnoredReason::NoExtendedReply(extended::ReplyError::Format { found: 2 })),
        (true, b"\x7funknown opcode", IgnoredReason::ClassicOnSharedSocket),
        (true, &other, IgnoredReason::UnknownIdentifier { found: 7 }),
    ] {
        assert_eq!(exchange.receive(START, from_peer, datagram), Received::Ignored(why));
        assert!(!why.to_string().is_empty());
    }
    assert_eq!(exchange.receive(START, false, &success(id, "1")), Received::Ignored(IgnoredReason::OtherSource));
    assert_eq!(exchange.receive(START, true, &success(id, "1")), Received::Accepted);
    assert_eq!(exchange.receive(START, true, &success(id, "2")), Received::Ignored(IgnoredReason::Duplicate));
    assert_eq!(exchange.receive(START, true, &other), Received::Ignored(IgnoredReason::UnknownIdentifier { found: 7 }));
    let Some(Outcome::Answer(Payload::Decimal { digits, .. })) = exchange.outcome() else { panic!() };
    assert_eq!(digits, "1");
    let ignored = exchange.statistics().ignored;
    let counts = IgnoredCounts { short: 1, other_source: 2, malformed: 2, unknown_identifier: 2, duplicate: 1 };
    assert_eq!((ignored, ignored.total()), (counts, 8));
}

#[test]
fn a_result_too_large_is_asked_for_again_once() {
    let mut exchange = extended_exchange();
    let first = exchange.id().unwrap();
    let narrow = exchange.request().to_vec();
    assert_eq!(exchange.receive(START + MS, true, &too_large(first, 1217)), Received::Widened);
    let second = exchange.id().unwrap();
    assert_ne!(first, second);
    assert_eq!(exchange.wake_at(), Some(START + MS), "the wider request is due at once");

    let wide = exchange.transmit(START + MS).unwrap().to_vec();
    let request = extended::Request::decode(&wide).unwrap();
    assert_eq!((request.id(), request.operator(), request.format()), (second, Operator::Power, Format::Text));
    assert!(wide.len() >= 1217_usize.div_ceil(3) && wide.len() < 1217_usize.div_ceil(3) + 2);
    assert_eq!(request.operands()[request.operands().len() - 2..], narrow[narrow.len() - 2..]);

    let late = exchange.receive(START + 2 * MS, true, &too_large(first, 1217));
    assert_eq!(late, Received::Ignored(IgnoredReason::Superseded));
    assert_eq!(
        exchange.receive(START + 2 * MS, true, &success(first, "9")),
        Received::Ignored(IgnoredReason::Superseded)
    );
    assert_eq!(exchange.receive(START + 3 * MS, true, &too_large(second, 3000)), Received::Accepted);
    let Some(Outcome::Error { known, text, too_large, .. }) = exchange.outcome() else { panic!() };
    assert_eq!((*known, text.as_str()), (Some(Status::TooLarge), "result too large"));
    assert_eq!(*too_large, Some(TooLarge::Again { needed: 3000 }));
    assert_eq!(exchange.statistics().rtt, Some(2 * MS));
}

#[test]
fn a_result_that_no_request_has_room_for_is_not_asked_for_again() {
    let id = 0x1111_1111_1111_1111;
    for (needed, reason) in [
        (u32::MAX, TooLarge::OverLimit),
        (3697, TooLarge::NoWiderRequest { needed: 3697 }),
        (3 * (12 + 2 * 255) + 1, TooLarge::NoWiderRequest { needed: 1567 }),
        (48, TooLarge::Inconsistent { needed: 48 }),
    ] {
        let mut exchange = extended_exchange();
        assert_eq!(exchange.receive(START, true, &too_large(id, needed)), Received::Accepted);
        let Some(Outcome::Error { too_large, .. }) = exchange.outcome() else { panic!() };
        assert_eq!(*too_large, Some(reason));
        assert!(!exchange.statistics().widened);
    }
    let mut exchange = extended_exchange();
    exchange.receive(START, true, &too_large(id, 9)[..extended::HEADER + 3]);
    let Some(Outcome::Error { too_large, .. }) = exchange.outcome() else { panic!() };
    assert_eq!(*too_large, Some(TooLarge::Uncounted));
}

#[test]
fn error_statuses_end_it_with_the_servers_words() {
    for status in [1, 2, 3, 5, 6, 7, 31] {
        let mut exchange = extended_exchange();
        let mut reply = [0x7f, status, 1, 0, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, b'n', b'o', 0x1b];
        assert_eq!(exchange.receive(START, true, &reply), Received::Accepted);
        let known = Status::from_octet(status);
        let text = "no\u{fffd}".to_owned();
        assert_eq!(exchange.outcome(), Some(&Outcome::Error { status, known, text, too_large: None }));
        reply[1] = 32;
        let received = extended_exchange().receive(START, true, &reply);
        assert!(matches!(received, Received::Accepted), "status 32 is a classic error's text, not a status");
    }
}

#[test]
fn results_are_what_they_claim_to_be() {
    let id = 0x1111_1111_1111_1111;
    for (octets, answer) in [
        (&b"-17"[..], Payload::Decimal { digits: "-17".to_owned(), trailing_nul: false }),
        (b"17\0", Payload::NotDecimal("17\u{fffd}".to_owned())),
        (b"\x1b[2J", Payload::NotDecimal("\u{fffd}[2J".to_owned())),
    ] {
        let mut exchange = extended_exchange();
        let mut reply = vec![0; extended::HEADER + octets.len()];
        extended::Reply::success(Format::Text, id, octets).unwrap().encode(&mut reply);
        exchange.receive(START, true, &reply);
        assert_eq!(exchange.outcome(), Some(&Outcome::Answer(answer)));
    }
    let question = Question::extended(Operator::Describe, Format::Text, 0, vec![]).unwrap();
    let mut exchange = begin(question, PortSharing::Exclusive, Retransmission::default());
    exchange.receive(START, true, &success(id, "calc6 1\nlargest-reply=1232\n"));
    let description = Payload::Description("calc6 1\nlargest-reply=1232\n".to_owned());
    assert_eq!(exchange.outcome(), Some(&Outcome::Answer(description)));
}

#[test]
fn classic_answers() {
    for (format, reply, outcome) in [
        (Format::Integer, &[0xff, 0, 0, 0, 9][..], Outcome::Answer(Payload::Integer(vec![9]))),
        (Format::Integer, &[0x80, 0xff, 0, 0, 9], Outcome::Answer(Payload::Integer(vec![0, 0xff, 0, 0, 9]))),
        (Format::Integer, &[0x80, 0, 0, 0, 0x80], Outcome::Answer(Payload::Integer(vec![0, 0x80]))),
        (Format::Integer, b"\x7ftoo large", Outcome::ClassicError { text: "too large".to_owned() }),
        (Format::Integer, b"\0", Outcome::ClassicError { text: String::new() }),
        (Format::Text, b"\x80-2\0", Outcome::Answer(Payload::Decimal { digits: "-2".to_owned(), trailing_nul: true })),
    ] {
        let question = Question::classic(Operator::Sum, format, [4]).unwrap();
        let mut exchange = begin(question, PortSharing::Exclusive, Retransmission::default());
        exchange.transmit(START);
        assert_eq!(exchange.id(), None);
        assert_eq!(exchange.receive(START, true, &[]), Received::Ignored(IgnoredReason::Short { octets: 0 }));
        let received = exchange.receive(START, true, &[0xff]);
        assert!(matches!(received, Received::Ignored(IgnoredReason::NoClassicReply(_))));
        assert_eq!(exchange.receive(START, false, reply), Received::Ignored(IgnoredReason::OtherSource));
        assert_eq!(exchange.receive(START, true, reply), Received::Accepted);
        assert_eq!(exchange.outcome(), Some(&outcome));
        assert_eq!(exchange.receive(START, true, reply), Received::Ignored(IgnoredReason::Duplicate));
    }
}

#[test]
fn a_classic_peer_gives_itself_away_by_an_error() {
    for error in [&b"\x7funknown opcode"[..], b"\0", b"\x7f", b"\x1e\x2b\x04\0\x11\x11\x11\x11\x11\x11\x11\x11\x01"] {
        let mut exchange = extended_exchange();
        assert_eq!(exchange.receive(START, true, error), Received::Accepted);
        assert!(matches!(exchange.outcome(), Some(Outcome::ClassicOnly(ClassicOnly::Error { .. }))));
    }
    // A damaged extended error is not taken for a classic one.
    let mut exchange = extended_exchange();
    let mut damaged = too_large(0x1111_1111_1111_1111, 1217);
    damaged[extended::FORMAT] = 9;
    assert!(matches!(exchange.receive(START, true, &damaged), Received::Ignored(IgnoredReason::NoExtendedReply(_))));
    // A peer that knows the extended form cannot be classic-only.
    exchange.receive(START, true, &too_large(0x1111_1111_1111_1111, 1217));
    let received = exchange.receive(START, true, b"\x7funknown opcode");
    assert!(matches!(received, Received::Ignored(IgnoredReason::NoExtendedReply(_))));
}

#[test]
fn a_classic_peer_gives_itself_away_by_the_probe() {
    let mut exchange = extended_exchange();
    let answer = [0xff, 0, 0, 0, 0];
    assert_eq!(
        exchange.receive(START, true, &answer),
        Received::Ignored(IgnoredReason::Short { octets: 5 }),
        "not asked yet"
    );
    let mut now = START;
    while !exchange.statistics().probed {
        now = exchange.wake_at().unwrap();
        while exchange.transmit(now).is_some() {}
    }
    assert_eq!((now - START).as_secs(), 1, "with the first repeat");
    assert_eq!(exchange.receive(now, true, &answer), Received::ProbeAnswered);
    assert_eq!(exchange.transmit(now).map(<[u8]>::len), Some(16), "one more chance for the request");
    assert_eq!(exchange.receive(now, true, &answer), Received::Ignored(IgnoredReason::Duplicate));
    let mut repeats = Vec::new();
    while exchange.outcome().is_none() {
        now = exchange.wake_at().unwrap();
        repeats.extend(exchange.transmit(now).map(|_| (now - START).as_millis()));
    }
    assert_eq!(repeats, [1200, 1600], "all repeats, at short waits");
    assert_eq!((now - START).as_millis(), 2400);
    assert_eq!(exchange.outcome(), Some(&Outcome::ClassicOnly(ClassicOnly::Probe)));
}

#[test]
fn a_peer_that_answers_the_probe_may_still_know_the_extended_form() {
    let mut exchange = extended_exchange();
    while !exchange.statistics().probed {
        let now = exchange.wake_at().unwrap();
        while exchange.transmit(now).is_some() {}
    }
    assert_eq!(exchange.receive(START, true, &[0xff, 0, 0, 0, 0]), Received::ProbeAnswered);
    assert_eq!(exchange.receive(START, true, &success(exchange.id().unwrap(), "3")), Received::Accepted);
    assert!(matches!(exchange.outcome(), Some(Outcome::Answer(_))), "the request was lost, or its reply");
}

#[test]
fn without_repeats_the_probe_has_a_wait_of_its_own() {
    let config = Retransmission::default().with_retries(0);
    let (sent, outcome, end) = unheard(begin(extended_question(), PortSharing::Exclusive, config));
    assert_eq!((sent.len(), sent[1].1.as_slice()), (2, &PROBE[..]));
    assert_eq!((outcome, end.as_secs()), (Outcome::Silent, 2));
    let mut exchange = begin(extended_question(), PortSharing::Exclusive, config);
    exchange.transmit(START);
    let now = exchange.wake_at().unwrap();
    exchange.transmit(now);
    assert_eq!(exchange.receive(now, true, &[0xff, 0, 0, 0, 0]), Received::Accepted);
    assert_eq!(exchange.outcome(), Some(&Outcome::ClassicOnly(ClassicOnly::Probe)));
}

#[test]
fn the_probe_is_sent_once_and_only_where_it_can_be_told_apart() {
    let (sent, outcome, end) = unheard(begin(extended_question(), PortSharing::Exclusive, Retransmission::default()));
    assert_eq!((sent.len(), sent[2].0.as_secs(), sent[2].1.as_slice()), (5, 1, &PROBE[..]));
    assert_eq!((outcome, end.as_secs()), (Outcome::Silent, 15));
    for (question, socket) in [(extended_question(), PortSharing::Shared), (classic_question(), PortSharing::Exclusive)]
    {
        let (sent, outcome, _) = unheard(begin(question, socket, Retransmission::default()));
        assert_eq!((sent.len(), outcome), (4, Outcome::Silent));
    }
}

#[test]
fn a_late_extended_reply_beats_the_probe() {
    let mut exchange = extended_exchange();
    while !exchange.statistics().probed {
        let now = exchange.wake_at().unwrap();
        while exchange.transmit(now).is_some() {}
    }
    // A damaged extended reply is no answer to the probe.
    let damaged = [0x7f, 0, 1, 0, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11];
    assert!(matches!(exchange.receive(START, true, &damaged), Received::Ignored(IgnoredReason::NoExtendedReply(_))));
    assert_eq!(exchange.receive(START, true, &success(exchange.id().unwrap(), "3")), Received::Accepted);
    assert!(matches!(exchange.outcome(), Some(Outcome::Answer(_))));
}

#[test]
fn refusals_are_retried_for_300_ms() {
    let mut exchange = begin(classic_question(), PortSharing::Exclusive, Retransmission::default());
    let (mut now, mut sent) = (START, Vec::new());
    while exchange.outcome().is_none() {
        while exchange.transmit(now).is_some() {
            sent.push((now - START).as_millis());
            exchange.refused(now);
            exchange.refused(now); // one report may come twice
        }
        now = exchange.wake_at().unwrap_or(now);
    }
    assert_eq!(exchange.outcome(), Some(&Outcome::Refused));
    assert_eq!(now - START, REFUSAL_WINDOW);
    assert!(sent.len() >= 4 && sent.len() <= 6, "{sent:?}");
    assert_eq!(exchange.statistics().repeats, 0, "these are not what the timer repeats");
}

#[test]
fn a_server_that_starts_meanwhile_is_reached() {
    let mut exchange = begin(classic_question(), PortSharing::Exclusive, Retransmission::default());
    exchange.transmit(START);
    exchange.refused(START);
    let again = exchange.wake_at().unwrap();
    assert!(again - START <= 10 * MS);
    assert!(exchange.transmit(again).is_some());
    assert_eq!(exchange.receive(again + MS, true, &[0xff, 0, 0, 0, 9]), Received::Accepted);
    // A path that does not report every refusal (RFC 4443, section 2.4 f) costs one ordinary wait.
    let mut exchange = begin(classic_question(), PortSharing::Exclusive, Retransmission::default());
    exchange.transmit(START);
    exchange.refused(START);
    exchange.transmit(again);
    let then = exchange.wake_at().unwrap();
    assert_eq!((then - START).as_secs(), 1);
    exchange.transmit(then);
    exchange.refused(then);
    assert_eq!(exchange.outcome(), Some(&Outcome::Refused));
}

#[test]
fn the_deadline_holds_over_everything() {
    let config = Retransmission { deadline: Some(Duration::from_millis(1500)), ..Retransmission::default() };
    let (sent, outcome, end) = unheard(begin(extended_question(), PortSharing::Exclusive, config));
    assert_eq!((sent.len(), outcome, end.as_millis()), (3, Outcome::Deadline, 1500));
}

#[test]
#[should_panic(expected = "a classic exchange is alone on its socket")]
fn classic_exchanges_do_not_share() {
    begin(classic_question(), PortSharing::Shared, Retransmission::default());
}
