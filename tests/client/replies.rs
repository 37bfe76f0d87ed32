//! Servers that are absent, late, silent, foreign or wrong.

use std::net::{Ipv6Addr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::asking::{Act, Scripted, client_line, free_port};

#[test]
fn a_port_without_a_server_is_reported() {
    let start = Instant::now();
    let port = free_port();
    let refused = client_line(&format!("-op + ::1 {port} 1 2"));
    refused.complained(1, &format!("::1 port {port}: no server listens there (connection refused)"));
    // Waits shorter than 300 ms. The report of the last datagram may still be in flight.
    for waits in ["--timeout 0.05 --retries 0", "--deadline 0.1", "--extended --timeout 0.05 --retries 0"] {
        let ended = client_line(&format!("{waits} -op + ::1 {port} 1 2"));
        assert!(ended.stderr.contains("refused") || ended.stderr.contains("deadline"), "{waits}: {ended:?}");
        assert_eq!(ended.status, Some(1));
    }
    assert!(start.elapsed() >= Duration::from_millis(300), "a starting server is waited for");
}

#[test]
fn the_client_waits_for_a_server_that_is_starting() {
    let port = free_port();
    let (started, late) = mpsc::channel();
    let server = std::thread::spawn(move || {
        late.recv().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).unwrap();
        Scripted::on(socket, |_, _| vec![Act::Reply(vec![0xff, 0, 0, 0, 3])])
    });
    started.send(()).unwrap();
    client_line(&format!("-op + ::1 {port} 1 2")).printed("Result: 3\n");
    drop(server.join().unwrap());
}

