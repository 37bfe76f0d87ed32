//! A closed loop of requests: a fixed number in flight, each reply answered by the next request.

use std::io;
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use calc6::net::socket::{Options, bind_group};
use calc6::net::{Batch, Socket, Wait};

/// A load on one server. Whoever drives it should do so on a processor that the server does not use.
pub struct Load {
    lines: Vec<(Socket, Batch)>,
    server: SocketAddrV6,
    request: Vec<u8>,
    window: usize,
}

/// What happened while a load ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Replies received.
    pub replies: u64,
    /// Windows that were sent anew because nothing had come for a while: something was lost.
    pub stalls: u64,
}

impl Load {
    /// `sockets` bound to `from`, each keeping `window` copies of `request` on their way to `server`.
    pub fn new(
        from: SocketAddrV6,
        server: SocketAddrV6,
        request: &[u8],
        sockets: usize,
        window: usize,
    ) -> io::Result<Load> {
        let options = Options {
            ipv6_only: false,
            share_port: false,
            receive_buffer: 4 << 20,
            receive_timeout: Duration::ZERO,
            packet_info: false,
        };
        let line = |_| Ok((bind_group(from, 1, &options)?.remove(0), Batch::new(window, 4096, request.len(), false)));
        let lines = (0..sockets).map(line).collect::<io::Result<_>>()?;
        Ok(Load { lines, server, request: request.to_vec(), window })
    }

    /// Runs for `time`, without ever sleeping, and then lets what is in flight arrive.
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
            }
        }
        while last_reply.elapsed() < QUIET {
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
        for (socket, _) in &self.lines {
            for _ in 0..self.window {
                // What cannot be sent is missing from the window, and no more than that.
                let _ = socket.send_to(&self.request, self.server);
            }
        }
    }

    /// Takes the replies that are there and, if `again`, answers each with a request.
    fn turn(&mut self, again: bool) -> u64 {
        let mut replies = 0;
        for (socket, batch) in &mut self.lines {
            let Ok(received) = batch.receive(&*socket, Wait::No) else {
                continue;
            };
            replies += received.count as u64;
            batch.answer(|_, request| {
                request.copy_from_slice(&self.request);
                if again { self.request.len() } else { 0 }
            });
            batch.send(&*socket);
        }
        replies
    }
}

/// Without any reply for this long, datagrams were lost.
const STALL: Duration = Duration::from_millis(50);

/// Without any reply for this long, none is on its way.
const QUIET: Duration = Duration::from_millis(20);
