//! The server: workers on a group of sockets, from bind to the last reply.
//!
//! Each worker is a thread with its own socket, buffers and counters; the kernel spreads the peers over the sockets
//! (SO_REUSEPORT). Workers share nothing that they write, so there is no lock, and per datagram no system call beyond
//! the batch's two, no clock and no allocation (for numbers up to 128 bits).
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use calc6::server::{Config, Server};
//! let server = Server::bind("[::1]:0".parse()?, Config::default())?;
//! println!("{}", server.local_addr());
//! let handle = server.handle();
//! let serving = std::thread::spawn(|| server.run());
//! handle.stop();
//! println!("{}", serving.join().unwrap()?);
//! # Ok(()) }
//! ```

mod config;
mod counters;
mod journal;
mod worker;

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub use config::Config;
pub use counters::{Counter, Totals};
pub use journal::Dropped;

use crate::limit::Access;
use crate::limit::access::Contradiction;
use crate::net::socket::{Options, bind_group};
use crate::net::{Socket, cpu};
use counters::Counters;
use journal::Journal;
use worker::{Admission, Worker};

/// A bound server that does not serve yet; datagrams already queue at its sockets.
pub struct Server {
    config: Config,
    /// The rules of each socket.
    access: Vec<Access>,
    /// Of the rate limit's hash.
    key: [u64; 2],
    /// Where workers tell of dropped datagrams, if anybody wants to hear of them.
    journal: Option<SyncSender<Dropped>>,
    shared: Arc<Shared>,
}

/// Stops a running server, and reads its counters. Handles can be cloned and sent to other threads.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What the workers and the handles share.
struct Shared {
    sockets: Vec<Socket>,
    counters: Vec<Counters>,
    journal: Mutex<Receiver<Dropped>>,
    stop: AtomicBool,
    /// Whether the sockets are ours alone; where they were handed in, their holder's next server goes on with them.
    owned: bool,
}

/// Why a server could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has the address and port.
    #[error("{0} is in use: another server has this port (--share-port on both lets them share it)")]
    InUse(SocketAddrV6),
    /// The address belongs to another machine, or to none.
    #[error("{} is none of this machine's addresses (try ::, which is all of them)", .0.ip())]
    NotOurs(SocketAddrV6),
    /// The port is below net.ipv4.ip_unprivileged_port_start.
    #[error("port {} is privileged: take one from 1024 on, or give the program CAP_NET_BIND_SERVICE", .0.port())]
    Privileged(SocketAddrV6),
    /// Neither files nor sockets can be opened any more.
    #[error("no descriptor left for the sockets of {workers} workers (see ulimit -n): {source}")]
    Descriptors {
        /// How many workers were asked for.
        workers: usize,
        /// The system's error.
        source: io::Error,
    },
    /// A socket that was handed in cannot be served.
    #[error("inherited socket {place} cannot be served: {source}")]
    Inherited {
        /// Its place among the sockets, from 0.
        place: usize,
        /// The system's error.
        source: io::Error,
    },
    /// The access rules contradict each other.
    #[error(transparent)]
    Rules(#[from] Contradiction),
    /// No random numbers for the rate limit's key.
    #[error("cannot draw random numbers: {0}")]
    Random(getrandom::Error),
    /// Anything else.
    #[error("cannot bind {address}: {source}")]
    Other {
        /// The address asked for.
        address: SocketAddrV6,
        /// The system's error.
        source: io::Error,
    },
}

impl Server {
    /// Binds the sockets of all workers. An IPv4 address is served through its mapped address; port 0 lets the kernel
    /// choose.
    pub fn bind(address: SocketAddr, config: Config) -> Result<Server, BindError> {
        let address = mapped(address);
        let workers = config.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let sockets = bind_group(address, workers, &options(&config))
            .map_err(|source| BindError::new(address, workers, source))?;
        Self::new(sockets, config, true)
    }

    /// Serves sockets that somebody else has bound and goes on to hold, one worker each. When stopped, the server
    /// answers what it has received and leaves the rest in the sockets' queues. Panics if there is no socket.
    pub fn adopt(sockets: Vec<OwnedFd>, config: Config) -> Result<Server, BindError> {
        assert!(!sockets.is_empty(), "a server needs a socket");
        let options = options(&config);
        let adopted = sockets.into_iter().enumerate().map(|(place, socket)| {
            Socket::adopt(socket, &options).map_err(|source| BindError::Inherited { place, source })
        });
        Self::new(adopted.collect::<Result<_, _>>()?, config, false)
    }

    fn new(sockets: Vec<Socket>, config: Config, owned: bool) -> Result<Server, BindError> {
        let access = sockets.iter().map(|socket| Access::new(&config.access, socket.local_addr().port()));
        let access = access.collect::<Result<_, _>>()?;
        let random = || getrandom::u64().map_err(BindError::Random);
        let key = [random()?, random()?];
        let counters = sockets.iter().map(|_| Counters::new()).collect();
        let (told, journal) = journal::queue(config.verbose);
        let journal = Mutex::new(journal);
        let shared = Arc::new(Shared { sockets, counters, journal, stop: AtomicBool::new(false), owned });
        let journal = config.verbose.then_some(told);
        Ok(Server { config, access, key, journal, shared })
    }

