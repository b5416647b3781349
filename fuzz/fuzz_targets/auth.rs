//! Any bytes as an answer, an address or events: see [`fastness_proptests::bodies::auth()`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::auth(bytes));
