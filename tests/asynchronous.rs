//! The asynchronous client against servers in this process: results are right under loss, delay and forgery, and no
//! task or socket remains.

#[path = "asynchronous/failing.rs"]
mod failing;
mod seed;
#[path = "asynchronous/support.rs"]
mod support;

use std::collections::HashSet;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use calc6::arithmetic::{self, Number};
use calc6::client::tokio::Client;
use calc6::client::{Config, Error, ErrorKind, Event, Forms, Progress};
use calc6::wire::{Format, Operator};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{LIMIT, Scripted, Server, answer, client, extended, quick, run, start, sum, tasks};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

#[test]
fn every_operator_in_every_form() {
    run(async {
        let server = Server::start();
        let numbers = [1000, -7, 3].map(Number::from);
        for format in [Format::Integer, Format::Text] {
            for forms in [Forms::Either, Forms::Extended] {
                let mut config = Config::default();
                (config.format, config.forms) = (format, forms);
                let client = client(server.address, config).await;
                for operator in Operator::ALL.into_iter().filter(|operator| *operator != Operator::Describe) {
                    let operands =
                        if operator == Operator::Power { &[-3, 200].map(Number::from)[..] } else { &numbers };
                    let expected = arithmetic::evaluate(operator, operands, u64::MAX).unwrap();
                    assert_eq!(client.evaluate(operator, operands.to_vec()).await.unwrap(), expected, "{operator}");
                }
                assert_eq!(client.evaluate(Operator::Sum, [1, 3, 5, 7, 9]).await.unwrap(), 25);
                assert!(client.describe().await.unwrap().starts_with("calc6 "));
            }
        }
    });
}

#[test]
fn many_operands_are_split_and_long_results_requested_again() {
    run(async {
        let server = Server::start();
        let client = client(server.address, Config::default()).await;
        assert_eq!(client.evaluate(Operator::Sum, 1..=100_000u32).await.unwrap(), 5_000_050_000u64);
        let power = client.evaluate(Operator::Power, [2, 4000]).await.unwrap();
        assert_eq!(power, arithmetic::evaluate(Operator::Power, &[2.into(), 4000.into()], u64::MAX).unwrap());
        let product = client.evaluate(Operator::Product, vec![-3; 3000]).await.unwrap();
        assert_eq!(product, arithmetic::evaluate(Operator::Power, &[3.into(), 3000.into()], u64::MAX).unwrap());
    });
}

#[test]
fn errors_are_those_of_the_blocking_client() {
    run(async {
        let server = Server::start();
        let client = client(server.address, Config::default()).await;
        let mut blocking = calc6::Client::connect(server.address).unwrap();
        for (operator, operands) in [
            (Operator::Quotient, vec![1, 0]),
            (Operator::Power, vec![2, -1]),
            (Operator::Power, vec![2, 1_000_000]),
            (Operator::Power, vec![2]),
            (Operator::Remainder, vec![7; 2000]),
            (Operator::Describe, vec![]),
        ] {
            let error = client.evaluate(operator, operands.clone()).await.unwrap_err().to_string();
            assert_eq!(error, blocking.evaluate(operator, operands).unwrap_err().to_string());
        }
    });
}

