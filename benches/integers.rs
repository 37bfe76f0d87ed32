//! Two crates for large integers on the most expensive request of every operator: dashu-int, which calc6 uses, and
//! num-bigint.
//!
//! `cargo bench --bench integers`. Both run the same algorithms over the same candidates (operands of a request, read
//! from octets and written to octets or decimal text); the figure of a crate is that of the candidate that takes it
//! longest.

#[path = "bench/candidates.rs"]
mod candidates;

use std::hint::black_box;
use std::time::{Duration, Instant};

use calc6::arithmetic::decimal_bits;
use calc6::wire::Operator;
use candidates::{Request, candidates};
use dashu_int::IBig;
use dashu_int::ops::{BitTest, Gcd, UnsignedAbs};
use num_bigint::BigInt;
use num_integer::Integer;

fn main() {
    println!("operator    dashu-int  num-bigint  (the slowest request of num-bigint)");
    for operator in Operator::ALL.into_iter().filter(|&operator| operator != Operator::Describe) {
        // Narrower operands are calculated in machine integers.
        let requests: Vec<_> = candidates(operator).into_iter().filter(|request| request.width >= 8).collect();
        let (dashu, _) = most_expensive::<IBig>(&requests);
        let (num, request) = most_expensive::<BigInt>(&requests);
        println!("{:10} {:7.2} us {:8.2} us  {}", operator.word(), micros(dashu), micros(num), request.name);
    }
}

/// What both crates provide.
trait Big: Sized + Clone + Ord {
    fn read(octets: &[u8]) -> Self;
    fn octets(&self) -> Vec<u8>;
    fn text(&self) -> String;
    fn bits(&self) -> u64;
    fn calculate(symbol: char, left: Self, right: &Self) -> Self;
    fn power(self, exponent: u32) -> Self;
    fn is_zero(&self) -> bool;
}

macro_rules! calculate {
    ($symbol:ident, $left:ident, $right:ident, $gcd:expr) => {
        match $symbol {
            '+' => $left + $right,
            '*' => $left * $right,
            '-' => $left - $right,
            '/' => $left / $right,
            '%' => $left % $right,
            '<' => $left.min($right.clone()),
            '>' => $left.max($right.clone()),
            '&' => $left & $right,
            '|' => $left | $right,
            '~' => $left ^ $right,
            _ => $gcd,
        }
    };
}

impl Big for IBig {
    fn read(octets: &[u8]) -> Self {
        IBig::from_be_bytes(octets)
    }

    fn octets(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn bits(&self) -> u64 {
        self.bit_len() as u64
    }

    fn calculate(symbol: char, left: Self, right: &Self) -> Self {
        calculate!(
            symbol,
            left,
            right,
            match (left.is_zero(), right.is_zero()) {
                (true, _) => right.unsigned_abs().into(),
                (_, true) => left.unsigned_abs().into(),
                _ => left.gcd(right).into(),
            }
        )
    }

    fn power(self, exponent: u32) -> Self {
        self.pow(exponent as usize)
    }

    fn is_zero(&self) -> bool {
        self.is_zero()
    }
}

impl Big for BigInt {
    fn read(octets: &[u8]) -> Self {
        BigInt::from_signed_bytes_be(octets)
    }

    fn octets(&self) -> Vec<u8> {
        self.to_signed_bytes_be()
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn bits(&self) -> u64 {
        self.bits()
    }

    fn calculate(symbol: char, left: Self, right: &Self) -> Self {
        calculate!(symbol, left, right, left.gcd(right))
    }

    fn power(self, exponent: u32) -> Self {
        self.pow(exponent)
    }

    fn is_zero(&self) -> bool {
        self.bits() == 0
    }
}

/// The candidate that takes longest, and how long. The shortest of some runs counts.
fn most_expensive<B: Big>(requests: &[Request]) -> (Duration, &Request) {
    let time = |request: &Request, runs| {
        let run = |_| {
            let begun = Instant::now();
            black_box(answer::<B>(black_box(request)));
            begun.elapsed()
        };
        (0..runs).map(run).min().expect("a run")
    };
    let mut timed: Vec<_> = requests.iter().map(|request| (time(request, 3), request)).collect();
    timed.sort_by_key(|(time, _)| *time);
    let leading = timed.into_iter().rev().take(8);
    leading.map(|(_, request)| (time(request, 30), request)).max_by_key(|(time, _)| *time).expect("a candidate")
}

/// The result of a request, written down if it fits a reply.
fn answer<B: Big>(request: &Request) -> Vec<u8> {
    let Some(result) = evaluate::<B>(request) else { return Vec::new() };
    let room = 1220;
    if request.text && result.bits() <= decimal_bits(room) {
        result.text().into_bytes()
    } else if !request.text && result.bits() < room as u64 * 8 {
        result.octets()
    } else {
        Vec::new()
    }
}

fn evaluate<B: Big>(request: &Request) -> Option<B> {
    let symbol = request.operator.symbol();
    let mut operands = request.operands.chunks_exact(request.width).map(B::read);
    let first = operands.next()?;
    match request.operator {
        Operator::Power => {
            let exponent = operands.next()?.octets();
            let exponent = exponent.iter().rev().take(4).rev().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
            (first.bits().saturating_sub(1) * u64::from(exponent) < 9760).then(|| first.power(exponent))
        }
        Operator::Quotient | Operator::Remainder => {
            operands.try_fold(
                first,
                |left, right| {
                    if right.is_zero() { None } else { Some(B::calculate(symbol, left, &right)) }
                },
            )
        }
        Operator::Lcm => operands.try_fold(first, |multiple, operand| {
            if operand.is_zero() || multiple.is_zero() {
                return None;
            }
            let remainder = B::calculate('%', multiple.clone(), &operand);
            let divisor = B::calculate('g', remainder, &operand);
            Some(B::calculate('*', multiple, &B::calculate('/', operand, &divisor)))
        }),
        Operator::Product => Some(balanced(std::iter::once(first).chain(operands).collect())),
        _ => Some(operands.fold(first, |left, right| B::calculate(symbol, left, &right))),
    }
}

/// Multiplies neighbours until one is left.
fn balanced<B: Big>(mut parts: Vec<B>) -> B {
    while parts.len() > 1 {
        let multiply = |pair: &[B]| match pair {
            [left, right] => B::calculate('*', left.clone(), right),
            rest => rest[0].clone(),
        };
        parts = parts.chunks(2).map(multiply).collect();
    }
    parts.pop().expect("an operand")
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
