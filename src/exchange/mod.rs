//! The client's half of the protocol, as a pure state machine: one [`Exchange`] asks one [`Question`].
//!
//! Main type: [`Exchange`]. May call `wire`, `arithmetic` and `abridge`.
//!
//! It takes datagrams, the time and random numbers, and returns what to send, when to wake, and when it is done. It has
//! no socket, no clock and no generator, so the same code runs over sockets, under a fuzzer and on virtual time:
//!
//! ```
//! use calc6::exchange::{Exchange, Outcome, Payload, PortSharing, Question, Received, Retransmission};
//! use calc6::wire::{Format, Operator};
//! use std::time::Duration;
//!
//! let question = Question::classic(Operator::Sum, Format::Integer, [4, 2, 3])?;
//! let mut random = || 4; // in a real client: a cryptographic generator
//! let mut exchange = Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), Duration::ZERO, &mut random);
//!
//! let request = exchange.transmit(Duration::ZERO).expect("the first is due at once");
//! assert_eq!(request[0], 0x00);
//! assert!(exchange.wake_at() >= Some(Duration::from_secs(1)), "then it waits for a reply");
//!
//! let reply = [0xff, 0, 0, 0, 9];
//! assert_eq!(exchange.receive(Duration::from_millis(20), true, &reply), Received::Accepted);
//! let Some(Outcome::Answer(answer)) = exchange.outcome() else { panic!() };
//! assert_eq!(*answer, Payload::Integer(vec![9]));
//! # Ok::<(), calc6::wire::classic::RequestError>(())
//! ```
//!
//! # The loop around it
//! Send what [`transmit`](Exchange::transmit) gives until it gives nothing; stop if there is an
//! [`outcome`](Exchange::outcome); else wait for a datagram until [`wake_at`](Exchange::wake_at), hand it to
//! [`receive`](Exchange::receive), and begin again. What the socket reports as ECONNREFUSED goes to
//! [`refused`](Exchange::refused). Any other failure to send may be treated as a loss.
//!
//! # Retransmission
//! RFC 8085, section 3.1.1, with the numbers of RFC 7252, section 4.2: the first wait is [`Retransmission::first_wait`]
//! times a random factor of 1 to 1.5, each further wait is twice as long, up to [`MAX_WAIT`], and every repeat is the
//! same octets. Every exchange ends within [`Retransmission::longest`].
//!
//! Nothing here panics, for any datagrams, times and random numbers; the one assertion is on the
//! caller of [`Exchange::new`].

#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod outcome;
pub mod plan;
mod question;
mod retransmission;

#[cfg(feature = "net")]
pub(crate) use outcome::printable_lines;
pub use outcome::{ClassicOnly, IgnoredCounts, IgnoredReason, Outcome, Payload, Received, Statistics, TooLarge};
pub use plan::{Forms, PlanError};
pub use question::Question;
pub(crate) use retransmission::backed_off;
pub use retransmission::{MAX_WAIT, Retransmission};

use alloc::vec::Vec;
use core::time::Duration;

use retransmission::{doubled, scaled};

use crate::wire::{self, Form, Format, Status, classic, extended};

/// How long after a first ECONNREFUSED a later one still leads to another attempt: a server that is only just
/// starting is waited for.
pub const REFUSAL_WINDOW: Duration = Duration::from_millis(300);

/// The least wait once a round-trip time is known.
const LEAST_WAIT: Duration = Duration::from_millis(200);

/// The wait between the first ECONNREFUSED and the next attempt; it doubles.
const FIRST_REFUSAL_WAIT: Duration = Duration::from_millis(10);

/// What is asked of a peer that left an extended request unanswered: the classic sum of one zero.
pub const PROBE: [u8; classic::HEADER + classic::OPERAND] = [0; 5];

/// Whether other exchanges use the same local address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSharing {
    /// None does: all that the peer sends belongs to this exchange, also what has no identifier.
    Exclusive,
    /// Others do, all of them extended: only the identifier tells which exchange a reply belongs to.
    Shared,
}

