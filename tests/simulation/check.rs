//! Checks every exchange at its end against an independent evaluation of its question.

use std::time::Duration;

use calc6::exchange::{
    ClassicOnly, Exchange, IgnoredCounts, IgnoredReason, Outcome, Payload, Question, Retransmission, TooLarge,
};
use calc6::responder::Limits;
use calc6::wire::{Form, Format, Operator, Status};
use num_bigint::{BigInt, Sign};

use crate::path::Path;
use crate::property::reference::{self, Value};
use crate::world::Peer;

/// The outcomes of all exchanges, to check that the simulation covers every case.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub exchanges: usize,
    /// Datagrams on a shared socket with an identifier of no open exchange.
    pub undelivered: usize,
    answered: usize,
    answered_after_repeats: usize,
    answered_after_widening: usize,
    answered_after_refusals: usize,
    answered_at_once: usize,
    errors: usize,
    too_large: usize,
    classic_errors: usize,
    classic_only_by_error: usize,
    classic_only_by_probe: usize,
    silent: usize,
    refused: usize,
    deadline: usize,
    ignored_short: usize,
    ignored_strangers: usize,
    ignored_malformed: usize,
    ignored_unknown: usize,
    ignored_superseded: usize,
    ignored_duplicates: usize,
}

impl Tally {
    pub fn ignored(&mut self, reason: &IgnoredReason) {
        *match reason {
            IgnoredReason::Short { .. } => &mut self.ignored_short,
            IgnoredReason::OtherSource => &mut self.ignored_strangers,
            IgnoredReason::NoExtendedReply(_) | IgnoredReason::NoClassicReply(_) => &mut self.ignored_malformed,
            IgnoredReason::ClassicOnSharedSocket => panic!("dispatched without an identifier"),
            IgnoredReason::UnknownIdentifier { .. } => &mut self.ignored_unknown,
            IgnoredReason::Superseded => &mut self.ignored_superseded,
            IgnoredReason::Duplicate => &mut self.ignored_duplicates,
            other => panic!("{other:?}"),
        } += 1;
    }

    /// Every outcome, and every reason to ignore, has occurred; most exchanges were answered.
    pub fn assert_everything_happened(&self) {
        let listing = format!("{self:?}");
        assert!(!listing.contains(": 0"), "the simulation leaves something out: {self:#?}");
        assert!(self.answered > self.exchanges / 3, "{self:#?}");
    }
}

/// An exchange that has ended.
pub struct Ended<'a> {
    pub question: &'a Question,
    pub exchange: &'a Exchange,
    pub config: &'a Retransmission,
    pub took: Duration,
    pub peer: Peer,
    pub path: &'a Path,
}

