//! calc6: a calculator served over UDP/IPv6.
#![warn(missing_docs)]

extern crate alloc;

#[cfg(not(target_os = "linux"))]
compile_error!("calc6 uses Linux's socket interface (recvmmsg, SO_RXQ_OVFL, SO_REUSEPORT); build it on Linux");

pub mod arithmetic;
#[cfg(feature = "capi")]
pub mod capi;
pub mod client;
pub mod exchange;
pub mod expression;
pub mod limit;
pub mod net;
pub mod responder;
pub mod server;
pub mod view;
pub mod wire;

pub use client::Client;
