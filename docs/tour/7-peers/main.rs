//! Chapter 7 of the tour: peers that exchange a file in chunks. The page ../7-peers.md explains it.
mod fetch;
mod serve;
mod sidecar;
mod store;
mod tracker;

use std::env;
use std::io::{self, BufRead, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

use store::Store;

/// A peer that is silent for this long is given up, so that nobody can keep our threads busy for ever.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Much less than the time after which a tracker forgets a peer.
const REGISTER_EVERY: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["tracker", host, port] => tracker(host, port),
        ["describe", file] => sidecar::describe(Path::new(file)).map(|id| println!("{id}")),
        ["share", host, port, sidecar] => peer(host, port, Path::new(sidecar), true),
        ["fetch", host, port, sidecar] => peer(host, port, Path::new(sidecar), false),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tracker(host: &str, port: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address(host, port)?)?;
    eprintln!("listening on {}", listener.local_addr()?);
    tracker::serve(&listener);
}

/// Serves the chunks that we have and fetches those that we lack. Then it stays for the other peers, or ends.
fn peer(host: &str, port: &str, sidecar: &Path, stay: bool) -> io::Result<()> {
    let store = Arc::new(Store::open(sidecar)?);
    let tracker = address(host, port)?;
    // The address by which the tracker sees us is one by which other peers can reach us.
    let listener = TcpListener::bind((TcpStream::connect(tracker)?.local_addr()?.ip(), 0))?;
    let port = listener.local_addr()?.port();
    let own = tracker::register(tracker, store.id(), port)?;
    let (here, all) = store.count();
    eprintln!("listening on {own}");
    eprintln!("{here} of {all} chunks are here");

    let shared = Arc::clone(&store);
    thread::spawn(move || serve::serve(&listener, &shared));
    let id = store.id().to_owned();
    thread::spawn(move || {
        loop {
            thread::sleep(REGISTER_EVERY);
            if let Err(error) = tracker::register(tracker, &id, port) {
                eprintln!("tracker: {error}");
            }
        }
    });
    fetch::fetch(&store, tracker, own);
    println!("complete");
    if stay {
        // Nothing unparks this thread, but park may return without a reason.
        loop {
            thread::park();
        }
    }
    Ok(())
}

fn address(host: &str, port: &str) -> io::Result<SocketAddr> {
    let port: u16 = port.parse().map_err(|_| io::Error::other(format!("\"{port}\" is not a port from 0 to 65535")))?;
    (host, port).to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into())
}

/// The next line without its end, or none at the end of the stream. A line longer than `limit` octets is an error.
fn read_line(reader: &mut impl BufRead, limit: usize) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.by_ref().take(limit as u64 + 1).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    match line.strip_suffix('\n') {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(io::Error::other("a line without an end, or too long")),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: peers tracker HOST PORT");
    eprintln!("       peers describe FILE");
    eprintln!("       peers share|fetch TRACKER-HOST TRACKER-PORT FILE.chunks");
    ExitCode::from(2)
}
