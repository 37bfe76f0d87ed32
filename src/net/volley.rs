//! A client's side of batches: requests out of a connected socket with sendmmsg(2), replies in with recvmmsg(2).
//!
//! All memory is allocated by [`Volley::new`]. Neither call ever waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

use super::batch::{Buffers, CONTROL_LEN, Control, Received, header};
use super::fixed::Fixed;

/// Send and receive buffers for connected sockets.
pub struct Volley {
    requests: Buffers,
    request_headers: Fixed<libc::mmsghdr>,
    /// Requests `first` to `queued` wait to be sent.
    first: usize,
    queued: usize,
    replies: Buffers,
    reply_headers: Fixed<libc::mmsghdr>,
    /// The drop counter of the first datagram of a batch is enough.
    control: Fixed<Control>,
    received: usize,
    drops: u32,
}

// SAFETY: the headers' raw pointers lead into the `Fixed` arrays of the same `Volley`, which move with it.
unsafe impl Send for Volley {}

impl Volley {
    /// Buffers for `slots` requests of up to `request_len` octets, and as many replies of up to `reply_len`: longer
    /// ones are cut, and seen to be. Panics if `slots` is 0.
    pub fn new(slots: usize, request_len: usize, reply_len: usize) -> Self {
        assert!(slots > 0, "a volley holds at least one datagram");
        let requests = Buffers::new(slots, request_len);
        let replies = Buffers::new(slots, reply_len);
        let control = Fixed::new(1, |_| Control([0; CONTROL_LEN]));
        let connected = |iovec, control| {
            let mut header = header(null_mut(), iovec, control);
            header.msg_hdr.msg_namelen = 0;
            header
        };
        let request_headers = Fixed::new(slots, |slot| connected(requests.iovecs.at(slot), null_mut()));
        let reply_headers = Fixed::new(slots, |slot| {
            connected(replies.iovecs.at(slot), if slot == 0 { control.at(0).cast() } else { null_mut() })
        });
        Self { requests, request_headers, first: 0, queued: 0, replies, reply_headers, control, received: 0, drops: 0 }
    }

    /// How many more requests can be queued before the next [`send`](Volley::send).
    pub fn room(&self) -> usize {
        self.request_headers.as_slice().len() - self.queued
    }

    /// Queues one request: `write` fills the buffer and returns the request's length. False if there is no room.
    /// Panics if `write` returns more than the buffer holds.
    #[inline]
    pub fn queue(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.room() == 0 {
            return false;
        }
        let slot = self.requests.slot_mut(self.queued);
        let len = write(slot);
        assert!(len <= slot.len());
        self.requests.iovecs.as_mut_slice()[self.queued].iov_len = len;
        self.queued += 1;
        true
    }

