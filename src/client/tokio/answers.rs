//! The answers to a stream of questions.

use std::time::Instant;

use super::super::Error;
use super::super::batch::Turn;
use super::super::evaluation::number_of;
use super::super::many::{Answer, Many, ManyRequests};
use super::Client;
use super::pipeline::AsyncBatchDriver;
use crate::arithmetic::Number;
use crate::exchange::{Forms, Question};
use crate::wire::Operator;

/// The answers of [`Client::evaluate_stream`], as they come.
pub struct Answers<I> {
    client: Client,
    many: Many<I>,
    start: Instant,
    state: AsyncStreamState,
}

enum AsyncStreamState {
    /// The first question goes alone, once it is taken: it finds the address that answers, and a peer that knows only
    /// the classic form.
    First(Option<(u64, Question)>),
    /// In the classic form, a few at a time.
    Classic,
    /// Through a pipeline.
    Pipeline(Box<AsyncBatchDriver>),
    Done,
}

impl<I: Iterator<Item = (Operator, Vec<Number>)>> Answers<I> {
    pub(super) fn new(client: Client, questions: I) -> Answers<I> {
        let config = &client.shared.config;
        let classic = config.forms == Forms::Classic;
        let state = if classic { AsyncStreamState::Classic } else { AsyncStreamState::First(None) };
        let many = Many::new(questions, config);
        Answers { client, many, start: Instant::now(), state }
    }

    /// The next answer; `None` after the last. The future can be dropped at any time; nothing is lost.
    pub async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.many.pop() {
                return Some(answer);
            }
            if let AsyncStreamState::Done = self.state {
                return None;
            }
            if let Err(error) = self.proceed().await {
                self.state = AsyncStreamState::Done;
                self.many.fail(error);
            }
        }
    }

    async fn proceed(&mut self) -> Result<(), Error> {
        let Answers { client, many, start, state } = self;
        match state {
            AsyncStreamState::First(first) => {
                if first.is_none() {
                    *first = many.next_part();
                }
                let Some((tag, question)) = first else {
                    if many.is_empty() {
                        *state = AsyncStreamState::Done;
                    }
                    return Ok(());
                };
                let reply = client.ask(question.clone(), *start).await;
                let first = reply.as_ref().ok().map(|reply| reply.peer);
                many.settle(*tag, reply.and_then(|reply| number_of(reply.peer, &reply.answer)))?;
                *state = AsyncStreamState::Pipeline(Box::new(client.pipeline(first, *start)?));
            }
            AsyncStreamState::Classic => {
                // Taken only with their answers, so that a dropped future loses none.
                let questions = many.peek_some();
                if questions.is_empty() {
                    *state = AsyncStreamState::Done;
                    return Ok(());
                }
                let evaluations = client.each_since(*start, questions).await;
                if many.settle_some(evaluations) {
                    *state = AsyncStreamState::Done;
                }
            }
            AsyncStreamState::Pipeline(driver) => match driver.turn(&mut ManyRequests::new(many))? {
                Turn::Done => *state = AsyncStreamState::Done,
                Turn::Again => tokio::task::yield_now().await,
                Turn::Wait { later: true } => {}
                Turn::Wait { later: false } => driver.wait().await?,
            },
            AsyncStreamState::Done => {}
        }
        Ok(())
    }
}

impl<I> std::fmt::Debug for Answers<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}
