//! Batches over real sockets on loopback.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use super::super::{Capabilities, Destination, DropCounter, Segmentation, Sent, SocketOptions, Wait};
use super::receive::ReceiveBatch;
use super::send::{SendBatch, inject};
use super::socket::{Socket, bind_group};

const OPTIONS: SocketOptions = SocketOptions {
    ipv6_only: false,
    share_port: false,
    receive_buffer: 4 << 20,
    receive_timeout: Duration::from_secs(5),
    packet_info: true,
    segmentation: Segmentation::Auto,
};

const PLAIN: SocketOptions = SocketOptions { segmentation: Segmentation::Off, ..OPTIONS };

fn bind(address: &str, options: &SocketOptions) -> Socket {
    bind_group(address.parse().unwrap(), 1, options).unwrap().remove(0)
}

fn peer(bound: &str, to: (&str, u16)) -> UdpSocket {
    let socket = UdpSocket::bind(bound).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// The same in the form that batches take.
fn raw(socket: UdpSocket) -> socket2::Socket {
    socket.into()
}

fn batches(socket: &Socket, slots: usize, length: usize) -> (ReceiveBatch, SendBatch) {
    let capabilities = socket.capabilities();
    (ReceiveBatch::new(slots, length, capabilities), SendBatch::new(256, length, capabilities.segmentation))
}

/// Answers each datagram with itself.
fn echo(received: &ReceiveBatch, replies: &mut SendBatch, socket: &Socket) -> Sent {
    for datagram in received.datagrams() {
        replies.append(Some(datagram.source), datagram.destination.local(), datagram.octets);
    }
    replies.flush(socket)
}

#[test]
fn each_sender_gets_its_reply_round_after_round() {
    for options in [OPTIONS, PLAIN] {
        let socket = bind("[::1]:0", &options);
        let port = socket.local_addr().port();
        let peers: Vec<UdpSocket> = (0..6).map(|_| peer("[::1]:0", ("::1", port))).collect();
        let (mut received, mut replies) = batches(&socket, 4, 1500);
        let mut buffer = [0; 1500];
        for len in [1, 1400, 3, 900] {
            for (mark, peer) in peers.iter().enumerate() {
                peer.send(&vec![mark as u8; len]).unwrap();
            }
            for expected in [4, 2] {
                let found = received.receive(&socket, Wait::ForOne).unwrap();
                assert_eq!((found.messages, found.datagrams, found.trains), (expected, expected, 0));
                let sent = echo(&received, &mut replies, &socket);
                assert_eq!(sent, Sent { datagrams: expected, ..Sent::default() });
            }
            for (mark, peer) in peers.iter().enumerate() {
                let len_received = peer.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..len_received], vec![mark as u8; len]);
            }
        }
    }
}

#[test]
fn trains_of_any_length_arrive_whole_and_in_order() {
    for (segment, counts) in [(5, &[1, 2, 63, 64, 65, 129, 256][..]), (1232, &[1, 52, 53, 54, 64, 129]), (1, &[256])] {
        for &count in counts {
            let [a, b] = [(); 2].map(|()| bind("[::1]:0", &OPTIONS));
            let mut requests = SendBatch::new(256, segment, true);
            let mut numbered = vec![0; segment];
            for number in 0..count {
                numbered[0] = number as u8;
                // The last one is shorter, where it can be.
                let len = if number == count - 1 { segment.div_ceil(2) } else { segment };
                requests.append(Some(b.local_addr()), None, &numbered[..len]);
            }
            let sent = requests.flush(&a);
            let most = 64.min(65_507 / segment);
            assert_eq!((sent.datagrams, sent.refused_trains), (count, 0));
            assert_eq!(sent.in_trains, if count % most == 1 { count - 1 } else { count }, "{count} of {segment}");
            let mut received = ReceiveBatch::new(2, 1500, b.capabilities());
            let mut next = 0;
            while next < count {
                received.receive(&b, Wait::ForOne).unwrap();
                for datagram in received.datagrams() {
                    assert_eq!((datagram.source.port(), datagram.octets[0]), (a.local_addr().port(), next as u8));
                    let expected = if next == count - 1 { segment.div_ceil(2) } else { segment };
                    assert_eq!((datagram.octets.len(), datagram.length), (expected, expected));
                    next += 1;
                }
            }
        }
    }
}

#[test]
fn a_receiver_without_trains_gets_single_datagrams() {
    let socket = bind("[::1]:0", &OPTIONS);
    let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
    let SocketAddrV6 { .. } = socket.local_addr();
    let to = peer.local_addr().unwrap().to_string().parse().unwrap();
    let mut replies = SendBatch::new(64, 9, true);
    for number in 0..40 {
        replies.append(Some(to), None, &[number; 9]);
    }
    assert_eq!(replies.flush(&socket), Sent { datagrams: 40, trains: 1, in_trains: 40, ..Sent::default() });
    for number in 0..40 {
        let mut buffer = [0; 2000];
        assert_eq!(peer.recv(&mut buffer).unwrap(), 9);
        assert_eq!(buffer[..9], [number; 9]);
    }
}

