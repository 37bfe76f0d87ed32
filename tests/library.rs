//! The blocking client as a program uses it: cancelled from another thread, flooded, with streams of questions, limits
//! and several addresses. Everything is on loopback, on ports that the kernel chose.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calc6::arithmetic::Number;
use calc6::client::{Config, Error, ErrorKind, Event, Forms, Progress};
use calc6::server::{self, Handle};
use calc6::wire::Operator;
use calc6::{Client, Server};

/// Longer than any call here takes on a busy machine; reached only by a failure.
const LONG: Duration = Duration::from_secs(60);

struct Serving {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(address: &str) -> Serving {
        let config = server::Config::default().with_workers(std::num::NonZeroUsize::MIN);
        let server = Server::bind(address.parse().unwrap(), config).unwrap();
        let (address, handle) = (server.local_addr().into(), server.handle());
        let thread = std::thread::spawn(move || {
            server.run().unwrap();
        });
        Serving { address, handle, thread: Some(thread) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.handle.stop();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A peer that answers the first datagram with a flood, and no others.
struct Flood {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start() -> Flood {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
            let mut peer = None;
            while !stopped.load(Ordering::Relaxed) {
                match peer {
                    None => peer = socket.recv_from(&mut buffer).ok().map(|(_, from)| from),
                    // Looks like an extended reply to another request.
                    Some(peer) => drop(socket.send_to(&[0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], peer)),
                }
                // The flood goes to the last client that asked.
                if let Some(known) = peer
                    && socket.send_to(&[0xd5; 40], known).is_err()
                {
                    peer = None;
                }
            }
        });
        Flood { address, stop, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn numbers(count: usize, value: i64) -> Vec<Number> {
    vec![Number::from(value); count]
}

#[test]
fn another_thread_cancels_a_call_at_once_and_only_that_one() {
    let silent = UdpSocket::bind("[::1]:0").unwrap();
    let server = Serving::start("[::1]:0");
    let mut client = Client::connect(silent.local_addr().unwrap()).unwrap();
    let canceller = client.canceller().unwrap();
    for ask in [ask_one, ask_many] {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                assert!(canceller.cancel());
            });
            assert_eq!(ask(&mut client).unwrap_err().kind(), ErrorKind::Cancelled);
        });
        assert!(begun.elapsed() < Duration::from_secs(10), "it did not wait for the repeats");
        assert!(!canceller.is_pending());
    }
    // Without a running call, the next one is cancelled, and the one after it is not.
    let mut client = Client::connect(server.address).unwrap();
    let canceller = client.canceller().unwrap();
    canceller.cancel();
    assert!(matches!(ask_one(&mut client), Err(Error::Cancelled)));
    ask_one(&mut client).unwrap();
}

fn ask_one(client: &mut Client) -> Result<(), Error> {
    client.evaluate(Operator::Sum, [1, 2]).map(drop)
}

fn ask_many(client: &mut Client) -> Result<(), Error> {
    client.evaluate_many((0..100).map(|n| (Operator::Gcd, numbers(2, n)))).map(drop)
}

