//! The fourth way: threads made in advance, which take clients from a queue that has an end.
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// So many clients are served at once.
const THREADS: usize = 8;
/// So many more are accepted and wait here; the rest wait in the kernel, and after that are turned away there.
const QUEUE: usize = 16;

pub fn serve(listener: TcpListener) -> io::Result<()> {
    let (queue, clients) = sync_channel(QUEUE);
    let clients = Arc::new(Mutex::new(clients));
    for _ in 0..THREADS {
        let clients = Arc::clone(&clients);
        thread::Builder::new().spawn(move || work(&clients))?;
    }
    loop {
        // Blocks while the queue is full: nothing is accepted that nobody can take on.
        queue.send(super::accept(&listener)).map_err(io::Error::other)?;
    }
}

fn work(clients: &Mutex<Receiver<TcpStream>>) {
    loop {
        // One thread waits in recv, the others for the lock; it is free again before the client is served.
        let next = clients.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(client) = next else { return };
        if let Err(error) = super::echo(&client) {
            eprintln!("client: {error}");
        }
    }
}
