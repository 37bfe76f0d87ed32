//! A second thread that reads and parses a text while the first one asks.
//!
//! It hands over its operands in blocks, of which a few may wait; what it has is handed over before it waits for more
//! input. It ends with the text, with an error, or as soon as the one that asks has what it wants, also in the middle of
//! a wait for input.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

use super::error::Error;
use super::stream::{OperandReader, TextOperands, TextSource};
use super::text::TextItem;
use crate::arithmetic::Number;
use crate::net::wait::{AsFd, BorrowedFd, Waker, wait};

/// Operands of up to 64 bits in a block, and larger ones. Some fifty full requests for each time that the one that asks
/// has to be woken.
const WORDS: usize = 16 * 1024;
const LARGER: usize = 256;

/// The most blocks that wait to be taken.
const BLOCKS: usize = 4;

/// Calls `work` with the operands of `text`, which a thread reads ahead of it. Where the system refuses the thread or
/// what it waits with, `work` reads by itself.
pub fn reading_ahead<T>(
    text: &mut TextOperands<impl TextSource + Send>,
    work: impl FnOnce(&mut dyn OperandReader) -> T,
) -> T {
    let Ok(handover) = Handover::new() else { return work(text) };
    let refused = thread::scope(|scope| {
        let Ok(reader) = Builder::new().name("operands".to_owned()).spawn_scoped(scope, || handover.read(text)) else {
            return Err(work);
        };
        let done = {
            let _stop = StopOnDrop(&handover);
            work(&mut ReadAhead { handover: &handover, block: OperandBlock::default() })
        };
        // A panic of the text's source is the caller's.
        reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(done)
    });
    refused.unwrap_or_else(|work| work(text))
}

/// Operands in their order.
#[derive(Default)]
struct OperandBlock {
    /// [`WORDS`] places, and those of them that hold an operand that is not taken yet.
    words: Vec<i64>,
    filled: Range<usize>,
    /// Operands that need more than 64 bits, and how many of the places are before each.
    larger: VecDeque<(usize, Number)>,
    /// What follows if not the next block: the end of the text, or an error.
    end: Option<Result<(), Error>>,
    /// How many octets of the text were taken up to its end.
    octets: u64,
}

/// What the two threads share.
struct Handover {
    state: Mutex<HandoverState>,
    /// There is room for a block, or the reader is to stop.
    changed: Condvar,
    /// Woken when there is a block for one that waits.
    filled: Waker,
    /// Woken when the reader is to stop.
    stop: Waker,
}

#[derive(Default)]
struct HandoverState {
    blocks: VecDeque<OperandBlock>,
    /// Blocks to fill again.
    spare: Vec<OperandBlock>,
    /// There was no block when one was wanted.
    starved: bool,
    stopped: bool,
}

/// The operands as the reader hands them over.
struct ReadAhead<'a> {
    handover: &'a Handover,
    /// The block that operands are taken from.
    block: OperandBlock,
}

impl OperandBlock {
    /// Empties it.
    fn clear(&mut self) {
        self.words.resize(WORDS, 0);
        self.filled = 0..0;
        self.larger.clear();
        self.end = None;
    }

    fn is_empty(&self) -> bool {
        self.filled.is_empty() && self.larger.is_empty()
    }

    /// Takes operands of a text until it is full or the text is over; false if input is needed first.
    fn fill(&mut self, text: &mut impl OperandReader) -> bool {
        while self.filled.end < WORDS && self.larger.len() < LARGER {
            self.filled.end += text.take_words(&mut self.words[self.filled.end..]);
            let Some(place) = self.words.get_mut(self.filled.end) else { break };
            match text.next_item() {
                Ok(TextItem::Word(word)) => {
                    *place = word;
                    self.filled.end += 1;
                }
                Ok(TextItem::Number(number)) => self.larger.push_back((self.filled.end, number)),
                Ok(TextItem::Pending) => return false,
                Ok(TextItem::End) => {
                    self.end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    self.end = Some(Err(error));
                    break;
                }
            }
        }
        true
    }

    /// The words that are not taken yet and stand before the next larger operand.
    fn next_words(&self) -> &[i64] {
        let end = self.larger.front().map_or(self.filled.end, |(place, _)| *place);
        &self.words[self.filled.start..end]
    }
}

impl Handover {
    fn new() -> io::Result<Handover> {
        let (filled, stop) = (Waker::new()?, Waker::new()?);
        Ok(Handover { state: Mutex::default(), changed: Condvar::new(), filled, stop })
    }

