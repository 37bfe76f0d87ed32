//! Requests that may be expensive, for every operator: kinds of operands over widths and counts.
#![allow(dead_code, reason = "each benchmark uses its part")]

use calc6::arithmetic::Number;
use calc6::wire::{Format, MAX_REQUEST, Operator, classic, extended};

/// A request, and what it is.
#[derive(Clone)]
pub struct Request {
    /// In words.
    pub name: String,
    /// Its operator.
    pub operator: Operator,
    /// Its operands' octets.
    pub operands: Vec<u8>,
    /// The width of each.
    pub width: usize,
    /// Whether the result is wanted as text.
    pub text: bool,
    /// The datagram.
    pub octets: Vec<u8>,
}

/// The request that costs least: the classic sum of one operand.
pub const CHEAPEST: [u8; 5] = [0, 0, 0, 0, 1];

/// Among them whole words of 64 bits and one octet more.
const WIDTHS: [usize; 28] =
    [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16, 17, 24, 25, 32, 33, 40, 41, 49, 57, 64, 65, 97, 100, 136, 200, 244, 255];

/// Every candidate for one operator.
pub fn candidates(operator: Operator) -> Vec<Request> {
    if operator == Operator::Describe {
        let request = |padding: usize| {
            Request::new(format!("{padding} octets of padding"), operator, Format::Text, 1, vec![0; padding])
        };
        return [1, 17, 40].map(request).into();
    }
    let mut requests = Vec::new();
    if matches!(operator, Operator::Sum | Operator::Product) {
        let formats = [Format::Integer, Format::Text];
        requests.extend(
            [1, 26, 64].into_iter().flat_map(|count| formats.map(|format| Request::classic(operator, format, count))),
        );
    }
    for width in WIDTHS {
        let most = (MAX_REQUEST - extended::HEADER) / width;
        let mut counts =
            if operator == Operator::Power { vec![2] } else { vec![2, 3, most / 8, most / 4, most / 2, most] };
        counts.retain(|&count| count >= 2 && count <= most);
        counts.sort_unstable();
        counts.dedup();
        for count in counts {
            for (kind_of_operands, operands) in kinds_of_operands(operator, width, count) {
                for format in [Format::Integer, Format::Text] {
                    let kind = if format == Format::Text { "text" } else { "integer" };
                    let name = format!("{count} of {width} octets, {kind_of_operands}, as {kind}");
                    requests.push(Request::new(name, operator, format, width, operands.clone()));
                }
            }
        }
    }
    requests
}

impl Request {
    fn new(name: String, operator: Operator, format: Format, width: usize, operands: Vec<u8>) -> Request {
        let mut octets = vec![0; MAX_REQUEST];
        let request = extended::Request::new(operator, format, width as u8, 7, &operands).expect("a whole request");
        let len = request.encode(&mut octets);
        octets.truncate(len);
        Request { name, operator, operands, width, text: format == Format::Text, octets }
    }

    fn classic(operator: Operator, format: Format, count: usize) -> Request {
        let (text, width) = (format == Format::Text, classic::OPERAND);
        let operands = vec![0xff; count * width];
        let mut octets = vec![0; classic::MAX_REQUEST];
        let len = classic::Request::new(operator, format, &operands).expect("a whole request").encode(&mut octets);
        octets.truncate(len);
        let name = format!("classic, {count} of 2^32 - 1, as {}", if text { "text" } else { "integer" });
        Request { name, operator, operands, width, text, octets }
    }
}