impl Ended<'_> {
    pub fn check(&self, tally: &mut Tally) {
        let outcome = self.exchange.outcome().expect("an outcome");
        assert!(self.took <= self.config.longest(), "{:?} of {:?}", self.took, self.config.longest());
        match outcome {
            Outcome::Answer(answer) => {
                self.check_answer(answer);
                self.count_answer(tally);
            }
            Outcome::Error { status, known, too_large, .. } => {
                self.check_error(*status, *known, *too_large);
                *if too_large.is_some() { &mut tally.too_large } else { &mut tally.errors } += 1;
            }
            Outcome::ClassicError { .. } => {
                assert!(self.classic_value().is_none(), "an error in place of {:?}", self.classic_value());
                tally.classic_errors += 1;
            }
            Outcome::ClassicOnly(evidence) => self.check_classic_only(evidence, tally),
            Outcome::Silent => tally.silent += 1,
            Outcome::Refused => {
                assert!(matches!(self.peer, Peer::From(_)));
                tally.refused += 1;
            }
            Outcome::Deadline => {
                assert_eq!(Some(self.took), self.config.deadline);
                tally.deadline += 1;
            }
            other => panic!("{other:?}"),
        }
        self.check_liveness(outcome);
    }

    fn limits(&self) -> Limits {
        match self.peer {
            Peer::Calc6(limits) => limits,
            Peer::Classic | Peer::ClassicAndSilent => Limits::default().with_wrap(true),
            _ => Limits::default(),
        }
    }

    fn operands(&self) -> Vec<BigInt> {
        let octets = self.question.operands();
        match self.question.form() {
            Form::Classic => octets.chunks(4).map(|octets| BigInt::from_bytes_be(Sign::Plus, octets)).collect(),
            Form::Extended => octets.chunks(self.question.width().into()).map(BigInt::from_signed_bytes_be).collect(),
        }
    }

    fn value(&self) -> Result<Value, u8> {
        reference::evaluate(self.question.operator().octet(), &self.operands())
    }

    /// The result of a classic question, if the server can express it.
    fn classic_value(&self) -> Option<BigInt> {
        let Ok(Value::Exact(value)) = self.value() else { panic!("sums and products have values") };
        let modulus = BigInt::from(1u64 << 32);
        match self.question.format() {
            Format::Integer if self.limits().wrap => Some(value % modulus),
            Format::Integer => Some(value).filter(|value| *value < modulus),
            Format::Text => {
                Some(value).filter(|value| value.to_string().len() < self.limits().max_reply.octets().min(257))
            }
        }
    }

    fn check_answer(&self, answer: &Payload) {
        let number = match answer {
            Payload::Integer(octets) => BigInt::from_signed_bytes_be(octets),
            Payload::Decimal { digits, .. } => digits.parse().unwrap(),
            Payload::Description(text) => {
                assert!(self.question.operator() == Operator::Describe && text.starts_with("calc6 "), "{text}");
                return;
            }
            other => panic!("our server said {other:?}"),
        };
        let expected = match self.question.form() {
            Form::Classic => self.classic_value().expect("a result that can be expressed"),
            Form::Extended => match self.value() {
                Ok(Value::Exact(value)) => value,
                other => panic!("{number} in place of {other:?}"),
            },
        };
        assert_eq!(number, expected, "a wrong result to {:?}", self.question);
    }

    fn count_answer(&self, tally: &mut Tally) {
        let statistics = self.exchange.statistics();
        tally.answered += 1;
        tally.answered_after_repeats += usize::from(statistics.repeats > 0);
        tally.answered_after_widening += usize::from(statistics.widened);
        tally.answered_after_refusals += usize::from(statistics.refusals > 0);
        tally.answered_at_once += usize::from(statistics.transmissions == 1);
    }

    fn check_error(&self, status: u8, known: Option<Status>, too_large: Option<TooLarge>) {
        assert_eq!(known.map(Status::octet), Some(status), "our server's statuses are known");
        if known != Some(Status::TooLarge) {
            assert_eq!((self.value(), too_large), (Err(status), None));
            return;
        }
        let limit = self.limits().max_reply.octets();
        let needed = match self.value() {
            _ if self.question.operator() == Operator::Describe => 12,
            Ok(Value::Exact(value)) if self.question.format() == Format::Text => 12 + value.to_string().len(),
            Ok(Value::Exact(value)) => 12 + value.to_signed_bytes_be().len(),
            Ok(Value::Huge) => usize::MAX,
            Err(status) => panic!("too large in place of status {status}"),
        };
        match too_large {
            Some(TooLarge::OverLimit) => assert!(needed > limit, "{needed} octets were available"),
            Some(TooLarge::NoWiderRequest { needed: said }) => assert_eq!(self.question.widened(said), None),
            other => panic!("our server is consistent, but {other:?}"),
        }
    }

    fn check_classic_only(&self, evidence: &ClassicOnly, tally: &mut Tally) {
        assert_eq!(self.question.form(), Form::Extended);
        match evidence {
            ClassicOnly::Error { .. } => {
                assert_eq!(self.peer, Peer::Classic, "by a stranger's word");
                tally.classic_only_by_error += 1;
            }
            ClassicOnly::Probe => {
                assert!(self.exchange.statistics().probed && !matches!(self.peer, Peer::Silent | Peer::OtherPort));
                let lost = !self.path.is_perfect() || matches!(self.peer, Peer::From(_));
                assert!(self.peer == Peer::ClassicAndSilent || lost, "{:?}", self.peer);
                tally.classic_only_by_probe += 1;
            }
            other => panic!("{other:?}"),
        }
    }

    /// If nothing is lost and the answer is faster than the first wait, the first attempt is answered.
    fn check_liveness(&self, outcome: &Outcome) {
        let statistics = self.exchange.statistics();
        let IgnoredCounts { short, other_source, malformed, unknown_identifier, duplicate, .. } = statistics.ignored;
        assert_eq!(statistics.ignored.total(), short + other_source + malformed + unknown_identifier + duplicate);
        let there_and_back = 2 * self.path.least();
        let in_time = there_and_back < self.config.first_wait
            && self.config.deadline.is_none_or(|deadline| 2 * there_and_back < deadline);
        if self.path.is_perfect() && matches!(self.peer, Peer::Calc6(_)) && in_time {
            let answered = matches!(outcome, Outcome::Answer(_) | Outcome::Error { .. } | Outcome::ClassicError { .. });
            assert!(answered, "{outcome:?} on a perfect path");
            assert_eq!(statistics.transmissions, 1 + u32::from(statistics.widened));
            assert_eq!(statistics.rtt, Some(there_and_back));
        }
    }
}
