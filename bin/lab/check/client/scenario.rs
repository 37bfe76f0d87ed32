//! The runs of a client: in each, lab is its server, and answers as the scenario says.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use calc6::responder::{self, Verdict, respond};
use calc6::wire::{Format, Kind, MAX_REPLY_CEILING, Operator, SUCCESS_BIT, classic};

use super::output::Printed;
use crate::Failure;
use crate::check::report::Judgement;
use crate::check::server::{exact, request};
use crate::check::through::Through;
use crate::process::{Program, ResourceLimits, describe, shown};

/// Clients that run at once; most of their time they wait.
const AT_ONCE: usize = 8;

/// How long after a wrong reply the right one is sent.
const PAUSE: Duration = Duration::from_millis(120);

/// When a reply comes to a client that does not repeat its request.
const LATE: Duration = Duration::from_millis(1300);

/// Between two datagrams that do not count, where they come one after the other.
const JUNK_INTERVAL: Duration = Duration::from_millis(50);

/// A shorter wait than this says more of a busy machine than of the client.
const LEAST_WAIT: Duration = Duration::from_millis(300);

/// What does not count comes for so many times the wait of a client that hears nothing.
const JUNK_FACTOR: f64 = 2.5;

/// How often a run that fails is repeated where datagrams may be lost: four tries of a client all fail in one run of
/// 15, at 30% loss in both directions.
const LOSSY_REPEATS: usize = 6;

/// The same on a machine that is so busy that lab itself comes late.
const BUSY_REPEATS: usize = 5;

/// A look at the client that takes longer than this says that the machine is busy.
const LATE_LOOK: Duration = Duration::from_millis(50);

/// How long a client may take to its first request.
const START_TIME: Duration = Duration::from_secs(30);

/// Between looks at whether the client still runs.
const SLICE: Duration = Duration::from_millis(5);

/// The operands of the course's examples.
pub const ODD: &[&str] = &["1", "3", "5", "7", "9"];

/// Operands whose sum needs more than 32 bits.
pub const LONG: &[&str] = &["2147483647", "2147483629", "2147483587", "2147483579", "2147483563"];

/// 26 operands of 2^32 - 1 and one of 99999: a product of 256 digits, as many as a reply holds.
pub const LONGEST: &[&str] = &{
    let mut operands = ["4294967295"; 27];
    operands[26] = "99999";
    operands
};

/// What stands for the wrong number in a reply that must not count.
pub const DECOY: u32 = 666_777;

/// How a client is started, and what is taken for its result.
#[derive(Clone)]
pub struct ClientSubject {
    /// The command, with placeholders.
    pub template: Vec<String>,
    /// Where lab listens.
    pub host: IpAddr,
    /// What it may use.
    pub limits: ResourceLimits,
    /// How long it may take to give up.
    pub patience: Duration,
    /// What it prints before a result.
    pub prefix: Option<String>,
    /// What is between it and lab.
    pub through: Option<Through>,
}

/// What lab does when the n-th request (from 0) has come.
type Script = fn(&ClientRequest<'_>) -> Vec<Action>;

/// A request that came.
pub struct ClientRequest<'a> {
    number: usize,
    octets: &'a [u8],
    scenario: &'a Scenario,
}

/// A datagram for the client.
pub struct Action {
    after: Duration,
    octets: Vec<u8>,
    /// From another port than the one that was asked.
    stranger: bool,
    /// To the port that the first request came from.
    to_first: bool,
    /// Again and again until another request comes.
    repeated: bool,
}

/// One run of the client.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is asked.
    pub operator: Operator,
    /// Whether text is asked for.
    pub text: bool,
    /// The operands.
    pub operands: &'static [&'static str],
    script: Script,
}

