//! Chapter 6 of the tour: what happens to datagrams on the way, and what both ends do about it. See 6-datagrams.md.
use std::collections::BTreeSet;
use std::env;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// The first wait for a reply; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// A request is sent at most this many times. As each wait is twice the one before, `ask` gives up after 7.75 s.
const TRANSMISSIONS: u32 = 5;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    if words == ["loop"] {
        return finish(show_loop());
    }
    let [mode, host, port, numbers @ ..] = words.as_slice() else { return usage() };
    let Ok(address) = format!("[{host}]:{port}").parse() else { return usage() };
    let Ok(numbers) = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<u32>, _>>() else { return usage() };
    match (mode.as_str(), numbers.as_slice()) {
        ("burst", &[count @ 1..=10_000]) => finish(burst(address, count)),
        ("ask", [_, ..]) if numbers.len() <= 64 => finish(ask(address, &numbers)),
        ("account", []) => finish(account(address)),
        _ => usage(),
    }
}

fn finish(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("datagrams: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks for the sums 1, 2, 3, … of a single operand each, so that each reply names its request, and prints which
/// replies arrived.
fn burst(peer: SocketAddrV6, count: u32) -> io::Result<()> {
    let socket = connect(peer)?;
    for number in 1..=count {
        socket.send(&request(&[number]))?;
        thread::sleep(Duration::from_millis(1));
    }
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut arrived = Vec::new();
    while let Some(number) = receive(&socket)? {
        arrived.push(number);
    }
    println!("arrived: {}", list(&arrived));
    let mut seen = BTreeSet::new();
    let (first, repeated): (Vec<u32>, Vec<u32>) = arrived.iter().partition(|&&number| seen.insert(number));
    let mut latest = 0;
    let late = |number: &u32| {
        let late = *number < latest;
        latest = latest.max(*number);
        late
    };
    let overtaken: Vec<u32> = first.into_iter().filter(late).collect();
    let lost: Vec<u32> = (1..=count).filter(|number| !seen.contains(number)).collect();
    println!("lost: {}\nrepeated: {}\novertaken: {}", list(&lost), list(&repeated), list(&overtaken));
    Ok(())
}

/// One exchange with retransmission: the same octets again, after longer and longer waits.
fn ask(peer: SocketAddrV6, numbers: &[u32]) -> io::Result<()> {
    let socket = connect(peer)?;
    let mut wait = FIRST_WAIT;
    for transmission in 1..=TRANSMISSIONS {
        println!("transmission {transmission}");
        socket.send(&request(numbers))?;
        socket.set_read_timeout(Some(wait))?;
        if let Some(number) = receive(&socket)? {
            println!("Result: {number}");
            return Ok(());
        }
        println!("nothing for {} ms", wait.as_millis());
        wait *= 2;
    }
    Err(io::Error::other(format!("no reply to {TRANSMISSIONS} transmissions")))
}

/// A server that must not be asked twice: every request changes the reply to the next.
fn account(local: SocketAddrV6) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut balance: u32 = 0;
    let mut buffer = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let [0, operands @ ..] = &buffer[..length] else { continue };
        for operand in operands.as_chunks::<4>().0 {
            balance = balance.wrapping_add(u32::from_be_bytes(*operand));
        }
        println!("{length} octets from {peer}: the balance is {balance}");
        if let Err(error) = socket.send_to(&[&[0xff], &balance.to_be_bytes()[..]].concat(), peer) {
            eprintln!("to {peer}: {error}");
        }
    }
}

/// Two servers, and one datagram that seems to come from the other: first two that answer with an error whatever they
/// do not understand, then two that answer no reply.
fn show_loop() -> io::Result<()> {
    let everything: fn(&[u8]) -> bool = |_| true;
    let careful: fn(&[u8]) -> bool = |datagram| !matches!(datagram, [0xff | 0x7f, ..]);
    for (name, answers) in [("answer everything", everything), ("answer no reply", careful)] {
        let sockets = [UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?];
        // An attacker forges the source address; here the socket itself sends the datagram.
        sockets[0].send_to(b"?", sockets[1].local_addr()?)?;
        let until = Instant::now() + Duration::from_millis(100);
        let answered: u64 = thread::scope(|scope| {
            let servers = sockets.each_ref().map(|socket| scope.spawn(move || reply_until(until, socket, answers)));
            servers.into_iter().map(|server| server.join().unwrap_or(0)).sum()
        });
        println!("servers that {name}: {answered} answers to one datagram in 100 ms");
    }
    Ok(())
}

/// Answers every datagram that `answers` accepts with an error; returns how many.
fn reply_until(until: Instant, socket: &UdpSocket, answers: fn(&[u8]) -> bool) -> u64 {
    let mut buffer = [0; 512];
    let mut answered = 0;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return answered;
        }
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        if answers(&buffer[..length]) && socket.send_to(&[0x7f], peer).is_ok() {
            answered += 1;
        }
    }
}

fn connect(peer: SocketAddrV6) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(peer)?;
    Ok(socket)
}

/// A classic request for the sum as an integer (chapter 3).
fn request(numbers: &[u32]) -> Vec<u8> {
    [0].into_iter().chain(numbers.iter().flat_map(|number| number.to_be_bytes())).collect()
}

/// The integer of the next reply, or None after the socket's timeout. Other datagrams are skipped.
fn receive(socket: &UdpSocket) -> io::Result<Option<u32>> {
    let mut buffer = [0; 512];
    let waits = socket.read_timeout()?.unwrap_or(Duration::MAX);
    let begun = Instant::now();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let [(0x80..), a, b, c, d] = buffer[..length] {
                    return Ok(Some(u32::from_be_bytes([a, b, c, d])));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Other datagrams must not make the wait longer and longer.
        if begun.elapsed() >= waits {
            return Ok(None);
        }
    }
}

fn list(numbers: &[u32]) -> String {
    let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}

fn usage() -> ExitCode {
    eprintln!("usage: datagrams burst IPV6-ADDRESS PORT COUNT");
    eprintln!("       datagrams ask IPV6-ADDRESS PORT INTEGER...");
    eprintln!("       datagrams account IPV6-ADDRESS PORT");
    eprintln!("       datagrams loop");
    ExitCode::from(2)
}
