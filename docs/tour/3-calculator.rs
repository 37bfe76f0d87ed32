//! Chapter 3 of the tour: the calculator's classic protocol in one file that does not use this crate. See 3-calculator.md.
use std::env;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// A header octet and up to 64 operands of 4 octets.
const MAX_REQUEST: usize = 1 + 4 * 64;
/// A header octet and up to 256 octets of result.
const MAX_REPLY: usize = 1 + 256;
/// The first octet of our replies: S and seven ones. It tells a server that the datagram is a reply.
const SUCCESS: u8 = 0xff;
const ERROR: u8 = 0x7f;

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["server", host, port] => match address(host, port) {
            Some(local) => serve(local),
            None => return usage(),
        },
        [symbol @ ("+" | "*"), format @ ("-d" | "-s"), host, port, _, ..] => {
            let operands: Result<Vec<u32>, _> = words[4..].iter().map(|word| word.parse()).collect();
            match (address(host, port), operands) {
                (Some(peer), Ok(operands)) if operands.len() <= 64 => ask(peer, symbol, format == "-s", &operands),
                _ => return usage(),
            }
        }
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("calculator: {error}");
            ExitCode::FAILURE
        }
    }
}

// The client: one request, one reply.

fn ask(peer: SocketAddrV6, symbol: &str, as_text: bool, operands: &[u32]) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(peer)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let opcode = if symbol == "*" { 1 } else { 0 };
    let mut request = vec![opcode << 1 | u8::from(as_text)];
    request.extend(operands.iter().flat_map(|operand| operand.to_be_bytes()));
    socket.send(&request)?;
    let mut reply = [0; MAX_REPLY];
    let length = socket.recv(&mut reply)?;
    println!("Result: {}", result(&reply[..length], as_text)?);
    Ok(())
}

/// The reply's payload as decimal digits. Of the first octet only the first bit counts.
fn result(reply: &[u8], as_text: bool) -> io::Result<String> {
    match reply {
        [status, ..] if status & 0x80 == 0 => Err(io::Error::other("the server replied with an error")),
        [_, digits @ ..] if as_text && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Ok(digits.iter().map(|&digit| digit as char).collect())
        }
        &[_, a, b, c, d] if !as_text => Ok(u32::from_be_bytes([a, b, c, d]).to_string()),
        _ => Err(io::Error::other("this is not a reply to such a request")),
    }
}

// The server: one datagram in, at most one out.

fn serve(local: SocketAddrV6) -> io::Result<()> {
    let socket = UdpSocket::bind(local)?;
    eprintln!("listening on {}", socket.local_addr()?);
    // One octet more than the longest request, so that a longer one is recognised.
    let mut buffer = [0; MAX_REQUEST + 1];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let Some(reply) = reply(&buffer[..length]) else { continue };
        if let Err(error) = socket.send_to(&reply, peer) {
            eprintln!("to {peer}: {error}");
        }
    }
}

/// The reply to `request`; None for a reply and for anything but 1 to 64 operands.
fn reply(request: &[u8]) -> Option<Vec<u8>> {
    let (&header, payload) = request.split_first()?;
    let (operands, rest) = payload.as_chunks::<4>();
    if header == SUCCESS || header == ERROR || operands.is_empty() || !rest.is_empty() || request.len() > MAX_REQUEST {
        return None;
    }
    let operands = operands.iter().map(|&octets| u32::from_be_bytes(octets));
    let number = match header >> 1 & 0b111 {
        0 => operands.fold(vec![0], |number, operand| multiply_add(number, 1, operand)),
        1 => operands.fold(vec![1], |number, operand| multiply_add(number, operand, 0)),
        _ => return Some(vec![ERROR]),
    };
    // An integer has room for 32 bits and a string for 256 digits: beyond that an error, never a wrong number.
    let digits = digits(&number);
    let payload = match (header & 1, digits.parse::<u32>()) {
        (0, Ok(integer)) => integer.to_be_bytes().to_vec(),
        (1, _) if digits.len() < MAX_REPLY => digits.into_bytes(),
        _ => return Some(vec![ERROR]),
    };
    Some([&[SUCCESS], &payload[..]].concat())
}

/// `number * factor + term`. A number is a list of digits in base 10^9, least significant first.
fn multiply_add(mut number: Vec<u32>, factor: u32, term: u32) -> Vec<u32> {
    let mut carry = u64::from(term);
    for digit in &mut number {
        carry += u64::from(*digit) * u64::from(factor);
        *digit = (carry % 1_000_000_000) as u32;
        carry /= 1_000_000_000;
    }
    while carry > 0 {
        number.push((carry % 1_000_000_000) as u32);
        carry /= 1_000_000_000;
    }
    number
}

fn digits(number: &[u32]) -> String {
    let all: String = number.iter().rev().map(|digit| format!("{digit:09}")).collect();
    let significant = all.trim_start_matches('0');
    if significant.is_empty() { "0".into() } else { significant.into() }
}

fn address(host: &str, port: &str) -> Option<SocketAddrV6> {
    format!("[{host}]:{port}").parse().ok()
}

fn usage() -> ExitCode {
    eprintln!("usage: calculator server IPV6-ADDRESS PORT");
    eprintln!("       calculator +|* -d|-s IPV6-ADDRESS PORT OPERAND...");
    ExitCode::from(2)
}
