//! Differences between systems that matter for starting programs: process groups and jobs, limits, information about
//! other processes. All system-dependent code of lab is here; the rest of lab uses one interface.
//!
//! | | Linux | macOS, FreeBSD | Windows |
//! | --- | --- | --- | --- |
//! | ended with all children | process group, and by environment | process group | job object |
//! | limits | processor time, memory, descriptors, file size | the same, if the system enforces them | none but time |
//! | sockets, descriptors, threads, processor time of a program | /proc | | |
//! | namespaces, capabilities | yes | | |

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::net::SocketAddr;

#[cfg(target_os = "linux")]
pub use linux::{
    Family, KNOWS_PROCESSES, NAMESPACES, has_root, own_network, processor_time, shield_this_process, socket_at, sockets,
};
#[cfg(not(target_os = "linux"))]
pub use other::{
    Family, KNOWS_PROCESSES, NAMESPACES, has_root, own_network, processor_time, shield_this_process, socket_at, sockets,
};
#[cfg(unix)]
pub use unix::{
    LIMITS_MISSING, ProcessGroup, become_program, copy_link, id_of, occupied, on_end, raise_descriptor_limit, shell,
    signal_of, signalled,
};
#[cfg(windows)]
pub use windows::{
    LIMITS_MISSING, ProcessGroup, become_program, copy_link, id_of, occupied, on_end, raise_descriptor_limit, shell,
    signal_of, signalled,
};

/// What a started program and its descendants use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Running processes.
    pub processes: usize,
    /// Processes that have ended and that their parent has not waited for.
    pub zombies: usize,
    /// Threads of all processes.
    pub threads: usize,
    /// Open descriptors of the process that has the most.
    pub descriptors: usize,
}

/// A socket of this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KernelSocket {
    /// Where it is bound.
    pub local: SocketAddr,
    /// The address that it is connected to; port 0 if it is not connected, or if the system does not show it.
    pub remote: SocketAddr,
    /// Octets that wait to be received, as far as the system shows them.
    pub waiting: u64,
    /// A number that the system assigns; 0 if it assigns none.
    identity: u64,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams; only listening sockets.
    Tcp,
}

impl KernelSocket {
    /// Which socket it is, where the system shows that: another socket has another identity.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Whether a datagram to `address` can reach it.
    pub fn serves(&self, address: SocketAddr) -> bool {
        let (local, asked) = (self.local.ip(), address.ip());
        let same_family = local.is_ipv4() == asked.is_ipv4();
        // An IPv6 wildcard also receives IPv4, unless IPV6_V6ONLY is set, which the table does not show.
        let reached = local == asked
            || local.is_unspecified() && (same_family || local.is_ipv6())
            || local.to_canonical() == asked.to_canonical();
        self.local.port() == address.port()
            && (reached || asked.is_unspecified() && local.is_unspecified() && same_family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_serves_its_family_and_an_ipv6_one_both() {
        let serves = |bound: &str, asked: &str| {
            let (local, remote) = (bound.parse().unwrap(), "[::]:0".parse().unwrap());
            KernelSocket { local, remote, waiting: 0, identity: 1 }.serves(asked.parse().unwrap())
        };
        assert!(serves("[::]:7", "[::1]:7") && serves("[::]:7", "127.0.0.1:7") && serves("0.0.0.0:7", "127.0.0.1:7"));
        assert!(serves("[::]:7", "[::]:7") && serves("[::ffff:127.0.0.1]:7", "127.0.0.1:7"));
        assert!(!serves("0.0.0.0:7", "[::1]:7") && !serves("[::1]:8", "[::1]:7") && !serves("[::1]:7", "[::2]:7"));
    }
}
