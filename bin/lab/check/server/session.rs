//! What the checks of a server share: the prober, what runs beside it, and how answers are judged.

use std::thread::JoinHandle;

use calc6::arithmetic::{Number, evaluate};
use calc6::wire::{Format, Operator, SUCCESS, SUCCESS_BIT};

use crate::Failure;
use crate::check::probe::{Probe, Prober, without_nul};
use crate::check::report::{Judgement, hex};
use crate::check::service::Recipe;
use crate::check::table::Check;

/// A check, and what judges it.
pub struct ServerCheck {
    /// What is checked.
    pub check: Check,
    /// How.
    pub judge: Judge,
}

/// The function of a check.
#[derive(Clone, Copy)]
pub enum Judge {
    /// It asks the server.
    Now(fn(&mut ServerSession<'_>) -> Result<Judgement, Failure>),
    /// It looks at all that has been seen, or waits for what runs beside, when everything has been asked.
    AtEnd(fn(&mut ServerSession<'_>) -> Result<Judgement, Failure>),
}

/// What runs in a thread of its own, on another instance of the server.
pub type Companion = JoinHandle<Result<Judgement, Failure>>;

/// One run of the checks of a server.
pub struct ServerSession<'a> {
    /// The server.
    pub prober: &'a mut Prober,
    /// How to start another one.
    pub recipe: Option<&'a Recipe>,
    /// Requests of the extended form, with their replies.
    pub replies: Vec<(Vec<u8>, Vec<u8>)>,
    /// The check `quiet`.
    pub quiet: Option<Companion>,
    /// The checks `other-peer` and `asked-address`.
    pub elsewhere: Option<JoinHandle<Result<[Judgement; 2], Failure>>>,
    /// Their second half.
    pub asked_address: Option<Judgement>,
}

impl<'a> ServerSession<'a> {
    /// A session with a server; `recipe` if lab has started it.
    pub fn new(prober: &'a mut Prober, recipe: Option<&'a Recipe>) -> Self {
        Self { prober, recipe, replies: Vec::new(), quiet: None, elsewhere: None, asked_address: None }
    }

    /// Asks in the classic form.
    pub fn ask(&mut self, operator: Operator, format: Format, operands: &[u32]) -> Result<Probe, Failure> {
        self.prober.ask(&request(operator, format, operands))
    }
}

/// The first judgement that does not hold, or that all hold.
pub fn all(judgements: impl IntoIterator<Item = Result<Judgement, Failure>>) -> Result<Judgement, Failure> {
    for judgement in judgements {
        let judgement = judgement?;
        if !judgement.is_good() {
            return Ok(judgement);
        }
    }
    Ok(Judgement::holds([], ""))
}

/// A request in the classic form, however many operands it has.
pub fn request(operator: Operator, format: Format, operands: &[u32]) -> Vec<u8> {
    let opcode = u8::from(operator == Operator::Product);
    let mut datagram = vec![opcode << 1 | format as u8];
    datagram.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
    datagram
}

/// A request with this first octet.
pub fn with_first(first: u8, mut request: Vec<u8>) -> Vec<u8> {
    request[0] = first;
    request
}

/// The exact result.
pub fn exact(operator: Operator, operands: &[u32]) -> Number {
    let numbers: Vec<Number> = operands.iter().map(|operand| Number::from(*operand)).collect();
    evaluate(operator, &numbers, u64::MAX).unwrap_or(Number::ZERO)
}

/// Judges the answer to a request whose exact result fits 32 bits, by its octets alone.
pub fn judge(asked: &Probe, operator: Operator, format: Format, operands: &[u32]) -> Judgement {
    let right = |reply: &[u8]| match (reply, format) {
        ([first, result @ ..], Format::Integer) => {
            let value = u32::try_from(&exact(operator, operands)).ok();
            first & SUCCESS_BIT != 0 && value.is_some_and(|value| result == value.to_be_bytes())
        }
        ([first, digits @ ..], Format::Text) => {
            let text = exact(operator, operands).to_string();
            first & SUCCESS_BIT != 0 && without_nul(digits) == text.as_bytes()
        }
        ([], _) => false,
    };
    match asked.reply() {
        Some(reply) if right(reply) => holds(asked),
        _ => broken(asked, expected(operator, format, operands)),
    }
}

/// The reply of a server that sets all unused bits.
fn expected(operator: Operator, format: Format, operands: &[u32]) -> String {
    let result = exact(operator, operands);
    match format {
        Format::Integer => match u32::try_from(&result) {
            Ok(value) => format!("{} ({value})", hex(&[&[SUCCESS][..], &value.to_be_bytes()].concat())),
            Err(_) => "an error: S = 0".into(),
        },
        Format::Text => {
            let text = result.to_string();
            format!("{} (\"{text}\")", hex(&[&[SUCCESS], text.as_bytes()].concat()))
        }
    }
}

/// An error of any length.
pub fn judge_error(asked: &Probe) -> Judgement {
    match asked.reply() {
        Some([first, ..]) if first & SUCCESS_BIT == 0 => holds(asked),
        _ => broken(asked, "an error: S = 0"),
    }
}

/// It is as required: what was found says so.
pub fn holds(asked: &Probe) -> Judgement {
    Judgement::holds([asked.sent.clone()], asked.found())
}

/// It is not.
pub fn broken(asked: &Probe, expected: impl Into<String>) -> Judgement {
    Judgement::broken([asked.sent.clone()], expected, asked.found())
}

/// It is not: `why` says what the octets mean.
pub fn broken_because(asked: &Probe, expected: impl Into<String>, why: &str) -> Judgement {
    Judgement::broken([asked.sent.clone()], expected, format!("{}: {why}", asked.found()))
}

/// The operands of the course's examples.
pub const ODD: [u32; 5] = [1, 3, 5, 7, 9];

/// Whether two operations have results that tell them apart.
pub fn other(operator: Operator) -> Operator {
    if operator == Operator::Sum { Operator::Product } else { Operator::Sum }
}

/// The exact result as far as 64 bits hold it.
pub fn exact_u64(operator: Operator, operands: &[u32]) -> Option<u64> {
    u64::try_from(&exact(operator, operands)).ok()
}
