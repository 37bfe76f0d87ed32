//! Many questions, answered in any order, in memory that does not grow with their number.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::time::Instant;

use super::accumulator::{Accumulator, check_length};
use super::batch::{BatchDriver, NextRequest, RequestSource};
use super::cancel::Cancellation;
use super::error::Error;
use super::evaluation::{Evaluation, number_of, number_of_reply};
use super::pipeline::NewRequest;
use super::transport::AT_ONCE;
use super::{Client, Config};
use crate::arithmetic::Number;
use crate::exchange::plan::{PlannedRequest, plan};
use crate::exchange::{Forms, Question};
use crate::wire::{AMPLIFICATION, Format, Operator, Status, extended};

/// An answer among many.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The place of its question, the first being 0.
    pub place: u64,
    /// The result.
    pub result: Result<Number, Error>,
}

/// How many answers may wait to be taken before further questions are.
const WAITING: usize = 256;

/// Questions on their way to the servers.
pub struct Many<I> {
    questions: I,
    /// Questions that are asked outside of the pipeline.
    peeked: Vec<(Operator, Vec<Number>)>,
    format: Format,
    max_result: u64,
    /// How many questions were taken.
    taken: u64,
    /// The question whose parts are being given out.
    current: Option<Current>,
    /// Questions of which parts are asked, by their places.
    asked: HashMap<u64, AskedQuestion>,
    /// Parts that are asked, by their tags.
    parts: HashMap<u64, AskedPart>,
    next_tag: u64,
    /// Parts to ask again with wider requests.
    again: VecDeque<u64>,
    answers: VecDeque<Answer>,
}

struct Current {
    place: u64,
    operator: Operator,
    operands: Vec<Number>,
    parts: std::vec::IntoIter<PlannedRequest>,
}

struct AskedQuestion {
    operator: Operator,
    /// Parts that are not answered yet.
    open: usize,
    /// Of several parts.
    accumulator: Option<Accumulator>,
    result: Option<Number>,
}

struct AskedPart {
    place: u64,
    question: Question,
    widened: bool,
}

