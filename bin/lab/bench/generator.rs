//! The threads that send requests and read replies: closed loop (a window of requests in flight) or open loop (at
//! fixed times, also while earlier requests are unanswered).

use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ledger::Ledger;
use super::pace::{Pace, Spacing};
use super::tally::Tally;
use super::workload::Workload;
use crate::Failure;
use calc6::net::{DropCounter, ReceiveBatch, Segmentation, SendBatch, Socket, SocketOptions, Wait, bind_group, cpu};

/// Datagrams that one system call sends or takes.
const BATCH: usize = 64;

/// The receive buffer to ask for, in octets.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Entries of a connection's ledger in an open loop: the most requests in flight.
pub const OPEN_PLACES: usize = 1 << 14;

/// Rounds without a reply after which a closed loop sleeps until one comes.
const IDLE_ROUNDS: u32 = 200;

/// A thread stays awake for this long before the next intended time, because a sleep may end late.
const SPIN: Duration = Duration::from_micros(120);

/// How often timed-out requests are searched for.
const EXPIRE_EVERY: u64 = 5_000_000;

/// How a run loads a server.
#[derive(Clone, Debug)]
pub struct Load {
    /// Sockets, over all threads.
    pub connections: usize,
    /// Closed loop: requests in flight on each.
    pub window: usize,
    /// Open loop: requests a second over all, and their spacing.
    pub rate: Option<(f64, Spacing)>,
    /// Threads.
    pub threads: usize,
    /// Whether requests may be sent, and replies received, as segments of one message.
    pub segmentation: Segmentation,
    /// Processors to pin the threads to, in turn; none for no pinning.
    pub cpus: Vec<usize>,
    /// When a request counts as timed out.
    pub timeout: Duration,
    /// How often each thread reports.
    pub slice: Duration,
    /// Seed of the times of an open loop.
    pub seed: u64,
}

impl Load {
    /// Places that each connection's ledger needs.
    pub fn places(&self) -> usize {
        match self.rate {
            Some(_) => OPEN_PLACES,
            // Several windows, so that late and repeated replies are recognised.
            None => (self.window * 8).next_power_of_two().clamp(256, OPEN_PLACES),
        }
    }
}

/// A running measurement. Dropping it stops it.
pub struct LoadRun {
    threads: Vec<JoinHandle<Result<(), Failure>>>,
    slices: Receiver<Slice>,
    stop: Arc<AtomicBool>,
    /// The number of the slice with which counting begins.
    count_from: Arc<AtomicU64>,
    begun: Instant,
}

/// What one thread counted in one slice of time.
pub struct Slice {
    /// The number of the slice, from 0.
    pub number: u64,
    /// What was seen.
    pub tally: Tally,
    /// Whether it belongs to the measurement, not to the warm-up.
    pub counted: bool,
}

impl LoadRun {
    /// Opens all sockets and starts; returns when every thread has begun. Requests are counted from the slice
    /// `count_from` on.
    pub fn start(
        server: SocketAddrV6,
        workload: &Arc<Workload>,
        load: &Load,
        count_from: u64,
    ) -> Result<Self, Failure> {
        let (sender, slices) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let count_from = Arc::new(AtomicU64::new(count_from));
        let begin = Arc::new(Barrier::new(load.threads + 1));
        let mut threads = Vec::new();
        for number in 0..load.threads {
            let share = |all: usize| all / load.threads + usize::from(number < all % load.threads);
            let connections = (0..share(load.connections)).map(|_| LoadConnection::open(server, workload, load));
            let connections: Vec<LoadConnection> = connections.collect::<Result<_, _>>()?;
            let capabilities = connections[0].socket.capabilities();
            let worker = LoadThread {
                replies: ReceiveBatch::connected(BATCH, workload.reply_len(), capabilities),
                connections,
                workload: Arc::clone(workload),
                load: load.clone(),
                pace: load.rate.map(|(rate, spacing)| {
                    let part = share(load.connections) as f64 / load.connections as f64;
                    Pace::new(rate * part, spacing, load.seed.wrapping_add(number as u64), 0)
                }),
                next_connection: 0,
                counting: false,
                count_from: Arc::clone(&count_from),
                begun: Instant::now(),
                tally: Tally::default(),
            };
            let (sender, stop, begin) = (sender.clone(), Arc::clone(&stop), Arc::clone(&begin));
            let cpu = (!load.cpus.is_empty()).then(|| load.cpus[number % load.cpus.len()]);
            threads.push(std::thread::spawn(move || {
                let pinned = cpu.map_or(Ok(()), cpu::pin);
                begin.wait();
                pinned.map_err(|error| Failure::run("cannot pin a thread to its processor", error))?;
                worker.run(&stop, &sender)
            }));
        }
        begin.wait();
        Ok(Self { threads, slices, stop, count_from, begun: Instant::now() })
    }

