//! calc6: a calculator served over UDP/IPv6.
#![warn(missing_docs)]
// The pure modules need no more than alloc; a C library needs std for its allocator and panic handler.
#![cfg_attr(not(any(feature = "net", feature = "capi", test)), no_std)]

extern crate alloc;

#[cfg(all(feature = "net", not(target_os = "linux")))]
compile_error!(
    "feature `net` of calc6 uses Linux's socket interface (recvmmsg, SO_RXQ_OVFL, SO_REUSEPORT): build it on Linux, or \
     without that feature (default-features = false)"
);

pub mod arithmetic;
#[cfg(feature = "capi")]
pub mod capi;
#[cfg(feature = "net")]
pub mod client;
pub mod exchange;
pub mod expression;
pub mod limit;
#[cfg(feature = "net")]
pub mod net;
pub mod responder;
#[cfg(feature = "net")]
pub mod server;
pub mod view;
pub mod wire;

#[cfg(feature = "net")]
pub use client::Client;
