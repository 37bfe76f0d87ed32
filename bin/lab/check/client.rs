//! The checks of a client: lab is its server, and answers as each scenario says.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::report::{Judgement, Report, hex};
use super::server::request;
use super::subject::{Limits, Program, describe};
use super::table::CLIENT;
use crate::Failure;
use calc6::responder::{self, Verdict, respond};
use calc6::wire::{Format, MAX_REPLY_CEILING, Operator, SUCCESS_BIT, classic};

/// Clients that run at once; most of their time they wait.
const AT_ONCE: usize = 6;

/// How long the right reply stays behind a wrong one.
const PAUSE: Duration = Duration::from_millis(150);

/// How late a late reply is.
const LATE: Duration = Duration::from_millis(700);

/// Between looks at whether the client still runs.
const SLICE: Duration = Duration::from_millis(10);

/// The operands of the course's examples, and their sum.
const ODD: &[&str] = &["1", "3", "5", "7", "9"];
const ODD_SUM: &str = "25";

/// What is called for the wrong number in a reply that must not count.
const DECOY: u32 = 666_777;

/// What lab does when the n-th request (from 0) has come.
type Script = fn(usize, &[u8]) -> Vec<Action>;

/// A datagram for the client.
struct Action {
    after: Duration,
    octets: Vec<u8>,
    /// From another port than the one that was asked.
    stranger: bool,
}

/// One run of the client.
struct Scenario {
    name: &'static str,
    operator: Operator,
    text: bool,
    operands: &'static [&'static str],
    script: Script,
}

/// What the client did in it.
struct Run {
    /// When requests came, counted from the first, and their octets.
    requests: Vec<(Duration, Vec<u8>)>,
    stdout: String,
    /// `None` if it had to be ended.
    status: Option<ExitStatus>,
}

const fn sum(name: &'static str, script: Script) -> Scenario {
    Scenario { name, operator: Operator::Sum, text: false, operands: ODD, script }
}

const fn text(name: &'static str, script: Script) -> Scenario {
    Scenario { name, operator: Operator::Sum, text: true, operands: ODD, script }
}

const SCENARIOS: &[Scenario] = &[
    sum("sum", |_, request| vec![now(right(request))]),
    Scenario { name: "product", operator: Operator::Product, text: false, operands: ODD, script: always_right },
    text("text", always_right),
    Scenario { name: "text-product", operator: Operator::Product, text: true, operands: ODD, script: always_right },
    Scenario { name: "long-text", operator: Operator::Sum, text: true, operands: LONG, script: always_right },
    Scenario {
        name: "unsigned",
        operator: Operator::Sum,
        text: false,
        operands: &["4294967295", "0"],
        script: always_right,
    },
    sum("unused-ff", |_, request| vec![now(with_first(right(request), 0xff))]),
    sum("unused-d5", |_, request| vec![now(with_first(right(request), 0xd5))]),
    sum("unused-aa", |_, request| vec![now(with_first(right(request), 0xaa))]),
    sum("error-bare", |_, _| vec![now(vec![0x00])]),
    sum("error-number", |_, _| vec![now(integer(0x00, DECOY))]),
    sum("error-text", |_, _| vec![now([&[0x7f], classic::UNKNOWN_OPCODE.as_bytes()].concat())]),
    sum("stranger", |_, request| vec![from_stranger(integer(0x80, DECOY)), later(PAUSE, right(request))]),
    sum("duplicate", |_, request| vec![now(right(request)), now(right(request))]),
    sum("repeats", |number, request| if number == 0 { Vec::new() } else { vec![now(right(request))] }),
    sum("late", |number, request| if number == 0 { vec![later(LATE, right(request))] } else { Vec::new() }),
    sum("silence", |_, _| Vec::new()),
    sum("truncated", |_, request| vec![now(vec![0x80, 0, 10]), later(PAUSE, right(request))]),
    sum("header-only", |_, request| vec![now(vec![0x80]), later(PAUSE, right(request))]),
    sum("oversized", |_, request| vec![now([integer(0x80, DECOY), vec![0; 4]].concat()), later(PAUSE, right(request))]),
    sum("huge", |_, request| vec![now([vec![0x80], vec![b'7'; 4000]].concat()), later(PAUSE, right(request))]),
    text("huge-text", |_, request| vec![now([vec![0x80], vec![b'7'; 4000]].concat()), later(PAUSE, right(request))]),
    sum("empty", |_, request| vec![now(Vec::new()), later(PAUSE, right(request))]),
    text("not-decimal", |_, request| vec![now(b"\x806\x1b[7m77x".to_vec()), later(PAUSE, right(request))]),
    text("nul", |_, _| vec![now(b"\x8025\0".to_vec())]),
    text("negative", |_, _| vec![now(b"\x80-2".to_vec())]),
    Scenario {
        name: "over",
        operator: Operator::Sum,
        text: false,
        operands: &["4294967296", "1"],
        script: always_right,
    },
    Scenario { name: "minus", operator: Operator::Sum, text: false, operands: &["5", "-2"], script: always_right },
    Scenario { name: "65", operator: Operator::Sum, text: false, operands: &["3"; 65], script: always_right },
];

