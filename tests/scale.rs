//! Three servers behind nginx, as docs/operations.md describes it, one of which is killed under load.

mod serving;

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use calc6::Client;
use calc6::arithmetic::Number;
use calc6::client::Forms;
use calc6::wire::Operator;
use rustix::process::{Pid, Signal, kill_process};
use serving::{Server, namespace};

/// Where nginx listens, and the servers behind it: the addresses of the configuration.
const FRONT: &str = "2001:db8::53";
const BACK: [&str; 3] = ["2001:db8::1", "2001:db8::2", "2001:db8::3"];
const PORT: u16 = 10_000;

#[test]
fn three_servers_behind_nginx_lose_nothing_when_one_is_killed() {
    namespace::enter();
    for address in BACK.iter().chain([&FRONT]) {
        namespace::run(&format!("ip address add {address}/128 dev lo nodad"));
    }
    let mut servers: Vec<Server> = BACK.iter().map(|address| start(address)).collect();
    let nginx = Nginx::start();

    let load = Load::default();
    thread::scope(|scope| {
        for seed in 0..4 {
            let load = &load;
            scope.spawn(move || load.run(seed));
        }
        scope.spawn(|| {
            // Malformed datagrams are never answered; nginx must not count a server as failed because of them.
            while !load.done.load(Relaxed) {
                let junk = UdpSocket::bind((FRONT, 0)).unwrap();
                junk.send_to(&[0xff, 0, 0], (FRONT, PORT)).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let length = Duration::from_secs(if std::env::var_os("CALC6_SOAK").is_some() { 120 } else { 6 });
        thread::sleep(length / 4);
        servers[1].signal(Signal::KILL);
        thread::sleep(length / 4);
        // It starts again, and gets its share again.
        servers[1] = start(BACK[1]);
        thread::sleep(length / 2);
        load.done.store(true, Relaxed);
    });
    drop(nginx);

    let [asked, right, wrong, repeated] =
        [&load.asked, &load.right, &load.wrong, &load.repeated].map(|n| n.load(Relaxed));
    eprintln!("asked {asked}, right {right}, wrong {wrong}, repeats {repeated}");
    assert_eq!((wrong, right), (0, asked), "failed: {}", asked - right - wrong);
    assert!(asked > 100, "no load");
    for server in servers {
        let totals = server.stop();
        let served = totals.split("served ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
        assert!(served.parse::<u64>().unwrap() > 10, "not much of a share: {totals}");
    }
}

fn start(address: &str) -> Server {
    Server::start(&[address, &PORT.to_string(), "--rate-limit", "off", "--allow", FRONT])
}

/// The counts of correct clients.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    asked: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    repeated: AtomicU64,
}

impl Load {
    fn run(&self, seed: i64) {
        let mut client = Client::connect((FRONT, PORT)).unwrap();
        client.config_mut().retransmission.first_wait = Duration::from_millis(600);
        client.config_mut().retransmission.retries = 5;
        for round in 0.. {
            if self.done.load(Relaxed) {
                return;
            }
            client.config_mut().forms = if round % 2 == 0 { Forms::Classic } else { Forms::Extended };
            self.asked.fetch_add(1, Relaxed);
            let operands = [seed, round, 7].map(Number::from);
            match client.evaluate_watched(Operator::Sum, &operands, &mut |_, _| {}) {
                Ok(done) => {
                    let count = if done.result == seed + round + 7 { &self.right } else { &self.wrong };
                    count.fetch_add(1, Relaxed);
                    self.repeated.fetch_add(done.transmissions - 1, Relaxed);
                }
                Err(error) => eprintln!("{error}"),
            }
            // nginx keeps two descriptors for half a second after each: some hundred at a time.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// nginx with the configuration of docs/operations.md.
struct Nginx {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Nginx {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
        let block = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a configuration");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("nginx.conf"), block).unwrap();
        // In a user namespace there may be no other user than root.
        let here = format!("daemon off; user root; pid {}; error_log stderr;", path("pid"));
        let child = Command::new("nginx")
            .args(["-c", &path("nginx.conf"), "-g", &here])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx: apt-get install nginx libnginx-mod-stream");
        let nginx = Nginx { child, _folder: folder };
        let until = Instant::now() + Duration::from_secs(20);
        // It listens when its port is taken.
        while UdpSocket::bind((FRONT, PORT)).is_ok() {
            assert!(Instant::now() < until, "nginx does not listen: is libnginx-mod-stream installed?");
            thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its own processes.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
