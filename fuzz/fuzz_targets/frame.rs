//! Any bytes as a frame of the sync protocol: see `fastness_proptests::bodies::frame`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::frame(bytes));
