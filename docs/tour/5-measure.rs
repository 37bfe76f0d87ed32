//! Chapter 5 of the tour: measures the five ways of 5-echo and prints the lines of 5-echo.csv.
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

const WAYS: [&str; 5] = ["iterative", "processes", "threads", "pool", "events"];
const CLIENTS: [usize; 3] = [1, 100, 1000];
/// Round trips of one run, divided among its clients, and the octets of each message.
const ROUND_TRIPS: usize = 100_000;
const MESSAGE: usize = 64;
/// The result is the median of this many runs. The ways take turns, so that a busy moment affects all of them.
const RUNS: usize = 5;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measure: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> io::Result<()> {
    println!("way,clients,round_trips_per_s,median_us,first_reply_p99_ms,memory_kib");
    for clients in CLIENTS {
        let mut runs: [Vec<Run>; WAYS.len()] = Default::default();
        for round in 1..=RUNS {
            for (way, runs) in WAYS.iter().zip(&mut runs) {
                eprintln!("{clients} clients, run {round} of {RUNS}, {way}");
                let memory = memory(&Server::start(way)?, clients)?;
                runs.push(Run { memory, ..load(&Server::start(way)?, clients)? });
            }
        }
        for (way, runs) in WAYS.iter().zip(&runs) {
            let median = |value: fn(&Run) -> u64| quantile(runs.iter().map(value).collect(), 0.5);
            let throughput = median(|run| run.throughput);
            let first = median(|run| run.first_us) as f64 / 1000.0;
            println!(
                "{way},{clients},{throughput},{},{first:.3},{}",
                median(|run| run.median_us),
                median(|run| run.memory)
            );
        }
    }
    Ok(())
}

/// The results of one run.
#[derive(Default)]
struct Run {
    /// Round trips per second, all clients together, from the first connect to the last reply.
    throughput: u64,
    /// The median of the round trips without each client's first, in microseconds.
    median_us: u64,
    /// From connect to the first reply, in microseconds, 99th percentile of the clients.
    first_us: u64,
    /// The memory of the server and its children, in KiB.
    memory: u64,
}

/// Runs `clients` at once, each with its own connection, and measures the times.
fn load(server: &Server, clients: usize) -> io::Result<Run> {
    let each = ROUND_TRIPS / clients;
    let mut first = Vec::with_capacity(clients);
    let mut later = Vec::with_capacity(ROUND_TRIPS);
    let begun = Instant::now();
    run(server, clients, each, |round, time| {
        let times = if round == 0 { &mut first } else { &mut later };
        times.push(time.as_micros() as u64);
    })?;
    let throughput = (each * clients) as f64 / begun.elapsed().as_secs_f64();
    Ok(Run {
        throughput: throughput as u64,
        median_us: quantile(later, 0.5),
        first_us: quantile(first, 0.99),
        ..Run::default()
    })
}

/// Connects all clients, waits until each that is served has had one reply, and then reads the memory.
fn memory(server: &Server, clients: usize) -> io::Result<u64> {
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let mut stream = std::net::TcpStream::connect(server.address)?;
        stream.write_all(&[0; MESSAGE])?;
        streams.push(stream);
    }
    for stream in &streams {
        stream.set_nonblocking(true)?;
    }
    // Some ways never serve all: when no reply has come for a while, none will.
    let mut waiting: Vec<_> = streams.iter_mut().collect();
    let mut quiet_since = Instant::now();
    while !waiting.is_empty() && quiet_since.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(5));
        let before = waiting.len();
        waiting.retain_mut(|stream| stream.read(&mut [0; MESSAGE]).is_err());
        if waiting.len() < before {
            quiet_since = Instant::now();
        }
    }
    proportional_memory(server.child.id())
}

/// The clients' side: one event loop, so that 1,000 of them need little processor time.
fn run(server: &Server, clients: usize, each: usize, mut took: impl FnMut(usize, Duration)) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut all = Vec::with_capacity(clients);
    for index in 0..clients {
        let mut stream = TcpStream::connect(server.address)?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        all.push(Some(Caller { stream, begun: Instant::now(), sent: 0, received: 0, round: 0 }));
    }
    let mut left = clients;
    let deadline = Instant::now() + Duration::from_secs(120);
    while left > 0 {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("{left} of {clients} clients were not served")));
        }
        match poll.poll(&mut events, Some(Duration::from_secs(1))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            let place = &mut all[event.token().0];
            let Some(caller) = place else { continue };
            match caller.advance(each, &mut took) {
                Ok(()) => {
                    *place = None;
                    left -= 1;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

struct Caller {
    stream: TcpStream,
    begun: Instant,
    sent: usize,
    received: usize,
    round: usize,
}

impl Caller {
    /// Continues the round trips: Ok when all are done, `WouldBlock` when the socket is not ready.
    fn advance(&mut self, each: usize, took: &mut impl FnMut(usize, Duration)) -> io::Result<()> {
        while self.round < each {
            while self.sent < MESSAGE {
                self.sent += self.stream.write(&[0; MESSAGE][self.sent..])?;
            }
            while self.received < MESSAGE {
                match self.stream.read(&mut [0; MESSAGE][self.received..])? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    count => self.received += count,
                }
            }
            took(self.round, self.begun.elapsed());
            (self.sent, self.received, self.begun) = (0, 0, Instant::now());
            self.round += 1;
        }
        Ok(())
    }
}

/// An echo server, the example built beside this one; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(way: &str) -> io::Result<Server> {
        let program = env::current_exe()?.with_file_name("echo");
        let mut child =
            Command::new(&program).args(["-q", way, "::1", "0"]).stderr(Stdio::piped()).spawn().map_err(|error| {
                io::Error::other(format!("{}: {error}; cargo build --release --examples", program.display()))
            })?;
        let mut line = String::new();
        if let Some(stderr) = child.stderr.take() {
            let mut stderr = BufReader::new(stderr);
            stderr.read_line(&mut line)?;
            // Read and discarded, so that messages about clients that leave cannot fill the pipe.
            std::thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        }
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let mut server = Server { child, address: SocketAddr::from(([0; 8], 0)) };
        server.address = address.ok_or_else(|| io::Error::other(format!("the server said: {line}")))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The proportional set size of a process and its descendants in KiB (proc(5), smaps_rollup): pages that several
/// processes share, such as the program's code, are divided among them.
fn proportional_memory(process: u32) -> io::Result<u64> {
    let folder = Path::new("/proc").join(process.to_string());
    let rollup = fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
    let own = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    let mut sum: u64 = own.unwrap_or(0);
    for task in fs::read_dir(folder.join("task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            sum += proportional_memory(child)?;
        }
    }
    Ok(sum)
}

fn quantile(mut values: Vec<u64>, q: f64) -> u64 {
    values.sort_unstable();
    let index = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(index).copied().unwrap_or(0)
}
