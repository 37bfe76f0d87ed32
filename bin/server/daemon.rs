//! A server as a service: what it gives up before it serves, whom it tells what, and how it ends.
//!
//! The order matters. [`Daemon::prepare`] opens what needs files or privileges (the metrics listener, the service
//! manager's socket, the user database) while the server's sockets are bound already; [`Daemon::run`] then closes the
//! file system, drops root, starts the threads, confines each to its system calls, and says that it is ready.
//!
//! | thread | does | system calls |
//! | --- | --- | --- |
//! | `worker N` | receives and sends | recvmmsg, sendmmsg |
//! | `supervisor` | signals, log, watchdog | poll, write to stderr, sendto |
//! | `metrics` | HTTP | accept, read, write, poll |
//! | main | waits for the workers' end | futex, write to stderr |
//!
//! All may also allocate memory that is not executable, wait, and end (see [`sandbox`]).

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use sd_notify::NotifyState;
use thiserror::Error;
use tracing::{error, info, warn};

use crate::metrics::Metrics;
use crate::options::Options;
use crate::privileges::{Identity, PrivilegeError};
use crate::sandbox::{Files, Filters, Role, SandboxError};
use crate::supervisor::{Signals, Supervisor};
use crate::systemd::Notifier;
use crate::{http, privileges, sandbox, supervisor};
use calc6::net::clock;
use calc6::server::{Server, Totals};

/// A server that is ready to become a service.
pub struct Daemon {
    server: Server,
    options: Options,
    identity: Option<Identity>,
    signals: Signals,
    notifier: Arc<Notifier>,
    listener: Option<TcpListener>,
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
    #[error("cannot serve metrics on {0}: {1}")]
    Metrics(SocketAddr, io::Error),
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
    /// holds; it stands in for the options' address.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] if something is refused.
    pub fn prepare(server: Server, options: Options, listener: Option<TcpListener>) -> Result<Daemon, DaemonError> {
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
        Ok(Daemon { server, options, identity, signals, notifier, listener })
    }

    /// Gives up what serving does not need and serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] if the sandbox or a thread is refused, or a worker fails.
    pub fn run(self) -> Result<Totals, DaemonError> {
        let Daemon { server, options, identity, signals, notifier, listener } = self;
        let (filters, unfiltered) = filters(&options)?;
        let filters = Arc::new(filters);
        let files = confine_process(&options, identity.as_ref())?;
        let root = privileges::is_root();

        let handle = server.handle();
        let metrics = Arc::new(Metrics::new(handle.clone()));
        let metrics_address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = listener {
            let (filters, metrics) = (Arc::clone(&filters), Arc::clone(&metrics));
            spawn("metrics", move || {
                confined(&filters, Role::Metrics)?;
                http::serve(&listener, &*metrics)
            })?;
        }
        let verbose = options.verbose;
        let supervisor =
            Supervisor { handle: handle.clone(), signals, notifier: Arc::clone(&notifier), metrics, verbose };
        let supervising = Arc::clone(&filters);
        spawn("supervisor", move || {
            confined(&supervising, Role::Main)?;
            supervisor.watch()
        })?;

        let address = server.local_addr();
        let serving = || {
            confined(&filters, Role::Main)?;
            info!("listening on {address}");
            if let Some(address) = metrics_address {
                info!("metrics at http://{address}/metrics");
            }
            tell_privileges(identity.as_ref(), root);
            tell_sandbox(&options, files, unfiltered.as_ref());
            notifier.notify(&[NotifyState::Ready, NotifyState::Status(&format!("listening on {address}"))]);
            Ok(())
        };
        let totals = server.run_with(|| confined(&filters, Role::Worker), serving).map_err(DaemonError::Worker)?;
        supervisor::write_dropped(&handle);
        Ok(totals)
    }
}

/// Closes the file system and gives up root; the threads started later inherit both.
fn confine_process(options: &Options, identity: Option<&Identity>) -> Result<Files, DaemonError> {
    let files = if options.no_sandbox { Files::Open } else { sandbox::close_files()? };
    if options.require_sandbox && files != Files::Closed {
        return Err(SandboxError::Incomplete.into());
    }
    identity.map(Identity::assume).transpose()?;
    Ok(files)
}

/// The filters, or why there are none: on a processor whose system calls the compiler does not know, the rest of the
/// sandbox must do.
fn filters(options: &Options) -> Result<(Option<Filters>, Option<SandboxError>), SandboxError> {
    if options.no_sandbox {
        return Ok((None, None));
    }
    match Filters::new() {
        Ok(filters) => Ok((Some(filters), None)),
        Err(error) if options.require_sandbox => Err(error),
        Err(error) => Ok((None, Some(error))),
    }
}

fn confined(filters: &Option<Filters>, role: Role) -> io::Result<()> {
    filters.as_ref().map_or(Ok(()), |filters| filters.confine(role)).map_err(io::Error::other)
}

/// Starts a thread without which the service is not whole: its failure, or panic, ends the process.
fn spawn(name: &'static str, body: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), DaemonError> {
    let whole_or_nothing = move || {
        let ended = EndsProcess(name);
        let reason = body().err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        ended.because(&reason);
    };
    thread::Builder::new().name(name.to_owned()).spawn(whole_or_nothing).map_err(DaemonError::Thread)?;
    Ok(())
}

/// Ends the process when it is dropped, by a panic too.
struct EndsProcess(&'static str);

impl EndsProcess {
    fn because(&self, reason: &dyn Display) {
        error!("the {} thread failed: {reason}", self.0);
    }
}

impl Drop for EndsProcess {
    fn drop(&mut self) {
        std::process::exit(1);
    }
}

fn tell_privileges(identity: Option<&Identity>, root: bool) {
    match identity {
        Some(identity) => info!("running as {}", identity.name()),
        None if root => warn!("running as root: name a user to become with --user"),
        None => {}
    }
}

/// Says what is missing of the sandbox.
fn tell_sandbox(options: &Options, files: Files, unfiltered: Option<&SandboxError>) {
    match files {
        _ if options.no_sandbox => warn!("no sandbox"),
        Files::Closed => {}
        Files::PartlyClosed => warn!("the kernel knows only a part of Landlock: files are closed, not all else is"),
        Files::Open => warn!("the kernel has no Landlock: files stay within reach"),
    }
    if let Some(reason) = unfiltered {
        warn!("{reason}");
    }
}
