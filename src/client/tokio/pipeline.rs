//! A pipeline with its own sockets, driven by the task that waits for its answers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout_at;

use super::super::Config;
use super::super::batch::{BatchDriver, BatchReport, RequestSource, Turn};
use super::super::cancel::Cancellation;
use super::super::error::Error;
use super::super::random::Random;
use super::bounded;
use super::watch::SharedWatch;
use crate::net::peer;
use crate::net::readiness::Readiness;

/// Sockets of a pipeline, and who waits for them.
pub struct AsyncBatchDriver {
    driver: BatchDriver,
    readiness: Arc<Readiness>,
    random: Random,
    start: Instant,
    watch: SharedWatch,
}

impl AsyncBatchDriver {
    /// Opens a socket to each server, whose addresses are tried in turn. The deadline counts from `start`.
    ///
    /// # Errors
    /// No server can be asked.
    pub fn new(
        servers: &[Vec<SocketAddrV6>],
        config: &Config,
        start: Instant,
        watch: SharedWatch,
    ) -> Result<AsyncBatchDriver, Error> {
        let readiness = Arc::new(Readiness::new().map_err(refused)?);
        let watched = Arc::clone(&readiness);
        let open = move |address| {
            let socket = Arc::new(peer::connect(address)?);
            watched.add(&socket).map(|()| socket)
        };
        let driver = BatchDriver::with_sockets(servers, config, start, Box::new(open))?;
        Ok(AsyncBatchDriver { driver, readiness, random: Random::new(), start, watch })
    }

    /// A turn: sends, and takes in what has arrived.
    ///
    /// # Errors
    /// What the work ends with, or that no server is left that answers.
    pub fn turn(&mut self, work: &mut dyn RequestSource) -> Result<Turn, Error> {
        // A future is cancelled by dropping it.
        let AsyncBatchDriver { driver, random, watch, .. } = self;
        driver.turn(random, &Cancellation::default(), work, &mut |time, event| watch.tell(time, event))
    }

    /// What was counted so far.
    pub fn report(&self) -> BatchReport {
        self.driver.report()
    }

    /// Waits for a datagram, or until the next turn is due.
    ///
    /// # Errors
    /// The runtime is ending.
    pub fn wait(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let until = bounded(self.driver.wake_at().and_then(|wake_at| self.start.checked_add(wake_at)));
        let readiness = Arc::clone(&self.readiness);
        async move {
            match timeout_at(until, poll_fn(|cx| readiness.poll(cx))).await {
                Ok(ready) => ready.map(drop).map_err(refused),
                Err(_) => Ok(()),
            }
        }
    }
}

fn refused(error: io::Error) -> Error {
    Error::poll(error)
}
