//! `lab bench`: how fast and how steadily a server answers, every answer verified.

mod generator;
mod ledger;
mod live;
mod pace;
mod plot;
mod result;
mod tally;
mod workload;

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddrV6;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;
use super::target::resolve;
use crate::common::loopback;
use crate::common::usage::duration;
use crate::common::usage::{Port, whole};
use crate::process::{KNOWS_PROCESSES, processor_time};
use calc6::net::{Segmentation, mapped};
use calc6::wire::Operator;
use generator::{Load, LoadRun};
use live::Live;
use pace::Spacing;
use result::{Measured, Point};
use tally::Tally;
use workload::{RequestForm, RequestShape, Workload};

/// The live line, the warm-up and the curve over time look at slices of this length.
const SLICE: Duration = Duration::from_millis(100);

/// Slices whose rates must be close to their mean before the warm-up ends, and how close.
const STEADY_SLICES: usize = 5;
const STEADY: f64 = 0.1;

/// Measures how fast and how steadily a server answers; every reply is verified
///
/// A closed loop keeps a window of requests in flight on each connection. An open loop (--rate) sends at fixed times,
/// also while earlier requests are unanswered, and counts latency from the intended time, so that the pauses of a
/// server count. Requests without a reply in time count in the percentiles as the slowest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lab bench ::1 10000                          as fast as possible
  lab bench ::1 10000 --rate 50000 --spacing poisson --svg latency.svg
  lab bench ::1 10000 --floor --pid $(pidof server)
  lab bench ::1 10000 --compare ::1 10001")]
pub struct Arguments {
    /// Host of the server
    host: String,
    /// Port of the server, a number or the name of a service
    #[arg(value_parser = Port::to_ask)]
    port: Port,
    /// Sockets that send requests
    #[arg(long, value_name = "N", default_value = "4", value_parser = whole::<u16>(1..=4096))]
    connections: u16,
    /// Closed loop: requests in flight on each connection
    #[arg(long, value_name = "N", default_value = "16", value_parser = whole::<u16>(1..=1024))]
    window: u16,
    /// Open loop: requests a second over all connections
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "window")]
    rate: Option<f64>,
    /// Open loop: how requests are spaced
    #[arg(long, value_enum, default_value = "even")]
    spacing: Spacing,
    /// Operands in each request
    #[arg(long, value_name = "N", default_value = "5", value_parser = whole::<u16>(1..=305))]
    operands: u16,
    /// Operator: its symbol or its word
    #[arg(long, value_name = "OP", default_value = "+", value_parser = operator)]
    operator: Operator,
    /// Form of the requests
    #[arg(long, value_enum, default_value = "classic")]
    form: RequestForm,
    /// Ask for results as text
    #[arg(long)]
    string: bool,
    /// How long to measure
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Longest warm-up; it ends as soon as the rate is steady
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    warm_up: Duration,
    /// When a request counts as timed out
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    timeout: Duration,
    /// Threads that generate the load
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u16>(1..=1024))]
    threads: u16,
    /// Send and receive datagrams as segments of one message (UDP_SEGMENT and UDP_GRO of udp(7)): `auto`, if the
    /// system supports it, or `off`; only `off` shows the rate with ordinary clients
    #[arg(long, value_name = "WHEN", default_value_t)]
    segmentation: Segmentation,
    /// Processors to pin these threads to, in turn: 1,3
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = whole::<usize>(0..=1023))]
    cpus: Vec<usize>,
    /// Seed of the operands and of Poisson spacing
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Process of the server, on this machine: replies are also counted by its processor time
    #[arg(long, value_name = "PID", value_parser = whole::<u32>(1..=u32::MAX.into()))]
    pid: Option<u32>,
    /// A second server: both are measured in turn, interleaved, and their ratio is shown
    #[arg(long, num_args = 2, value_names = ["HOST", "PORT"], conflicts_with = "floor")]
    compare: Option<Vec<String>>,
    /// Process of the second server
    #[arg(long, value_name = "PID", requires = "compare", value_parser = whole::<u32>(1..=u32::MAX.into()))]
    compare_pid: Option<u32>,
    /// Send the sum of 1 3 5 7 9 each time; replies are assumed to arrive in order
    #[arg(long, conflicts_with_all = ["operands", "operator", "form", "string"])]
    fixed: bool,
    /// Compare with the floor server (see lab floor), which lab starts; implies --fixed
    #[arg(long, conflicts_with_all = ["operands", "operator", "form", "string"])]
    floor: bool,
    /// Pairs of turns in a comparison
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole::<u16>(1..=65535))]
    pairs: u16,
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Draw latency by percentile and over time
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Measures, and writes the result. The exit status is 1 if any reply was wrong, or an error, or missing.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let bench = Bench::new(arguments)?;
    let measured = match bench.other {
        None => vec![bench.measure_one()?],
        Some(_) => return bench.compare(),
    };
    bench.picture(&measured)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &measured[0].json()).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        measured[0].write_text(&mut out)?;
    }
    Ok(exit_code(&measured))
}

