//! What a client returns, and how the replies to several requests make it.

use std::net::SocketAddrV6;
use std::time::Duration;

use super::Config;
use super::accumulator::{Accumulator, check_length};
use super::error::Error;
use super::pipeline::PipelineCounts;
use super::transport::PeerAnswer;
use crate::arithmetic::Number;
use crate::exchange::plan::{Plan, plan};
use crate::exchange::{self, Outcome, Payload, PlanError, Question};
use crate::wire::{Form, Format, Operator, extended};

/// A result and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The result.
    pub result: Number,
    /// How many operands there were.
    pub operands: u64,
    /// The form of the requests.
    pub form: Form,
    /// Who answered, the last request if there were several.
    pub peer: SocketAddrV6,
    /// How many requests it took.
    pub requests: u64,
    /// How many datagrams were sent for them, repeats included.
    pub transmissions: u64,
    /// The time from the sending of the last request to its reply; `None` where many were in flight at once.
    pub rtt: Option<Duration>,
    /// Whether a classic server sent a string with a terminating NUL, against the course's format.
    pub trailing_nul: bool,
    /// Each server that was asked through a pipeline; empty where there was none.
    pub servers: Vec<ServerShare>,
}

/// What one of several servers has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerShare {
    /// Its address in use last.
    pub peer: SocketAddrV6,
    /// How many datagrams it was sent, repeats included.
    pub sent: u64,
    /// How many requests it has answered.
    pub answered: u64,
    /// Whether it stopped answering, so that others took over.
    pub given_up: bool,
}

/// The value of an expression, and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpressionValue {
    /// The value.
    pub result: Number,
    /// How many requests it took.
    pub requests: u64,
    /// How many datagrams were sent for them, repeats included.
    pub transmissions: u64,
    /// The evaluation that ended last; `None` if nothing had to be asked.
    pub last: Option<Evaluation>,
}

impl ExpressionValue {
    pub(super) fn new() -> ExpressionValue {
        ExpressionValue { result: Number::ZERO, requests: 0, transmissions: 0, last: None }
    }

    /// Counts the evaluation of a part.
    pub(super) fn add(&mut self, evaluation: Evaluation) {
        self.requests += evaluation.requests;
        self.transmissions += evaluation.transmissions;
        self.last = Some(evaluation);
    }
}

/// A server's description of itself, and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name and version, then `key=value` lines.
    pub text: String,
    /// Who answered.
    pub peer: SocketAddrV6,
    /// How many datagrams were sent, repeats included.
    pub transmissions: u64,
    /// The time from the sending of the request to its reply.
    pub rtt: Option<Duration>,
}

/// How far an evaluation over a text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Octets of the text that were read.
    pub octets: u64,
    /// Operands that were sent.
    pub operands: u64,
    /// Requests that were answered.
    pub answered: u64,
}

/// What several questions take.
pub struct Plans<'a> {
    format: Format,
    max_result: u64,
    questions: &'a [(Operator, Vec<Number>)],
    plans: Vec<Result<Plan, PlanError>>,
}

