//! Properties that hold for any octets: each body takes octets and panics if its property does not hold.
//! Two drivers call them: proptest, with octets that mostly resemble messages (`tests/properties.rs`), and libFuzzer
//! (`fuzz/`, which uses this folder as its library).

pub mod exchange;
pub mod reference;
pub mod reply;
pub mod request;
pub mod responder;

pub use exchange::exchange;
pub use reply::reply;
pub use request::request;
pub use responder::responder;

/// A body: the name of its fuzz target and of its folder in the corpus, and the function.
pub type Body = (&'static str, fn(&[u8]));

/// Every body.
pub const BODIES: [Body; 4] =
    [("request", request), ("reply", reply), ("responder", responder), ("exchange", exchange)];

/// Buffers are filled with this before use, so that an octet that is not written is noticed.
const DIRT: [u8; 2] = [0xa5, 0x5a];

/// Encodes into dirty buffers that are longer than the message; gives the octets, which must not depend on the dirt,
/// and checks that nothing is written after them.
fn encoded(room: usize, encode: impl Fn(&mut [u8]) -> usize) -> Vec<u8> {
    let [first, second] = DIRT.map(|dirt| {
        let mut out = vec![dirt; room];
        let len = encode(&mut out);
        assert!(out[len..].iter().all(|&octet| octet == dirt), "written after the message");
        out.truncate(len);
        out
    });
    assert_eq!(first, second, "the message depends on the buffer");
    first
}

/// Calls `check` on every truncation of a datagram to less than `near` octets or by one, and on the datagram with every
/// single bit of its first `near` octets changed. After the header all octets are operands or result, so changes
/// further on test little.
fn neighbours(datagram: &[u8], near: usize, mut check: impl FnMut(&[u8])) {
    let near = near.min(datagram.len());
    for len in (0..near).chain(datagram.len().checked_sub(1)) {
        check(&datagram[..len]);
    }
    let mut changed = datagram.to_vec();
    for bit in 0..8 * near {
        changed[bit / 8] ^= 1 << (bit % 8);
        check(&changed);
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}
