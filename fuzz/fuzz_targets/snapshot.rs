//! Any bytes as a snapshot of the sync protocol: see `fastness_proptests::bodies::snapshot`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::snapshot(bytes));
