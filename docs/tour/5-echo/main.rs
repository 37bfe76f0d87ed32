//! Chapter 5 of the tour: one echo service, five ways. The page beside this folder explains them: ../5-echo.md.
mod events;
mod iterative;
mod pool;
mod processes;
mod threads;

use std::env;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddrV6, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    // As in C, a program ends when nobody reads what it prints (`| head -1`); Rust's ignore SIGPIPE, and panic.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["child"] => processes::child(),
        [mode, host, port] => {
            let Ok(address) = format!("[{host}]:{port}").parse() else { return usage() };
            match mode {
                "iterative" => listen(address).and_then(iterative::serve),
                "processes" => listen(address).and_then(processes::serve),
                "threads" => listen(address).and_then(threads::serve),
                "pool" => listen(address).and_then(pool::serve),
                "events" => listen(address).and_then(events::serve),
                "client" => talk(address),
                _ => return usage(),
            }
        }
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A listening socket. socket2 instead of std for the backlog: 1,000 callers may come at once, and std asks for 128.
fn listen(address: SocketAddrV6) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    let listener = TcpListener::from(socket);
    eprintln!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// The next client. A failed accept(2) is no reason to leave the others alone: it is said, and tried again.
fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept() {
            Ok((client, _)) => return client,
            Err(error) => {
                eprintln!("accept: {error}");
                // Out of descriptors, most likely: without a pause this loop would do nothing but fail.
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// What four of the five ways do with a client: everything that comes goes back, until the client has said its last.
fn echo(mut client: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => client.write_all(&buffer[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same client for all five: sends the lines of standard input, shows what returns and how long that took.
fn talk(address: SocketAddrV6) -> io::Result<()> {
    let mut server = TcpStream::connect(address)?;
    println!("connected to {address}");
    server.set_read_timeout(Some(Duration::from_secs(1)))?;
    for line in io::stdin().lock().lines() {
        let line = line? + "\n";
        let begun = Instant::now();
        server.write_all(line.as_bytes())?;
        let mut back = vec![0; line.len()];
        let mut filled = 0;
        while filled < back.len() {
            match server.read(&mut back[filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    println!("waiting for {} s", begun.elapsed().as_secs());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        print!("{} ms: {}", begun.elapsed().as_millis(), String::from_utf8_lossy(&back));
    }
    Ok(())
}

fn usage() -> ExitCode {
    eprintln!("usage: echo iterative|processes|threads|pool|events IPV6-ADDRESS PORT");
    eprintln!("       echo client IPV6-ADDRESS PORT");
    ExitCode::from(2)
}
