//! A text from a file, a pipe or a terminal: poll(2) waits for all of them.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// See [`wait::Input`](super::super::wait::Input).
#[derive(Debug)]
pub struct Input(File);

impl Input {
    /// See [`wait::Input::stdin`](super::super::wait::Input::stdin).
    pub fn stdin() -> io::Result<Input> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            // Ctrl-C discards what was typed, also between poll(2) and read(2), which would then wait. The terminal is
            // opened again because O_NONBLOCK would hold for every process that shares the open standard input.
            let own =
                OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open("/proc/self/fd/0");
            if let Ok(own) = own {
                return Ok(Input(own));
            }
        }
        Ok(Input(stdin.as_fd().try_clone_to_owned()?.into()))
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
