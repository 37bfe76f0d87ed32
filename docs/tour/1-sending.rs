//! Chapter 1 of the tour: one datagram out, one datagram in. The page 1-sending.md explains it.
use std::env;
use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// Longer than any datagram that crosses an Ethernet in one piece. `recv` discards what does not fit.
const MAX_MESSAGE_SIZE: usize = 2500;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["receive-unix", path] => receive_unix(path),
        ["send-unix", path] => send_unix(path),
        [mode, host, port] => {
            let Ok(address) = format!("[{host}]:{port}").parse() else { return usage() };
            match mode {
                "send" => send(address),
                "receive" => receive(address),
                "receive-from" => receive_from(address),
                "connected" => connected(address),
                "answer" => answer(address),
                _ => return usage(),
            }
        }
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

/// Sends one datagram to `peer` with sendto(2). Success does not mean that it arrived.
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

/// The same with recvfrom(2), which also returns the sender's address.
fn receive_from(local: SocketAddrV6) -> io::Result<()> {
    let socket = listen(local)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let (length, peer) = socket.recv_from(&mut buffer)?;
    print_octets(&buffer[..length]);
    println!("from {peer}");
    Ok(())
}

/// Sets the peer with connect(2), so that send(2) and recv(2) need no address, and waits for the reply.
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

/// The peer of `connected`: replies to the address that came with the datagram.
fn answer(local: SocketAddrV6) -> io::Result<()> {
    let socket = listen(local)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let (length, peer) = socket.recv_from(&mut buffer)?;
    print_octets(&buffer[..length]);
    println!("from {peer}");
    socket.send_to(b"hello yourself", peer)?;
    Ok(())
}

/// A socket bound to `local`. With port 0 the kernel chooses a port, so it is printed.
fn listen(local: SocketAddrV6) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    eprintln!("listening on {}", socket.local_addr()?);
    Ok(socket)
}

/// `receive` with a path in the file system as address (AF_UNIX): datagrams between programs of one machine.
fn receive_unix(path: &str) -> io::Result<()> {
    let socket = UnixDatagram::bind(path)?;
    eprintln!("listening on {path}");
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let outcome = socket.recv(&mut buffer);
    // bind(2) made a file of type socket. It stays until somebody removes it.
    fs::remove_file(path)?;
    print_octets(&buffer[..outcome?]);
    Ok(())
}

fn send_unix(path: &str) -> io::Result<()> {
    let sent = UnixDatagram::unbound()?.send_to(b"hello", path)?;
    println!("sent {sent} octets to {path}");
    Ok(())
}

/// Prints `0x68 ('h')` for every octet, and a full stop where there is no printable character.
fn print_octets(octets: &[u8]) {
    let printable = |octet: u8| if octet == b' ' || octet.is_ascii_graphic() { octet as char } else { '.' };
    let words: Vec<String> = octets.iter().map(|&octet| format!("{octet:#04x} ('{}')", printable(octet))).collect();
    println!("received {} octets:\n{}", octets.len(), words.join(" "));
}

fn usage() -> ExitCode {
    eprintln!("usage: sending send|receive|receive-from|connected|answer IPV6-ADDRESS PORT");
    eprintln!("       sending send-unix|receive-unix PATH");
    ExitCode::from(2)
}
