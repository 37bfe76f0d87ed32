//! Chapter 4 of the tour: names and addresses, one message each way, and a caller that is told when it called.
//! The page beside this file: 4-streams.md.
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// The longest message or line that a server here reads, in octets.
const MAX_MESSAGE: u64 = 255;

fn main() -> ExitCode {
    // As in C, a program ends when nobody reads what it prints (`| head -1`); Rust's ignore SIGPIPE, and panic.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, host, port, text @ ..] = words.as_slice() else { return usage() };
    let Ok(port) = port.parse() else { return usage() };
    let outcome = match (mode.as_str(), text) {
        ("lookup", []) => lookup(host, port),
        ("listen", []) => serve(host, port, take_message),
        ("say", [message]) => say(host, port, message),
        ("host", []) => serve(host, port, take_call),
        ("call", [greeting]) => call(host, port, greeting),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("messages: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every address that getaddrinfo(3) knows for `host`, in the order in which to try them (RFC 6724).
fn lookup(host: &str, port: u16) -> io::Result<()> {
    for address in (host, port).to_socket_addrs()? {
        println!("{address}");
    }
    Ok(())
}

fn serve(host: &str, port: u16, take: fn(&mut TcpStream) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind((host, port))?;
    eprintln!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        if let Err(error) = client.and_then(|mut client| take(&mut client)) {
            eprintln!("messages: {error}");
        }
    }
    Ok(())
}

// One message each way. The end of the stream is the end of the message, so nothing else must mark it.

fn take_message(client: &mut TcpStream) -> io::Result<()> {
    let mut message = Vec::new();
    client.take(MAX_MESSAGE).read_to_end(&mut message)?;
    println!("Here is the message: {}", String::from_utf8_lossy(&message));
    client.write_all(b"I got your message")
}

fn say(host: &str, port: u16, message: &str) -> io::Result<()> {
    let mut server = TcpStream::connect((host, port))?;
    server.write_all(message.as_bytes())?;
    // Closes only our direction: the server reads to the end and can still answer.
    server.shutdown(Shutdown::Write)?;
    println!("{}", io::read_to_string(&mut server)?);
    Ok(())
}

// The caller: two lines, the time in seconds since 1970 and a greeting; three lines come back.

fn call(host: &str, port: u16, greeting: &str) -> io::Result<()> {
    let mut server = TcpStream::connect((host, port))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    server.write_all(format!("{now}\n{greeting}\n").as_bytes())?;
    print!("{}", io::read_to_string(&mut server)?);
    Ok(())
}

fn take_call(client: &mut TcpStream) -> io::Result<()> {
    let peer = client.peer_addr()?;
    let mut lines = BufReader::new(client.take(MAX_MESSAGE)).lines();
    let mut line = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let (time, greeting) = (line()?, line()?);
    let seconds: u64 = time.parse().map_err(|_| io::Error::other(format!("\"{time}\" is no time")))?;
    println!("{peer} says: {greeting}");
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let answer = format!("You are {peer}\nYou called at {hours:02}:{minutes:02}:{seconds:02} UTC\nBye\n");
    client.write_all(answer.as_bytes())
}

fn usage() -> ExitCode {
    eprintln!("usage: messages lookup|listen|host HOST PORT");
    eprintln!("       messages say|call HOST PORT TEXT");
    ExitCode::from(2)
}
