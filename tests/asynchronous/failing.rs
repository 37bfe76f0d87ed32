//! Servers that are silent, absent, late, or know less; a runtime that ends.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use calc6::client::tokio::Client;
use calc6::client::{Config, Error, UnansweredReason};
use calc6::wire::Operator;
use tokio::task::JoinSet;

use crate::support::{Scripted, Server, answer, client, extended, hasty, quick, reasons, run, start, sum};

#[test]
fn a_runtime_that_has_ended_is_reported() {
    let silent = Scripted::silent();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(client(silent.address, Config::default()));
    drop(runtime);
    run(async move {
        let error = client.evaluate(Operator::Sum, [1]).await.unwrap_err();
        assert_eq!(error.to_string(), "the client's task has ended");
    });
}

#[test]
fn all_questions_to_a_silent_server_end() {
    run(async {
        let silent = Scripted::silent();
        let client = client(silent.address, hasty()).await;
        let asked = (0..100).map(|number| client.evaluate(Operator::Sum, [number]));
        let mut asked: Vec<_> = asked.map(Box::pin).collect();
        for future in &mut asked {
            start(future.as_mut()).await;
        }
        let (mut silent, mut stopped) = (0, 0);
        for future in asked {
            match reasons(future.await)[..] {
                [UnansweredReason::Silent { transmissions: 2, .. }] => silent += 1,
                [UnansweredReason::Stopped] => stopped += 1,
                ref other => panic!("{other:?}"),
            }
        }
        assert_eq!(silent + stopped, 100);
        assert!((1..=8).contains(&silent), "{silent} were asked at the same time");
    });
}

#[test]
fn the_deadline_also_ends_questions_in_the_queue() {
    run(async {
        let silent = Scripted::silent();
        let mut config = Config::default();
        config.retransmission.deadline = Some(Duration::from_millis(100));
        let client = client(silent.address, config).await;
        let (mut deadline, mut unasked) = (0, 0);
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let client = client.clone();
            tasks.spawn(async move { client.evaluate(Operator::Sum, [number]).await });
        }
        while let Some(done) = tasks.join_next().await {
            match reasons(done.unwrap())[..] {
                [UnansweredReason::Deadline { .. }] => deadline += 1,
                [UnansweredReason::Unasked] => unasked += 1,
                ref other => panic!("{other:?}"),
            }
        }
        assert_eq!(deadline + unasked, 50);
        assert!(unasked >= 42, "{deadline} were asked at the same time");
        assert!(client.evaluate_many([sum(&[1]), sum(&[2])]).await.is_err());
    });
}

#[test]
fn a_port_without_a_server_is_reported() {
    run(async {
        // Connected to itself, it receives no datagrams of others.
        let closed = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        closed.connect(closed.local_addr().unwrap()).unwrap();
        let SocketAddr::V6(address) = closed.local_addr().unwrap() else { panic!("IPv6") };
        let client = client(address, Config::default()).await;
        let result = client.evaluate(Operator::Sum, [1, 2]).await;
        assert!(result.as_ref().unwrap_err().to_string().ends_with("no server listens there (connection refused)"));
        assert!(matches!(reasons(result)[..], [UnansweredReason::Refused]));
        assert!(client.evaluate_many([sum(&[1]), sum(&[2])]).await.is_err());
    });
}

#[test]
fn a_server_that_is_only_starting_is_waited_for() {
    run(async {
        // A port of ::1 without a server.
        let address = Scripted::silent().address;
        let client = client(address, Config::default()).await;
        let starting = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            Scripted::on(UdpSocket::bind(address).unwrap(), |request, _| vec![answer(request)])
        });
        assert_eq!(client.evaluate(Operator::Sum, [1, 2]).await.unwrap(), 3);
        starting.await.unwrap();
    });
}

#[test]
fn a_server_that_goes_away_is_noticed_and_its_successor_too() {
    run(async {
        let first = Scripted::start(|request, _| vec![answer(request)]);
        let address = first.address;
        let client = client(address, extended(hasty())).await;
        for number in 0..10 {
            assert_eq!(client.evaluate(Operator::Sum, [number]).await.unwrap(), number);
        }
        drop(first);
        // On the socket that they share, either one's datagram was refused.
        let gone = tokio::join!(
            client.evaluate(Operator::Sum, [1]),
            client.evaluate(Operator::Sum, [2]),
            client.evaluate(Operator::Sum, [3])
        );
        for result in [gone.0, gone.1, gone.2] {
            assert!(matches!(reasons(result)[..], [UnansweredReason::Refused]));
        }
        // The successor knows only classic.
        let classic = Scripted::on(UdpSocket::bind(address).unwrap(), |_, _| vec![vec![0x00]]);
        let error = client.evaluate(Operator::Sum, [1]).await.unwrap_err();
        assert!(matches!(error, Error::ClassicOnly { .. }), "{error}");
        drop(classic);
        let _third = Scripted::on(UdpSocket::bind(address).unwrap(), |request, _| vec![answer(request)]);
        assert_eq!(client.evaluate(Operator::Sum, [5]).await.unwrap(), 5);
    });
}

#[test]
fn a_peer_that_knows_only_classic_is_named() {
    run(async {
        let errors = Scripted::start(|_, _| vec![vec![0x00]]);
        let silent = Scripted::start(|request, _| if request == [0; 5] { vec![answer(request)] } else { vec![] });
        for (peer, evidence) in [
            (&errors, "answered an extended request with a classic error"),
            (&silent, "answered a classic request but ignored an extended one"),
        ] {
            let client = client(peer.address, hasty()).await;
            let complaint = format!("::1 port {} knows only the classic form (it {evidence})", peer.address.port());
            assert_eq!(client.evaluate(Operator::Gcd, [1, 2]).await.unwrap_err().to_string(), complaint);
            assert_eq!(client.evaluate_many([sum(&[1, 2])]).await.unwrap_err().to_string(), complaint);
        }
    });
}

#[test]
fn silence_moves_to_the_next_address() {
    run(async {
        let silent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&silent);
        let first = Scripted::start(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            vec![]
        });
        let second = Server::start();
        let client = Client::new(vec![first.address, second.address], quick()).unwrap();
        let mut tasks = JoinSet::new();
        for number in 0..100i64 {
            let client = client.clone();
            tasks.spawn(async move {
                assert_eq!(client.evaluate(Operator::Sum, [number, -1]).await.unwrap(), number - 1);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(silent.load(Ordering::Relaxed) < 10, "the address that answered is asked first from then on");
        let sums = client.evaluate_many((0..100).map(|number| sum(&[number]))).await.unwrap();
        assert!(sums.into_iter().enumerate().all(|(number, sum)| sum.unwrap() == number as u64));
    });
}
