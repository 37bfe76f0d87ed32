//! Many questions, answered in any order, given back in theirs.

use std::collections::VecDeque;
use std::net::SocketAddrV6;

use super::batch::{NextRequest, RequestSource};
use super::error::Error;
use super::number_of_reply;
use super::pipeline::NewRequest;
use crate::arithmetic::{Number, evaluate};
use crate::exchange::Question;
use crate::exchange::plan::{Forms, PlannedRequest, plan};
use crate::wire::{AMPLIFICATION, Format, Operator, Status, extended};

/// Questions on their way to the servers.
pub struct Many {
    format: Format,
    asked: Vec<Asked>,
    parts: Vec<Planned>,
    /// The next part to ask.
    next: usize,
    /// Parts to ask again with wider requests.
    again: VecDeque<(usize, Question)>,
    /// The request that was given out last.
    current: Option<Question>,
}

struct Asked {
    operator: Operator,
    operands: Vec<Number>,
    results: Vec<Option<Number>>,
    error: Option<Error>,
}

struct Planned {
    question: usize,
    /// Its place among the parts of its question.
    place: usize,
    part: PlannedRequest,
    widened: bool,
}

impl Many {
    /// Plans every question; those that no request can say have their error from the start.
    pub fn new(questions: impl IntoIterator<Item = (Operator, Vec<Number>)>, format: Format) -> Many {
        let (mut asked, mut parts) = (Vec::new(), Vec::new());
        for (operator, operands) in questions {
            let (planned, error) = match plan(operator, format, Forms::Extended, &operands) {
                Ok(planned) => (planned, None),
                Err(error) => (Vec::new(), Some(error.into())),
            };
            let question = asked.len();
            let results = vec![None; planned.len()];
            let planned = planned.into_iter().enumerate();
            parts.extend(planned.map(|(place, part)| Planned { question, place, part, widened: false }));
            asked.push(Asked { operator, operands, results, error });
        }
        Many { format, asked, parts, next: 0, again: VecDeque::new(), current: None }
    }

    /// Gives out the first part alone.
    pub fn take_first(&mut self) -> Option<Question> {
        self.next_part().map(|part| self.question(part))
    }

    /// Takes the answer to what [`take_first`](Self::take_first) gave out.
    ///
    /// # Errors
    /// Those that concern not the question but the server.
    pub fn answered_first(&mut self, answer: Result<Number, Error>) -> Result<(), Error> {
        self.settle(self.next.saturating_sub(1), answer)
    }

    /// The answers, in the order of the questions.
    pub fn finish(self) -> Vec<Result<Number, Error>> {
        self.asked.into_iter().map(Asked::finish).collect()
    }

    /// The next part of a question that has no error yet.
    fn next_part(&mut self) -> Option<usize> {
        while let Some(planned) = self.parts.get(self.next) {
            self.next += 1;
            if self.asked[planned.question].error.is_none() {
                return Some(self.next - 1);
            }
        }
        None
    }

    fn settle(&mut self, part: usize, answer: Result<Number, Error>) -> Result<(), Error> {
        let Planned { question, place, .. } = self.parts[part];
        let asked = &mut self.asked[question];
        match answer {
            Ok(number) => asked.results[place] = Some(number),
            Err(error @ (Error::Status { .. } | Error::ClassicError { .. } | Error::NotANumber { .. })) => {
                asked.error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn question(&self, part: usize) -> Question {
        let Planned { question, part, .. } = &self.parts[part];
        let asked = &self.asked[*question];
        part.question(asked.operator, self.format, &asked.operands)
    }

    /// The wider request that a reply says would do, the first time it does.
    fn wider(&mut self, part: usize, reply: &extended::Reply<'_>) -> Option<Question> {
        if reply.status() != Some(Status::TooLarge) || self.parts[part].widened {
            return None;
        }
        let question = self.question(part);
        let needed = reply.needed().filter(|needed| *needed as usize > AMPLIFICATION * question.request_len())?;
        let wider = question.widened(needed)?;
        self.parts[part].widened = true;
        Some(wider)
    }
}

impl Asked {
    fn finish(self) -> Result<Number, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let results: Option<Vec<Number>> = self.results.into_iter().collect();
        let mut results = results.ok_or_else(|| Error::Unanswered(Vec::new()))?;
        match results.len() {
            1 => Ok(results.swap_remove(0)),
            _ => evaluate(self.operator, &results, u64::MAX).map_err(Error::Combine),
        }
    }
}

impl RequestSource for Many {
    fn next(&mut self) -> Result<NextRequest<'_>, Error> {
        let (part, question) = match self.again.pop_front() {
            Some(again) => again,
            None => match self.next_part() {
                Some(part) => (part, self.question(part)),
                None => return Ok(NextRequest::Done),
            },
        };
        let question = self.current.insert(question);
        let request = NewRequest {
            operator: question.operator(),
            format: question.format(),
            width: question.width(),
            operands: question.operands(),
        };
        Ok(NextRequest::Request(part as u64, request))
    }

    fn answered(&mut self, peer: SocketAddrV6, tag: u64, reply: &extended::Reply<'_>) -> Result<(), Error> {
        let part = tag as usize;
        if let Some(wider) = self.wider(part, reply) {
            self.again.push_back((part, wider));
            return Ok(());
        }
        let operator = self.asked[self.parts[part].question].operator;
        self.settle(part, number_of_reply(peer, operator, reply))
    }
}