/// One question, from the first datagram to its outcome.
#[derive(Debug, Clone)]
pub struct Exchange {
    question: Question,
    sharing: PortSharing,
    config: Retransmission,
    /// The first wait with its random factor.
    first_wait: Duration,
    deadline: Option<Duration>,
    /// The octets that are sent, and repeated as they are.
    datagram: Vec<u8>,
    id: u64,
    /// The identifier of the wider request, drawn at the start; once that is asked, the identifier of the earlier one.
    other_id: u64,
    phase: Phase,
    /// Whether the probe is to be sent now, beside the request.
    probe_due: bool,
    probed_at: Duration,
    /// Whether the peer has answered the probe while the request is repeated.
    probe_answered: bool,
    /// How often the timer had sent the datagram when the doubling of the waits restarted.
    backoff_from: u64,
    /// How often the timer has sent the present datagram.
    sent: u64,
    /// When the timer next runs out.
    timer: Duration,
    /// When to send once more because a datagram was refused.
    resend: Option<Duration>,
    first_refusal: Option<Duration>,
    /// When the present datagram was first and last sent.
    sent_at: Option<(Duration, Duration)>,
    statistics: Statistics,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asking,
    Probing,
}

impl Exchange {
    /// Begins to ask `question` at `now`, a time since any fixed origin. `random` gives 64 bits at each call, from a
    /// cryptographic generator: the request identifiers are drawn from it, so that an attacker off the path cannot
    /// forge a reply (RFC 5452, section 4.3, argues the same for DNS).
    ///
    /// # Panics
    /// If a classic question is to share its socket: classic replies have no identifier.
    pub fn new(
        question: Question,
        sharing: PortSharing,
        config: &Retransmission,
        now: Duration,
        random: &mut impl FnMut() -> u64,
    ) -> Exchange {
        assert!(
            sharing == PortSharing::Exclusive || question.form() == Form::Extended,
            "a classic exchange is alone on its socket"
        );
        let id = random();
        let other_id = distinct(id, random());
        let factor = (random() >> 32) as u32;
        Exchange {
            datagram: question.encode(id),
            question,
            sharing,
            config: *config,
            first_wait: scaled(config.first_wait, factor),
            deadline: config.deadline.map(|deadline| now.saturating_add(deadline)),
            id,
            other_id,
            phase: Phase::Asking,
            probe_due: false,
            probed_at: now,
            probe_answered: false,
            backoff_from: 0,
            sent: 0,
            timer: now,
            resend: None,
            first_refusal: None,
            sent_at: None,
            statistics: Statistics::default(),
            outcome: None,
        }
    }

    /// A datagram that is due, if one is; it counts as sent. Call it again until it gives none. This is also what
    /// notices that the time is up.
    pub fn transmit(&mut self, now: Duration) -> Option<&[u8]> {
        if self.outcome.is_some() {
            return None;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.outcome = Some(Outcome::Deadline);
            return None;
        }
        let mut probe = core::mem::take(&mut self.probe_due);
        if !probe {
            if self.timer <= now {
                if !self.timer_ran_out(now) {
                    self.outcome = Some(self.silence());
                    return None;
                }
            } else if self.resend.is_none_or(|resend| now < resend) {
                return None;
            }
            self.resend = None;
            probe = self.phase == Phase::Probing;
        }
        self.statistics.transmissions = self.statistics.transmissions.saturating_add(1);
        if probe {
            self.statistics.probed = true;
            self.probed_at = now;
            return Some(&PROBE);
        }
        self.sent_at = Some((self.sent_at.map_or(now, |(first, _)| first), now));
        Some(&self.datagram)
    }