#[test]
fn on_the_wildcard_replies_leave_from_the_address_that_was_asked() {
    for (options, bound) in [(OPTIONS, "[::]:0"), (PLAIN, "[::]:0"), (OPTIONS, "[::ffff:0.0.0.0]:0")] {
        let socket = bind(bound, &options);
        let port = socket.local_addr().port();
        // Connected sockets take datagrams from that address only.
        let mut peers = vec![peer("127.0.0.1:0", ("127.0.0.9", port)), peer("127.0.0.3:0", ("127.1.2.3", port))];
        let mut expected = vec!["::ffff:127.0.0.9", "::ffff:127.1.2.3"];
        if bound == "[::]:0" {
            peers.push(peer("[::1]:0", ("::1", port)));
            expected.push("::1");
        }
        for peer in &peers {
            (0..3).for_each(|_| assert_eq!(peer.send(b"whence").unwrap(), 6));
        }
        let (mut received, mut replies) = batches(&socket, 16, 100);
        assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().datagrams, 3 * peers.len());
        let asked: Vec<Ipv6Addr> =
            received.datagrams().map(|datagram| datagram.destination.local().unwrap().address).collect();
        let expected: Vec<Ipv6Addr> = expected.iter().flat_map(|text| [text.parse().unwrap(); 3]).collect();
        assert_eq!(asked, expected);
        let sent = echo(&received, &mut replies, &socket);
        assert_eq!(sent.datagrams, 3 * peers.len());
        assert_eq!(sent.trains, if options.segmentation == Segmentation::Auto { peers.len() } else { 0 });
        for peer in &peers {
            (0..3).for_each(|_| assert_eq!(peer.recv(&mut [0; 9]).unwrap(), 6));
        }
    }
}

#[test]
fn a_socket_of_one_address_has_no_packet_info() {
    let socket = bind("[::1]:0", &OPTIONS);
    peer("[::1]:0", ("::1", socket.local_addr().port())).send(b"x").unwrap();
    let (mut received, _) = batches(&socket, 2, 9);
    received.receive(&socket, Wait::ForOne).unwrap();
    assert_eq!(received.datagrams().next().unwrap().destination, Destination::Bound);
}

#[test]
fn a_long_datagram_is_truncated_and_its_length_is_known() {
    for options in [OPTIONS, PLAIN] {
        let socket = bind("[::1]:0", &options);
        let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
        let (mut received, _) = batches(&socket, 2, 1233);
        for length in [0, 1233, 1234, 5000, 65_000] {
            peer.send(&vec![7; length]).unwrap();
            assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().datagrams, 1);
            let found: Vec<_> = received.datagrams().map(|datagram| (datagram.octets.len(), datagram.length)).collect();
            assert_eq!(found, [(length.min(1233), length)]);
        }
    }
}

#[test]
fn a_reply_that_cannot_be_sent_spoils_no_other() {
    let socket = bind("[::1]:0", &OPTIONS);
    let peers: Vec<UdpSocket> = (0..5).map(|_| peer("[::1]:0", ("::1", socket.local_addr().port()))).collect();
    for (mark, peer) in peers.iter().enumerate() {
        peer.send(&[mark as u8]).unwrap();
    }
    let (mut received, _) = batches(&socket, 8, 1);
    let mut replies = SendBatch::new(8, 66_000, true);
    assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().datagrams, 5);
    for datagram in received.datagrams() {
        // More than a UDP length can say: EMSGSIZE for the first and the fourth.
        let length = if datagram.octets[0] % 3 == 0 { 66_000 } else { 1 };
        replies.append_with(Some(datagram.source), None, |_| Some(length));
    }
    let expected = Sent { datagrams: 3, refused: 2, last_refusal: Some(libc::EMSGSIZE), ..Sent::default() };
    assert_eq!(replies.flush(&socket), expected);
    for mark in [1, 2, 4] {
        assert_eq!(peers[mark].recv(&mut [0; 9]).unwrap(), 1);
    }
}