/// Operands whose sum needs more than 32 bits.
const LONG: &[&str] = &["2147483647", "2147483629", "2147483587", "2147483579", "2147483563"];

/// Runs every check of a client.
pub fn check(template: &[String], limits: &Limits, patience: Duration) -> Result<Report, Failure> {
    let runs = run_all(template, limits, patience)?;
    let mut report = Report { subject: template.join(" "), role: "client", ..Report::default() };
    let judge = Judge { prefix: result_prefix(&runs["sum"].stdout), runs: &runs, patience };
    for check in CLIENT {
        match report.unmet(check) {
            Some(see) => report.add_not_judged(check, see),
            None => report.add(check, judge.judge(check.key)),
        }
    }
    Ok(report)
}

/// Runs all scenarios, several at once.
fn run_all(template: &[String], limits: &Limits, patience: Duration) -> Result<HashMap<&'static str, Run>, Failure> {
    let next = Mutex::new(SCENARIOS.iter());
    let worker = || -> Result<Vec<(&'static str, Run)>, Failure> {
        let mut done = Vec::new();
        while let Some(scenario) = next.lock().ok().and_then(|mut scenarios| scenarios.next()) {
            done.push((scenario.name, run(scenario, template, limits, patience)?));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let mut runs = HashMap::new();
        for worker in workers {
            runs.extend(worker.join().map_err(|_| Failure::Run("a scenario failed".into()))??);
        }
        Ok(runs)
    })
}

/// Runs the client once and answers it as the scenario says.
fn run(scenario: &Scenario, template: &[String], limits: &Limits, patience: Duration) -> Result<Run, Failure> {
    let (socket, stranger) = (socket()?, socket()?);
    let address = socket.local_addr().map_err(|error| Failure::run("cannot read a socket's address", error))?;
    let mut program = Program::start(&words(scenario, template, address), limits)?;
    let deadline = Instant::now() + patience;
    let mut requests: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut actions: Vec<(Instant, SocketAddr, Action)> = Vec::new();
    let mut buffer = [0; 65_536];
    let mut ended = false;
    // One more look at the socket after its end: what it sent last must be counted.
    while !ended && Instant::now() < deadline {
        ended = program.ended().is_some();
        match socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                let (now, datagram) = (Instant::now(), buffer[..length].to_vec());
                let script = (scenario.script)(requests.len(), &datagram);
                actions.extend(script.into_iter().map(|action| (now + action.after, source, action)));
                requests.push((now, datagram));
                ended = false;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // ECONNREFUSED and its like: the client has closed its port.
            Err(_) => {}
        }
        actions.retain(|(time, client, action)| {
            let due = *time <= Instant::now();
            if due {
                let socket = if action.stranger { &stranger } else { &socket };
                // The client may be gone.
                let _ = socket.send_to(&action.octets, client);
            }
            !due
        });
    }
    let status = program.ended();
    program.stop();
    let first = requests.first().map(|(time, _)| *time);
    let since = |time: Instant| first.map_or(Duration::ZERO, |first| time - first);
    let requests = requests.into_iter().map(|(time, octets)| (since(time), octets)).collect();
    Ok(Run { requests, stdout: program.stdout(), status })
}

