//! One associative operator over any number of operands, read as they are sent.

use std::io::{self, Read};
use std::net::SocketAddrV6;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Config;
use super::accumulator::Accumulator;
use super::batch::{NextRequest, RequestSource};
use super::cancel::Cancellation;
use super::chunk::Chunk;
use super::error::Error;
use super::evaluation::{Evaluation, Progress, number_of_reply};
use super::pipeline::NewRequest;
use super::text::{IntegerReader, TextItem};
use crate::arithmetic::Number;
use crate::exchange::plan::{reducing, room};
use crate::net::wait::{AsFd, BorrowedFd};
use crate::wire::{Format, Operator, extended};

/// Operands that are read together: more than most requests carry.
const WORDS: usize = 512;

/// Where a text comes from.
pub trait TextSource: Read {
    /// What can be waited for beside sockets; `None` if the caller waits for it otherwise.
    fn input(&self) -> Option<BorrowedFd<'_>>;
}

/// A text that the blocking client reads and waits for.
pub struct WaitableText<R>(pub R);

impl<R: Read> Read for WaitableText<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read + AsFd> TextSource for WaitableText<R> {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// A text on its way to the servers; `tell` is called with the progress.
pub struct Stream<R, T> {
    text: IntegerReader<R>,
    /// What the requests ask for.
    operator: Operator,
    format: Format,
    /// The next request.
    chunk: Chunk,
    /// An operand that found no room in it.
    held: Option<Number>,
    /// Operands that were read together, and those of them that are not in a chunk yet.
    words: Box<[i64; WORDS]>,
    unpacked: Range<usize>,
    /// Whether the chunk was given out.
    given: bool,
    /// Once there is more than one request.
    accumulator: Option<Accumulator>,
    max_result: u64,
    /// Octets of operands that one request may carry.
    room: usize,
    /// Who answered last.
    peer: Option<SocketAddrV6>,
    progress: Progress,
    tell: T,
    /// The operands of the head that have been read so far.
    head: Vec<Number>,
}

/// The operands at the beginning of a text.
pub struct Head {
    /// As many as one datagram may hold, or all.
    pub operands: Vec<Number>,
    /// Whether there are more.
    pub more: bool,
}

impl<R: TextSource, T: FnMut(Progress)> Stream<R, T> {
    /// A text from its beginning.
    pub fn new(source: R, operator: Operator, config: &Config, tell: T) -> Stream<R, T> {
        let format = config.format;
        let room = room(reducing(operator).unwrap_or(operator), format);
        Stream {
            text: IntegerReader::new(source),
            operator,
            format,
            chunk: Chunk::new(room),
            held: None,
            words: Box::new([0; WORDS]),
            unpacked: 0..0,
            given: false,
            accumulator: None,
            max_result: config.max_result,
            room,
            peer: None,
            progress: Progress::default(),
            tell,
            head: Vec::new(),
        }
    }

    /// Takes operands off the beginning, as many as one datagram may hold; `None` if more input is needed first.
    ///
    /// # Errors
    /// Those of the text.
    pub fn head(&mut self) -> Result<Option<Head>, Error> {
        // Of one octet each.
        let most = self.room;
        loop {
            let item = match self.held.take() {
                Some(operand) => TextItem::Number(operand),
                None => self.text.next_item()?,
            };
            match item {
                TextItem::Word(_) | TextItem::Number(_) if self.head.len() == most => {
                    self.held = number(item);
                    break;
                }
                TextItem::Word(_) | TextItem::Number(_) => self.head.extend(number(item)),
                TextItem::Pending => return Ok(None),
                TextItem::End => break,
            }
        }
        let operands = std::mem::take(&mut self.head);
        self.progress.operands += operands.len() as u64;
        Ok(Some(Head { operands, more: self.held.is_some() }))
    }

    /// As [`head`](Self::head), and waits for input; a cancellation or the deadline, `until`, ends the wait.
    ///
    /// # Errors
    /// Those of the text, a cancellation, or the deadline.
    pub fn wait_for_head(&mut self, cancellation: &Cancellation, until: Option<Instant>) -> Result<Head, Error> {
        loop {
            if let Some(head) = self.head()? {
                return Ok(head);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(Error::InputDeadline);
            }
            let input: Vec<BorrowedFd<'_>> = self.text.source().input().into_iter().collect();
            if cancellation.wait(&input, left)? == [true] {
                self.read()?;
            }
        }
    }

    /// Where the text comes from.
    #[cfg(feature = "tokio")]
    pub fn source_mut(&mut self) -> &mut R {
        self.text.source_mut()
    }

    /// Begins with requests over parts of the text: those of the head that the first requests are to carry.
    ///
    /// # Errors
    /// The operator does not go on over more operands than its head.
    pub fn begin(&mut self, mut head: Vec<Number>) -> Result<Vec<Number>, Error> {
        let asked = self.operator;
        let first = match reducing(asked) {
            Some(reducing) => {
                self.operator = reducing;
                Some(head.remove(0))
            }
            None if asked.is_associative() => None,
            None => {
                let width = head.iter().map(Number::octet_len).max().unwrap_or(1);
                let most = extended::MAX_OPERAND_OCTETS / width;
                return Err(Error::TooMany { operator: asked, most, width });
            }
        };
        self.accumulator = Some(Accumulator::of_plan(asked, self.operator, first, self.max_result));
        Ok(head)
    }

    /// What the requests ask for.
    pub fn operator(&self) -> Operator {
        self.operator
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
            if self.unpacked.is_empty() {
                self.unpacked = 0..self.text.take_words(&mut self.words[..]);
            }
            self.unpacked.start += self.chunk.push_words(&self.words[self.unpacked.clone()]);
            if !self.unpacked.is_empty() {
                return Ok(true);
            }
            match self.text.next_item()? {
                TextItem::Word(operand) if self.chunk.push(operand) => {}
                TextItem::Number(ref operand) if self.chunk.push_number(operand) => {}
                TextItem::Pending => return Ok(false),
                TextItem::End => return Ok(true),
                item => {
                    self.held = number(item);
                    return Ok(true);
                }
            }
        }
    }
}

fn number(item: TextItem) -> Option<Number> {
    match item {
        TextItem::Word(operand) => Some(operand.into()),
        TextItem::Number(operand) => Some(operand),
        TextItem::Pending | TextItem::End => None,
    }
}

impl<R: TextSource, T: FnMut(Progress)> RequestSource for Stream<R, T> {
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
        self.text.source().input()
    }

    fn read(&mut self) -> Result<(), Error> {
        match self.text.read() {
            // What could be read is gone, or a signal came: the caller waits again.
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => Ok(()),
            Err(error) => Err(Error::Read(error)),
            Ok(()) => Ok(()),
        }
    }

    fn pause(&mut self) {
        self.progress.octets = self.text.taken();
        (self.tell)(self.progress);
    }
}
