//! Chapter 4 of the tour: commands and answers over TCP, each with its length in front. See 4-streams.md.
use std::env;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// The longest frame accepted, in octets. Without a limit, four octets from a stranger could ask for 4 GiB of memory.
const MAX_FRAME: usize = 64 * 1024;

const HELP: &str = "\
server is active.

commands:
  help  this text
  stop  the server closes this connection
quit ends the client";

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, host, port] = words.as_slice() else { return usage() };
    let Ok(port) = port.parse() else { return usage() };
    let outcome = match mode.as_str() {
        "server" => serve(host, port),
        "client" => talk(host, port),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("commands: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves one client after the other.
fn serve(host: &str, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((host, port))?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (mut client, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // The next accept may succeed; the pause avoids a busy loop when, for example, no descriptor is free.
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        println!("Connection received from {}", peer.ip());
        // An error of one client is not an error of the server.
        if let Err(error) = converse(&mut client) {
            eprintln!("{peer}: {error}");
        }
    }
}

/// Answers commands until the client says `stop` or closes the connection.
fn converse(client: &mut TcpStream) -> io::Result<()> {
    while let Some(command) = read_frame(client)? {
        match command.as_slice() {
            b"help" => write_frame(client, HELP.as_bytes())?,
            b"stop" => return write_frame(client, b"closing server connection"),
            _ => write_frame(client, b"invalid command (try help).")?,
        }
    }
    Ok(())
}

/// Reads commands from standard input, one a line, and prints the answers. `quit` is not sent.
fn talk(host: &str, port: u16) -> io::Result<()> {
    // A name may have several addresses: connect gets them from getaddrinfo(3) and tries one after the other.
    let mut server = TcpStream::connect((host, port))?;
    let prompt = || {
        if io::stdin().is_terminal() {
            print!("Enter command: ");
        }
        io::stdout().flush()
    };
    prompt()?;
    for line in io::stdin().lock().lines() {
        let command = line?;
        if command == "quit" {
            break;
        }
        write_frame(&mut server, command.as_bytes())?;
        let answer = read_frame(&mut server)?.ok_or(ErrorKind::UnexpectedEof)?;
        println!("{}", String::from_utf8_lossy(&answer));
        if command == "stop" {
            break;
        }
        prompt()?;
    }
    Ok(())
}

/// Four octets of length in network order, then the octets themselves, in one call so that they are sent together.
fn write_frame(stream: &mut impl Write, octets: &[u8]) -> io::Result<()> {
    let length = u32::try_from(octets.len()).map_err(|_| ErrorKind::InvalidInput)?;
    // write(2) may take only a part of the octets; write_all repeats it for the rest.
    stream.write_all(&[&length.to_be_bytes(), octets].concat())
}

/// The next frame, or None if the peer closed the connection between two frames.
fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    // read(2) returns what has arrived, possibly a single octet: repeat it until there are four.
    let mut filled = 0;
    while filled < length.len() {
        match stream.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::other(format!("a frame of {length} octets; at most {MAX_FRAME} are accepted")));
    }
    // read_exact is the same loop in the standard library. It reports every end of the stream as an error.
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets)?;
    Ok(Some(octets))
}

fn usage() -> ExitCode {
    eprintln!("usage: commands server|client HOST PORT");
    ExitCode::from(2)
}
