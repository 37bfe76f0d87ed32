//! A peer as a server: says which chunks it has and sends them, to several other peers at once.
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::store::Store;
use super::{TIMEOUT, read_line};

/// The most peers served at once.
const MAX_CLIENTS: usize = 32;

pub fn serve(listener: &TcpListener, store: &Arc<Store>) {
    // Each thread holds a token, so that the number of tokens is the number of threads.
    let tokens = Arc::new(());
    for client in listener.incoming() {
        if Arc::strong_count(&tokens) > MAX_CLIENTS {
            continue;
        }
        let (store, token) = (Arc::clone(store), Arc::clone(&tokens));
        let answer_and_end = |client: TcpStream| {
            thread::Builder::new().spawn(move || {
                let outcome = answer(&client, &store);
                drop(token);
                outcome
            })
        };
        let served = client.and_then(answer_and_end);
        if let Err(error) = served {
            eprintln!("serving: {error}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Answers one request after the other until the client closes the connection.
fn answer(mut client: &TcpStream, store: &Store) -> io::Result<()> {
    client.set_read_timeout(Some(TIMEOUT))?;
    client.set_write_timeout(Some(TIMEOUT))?;
    let mut requests = BufReader::new(client);
    while let Some(line) = read_line(&mut requests, 128)? {
        let words: Vec<&str> = line.split(' ').collect();
        let chunk = match words[..] {
            ["have", id] if id == store.id() => {
                client.write_all(format!("have {}\n", store.bitmap()).as_bytes())?;
                continue;
            }
            ["get", id, index] if id == store.id() => index.parse().ok().and_then(|index| store.read(index)),
            _ => None,
        };
        match chunk {
            Some(octets) => {
                let octets = octets?;
                client.write_all(&[format!("chunk {}\n", octets.len()).as_bytes(), &octets].concat())?;
            }
            None => client.write_all(b"error\n")?,
        }
    }
    Ok(())
}
