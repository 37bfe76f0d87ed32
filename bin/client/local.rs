//! The server inside this process, for `--local`.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use calc6::limit::rate::Setting;
use calc6::server::{Config, Handle, Server};

use crate::common::loopback;

/// A server with one worker on a free port of ::1, or of 127.0.0.1 where IPv6 is off; it ends when this is dropped.
pub struct LocalServer {
    address: SocketAddrV6,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl LocalServer {
    /// Starts it.
    ///
    /// # Errors
    /// What the system refuses: a socket or a thread.
    pub fn start() -> io::Result<LocalServer> {
        let config = Config::default().with_workers(NonZeroUsize::MIN).with_rate_limit(Setting::Off);
        let server = Server::bind(SocketAddr::new(loopback::address(), 0), config).map_err(io::Error::other)?;
        let (address, handle) = (server.local_addr(), server.handle());
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || drop(server.run()))?;
        Ok(LocalServer { address, handle, thread: Some(thread) })
    }

    /// Its address; mapped for IPv4.
    pub fn address(&self) -> SocketAddrV6 {
        self.address
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.handle.stop();
        // A server that panicked has reported it on standard error.
        self.thread.take().map(JoinHandle::join);
    }
}
