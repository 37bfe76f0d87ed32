//! What both halves promise, over real sockets on loopback: the same tests for each.

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Capabilities, Destination, DropCounter, Segmentation, Sent, SocketOptions, Wait};

const OPTIONS: SocketOptions = SocketOptions {
    ipv6_only: false,
    share_port: false,
    receive_buffer: 1 << 20,
    receive_timeout: Duration::from_secs(5),
    packet_info: true,
    segmentation: Segmentation::Auto,
};

fn peer(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(("::1", port)).unwrap();
    socket
}

macro_rules! tests_of {
    ($half:ident) => {
        mod $half {
            use super::super::$half::socket::{Socket, bind_group, nonblocking};
            use super::super::$half::{ReceiveBatch, SYSTEM, SendBatch, clock, cpu};
            use super::*;

            fn bind(address: &str, options: &SocketOptions) -> Socket {
                bind_group(address.parse().unwrap(), 1, options).unwrap().remove(0)
            }

            #[test]
            fn each_sender_gets_its_reply_round_after_round() {
                for address in ["[::1]:0", "[::]:0"] {
                    let socket = bind(address, &OPTIONS);
                    let peers = [(); 6].map(|()| peer(socket.local_addr().port()));
                    let mut received = ReceiveBatch::new(4, 1500, socket.capabilities());
                    let mut replies = SendBatch::new(8, 1500, socket.capabilities().segmentation);
                    for length in [0, 1, 1400, 3] {
                        for (mark, peer) in peers.iter().enumerate() {
                            peer.send(&vec![mark as u8; length]).unwrap();
                        }
                        for expected in [4, 2] {
                            let found = received.receive(&socket, Wait::ForOne).unwrap();
                            assert_eq!((found.messages, found.datagrams, found.trains), (expected, expected, 0));
                            for datagram in received.datagrams() {
                                assert_eq!((datagram.octets.len(), datagram.length), (length, length));
                                assert_ne!(datagram.destination, Destination::Unknown);
                                replies.append(Some(datagram.source), datagram.destination.local(), datagram.octets);
                            }
                            assert_eq!(replies.waiting(), expected);
                            assert_eq!(replies.flush(&socket), Sent { datagrams: expected, ..Sent::default() });
                        }
                        for (mark, peer) in peers.iter().enumerate() {
                            let mut buffer = [0; 1500];
                            assert_eq!(peer.recv(&mut buffer).unwrap(), length);
                            assert_eq!(buffer[..length], vec![mark as u8; length]);
                        }
                    }
                }
            }

            #[test]
            fn a_long_datagram_is_truncated_and_its_length_is_known() {
                let socket = bind("[::1]:0", &OPTIONS);
                let peer = peer(socket.local_addr().port());
                let mut received = ReceiveBatch::new(2, 1233, socket.capabilities());
                for length in [0, 1233, 1234, 5000, 65_000] {
                    peer.send(&vec![7; length]).unwrap();
                    assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().datagrams, 1);
                    let datagram = received.datagrams().next().unwrap();
                    assert_eq!((datagram.octets.len(), datagram.length), (length.min(1233), length));
                }
            }

            #[test]
            fn nothing_there_is_an_error_of_one_kind() {
                let options = SocketOptions { receive_timeout: Duration::from_millis(20), ..OPTIONS };
                let socket = bind("[::1]:0", &options);
                let mut received = ReceiveBatch::new(2, 9, socket.capabilities());
                for wait in [Wait::No, Wait::ForOne] {
                    assert_eq!(received.receive(&socket, wait).unwrap_err().kind(), io::ErrorKind::WouldBlock);
                    assert_eq!(received.datagrams().count(), 0);
                }
                assert!(socket.wait_readable(Duration::from_millis(1)).unwrap());
                assert_eq!(socket.drop_counter(), DropCounter::default());
            }

            #[test]
            fn a_datagram_that_is_refused_spoils_no_other() {
                let socket = bind("[::1]:0", &OPTIONS);
                let peer = peer(socket.local_addr().port());
                let to = peer.local_addr().unwrap().to_string().parse().unwrap();
                let mut batch = SendBatch::new(4, 66_000, false);
                for length in [1, 66_000, 2] {
                    batch.append_with(Some(to), None, |_| Some(length));
                }
                batch.append_with(Some(to), None, |_| None);
                let sent = batch.flush(&socket);
                assert_eq!((sent.datagrams, sent.refused, sent.queue_full), (2, 1, 0));
                assert!(sent.last_refusal.is_some());
                for length in [1, 2] {
                    assert_eq!(peer.recv(&mut [0; 9]).unwrap(), length);
                }
                assert!(batch.waiting() == 0 && !batch.is_full() && !batch.segments());
            }

            #[test]
            fn connected_sockets_need_no_addresses() {
                let server = bind("[::1]:0", &OPTIONS);
                let client = nonblocking().unwrap();
                client.connect(&server.local_addr().into()).unwrap();
                let mut requests = SendBatch::new(4, 16, false);
                let mut replies = ReceiveBatch::connected(4, 8, Capabilities::NONE);
                for round in 0..3_u8 {
                    for number in 0..4 {
                        requests.append(None, None, &[round, number]);
                    }
                    assert!(requests.is_full());
                    assert_eq!(requests.flush(&client).datagrams, 4);
                    let mut received = ReceiveBatch::new(4, 16, server.capabilities());
                    let mut all = Vec::new();
                    while all.len() < 4 {
                        received.receive(&server, Wait::ForOne).unwrap();
                        all.extend(received.datagrams().map(|datagram| datagram.octets.to_vec()));
                        let to = received.datagrams().next().unwrap().source;
                        for _ in received.datagrams() {
                            assert_eq!(server.send_to(&[round; 12], to).unwrap(), 12);
                        }
                    }
                    assert_eq!(all, [0, 1, 2, 3].map(|number| vec![round, number]));
                    let mut count = 0;
                    while count < 4 {
                        count += replies.receive(&client, Wait::ForOne).unwrap().datagrams;
                        assert!(
                            replies.datagrams().all(|datagram| datagram.octets == [round; 8] && datagram.length == 12)
                        );
                    }
                    assert_eq!(replies.receive(&client, Wait::No).unwrap_err().kind(), io::ErrorKind::WouldBlock);
                }
            }

            #[test]
            fn every_worker_of_a_group_can_answer() {
                let options = SocketOptions { receive_timeout: Duration::from_millis(20), ..OPTIONS };
                let group = bind_group("[::1]:0".parse().unwrap(), 3, &options).unwrap();
                let address = group[0].local_addr();
                assert!(group.len() == 3 && group.iter().all(|socket| socket.local_addr() == address));
                let taken = bind_group(address, 1, &options).unwrap_err();
                assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
                let stop = AtomicBool::new(false);
                std::thread::scope(|scope| {
                    for socket in &group {
                        scope.spawn(|| {
                            let mut received = ReceiveBatch::new(2, 9, socket.capabilities());
                            let mut replies = SendBatch::new(2, 9, false);
                            while !stop.load(Ordering::Relaxed) {
                                if received.receive(socket, Wait::ForOne).is_err() {
                                    continue;
                                }
                                for datagram in received.datagrams() {
                                    replies.append(Some(datagram.source), None, datagram.octets);
                                }
                                replies.flush(socket);
                            }
                        });
                    }
                    for number in 0..30_u8 {
                        let peer = peer(address.port());
                        peer.send(&[number]).unwrap();
                        let mut buffer = [0; 9];
                        assert_eq!((peer.recv(&mut buffer).unwrap(), buffer[0]), (1, number));
                    }
                    stop.store(true, Ordering::Relaxed);
                });
            }

            #[test]
            fn only_bound_ipv6_datagram_sockets_on_addresses_of_one_machine_are_adopted() {
                let refused = |socket: socket2::Socket| Socket::adopt(socket, &OPTIONS).unwrap_err();
                let bound = || UdpSocket::bind("[::1]:0").unwrap();
                let connected = bound();
                connected.connect(bound().local_addr().unwrap()).unwrap();
                assert_eq!(refused(connected.into()).to_string(), "connected to a peer");
                refused(std::net::TcpListener::bind("[::1]:0").unwrap().into());
                refused(UdpSocket::bind("127.0.0.1:0").unwrap().into());
                refused(nonblocking().unwrap());
                let good = bound();
                let address = good.local_addr().unwrap();
                let adopted = Socket::adopt(good, &OPTIONS).unwrap();
                assert_eq!(std::net::SocketAddr::V6(adopted.local_addr()), address);
                assert!(!adopted.is_wildcard() && bind("[::]:0", &OPTIONS).is_wildcard());
                for text in ["[ff02::1]:0", "[::ffff:224.0.0.1]:0", "[::ffff:255.255.255.255]:0"] {
                    let error = bind_group(text.parse().unwrap(), 1, &OPTIONS).unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
                }
            }

            #[test]
            fn clock_and_processors() {
                let before = clock::coarse();
                std::thread::sleep(Duration::from_millis(25));
                assert!((10_000_000..60_000_000_000).contains(&(clock::coarse() - before)));
                let processors = cpu::allowed().unwrap();
                assert!(!processors.is_empty());
                assert_eq!(std::thread::spawn(move || cpu::pin(processors[0])).join().unwrap().is_ok(), SYSTEM.pinning);
            }
        }
    };
}

#[cfg(target_os = "linux")]
tests_of!(linux);
tests_of!(portable);

#[test]
fn a_drop_counter_wraps_and_reports_each_drop_once() {
    let mut drops = DropCounter(u32::MAX - 1);
    assert_eq!(drops.advance(None), 0);
    assert_eq!(drops.advance(Some(3)), 5);
    assert_eq!(drops.advance(Some(3)), 0);
    assert_eq!(drops.advance(Some(1)), 0, "an older count");
    assert_eq!(drops.advance(Some(4)), 1);
}

#[test]
fn what_a_system_lacks_is_named() {
    use super::SystemCapabilities;
    let none = super::portable::SYSTEM;
    assert_eq!(none.missing().count(), 7);
    assert_eq!(SystemCapabilities { packet_info: true, ..none }.missing().count(), 6);
    #[cfg(target_os = "linux")]
    assert_eq!(super::SYSTEM.missing().next(), None);
}
