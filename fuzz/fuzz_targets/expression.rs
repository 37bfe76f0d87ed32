#![no_main]

// The body is in the module itself; `cargo fuzz` sets the cfg that makes it public.
libfuzzer_sys::fuzz_target!(|octets: &[u8]| calc6::expression::property::check(&String::from_utf8_lossy(octets)));
