//! The requests of a run with their right answers, and how a reply is matched with its request.

use clap::ValueEnum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ledger::{Ledger, ReplyMatch};
use crate::Failure;
use calc6::arithmetic::{Number, evaluate};
use calc6::wire::{Format, Operator, SUCCESS_BIT, classic, extended};

/// Results in the classic form are odd multiples of this prime, from three times it on; which one names the request.
/// What mistakes make of a result (off by one, doubled, an operand left out or taken twice, 16 bits, the bytes the
/// other way round) is hardly ever another one. All of them are below 2^31, so that servers that compute with `int` are
/// right.
const PRIME: u32 = 50_021;

/// The result of the request of the first place, and from one place to the next.
const FIRST_RESULT: u32 = 3 * PRIME;
const SPACING: u32 = 2 * PRIME;

/// Operands of classic sums, but for the last one, are from 1 to this.
const SMALL: u32 = 1000;

/// The operands of the course's examples: the floor server always answers with their sum.
const ODD: [u32; 5] = [1, 3, 5, 7, 9];

/// The two message forms, as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestForm {
    /// The course protocol: requests are told apart by their results
    Classic,
    /// Version 1: requests are told apart by their identifiers
    Extended,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestShape {
    /// The form of the requests.
    pub form: RequestForm,
    /// What is asked for.
    pub operator: Operator,
    /// Result as text.
    pub text: bool,
    /// Operands in each request.
    pub operands: usize,
}

/// What a reply says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyVerdict {
    /// The right result.
    Right(ReplyMatch),
    /// Another result; the request that it answers, if it can be found.
    Wrong(Option<ReplyMatch>),
    /// An error status.
    Error(Option<ReplyMatch>),
}

/// The requests of a run.
pub struct Workload {
    templates: Vec<Template>,
    identity: MatchBy,
    text: bool,
}

struct Template {
    request: Vec<u8>,
    /// The reply without its header.
    result: Vec<u8>,
}

/// How a reply is matched with its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MatchBy {
    /// All are the same: replies are assumed to arrive in order.
    Order,
    /// Results.
    Result,
    /// Request identifiers.
    Identifier,
}

