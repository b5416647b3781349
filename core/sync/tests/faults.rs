//! Planted faults of the server replica: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-sync --features faults faults` plants them. A test that does not
//! end has found its fault, too.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// A fault.
struct Planted {
    id: &'static str,
    /// The bug.
    about: &'static str,
    /// The promise that it breaks.
    promise: &'static str,
    /// The module and the name of the test that finds it.
    test: (&'static str, &'static str),
}

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

/// Time for a test, which takes a second without a fault.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test with a fault; returns whether it fails.
fn fails(test: &str, fault: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact"]).env("FASTNESS_FAULT", fault);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let (sender, ended) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert!(text.contains("running 1 test"), "{text}");
        sender.send(()).unwrap_or_default();
    });
    let has_ended = ended.recv_timeout(PATIENCE).is_ok();
    if !has_ended {
        child.kill().unwrap();
    }
    !child.wait().unwrap().success() || !has_ended
}

#[test]
fn every_planted_fault_is_found() {
    for Planted { id, about, promise, test: (module, name) } in FAULTS {
        let test = &*format!("{module}::{name}");
        assert!(!fails(test, "none"), "{test} fails without a fault");
        assert!(fails(test, id), "{promise}: {test} does not find {id}: {about}");
        println!("{id} {about}: {promise} by {test}");
    }
}
