//! Chapter 5 of the tour: one echo service, five ways. The page ../5-echo.md explains it.
mod events;
mod iterative;
mod pool;
mod processes;
mod threads;

use std::env;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Write};
use std::net::{SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;
use socket2::{Domain, Socket, Type};

/// With `-q` nothing is printed for each client and each read, as a measurement needs it.
static QUIET: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let mut words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "-q") {
        QUIET.store(true, Ordering::Relaxed);
        words.remove(0);
    }
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

/// A listening socket, made with socket2 because std fixes the backlog at 128: 1,000 clients may connect at once.
fn listen(address: SocketAddrV6) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    let listener = TcpListener::from(socket);
    eprintln!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// The next client. After a failed accept(2) it tries again: other clients may still be accepted.
fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept() {
            Ok((client, peer)) => {
                print_connected(peer);
                return client;
            }
            Err(error) => {
                eprintln!("accept: {error}");
                // The usual reason is that no descriptor is free. The pause avoids a busy loop.
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Used by four of the five ways: sends back everything that the client sends, until it has closed its direction.
fn echo(mut client: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                print_received(length);
                client.write_all(&buffer[..length])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn print_connected(peer: SocketAddr) {
    if !QUIET.load(Ordering::Relaxed) {
        println!("Connected to ({}, {})", peer.ip(), peer.port());
    }
}

fn print_received(length: usize) {
    if !QUIET.load(Ordering::Relaxed) {
        println!("server received {length} bytes");
    }
}

/// The client for all five: sends the lines of standard input, prints what returns and how long that took.
fn talk(address: SocketAddrV6) -> io::Result<()> {
    let mut server = TcpStream::connect(address)?;
    println!("connected to {address}");
    server.set_read_timeout(Some(Duration::from_secs(1)))?;
    prompt()?;
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
        prompt()?;
    }
    Ok(())
}

fn prompt() -> io::Result<()> {
    if io::stdin().is_terminal() {
        print!("> ");
    }
    io::stdout().flush()
}

fn usage() -> ExitCode {
    eprintln!("usage: echo [-q] iterative|processes|threads|pool|events IPV6-ADDRESS PORT");
    eprintln!("       echo client IPV6-ADDRESS PORT");
    ExitCode::from(2)
}
