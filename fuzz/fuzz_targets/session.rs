//! Any frames and inputs for the sync sessions: see `fastness_proptests::bodies::session`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::session(bytes));
