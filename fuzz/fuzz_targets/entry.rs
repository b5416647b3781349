//! Any bytes as a sync entry: see `fastness_proptests::bodies::entry`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::entry(bytes));
