//! Every other system: sockets of `socket2` and `std`, one datagram a call, no control data, no `unsafe`. Compiled for the
//! tests on Linux too, so that both halves pass the same ones.
//!
//! Sockets are non-blocking here, whatever a caller asks for: a call that is to wait polls first. That way a batch takes
//! all that is there, and sending never waits.
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
pub use receive::{Datagrams, ReceiveBatch};
pub use send::SendBatch;
pub use waker::Waker;

/// What every system can do is no capability.
pub const SYSTEM: SystemCapabilities = SystemCapabilities {
    batches: false,
    segments: false,
    packet_info: false,
    port_groups: false,
    steering: false,
    pinning: false,
    closed_intake: false,
};
