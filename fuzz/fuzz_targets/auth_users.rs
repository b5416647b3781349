//! Any bytes as a plan, of either twin: see `fastness_sim::check::auth_users`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::auth_users(bytes));
