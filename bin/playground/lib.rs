//! The playground: what `docs/playground` shows, computed by the library itself.
//!
//! It knows nothing of the protocol that the library does not say, and the page knows nothing that this does not say.
//! A page pushes the octets of a call, a JSON object, one by one, and pulls the answer, another JSON object: no memory is
//! shared and no pointer crosses the border, so there is nothing to get wrong and no glue to generate.

mod answer;
mod calls;
mod compose;
mod explain;
mod quiz;
mod run;

use std::cell::RefCell;

pub use calls::answer;

thread_local! {
    /// The call as it comes in.
    static CALL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The answer to the call before.
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Adds four octets to the call, the first in the least significant bits, of which `count` (1 to 4) are used.
#[allow(unsafe_code, reason = "a name for the page to call it by")]
#[unsafe(no_mangle)]
pub extern "C" fn push(octets: u32, count: usize) {
    CALL.with_borrow_mut(|call| call.extend_from_slice(&octets.to_le_bytes()[..count.min(4)]));
}

/// Answers the call that was pushed; gives the length of the answer in octets.
#[allow(unsafe_code, reason = "a name for the page to call it by")]
#[unsafe(no_mangle)]
pub extern "C" fn call() -> usize {
    let call = CALL.take();
    let answer = answer(&call);
    let length = answer.len();
    ANSWER.set(answer);
    length
}

/// Four octets of the answer from `place` on, the first in the least significant bits; 0 after the end.
#[allow(unsafe_code, reason = "a name for the page to call it by")]
#[unsafe(no_mangle)]
pub extern "C" fn pull(place: usize) -> u32 {
    ANSWER.with_borrow(|answer| {
        let octet = |offset: usize| answer.get(place + offset).copied().unwrap_or_default();
        u32::from_le_bytes([octet(0), octet(1), octet(2), octet(3)])
    })
}
