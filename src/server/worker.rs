//! One worker: a socket, a batch of buffers, and a loop of two system calls.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::answerer::Answerer;
use super::config::Config;
use super::counters::{Counter, Counters};
use crate::net::{Batch, Received, Socket, Wait, clock, cpu};
use crate::wire;

/// What one thread needs to serve.
pub(super) struct Worker<'a> {
    socket: &'a Socket,
    counters: &'a Counters,
    stop: &'a AtomicBool,
    drain: bool,
    processor: Option<usize>,
    batch: Batch,
    answerer: Answerer<'a>,
}

impl<'a> Worker<'a> {
    /// `drain`: when stopped, answer what the socket's queue still holds, until it is empty.
    pub fn new(
        socket: &'a Socket,
        counters: &'a Counters,
        stop: &'a AtomicBool,
        config: &Config,
        answerer: Answerer<'a>,
        processor: Option<usize>,
        drain: bool,
    ) -> Self {
        // One octet more than the longest request, so that a longer one is recognised.
        let request_len = wire::MAX_REQUEST + 1;
        let mut batch = Batch::new(config.batch, request_len, config.limits.max_reply.octets(), socket.is_wildcard());
        // What was dropped before is an earlier server's.
        batch.count_drops_from(socket.drops());
        Self { socket, counters, stop, drain, processor, batch, answerer }
    }

    /// Moves the calling thread to the worker's processor. Errors are those of sched_setaffinity(2).
    pub fn pin(&self) -> io::Result<()> {
        self.processor.map_or(Ok(()), cpu::pin)
    }

    /// Serves until told to stop. An error is a mistake of ours, or of whoever shares the socket, such as a closed one:
    /// the network causes none.
    pub fn run(mut self) -> io::Result<()> {
        let mut failures = 0;
        while !self.stop.load(Relaxed) {
            match self.batch.receive(self.socket, Wait::ForOne) {
                // The end of shutdown(2), which comes at once from then on.
                Ok(Received { count: 0, .. }) if !self.stop.load(Relaxed) => {
                    return Err(io::Error::other("the socket was shut down"));
                }
                Ok(received) => {
                    failures = 0;
                    self.serve(received);
                }
                Err(error) => self.note_error(error, &mut failures)?,
            }
        }
        if self.drain {
            self.finish();
        }
        Ok(())
    }

    /// Answers one batch.
    #[inline]
    fn serve(&mut self, received: Received) {
        let counters = self.counters;
        counters.add(Counter::Batch(received.count), 1);
        if received.dropped_by_kernel > 0 {
            counters.add(Counter::KernelDrops, received.dropped_by_kernel.into());
        }
        self.answerer.begin_batch();
        let now = clock::coarse();
        let (mut octets_in, mut octets_out) = (0, 0);
        self.batch.answer(|datagram, reply| {
            octets_in += datagram.length as u64;
            let len = self.answerer.answer(&datagram, now, reply);
            octets_out += len as u64;
            len
        });
        counters.add(Counter::OctetsIn, octets_in);
        counters.add(Counter::OctetsOut, octets_out);
        let sent = self.batch.send(self.socket);
        if sent.queue_full + sent.refused > 0 {
            counters.add(Counter::SendQueueFull, sent.queue_full as u64);
            counters.add(Counter::SendRefused, sent.refused as u64);
        }
    }

    /// Answers what was received before the socket's intake was closed. The queue can only shrink; the time limit is
    /// for a socket whose intake could not be closed.
    fn finish(&mut self) {
        let until = Instant::now() + DRAIN_TIME;
        while let Ok(received @ Received { count: 1.., .. }) = self.batch.receive(self.socket, Wait::No) {
            self.serve(received);
            if Instant::now() > until {
                break;
            }
        }
    }

    /// Errors of a receive call: an idle wait, a signal, a pending ICMP error, a shortage. None ends the worker, but
    /// for those that say that the call itself is wrong and would be so for ever.
    #[cold]
    fn note_error(&self, error: io::Error, failures: &mut u32) -> io::Result<()> {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => {
                self.counters.add(Counter::Batch(0), 1);
                // The end of a receive call's time limit. Where somebody who shares the socket has made it non-blocking,
                // it would come again and again.
                self.socket.wait_readable(IDLE_WAIT)?;
            }
            Some(libc::EINTR) => {}
            Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::EINVAL) => return Err(error),
            _ => {
                self.counters.add(Counter::ReceiveErrors, 1);
                *failures += 1;
                // To avoid a busy loop where the error stays.
                if *failures > MAX_FAILURES {
                    std::thread::sleep(IDLE_WAIT);
                }
            }
        }
        Ok(())
    }
}

/// The longest that a stopped worker goes on with what is queued.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Failures in a row after which a worker pauses before the next call.
const MAX_FAILURES: u32 = 100;

/// How long a worker pauses, at most, after a receive call that found nothing.
pub(super) const IDLE_WAIT: Duration = Duration::from_millis(10);
