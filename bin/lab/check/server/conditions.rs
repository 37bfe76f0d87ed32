//! What is required of a server under the conditions that it will meet: many clients, quiet, other addresses,
//! endurance.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use calc6::wire::{AMPLIFICATION, Format, Operator, SUCCESS_BIT};

use super::session::Judge::{AtEnd, Now};
use super::session::{ODD, ServerCheck, ServerSession, broken, holds, request};
use crate::Failure;
use crate::check::probe::{CONTROL, MUTE, Probe, Prober, socket_towards};
use crate::check::report::{Advice, Judgement, hex};
use crate::check::service::{Recipe, Service, StartError};
use crate::check::table::Check;
use crate::check::table::Level::{Must, Should};
use crate::process::{KNOWS_PROCESSES, Usage, own_network, socket_at};

/// Requests that are sent together.
const BURST: u32 = 16;

/// Requests after which a leak of one thing for each has become visible, and how many things are a leak.
const LEAK_REQUESTS: u32 = 30;
const LEAKED: usize = 20;

/// A server that leaks is started again after so many datagrams, so that nothing else suffers from it.
const RENEWAL: usize = 60;

/// How long no request is sent.
const QUIET: Duration = Duration::from_secs(6);

/// How long processes and threads may take to end.
const REST: Duration = Duration::from_millis(150);

/// Two addresses on the loopback interface of a network namespace: a unique local prefix (RFC 4193).
const HERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc6, 0, 0, 0x1111, 0x2222, 0x3333, 1);
const THERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xc6, 0, 0, 0x1111, 0x2222, 0x3333, 2);

/// In the order in which they are run.
pub const CHECKS: &[ServerCheck] = &[
    ServerCheck {
        check: Check {
            key: "burst",
            clause: "4.9",
            level: Must,
            title: "requests that come together, or right after any other datagram, are all answered",
            why: "The kernel keeps what arrives until the socket is read: on one machine only the server itself can \
                  lose datagrams.",
            needs: &["others"],
        },
        judge: AtEnd(burst),
    },
    ServerCheck {
        check: Check {
            key: "leaks",
            clause: "4.9",
            level: Must,
            title: "an answered request leaves no process, thread or descriptor running or open",
            why: "A server runs for months. If each request leaves something, it fails after a few thousand.",
            needs: &["others"],
        },
        judge: Now(leaks),
    },
    ServerCheck {
        check: Check {
            key: "quiet",
            clause: "4.9",
            level: Must,
            title: "it still serves after some seconds without a request",
            why: "Clients may come at any time. A time-out of recvfrom must not end the server.",
            needs: &["others"],
        },
        judge: AtEnd(quiet),
    },
    ServerCheck {
        check: Check {
            key: "other-peer",
            clause: "1.1",
            level: Must,
            title: "a client at another address is answered",
            why: "Many mistakes with addresses do not show on ::1, and real clients have other addresses.",
            needs: &["source-port", "others"],
        },
        judge: AtEnd(other_peer),
    },
    ServerCheck {
        check: Check {
            key: "survives",
            clause: "4.9",
            level: Must,
            title: "it keeps serving after any datagram",
            why: "Anybody can send anything to a UDP port. One datagram that ends the server ends it for everyone.",
            needs: &["answers"],
        },
        judge: AtEnd(survives),
    },
    ServerCheck {
        check: Check {
            key: "asked-address",
            clause: "4.8",
            level: Should,
            title: "on a wildcard address, the reply comes from the address that was asked",
            why: "A host has many addresses. Without IPV6_RECVPKTINFO the kernel chooses one, and a connected client that \
                  asked another never sees the reply.",
            needs: &["other-peer"],
        },
        judge: AtEnd(|session| {
            Ok(session.asked_address.take().unwrap_or_else(|| Judgement::not_judged("it answers at one address only")))
        }),
    },
    ServerCheck {
        check: Check {
            key: "amplification",
            clause: "4.2",
            level: Should,
            title: "no reply is longer than three times its request",
            why: "With a forged source, a server whose replies are longer than its requests amplifies attacks on others.",
            needs: &["text-sum"],
        },
        judge: AtEnd(amplification),
    },
];

impl ServerSession<'_> {
    /// Starts what runs beside the other checks, each with a server of its own.
    pub fn start_companions(&mut self) {
        let Some(recipe) = self.recipe.cloned() else { return };
        let (host, patience) = (self.prober.target().ip(), self.prober.patience());
        let again = recipe.clone();
        self.quiet = Some(std::thread::spawn(move || quiet_server(&again, host, patience)));
        self.elsewhere = Some(std::thread::spawn(move || elsewhere(&recipe, patience)));
    }
}

