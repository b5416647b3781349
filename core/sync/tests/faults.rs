//! Planted faults of the server replica: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-sync --features faults faults` plants them. A test that does not
//! end has found its fault, too.

use fastness_testkit::{Planted, assert_each_is_found};

const FAULTS: [Planted; 3] = [
    Planted {
        id: "NR-01",
        about: "refused entries are kept without a bound",
        promise: "SV6",
        test: (
            "refused_entries",
            "the_newest_refused_entries_are_kept_and_long_ones_without_bytes",
        ),
    },
    Planted {
        id: "NR-02",
        about: "an entry that has a seq can be retried again",
        promise: "SV7",
        test: ("refused_entries", "a_retry_gives_an_entry_of_a_reader_a_seq_once"),
    },
    Planted {
        id: "NR-03",
        about: "a client that resets gets a snapshot that lacks entries of its user",
        promise: "SV8",
        test: ("server_sessions", "a_snapshot_without_an_entry_of_the_user_is_not_shared"),
    },
];

#[test]
fn every_planted_fault_is_found() {
    assert_each_is_found(&FAULTS);
}