#[test]
fn what_the_kernel_dropped_is_reported_once_even_beside_packet_info() {
    for (address, to) in [("[::1]:0", "::1"), ("[::]:0", "::1")] {
        let options = SocketOptions { receive_buffer: 1 << 16, ..OPTIONS };
        let socket = bind(address, &options);
        let mut drops = socket.drop_counter();
        let peer = peer("[::1]:0", (to, socket.local_addr().port()));
        let sent = 1000;
        for _ in 0..sent {
            peer.send(&[0; 1000]).unwrap();
        }
        let (mut received, _) = batches(&socket, 16, 1233);
        let (mut arrived, mut dropped) = (0, 0);
        while let Ok(found) = received.receive(&socket, Wait::No) {
            arrived += found.datagrams;
            dropped += drops.advance(found.drops);
            assert!(received.datagrams().all(|datagram| datagram.destination != Destination::Unknown));
            // The counter travels with datagrams queued after the drops.
            peer.send(&[0]).unwrap();
            if found.datagrams == 1 {
                break;
            }
        }
        assert!(arrived < sent && dropped > 0, "received {arrived}, dropped {dropped}");
        assert_eq!(drops.advance(received.receive(&socket, Wait::No).unwrap().drops), 0);
        // Who serves the socket next does not count them again.
        let next = Socket::adopt(socket.try_clone().unwrap(), &options).unwrap();
        assert_eq!(next.drop_counter(), drops);
        assert_ne!(drops, DropCounter::default());
    }
}

#[test]
fn a_closed_intake_lets_the_queue_be_read_and_no_more() {
    let socket = bind("[::1]:0", &OPTIONS);
    let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
    peer.send(b"before").unwrap();
    socket.close_intake().unwrap();
    // Dropped by the filter.
    let _ = peer.send(b"after");
    let (mut received, mut replies) = batches(&socket, 4, 100);
    assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().datagrams, 1);
    assert_eq!(echo(&received, &mut replies, &socket).datagrams, 1);
    assert_eq!(peer.recv(&mut [0; 100]).unwrap(), 6);
    assert_eq!(received.receive(&socket, Wait::ForOne).unwrap().messages, 0);
}

