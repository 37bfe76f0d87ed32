//! The service manager: sockets that it passes on (sd_listen_fds(3)), and notifications to it (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::net::SendFlags;
use sd_notify::NotifyState;
use thiserror::Error;

use super::super::Inherited;

/// An inherited descriptor cannot be used.
#[derive(Debug, Error)]
pub enum InheritError {
    /// A descriptor is neither an internet datagram nor a stream socket.
    #[error("inherited descriptor {0} is neither a UDP socket nor a listening TCP socket (systemd.socket(5))")]
    Kind(usize),
    /// There are two stream sockets.
    #[error("inherited descriptor {0} is a second TCP socket; only one, for the metrics, can be used")]
    SecondStream(usize),
}

/// Takes the sockets that LISTEN_FDS announces; empty if there are none. Call it once, before threads are started.
///
/// # Errors
///
/// [`InheritError`] if one cannot be used.
pub fn inherited() -> Result<Inherited, InheritError> {
    /// SD_LISTEN_FDS_START of sd_listen_fds(3).
    const FIRST: usize = 3;
    let mut announced = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..announced.len() {
        if let Ok(Some(socket)) = announced.take_udp_socket(index) {
            inherited.datagram.push(socket);
        } else if let Ok(Some(listener)) = announced.take_tcp_listener(index) {
            if inherited.metrics.replace(listener).is_some() {
                return Err(InheritError::SecondStream(FIRST + index));
            }
        } else {
            return Err(InheritError::Kind(FIRST + index));
        }
    }
    Ok(inherited)
}

/// The connection to the service manager, if there is one. Opened once, so that the sandbox need not allow sockets and
/// paths.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Connects to the socket that NOTIFY_SOCKET names, if it names one.
    ///
    /// # Errors
    ///
    /// Those of connect(2).
    pub fn from_env() -> io::Result<ServiceManager> {
        let socket = match env::var_os("NOTIFY_SOCKET") {
            Some(path) if !path.is_empty() => Some(connect(&path)?),
            _ => None,
        };
        let watchdog = socket.as_ref().and_then(|_| sd_notify::watchdog_enabled());
        Ok(ServiceManager { socket, watchdog })
    }

    /// The interval of watchdog notifications: half of WATCHDOG_USEC, as sd_watchdog_enabled(3) recommends.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// All workers serve. The status text is for people.
    pub fn serving(&self, status: &str) {
        self.notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read again, until [`reloaded`](Self::reloaded).
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(_) => self.notify(&[NotifyState::Reloading]),
        }
    }

    /// The configuration has been read again.
    pub fn reloaded(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// Every worker has completed a round of its loop.
    pub fn alive(&self) {
        self.notify(&[NotifyState::Watchdog]);
    }

    /// The server is stopping.
    pub fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// A notification that cannot be delivered at once is lost: the service has priority.
    fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(socket) = &self.socket {
            let text: String = states.iter().map(|state| format!("{state}\n")).collect();
            // With sendto(2): a thread that may call write(2) here could write to any descriptor.
            let _ = rustix::net::send(socket, text.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

/// A path, or an abstract name that is written with `@` for its first octet (unix(7)).
fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(path)?,
    }
    Ok(socket)
}
