//! What is required of a server of the classic form, request by request.

use calc6::wire::{Format, Operator, SUCCESS_BIT};

use super::diagnosis;
use super::session::Judge::{AtEnd, Now};
use super::session::{
    Judge, ODD, ServerCheck, ServerSession, all, broken, holds, judge, judge_error, request, with_first,
};
use crate::Failure;
use crate::check::report::{Advice, Judgement};
use crate::check::table::Check;
use crate::check::table::Level::Must;

/// In the order in which they are run: what others need comes first.
pub const CHECKS: &[ServerCheck] = &[
    must(
        "answers",
        "1.1",
        "a request is answered",
        "Nothing else can be checked if the server does not answer.",
        &[],
        Now(answers),
    ),
    must(
        "others",
        "1.1",
        "clients on different ports are answered, one after the other",
        "Each client has its own port: recvfrom returns it, and sendto takes it.",
        &["answers"],
        Now(others),
    ),
    must(
        "source-port",
        "4.8",
        "the reply comes from the port that was asked",
        "The kernel hands a connected client only what comes from the address and port it asked: it never sees other \
         replies. Answer with sendto on the socket that received.",
        &["others"],
        Now(source_port),
    ),
    must(
        "success",
        "2.5",
        "a success starts with a header octet whose most significant bit, S, is 1",
        "Only S tells a client whether a reply is a result or an error.",
        &["others"],
        Now(success),
    ),
    must(
        "sum",
        "2.3",
        "opcode 0 is the sum, and with F = 0 one 32-bit integer in network byte order",
        "Both ends must read the same number, independent of their own byte order: ntohl every operand, htonl the result.",
        &["success"],
        Now(|session| {
            integers(session, Operator::Sum, &[&ODD, &[200, 100], &[65_000, 1_000, 16_777_000], &[16_777_217, 2]])
        }),
    ),
    must(
        "product",
        "2.3",
        "opcode 1 is the product",
        "The opcode is bits 4 to 6 of the first octet, (octet >> 1) & 7; the format is bit 7, octet & 1.",
        &["sum"],
        Now(|session| integers(session, Operator::Product, &[&ODD, &[300, 70_000]])),
    ),
    must(
        "text-sum",
        "2.4",
        "with F = 1 the sum is ASCII decimal digits",
        "The client asked for text: digits from 0x30 to 0x39, nothing before or after them.",
        &["sum"],
        Now(|session| texts(session, Operator::Sum, &[&ODD, &[1_000_000_000, 1]])),
    ),
    must(
        "text-product",
        "2.4",
        "with F = 1 the product is ASCII decimal digits",
        "Operation and format are independent of each other.",
        &["text-sum", "product"],
        Now(|session| texts(session, Operator::Product, &[&ODD, &[300, 70_000]])),
    ),
    must(
        "unused-bits",
        "2.2",
        "the four unused bits of a request are ignored",
        "Unused bits may get a meaning later, and clients may set them. Mask them before comparing.",
        &["product", "text-sum"],
        Now(unused_bits),
    ),
    must(
        "unknown-opcode",
        "2.6",
        "opcodes 2 to 6 are answered by an error, S = 0",
        "The client needs to know that the server lacks the operation; silence looks like a lost datagram.",
        &["product"],
        Now(|session| unknown_opcodes(session, &[2, 3, 4, 5, 6])),
    ),
    must(
        "opcode-7",
        "4.4",
        "opcode 7 with classic lengths is answered by an error",
        "In the course it is an unknown opcode like the others; extended servers treat these lengths in the same way.",
        &["unknown-opcode"],
        Now(|session| unknown_opcodes(session, &[7])),
    ),
    must(
        "published",
        "2.13",
        "the golden octets are answered as the specification says",
        "They are the published cases of the course, and combine opcode, format and unused bits.",
        &["text-product", "unused-bits", "unknown-opcode"],
        Now(published),
    ),
    must(
        "one-operand",
        "2.1",
        "a single operand is its own sum and product",
        "The least number of operands is 1; a loop that starts with the second needs the right initial value.",
        &["sum", "product"],
        Now(|session| {
            all([Operator::Sum, Operator::Product].map(|operator| integers(session, operator, &[&[77], &[5]])))
        }),
    ),
    must(
        "zero",
        "2.4",
        "zero is a result: the octets 00000000, or the one digit 0",
        "0 is not a failure, and hand-written conversions often turn it into an empty string.",
        &["text-sum", "product"],
        Now(zero),
    ),
    must(
        "64-operands",
        "2.1",
        "64 operands are computed",
        "That is the most that a request carries: 257 octets. A smaller buffer truncates the datagram silently.",
        &["sum"],
        Now(sixty_four),
    ),
    must(
        "unsigned",
        "2.1",
        "operands and results from 2^31 to 2^32 - 1 are right as integers",
        "Operands are unsigned 32-bit integers; the octets are the same if the program calls them int.",
        &["one-operand"],
        Now(|session| integers(session, Operator::Sum, &[&[3_000_000_000, 1_000_000_000], &[u32::MAX]])),
    ),
    must(
        "repeat",
        "4.5",
        "the same request has the same answer, also after other requests",
        "State left from one request must not reach the next.",
        &["sum", "64-operands"],
        Now(|session| all((0..3_u32).map(|other| integers(session, Operator::Sum, &[&[1_000_000 + other; 40], &ODD])))),
    ),
    must(
        "again",
        "4.5",
        "a request that is repeated from the same port is answered again",
        "Clients repeat a request when its reply was lost: a server that ignores the repeat never answers them.",
        &["sum"],
        Now(again),
    ),
    must(
        "one-reply",
        "1.1",
        "each request is answered by one datagram",
        "A client reads one datagram; it reads a second one as the answer to its next request.",
        &["others"],
        AtEnd(|session| {
            Ok(match &session.prober.observed.several {
                None => Judgement::holds([], ""),
                Some(asked) => broken(asked, "one datagram"),
            })
        }),
    ),
    must(
        "reply-length",
        "2.5",
        "no reply to a classic request has more than 257 octets",
        "Clients have room for a header and 256 octets; what is longer is truncated silently.",
        &["others"],
        AtEnd(|session| {
            Ok(match &session.prober.observed.too_long {
                None => Judgement::holds([], ""),
                Some(asked) => broken(asked, "at most 257 octets"),
            })
        }),
    ),
];

