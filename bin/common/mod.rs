//! Code that the three programs share: parsers for numbers, durations and ports, messages for a command line that
//! cannot be parsed, the loopback address of this machine, and the generator of man pages and completions.
#![allow(dead_code, reason = "each program uses its part")]

pub mod generate;
pub mod loopback;
pub mod usage;