/// What the client did in it.
pub struct ClientRun {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// When requests came, counted from the first, and their octets.
    pub requests: Vec<(Duration, Vec<u8>)>,
    /// The ports that they came from.
    pub ports: Vec<u16>,
    /// What lab sent in answer to the first request.
    pub answered: Vec<Vec<u8>>,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
    /// How it ended; `None` if lab had to end it.
    pub status: Option<ExitStatus>,
    /// Lab's port.
    pub port: u16,
    /// How long it ran, from the first request to its end.
    pub took: Duration,
    /// How long it might run after its first request, if less than others.
    pub limit: Option<Duration>,
    /// Whether the machine was too busy meanwhile for anybody to be in time.
    pub busy: bool,
}

/// All runs, by the name of their scenario.
pub struct Runs {
    runs: HashMap<&'static str, ClientRun>,
    /// How results are found in what it prints.
    pub printed: Printed,
    /// How long it might take to give up.
    pub patience: Duration,
    /// The scenarios that the last judgement has looked at.
    looked_at: RefCell<HashSet<&'static str>>,
    /// How often each has been run again.
    repeated: HashMap<&'static str, usize>,
    /// Whether datagrams may be lost on the way.
    pub lossy: bool,
}

const fn sum(name: &'static str, script: Script) -> Scenario {
    Scenario { name, operator: Operator::Sum, text: false, operands: ODD, script }
}

const fn text(name: &'static str, script: Script) -> Scenario {
    Scenario { name, operator: Operator::Sum, text: true, operands: ODD, script }
}