/// One or two servers and how to load them.
struct Bench<'a> {
    arguments: &'a Arguments,
    load: Load,
    workload: Arc<Workload>,
    server: BenchedServer,
    other: Option<BenchedServer>,
}

struct BenchedServer {
    address: SocketAddrV6,
    name: String,
    process: Option<u32>,
    /// The floor server, if this is it.
    child: Option<Child>,
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let load = Load {
            connections: arguments.connections.into(),
            window: arguments.window.into(),
            rate: arguments.rate.map(|rate| (rate, arguments.spacing)),
            threads: usize::from(arguments.threads.min(arguments.connections)),
            segmentation: arguments.segmentation,
            cpus: arguments.cpus.clone(),
            timeout: arguments.timeout,
            slice: SLICE,
            seed: arguments.seed,
        };
        let question = RequestShape {
            form: arguments.form,
            operator: arguments.operator,
            text: arguments.string,
            operands: arguments.operands.into(),
        };
        if question.form == RequestForm::Classic && question.operands > calc6::wire::classic::MAX_OPERANDS {
            return Err(Failure::Usage("a classic request has at most 64 operands: add --form extended".into()));
        }
        let fixed = arguments.fixed || arguments.floor;
        let workload = if fixed { Workload::fixed() } else { Workload::new(question, load.places(), arguments.seed)? };
        let server = BenchedServer::named(&arguments.host, &arguments.port, arguments.pid)?;
        let other = match &arguments.compare {
            Some(words) => {
                let wrong = |what| Failure::Usage(format!("--compare: {:?}: {what}", words[1]));
                let port = Port::to_ask(&words[1]).map_err(wrong)?;
                Some(BenchedServer::named(&words[0], &port, arguments.compare_pid)?)
            }
            None if arguments.floor => Some(BenchedServer::floor()?),
            None => None,
        };
        Ok(Self { arguments, load, workload: Arc::new(workload), server, other })
    }

    /// Warms up until the rate is steady, then measures.
    fn measure_one(&self) -> Result<Measured, Failure> {
        let live = Live::new(self.arguments.duration);
        let warms_up = !self.arguments.warm_up.is_zero();
        let run = LoadRun::start(self.server.address, &self.workload, &self.load, if warms_up { u64::MAX } else { 0 })?;
        let warm = if warms_up { self.warm_up(&run, &live) } else { 0 };
        run.count_from(warm);
        let used = self.server.used()?;
        let begun = SLICE * warm as u32;
        let elapsed = || run.elapsed().saturating_sub(begun);
        let (mut tally, mut series) = (Tally::default(), Series::new(warm));
        while elapsed() < self.arguments.duration {
            let Some(slice) = run.slice(SLICE).filter(|slice| slice.counted) else { continue };
            tally.add(&slice.tally);
            series.add(slice.number, &slice.tally);
            live.show(elapsed(), &tally);
        }
        let time = elapsed();
        // What is under way is answered or times out; it belongs to the requests of the measured time.
        for slice in run.finish()?.iter().filter(|slice| slice.counted) {
            tally.add(&slice.tally);
        }
        let processor = self.server.used_since(used)?;
        live.end();
        Ok(Measured { server: self.server.name.clone(), time, tally, processor, series: series.points() })
    }

    /// Discards slices until the rates of several in a row are alike, or the time is over. Returns the number of the
    /// first slice that counts, which has not begun yet.
    fn warm_up(&self, run: &LoadRun, live: &Live) -> u64 {
        let begun = Instant::now();
        let mut rates: Vec<f64> = Vec::new();
        while begun.elapsed() < self.arguments.warm_up && !is_steady(&rates) {
            let Some(slice) = run.slice(SLICE) else { continue };
            live.warm_up();
            let at = slice.number as usize;
            rates.resize(rates.len().max(at + 1), 0.0);
            rates[at] += slice.tally.latencies.len() as f64;
        }
        run.elapsed().div_duration_f64(SLICE) as u64 + 1
    }

    /// Measures both servers in turn, the first one alternating, and shows ratios.
    fn compare(&self) -> Result<ExitCode, Failure> {
        let Some(other) = &self.other else { return Ok(ExitCode::FAILURE) };
        let servers = [&self.server, other];
        let pairs = usize::from(self.arguments.pairs);
        let turn = (self.arguments.duration / (2 * pairs as u32)).max(SLICE);
        let live = Live::new(turn * 2 * pairs as u32);
        let begun = Instant::now();
        for server in servers {
            self.turn(server, turn.min(self.arguments.warm_up))?;
        }
        let mut turns: [Vec<Measured>; 2] = [Vec::new(), Vec::new()];
        for pair in 0..pairs {
            for which in [pair % 2, 1 - pair % 2] {
                let measured = self.turn(servers[which], turn)?;
                live.show(begun.elapsed(), &measured.tally);
                turns[which].push(measured);
            }
        }
        live.end();
        self.write_comparison(turns)
    }

    /// One turn of a comparison.
    fn turn(&self, server: &BenchedServer, time: Duration) -> Result<Measured, Failure> {
        let run = LoadRun::start(server.address, &self.workload, &self.load, 0)?;
        let (used, begun) = (server.used()?, Instant::now());
        std::thread::sleep(time);
        let time = begun.elapsed();
        let (mut tally, mut series) = (Tally::default(), Series::new(0));
        for slice in run.finish()? {
            tally.add(&slice.tally);
            series.add(slice.number, &slice.tally);
        }
        let processor = server.used_since(used)?;
        Ok(Measured { server: server.name.clone(), time, tally, processor, series: series.points() })
    }

    fn write_comparison(&self, turns: [Vec<Measured>; 2]) -> Result<ExitCode, Failure> {
        let ratios = |figure: fn(&Measured) -> Option<f64>| -> Option<Spread> {
            let pairs = turns[0].iter().zip(&turns[1]);
            let ratios = pairs.map(|(one, other)| Some(figure(one)? / figure(other)?));
            ratios.collect::<Option<Vec<f64>>>().map(Spread::new)
        };
        let by_time = ratios(|measured| Some(measured.rate()));
        let by_processor = ratios(Measured::processor_rate);
        let measured = turns.map(joined);
        self.picture(&measured)?;
        let mut out = io::stdout().lock();
        if self.arguments.json {
            let json = serde_json::json!({
                "servers": measured.iter().map(Measured::json).collect::<Vec<_>>(),
                "ratio_of_replies_per_second": by_time,
                "ratio_of_replies_per_processor_second": by_processor,
            });
            serde_json::to_writer_pretty(&mut out, &json).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            for measured in &measured {
                measured.write_text(&mut out)?;
                writeln!(out)?;
            }
            let spreads = [("a second", by_time), ("a second of processor time", by_processor)];
            for (what, spread) in spreads.into_iter().filter_map(|(what, spread)| Some((what, spread?))) {
                let Spread { low, median, high, pairs } = spread;
                writeln!(
                    out,
                    "ratio       {median:.3} replies {what}; half of {pairs} pairs from {low:.3} to {high:.3}"
                )?;
            }
        }
        Ok(exit_code(&measured))
    }

    fn picture(&self, measured: &[Measured]) -> Result<(), Failure> {
        match &self.arguments.svg {
            Some(path) => plot::draw(path, &measured.iter().collect::<Vec<_>>()),
            None => Ok(()),
        }
    }
}

