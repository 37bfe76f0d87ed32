//! Waiting for one of several sockets, and a waker that ends a wait from another thread. Over poll(2), so that it is the
//! same on every Unix.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Ends [`wait`]s from another thread: a wait for it ends at once, or does not begin, until it is [cleared](Self::clear).
#[derive(Debug)]
pub struct Waker {
    write: UnixStream,
    read: UnixStream,
}

impl Waker {
    /// A waker that has not woken anybody.
    ///
    /// # Errors
    /// Those of socketpair(2): too many files are open.
    pub fn new() -> io::Result<Waker> {
        let (write, read) = UnixStream::pair()?;
        write.set_nonblocking(true)?;
        read.set_nonblocking(true)?;
        Ok(Waker { write, read })
    }

    /// Ends the wait.
    pub fn wake(&self) {
        // Where the buffer is full it has been woken already.
        let _ = (&self.write).write(&[0]);
    }

    /// Lets further waits last.
    pub fn clear(&self) {
        while (&self.read).read(&mut [0; 64]).is_ok_and(|len| len > 0) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// Waits until one of `sources` can be read or has an error to report, a signal arrives, or `timeout` passes; says of
/// each source whether it is ready.
///
/// # Errors
/// Those of poll(2), a signal excepted.
pub fn wait(sources: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        sources.iter().map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN)).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.iter().map(|source| !source.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; sources.len()]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
