//! The tour's programs at work: each against its C counterpart, both ways round, on ::1 with ports of the kernel's choice.
mod calculator;
mod datagrams;
mod echo;
mod integers;
mod peers;
mod sending;
mod streams;
mod support;
