//! The course's first three exercises: integers in network order, without a header (chapter 2 of docs/tour).
//!
//! The exercises give their functions the names of the last two, with other parameters, so here they have names of
//! their own; `calc6.h` gives them the exercises' names.
use libc::{c_int, sockaddr, socklen_t};

use super::socket::{CallerSocket, status};

/// The exercises' limit for a message, in octets.
const MAX_MESSAGE: usize = 1024;

/// *Creating a socket*: sends the odd digits 1 3 5 7 9 to `dest_addr` as integers in network order.
///
/// Returns 0, or -1 with `errno` as left by the socket call that failed.
///
/// # Safety
/// `dest_addr` goes to connect(2) unchanged and unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calc6_exercise1_create_and_send_message(
    dest_addr: *const sockaddr,
    addrlen: socklen_t,
) -> c_int {
    let send = || {
        let socket = CallerSocket::datagram()?;
        socket.connect(dest_addr, addrlen)?;
        socket.send([1u32, 3, 5, 7, 9].map(u32::to_be_bytes).as_flattened())
    };
    status(send())
}

/// *Creating a listening socket*: waits at `src_addr` for one list of integers and replies with their sum as an integer
/// in network order, modulo 2^32.
///
/// Returns 0, or -1 with `errno` as left by the socket call that failed. A datagram that is not a list of 1 to 256
/// integers is not answered, and that is a success: no call has failed.
///
/// # Safety
/// `src_addr` goes to bind(2) unchanged and unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calc6_exercise2_recv_and_handle_message(
    src_addr: *const sockaddr,
    addrlen: socklen_t,
) -> c_int {
    answer(src_addr, addrlen, |sum| sum.to_be_bytes().to_vec())
}

/// *Sending strings*: the same with the sum as a string of decimal digits, as `sprintf` with `%d` writes an `int`,
/// without a terminating NUL.
///
/// # Safety
/// `src_addr` goes to bind(2) unchanged and unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calc6_exercise3_recv_and_handle_message(
    src_addr: *const sockaddr,
    addrlen: socklen_t,
) -> c_int {
    answer(src_addr, addrlen, |sum| sum.cast_signed().to_string().into_bytes())
}

fn answer(src_addr: *const sockaddr, addrlen: socklen_t, encode: fn(u32) -> Vec<u8>) -> c_int {
    let exchange = || {
        let socket = CallerSocket::datagram()?;
        socket.bind(src_addr, addrlen)?;
        // One octet more than the limit, so that a longer datagram is recognised.
        let mut message = [0; MAX_MESSAGE + 1];
        let (len, sender) = socket.recv_from(&mut message)?;
        match message[..len].as_chunks::<4>() {
            (integers @ [_, ..], []) => {
                let sum = integers.iter().fold(0, |sum: u32, &octets| sum.wrapping_add(u32::from_be_bytes(octets)));
                socket.send_to(&encode(sum), &sender)
            }
            _ => Ok(()),
        }
    };
    status(exchange())
}
