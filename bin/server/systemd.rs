//! The service manager's side: sockets that it holds (sd_listen_fds(3)), and what it wants to be told (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::net::SendFlags;
use sd_notify::NotifyState;
use thiserror::Error;

/// Sockets that the service manager opened and goes on to hold: datagram sockets to serve, one worker each, and if it
/// likes a listening stream socket for the metrics.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The group of datagram sockets.
    pub datagram: Vec<UdpSocket>,
    /// The metrics listener.
    pub metrics: Option<TcpListener>,
}

/// What was inherited is of no use.
#[derive(Debug, Error)]
pub enum InheritError {
    /// A descriptor is neither an internet datagram nor a stream socket.
    #[error("inherited descriptor {0} is neither a UDP socket nor a listening TCP socket (systemd.socket(5))")]
    Kind(usize),
    /// There are two stream sockets.
    #[error("inherited descriptor {0} is a second TCP socket; only one, for the metrics, is of use")]
    SecondStream(usize),
}

/// Takes the sockets that LISTEN_FDS announces; empty if there are none. Call it once, before there are threads.
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

/// The way to the service manager. Opened once, so that the sandbox need not allow sockets and paths.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects to the socket that NOTIFY_SOCKET names, if it names one.
    ///
    /// # Errors
    ///
    /// Those of connect(2).
    pub fn from_env() -> io::Result<Notifier> {
        let socket = match env::var_os("NOTIFY_SOCKET") {
            Some(path) if !path.is_empty() => Some(connect(&path)?),
            _ => None,
        };
        let watchdog = socket.as_ref().and_then(|_| sd_notify::watchdog_enabled());
        Ok(Notifier { socket, watchdog })
    }

    /// How often to say that all is well, half of what WATCHDOG_USEC allows as sd_watchdog_enabled(3) recommends.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Tells the service manager that the configuration is being read again, until [`NotifyState::Ready`].
    pub fn notify_reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(_) => self.notify(&[NotifyState::Reloading]),
        }
    }

    /// Tells the service manager; without one, nothing. What cannot be delivered at once is lost: the service comes
    /// first.
    pub fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(socket) = &self.socket {
            let text: String = states.iter().map(|state| format!("{state}\n")).collect();
            // By sendto(2): a thread that may write(2) here could write anywhere.
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
