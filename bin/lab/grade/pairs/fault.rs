//! Which side breaks a clause. The datagrams between the two are judged as in `lab explain`, and the client's output as
//! in `lab check client`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use calc6::responder::{Limits, ReplyLimit, Verdict, respond};
use calc6::view::{self, Name, Severity, View};
use calc6::wire::{Kind, MAX_REPLY_CEILING};

use super::{PairExchange, PairFault, PairSide};
use crate::check::client::{self, ClientRun, Scenario, expected_result};
use crate::check::report::{Judgement, hex};
use crate::check::table::Check;
use crate::explain::{ExplainInput, Relation, Seen, Sequence};
use crate::relay::FlowDirection;
use crate::tap::{Passed, PassedDatagram};

/// A client whose first wait is shorter gives up too early (clause 5.1).
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// What was observed in an exchange, besides the run of the client.
pub struct PairRecord<'a> {
    /// Where the server was asked.
    pub server: SocketAddr,
    /// The datagrams between the two.
    pub passed: &'a Passed,
    /// How the server ended, if it has.
    pub server_end: Option<String>,
    /// When the client ended or was terminated.
    pub end: Instant,
}

/// Judges both sides of an exchange.
pub fn judge(observed: &PairRecord<'_>, run: ClientRun, prefix: Option<&str>) -> PairExchange {
    let (scenario, crashed, found) = (run.scenario, run.crashed(), run.found());
    let first = run.requests.first().map(|(_, octets)| octets.clone());
    let (waited, replies) = (run.took, run.answered.clone());
    let judged = client::judge_run(run, prefix);
    let works = judged.result.1.is_good();
    let asked =
        first.as_deref().is_some_and(|first| asks_in_the_extended_form(first, scenario)) || judged.request.1.is_good();
    let mut faults = Vec::new();
    let mut remark = String::new();
    if !asked {
        let (check, judgement) = if first.is_none() { &judged.sends } else { &judged.request };
        faults.push(of_client(check, judgement, Vec::new()));
    }
    let of_server = of_server(observed, first.as_deref());
    let served = of_server.is_none();
    faults.extend(of_server);
    if !works && asked && served {
        let sent = replies.first().map(|reply| hex(reply)).into_iter().collect();
        match late_reply(observed) {
            Some(after) if waited < FIRST_WAIT => faults.push(PairFault {
                side: PairSide::Client,
                clause: "5.1".into(),
                title: "a client waits for a second at first, and repeats its request".into(),
                sent,
                expected: "that it still waits".into(),
                found: format!(
                    "it gave up after {} ms; the reply arrived after {} ms",
                    waited.as_millis(),
                    after.as_millis()
                ),
                likely: "the time-out is too short".into(),
                hint: "Wait a second at first.".into(),
            }),
            Some(after) => {
                remark = format!(
                    "the reply arrived after {:.1} s, when the client had given up after {:.1} s: neither side breaks \
                     a clause",
                    after.as_secs_f64(),
                    waited.as_secs_f64()
                );
            }
            None if crashed => {
                let (check, _) = &judged.survives;
                faults.push(of_client(check, &Judgement::broken([], "the program ends by itself", found), sent));
            }
            None => {
                let (check, judgement) = &judged.result;
                faults.push(of_client(check, judgement, sent));
            }
        }
    }
    PairExchange { asked: scenario.name.to_owned(), works, faults, remark }
}

fn of_client(check: &Check, judgement: &Judgement, sent: Vec<String>) -> PairFault {
    PairFault {
        side: PairSide::Client,
        clause: check.clause.into(),
        title: check.title.into(),
        sent,
        expected: judgement.expected.clone(),
        found: judgement.found.clone(),
        likely: judgement.advice.likely.clone(),
        hint: judgement.advice.hint.clone(),
    }
}

/// A client may use the extended form where the scenario has the classic one.
fn asks_in_the_extended_form(request: &[u8], scenario: &Scenario) -> bool {
    let mut buffer = [0; MAX_REPLY_CEILING];
    Kind::of(request) == Kind::Extended
        && right_reply(request, &mut buffer).is_some_and(|reply| {
            let view = View::reply(reply, Some(request));
            view.fields().iter().any(|field| field.name == Name::Result && field.value == expected_result(scenario))
        })
}

