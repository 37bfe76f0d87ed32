//! `lab relay` end to end: the real program between sockets of the test, on ::1.

#![cfg(feature = "programs")]

mod receiving;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use calc6::net::{ReceiveBatch, SendBatch, SocketOptions, Wait, bind_group};
use pcap_file::pcapng::{Block, PcapNgReader};
use receiving::{Receive as _, receive_from};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running relay; it ends when this is dropped.
struct Relay {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Relay {
    fn start(server: SocketAddr, options: &[&str]) -> Self {
        Self::spawn(&[&["relay", "::1", "0", "::1", &server.port().to_string()], options].concat())
    }

    fn spawn(words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("lab relay: listening on ").and_then(|rest| rest.split(',').next());
        let address = address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, address }
    }

    /// Ends it with SIGTERM and returns its output.
    fn stop(mut self) -> String {
        signal(&self.child, rustix::process::Signal::TERM);
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success());
        text
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, signal).unwrap();
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends every datagram back until `quit` arrives; returns the datagrams' sources.
fn echo() -> (SocketAddr, JoinHandle<Vec<SocketAddr>>) {
    let socket = socket();
    let address = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut sources = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok((length, source)) = receive_from(&socket, &mut buffer) {
            if &buffer[..length] == b"quit" {
                break;
            }
            sources.push(source);
            socket.send_to(&buffer[..length], source).unwrap();
        }
        sources
    });
    (address, thread)
}

fn quit(server: SocketAddr, thread: JoinHandle<Vec<SocketAddr>>) -> Vec<SocketAddr> {
    socket().send_to(b"quit", server).unwrap();
    thread.join().unwrap()
}

#[test]
fn each_client_has_a_port_of_its_own_and_gets_its_own_answers() {
    let (server, thread) = echo();
    let relay = Relay::start(server, &[]);
    let clients: Vec<UdpSocket> = (0..20).map(|_| socket()).collect();
    for round in 0..5_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&[round, number as u8], relay.address).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let mut buffer = [0; 16];
            let (length, source) = receive_from(client, &mut buffer).unwrap();
            assert_eq!(buffer[..length], [round, number as u8]);
            assert_eq!(source, relay.address);
        }
    }
    let report = relay.stop();
    let mut sources = quit(server, thread);
    assert_eq!(sources.len(), 100);
    sources.sort_by_key(SocketAddr::port);
    sources.dedup();
    assert_eq!(sources.len(), clients.len());
    let totals = "totals, 20 clients\n  to the server: 100 in, 100 out\n  to clients:    100 in, 100 out\n";
    assert!(report.ends_with(totals), "{report}");
}

/// What the relay passed on to `server` of all that it was sent before.
fn survivors(server: &UdpSocket, relay: &Relay) -> Vec<Vec<u8>> {
    // The relay reads datagrams in order: when one of these arrives, all earlier ones have been read.
    let fence = std::iter::repeat_with(socket).take(100);
    fence.for_each(|other| assert!(other.send_to(b"fence", relay.address).is_ok()));
    let arrivals = std::iter::repeat_with(|| {
        let mut buffer = [0; 16];
        let length = server.receive(&mut buffer).unwrap();
        buffer[..length].to_vec()
    });
    // A fence may have lost its last octets; what the tests send begins otherwise.
    arrivals.take_while(|arrival| !arrival.starts_with(b"fe")).collect()
}

#[test]
fn the_same_seed_loses_the_same_datagrams() {
    let survivors_of = |seed: &str| {
        let server = socket();
        let relay = Relay::start(server.local_addr().unwrap(), &["--loss", "40%", "--seed", seed]);
        let client = socket();
        for number in 0..100_u8 {
            client.send_to(&[number], relay.address).unwrap();
        }
        let survivors = survivors(&server, &relay);
        assert!(relay.stop().contains("to the server: "));
        survivors
    };
    let first = survivors_of("5");
    assert!((40..80).contains(&first.len()), "{first:?}");
    assert_eq!(first, survivors_of("5"));
    assert_ne!(first, survivors_of("6"));
}

/// Sends a hundred numbered datagrams, as trains or one by one, through a relay; returns those that arrive, and the
/// relay's report.
fn numbered_through(options: &[&str], segmentation: bool) -> (Vec<Vec<u8>>, String) {
    let server = socket();
    let relay = Relay::start(server.local_addr().unwrap(), options);
    let SocketAddr::V6(address) = relay.address else { panic!("{}", relay.address) };
    let client = bind_group("[::1]:0".parse().unwrap(), 1, &SocketOptions::default()).unwrap().remove(0);
    let mut batch = SendBatch::new(100, 8, segmentation);
    (0..100_u64).for_each(|number| batch.append(Some(address), None, &number.to_be_bytes()));
    assert_eq!(batch.flush(&client).datagrams, 100);
    (survivors(&server, &relay), relay.stop())
}

