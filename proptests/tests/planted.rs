//! Planted faults that hostile files and long lists find, in a process of its own for each.
//!
//! `cargo test -p fastness-proptests --features faults planted` plants them.

use fastness_testkit::{Planted, assert_each_is_found};

const TEST: (&str, &str) = ("replay", "seeds_are_accepted_and_survive_any_mutation");

const FAULTS: [Planted; 3] = [
    Planted {
        id: "FS-42",
        about: "a commit may have a number that no opening reads",
        promise: "D4",
        test: TEST,
    },
    Planted {
        id: "FS-43",
        about: "a relocation walks a page once for each place that leads to it",
        promise: "T6",
        test: TEST,
    },
    Planted {
        id: "SN-11",
        about: "hidden elements are reversed when their gap joins a longer one",
        promise: "SY2",
        test: ("merge", "core_and_model_agree_on_the_order_of_many_removed_elements"),
    },
];

#[test]
fn every_planted_fault_is_found() {
    assert_each_is_found(&FAULTS);
}
