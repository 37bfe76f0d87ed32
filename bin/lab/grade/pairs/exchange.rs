//! One pair: the hidden subcommand `lab pair` starts a server, lets a client ask it through a relay, and judges
//! the datagrams. With isolation, server and client also have their own process namespaces: neither sees the other, or
//! lab.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use super::fault::{self, PairRecord};
use super::{PairExchange, PairFault, PairSide};
use crate::Failure;
use crate::check::client::{ClientRun, Scenario, scenario};
use crate::check::report::Advice;
use crate::check::service::{Recipe, Service, StartError, loopback};
use crate::process::{Program, ResourceLimits, shield_this_process, signalled};
use crate::relay::FlowDirection;
use crate::tap::Tap;

/// What a client asks, one question after the other until one fails: the scenarios of `lab check client` in which a
/// correct server answers at once.
const ASKED: [&str; 4] = ["sum", "product", "text", "text-product"];

/// Interval between checks whether the client still runs.
const POLL: Duration = Duration::from_millis(3);

/// How long the server is watched after a client has given up: its reply may still come.
const LATE: Duration = Duration::from_millis(1500);

/// A shell reports the signal that ended a program as an exit status above this.
const SIGNALLED: i32 = 128;

/// The first process of a namespace: runs the command as its child, so that signals to the group reach the command.
const FIRST: &str = "\"$@\"; exit $?";

/// The same for a server: a server that goes into the background stays alive.
const FIRST_OF_SERVER: &str = "\"$@\"; status=$?; while [ $status = 0 ] && set -- /proc/[0-9]* && [ $# -gt 1 ]; \
                               do sleep 0.1; done; exit $status";

/// The hidden subcommand: runs a pair, and writes what came of it as JSON.
#[derive(Debug, clap::Args)]
pub struct PairArguments {
    /// What to run, as JSON
    plan: String,
}

/// What to run.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct PairPlan {
    /// The server.
    pub server: Party,
    /// The client.
    pub client: Party,
    /// How long an exchange may take.
    pub timeout: Duration,
    /// How long the server may take to listen.
    pub start_time: Duration,
    /// What the client prints before a result.
    pub result_prefix: Option<String>,
    /// Whether each gets a process namespace.
    pub apart: bool,
    /// Limits of each process, as for `lab limited`: processor time in seconds.
    pub cpu: u64,
    /// In MiB.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// A program of a pair.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct Party {
    /// Where it runs.
    pub copy: PathBuf,
    /// Its folder for temporary files.
    pub temporary: PathBuf,
    /// Its command, as for `lab check`.
    pub command: Vec<String>,
}

/// Runs a pair, and writes an array of exchanges.
pub fn run_pair(arguments: &PairArguments) -> Result<ExitCode, Failure> {
    // As for `lab check`: what runs here must not open our standard output and forge the result.
    shield_this_process().map_err(|error| Failure::run("cannot shield this process from what it starts", error))?;
    let plan: PairPlan =
        serde_json::from_str(&arguments.plan).map_err(|error| Failure::Usage(format!("expected a plan: {error}")))?;
    let exchanges = plan.run()?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &exchanges).map_err(io::Error::from)?;
    Ok(out.flush().map(|()| ExitCode::SUCCESS)?)
}

impl PairPlan {
    fn run(&self) -> Result<Vec<PairExchange>, Failure> {
        let recipe = Recipe {
            template: self.command(&self.server, FIRST_OF_SERVER)?,
            limits: self.limits(false),
            start_time: self.start_time,
        };
        let mut service = match Service::start(&recipe, loopback()) {
            Ok(service) => service,
            Err(StartError::Failure(failure)) => return Err(failure),
            Err(StartError::NotListening(advice)) => return Ok(vec![not_listening(advice)]),
        };
        let mut exchanges: Vec<PairExchange> = Vec::new();
        for name in ASKED {
            let mut exchange = self.exchange(scenario(name), &mut service)?;
            let told = || exchanges.iter().flat_map(|earlier| &earlier.faults);
            exchange.faults.retain(|fault| !told().any(|earlier| earlier.is_the_same_mistake(fault)));
            let works = exchange.works;
            exchanges.push(exchange);
            // The same mistake would show again, and cost the same time-outs again.
            if !works {
                break;
            }
        }
        Ok(exchanges)
    }