impl BenchedServer {
    fn named(host: &str, port: &Port, process: Option<u32>) -> Result<Self, Failure> {
        let address = mapped(resolve(host, port)?[0]);
        Ok(Self { address, name: address.to_string(), process, child: None })
    }

    /// Starts the floor server on a port of the system's choice.
    fn floor() -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::run("cannot start the floor server", error);
        let this = std::env::current_exe().map_err(cannot)?;
        // By way of `limited`, which lets it end when lab does; a day of processor time is no limit.
        let mut child = Command::new(&this)
            .args(["limited", "--cpu", "86400", "--"])
            .arg(&this)
            .args(["floor", &loopback::address().to_string(), "0"])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let mut line = String::new();
        if let Some(stderr) = child.stderr.take() {
            BufReader::new(stderr).read_line(&mut line).map_err(cannot)?;
        }
        let address = line.rsplit(' ').next().and_then(|address| address.trim().parse().ok());
        let process = KNOWS_PROCESSES.then(|| child.id());
        if process.is_none() {
            eprintln!(
                "lab bench: this system does not report the processor time of servers: only their rates are compared"
            );
        }
        let mut server = Self {
            address: SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 0, 0, 0),
            name: "floor".into(),
            process,
            child: Some(child),
        };
        server.address =
            address.ok_or_else(|| Failure::Run(format!("the floor server did not start: {}", line.trim())))?;
        Ok(server)
    }

    fn used(&self) -> Result<Option<Duration>, Failure> {
        let used = |process| {
            processor_time(process).map_err(|error| {
                Failure::run(format_args!("cannot read the processor time of process {process}"), error)
            })
        };
        self.process.map(used).transpose()
    }

    fn used_since(&self, earlier: Option<Duration>) -> Result<Option<Duration>, Failure> {
        Ok(self.used()?.zip(earlier).map(|(now, earlier)| now.saturating_sub(earlier)))
    }
}

