//! What `lab explain` says of datagrams, by the same code.
#![allow(dead_code, reason = "the lab uses the rest")]

#[path = "../lab/explain/capture.rs"]
pub mod capture;
#[path = "../lab/explain/hex.rs"]
pub mod hex;
#[path = "../lab/explain/json.rs"]
pub mod json;
#[path = "../lab/explain/pairs.rs"]
mod pairs;
#[path = "../lab/explain/sequence.rs"]
pub mod sequence;
#[path = "../lab/explain/train.rs"]
mod train;
#[path = "../lab/explain/verdict.rs"]
pub mod verdict;
