//! Entries from one connection to another.

use super::support::{SyncUser, SyncWire, entry};
use crate::login::support::Host;
use fastness_sync::frame::{Mark, Message, SnapshotGet};

const PATH: &str = "/~/notes";

#[test]
fn an_entry_reaches_every_other_client() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let (mut one, mut other) = (user.connect(&host), user.connect(&host));
    one.begin(1, PATH);
    assert_eq!(one.line(), "RESUMED head 0 last 0");
    other.begin(4, &format!("/{}/notes", user.identity()));
    assert_eq!(other.line(), "RESUMED head 0 last 0");
    one.upload(1, &[entry(1, "a"), entry(2, "b")]);
    assert_eq!(one.line(), "ACK 2");
    assert_eq!(one.line(), "DOWNLOAD 0 to 2, 2 of 2 own");
    assert_eq!(other.line(), "ACK 0", "MR10");
    assert_eq!(other.line(), "DOWNLOAD 0 to 2, 0 of 2 own", "H26");
    other.send(4, Message::Mark(Mark { number: 7 }));
    assert_eq!(other.line(), "MARK 7");
    other.send(4, Message::SnapshotGet(SnapshotGet { snapshot: 0, offset: 0 }));
    assert_eq!(other.line(), "SNAP seq 2 offset 0");
}

#[test]
fn a_client_resumes_after_a_restart_of_the_server() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    let mut client = wire.begin(1, PATH);
    client.entries.push(entry(1, "a"));
    wire.upload(1, &client.entries);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    assert_eq!(wire.line(), "ACK 1");
    assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    // Sent; the server may stop before it reads them.
    let sent: Vec<Vec<u8>> = (2..=1000).map(|number| entry(number, "b")).collect();
    sent.iter().for_each(|entry| wire.upload(1, std::slice::from_ref(entry)));
    let host = host.restart();
    let ended = wire.rest();
    assert_eq!(ended.last().map(String::as_str), Some("ERROR 101 of 0"), "H27");
    let acknowledged = ended.iter().filter_map(|line| line.strip_prefix("ACK ")?.parse().ok());
    let last = acknowledged.max().unwrap_or(1);
    client.entries.extend_from_slice(&sent[..last - 1]);
    let mut wire = user.connect(&host);
    wire.bind(1, PATH, false);
    wire.send(1, Message::Resume(client.state()));
    assert_eq!(
        wire.line(),
        format!("RESUMED head {last} last {last}"),
        "H27: nothing without its ACK"
    );
    assert_eq!(wire.line(), format!("DOWNLOAD 0 to {last}, {last} of {last} own"));
}

#[test]
fn a_user_opens_own_databases_and_an_administrator_all() {
    let host = Host::new();
    let (alice, bob) = (SyncUser::register(&host, "alice"), SyncUser::register(&host, "bob"));
    let admin = SyncUser::admin(&host);
    let path = format!("/{}/notes", alice.identity());
    let mut wire = alice.connect(&host);
    wire.begin(1, &path);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let bind = |user: &SyncUser, path: &str| {
        let mut wire = user.connect(&host);
        wire.bind(1, path, true);
        wire.line()
    };
    assert_eq!(bind(&bob, &path), "ERROR 206 of 1", "H24");
    assert_eq!(bind(&bob, "/shared/notes"), "ERROR 206 of 1", "H24");
    assert_eq!(bind(&bob, "/~"), "ERROR 205 of 1");
    assert_eq!(bind(&bob, "/~/../x"), "ERROR 205 of 1");
    assert_eq!(bind(&bob, &format!("/~/{}", "x".repeat(250))), "ERROR 205 of 1");
    assert_eq!(bind(&admin, &path), "IDENT 2");
    assert_eq!(bind(&admin, "/shared/notes"), "IDENT 1");
}

#[test]
fn a_token_is_checked_and_its_account_too() {
    let host = Host::new();
    let alice = SyncUser::register(&host, "alice");
    let bob = SyncUser::register(&host, "bob");
    let mut wire = SyncWire::connect(&host);
    wire.greet();
    assert_eq!(wire.authenticate("no token"), "ERROR 203 of 0", "H7");
    assert_eq!(wire.rest(), Vec::<String>::new());
    let mut wire = alice.connect(&host);
    assert_eq!(wire.authenticate(&alice.token), format!("AUTH_OK {}", alice.identity()));
    assert_eq!(wire.authenticate(&bob.token), "ERROR 203 of 0", "another user");
    host.block("bob");
    let mut wire = SyncWire::connect(&host);
    wire.greet();
    assert_eq!(wire.authenticate(&bob.token), "ERROR 220 of 0", "H24");
}

