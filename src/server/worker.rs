//! One worker: a socket, a batch of buffers for each direction, and a loop of two system calls.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::answerer::Answerer;
use super::config::Config;
use super::counters::{Counter, Counters};
use super::moderation::{Moderation, PAUSE};
use crate::net::{DropCounter, ReceiveBatch, ReceiveError, ReceivedCounts, SendBatch, Sent, Socket, Wait, clock, cpu};
use crate::wire;

/// What one thread needs to serve.
pub(super) struct Worker<'a> {
    socket: &'a Socket,
    counters: &'a Counters,
    stop: &'a AtomicBool,
    drain: bool,
    processor: Option<usize>,
    requests: ReceiveBatch,
    replies: SendBatch,
    drops: DropCounter,
    answerer: Answerer<'a>,
    moderation: Moderation,
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
        let capabilities = socket.capabilities();
        let requests = ReceiveBatch::new(config.batch, request_len, capabilities);
        let replies = SendBatch::new(REPLIES, config.limits.max_reply.octets(), capabilities.segmentation);
        // What was dropped before is an earlier server's.
        let drops = socket.drop_counter();
        // Where there are no segments, timers may be far coarser than the pause.
        let moderation = Moderation::new(config.moderation && capabilities.segmentation, Instant::now());
        Self { socket, counters, stop, drain, processor, requests, replies, drops, answerer, moderation }
    }

    /// Moves the calling thread to the worker's processor, and lets it sleep exactly. Errors are those of
    /// sched_setaffinity(2).
    pub fn prepare(&self) -> io::Result<()> {
        clock::sharpen();
        self.processor.map_or(Ok(()), cpu::pin)
    }

    /// Serves until it is told to stop. An error is a bug here, or in a process that shares the socket; the network
    /// causes none.
    pub fn run(mut self) -> io::Result<()> {
        let mut failures = 0;
        while !self.stop.load(Relaxed) {
            match self.requests.receive(self.socket, Wait::ForOne) {
                // The sign of shutdown(2): from now on the call returns at once.
                Ok(ReceivedCounts { messages: 0, .. }) => self.note_shutdown()?,
                Ok(received) => {
                    failures = 0;
                    let now = self.serve(received);
                    let full = received.messages == self.requests.slots();
                    if self.moderation.pauses_after(received, full, now, Instant::now) {
                        self.counters.add(Counter::Pauses, 1);
                        std::thread::sleep(PAUSE);
                    }
                }
                Err(error) => self.note_error(error, &mut failures)?,
            }
        }
        if self.drain {
            self.finish();
        }
        Ok(())
    }

    /// Answers one batch, and says when, by the coarse clock.
    #[inline]
    fn serve(&mut self, received: ReceivedCounts) -> u64 {
        let counters = self.counters;
        counters.add(Counter::Batch(received.messages), 1);
        if received.drops.is_some() {
            counters.add(Counter::KernelDrops, self.drops.advance(received.drops).into());
        }
        if received.trains > 0 {
            counters.add(Counter::TrainsReceived, received.trains as u64);
            counters.add(Counter::SegmentsReceived, received.in_trains as u64);
        }
        self.answerer.begin_batch();
        let now = clock::coarse();
        let (mut octets_in, mut octets_out) = (0, 0);
        for message in self.requests.messages() {
            let checked = self.answerer.check_arrival(&message);
            let (to, from) = (Some(message.source), message.destination.local());
            for datagram in message.datagrams() {
                // Trains may bring more datagrams than there is room for replies.
                if self.replies.is_full() {
                    note_sent(counters, self.replies.flush(self.socket));
                }
                octets_in += datagram.length as u64;
                self.replies.append_with(to, from, |reply| {
                    let len = self.answerer.answer(&checked, &datagram, now, reply);
                    octets_out += len as u64;
                    (len > 0).then_some(len)
                });
            }
        }
        counters.add(Counter::OctetsIn, octets_in);
        counters.add(Counter::OctetsOut, octets_out);
        note_sent(counters, self.replies.flush(self.socket));
        now
    }

    /// Answers what was received before the socket's intake was closed. The queue can only shrink; the time limit is
    /// for a socket whose intake could not be closed.
    fn finish(&mut self) {
        let until = Instant::now() + DRAIN_TIME;
        while let Ok(received @ ReceivedCounts { messages: 1.., .. }) = self.requests.receive(self.socket, Wait::No) {
            self.serve(received);
            if Instant::now() > until {
                break;
            }
        }
    }

    /// After shutdown(2) every receive call returns at once without a datagram: this is normal only while the server stops.
    #[cold]
    fn note_shutdown(&self) -> io::Result<()> {
        if self.stop.load(Relaxed) { Ok(()) } else { Err(io::Error::other("the socket was shut down")) }
    }

    /// Errors of a receive call: an idle wait, a signal, a pending ICMP error, a shortage. None ends the worker,
    /// except those that mean that the call itself is wrong and will always fail.
    #[cold]
    fn note_error(&self, error: io::Error, failures: &mut u32) -> io::Result<()> {
        match ReceiveError::of(&error) {
            ReceiveError::Idle => {
                self.counters.add(Counter::Batch(0), 1);
                // The end of a receive call's time limit. If another process that shares the socket made it
                // non-blocking, this error returns at once each time.
                if !self.socket.wait_readable(IDLE_WAIT)? {
                    self.note_shutdown()?;
                }
            }
            ReceiveError::Interrupted => {}
            ReceiveError::Misuse => return Err(error),
            ReceiveError::Other => {
                self.counters.add(Counter::ReceiveErrors, 1);
                *failures += 1;
                // To avoid a busy loop if the error stays.
                if *failures > MAX_FAILURES {
                    std::thread::sleep(IDLE_WAIT);
                }
            }
        }
        Ok(())
    }
}

/// Replies that one system call sends: several trains.
const REPLIES: usize = 256;

#[inline]
fn note_sent(counters: &Counters, sent: Sent) {
    if sent.trains + sent.refused_trains > 0 {
        counters.add(Counter::TrainsSent, sent.trains as u64);
        counters.add(Counter::SegmentsSent, sent.in_trains as u64);
        counters.add(Counter::TrainsRefused, sent.refused_trains as u64);
    }
    if sent.queue_full + sent.refused > 0 {
        counters.add(Counter::SendQueueFull, sent.queue_full as u64);
        counters.add(Counter::SendRefused, sent.refused as u64);
    }
}

/// The longest time that a stopped worker answers queued datagrams.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Failures in a row after which a worker pauses before the next call.
const MAX_FAILURES: u32 = 100;

/// How long a worker pauses, at most, after a receive call that found nothing.
pub(super) const IDLE_WAIT: Duration = Duration::from_millis(10);
