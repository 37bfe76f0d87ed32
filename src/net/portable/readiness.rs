//! Which of many sockets can be read. Each is registered with a Tokio runtime as a duplicate, because the original is
//! still read and written without the runtime.

use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;

use super::super::wait::{self, AsFd};

/// A set of sockets, for one task.
#[derive(Debug, Default)]
pub struct Readiness {
    sockets: Mutex<Vec<Watched>>,
}

#[derive(Debug)]
struct Watched {
    socket: Weak<socket2::Socket>,
    duplicate: tokio::net::UdpSocket,
}

/// Sockets that can be read at the moment.
pub struct Ready(Vec<Weak<socket2::Socket>>);

impl Ready {
    /// Whether this socket can be read.
    pub fn contains(&self, socket: &Arc<socket2::Socket>) -> bool {
        self.0.iter().any(|ready| std::ptr::eq(ready.as_ptr(), Arc::as_ptr(socket)))
    }
}

impl Readiness {
    /// An empty set.
    ///
    /// # Errors
    /// None.
    pub fn new() -> io::Result<Readiness> {
        Ok(Readiness::default())
    }

    /// Adds a socket; it leaves when it is dropped.
    ///
    /// # Errors
    /// Those of dup(2), and of registering it with the runtime.
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O is enabled.
    pub fn add(&self, socket: &Arc<socket2::Socket>) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let duplicate = tokio::net::UdpSocket::from_std(UdpSocket::from(socket.try_clone()?))?;
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|watched| watched.socket.strong_count() > 0);
        sockets.push(Watched { socket: Arc::downgrade(socket), duplicate });
        Ok(())
    }

    /// Waits until some can be read. Only the task that called last is woken.
    ///
    /// # Errors
    /// The runtime is ending.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|watched| watched.socket.strong_count() > 0);
        let mut ready = Vec::new();
        for watched in sockets.iter() {
            if let Poll::Ready(is_ready) = watched.poll(cx)
                && is_ready?
            {
                ready.push(Weak::clone(&watched.socket));
            }
        }
        if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(Ready(ready))) }
    }
}

impl Watched {
    /// The runtime reports a socket as ready until a call has found nothing there. A poll(2) is such a call, and takes
    /// nothing out, so that the reader need not read everything.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            std::task::ready!(self.duplicate.poll_recv_ready(cx))?;
            let there = || match wait::wait(&[self.duplicate.as_fd()], Some(Duration::ZERO))?[..] {
                [true] => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            };
            match self.duplicate.try_io(Interest::READABLE, there) {
                Ok(()) => return Poll::Ready(Ok(true)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn it_names_who_can_be_read_until_all_is_read() {
        let readiness = Readiness::new().unwrap();
        let [asked, quiet] = [(); 2].map(|()| Arc::new(socket2::Socket::from(UdpSocket::bind("[::1]:0").unwrap())));
        readiness.add(&asked).unwrap();
        readiness.add(&quiet).unwrap();
        let to = asked.local_addr().unwrap();
        for _ in 0..3 {
            quiet.send_to(b"a", &to).unwrap();
            quiet.send_to(b"b", &to).unwrap();
            for _ in 0..2 {
                let ready = poll_fn(|cx| readiness.poll(cx)).await.unwrap();
                assert!(ready.contains(&asked) && !ready.contains(&quiet));
                assert_eq!(io::Read::read(&mut &*asked, &mut [0; 9]).unwrap(), 1);
            }
            assert!(poll_fn(|cx| Poll::Ready(readiness.poll(cx))).await.is_pending());
        }
        drop(asked);
        assert!(poll_fn(|cx| Poll::Ready(readiness.poll(cx))).await.is_pending());
        assert_eq!(readiness.sockets.lock().unwrap().len(), 1, "one has left");
    }
}
