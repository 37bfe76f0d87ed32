//! The loopback address to use where the user names none, and what to say where IPv6 is off: `disable_ipv6=1` (ip-sysctl
//! of the kernel's documentation), as is usual in containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether this machine has no ::1, only 127.0.0.1.
pub fn ipv6_is_off() -> bool {
    // That 127.0.0.1 can be bound rules out other reasons, such as too many open files.
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() && UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).is_ok()
}

/// ::1, or 127.0.0.1 where IPv6 is off.
pub fn address() -> IpAddr {
    if ipv6_is_off() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// To add to an error about an address: what to type instead of ::1, or nothing if IPv6 is not the reason.
pub fn hint(address: IpAddr) -> &'static str {
    if address == Ipv6Addr::LOCALHOST && ipv6_is_off() { " (IPv6 is off on this machine: try 127.0.0.1)" } else { "" }
}
