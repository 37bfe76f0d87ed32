//! Ending a call from another thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::error::Error;
use crate::net::wait::{self, AsFd, BorrowedFd, Waker};

/// Ends a call of a [`Client`](super::Client) from another thread, with [`Error::Cancelled`]. Clones do the same.
///
/// ```no_run
/// # use calc6::Client;
/// # let mut client = Client::connect(("::1", 10000))?;
/// let canceller = client.canceller()?;
/// std::thread::spawn(move || {
///     std::io::stdin().read_line(&mut String::new()).ok();
///     canceller.cancel();
/// });
/// let described = client.describe(); // until the user presses Enter
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Cancellation>);

impl Canceller {
    /// Ends the running call at once; if none is running, the next one. Each
    /// cancellation ends one call. False, and nothing changes, where an earlier one has not been noticed yet.
    pub fn cancel(&self) -> bool {
        let first = !self.0.requested.swap(true, Ordering::Relaxed);
        if let Some(waker) = self.0.waker.get() {
            waker.wake();
        }
        first
    }

    /// Whether a cancellation has not been noticed yet.
    pub fn is_pending(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }

    /// Takes back a cancellation that no call has noticed yet.
    pub fn reset(&self) {
        self.0.requested.store(false, Ordering::Relaxed);
    }
}

/// Whether the call is to end.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    requested: AtomicBool,
    /// Once there is a canceller.
    waker: OnceLock<Waker>,
}

impl Cancellation {
    /// What cancels.
    ///
    /// # Errors
    /// Those of [`Waker::new`].
    pub(super) fn canceller(self: &Arc<Self>) -> io::Result<Canceller> {
        if self.waker.get().is_none() {
            // Where another thread was first, that one's is kept.
            let _ = self.waker.set(Waker::new()?);
        }
        Ok(Canceller(Arc::clone(self)))
    }

    /// Notices a cancellation.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.requested.swap(false, Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits until one of `sources` can be read, `timeout` passes, or the call is cancelled; returns for each source
    /// whether it is ready.
    ///
    /// # Errors
    /// A cancellation, or those of poll(2).
    pub(super) fn wait(&self, sources: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Result<Vec<bool>, Error> {
        self.check()?;
        let waker = self.waker.get();
        let mut all = sources.to_vec();
        all.extend(waker.map(AsFd::as_fd));
        let mut ready = wait::wait(&all, timeout).map_err(Error::poll)?;
        if let Some(waker) = waker.filter(|_| ready.get(sources.len()) == Some(&true)) {
            waker.clear();
            self.check()?;
        }
        ready.truncate(sources.len());
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_ends_one_wait() {
        let cancellation = Arc::new(Cancellation::default());
        let canceller = cancellation.canceller().unwrap();
        let brief = Some(Duration::from_millis(1));
        assert!(cancellation.wait(&[], brief).is_ok());
        assert!(canceller.cancel() && !canceller.clone().cancel(), "two are one until it is noticed");
        assert!(matches!(cancellation.wait(&[], None), Err(Error::Cancelled)));
        assert!(cancellation.wait(&[], brief).is_ok(), "it is used up");
        canceller.cancel();
        canceller.reset();
        assert!(cancellation.wait(&[], brief).is_ok(), "it is taken back");
    }

    #[test]
    fn a_wait_under_way_ends_at_once() {
        let cancellation = Arc::new(Cancellation::default());
        let canceller = cancellation.canceller().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                canceller.cancel();
            });
            assert!(matches!(cancellation.wait(&[], None), Err(Error::Cancelled)));
        });
    }
}
