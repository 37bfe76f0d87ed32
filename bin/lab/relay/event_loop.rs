//! The two threads of the relay.
//!
//! The calling thread waits for datagrams, hands them to the network, and sends those without delay. The other thread
//! waits for later departures: it sleeps with a precision of microseconds, an event loop only of milliseconds. Both use
//! the same [`Forwarder`], one at a time.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::Arguments;
use super::forwarder::{Forwarder, WAKER};
use crate::Failure;
use crate::process::{on_end, raise_descriptor_limit};

/// Descriptors besides those of clients: standard streams, listening socket, event loop, capture, and a few spare ones.
const OTHER_DESCRIPTORS: u64 = 32;

/// The most events that one call returns.
const EVENTS: usize = 1024;

/// Relays until SIGINT or SIGTERM (Ctrl-C on Windows), then writes the totals.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    raise_descriptor_limit(arguments.clients.into(), OTHER_DESCRIPTORS)?;
    let cannot = |error| Failure::run("cannot watch the sockets", error);
    let poll = Poll::new().map_err(cannot)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(cannot)?);
    let interrupted = catch_interrupts(&waker)?;
    let forwarder = Forwarder::new(arguments, poll.registry())?;
    let _ = writeln!(io::stderr(), "lab relay: {}", forwarder.introduction());
    let ended = AtomicBool::new(false);
    let shared = SharedForwarder { forwarder: Mutex::new(forwarder), changed: Condvar::new(), ended, waker };
    let result = std::thread::scope(|scope| {
        scope.spawn(|| shared.send_later());
        let result = shared.receive(poll, &interrupted);
        shared.end();
        result
    });
    let mut forwarder = shared.forwarder.into_inner().unwrap_or_else(PoisonError::into_inner);
    forwarder.flush_capture();
    result?;
    check_capture(&forwarder)?;
    forwarder.report_totals()
}

/// A flag that the first SIGINT or SIGTERM sets; it wakes the event loop too.
fn catch_interrupts(waker: &Arc<Waker>) -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (flag, waker) = (Arc::clone(&interrupted), Arc::clone(waker));
    let interrupt = move || {
        flag.store(true, Ordering::Relaxed);
        // If this fails, the loop checks the flag once a second.
        let _ = waker.wake();
    };
    on_end(false, interrupt).map_err(|error| Failure::run("cannot watch for signals", error))?;
    Ok(interrupted)
}

/// What the two threads share.
struct SharedForwarder<'a> {
    forwarder: Mutex<Forwarder<'a>>,
    /// Signalled if a datagram leaves earlier than the sending thread expects, or if that thread must end.
    changed: Condvar,
    ended: AtomicBool,
    waker: Arc<Waker>,
}

impl<'a> SharedForwarder<'a> {
    fn lock(&self) -> MutexGuard<'_, Forwarder<'a>> {
        self.forwarder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives, until it is interrupted or fails.
    fn receive(&self, mut poll: Poll, interrupted: &AtomicBool) -> Result<(), Failure> {
        let mut events = Events::with_capacity(EVENTS);
        // An event reports a socket once for all its datagrams: it is read until it is empty, in turns with the others.
        let mut readable: BTreeSet<Token> = BTreeSet::new();
        let mut wait = Duration::ZERO;
        loop {
            match poll.poll(&mut events, Some(if readable.is_empty() { wait } else { Duration::ZERO })) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(Failure::run("cannot wait for datagrams", error));
                }
                _ => readable.extend(events.iter().map(|event| event.token()).filter(|token| *token != WAKER)),
            }
            for token in std::mem::take(&mut readable) {
                let mut forwarder = self.lock();
                if forwarder.receive(token) {
                    readable.insert(token);
                }
                forwarder.send_due();
                if forwarder.leaves_early() {
                    self.changed.notify_one();
                }
            }
            let mut forwarder = self.lock();
            check_capture(&forwarder)?;
            if interrupted.load(Ordering::Relaxed) {
                return Ok(());
            }
            wait = forwarder.report()?;
        }
    }

    /// Sends delayed datagrams, until the end.
    fn send_later(&self) {
        let mut forwarder = self.lock();
        while !self.ended.load(Ordering::Relaxed) {
            forwarder.send_due();
            if forwarder.capture_failure().is_some() {
                // The other thread then ends the relay.
                let _ = self.waker.wake();
            }
            forwarder = match forwarder.wait_for_departure() {
                None => self.changed.wait(forwarder).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => self.changed.wait_timeout(forwarder, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Ends the sending thread.
    fn end(&self) {
        // With the lock held, the other thread has not yet checked the flag, or already waits.
        let _forwarder = self.lock();
        self.ended.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

fn check_capture(forwarder: &Forwarder<'_>) -> Result<(), Failure> {
    forwarder.capture_failure().map_or(Ok(()), |failure| Err(Failure::Run(failure.to_owned())))
}
