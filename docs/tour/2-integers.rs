//! Chapter 2 of the tour: integers in a datagram, and the order of their octets. See 2-integers.md.
use std::env;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// The course's limit for a message of integers, in octets.
const MAX_MESSAGE_SIZE: usize = 1024;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, host, port, numbers @ ..] = words.as_slice() else { return usage() };
    let Ok(address) = format!("[{host}]:{port}").parse() else { return usage() };
    let Ok(mut numbers) = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<u32>, _>>() else {
        return usage();
    };
    if numbers.is_empty() {
        numbers = vec![1, 3, 5, 7, 9];
    }
    let outcome = match mode.as_str() {
        "sum-server" => serve(address, u32::from_be_bytes, |sum| sum.to_be_bytes().to_vec()),
        "text-server" => serve(address, u32::from_be_bytes, |sum| sum.to_string().into_bytes()),
        "unswapped-server" => serve(address, u32::from_ne_bytes, |sum| sum.to_ne_bytes().to_vec()),
        "ask" => ask(address, &numbers, u32::to_be_bytes, |reply| integer(reply, u32::from_be_bytes)),
        "ask-text" => ask(address, &numbers, u32::to_be_bytes, text),
        "ask-unswapped" => ask(address, &numbers, u32::to_ne_bytes, |reply| integer(reply, u32::from_ne_bytes)),
        "ask-half-swapped" => ask(address, &numbers, u32::to_be_bytes, |reply| integer(reply, u32::from_ne_bytes)),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("integers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends `numbers`, each encoded as four octets by `encode`, and prints the reply as `decode` reads it.
fn ask(
    peer: SocketAddrV6,
    numbers: &[u32],
    encode: fn(u32) -> [u8; 4],
    decode: fn(&[u8]) -> Option<String>,
) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(peer)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request: Vec<u8> = numbers.iter().flat_map(|&number| encode(number)).collect();
    println!("sent     {}", hex(&request));
    socket.send(&request)?;
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    let length = socket.recv(&mut buffer)?;
    println!("received {}", hex(&buffer[..length]));
    let result = decode(&buffer[..length]).ok_or_else(|| io::Error::other("this is not a reply to such a request"))?;
    println!("sum      {result}");
    Ok(())
}

/// Replies to every datagram with the sum of its integers, as `decode` reads them and `encode` writes the sum.
fn serve(local: SocketAddrV6, decode: fn([u8; 4]) -> u32, encode: fn(u32) -> Vec<u8>) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut buffer = [0; MAX_MESSAGE_SIZE];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let (integers, rest) = buffer[..length].as_chunks::<4>();
        println!("received {}", hex(&buffer[..length]));
        if integers.is_empty() || !rest.is_empty() {
            println!("from {peer}: {length} octets are not a list of 32-bit integers");
            continue;
        }
        // Unsigned arithmetic wraps in C. In Rust, `+` would panic here in a debug build.
        let sum = integers.iter().fold(0, |sum: u32, &octets| sum.wrapping_add(decode(octets)));
        println!("from {peer}: {} integers, sum {sum}", integers.len());
        if let Err(error) = socket.send_to(&encode(sum), peer) {
            println!("to {peer}: {error}");
        }
    }
}

fn integer(reply: &[u8], decode: fn([u8; 4]) -> u32) -> Option<String> {
    Some(decode(reply.try_into().ok()?).to_string())
}

/// Accepts one terminating NUL after the digits: C servers that use sprintf(3) often send it.
fn text(reply: &[u8]) -> Option<String> {
    let digits = reply.strip_suffix(b"\0").unwrap_or(reply);
    let number = digits.iter().all(u8::is_ascii_digit) && !digits.is_empty();
    number.then(|| String::from_utf8_lossy(digits).into_owned())
}

/// Four octets a group, as `xxd -g 4` shows them.
fn hex(octets: &[u8]) -> String {
    let group = |group: &[u8]| group.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    octets.chunks(4).map(group).collect::<Vec<_>>().join(" ")
}

fn usage() -> ExitCode {
    eprintln!("usage: integers sum-server|text-server|unswapped-server IPV6-ADDRESS PORT");
    eprintln!("       integers ask|ask-text|ask-unswapped|ask-half-swapped IPV6-ADDRESS PORT [INTEGER...]");
    ExitCode::from(2)
}
