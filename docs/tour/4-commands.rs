//! Chapter 4 of the tour: commands and answers over TCP, each with its length before it. See 4-streams.md.
use std::env;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// The longest frame that we accept, in octets. Without a limit a stranger's four octets could ask for 4 GiB of memory.
const MAX_FRAME: usize = 64 * 1024;

fn main() -> ExitCode {
    // As in C, a program ends when nobody reads what it prints (`| head -1`); Rust's ignore SIGPIPE, and panic.
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

/// Serves one client after the other until one of them says `stop`.
fn serve(host: &str, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((host, port))?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (mut client, peer) = listener.accept()?;
        match converse(&mut client) {
            Ok(Verdict::Stop) => return Ok(()),
            Ok(Verdict::NextClient) => eprintln!("{peer} has left"),
            // One client's trouble is not the others'.
            Err(error) => eprintln!("{peer}: {error}"),
        }
    }
}

enum Verdict {
    NextClient,
    Stop,
}

fn converse(client: &mut TcpStream) -> io::Result<Verdict> {
    while let Some(command) = read_frame(client)? {
        match command.as_slice() {
            b"help" => write_frame(client, b"commands: help, stop; quit ends the client")?,
            b"stop" => {
                write_frame(client, b"the server stops")?;
                return Ok(Verdict::Stop);
            }
            _ => write_frame(client, b"invalid command")?,
        }
    }
    Ok(Verdict::NextClient)
}

/// Reads commands from standard input, one a line, and prints the answers. `quit` is between us and the user.
fn talk(host: &str, port: u16) -> io::Result<()> {
    // A name may have several addresses: getaddrinfo(3) lists them, and connect tries them in turn.
    let mut server = TcpStream::connect((host, port))?;
    for line in io::stdin().lock().lines() {
        let command = line?;
        if command == "quit" {
            break;
        }
        write_frame(&mut server, command.as_bytes())?;
        let answer = read_frame(&mut server)?.ok_or(ErrorKind::UnexpectedEof)?;
        println!("{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

/// Four octets of length in network order, then the octets themselves, in one buffer so that they leave together.
fn write_frame(stream: &mut impl Write, octets: &[u8]) -> io::Result<()> {
    let length = u32::try_from(octets.len()).map_err(|_| ErrorKind::InvalidInput)?;
    // write(2) may take only a part; write_all comes back with the rest until all is taken.
    stream.write_all(&[&length.to_be_bytes(), octets].concat())
}

/// The next frame, or none where the peer closed the connection between two frames.
fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    // read(2) gives what is there, be it one octet: read on until the four are complete.
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
    // read_exact is that loop in the standard library, but takes every end for an error.
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets)?;
    Ok(Some(octets))
}

fn usage() -> ExitCode {
    eprintln!("usage: commands server|client HOST PORT");
    ExitCode::from(2)
}
