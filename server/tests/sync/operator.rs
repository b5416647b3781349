//! Requests of the operator, upkeep and backups.

use super::support::{SyncUser, SyncWire, entry, entry_after};
use crate::login::support::Host;
use fastness_auth::server::{AdminRequest, DatabaseRight};
use fastness_server::{SyncReply, SyncRequest};
use fastness_sync::frame::{Message, Packet, Progress};
use serde_json::Value;
use std::fs;
use std::time::Duration;

fn operate(host: &Host, request: &SyncRequest) -> Value {
    match host.operate(request) {
        SyncReply::Report(report) => serde_json::from_str(&report).unwrap(),
        SyncReply::Refused(reason) => panic!("refused: {reason}"),
    }
}

fn refused(host: &Host, request: &SyncRequest) -> String {
    match host.operate(request) {
        SyncReply::Report(report) => panic!("not refused: {report}"),
        SyncReply::Refused(reason) => reason,
    }
}

#[test]
fn reports_name_databases_clients_and_refused_entries() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let mut malformed = entry(2, "b");
    malformed.push(0xff);
    wire.upload(1, &[entry(1, "a"), malformed]);
    assert_eq!(wire.line(), "REJECT 2 212");
    assert_eq!(wire.line(), "ACK 2");
    let path = format!("/{}/notes", user.identity());
    let databases = operate(&host, &SyncRequest::Databases);
    let database = &databases["databases"][0];
    assert_eq!((&database["path"], &database["head"]), (&path.as_str().into(), &1.into()));
    assert_eq!(database["sessions"], 1);
    let clients = operate(&host, &SyncRequest::Clients { path: path.clone() });
    let client = &clients["clients"][0];
    assert_eq!((&client["user"], &client["state"]), (&user.identity().into(), &"online".into()));
    assert_eq!(client["behind"], 1, "it has confirmed nothing");
    let letters = operate(&host, &SyncRequest::DeadLetters { path: path.clone() });
    assert_eq!(letters["dead_letters"][0]["client_seq"], 2);
    let status = operate(&host, &SyncRequest::Status);
    assert_eq!(status["connections"][0]["user"], user.identity());
    assert_eq!(status["numbers"]["sync_refused_entries_total"], 1);
    let metrics = host.get("/metrics");
    assert!(metrics.contains("\nfastness_sync_entries_total 2\n"), "{metrics}");
    assert_eq!(host.get("/health"), "healthy\n");
    for path in ["/~/notes", "/a/b", "x"] {
        refused(&host, &SyncRequest::Clients { path: path.to_owned() });
    }
    assert_eq!(clients["is_cut"], false);
    // The same without a server, but for the upkeep, which needs its options.
    drop(wire);
    let host = host.stopped();
    assert!(refused(&host, &SyncRequest::Upkeep).contains("start it"));
    let clients = operate(&host, &SyncRequest::Clients { path });
    assert_eq!(clients["clients"][0]["state"], "offline");
}

#[test]
fn the_operator_ends_connections() {
    let host = Host::with(|config| config.sync.connections_per_user_max = 2);
    let user = SyncUser::register(&host, "alice");
    let (mut one, mut other) = (user.connect(&host), user.connect(&host));
    let mut third = SyncWire::connect(&host);
    third.greet();
    assert_eq!(third.authenticate(&user.token), "ERROR 101 of 0", "H29");
    let ended = operate(&host, &SyncRequest::Kick { who: user.identity().to_owned() });
    assert_eq!(ended["ended"], 2);
    assert_eq!(one.rest(), ["ERROR 101 of 0"], "H29");
    assert_eq!(other.rest(), ["ERROR 101 of 0"], "H29");
    let mut wire = host.retry(|| {
        let mut wire = SyncWire::connect(&host);
        wire.greet();
        wire.authenticate(&user.token).starts_with("AUTH_OK").then_some(wire)
    });
    host.block("alice");
    assert_eq!(wire.rest(), ["ERROR 220 of 0"], "H29");
}

#[test]
fn the_upkeep_moves_horizons_and_makes_backups_that_begin_an_epoch() {
    let host = Host::with(|config| {
        config.backup = Some(config.data.with_file_name("backup"));
        config.sync.upkeep_interval = Duration::from_secs(3600);
    });
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    let mut client = wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    client.entries.push(entry(1, "a"));
    wire.upload(1, &client.entries);
    assert_eq!(wire.durable_line(), ("ACK 1".to_owned(), 0));
    assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    wire.send(1, Message::Progress(Progress { cursor: 1, oldest_base: 1 }));
    wire.mark(1, 5);
    operate(&host, &SyncRequest::Upkeep);
    assert_eq!(wire.durable_line(), ("ACK 1".to_owned(), 1), "MR10");
    let path = format!("/{}/notes", user.identity());
    let databases = operate(&host, &SyncRequest::Databases);
    assert_eq!(databases["databases"][0]["horizon"], 1, "MR9");
    wire.upload(1, &[entry_after(1, 2, "b")]);
    assert_eq!(wire.durable_line(), ("ACK 2".to_owned(), 1), "MR10");
    drop(wire);
    let host = host.stopped();
    let file = format!("{}.d/notes.fastness", user.identity());
    let (backup, databases) = (host.path("backup").join(&file), host.path("server/databases"));
    fs::copy(backup, databases.join(&file)).unwrap();
    assert!(host.path("backup/accounts.backup").is_file(), "H30");
    let host = host.started();
    let mut wire = user.connect(&host);
    wire.bind(1, &path, false);
    client.entries.push(entry_after(1, 2, "b"));
    wire.send(1, Message::Resume(client.state()));
    assert_eq!(wire.line(), "ERROR 211 of 1", "SV1: the client has to reset");
}

