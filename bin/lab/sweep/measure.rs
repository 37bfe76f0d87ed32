//! The runs of a sweep: each has its own client and relay.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::result::{RunOutcome, Sweep, SweepRun, SweepStep};
use super::{Arguments, SweptOption};
use crate::Failure;
use crate::check::client::{Printed, Scenario, expected_result, scenario};
use crate::check::service::{Recipe, Service, StartError, command_line, loopback};
use crate::command::own;
use crate::common::usage::Port;
use crate::interrupt;
use crate::parallel;
use crate::process::{NOT_STARTED, Program};
use crate::relay::FlowDirection;
use crate::tap::Tap;
use crate::target::resolve;

/// Runs at once for each processor: nearly all of the time they wait.
const PER_PROCESSOR: usize = 8;

/// Interval between checks whether the client still runs.
const POLL: Duration = Duration::from_millis(2);

/// What is the same for all runs.
pub struct Experiment<'a> {
    arguments: &'a Arguments,
    range: SweptOption,
    values: Vec<f64>,
    scenario: &'static Scenario,
    client: Vec<String>,
    server: SweepServer,
    interrupted: Arc<AtomicBool>,
    /// How many runs of each step have ended.
    ended: Vec<AtomicUsize>,
}

/// The server of all runs.
struct SweepServer {
    address: SocketAddr,
    name: String,
    /// The process, if lab has started it; it ends when the value is dropped.
    service: Option<std::sync::Mutex<Service>>,
}

impl<'a> Experiment<'a> {
    /// Starts the server, unless it already runs.
    pub fn new(arguments: &'a Arguments, range: SweptOption) -> Result<Self, Failure> {
        let values = range.span.values(arguments.steps, arguments.logarithmic);
        let client = match &arguments.client {
            Some(client) => client.clone(),
            None => own("client")?,
        };
        Ok(Self {
            arguments,
            range,
            ended: values.iter().map(|_| AtomicUsize::new(0)).collect(),
            values,
            scenario: scenario("sum"),
            client: client.0,
            interrupted: interrupt::watch()?,
            server: SweepServer::new(arguments)?,
        })
    }

    /// Runs the client --repeat times for each value.
    pub fn run(&self) -> Result<Sweep, Failure> {
        let Arguments { repeat, seed, jobs, .. } = *self.arguments;
        let all: Vec<(usize, usize)> =
            (0..self.values.len()).flat_map(|step| (0..repeat).map(move |run| (step, run))).collect();
        let at_once = jobs.map_or_else(|| parallel::per_processor(PER_PROCESSOR), NonZeroUsize::get);
        let mut runs =
            parallel::map(at_once, &all, |(step, run)| self.run_once(*step, seed.wrapping_add(*run as u64)))?
                .into_iter();
        let steps =
            self.values.iter().map(|value| SweepStep::new(*value, runs.by_ref().take(repeat).collect())).collect();
        Ok(Sweep {
            varied: self.range.name,
            unit: self.range.span.unit(),
            fixed: self.arguments.network.fixed(),
            logarithmic: self.arguments.logarithmic,
            client: command_line(&self.client),
            server: self.server.name.clone(),
            repeat,
            seed,
            steps,
        })
    }

    /// Runs one client, through its own relay.
    fn run_once(&self, step: usize, seed: u64) -> Result<SweepRun, Failure> {
        let Arguments { network, timeout, limits, result_prefix, .. } = self.arguments;
        self.server.still_runs()?;
        let tap = Tap::start(self.server.address, network.impairments(self.range.name, self.values[step]), seed)?;
        let mut program = Program::start(&self.scenario.words(&self.client, tap.address()), limits)?;
        let deadline = Instant::now() + *timeout;
        while program.ended().is_none() && Instant::now() < deadline {
            if self.interrupted.load(Ordering::Relaxed) {
                let ended: usize = self.ended.iter().map(|ended| ended.load(Ordering::Relaxed)).sum();
                let all = self.values.len() * self.arguments.repeat;
                return Err(Failure::Run(format!("interrupted after {ended} of {all} runs")));
            }
            std::thread::sleep(POLL);
        }
        let (status, end) = (program.ended(), Instant::now());
        program.stop();
        let passed = tap.finish()?;
        let first = passed.datagrams.iter().find(|datagram| datagram.direction == FlowDirection::ToServer);
        if first.is_none() && status.is_some_and(|status| status.code() == Some(i32::from(NOT_STARTED))) {
            return Err(Failure::Run(program.last_words()));
        }
        let (stdout, expected) = (program.stdout(), expected_result(self.scenario));
        let results = Printed::learn(result_prefix.as_deref(), &[(&stdout, expected.clone())]).results(&stdout);
        let outcome = match status {
            None => RunOutcome::TimedOut,
            Some(status) if !status.success() => RunOutcome::Failed,
            Some(_) if results == [expected] => RunOutcome::Right,
            Some(_) if results.is_empty() => RunOutcome::Failed,
            Some(_) => RunOutcome::Wrong,
        };
        let [to_server, to_client] = passed.totals;
        self.report(step);
        Ok(SweepRun {
            seed,
            outcome,
            seconds: first.map(|first| (end - first.at).as_secs_f64()),
            requests_sent: to_server.received,
            requests_delivered: to_server.sent,
            replies_sent: to_client.received,
            replies_delivered: to_client.sent,
        })
    }

    /// Reports on standard error that a step is complete.
    fn report(&self, step: usize) {
        if self.ended[step].fetch_add(1, Ordering::Relaxed) + 1 == self.arguments.repeat {
            let value = self.range.span.unit().shown(self.values[step]);
            let _ = writeln!(io::stderr(), "lab sweep: {} {value}: {} runs", self.range.name, self.arguments.repeat);
        }
    }
}

impl SweepServer {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        if let [host, port] = &arguments.target[..] {
            let number = Port::to_ask(port).map_err(|what| Failure::Usage(format!("PORT: {port:?}: {what}")))?;
            let address = resolve(host, &number)?[0];
            return Ok(Self { address, name: format!("{host} {port}"), service: None });
        }
        let template = match &arguments.server {
            Some(server) => server.clone(),
            None => own("server")?,
        };
        let name = command_line(&template.0);
        let recipe =
            Recipe { template: template.0, limits: arguments.limits.clone(), start_time: arguments.start_time };
        match Service::start(&recipe, loopback()) {
            Ok(service) => Ok(Self { address: service.address(), name, service: Some(service.into()) }),
            Err(StartError::Failure(failure)) => Err(failure),
            Err(StartError::NotListening(advice)) => {
                Err(Failure::Run(format!("the server {name}: {}: {}", advice.found, advice.likely)))
            }
        }
    }

    /// If the server has ended, all further steps would look alike.
    fn still_runs(&self) -> Result<(), Failure> {
        let Some(service) = &self.service else { return Ok(()) };
        let ended = service.lock().map_or(None, |mut service| service.ended());
        match ended {
            Some(how) => Err(Failure::Run(format!(
                "the server {} ended: {how}; lab check server finds the datagram that caused it",
                self.name
            ))),
            None => Ok(()),
        }
    }
}
