//! The tracker: it knows who has registered for a file, and never sees the file. At the end: what peers ask of it.
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{TIMEOUT, read_line};

/// A peer that has not registered again within this time is forgotten.
const LIFETIME: Duration = Duration::from_secs(60);
/// The most peers and files that are remembered, whoever asks.
const MAX_PEERS: usize = 100;
const MAX_FILES: usize = 1000;

/// The last time each peer of each file was heard of.
type Files = HashMap<String, HashMap<SocketAddr, Instant>>;

pub fn serve(listener: &TcpListener) -> ! {
    let files = Arc::new(Mutex::new(Files::new()));
    loop {
        let (client, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // The next accept may succeed; the pause avoids a busy loop when, for example, no descriptor is free.
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        let files = Arc::clone(&files);
        let answered = thread::Builder::new().spawn(move || {
            if let Err(error) = answer(&client, peer, &files) {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = answered {
            eprintln!("{peer}: {error}");
        }
    }
}

/// One request, one answer.
fn answer(mut client: &TcpStream, peer: SocketAddr, files: &Mutex<Files>) -> io::Result<()> {
    client.set_read_timeout(Some(TIMEOUT))?;
    client.set_write_timeout(Some(TIMEOUT))?;
    let Some(line) = read_line(&mut BufReader::new(client), 128)? else { return Ok(()) };
    let answer = match line.split(' ').collect::<Vec<_>>()[..] {
        ["register", id, port] if is_id(id) => match port.parse() {
            Ok(port) => {
                let peer = (peer.ip(), port).into();
                match enrol(&mut files.lock().unwrap_or_else(PoisonError::into_inner), id, peer) {
                    true => format!("registered {peer}\n"),
                    false => "error\n".to_owned(),
                }
            }
            Err(_) => "error\n".to_owned(),
        },
        ["list", id] if is_id(id) => list_of(&files.lock().unwrap_or_else(PoisonError::into_inner), id),
        // With a port, asking for the list also enrols.
        ["list", id, port] if is_id(id) => match port.parse() {
            Ok(port) => {
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                match enrol(&mut files, id, (peer.ip(), port).into()) {
                    true => list_of(&files, id),
                    false => "error\n".to_owned(),
                }
            }
            Err(_) => "error\n".to_owned(),
        },
        _ => "error\n".to_owned(),
    };
    client.write_all(answer.as_bytes())
}

/// Notes a peer of a file. False if there is no room.
fn enrol(files: &mut Files, id: &str, peer: SocketAddr) -> bool {
    files.retain(|_, peers| {
        peers.retain(|_, heard| heard.elapsed() < LIFETIME);
        !peers.is_empty()
    });
    if files.len() >= MAX_FILES && !files.contains_key(id) {
        return false;
    }
    let peers = files.entry(id.to_owned()).or_default();
    if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
        return false;
    }
    peers.insert(peer, Instant::now());
    true
}

fn list_of(files: &Files, id: &str) -> String {
    let peers = files.get(id).into_iter().flatten().filter(|(_, heard)| heard.elapsed() < LIFETIME);
    peers.map(|(peer, _)| format!("{peer}\n")).collect()
}

fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Registers us for a file, and returns the address by which others know us.
pub fn register(tracker: SocketAddr, id: &str, port: u16) -> io::Result<SocketAddr> {
    let answer = ask(tracker, &format!("register {id} {port}\n"))?;
    let address = answer.strip_prefix("registered ").and_then(|rest| rest.trim_end().parse().ok());
    address.ok_or_else(|| io::Error::other("the tracker did not register us"))
}

/// The peers of a file. The tracker enrols us at the same time.
pub fn list(tracker: SocketAddr, id: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let answer = ask(tracker, &format!("list {id} {port}\n"))?;
    Ok(answer.lines().filter_map(|line| line.parse().ok()).collect())
}

fn ask(tracker: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&tracker, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(64 * MAX_PEERS as u64).read_to_string(&mut answer)?;
    Ok(answer)
}
