//! The kinds of questions, by topic. The library computes every right answer from the octets; none is written here.

mod exchange;
mod fields;
mod formats;
mod lengths;
mod order;
mod server;
mod subject;

use clap::ValueEnum;

use super::draw::SeededDraw;
use super::question::QuizQuestion;
use super::trace::QuizTrace;

/// How often a kind draws again, until its question has one right answer and differs from all others in the quiz.
const TRIES: usize = 60;

/// What questions are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum QuestionTopic {
    /// Fields: their positions and values
    Fields,
    /// Byte order
    Order,
    /// Numbers as integers, as text, in two's complement
    Formats,
    /// Lengths and padding
    Lengths,
    /// What a server answers, and what a client accepts
    Server,
    /// Loss, repeats, duplicates, ports: a capture to read
    Exchange,
}

/// A kind of question.
pub struct QuestionKind {
    /// Its name: unique, stable across releases.
    pub name: &'static str,
    /// What it is about.
    pub topic: QuestionTopic,
    /// 1 is read directly, 2 needs one rule, 3 needs several.
    pub level: u8,
    /// What it asks, for `--list`.
    pub asks: &'static str,
    make: QuestionMaker,
}

enum QuestionMaker {
    Datagram(fn(&mut SeededDraw) -> Option<QuizQuestion>),
    Trace(fn(&mut SeededDraw, &QuizTrace) -> Option<QuizQuestion>),
}

impl QuestionKind {
    /// Whether its questions are about a capture.
    pub fn of_trace(&self) -> bool {
        matches!(self.make, QuestionMaker::Trace(_))
    }

    /// A question of this kind that is not in `known`; `None` if there is none, as in a capture without repeats.
    pub fn question(&self, draw: &mut SeededDraw, trace: &QuizTrace, known: &[QuizQuestion]) -> Option<QuizQuestion> {
        (0..TRIES).find_map(|_| {
            let question = match self.make {
                QuestionMaker::Datagram(make) => make(draw),
                QuestionMaker::Trace(make) => make(draw, trace).map(QuizQuestion::of_trace),
            };
            let question = question?.finished(self.name, draw)?;
            let same = |other: &QuizQuestion| (&other.stem, &other.dump) == (&question.stem, &question.dump);
            (!known.iter().any(same)).then_some(question)
        })
    }
}

const fn datagram(
    name: &'static str,
    topic: QuestionTopic,
    level: u8,
    asks: &'static str,
    make: fn(&mut SeededDraw) -> Option<QuizQuestion>,
) -> QuestionKind {
    QuestionKind { name, topic, level, asks, make: QuestionMaker::Datagram(make) }
}

const fn trace(
    name: &'static str,
    level: u8,
    asks: &'static str,
    make: fn(&mut SeededDraw, &QuizTrace) -> Option<QuizQuestion>,
) -> QuestionKind {
    QuestionKind { name, topic: QuestionTopic::Exchange, level, asks, make: QuestionMaker::Trace(make) }
}

/// All kinds, in the order of `--list`.
pub const KINDS: &[QuestionKind] = &[
    datagram("which-octet", QuestionTopic::Fields, 1, "at which octet does this field begin?", fields::which_octet),
    datagram(
        "field-bits",
        QuestionTopic::Fields,
        1,
        "what is the value of this field of the first octet?",
        fields::field_bits,
    ),
    datagram(
        "success-bit",
        QuestionTopic::Fields,
        1,
        "which first octet of a reply says success?",
        fields::success_bit,
    ),
    datagram(
        "operator-octet",
        QuestionTopic::Fields,
        1,
        "which operator does this request name?",
        fields::operator_octet,
    ),
    datagram("first-octet", QuestionTopic::Fields, 2, "with which first octet does a client ask?", fields::first_octet),
    datagram("asks-for", QuestionTopic::Fields, 2, "what does this request ask for?", fields::asks_for),
    datagram("operand-value", QuestionTopic::Order, 1, "what is the value of this operand?", order::operand_value),
    datagram(
        "reply-payload",
        QuestionTopic::Order,
        2,
        "which octets carry this result as an integer?",
        order::reply_payload,
    ),
    datagram(
        "no-htonl",
        QuestionTopic::Order,
        2,
        "which operand arrives if the client forgets htonl?",
        order::no_htonl,
    ),
    datagram("no-ntohl", QuestionTopic::Order, 3, "what does a server answer that converts nothing?", order::no_ntohl),
    datagram("text-result", QuestionTopic::Formats, 1, "which number do these digits represent?", formats::text_result),
    datagram("twos-complement", QuestionTopic::Formats, 2, "which number is this result?", formats::twos_complement),
    datagram(
        "text-payload",
        QuestionTopic::Formats,
        2,
        "which octets carry this result as text?",
        formats::text_payload,
    ),
    datagram("least-width", QuestionTopic::Formats, 3, "which Width do these operands need?", formats::least_width),
    datagram(
        "request-length",
        QuestionTopic::Lengths,
        1,
        "how many octets does a classic request have?",
        lengths::request_length,
    ),
    datagram(
        "operand-count",
        QuestionTopic::Lengths,
        2,
        "how many operands fit this UDP length?",
        lengths::operand_count,
    ),
    datagram(
        "extended-length",
        QuestionTopic::Lengths,
        2,
        "how long is an extended request?",
        lengths::extended_length,
    ),
    datagram("packet-length", QuestionTopic::Lengths, 2, "how long is the IPv6 packet?", lengths::packet_length),
    datagram("longest-reply", QuestionTopic::Lengths, 2, "how long may the reply be?", lengths::longest_reply),
    datagram(
        "padded-struct",
        QuestionTopic::Lengths,
        2,
        "what happens to a struct with padding?",
        lengths::padded_struct,
    ),
    datagram(
        "padded-operand",
        QuestionTopic::Lengths,
        3,
        "what is read from a struct with padding?",
        lengths::padded_operand,
    ),
    datagram("server-does", QuestionTopic::Server, 2, "what does a server do with this datagram?", server::server_does),
    datagram("status", QuestionTopic::Server, 2, "with which status is this request answered?", server::status),
    datagram("wrapped", QuestionTopic::Server, 2, "what does a server send that computes in 32 bits?", server::wrapped),
    datagram(
        "identifier",
        QuestionTopic::Server,
        2,
        "which reply belongs to this extended request?",
        server::identifier,
    ),
    datagram("counts", QuestionTopic::Server, 3, "which datagram does the client accept?", server::counts),
    datagram("source", QuestionTopic::Exchange, 2, "whose datagram counts as the reply?", exchange::source),
    datagram("next-repeat", QuestionTopic::Exchange, 2, "when is the request sent next?", exchange::next_repeat),
    trace("repeat", 1, "which datagram is a repeat?", exchange::repeat),
    trace("answers", 1, "which request does this reply answer?", exchange::answers),
    trace("result", 1, "what did the server mean?", exchange::result),
    trace("clients", 2, "how many sockets sent requests?", exchange::clients),
    trace("round-trip", 2, "how long did the reply take?", exchange::round_trip),
    trace("unanswered", 2, "how many requests have no reply?", exchange::unanswered),
    trace("second-reply", 2, "which datagram is a second reply to a request?", exchange::second_reply),
    trace("error", 2, "which datagram is an error?", exchange::error),
    trace("wrong-result", 3, "which reply carries a wrong result?", exchange::wrong_result),
];
