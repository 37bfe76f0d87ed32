//! A peer as a client: a thread for each other peer. All threads take chunks from the same list.
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::store::Store;
use super::{TIMEOUT, read_line, tracker};

/// The most peers to fetch from at once.
const MAX_SOURCES: usize = 8;
/// How long to wait before the tracker, or a peer without news, is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait before a peer that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How the exchange with a peer ended.
enum End {
    /// All chunks are here, or the connection failed.
    Parted(io::Result<()>),
    /// It sent something else than the chunk: it is not asked again.
    Lied(usize),
}

/// Fetches chunks from the peers that the tracker lists, until the file is complete.
pub fn fetch(store: &Arc<Store>, tracker: SocketAddr, own: SocketAddr) {
    let mut sources: HashMap<SocketAddr, JoinHandle<End>> = HashMap::new();
    // When a peer may be asked again; None: never.
    let mut avoided: HashMap<SocketAddr, Option<Instant>> = HashMap::new();
    while !is_complete(store) {
        let over: Vec<SocketAddr> = sources.iter().filter(|(_, t)| t.is_finished()).map(|(&peer, _)| peer).collect();
        for peer in over {
            let until = match sources.remove(&peer).map(JoinHandle::join) {
                Some(Ok(End::Lied(index))) => {
                    println!("chunk {index} from {peer} is not what the sidecar says: no more from there");
                    None
                }
                Some(Ok(End::Parted(Err(error)))) => {
                    eprintln!("{peer}: {error}");
                    Some(Instant::now() + RETRY)
                }
                _ => Some(Instant::now() + RETRY),
            };
            avoided.insert(peer, until);
        }
        let peers = tracker::list(tracker, store.id(), own.port()).unwrap_or_else(|error| {
            eprintln!("tracker: {error}");
            Vec::new()
        });
        for peer in peers {
            let may = avoided.get(&peer).is_none_or(|until| until.is_some_and(|until| until < Instant::now()));
            if peer != own && may && sources.len() < MAX_SOURCES && !sources.contains_key(&peer) {
                let store = Arc::clone(store);
                sources.insert(peer, thread::spawn(move || fetch_from(peer, &store)));
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Takes from one peer whatever it has and we lack, until we lack nothing.
fn fetch_from(peer: SocketAddr, store: &Store) -> End {
    let converse = || -> io::Result<Option<usize>> {
        let mut stream = TcpStream::connect_timeout(&peer, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        while !is_complete(store) {
            stream.write_all(format!("have {}\n", store.id()).as_bytes())?;
            let line = read_line(&mut answers, store.count().1 + 8)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let Some(bitmap) = line.strip_prefix("have ") else {
                return Err(io::Error::other("it does not have this file"));
            };
            while let Some(claim) = store.claim(bitmap) {
                stream.write_all(format!("get {} {}\n", store.id(), claim.index).as_bytes())?;
                let line = read_line(&mut answers, 32)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                if line != format!("chunk {}", claim.length()) {
                    return Err(io::Error::other("it does not send a chunk that it said it has"));
                }
                let mut octets = vec![0; claim.length()];
                answers.read_exact(&mut octets)?;
                let index = claim.index;
                if !claim.fulfil(&octets)? {
                    return Ok(Some(index));
                }
                println!("chunk {index} from {peer}");
            }
            thread::sleep(PAUSE);
        }
        Ok(None)
    };
    match converse() {
        Ok(Some(index)) => End::Lied(index),
        Ok(None) => End::Parted(Ok(())),
        Err(error) => End::Parted(Err(error)),
    }
}

fn is_complete(store: &Store) -> bool {
    let (here, all) = store.count();
    here == all
}
