#![no_main]

// The body stands with the room; `cargo fuzz` sets the cfg that makes it public.
libfuzzer_sys::fuzz_target!(|octets: &[u8]| calc6::view::property::check_input(octets));
