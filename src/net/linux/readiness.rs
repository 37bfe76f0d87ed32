//! Which of many sockets can be read: one epoll(7) instance, which a Tokio runtime watches.
//!
//! Inside it sockets are level-triggered, so that a reader need not read everything, and an ICMP error counts as
//! something to read (EPOLLERR). A socket leaves it when it is closed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A set of sockets, for one task.
#[derive(Debug)]
pub struct Readiness {
    epoll: AsyncFd<OwnedFd>,
}

/// Sockets that can be read, for now.
pub struct Ready(Vec<epoll::Event>);

impl Ready {
    /// Whether this one can.
    pub fn contains(&self, socket: &Arc<socket2::Socket>) -> bool {
        self.0.iter().any(|event| event.data.u64() == key(socket))
    }
}

impl Readiness {
    /// An empty set.
    ///
    /// # Errors
    /// Those of epoll_create1(2).
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O is enabled.
    pub fn new() -> io::Result<Readiness> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: an `OwnedFd` is open for as long as it lives, and always the same descriptor.
        let epoll = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE)? };
        Ok(Readiness { epoll })
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn add(&self, socket: &Arc<socket2::Socket>) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, &**socket, epoll::EventData::new_u64(key(socket)), epoll::EventFlags::IN)?)
    }

    /// Waits until some can be read. Only the task that called last is woken.
    ///
    /// # Errors
    /// The runtime is ending, or those of epoll_wait(2).
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        loop {
            let mut guard = ready!(self.epoll.poll_read_ready(cx))?;
            let mut events = Vec::with_capacity(AT_ONCE);
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec::default())) {
                Ok(0) => guard.clear_ready(),
                Ok(_) => return Poll::Ready(Ok(Ready(events))),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

/// How many sockets one system call returns; the others come first the next time.
const AT_ONCE: usize = 64;

fn key(socket: &socket2::Socket) -> u64 {
    // No descriptor is negative.
    socket.as_raw_fd() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::UdpSocket;

    fn shared(socket: &UdpSocket) -> Arc<socket2::Socket> {
        Arc::new(socket.try_clone().unwrap().into())
    }

    #[tokio::test]
    async fn it_names_who_can_be_read_until_all_is_read() {
        let readiness = Readiness::new().unwrap();
        let [asked, quiet] = [(), ()].map(|()| UdpSocket::bind("[::1]:0").unwrap());
        let watched = [&asked, &quiet].map(shared);
        watched.iter().for_each(|socket| readiness.add(socket).unwrap());
        for _ in 0..3 {
            quiet.send_to(b"a", asked.local_addr().unwrap()).unwrap();
            quiet.send_to(b"b", asked.local_addr().unwrap()).unwrap();
            for _ in 0..2 {
                let ready = poll_fn(|cx| readiness.poll(cx)).await.unwrap();
                assert!(ready.contains(&watched[0]) && !ready.contains(&watched[1]));
                asked.recv(&mut [0; 9]).unwrap();
            }
            assert!(poll_fn(|cx| Poll::Ready(readiness.poll(cx))).await.is_pending());
        }
    }

    #[tokio::test]
    async fn a_refusal_is_something_to_read() {
        let readiness = Readiness::new().unwrap();
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        // Connected to itself, it takes nobody else's datagrams.
        let closed = UdpSocket::bind("[::1]:0").unwrap();
        closed.connect(closed.local_addr().unwrap()).unwrap();
        socket.connect(closed.local_addr().unwrap()).unwrap();
        let watched = shared(&socket);
        readiness.add(&watched).unwrap();
        socket.send(b"anybody?").unwrap();
        assert!(poll_fn(|cx| readiness.poll(cx)).await.unwrap().contains(&watched));
        assert_eq!(socket.recv(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
