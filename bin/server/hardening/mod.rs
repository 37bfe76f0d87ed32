//! What a system offers to a service: a sandbox, users to become, a service manager, signals. All system-dependent code
//! is here; the rest of the program uses one interface.
//!
//! `linux` has all of it. `plain` is for every other system: nothing is given up there, and a line at the start reports
//! this.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod plain;

use std::net::{TcpListener, UdpSocket};

#[cfg(target_os = "linux")]
pub use linux::{
    HELP, HardeningError, HardeningOptions, Protection, ServiceManager, Signals, ThreadConfinement, accept, inherited,
    open_for_reading, stderr_takes_a_line,
};
#[cfg(not(target_os = "linux"))]
pub use plain::{
    HELP, HardeningError, HardeningOptions, Protection, ServiceManager, Signals, ThreadConfinement, accept, inherited,
    open_for_reading, stderr_takes_a_line,
};

/// The kinds of threads, each with the system calls of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadRole {
    /// Receives and sends datagrams.
    Worker,
    /// Waits until the workers end.
    Main,
    /// Waits for signals, writes the log, feeds the watchdog; reads the access file again, if there is one.
    Supervisor,
    /// Answers HTTP requests for the metrics.
    Metrics,
}

/// What signals have requested since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// To stop.
    pub stop: bool,
    /// To write the totals.
    pub totals: bool,
    /// To read the access file again.
    pub reload: bool,
}

/// Sockets that the service manager opened and keeps open: datagram sockets to serve, one worker each, and optionally a
/// listening stream socket for the metrics.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The group of datagram sockets.
    pub datagram: Vec<UdpSocket>,
    /// The metrics listener.
    pub metrics: Option<TcpListener>,
}