impl Workload {
    /// Different requests, `places` of them, drawn from a seed.
    pub fn new(question: RequestShape, places: usize, seed: u64) -> Result<Self, Failure> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let identity = match (question.form, question.operator) {
            (RequestForm::Extended, _) => MatchBy::Identifier,
            (RequestForm::Classic, Operator::Sum | Operator::Product) => MatchBy::Result,
            (RequestForm::Classic, other) => {
                return Err(Failure::Usage(format!("{other} is not in the classic form: add --form extended")));
            }
        };
        let template = |place| match question.form {
            RequestForm::Classic => Ok(classic_template(question, place as u32, &mut random)),
            RequestForm::Extended => extended_template(question, &mut random),
        };
        let templates = (0..places).map(template).collect::<Result<_, _>>()?;
        Ok(Self { templates, identity, text: question.text })
    }

    /// Requests with one result, the one that the floor server answers: 1 + 3 + 5 + 7 + 9 in five orders, since a
    /// server's guard against loops drops one of very many identical requests.
    pub fn fixed() -> Self {
        let template = |turn| {
            let mut operands = ODD;
            operands.rotate_left(turn);
            let request = crate::check::classic_request(Operator::Sum, Format::Integer, &operands);
            Template { request, result: 25_u32.to_be_bytes().to_vec() }
        };
        Self { templates: (0..ODD.len()).map(template).collect(), identity: MatchBy::Order, text: false }
    }

    /// The longest request, in octets.
    pub fn request_len(&self) -> usize {
        self.templates.iter().map(|template| template.request.len()).max().unwrap_or_default()
    }

    /// The longest right reply, in octets, and one more, so that longer ones are recognised.
    pub fn reply_len(&self) -> usize {
        let longest = self.templates.iter().map(|template| template.result.len()).max().unwrap_or_default();
        longest.max(32) + extended::HEADER + 1
    }

    /// Writes the request of a place; `identifier` is the request's in the extended form.
    #[inline]
    pub fn write(&self, place: usize, identifier: u64, out: &mut [u8]) -> usize {
        let request = &self.templates[place % self.templates.len()].request;
        out[..request.len()].copy_from_slice(request);
        if self.identity == MatchBy::Identifier {
            out[extended::ID..extended::HEADER].copy_from_slice(&identifier.to_be_bytes());
        }
        request.len()
    }

    /// Matches a reply with its request, and judges it. `base` is the identifier of the connection's first request.
    #[inline]
    pub fn read(&self, reply: &[u8], length: usize, base: u64, ledger: &mut Ledger, now: u64) -> ReplyVerdict {
        match self.identity {
            MatchBy::Identifier => self.read_extended(reply, length, base, ledger, now),
            MatchBy::Order => match self.is_right(0, reply, length) {
                true => ReplyVerdict::Right(oldest(ledger, now).unwrap_or(ReplyMatch::Unasked)),
                false => wrong_or_error(reply, ledger, now),
            },
            MatchBy::Result => match self.place(reply) {
                Some(place) if self.is_right(place, reply, length) => match ledger.settle(place, now) {
                    ReplyMatch::Unasked => ReplyVerdict::Wrong(ledger.blame(now)),
                    arrival => ReplyVerdict::Right(arrival),
                },
                // Nearly right: its request is known, and the other requests stay unanswered.
                Some(place) if is_success(reply) && ledger.waits(place) => {
                    ReplyVerdict::Wrong(Some(ledger.settle(place, now)))
                }
                _ => wrong_or_error(reply, ledger, now),
            },
        }
    }

    fn read_extended(&self, reply: &[u8], length: usize, base: u64, ledger: &mut Ledger, now: u64) -> ReplyVerdict {
        let Some(identifier) = extended::id(reply) else { return wrong_or_error(reply, ledger, now) };
        let number = identifier.wrapping_sub(base);
        let arrival = ledger.settle_number(number, now);
        if arrival == ReplyMatch::Unasked {
            return ReplyVerdict::Wrong(None);
        }
        let template = &self.templates[(number % self.templates.len() as u64) as usize];
        let payload = &reply[extended::HEADER..];
        match reply[..extended::ID] {
            [calc6::wire::SUCCESS, 0, ..] if payload == template.result && length == reply.len() => {
                ReplyVerdict::Right(arrival)
            }
            [first, ..] if first & SUCCESS_BIT == 0 => ReplyVerdict::Error(Some(arrival)),
            _ => ReplyVerdict::Wrong(Some(arrival)),
        }
    }

    fn is_right(&self, place: usize, reply: &[u8], length: usize) -> bool {
        is_success(reply) && reply[classic::HEADER..] == self.templates[place].result && length == reply.len()
    }

    /// The place of the request whose result is nearest to a reply's, in the classic form.
    fn place(&self, reply: &[u8]) -> Option<usize> {
        let payload = reply.get(classic::HEADER..)?;
        let value: u32 = match self.text {
            false => u32::from_be_bytes(payload.try_into().ok()?),
            true => str::from_utf8(payload).ok()?.parse().ok()?,
        };
        let place = ((value.checked_add(SPACING / 2)?).checked_sub(FIRST_RESULT)? / SPACING) as usize;
        (place < self.templates.len()).then_some(place)
    }
}

/// Where all requests are the same, a right reply answers the oldest.
fn oldest(ledger: &mut Ledger, now: u64) -> Option<ReplyMatch> {
    ledger.oldest_waiting().map(|place| ledger.settle(place, now))
}

fn is_success(reply: &[u8]) -> bool {
    reply.first().is_some_and(|first| first & SUCCESS_BIT != 0)
}

fn wrong_or_error(reply: &[u8], ledger: &mut Ledger, now: u64) -> ReplyVerdict {
    let arrival = ledger.blame(now);
    match reply.first() {
        Some(first) if first & SUCCESS_BIT == 0 => ReplyVerdict::Error(arrival),
        _ => ReplyVerdict::Wrong(arrival),
    }
}

/// The result names the place.
fn classic_template(question: RequestShape, place: u32, random: &mut ChaCha8Rng) -> Template {
    let (count, value) = (question.operands, FIRST_RESULT + SPACING * place);
    let operands = match question.operator {
        _ if count == 1 => vec![value],
        Operator::Product => [&[PRIME], &vec![1; count - 2][..], &[value / PRIME]].concat(),
        _ => {
            let mut operands: Vec<u32> = (1..count).map(|_| random.random_range(1..=SMALL)).collect();
            operands.push(value - operands.iter().sum::<u32>());
            operands
        }
    };
    let format = if question.text { Format::Text } else { Format::Integer };
    let request = crate::check::classic_request(question.operator, format, &operands);
    let result = if question.text { value.to_string().into_bytes() } else { value.to_be_bytes().to_vec() };
    Template { request, result }
}