/// Sums with different results, from as many sockets, all sent before any answer is read.
fn burst(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    if !session.prober.is_local() {
        return Ok(Judgement::not_judged("datagrams may be lost on the way"));
    }
    if session.prober.gone() {
        return Ok(Judgement::see("survives"));
    }
    let before = session.prober.service().and_then(|service| service.socket());
    let operands: Vec<[u32; 2]> = (0..BURST).map(|n| [1_000 * n, 7]).collect();
    let requests: Vec<Vec<u8>> =
        operands.iter().map(|operands| request(Operator::Sum, Format::Integer, operands)).collect();
    let ends = session.prober.observed.ends.len();
    let asked = session.prober.ask_together(&requests)?;
    let after = session.prober.service().and_then(|service| service.socket());
    if session.prober.observed.ends.len() > ends {
        return Ok(Judgement::see("survives"));
    }
    let answered = asked.iter().filter(|asked| !asked.replies.is_empty()).count();
    if answered < asked.len() {
        let advice = match (before, after) {
            (Some(before), Some(after)) if before.identity() != after.identity() => new_socket(),
            _ => Advice::new(
                "while a request is answered, the next ones get lost",
                "One socket, bound once before the loop, keeps what arrives in the meantime.",
            ),
        };
        let found = format!("{answered} of {BURST} were answered");
        return Ok(Judgement::broken(requests, format!("{BURST} answers to as many clients"), found).because(advice));
    }
    if let Some(sent) = session.prober.observed.swallowed.take() {
        let advice = match (before, after) {
            (Some(before), Some(after)) if before.identity() != after.identity() => new_socket(),
            _ if sent.len() <= 1 => Advice::new(
                "after a datagram that is too short a second recv waits for its rest, and takes the next client's request",
                "One recvfrom returns one whole datagram: judge it by its length, and never read on.",
            ),
            _ => Advice::new("what follows such a datagram is lost", "Treat each datagram on its own."),
        };
        let sent = [sent, CONTROL.to_vec()];
        return Ok(Judgement::broken(sent, "an answer to the second", "none, until it was sent again").because(advice));
    }
    // A mistake in every sum is a finding of `sum`; here only answers to other clients are a mistake.
    let sums: Vec<[u8; 4]> = operands.iter().map(|[a, b]| (a + b).to_be_bytes()).collect();
    let is = |asked: &Probe, sum: &[u8; 4]| asked.reply().is_some_and(|reply| reply.ends_with(sum));
    let wrong =
        asked.iter().zip(&sums).find(|(asked, sum)| !is(asked, sum) && sums.iter().any(|other| is(asked, other)));
    Ok(match wrong {
        None => Judgement::holds([], ""),
        Some((asked, _)) => broken(asked, "the sum of its own operands").because(Advice::new(
            "requests that are served at the same time share a variable",
            "Keep operands, result and buffer in variables of the function that serves one request.",
        )),
    })
}

fn new_socket() -> Advice {
    Advice::new(
        "the server makes a new socket for each request: what arrives before the next one exists is lost",
        "Call socket and bind once, before the loop, and close nowhere in it.",
    )
}

fn leaks(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let Some(before) = usage(session) else { return Ok(Judgement::not_judged("lab did not start it")) };
    if !KNOWS_PROCESSES {
        return Ok(Judgement::not_judged("this system does not report what other processes use"));
    }
    let datagram = request(Operator::Sum, Format::Integer, &ODD);
    for _ in 0..LEAK_REQUESTS {
        session.prober.ask(&datagram)?;
    }
    // Handlers may still be ending.
    let mut after = Usage::default();
    for _ in 0..3 {
        after = usage(session).unwrap_or_default();
        if grown(before, after).is_none() {
            return Ok(Judgement::holds([], ""));
        }
        std::thread::sleep(REST + session.prober.pace());
    }
    let Some((what, advice)) = grown(before, after) else { return Ok(Judgement::holds([], "")) };
    session.prober.renew_every(RENEWAL);
    Ok(Judgement::broken([datagram], format!("nothing left after {LEAK_REQUESTS} of these"), what).because(advice))
}

fn usage(session: &mut ServerSession<'_>) -> Option<Usage> {
    let service = session.prober.service()?;
    Some(service.program().family().usage())
}

fn grown(before: Usage, after: Usage) -> Option<(String, Advice)> {
    let more = |before: usize, after: usize| Some(after.saturating_sub(before)).filter(|more| *more >= LEAKED);
    if let Some(zombies) = more(before.zombies, after.zombies) {
        let advice = Advice::new(
            "fork without wait: each child stays as a zombie until its parent has waited for it",
            "signal(SIGCHLD, SIG_IGN), or waitpid(-1, NULL, WNOHANG) in the loop.",
        );
        return Some((format!("{zombies} zombie processes"), advice));
    }
    if let Some(processes) = more(before.processes, after.processes) {
        let advice = Advice::new(
            "a process for each request that does not end",
            "_exit(0) in the child, after the answer; it must not return to the loop.",
        );
        return Some((format!("{processes} more processes"), advice));
    }
    if let Some(threads) = more(before.threads, after.threads) {
        let advice = Advice::new(
            "a thread for each request that does not end",
            "Let the thread's function return after the answer; only one thread receives.",
        );
        return Some((format!("{threads} more threads"), advice));
    }
    let descriptors = more(before.descriptors, after.descriptors)?;
    let advice = Advice::new(
        "descriptors are opened for each request and never closed",
        "close() what socket, open or accept gave, once for each request, or open it once before the loop.",
    );
    Some((format!("{descriptors} more open descriptors"), advice))
}

