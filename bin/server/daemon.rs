//! A server as a service: which privileges it drops before it serves, what it reports and to whom, and how it ends.
//!
//! The order matters. [`Daemon::prepare`] opens what needs files or privileges (the metrics listener, the service
//! manager's socket, the user database) while the server's sockets are bound already; [`Daemon::run`] then closes the
//! file system, drops root and all capabilities, starts the threads, confines each to its system calls, reports that
//! it is ready, and only then reads the first datagram.
//!
//! | thread | does | system calls |
//! | --- | --- | --- |
//! | `worker N` | receives and sends | recvmmsg, sendmmsg |
//! | `supervisor` | signals, log, watchdog, access file | read, write to stderr, openat for reading |
//! | `metrics` | HTTP | accept4, read, write |
//! | main | waits for the workers' end | write to stderr |
//!
//! All may also poll, use sendto, allocate memory that is not executable, wait, and end (see [`hardening`](crate::hardening);
//! on systems other than Linux nothing is given up, and every thread may do everything).

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use calc6::limit::rate::Setting;
use calc6::net::clock;
use calc6::server::{Server, Totals};
use thiserror::Error;
use tracing::{error, info, warn};

use crate::access_file::{AccessFile, AccessFileError};
use crate::common::loopback;
use crate::hardening::{HardeningError, Protection, ServiceManager, Signals, ThreadConfinement, ThreadRole};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::supervisor::Supervisor;
use crate::{http, in_full, supervisor};

/// A server that is ready to become a service.
pub struct Daemon {
    server: Server,
    options: Options,
    protection: Protection,
    access_file: Option<AccessFile>,
    signals: Signals,
    manager: Arc<ServiceManager>,
    listener: Option<TcpListener>,
    warnings: Vec<String>,
}