#[test]
fn connected_sockets_need_no_addresses() {
    let [a, b] = [(); 2].map(|()| UdpSocket::bind("[::1]:0").unwrap());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    let client = raw(a);
    let capabilities = Capabilities::ALL.enable(&client);
    assert_eq!(capabilities, Capabilities::ALL);
    let mut requests = SendBatch::new(4, 16, capabilities.segmentation);
    let mut replies = ReceiveBatch::connected(4, 8, capabilities);
    for round in 0..3_u8 {
        for number in 0..4 {
            requests.append(None, None, &[round, number]);
        }
        assert!(requests.is_full());
        assert_eq!(requests.flush(&client).datagrams, 4);
        assert!(!requests.is_full() && requests.waiting() == 0);
        for number in 0..4 {
            let mut buffer = [0; 16];
            assert_eq!(b.recv(&mut buffer).unwrap(), 2);
            assert_eq!(buffer[..2], [round, number]);
            b.send(&[number; 12][..usize::from(number) * 4]).unwrap();
        }
        assert_eq!(replies.receive(&client, Wait::No).unwrap().datagrams, 4);
        let lengths: Vec<_> = replies.datagrams().map(|datagram| (datagram.octets.len(), datagram.length)).collect();
        assert_eq!(lengths, [(0, 0), (4, 4), (8, 8), (8, 12)]);
        assert_eq!(replies.receive(&client, Wait::No).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(replies.datagrams().count(), 0);
    }
}

#[test]
fn a_closed_port_is_reported_and_what_is_sent_then_is_sent() {
    let closed = UdpSocket::bind("[::1]:0").unwrap();
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.connect(closed.local_addr().unwrap()).unwrap();
    drop(closed);
    let client = raw(client);
    let mut requests = SendBatch::new(2, 4, false);
    for closed_port in [0, 1, 1] {
        requests.append(None, None, &[1]);
        assert_eq!(requests.flush(&client), Sent { datagrams: 1, closed_port, ..Sent::default() });
    }
    let mut replies = ReceiveBatch::connected(2, 4, Capabilities::NONE);
    assert_eq!(replies.receive(&client, Wait::No).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

/// Which errno the kernel is to answer a message with: by its number of segments, and whether it has any.
type Rule = fn(usize) -> Option<i32>;

thread_local! {
    static RULE: RefCell<Rule> = RefCell::new(|_| None);
}

/// 40 datagrams to each of two peers with this rule, round by round until `rounds` are over.
fn refused_by(rule: Rule, rounds: usize) -> (Vec<Sent>, SendBatch) {
    let socket = bind("[::1]:0", &OPTIONS);
    let peers = [(); 2].map(|()| peer("[::1]:0", ("::1", socket.local_addr().port())));
    let mut replies = SendBatch::new(128, 9, true);
    RULE.with(|cell| *cell.borrow_mut() = rule);
    inject(&mut replies, |segments| RULE.with(|cell| cell.borrow()(segments)));
    let mut outcomes = Vec::new();
    for _ in 0..rounds {
        for number in 0..80 {
            let to = peers[usize::from(number % 2)].local_addr().unwrap().to_string().parse().unwrap();
            replies.append(Some(to), None, &[number; 9]);
        }
        let sent = replies.flush(&socket);
        if sent.datagrams == 80 {
            for number in 0..80 {
                let mut buffer = [0; 99];
                assert_eq!(peers[usize::from(number % 2)].recv(&mut buffer).unwrap(), 9);
                assert_eq!(buffer[..9], [number; 9], "in order");
            }
        }
        outcomes.push(sent);
    }
    (outcomes, replies)
}

#[test]
fn a_kernel_that_refuses_trains_gets_datagrams_and_is_soon_asked_no_more() {
    for rule in [
        (|segments| (segments > 1).then_some(libc::EIO)) as Rule,
        |segments| (segments > 1).then_some(libc::EINVAL),
        |segments| (segments > 1).then_some(libc::EMSGSIZE),
        |segments| (segments > 1).then_some(libc::ENOPROTOOPT),
        |segments| (segments > 1).then_some(libc::EOPNOTSUPP),
    ] {
        let (outcomes, replies) = refused_by(rule, 6);
        let refused: Vec<usize> = outcomes.iter().map(|sent| sent.refused_trains).collect();
        assert_eq!(refused, [2, 2, 2, 2, 0, 0]);
        assert!(outcomes.iter().all(|sent| sent.datagrams == 80 && sent.refused == 0));
        assert!(!replies.segments());
    }
}

#[test]
fn a_peer_that_cannot_be_sent_to_says_nothing_about_trains() {
    let (outcomes, replies) = refused_by(|_| Some(libc::EPERM), 20);
    for sent in outcomes {
        assert_eq!(sent, Sent { refused: 80, last_refusal: Some(libc::EPERM), ..Sent::default() });
    }
    assert!(replies.segments());
}

#[test]
fn a_full_send_buffer_costs_what_found_no_room_and_no_more() {
    let (outcomes, replies) = refused_by(|segments| (segments > 1).then_some(libc::EAGAIN), 1);
    assert_eq!(outcomes, [Sent { queue_full: 80, ..Sent::default() }]);
    assert!(replies.segments());
    // Every other call: the one train is lost, the other is sent.
    thread_local! { static FULL: Cell<bool> = const { Cell::new(false) }; }
    let rule = |_| (!FULL.replace(!FULL.get())).then_some(libc::EAGAIN);
    let (outcomes, _) = refused_by(rule, 1);
    assert_eq!(outcomes, [Sent { datagrams: 40, trains: 1, in_trains: 40, queue_full: 40, ..Sent::default() }]);
    let (outcomes, _) = refused_by(|segments| (segments > 1).then_some(libc::ENOBUFS), 1);
    assert_eq!(outcomes, [Sent { datagrams: 80, ..Sent::default() }], "memory for a train is not to be had");
}

#[test]
fn what_is_kept_is_sent_by_the_next_call() {
    let socket = bind("[::1]:0", &OPTIONS);
    let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
    let to = peer.local_addr().unwrap().to_string().parse().unwrap();
    thread_local! { static CALLS: Cell<usize> = const { Cell::new(0) }; }
    let mut replies = SendBatch::new(128, 9, true);
    // Full at the second of three trains, once.
    inject(&mut replies, |_| (CALLS.replace(CALLS.get() + 1) == 1).then_some(libc::EAGAIN));
    for length in [1, 2, 3] {
        (0..2).for_each(|_| replies.append(Some(to), None, &vec![0; length]));
    }
    let sent = replies.flush_or_keep(&socket);
    assert_eq!(sent, Sent { datagrams: 2, trains: 1, in_trains: 2, ..Sent::default() });
    assert!(replies.is_full());
    assert_eq!(replies.flush_or_keep(&socket).datagrams, 4);
    assert!(!replies.is_full());
    for length in [1, 1, 2, 2, 3, 3] {
        assert_eq!(peer.recv(&mut [0; 9]).unwrap(), length);
    }
}

#[test]
fn off_means_no_option_and_no_train() {
    let socket = bind("[::1]:0", &PLAIN);
    assert!(!socket.capabilities().segmentation && !socket.capabilities().receive_offload);
    let (outcomes, _) = {
        let peer = peer("[::1]:0", ("::1", socket.local_addr().port()));
        let to = peer.local_addr().unwrap().to_string().parse().unwrap();
        let mut replies = SendBatch::new(64, 9, false);
        (0..9).for_each(|_| replies.append(Some(to), None, &[1; 9]));
        (replies.flush(&socket), replies)
    };
    assert_eq!(outcomes, Sent { datagrams: 9, ..Sent::default() });
}