#[test]
fn a_thousand_tasks_ask_at_once() {
    run(async {
        let server = Server::start();
        let client = client(server.address, Config::default()).await;
        let mut tasks = JoinSet::new();
        for number in 0..1000i64 {
            let client = client.clone();
            tasks.spawn(async move {
                // Every second one is classic.
                let sign = if number % 2 == 0 { 1 } else { -1 };
                let result = client.evaluate(Operator::Sum, [sign * number, sign * 2]).await.unwrap();
                assert_eq!(result, sign * (number + 2));
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn extended_exchanges_share_a_socket_and_classic_ones_do_not() {
    run(async {
        let sources = Arc::new(Mutex::new([HashSet::new(), HashSet::new()]));
        let seen = Arc::clone(&sources);
        let server = Scripted::start(move |request, from| {
            seen.lock().unwrap()[usize::from(request[0] == 0x1e)].insert(from);
            vec![answer(request)]
        });
        let client = client(server.address, Config::default()).await;
        // The first shows that the server knows the extended form.
        assert_eq!(client.evaluate(Operator::Sum, [-1]).await.unwrap(), -1);
        for number in 1..=40 {
            let (classic, extended) =
                tokio::join!(client.evaluate(Operator::Sum, [number]), client.evaluate(Operator::Sum, [-number]));
            assert_eq!((classic.unwrap(), extended.unwrap()), (number.into(), (-number).into()));
        }
        let [classic, extended] = &*sources.lock().unwrap();
        assert_eq!(extended.len(), 2, "the first one's, and the others'");
        // A port may be used again once its socket is closed.
        assert!(classic.len() > 20 && classic.is_disjoint(extended), "{}", classic.len());
    });
}

#[test]
fn loss_costs_time_but_no_answer() {
    run(async {
        let mut random = ChaCha8Rng::seed_from_u64(seed::of_run("loss_costs_time_but_no_answer"));
        let mut count = 0;
        let server = Scripted::start(move |request, _| {
            count += 1;
            if count <= 5 || random.random_bool(0.2) { vec![] } else { vec![answer(request)] }
        });
        let client = client(server.address, quick()).await;
        let mut tasks = JoinSet::new();
        for number in 0..200i64 {
            let client = client.clone();
            tasks.spawn(async move {
                let result = client.evaluate(Operator::Difference, [number, 1000]).await;
                assert_eq!(result.unwrap(), number - 1000);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let questions = (0..500).map(|number| sum(&[number, 1]));
        let sums = client.evaluate_many(questions).await.unwrap();
        assert!((1..=500).eq(sums.into_iter().map(|sum| i64::try_from(&sum.unwrap()).unwrap())));
    });
}

#[test]
fn what_comes_late_twice_or_forged_does_not_count() {
    run(async {
        let mut random = ChaCha8Rng::seed_from_u64(seed::of_run("what_comes_late_twice_or_forged_does_not_count"));
        let mut earlier: Vec<Vec<u8>> = Vec::new();
        let server = Scripted::start(move |request, _| {
            let reply = answer(request);
            let mut forged = reply.clone();
            forged[4 + random.random_range(0..8)] ^= 1 << random.random_range(0..8);
            *forged.last_mut().unwrap() ^= 0x55;
            let mut noise = vec![0; random.random_range(0..3000)];
            random.fill(&mut noise[..]);
            if let Some(first) = noise.first_mut() {
                // But not a classic error: the first exchange, alone on its socket, would have to accept it.
                *first |= 0x80;
            }
            let late = earlier.get(random.random_range(0..=earlier.len())).cloned();
            earlier.push(reply.clone());
            let mut sent = vec![forged, noise];
            sent.extend(late);
            sent.extend([reply.clone(), reply]);
            sent
        });
        let client = client(server.address, extended(quick())).await;
        for round in 0..20i64 {
            let mut tasks = JoinSet::new();
            for number in 0..10 {
                let client = client.clone();
                tasks.spawn(async move {
                    let result = client.evaluate(Operator::Product, [round + 1, number, 1 << 40]).await;
                    assert_eq!(result.unwrap(), ((round + 1) * number) << 40);
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        }
    });
}

#[test]
fn dropped_futures_free_their_places() {
    run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // Silent on products.
        let server = Scripted::start(move |request, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            if request[1] == b'*' { vec![] } else { vec![answer(request)] }
        });
        let client = client(server.address, extended(Config::default())).await;
        for _ in 0..20 {
            let before = asked.load(Ordering::Relaxed);
            let mut tasks = JoinSet::new();
            for _ in 0..50 {
                let client = client.clone();
                tasks.spawn(async move { client.evaluate(Operator::Product, [6, 7]).await });
            }
            while asked.load(Ordering::Relaxed) == before {
                yield_now().await;
            }
            tasks.shutdown().await;
        }
        // All places are free again.
        for number in 0..200 {
            assert_eq!(client.evaluate(Operator::Sum, [number, -1]).await.unwrap(), number - 1);
        }
        let products = asked.load(Ordering::Relaxed) - 200;
        assert!(products < 20 * 50, "{products} were asked");
    });
}

#[test]
fn a_future_that_is_not_polled_delays_no_other() {
    run(async {
        let server = Server::start();
        let client = client(server.address, extended(Config::default())).await;
        let mut forgotten: Vec<_> =
            (0..200).map(|number| Box::pin(client.evaluate(Operator::Sum, [number, 1]))).collect();
        for future in &mut forgotten {
            start(future.as_mut()).await;
        }
        for number in 0..100 {
            assert_eq!(client.evaluate(Operator::Sum, [number, -1]).await.unwrap(), number - 1);
        }
        for (number, future) in forgotten.into_iter().enumerate() {
            assert_eq!(future.await.unwrap(), number as u64 + 1);
        }
    });
}

#[test]
fn the_task_ends_with_the_last_clone() {
    run(async {
        let silent = Scripted::silent();
        let client = client(silent.address, Config::default()).await;
        let clone = client.clone();
        assert_eq!(tasks(), 1);
        {
            let mut asked = pin!(client.evaluate(Operator::Sum, [1]));
            start(asked.as_mut()).await;
        }
        drop(client);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(tasks(), 1);
        drop(clone);
        while tasks() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn each_of_many_questions_gets_its_own_answer() {
    run(async {
        let server = Server::start();
        for forms in [Forms::Either, Forms::Classic] {
            let mut config = Config::default();
            config.forms = forms;
            let client = client(server.address, config).await;
            let mut questions: Vec<_> = (0..3000).map(|number| sum(&[number, 1])).collect();
            questions[1000] = (Operator::Product, vec![]);
            if forms == Forms::Either {
                questions[2000] = (Operator::Quotient, vec![1.into(), Number::ZERO]);
            }
            for (number, result) in client.evaluate_many(questions).await.unwrap().into_iter().enumerate() {
                match result {
                    Ok(sum) => assert_eq!(sum, number as u64 + 1),
                    Err(Error::Plan(_)) => assert_eq!(number, 1000),
                    Err(Error::Status { .. }) => assert_eq!((number, forms), (2000, Forms::Either)),
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(client.evaluate_many([]).await.unwrap().is_empty());
        }
    });
}

#[test]
fn futures_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let silent = Scripted::silent();
    run(async {
        let client = client(silent.address, Config::default()).await;
        sendable(&client.evaluate(Operator::Sum, [1]));
        sendable(&client.evaluate_many([sum(&[1])]));
        sendable(&client.describe());
        sendable(&Client::connect(("::1", 1)));
    });
}

/// A text that arrives in pieces, and does not end if `ends` is false.
struct Arriving {
    rest: Vec<u8>,
    ready: bool,
    ends: bool,
}

impl AsyncRead for Arriving {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.ready = !self.ready;
        if self.rest.is_empty() && !self.ends {
            return Poll::Pending;
        }
        if !self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.rest.len().min(buffer.remaining()).min(1000);
        let piece: Vec<u8> = self.rest.drain(..len).collect();
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    range.map(|number| format!("{number}\n")).collect::<String>().into_bytes()
}

#[tokio::test]
async fn operands_come_from_a_text() {
    let server = Server::start();
    let client = Client::connect_with(server.address, quick()).await.unwrap();
    let whole = client.evaluate_text(Operator::Sum, &b"1 3 5, 7 # and\n9"[..]).await.unwrap();
    assert_eq!((whole.result.to_string(), whole.requests), ("25".to_owned(), 1));
    let mut told = 0;
    let text = Arriving { rest: numbers(1..=30_000), ready: false, ends: true };
    let tell = |progress: Progress| told = told.max(progress.octets);
    let sum = client.evaluate_text_with_progress(Operator::Sum, text, tell).await.unwrap();
    assert_eq!((sum.result, sum.operands), (Number::from(450_015_000), 30_000));
    assert!(sum.requests > 10 && sum.servers.len() == 1 && told > 100_000, "{} requests, {told} octets", sum.requests);
    let difference = client.evaluate_text(Operator::Difference, &numbers(1..=3000)[..]).await.unwrap();
    assert_eq!(difference.result, Number::from(2 - 4_501_500));
    let classic = Client::connect_with(server.address, quick().with_forms(Forms::Classic)).await.unwrap();
    let sum = classic.evaluate_text(Operator::Sum, &numbers(1..=1000)[..]).await.unwrap();
    assert_eq!((sum.result, sum.requests), (Number::from(500_500), 16));
    let wrong = client.evaluate_text(Operator::Sum, &b"1 two"[..]).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Operand);
}

#[tokio::test]
async fn the_deadline_ends_the_wait_for_a_text() {
    let server = Server::start();
    let config = quick().with_deadline(Duration::from_millis(200));
    let client = Client::connect_with(server.address, config).await.unwrap();
    for rest in [numbers(1..=9), numbers(1..=30_000)] {
        let text = Arriving { rest, ready: false, ends: false };
        let ended = timeout(LIMIT, client.evaluate_text(Operator::Sum, text)).await.unwrap();
        let kind = ended.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Read | ErrorKind::Timeout), "{kind:?}");
    }
}

#[tokio::test]
async fn a_watcher_sees_every_datagram() {
    let server = Server::start();
    let seen = Arc::new(Mutex::new((0, 0)));
    let counted = Arc::clone(&seen);
    let client = Client::watched([[server.address]], quick(), move |_, event| {
        let mut counted = counted.lock().unwrap();
        match event {
            Event::Sent { .. } => counted.0 += 1,
            Event::Received { .. } => counted.1 += 1,
            _ => {}
        }
    });
    let client = client.unwrap();
    let evaluation = client.evaluate_detailed(Operator::Power, [2, 100]).await.unwrap();
    assert_eq!((evaluation.peer, evaluation.requests), (server.address, 1));
    assert_eq!(client.clone().describe_detailed().await.unwrap().peer, server.address);
    let many = (0..500).map(|number| (Operator::Sum, vec![Number::from(number)]));
    assert!(client.evaluate_many(many).await.unwrap().iter().all(Result::is_ok));
    let (sent, received) = *seen.lock().unwrap();
    assert!(sent >= 502 && received >= 502, "{sent} sent, {received} received");
    let each = client.evaluate_each(&[(Operator::Quotient, vec![Number::from(7), Number::ZERO])]).await.unwrap();
    assert!(matches!(&each[..], [Err(Error::Status { .. })]), "{each:?}");
}
