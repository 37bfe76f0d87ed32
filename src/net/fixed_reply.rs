//! The least that a datagram server can do, to measure others against: no parsing, no counting, no choice.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

use super::fixed::Fixed;

/// Buffers of a server that answers everything with the same five octets.
pub struct FixedReply {
    headers: Fixed<libc::mmsghdr>,
    iovecs: Fixed<libc::iovec>,
    octets: Fixed<[u8; LEN]>,
    controls: Fixed<Control>,
    packet_info: PacketInfo,
    // The headers point into it.
    _names: Fixed<libc::sockaddr_in6>,
}

/// What is done about the address that a datagram was sent to, where the socket asks for it (IPV6_RECVPKTINFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketInfo {
    /// Nothing.
    Unasked,
    /// It is received, and the kernel chooses the address of the reply.
    Received,
    /// It is received and handed back as the reply's address.
    Answered,
}

/// The reply: the classic form of 25.
pub const REPLY: [u8; 5] = [0xff, 0, 0, 0, 25];

/// Octets of a buffer: an odd number of cache lines, as [`Batch`](super::Batch) has.
const LEN: usize = 1344;

impl FixedReply {
    /// Buffers for `slots` datagrams. Panics if `slots` is 0.
    pub fn new(slots: usize, packet_info: PacketInfo) -> Self {
        let octets = Fixed::new(slots, |_| [0; LEN]);
        let iovecs = Fixed::new(slots, |slot| libc::iovec { iov_base: octets.at(slot).cast(), iov_len: LEN });
        // SAFETY: for these C structs of integers and pointers all zeroes is a value.
        let names = Fixed::new(slots, |_| unsafe { zeroed::<libc::sockaddr_in6>() });
        let controls = Fixed::new(slots, |_| Control([0; CONTROL_LEN]));
        let headers = Fixed::new(slots, |slot| {
            // SAFETY: as above.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = names.at(slot).cast();
            header.msg_hdr.msg_iov = iovecs.at(slot);
            header.msg_hdr.msg_iovlen = 1;
            header
        });
        Self { headers, iovecs, octets, controls, packet_info, _names: names }
    }

    /// Receives a batch and answers it from the same headers: two system calls. Returns how many replies were sent.
    pub fn round(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let fd = socket.as_fd().as_raw_fd();
        for (slot, header) in self.headers.as_mut_slice().iter_mut().enumerate() {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            if self.packet_info != PacketInfo::Unasked {
                header.msg_hdr.msg_control = self.controls.at(slot).cast();
                header.msg_hdr.msg_controllen = CONTROL_LEN;
            }
            self.iovecs.as_mut_slice()[slot].iov_len = LEN;
        }
        let (headers, slots) = (self.headers.at(0), self.headers.as_slice().len() as u32);
        // SAFETY: the headers and all they point to live in `self`; vlen is their number. A null timeout is allowed.
        let received = unsafe { libc::recvmmsg(fd, headers, slots, libc::MSG_WAITFORONE as _, null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (octets, iovec) in self.octets.as_mut_slice().iter_mut().zip(self.iovecs.as_mut_slice()).take(received) {
            octets[..REPLY.len()].copy_from_slice(&REPLY);
            iovec.iov_len = REPLY.len();
        }
        self.address_replies(received);
        // SAFETY: as above, and no more headers than were filled.
        let sent = unsafe { libc::sendmmsg(fd, self.headers.at(0), received as u32, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Keeps or drops the control data of what was received.
    fn address_replies(&mut self, received: usize) {
        let headers = self.headers.as_mut_slice().iter_mut().zip(self.controls.as_mut_slice()).take(received);
        match self.packet_info {
            PacketInfo::Unasked => {}
            PacketInfo::Received => headers.for_each(|(header, _)| {
                (header.msg_hdr.msg_control, header.msg_hdr.msg_controllen) = (null_mut(), 0);
            }),
            PacketInfo::Answered => headers.for_each(|(header, control)| {
                // No interface, and no padding: see `Batch`.
                control.0[INTERFACE..INTERFACE + 4].fill(0);
                header.msg_hdr.msg_controllen = INTERFACE + 4;
            }),
        }
    }
}

/// Room for a struct in6_pktinfo behind its cmsghdr (cmsg(3)).
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// Where the interface's index begins in it, its last field.
const INTERFACE: usize = size_of::<libc::cmsghdr>() + 16;
const CONTROL_LEN: usize = INTERFACE + 8;
