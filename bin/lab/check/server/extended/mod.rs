//! The checks of the extended form.

mod judges;
mod vectors;

use calc6::wire::{AMPLIFICATION, MAX_REQUEST, Operator, Status, extended};

pub use judges::request;
use judges::{operation, with};
use vectors::{AND, DIFFERENCE, GCD, LCM, MALFORMED, MAX, MIN, OR, POWER, PRODUCT, QUOTIENT, REMAINDER, SUM, XOR};

use super::session::Judge::{AtEnd, Now};
use super::session::{Judge, ServerCheck};
use crate::check::report::{Judgement, hex};
use crate::check::table::Check;
use crate::check::table::Level::Must;

/// In the order in which they are run.
pub const CHECKS: &[ServerCheck] = &[
    extended(
        "x-golden",
        "3.13",
        "the golden request is answered by the golden reply",
        &["others"],
        Now(|session| session.golden()),
    ),
    operator("x-sum", "sum of signed operands", Now(|session| session.vectors(Operator::Sum, SUM))),
    operator("x-product", "product of signed operands", Now(|session| session.vectors(Operator::Product, PRODUCT))),
    operator(
        "x-difference",
        "difference; one operand: its negation",
        Now(|session| session.vectors(Operator::Difference, DIFFERENCE)),
    ),
    operator(
        "x-quotient",
        "quotient, truncated towards zero",
        Now(|session| session.vectors(Operator::Quotient, QUOTIENT)),
    ),
    operator(
        "x-remainder",
        "remainder, with the dividend's sign",
        Now(|session| session.vectors(Operator::Remainder, REMAINDER)),
    ),
    operator("x-power", "power; 0^0 is 1", Now(|session| session.vectors(Operator::Power, POWER))),
    operator("x-gcd", "greatest common divisor, never negative", Now(|session| session.vectors(Operator::Gcd, GCD))),
    operator("x-lcm", "least common multiple, never negative", Now(|session| session.vectors(Operator::Lcm, LCM))),
    operator("x-min", "the smallest operand", Now(|session| session.vectors(Operator::Min, MIN))),
    operator("x-max", "the greatest operand", Now(|session| session.vectors(Operator::Max, MAX))),
    operator(
        "x-and",
        "bitwise and on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::And, AND)),
    ),
    operator(
        "x-or",
        "bitwise or on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::Or, OR)),
    ),
    operator(
        "x-xor",
        "bitwise exclusive or on two's complement of unlimited width",
        Now(|session| session.vectors(Operator::Xor, XOR)),
    ),
    extended(
        "x-describe",
        "3.4",
        "describe: name and version, then key=value lines, whole or status 4",
        X_GOLDEN,
        Now(|session| session.describe()),
    ),
    extended("x-identifier", "3.7", "the request identifier is copied", X_GOLDEN, Now(|session| session.identifiers())),
    extended(
        "x-header",
        "3.7",
        "every reply has S = 1 if and only if Status is 0, and Reserved 0",
        X_GOLDEN,
        AtEnd(|session| {
            Ok(gathered(
                &session.replies,
                "ff with Status 0 or 7f with Status 1 to 31, and Reserved 0",
                |_, reply, _| reply.get(extended::RESERVED) == Some(&0),
            ))
        }),
    ),
    extended(
        "x-format",
        "3.8",
        "Format is F, and 1 for errors and describe",
        X_GOLDEN,
        Now(|session| session.formats()),
    ),
    extended(
        "x-least-width",
        "3.8",
        "an integer result has the least width, at least one octet",
        X_GOLDEN,
        Now(|session| session.least_width()),
    ),
    extended("x-text", "3.8", "a result as text is 0 or -?[1-9][0-9]*", X_GOLDEN, Now(|session| session.text())),
    extended(
        "x-width",
        "3.6",
        "every width from 1 to 255 is read, sign extension included",
        X_GOLDEN,
        Now(|session| session.widths()),
    ),
    extended(
        "x-reserved",
        "3.3",
        "Reserved other than 0 is status 5",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[(with(operation(b'+', 1, &[1, 2]), extended::RESERVED, 1), Status::Unsupported)])
        }),
    ),
    extended(
        "x-unknown-operator",
        "3.9",
        "an unknown operator is status 2",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &[b'!', 0x00, 0xff].map(|operator| (operation(operator, 1, &[1, 2]), Status::UnknownOperator)),
            )
        }),
    ),
    extended(
        "x-malformed",
        "3.9",
        "wrong lengths and operand counts are status 1",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &MALFORMED.map(|(operator, width, octets)| (operation(operator, width, octets), Status::Malformed)),
            )
        }),
    ),
    extended(
        "x-domain",
        "3.9",
        "a negative exponent is status 6",
        X_GOLDEN,
        Now(|session| {
            session.statuses(
                &[[2, 0xff], [0, 0xff], [1, 0x80]]
                    .map(|operands| (operation(b'^', 1, &operands), Status::OutsideDomain)),
            )
        }),
    ),
    extended(
        "x-division",
        "3.9",
        "any divisor that is zero is status 3",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[
                (operation(b'/', 1, &[2, 0]), Status::DivisionByZero),
                (operation(b'%', 1, &[0, 3, 0]), Status::DivisionByZero),
                (operation(b'/', 1, &[0, 0, 5]), Status::DivisionByZero),
            ])
        }),
    ),
    extended(
        "x-order",
        "3.9",
        "of several failures, the first in the order of the checks decides",
        X_GOLDEN,
        Now(|session| session.order()),
    ),
    extended(
        "x-too-large",
        "3.10",
        "a reply that does not fit is status 4 with a count, and exact where there is that much room",
        X_GOLDEN,
        Now(|session| session.too_large()),
    ),
    extended(
        "x-oversize",
        "4.2",
        "a request over 1232 octets is status 5",
        X_GOLDEN,
        Now(|session| {
            session.statuses(&[(
                with(operation(b'+', 1, &[0; MAX_REQUEST + 1 - extended::HEADER]), extended::RESERVED, 1),
                Status::Unsupported,
            )])
        }),
    ),
    extended(
        "x-bound",
        "4.2",
        "no reply is longer than three times its request",
        X_GOLDEN,
        AtEnd(|session| {
            Ok(gathered(&session.replies, "at most three times as many octets", |request, reply, _| {
                reply.len() <= AMPLIFICATION * request.len()
            }))
        }),
    ),
    extended(
        "x-error-text",
        "7.5",
        "error texts are fixed printable ASCII",
        X_GOLDEN,
        AtEnd(|session| Ok(gathered(&session.replies, "the same printable ASCII for the same status", is_fixed_text))),
    ),
    extended(
        "x-escape",
        "4.4",
        "opcode 7 that is not version 1 gets a classic error or silence, by its length",
        X_GOLDEN,
        Now(|session| session.escape()),
    ),
    extended(
        "x-replies",
        "4.1",
        "replies, 0xff and 0x7f, are not answered",
        X_GOLDEN,
        Now(|session| session.refused_replies()),
    ),
    extended(
        "x-pure",
        "4.5",
        "the same request has the same answer, octet for octet",
        X_GOLDEN,
        Now(|session| session.pure()),
    ),
    extended(
        "x-overflow",
        "2.9",
        "a classic integer result over 2^32 - 1 is refused or, with --wrap, modulo 2^32",
        &["sum"],
        Now(|session| session.refuses_or_wraps()),
    ),
];