impl<I: Iterator<Item = (Operator, Vec<Number>)>> Many<I> {
    /// Takes the questions as they can be asked.
    pub fn new(questions: I, config: &Config) -> Many<I> {
        Many {
            questions,
            peeked: Vec::new(),
            format: config.format,
            max_result: config.max_result,
            taken: 0,
            current: None,
            asked: HashMap::new(),
            parts: HashMap::new(),
            next_tag: 0,
            again: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// An answer that has come.
    pub fn pop(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Gives out the next part, with its tag; `None` if there is none, or if answers are to be taken first.
    pub fn next_part(&mut self) -> Option<(u64, Question)> {
        if let Some(tag) = self.again.pop_front() {
            let part = self.parts.get(&tag)?;
            return Some((tag, part.question.clone()));
        }
        loop {
            if let Some(current) = &mut self.current
                && let Some(part) = current.parts.next()
            {
                let question = part.question(current.operator, self.format, &current.operands);
                let tag = self.next_tag;
                self.next_tag += 1;
                self.parts.insert(tag, AskedPart { place: current.place, question: question.clone(), widened: false });
                return Some((tag, question));
            }
            if self.answers.len() >= WAITING || !self.begin() {
                return None;
            }
        }
    }

    /// Takes the answer to a part.
    ///
    /// # Errors
    /// Those that concern not the question but the server.
    pub fn settle(&mut self, tag: u64, answer: Result<Number, Error>) -> Result<(), Error> {
        let Some(AskedPart { place, .. }) = self.parts.remove(&tag) else { return Ok(()) };
        let Some(asked) = self.asked.get_mut(&place) else { return Ok(()) };
        asked.open -= 1;
        let added = answer.and_then(|number| asked.add(number));
        let result = match added {
            Ok(()) if asked.open > 0 => return Ok(()),
            Ok(()) => self.asked.remove(&place).and_then(|asked| asked.finish(self.max_result).transpose()),
            Err(error) if !error.concerns_one_question() => {
                // `fail` reports it.
                return Err(error);
            }
            Err(error) => {
                // Its other parts no longer count.
                self.asked.remove(&place);
                self.current.take_if(|current| current.place == place);
                Some(Err(error))
            }
        };
        self.answers.extend(result.map(|result| Answer { place, result }));
        Ok(())
    }

    /// Ends all questions that were taken.
    pub fn fail(&mut self, error: Error) {
        self.current = None;
        self.parts.clear();
        let mut places: Vec<u64> = self.asked.drain().map(|(place, _)| place).collect();
        places.sort_unstable();
        let others = places.split_off(places.len().min(1));
        let others: Vec<Answer> =
            others.into_iter().map(|place| Answer { place, result: Err(error.for_another()) }).collect();
        // Where nothing is in flight, the next question gets the error.
        let place = places.pop().or_else(|| self.questions.next().map(|_| self.taken));
        self.answers.extend(place.map(|place| Answer { place, result: Err(error) }));
        self.answers.extend(others);
    }

    /// Whether there is no answer to take.
    #[cfg(feature = "tokio")]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The next few questions, for a caller that asks them without the pipeline.
    pub fn peek_some(&mut self) -> &[(Operator, Vec<Number>)] {
        let missing = AT_ONCE - self.peeked.len();
        self.peeked.extend(self.questions.by_ref().take(missing));
        &self.peeked
    }

    /// Takes the answers to [`peek_some`](Self::peek_some); true if there will be no others.
    pub fn settle_some(&mut self, evaluations: Result<Vec<Result<Evaluation, Error>>, Error>) -> bool {
        let places = self.taken..self.taken + self.peeked.len() as u64;
        self.taken = places.end;
        self.peeked.clear();
        match evaluations {
            Ok(evaluations) => self.answers.extend(places.zip(evaluations).map(|(place, evaluation)| {
                let result = evaluation.map(|evaluation| evaluation.result);
                Answer { place, result }
            })),
            Err(error) => {
                let others = places.clone().skip(1);
                let others: Vec<Answer> =
                    others.map(|place| Answer { place, result: Err(error.for_another()) }).collect();
                self.answers.push_back(Answer { place: places.start, result: Err(error) });
                self.answers.extend(others);
                return true;
            }
        }
        false
    }

    /// Takes the next question; false if there is none.
    fn begin(&mut self) -> bool {
        self.current = None;
        let Some((operator, operands)) = self.questions.next() else { return false };
        let place = self.taken;
        self.taken += 1;
        match plan(operator, self.format, Forms::Extended, &operands) {
            Ok(plan) => {
                let several = plan.parts.len() > 1 || plan.first.is_some();
                let accumulator =
                    several.then(|| Accumulator::of_plan(operator, plan.operator, plan.first, self.max_result));
                let open = plan.parts.len();
                self.asked.insert(place, AskedQuestion { operator, open, accumulator, result: None });
                let parts = plan.parts.into_iter();
                self.current = Some(Current { place, operator: plan.operator, operands, parts });
            }
            Err(error) => self.answers.push_back(Answer { place, result: Err(error.into()) }),
        }
        true
    }

    /// Asks a part again with the wider request that a reply says would do, the first time it does.
    fn widen(&mut self, tag: u64, reply: &extended::Reply<'_>) -> bool {
        let Some(part) = self.parts.get_mut(&tag).filter(|part| !part.widened) else { return false };
        if reply.status() != Some(Status::TooLarge) {
            return false;
        }
        let asked = AMPLIFICATION * part.question.request_len();
        let needed = reply.needed().filter(|needed| *needed as usize > asked);
        let Some(wider) = needed.and_then(|needed| part.question.widened(needed)) else { return false };
        (part.question, part.widened) = (wider, true);
        self.again.push_back(tag);
        true
    }
}

impl AskedQuestion {
    fn add(&mut self, number: Number) -> Result<(), Error> {
        match &mut self.accumulator {
            Some(accumulator) => accumulator.add(number)?,
            None => self.result = Some(number),
        }
        Ok(())
    }

    fn finish(self, max_result: u64) -> Result<Option<Number>, Error> {
        let result = match self.accumulator {
            Some(accumulator) => accumulator.finish()?,
            None => self.result,
        };
        if let Some(result) = &result {
            check_length(self.operator, result, max_result)?;
        }
        Ok(result)
    }
}

/// The request that was given out last, for the pipeline to read.
pub struct ManyRequests<'a, I> {
    many: &'a mut Many<I>,
    question: Option<Question>,
}

impl<'a, I> ManyRequests<'a, I> {
    pub fn new(many: &'a mut Many<I>) -> ManyRequests<'a, I> {
        ManyRequests { many, question: None }
    }
}

impl<I: Iterator<Item = (Operator, Vec<Number>)>> RequestSource for ManyRequests<'_, I> {
    fn next(&mut self) -> Result<NextRequest<'_>, Error> {
        let Some((tag, question)) = self.many.next_part() else {
            let later = self.many.answers.len() >= WAITING;
            return Ok(if later { NextRequest::Later } else { NextRequest::Done });
        };
        let question = self.question.insert(question);
        let request = NewRequest {
            operator: question.operator(),
            format: question.format(),
            width: question.width(),
            operands: question.operands(),
        };
        Ok(NextRequest::Request(tag, request))
    }

    fn answered(&mut self, peer: SocketAddrV6, tag: u64, reply: &extended::Reply<'_>) -> Result<(), Error> {
        if self.many.widen(tag, reply) {
            return Ok(());
        }
        let Some(operator) = self.many.parts.get(&tag).map(|part| part.question.operator()) else { return Ok(()) };
        self.many.settle(tag, number_of_reply(peer, operator, reply))
    }
}

/// The answers of [`Client::evaluate_stream`], as they come.
pub struct Answers<'c, I> {
    client: &'c mut Client,
    cancellation: Arc<Cancellation>,
    many: Many<I>,
    start: Instant,
    state: StreamState,
}