/// Operands that the operator takes, small ones.
fn extended_template(question: RequestShape, random: &mut ChaCha8Rng) -> Result<Template, Failure> {
    let RequestShape { operator, operands: count, text, .. } = question;
    let unfit = || Failure::Usage(format!("{} does not take {count} operands", operator.word()));
    let operands: Vec<Number> = match operator {
        Operator::Describe => return Err(Failure::Usage("describe has no result to verify".into())),
        Operator::Power => [random.random_range(-9..=9), random.random_range(0..=9)].map(Number::from).to_vec(),
        _ => (0..count)
            .map(|_| Number::from(random.random_range(1..=1000) * if random.random() { 1 } else { -1 }))
            .collect(),
    };
    if operands.len() != count {
        return Err(unfit());
    }
    let result = evaluate(operator, &operands, u64::MAX).map_err(|_| unfit())?;
    let width = 4;
    let format = if text { Format::Text } else { Format::Integer };
    let request = crate::check::extended_request(operator, format, width, &operands);
    if request.len() > calc6::wire::MAX_REQUEST {
        return Err(Failure::Usage(format!("{count} operands do not fit a request: at most 305 do")));
    }
    let result = if text {
        result.to_string().into_bytes()
    } else {
        let mut octets = vec![0; result.octet_len()];
        result.write_octets(&mut octets).ok_or_else(unfit)?;
        octets
    };
    if extended::HEADER + result.len() > calc6::wire::reply_limit(request.len(), calc6::wire::MAX_REPLY) {
        return Err(Failure::Usage(format!("the result of {count} operands does not fit a reply")));
    }
    Ok(Template { request, result })
}

#[cfg(test)]
mod tests {
    use super::*;
    use calc6::responder::{Limits, Verdict, respond};

    fn questions() -> impl Iterator<Item = RequestShape> {
        let extended = Operator::ALL.into_iter().filter(|operator| *operator != Operator::Describe);
        let forms = extended.map(|operator| (RequestForm::Extended, operator));
        [(RequestForm::Classic, Operator::Sum), (RequestForm::Classic, Operator::Product)]
            .into_iter()
            .chain(forms)
            .flat_map(|(form, operator)| {
                [false, true].into_iter().flat_map(move |text| {
                    let counts: &[usize] = if operator == Operator::Power { &[2] } else { &[2, 5, 64] };
                    counts.iter().map(move |&operands| RequestShape { form, operator, text, operands })
                })
            })
    }

    #[test]
    fn every_request_is_answered_right_by_a_right_server() {
        for question in questions() {
            let Ok(workload) = Workload::new(question, 32, 1) else {
                assert!(question.operands == 64, "{question:?}");
                continue;
            };
            let (mut ledger, base) = (Ledger::new(32), u64::MAX - 3);
            let (mut request, mut reply) = ([0; 2000], [0; 2000]);
            for number in 0..64 {
                let place = ledger.next_place();
                let length = workload.write(place, base.wrapping_add(number), &mut request);
                ledger.issue(0);
                let Verdict::Reply(verdict) = respond(&request[..length], &mut reply, &Limits::default()) else {
                    panic!("{question:?}");
                };
                let right = &reply[..verdict.len];
                let answer = workload.read(right, right.len(), base, &mut ledger, 9);
                assert_eq!(answer, ReplyVerdict::Right(ReplyMatch::InTime(9)), "{question:?}");
                let again = workload.read(right, right.len(), base, &mut ledger, 9);
                assert_eq!(again, ReplyVerdict::Right(ReplyMatch::Duplicate), "{question:?}");
                assert!(right.len() <= workload.reply_len());
            }
        }
    }

    #[test]
    fn wrong_replies_and_errors_are_seen_and_free_a_place() {
        let question = RequestShape { form: RequestForm::Classic, operator: Operator::Sum, text: false, operands: 5 };
        let workload = Workload::new(question, 16, 1).unwrap();
        let mut ledger = Ledger::new(16);
        (0..3).for_each(|_| assert!(!ledger.issue(0)));
        let mut read = |reply: &[u8]| workload.read(reply, reply.len(), 0, &mut ledger, 5);
        assert_eq!(read(&[0xff, 0, 0, 0, 25]), ReplyVerdict::Wrong(Some(ReplyMatch::InTime(5))));
        assert_eq!(read(&[0x7f, 0x41]), ReplyVerdict::Error(Some(ReplyMatch::InTime(5))));
        assert_eq!(read(&[]), ReplyVerdict::Wrong(Some(ReplyMatch::InTime(5))));
        assert_eq!(read(&[0xff]), ReplyVerdict::Wrong(None));
        // The result of a request that was never sent.
        let unsent = FIRST_RESULT + SPACING * 9;
        assert_eq!(read(&[&[0xff][..], &unsent.to_be_bytes()].concat()), ReplyVerdict::Wrong(None));
    }

