//! Planted faults of the network: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-client --features faults faults` plants them. A test that does not
//! end has found its fault, too.

use fastness_testkit::{Planted, assert_each_is_found};

const FAULTS: [Planted; 17] = [
    Planted {
        id: "NC-01",
        about: "a commit wakes no thread",
        promise: "CS1",
        test: ("sync::transfers", "a_commit_reaches_the_other_app_and_wakes_its_observer"),
    },
    Planted {
        id: "NC-02",
        about: "a listener of current changes does not end",
        promise: "CS4",
        test: ("sync::progress", "listeners_of_current_changes_end_with_them"),
    },
    Planted {
        id: "NC-03",
        about: "a thread waits for itself",
        promise: "CS5",
        test: ("sync::callbacks", "a_wait_in_a_callback_of_the_file_is_refused"),
    },
    Planted {
        id: "NC-04",
        about: "a session is inactive before its file is closed",
        promise: "CS6",
        test: ("sync::callbacks", "a_file_is_closed_before_its_session_is_inactive"),
    },
    Planted {
        id: "NC-05",
        about: "a frame of an earlier connection is sent",
        promise: "CS7",
        test: (
            "sync::callbacks",
            "a_frame_of_an_earlier_connection_is_sent_under_no_session_of_another_file",
        ),
    },
    Planted {
        id: "NC-06",
        about: "a panic of a hook ends the thread of its file",
        promise: "CS5",
        test: ("sync::callbacks", "hooks_of_a_reset_that_panic_do_not_end_it"),
    },
    Planted {
        id: "NC-07",
        about: "a wait that begins during another one is forgotten",
        promise: "CS5",
        test: ("sync::sessions", "any_number_of_waits_without_a_server_end_once_it_answers"),
    },
    Planted {
        id: "NC-08",
        about: "a panic of an opening leaves its task waiting",
        promise: "CS8",
        test: ("sync::tasks", "a_panic_of_an_opening_continues_in_the_task"),
    },
    Planted {
        id: "NC-09",
        about: "a change of the status wakes threads only",
        promise: "CS8",
        test: ("sync::tasks", "a_task_is_woken_for_each_transfer"),
    },
    Planted {
        id: "NC-10",
        about: "the files of an app take turns",
        promise: "CS3",
        test: ("sync::transfers", "a_transaction_of_one_file_delays_no_other"),
    },
    Planted {
        id: "NC-11",
        about: "a merge keeps the writers of the app away until the next message",
        promise: "CS2",
        test: ("sync::transfers", "a_commit_reaches_the_other_app_and_wakes_its_observer"),
    },
    Planted {
        id: "NC-12",
        about: "a file that is only read takes the commits of the app",
        promise: "CS9",
        test: (
            "sync::read_only",
            "a_file_that_is_only_read_follows_the_server_and_refuses_commits",
        ),
    },
    Planted {
        id: "NC-13",
        about: "a local database that cannot go online leaves a part of it",
        promise: "CS10",
        test: ("sync::go_online", "a_local_database_that_cannot_go_online_leaves_no_file"),
    },
    Planted {
        id: "NR-85",
        about: "the policy of resets decides about the first snapshot of a file, too",
        promise: "CS6",
        test: ("sync::resets", "a_new_file_gets_a_snapshot_under_every_policy"),
    },
    Planted {
        id: "NR-77",
        about: "frames wait for a busy app without a bound",
        promise: "CS11",
        test: ("sync::hostile", "frames_that_wait_for_a_busy_app_have_a_bounded_number_of_bytes"),
    },
    Planted {
        id: "NR-78",
        about: "a connection that is lost before it is ready is not reported",
        promise: "CS11",
        test: ("sync::hostile", "messages_that_are_none_and_ends_in_the_middle"),
    },
    Planted {
        id: "NR-79",
        about: "a message of any length is taken",
        promise: "CS11",
        test: ("sync::hostile", "messages_that_are_none_and_ends_in_the_middle"),
    },
];

#[test]
fn every_planted_fault_is_found() {
    assert_each_is_found(&FAULTS);
}
