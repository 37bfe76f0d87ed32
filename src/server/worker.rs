//! One worker: a socket, a batch of buffers, and a loop of two system calls.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::config::Config;
use super::counters::{Counter, Counters};
use super::journal::{Cause, Journal};
use crate::limit::{Access, Arrival, Decision, Destination, RateClass, RateLimit, Refusal};
use crate::net::{Batch, Datagram, Received, Socket, Wait, clock, cpu};
use crate::responder::{self, Limits, Verdict};
use crate::wire;

/// What one thread needs to serve.
pub(super) struct Worker<'a> {
    socket: &'a Socket,
    counters: &'a Counters,
    stop: &'a AtomicBool,
    drain: bool,
    processor: Option<usize>,
    batch: Batch,
    answerer: Answerer,
}

/// Who gets in, and who hears of the others.
pub(super) struct Admission {
    pub access: Access,
    /// Of the rate limit's hash.
    pub key: [u64; 2],
    pub journal: Option<Journal>,
}

/// The part that turns one datagram into its reply.
struct Answerer {
    limits: Limits,
    /// Whether packet information says where a datagram was sent to.
    wildcard: bool,
    bound_ipv4: bool,
    access: Access,
    rate_limit: RateLimit,
    /// None if nobody wants to hear of single datagrams.
    journal: Option<Journal>,
}

impl<'a> Worker<'a> {
    /// `drain`: when stopped, answer what the socket's queue still holds, until it is empty.
    pub fn new(
        socket: &'a Socket,
        counters: &'a Counters,
        stop: &'a AtomicBool,
        config: &Config,
        admission: Admission,
        processor: Option<usize>,
        drain: bool,
    ) -> Self {
        // One octet more than the longest request, so that a longer one is seen to be.
        let request_len = wire::MAX_REQUEST + 1;
        let batch = Batch::new(config.batch, request_len, config.limits.max_reply.octets(), socket.is_wildcard());
        let rate_limit = RateLimit::new(config.rate_limit, config.rate_limit_dry_run, admission.key);
        let Admission { access, journal, .. } = admission;
        let wildcard = socket.is_wildcard();
        let bound_ipv4 = !wildcard && socket.local_addr().ip().to_ipv4_mapped().is_some();
        let answerer = Answerer { limits: config.limits, wildcard, bound_ipv4, access, rate_limit, journal };
        Self { socket, counters, stop, drain, processor, batch, answerer }
    }

    /// Moves the calling thread to the worker's processor.
    pub fn pin(&self) {
        if let Some(processor) = self.processor {
            // Where pinning is forbidden the worker serves all the same, only less evenly.
            let _ = cpu::pin(processor);
        }
    }

    /// Serves until told to stop. An error is a mistake of ours, such as a closed socket: the network causes none.
    pub fn run(mut self) -> io::Result<()> {
        let mut failures = 0;
        while !self.stop.load(Relaxed) {
            match self.batch.receive(self.socket, Wait::ForOne) {
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
        let now = clock::coarse();
        let (mut octets_in, mut octets_out) = (0, 0);
        self.batch.answer(|datagram, reply| {
            octets_in += datagram.length as u64;
            let len = self.answerer.answer(datagram, now, reply, counters);
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
            Some(libc::EAGAIN) => self.counters.add(Counter::Batch(0), 1),
            Some(libc::EINTR) => {}
            Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::EINVAL) => return Err(error),
            _ => {
                self.counters.add(Counter::ReceiveErrors, 1);
                *failures += 1;
                // An error that stays must not spin; one that passes costs nothing.
                if *failures > PATIENCE {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        Ok(())
    }
}

/// The longest that a stopped worker goes on with what is queued.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Failures in a row before a worker slows down.
const PATIENCE: u32 = 100;

impl Answerer {
    /// Writes the reply and returns its length, 0 for none. Counts the datagram exactly once.
    #[inline]
    fn answer(&mut self, datagram: Datagram<'_>, now: u64, reply: &mut [u8], counters: &Counters) -> usize {
        let arrival = self.arrival(&datagram);
        let class = match self.access.check(&arrival) {
            Ok(class) => class,
            Err(refusal) => return self.drop(&datagram, Cause::Refused(refusal), now, counters),
        };
        let decision = match class {
            RateClass::Limited => self.rate_limit.admit(arrival.source, now),
            RateClass::Exempt => Decision::Answer,
        };
        let room = match decision {
            Decision::Answer => reply.len(),
            Decision::DryRun => {
                counters.add(Counter::Leaked, 1);
                reply.len()
            }
            Decision::Leak => {
                counters.add(Counter::Leaked, 1);
                reply.len().min(datagram.octets.len())
            }
            Decision::Drop => return self.drop(&datagram, Cause::Refused(Refusal::RateLimited), now, counters),
        };
        let reply = &mut reply[..room];
        match responder::respond(datagram.octets, reply, &self.limits) {
            Verdict::Reply(made) => {
                counters.add(Counter::Request(made.form, made.operator), 1);
                counters.add(Counter::Reply(made.status), 1);
                made.len
            }
            Verdict::Silence(reason) => self.drop(&datagram, Cause::Silent(reason), now, counters),
        }
    }

    #[inline]
    fn arrival(&self, datagram: &Datagram<'_>) -> Arrival {
        let destination = match datagram.destination {
            Some(address) => Destination::Address(address),
            None if self.wildcard => Destination::Unknown,
            None => Destination::Bound,
        };
        let over_ipv4 = datagram.destination.map_or(self.bound_ipv4, |address| address.to_ipv4_mapped().is_some());
        Arrival { source: *datagram.source.ip(), port: datagram.source.port(), destination, over_ipv4 }
    }

    #[cold]
    fn drop(&mut self, datagram: &Datagram<'_>, cause: Cause, now: u64, counters: &Counters) -> usize {
        let counter = match cause {
            Cause::Refused(refusal) => Counter::Refused(refusal),
            Cause::Silent(reason) => Counter::Silent(reason),
        };
        counters.add(counter, 1);
        if let Some(journal) = &mut self.journal {
            journal.dropped(datagram.source, datagram.length, cause, now);
        }
        0
    }
}
