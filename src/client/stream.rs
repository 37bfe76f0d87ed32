//! One associative operator over any number of operands, read as they are sent.

use std::io::{self, Read};
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::accumulator::Accumulator;
use super::batch::{NextRequest, RequestSource};
use super::chunk::Chunk;
use super::error::Error;
use super::pipeline::NewRequest;
use super::text::{IntegerReader, Item};
use super::{Evaluation, number_of_reply};
use crate::arithmetic::Number;
use crate::wire::{Format, Operator, extended};

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

/// A text on its way to the servers.
pub struct Stream<'a, R> {
    text: IntegerReader<R>,
    operator: Operator,
    format: Format,
    /// The next request.
    chunk: Chunk,
    /// An operand that found no room in it.
    held: Option<Number>,
    /// Whether the chunk was given out.
    given: bool,
    /// Of associative operators.
    accumulator: Option<Accumulator>,
    /// Who answered last.
    peer: Option<SocketAddrV6>,
    progress: Progress,
    interrupt: &'a AtomicBool,
    tell: &'a mut dyn FnMut(Progress),
}

/// The operands at the beginning of a text.
pub struct Head {
    /// As many as one datagram may hold, or all.
    pub operands: Vec<Number>,
    /// Whether there are more.
    pub more: bool,
}

impl<'a, R: Read + AsFd> Stream<'a, R> {
    /// `room` is how many octets of operands one request may carry; products and least common multiples of over
    /// `max_result` octets are refused.
    pub fn new(
        source: R,
        operator: Operator,
        format: Format,
        room: usize,
        max_result: u64,
        interrupt: &'a AtomicBool,
        tell: &'a mut dyn FnMut(Progress),
    ) -> Stream<'a, R> {
        Stream {
            text: IntegerReader::new(source),
            operator,
            format,
            chunk: Chunk::new(room),
            held: None,
            given: false,
            accumulator: operator.is_associative().then(|| Accumulator::new(operator, max_result)),
            peer: None,
            progress: Progress::default(),
            interrupt,
            tell,
        }
    }

    /// Takes at most so many operands off the beginning; waits for input.
    ///
    /// # Errors
    /// Of the text, and of whoever watches.
    pub fn head(&mut self, most: usize) -> Result<Head, Error> {
        let mut operands = Vec::new();
        loop {
            let item = match self.held.take() {
                Some(operand) => Item::Number(operand),
                None => self.text.next_item()?,
            };
            match item {
                Item::Word(_) | Item::Number(_) if operands.len() == most => {
                    self.held = number(item);
                    break;
                }
                Item::Word(_) | Item::Number(_) => operands.extend(number(item)),
                Item::Pending => self.wait_and_read()?,
                Item::End => break,
            }
        }
        self.progress.operands += operands.len() as u64;
        Ok(Head { operands, more: self.held.is_some() })
    }

    /// A signal ends the wait for input, not its reading: that would go on after the signal (SA_RESTART, signal(7)).
    fn wait_and_read(&mut self) -> Result<(), Error> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match poll(&mut [PollFd::new(self.text.source(), PollFlags::IN)], None) {
            Ok(_) => self.read(),
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Error::System { what: "poll", error: error.into() }),
        }
    }

    /// Whether an operator goes on over more operands than its head.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self, head: &[Number]) -> Result<(), Error> {
        if self.accumulator.is_some() {
            return Ok(());
        }
        let width = head.iter().map(Number::octet_len).max().unwrap_or(1);
        Err(Error::TooMany { operator: self.operator, most: extended::MAX_OPERAND_OCTETS / width, width })
    }

    /// Adds a partial result.
    ///
    /// # Errors
    /// The result is too long.
    pub fn add(&mut self, part: Number) -> Result<(), Error> {
        match &mut self.accumulator {
            Some(accumulator) => Ok(accumulator.add(part)?),
            None => Ok(()),
        }
    }

    /// The whole: `evaluation` with what this stream has counted, and its result.
    ///
    /// # Errors
    /// The result is too long.
    pub fn finish(self, mut evaluation: Evaluation) -> Result<Evaluation, Error> {
        evaluation.operands = self.progress.operands;
        evaluation.peer = self.peer.unwrap_or(evaluation.peer);
        if let Some(accumulator) = self.accumulator {
            evaluation.result = accumulator.finish()?.unwrap_or(evaluation.result);
        }
        Ok(evaluation)
    }

    /// Fills the chunk; true once it is full or the text is over, false if input is needed first.
    fn fill(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.given) {
            self.chunk.clear();
        }
        if let Some(held) = self.held.take() {
            // An operand of at most 255 octets finds room in an empty chunk.
            let pushed = self.chunk.push_number(&held);
            debug_assert!(pushed);
        }
        loop {
            match self.text.next_item()? {
                Item::Word(operand) if self.chunk.push(operand) => {}
                Item::Number(ref operand) if self.chunk.push_number(operand) => {}
                Item::Pending => return Ok(false),
                Item::End => return Ok(true),
                item => {
                    self.held = number(item);
                    return Ok(true);
                }
            }
        }
    }
}

fn number(item: Item) -> Option<Number> {
    match item {
        Item::Word(operand) => Some(operand.into()),
        Item::Number(operand) => Some(operand),
        Item::Pending | Item::End => None,
    }
}

impl<R: Read + AsFd> RequestSource for Stream<'_, R> {
    fn next(&mut self) -> Result<NextRequest<'_>, Error> {
        if !self.fill()? {
            return Ok(NextRequest::Later);
        }
        if self.chunk.count() == 0 {
            return Ok(NextRequest::Done);
        }
        self.given = true;
        self.progress.operands += self.chunk.count() as u64;
        let request = NewRequest {
            operator: self.operator,
            format: self.format,
            width: self.chunk.width() as u8,
            operands: self.chunk.octets(),
        };
        Ok(NextRequest::Request(0, request))
    }

    fn answered(&mut self, peer: SocketAddrV6, _: u64, reply: &extended::Reply<'_>) -> Result<(), Error> {
        self.peer = Some(peer);
        self.progress.answered += 1;
        self.add(number_of_reply(peer, self.operator, reply)?)
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.text.source().as_fd())
    }

    fn read(&mut self) -> Result<(), Error> {
        match self.text.read() {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(Error::Read(error)),
            _ => Ok(()),
        }
    }

    fn pause(&mut self) {
        self.progress.octets = self.text.taken();
        (self.tell)(self.progress);
    }
}