fn quiet(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    match session.quiet.take() {
        Some(companion) => companion.join().map_err(|_| Failure::Run("the check of a quiet server failed".into()))?,
        None if session.prober.gone() => Ok(Judgement::see("survives")),
        None => {
            std::thread::sleep(QUIET);
            after_quiet(session.prober)
        }
    }
}

/// Another instance, so that its quiet costs no time.
fn quiet_server(recipe: &Recipe, host: IpAddr, patience: Duration) -> Result<Judgement, Failure> {
    let service = match Service::start(recipe, host) {
        Ok(service) => service,
        Err(StartError::Failure(failure)) => return Err(failure),
        Err(StartError::NotListening(_)) => {
            return Ok(Judgement::not_judged("a second one does not start while the first one runs"));
        }
    };
    let mut prober = Prober::new(service.address(), Some(service), patience);
    prober.ask(&request(Operator::Sum, Format::Integer, &ODD))?;
    std::thread::sleep(QUIET);
    after_quiet(&mut prober)
}

fn after_quiet(prober: &mut Prober) -> Result<Judgement, Failure> {
    let seconds = QUIET.as_secs();
    let expected = format!("an answer after {seconds} seconds without a request");
    let datagram = request(Operator::Sum, Format::Integer, &ODD);
    if let Some(how) = prober.service().and_then(Service::ended) {
        let advice = Advice::new(
            "the server ends when no request comes: a time-out on its socket, or on its loop",
            "Remove the time-out, or continue the loop after it.",
        );
        return Ok(Judgement::broken([datagram], expected, format!("nothing: {how}")).because(advice));
    }
    let asked = prober.ask(&datagram)?;
    Ok(if asked.reply().is_some() { holds(&asked) } else { broken(&asked, expected) })
}

fn other_peer(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let [other_peer, asked_address] = match session.elsewhere.take() {
        Some(companion) => {
            companion.join().map_err(|_| Failure::Run("the check of other addresses failed".into()))??
        }
        None if session.prober.gone() => [Judgement::see("survives"), Judgement::see("survives")],
        None if !session.prober.target().ip().to_canonical().is_loopback() => {
            let judgement = Judgement::not_judged("it is on another machine, and has only one address here");
            [judgement.clone(), judgement]
        }
        None => {
            let target = SocketAddr::new(other_loopback().into(), session.prober.target().port());
            judge_elsewhere(&mut Prober::new(target, None, session.prober.patience()), None)?
        }
    };
    session.asked_address = Some(asked_address);
    Ok(other_peer)
}

/// Starts a server on the wildcard address and asks it at one address from another: in a network namespace of its own
/// where lab may make one, else over IPv4, whose loopback network has many addresses.
fn elsewhere(recipe: &Recipe, patience: Duration) -> Result<[Judgement; 2], Failure> {
    let namespace = own_network().is_ok() && give_addresses();
    let service = match Service::start(recipe, Ipv6Addr::UNSPECIFIED.into()) {
        Ok(service) => service,
        Err(StartError::Failure(failure)) => return Err(failure),
        Err(StartError::NotListening(_)) => {
            let judgement = Judgement::not_judged("it does not start on the address ::");
            return Ok([judgement.clone(), judgement]);
        }
    };
    let (asked_at, from): (IpAddr, Option<IpAddr>) = match namespace {
        true => (THERE.into(), Some(HERE.into())),
        false => (other_loopback().into(), None),
    };
    let target = SocketAddr::new(asked_at, service.address().port());
    let prober = Prober::new(target, Some(service), patience);
    let mut prober = match from {
        Some(from) => prober.asking_from(from),
        None => prober,
    };
    judge_elsewhere(&mut prober, from)
}

/// An address of this machine that is not the usual one: 127.0.0.2, or 127.0.0.1 where the loopback network has but one.
fn other_loopback() -> Ipv4Addr {
    let second = Ipv4Addr::new(127, 0, 0, 2);
    if UdpSocket::bind((second, 0)).is_ok() { second } else { Ipv4Addr::LOCALHOST }
}

