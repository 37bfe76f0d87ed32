//! Text from a file, a pipe or a terminal. Windows can only wait for sockets, and macOS does not poll terminals. Where
//! a read could block, a thread reads ahead, and a waker signals that there is something.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fd::BorrowedFd;

use super::Waker;

/// See [`wait::Input`](super::super::wait::Input).
#[derive(Debug)]
pub struct Input {
    source: Source,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Source {
    /// A regular file, which can always be read.
    File(File),
    /// Blocks from a thread, and how many octets of the first block have been taken.
    Thread { taken: usize },
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Woken as long as a read would not block.
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    blocks: VecDeque<Vec<u8>>,
    /// The end of the text, or the error with which it ends.
    end: Option<Option<io::Error>>,
    /// The reader has been dropped.
    abandoned: bool,
}

/// Octets per read, and the most blocks that wait to be taken.
const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 4;

impl Input {
    /// See [`wait::Input::stdin`](super::super::wait::Input::stdin).
    pub fn stdin() -> io::Result<Input> {
        Input::read_ahead(io::stdin())
    }

    /// See [`wait::Input::file`](super::super::wait::Input::file).
    pub fn file(file: File) -> io::Result<Input> {
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Input::read_ahead(file);
        }
        let shared = Arc::new(Shared::new()?);
        shared.waker.wake();
        Ok(Input { source: Source::File(file), shared })
    }

    fn read_ahead(source: impl Read + Send + 'static) -> io::Result<Input> {
        let shared = Arc::new(Shared::new()?);
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("input".to_owned()).spawn(move || of_thread.fill(source))?;
        Ok(Input { source: Source::Thread { taken: 0 }, shared })
    }

    /// The descriptor to wait for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.waker.as_fd()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            Source::Thread { taken } => self.shared.take(buffer, taken),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn new() -> io::Result<Shared> {
        Ok(Shared { state: Mutex::default(), changed: Condvar::new(), waker: Waker::new()? })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, until: impl Fn(&State) -> bool) -> MutexGuard<'a, State> {
        let waiting = self.changed.wait_while(state, |state| !until(state));
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's body: reads until the text ends or the reader is dropped.
    fn fill(&self, mut source: impl Read) {
        loop {
            let mut block = vec![0; BLOCK];
            let end = match source.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Some(Some(error)),
                Ok(0) => Some(None),
                Ok(length) => {
                    block.truncate(length);
                    None
                }
            };
            let state = self.lock();
            let mut state = self.wait(state, |state| state.blocks.len() < BLOCKS || state.abandoned);
            let ended = end.is_some();
            match end {
                Some(end) => state.end = Some(end),
                None => state.blocks.push_back(block),
            }
            self.waker.wake();
            self.changed.notify_all();
            if ended || state.abandoned {
                return;
            }
        }
    }

    /// Takes what is available; waits if there is nothing.
    fn take(&self, buffer: &mut [u8], taken: &mut usize) -> io::Result<usize> {
        let state = self.lock();
        let mut state = self.wait(state, |state| !state.blocks.is_empty() || state.end.is_some());
        let Some(block) = state.blocks.front() else {
            // An error is reported once. After it the text has ended.
            return match state.end.replace(None).flatten() {
                Some(error) => Err(error),
                None => Ok(0),
            };
        };
        let length = buffer.len().min(block.len() - *taken);
        buffer[..length].copy_from_slice(&block[*taken..][..length]);
        *taken += length;
        if *taken == block.len() {
            *taken = 0;
            state.blocks.pop_front();
            if state.blocks.is_empty() && state.end.is_none() {
                self.waker.clear();
            }
            self.changed.notify_all();
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::net::wait::wait;

    fn is_ready(input: &Input, limit: Duration) -> bool {
        wait(&[input.as_fd()], Some(limit)).unwrap() == [true]
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_pipe_is_ready_when_something_is_in_it_and_at_its_end() {
        let (read, mut write) = io::pipe().unwrap();
        let mut input = Input::read_ahead(read).unwrap();
        let mut buffer = [0; 3];
        for _ in 0..3 {
            assert!(!is_ready(&input, Duration::from_millis(5)));
            write.write_all(b"abcd").unwrap();
            assert!(is_ready(&input, LONG));
            assert_eq!(input.read(&mut buffer).unwrap(), 3);
            assert!(is_ready(&input, LONG), "one octet is left");
            assert_eq!((input.read(&mut buffer).unwrap(), buffer[0]), (1, b'd'));
        }
        drop(write);
        assert!(is_ready(&input, LONG));
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
        assert!(is_ready(&input, LONG), "an end is for ever");
    }

    #[test]
    fn much_text_arrives_in_order_and_in_bounded_memory() {
        let (read, mut write) = io::pipe().unwrap();
        let mut input = Input::read_ahead(read).unwrap();
        let text: Vec<u8> = (0..1_000_003u32).map(|place| place as u8).collect();
        let (expected, shared) = (text.clone(), Arc::clone(&input.shared));
        let writer = thread::spawn(move || write.write_all(&text).unwrap());
        let mut found = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            let length = input.read(&mut buffer).unwrap();
            found.extend_from_slice(&buffer[..length]);
            assert!(shared.lock().blocks.len() <= BLOCKS);
            if length == 0 {
                break;
            }
        }
        writer.join().unwrap();
        assert!(found == expected);
    }

    #[test]
    fn an_error_is_reported_once_and_a_reader_that_left_ends_the_thread() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let mut input = Input::read_ahead(Broken).unwrap();
        assert_eq!(input.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(input.read(&mut [0]).unwrap(), 0);

        let input = Input::read_ahead(io::repeat(7)).unwrap();
        let shared = Arc::downgrade(&input.shared);
        drop(input);
        for _ in 0..6000 {
            if shared.upgrade().is_none() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the thread goes on");
    }
}
