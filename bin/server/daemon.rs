//! A server as a service: what it gives up before it serves, whom it tells what, and how it ends.
//!
//! The order matters. [`Daemon::prepare`] opens what needs files or privileges (the metrics listener, the service
//! manager's socket, the user database) while the server's sockets are bound already; [`Daemon::run`] then closes the
//! file system, drops root and all capabilities, starts the threads, confines each to its system calls, says that it is
//! ready, and only then reads the first datagram.
//!
//! | thread | does | system calls |
//! | --- | --- | --- |
//! | `worker N` | receives and sends | recvmmsg, sendmmsg |
//! | `supervisor` | signals, log, watchdog, access file | read, write to stderr, openat for reading |
//! | `metrics` | HTTP | accept4, read, write |
//! | main | waits for the workers' end | write to stderr |
//!
//! All may also poll, use sendto, allocate memory that is not executable, wait, and end (see [`sandbox`]).

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use calc6::limit::rate::Setting;
use calc6::net::clock;
use calc6::server::{Server, Totals};
use sd_notify::NotifyState;
use thiserror::Error;
use tracing::{error, info, warn};

use crate::access_file::{AccessFile, AccessFileError};
use crate::common::loopback;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::privileges::{Identity, PrivilegeError};
use crate::sandbox::{Files, Filters, Role, SandboxError};
use crate::supervisor::{Signals, Supervisor};
use crate::systemd::Notifier;
use crate::{http, in_full, privileges, sandbox, supervisor};

/// A server that is ready to become a service.
pub struct Daemon {
    server: Server,
    options: Options,
    identity: Option<Identity>,
    access_file: Option<AccessFile>,
    signals: Signals,
    notifier: Arc<Notifier>,
    listener: Option<TcpListener>,
    warnings: Vec<String>,
}

/// Why a service cannot start, or has failed.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The user to become.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The address for metrics.
    #[error("cannot serve metrics on {0}: {1}{hint}", hint = loopback::hint(.0.ip()))]
    Metrics(SocketAddr, io::Error),
    /// The listener for metrics that was handed over.
    #[error("cannot serve metrics on the socket that was handed over: {0}")]
    Listener(io::Error),
    /// The access file can be read no more.
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
    /// Opens all that is needed beside the server's sockets. `listener`: one for metrics that the service manager
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
        let identity = options.user.as_deref().map(Identity::resolve).transpose()?;
        let notifier = Arc::new(Notifier::from_env().map_err(DaemonError::Notify)?);
        let bind = |address| TcpListener::bind(address).map_err(|error| DaemonError::Metrics(address, error));
        let listener = match (listener, options.metrics) {
            (None, Some(address)) => Some(bind(address)?),
            (listener, _) => listener,
        };
        if let Some(listener) = &listener {
            http::prepare(listener).map_err(DaemonError::Listener)?;
        }
        Ok(Daemon { server, options, identity, access_file, signals, notifier, listener, warnings })
    }

    /// Gives up what serving does not need and serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] if the sandbox or a thread is refused, or a worker fails.
    pub fn run(self) -> Result<Totals, DaemonError> {
        let sandbox = Sandbox::compile(&self.options, self.access_file.is_some())?;
        let files = self.give_up()?;
        let Daemon { server, options, identity, access_file, signals, notifier, listener, warnings } = self;
        let mut notes = Notes::new(&server, &options, identity.as_ref(), files, sandbox.missing, listener.as_ref());
        notes.warnings.extend(warnings);

        let handle = server.handle();
        let metrics = Arc::new(Metrics::new(handle.clone()));
        // Every thread drops its sender when it is confined.
        let (confining, confined) = channel();
        if let Some(listener) = listener {
            let metrics = Arc::clone(&metrics);
            spawn("metrics", sandbox.metrics, confining.clone(), move || http::serve(&listener, &*metrics))?;
        }
        let supervisor = Supervisor {
            handle: handle.clone(),
            signals,
            notifier: Arc::clone(&notifier),
            metrics,
            access_file,
            verbose: options.verbose,
        };
        spawn("supervisor", sandbox.supervisor, confining, move || supervisor.watch())?;

        let serving = || {
            confine(sandbox.main.as_ref())?;
            await_all(&confined);
            notes.write();
            notifier.notify(&[NotifyState::Ready, NotifyState::Status(&notes.listening)]);
            Ok(())
        };
        let worker = || confine(sandbox.worker.as_ref());
        let totals = server.run_with(worker, serving).map_err(DaemonError::Worker)?;
        supervisor::write_dropped(&handle);
        Ok(totals)
    }

    /// Closes the file system and gives up root and all capabilities, for the threads that are started later too.
    fn give_up(&self) -> Result<Files, DaemonError> {
        let readable = self.access_file.as_ref().map_or(Vec::new(), |file| sandbox::folders_of(file.path()));
        let files = if self.options.no_sandbox { Files::Open } else { sandbox::close_files(&readable)? };
        if self.options.require_sandbox && files != Files::Closed {
            return Err(SandboxError::Incomplete.into());
        }
        self.identity.as_ref().map(Identity::assume).transpose()?;
        privileges::drop_capabilities()?;
        // Better known now than when SIGHUP finds it out.
        self.access_file.as_ref().map(AccessFile::read).transpose().map_err(DaemonError::AccessFile)?;
        Ok(files)
    }
}

