//! Linux: recvmmsg(2), sendmmsg(2), segments and control data. All `unsafe` of the room is here: the system calls that
//! `socket2` does not wrap, and for the asynchronous client one call that hands a descriptor to the runtime.
#![allow(unsafe_code)]
#![allow(clippy::unnecessary_cast, reason = "the C library decides how wide the fields of its structs are")]

pub mod clock;
mod control;
pub mod cpu;
mod fixed;
#[cfg(feature = "tokio")]
pub mod readiness;
mod receive;
mod send;
pub mod socket;

pub use receive::{Datagrams, ReceiveBatch};
pub use send::SendBatch;

#[cfg(test)]
mod tests;
