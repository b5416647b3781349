//! Any bytes as a plan, of either twin: see `fastness_sim::check::nonces`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::nonces(bytes));
