//! The pure half of an exchange, in process: decode, evaluate, encode.
//!
//! `cargo bench --bench respond`. Requests of 1, 5 and 64 operands for each operator that vectorises, result as integer
//! and as text, in both forms.

use calc6::responder::{Limits, respond};
use calc6::wire::{Format, MAX_REPLY, MAX_REQUEST, Operator, classic, extended};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const COUNTS: [usize; 3] = [1, 5, 64];

#[divan::bench(args = COUNTS, sample_size = 1000)]
fn classic_sum(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &classic(Operator::Sum, Format::Integer, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000)]
fn classic_sum_text(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &classic(Operator::Sum, Format::Text, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000)]
fn classic_product(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &classic(Operator::Product, Format::Integer, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000)]
fn classic_product_text(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &classic(Operator::Product, Format::Text, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000, consts = [4, 8])]
fn extended_sum<const WIDTH: usize>(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &extended::<WIDTH>(Operator::Sum, Format::Integer, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000, consts = [4, 8])]
fn extended_sum_text<const WIDTH: usize>(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &extended::<WIDTH>(Operator::Sum, Format::Text, count));
}

#[divan::bench(args = COUNTS, sample_size = 1000, consts = [4, 8])]
fn extended_product<const WIDTH: usize>(bencher: Bencher<'_, '_>, count: usize) {
    answer(bencher, &extended::<WIDTH>(Operator::Product, Format::Integer, count));
}

fn answer(bencher: Bencher<'_, '_>, request: &[u8]) {
    let (mut reply, limits) = ([0; MAX_REPLY], Limits::default());
    bencher.bench_local(|| respond(black_box(request), &mut reply, &limits));
}

/// Operands 1, 2, 3 and so on: a product of 64 is over 64 bits, as products are.
fn operands<const WIDTH: usize>(count: usize) -> Vec<u8> {
    (1..=count as u64).flat_map(|operand| operand.to_be_bytes()[8 - WIDTH..].to_vec()).collect()
}

fn classic(operator: Operator, format: Format, count: usize) -> Vec<u8> {
    let operands = operands::<{ classic::OPERAND }>(count);
    let request = classic::Request::new(operator, format, &operands).expect("a whole request");
    encoded(|octets| request.encode(octets))
}

fn extended<const WIDTH: usize>(operator: Operator, format: Format, count: usize) -> Vec<u8> {
    let operands = operands::<WIDTH>(count);
    let request = extended::Request::new(operator, format, WIDTH as u8, 7, &operands).expect("a whole request");
    encoded(|octets| request.encode(octets))
}

fn encoded(encode: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut octets = vec![0; MAX_REQUEST];
    let len = encode(&mut octets);
    octets.truncate(len);
    octets
}
