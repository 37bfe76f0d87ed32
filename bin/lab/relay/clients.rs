//! The clients that the relay knows, each with its own socket towards the server.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use calc6::net::{Local, Segmentation};
use mio::{Registry, Token};

use super::port::RelayPort;

/// The clients, by number and by address.
pub struct Clients {
    registry: Registry,
    server: SocketAddrV6,
    segmentation: Segmentation,
    most: usize,
    idle: Duration,
    clients: HashMap<u64, Client>,
    numbers: HashMap<SocketAddrV6, u64>,
    next: u64,
}

/// A client.
pub struct Client {
    /// Where its replies are sent.
    pub address: SocketAddrV6,
    /// The address of this machine that the client sent to; its replies leave from this address.
    pub asked: Option<Local>,
    /// Connected to the server: the kernel delivers only the server's datagrams.
    pub upstream: RelayPort,
    /// When a datagram from it or for it last arrived.
    pub last_heard: Duration,
}

impl Clients {
    /// Tokens from this one on belong to clients, by their numbers.
    pub const FIRST_TOKEN: usize = 2;

    /// No clients yet, and at most `most` at the same time. A client that has been silent for `idle` may be forgotten.
    pub fn new(
        registry: Registry,
        server: SocketAddrV6,
        segmentation: Segmentation,
        most: usize,
        idle: Duration,
    ) -> Self {
        let (clients, numbers) = (HashMap::new(), HashMap::new());
        Self { registry, server, segmentation, most, idle, clients, numbers, next: 0 }
    }

    /// The token of a client's socket.
    pub fn token(number: u64) -> Token {
        Token(Self::FIRST_TOKEN + number as usize)
    }

    /// The number of the client whose socket has this token.
    pub fn number(token: Token) -> u64 {
        (token.0 - Self::FIRST_TOKEN) as u64
    }

    /// How many there have been.
    pub fn seen(&self) -> u64 {
        self.next
    }

    /// A client by its number, if it has not been forgotten.
    pub fn get(&self, number: u64) -> Option<&Client> {
        self.clients.get(&number)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Client> {
        self.clients.get_mut(&number)
    }

    /// Whether there is room for another one.
    pub fn has_room(&self) -> bool {
        self.clients.len() < self.most
    }

    /// The number of the client at `address`, if it is known.
    pub fn known(&self, address: SocketAddrV6) -> Option<u64> {
        self.numbers.get(&address).copied()
    }

    /// The number of a new client at `address`, with a socket towards the server.
    ///
    /// # Errors
    /// Those of opening the socket.
    pub fn add(&mut self, address: SocketAddrV6, now: Duration) -> io::Result<u64> {
        let number = self.next;
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
        let upstream = RelayPort::open(any, Some(self.server), self.segmentation, &self.registry, Self::token(number))?;
        self.next += 1;
        self.numbers.insert(address, number);
        self.clients.insert(number, Client { address, asked: None, upstream, last_heard: now });
        Ok(number)
    }

    /// Forgets the clients that have been silent long enough and are not `busy`; returns their numbers.
    pub fn forget_idle(&mut self, now: Duration, busy: &HashSet<u64>) -> Vec<u64> {
        let silent = |(number, client): (&u64, &Client)| {
            (now.saturating_sub(client.last_heard) >= self.idle && !busy.contains(number)).then_some(*number)
        };
        let silent: Vec<u64> = self.clients.iter().filter_map(silent).collect();
        for number in &silent {
            if let Some(client) = self.clients.remove(number) {
                self.numbers.remove(&client.address);
            }
        }
        silent
    }
}
