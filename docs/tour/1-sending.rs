//! Chapter 1 of the tour: a datagram out, a datagram in. The page beside this file explains it: 1-sending.md.
use std::env;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// Longer than any datagram that crosses an Ethernet unfragmented. What does not fit is cut off without a word.
const MAX_MESSAGE_SIZE: usize = 2500;

fn main() -> ExitCode {
    // As in C, a program ends when nobody reads what it prints (`| head -1`); Rust's ignore SIGPIPE, and panic.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, host, port] = words.as_slice() else { return usage() };
    let Ok(address) = format!("[{host}]:{port}").parse() else { return usage() };
    let outcome = match mode.as_str() {
        "send" => send(address),
        "receive" => receive(address),
        "receive-from" => receive_from(address),
        "connected" => connected(address),
        "answer" => answer(address),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sending: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One datagram to `peer`, by sendto(2). That it was sent says nothing about whether it arrived.
fn send(peer: SocketAddrV6) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    let sent = socket.send_to(b"hello", peer)?;
    println!("sent {sent} octets to {peer}");
    Ok(())
}

/// Binds `local`, waits for one datagram and prints its octets.
fn receive(local: SocketAddrV6) -> io::Result<()> {
    let socket = listen(local)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let length = socket.recv(&mut buffer)?;
    print_octets(&buffer[..length]);
    Ok(())
}

/// The same by recvfrom(2), which also says who sent it.
fn receive_from(local: SocketAddrV6) -> io::Result<()> {
    let socket = listen(local)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let (length, peer) = socket.recv_from(&mut buffer)?;
    print_octets(&buffer[..length]);
    println!("from {peer}");
    Ok(())
}

/// Fixes the peer with connect(2), so that send(2) and recv(2) need no address, and reads the reply back.
fn connected(peer: SocketAddrV6) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(peer)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let sent = socket.send(b"hello")?;
    println!("sent {sent} octets from {} to {}", socket.local_addr()?, socket.peer_addr()?);
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let length = socket.recv(&mut buffer)?;
    print_octets(&buffer[..length]);
    Ok(())
}

/// The other end of `connected`: whoever writes gets a reply, at the address that came with the datagram.
fn answer(local: SocketAddrV6) -> io::Result<()> {
    let socket = listen(local)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let (length, peer) = socket.recv_from(&mut buffer)?;
    print_octets(&buffer[..length]);
    println!("from {peer}");
    socket.send_to(b"hello yourself", peer)?;
    Ok(())
}

/// A socket bound to `local`; with port 0 the kernel chooses one, which is why it is printed.
fn listen(local: SocketAddrV6) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    eprintln!("listening on {}", socket.local_addr()?);
    Ok(socket)
}

/// `0x68 ('h')` for every octet; a full stop stands for what cannot be printed.
fn print_octets(octets: &[u8]) {
    let printable = |octet: u8| if octet == b' ' || octet.is_ascii_graphic() { octet as char } else { '.' };
    let words: Vec<String> = octets.iter().map(|&octet| format!("{octet:#04x} ('{}')", printable(octet))).collect();
    println!("received {} octets:\n{}", octets.len(), words.join(" "));
}

fn usage() -> ExitCode {
    eprintln!("usage: sending send|receive|receive-from|connected|answer IPV6-ADDRESS PORT");
    ExitCode::from(2)
}