const X_GOLDEN: &[&str] = &["x-golden"];

const fn extended(
    key: &'static str,
    clause: &'static str,
    title: &'static str,
    needs: &'static [&'static str],
    judge: Judge,
) -> ServerCheck {
    let why = "A client of the extended form relies on it.";
    ServerCheck { check: Check { key, clause, level: Must, title, why, needs }, judge }
}

const fn operator(key: &'static str, title: &'static str, judge: Judge) -> ServerCheck {
    let why = "The same operation must give the same number on every server.";
    ServerCheck { check: Check { key, clause: "3.4", level: Must, title, why, needs: X_GOLDEN }, judge }
}

/// Error texts by status.
type Texts = Vec<(u8, Vec<u8>)>;

/// What all replies of the extended form together say.
fn gathered(
    replies: &[(Vec<u8>, Vec<u8>)],
    expected: &str,
    is_right: fn(&[u8], &[u8], &mut Texts) -> bool,
) -> Judgement {
    let mut texts = Texts::new();
    let wrong = replies.iter().find(|(request, reply)| !is_right(request, reply, &mut texts));
    match wrong {
        None => Judgement::holds([], ""),
        Some((request, reply)) => Judgement::broken([request.clone()], expected, hex(reply)),
    }
}

/// Error texts may be truncated to fit, so one has to begin as the other.
fn is_fixed_text(_: &[u8], reply: &[u8], texts: &mut Texts) -> bool {
    let Some(reply) = extended::Reply::decode(reply).ok().filter(|reply| !reply.is_success()) else { return true };
    let skipped = if reply.status() == Some(Status::TooLarge) { extended::NEEDED } else { 0 };
    let text = reply.result().get(skipped..).unwrap_or_default();
    let status = reply.status_octet();
    if !text.iter().all(|octet| (0x20..=0x7e).contains(octet)) {
        return false;
    }
    match texts.iter_mut().find(|(known, _)| *known == status) {
        None => texts.push((status, text.to_vec())),
        Some((_, known)) if known.len() < text.len() && text.starts_with(known) => *known = text.to_vec(),
        Some((_, known)) => return known.starts_with(text),
    }
    true
}
