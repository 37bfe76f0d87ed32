//! The dissector recomputes results: its verdict on the responder's answers, and on wrong answers.

use calc6::responder::{Limits, ReplyLimit, Verdict, respond};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::capture::{SERVER, Traffic, classic, extended, hex};
use crate::tools::Desk;

const REQUESTS: usize = 1500;

/// The operators that are recomputed for operands of any size.
const ANY_SIZE: &[u8] = b"+*-<>&|~";

/// The operators that are recomputed if every value fits 64 bits.
const UP_TO_64_BITS: &[u8] = b"/%^gl";

fn answer(request: &[u8]) -> Vec<u8> {
    let mut reply = vec![0; 3696];
    let Verdict::Reply(verdict) = respond(request, &mut reply, &Limits::default().with_max_reply(ReplyLimit::MAX))
    else {
        panic!("{} is answered", hex(request));
    };
    reply.truncate(verdict.len);
    reply
}

/// Octets that are often near the ends of their range.
fn operand(random: &mut impl Rng, width: usize) -> Vec<u8> {
    let mut octets = vec![0; width];
    match random.random_range(0..6) {
        0 => octets.fill(0xff),
        1 => octets[0] = 0x80,
        2 => {
            octets.fill(0xff);
            octets[0] = 0x7f;
        }
        3 => octets[width - 1] = random.random_range(0..5),
        _ => random.fill_bytes(&mut octets),
    }
    octets
}

/// A request of any form and operator whose operands are no wider than `widest` octets.
fn request(random: &mut impl Rng, operators: &[u8], widest: usize, id: u64) -> Vec<u8> {
    if random.random_ratio(1, 5) && operators == ANY_SIZE {
        let count = random.random_range(1..=64);
        let operands: Vec<u32> = (0..count).map(|_| random.random::<u32>() >> random.random_range(0..32)).collect();
        return classic(random.random_range(0..4), &operands);
    }
    let operator = operators[random.random_range(0..operators.len())];
    let width = random.random_range(1..=widest);
    let most = match operator {
        b'^' => 2,
        b'*' if random.random() => 64,
        _ => 9,
    };
    let least = if b"/%^".contains(&operator) { 2 } else { 1 };
    let count = random.random_range(least..=most.min((1232 - 12) / width).max(least));
    let operands: Vec<u8> = (0..count).flat_map(|_| operand(random, width)).collect();
    extended(random.random(), operator, width as u8, id, &operands)
}

/// Requests with their right answers, each from a port of its own.
fn conversation(operators: &[u8], widest: usize) -> Traffic {
    let mut random = ChaCha8Rng::seed_from_u64(64);
    let mut traffic = Traffic::new();
    for number in 0..REQUESTS {
        let request = request(&mut random, operators, widest, number as u64);
        let reply = answer(&request);
        traffic.ask(20000 + number as u16, request, reply);
    }
    traffic
}

/// The dissector's verdict on every reply.
fn verdicts(traffic: &Traffic) -> Vec<Vec<String>> {
    let desk = Desk::new();
    let capture = desk.path("answers.pcapng");
    traffic.write(&capture);
    desk.fields(&capture, &["-Y", "calc6.message == \"reply\""], &["calc6.check", "calc6.result", "calc6.status"])
}

fn count(verdicts: &[Vec<String>], word: &str) -> usize {
    verdicts.iter().filter(|verdict| verdict[0] == word).count()
}

#[test]
fn right_answers_of_any_size_are_right() {
    let verdicts = verdicts(&conversation(ANY_SIZE, 255));
    assert_eq!(verdicts.len(), REQUESTS);
    for verdict in &verdicts {
        let too_large = verdict[2] == "4";
        assert_eq!(verdict[0], if too_large { "not checked" } else { "right" }, "{verdict:?}");
    }
    assert!(count(&verdicts, "right") > REQUESTS * 9 / 10);
}

#[test]
fn right_answers_up_to_64_bits_are_right() {
    let verdicts = verdicts(&conversation(UP_TO_64_BITS, 8));
    // Powers and least common multiples may exceed 64 bits, sometimes only in an intermediate step.
    for verdict in &verdicts {
        assert!(["right", "not checked"].contains(&verdict[0].as_str()), "{verdict:?}");
    }
    assert!(count(&verdicts, "right") > REQUESTS * 7 / 10, "{}", count(&verdicts, "right"));
}

#[test]
fn beyond_64_bits_some_are_not_checked_and_none_is_called_wrong() {
    let verdicts = verdicts(&conversation(UP_TO_64_BITS, 30));
    assert_eq!(count(&verdicts, "wrong"), 0);
    assert!(count(&verdicts, "not checked") > REQUESTS / 4);
}

/// One bit of the result is flipped in every reply that has one.
#[test]
fn wrong_answers_are_found() {
    for (operators, widest) in [(ANY_SIZE, 40), (UP_TO_64_BITS, 8)] {
        let mut traffic = conversation(operators, widest);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut spoiled = Vec::new();
        for datagram in &mut traffic.datagrams {
            if datagram.from.port() != SERVER {
                continue;
            }
            let success = datagram.octets[0] == 0xff;
            // Flipping the last bit exchanges even and odd digits, and gives no letter: the text stays decimal.
            if success && random.random_ratio(3, 4) {
                *datagram.octets.last_mut().unwrap() ^= 1;
                spoiled.push(true);
            } else {
                spoiled.push(false);
            }
        }
        let mut found = 0;
        for (verdict, spoiled) in verdicts(&traffic).iter().zip(&spoiled) {
            match verdict[0].as_str() {
                "right" => assert!(!spoiled, "{verdict:?}"),
                "wrong" => {
                    assert!(spoiled, "{verdict:?}");
                    found += 1;
                }
                other => assert_eq!(other, "not checked", "{verdict:?}"),
            }
        }
        assert!(found > REQUESTS / 3, "{found}");
    }
}
