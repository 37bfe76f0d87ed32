//! What the open Internet does to a server: forged sources by the million, servers that answer answers, restarts under
//! load. CALC6_SOAK=1 makes the runs longer.

mod receiving;
mod serving;

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use receiving::Receive as _;
use rustix::process::Signal;
use serving::forging::Forger;
use serving::{Server, namespace, peer};
use socket2::{Domain, Socket, Type};

const SUM: [u8; 21] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9];
const SUM_REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

#[test]
fn forged_sources_leave_memory_flat() {
    namespace::enter_site();
    let server = Server::start(&["::", "0", "-v"]);
    let mut forger = Flood::new(server.port);
    let (first, second) = if soak() { (1_000_000, 20_000_000) } else { (50_000, 300_000) };
    let start = resident(&server);
    (0..first).for_each(|prefix| forger.send(prefix));
    let warm = resident(&server);
    (first..second).for_each(|prefix| forger.send(prefix));
    let end = resident(&server);
    eprintln!("resident: {start} KiB at start, {warm} after {first} sources, {end} after {second}");
    assert!(warm - start < 1024, "from {start} to {warm} KiB: more than the buffers that a first load touches");
    assert!(end - warm < 128, "from {warm} to {end} KiB between {first} and {second} sources");
    assert!(end < 8192, "{end} KiB");

    // Prefixes that come once are far below any rate: what reached the server was answered.
    let peer = peer(&format!("[{}]:0", namespace::PEER), (&namespace::SERVER.to_string(), server.port));
    peer.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // The queue may still be full.
    assert!((0..200).any(|_| peer.send(&SUM).is_ok() && hears(&peer)));
    let totals = server.stop();
    let count = |name: &str| number_behind(&totals, name);
    assert!(!totals.contains("rate-limited"), "{totals}");
    // The kernel tells of its last drops with the next datagram, which may never come.
    assert!(count("served ") + count("dropped by the kernel ") <= second + 200, "{totals}");
    assert!(count("served ") > second / 20, "{totals}");
}

#[test]
fn a_foreign_server_whose_errors_look_like_requests_falls_silent() {
    namespace::enter_site();
    let server = Server::start(&["::", "0", "--rate-limit", "20/s,burst=200"]);
    // One error for each datagram: with the first reply that is dropped the loop ends.
    let mut foreign = Foreign::start(1, server.port);
    let until = Instant::now() + Duration::from_secs(60);
    let mut again = Instant::now() + Duration::from_secs(5);
    let (mut before, mut restarts) = (0, 0);
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = foreign.received.load(Relaxed);
        if now == before && now > 1 {
            break;
        }
        if Instant::now() > until {
            panic!("{now} replies and no end: {}", server.stop());
        }
        if now == 0 && Instant::now() > again {
            // The datagram that begins it may be lost, as any.
            foreign.end();
            foreign = Foreign::start(1, server.port);
            restarts += 1;
            again += Duration::from_secs(5);
        }
        before = now;
    }
    let received = foreign.end();
    let totals = server.stop();
    assert!(totals.contains("rate-limited 1)"), "{totals}");
    // Or it was only late, and the reply found nobody.
    let served = number_behind(&totals, "served ");
    assert!((received..=received + restarts).contains(&served), "{received} received, {restarts} restarts: {totals}");
}

#[test]
fn a_foreign_server_that_multiplies_errors_is_bounded_by_the_rate() {
    namespace::enter_site();
    let (rate, burst) = (500, 100);
    let server = Server::start(&["::", "0", "--rate-limit", &format!("{rate}/s,burst={burst},leak=0")]);
    let begun = Instant::now();
    let foreign = Foreign::start(3, server.port);
    thread::sleep(Duration::from_secs(if soak() { 60 } else { 2 }));
    let received = foreign.end();
    let totals = server.stop();
    let bound = burst + rate * (begun.elapsed().as_millis() as u64) / 1000 + 1;
    assert!((burst..=bound).contains(&received), "{received} replies, at most {bound}: {totals}");
    assert!(totals.contains("rate-limited"), "{totals}");
}

#[test]
fn a_flood_with_a_victims_address_does_not_silence_the_victim() {
    namespace::enter_site();
    let server = Server::start(&["::", "0", "--rate-limit", "100/s,burst=100", "--workers", "1"]);
    let mut forger = Flood::new(server.port);
    let victim = peer(&format!("[{}]:0", namespace::PEER), (&namespace::SERVER.to_string(), server.port));
    victim.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let asking = AtomicBool::new(true);
    let answered = thread::scope(|scope| {
        scope.spawn(|| {
            while asking.load(Relaxed) {
                // Ten thousand or so a second, from other addresses of the victim's /64.
                (0..10).for_each(|_| forger.send_from(Ipv6Addr::from_bits(namespace::PEER.to_bits() + 7)));
                thread::sleep(Duration::from_millis(1));
            }
        });
        thread::sleep(Duration::from_millis(300));
        // Each try has one chance in four; that all of 60 fail has the probability 3e-8.
        let answered = (0..20).filter(|_| (0..60).any(|_| victim.send(&SUM).is_ok() && hears(&victim))).count();
        asking.store(false, Relaxed);
        answered
    });
    let totals = server.stop();
    assert_eq!(answered, 20, "{totals}");
    assert!(number_behind(&totals, "rate-limited ") > 100, "{totals}");
}

