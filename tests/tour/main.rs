//! The tour's programs at work: each against its C counterpart, both ways round, on ::1, ports by the kernel.
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
