//! The Wireshark dissector, docs/wireshark/calc6.lua, in Debian's tshark and sharkd and under every Lua.

#![cfg(feature = "programs")]

mod calculator;
mod capture;
mod captures;
mod colours;
mod fields;
mod fuzz;
mod heuristic;
mod large;
mod lua;
mod names;
#[allow(dead_code, reason = "lab relay uses the rest")]
#[path = "../../bin/lab/pcap.rs"]
mod pcap;
mod statistics;
mod tools;
mod tracking;
mod trains;
