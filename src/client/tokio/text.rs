//! Operands from a text that is read asynchronously.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout_at;

use super::super::Config;
use super::super::error::Error;
use super::super::evaluation::Progress;
use super::super::stream::{Head, OperandReader, Stream, TextOperands, TextRequests, TextSource};
use super::bounded;
use crate::net::wait::BorrowedFd;
use crate::wire::Operator;

/// Octets that are read at a time.
const BLOCK: usize = 64 * 1024;

/// A text and its requests.
pub struct AsyncText<R, T> {
    reader: R,
    block: Box<[u8]>,
    text: TextOperands<ReadOctets>,
    /// What its operands become.
    pub stream: Stream<T>,
}

/// Octets that have been read and not parsed yet.
#[derive(Default)]
pub struct ReadOctets {
    octets: Vec<u8>,
    taken: usize,
}

impl Read for ReadOctets {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = (&self.octets[self.taken..]).read(buffer)?;
        self.taken += len;
        Ok(len)
    }
}

impl TextSource for ReadOctets {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl<R: AsyncRead + Unpin, T: FnMut(Progress)> AsyncText<R, T> {
    /// A text from its beginning; `tell` is called with the progress.
    pub fn new(reader: R, operator: Operator, config: &Config, tell: T) -> AsyncText<R, T> {
        let text = TextOperands::new(ReadOctets::default());
        AsyncText { reader, block: vec![0; BLOCK].into(), text, stream: Stream::new(operator, config, tell) }
    }

    /// Its requests, for the driver of a pipeline.
    pub fn requests(&mut self) -> TextRequests<'_, TextOperands<ReadOctets>, T> {
        self.stream.requests(&mut self.text)
    }

    /// Takes operands off the beginning, as many as one datagram may hold; waits for input until the deadline.
    ///
    /// # Errors
    /// Those of the text, or the deadline.
    pub async fn head(&mut self, until: Option<Instant>) -> Result<Head, Error> {
        loop {
            if let Some(head) = self.stream.head(&mut self.text)? {
                return Ok(head);
            }
            match timeout_at(bounded(until), poll_fn(|cx| self.poll_read(cx))).await {
                Ok(read) => read?,
                Err(_) if until.is_some_and(|until| until <= Instant::now()) => return Err(Error::InputDeadline),
                Err(_) => {}
            }
        }
    }

    /// Reads once, unless `wait` ends before.
    ///
    /// # Errors
    /// Those of reading, or of `wait`.
    pub async fn read_or(&mut self, wait: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let mut wait = pin!(wait);
        poll_fn(|cx| match self.poll_read(cx) {
            Poll::Pending => wait.as_mut().poll(cx),
            read => read,
        })
        .await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let AsyncText { reader, block, text, .. } = self;
        let unparsed = text.0.source_mut();
        if unparsed.taken == unparsed.octets.len() {
            let mut block = ReadBuf::new(block);
            ready!(Pin::new(reader).poll_read(cx, &mut block)).map_err(Error::Read)?;
            unparsed.octets.clear();
            unparsed.octets.extend_from_slice(block.filled());
            unparsed.taken = 0;
        }
        Poll::Ready(text.read())
    }
}
