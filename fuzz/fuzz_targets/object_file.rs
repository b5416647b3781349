//! Any bytes as a file of objects, mutated behind its seals: see
//! [`fastness_proptests::bodies::object_file()`].
#![no_main]
use fastness_proptests::bodies::{mutate_file, object_file};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| object_file(bytes));

libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_file(&mut bytes[..max_size], size, seed, libfuzzer_sys::fuzzer_mutate)
});
