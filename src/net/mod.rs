//! Sockets and batches of datagrams over IPv6, for Linux. Knows nothing of calculators.
//!
//! Every socket here is `AF_INET6`; IPv4 peers appear with mapped addresses (`::ffff:192.0.2.1`, RFC 4291
//! section 2.5.5.2). The room holds the server's `unsafe`: the two system calls that `socket2` does not wrap,
//! recvmmsg(2) and sendmmsg(2); and the asynchronous client's, one call that hands a descriptor to the runtime.
#![allow(unsafe_code)]

pub mod batch;
pub mod clock;
pub mod cpu;
mod fixed;
pub mod fixed_reply;
#[cfg(feature = "tokio")]
pub mod readiness;
pub mod socket;
pub mod volley;

pub use batch::{Batch, Datagram, Destination, Received, Sent, Wait};
pub use socket::Socket;
pub use volley::Volley;
