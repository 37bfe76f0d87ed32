//! The workers' threads: they get ready, start together, and end together.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Handle;
use super::worker::Worker;

/// What a worker's thread reports.
pub(super) enum ThreadEvent {
    /// It is ready to serve and waits for the start.
    Ready,
    /// It has ended.
    Ended(io::Result<()>),
}

/// The body of a worker's thread.
pub(super) struct WorkerThread<'a> {
    worker: Worker<'a>,
    events: Sender<ThreadEvent>,
    /// Receives one value when all may serve; closed if the start is cancelled.
    start: Receiver<()>,
}

impl<'a> WorkerThread<'a> {
    /// The thread's body, and what starts it.
    pub fn new(worker: Worker<'a>, events: Sender<ThreadEvent>) -> (WorkerThread<'a>, Sender<()>) {
        let (starter, start) = channel();
        (WorkerThread { worker, events, start }, starter)
    }

    pub fn run(self, enter: &impl Fn() -> io::Result<()>) {
        let WorkerThread { worker, events, start } = self;
        // Dropped at the end of a panic, too.
        let mut exit = ExitNotifier { events: &events, result: Err(io::Error::other("a worker panicked")) };
        exit.result = worker.prepare().and_then(|()| enter()).and_then(|()| {
            let _ = events.send(ThreadEvent::Ready);
            if start.recv().is_ok() { worker.run() } else { Ok(()) }
        });
    }
}

/// Reports the thread's end when it is dropped.
struct ExitNotifier<'a> {
    events: &'a Sender<ThreadEvent>,
    result: io::Result<()>,
}

impl Drop for ExitNotifier<'_> {
    fn drop(&mut self) {
        let _ = self.events.send(ThreadEvent::Ended(std::mem::replace(&mut self.result, Ok(()))));
    }
}

/// Calls `serving` when all threads are ready, starts them if it succeeds, and waits until all have ended. The first
/// end stops the others.
pub(super) fn supervise(
    events: &Receiver<ThreadEvent>,
    starters: Vec<Sender<()>>,
    handle: &Handle,
    serving: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let mut result = Ok(());
    let (workers, mut ready) = (starters.len(), 0);
    // Dropping the starters here cancels the start.
    let mut start = Some((starters, serving));
    for event in events {
        match event {
            ThreadEvent::Ready => ready += 1,
            ThreadEvent::Ended(ended) => {
                handle.stop();
                start = None;
                result = result.and(ended);
            }
        }
        if ready < workers {
            continue;
        }
        if let Some((starters, serving)) = start.take() {
            match serving() {
                Ok(()) => starters.iter().for_each(|starter| {
                    // One that has ended has reported it.
                    let _ = starter.send(());
                }),
                Err(error) => {
                    handle.stop();
                    result = result.and(Err(error));
                }
            }
        }
    }
    result
}
