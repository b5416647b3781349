//! Any bytes as a plan, of either twin: see `fastness_sim::check::queries`.
#![no_main]
use fastness_proptests::bodies::PlanInput;

libfuzzer_sys::fuzz_target!(|input: PlanInput| input.run("queries"));