    /// How long it has run.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends the warm-up: requests are counted that are sent from the slice of this number on.
    pub fn count_from(&self, slice: u64) {
        self.count_from.store(slice, Ordering::Relaxed);
    }

    /// The next slice of any thread, or `None` if there is none within `patience`.
    pub fn slice(&self, patience: Duration) -> Option<Slice> {
        self.slices.recv_timeout(patience).ok()
    }

    /// Stops sending, lets replies arrive until the time-out, and returns the slices that have not been reported.
    pub fn finish(mut self) -> Result<Vec<Slice>, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| Failure::Run("a generator thread failed".into()))??;
        }
        Ok(self.slices.try_iter().collect())
    }
}

impl Drop for LoadRun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct LoadConnection {
    socket: Socket,
    requests: SendBatch,
    drops: DropCounter,
    ledger: Ledger,
    /// The identifier of its first request.
    base: u64,
}

impl LoadConnection {
    fn open(server: SocketAddrV6, workload: &Workload, load: &Load) -> Result<Self, Failure> {
        let options = SocketOptions::default()
            .with_receive_buffer(RECEIVE_BUFFER)
            .with_packet_info(false)
            .with_segmentation(load.segmentation);
        // A mapped address can only be reached from a mapped address: with the wildcard the kernel chooses.
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
        let open = || bind_group(any, 1, &options).map(|mut group| group.remove(0));
        let socket = open().map_err(|error| Failure::run("cannot open a socket", error))?;
        socket.connect(server).map_err(|error| Failure::run(format_args!("cannot reach {server}"), error))?;
        let base = getrandom::u64().map_err(|error| Failure::run("cannot draw an identifier", error))?;
        let requests = SendBatch::new(BATCH, workload.request_len(), socket.capabilities().segmentation);
        let drops = socket.drop_counter();
        Ok(Self { socket, requests, drops, ledger: Ledger::new(load.places()), base })
    }
}

struct LoadThread {
    connections: Vec<LoadConnection>,
    replies: ReceiveBatch,
    workload: Arc<Workload>,
    load: Load,
    pace: Option<Pace>,
    /// The connection whose turn it is in an open loop.
    next_connection: usize,
    /// Whether the warm-up is over.
    counting: bool,
    count_from: Arc<AtomicU64>,
    begun: Instant,
    tally: Tally,
}

impl LoadThread {
    fn run(mut self, stop: &AtomicBool, slices: &Sender<Slice>) -> Result<(), Failure> {
        self.begun = Instant::now();
        let slice = self.load.slice.as_nanos() as u64;
        let (mut number, mut expire_at, mut idle) = (0, EXPIRE_EVERY, 0);
        self.begin_counting(number)?;
        while !stop.load(Ordering::Relaxed) {
            let replies = self.receive();
            self.send()?;
            idle = if replies == 0 { idle + 1 } else { 0 };
            let now = self.now();
            if now >= expire_at {
                self.expire(now);
                expire_at = now + EXPIRE_EVERY;
            }
            if now >= (number + 1) * slice {
                // If the receiver is gone, `stop` follows.
                let _ = slices.send(Slice { number, tally: self.tally.clone(), counted: self.counting });
                self.tally.clear();
                number = now / slice;
                self.begin_counting(number)?;
            }
            self.rest(idle, now, (number + 1) * slice);
        }
        self.drain();
        let _ = slices.send(Slice { number, tally: self.tally, counted: self.counting });
        Ok(())
    }

