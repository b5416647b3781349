//! Any bytes as a plan, of either twin: see `fastness_sim::check::sync_resets`.
#![no_main]
use fastness_proptests::bodies::PlanInput;

libfuzzer_sys::fuzz_target!(|input: PlanInput| input.run("reset"));
