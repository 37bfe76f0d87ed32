//! Signals that ask the server for something (signal(7)).

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};

use super::super::Asked;

/// Signals, caught from the creation of this value on.
pub struct Signals {
    /// One octet for each signal.
    arrived: UnixStream,
    stop: Arc<AtomicBool>,
    totals: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM, which shut down the server, SIGUSR1, which requests its totals, and SIGHUP,
    /// which requests to read the access file again.
    ///
    /// # Errors
    ///
    /// Those of sigaction(2) and of opening a socket pair.
    pub fn catch() -> io::Result<Signals> {
        let (arrived, sender) = UnixStream::pair()?;
        arrived.set_nonblocking(true)?;
        let [stop, totals, reload] = <[Arc<AtomicBool>; 3]>::default();
        for (signal, asked) in [(SIGINT, &stop), (SIGTERM, &stop), (SIGUSR1, &totals), (SIGHUP, &reload)] {
            flag::register(signal, Arc::clone(asked))?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Signals { arrived, stop, totals, reload })
    }

    /// Waits for a signal, or until `limit` has passed.
    pub fn wait(&mut self, limit: Option<Duration>) -> Asked {
        let limit = limit.map(|limit| Timespec::try_from(limit).unwrap_or_default());
        // The flags have all signals that arrived, even if the wait was interrupted.
        let _ = poll(&mut [PollFd::new(&self.arrived, PollFlags::IN)], limit.as_ref());
        while matches!(self.arrived.read(&mut [0; 64]), Ok(1..)) {}
        let asked = |flag: &AtomicBool| flag.swap(false, Relaxed);
        Asked { stop: asked(&self.stop), totals: asked(&self.totals), reload: asked(&self.reload) }
    }
}
