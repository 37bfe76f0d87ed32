//! `lab floor`, the reference of the benchmarks, and the load generator that measures against it.

#[path = "../benches/bench/load.rs"]
mod load;
mod receiving;
mod serving;

use std::net::{SocketAddr, SocketAddrV6};
use std::process::Command;
use std::time::Duration;

use calc6::net::Segmentation;
use load::{Idle, Load, LoadShape, Pace};
use receiving::Receive as _;
use serving::{Server, peer};

fn floor(arguments: &[&str]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.arg("floor").args(arguments);
    Server::spawn(command)
}

#[test]
fn everything_is_answered_with_the_same_five_octets() {
    for (packet_info, segments) in [
        ("none", None),
        ("receive", None),
        ("reply", None),
        ("none", Some("--segments")),
        ("reply", Some("--segments")),
    ] {
        let mut arguments = vec!["::", "0", "--batch", "4", "--packet-info", packet_info];
        arguments.extend(segments);
        let server = floor(&arguments);
        let mut peers = vec![peer("[::1]:0", ("::1", server.port)), peer("127.0.0.1:0", ("127.0.0.1", server.port))];
        if packet_info == "reply" {
            peers.push(peer("127.0.0.1:0", ("127.0.0.77", server.port)));
        }
        let mut buffer = [0; 99];
        for peer in &peers {
            for request in [&[][..], &[1], &[7; 1232]] {
                peer.send(request).unwrap();
                let len = peer.receive(&mut buffer).unwrap();
                assert_eq!(buffer[..len], [0xff, 0, 0, 0, 25], "{packet_info}");
            }
        }
    }
}

#[test]
fn the_load_counts_what_is_answered() {
    let server = Server::start(&["::1", "0"]);
    let SocketAddr::V6(from) = "[::1]:0".parse().unwrap() else { unreachable!() };
    let to = SocketAddrV6::new(*from.ip(), server.port, 0, 0);
    let mut served = 0;
    let shape = |segmentation, pace| LoadShape { sockets: 2, window: 8, segmentation, pace, idle: Idle::Spin };
    for shape in [
        shape(Segmentation::Off, Pace::Sliding),
        shape(Segmentation::Off, Pace::Bursts),
        shape(Segmentation::Auto, Pace::Sliding),
    ] {
        let load = Load::new(from, to, &[0, 0, 0, 0, 1], shape);
        let outcome = load.unwrap().run(Duration::from_millis(100));
        assert!(outcome.replies >= 16, "{outcome:?}");
        served += outcome.replies;
    }
    let totals = server.stop();
    assert!(totals.contains(&format!("served {served},")), "{totals}");
}
