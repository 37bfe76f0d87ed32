//! What the three programs share: how they read what people type, what they answer to a command line that cannot be
//! read, and how man pages and completions are made of their options.
#![allow(dead_code, reason = "each program uses its part")]

pub mod generate;
pub mod usage;
