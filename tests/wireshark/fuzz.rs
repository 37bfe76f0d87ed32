//! Thousands of random, truncated and mutated datagrams in one capture: no Lua error, and a line for each of them.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::capture::{SERVER, Traffic, classic, extended};
use crate::tools::Desk;

const OPERATORS: &[u8] = b"+*-/%^gl<>&|~?";

/// `count` datagrams between a few clients and two server ports, from a fixed seed.
pub fn conversation(count: usize) -> Traffic {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let mut traffic = Traffic::new();
    for _ in 0..count {
        let client = 43000 + random.random_range(0..8);
        let server = SERVER + u16::from(random.random_ratio(1, 16));
        let octets = datagram(&mut random);
        match random.random_range(0..20) {
            0 => traffic.send(SERVER, SERVER + 1, octets),
            1..10 => traffic.send(server, client, octets),
            _ => traffic.send(client, server, octets),
        };
    }
    traffic
}

fn octets(random: &mut impl Rng, longest: usize) -> Vec<u8> {
    let mut octets = vec![0; random.random_range(0..=longest)];
    random.fill_bytes(&mut octets);
    octets
}

/// Noise, or a well-formed message with a few octets changed or removed. There are few identifiers, so that replies
/// match requests.
fn datagram(random: &mut impl Rng) -> Vec<u8> {
    let id = random.random_range(0..4);
    let mut datagram = match random.random_range(0..8) {
        0 => octets(random, 64),
        1 => octets(random, 1400),
        2 => classic(random.random(), &(0..random.random_range(0..80)).map(|_| random.random()).collect::<Vec<_>>()),
        3 => [&[random.random::<u8>() | 0x80][..], &random.random::<u32>().to_be_bytes()].concat(),
        4 => [&[0xff][..], random.random_range(0..1000u32).to_string().as_bytes()].concat(),
        5 => {
            let status = random.random_range(0..9);
            let first = if status == 0 { 0xff } else { 0x7f };
            [&[first, status, random.random_range(0..3), 0][..], &u64::to_be_bytes(id), &octets(random, 40)].concat()
        }
        _ => {
            let width = if random.random_ratio(1, 4) { random.random() } else { random.random_range(1..10) };
            let operator = OPERATORS[random.random_range(0..OPERATORS.len())];
            let mut operands = octets(random, 600);
            operands.truncate(operands.len() - operands.len() % usize::from(width).max(1));
            extended(random.random(), operator, width, id, &operands)
        }
    };
    if random.random_ratio(1, 3) && !datagram.is_empty() {
        let at = random.random_range(0..datagram.len());
        datagram[at] = random.random();
    }
    if random.random_ratio(1, 6) {
        datagram.truncate(random.random_range(0..=datagram.len()));
    }
    datagram
}

#[test]
fn thousands_of_datagrams_make_no_lua_error() {
    const COUNT: usize = 6000;
    let desk = Desk::new();
    let capture = desk.path("fuzz.pcapng");
    let traffic = conversation(COUNT);
    traffic.write(&capture);
    // -V builds every tree; a Lua error would be a line on stderr, which fails, and an item of _ws.lua.error.
    let text = desk.tshark(&["-r", capture.to_str().unwrap(), "-2", "-V"]);
    assert!(!text.contains("Lua Error") && !text.contains("Dissector bug"));
    let empty = traffic.datagrams.iter().filter(|datagram| datagram.octets.is_empty()).count();
    let other = |datagram: &&crate::capture::Datagram| {
        ![datagram.from.port(), datagram.to.port()].contains(&SERVER) && !datagram.octets.is_empty()
    };
    let other = traffic.datagrams.iter().filter(other).count();
    let shown = text.matches("\nCalculator over UDP, ").count();
    assert!(
        (COUNT - empty - other..=COUNT - empty).contains(&shown),
        "{shown} of {COUNT}, {empty} empty, {other} elsewhere"
    );
    assert!(text.contains("[Recomputed: right]") && text.contains("[Recomputed: wrong"));
}

/// Every truncation of a request and of a reply of each form.
#[test]
fn every_truncation_is_shown() {
    let desk = Desk::new();
    let capture = desk.path("cuts.pcapng");
    let mut traffic = Traffic::new();
    let request = extended(true, b'*', 9, 77, &[0x80; 36]);
    let mut reply = vec![0x7f, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 4, 0xd0];
    reply.extend_from_slice(b"too large");
    let sum = classic(1, &[1, 2, 3]);
    for (from, to, whole) in [(44000, SERVER, &request), (SERVER, 44000, &reply), (44001, SERVER, &sum)] {
        for length in 1..=whole.len() {
            traffic.send(from, to, &whole[..length]);
        }
    }
    traffic.write(&capture);
    let info = desk.info(&capture, &["-2", "-Y", "calc6"]);
    assert_eq!(info.len(), traffic.datagrams.len());
    assert!(info.iter().all(|info| !info.is_empty()));
}