const fn must(
    key: &'static str,
    clause: &'static str,
    title: &'static str,
    why: &'static str,
    needs: &'static [&'static str],
    judge: Judge,
) -> ServerCheck {
    ServerCheck { check: Check { key, clause, level: Must, title, why, needs }, judge }
}

fn answers(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let asked = session.ask(Operator::Sum, Format::Integer, &ODD)?;
    if asked.reply().is_some() {
        return Ok(holds(&asked));
    }
    let advice = diagnosis::no_answer(session, &asked)?;
    Ok(broken(&asked, "a datagram in answer").because(advice))
}

fn source_port(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let asked = session.ask(Operator::Sum, Format::Integer, &ODD)?;
    let (target, from) = (session.prober.target(), asked.replies.first().map(|reply| reply.from));
    Ok(match from {
        Some(from) if from.port() == target.port() => holds(&asked),
        Some(from) => {
            let expected = format!("a reply from port {}", target.port());
            let advice = Advice::new(
                "the reply is sent from another socket than the one that received the request",
                "Call sendto on the socket that received; it needs no second one.",
            );
            Judgement::broken([asked.sent.clone()], expected, format!("one from port {}", from.port())).because(advice)
        }
        // `others` says what it means.
        None => Judgement::see("others"),
    })
}

/// A server whose socket is connected, or that ends after a request, answers one client and no other.
fn others(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let socket = session.prober.service().and_then(|service| service.socket());
    if let Some(socket) = socket.filter(|socket| socket.remote.port() != 0) {
        let advice = Advice::new(
            "connect() on the server's socket: from then on it receives from its first client only",
            "Remove connect; take the client's address from recvfrom, and give it to sendto.",
        );
        let found = format!("none: the server's socket is connected to {}", socket.remote);
        return Ok(Judgement::broken(
            [request(Operator::Sum, Format::Integer, &ODD)],
            "an answer to the next client",
            found,
        )
        .because(advice));
    }
    for _ in 0..2 {
        let asked = session.ask(Operator::Sum, Format::Integer, &ODD)?;
        if asked.reply().is_none() {
            let advice = Advice::new(
                "only the first request is answered",
                "Put recvfrom and sendto in an endless loop, and do not connect() the socket.",
            );
            return Ok(broken(&asked, "an answer to the next client").because(advice));
        }
    }
    session.prober.learn_control()?;
    session.start_companions();
    Ok(Judgement::holds([], ""))
}

fn success(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let asked = session.ask(Operator::Sum, Format::Integer, &ODD)?;
    Ok(match asked.reply() {
        Some([first, ..]) if first & SUCCESS_BIT != 0 => holds(&asked),
        _ => broken(&asked, "ff 00000019 (25), or any other first octet from 80 on")
            .because(diagnosis::no_success(&asked)),
    })
}