#[test]
fn a_client_has_one_session() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut first = user.connect(&host);
    let client = first.begin(1, PATH);
    assert_eq!(first.line(), "RESUMED head 0 last 0");
    let mut second = user.connect(&host);
    second.bind(1, PATH, false);
    second.send(1, Message::Resume(client.state()));
    assert_eq!(second.line(), "RESUMED head 0 last 0");
    assert_eq!(first.line(), "ERROR 108 of 1");
    // The connection and its other sessions go on.
    first.begin(2, PATH);
    assert_eq!(first.line(), "RESUMED head 0 last 0");
}

/// The server handles frames in batches: a mark may be in that of an entry.
#[test]
fn a_mark_covers_what_was_acknowledged_to_another_client() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let (mut one, mut other) = (user.connect(&host), user.connect(&host));
    one.begin(1, PATH);
    other.begin(1, PATH);
    assert_eq!(one.line(), "RESUMED head 0 last 0");
    assert_eq!(other.line(), "RESUMED head 0 last 0");
    for number in 1..=200 {
        one.upload(1, &[entry(number, "a")]);
        while one.line() != format!("ACK {number}") {}
        other.send(1, Message::Mark(Mark { number }));
        let mut lines = Vec::new();
        while lines.last() != Some(&format!("MARK {number}")) {
            lines.push(other.line());
        }
        let has_entry = lines.iter().any(|line| line.starts_with("DOWNLOAD"));
        assert!(has_entry, "H31: {lines:?}");
    }
}

#[test]
fn a_snapshot_never_continues_with_parts_of_another_one() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, PATH);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    wire.upload(1, &[entry(1, "a")]);
    assert_eq!(wire.line(), "ACK 1");
    assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    let number = wire.snapshot(1, 0, 0).0;
    assert_eq!(wire.snapshot(1, number, 5), (number, 5));
    drop(wire);
    let host = host.restart();
    let mut wire = user.connect(&host);
    wire.bind(1, PATH, true);
    assert_eq!(wire.line(), "IDENT 2");
    let (other, offset) = wire.snapshot(1, number, 5);
    assert!(other != number && offset == 0, "SV3: of the first part of another one");
}

/// A download that is waited for has what the device itself has sent before, too.
#[test]
fn a_mark_covers_what_its_own_session_sent_before() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, PATH);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    for round in 1..=20 {
        let last = 10 * round;
        (last - 9..=last).for_each(|number| wire.upload(1, &[entry(number, "a")]));
        wire.send(1, Message::Mark(Mark { number: round }));
        let mut lines = Vec::new();
        while lines.last() != Some(&format!("MARK {round}")) {
            lines.push(wire.line());
        }
        let has_all = |line: &String| line.contains(&format!(" to {last}, "));
        assert!(lines.iter().any(has_all), "H31: {lines:?}");
    }
}

#[test]
fn paths_that_differ_in_case_are_different_databases() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    for (session, path) in [(1, "/~/notes"), (2, "/~/Notes"), (3, "/~/notes/Notes")] {
        wire.begin(session, path);
        assert_eq!(wire.line(), "RESUMED head 0 last 0", "H28: {path}");
        wire.upload(session, &[entry(1, "a")]);
        assert_eq!(wire.line(), "ACK 1");
        assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    }
}

/// The files are those that a server finds that starts after this one was killed.
#[test]
fn an_entry_with_an_answer_is_in_the_files() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    let mut client = wire.begin(1, PATH);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    for number in 1..=3 {
        client.entries.push(entry(number, "a"));
        wire.upload(1, &client.entries[client.entries.len() - 1..]);
        while wire.line() != format!("ACK {number}") {}
        let copy = host.copied();
        let mut wire = user.connect(&copy);
        wire.bind(1, PATH, false);
        wire.send(1, Message::Resume(client.state()));
        assert_eq!(wire.line(), format!("RESUMED head {number} last {number}"), "H32");
    }
}
