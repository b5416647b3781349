//! Any bytes as a plan, of either twin: see `fastness_sim::check::sync_merge`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::sync_merge(bytes));
