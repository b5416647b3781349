//! Planted faults of the replicas: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-sync --features faults faults` plants them. A test that does not
//! end has found its fault, too.

use fastness_testkit::{Planted, assert_each_is_found};

const FAULTS: [Planted; 25] = [
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
    Planted {
        id: "NR-60",
        about: "now and then an own entry undoes the pending ones behind it",
        promise: "SY21",
        test: (
            "replicas::draining",
            "an_acknowledgement_costs_as_much_however_many_entries_are_pending",
        ),
    },
    Planted {
        id: "NR-61",
        about: "seqs of ordered entries are forgotten while pre-images name them",
        promise: "SY20",
        test: ("replicas::fast_path", "the_fast_path_leaves_the_files_of_the_slow_one"),
    },
    Planted {
        id: "NR-62",
        about: "an entry stays pending whose refusal only a copy of the file learned of",
        promise: "SY17",
        test: ("replicas::resets", "a_copy_concludes_that_an_entry_was_refused"),
    },
    Planted {
        id: "NR-63",
        about: "entries that the history may still bring count as refused",
        promise: "SY4",
        test: ("session", "links_that_are_cut_lose_nothing"),
    },
    Planted {
        id: "NR-64",
        about: "a chain hash reads all refused entries",
        promise: "SY24",
        test: ("replicas::draining", "answers_cost_as_much_however_many_entries_were_refused"),
    },
    Planted {
        id: "NR-65",
        about: "a refusal undoes all pending entries",
        promise: "SY24",
        test: ("replicas::draining", "answers_cost_as_much_however_many_entries_were_refused"),
    },
    Planted {
        id: "NR-66",
        about: "each acknowledgement reads all entries that were acknowledged before",
        promise: "SY24",
        test: ("replicas::draining", "answers_cost_as_much_however_many_entries_were_refused"),
    },
    Planted {
        id: "NR-67",
        about: "the chain hash of one identity continues that of another with its number",
        promise: "SV1",
        test: ("replicas::resets", "a_new_database_gives_a_client_the_number_that_it_had"),
    },
    Planted {
        id: "NR-80",
        about: "a file takes an entry out for the refusal of one that a copy of the file wrote",
        promise: "SV1",
        test: ("replicas::resets", "a_copy_keeps_an_entry_whose_number_was_refused_to_another"),
    },
    Planted {
        id: "NR-81",
        about: "the refusals of one answer are taken out one after another",
        promise: "SY24",
        test: ("replicas::draining", "refusals_of_one_answer_undo_pending_entries_once"),
    },
    Planted {
        id: "NR-82",
        about: "a server may fill the disk with a snapshot",
        promise: "SV5",
        test: ("replicas::hostile", "a_snapshot_beyond_the_limit_is_not_stored"),
    },
    Planted {
        id: "NR-83",
        about: "a part of a snapshot without bytes is asked for again and again",
        promise: "FR5",
        test: ("session::hostile", "a_part_of_a_snapshot_without_bytes_ends_the_session"),
    },
    Planted {
        id: "NR-84",
        about: "a session that an error has ended waits, whatever the app says",
        promise: "CS1",
        test: ("session::hostile", "an_app_shortens_the_wait_after_an_error"),
    },
    Planted {
        id: "NR-86",
        about: "a reset that discards drops also what its backup does not have",
        promise: "SY25",
        test: ("replicas::resets", "a_reset_drops_only_what_its_backup_has"),
    },
    Planted {
        id: "NR-70",
        about: "an accepted token is a success, however the connection ends",
        promise: "FR8",
        test: (
            "session::hostile",
            "a_server_that_breaks_off_after_each_token_is_called_less_and_less",
        ),
    },
    Planted {
        id: "NR-71",
        about: "the server decides how many entries are kept for it",
        promise: "FR4",
        test: (
            "session::hostile",
            "the_client_bounds_the_entries_that_wait_for_an_acknowledgement",
        ),
    },
    Planted {
        id: "NR-72",
        about: "a reset begins at once after another one",
        promise: "FR8",
        test: ("session::hostile", "one_reset_after_another_begins_later_and_later"),
    },
    Planted {
        id: "NR-73",
        about: "an entry is refused that the server has not got",
        promise: "SY4",
        test: ("session::hostile", "a_refusal_of_an_entry_that_was_never_sent_ends_the_session"),
    },
    Planted {
        id: "NR-74",
        about: "a stamp may be the last one that there is",
        promise: "SV5",
        test: ("replicas::hostile", "the_last_stamp_of_all_is_not_taken_from_a_server"),
    },
    Planted {
        id: "NR-75",
        about: "objects of a snapshot that cannot be read are damage of the file",
        promise: "SV5",
        test: ("replicas::hostile", "objects_that_cannot_be_read_are_no_snapshot"),
    },
    Planted {
        id: "NR-76",
        about: "a record of a snapshot may be longer than any file takes",
        promise: "SV5",
        test: ("replicas::hostile", "a_record_without_an_end_is_no_snapshot"),
    },
    Planted {
        id: "SN-46",
        about: "a download that failed leaves its memory of the pending entries",
        promise: "SY11",
        test: ("replicas::fast_path", "the_fast_path_leaves_the_files_of_the_slow_one"),
    },
];

#[test]
fn every_planted_fault_is_found() {
    assert_each_is_found(&FAULTS);
}