fn socket() -> Result<UdpSocket, Failure> {
    UdpSocket::bind("[::1]:0")
        .and_then(|socket| socket.set_read_timeout(Some(SLICE)).map(|()| socket))
        .map_err(|error| Failure::run("cannot open a socket on ::1", error))
}

/// The client's command line for a scenario.
fn words(scenario: &Scenario, template: &[String], server: SocketAddr) -> Vec<String> {
    const DEFAULT: [&str; 6] = ["-op", "{op}", "{string}", "{host}", "{port}", "{operands}"];
    let complete = template.iter().any(|word| word.contains("{port}"));
    let appended = if complete { &[][..] } else { &DEFAULT[..] };
    let values = [
        ("{host}", server.ip().to_string()),
        ("{port}", server.port().to_string()),
        ("{op}", scenario.operator.to_string()),
    ];
    let mut words = Vec::new();
    for word in template.iter().map(String::as_str).chain(appended.iter().copied()) {
        match word {
            "{operands}" => words.extend(scenario.operands.iter().map(|operand| (*operand).to_owned())),
            "{string}" if scenario.text => words.push("-s".to_owned()),
            "{string}" => {}
            word => words.push(values.iter().fold(word.to_owned(), |word, (name, value)| word.replace(name, value))),
        }
    }
    words
}

fn always_right(_: usize, request: &[u8]) -> Vec<Action> {
    vec![now(right(request))]
}

/// What a right server answers; classic replies with all unused bits 0.
fn right(request: &[u8]) -> Vec<u8> {
    let mut reply = [0; MAX_REPLY_CEILING];
    match respond(request, &mut reply, &responder::Limits::default()) {
        Verdict::Reply(verdict) if verdict.form == calc6::wire::Form::Classic => {
            with_first(reply[..verdict.len].to_vec(), reply[0] & SUCCESS_BIT)
        }
        Verdict::Reply(verdict) => reply[..verdict.len].to_vec(),
        Verdict::Silence(_) => vec![0x00],
    }
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
    Action { after, octets, stranger: false }
}

fn from_stranger(octets: Vec<u8>) -> Action {
    Action { after: Duration::ZERO, octets, stranger: true }
}

/// What the client writes before a result, on the same line: everything before the sum in the plainest scenario.
fn result_prefix(stdout: &str) -> String {
    let line = stdout.lines().rev().find(|line| line.contains(ODD_SUM)).unwrap_or_default();
    line.rsplit_once(ODD_SUM).map(|(prefix, _)| prefix.to_owned()).unwrap_or_default()
}

struct Judge<'a> {
    runs: &'a HashMap<&'static str, Run>,
    prefix: String,
    patience: Duration,
}

