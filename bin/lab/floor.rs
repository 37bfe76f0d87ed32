//! `lab floor`: the fastest server that the socket interface allows, which is none: it answers everything with the
//! same five octets. What a real server makes of the same processor is a share of this one's requests per second.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Failure, target};
use crate::common::usage::{Port, whole};
use calc6::net::fixed_reply::{FixedReply, PacketInfo};
use calc6::net::socket::{Options, bind_group};

/// Serve the least that a datagram server can do: recvmmsg, five fixed octets, sendmmsg
///
/// It is the yardstick of `make bench`: compare requests per second of processor time under the same load.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Address to serve, IPv6 or IPv4
    host: String,
    /// Port to serve; 0 lets the system choose one
    #[arg(value_parser = Port::to_serve)]
    port: Port,
    /// Most datagrams that one system call takes or sends
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole::<NonZeroUsize>(1..=u64::MAX))]
    batch: NonZeroUsize,
    /// What to do about the address that each datagram was sent to; only with all addresses (::)
    #[arg(long, value_name = "WHAT", default_value = "none")]
    packet_info: Address,
}

/// What a floor does about the address that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Address {
    /// The kernel chooses the replies' address
    None,
    /// Receive it; the kernel chooses the replies' all the same
    Receive,
    /// Receive it, and reply from it
    Reply,
}

/// Serves until the process is ended.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let address = match target::resolve(&arguments.host, &arguments.port)?[0] {
        std::net::SocketAddr::V4(v4) => std::net::SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
        std::net::SocketAddr::V6(v6) => v6,
    };
    let options = Options {
        ipv6_only: false,
        share_port: false,
        receive_buffer: 4 << 20,
        receive_timeout: Duration::ZERO,
        packet_info: arguments.packet_info != Address::None,
    };
    let socket = bind_group(address, 1, &options)
        .map_err(|error| Failure::run(format_args!("cannot bind {address}"), error))?
        .remove(0);
    eprintln!("lab floor: listening on {}", socket.local_addr());
    let packet_info = match arguments.packet_info {
        _ if !socket.is_wildcard() => PacketInfo::Unasked,
        Address::None => PacketInfo::Unasked,
        Address::Receive => PacketInfo::Received,
        Address::Reply => PacketInfo::Answered,
    };
    let mut rounds = FixedReply::new(arguments.batch.get(), packet_info);
    loop {
        // A refused reply ends its batch, no more: the floor does nothing about errors either.
        let _ = rounds.round(&socket);
    }
}