#[test]
fn a_flood_does_not_delay_a_client_beyond_its_deadline() {
    for (forms, ask) in [
        (Forms::Either, ask_one as fn(&mut Client) -> Result<(), Error>),
        (Forms::Extended, ask_one),
        (Forms::Extended, ask_many),
    ] {
        let flood = Flood::start();
        let config = Config::default().with_deadline(Duration::from_millis(300)).with_forms(forms);
        let mut client = Client::new([flood.address], config);
        let begun = Instant::now();
        let error = ask(&mut client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[test]
fn the_deadline_is_for_the_whole_call() {
    // Each request of the expression is answered, late: together they take longer than the deadline.
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut client = Client::connect_with(
        socket.local_addr().unwrap(),
        Config::default().with_deadline(Duration::from_millis(400)).with_retries(0).with_timeout(LONG),
    )
    .unwrap();
    let serving = std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        for _ in 0..4 {
            let Ok((_, from)) = socket.recv_from(&mut buffer) else { return };
            std::thread::sleep(Duration::from_millis(150));
            let _ = socket.send_to(&[0xff, 0, 0, 0, 2], from);
        }
    });
    // Sum, product, sum, product: one after the other.
    let error = client.evaluate_expression("((1+1)*3+1)*3".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(client);
    let _ = serving.join();
}

#[test]
fn a_stream_gives_each_question_its_answer_and_takes_questions_as_it_asks_them() {
    let server = Serving::start("[::1]:0");
    let mut client = Client::connect(server.address).unwrap();
    let taken = Cell::new(0u64);
    let questions = (0..20_000u64).map(|number| {
        taken.set(taken.get() + 1);
        match number % 1000 {
            // Answered with an error, refused before it is sent, split into several requests.
            7 => (Operator::Quotient, vec![Number::from(number), Number::ZERO]),
            8 => (Operator::Power, numbers(3, 1)),
            9 => (Operator::Sum, numbers(3000, 1)),
            10 => (Operator::Difference, numbers(3000, 1)),
            _ => (Operator::Sum, vec![Number::from(number), Number::from(1)]),
        }
    });
    let mut seen = vec![false; 20_000];
    let mut ahead = 0;
    for (count, answer) in (0u64..).zip(client.evaluate_stream(questions)) {
        ahead = ahead.max(taken.get() - count);
        assert!(!std::mem::replace(&mut seen[answer.place as usize], true), "answered twice");
        match (answer.place % 1000, answer.result) {
            (7, Err(error)) => assert_eq!(error.kind(), ErrorKind::Status),
            (8, Err(error)) => assert_eq!(error.kind(), ErrorKind::Request),
            (9, Ok(sum)) => assert_eq!(sum, Number::from(3000)),
            (10, Ok(difference)) => assert_eq!(difference, Number::from(-2998)),
            (_, result) => assert_eq!(result.unwrap(), Number::from(answer.place + 1)),
        }
    }
    assert!(seen.into_iter().all(|seen| seen));
    assert!(ahead < 2000, "{ahead} questions were held at once");
}

#[test]
fn when_the_server_ends_each_question_of_a_stream_gets_an_error() {
    let server = Serving::start("[::1]:0");
    let config = Config::default().with_timeout(Duration::from_millis(50)).with_retries(1);
    let mut client = Client::connect_with(server.address, config).unwrap();
    let taken = Cell::new(0u64);
    let questions = (0u64..).map(|number| {
        taken.set(taken.get() + 1);
        (Operator::Sum, vec![Number::from(number)])
    });
    let (mut answered, mut failed) = (0u64, 0u64);
    let mut serving = Some(server);
    for answer in client.evaluate_stream(questions) {
        match answer.result {
            Ok(_) => answered += 1,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Refused), "{error}");
                failed += 1;
            }
        }
        if answered == 1000 {
            serving.take();
        }
    }
    assert!(failed > 0);
    assert_eq!(answered + failed, taken.get());
}

#[test]
fn differences_and_quotients_over_any_number_of_operands() {
    let server = Serving::start("[::1]:0");
    let mut client = Client::connect(server.address).unwrap();
    let difference = client.evaluate(Operator::Difference, numbers(10_000, 300)).unwrap();
    assert_eq!(difference, Number::from(300 - 9_999 * 300));
    let quotient = client.evaluate(Operator::Quotient, numbers(10_000, -7)).unwrap();
    assert_eq!(quotient, Number::ZERO);
    let mut operands = numbers(5000, 1);
    (operands[0], operands[4000]) = (Number::from(-1000), Number::from(7));
    assert_eq!(client.evaluate(Operator::Quotient, operands.clone()).unwrap(), Number::from(-142));
    operands[4999] = Number::ZERO;
    assert_eq!(client.evaluate(Operator::Quotient, operands).unwrap_err().kind(), ErrorKind::Result);

    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), "1000000 ".to_owned() + &"7 ".repeat(100_000)).unwrap();
    let file = std::fs::File::open(text.path()).unwrap();
    let evaluation = client.evaluate_text(Operator::Difference, file).unwrap();
    assert_eq!((evaluation.result, evaluation.operands), (Number::from(300_000), 100_001));
    let file = std::fs::File::open(text.path()).unwrap();
    assert_eq!(client.evaluate_text(Operator::Quotient, file).unwrap().result, Number::ZERO);
    let file = std::fs::File::open(text.path()).unwrap();
    assert_eq!(client.evaluate_text(Operator::Remainder, file).unwrap_err().kind(), ErrorKind::Request);
}

/// A pipe with more operands than one datagram holds, whose writer stays and writes no more.
fn idle_text() -> (io::PipeReader, io::PipeWriter) {
    let (text, mut writer) = io::pipe().unwrap();
    writer.write_all("7 ".repeat(20_000).as_bytes()).unwrap();
    (text, writer)
}

