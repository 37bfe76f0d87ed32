//! Drives the shared bodies of `property/` with octets that mostly resemble messages, and replays the fuzz corpus.
//!
//! `CALC6_SEED` replays a run; `CALC6_SOAK` draws a new seed and many more cases.

mod property;
mod seed;

use std::fs;
use std::path::Path;

use calc6::wire::{Format, Operator, classic, extended};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

const CASES: u32 = 1_500;
const SOAK_CASES: u32 = 200_000;

/// Runs a body on `cases` datagrams of the strategy; the seed of the run is printed.
fn drive(name: &str, body: fn(&[u8]), datagrams: impl Strategy<Value = Vec<u8>>) {
    let seed = seed::of_run(name);
    let cases = if seed::is_soak() { SOAK_CASES } else { CASES };
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&datagrams, |datagram| {
        body(&datagram);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, datagram)) => {
            let octets: String = datagram.iter().map(|octet| format!("{octet:02x}")).collect();
            panic!("{reason}\nfor {octets}\nCALC6_SEED={seed} replays this");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn request() {
    drive("request", property::request, mangled(prop_oneof![requests(), replies()]));
}

#[test]
fn reply() {
    drive("reply", property::reply, mangled(prop_oneof![3 => replies(), 1 => requests()]));
}

#[test]
fn responder() {
    drive("responder", property::responder, mangled(prop_oneof![8 => requests(), 1 => replies()]));
}

/// Results that do not fit, of every operator and in both formats: the count in status 4 is exact wherever the result
/// was computed.
#[test]
fn counts() {
    drive(
        "counts",
        property::responder::counts,
        prop_oneof![2 => powers_around_the_limit(), 1 => extended_requests(), 1 => long_requests()],
    );
}

#[test]
fn exchange() {
    drive("exchange", property::exchange, vec(any::<u8>(), 0..2000));
}

/// What is encoded from parts decodes to them, for every message: `decode(encode(x)) = x`.
#[test]
fn encoded_messages_decode_to_the_same() {
    drive("messages", property::request, requests());
    drive("messages", property::reply, replies());
}

/// The seed corpus of every fuzz target, and what fuzzing has found, goes through the same bodies.
#[test]
fn the_corpus_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !fuzz.exists() {
        eprintln!("a published package has no fuzz folder");
        return;
    }
    for (name, body) in property::BODIES {
        assert!(fuzz.join("fuzz_targets").join(name).with_extension("rs").exists(), "no fuzz target {name}");
        let folder = fuzz.join("corpus").join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut replayed = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            body(&fs::read(&path).unwrap());
            replayed += 1;
        }
        assert!(replayed >= 5, "{}: only {replayed} files", folder.display());
    }
}

/// Mostly unchanged; else truncated, with a changed octet or with extra octets; sometimes random.
fn mangled(datagrams: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = Vec<u8>> {
    let datagrams = datagrams.boxed();
    prop_oneof![
        8 => datagrams.clone(),
        1 => (datagrams.clone(), any::<Index>()).prop_map(|(mut datagram, at)| {
            datagram.truncate(at.index(datagram.len() + 1));
            datagram
        }),
        1 => (datagrams.clone(), any::<Index>(), any::<u8>()).prop_map(|(mut datagram, at, octet)| {
            if !datagram.is_empty() {
                let at = at.index(datagram.len());
                datagram[at] = octet;
            }
            datagram
        }),
        1 => (datagrams, vec(any::<u8>(), 1..40)).prop_map(|(datagram, more)| [datagram, more].concat()),
        1 => vec(any::<u8>(), 0..64),
    ]
}

fn formats() -> impl Strategy<Value = Format> {
    select(vec![Format::Integer, Format::Text])
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![classic_requests(), extended_requests(), powers(), long_requests()]
}

fn classic_requests() -> impl Strategy<Value = Vec<u8>> {
    let operands = prop_oneof![3 => vec(any::<u32>(), 1..6), 1 => vec(0..10u32, 1..30), 1 => vec(any::<u32>(), 0..70)];
    (any::<u8>(), operands).prop_map(|(first, operands)| {
        let octets = operands.into_iter().flat_map(u32::to_be_bytes);
        [first].into_iter().chain(octets).collect()
    })
}

/// Operands are drawn small, large, and around powers of two.
fn operand(width: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), width),
        any::<i8>().prop_map(move |value| {
            let sign = if value < 0 { 0xff } else { 0 };
            let mut octets = vec![sign; width];
            octets[width - 1] = value as u8;
            octets
        }),
        (select(vec![0u8, 0x7f, 0x80, 0xff]), select(vec![0u8, 0xff])).prop_map(move |(first, rest)| [
            vec![first],
            vec![rest; width - 1]
        ]
        .concat()),
    ]
}

fn extended_requests() -> impl Strategy<Value = Vec<u8>> {
    let widths = prop_oneof![3 => 1..9usize, 1 => 1..=255usize];
    let shape = (select(Operator::ALL.to_vec()), formats(), widths, 0..6usize, any::<u64>());
    shape.prop_flat_map(|(operator, format, width, count, id)| {
        let least = *operator.operand_count().start();
        let count = count.clamp(least, (*operator.operand_count().end()).min(1220 / width).max(least));
        vec(operand(width), count).prop_map(move |operands| {
            let octets = operands.concat();
            encode(&extended::Request::new(operator, format, width as u8, id, &octets).unwrap())
        })
    })
}

