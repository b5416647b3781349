//! Incremental backups: the entries that a backup does not have are written, and no more.

use super::support::{SyncUser, SyncWire, entry, entry_after};
use crate::login::support::Host;
use fastness_server::{SyncReply, SyncRequest};
use fastness_sync::frame::{Message, Progress};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

fn host() -> Host {
    Host::with(|config| {
        config.backup = Some(config.data.with_file_name("backup"));
        config.sync.upkeep_interval = Duration::from_secs(3600);
    })
}

fn upkeep(host: &Host) {
    let reply = host.operate(&SyncRequest::Upkeep);
    assert_eq!(reply, SyncReply::Report("{\"failures\":0}".to_owned()));
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Uploads the next entry of a client, which then has everything.
fn write(wire: &mut SyncWire, client_seq: u64) {
    wire.upload(1, &[entry_after(client_seq - 1, client_seq, "a")]);
    while wire.line() != format!("DOWNLOAD {} to {client_seq}, 1 of 1 own", client_seq - 1) {}
    wire.send(1, Message::Progress(Progress { cursor: client_seq, oldest_base: client_seq }));
    wire.mark(1, client_seq);
}

#[test]
fn copies_take_turns_and_the_named_one_is_restored() {
    let host = host();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let name = format!("{}.d/notes.fastness", user.identity());
    let backup = host.path("backup").join(&name);
    let spare = backup.with_file_name(".notes.fastness.spare");
    for client_seq in 1..=4 {
        write(&mut wire, client_seq);
        let before = (client_seq > 1).then(|| (inode(&backup), inode(&spare)));
        upkeep(&host);
        assert_eq!(wire.durable_line(), (format!("ACK {client_seq}"), client_seq), "MR10");
        let Some((named, other)) = before else { continue };
        assert_eq!((inode(&backup), inode(&spare)), (other, named), "H37: {client_seq}");
    }
    // A damaged second copy is replaced, and the named one is not touched.
    fs::write(&spare, b"damaged").unwrap();
    write(&mut wire, 5);
    upkeep(&host);
    assert_eq!(wire.durable_line(), ("ACK 5".to_owned(), 5), "H37");
    assert!(fs::metadata(&spare).unwrap().len() > 1000, "H37");
    drop(wire);
    let host = host.stopped();
    fs::copy(&backup, host.path("server/databases").join(&name)).unwrap();
    let host = host.started();
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "ERROR 222 of 1", "the horizon was taken over, so a snapshot follows");
    let SyncReply::Report(report) = host.operate(&SyncRequest::Databases) else { panic!() };
    assert!(report.contains("\"head\":5,"), "H37: {report}");
}

/// A new client of a user writes an entry, which becomes the one of a seq.
fn add(host: &Host, user: &SyncUser, path: &str) {
    let mut wire = user.connect(host);
    wire.begin(1, path);
    assert!(wire.line().starts_with("RESUMED"));
    wire.upload(1, &[entry(1, "a")]);
    while wire.line() != "ACK 1" {}
}

/// An operator may take turns with the folders, as with disks that leave the house.
#[test]
fn each_folder_of_backups_has_everything() {
    let host = host();
    let user = SyncUser::register(&host, "alice");
    let (first, second) = (host.path("backup"), host.path("second"));
    add(&host, &user, "/~/notes");
    upkeep(&host);
    let host = host.stopped().started_with(|config| config.backup = Some(second.clone()));
    add(&host, &user, "/~/notes");
    upkeep(&host);
    let host = host.stopped().started_with(|config| config.backup = Some(first.clone()));
    upkeep(&host);
    let host = host.stopped();
    let name = format!("{}.d/notes.fastness", user.identity());
    for folder in [first, second] {
        fs::copy(folder.join(&name), host.path("server/databases").join(&name)).unwrap();
        let SyncReply::Report(report) =
            host.operate(&SyncRequest::Clients { path: format!("/{}/notes", user.identity()) })
        else {
            panic!()
        };
        assert!(report.contains("\"head\":2"), "H30: {} of {report}", folder.display());
    }
}

#[test]
fn a_database_with_the_longest_name_is_backed_up() {
    let host = host();
    let user = SyncUser::register(&host, "alice");
    let name = "n".repeat(246);
    let path = format!("/~/{name}");
    for _ in 0..2 {
        add(&host, &user, &path);
        upkeep(&host);
    }
    let backup = host.path("backup").join(format!("{}.d/{name}.fastness", user.identity()));
    assert!(backup.is_file(), "H30");
}
