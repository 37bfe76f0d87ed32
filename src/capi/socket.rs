//! The socket calls of the exercises, on libc.
use std::mem::{self, MaybeUninit};

use errno::{Errno, errno};
use libc::{c_int, c_void, sockaddr, sockaddr_storage, socklen_t, ssize_t};

/// A call failed, and `errno` says why.
pub struct Failed;

pub fn status(outcome: Result<(), Failed>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(Failed) => -1,
    }
}

pub fn set_errno(value: c_int) -> Failed {
    errno::set_errno(Errno(value));
    Failed
}

/// A descriptor that is closed when dropped, and the six calls that the exercises name. Each is made once.
pub struct CallerSocket(c_int);

/// The sender's address as recvfrom(2) wrote it, passed back unchanged.
pub struct Sender {
    storage: MaybeUninit<sockaddr_storage>,
    len: socklen_t,
}

impl CallerSocket {
    pub fn datagram() -> Result<CallerSocket, Failed> {
        // SAFETY: takes no pointers.
        match unsafe { libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0) } {
            -1 => Err(Failed),
            descriptor => Ok(CallerSocket(descriptor)),
        }
    }

    pub fn connect(&self, addr: *const sockaddr, len: socklen_t) -> Result<(), Failed> {
        // SAFETY: only the kernel reads the address, and returns EFAULT if it cannot.
        unless_failed(unsafe { libc::connect(self.0, addr, len) } as ssize_t).map(drop)
    }

    pub fn bind(&self, addr: *const sockaddr, len: socklen_t) -> Result<(), Failed> {
        // SAFETY: only the kernel reads the address, and returns EFAULT if it cannot.
        unless_failed(unsafe { libc::bind(self.0, addr, len) } as ssize_t).map(drop)
    }

    pub fn send(&self, octets: &[u8]) -> Result<(), Failed> {
        // SAFETY: the pointer and length are a slice's.
        unless_failed(unsafe { libc::send(self.0, octets.as_ptr().cast(), octets.len(), 0) }).map(drop)
    }

    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, Failed> {
        // SAFETY: the pointer and length are a slice's.
        let len = unless_failed(unsafe { libc::recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) })?;
        Ok(len.min(buffer.len()))
    }

    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, Sender), Failed> {
        let mut storage = MaybeUninit::<sockaddr_storage>::zeroed();
        let mut len = mem::size_of::<sockaddr_storage>() as socklen_t;
        let room: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer's pointer and length are a slice's, the address's those of a sockaddr_storage.
        let received =
            unsafe { libc::recvfrom(self.0, room, buffer.len(), 0, storage.as_mut_ptr().cast(), &raw mut len) };
        let received = unless_failed(received)?;
        Ok((received.min(buffer.len()), Sender { storage, len }))
    }

    pub fn send_to(&self, octets: &[u8], to: &Sender) -> Result<(), Failed> {
        let (data, addr) = (octets.as_ptr().cast(), to.storage.as_ptr().cast());
        // SAFETY: the pointer and length are a slice's; the address is what recvfrom(2) wrote.
        unless_failed(unsafe { libc::sendto(self.0, data, octets.len(), 0, addr, to.len) }).map(drop)
    }
}

impl Drop for CallerSocket {
    fn drop(&mut self) {
        // The result of close(2) changes nothing for the caller, whose errno must stay that of the call that failed.
        let saved = errno();
        // SAFETY: takes no pointers.
        unsafe { libc::close(self.0) };
        errno::set_errno(saved);
    }
}

/// Only -1 is a failure, as the man pages say; any other value is a count.
fn unless_failed(returned: ssize_t) -> Result<usize, Failed> {
    match returned {
        -1 => Err(Failed),
        count => Ok(count.try_into().unwrap_or(0)),
    }
}