    /// Sends what is queued, as far as the kernel takes it now; the rest stays queued. Returns how many were sent.
    /// Errors are those of sendmmsg(2) but for EAGAIN; ECONNREFUSED speaks of an earlier request, and trying again
    /// sends the next one.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let begun = self.first;
        while self.first < self.queued {
            let headers = self.request_headers.at(self.first);
            let count = (self.queued - self.first) as u32;
            // SAFETY: the headers from `first` to `queued` and all they point to live in `self`.
            let sent = unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _) };
            match usize::try_from(sent) {
                Ok(sent) => self.first += sent.max(1),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error if error.kind() == io::ErrorKind::WouldBlock => return Ok(self.first - begun),
                    error => return Err(error),
                },
            }
        }
        let sent = self.first - begun;
        (self.first, self.queued) = (0, 0);
        Ok(sent)
    }

    /// Receives what is there; `count` is 0 if nothing is. Errors are those of recvmmsg(2) but for EAGAIN.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<Received> {
        let slots = self.reply_headers.as_slice().len() as u32;
        // The kernel has written this length if the last batch had a first datagram.
        self.reply_headers.as_mut_slice()[0].msg_hdr.msg_controllen = CONTROL_LEN;
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        self.received = 0;
        // SAFETY: the headers and all they point to live in `self`; vlen is their number. A null timeout is allowed.
        let received = unsafe {
            let headers = self.reply_headers.at(0);
            libc::recvmmsg(socket.as_fd().as_raw_fd(), headers, slots, flags as _, null_mut())
        };
        let Ok(count) = usize::try_from(received) else {
            return match io::Error::last_os_error() {
                error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    Ok(Received { count: 0, dropped_by_kernel: 0 })
                }
                error => Err(error),
            };
        };
        self.received = count;
        let first = &self.reply_headers.as_slice()[0].msg_hdr;
        let drops = if count > 0 { self.control.as_slice()[0].drops(first) } else { None };
        let dropped_by_kernel = drops.map_or(0, |drops| drops.wrapping_sub(std::mem::replace(&mut self.drops, drops)));
        Ok(Received { count, dropped_by_kernel })
    }

    /// The replies of the last [`receive`](Volley::receive), each with its real length in octets: more than there are
    /// octets if it was cut.
    #[inline]
    pub fn replies(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.reply_headers.as_slice()[..self.received].iter().enumerate().map(|(slot, header)| {
            let (buffer, length) = (self.replies.slot(slot), header.msg_len as usize);
            (&buffer[..length.min(buffer.len())], length)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let [a, b] = [(); 2].map(|()| UdpSocket::bind("[::1]:0").unwrap());
        a.connect(b.local_addr().unwrap()).unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        (a, b)
    }

    #[test]
    fn what_is_queued_arrives_in_order_and_is_answered() {
        let (client, server) = pair();
        let mut volley = Volley::new(4, 16, 8);
        for round in 0..3_u8 {
            for number in 0..4 {
                assert!(volley.queue(|buffer| {
                    buffer[..2].copy_from_slice(&[round, number]);
                    2
                }));
            }
            assert!(!volley.queue(|_| 0));
            assert_eq!(volley.send(&client).unwrap(), 4);
            assert_eq!(volley.room(), 4);
            for number in 0..4 {
                let mut buffer = [0; 16];
                assert_eq!(server.recv(&mut buffer).unwrap(), 2);
                assert_eq!(buffer[..2], [round, number]);
                server.send(&[number; 12][..usize::from(number) * 4]).unwrap();
            }
            assert_eq!(volley.receive(&client).unwrap(), Received { count: 4, dropped_by_kernel: 0 });
            let lengths: Vec<_> = volley.replies().map(|(octets, length)| (octets.len(), length)).collect();
            assert_eq!(lengths, [(0, 0), (4, 4), (8, 8), (8, 12)]);
            assert_eq!(volley.receive(&client).unwrap().count, 0);
            assert_eq!(volley.replies().count(), 0);
        }
    }

    #[test]
    fn nobody_there_is_an_error_once() {
        let (client, server) = pair();
        drop(server);
        let mut volley = Volley::new(2, 4, 4);
        volley.queue(|_| 1);
        assert_eq!(volley.send(&client).unwrap(), 1);
        // The ICMP error of the datagram above.
        assert_eq!(volley.receive(&client).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(volley.receive(&client).unwrap().count, 0);
    }

    #[test]
    fn drops_of_the_kernel_are_counted() {
        let [client, server] = [(); 2].map(|()| UdpSocket::bind("[::1]:0").unwrap());
        let [to_client, to_server] = [&client, &server].map(|socket| socket.local_addr().unwrap());
        server.connect(to_client).unwrap();
        let options = super::super::socket::Options {
            ipv6_only: false,
            share_port: false,
            receive_buffer: 1,
            receive_timeout: std::time::Duration::ZERO,
            packet_info: false,
        };
        let socket = super::super::Socket::adopt(client.into(), &options).unwrap();
        let std::net::SocketAddr::V6(to_server) = to_server else { unreachable!("bound to ::1") };
        socket.connect(to_server).unwrap();
        (0..200).for_each(|_| drop(server.send(&[0; 500])));
        let mut volley = Volley::new(8, 8, 8);
        let (mut received, mut dropped) = (0, 0);
        loop {
            let batch = volley.receive(&socket).unwrap();
            if batch.count == 0 {
                break;
            }
            received += batch.count;
            dropped += batch.dropped_by_kernel;
        }
        // The counter travels with the datagrams that were queued after the drops: one more shows them.
        server.send(&[0]).unwrap();
        dropped += volley.receive(&socket).unwrap().dropped_by_kernel;
        assert_eq!(received + dropped as usize, 200);
        assert!(dropped > 0);
    }
}