    /// What near mistakes make of right operands.
    fn mistakes(operands: &[u32], operator: Operator) -> Vec<u32> {
        let fold = |operands: &[u32]| match operator {
            Operator::Product => operands.iter().fold(1_u32, |product, operand| product.wrapping_mul(*operand)),
            _ => operands.iter().fold(0_u32, |sum, operand| sum.wrapping_add(*operand)),
        };
        let right = fold(operands);
        let twice = |at: usize| [operands, &operands[at..=at]].concat();
        let without = |at: usize| [&operands[..at], &operands[at + 1..]].concat();
        let swapped: Vec<u32> = operands.iter().map(|operand| operand.swap_bytes()).collect();
        let mut wrong = vec![
            right + 1,
            right - 1,
            right + operands.len() as u32,
            right.swap_bytes(),
            right & 0xffff,
            right & 0xff,
            right << 1,
            right >> 8,
            fold(&swapped),
            fold(&swapped).swap_bytes(),
            0,
            1,
        ];
        for (at, operand) in operands.iter().enumerate() {
            wrong.extend([fold(&twice(at)), fold(&without(at)), *operand]);
        }
        wrong.retain(|wrong| *wrong != right);
        wrong
    }

    #[test]
    fn near_mistakes_are_no_other_requests_results() {
        for (operator, operands) in [
            (Operator::Sum, 1),
            (Operator::Sum, 5),
            (Operator::Sum, 64),
            (Operator::Product, 2),
            (Operator::Product, 9),
        ] {
            let question = RequestShape { form: RequestForm::Classic, operator, text: false, operands };
            let workload = Workload::new(question, 512, 1).unwrap();
            let results: std::collections::HashSet<u32> =
                (0..512).map(|place| FIRST_RESULT + SPACING * place).collect();
            for template in &workload.templates {
                let operands: Vec<u32> = template.request[classic::HEADER..]
                    .chunks(4)
                    .map(|operand| u32::from_be_bytes(operand.try_into().unwrap()))
                    .collect();
                let right = u32::from_be_bytes(template.result[..].try_into().unwrap());
                // The square of a product's other factor may be one.
                let square = (right / PRIME).wrapping_mul(right);
                let near = mistakes(&operands, operator).into_iter().filter(|wrong| results.contains(wrong));
                let near: Vec<u32> = near.filter(|wrong| operator != Operator::Product || *wrong != square).collect();
                assert_eq!(near, [0; 0], "{operator} {operands:?}");
            }
        }
    }

    #[test]
    fn a_server_that_is_always_off_by_one_has_no_right_reply() {
        for operator in [Operator::Sum, Operator::Product] {
            let question = RequestShape { form: RequestForm::Classic, operator, text: false, operands: 5 };
            let workload = Workload::new(question, 256, 1).unwrap();
            let mut ledger = Ledger::new(256);
            (0..200).for_each(|_| assert!(!ledger.issue(0)));
            // Not in the order of the requests.
            for place in (0..200).rev() {
                let near = FIRST_RESULT + SPACING * place + 1;
                let reply = [&[0xff][..], &near.to_be_bytes()].concat();
                let answer = workload.read(&reply, reply.len(), 0, &mut ledger, 5);
                assert_eq!(answer, ReplyVerdict::Wrong(Some(ReplyMatch::InTime(5))));
                assert!(!ledger.waits(place as usize));
            }
            assert_eq!(ledger.waiting(), 0);
        }
    }

    #[test]
    fn what_has_no_verifiable_answer_is_refused() {
        let question = |form, operator, operands| RequestShape { form, operator, text: false, operands };
        for (question, words) in [
            (question(RequestForm::Classic, Operator::Gcd, 5), "not in the classic form"),
            (question(RequestForm::Extended, Operator::Power, 3), "power does not take 3 operands"),
            (question(RequestForm::Extended, Operator::Quotient, 1), "quotient does not take 1 operands"),
            (question(RequestForm::Extended, Operator::Sum, 400), "do not fit a request"),
            (question(RequestForm::Extended, Operator::Describe, 0), "no result to verify"),
        ] {
            let Err(Failure::Usage(message)) = Workload::new(question, 4, 1) else { panic!("{words}") };
            assert!(message.contains(words), "{message}");
        }
    }
}
