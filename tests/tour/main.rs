//! The tour's programs at work: each against its C and Python counterparts, on ::1, with ports that the kernel chose.
mod calculator;
mod datagrams;
mod echo;
mod integers;
mod pages;
mod peers;
#[path = "../receiving/mod.rs"]
mod receiving;
mod sending;
mod streams;
mod support;
mod typed;