impl Judge<'_> {
    fn judge(&self, key: &str) -> Judgement {
        match key {
            "sends" => match self.runs["sum"].requests.is_empty() {
                false => Judgement::holds([], ""),
                true => Judgement::broken([], "a datagram", format!("none; it {}", self.runs["sum"].end())),
            },
            "sum-request" => self.first_request("sum", &ask("sum")),
            "product-request" => self.first_request("product", &ask("product")),
            "text-request" => self.first_request("text", &ask("text")),
            "text-product-request" => self.first_request("text-product", &ask("text-product")),
            "unsigned-operand" => self.first_request("unsigned", &ask("unsigned")),
            "unused-zero" => self.unused_zero(),
            "one-request" => self.one_request(),
            "integer-reply" => self.prints("sum", ODD_SUM),
            "unsigned-reply" => self.prints("unsigned", "4294967295"),
            "text-reply" => {
                let sum = super::server::exact(Operator::Sum, &integers(LONG)).to_string();
                self.all([self.prints("text", ODD_SUM), self.prints("long-text", &sum)])
            }
            "reply-unused" => self.all(["unused-ff", "unused-d5", "unused-aa"].map(|name| self.prints(name, ODD_SUM))),
            "error-reply" => self.all(["error-bare", "error-number", "error-text"].map(|name| self.prints_none(name))),
            "error-status" => self.all(["error-bare", "error-number", "error-text"].map(|name| self.fails(name))),
            "stranger" => self.not_taken("stranger"),
            "duplicate" => self.prints("duplicate", ODD_SUM),
            "survives" => self.survives(),
            "repeats" => self.repeats(),
            "late" => self.prints("late", ODD_SUM),
            "gives-up" => self.all([self.prints_none("silence"), self.fails("silence")]),
            "truncated" => self.all(["truncated", "header-only"].map(|name| self.prints(name, ODD_SUM))),
            "oversized" => self.all(["oversized", "huge"].map(|name| self.prints(name, ODD_SUM))),
            "oversized-text" => self.prints("huge-text", ODD_SUM),
            "empty-reply" => self.prints("empty", ODD_SUM),
            "not-decimal" => self.prints("not-decimal", ODD_SUM),
            "nul-reply" => self.prints("nul", ODD_SUM),
            "negative-reply" => self.prints("negative", "-2"),
            "retransmission" => self.retransmission(),
            "operand-over" => self.told("over"),
            "operand-negative" => self.told("minus"),
            "operands-65" => self.told("65"),
            other => unreachable!("the table has a check that no code judges: {other}"),
        }
    }

    /// The first that does not hold, or the last.
    fn all<const N: usize>(&self, judgements: [Judgement; N]) -> Judgement {
        let broken = judgements.iter().find(|judgement| judgement.verdict != super::report::Verdict::Holds).cloned();
        broken.or_else(|| judgements.last().cloned()).unwrap_or_else(|| Judgement::not_judged("nothing was run"))
    }

    fn first_request(&self, name: &str, expected: &[u8]) -> Judgement {
        let run = &self.runs[name];
        match run.requests.first() {
            Some((_, octets)) if same_but_unused(octets, expected) => Judgement::holds([], hex(octets)),
            Some((_, octets)) => Judgement::broken([], hex(expected), hex(octets)),
            None => Judgement::broken([], hex(expected), format!("nothing; it {}", run.end())),
        }
    }

    fn unused_zero(&self) -> Judgement {
        // Behind opcode 7 the four bits are the version.
        let classic = |octets: &&Vec<u8>| octets.first().is_some_and(|first| calc6::wire::opcode(*first) != 7);
        let mut requests = self.runs.values().flat_map(|run| run.requests.iter().map(|(_, octets)| octets));
        match requests.by_ref().filter(classic).find(|octets| octets[0] & 0xf0 != 0) {
            None => Judgement::holds([], ""),
            Some(octets) => Judgement::broken([], "0 in the upper four bits", hex(octets)),
        }
    }

    fn one_request(&self) -> Judgement {
        let requests = &self.runs["sum"].requests;
        let all = requests.iter().map(|(_, octets)| hex(octets)).collect::<Vec<_>>().join(", then ");
        match requests.len() {
            1 => Judgement::holds([], all),
            _ => Judgement::broken([], "one datagram, as it was answered at once", all),
        }
    }

    /// The result is printed once, and nothing else as a result, with exit status 0.
    fn prints(&self, name: &str, expected: &str) -> Judgement {
        let run = &self.runs[name];
        let results = self.results(run);
        let clean = run.status.is_some_and(|status| status.success()) && !run.stdout.contains('\0');
        match results == [expected] && clean {
            true => Judgement::holds([], run.stdout.trim()),
            false => Judgement::broken([], format!("{}{expected}, and exit status 0", self.prefix), run.came()),
        }
    }

    fn prints_none(&self, name: &str) -> Judgement {
        let run = &self.runs[name];
        let printed = run.status.is_some_and(|status| status.success()) && !self.results(run).is_empty();
        match printed || self.results(run).contains(&DECOY.to_string()) {
            false => Judgement::holds([], run.came()),
            true => Judgement::broken([], "no result", run.came()),
        }
    }

    fn fails(&self, name: &str) -> Judgement {
        let run = &self.runs[name];
        match run.status {
            Some(status) if status.code().is_some_and(|code| code != 0) => Judgement::holds([], describe(status)),
            _ => Judgement::broken([], "an exit status other than 0", run.came()),
        }
    }

    fn not_taken(&self, name: &str) -> Judgement {
        let run = &self.runs[name];
        match run.stdout.contains(&DECOY.to_string()) {
            false => Judgement::holds([], run.came()),
            true => Judgement::broken([], format!("{DECOY}, from another port, not printed"), run.came()),
        }
    }

    fn survives(&self) -> Judgement {
        let crashed = SCENARIOS.iter().find(|scenario| {
            let status = self.runs[scenario.name].status;
            status.is_some_and(|status| status.code().is_none())
        });
        match crashed {
            None => Judgement::holds([], ""),
            Some(scenario) => {
                let run = &self.runs[scenario.name];
                let replies =
                    run.requests.first().map(|(_, request)| (scenario.script)(0, request)).unwrap_or_default();
                let replies: Vec<Vec<u8>> = replies.into_iter().map(|action| action.octets).collect();
                Judgement::broken(replies, "an end of its own", run.came())
            }
        }
    }

    fn repeats(&self) -> Judgement {
        let run = &self.runs["repeats"];
        let Some((_, first)) = run.requests.first() else { return Judgement::not_judged("it sent nothing") };
        if run.requests.len() < 2 {
            return Judgement::broken([], "the same request again", format!("one request; it {}", run.end()));
        }
        match run.requests.iter().find(|(_, octets)| octets != first) {
            Some((_, octets)) => Judgement::broken([], hex(first), hex(octets)),
            None => self.prints("repeats", ODD_SUM),
        }
    }

    fn retransmission(&self) -> Judgement {
        let run = &self.runs["silence"];
        let times = run.requests.iter().map(|(time, _)| format!("{:.1} s", time.as_secs_f64()));
        let times = times.collect::<Vec<_>>().join(", ");
        let end = match run.status {
            Some(status) => format!("ends with {}", describe(status)),
            None => format!("still runs after {} s", self.patience.as_secs_f64()),
        };
        Judgement::noted([], format!("asks at {times}, and {end}"))
    }

    /// What was sent for odd operands, and how it ended.
    fn told(&self, name: &str) -> Judgement {
        let run = &self.runs[name];
        let sent = match run.requests.first() {
            Some((_, octets)) => format!("sends {} octets, {}", octets.len(), hex(&octets[..octets.len().min(24)])),
            None => "sends nothing".into(),
        };
        Judgement::noted([], format!("{sent}; {}", run.came()))
    }

    /// The integers that are printed as results.
    fn results(&self, run: &Run) -> Vec<String> {
        let is_digit = |c: char| c.is_ascii_digit() || c == '-';
        let number = |rest: &str| {
            let end = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
            (end > 0).then(|| rest[..end].to_owned())
        };
        match self.prefix.as_str() {
            "" => run.stdout.lines().filter_map(number).collect(),
            prefix => run.stdout.split(prefix).skip(1).filter_map(number).collect(),
        }
    }
}

impl Run {
    fn end(&self) -> String {
        match self.status {
            Some(status) => format!("ended with {}", describe(status)),
            None => "went on waiting".into(),
        }
    }

    fn came(&self) -> String {
        let stdout = self.stdout.trim_end();
        format!("{stdout:?} on standard output; it {}", self.end())
    }
}

/// The classic request that a scenario should cause.
fn ask(name: &str) -> Vec<u8> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    scenario
        .map(|scenario| {
            let format = if scenario.text { Format::Text } else { Format::Integer };
            request(scenario.operator, format, &integers(scenario.operands))
        })
        .unwrap_or_default()
}

fn same_but_unused(octets: &[u8], expected: &[u8]) -> bool {
    octets.len() == expected.len() && octets[1..] == expected[1..] && octets[0] & 0x0f == expected[0] & 0x0f
}

fn integers(operands: &[&str]) -> Vec<u32> {
    operands.iter().filter_map(|operand| operand.parse().ok()).collect()
}