impl<'a> Plans<'a> {
    pub fn new(questions: &'a [(Operator, Vec<Number>)], config: &Config) -> Plans<'a> {
        let Config { format, forms, max_result, .. } = *config;
        let plans = questions.iter().map(|(operator, operands)| plan(*operator, format, forms, operands));
        Plans { format, max_result, questions, plans: plans.collect() }
    }

    /// The parts of all questions, in their order.
    pub fn questions(&self) -> Vec<Question> {
        let planned = self.plans.iter().zip(self.questions);
        planned
            .flat_map(|(plan, (_, operands))| plan.iter().flat_map(|plan| requests(plan, self.format, operands)))
            .collect()
    }

    /// The evaluations that the replies to the parts make.
    pub fn combine(self, replies: Vec<Result<PeerAnswer, Error>>) -> Vec<Result<Evaluation, Error>> {
        let mut replies = replies.into_iter();
        let evaluations = self.plans.into_iter().zip(self.questions).map(|(plan, (operator, operands))| {
            let replies = replies.by_ref().take(plan.as_ref().map_or(0, |plan| plan.parts.len())).collect();
            combine(*operator, operands.len(), plan?, replies, self.max_result)
        });
        evaluations.collect()
    }
}

/// The requests of a plan over these operands.
pub fn requests(plan: &Plan, format: Format, operands: &[Number]) -> Vec<Question> {
    plan.parts.iter().map(|part| part.question(plan.operator, format, operands)).collect()
}

/// The evaluation that the replies to the parts of a question make.
pub fn combine(
    operator: Operator,
    operands: usize,
    plan: Plan,
    replies: Vec<Result<PeerAnswer, Error>>,
    max_result: u64,
) -> Result<Evaluation, Error> {
    let Plan { operator: reducing, first, parts } = plan;
    let mut accumulator =
        (parts.len() > 1 || first.is_some()).then(|| Accumulator::of_plan(operator, reducing, first, max_result));
    let mut result = None;
    let mut transmissions = 0;
    let mut last = None;
    for reply in replies {
        let reply = reply?;
        let number = number_of(reply.peer, &reply.answer)?;
        match &mut accumulator {
            Some(accumulator) => accumulator.add(number)?,
            None => result = Some(number),
        }
        transmissions += u64::from(reply.statistics.transmissions);
        last = Some(reply);
    }
    if let Some(accumulator) = accumulator {
        result = accumulator.finish()?;
    }
    let (Some(reply), Some(part), Some(result)) = (last, parts.last(), result) else {
        return Err(PlanError::OperandCount { operator, found: operands }.into());
    };
    check_length(operator, &result, max_result)?;
    Ok(Evaluation {
        result,
        operands: operands as u64,
        form: part.form,
        peer: reply.peer,
        requests: parts.len() as u64,
        transmissions,
        rtt: reply.statistics.rtt,
        trailing_nul: matches!(reply.answer, Payload::Decimal { trailing_nul: true, .. }),
        servers: Vec::new(),
    })
}

pub fn description(reply: PeerAnswer) -> Result<Description, Error> {
    let PeerAnswer { peer, answer, statistics } = reply;
    let text = match answer {
        Payload::Description(text) | Payload::NotDecimal(text) | Payload::Decimal { digits: text, .. } => text,
        // A server that ignores the format: what its octets spell.
        Payload::Integer(octets) => exchange::printable_lines(&octets),
    };
    Ok(Description { text, peer, transmissions: u64::from(statistics.transmissions), rtt: statistics.rtt })
}

impl Evaluation {
    /// Adds what the requests of a pipeline counted.
    pub(super) fn continued(&mut self, counts: &PipelineCounts, servers: Vec<ServerShare>) {
        self.requests += counts.answered;
        self.transmissions += counts.transmissions;
        self.rtt = None;
        self.servers = servers;
    }

    /// Adds what a further request counted; the result is the later one.
    pub(super) fn follow(&mut self, later: Evaluation) {
        let (operands, requests, transmissions) = (self.operands, self.requests, self.transmissions);
        *self = later;
        self.operands += operands;
        self.requests += requests;
        self.transmissions += transmissions;
    }
}

/// The number that an answer is.
pub fn number_of(peer: SocketAddrV6, answer: &Payload) -> Result<Number, Error> {
    match answer.number() {
        Some(number) => Ok(number),
        None => Err(Error::NotANumber { peer, text: answer.text() }),
    }
}

/// The number that an extended reply brings, or the error that it reports.
pub fn number_of_reply(peer: SocketAddrV6, operator: Operator, reply: &extended::Reply<'_>) -> Result<Number, Error> {
    if reply.is_success() && reply.format() == Format::Integer {
        return Ok(Number::from_octets(reply.result()));
    }
    match Outcome::of_extended(reply, operator) {
        Outcome::Answer(answer) => number_of(peer, &answer),
        outcome => Err(Error::of_outcome(peer, outcome).unwrap_or_else(|| Error::unanswered(Vec::new()))),
    }
}
