//! Planted faults of the network: each is found by a test, in a process of its own.
//!
//! `cargo test -p fastness-server --features faults faults` plants them. A test that does not
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

const FAULTS: [Planted; 6] = [
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
