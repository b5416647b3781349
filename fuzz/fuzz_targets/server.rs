//! Any bytes as requests and tokens: see [`fastness_proptests::bodies::server()`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::server(bytes));