    /// When to call [`transmit`](Self::transmit) next if nothing arrives before; `None` once there is an outcome.
    pub fn wake_at(&self) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        let limits = [self.resend, self.deadline, self.probe_due.then_some(Duration::ZERO)];
        Some(limits.into_iter().flatten().fold(self.timer, Duration::min))
    }

    /// Takes a datagram that arrived; `from_peer` says whether its source is the address and port that was asked. What
    /// does not count as a reply is counted by its reason, and waiting goes on.
    pub fn receive(&mut self, now: Duration, from_peer: bool, datagram: &[u8]) -> Received {
        match self.judge(from_peer, datagram) {
            Ok(Decision::Ask { needed }) => self.widen(now, needed),
            Ok(Decision::ProbeAnswered) => {
                self.probe_answered = true;
                // It is there, and its distance is known: the other repeats need not wait as long.
                let round_trip = now.saturating_sub(self.probed_at);
                self.first_wait = round_trip.saturating_mul(3).max(LEAST_WAIT).min(self.first_wait);
                self.backoff_from = self.sent.saturating_sub(1);
                self.timer = self.timer.min(now.saturating_add(self.first_wait));
                self.resend = Some(now);
                Received::ProbeAnswered
            }
            Ok(Decision::End(outcome)) => {
                self.statistics.rtt = self.sent_at.map(|(_, last)| now.saturating_sub(last));
                self.outcome = Some(outcome);
                Received::Accepted
            }
            Err(why) => {
                self.statistics.ignored.count(&why);
                Received::Ignored(why)
            }
        }
    }

    /// The socket reported ECONNREFUSED: an ICMPv6 "port unreachable" (RFC 4443, section 3.1) for a
    /// datagram of this exchange. The request is sent again, soon, until [`REFUSAL_WINDOW`] after the first report;
    /// a report after that ends the exchange.
    pub fn refused(&mut self, now: Duration) {
        if self.outcome.is_some() {
            return;
        }
        let earlier = self.statistics.refusals;
        self.statistics.refusals = earlier.saturating_add(1);
        let end = self.first_refusal.get_or_insert(now).saturating_add(REFUSAL_WINDOW);
        if now >= end {
            self.outcome = Some(Outcome::Refused);
        } else if self.resend.is_none() {
            self.resend = Some(now.saturating_add(doubled(FIRST_REFUSAL_WAIT, earlier.into())).min(end));
        }
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// How it ended, to keep; `None` if it has not.
    pub fn into_outcome(self) -> Option<Outcome> {
        self.outcome
    }

    /// What was counted so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// What is asked, as it was asked last: perhaps at a larger Width than at first.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// The request that is sent and repeated, octet by octet.
    pub fn request(&self) -> &[u8] {
        &self.datagram
    }

    /// The identifier in progress, by which datagrams of a shared socket are dispatched
    /// ([`extended::id`] reads it); `None` for a classic question. It changes when [`receive`](Self::receive) says
    /// [`Received::Widened`].
    pub fn id(&self) -> Option<u64> {
        (self.question.form() == Form::Extended).then_some(self.id)
    }

    /// Prepares what is due when the timer has expired; false if nothing is left to try.
    fn timer_ran_out(&mut self, now: Duration) -> bool {
        let wait = match self.phase {
            Phase::Asking if self.sent <= u64::from(self.config.retries) => {
                let wait = backed_off(self.first_wait, self.sent - self.backoff_from);
                self.probe_due = self.sent == 1 && self.may_probe();
                self.statistics.repeats = self.statistics.repeats.saturating_add(u32::from(self.sent > 0));
                self.sent += 1;
                wait
            }
            Phase::Asking if self.may_probe() => {
                self.phase = Phase::Probing;
                self.first_wait
            }
            Phase::Asking | Phase::Probing => return false,
        };
        self.timer = now.saturating_add(wait);
        true
    }

    /// What it means that a wait has ended without a reply, and nothing is left to send.
    fn silence(&self) -> Outcome {
        if self.probe_answered { Outcome::ClassicOnly(ClassicOnly::Probe) } else { Outcome::Silent }
    }

    /// A peer that has answered an extended request is not asked whether it knows them, and none is asked twice.
    fn may_probe(&self) -> bool {
        self.config.probe
            && !self.statistics.probed
            && self.sharing == PortSharing::Exclusive
            && self.question.form() == Form::Extended
            && !self.statistics.widened
    }

    /// The filter, in its fixed order: short, other source, not a reply by its octets, unknown identifier, duplicate.
    fn judge(&self, from_peer: bool, datagram: &[u8]) -> Result<Decision, IgnoredReason> {
        let shortest = match self.sharing {
            PortSharing::Exclusive => classic::HEADER,
            PortSharing::Shared => extended::HEADER,
        };
        if datagram.len() < shortest {
            return Err(IgnoredReason::Short { octets: datagram.len() });
        }
        if !from_peer {
            return Err(IgnoredReason::OtherSource);
        }
        match self.question.form() {
            Form::Classic => self.judge_classic(datagram),
            Form::Extended => self.judge_extended(datagram),
        }
    }

    fn judge_classic(&self, datagram: &[u8]) -> Result<Decision, IgnoredReason> {
        let reply = classic::Reply::decode(datagram, self.question.format()).map_err(IgnoredReason::NoClassicReply)?;
        self.in_progress()?;
        Ok(Decision::End(match reply {
            classic::Reply::Error(text) => Outcome::ClassicError { text: outcome::printable(text) },
            reply => Outcome::Answer(Payload::of_classic(&reply)),
        }))
    }

    fn judge_extended(&self, datagram: &[u8]) -> Result<Decision, IgnoredReason> {
        let reply = match extended::Reply::decode(datagram) {
            Ok(reply) => reply,
            Err(error) => return self.judge_other_form(datagram, error),
        };
        if reply.id() == self.other_id && self.statistics.widened {
            return Err(IgnoredReason::Superseded);
        }
        if reply.id() != self.id {
            return Err(IgnoredReason::UnknownIdentifier { found: reply.id() });
        }
        self.in_progress()?;
        if reply.is_success() {
            return Ok(Decision::End(Outcome::Answer(Payload::of_extended(&reply, self.question.operator()))));
        }
        match self.too_large(&reply) {
            Some(Err(needed)) => Ok(Decision::Ask { needed }),
            too_large => Ok(Decision::End(Outcome::error(&reply, too_large.and_then(Result::ok)))),
        }
    }

    /// A datagram that is not an extended reply may come from a classic peer. It has no identifier and can be forged,
    /// so it counts only where this exchange is alone on its socket.
    fn judge_other_form(&self, datagram: &[u8], error: extended::ReplyError) -> Result<Decision, IgnoredReason> {
        match (self.evidence(datagram), error) {
            (Some(_), _) if self.sharing == PortSharing::Shared => Err(IgnoredReason::ClassicOnSharedSocket),
            // The request is still repeated: a reply to it may have been lost.
            (Some(ClassicOnly::Probe), _) if self.phase == Phase::Asking && self.outcome.is_none() => {
                if self.probe_answered { Err(IgnoredReason::Duplicate) } else { Ok(Decision::ProbeAnswered) }
            }
            (Some(evidence), _) => self.in_progress().map(|()| Decision::End(Outcome::ClassicOnly(evidence))),
            (None, error) => Err(IgnoredReason::of_extended(error)),
        }
    }

    /// What of a classic-only peer a datagram shows: an error, or the answer to the probe. Nothing does once the peer
    /// has shown that it knows the extended form.
    fn evidence(&self, datagram: &[u8]) -> Option<ClassicOnly> {
        let probed = self.statistics.probed;
        if self.statistics.widened {
            None
        } else if is_classic_error(datagram) {
            Some(ClassicOnly::Error { text: outcome::printable(&datagram[classic::HEADER..]) })
        } else {
            match classic::Reply::decode(datagram, Format::Integer) {
                Ok(classic::Reply::Integer(_)) if probed => Some(ClassicOnly::Probe),
                _ => None,
            }
        }
    }

    fn in_progress(&self) -> Result<(), IgnoredReason> {
        if self.outcome.is_some() { Err(IgnoredReason::Duplicate) } else { Ok(()) }
    }

    /// What follows a status 4: `Err(needed)` asks again with a request that allows a reply of that length.
    fn too_large(&self, reply: &extended::Reply<'_>) -> Option<Result<TooLarge, u32>> {
        if reply.status() != Some(Status::TooLarge) {
            return None;
        }
        let paid = wire::AMPLIFICATION * self.datagram.len();
        Some(match reply.needed() {
            None => Ok(TooLarge::Uncounted),
            Some(extended::NEEDED_OVER_LIMIT) => Ok(TooLarge::OverLimit),
            Some(needed) if needed as usize <= paid => Ok(TooLarge::Inconsistent { needed }),
            Some(needed) if self.statistics.widened => Ok(TooLarge::Again { needed }),
            Some(needed) if self.question.widened(needed).is_none() => Ok(TooLarge::NoWiderRequest { needed }),
            Some(needed) => Err(needed),
        })
    }

    /// Asks again, once, with a request long enough for a reply of `needed` octets and with a new identifier.
    fn widen(&mut self, now: Duration, needed: u32) -> Received {
        if let Some(question) = self.question.widened(needed) {
            self.question = question;
        }
        core::mem::swap(&mut self.id, &mut self.other_id);
        self.datagram = self.question.encode(self.id);
        self.statistics.widened = true;
        self.phase = Phase::Asking;
        (self.probe_due, self.probe_answered) = (false, false);
        (self.sent, self.backoff_from) = (0, 0);
        self.sent_at = None;
        self.resend = None;
        self.timer = now;
        Received::Widened
    }
}

enum Decision {
    End(Outcome),
    ProbeAnswered,
    /// The reply needs a longer request.
    Ask {
        needed: u32,
    },
}

/// Whether a datagram that is not an extended reply reads as a classic error. One that has the outline of an extended
/// reply (docs/protocol.md, clause 4.7) but is damaged does not.
fn is_classic_error(datagram: &[u8]) -> bool {
    let extended_outline = datagram.len() >= extended::HEADER
        && datagram[0] == wire::ERROR
        && datagram[extended::STATUS] < extended::STATUS_END;
    datagram.first().is_some_and(|first| first & wire::SUCCESS_BIT == 0) && !extended_outline
}

/// The second of two identifiers, made different from the first.
fn distinct(first: u64, second: u64) -> u64 {
    if first == second { second.wrapping_add(1) } else { second }
}

#[cfg(test)]
mod tests;
