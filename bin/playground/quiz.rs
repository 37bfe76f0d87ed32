//! A datagram with fields left blank, for a student to fill in.

use calc6::exchange::{Exchange, PortSharing, Question, Retransmission};
use calc6::view::{Field, Name, View};
use calc6::wire::{Format, Operator};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::Value;

use crate::answer::ServerAnswer;
use crate::calls::value;
use crate::explain::json::DescriptionJson;

/// How many fields are blank.
const BLANKS: usize = 3;

/// What is asked.
#[derive(Debug, Serialize)]
pub struct Quiz {
    /// The datagram; the blank fields have neither value nor meaning, and its faults and summary are left out.
    datagram: Value,
    /// The places of the blank fields among the fields.
    blanks: Vec<usize>,
}

/// What is right about the answers.
#[derive(Debug, Serialize)]
pub struct Graded {
    /// For each blank, in the order of the question, and last for what the server answers.
    marks: Vec<Mark>,
    right: usize,
}

#[derive(Debug, Serialize)]
struct Mark {
    right: bool,
    /// The answer in words.
    answer: String,
    clause: &'static str,
}

struct Drawn {
    octets: Vec<u8>,
    blanks: Vec<usize>,
}

/// The question of a seed.
pub fn question(seed: u64) -> Quiz {
    let Drawn { octets, blanks } = draw(seed);
    let view = View::request(&octets);
    let mut datagram = value(&DescriptionJson::new(&view)).unwrap_or_default();
    if let Some(fields) = datagram["fields"].as_array_mut() {
        for &blank in &blanks {
            fields[blank]["value"] = Value::from("");
            fields[blank]["meaning"] = Value::from("");
        }
    }
    datagram["summary"] = Value::from("");
    datagram["faults"] = Value::Array(Vec::new());
    datagram["wrong"] = Value::Null;
    Quiz { datagram, blanks }
}

/// Grades answers: one for each blank, and one more for what the server answers.
pub fn check(seed: u64, answers: &[String]) -> Graded {
    let Drawn { octets, blanks } = draw(seed);
    let view = View::request(&octets);
    let answered = |place: usize| answers.get(place).map_or("", |answer| answer.trim());
    let mut marks: Vec<Mark> = blanks
        .iter()
        .enumerate()
        .map(|(place, &blank)| {
            let field = &view.fields()[blank];
            Mark { right: says(&view, blank, answered(place)), answer: in_words(field), clause: field.clause }
        })
        .collect();
    marks.push(server(&octets, answered(blanks.len())));
    let right = marks.iter().filter(|mark| mark.right).count();
    Graded { marks, right }
}

/// Whether typing this into the field would change nothing, or it is what the value means.
fn says(view: &View<'_>, place: usize, answer: &str) -> bool {
    let field = &view.fields()[place];
    let means = !field.meaning.is_empty() && field.meaning.eq_ignore_ascii_case(answer);
    means || !answer.is_empty() && view.edited(place, answer).is_ok_and(|edited| edited == view.octets())
}

fn in_words(field: &Field) -> String {
    if field.meaning.is_empty() { field.value.clone() } else { format!("{} ({})", field.value, field.meaning) }
}

/// What the server answers: the result, `error`, or `nothing`.
fn server(request: &[u8], answer: &str) -> Mark {
    let reply = ServerAnswer::to(request);
    let Some(octets) = reply.octets() else {
        let right = ["nothing", "none", "no answer", "silence"].contains(&answer.to_lowercase().as_str());
        return Mark { right, answer: format!("nothing: {}", reply.reason()), clause: reply.decides() };
    };
    let view = View::reply(octets, Some(request));
    match view.fields().iter().position(|field| field.name == Name::Result) {
        Some(place) => Mark {
            right: says(&view, place, answer.trim_start_matches('=').trim()),
            answer: view.to_string(),
            clause: view.fields()[place].clause,
        },
        None => Mark {
            right: answer.to_lowercase().starts_with("error"),
            answer: view.to_string(),
            clause: reply.decides(),
        },
    }
}

fn draw(seed: u64) -> Drawn {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let question = if random.random_bool(0.6) { classic(&mut random) } else { extended(&mut random) };
    let exchange =
        Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), Default::default(), &mut || {
            random.next_u64()
        });
    let mut octets = exchange.request().to_vec();
    // Some are not what a client sends: bits of the first octet, or the last octet lost.
    match random.random_range(0..8) {
        0 | 1 => octets[0] ^= random.random_range(1..7) << 4,
        2 => octets[0] ^= random.random_range(1..4) << 1,
        3 => drop(octets.pop()),
        _ => {}
    }
    let view = View::request(&octets);
    let askable = |(_, field): &(usize, &Field)| {
        !field.value.is_empty() && !matches!(field.name, Name::Rest | Name::Id | Name::Reserved)
    };
    let mut places: Vec<usize> = view.fields().iter().enumerate().filter(askable).map(|(place, _)| place).collect();
    let mut blanks = Vec::new();
    while blanks.len() < BLANKS && !places.is_empty() {
        blanks.push(places.swap_remove(random.random_range(0..places.len())));
    }
    blanks.sort_unstable();
    Drawn { octets, blanks }
}

fn format(random: &mut ChaCha8Rng) -> Format {
    if random.random() { Format::Text } else { Format::Integer }
}

fn classic(random: &mut ChaCha8Rng) -> Question {
    let operator = if random.random() { Operator::Sum } else { Operator::Product };
    let format = format(random);
    let count = random.random_range(2..=3);
    let operands: Vec<u32> = (0..count).map(|_| random.random_range(1..300)).collect();
    Question::classic(operator, format, operands).expect("few operands of a classic operator")
}

fn extended(random: &mut ChaCha8Rng) -> Question {
    const ASKED: [Operator; 6] =
        [Operator::Sum, Operator::Difference, Operator::Quotient, Operator::Remainder, Operator::Min, Operator::Max];
    let operator = ASKED[random.random_range(0..ASKED.len())];
    let format = format(random);
    let width: u8 = random.random_range(1..=2);
    let mut operands = Vec::new();
    for _ in 0..2 {
        let value: i16 = if width == 1 { random.random_range(-100..100) } else { random.random_range(-300..300) };
        operands.extend_from_slice(&value.to_be_bytes()[2 - usize::from(width)..]);
    }
    Question::extended(operator, format, width, operands).expect("two operands of their width")
}
