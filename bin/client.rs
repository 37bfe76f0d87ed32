//! `client`: asks a calculator server and prints the result.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use calc6::client::program::{self, LocalServer};
use calc6::limit::rate::Setting;
use calc6::server::{Config, Handle, Server};

fn main() -> std::process::ExitCode {
    program::main(std::env::args_os(), serve)
}

/// The server of `--local`: one worker on a free port of ::1.
fn serve() -> io::Result<LocalServer> {
    let config = Config { workers: Some(NonZeroUsize::MIN), pin: false, rate_limit: Setting::Off, ..Config::default() };
    let address = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0);
    let server = Server::bind(address.into(), config).map_err(io::Error::other)?;
    let address = server.local_addr();
    let handle = server.handle();
    let serving = thread::Builder::new().name("server".to_owned()).spawn(move || drop(server.run()))?;
    Ok(LocalServer { address, guard: Box::new(Serving { handle, serving: Some(serving) }) })
}

/// Stops the server when dropped, and waits for its end.
struct Serving {
    handle: Handle,
    serving: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.handle.stop();
        // A server that panicked has said so on standard error.
        self.serving.take().map(JoinHandle::join);
    }
}
