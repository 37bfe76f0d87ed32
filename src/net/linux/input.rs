//! A text from a file, a pipe or a terminal: poll(2) waits for all of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// See [`wait::Input`](super::super::wait::Input).
#[derive(Debug)]
pub struct Input(File);

impl Input {
    /// See [`wait::Input::stdin`](super::super::wait::Input::stdin).
    pub fn stdin() -> io::Result<Input> {
        Ok(Input(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    /// See [`wait::Input::file`](super::super::wait::Input::file).
    pub fn file(file: File) -> io::Result<Input> {
        Ok(Input(file))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