const fn right_to(name: &'static str, operator: Operator, text: bool, operands: &'static [&'static str]) -> Scenario {
    Scenario { name, operator, text, operands, script: always_right }
}

/// The longest first; `timer` last, as it needs to know how long `silence` waits.
const SCENARIOS: &[Scenario] = &[
    sum("silence", |_| Vec::new()),
    sum("sum", always_right),
    sum("late", |request| match request.number {
        0 => vec![later(LATE, right(request))],
        _ => vec![Action { to_first: true, ..now(right(request)) }],
    }),
    sum("repeats", |request| if request.number == 0 { Vec::new() } else { vec![now(right(request))] }),
    right_to("product", Operator::Product, false, ODD),
    text("text", always_right),
    right_to("text-product", Operator::Product, true, ODD),
    right_to("long-text", Operator::Sum, true, LONG),
    right_to("longest-text", Operator::Product, true, LONGEST),
    right_to("unsigned", Operator::Sum, false, &["4294967295", "0"]),
    right_to("64", Operator::Sum, false, &["3"; 64]),
    sum("unused-ff", |request| vec![now(with_first(right(request), 0xff))]),
    sum("unused-d5", |request| vec![now(with_first(right(request), 0xd5))]),
    sum("unused-aa", |request| vec![now(with_first(right(request), 0xaa))]),
    sum("error-bare", |_| vec![now(vec![0x00])]),
    sum("error-number", |_| vec![now(integer(0x00, DECOY))]),
    sum("error-text", |_| vec![now([&[0x7f], classic::UNKNOWN_OPCODE.as_bytes()].concat())]),
    sum("stranger", |request| vec![from_stranger(integer(0x80, DECOY)), later(PAUSE, right(request))]),
    sum("duplicate", |request| vec![now(right(request)), now(right(request))]),
    sum("truncated", |request| vec![now(vec![0x80, 0, 10]), later(PAUSE, right(request))]),
    sum("header-only", |request| vec![now(vec![0x80]), later(PAUSE, right(request))]),
    sum("oversized", |request| vec![now([integer(0x80, DECOY), vec![0; 4]].concat()), later(PAUSE, right(request))]),
    sum("huge", |request| vec![now([vec![0x80], vec![b'7'; 4000]].concat()), later(PAUSE, right(request))]),
    text("huge-text", |request| vec![now([vec![0x80], vec![b'7'; 4000]].concat()), later(PAUSE, right(request))]),
    sum("empty", |request| vec![now(Vec::new()), later(PAUSE, right(request))]),
    text("not-decimal", |request| vec![now(b"\x806\x1b[7m77x".to_vec()), later(PAUSE, right(request))]),
    text("nul", |_| vec![now(b"\x8025\0".to_vec())]),
    text("negative", |_| vec![now(b"\x80-2".to_vec())]),
    right_to("over", Operator::Sum, false, &["4294967296", "1"]),
    right_to("minus", Operator::Sum, false, &["5", "-2"]),
    right_to("65", Operator::Sum, false, &["3"; 65]),
    sum("timer", |request| match request.number {
        0 => vec![Action { repeated: true, ..later(JUNK_INTERVAL, vec![0x80, 0, 10]) }],
        _ => vec![now(right(request))],
    }),
];

impl Runs {
    /// One run of a client whose server was not lab.
    pub fn of_one(run: ClientRun, prefix: Option<&str>) -> Self {
        let printed = Printed::learn(prefix, &[(run.stdout.as_str(), expected_result(run.scenario))]);
        let (patience, runs) = (run.took, HashMap::from([(run.scenario.name, run)]));
        Self { runs, printed, patience, looked_at: RefCell::default(), repeated: HashMap::new(), lossy: false }
    }

    /// The run of a scenario.
    pub fn of(&self, name: &str) -> &ClientRun {
        let run = &self.runs[name];
        self.looked_at.borrow_mut().insert(run.scenario.name);
        run
    }

    /// Judges, and remembers which runs that rests on.
    pub fn judge(&self, judge: fn(&Runs) -> Judgement) -> Judgement {
        self.looked_at.borrow_mut().clear();
        judge(self)
    }

    /// Runs what the last judgement rests on again, one after the other; false if all of it has been run often enough.
    pub fn again(&mut self, subject: &ClientSubject) -> Result<bool, Failure> {
        let mut some = false;
        for name in self.looked_at.take() {
            let ClientRun { scenario, limit, took, busy, .. } = self.runs[name];
            let most = if self.lossy {
                LOSSY_REPEATS
            } else if busy {
                BUSY_REPEATS
            } else {
                1
            };
            let repeated = self.repeated.entry(name).or_default();
            // What took all the time there is takes it again.
            if *repeated < most && took < subject.patience {
                *repeated += 1;
                some = true;
                let again = run(scenario, subject, limit, *repeated)?;
                self.runs.insert(name, again);
            }
        }
        Ok(some)
    }

    /// All of them, in the order of the scenarios.
    pub fn all(&self) -> impl Iterator<Item = &ClientRun> {
        SCENARIOS.iter().map(|scenario| &self.runs[scenario.name])
    }
}

/// Runs all scenarios, several at once.
pub(super) fn run_all(subject: &ClientSubject) -> Result<Runs, Failure> {
    let (last, first) = SCENARIOS.split_last().ok_or_else(|| Failure::Run("no scenarios".into()))?;
    let next = Mutex::new(first.iter());
    let worker = || -> Result<Vec<ClientRun>, Failure> {
        let mut done = Vec::new();
        while let Some(scenario) = next.lock().ok().and_then(|mut scenarios| scenarios.next()) {
            done.push(run(scenario, subject, None, 0)?);
        }
        Ok(done)
    };
    let mut runs: HashMap<&'static str, ClientRun> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let mut runs = HashMap::new();
        for worker in workers {
            let done = worker.join().map_err(|_| Failure::Run("a scenario failed".into()))??;
            runs.extend(done.into_iter().map(|run| (run.scenario.name, run)));
        }
        Ok::<_, Failure>(runs)
    })?;
    let silence = &runs["silence"];
    let wait = silence.requests.get(1).map_or(silence.took, |(time, _)| *time);
    // A client that waits without end has no timer.
    let junk = match silence.status.is_none() && silence.requests.len() < 2 {
        true => Duration::ZERO,
        false => wait.max(LEAST_WAIT).mul_f64(JUNK_FACTOR) + PAUSE,
    };
    let timer = run(last, subject, Some(junk.min(subject.patience)), 0)?;
    runs.insert(last.name, timer);
    let plain = ["sum", "product", "unsigned", "text"].map(|name| &runs[name]);
    let results = plain.map(|run| (run.stdout.as_str(), expected_result(run.scenario)));
    let printed = Printed::learn(subject.prefix.as_deref(), &results);
    let (looked_at, repeated) = (RefCell::default(), HashMap::new());
    Ok(Runs { runs, printed, patience: subject.patience, looked_at, repeated, lossy: subject.through.is_some() })
}

