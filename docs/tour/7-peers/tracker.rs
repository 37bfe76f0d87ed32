//! The tracker: who has registered for a file. It never sees the file. Below, what peers ask of it.
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{TIMEOUT, read_line};

/// A peer that has not registered again by then has gone.
const LIFETIME: Duration = Duration::from_secs(60);
/// So many peers and files are remembered, and no more, whoever asks.
const MAX_PEERS: usize = 100;
const MAX_FILES: usize = 1000;

/// When each peer of each file was last heard of.
type Files = HashMap<String, HashMap<SocketAddr, Instant>>;

pub fn serve(listener: &TcpListener) -> io::Result<()> {
    let files = Arc::new(Mutex::new(Files::new()));
    loop {
        let (client, peer) = listener.accept()?;
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
            Ok(port) => enter(&mut files.lock().unwrap_or_else(PoisonError::into_inner), id, (peer.ip(), port).into()),
            Err(_) => "error\n".to_owned(),
        },
        ["list", id] => {
            let files = files.lock().unwrap_or_else(PoisonError::into_inner);
            let peers = files.get(id).into_iter().flatten().filter(|(_, heard)| heard.elapsed() < LIFETIME);
            peers.map(|(peer, _)| format!("{peer}\n")).collect()
        }
        _ => "error\n".to_owned(),
    };
    client.write_all(answer.as_bytes())
}

fn enter(files: &mut Files, id: &str, peer: SocketAddr) -> String {
    files.retain(|_, peers| {
        peers.retain(|_, heard| heard.elapsed() < LIFETIME);
        !peers.is_empty()
    });
    if files.len() >= MAX_FILES && !files.contains_key(id) {
        return "error\n".to_owned();
    }
    let peers = files.entry(id.to_owned()).or_default();
    if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
        return "error\n".to_owned();
    }
    peers.insert(peer, Instant::now());
    format!("registered {peer}\n")
}

fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Registers us for a file, and returns the address by which others know us.
pub fn register(tracker: SocketAddr, id: &str, port: u16) -> io::Result<SocketAddr> {
    let answer = ask(tracker, &format!("register {id} {port}\n"))?;
    let address = answer.strip_prefix("registered ").and_then(|rest| rest.trim_end().parse().ok());
    address.ok_or_else(|| io::Error::other("the tracker does not register us"))
}

/// Who has registered for a file.
pub fn list(tracker: SocketAddr, id: &str) -> io::Result<Vec<SocketAddr>> {
    let answer = ask(tracker, &format!("list {id}\n"))?;
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