#[test]
fn a_dry_run_counts_and_answers() {
    namespace::enter_site();
    let server = Server::start(&["::", "0", "--rate-limit", "1/s,burst=1,leak=0", "--rate-limit-dry-run"]);
    let peer = peer(&format!("[{}]:0", namespace::PEER), (&namespace::SERVER.to_string(), server.port));
    for _ in 0..100 {
        assert_eq!(ask(&peer), SUM_REPLY);
    }
    server.signal(Signal::USR1);
    let mut server = server;
    let line = server.line_with("calc6_rate_limited_total{action=\"answered\"}");
    assert!(number_behind(&line, "\"} ") >= 98, "{line}");
}

#[test]
fn restarts_under_load_lose_no_request() {
    let (sockets, address) = group(2);
    let restarts = if soak() { 100 } else { 5 };
    let done = AtomicBool::new(false);
    let (asked, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Each socket asks once at a time and never repeats itself: what is lost is noticed.
                while !done.load(Relaxed) {
                    let peer = peer("[::1]:0", ("::1", address.port()));
                    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    for _ in 0..50 {
                        asked.fetch_add(1, Relaxed);
                        assert_eq!(ask(&peer), SUM_REPLY);
                        answered.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        for _ in 0..restarts {
            let server = Server::spawn(on_sockets(&sockets));
            assert_eq!(server.port, address.port());
            thread::sleep(Duration::from_millis(200));
            let before = answered.load(Relaxed);
            let totals = server.stop();
            assert!(before > 0 && totals.contains("dropped 0"), "{totals}");
            // Nobody serves: requests wait in the sockets that we hold.
            thread::sleep(Duration::from_millis(100));
        }
        let last = Server::spawn(on_sockets(&sockets));
        done.store(true, Relaxed);
        let until = Instant::now() + Duration::from_secs(20);
        while answered.load(Relaxed) < asked.load(Relaxed) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        drop(last);
    });
    assert_eq!(answered.load(Relaxed), asked.load(Relaxed));
}

#[test]
fn handed_over_sockets_that_do_not_block_leave_the_processors_idle() {
    let (sockets, address) = group(2);
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    let mut server = Server::spawn(on_sockets(&sockets));
    for made_so in ["before the start", "after it"] {
        let before = processor_time(&server);
        thread::sleep(Duration::from_secs(1));
        let used = processor_time(&server) - before;
        eprintln!("idle, O_NONBLOCK set {made_so}: {used:?} of processor time a second");
        assert!(used < Duration::from_millis(100), "{used:?}");
        // Whoever shares the sockets may set it at any time.
        sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    }
    assert_eq!(ask(&peer("[::1]:0", ("::1", address.port()))), SUM_REPLY);
    // A socket that is shut down would return at once for ever.
    let _ = socket2::SockRef::from(&sockets[0]).shutdown(std::net::Shutdown::Read);
    server.line_with("a worker failed: the socket was shut down");
}

#[test]
fn drops_of_an_earlier_server_are_not_counted_again() {
    let (sockets, address) = group(1);
    let flood = peer("[::1]:0", ("::1", address.port()));
    let overflow = || (0..40_000).for_each(|_| drop(flood.send(&[0xff; 1000])));
    let serve = |overflows: bool| {
        let server = Server::spawn(on_sockets(&sockets));
        if overflows {
            server.freeze();
            overflow();
            server.signal(Signal::CONT);
        }
        let asker = peer("[::1]:0", ("::1", address.port()));
        asker.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // The queue may still be full. A drop is known with a datagram that comes after it.
        assert!((0..100).any(|_| asker.send(&SUM).is_ok() && hears(&asker)));
        assert!((0..100).any(|_| asker.send(&SUM).is_ok() && hears(&asker)));
        server.stop()
    };
    overflow();
    let first = serve(true);
    assert!(number_behind(&first, "dropped by the kernel ") > 0, "{first}");
    let second = serve(false);
    assert!(!second.contains("dropped by the kernel"), "{second}");
}

#[test]
fn inherited_sockets_are_served_and_wrong_ones_refused() {
    let (sockets, address) = group(3);
    let mut command = on_sockets(&sockets);
    command.args(["--metrics", "[::1]:0"]);
    let mut server = Server::spawn(command);
    server.metrics();
    assert_eq!(fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).unwrap().count(), 3 + 3);
    for _ in 0..20 {
        assert_eq!(ask(&peer("[::1]:0", ("::1", address.port()))), SUM_REPLY);
    }
    drop(server);

    let wrong: [(OwnedFd, &str); 3] = [
        (fs::File::open("/dev/null").unwrap().into(), "neither a UDP socket nor a listening TCP socket"),
        (UdpSocket::bind("127.0.0.1:0").unwrap().into(), "not an IPv6 datagram socket"),
        (std::os::unix::net::UnixDatagram::unbound().unwrap().into(), "neither a UDP socket nor"),
    ];
    for (fd, part) in wrong {
        let output = on_descriptors(vec![fd]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(part) && said.lines().count() == 1, "{said}");
    }
}

