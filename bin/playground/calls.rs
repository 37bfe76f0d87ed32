//! The calls of the page, and their answers.

use calc6::arithmetic::Number;
use calc6::exchange;
use calc6::view::{self, Direction, View};
use calc6::wire::{self, Operator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::ServerAnswer;
use crate::compose::{self, Composed, Wish};
use crate::explain::json::{DatagramJson, DescriptionJson, hexadecimal};
use crate::explain::sequence::{self, Sequence};
use crate::explain::{capture, hex, verdict};
use crate::quiz;
use crate::run::{self, Settings};

/// The specification, for the page to show clauses of.
const SPECIFICATION: &str = include_str!("../../docs/protocol.md");

/// A datagram as the page holds it.
#[derive(Debug, Deserialize)]
struct Held {
    /// In hexadecimal.
    octets: String,
    /// `request`, `reply`, or absent: what the octets tell.
    #[serde(default)]
    direction: Option<Way>,
    /// The request that a reply answers, in hexadecimal.
    #[serde(default)]
    asked: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Request,
    Reply,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
enum PageCall {
    /// What the page fills its controls with.
    About,
    Compose(Wish),
    /// What would have to be asked for a client to send these octets.
    Wish {
        octets: String,
    },
    Explain(Held),
    Flip {
        octets: String,
        bit: usize,
    },
    Edit {
        #[serde(flatten)]
        held: Held,
        /// Of the field among the fields.
        place: usize,
        text: String,
    },
    Answer {
        octets: String,
    },
    ByteOrder {
        octets: String,
    },
    /// Text with datagrams in hexadecimal.
    Paste {
        text: String,
    },
    /// A capture file, in hexadecimal; `port` is the server's, if it is chosen.
    Capture {
        octets: String,
        #[serde(default)]
        port: Option<u16>,
    },
    Run {
        octets: String,
        #[serde(flatten)]
        settings: Settings,
    },
    Quiz {
        seed: u64,
    },
    QuizCheck {
        seed: u64,
        answers: Vec<String>,
    },
}

/// Answers a call: a JSON object, with a member `error` (a sentence) where the call cannot be answered.
pub fn answer(call: &[u8]) -> Vec<u8> {
    let answer = serde_json::from_slice(call).map_err(|error| error.to_string()).and_then(respond);
    let answer = answer.unwrap_or_else(|error| json!({ "error": error }));
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn respond(call: PageCall) -> Result<Value, String> {
    match call {
        PageCall::About => Ok(about()),
        PageCall::Compose(wish) => compose::compose(&wish).and_then(|composed: Composed| value(&composed)),
        PageCall::Wish { octets } => value(&compose::recognize(&octets_of(&octets)?)),
        PageCall::Explain(held) => held.view(|view| value(&DescriptionJson::new(view)))?,
        PageCall::Flip { octets, bit } => Ok(json!({ "octets": hexadecimal(&view::flipped(&octets_of(&octets)?, bit)) })),
        PageCall::Edit { held, place, text } => {
            let edited = held.view(|view| view.edited(place, &text))?;
            edited.map(|octets| json!({ "octets": hexadecimal(&octets) })).map_err(|error| error.to_string())
        }
        PageCall::Answer { octets } => value(&ServerAnswer::to(&octets_of(&octets)?)),
        PageCall::ByteOrder { octets } => byte_order(&octets_of(&octets)?),
        PageCall::Paste { text } => paste(&text),
        PageCall::Capture { octets, port } => captured(octets_of(&octets)?, port),
        PageCall::Run { octets, settings } => run::run(&octets_of(&octets)?, &settings).and_then(|run| value(&run)),
        PageCall::Quiz { seed } => value(&quiz::question(seed)),
        PageCall::QuizCheck { seed, answers } => value(&quiz::check(seed, &answers)),
    }
}

pub fn value(answer: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

pub fn octets_of(text: &str) -> Result<Vec<u8>, String> {
    let mut datagrams = hex::datagrams(&[text.to_owned()])?;
    if datagrams.len() == 1 { Ok(datagrams.remove(0)) } else { Err("expected one datagram".to_owned()) }
}

impl Held {
    /// Hands its view over; with the request that it answers, its result is computed again.
    fn view<T>(&self, then: impl FnOnce(&View<'_>) -> T) -> Result<T, String> {
        let octets = octets_of(&self.octets)?;
        let asked = self.asked.as_deref().map(octets_of).transpose()?;
        let message = match self.direction {
            Some(Way::Request) => Direction::Request,
            Some(Way::Reply) => Direction::Reply,
            None => Direction::guess(&octets),
        };
        let mut view = match message {
            Direction::Request => View::request(&octets),
            Direction::Reply => View::reply(&octets, asked.as_deref()),
        };
        if message == Direction::Reply
            && let Some(fault) = asked.as_deref().and_then(|asked| verdict::verdict(asked, &view))
        {
            view.add(fault);
        }
        Ok(then(&view))
    }
}

fn about() -> Value {
    let operators: Vec<Value> = Operator::ALL
        .into_iter()
        .map(|operator| {
            let count = operator.operand_count();
            json!({
                "symbol": operator.symbol(),
                "word": operator.word(),
                "least_operands": count.start(),
                "most_operands": if *count.end() == usize::MAX { None } else { Some(count.end()) },
            })
        })
        .collect();
    let retransmission = exchange::Retransmission::default();
    json!({
        "operators": operators,
        "examples": examples(),
        "specification": SPECIFICATION,
        "max_request": wire::MAX_REQUEST,
        "max_reply": wire::MAX_REPLY,
        "first_wait_ms": retransmission.first_wait.as_millis() as u64,
        "retries": retransmission.retries,
        "servers": run::SERVERS.map(|(_, name, words)| json!({ "name": name, "words": words })),
    })
}

/// The golden datagrams of the specification: the rows of its tables that begin with octets, and the annotated request.
fn examples() -> Vec<Value> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let octets = octets_of(cells.next()?.trim_matches('`')).ok()?;
        (octets.len() > 1).then(|| {
            let words = cells.nth(1).unwrap_or_default();
            // A link has its words in brackets.
            let words = words.strip_prefix('[').and_then(|link| link.split_once(']')).map_or(words, |(words, _)| words);
            json!({ "octets": hexadecimal(&octets), "words": words })
        })
    };
    let annotated = |line: &str| {
        let octets = octets_of(line.trim().strip_prefix("request ")?).ok()?;
        Some(json!({ "octets": hexadecimal(&octets), "words": View::request(&octets).to_string() }))
    };
    SPECIFICATION.lines().filter_map(|line| row(line).or_else(|| annotated(line))).collect()
}

fn byte_order(octets: &[u8]) -> Result<Value, String> {
    let view = View::request(octets);
    let swapped = view.byte_swapped();
    let swapped_view = View::request(&swapped);
    let rows: Vec<Value> = view
        .fields()
        .iter()
        .zip(swapped_view.fields())
        .filter(|(field, _)| field.name == view::Name::Operand)
        .map(|(field, other)| {
            json!({
                "label": field.label(),
                "value": field.value,
                "octets": hexadecimal(&octets[field.octets()]),
                "swapped_value": other.value,
                "swapped_octets": hexadecimal(&swapped[other.octets()]),
            })
        })
        .collect();
    let answer = ServerAnswer::to(octets);
    let misread = answer.octets().map(|reply| {
        let read = View::reply(reply, Some(octets)).byte_swapped();
        View::reply(&read, Some(octets)).to_string()
    });
    Ok(json!({
        "request": view.to_string(),
        "rows": rows,
        "asked": DescriptionJson::new(&swapped_view),
        "right": answer,
        "answer": ServerAnswer::to(&swapped),
        "misread": misread,
    }))
}

fn paste(text: &str) -> Result<Value, String> {
    let mut sequence = Sequence::default();
    let mut datagrams = Vec::new();
    let mut lines = hex::HexReader::default();
    let mut typed = Vec::new();
    for line in text.lines() {
        typed.extend(lines.line(line.as_bytes())?);
    }
    typed.extend(lines.end());
    for (message, octets) in typed {
        let octets = capture::payload(&octets).unwrap_or(octets);
        let explained = sequence.explain(&sequence::ExplainInput { octets: &octets, message, seen: None });
        datagrams.push(value(&DatagramJson::new(&explained))?);
    }
    if datagrams.is_empty() {
        return Err("no octets: expected pairs of hexadecimal digits".to_owned());
    }
    Ok(json!({ "datagrams": datagrams }))
}

fn captured(file: Vec<u8>, port: Option<u16>) -> Result<Value, String> {
    let ports = capture::ports(&file)?;
    let Some(port) = port.or(ports.first().copied()) else {
        return Err("the capture holds no UDP datagram".to_owned());
    };
    // Twice, because only their answers prove that classic requests are trains of segments.
    let mut sequence = Sequence::first_reading();
    let mut capture = capture::Capture::new(Box::new(std::io::Cursor::new(file.clone())), port)?;
    while let Some(Ok(captured)) = capture.next_datagram() {
        sequence.explain_captured(&captured.as_datagram());
    }
    let mut sequence = sequence.again();
    let mut capture = capture::Capture::new(Box::new(std::io::Cursor::new(file)), port)?;
    let mut datagrams = Vec::new();
    let mut damage = None;
    while let Some(captured) = capture.next_datagram() {
        match captured {
            Ok(captured) => {
                for explained in sequence.explain_captured(&captured.as_datagram()) {
                    datagrams.push(value(&DatagramJson::new(&explained))?);
                }
            }
            // What came before is shown.
            Err(error) => {
                damage = Some(error);
                break;
            }
        }
    }
    let left_out = capture.left_out().to_string();
    Ok(json!({
        "port": port,
        "ports": ports,
        "datagrams": datagrams,
        "left_out": left_out.trim(),
        "damage": damage,
    }))
}

/// The number that a text is, as everything here reads numbers.
pub fn number(text: &str) -> Result<Number, String> {
    text.parse().map_err(|error| format!("'{text}': {error}"))
}
