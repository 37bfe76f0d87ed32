//! The server: workers on a group of sockets, from bind to the last reply.
//!
//! Main type: [`Server`]. May call `responder` for what octets decide, `limit` for what addresses decide, and `net`. It
//! knows no files, privileges or command lines: those belong to the program.
//!
//! Each worker is a thread with its own socket, buffers and counters; the kernel spreads the peers over the sockets
//! (SO_REUSEPORT). Workers share nothing that they write, so there is no lock, and per datagram no system call beyond
//! the batch's two, no clock and no allocation (for numbers up to 128 bits).
//!
//! A datagram's way through the server: `worker` receives a batch and sends the replies; `answerer` decides on each
//! datagram; `steering` makes the kernel send each source prefix to one worker; `rules` holds the access rules in
//! force, `counters` the outcome of each datagram, `journal` a few of those that were dropped, and `threads` the start
//! and end of the workers.
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

mod answerer;
mod config;
mod counters;
mod error;
mod journal;
mod moderation;
mod rules;
mod steering;
mod threads;
mod worker;

use std::io;
use std::net::{SocketAddr, SocketAddrV6, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

pub use config::Config;
pub use counters::{Counter, Totals};
pub use error::BindError;
pub use journal::Dropped;

use crate::limit::access::Contradiction;
use crate::limit::rate::Setting;
use crate::limit::{Rules, Steering};
use crate::net::socket::steer;
use crate::net::{SYSTEM, Socket, SocketOptions, bind_group, cpu, mapped};
use answerer::Answerer;
use counters::Counters;
use journal::Journal;
use rules::CurrentRules;
use threads::WorkerThread;
use worker::Worker;

/// A bound server that does not serve yet; datagrams already queue at its sockets.
///
/// ```
/// use calc6::client::Client;
/// use calc6::server::{Config, Server};
/// use calc6::wire::Operator;
/// let server = Server::bind("127.0.0.1:0".parse()?, Config::default())?;
/// let (address, handle) = (server.local_addr(), server.handle());
/// let serving = std::thread::spawn(move || server.run());
/// assert_eq!(Client::connect(address)?.evaluate(Operator::Product, [6, 7])?, 42);
/// handle.stop();
/// assert_eq!(serving.join().expect("the server does not panic")?.served(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    /// Of the rate limit's hash.
    key: [u64; 2],
    /// Where workers report dropped datagrams, if the configuration asks for reports.
    journal: Option<SyncSender<Dropped>>,
    sockets: Arc<[Socket]>,
    /// Why a source prefix may reach more than one worker.
    steered: Result<(), Unsteered>,
    shared: Arc<Shared>,
}

/// Why the datagrams of a source prefix may reach several workers, so that each of them allows the prefix the whole rate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsteered {
    /// The port is shared with other servers, so the kernel has to choose among them too.
    #[error("the port is shared with other servers")]
    SharedPort,
    /// The sockets that were handed over are not one group: they have different addresses or ports.
    #[error("the sockets that were handed over have different addresses")]
    DifferentAddresses,
    /// The system has no such choice.
    #[error("the system does not choose a worker by its source prefix")]
    Unsupported,
    /// The kernel refuses the program that chooses the worker.
    #[error("the kernel refuses SO_ATTACH_REUSEPORT_CBPF")]
    Refused(#[source] io::Error),
}

/// Stops a running server, reads its counters, and replaces its access rules. Handles can be cloned and sent to other
/// threads; none keeps the server's port in use.
///
/// ```
/// use calc6::server::{Config, Counter, Server};
/// let server = Server::bind("[::1]:0".parse()?, Config::default())?;
/// let handle = server.handle();
/// let serving = std::thread::spawn(move || server.run());
/// handle.set_rules(&"deny 2001:db8::/32".parse()?)?;
/// println!("{} octets received so far", handle.totals().count(Counter::OctetsIn));
/// handle.stop();
/// serving.join().expect("the server does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What the workers and the handles share.
struct Shared {
    /// The server's, as long as it lives.
    sockets: Weak<[Socket]>,
    counters: Vec<Counters>,
    rules: CurrentRules,
    journal: Mutex<Receiver<Dropped>>,
    stop: AtomicBool,
    /// Whether this server owns the sockets; if they were handed over, their owner's next server continues with them.
    owned: bool,
}

impl Server {
    /// Binds the sockets of all workers. An IPv4 address is served through its mapped address; port 0 lets the kernel
    /// choose.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the address cannot be bound, or the configuration cannot be served.
    pub fn bind(address: SocketAddr, config: Config) -> Result<Server, BindError> {
        check(&config)?;
        let address = mapped(address);
        let workers = config.workers.or_else(default_workers).map_or(1, NonZeroUsize::get);
        let sockets = bind_group(address, workers, &options(&config))
            .map_err(|source| BindError::new(address, workers, source))?;
        Self::new(sockets, config, true)
    }