/// Operands, and what they are.
fn kinds_of_operands(operator: Operator, width: usize, count: usize) -> Vec<(String, Vec<u8>)> {
    if operator == Operator::Power {
        return powers(width);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut filled = |octet: fn(&mut Random, usize) -> u8| -> Vec<u8> {
        (0..width * count).map(|place| octet(&mut random, place % width)).collect()
    };
    let mut kinds = vec![
        ("random".to_owned(), filled(|random, _| random.octet())),
        ("random above 0".to_owned(), filled(|random, place| random.octet() >> u32::from(place == 0) | 1)),
        ("largest".to_owned(), filled(|_, place| if place == 0 { 0x7f } else { 0xff })),
        ("least".to_owned(), filled(|_, place| if place == 0 { 0x80 } else { 0 })),
    ];
    let halves: Vec<u8> = (0..count)
        .flat_map(|index| {
            // A dividend, and divisors of half its length, or of one octet.
            let short = if index == 0 { 0 } else { width / 2 };
            (0..width)
                .map(|place| if place < short { 0 } else { 0x55 ^ (index * 7 + place) as u8 & 0x3f })
                .collect::<Vec<_>>()
        })
        .collect();
    kinds.push(("the others of half the length".into(), halves));
    let small: Vec<u8> = (0..count)
        .flat_map(|index| (0..width).map(move |place| if index == 0 { 0x7d } else { u8::from(place + 1 == width) * 3 }))
        .collect();
    kinds.push(("the others 3".into(), small));
    kinds.push(("neighbours of Fibonacci's sequence".into(), neighbours(width, count, 1)));
    kinds.push(("neighbours of Jacobsthal's sequence".into(), neighbours(width, count, 2)));
    let mut mixed = filled(|random, place| random.octet() >> u32::from(place == 0) | 1);
    let pair = neighbours(width, 2, 2);
    mixed[..pair.len()].copy_from_slice(&pair);
    kinds.push(("two neighbours of Jacobsthal's sequence, then random".into(), mixed));
    kinds.push(("a common factor of half the length".into(), common_factor(width, count)));
    kinds.push(("different primes".into(), primes(width, count)));
    kinds
}

/// Numbers each of which is the last one plus `times` the one before it. With 1 these are Fibonacci's, for which
/// Euclid's algorithm takes longest; with 2 Jacobsthal's, for which Stein's does, since it halves only once after each
/// subtraction.
fn neighbours(width: usize, count: usize, times: usize) -> Vec<u8> {
    let limit = "1".to_owned() + &"00".repeat(width);
    let limit: Number = format!("0x{limit}").parse().expect("a number");
    let half = calculate(Operator::Quotient, &[limit, Number::from(2)]);
    let mut pair = [Number::from(1), Number::from(1)];
    loop {
        let [before, last] = &pair;
        let next = calculate(Operator::Sum, &[&vec![before.clone(); times][..], std::slice::from_ref(last)].concat());
        if next >= half {
            break;
        }
        let [_, last] = pair;
        pair = [last, next];
    }
    (0..count).flat_map(|index| write(&pair[1 - index % 2], width)).collect()
}

/// Odd numbers, each the product of one that they share and one of its own.
fn common_factor(width: usize, count: usize) -> Vec<u8> {
    let mut random = Random(0x0fed_cba9_8765_4321);
    let mut odd = |octets: usize| {
        let octets: Vec<u8> = (0..octets).map(|place| random.octet() >> 1 | u8::from(place + 1 == octets)).collect();
        Number::from_octets(&octets)
    };
    let common = odd(width / 2);
    (0..count)
        .flat_map(|_| write(&calculate(Operator::Product, &[common.clone(), odd(width - width / 2)]), width))
        .collect()
}

fn calculate(operator: Operator, operands: &[Number]) -> Number {
    calc6::arithmetic::evaluate(operator, operands, 10_000).expect("a result")
}

/// Different odd primes, from the largest below 2^15 (2^7 for a width of 1) down; then again from the start.
fn primes(width: usize, count: usize) -> Vec<u8> {
    let bound: u32 = if width == 1 { 128 } else { 1 << 15 };
    let mut primes = (3..bound).rev().filter(|&n| (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0)).cycle();
    (0..count).flat_map(|_| write(&Number::from(primes.next().expect("a cycle")), width)).collect()
}

/// Bases and exponents at the bounds of what is computed, for replies up to the default limit, up to the largest, and
/// up to three times the request.
fn powers(width: usize) -> Vec<(String, Vec<u8>)> {
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut powers = Vec::new();
    for base_octets in [1, 2, 3, 8, 9, 16, 17, 32, 64, 128, 255].into_iter().filter(|&octets| octets <= width) {
        for first in [0x03, 0x7f] {
            let mut base = vec![0; width];
            let used = &mut base[width - base_octets..];
            used.fill_with(|| random.octet() | 1);
            used[0] = first;
            let bits = Number::from_octets(&base).bit_len();
            // In bits of the result, as text and as integer; the second exponent makes results that are computed but do
            // not fit.
            let amplified = 3 * (12 + 2 * width as u64) - 12;
            let rooms = [1220, 3684, amplified.min(1220), amplified.min(3684)];
            for goal in rooms.into_iter().flat_map(|room| [room * 3322 / 1000 - 2, room * 8 - 1]) {
                for exponent in [goal / bits, (goal - 1) / (bits - 1)] {
                    let Ok(exponent) = u16::try_from(exponent) else { continue };
                    let mut operands = base.clone();
                    operands.extend(write(&Number::from(exponent), width));
                    if operands.len() == 2 * width {
                        powers.push((format!("a base of {bits} bits to the {exponent}"), operands));
                    }
                }
            }
        }
    }
    powers
}

/// Two's complement of `width` octets; `None` if the number does not fit.
fn write(number: &Number, width: usize) -> Vec<u8> {
    let mut octets = vec![0; width];
    number.write_octets(&mut octets).map_or(Vec::new(), |()| octets)
}

/// SplitMix64: pseudorandom numbers, the same in every run.
struct Random(u64);

impl Random {
    fn octet(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27) as u8
    }
}