impl Drop for BenchedServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The quartiles of the ratios of all pairs.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
    pairs: usize,
}

impl Spread {
    fn new(mut ratios: Vec<f64>) -> Self {
        ratios.sort_by(f64::total_cmp);
        let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
        Self { low: at(0.25), median: at(0.5), high: at(0.75), pairs: ratios.len() }
    }
}

/// The slices of all threads, put together by their numbers.
struct Series {
    first: u64,
    slices: Vec<Option<Tally>>,
    points: Vec<Point>,
}

impl Series {
    fn new(first: u64) -> Self {
        Self { first, slices: Vec::new(), points: Vec::new() }
    }

    fn add(&mut self, number: u64, tally: &Tally) {
        let Some(at) = number.checked_sub(self.first) else { return };
        let at = at as usize;
        if self.slices.len() <= at {
            self.slices.resize(at + 1, None);
        }
        match &mut self.slices[at] {
            Some(sum) => sum.add(tally),
            empty => *empty = Some(tally.clone()),
        }
        // Histograms are large: all but the last slices become points.
        const KEPT: usize = 3;
        for done in self.points.len()..self.slices.len().saturating_sub(KEPT) {
            self.finish(done);
        }
    }

    fn finish(&mut self, at: usize) {
        let tally = self.slices[at].take().unwrap_or_default();
        self.points.push(Point::new((at + 1) as f64 * SLICE.as_secs_f64(), SLICE, &tally));
    }

    fn points(mut self) -> Vec<Point> {
        (self.points.len()..self.slices.len()).for_each(|at| self.finish(at));
        self.points
    }
}

/// All turns of one server as one run.
fn joined(turns: Vec<Measured>) -> Measured {
    let mut turns = turns.into_iter();
    let Some(mut whole) = turns.next() else { unreachable!("there is at least one pair") };
    for turn in turns {
        whole.series.extend(
            turn.series.iter().map(|point| Point { seconds: point.seconds + whole.time.as_secs_f64(), ..*point }),
        );
        whole.time += turn.time;
        whole.tally.add(&turn.tally);
        whole.processor = whole.processor.zip(turn.processor).map(|(a, b)| a + b);
    }
    whole
}

fn exit_code(measured: &[Measured]) -> ExitCode {
    if measured.iter().all(Measured::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the last rates are all close to their mean.
fn is_steady(rates: &[f64]) -> bool {
    // The last slice may lack the reports of other threads.
    let Some(complete) = rates.len().checked_sub(1).filter(|complete| *complete >= STEADY_SLICES) else { return false };
    let last = &rates[complete - STEADY_SLICES..complete];
    let mean = last.iter().sum::<f64>() / last.len() as f64;
    mean > 0.0 && last.iter().all(|rate| (rate / mean - 1.0).abs() <= STEADY)
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse::<f64>() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("expected requests per second, such as 50000 or 50000/s".into()),
    }
}

fn operator(text: &str) -> Result<Operator, String> {
    Operator::from_word(text)
        .ok_or_else(|| "expected an operator: a symbol such as + or *, or a word such as sum or gcd".into())
}

#[cfg(test)]
mod tests;
