//! Any bytes as a connection to the server: see [`fastness_proptests::bodies::http()`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::http(bytes));