    /// Serves sockets that another process has bound and keeps open, one worker each. They are made blocking, and
    /// options that would add control data, join or hold datagrams are undone. When stopped, the server answers what it
    /// has received and leaves the rest in the sockets' queues.
    ///
    /// # Errors
    ///
    /// [`BindError`] if there is no socket, one of them cannot be served, or the configuration cannot be.
    pub fn adopt(sockets: Vec<UdpSocket>, config: Config) -> Result<Server, BindError> {
        check(&config)?;
        if sockets.is_empty() {
            return Err(BindError::NoSocket);
        }
        let options = options(&config);
        let adopted = sockets.into_iter().enumerate().map(|(place, socket)| {
            Socket::adopt(socket, &options).map_err(|source| BindError::Inherited { place, source })
        });
        Self::new(adopted.collect::<Result<_, _>>()?, config, false)
    }

    fn new(sockets: Vec<Socket>, config: Config, owned: bool) -> Result<Server, BindError> {
        let ports = sockets.iter().map(|socket| socket.local_addr().port()).collect();
        let rules = CurrentRules::new(&config.access, ports)?;
        let random = || getrandom::u64().map_err(BindError::Random);
        let key = [random()?, random()?];
        let steered = steer_by_prefix(&sockets, &config, random()?);
        let counters = sockets.iter().map(|_| Counters::new()).collect();
        let (reports, journal) = journal::queue(config.verbose);
        let journal = Mutex::new(journal);
        let sockets: Arc<[Socket]> = sockets.into();
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { sockets: Arc::downgrade(&sockets), counters, rules, journal, stop, owned });
        let journal = config.verbose.then_some(reports);
        Ok(Server { config, key, journal, sockets, steered, shared })
    }

    /// The address and port it is bound to.
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.sockets[0].local_addr()
    }

    /// How many workers will serve.
    pub fn workers(&self) -> usize {
        self.sockets.len()
    }

    /// How often each source prefix is answered.
    pub fn rate_limit(&self) -> Setting {
        self.config.rate_limit
    }

    /// Whether every source prefix has one worker, so that its rate is that of the whole process.
    ///
    /// # Errors
    ///
    /// [`Unsteered`]: each worker allows a prefix the whole rate.
    pub fn steered(&self) -> Result<(), &Unsteered> {
        self.steered.as_ref().copied()
    }

    /// A handle on the server.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until [`Handle::stop`]. Every datagram received before that is answered. If a worker fails, all stop.
    /// When this returns, the sockets are closed.
    ///
    /// # Errors
    ///
    /// The first error of a worker, or of starting its thread.
    pub fn run(self) -> io::Result<Totals> {
        self.run_with(|| Ok(()), || Ok(()))
    }

    /// [`run`](Self::run), where each worker's thread first calls `enter`, and once all have done so the calling thread
    /// calls `serving`: here a program drops the privileges that serving does not need. No datagram is read before that.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and those of `enter` and `serving`.
    pub fn run_with(
        self,
        enter: impl Fn() -> io::Result<()> + Sync,
        serving: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Totals> {
        let handle = self.handle();
        thread::scope(|scope| {
            let (events, received) = mpsc::channel();
            let (mut threads, mut starters) = (Vec::new(), Vec::new());
            for index in 0..self.workers() {
                let (body, starter) = WorkerThread::new(self.worker(index), events.clone());
                let enter = &enter;
                let thread = thread::Builder::new().name(format!("worker {index}"));
                // If this fails, the starters are dropped, which ends the threads that were started before.
                threads.push(thread.spawn_scoped(scope, move || body.run(enter))?);
                starters.push(starter);
            }
            drop(events);
            let result = threads::supervise(&received, starters, &handle, serving);
            // A panic has been reported as an error.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            result
        })?;
        Ok(handle.totals())
    }

    fn worker(&self, index: usize) -> Worker<'_> {
        let Shared { counters, rules, stop, owned, .. } = &*self.shared;
        let journal = self.journal.clone().map(Journal::new);
        let (socket, counters) = (&self.sockets[index], &counters[index]);
        let rules = rules.of_worker(index);
        let answerer = Answerer::new(&self.config, socket, self.key, rules, journal, counters);
        let processors = &self.config.processors;
        let processor = (!processors.is_empty()).then(|| processors[index % processors.len()]);
        Worker::new(socket, counters, stop, &self.config, answerer, processor, *owned)
    }
}

impl Handle {
    /// Tells the server to stop: at once if it owns the sockets and their intake can be closed
    /// ([`SystemCapabilities::closed_intake`](crate::net::SystemCapabilities::closed_intake)), else within a quarter
    /// of a second.
    pub fn stop(&self) {
        if self.shared.stop.swap(true, Relaxed) || !self.shared.owned {
            return;
        }
        for socket in self.shared.sockets.upgrade().iter().flat_map(|sockets| sockets.iter()) {
            // If this fails, the worker still ends after its next wait.
            let _ = socket.close_intake();
        }
    }

