//! The encryption layer alone: see [`fastness_proptests::bodies::seal`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::seal(bytes));
