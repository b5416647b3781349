//! Planted faults of the network: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-server --features faults faults` plants them. A test that does not
//! end has found its fault, too.

use fastness_testkit::{Planted, assert_each_is_found};

const FAULTS: [Planted; 16] = [
    Planted {
        id: "NS-01",
        about: "a blocked account may connect",
        promise: "H24",
        test: ("sync::history", "a_token_is_checked_and_its_account_too"),
    },
    Planted {
        id: "NS-02",
        about: "sessions do not hear of the entries of others",
        promise: "H26",
        test: ("sync::history", "an_entry_reaches_every_other_client"),
    },
    Planted {
        id: "NS-03",
        about: "a frame is no work before its answers are queued",
        promise: "H27",
        test: ("sync::history", "a_client_resumes_after_a_restart_of_the_server"),
    },
    Planted {
        id: "NS-04",
        about: "a user has any number of connections",
        promise: "H29",
        test: ("sync::operator", "the_operator_ends_connections"),
    },
    Planted {
        id: "NS-05",
        about: "a failure of the upkeep is not counted",
        promise: "H30",
        test: ("sync::operator", "failures_of_the_upkeep_are_counted"),
    },
    Planted {
        id: "NS-06",
        about: "a backup replaces one of another database",
        promise: "H33",
        test: ("sync::operator", "a_backup_replaces_none_of_another_database"),
    },
    Planted {
        id: "NS-07",
        about: "a backup counts as complete because another folder has one",
        promise: "H30",
        test: ("sync::backup_updates", "each_folder_of_backups_has_everything"),
    },
    Planted {
        id: "NS-08",
        about: "the name of a database leaves no room for that of its second copy",
        promise: "H30",
        test: ("sync::backup_updates", "a_database_with_the_longest_name_is_backed_up"),
    },
    Planted {
        id: "NS-09",
        about: "the backup with the name is written",
        promise: "H37",
        test: ("sync::backup_updates", "copies_take_turns_and_the_named_one_is_restored"),
    },
    Planted {
        id: "NS-10",
        about: "answers are read for a client that does not take them",
        promise: "H25",
        test: ("sync::hostile", "a_client_that_does_not_read_holds_a_bounded_number_of_bytes"),
    },
    Planted {
        id: "NS-11",
        about: "sessions hear of entries with the next frame, and a mark does not wait for that",
        promise: "H31",
        test: ("sync::history", "a_mark_covers_what_was_acknowledged_to_another_client"),
    },
    Planted {
        id: "NS-12",
        about: "names of databases ignore case",
        promise: "H28",
        test: ("sync::history", "paths_that_differ_in_case_are_different_databases"),
    },
    Planted {
        id: "NS-13",
        about: "answers leave before their calls are durable",
        promise: "H32",
        test: ("sync::history", "an_entry_with_an_answer_is_in_the_files"),
    },
    Planted {
        id: "NS-14",
        about: "any token is that of an administrator",
        promise: "H34",
        test: ("console::requests", "only_the_current_token_of_an_administrator_is_accepted"),
    },
    Planted {
        id: "NS-15",
        about: "the pages may run scripts of others",
        promise: "H35",
        test: ("console::requests", "pages_are_for_everybody_and_data_is_not_in_them"),
    },
    Planted {
        id: "NS-16",
        about: "the bytes of a user have no limit",
        promise: "H36",
        test: (
            "sync::quota",
            "a_client_beyond_the_bytes_of_the_owner_gets_all_downloads_and_then_the_reason",
        ),
    },
];

#[test]
fn every_planted_fault_is_found() {
    assert_each_is_found(&FAULTS);
}