/// Judges integer results of several lists of operands; the first wrong one is explained.
fn integers(session: &mut ServerSession<'_>, operator: Operator, lists: &[&[u32]]) -> Result<Judgement, Failure> {
    for operands in lists {
        let asked = session.ask(operator, Format::Integer, operands)?;
        let judgement = judge(&asked, operator, Format::Integer, operands);
        if !judgement.is_good() {
            let advice = diagnosis::integer(session, operator, &asked, operands)?;
            return Ok(judgement.because(advice));
        }
    }
    Ok(Judgement::holds([], ""))
}

/// Likewise, text results.
fn texts(session: &mut ServerSession<'_>, operator: Operator, lists: &[&[u32]]) -> Result<Judgement, Failure> {
    for operands in lists {
        let asked = session.ask(operator, Format::Text, operands)?;
        let judgement = judge(&asked, operator, Format::Text, operands);
        if !judgement.is_good() {
            return Ok(judgement.because(diagnosis::text(&asked, operator, operands)));
        }
    }
    Ok(Judgement::holds([], ""))
}

fn unused_bits(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    for unused in 1..16 {
        let format = if unused % 2 == 0 { Format::Text } else { Format::Integer };
        let asked = with_first(unused << 4 | format as u8, request(Operator::Sum, format, &[4, 2, 3]));
        let judgement = judge(&session.prober.ask(&asked)?, Operator::Sum, format, &[4, 2, 3]);
        if !judgement.is_good() {
            let advice = Advice::new(
                "the whole first octet is compared, where four of its bits do not count: mask them",
                "opcode = octet >> 1 & 7, format = octet & 1, and nothing else of that octet.",
            );
            return Ok(judgement.because(advice));
        }
    }
    Ok(Judgement::holds([], "all values"))
}

fn unknown_opcodes(session: &mut ServerSession<'_>, opcodes: &[u8]) -> Result<Judgement, Failure> {
    for opcode in opcodes {
        for format in [0, 1] {
            let request = with_first(opcode << 1 | format, request(Operator::Sum, Format::Integer, &[4, 2, 3]));
            let asked = session.prober.ask(&request)?;
            let judgement = judge_error(&asked);
            if !judgement.is_good() {
                return Ok(judgement.because(diagnosis::no_error(&asked)));
            }
        }
    }
    Ok(Judgement::holds([], ""))
}

/// Clause 2.13.
fn published(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    const CASES: [(u8, Operator, Format); 4] = [
        (0x50, Operator::Sum, Format::Integer),
        (0x71, Operator::Sum, Format::Text),
        (0x52, Operator::Product, Format::Integer),
        (0x83, Operator::Product, Format::Text),
    ];
    for (first, operator, format) in CASES {
        let asked = session.prober.ask(&with_first(first, request(operator, format, &[4, 2, 3])))?;
        let judgement = judge(&asked, operator, format, &[4, 2, 3]);
        if !judgement.is_good() {
            return Ok(judgement);
        }
    }
    let request = with_first(0x45, request(Operator::Sum, Format::Text, &[4, 2, 3]));
    Ok(judge_error(&session.prober.ask(&request)?))
}

fn zero(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let cases = [(Operator::Sum, [0, 0]), (Operator::Product, [5, 0])];
    for (operator, operands) in cases {
        for format in [Format::Integer, Format::Text] {
            let asked = session.ask(operator, format, &operands)?;
            let judgement = judge(&asked, operator, format, &operands);
            if !judgement.is_good() {
                return Ok(judgement.because(diagnosis::zero(&asked)));
            }
        }
    }
    Ok(Judgement::holds([], ""))
}

fn sixty_four(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let operands: Vec<u32> = (1..=64).collect();
    let asked = session.ask(Operator::Sum, Format::Integer, &operands)?;
    let judgement = judge(&asked, Operator::Sum, Format::Integer, &operands);
    if judgement.is_good() || asked.end.is_some() {
        return Ok(judgement);
    }
    let advice = diagnosis::most_operands(session)?;
    Ok(judgement.because(advice))
}

/// The same octets twice from one socket.
fn again(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let datagram = request(Operator::Sum, Format::Integer, &ODD);
    for _ in 0..session.prober.tries() {
        let patience = session.prober.patience();
        let asked = session.prober.ask_from_one_socket(&[&datagram, &datagram], patience)?;
        let [first, second] = &asked[..] else { break };
        if second.reply().is_some() {
            return Ok(judge(second, Operator::Sum, Format::Integer, &ODD));
        }
        if first.reply().is_some() && session.prober.is_local() {
            let advice = Advice::new(
                "the server remembers the last request, and drops one with the same octets",
                "Do not remember requests: clients repeat them when a datagram was lost.",
            );
            let sent = [datagram.clone(), datagram.clone()];
            return Ok(Judgement::broken(sent, "an answer to each", format!("{}, then nothing", first.found()))
                .because(advice));
        }
    }
    Ok(Judgement::not_judged("datagrams are lost on the way"))
}