/// What a server has to answer; `None` if nothing.
fn right_reply<'a>(request: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    match respond(request, buffer, &Limits::default().with_max_reply(ReplyLimit::MAX)) {
        Verdict::Reply(reply) => Some(&buffer[..reply.len]),
        Verdict::Silence(_) => None,
    }
}

/// The first thing wrong with what the server sent; or the server sent nothing.
fn of_server(observed: &PairRecord<'_>, first: Option<&[u8]>) -> Option<PairFault> {
    let datagrams = &observed.passed.datagrams;
    let mut sequence = Sequence::default();
    // The datagrams of the sequence: the first has the number 1.
    let mut judged: Vec<&PassedDatagram> = Vec::new();
    let start = datagrams.first()?.at;
    let fault = |clause: &str, title: &str, request: Option<&[u8]>, found: String| {
        let mut buffer = [0; MAX_REPLY_CEILING];
        PairFault {
            side: PairSide::Server,
            clause: clause.into(),
            title: title.into(),
            sent: request.map(hex).into_iter().collect(),
            expected: request.and_then(|request| Some(hex(right_reply(request, &mut buffer)?))).unwrap_or_default(),
            found,
            likely: String::new(),
            hint: String::new(),
        }
    };
    let mut stray = None;
    let mut replied = false;
    for datagram in datagrams {
        let (message, from, to) = match datagram.direction {
            FlowDirection::ToServer => (view::Direction::Request, datagram.client, observed.server),
            FlowDirection::ToClient if datagram.from == observed.server => {
                (view::Direction::Reply, observed.server, datagram.client)
            }
            FlowDirection::ToClient => {
                stray.get_or_insert(datagram);
                continue;
            }
        };
        judged.push(datagram);
        let seen = Some(Seen { time: datagram.at - start, from, to, missing: 0 });
        let explained = sequence.explain(&ExplainInput { octets: &datagram.octets, message: Some(message), seen });
        if message == view::Direction::Request {
            continue;
        }
        replied = true;
        let wrong = explained.view.faults().iter().find(|fault| fault.severity == Severity::Wrong);
        if let Some(wrong) = wrong {
            let request = match explained.relation {
                Relation::ReplyTo { request, .. } | Relation::AnotherReplyTo { request } => request
                    .checked_sub(1)
                    .and_then(|place| judged.get(usize::try_from(place).ok()?))
                    .map(|request| &request.octets[..]),
                _ => None,
            };
            let found = format!("{}: {}", hex(&datagram.octets), wrong.text);
            return Some(fault(wrong.clause, "the reply says what its request asks for", request, found));
        }
    }
    let first = first?;
    let owed = !View::request(first).is_wrong();
    if replied || !owed {
        return None;
    }
    if let Some(stray) = stray {
        let found = format!("{} from port {}", hex(&stray.octets), stray.from.port());
        let title = format!("the reply comes from the port that was asked, {}", observed.server.port());
        let hint = "Answer with sendto on the socket that received: recvfrom and sendto take the same one.";
        return Some(PairFault { hint: hint.into(), ..fault("4.8", &title, Some(first), found) });
    }
    let found = match &observed.server_end {
        Some(how) => format!("nothing: it ended: {how}"),
        None => "nothing".to_owned(),
    };
    Some(fault("1.1", "a request is answered", Some(first), found))
}

/// How long after its request the first reply came, if that was after the end of the client.
fn late_reply(observed: &PairRecord<'_>) -> Option<Duration> {
    let datagrams = || observed.passed.datagrams.iter();
    let first = datagrams().find(|datagram| datagram.direction == FlowDirection::ToServer)?;
    let reply = datagrams()
        .find(|datagram| datagram.direction == FlowDirection::ToClient && datagram.from == observed.server)?;
    (reply.at > observed.end).then(|| reply.at - first.at)
}
