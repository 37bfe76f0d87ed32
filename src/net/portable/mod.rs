//! Every other system: sockets of `socket2` and `std`, one datagram per call, no control data, no `unsafe`. Also
//! compiled for the tests on Linux, so that both halves pass the same tests.
//!
//! Sockets are non-blocking here, even if the caller asks for a blocking one: a call that should wait polls first. So a
//! batch takes all waiting datagrams, and sending never waits.
#![cfg_attr(target_os = "linux", allow(dead_code, unused_imports, reason = "for the tests"))]

use super::SystemCapabilities;

pub mod clock;
pub mod cpu;
mod input;
#[cfg(feature = "tokio")]
pub mod readiness;
mod receive;
mod send;
pub mod socket;
mod waker;

pub use input::Input;
pub use receive::ReceiveBatch;
pub use send::SendBatch;
pub use waker::Waker;

/// A feature that every system has is not a capability.
pub const SYSTEM: SystemCapabilities = SystemCapabilities {
    batches: false,
    segments: false,
    packet_info: false,
    port_groups: false,
    steering: false,
    pinning: false,
    closed_intake: false,
};
