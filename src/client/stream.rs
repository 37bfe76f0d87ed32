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

/// Operands in the order of their text.
pub trait OperandReader {
    /// Takes the next ones, as many as `words` has room for, as long as they are there and fit 64 bits, and says how
    /// many. What comes next is for [`next_item`](Self::next_item).
    fn take_words(&mut self, words: &mut [i64]) -> usize;

    /// The next one.
    ///
    /// # Errors
    /// Those of the text.
    fn next_item(&mut self) -> Result<TextItem, Error>;

    /// What [`TextItem::Pending`] waits for; `None` if the caller waits for it otherwise.
    fn input(&self) -> Option<BorrowedFd<'_>>;

    /// The input can be read.
    ///
    /// # Errors
    /// Those of the text's source.
    fn read(&mut self) -> Result<(), Error>;

    /// How many octets of the text were taken so far.
    fn taken(&self) -> u64;
}

/// The operands of a text, read and parsed as they are taken.
pub struct TextOperands<R>(pub IntegerReader<R>);

impl<R: TextSource> TextOperands<R> {
    /// A text from its beginning.
    pub fn new(source: R) -> TextOperands<R> {
        TextOperands(IntegerReader::new(source))
    }
}

impl<R: TextSource> OperandReader for TextOperands<R> {
    #[inline]
    fn take_words(&mut self, words: &mut [i64]) -> usize {
        self.0.take_words(words)
    }

    #[inline]
    fn next_item(&mut self) -> Result<TextItem, Error> {
        Ok(self.0.next_item()?)
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.0.source().input()
    }

    fn read(&mut self) -> Result<(), Error> {
        match self.0.read() {
            // What could be read is gone, or a signal came: the caller waits again.
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => Ok(()),
            Err(error) => Err(Error::Read(error)),
            Ok(()) => Ok(()),
        }
    }

    fn taken(&self) -> u64 {
        self.0.taken()
    }
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

/// Operands on their way to the servers; `tell` is called with the progress.
pub struct Stream<T> {
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

/// The requests over the operands of a source.
pub struct TextRequests<'a, O: ?Sized, T> {
    stream: &'a mut Stream<T>,
    operands: &'a mut O,
}

impl<T: FnMut(Progress)> Stream<T> {
    /// A stream that has taken no operand yet.
    pub fn new(operator: Operator, config: &Config, tell: T) -> Stream<T> {
        let format = config.format;
        let room = room(reducing(operator).unwrap_or(operator), format);
        Stream {
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
    pub fn head(&mut self, text: &mut impl OperandReader) -> Result<Option<Head>, Error> {
        // Of one octet each.
        let most = self.room;
        loop {
            let item = match self.held.take() {
                Some(operand) => TextItem::Number(operand),
                None => text.next_item()?,
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
    pub fn wait_for_head(
        &mut self,
        text: &mut impl OperandReader,
        cancellation: &Cancellation,
        until: Option<Instant>,
    ) -> Result<Head, Error> {
        loop {
            if let Some(head) = self.head(text)? {
                return Ok(head);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(Error::InputDeadline);
            }
            let input: Vec<BorrowedFd<'_>> = text.input().into_iter().collect();
            if cancellation.wait(&input, left)? == [true] {
                text.read()?;
            }
        }
    }

    /// The requests over the rest of the operands.
    pub fn requests<'a, O: OperandReader + ?Sized>(&'a mut self, operands: &'a mut O) -> TextRequests<'a, O, T> {
        TextRequests { stream: self, operands }
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
    fn fill(&mut self, operands: &mut (impl OperandReader + ?Sized)) -> Result<bool, Error> {
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
                self.unpacked = 0..operands.take_words(&mut self.words[..]);
            }
            self.unpacked.start += self.chunk.push_words(&self.words[self.unpacked.clone()]);
            if !self.unpacked.is_empty() {
                return Ok(true);
            }
            match operands.next_item()? {
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

impl<O: OperandReader + ?Sized, T: FnMut(Progress)> RequestSource for TextRequests<'_, O, T> {
    fn next(&mut self) -> Result<NextRequest<'_>, Error> {
        let stream = &mut *self.stream;
        if !stream.fill(self.operands)? {
            return Ok(NextRequest::Later);
        }
        if stream.chunk.count() == 0 {
            return Ok(NextRequest::Done);
        }
        stream.given = true;
        stream.progress.operands += stream.chunk.count() as u64;
        let request = NewRequest {
            operator: stream.operator,
            format: stream.format,
            width: stream.chunk.width() as u8,
            operands: stream.chunk.octets(),
        };
        Ok(NextRequest::Request(0, request))
    }

    fn answered(&mut self, peer: SocketAddrV6, _: u64, reply: &extended::Reply<'_>) -> Result<(), Error> {
        let stream = &mut *self.stream;
        stream.peer = Some(peer);
        stream.progress.answered += 1;
        stream.add(number_of_reply(peer, stream.operator, reply)?)
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.operands.input()
    }

    fn read(&mut self) -> Result<(), Error> {
        self.operands.read()
    }

    fn pause(&mut self) {
        self.stream.progress.octets = self.operands.taken();
        (self.stream.tell)(self.stream.progress);
    }
}