    fn exchange(&self, scenario: &'static Scenario, service: &mut Service) -> Result<PairExchange, Failure> {
        let server = service.address();
        let tap = Tap::start(server, Default::default(), 0)?;
        let (asked_at, begun) = (tap.address(), Instant::now());
        let template = self.command(&self.client, FIRST)?;
        let mut program = Program::start(&scenario.words(&template, asked_at), &self.limits(false))?;
        while program.ended().is_none() && begun.elapsed() < self.timeout {
            std::thread::sleep(POLL);
        }
        let (status, end) = (program.ended().map(|status| self.unwrapped(status)), Instant::now());
        program.stop();
        while status.is_some_and(|status| !status.success()) && !tap.has_replied() && end.elapsed() < LATE {
            std::thread::sleep(POLL);
        }
        let passed = tap.finish()?;
        let requests = || passed.datagrams.iter().filter(|datagram| datagram.direction == FlowDirection::ToServer);
        let first = requests().next().map_or(end, |first| first.at);
        let replies = passed.datagrams.iter().filter(|datagram| datagram.direction == FlowDirection::ToClient);
        let run = ClientRun {
            scenario,
            requests: requests().map(|request| (request.at - first, request.octets.clone())).collect(),
            ports: requests().map(|request| request.client.port()).collect(),
            answered: replies.filter(|reply| reply.from == server).map(|reply| reply.octets.clone()).collect(),
            stdout: program.stdout(),
            stderr: program.stderr(),
            status,
            port: asked_at.port(),
            took: end.saturating_duration_since(first),
            limit: None,
            busy: false,
        };
        let server_end = service.ended();
        Ok(fault::judge(&PairRecord { server, passed: &passed, server_end, end }, run, self.result_prefix.as_deref()))
    }

    /// The command of a party in its folder, with limits and without capabilities.
    fn command(&self, party: &Party, first: &str) -> Result<Vec<String>, Failure> {
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let mut command: Vec<String> = Vec::new();
        if self.apart {
            command.extend(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"].map(str::to_owned));
            command.extend(["sh", "-c", first, "sh"].map(str::to_owned));
        }
        let path = |path: &Path| path.to_string_lossy().into_owned();
        command.extend([path(&this), "limited".to_owned()]);
        command.extend(self.limits(true).options());
        command.extend(["--directory".to_owned(), path(&party.copy), "--temporary".to_owned(), path(&party.temporary)]);
        command.push("--".to_owned());
        command.extend(party.command.iter().cloned());
        Ok(command)
    }

    fn limits(&self, confined: bool) -> ResourceLimits {
        let Self { cpu, memory, descriptors, .. } = *self;
        ResourceLimits { cpu, memory, descriptors, time: u64::from(u32::MAX), confined }
    }

    /// How the program itself ended, as the first process of its namespace reports it.
    fn unwrapped(&self, status: ExitStatus) -> ExitStatus {
        match status.code() {
            Some(code) if self.apart && (SIGNALLED + 1..SIGNALLED + 65).contains(&code) => signalled(code - SIGNALLED),
            _ => status,
        }
    }
}

/// The server was started, but does not listen.
fn not_listening(advice: Advice) -> PairExchange {
    let Advice { likely, hint, found } = advice;
    let fault = PairFault {
        side: PairSide::Server,
        clause: "1.1".into(),
        title: "a request is answered".into(),
        sent: Vec::new(),
        expected: "a server at the given host and port".into(),
        found,
        likely,
        hint,
    };
    PairExchange { asked: "start".into(), works: false, faults: vec![fault], remark: String::new() }
}
