//! calc6: a calculator served over UDP, on IPv6 and IPv4.
//!
//! A client sends an operator and integers in one datagram; a server answers with the result in another. The protocol
//! is that of the exercises in UCLouvain's *Computer Networking: Principles, Protocols and Practice*, with an extension
//! for integers of any size, more operators, request identifiers and reasons for errors; `docs/protocol.md` specifies
//! both. This library holds the wire format, the state machines of both sides, a client and a server.
//!
//! # Ask
//! ```no_run
//! use calc6::Client;
//! use calc6::wire::Operator;
//!
//! let mut client = Client::connect(("::1", 10000))?;
//! let sum = client.evaluate(Operator::Sum, [1, 3, 5, 7, 9])?;
//! let value = client.evaluate_expression("(1+3)*5 - 2^10".parse()?)?;
//! println!("{sum}, {}", value.result);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Serve
//! ```
//! use calc6::server::{Config, Server};
//!
//! let server = Server::bind("[::1]:0".parse()?, Config::default())?;
//! let (address, handle) = (server.local_addr(), server.handle());
//! let serving = std::thread::spawn(move || server.run());
//! println!("a server listens at {address}");
//! handle.stop();
//! let totals = serving.join().expect("the server does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parse
//! ```
//! use calc6::arithmetic::Number;
//! use calc6::view::View;
//! use calc6::wire::{Format, Operator, classic};
//!
//! let datagram = [0x00, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3];
//! let request = classic::Request::decode(&datagram)?;
//! assert_eq!(request.operator(), Some(Operator::Sum));
//! assert_eq!(View::request(&datagram).to_string(), "+ 4 2 3");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The folder `docs/examples` of the repository has a program for each way to use the library: asking, serving inside a
//! program, many tasks on Tokio, the state machines without a socket, and the wire format alone.
//!
//! # Features
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `net` | yes | sockets: the modules [`client`], [`server`] and [`net`] |
//! | `programs` | yes | what the programs `server`, `client` and `lab` need; no public item. Implies `net` |
//! | `tokio` | no | [`client::tokio`], a client for programs on Tokio. Implies `net` |
//! | `capi` | no | the C interface, for `make capi` |
//!
//! A program that uses the library turns the defaults off:
//! `calc6 = { version = "0.1", default-features = false, features = ["net"] }`. Without `net` the library is
//! `#![no_std]` with `alloc`.
//!
//! # Modules
//! From the lowest to the highest; each uses only those above it in the table.
//!
//! | module | what it does | begin with |
//! | --- | --- | --- |
//! | [`wire`] | octets to typed messages and back | [`classic::Request`](wire::classic::Request), [`extended::Request`](wire::extended::Request) |
//! | [`arithmetic`] | integers of any size; what the operators mean | [`Number`](arithmetic::Number), [`evaluate`](arithmetic::evaluate) |
//! | [`responder`] | the server's decision: datagram in, reply or silence out | [`respond`](responder::respond) |
//! | [`exchange`] | the client's state machine: timers, repeats, which reply counts | [`Exchange`](exchange::Exchange) |
//! | [`expression`] | text to a tree of operations | [`Expression`](expression::Expression) |
//! | [`view`] | a datagram as named fields, bit diagram, ladder | [`View`](view::View) |
//! | [`limit`] | who is answered, and how often | [`Rules`](limit::Rules) |
//! | [`net`] | sockets and batches of datagrams | |
//! | [`client`] | exchanges over sockets, one or many at a time | [`Client`] |
//! | [`server`] | workers around the responder | [`Server`] |
//!
//! All but the last three are pure: no socket, clock, random number or file. Time, randomness and addresses are
//! arguments, so the same code runs in a server, in a simulation, under a fuzzer and in a browser.
//!
//! # Panics and limits
//! Nothing panics, allocates without bound or loops on what comes from the network. A call of a client ends: each
//! request is repeated a limited number of times ([`Retransmission`](exchange::Retransmission)), a deadline holds for
//! the whole call, and [`Canceller`](client::Canceller) ends it from another thread.
#![warn(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]
// The pure modules need no more than alloc; a C library needs std for its allocator and panic handler.
#![cfg_attr(not(any(feature = "net", feature = "capi", test)), no_std)]

extern crate alloc;

mod abridge;
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
#[cfg(feature = "net")]
pub use server::Server;