#[test]
fn no_route_and_the_deadline() {
    let unreachable = client_line("-op + ff02::1%4242 9 1");
    assert_eq!(unreachable.status, Some(1), "{unreachable:?}");
    let silent = Scripted::start(|_, _| vec![]);
    let start = Instant::now();
    client_line(&format!("-op + --deadline 0.3 {} 1 2", silent.words()))
        .complained_of(1, "no reply before the deadline");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn silence_is_repeated_then_reported() {
    let (seen, datagrams) = mpsc::channel();
    let silent = Scripted::start(move |datagram, _| {
        seen.send(datagram.to_vec()).unwrap();
        vec![]
    });
    let asked = client_line(&format!("-op + --timeout 0.05 --retries 2 {} 1 2", silent.words()));
    asked.complained_of(1, ": no reply to 3 datagrams");
    drop(silent);
    let datagrams: Vec<_> = datagrams.iter().collect();
    assert_eq!(datagrams, vec![vec![0, 0, 0, 0, 1, 0, 0, 0, 2]; 3], "the same octets each time");
}

#[test]
fn a_lossy_server_is_asked_again() {
    let lossy = Scripted::start(|_, count| if count < 2 { vec![] } else { vec![Act::Reply(vec![0xff, 0, 0, 0, 3])] });
    client_line(&format!("-op + --timeout 0.05 {} 1 2", lossy.words())).printed("Result: 3\n");
}

#[test]
fn the_client_waits_for_a_slow_server_and_ignores_its_second_answer() {
    let slow = Scripted::start(|_, _| {
        vec![
            Act::Wait(Duration::from_millis(150)),
            Act::Reply(vec![0xff, 0, 0, 0, 3]),
            Act::Reply(vec![0xff, 0, 0, 0, 4]),
        ]
    });
    client_line(&format!("-op + --timeout 0.1 {} 1 2", slow.words())).printed("Result: 3\n");
}

#[test]
fn answers_from_another_port_do_not_count() {
    let elsewhere = Scripted::start(|_, count| {
        let mut acts = vec![Act::FromElsewhere(vec![0xff, 0, 0, 0, 4])];
        if count == 1 {
            acts.push(Act::Reply(vec![0xff, 0, 0, 0, 3]));
        }
        acts
    });
    client_line(&format!("-op + --timeout 0.1 {} 1 2", elsewhere.words())).printed("Result: 3\n");
}

#[test]
fn replies_of_the_courses_servers_are_accepted() {
    for (octets, options, result) in [
        (&b"\xff\0\0\0\x03"[..], "", "3"),
        (b"\x80\0\0\0\x03", "", "3"),
        (b"\xa5\0\0\0\x03", "", "3"),
        (b"\x80945", "-s", "945"),
        (b"\x80945\0", "-s", "945"),
        (b"\x80-2", "-s", "-2"),
    ] {
        let server = Scripted::replying(octets);
        client_line(&format!("-op + {options} {} 1 2", server.words())).printed(&format!("Result: {result}\n"));
    }
    let terminated = Scripted::replying(b"\x80-2\0");
    let stderr = client_line(&format!("-v -s -op + {} 1 2", terminated.words())).printed("Result: -2\n");
    assert!(stderr.contains("terminating NUL"), "{stderr}");
    assert!(stderr.contains("negative"), "{stderr}");
}

#[test]
fn datagrams_that_are_not_replies_are_ignored_and_reported() {
    let noisy = Scripted::start(|_, _| {
        let noise = [&b""[..], b"\xff", b"\xff\0\0\0", b"\xff\0\0\0\0\0", &[0xff; 5000]];
        let noise = noise.into_iter().map(|octets| Act::Reply(octets.to_vec()));
        noise.chain([Act::Reply(vec![0xff, 0, 0, 0, 3])]).collect()
    });
    let stderr = client_line(&format!("-v -op + {} 1 2", noisy.words())).printed("Result: 3\n");
    assert_eq!(stderr.matches("ignored: ").count(), 5, "{stderr}");
    assert_eq!(client_line(&format!("-op + {} 1 2", noisy.words())).printed("Result: 3\n"), "");
}

#[test]
fn stale_identifiers_are_ignored() {
    let stale = Scripted::start(|datagram, _| {
        let mut reply = [&[0xff, 0, 0, 0], &datagram[4..12], &[9]].concat();
        reply[5] ^= 1;
        let wrong = reply.clone();
        reply[5] ^= 1;
        reply[12] = 7;
        vec![Act::Reply(wrong), Act::Reply(reply)]
    });
    let stderr = client_line(&format!("-v --extended -op + {} 3 4", stale.words())).printed("Result: 7\n");
    assert!(stderr.contains("ignored: unknown identifier"), "{stderr}");
}

#[test]
fn errors_of_the_server_are_explained() {
    for (line, complaint) in
        [("-op / --local 1 0", "answered: division by zero"), ("-op ^ --local 2 -1", "answered: outside the domain")]
    {
        client_line(line).complained_of(1, complaint);
    }
    let classic = Scripted::replying(b"\x00no\x1b[31m");
    client_line(&format!("-op + {} 1 2", classic.words())).complained_of(
        1,
        "answered with an error: it does not know the operation, or cannot express the result (\"no\u{fffd}[31m\")",
    );
    let strange =
        Scripted::start(|datagram, _| vec![Act::Reply([&[0x7f, 17, 1, 0], &datagram[4..12], b"why"].concat())]);
    client_line(&format!("-op gcd {} 1 2", strange.words()))
        .complained_of(1, "answered with the unknown status 17 (\"why\")");
}

#[test]
fn a_peer_that_knows_only_classic_is_recognised() {
    let answers = Scripted::replying(b"\x00");
    let hint = "; with --classic it can still be asked for sums and products of integers from 0 to 4294967295";
    let complaint = "knows only the classic form (it answered an extended request with a classic error)";
    client_line(&format!("-op gcd {} 1 2", answers.words())).complained_of(1, &format!("{complaint}{hint}"));
    client_line(&format!("-op + --extended {} 1 2", answers.words()))
        .complained_of(1, &format!("{complaint}; --classic can ask exactly this of it"));
    client_line(&format!("-op + {} 4294967295 2", answers.words()))
        .complained_of(1, &format!("{complaint}; --classic -s can ask exactly this of it"));

    let silent = Scripted::start(
        |datagram, _| {
            if datagram == [0; 5] { vec![Act::Reply(vec![0x80, 0, 0, 0, 0])] } else { vec![] }
        },
    );
    let asked = client_line(&format!("-op gcd --timeout 0.03 --retries 1 {} 1 2", silent.words()));
    asked.complained_of(1, "knows only the classic form (it answered a classic request but ignored an extended one)");
}

#[test]
fn silence_moves_the_library_to_the_next_address() {
    let silent = Scripted::start(|_, _| vec![]);
    let good = Scripted::replying(&[0xff, 0, 0, 0, 3]);
    let peers = [&silent, &good].map(|server| match server.address {
        std::net::SocketAddr::V6(address) => address,
        other => panic!("{other}"),
    });
    let mut config = calc6::client::Config::default();
    config.retransmission.first_wait = Duration::from_millis(50);
    let mut client = calc6::Client::new(peers.to_vec(), config);
    let mut asked = Vec::new();
    for _ in 0..2 {
        let evaluation = client.evaluate_watched(calc6::wire::Operator::Sum, &[1.into(), 2.into()], &mut |_, event| {
            if let calc6::client::Event::Sent { peer, .. } = event {
                asked.push(peer);
            }
        });
        assert_eq!(evaluation.unwrap().result, 3);
    }
    assert_eq!(asked.first(), Some(&peers[0]));
    assert_eq!(asked.last(), Some(&peers[1]));
    assert_eq!(asked.iter().filter(|peer| **peer == peers[1]).count(), 2, "who answered is asked first from then on");
}
