//! Waiting for one of several sockets, a waker that ends a wait from another thread, and a text that comes in pieces and
//! can be waited for beside sockets. Over poll(2), and WSAPoll on Windows, which knows sockets only.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub use rustix::fd::{AsFd, BorrowedFd};

use super::system;

/// Ends [`wait`]s from another thread: a wait for it ends at once, or does not begin, until it is
/// [cleared](Self::clear).
///
/// ```
/// use calc6::net::wait::{Waker, wait};
/// use std::os::fd::AsFd;
/// let waker = Waker::new()?;
/// waker.wake(); // from any thread
/// assert_eq!(wait(&[waker.as_fd()], None)?, [true]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Waker(system::Waker);

impl Waker {
    /// A waker that is not set.
    ///
    /// # Errors
    /// Those of socketpair(2), or where the system has none those of socket(2): too many files are open.
    pub fn new() -> io::Result<Waker> {
        system::Waker::new().map(Waker)
    }

    /// Ends the wait.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Clears it: further waits block again.
    pub fn clear(&self) {
        self.0.clear();
    }
}

/// A text that is read as it comes, from standard input or a file: what [`wait`] can wait for beside sockets on every
/// system. Linux polls it; elsewhere a thread reads ahead where a read could wait.
#[derive(Debug)]
pub struct Input(system::Input);

impl Input {
    /// Standard input. What a buffer of [`io::stdin`] already holds is not in it. Reading may fail with `WouldBlock`,
    /// also after a [`wait`] for it: then wait again.
    ///
    /// # Errors
    /// Standard input is closed, or those of creating a thread and its socket.
    pub fn stdin() -> io::Result<Input> {
        system::Input::stdin().map(Input)
    }

    /// A file, which may be a pipe or a device.
    ///
    /// # Errors
    /// Those of creating a thread and its socket.
    pub fn file(file: File) -> io::Result<Input> {
        system::Input::file(file).map(Input)
    }
}

/// What a wait waits for is a descriptor, and a socket on Windows.
macro_rules! waitable {
    ($($name:ty),*) => {$(
        #[cfg(not(windows))]
        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        #[cfg(windows)]
        impl rustix::fd::AsSocket for $name {
            fn as_socket(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
    )*};
}

waitable!(Waker, Input);

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Waits until one of `sources` can be read or has an error to report, a signal arrives, or `timeout` passes; says of
/// each source whether it is ready.
///
/// # Errors
/// Those of poll(2), a signal excepted.
pub fn wait(sources: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    if sources.is_empty() {
        // WSAPoll refuses an empty list.
        std::thread::sleep(timeout.unwrap_or(LONGEST));
        return Ok(Vec::new());
    }
    let mut polled: Vec<PollFd<'_>> =
        sources.iter().map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN)).collect();
    let timeout = timeout.map(|timeout| timespec(timeout.min(LONGEST)));
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.iter().map(|source| !source.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; sources.len()]),
        Err(error) => Err(error.into()),
    }
}

/// The longest wait: systems count it in milliseconds of 31 bits. Whoever waits longer waits again.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as _, tv_nsec: duration.subsec_nanos() as _ }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};
    use std::time::Instant;

    #[test]
    fn a_waker_ends_waits_until_it_is_cleared() {
        let waker = Waker::new().unwrap();
        let long = Some(Duration::from_secs(60));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                (0..100_000).for_each(|_| waker.wake());
            });
            assert_eq!(wait(&[waker.as_fd()], long).unwrap(), [true]);
        });
        assert_eq!(wait(&[waker.as_fd()], long).unwrap(), [true]);
        assert!(begun.elapsed() < Duration::from_secs(50));
        waker.clear();
        assert_eq!(wait(&[waker.as_fd()], Some(Duration::from_millis(1))).unwrap(), [false]);
    }

    #[test]
    fn a_file_can_be_read_at_once_until_its_end_and_there() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"1 2 3").unwrap();
        file.rewind().unwrap();
        let mut input = Input::file(file).unwrap();
        let mut text = String::new();
        for _ in 0..3 {
            assert_eq!(wait(&[input.as_fd()], Some(Duration::from_secs(60))).unwrap(), [true]);
            let mut buffer = [0; 16];
            let len = input.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
        }
        assert_eq!(text, "1 2 3");
    }

    #[test]
    fn a_wait_for_nothing_lasts_its_time() {
        let begun = Instant::now();
        assert_eq!(wait(&[], Some(Duration::from_millis(5))).unwrap(), [] as [bool; 0]);
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }
}
