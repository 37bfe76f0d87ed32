//! Ends a wait from another thread: a pair of sockets that no network is in between.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// See [`wait::Waker`](super::super::wait::Waker).
#[derive(Debug)]
pub struct Waker {
    write: UnixStream,
    read: UnixStream,
}

impl Waker {
    /// See [`wait::Waker::new`](super::super::wait::Waker::new).
    pub fn new() -> io::Result<Waker> {
        let (write, read) = UnixStream::pair()?;
        write.set_nonblocking(true)?;
        read.set_nonblocking(true)?;
        Ok(Waker { write, read })
    }

    /// See [`wait::Waker::wake`](super::super::wait::Waker::wake).
    pub fn wake(&self) {
        // Where the buffer is full it has been woken already.
        let _ = (&self.write).write(&[0]);
    }

    /// See [`wait::Waker::clear`](super::super::wait::Waker::clear).
    pub fn clear(&self) {
        while (&self.read).read(&mut [0; 64]).is_ok_and(|len| len > 0) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