/// Runs the client once and answers it as the scenario says; ends it after `most` since its first request.
pub(super) fn run(
    scenario: &'static Scenario,
    subject: &ClientSubject,
    most: Option<Duration>,
    repeat: usize,
) -> Result<ClientRun, Failure> {
    let (socket, stranger) = (socket(subject.host)?, socket(subject.host)?);
    let address = socket.local_addr().map_err(|error| Failure::run("cannot read a socket's address", error))?;
    let place = SCENARIOS.iter().position(|other| other.name == scenario.name).unwrap_or(0);
    let number = (place + repeat * SCENARIOS.len()) as u64;
    let relay = subject.through.as_ref().map(|through| through.start(address, number)).transpose()?;
    let asked_at = relay.as_ref().map_or(address, |relay| relay.address);
    let mut program = Program::start(&scenario.words(&subject.template, asked_at), &subject.limits)?;
    // A virtual machine on a busy computer takes its time to start.
    let mut deadline = Instant::now() + subject.patience.max(START_TIME);
    let mut requests: Vec<(Instant, SocketAddr, Vec<u8>)> = Vec::new();
    let mut actions: Vec<(Instant, SocketAddr, Action)> = Vec::new();
    let mut answered = Vec::new();
    let mut buffer = vec![0; 65_536];
    let (mut ended, mut busy) = (false, false);
    // One more look at the socket after its end: what it sent last must be counted.
    while !ended && Instant::now() < deadline {
        let looked = Instant::now();
        ended = program.ended().is_some();
        // EAGAIN, or ECONNREFUSED and its like: the client has closed its port.
        if let Ok((length, source)) = socket.recv_from(&mut buffer) {
            let now = Instant::now();
            let received = ClientRequest { number: requests.len(), octets: &buffer[..length], scenario };
            let script = (scenario.script)(&received);
            if requests.is_empty() {
                answered = script.iter().map(|action| action.octets.clone()).collect();
                deadline = now + most.unwrap_or(subject.patience);
            }
            let first = requests.first().map_or(source, |(_, first, _)| *first);
            actions.retain(|(_, _, action)| !action.repeated);
            actions.extend(script.into_iter().map(|action| {
                let client = if action.to_first { first } else { source };
                (now + action.after, client, action)
            }));
            requests.push((now, source, buffer[..length].to_vec()));
            ended = false;
        }
        for (time, client, action) in &mut actions {
            if *time <= Instant::now() {
                let socket = if action.stranger { &stranger } else { &socket };
                // The client may be gone.
                let _ = socket.send_to(&action.octets, *client);
                *time += if action.repeated { action.after } else { Duration::from_secs(86_400) };
            }
        }
        busy |= looked.elapsed() > LATE_LOOK;
    }
    let status = program.ended();
    let end = Instant::now();
    program.stop();
    let start = requests.first().map_or(end, |(time, _, _)| *time);
    Ok(ClientRun {
        scenario,
        ports: requests.iter().map(|(_, source, _)| source.port()).collect(),
        requests: requests.into_iter().map(|(time, _, octets)| (time - start, octets)).collect(),
        answered,
        stdout: program.stdout(),
        stderr: program.stderr(),
        status,
        port: asked_at.port(),
        took: end - start,
        limit: most,
        busy,
    })
}