    /// Ends the warm-up if it is over with the slice of this number: requests that are queued or in flight are not
    /// counted.
    fn begin_counting(&mut self, number: u64) -> Result<(), Failure> {
        if self.counting || number < self.count_from.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.counting = true;
        for connection in &mut self.connections {
            connection.flush(&mut self.tally)?;
            connection.ledger.begin_counting();
        }
        self.tally.clear();
        Ok(())
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Reads the replies of every connection; returns how many.
    fn receive(&mut self) -> usize {
        let mut count = 0;
        for connection in &mut self.connections {
            let LoadConnection { socket, drops, ledger, base, .. } = connection;
            loop {
                let received = match self.replies.receive(socket, Wait::No) {
                    Ok(received) => received,
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => break,
                    Err(_) => {
                        self.tally.counts.refused += 1;
                        break;
                    }
                };
                self.tally.counts.dropped_by_kernel += u64::from(drops.advance(received.drops));
                count += received.datagrams;
                // One reading of the clock for all of a batch: they were there when the call returned.
                let now = self.begun.elapsed().as_nanos() as u64;
                for reply in self.replies.datagrams() {
                    self.tally.reply(self.workload.read(reply.octets, reply.length, *base, ledger, now));
                }
                if received.messages < BATCH {
                    break;
                }
            }
        }
        count
    }

    fn send(&mut self) -> Result<(), Failure> {
        match self.pace {
            Some(_) => self.send_what_is_due(),
            None => self.fill_windows(),
        }
    }

    fn fill_windows(&mut self) -> Result<(), Failure> {
        let now = self.now();
        for connection in &mut self.connections {
            while connection.ledger.waiting() < self.load.window && !connection.requests.is_full() {
                connection.queue(&self.workload, now);
            }
            connection.flush(&mut self.tally)?;
        }
        Ok(())
    }

    fn send_what_is_due(&mut self) -> Result<(), Failure> {
        let now = self.now();
        let Some(pace) = &mut self.pace else { return Ok(()) };
        let count = self.connections.len();
        // No more than a batch for each at once, so that replies are read in between.
        for _ in 0..BATCH * count {
            let connection = &mut self.connections[self.next_connection];
            if connection.requests.is_full() {
                break;
            }
            let Some(intended) = pace.due(now) else { break };
            self.tally.counts.timed_out += u64::from(connection.queue(&self.workload, intended));
            self.tally.pacing.saturating_record(now - intended);
            self.next_connection = (self.next_connection + 1) % count;
        }
        for connection in &mut self.connections {
            connection.flush(&mut self.tally)?;
        }
        Ok(())
    }

    fn expire(&mut self, now: u64) {
        let timeout = self.load.timeout.as_nanos() as u64;
        for connection in &mut self.connections {
            self.tally.counts.timed_out += connection.ledger.expire(now, timeout) as u64;
        }
    }

    /// Sleeps if there is nothing to do: until a reply comes, the next request is due, or the slice ends.
    fn rest(&self, idle: u32, now: u64, slice_end: u64) {
        let until = match &self.pace {
            Some(pace) => slice_end.min(pace.next().saturating_sub(SPIN.as_nanos() as u64)),
            None if idle < IDLE_ROUNDS => return,
            None => slice_end.min(now + EXPIRE_EVERY),
        };
        if idle == 0 || until <= now {
            return;
        }
        self.wait_for_reply(Duration::from_nanos(until - now));
    }

    fn wait_for_reply(&self, wait: Duration) {
        let timeout = Timespec::try_from(wait).unwrap_or_default();
        let sockets = self.connections.iter().map(|connection| PollFd::new(&connection.socket, PollFlags::IN));
        let mut sockets: Vec<PollFd<'_>> = sockets.collect();
        // In every case the next round looks at all connections.
        let _ = poll(&mut sockets, Some(&timeout));
    }

    /// Reads the last replies, until every request is answered or timed out.
    fn drain(&mut self) {
        let deadline = self.now() + self.load.timeout.as_nanos() as u64 + EXPIRE_EVERY;
        while self.now() < deadline && self.connections.iter().any(|connection| connection.ledger.waiting() > 0) {
            if self.receive() == 0 {
                self.wait_for_reply(Duration::from_millis(1));
            }
            self.expire(self.now());
        }
    }
}

impl LoadConnection {
    /// Queues the next request. True if the earlier request of its entry is still unanswered.
    #[inline]
    fn queue(&mut self, workload: &Workload, intended: u64) -> bool {
        let (place, identifier) = (self.ledger.next_place(), self.base.wrapping_add(self.ledger.next_number()));
        self.requests.append_with(None, None, |buffer| Some(workload.write(place, identifier, buffer)));
        self.ledger.issue(intended)
    }

    /// Sends what is queued; what does not fit the send buffer stays for the next round.
    fn flush(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let sent = self.requests.flush_or_keep(&self.socket);
        tally.counts.sent += sent.datagrams as u64;
        tally.counts.refused += sent.closed_port as u64;
        match sent.last_refusal {
            Some(errno) => Err(Failure::run("cannot send", io::Error::from_raw_os_error(errno))),
            None => Ok(()),
        }
    }
}
