//! Systems other than Linux: nothing is given up, no service manager passes sockets on, and the only signals are those
//! that stop the server.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use calc6::net::SYSTEM;
use clap::Args;

use super::{Asked, Inherited, ThreadRole};

/// The text at the end of --help.
pub const HELP: &str = "  server ::1 10000 --metrics [::1]:9469

Ctrl-C ends it after the replies in flight are sent, with a line of totals. On this system it has no sandbox, becomes no
other user, takes no sockets from a service manager and does not read --access-file again: it is not for the open
Internet.";

/// What is missing here in addition to missing socket features, to complete "this system has no".
const MISSING: [&str; 4] =
    ["sandbox", "user to become", "sockets from a service manager", "second reading of the access file"];

/// There are no options of these systems alone.
#[derive(Clone, Debug, Args)]
pub struct HardeningOptions {}

/// Nothing is done here, so nothing can fail.
pub type HardeningError = Infallible;

impl HardeningOptions {
    /// No processors: workers are not pinned.
    pub fn processors(&self) -> &[usize] {
        &[]
    }

    /// Reports that there is no sandbox.
    ///
    /// # Errors
    ///
    /// None.
    pub fn check(&self) -> Result<Vec<String>, HardeningError> {
        Ok(vec!["user: unchanged".to_owned(), "sandbox: this system has none".to_owned()])
    }
}

/// Nothing is given up.
pub struct Protection;

impl Protection {
    /// Nothing to look up.
    ///
    /// # Errors
    ///
    /// None.
    pub fn prepare(_: &HardeningOptions) -> Result<Protection, HardeningError> {
        Ok(Protection)
    }

    /// Drops nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn give_up(self, _: Option<&Path>) -> Result<ThreadConfinement, HardeningError> {
        let missing: Vec<&str> = MISSING.into_iter().chain(SYSTEM.missing()).collect();
        let warning = format!("this system has no {}: do not serve the open Internet", missing.join(", no "));
        Ok(ThreadConfinement { warnings: [warning] })
    }
}

/// Threads that are not confined.
pub struct ThreadConfinement {
    warnings: [String; 1],
}

impl ThreadConfinement {
    /// Does nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn confine(&self, _: ThreadRole) -> io::Result<()> {
        Ok(())
    }

    /// The process keeps its user.
    pub fn running(&self) -> Option<&str> {
        None
    }

    /// What is missing, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Ctrl-C, and SIGINT, SIGTERM and SIGHUP where there are signals.
pub struct Signals {
    arrived: Receiver<()>,
}

impl Signals {
    /// Catches these signals from now on.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn catch() -> io::Result<Signals> {
        let (sender, arrived) = channel();
        let send = move || {
            // The receiver lives as long as the process.
            let _ = sender.send(());
        };
        ctrlc::set_handler(send).map_err(io::Error::other)?;
        Ok(Signals { arrived })
    }

    /// Waits for a signal, or until `limit` has passed.
    pub fn wait(&mut self, limit: Option<Duration>) -> Asked {
        let stop = match limit {
            Some(limit) => self.arrived.recv_timeout(limit).is_ok(),
            None => self.arrived.recv().is_ok(),
        };
        Asked { stop, ..Asked::default() }
    }
}

/// There is no service manager.
#[derive(Debug)]
pub struct ServiceManager;

impl ServiceManager {
    /// Always empty.
    ///
    /// # Errors
    ///
    /// None.
    pub fn from_env() -> io::Result<ServiceManager> {
        Ok(ServiceManager)
    }

    /// It has no watchdog.
    pub fn watchdog(&self) -> Option<Duration> {
        None
    }

    /// Does nothing.
    pub fn serving(&self, _: &str) {}

    /// Does nothing.
    pub fn reloading(&self) {}

    /// Does nothing.
    pub fn reloaded(&self) {}

    /// Does nothing.
    pub fn alive(&self) {}

    /// Does nothing.
    pub fn stopping(&self) {}
}

/// No sockets are passed on.
///
/// # Errors
///
/// None.
pub fn inherited() -> Result<Inherited, HardeningError> {
    Ok(Inherited::default())
}

/// Accepts a connection and makes it non-blocking.
///
/// # Errors
///
/// Those of accept(2).
pub fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Opens a file.
///
/// # Errors
///
/// Those of the system.
pub fn open_for_reading(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Always true: only the supervising thread writes there.
pub fn stderr_takes_a_line() -> bool {
    true
}