    /// The address and port it is bound to.
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.shared.sockets[0].local_addr()
    }

    /// How many workers will serve.
    pub fn workers(&self) -> usize {
        self.shared.sockets.len()
    }

    /// A handle on the server.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until [`Handle::stop`]. Every datagram received before that is answered. If a worker fails, all stop and
    /// its error is returned.
    pub fn run(self) -> io::Result<Totals> {
        self.run_with(|| Ok(()), || Ok(()))
    }

    /// [`run`](Self::run), where each worker's thread first calls `enter`, and the calling thread calls `serving` once
    /// all have done so: to give up what serving does not need. An error of either ends the server.
    pub fn run_with(
        self,
        enter: impl Fn() -> io::Result<()> + Sync,
        serving: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Totals> {
        let handle = self.handle();
        let processors = if self.config.pin { cpu::allowed().unwrap_or_default() } else { Vec::new() };
        thread::scope(|scope| {
            let (events, received) = mpsc::channel();
            let mut threads = Vec::new();
            for index in 0..self.workers() {
                let processor = (!processors.is_empty()).then(|| processors[index % processors.len()]);
                let worker = self.worker(index, processor);
                let life = Life(events.clone());
                let enter = &enter;
                let thread = thread::Builder::new().name(format!("worker {index}"));
                match thread.spawn_scoped(scope, move || life.live(worker, enter)) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        handle.stop();
                        return Err(error);
                    }
                }
            }
            drop(events);
            let result = wait(&received, threads.len(), &handle, serving);
            // A panic has been reported as an ending.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            result
        })?;
        Ok(handle.totals())
    }

    fn worker(&self, index: usize, processor: Option<usize>) -> Worker<'_> {
        let Shared { sockets, counters, stop, owned, .. } = &*self.shared;
        let journal = self.journal.clone().map(Journal::new);
        let admission = Admission { access: self.access[index].clone(), key: self.key, journal };
        Worker::new(&sockets[index], &counters[index], stop, &self.config, admission, processor, *owned)
    }
}

impl Handle {
    /// Tells the server to stop: at once where the sockets are its own, within a quarter of a second where not.
    pub fn stop(&self) {
        if self.shared.stop.swap(true, Relaxed) || !self.shared.owned {
            return;
        }
        for socket in &self.shared.sockets {
            // Should this fail, the worker still ends after its next wait.
            let _ = socket.close_intake();
        }
    }

    /// What all workers have counted so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.shared.counters.iter().for_each(|counters| totals += counters);
        totals
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.counters.len()
    }

    /// What one worker has counted so far. Of each worker some [`Counter::Batch`] grows at least four times a second,
    /// be it that of 0, or it hangs. Panics if there is no such worker.
    pub fn worker_totals(&self, worker: usize) -> Totals {
        let mut totals = Totals::default();
        totals += &self.shared.counters[worker];
        totals
    }

    /// Takes what the workers have told of dropped datagrams ([`Config::verbose`]), oldest first, some hundred at a
    /// time.
    pub fn take_dropped(&self) -> Vec<Dropped> {
        // The lock cannot be poisoned: taking does not panic.
        self.shared.journal.lock().map(|queue| queue.try_iter().take(JOURNAL_ROUND).collect()).unwrap_or_default()
    }
}

/// The most that [`Handle::take_dropped`] takes at once.
const JOURNAL_ROUND: usize = 256;

/// What a worker's thread reports.
enum Event {
    /// It begins to serve.
    Serving,
    /// It has ended.
    Ended(io::Result<()>),
}

/// Waits until all `workers` have ended; the first end stops the others.
fn wait(
    events: &Receiver<Event>,
    workers: usize,
    handle: &Handle,
    serving: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let mut result = Ok(());
    let (mut begun, mut serving) = (0, Some(serving));
    for event in events {
        match event {
            Event::Serving => begun += 1,
            Event::Ended(ending) => {
                handle.stop();
                result = result.and(ending);
            }
        }
        if begun == workers
            && let Some(Err(error)) = serving.take().map(|serving| serving())
        {
            handle.stop();
            result = result.and(Err(error));
        }
    }
    result
}

/// Reports how a worker's thread begins and ends, a panic included.
struct Life(mpsc::Sender<Event>);

impl Life {
    fn live(self, worker: Worker<'_>, enter: &impl Fn() -> io::Result<()>) {
        // Dropped at the end of a panic, too.
        let mut ending = Ending { to: &self.0, result: Err(io::Error::other("a worker panicked")) };
        worker.pin();
        ending.result = enter().and_then(|()| {
            let _ = self.0.send(Event::Serving);
            worker.run()
        });
    }
}

/// Tells the end when it is dropped.
struct Ending<'a> {
    to: &'a mpsc::Sender<Event>,
    result: io::Result<()>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let _ = self.to.send(Event::Ended(std::mem::replace(&mut self.result, Ok(()))));
    }
}

impl BindError {
    fn new(address: SocketAddrV6, workers: usize, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::InUse(address),
            Some(libc::EADDRNOTAVAIL) => Self::NotOurs(address),
            Some(libc::EACCES) => Self::Privileged(address),
            Some(libc::EMFILE | libc::ENFILE) => Self::Descriptors { workers, source },
            _ => Self::Other { address, source },
        }
    }
}

fn options(config: &Config) -> Options {
    Options {
        ipv6_only: config.ipv6_only,
        share_port: config.share_port,
        receive_buffer: RECEIVE_BUFFER,
        receive_timeout: RECEIVE_TIMEOUT,
        packet_info: true,
    }
}

/// Enough for the bursts of some thousand clients; the kernel gives at most net.core.rmem_max.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How often an idle worker looks up: soon enough to stop, seldom enough to cost nothing.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(250);

fn mapped(address: SocketAddr) -> SocketAddrV6 {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
        SocketAddr::V6(v6) => v6,
    }
}
