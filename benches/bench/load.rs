//! A closed loop of requests: a fixed number in flight, replies answered by the next requests.
#![allow(dead_code, reason = "each benchmark and test uses its part")]

use std::io;
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use calc6::net::wait::{AsFd, wait};
use calc6::net::{ReceiveBatch, Segmentation, SendBatch, Socket, SocketOptions, Wait, bind_group};
use calc6::wire::ESCAPE_OPCODE;

/// Sockets, requests in flight on each, and how they are sent.
#[derive(Clone, Copy)]
pub struct LoadShape {
    pub sockets: usize,
    pub window: usize,
    pub segmentation: Segmentation,
    pub pace: Pace,
    pub idle: Idle,
}

/// What a load does while no reply is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Sleeps until a reply arrives, as ordinary clients do.
    Sleep,
    /// Looks again at once: replies are taken one by one as they come, and the requests after them are sent so.
    Spin,
}

/// When a socket sends again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One request for each reply, at once.
    Sliding,
    /// A whole window, when all replies to the last one have come.
    Bursts,
}

/// A load on one server. Run it on a processor that the server does not use.
pub struct Load {
    connections: Vec<Connection>,
    server: SocketAddrV6,
    /// Twice the same, but for an unused bit of the classic form: a server's guard against loops drops one of very many
    /// identical requests.
    requests: [Vec<u8>; 2],
    window: usize,
    pace: Pace,
    idle: Idle,
    /// Requests without a reply, as far as none was lost.
    in_flight: u64,
}

struct Connection {
    socket: Socket,
    requests: SendBatch,
    /// Which of the load's two requests is next.
    turn: bool,
    replies: ReceiveBatch,
    /// Replies that no request has followed yet.
    owed: usize,
}

/// The counts of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Replies received.
    pub replies: u64,
    /// Windows that were sent again because no reply had arrived for a while: datagrams were lost.
    pub stalls: u64,
}

impl Load {
    /// Sockets bound to `from`, each keeping a window of copies of `request` on their way to `server`.
    pub fn new(from: SocketAddrV6, server: SocketAddrV6, request: &[u8], shape: LoadShape) -> io::Result<Load> {
        let LoadShape { sockets, window, segmentation, pace, idle } = shape;
        let options = SocketOptions::default().with_packet_info(false).with_segmentation(segmentation);
        let connection = |_| {
            let socket = bind_group(from, 1, &options)?.remove(0);
            let requests = SendBatch::new(window, request.len(), socket.capabilities().segmentation);
            let replies = ReceiveBatch::new(window, 4096, socket.capabilities());
            Ok(Connection { socket, requests, turn: false, replies, owed: 0 })
        };
        let connections = (0..sockets).map(connection).collect::<io::Result<_>>()?;
        let mut other = request.to_vec();
        if let Some(first) = other.first_mut().filter(|first| **first >> 1 & 7 != ESCAPE_OPCODE) {
            *first ^= UNUSED_BIT;
        }
        Ok(Load { connections, server, requests: [request.to_vec(), other], window, pace, idle, in_flight: 0 })
    }

    /// Runs for `time`, and then lets what is in flight arrive.
    pub fn run(&mut self, time: Duration) -> Outcome {
        let mut outcome = Outcome { replies: 0, stalls: 0 };
        let begun = Instant::now();
        let mut last_reply = begun;
        self.fill();
        while begun.elapsed() < time {
            let replies = self.turn(true);
            outcome.replies += replies;
            if replies > 0 {
                last_reply = Instant::now();
            } else if last_reply.elapsed() > STALL {
                outcome.stalls += 1;
                self.fill();
                last_reply = Instant::now();
            } else if self.idle == Idle::Sleep {
                let sockets: Vec<_> = self.connections.iter().map(|connection| connection.socket.as_fd()).collect();
                wait(&sockets, Some(STALL)).expect("poll");
            }
        }
        while self.in_flight > 0 && last_reply.elapsed() < QUIET {
            let replies = self.turn(false);
            outcome.replies += replies;
            if replies > 0 {
                last_reply = Instant::now();
            }
        }
        outcome
    }

    /// Sends a full window on every socket.
    fn fill(&mut self) {
        self.in_flight = (self.window * self.connections.len()) as u64;
        for Connection { socket, requests, turn, owed, .. } in &mut self.connections {
            *owed = 0;
            for _ in 0..self.window {
                *turn = !*turn;
                requests.append(Some(self.server), None, &self.requests[usize::from(*turn)]);
            }
            // Datagrams that cannot be sent are missing from the window; this has no other effect.
            requests.flush(socket);
        }
    }

    /// Receives the waiting replies and, if `again`, sends the requests that are due.
    fn turn(&mut self, again: bool) -> u64 {
        let mut count = 0;
        for Connection { socket, requests, turn, replies, owed } in &mut self.connections {
            let Ok(received) = replies.receive(socket, Wait::No) else {
                continue;
            };
            count += received.datagrams as u64;
            *owed += received.datagrams;
            if !again || (self.pace == Pace::Bursts && *owed < self.window) {
                continue;
            }
            self.in_flight += *owed as u64;
            for _ in 0..std::mem::take(owed) {
                if requests.is_full() {
                    requests.flush(socket);
                }
                *turn = !*turn;
                requests.append(Some(self.server), None, &self.requests[usize::from(*turn)]);
            }
            requests.flush(socket);
        }
        self.in_flight = self.in_flight.saturating_sub(count);
        count
    }
}

/// The least significant of the four unused bits.
const UNUSED_BIT: u8 = 0x10;

/// Without any reply for this long, datagrams were lost.
const STALL: Duration = Duration::from_millis(50);

/// Without any reply for this long, those that are missing were lost.
const QUIET: Duration = Duration::from_millis(500);