fn socket(host: IpAddr) -> Result<UdpSocket, Failure> {
    UdpSocket::bind((host, 0))
        .and_then(|socket| socket.set_read_timeout(Some(SLICE)).map(|()| socket))
        .map_err(|error| Failure::run(format_args!("cannot open a socket on {host}"), error))
}

/// The scenario of that name.
///
/// # Panics
/// There is none.
pub fn scenario(name: &str) -> &'static Scenario {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| unreachable!("the name of a scenario: {name}"))
}

fn always_right(request: &ClientRequest<'_>) -> Vec<Action> {
    vec![now(right(request))]
}

/// The reply to what the scenario asks for, whatever the request says: a mistake in requests is a finding of its own.
/// What classic cannot say is answered as it was asked. All unused bits are 0.
fn right(received: &ClientRequest<'_>) -> Vec<u8> {
    let planned = planned_request(received.scenario);
    let asked = match planned {
        Some(ref planned) if Kind::of(received.octets) != Kind::Extended => planned,
        _ => received.octets,
    };
    let mut reply = [0; MAX_REPLY_CEILING];
    match respond(asked, &mut reply, &responder::Limits::default()) {
        Verdict::Reply(verdict) if verdict.form == calc6::wire::Form::Classic => {
            with_first(reply[..verdict.len].to_vec(), reply[0] & SUCCESS_BIT)
        }
        Verdict::Reply(verdict) => reply[..verdict.len].to_vec(),
        Verdict::Silence(_) => vec![0x00],
    }
}

/// The classic request that a scenario should cause; `None` if there is none.
pub fn planned_request(scenario: &Scenario) -> Option<Vec<u8>> {
    let operands = integers(scenario.operands);
    let possible = operands.len() == scenario.operands.len() && operands.len() <= classic::MAX_OPERANDS;
    let format = if scenario.text { Format::Text } else { Format::Integer };
    possible.then(|| request(scenario.operator, format, &operands))
}

/// The number that a client should print.
pub fn expected_result(scenario: &Scenario) -> String {
    exact(scenario.operator, &integers(scenario.operands)).to_string()
}

/// The operands that are unsigned 32-bit integers.
pub fn integers(operands: &[&str]) -> Vec<u32> {
    operands.iter().filter_map(|operand| operand.parse().ok()).collect()
}

fn with_first(mut reply: Vec<u8>, first: u8) -> Vec<u8> {
    reply[0] = first;
    reply
}

fn integer(first: u8, value: u32) -> Vec<u8> {
    [&[first][..], &value.to_be_bytes()].concat()
}

fn now(octets: Vec<u8>) -> Action {
    later(Duration::ZERO, octets)
}

fn later(after: Duration, octets: Vec<u8>) -> Action {
    Action { after, octets, stranger: false, to_first: false, repeated: false }
}

fn from_stranger(octets: Vec<u8>) -> Action {
    Action { stranger: true, ..now(octets) }
}

impl ClientRun {
    /// How it ended, in words.
    pub fn end(&self) -> String {
        match self.status {
            Some(status) => format!("ended with {}", describe(status)),
            None => "kept waiting".into(),
        }
    }

    /// What it wrote and how it ended, in words.
    pub fn found(&self) -> String {
        let stdout = match self.stdout.trim_end() {
            "" => "nothing on standard output".to_owned(),
            stdout => format!("\"{}\" on standard output", shown(stdout)),
        };
        format!("{stdout}; it {}{}", self.end(), self.complaint())
    }

    /// The line of its standard error that says most, if it wrote any.
    pub fn complaint(&self) -> String {
        match crate::process::last_line(&self.stderr) {
            Some(line) => format!("; standard error: \"{}\"", shown(line)),
            None => String::new(),
        }
    }

    /// Whether it ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Whether a signal ended it.
    pub fn crashed(&self) -> bool {
        self.status.is_some_and(|status| status.code().is_none())
    }
}
