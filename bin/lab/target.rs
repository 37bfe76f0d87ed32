//! Hosts and ports as they are typed.

use std::net::{SocketAddr, ToSocketAddrs};

use super::Failure;
use crate::common::usage::Port;

/// The addresses of `host`, in the order in which getaddrinfo(3) gives them; never empty.
pub fn resolve(host: &str, port: &Port) -> Result<Vec<SocketAddr>, Failure> {
    let port = port.number().map_err(Failure::Run)?;
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::run(format_args!("cannot find the address of {host}"), error))?
        .collect();
    if addresses.is_empty() {
        return Err(Failure::Run(format!("{host} has no address")));
    }
    Ok(addresses)
}