/// Why a service cannot start, or has failed.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The user to become, or the sandbox.
    #[error(transparent)]
    Hardening(#[from] HardeningError),
    /// The address for metrics.
    #[error("cannot serve metrics on {0}: {1}{hint}", hint = loopback::hint(.0.ip()))]
    Metrics(SocketAddr, io::Error),
    /// The listener for metrics that was handed over.
    #[error("cannot serve metrics on the socket that was handed over: {0}")]
    Listener(io::Error),
    /// The access file can no longer be read.
    #[error("SIGHUP could not read the access file again, as the user and in the sandbox that serve")]
    AccessFile(#[source] AccessFileError),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// The service manager's socket.
    #[error("cannot reach the service manager at NOTIFY_SOCKET: {0}")]
    Notify(io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A worker has ended.
    #[error("a worker failed: {0}")]
    Worker(io::Error),
}

impl Daemon {
    /// Opens everything that is needed besides the server's sockets. `listener`: one for metrics that the service manager
    /// holds; it is used instead of the options' address. `warnings` are written when it serves.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] if something is refused.
    pub fn prepare(
        server: Server,
        options: Options,
        access_file: Option<AccessFile>,
        listener: Option<TcpListener>,
        warnings: Vec<String>,
    ) -> Result<Daemon, DaemonError> {
        // The first reading looks for the vDSO, which takes a file or a system call that serving does not need.
        clock::coarse();
        let signals = Signals::catch().map_err(DaemonError::Signals)?;
        let protection = Protection::prepare(&options.hardening)?;
        let manager = Arc::new(ServiceManager::from_env().map_err(DaemonError::Notify)?);
        let bind = |address| TcpListener::bind(address).map_err(|error| DaemonError::Metrics(address, error));
        let listener = match (listener, options.metrics) {
            (None, Some(address)) => Some(bind(address)?),
            (listener, _) => listener,
        };
        if let Some(listener) = &listener {
            http::prepare(listener).map_err(DaemonError::Listener)?;
        }
        Ok(Daemon { server, options, protection, access_file, signals, manager, listener, warnings })
    }

    /// Drops the privileges that serving does not need and serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] if the sandbox or a thread is refused, or a worker fails.
    pub fn run(self) -> Result<Totals, DaemonError> {
        let Daemon { server, options, protection, access_file, signals, manager, listener, warnings } = self;
        let confinement = Arc::new(protection.give_up(access_file.as_ref().map(AccessFile::path))?);
        // Better known now than when SIGHUP finds it out.
        access_file.as_ref().map(AccessFile::read).transpose().map_err(DaemonError::AccessFile)?;
        let mut notes = Notes::new(&server, &confinement, listener.as_ref());
        notes.warnings.extend(warnings);

        let handle = server.handle();
        let metrics = Arc::new(Metrics::new(handle.clone()));
        // Every thread drops its sender when it is confined.
        let (confining, confined) = channel();
        if let Some(listener) = listener {
            let metrics = Arc::clone(&metrics);
            let confined = (Arc::clone(&confinement), ThreadRole::Metrics);
            spawn("metrics", confined, confining.clone(), move || http::serve(&listener, &*metrics))?;
        }
        let supervisor = Supervisor {
            handle: handle.clone(),
            signals,
            manager: Arc::clone(&manager),
            metrics,
            access_file,
            verbose: options.verbose,
        };
        spawn("supervisor", (Arc::clone(&confinement), ThreadRole::Supervisor), confining, move || supervisor.watch())?;

        let serving = || {
            confinement.confine(ThreadRole::Main)?;
            await_all(&confined);
            notes.write();
            manager.serving(&notes.listening);
            Ok(())
        };
        let worker = || confinement.confine(ThreadRole::Worker);
        let totals = server.run_with(worker, serving).map_err(DaemonError::Worker)?;
        supervisor::write_dropped(&handle);
        Ok(totals)
    }
}

/// Waits until every sender is dropped.
fn await_all(confined: &Receiver<()>) {
    while confined.recv().is_ok() {}
}

/// Starts a thread that the service needs: its failure, or panic, ends the process.
fn spawn(
    name: &'static str,
    (confinement, role): (Arc<ThreadConfinement>, ThreadRole),
    confining: Sender<()>,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), DaemonError> {
    let whole_or_nothing = move || {
        let exit = ProcessExit(name);
        let result = confinement.confine(role).and_then(|()| {
            drop(confining);
            body()
        });
        let reason = result.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        exit.because(&reason);
    };
    thread::Builder::new().name(name.to_owned()).spawn(whole_or_nothing).map_err(DaemonError::Thread)?;
    Ok(())
}

/// Ends the process when it is dropped, by a panic too.
struct ProcessExit(&'static str);

impl ProcessExit {
    fn because(&self, reason: &dyn Display) {
        error!("the {} thread failed: {reason}", self.0);
    }
}

impl Drop for ProcessExit {
    fn drop(&mut self) {
        std::process::exit(1);
    }
}

/// The messages at the start.
struct Notes {
    listening: String,
    others: Vec<String>,
    warnings: Vec<String>,
}

impl Notes {
    fn new(server: &Server, confinement: &ThreadConfinement, metrics: Option<&TcpListener>) -> Notes {
        let listening = format!("listening on {}", server.local_addr());
        let metrics = metrics.and_then(|listener| listener.local_addr().ok());
        let metrics = metrics.map(|address| format!("metrics at http://{address}/metrics"));
        let others = metrics.into_iter().chain(confinement.running().map(str::to_owned)).collect();
        let unsteered = match (server.rate_limit(), server.steered()) {
            (Setting::On(_), Err(reason)) => {
                Some(format!("each worker allows every source prefix the whole rate: {}", in_full(reason)))
            }
            _ => None,
        };
        let warnings = confinement.warnings().iter().cloned().chain(unsteered).collect();
        Notes { listening, others, warnings }
    }

    fn write(&self) {
        info!("{}", self.listening);
        self.others.iter().for_each(|line| info!("{line}"));
        self.warnings.iter().for_each(|line| warn!("{line}"));
    }
}
