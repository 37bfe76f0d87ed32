//! The course's C functions, built on libc's socket calls: `make capi` builds the libraries, `calc6.h` declares them.
//!
//! Main function: [`create_and_send_message`]. May call `wire` and `arithmetic`.
//!
//! ```c
//! struct sockaddr_in6 server = {
//!     .sin6_family = AF_INET6, .sin6_port = htons(10000), .sin6_addr = IN6ADDR_LOOPBACK_INIT
//! };
//! int operands[] = {1, 3, 5, 7, 9}, sum;
//! if (create_and_send_message((struct sockaddr *)&server, sizeof server, operands, 5, '+', 'd', &sum) == 0)
//!     printf("%d\n", sum);
//! ```
//!
//! They follow the five exercises on sockets of "Computer Networking: Principles, Protocols and Practice" (by Maxime
//! Piraux, <https://github.com/cnp3/exercises-inginious>): one socket call after the other, -1 at the first that fails,
//! no timeout and no retransmission. The calls are libc's symbols, so a linker's `--wrap` can intercept each of them.
//! `calc6.h` says what the exercises leave open. This file has the last two exercises, the calculator; `first` has the
//! first three.
#![allow(unsafe_code)]

mod first;
mod socket;

use libc::{c_char, c_int, size_t, sockaddr, socklen_t};

use crate::arithmetic::{Operands, decimal_bits, evaluate_octets};
use crate::wire::classic::{self, Decimal, Reply, Request};
use crate::wire::{Format, Kind, Operator};

use socket::{CallerSocket, Failed, set_errno, status};

/// Asks the server at `dest_addr` for the sum (`'+'`) or product (`'*'`) of `no_int` integers, to be sent as an
/// integer (`'d'`) or as a string (`'s'`), and stores it in `*result`.
///
/// Returns 0, or -1 with `errno` set: as left by the socket call that failed, or EINVAL (an operation or format that
/// does not exist), EMSGSIZE (over 64 integers), EFAULT (a null pointer), EOPNOTSUPP (the server answered with an
/// error), EBADMSG (what came is no reply), EOVERFLOW (a string beyond 32 bits). It waits for a reply without limit.
///
/// # Safety
/// `dest_addr` goes to connect(2) untouched and unread. `ints` must point to `no_int` integers (it may be null if
/// that is 0), `result` to an integer that may be written; neither is read or written before the socket is connected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn create_and_send_message(
    dest_addr: *const sockaddr,
    addrlen: socklen_t,
    ints: *mut c_int,
    no_int: size_t,
    operation: c_char,
    output_format: c_char,
    result: *mut c_int,
) -> c_int {
    let exchange = || {
        let socket = CallerSocket::datagram()?;
        socket.connect(dest_addr, addrlen)?;
        if no_int > classic::MAX_OPERANDS {
            return Err(set_errno(libc::EMSGSIZE));
        }
        if result.is_null() || ints.is_null() && no_int > 0 {
            return Err(set_errno(libc::EFAULT));
        }
        // SAFETY: not null, and the caller promises that it points to `no_int` integers.
        let ints = if no_int == 0 { &[] } else { unsafe { std::slice::from_raw_parts(ints, no_int) } };
        let (request, len, format) = request(ints, operation, output_format)?;
        socket.send(&request[..len])?;
        // One octet more than the longest reply, so that a longer datagram is recognised.
        let mut reply = [0; classic::MAX_REPLY + 1];
        let len = socket.recv(&mut reply)?;
        // SAFETY: not null, and the caller promises that it may be written.
        unsafe { *result = integer(&reply[..len], format)? };
        Ok(())
    };
    status(exchange())
}

/// Waits at `src_addr` for one datagram and answers it.
///
/// Returns 0, or -1 with `errno` as left by the socket call that failed. A datagram that must not be answered (a reply,
/// no operand, a length that no request has) is not, and that is a success: no call has failed.
///
/// # Safety
/// `src_addr` goes to bind(2) untouched and unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv_and_handle_message(src_addr: *const sockaddr, addrlen: socklen_t) -> c_int {
    let exchange = || {
        let socket = CallerSocket::datagram()?;
        socket.bind(src_addr, addrlen)?;
        // One octet more than the longest request, so that a longer datagram is recognised.
        let mut request = [0; crate::wire::MAX_REQUEST + 1];
        let (len, sender) = socket.recv_from(&mut request)?;
        let mut reply = [0; classic::MAX_REPLY];
        match answer(&request[..len], &mut reply) {
            Some(len) => socket.send_to(&reply[..len], &sender),
            None => Ok(()),
        }
    };
    status(exchange())
}