/// Sends requests to a server of [`namespace::enter_site`] from addresses that are not its own.
struct Flood {
    forger: Forger,
    to: SocketAddrV6,
}

impl Flood {
    fn new(port: u16) -> Flood {
        Flood { forger: Forger::new(), to: SocketAddrV6::new(namespace::SERVER, port, 0, 0) }
    }

    /// From a host in the /48 of this number.
    fn send(&mut self, prefix: u64) {
        self.send_from(Ipv6Addr::from_bits(u128::from(0x2001_0000_0000 + prefix) << 80 | 1));
    }

    fn send_from(&mut self, source: Ipv6Addr) {
        self.forger.send(SocketAddrV6::new(source, 40_000, 0, 0), self.to, &SUM);
    }
}

/// A server of another make: it answers whatever it gets with errors that read as requests of ours (a sum of one
/// operand), `copies` of them.
struct Foreign {
    received: std::sync::Arc<AtomicU64>,
    ends: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Foreign {
    /// Starts it with a request to us that seems to come from it.
    fn start(copies: usize, port: u16) -> Foreign {
        const ERROR: [u8; 5] = [0x00, 0, 0, 0, 2];
        let socket = UdpSocket::bind((namespace::PEER, 0)).unwrap();
        socket.connect((namespace::SERVER, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket.send(&ERROR).unwrap();
        let (received, ends) = (std::sync::Arc::<AtomicU64>::default(), std::sync::Arc::<AtomicBool>::default());
        let (count, end) = (received.clone(), ends.clone());
        let thread = thread::spawn(move || {
            while !end.load(Relaxed) {
                match socket.receive(&mut [0; 2000]) {
                    Ok(_) => {
                        count.fetch_add(1, Relaxed);
                        (0..copies).for_each(|_| drop(socket.send(&ERROR)));
                    }
                    // What it sent last time was refused.
                    Err(error) if error.kind() == ErrorKind::WouldBlock && copies > 1 => drop(socket.send(&ERROR)),
                    Err(_) => {}
                }
            }
        });
        Foreign { received, ends, thread }
    }

    /// Stops it and returns how many replies it got.
    fn end(self) -> u64 {
        self.ends.store(true, Relaxed);
        self.thread.join().unwrap();
        self.received.load(Relaxed)
    }
}

/// A group of sockets as a service manager would hold it.
fn group(count: usize) -> (Vec<UdpSocket>, SocketAddr) {
    let mut address: SocketAddr = "[::1]:0".parse().unwrap();
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        address = socket.local_addr().unwrap().as_socket().unwrap();
        sockets.push(socket.into());
    }
    (sockets, address)
}

/// A server on copies of these sockets.
fn on_sockets(sockets: &[UdpSocket]) -> Command {
    on_descriptors(sockets.iter().map(|socket| socket.try_clone().unwrap().into()).collect())
}

/// A server that is handed descriptors as sd_listen_fds(3) says, but for LISTEN_PID, which only its parent could know.
fn on_descriptors(descriptors: Vec<OwnedFd>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.env("LISTEN_FDS", descriptors.len().to_string());
    let mappings = descriptors.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

fn ask(peer: &UdpSocket) -> Vec<u8> {
    peer.send(&SUM).unwrap();
    let mut reply = [0; 100];
    let length = peer.receive(&mut reply).expect("a reply");
    reply[..length].to_vec()
}

fn hears(peer: &UdpSocket) -> bool {
    let mut reply = [0; 100];
    peer.receive(&mut reply).is_ok_and(|length| reply[..length] == SUM_REPLY)
}

/// What all threads have used of the processors (the first field of /proc/PID/task/TID/schedstat, in nanoseconds).
fn processor_time(server: &Server) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).unwrap();
    let used = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap()
    };
    Duration::from_nanos(tasks.map(used).sum())
}

/// The resident set in KiB (VmRSS of proc(5)).
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    number_behind(&status, "VmRSS:")
}

/// The number behind the first `name` in `text`, 0 if there is none.
fn number_behind(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest.trim_start());
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn soak() -> bool {
    std::env::var_os("CALC6_SOAK").is_some()
}
