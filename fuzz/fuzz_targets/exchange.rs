#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| calc6_properties::exchange(octets));