/// The request's octets: every integer as its own 32 bits, as htonl(3) leaves them.
fn request(
    ints: &[c_int],
    operation: c_char,
    output_format: c_char,
) -> Result<([u8; classic::MAX_REQUEST], usize, Format), Failed> {
    let (operator, format) = match (operation as u8, output_format as u8) {
        (b'+', b'd') => (Operator::Sum, Format::Integer),
        (b'+', b's') => (Operator::Sum, Format::Text),
        (b'*', b'd') => (Operator::Product, Format::Integer),
        (b'*', b's') => (Operator::Product, Format::Text),
        _ => return Err(set_errno(libc::EINVAL)),
    };
    let mut operands = [0; classic::MAX_OPERANDS * classic::OPERAND];
    for (place, int) in operands.chunks_exact_mut(classic::OPERAND).zip(ints) {
        place.copy_from_slice(&int.to_be_bytes());
    }
    // Encoded with all operands and then truncated: the exercise sends an empty list too, which `Request` rejects.
    let full = Request::new(operator, format, &operands).map_err(|_| set_errno(libc::EINVAL))?;
    let mut out = [0; classic::MAX_REQUEST];
    full.encode(&mut out);
    Ok((out, classic::HEADER + ints.len() * classic::OPERAND, format))
}

/// The result as an `int`: all 32 bits of an integer or of a string up to 2^32 - 1, so that a cast to `unsigned`
/// gives the number that the server sent.
fn integer(reply: &[u8], format: Format) -> Result<c_int, Failed> {
    match Reply::decode(reply, format) {
        Ok(Reply::Integer(value)) => Ok(value.cast_signed()),
        Ok(Reply::Text(digits)) => decimal(digits).ok_or_else(|| set_errno(libc::EOVERFLOW)),
        Ok(Reply::Error(_)) => Err(set_errno(libc::EOPNOTSUPP)),
        Err(_) => Err(set_errno(libc::EBADMSG)),
    }
}

fn decimal(digits: Decimal<'_>) -> Option<c_int> {
    let text = digits.as_str();
    text.parse().ok().or_else(|| text.parse().ok().map(u32::cast_signed))
}

/// Writes the reply to `request` and returns its length; None if it must not be answered.
fn answer(request: &[u8], reply: &mut [u8; classic::MAX_REPLY]) -> Option<usize> {
    match Kind::of(request) {
        Kind::Classic => {
            let request = Request::decode(request).ok()?;
            Some(match request.operator() {
                Some(operator) => compute(&request, operator, reply),
                None => Reply::Error(classic::UNKNOWN_OPCODE.as_bytes()).encode(reply),
            })
        }
        // Opcode 7 is unknown here; the error tells an extended client so at once.
        Kind::Extended if request.len() > crate::wire::MAX_REQUEST => None,
        Kind::Extended | Kind::Escape { answered: true } => {
            Some(Reply::Error(classic::UNKNOWN_OPCODE.as_bytes()).encode(reply))
        }
        Kind::Empty | Kind::Reply | Kind::Escape { answered: false } => None,
    }
}

/// Writes the result, or an error where the format has no room for it.
fn compute(request: &Request<'_>, operator: Operator, reply: &mut [u8; classic::MAX_REPLY]) -> usize {
    let operands = Operands::unsigned32(request.operands());
    let result = evaluate_octets(operator, operands, decimal_bits(classic::MAX_PAYLOAD)).ok();
    let written = match request.format() {
        Format::Integer => {
            result.and_then(|result| u32::try_from(&result).ok()).map(|value| Reply::Integer(value).encode(reply))
        }
        Format::Text => result
            .and_then(|result| result.write_decimal(classic::reply_payload(reply, true)).ok())
            .map(|len| classic::HEADER + len),
    };
    written.unwrap_or_else(|| Reply::Error(classic::OVERFLOW.as_bytes()).encode(reply))
}
