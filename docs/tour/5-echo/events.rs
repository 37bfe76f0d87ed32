//! The fifth way: one thread; the kernel says which sockets are ready (epoll(7), used through mio).
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);

pub fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut clients: HashMap<Token, Client> = HashMap::new();
    let mut last = LISTENER;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients, &mut last);
            } else if let Some(client) = clients.get_mut(&event.token())
                && client.advance().map_err(|error| eprintln!("client: {error}")) != Ok(State::Waiting)
            {
                // Dropping the client closes its socket, and closing removes it from the epoll set.
                clients.remove(&event.token());
            }
        }
    }
}

/// Accepts until no connection is waiting: epoll reports each change only once (edge-triggered).
fn accept(listener: &TcpListener, poll: &Poll, clients: &mut HashMap<Token, Client>, last: &mut Token) {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, peer)) => {
                super::print_connected(peer);
                stream
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => continue,
            // Out of descriptors, for example. The next event tries again.
            Err(error) => return eprintln!("accept: {error}"),
        };
        last.0 += 1;
        match poll.registry().register(&mut stream, *last, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => drop(clients.insert(*last, Client { stream, buffer: [0; 4096], filled: 0, written: 0 })),
            Err(error) => eprintln!("client: {error}"),
        }
    }
}

/// What a thread would keep on its stack: the socket, and the state of the echo.
struct Client {
    stream: TcpStream,
    buffer: [u8; 4096],
    filled: usize,
    written: usize,
}

#[derive(Debug, PartialEq)]
enum State {
    Waiting,
    Ended,
}

impl Client {
    /// Reads and writes until the kernel says `WouldBlock`. Reads nothing new before the last echo is written, so a
    /// client that sends and never reads fills its own queues, not our memory.
    fn advance(&mut self) -> io::Result<State> {
        loop {
            let step = if self.written < self.filled {
                self.stream.write(&self.buffer[self.written..self.filled]).map(|count| self.written += count)
            } else {
                match self.stream.read(&mut self.buffer) {
                    Ok(0) => return Ok(State::Ended),
                    outcome => outcome.map(|count| {
                        super::print_received(count);
                        (self.filled, self.written) = (count, 0);
                    }),
                }
            };
            match step {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(State::Waiting),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}