    fn lock(&self) -> MutexGuard<'_, HandoverState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader's body.
    fn read(&self, text: &mut impl OperandReader) {
        let _panic = EndOnPanic(self);
        let mut block = OperandBlock::default();
        block.clear();
        loop {
            if !block.fill(text) {
                match self.wait_for_input(text, block.is_empty()) {
                    Ok(Awaited::Stop) => return,
                    Ok(Awaited::Input) => match text.read() {
                        Ok(()) => continue,
                        Err(error) => block.end = Some(Err(error)),
                    },
                    Ok(Awaited::Nothing) if block.is_empty() => continue,
                    Ok(Awaited::Nothing) => {}
                    Err(error) => block.end = Some(Err(Error::poll(error))),
                }
            }
            block.octets = text.taken();
            let over = block.end.is_some();
            match self.hand_over(block) {
                Some(spare) if !over => block = spare,
                _ => return,
            }
        }
    }

    /// Waits for input, or only looks for it if there is something to hand over first.
    fn wait_for_input(&self, text: &impl OperandReader, patient: bool) -> io::Result<Awaited> {
        let input = text.input();
        let sources: Vec<BorrowedFd<'_>> = [self.stop.as_fd()].into_iter().chain(input).collect();
        // What cannot be waited for is waited for by reading it.
        let timeout = if patient && input.is_some() { None } else { Some(Duration::ZERO) };
        Ok(match wait(&sources, timeout)?[..] {
            [true, ..] => Awaited::Stop,
            [_, false] => Awaited::Nothing,
            _ => Awaited::Input,
        })
    }

    /// Appends a block, once there is room for it, and returns an empty one; `None` if nobody takes it any more.
    fn hand_over(&self, block: OperandBlock) -> Option<OperandBlock> {
        let full = |state: &mut HandoverState| state.blocks.len() >= BLOCKS && !state.stopped;
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return None;
        }
        state.blocks.push_back(block);
        let mut spare = state.spare.pop().unwrap_or_default();
        // Both are under the lock: either the one that asks finds the block, or it is woken.
        let starved = std::mem::take(&mut state.starved);
        drop(state);
        if starved {
            self.filled.wake();
        }
        spare.clear();
        Some(spare)
    }

    /// Takes a block in exchange for an empty one.
    fn take(&self, used: &mut OperandBlock) -> bool {
        let mut state = self.lock();
        let Some(block) = state.blocks.pop_front() else {
            state.starved = true;
            return false;
        };
        state.starved = false;
        let used = std::mem::replace(used, block);
        if !used.words.is_empty() {
            state.spare.push(used);
        }
        if state.blocks.len() == BLOCKS - 1 {
            self.changed.notify_one();
        }
        true
    }
}

/// What a wait for input ends with.
enum Awaited {
    Input,
    Stop,
    Nothing,
}

/// Stops the reader.
struct StopOnDrop<'a>(&'a Handover);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_one();
        self.0.stop.wake();
    }
}

/// Ends the operands where the source of the text panics.
struct EndOnPanic<'a>(&'a Handover);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let end = Some(Err(Error::Read(io::Error::other("the source of the text panicked"))));
            self.0.hand_over(OperandBlock { end, ..OperandBlock::default() });
        }
    }
}

impl ReadAhead<'_> {
    /// Goes on to the next block if this one has been taken; false if there is none yet.
    fn proceed(&mut self) -> bool {
        while self.block.is_empty() && self.block.end.is_none() {
            if !self.handover.take(&mut self.block) {
                return false;
            }
        }
        true
    }
}

impl OperandReader for ReadAhead<'_> {
    fn take_words(&mut self, words: &mut [i64]) -> usize {
        if !self.proceed() {
            return 0;
        }
        let next = self.block.next_words();
        let taken = next.len().min(words.len());
        words[..taken].copy_from_slice(&next[..taken]);
        self.block.filled.start += taken;
        taken
    }

    fn next_item(&mut self) -> Result<TextItem, Error> {
        if !self.proceed() {
            return Ok(TextItem::Pending);
        }
        let block = &mut self.block;
        if let [word, ..] = *block.next_words() {
            block.filled.start += 1;
            return Ok(TextItem::Word(word));
        }
        if let Some((_, number)) = block.larger.pop_front() {
            return Ok(TextItem::Number(number));
        }
        // An error is reported once. After it the text has ended.
        block.end.replace(Ok(())).unwrap_or(Ok(())).map(|()| TextItem::End)
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.handover.filled.as_fd())
    }

    fn read(&mut self) -> Result<(), Error> {
        self.handover.filled.clear();
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.block.octets
    }
}

#[cfg(test)]
mod tests;
