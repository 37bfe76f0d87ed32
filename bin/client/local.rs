//! The server inside this process, for `--local`.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use calc6::limit::rate::Setting;
use calc6::server::{Config, Handle, Server};

/// A server with one worker on a free port of ::1; it ends when this is dropped.
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
        let address = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0);
        let server = Server::bind(address.into(), config).map_err(io::Error::other)?;
        let (address, handle) = (server.local_addr(), server.handle());
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || drop(server.run()))?;
        Ok(LocalServer { address, handle, thread: Some(thread) })
    }

    /// Its address.
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