/// The filters of all threads, compiled before any is applied; none without a sandbox.
#[derive(Default)]
struct Sandbox {
    worker: Option<Filters>,
    main: Option<Filters>,
    supervisor: Option<Filters>,
    metrics: Option<Filters>,
    /// Why there are none, on a processor whose system calls the compiler does not know: the rest of the sandbox must do.
    missing: Option<SandboxError>,
}

impl Sandbox {
    fn compile(options: &Options, reads: bool) -> Result<Sandbox, SandboxError> {
        if options.no_sandbox {
            return Ok(Sandbox::default());
        }
        let compiled = || -> Result<Sandbox, SandboxError> {
            Ok(Sandbox {
                worker: Some(Filters::new(Role::Worker)?),
                main: Some(Filters::new(Role::Main)?),
                supervisor: Some(Filters::new(Role::Supervisor { reads })?),
                metrics: Some(Filters::new(Role::Metrics)?),
                missing: None,
            })
        };
        match compiled() {
            Err(error) if !options.require_sandbox => Ok(Sandbox { missing: Some(error), ..Sandbox::default() }),
            result => result,
        }
    }
}

fn confine(filters: Option<&Filters>) -> io::Result<()> {
    filters.map_or(Ok(()), Filters::confine).map_err(|error| io::Error::other(in_full(&error)))
}

/// Waits until every sender is dropped.
fn await_all(confined: &Receiver<()>) {
    while confined.recv().is_ok() {}
}

/// Starts a thread without which the service is not whole: its failure, or panic, ends the process.
fn spawn(
    name: &'static str,
    filters: Option<Filters>,
    confining: Sender<()>,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), DaemonError> {
    let whole_or_nothing = move || {
        let exit = ProcessExit(name);
        let result = confine(filters.as_ref()).and_then(|()| {
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

/// What is said when serving begins.
struct Notes {
    listening: String,
    others: Vec<String>,
    warnings: Vec<String>,
}

impl Notes {
    fn new(
        server: &Server,
        options: &Options,
        identity: Option<&Identity>,
        files: Files,
        unfiltered: Option<SandboxError>,
        metrics: Option<&TcpListener>,
    ) -> Notes {
        let listening = format!("listening on {}", server.local_addr());
        let metrics = metrics.and_then(|listener| listener.local_addr().ok());
        let metrics = metrics.map(|address| format!("metrics at http://{address}/metrics"));
        let running = identity.map(|identity| format!("running as {}", identity.name()));
        let root = (identity.is_none() && privileges::is_root())
            .then(|| "running as root: name a user to become with --user".to_owned());
        let files = match files {
            _ if options.no_sandbox => Some("no sandbox"),
            Files::Closed => None,
            Files::PartlyClosed => Some("the kernel knows only a part of Landlock: files are closed, not all else is"),
            Files::Open => Some("the kernel has no Landlock: files stay within reach"),
        };
        let unsteered = match (server.rate_limit(), server.steered()) {
            (Setting::On(_), Err(reason)) => {
                Some(format!("each worker allows every source prefix the whole rate: {}", in_full(reason)))
            }
            _ => None,
        };
        let unfiltered = unfiltered.map(|error| in_full(&error));
        let warnings = [root, files.map(str::to_owned), unsteered, unfiltered].into_iter().flatten().collect();
        Notes { listening, others: metrics.into_iter().chain(running).collect(), warnings }
    }

    fn write(&self) {
        info!("{}", self.listening);
        self.others.iter().for_each(|line| info!("{line}"));
        self.warnings.iter().for_each(|line| warn!("{line}"));
    }
}