    /// Replaces the access rules without losing a datagram, a rate or a count: a datagram that is received
    /// after this returns is decided by them.
    ///
    /// # Errors
    ///
    /// [`Contradiction`] if a prefix is both allowed and denied; the earlier rules stay in force.
    pub fn set_rules(&self, rules: &Rules) -> Result<(), Contradiction> {
        self.shared.rules.replace(rules)
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

    /// What one worker has counted so far. A live worker increments some [`Counter::Batch`] at least every
    /// [`Handle::IDLE_ROUND`].
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn worker_totals(&self, worker: usize) -> Totals {
        let mut totals = Totals::default();
        totals += &self.shared.counters[worker];
        totals
    }

    /// The longest time that an idle worker needs for one round of its loop.
    pub const IDLE_ROUND: Duration = RECEIVE_TIMEOUT.saturating_add(worker::IDLE_WAIT);

    /// Takes the reports of dropped datagrams ([`Config::verbose`]), oldest first, some hundred at a time.
    pub fn take_dropped(&self) -> Vec<Dropped> {
        let queue = self.shared.journal.lock().unwrap_or_else(PoisonError::into_inner);
        queue.try_iter().take(JOURNAL_ROUND).collect()
    }
}

/// The most that [`Handle::take_dropped`] takes at once.
const JOURNAL_ROUND: usize = 256;

/// Whether a configuration can be served.
fn check(config: &Config) -> Result<(), BindError> {
    if !(1..=Config::MAX_BATCH).contains(&config.batch) {
        return Err(BindError::Batch(config.batch));
    }
    if config.processors.is_empty() {
        return Ok(());
    }
    if !SYSTEM.pinning {
        return Err(BindError::Pinning);
    }
    let allowed = cpu::allowed().unwrap_or_default();
    match config.processors.iter().find(|processor| !allowed.contains(processor)) {
        Some(processor) => Err(BindError::Processor(*processor)),
        None => Ok(()),
    }
}

/// One worker for each processor, where workers have sockets of their own; where they share one, several would only take
/// turns, and each would allow a source its whole rate.
fn default_workers() -> Option<NonZeroUsize> {
    if SYSTEM.port_groups { thread::available_parallelism().ok() } else { None }
}

/// Sends every source prefix to one worker.
fn steer_by_prefix(sockets: &[Socket], config: &Config, key: u64) -> Result<(), Unsteered> {
    if sockets.len() < 2 {
        return Ok(());
    }
    if config.share_port {
        return Err(Unsteered::SharedPort);
    }
    if sockets.iter().any(|socket| socket.local_addr() != sockets[0].local_addr()) {
        return Err(Unsteered::DifferentAddresses);
    }
    if !SYSTEM.steering {
        return Err(Unsteered::Unsupported);
    }
    let steering = Steering::new([key as u32, (key >> 32) as u32], sockets.len() as u32);
    steer(sockets, &steering::program(&steering)).map_err(Unsteered::Refused)
}

fn options(config: &Config) -> SocketOptions {
    SocketOptions {
        ipv6_only: config.ipv6_only,
        share_port: config.share_port,
        receive_buffer: RECEIVE_BUFFER,
        receive_timeout: RECEIVE_TIMEOUT,
        packet_info: true,
        segmentation: config.segmentation,
    }
}

/// Enough for the bursts of some thousand clients.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How long an idle worker waits at most before it checks whether to stop: short enough to stop soon, long enough to cost nothing.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const ANY: SocketAddr = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0));

    #[test]
    fn what_cannot_be_served_is_an_error_of_bind() {
        let error = |config| Server::bind(ANY, config).err().map(|error| error.to_string());
        for batch in [0, Config::MAX_BATCH + 1, 100_000] {
            let expected = format!("a batch of {batch} datagrams: expected 1 to 64");
            assert_eq!(error(Config::default().with_batch(batch)), Some(expected));
        }
        let unknown = error(Config::default().with_processors([usize::MAX]));
        assert!(unknown.unwrap().starts_with("processor 18446744073709551615 is not among those"));
        assert!(matches!(Server::adopt(Vec::new(), Config::default()), Err(BindError::NoSocket)));
    }

    #[test]
    fn a_handle_does_not_keep_the_port() {
        let server = Server::bind(ANY, Config::default()).unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        handle.stop();
        server.run().unwrap();
        Server::bind(address.into(), Config::default()).expect("the port is free again");
        handle.stop();
        assert_eq!(handle.totals(), Totals::default());
    }

    #[test]
    fn an_error_before_the_start_ends_all_workers() {
        let server = || Server::bind(ANY, Config::default().with_workers(NonZeroUsize::MIN)).unwrap();
        let refused = || Err(io::Error::other("no"));
        assert_eq!(server().run_with(refused, || Ok(())).unwrap_err().to_string(), "no");
        assert_eq!(server().run_with(|| Ok(()), refused).unwrap_err().to_string(), "no");
    }
}