#[test]
fn an_expired_client_holds_back_no_history() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    let client = wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    wire.upload(1, &[entry(1, "a")]);
    assert_eq!(wire.line(), "ACK 1");
    let path = format!("/{}/notes", user.identity());
    let head = || operate(&host, &SyncRequest::Databases)["databases"][0]["horizon"].clone();
    operate(&host, &SyncRequest::Upkeep);
    assert_eq!(head(), 0, "MR9");
    operate(&host, &SyncRequest::Expire { path: path.clone(), client: client.number });
    operate(&host, &SyncRequest::Upkeep);
    assert_eq!(head(), 1, "MR9");
    refused(&host, &SyncRequest::Expire { path, client: 77 });
}

#[test]
fn a_grant_opens_a_database_of_another_user() {
    let host = Host::new();
    let (alice, bob) = (SyncUser::register(&host, "alice"), SyncUser::register(&host, "bob"));
    let path = format!("/{}/notes", alice.identity());
    let grant = |right| {
        let (name, path) = ("bob".to_owned(), path.clone());
        host.administer(&AdminRequest::Grant { name, path, right });
    };
    grant(Some(DatabaseRight::Read));
    let mut wire = bob.connect(&host);
    wire.begin(1, &path);
    assert_eq!(wire.line(), "RESUMED head 0 last 0", "H24");
    wire.upload(1, &[entry(1, "a")]);
    assert_eq!(wire.line(), "REJECT 1 231", "H24");
    assert_eq!(wire.line(), "ACK 1");
    grant(Some(DatabaseRight::Write));
    assert_eq!(wire.line(), "ERROR 200 of 1", "the client binds again");
    wire.begin(2, &path);
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    wire.upload(2, &[entry(1, "a")]);
    assert_eq!(wire.line(), "ACK 1", "H24");
    assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    let mut others = alice.connect(&host);
    others.begin(1, &path);
    assert_eq!(others.line(), "RESUMED head 1 last 0");
    grant(None);
    assert_eq!(wire.line(), "ERROR 206 of 2", "H24");
    others.upload(1, &[entry(1, "b")]);
    assert_eq!(others.line(), "DOWNLOAD 0 to 1, 0 of 1 own", "the owner goes on");
    assert_eq!(others.line(), "ACK 1");
}

/// Uploads one entry of a new client; returns the seq up to which a backup reaches.
fn add(host: &Host, user: &SyncUser) -> u64 {
    let mut wire = user.connect(host);
    wire.begin(1, "/~/notes");
    assert!(wire.line().starts_with("RESUMED"));
    wire.upload(1, &[entry(1, "a")]);
    loop {
        let bytes = wire.read().expect("the connection has ended");
        // Entries of others come, too, and news of backups before the answer.
        if let Message::Ack(ack) = Packet::open(&bytes).unwrap().frame().unwrap().message
            && ack.last_client_seq == 1
        {
            return ack.durable_seq;
        }
    }
}

fn host_with_backups() -> Host {
    Host::with(|config| {
        config.backup = Some(config.data.with_file_name("backup"));
        config.sync.upkeep_interval = Duration::from_secs(3600);
    })
}

#[test]
fn a_backup_replaces_none_of_another_database() {
    let host = host_with_backups();
    let user = SyncUser::register(&host, "alice");
    add(&host, &user);
    let file = format!("{}.d/notes.fastness", user.identity());
    let (original, backup) =
        (host.path("server/databases").join(&file), host.path("backup").join(&file));
    assert_eq!(operate(&host, &SyncRequest::Upkeep)["failures"], 0);
    let host = host.stopped();
    let good = fs::read(&backup).unwrap();
    fs::remove_file(&original).unwrap();
    let host = host.started();
    add(&host, &user);
    let kept = |number: u32| backup.with_extension(format!("fastness.earlier-{number}"));
    for _ in 0..2 {
        assert_eq!(operate(&host, &SyncRequest::Upkeep)["failures"], 0);
        assert!(backup.is_file() && fs::read(&backup).unwrap() != good, "H33");
        assert!(fs::read(kept(1)).unwrap() == good, "H33: the earlier one stays");
        assert!(!kept(2).exists(), "H33: once");
    }
    // A damaged backup is not replaced either.
    fs::write(&backup, b"damaged").unwrap();
    add(&host, &user);
    assert_eq!(operate(&host, &SyncRequest::Upkeep)["failures"], 0);
    assert_eq!(fs::read(kept(2)).unwrap(), b"damaged", "H33");
}

#[test]
fn failures_of_the_upkeep_are_counted() {
    let host = host_with_backups();
    let user = SyncUser::register(&host, "alice");
    add(&host, &user);
    fs::remove_dir(host.path("backup")).unwrap();
    fs::write(host.path("backup"), "no folder").unwrap();
    let failures = operate(&host, &SyncRequest::Upkeep)["failures"].clone();
    assert_eq!(failures, 2, "H30: the database and the accounts");
    let status = operate(&host, &SyncRequest::Status);
    assert_eq!(status["numbers"]["sync_upkeep_failures_total"], 2, "H30");
    assert!(host.get("/metrics").contains("\nfastness_sync_upkeep_failures_total 2\n"));
    fs::remove_file(host.path("backup")).unwrap();
    assert_eq!(operate(&host, &SyncRequest::Upkeep)["failures"], 0);
    assert!(host.path("backup/accounts.backup").is_file());
}
