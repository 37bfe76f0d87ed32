//! Servers in this process, configurations, and what the tests ask about a client on Tokio.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use calc6::arithmetic::Number;
use calc6::client::tokio::Client;
use calc6::client::{Config, Error, Forms, UnansweredReason};
use calc6::responder::{Limits, Verdict, respond};
use calc6::server;
use calc6::wire::Operator;

/// The time limit of each test, also on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The real server, until it is dropped.
pub struct Server {
    pub address: SocketAddrV6,
    handle: server::Handle,
    serving: Option<JoinHandle<io::Result<server::Totals>>>,
}

impl Server {
    pub fn start() -> Server {
        let config = server::Config::default().with_rate_limit_dry_run(true);
        let server = server::Server::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), config).unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        Server { address, handle, serving: Some(thread::spawn(|| server.run())) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.serving.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_some_and(|ended| matches!(ended, Ok(Ok(_)))), "the server failed");
    }
}

/// A server that calls a function for each datagram, and sends back what it returns.
pub struct Scripted {
    pub address: SocketAddrV6,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Scripted {
    pub fn start(script: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static) -> Scripted {
        Scripted::on(UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap(), script)
    }

    pub fn on(
        socket: UdpSocket,
        mut script: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Scripted {
        let SocketAddr::V6(address) = socket.local_addr().unwrap() else { panic!("IPv6") };
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serving = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                // A timeout of the socket, or the report that an earlier reply reached no socket.
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                for reply in script(&buffer[..len], from) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Scripted { address, stop, serving: Some(serving) }
    }

    pub fn silent() -> Scripted {
        Scripted::start(|_, _| vec![])
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.serving.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_some_and(|ended| ended.is_ok()), "the script failed");
    }
}

/// The reply of the real server.
pub fn answer(request: &[u8]) -> Vec<u8> {
    let mut reply = [0; 1232];
    match respond(request, &mut reply, &Limits::default()) {
        Verdict::Reply(answer) => reply[..answer.len].to_vec(),
        Verdict::Silence(reason) => panic!("{reason:?}: {request:02x?}"),
    }
}

/// A configuration for networks as fast as loopback.
pub fn quick() -> Config {
    let mut config = Config::default();
    config.retransmission.first_wait = Duration::from_millis(30);
    config.retransmission.retries = 12;
    config
}

/// One that gives up soon.
pub fn hasty() -> Config {
    let mut config = quick();
    config.retransmission.retries = 1;
    config
}

pub fn extended(config: Config) -> Config {
    let mut config = config;
    config.forms = Forms::Extended;
    config
}

/// Runs a test to its end, on several threads.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("the test ends in time") });
    runtime.shutdown_background();
}

pub async fn client(address: SocketAddrV6, config: Config) -> Client {
    Client::connect_with(address, config).await.unwrap()
}

pub fn sum(operands: &[i64]) -> (Operator, Vec<Number>) {
    (Operator::Sum, operands.iter().copied().map(Number::from).collect())
}

/// The reasons in an error that reports that no server answered.
#[track_caller]
pub fn reasons(result: Result<Number, Error>) -> Vec<UnansweredReason> {
    match result {
        Err(Error::Unanswered(all)) => all.into_addresses().into_iter().map(|one| one.reason).collect(),
        other => panic!("{other:?}"),
    }
}

/// Polls a future once.
pub async fn start<F: Future>(future: std::pin::Pin<&mut F>) {
    let mut future = future;
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
}

/// The number of tasks of the runtime.
pub fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
