//! The questions of the simulated clients.

use calc6::exchange::Question;
use calc6::wire::{Format, Operator};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A question in the classic form, or in the extended one.
pub fn any(random: &mut ChaCha8Rng) -> Question {
    if random.random_bool(0.3) { classic(random) } else { extended(random) }
}

/// A question in the extended form: many are answered at once, some need a wider request, some are errors.
pub fn extended(random: &mut ChaCha8Rng) -> Question {
    match random.random_range(0..10) {
        0..=1 => power(random),
        2 => describe(random),
        _ => operation(random),
    }
}

fn format(random: &mut ChaCha8Rng) -> Format {
    if random.random() { Format::Integer } else { Format::Text }
}

fn classic(random: &mut ChaCha8Rng) -> Question {
    let operator = if random.random() { Operator::Sum } else { Operator::Product };
    let most = if random.random_bool(0.9) { 6 } else { 64 };
    let count = random.random_range(1..=most);
    let large = random.random_bool(0.3);
    let operands: Vec<u32> =
        (0..count).map(|_| if large { random.random() } else { random.random_range(0..100) }).collect();
    Question::classic(operator, format(random), operands).unwrap()
}

fn operation(random: &mut ChaCha8Rng) -> Question {
    let operator = loop {
        let operator = Operator::ALL[random.random_range(0..Operator::ALL.len())];
        if !matches!(operator, Operator::Power | Operator::Describe) {
            break operator;
        }
    };
    let widest = if random.random_bool(0.9) { 9 } else { 200 };
    let width: u8 = random.random_range(1..=widest);
    let count = random.random_range(*operator.operand_count().start()..=5);
    let small = random.random_bool(0.3);
    let operands = (0..count).flat_map(|_| {
        // Random octets, or a number between -2 and 2, so that divisors of zero occur.
        let value: i8 = random.random_range(-2..=2);
        let sign = if value < 0 { 0xff } else { 0 };
        let mut octets: Vec<u8> = (0..width).map(|_| if small { sign } else { random.random() }).collect();
        if small {
            octets[usize::from(width) - 1] = value as u8;
        }
        octets
    });
    let operands = operands.collect();
    Question::extended(operator, format(random), width, operands).unwrap()
}

fn power(random: &mut ChaCha8Rng) -> Question {
    let base: i16 = random.random_range(-20..=20);
    let exponent: i16 = if random.random() { random.random_range(-2..100) } else { random.random_range(0..5000) };
    let operands = [base.to_be_bytes(), exponent.to_be_bytes()].concat();
    Question::extended(Operator::Power, format(random), 2, operands).unwrap()
}

fn describe(random: &mut ChaCha8Rng) -> Question {
    let padding = if random.random() { 0 } else { random.random_range(0..100) };
    Question::extended(Operator::Describe, Format::Text, 1, vec![0; padding]).unwrap()
}