#[test]
fn each_datagram_of_a_train_has_the_fate_that_it_has_alone() {
    const FAULTS: [&str; 8] = ["--loss", "40%", "--duplicate", "20%", "--truncate", "10%", "--seed", "5"];
    let (alone, report) = numbered_through(&[&FAULTS[..], &["--segmentation", "off"]].concat(), false);
    assert!(!report.contains("segments"), "{report}");
    assert!((40..100).contains(&alone.len()) && alone.iter().any(|octets| octets.len() < 8), "{alone:?}");
    let (of_trains, report) = numbered_through(&FAULTS, true);
    assert_eq!(of_trains, alone);
    // A train has at most 64.
    assert!(report.contains("\n  100 datagrams came as segments of 2 messages\n"), "{report}");
    assert!(report.contains(" datagrams left as segments of "), "{report}");
}

#[test]
fn trains_of_a_delayed_echo_come_back() {
    let (server, thread) = echo();
    let relay = Relay::start(server, &["--delay", "20ms"]);
    let SocketAddr::V6(address) = relay.address else { panic!("{}", relay.address) };
    let client = bind_group("[::1]:0".parse().unwrap(), 1, &SocketOptions::default()).unwrap().remove(0);
    let mut requests = SendBatch::new(64, 8, client.capabilities().segmentation);
    (0..64_u64).for_each(|number| requests.append(Some(address), None, &number.to_be_bytes()));
    requests.flush(&client);
    let mut replies = ReceiveBatch::new(64, 64, client.capabilities());
    let mut numbers = Vec::new();
    let begun = std::time::Instant::now();
    while numbers.len() < 64 && begun.elapsed() < PATIENCE {
        client.wait_readable(Duration::from_millis(100)).unwrap();
        if replies.receive(&client, Wait::No).is_ok() {
            numbers.extend(replies.datagrams().map(|reply| u64::from_be_bytes(reply.octets.try_into().unwrap())));
        }
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..64));
    let report = relay.stop();
    assert_eq!(quit(server, thread).len(), 64);
    assert!(report.contains("\n  to the server: 64 in, 64 out\n  to clients:    64 in, 64 out\n"), "{report}");
    assert!(report.contains(" datagrams left as segments of "), "{report}");
}

#[test]
fn on_a_wildcard_answers_leave_from_the_address_that_was_asked() {
    let (server, thread) = echo();
    let relay = Relay::spawn(&["relay", "::", "0", "::1", &server.port().to_string()]);
    for (client, host) in [("127.0.0.1:0", "127.0.0.77"), ("[::1]:0", "::1")] {
        let client = UdpSocket::bind(client).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let asked = SocketAddr::new(host.parse().unwrap(), relay.address.port());
        client.send_to(b"hello", asked).unwrap();
        assert_eq!(receive_from(&client, &mut [0; 16]).unwrap(), (5, asked));
    }
    relay.stop();
    quit(server, thread);
}

#[test]
fn a_short_delay_is_not_rounded_up_to_milliseconds() {
    let (server, thread) = echo();
    let relay = Relay::start(server, &["--delay", "200us"]);
    let client = socket();
    let round = || {
        let start = std::time::Instant::now();
        client.send_to(b"hello", relay.address).unwrap();
        client.receive(&mut [0; 16]).unwrap();
        start.elapsed()
    };
    // The fastest of many: two roundings would make it 2 ms. A busy machine may need more of them.
    let mut fastest = (0..200).map(|_| round()).min().unwrap();
    let begun = std::time::Instant::now();
    while fastest >= Duration::from_millis(2) && begun.elapsed() < PATIENCE {
        fastest = fastest.min(round());
    }
    assert!(fastest >= Duration::from_micros(400) && fastest < Duration::from_millis(2), "{fastest:?}");
    relay.stop();
    quit(server, thread);
}