#[test]
fn a_wait_for_more_of_a_text_ends_with_a_cancellation_the_deadline_or_the_text() {
    let server = Serving::start("[::1]:0");
    let mut client = Client::connect(server.address).unwrap();
    let canceller = client.canceller().unwrap();
    // Sixteen full datagrams of operands of one octet; the rest of the text waits for more.
    let sent = 16 * 1220;

    let (text, writer) = idle_text();
    let (waiting, idle) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let canceller = canceller.clone();
        scope.spawn(move || {
            idle.recv().unwrap();
            std::thread::sleep(Duration::from_millis(20));
            canceller.cancel();
        });
        let mut tell = |progress: Progress| {
            if progress.operands == sent {
                let _ = waiting.send(());
            }
        };
        let cancelled = client.evaluate_text_watched(Operator::Sum, text, &mut tell, &mut |_, _| {});
        assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    });
    drop(writer);

    let (text, writer) = idle_text();
    client.config_mut().retransmission.deadline = Some(Duration::from_millis(200));
    let late = client.evaluate_text(Operator::Sum, text).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    drop(writer);

    let (text, mut writer) = idle_text();
    client.config_mut().retransmission.deadline = Some(LONG);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            writer.write_all(b"1 2").unwrap();
        });
        let evaluation = client.evaluate_text(Operator::Sum, text).unwrap();
        assert_eq!((evaluation.result, evaluation.operands), (Number::from(140_003), 20_002));
    });
}

/// The thread that reads an endless text does not outlive a call that fails.
#[test]
fn a_server_that_stops_ends_a_text_without_end() {
    let server = Serving::start("[::1]:0");
    let config = Config::default().with_timeout(Duration::from_millis(50)).with_retries(1);
    let mut client = Client::connect_with(server.address, config).unwrap();
    let (text, mut writer) = io::pipe().unwrap();
    let writing = std::thread::spawn(move || while writer.write_all(&b"7 ".repeat(10_000)).is_ok() {});
    let serving = Cell::new(Some(server));
    let mut tell = |progress: Progress| {
        if progress.answered > 1000 {
            serving.take();
        }
    };
    let error = client.evaluate_text_watched(Operator::Sum, text, &mut tell, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Refused), "{error}");
    writing.join().unwrap();
}

#[test]
fn results_are_limited_for_every_source_of_operands() {
    let server = Serving::start("[::1]:0");
    let config = Config::default().with_max_result(1000);
    let mut client = Client::connect_with(server.address, config).unwrap();
    let many = numbers(3000, 1000);
    let error = client.evaluate(Operator::Product, many.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Result, "{error}");
    let each = client.evaluate_each(&[(Operator::Product, many.clone())]).unwrap();
    assert_eq!(each[0].as_ref().unwrap_err().kind(), ErrorKind::Result);
    let stream: Vec<_> = client.evaluate_stream([(Operator::Product, many), (Operator::Sum, numbers(2, 3))]).collect();
    assert_eq!(stream.iter().filter(|answer| answer.result.is_err()).count(), 1);
    client.config_mut().max_result = 1;
    let error = client.evaluate(Operator::Sum, [200, 100]).unwrap_err();
    assert_eq!(error.to_string(), "the sum exceeds the limit of 1 octets");
}

#[test]
fn ipv4_addresses_are_addresses_and_a_refusal_leads_to_the_next_at_once() {
    let server = Serving::start("127.0.0.1:0");
    let SocketAddr::V6(mapped) = server.address else { panic!() };
    let v4 = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, mapped.port()));
    let closed = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap();
    let mut client = Client::new([closed, v4], Config::default());
    let begun = Instant::now();
    let evaluation = client.evaluate_watched(Operator::Sum, &numbers(2, 4), &mut |_, _| {}).unwrap();
    assert_eq!(evaluation.peer.ip().to_ipv4_mapped(), Some(std::net::Ipv4Addr::LOCALHOST));
    assert!(begun.elapsed() < Duration::from_millis(900), "less than the first wait: {:?}", begun.elapsed());
}

#[test]
fn a_watcher_sees_every_wait() {
    let silent = UdpSocket::bind("[::1]:0").unwrap();
    let config = Config::default().with_timeout(Duration::from_millis(10)).with_retries(3);
    let mut client = Client::connect_with(silent.local_addr().unwrap(), config).unwrap();
    let mut waits = Vec::new();
    let watched = client.evaluate_watched(Operator::Sum, &numbers(2, 4), &mut |_, event| {
        if let Event::TimedOut { repeat, retries, .. } = event {
            waits.push((repeat, retries));
        }
    });
    assert_eq!(watched.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(waits, [(1, 3), (2, 3), (3, 3)]);
}
