//! What the system's errors mean to those who send and receive datagrams, with one name on every system.

use std::io;

use rustix::io::Errno;

/// What an error of a receive call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing arrived in time, or nothing is there (EAGAIN).
    Idle,
    /// A signal came (EINTR).
    Interrupted,
    /// The call itself is wrong and would be so for ever: the socket is closed or none (EBADF, ENOTSOCK, EFAULT, EINVAL).
    Misuse,
    /// Whatever else: an ICMP error of an earlier datagram, or a shortage.
    Other,
}

impl ReceiveError {
    /// What `error` means.
    pub fn of(error: &io::Error) -> ReceiveError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return ReceiveError::Idle,
            io::ErrorKind::Interrupted => return ReceiveError::Interrupted,
            _ => {}
        }
        match Errno::from_io_error(error) {
            Some(Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL) => ReceiveError::Misuse,
            _ => ReceiveError::Other,
        }
    }
}

/// Whether the process or the system has no descriptor left (EMFILE, ENFILE).
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(not(windows))]
    if Errno::from_io_error(error) == Some(Errno::NFILE) {
        return true;
    }
    Errno::from_io_error(error) == Some(Errno::MFILE)
}

/// Whether the process may not use a port (EACCES): one of the system's own.
pub fn is_privileged_port(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ACCESS)
}

/// Whether the system has no IPv6 at all (EAFNOSUPPORT).
pub fn has_no_ipv6(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT)
}

/// The same error by the name that it has on Linux. Windows reports a datagram that met a closed port as a connection that
/// was reset (WSAECONNRESET, recvfrom of Winsock), and a receive call whose time is over as timed out (WSAETIMEDOUT).
pub(super) fn named(error: io::Error) -> io::Error {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused,
        io::ErrorKind::TimedOut => io::ErrorKind::WouldBlock,
        _ => return error,
    };
    kind.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_and_a_refusal_are_the_same_to_a_datagram() {
        for (errno, kind) in [
            (Errno::CONNREFUSED, io::ErrorKind::ConnectionRefused),
            (Errno::CONNRESET, io::ErrorKind::ConnectionRefused),
            (Errno::TIMEDOUT, io::ErrorKind::WouldBlock),
            (Errno::WOULDBLOCK, io::ErrorKind::WouldBlock),
        ] {
            assert_eq!(named(errno.into()).kind(), kind, "{errno}");
        }
        assert_eq!(named(Errno::ACCESS.into()).raw_os_error(), Some(Errno::ACCESS.raw_os_error()), "others are kept");
    }

    #[test]
    fn errors_of_receive_calls_have_one_meaning_each() {
        for (errno, meaning) in [
            (Errno::WOULDBLOCK, ReceiveError::Idle),
            (Errno::TIMEDOUT, ReceiveError::Idle),
            (Errno::INTR, ReceiveError::Interrupted),
            (Errno::BADF, ReceiveError::Misuse),
            (Errno::INVAL, ReceiveError::Misuse),
            (Errno::CONNREFUSED, ReceiveError::Other),
            (Errno::NOBUFS, ReceiveError::Other),
        ] {
            assert_eq!(ReceiveError::of(&errno.into()), meaning, "{errno}");
        }
    }
}
