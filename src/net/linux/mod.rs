//! Linux: recvmmsg(2), sendmmsg(2), segments and control data. All `unsafe` of the room is here: the system calls that
//! `socket2` does not wrap, and for the asynchronous client one call that hands a descriptor to the runtime.
#![allow(unsafe_code)]
#![allow(clippy::unnecessary_cast, reason = "the C library decides how wide the fields of its structs are")]

use super::SystemCapabilities;

pub mod clock;
mod control;
pub mod cpu;
mod fixed;
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

/// What Linux can do.
pub const SYSTEM: SystemCapabilities = SystemCapabilities {
    batches: true,
    segments: true,
    packet_info: true,
    port_groups: true,
    steering: true,
    pinning: true,
    closed_intake: true,
};

#[cfg(test)]
mod tests;
