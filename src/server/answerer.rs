//! From one datagram to its reply: the decisions by address, by rate and by octets, each counted once.

use super::config::Config;
use super::counters::{Counter, Counters};
use super::journal::{Cause, Journal};
use super::rules::WorkerRules;
use crate::limit::{Arrival, DestinationAddress, LoopGuard, RateClass, RateDecision, RateLimit, Refusal};
use crate::net::{Datagram, Destination, Local, Message, Socket};
use crate::responder::{self, Limits, Verdict, WrittenReply};
use crate::wire::{Form, Status};

/// One worker's part that turns a datagram into its reply.
pub(super) struct Answerer<'a> {
    limits: Limits,
    rules: WorkerRules<'a>,
    /// Whether datagrams come over IPv4 where the system does not say what they were sent to.
    bound_ipv4: bool,
    rate_limit: RateLimit,
    loops: LoopGuard,
    /// None if drops are not reported.
    journal: Option<Journal>,
    counters: &'a Counters,
}

/// Where the datagrams of a message came from, and whether they are read.
pub(super) struct CheckedArrival {
    arrival: Arrival,
    access: Result<RateClass, Refusal>,
}

impl<'a> Answerer<'a> {
    /// `key` is the secret key of the hashes.
    pub fn new(
        config: &Config,
        socket: &Socket,
        key: [u64; 2],
        rules: WorkerRules<'a>,
        journal: Option<Journal>,
        counters: &'a Counters,
    ) -> Answerer<'a> {
        Answerer {
            limits: config.limits,
            rules,
            // On a wildcard address a system that does not say what was asked has to be believed.
            bound_ipv4: match socket.is_wildcard() {
                true => !config.ipv6_only,
                false => socket.local_addr().ip().to_ipv4_mapped().is_some(),
            },
            rate_limit: RateLimit::new(config.rate_limit, config.rate_limit_dry_run, key),
            loops: LoopGuard::new(key),
            journal,
            counters,
        }
    }

    /// Call this before each batch.
    #[inline]
    pub fn begin_batch(&mut self) {
        self.rules.refresh();
    }

    /// What the access rules say of all datagrams of a message.
    #[inline]
    pub fn check_arrival(&self, message: &Message<'_>) -> CheckedArrival {
        let (destination, over_ipv4) = match message.destination {
            Destination::Bound => (DestinationAddress::Bound, self.bound_ipv4),
            Destination::Address(Local { address, .. }) => {
                (DestinationAddress::Address(address), address.to_ipv4_mapped().is_some())
            }
            Destination::Broadcast => (DestinationAddress::Broadcast, true),
            Destination::Unknown => (DestinationAddress::Unknown, false),
        };
        let arrival = Arrival { source: *message.source.ip(), port: message.source.port(), destination, over_ipv4 };
        CheckedArrival { arrival, access: self.rules.access().check(&arrival) }
    }

    /// Writes the reply to a datagram read at `now`, in nanoseconds, and returns its length, 0 for none. Counts the
    /// datagram exactly once.
    #[inline]
    pub fn answer(&mut self, checked: &CheckedArrival, datagram: &Datagram<'_>, now: u64, reply: &mut [u8]) -> usize {
        match self.judge(checked, datagram.octets, now, reply) {
            Ok(made) => {
                self.counters.add(Counter::Request(made.form, made.operator), 1);
                self.counters.add(Counter::Reply(made.status), 1);
                made.len
            }
            Err(cause) => self.drop(datagram, cause, now),
        }
    }

    #[inline]
    fn judge(
        &mut self,
        checked: &CheckedArrival,
        request: &[u8],
        now: u64,
        reply: &mut [u8],
    ) -> Result<WrittenReply, Cause> {
        let arrival = &checked.arrival;
        let room = match checked.access? {
            RateClass::Exempt => reply.len(),
            RateClass::Limited => self.room(arrival, request.len(), now, reply.len())?,
        };
        match responder::respond(request, &mut reply[..room], &self.limits) {
            Verdict::Silence(reason) => Err(Cause::Silent(reason)),
            Verdict::Reply(made) => {
                // An extended result requires a request that no other protocol sends by chance.
                let is_error = made.status != Status::Ok;
                if made.form == Form::Classic || is_error {
                    self.loops.check(arrival.source, arrival.port, request, is_error, now)?;
                }
                Ok(made)
            }
        }
    }

    /// How long the reply may be, given the rate of the source's prefix.
    #[inline]
    fn room(&mut self, arrival: &Arrival, request: usize, now: u64, whole: usize) -> Result<usize, Refusal> {
        match self.rate_limit.admit(arrival.source, now) {
            RateDecision::Answer => Ok(whole),
            RateDecision::DryRun => {
                self.counters.add(Counter::Leaked, 1);
                Ok(whole)
            }
            RateDecision::Leak => {
                self.counters.add(Counter::Leaked, 1);
                Ok(whole.min(request))
            }
            RateDecision::Drop => Err(Refusal::RateLimited),
        }
    }

    #[cold]
    fn drop(&mut self, datagram: &Datagram<'_>, cause: Cause, now: u64) -> usize {
        let counter = match cause {
            Cause::Refused(refusal) => Counter::Refused(refusal),
            Cause::Silent(reason) => Counter::Silent(reason),
        };
        self.counters.add(counter, 1);
        if let Some(journal) = &mut self.journal {
            journal.dropped(datagram.source, datagram.length, cause, now);
        }
        0
    }
}
