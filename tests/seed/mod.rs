//! The seed of a randomised test: fixed in an ordinary run, new in a soak, and set by the user to replay one.

use std::hash::{BuildHasher, RandomState};

/// Whether this is a soak: new seeds, and more of everything.
pub fn is_soak() -> bool {
    std::env::var_os("CALC6_SOAK").is_some()
}

/// The seed for this run, printed: `CALC6_SEED` if it is set, else new in a soak, else always the same.
pub fn of_run(name: &str) -> u64 {
    let seed = match std::env::var("CALC6_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("CALC6_SEED={text}: a decimal number below 2^64 wanted")),
        Err(_) if is_soak() => RandomState::new().hash_one(name),
        Err(_) => 6,
    };
    println!("{name}: CALC6_SEED={seed}");
    seed
}