/// Powers around every bound: small bases, exponents that make results of up to the largest reply and beyond, among
/// them those of which only the digits tell whether they fit.
fn powers() -> impl Strategy<Value = Vec<u8>> {
    let exponents = prop_oneof![-2..70i32, 0..13_000, 0..30_000];
    let widths = prop_oneof![3..9usize, 3..=255usize];
    let anything = (-12..=12i32, exponents, widths, formats());
    let by_a_digit = (select(vec![10i32, -10]), 1210..1230i32, 195..=255usize, formats());
    let id = any::<u64>();
    (prop_oneof![3 => anything, 1 => by_a_digit], id).prop_map(|((base, exponent, width, format), id)| {
        let octets = [sign_extended(base, width), sign_extended(exponent, width)].concat();
        encode(&extended::Request::new(Operator::Power, format, width as u8, id, &octets).unwrap())
    })
}

/// Powers of bases of any size whose results need between half and twice the octets that their request allows.
fn powers_around_the_limit() -> impl Strategy<Value = Vec<u8>> {
    let shape = (2..=255usize, formats(), any::<u64>(), 50..200u64, any::<bool>());
    let base = (1..=30usize).prop_flat_map(|octets| vec(any::<u8>(), octets));
    (shape, base).prop_map(|((width, format, id, percent, negative), mut base)| {
        base.truncate(width);
        base[0] = base[0] & 0x7f | 2;
        let bits = 8 * base.len() as u64 - u64::from(base[0].leading_zeros());
        let room = (3 * (extended::HEADER + 2 * width)).min(1232) - extended::HEADER;
        let room_bits = if format == Format::Text { room as u64 * 332 / 100 } else { room as u64 * 8 };
        let exponent = (room_bits * percent / 100 / bits).min(0x7fff);
        let mut octets = vec![0; 2 * width];
        octets[width - base.len()..width].copy_from_slice(&base);
        if negative {
            octets[..width].iter_mut().for_each(|octet| *octet = !*octet);
        }
        octets[2 * width - 2..].copy_from_slice(&(exponent as u16).to_be_bytes());
        encode(&extended::Request::new(Operator::Power, format, width as u8, id, &octets).unwrap())
    })
}

fn sign_extended(value: i32, width: usize) -> Vec<u8> {
    let sign = if value < 0 { 0xff } else { 0 };
    [vec![sign; width - 3], value.to_be_bytes()[1..].to_vec()].concat()
}

/// As many operands as one datagram takes, and one octet more.
fn long_requests() -> impl Strategy<Value = Vec<u8>> {
    let widths = select(vec![1usize, 2, 4, 5, 8, 20, 61, 122]);
    (select(Operator::ALL.to_vec()), widths, any::<u64>(), 1219..1224usize).prop_map(|(operator, width, seed, len)| {
        let mut datagram = vec![0x1e | seed as u8 & 1, operator.octet(), width as u8, 0];
        datagram.extend(seed.to_be_bytes());
        let mut state = seed;
        datagram.extend((0..len / width * width + len / 1221).map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 56) as u8
        }));
        datagram
    })
}

fn encode(request: &extended::Request<'_>) -> Vec<u8> {
    let mut out = vec![0; extended::HEADER + request.operands().len()];
    assert_eq!(request.encode(&mut out), out.len());
    assert_eq!(extended::Request::decode(&out).as_ref(), Ok(request));
    out
}

fn replies() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        any::<[u8; 4]>().prop_map(Vec::from),
        "-?[0-9]{1,40}\0?".prop_map(String::into_bytes),
        vec(b'0'..=b'9', 250..260),
        vec(any::<u8>(), 0..20),
    ];
    let classic = (any::<u8>(), payload).prop_map(|(first, payload)| [vec![first], payload].concat());
    let header = (select(vec![0xffu8, 0x7f]), 0..34u8, 0..3u8, any::<u8>(), any::<u64>());
    let extended = (header, vec(any::<u8>(), 0..40)).prop_map(|((first, status, format, reserved, id), result)| {
        let status = if first == 0xff && status < 30 { 0 } else { status };
        [&[first, status, format, reserved], &id.to_be_bytes()[..], &result].concat()
    });
    prop_oneof![classic, extended, own_replies()]
}

/// What [`classic::Reply`] and [`extended::Reply`] encode decodes to the same.
fn own_replies() -> impl Strategy<Value = Vec<u8>> {
    (any::<u32>(), any::<u64>(), vec(any::<u8>(), 1..30), formats()).prop_map(|(value, id, result, format)| {
        let mut out = [0; 64];
        let integer = classic::Reply::Integer(value);
        let len = integer.encode(&mut out);
        assert_eq!(classic::Reply::decode(&out[..len], Format::Integer), Ok(integer));
        let success = extended::Reply::success(format, id, &result).unwrap();
        let len = success.encode(&mut out);
        assert_eq!(extended::Reply::decode(&out[..len]), Ok(success));
        out[..len].to_vec()
    })
}
