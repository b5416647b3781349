//! Any bytes as a page, a slot, a prelude: see [`fastness_proptests::bodies::page`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastness_proptests::bodies::page(bytes));
