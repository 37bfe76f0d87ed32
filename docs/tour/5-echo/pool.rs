//! The fourth way: threads started in advance, which take clients from a bounded queue.
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The number of clients served at once.
const THREADS: usize = 8;
/// The number of accepted clients that wait here. Others wait in the kernel's queue; if that is full, they are refused.
const QUEUE: usize = 16;

pub fn serve(listener: TcpListener) -> io::Result<()> {
    let (queue, clients) = sync_channel(QUEUE);
    let clients = Arc::new(Mutex::new(clients));
    for _ in 0..THREADS {
        let clients = Arc::clone(&clients);
        thread::Builder::new().spawn(move || work(&clients))?;
    }
    loop {
        // Blocks while the queue is full, so that no client is accepted that has no place.
        queue.send(super::accept(&listener)).map_err(io::Error::other)?;
    }
}

fn work(clients: &Mutex<Receiver<TcpStream>>) {
    loop {
        // One thread waits in recv, the others for the lock. The lock is released before the client is served.
        let next = clients.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(client) = next else { return };
        if let Err(error) = super::echo(&client) {
            eprintln!("client: {error}");
        }
    }
}