#[test]
fn one_direction_can_be_without_faults_and_a_delay_is_a_lower_bound() {
    let (server, thread) = echo();
    let relay = Relay::start(server, &["--direction", "to-client", "--delay", "30ms", "--duplicate", "1"]);
    let client = socket();
    let start = std::time::Instant::now();
    client.send_to(b"once", relay.address).unwrap();
    let mut buffer = [0; 16];
    for _ in 0..2 {
        assert_eq!(client.receive(&mut buffer).unwrap(), 4);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
    let report = relay.stop();
    assert!(report.contains("to the server: 1 in, 1 out\n  to clients:    1 in, 1 duplicated, 2 out\n"), "{report}");
    assert_eq!(quit(server, thread).len(), 1);
}

#[test]
fn the_capture_has_both_sides_and_the_fate_of_each_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.pcapng");
    let (server, thread) = echo();
    let relay = Relay::start(server, &["--delay", "1ms", "--pcap", path.to_str().unwrap()]);
    let client = socket();
    client.send_to(b"hello", relay.address).unwrap();
    assert_eq!(client.receive(&mut [0; 16]).unwrap(), 5);
    relay.stop();
    quit(server, thread);

    let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            assert!(packet.data.ends_with(b"hello"));
            packets.push((packet.interface_id, packet.options.len()));
        }
    }
    // Every packet has its flags; a received one also has its fate.
    assert_eq!(packets, [(0, 2), (1, 1), (1, 2), (0, 1)]);
}

#[test]
fn datagrams_of_further_clients_are_dropped_until_idle_clients_are_forgotten() {
    let (server, thread) = echo();
    let relay = Relay::start(server, &["--clients", "1", "--idle", "300ms"]);
    let (first, second) = (socket(), socket());
    let mut buffer = [0; 16];
    first.send_to(b"first", relay.address).unwrap();
    assert_eq!(first.receive(&mut buffer).unwrap(), 5);
    second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut tries = 0;
    // The first try is dropped unless the machine is very slow; one after 300 ms is served.
    while second.send_to(b"second", relay.address).and_then(|_| second.receive(&mut buffer)).is_err() {
        tries += 1;
        assert!(tries < 200);
    }
    let report = relay.stop();
    quit(server, thread);
    assert!(report.contains("totals, 2 clients"), "{report}");
    assert_eq!(report.contains("dropped because there were too many clients"), tries > 0, "{report}");
}

#[test]
fn a_service_that_has_ended_is_counted() {
    let gone = socket().local_addr().unwrap();
    let relay = Relay::start(gone, &["--quiet"]);
    let client = socket();
    for _ in 0..3 {
        client.send_to(b"hello", relay.address).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = relay.stop();
    assert!(report.contains("times no socket listened on the server's port"), "{report}");
    assert!(report.contains("to the server: 3 in, 3 out"), "{report}");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_a_refusal_of_the_system_with_1() {
    let lab = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lab")).arg("relay").args(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = lab(&["::1", "0", "::1", "9", "--loss", "2"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("expected a probability: a number from 0 to 1"), "{message}");
    let (code, message) = lab(&["::1", "0", "::1", "9", "--delay", "10x"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("expected a duration up to a day"), "{message}");
    let taken = socket().local_addr().unwrap();
    let holder = UdpSocket::bind(taken).unwrap();
    let (code, message) = lab(&["::1", &taken.port().to_string(), "::1", "9"]);
    assert_eq!(code, Some(1));
    assert!(message.starts_with(&format!("lab: cannot receive on ::1 port {}", taken.port())), "{message}");
    assert_eq!(message.lines().count(), 1);
    drop(holder);
}

/// The table of docs/teaching.md: what stands for an option of Linksimulator starts, and lets datagrams pass.
#[test]
fn the_options_that_stand_for_linksimulators_are_those_of_the_relay() {
    let page = include_str!("../docs/teaching.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| `link_sim`")).skip(2);
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(2));
    let options: Vec<&str> = cells.filter_map(|cell| cell.trim().strip_prefix('`')?.split('`').next()).collect();
    assert!(options.len() > 8, "{options:?}");
    let server = UdpSocket::bind("[::1]:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    for option in options.iter().filter(|option| option.starts_with("--") && **option != "--duplicate") {
        // With rates of 0, what is sent arrives.
        let typed = option.replace("PERCENT", "0").replace("MS", "5").replace("SEED", "7");
        let relay = Relay::start(server.local_addr().unwrap(), &typed.split(' ').collect::<Vec<_>>());
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.send_to(b"datagram", relay.address).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(server.receive(&mut buffer).unwrap_or_else(|error| panic!("{option}: {error}")), 8);
        assert!(relay.stop().contains("1 in"), "{option}");
    }
}
