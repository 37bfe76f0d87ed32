//! A pipeline, driven by whoever waits for all its answers: its sockets are its own.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::time::timeout_at;

use super::super::batch::{BatchDriver, BatchOptions, RequestSource, Turn};
use super::super::error::Error;
use super::super::random::Random;
use super::super::transport::connect;
use super::bounded;
use crate::net::readiness::Readiness;

/// Asks all that `work` has of a server whose addresses are tried in turn. The deadline counts from `start`.
///
/// # Errors
/// What the work ends with, or that no address is left that answers.
pub async fn run(
    peers: Vec<SocketAddrV6>,
    options: BatchOptions,
    start: Instant,
    work: &mut (impl RequestSource + Send),
) -> Result<(), Error> {
    let readiness = Arc::new(Readiness::new().map_err(refused)?);
    let watched = Arc::clone(&readiness);
    let open = move |peer| connect(peer).and_then(|socket| watched.add(&socket).map(|()| socket));
    let mut driver = BatchDriver::new(&[peers], &options, start, Box::new(open))?;
    let mut random = Random::new();
    loop {
        // A future is interrupted by dropping it.
        match driver.turn(&mut random, &AtomicBool::new(false), work, &mut |_, _| {})? {
            Turn::Done => return Ok(()),
            Turn::Again => tokio::task::yield_now().await,
            Turn::Wait { .. } => {
                let until = bounded(driver.wake_at().and_then(|wake_at| start.checked_add(wake_at)));
                if let Ok(ready) = timeout_at(until, poll_fn(|cx| readiness.poll(cx))).await {
                    ready.map_err(refused)?;
                }
            }
        }
    }
}

fn refused(error: io::Error) -> Error {
    Error::System { what: "epoll", error }
}