enum StreamState {
    /// Nothing is asked yet. The first question goes alone: it finds the address that answers, and a peer that knows
    /// only the classic form.
    First,
    /// In the classic form, a few at a time.
    Classic,
    /// Through a pipeline.
    Pipeline(Box<BatchDriver>),
    Done,
}

impl<'c, I: Iterator<Item = (Operator, Vec<Number>)>> Answers<'c, I> {
    pub(super) fn new(client: &'c mut Client, questions: I) -> Answers<'c, I> {
        let state = if client.config.forms == Forms::Classic { StreamState::Classic } else { StreamState::First };
        Answers {
            cancellation: Arc::clone(&client.cancellation),
            many: Many::new(questions, &client.config),
            client,
            start: Instant::now(),
            state,
        }
    }

    fn proceed(&mut self) -> Result<(), Error> {
        let Answers { client, cancellation, many, start, state } = self;
        match state {
            StreamState::First => {
                if let Some((tag, question)) = many.next_part() {
                    let reply = client.ask(question, *start, &mut |_, _| {});
                    many.settle(tag, reply.and_then(|reply| number_of(reply.peer, &reply.answer)))?;
                    *state =
                        StreamState::Pipeline(Box::new(BatchDriver::new(&client.servers(), &client.config, *start)?));
                } else if many.answers.is_empty() {
                    *state = StreamState::Done;
                }
            }
            StreamState::Classic => {
                let questions = many.peek_some();
                if questions.is_empty() {
                    *state = StreamState::Done;
                    return Ok(());
                }
                let call = super::Call { start: *start, ..client.call() };
                let evaluations = client.each_in(call, questions, &mut |_, _| {});
                if many.settle_some(evaluations) {
                    *state = StreamState::Done;
                }
            }
            StreamState::Pipeline(driver) => {
                let work = &mut ManyRequests::new(many);
                if !driver.step(&mut client.random, cancellation, work, &mut |_, _| {})? {
                    *state = StreamState::Done;
                }
            }
            StreamState::Done => {}
        }
        Ok(())
    }
}

impl<I: Iterator<Item = (Operator, Vec<Number>)>> Iterator for Answers<'_, I> {
    type Item = Answer;

    fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.many.pop() {
                return Some(answer);
            }
            if let StreamState::Done = self.state {
                return None;
            }
            if let Err(error) = self.proceed() {
                self.state = StreamState::Done;
                self.many.fail(error);
            }
        }
    }
}

impl<I> std::fmt::Debug for Answers<'_, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").field("taken", &self.many.taken).finish_non_exhaustive()
    }
}

/// All answers, in the order of their questions.
///
/// # Errors
/// The first that concerns not the question but the server.
pub fn in_order(answers: impl Iterator<Item = Answer>) -> Result<Vec<Result<Number, Error>>, Error> {
    let mut all = Vec::new();
    for answer in answers {
        in_order_so_far(&mut all, answer)?;
    }
    Ok(all.into_iter().flatten().collect())
}

/// Puts an answer in its place.
///
/// # Errors
/// It concerns not the question but the server.
pub fn in_order_so_far(all: &mut Vec<Option<Result<Number, Error>>>, answer: Answer) -> Result<(), Error> {
    let place = answer.place as usize;
    match answer.result {
        Err(error) if !error.concerns_one_question() => Err(error),
        result => {
            all.resize_with(all.len().max(place + 1), || None);
            all[place] = Some(result);
            Ok(())
        }
    }
}