/// Sets up the loopback interface of this thread's new namespace.
fn give_addresses() -> bool {
    let ip = |words: &str| {
        let output = Command::new("ip").args(words.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    };
    let address = |address: Ipv6Addr| ip(&format!("addr add {address}/128 dev lo nodad"));
    ip("link set lo up") && address(HERE) && address(THERE)
}

fn judge_elsewhere(prober: &mut Prober, from: Option<IpAddr>) -> Result<[Judgement; 2], Failure> {
    let target = prober.target();
    let sent = request(Operator::Sum, Format::Integer, &ODD);
    let asked = prober.ask(&sent)?;
    let expected = match from {
        Some(from) => format!("an answer to {from}, from {}", target.ip()),
        None => format!("an answer from {}", target.ip()),
    };
    let Some(reply) = asked.replies.first() else {
        // Over IPv4 a server may be right not to answer: IPV6_V6ONLY, or an address that is not its own.
        if from.is_none() && (refuses(target) || socket_at(target).is_none())
            || asked.end.as_ref().is_some_and(|end| end != MUTE)
        {
            let judgement = Judgement::not_judged("it answers at one address only");
            return Ok([judgement.clone(), judgement]);
        }
        let advice = Advice::new(
            "recvfrom has no room for the whole address of a client: the truncated address is wrong (on ::1 it still works)",
            "Use struct sockaddr_in6 or sockaddr_storage, and set its length, sizeof, before each recvfrom.",
        );
        let judgement = broken(&asked, expected).because(advice);
        return Ok([judgement, Judgement::see("other-peer")]);
    };
    let judgement = match reply.from.ip() == target.ip() {
        true => holds(&asked),
        false => Judgement::broken(
            [asked.sent.clone()],
            format!("a reply from {}, which was asked", target.ip()),
            format!("one from {}", reply.from.ip()),
        )
        .because(Advice::new(
            "the kernel chose the source address of the reply",
            "Set IPV6_RECVPKTINFO, and give the address that recvmsg says to sendmsg (RFC 3542, section 6.2).",
        )),
    };
    Ok([holds(&asked), judgement])
}

/// Whether no socket listens at an address: the kernel reports it to a connected socket.
fn refuses(target: SocketAddr) -> bool {
    let Ok(socket) = socket_towards(target) else { return true };
    let asked = socket.connect(target).and_then(|()| socket.send(&[0]));
    asked
        .and_then(|_| socket.set_read_timeout(Some(REST)))
        .and_then(|()| socket.recv(&mut [0]))
        .is_err_and(|error| matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset))
}

fn survives(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let Some(end) = session.prober.observed.ends.first() else { return Ok(Judgement::holds([], "")) };
    let request = calc6::wire::classic::Request::decode(&end.datagram).is_ok() && end.datagram[0] & SUCCESS_BIT == 0;
    let advice = match end {
        end if end.how == MUTE => Advice::new(
            "the datagram leads to an endless loop, or it waits for something that never comes",
            "Send it by hand with a debugger attached, and look where it waits.",
        ),
        end if end.how.starts_with("exit status 0") && request => {
            Advice::new("the server ends after a request", "Put recvfrom and sendto in an endless loop.")
        }
        end if end.datagram.is_empty() => Advice::new(
            "an empty datagram, for which recvfrom returns 0, is treated as the end of input",
            "Continue the loop when the length is 0: in UDP that is not an end of file.",
        ),
        end if end.how.contains("ddress already in use") => Advice::new(
            "a part of it keeps running after its end and keeps the port",
            "End the child processes with the parent.",
        ),
        end if end.how.contains("its last line") => Advice::new(
            "a datagram can end the program: a failed assertion, or an exception that is not caught",
            "Check the length, the opcode and the rest of each datagram before they are used, and go on with the loop.",
        ),
        end if end.how.starts_with("signal") => Advice::new(
            "a length that is not checked, and octets that are read or written outside of a buffer",
            "Compile with -fsanitize=address,undefined, and send the datagram again.",
        ),
        _ => {
            Advice::new("it ends on a datagram that it does not expect", "Go on with the loop; exit only at the start.")
        }
    };
    Ok(Judgement::broken([end.datagram.clone()], "that it keeps serving", end.how.clone()).because(advice))
}

fn amplification(session: &mut ServerSession<'_>) -> Result<Judgement, Failure> {
    let Some(asked) = &session.prober.observed.amplified else { return Ok(Judgement::holds([], "")) };
    let longest = asked.replies.iter().map(|reply| &reply.octets).max_by_key(|octets| octets.len());
    let expected = format!("at most {} octets for {}", AMPLIFICATION * asked.sent.len(), asked.sent.len());
    let found = longest.map(|octets| format!("{} octets: {}", octets.len(), hex(&octets[..octets.len().min(24)])));
    Ok(Judgement::broken([asked.sent.clone()], expected, found.unwrap_or_default()))
}
