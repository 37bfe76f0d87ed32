//! `lab floor`: the least work that a datagram server can do. It answers every datagram with the same five octets. The
//! requests per second of a real server are compared with those of this one on the same processor.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Failure, target};
use crate::common::usage::{Port, whole};
use calc6::net::{ReceiveBatch, SYSTEM, Segmentation, SendBatch, SocketOptions, Wait, bind_group, mapped};

/// Serves the minimum that a datagram server can do: recvmmsg, five fixed octets, sendmmsg
///
/// It is the reference of `make bench`: compare requests per second of processor time under the same load. With
/// --segments replies to one peer leave as segments of one message, and segments of one message are received together.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Address to serve, IPv6 or IPv4
    host: String,
    /// Port to serve; 0 lets the system choose one
    #[arg(value_parser = Port::to_serve)]
    port: Port,
    /// Most datagrams that one system call receives or sends
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole::<NonZeroUsize>(1..=1024))]
    batch: NonZeroUsize,
    /// How to use the address that each datagram was sent to; only with all addresses (::)
    #[arg(long, value_name = "WHAT", default_value = "none")]
    packet_info: Address,
    /// Join replies to one peer into segments of one message (UDP_SEGMENT), and receive joined requests (UDP_GRO)
    #[arg(long)]
    segments: bool,
}

/// How the floor uses the address that a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Address {
    /// The kernel chooses the replies' address
    None,
    /// Receive it, but let the kernel choose the replies' address
    Receive,
    /// Receive it, and reply from it
    Reply,
}

/// Serves until the process is ended.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.packet_info != Address::None && !SYSTEM.packet_info {
        let what = "this system does not report where datagrams were sent to: expected --packet-info none";
        return Err(Failure::Run(what.into()));
    }
    let address = mapped(target::resolve(&arguments.host, &arguments.port)?[0]);
    let options = SocketOptions::default()
        .with_packet_info(arguments.packet_info != Address::None)
        .with_segmentation(if arguments.segments { Segmentation::Auto } else { Segmentation::Off });
    let socket = bind_group(address, 1, &options)
        .map_err(|error| Failure::run(format_args!("cannot bind {address}"), error))?
        .remove(0);
    eprintln!("lab floor: listening on {}", socket.local_addr());
    if !SYSTEM.batches {
        eprintln!("lab floor: this system has no batches of datagrams: one a call");
    }
    let (slots, capabilities) = (arguments.batch.get(), socket.capabilities());
    if arguments.segments && !capabilities.segmentation {
        return Err(Failure::Run("this system has no segments (UDP_SEGMENT of udp(7), Linux 4.18)".into()));
    }
    let mut requests = ReceiveBatch::new(slots, REQUEST, capabilities);
    let mut replies = SendBatch::new(REPLIES, REPLY.len(), capabilities.segmentation);
    loop {
        // A reply that the kernel refuses is lost: the floor does not handle errors either.
        let _ = requests.receive(&socket, Wait::ForOne);
        for request in requests.datagrams() {
            if replies.is_full() {
                replies.flush(&socket);
            }
            let from = request.destination.local().filter(|_| arguments.packet_info == Address::Reply);
            replies.append(Some(request.source), from, &REPLY);
        }
        replies.flush(&socket);
    }
}

/// The reply: the classic form of 25.
const REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

/// Replies for one system call.
const REPLIES: usize = 256;

/// Octets of the longest request.
const REQUEST: usize = 1280;
