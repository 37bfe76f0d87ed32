//! What a system offers to a service: a sandbox, users to become, a service manager, signals. All that depends on the
//! system stands here; the rest of the program sees one face.
//!
//! `linux` has all of it. `plain` is for every other system: nothing is given up there, and a line at the start says so.

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
    /// Waits for the end of the workers.
    Main,
    /// Waits for signals, writes the log, feeds the watchdog; reads the access file again, if there is one.
    Supervisor,
    /// Answers HTTP requests for the metrics.
    Metrics,
}

/// What signals have asked for since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// To end.
    pub stop: bool,
    /// To write the totals.
    pub totals: bool,
    /// To read the access file again.
    pub reload: bool,
}

/// Sockets that the service manager opened and goes on to hold: datagram sockets to serve, one worker each, and if it
/// likes a listening stream socket for the metrics.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The group of datagram sockets.
    pub datagram: Vec<UdpSocket>,
    /// The metrics listener.
    pub metrics: Option<TcpListener>,
}
