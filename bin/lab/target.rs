//! Hosts and ports as they are typed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::Failure;
use crate::common::loopback;
use crate::common::usage::Port;

/// The addresses of `host`, in the order in which getaddrinfo(3) gives them, without ::1 where IPv6 is off; never empty.
pub fn resolve(host: &str, port: &Port) -> Result<Vec<SocketAddr>, Failure> {
    let port = port.number().map_err(Failure::Run)?;
    let mut addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::run(format_args!("cannot find the address of {host}"), error))?
        .collect();
    const LOOPBACK: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if addresses.iter().any(|address| address.ip() == LOOPBACK) && loopback::ipv6_is_off() {
        addresses.retain(|address| address.ip() != LOOPBACK);
        if addresses.is_empty() {
            return Err(Failure::Run(format!("{host}: IPv6 is off on this machine (try 127.0.0.1)")));
        }
    }
    if addresses.is_empty() {
        return Err(Failure::Run(format!("{host} has no address")));
    }
    Ok(addresses)
}
