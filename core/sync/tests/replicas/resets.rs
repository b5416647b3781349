//! Resets of copied files, refusals that only a snapshot names, numbers of reports, observers, and
//! snapshots that are not the server's.
//!
//! - SY4 An acknowledged operation is in the history, was overridden, or is named in a report.
//! - SV5 A snapshot that is not the one that the server sent is requested a second time.
//! - SY17 An entry that was refused is not pending for ever, also in a copy of the file.
//! - SY12 The report of a reset stays until the app has acknowledged it.
//! - W1 The changes of a reset are those of the objects, also within long lists.

use super::sessions::{START, SyncedPeer, SyncedWorld};
use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, ListMut, Value};
use fastness::vfs::MemoryVfs;
use fastness_sync::client::{ClientError, Refusal, ResetMode, ResetStart};
use fastness_sync::frame::Code;
use fastness_sync::reset::{Cause, ReportedRefusal};
use fastness_sync::server::{
    Access, Answer, Opening, ServerReplica, SnapshotPool, Submission, WantedPart,
};
use fastness_sync::session::{ClientInput, ClientOutput, SnapshotBytes};
use std::sync::Arc;

impl SyncedWorld {
    /// Makes a world of one client, whose file is a file.
    fn of_one(options: &StoreOptions) -> Self {
        let mut world = Self::new(StoreOptions::new().in_memory().unwrap());
        let store = options.create("first").unwrap();
        world.peers = vec![SyncedPeer::of_file(store, (START, 1))];
        world
    }

    /// A client creates an object.
    fn write(&mut self, index: usize, key: i64) {
        let now = self.now;
        let peer = &mut self.peers[index];
        let mut txn = peer.file.replica().database().write().unwrap();
        txn.get_or_create("Node", key).unwrap();
        txn.commit().unwrap();
        peer.wrote(now);
    }

    /// A client edits the list of the object 1, in one transaction.
    fn edit(&mut self, index: usize, edit: &dyn Fn(&mut ListMut<'_>) -> fastness::Result<()>) {
        let now = self.now;
        let peer = &mut self.peers[index];
        let mut txn = peer.file.replica().database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        edit(&mut txn.list(&node, "text").unwrap()).unwrap();
        txn.commit().unwrap();
        peer.wrote(now);
    }

    fn cut(&mut self, index: usize) {
        let now = self.now;
        self.peers[index].cut(now);
    }
}

fn in_memory() -> StoreOptions {
    StoreOptions::new().vfs(Arc::new(MemoryVfs::default()))
}

/// Tells which of some objects a client sees.
fn sees(peer: &SyncedPeer, keys: &[i64]) -> Vec<bool> {
    let snapshot = peer.file.replica().database().snapshot().unwrap();
    let nodes = snapshot.view().objects("Node").unwrap();
    keys.iter().map(|key| nodes.get(*key).unwrap().is_some()).collect()
}

#[test]
fn copies_of_a_file_keep_what_each_of_them_wrote() {
    keep(&|_| {}, Cause::Cloned);
}

#[test]
fn a_copy_that_was_away_for_too_long_keeps_what_it_wrote() {
    let forget = |replica: &ServerReplica| {
        // No client is live, so nothing holds back the horizon.
        replica.advance_horizon(START << 1, 0).unwrap();
        while replica.compact(100).unwrap() {}
    };
    keep(&forget, Cause::Expired);
}

#[test]
fn a_copy_that_meets_another_epoch_keeps_what_it_wrote() {
    keep(&|replica| replica.begin_epoch(9).unwrap(), Cause::Diverged);
}

/// Two copies of a file write, and the second one resets after a change of the server.
fn keep(between: &dyn Fn(&ServerReplica), cause: Cause) {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    world.write(0, 1);
    world.drain("before the copy");
    world.cut(0);
    world.write(0, 2);
    world.peers[0].file.replica().database().store().copy("second", None).unwrap();
    let copy = options.open("second").unwrap();
    [11, 12].into_iter().for_each(|key| world.write(0, key));
    world.drain("the first copy");
    between(&world.replica);
    world.peers.push(SyncedPeer::of_file(copy, (START, 2)));
    [21, 22, 23].into_iter().for_each(|key| world.write(1, key));
    world.drain("both copies");
    world.compare("both copies");
    let keys = [1, 2, 11, 12, 21, 22, 23];
    assert_eq!(sees(&world.peers[1], &keys), [true; 7], "SY4");
    let reports = &world.peers[1].reports;
    assert_eq!(reports[0].cause, cause);
    let operations: usize = reports.iter().map(|report| report.operations().count()).sum();
    assert_eq!(operations, 4, "SY12: one outcome for each pending operation");
}

/// In mode Discard, the app writes on while the snapshot arrives, after the backup was made.
#[test]
fn a_reset_drops_only_what_its_backup_has() {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    world.write(0, 1);
    world.drain("before");
    world.cut(0);
    world.write(0, 2);
    world.peers[0].file.mode = ResetMode::Discard;
    world.peers[0].file.backup = Some("backup".into());
    world.replica.begin_epoch(9).unwrap();
    let now = world.now;
    world.peers[0].connect(now);
    let has_begun =
        |world: &SyncedWorld| world.peers[0].file.replica().reset_in_progress().unwrap().is_some();
    while !has_begun(&world) {
        world.step(0);
    }
    world.write(0, 3);
    assert!(has_begun(&world), "the snapshot is on its way");
    world.drain("after");
    world.compare("after");
    assert_eq!(sees(&world.peers[0], &[1, 2, 3]), [true, false, true], "SY25");
    let counts: Vec<u64> = world.peers[0].reports[0].counts().values().copied().collect();
    assert_eq!(counts.iter().sum::<u64>(), 2, "SY12");
    let backup = Database::from_store(options.open("backup").unwrap(), &DatabaseOptions::dynamic());
    let snapshot = backup.unwrap().snapshot().unwrap();
    let nodes = snapshot.view().objects("Node").unwrap();
    let kept = [1, 2, 3].map(|key| nodes.get(key).unwrap().is_some());
    assert_eq!(kept, [true, true, false], "SY25");
}

/// The first copy writes an entry that the server refuses; the second one has another entry of that
/// number.
#[test]
fn a_copy_keeps_an_entry_whose_number_was_refused_to_another() {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    world.write(0, 1);
    world.drain("before the copy");
    world.cut(0);
    world.peers[0].file.replica().database().store().copy("second", None).unwrap();
    let copy = options.open("second").unwrap();
    world.write(0, 11);
    world.access = Access::Read;
    world.drain("the first copy");
    let client = world.peers[0].file.replica().meta().unwrap().client;
    assert_eq!(world.replica.dead_letters(client, 0).unwrap().len(), 1, "it is repeated");
    world.access = Access::Write;
    world.peers.push(SyncedPeer::of_file(copy, (START, 2)));
    world.write(1, 21);
    world.drain("both copies");
    world.compare("both copies");
    assert_eq!(sees(&world.peers[1], &[1, 11, 21]), [true, false, true], "SV1");
    assert_eq!(world.peers[1].refused, 0, "SY23");
    assert_eq!(world.peers[1].file.replica().dead_letters(), Ok(vec![]), "SV1");
}

/// Two copies have one pending entry, which the server refuses. It drops the refusal when the first
/// copy knows it.
#[test]
fn a_copy_concludes_that_an_entry_was_refused() {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    world.write(0, 1);
    world.drain("before the copy");
    world.cut(0);
    world.write(0, 2);
    world.peers[0].file.replica().database().store().copy("second", None).unwrap();
    let copy = options.open("second").unwrap();
    world.access = Access::Read;
    world.drain("the first copy");
    world.cut(0);
    let now = world.now;
    world.peers[0].connect(now);
    (0..20).for_each(|_| world.step(0));
    let client = world.peers[0].file.replica().meta().unwrap().client;
    assert_eq!(world.replica.dead_letters(client, 0).unwrap(), [], "the first copy knows");
    world.peers.push(SyncedPeer::of_file(copy, (START, 2)));
    world.drain("the second copy");
    world.compare("both copies");
    assert_eq!(sees(&world.peers[1], &[1, 2]), [true, false], "SY17");
    let letters = world.peers[1].file.replica().dead_letters().unwrap();
    let found: Vec<(u64, u16)> =
        letters.iter().map(|letter| (letter.client_seq, letter.refusal.code)).collect();
    assert_eq!(found, [(3, 0)], "SY4");
    assert_eq!(world.peers[1].refused, 1, "the app hears of it");
}

/// The session compares the entries of the new identity, not those that it compared before.
#[test]
fn a_new_database_gives_a_client_the_number_that_it_had() {
    let mut world = SyncedWorld::of_one(&in_memory());
    world.write(0, 1);
    world.drain("before");
    let before = world.peers[0].file.replica().meta().unwrap();
    world.write(0, 2);
    world.cut(0);
    (world.store, world.snapshots) = (in_memory().create("new").unwrap(), SnapshotPool::new(2));
    let opening = Opening { database: [1; 16], epoch: 9 };
    world.replica = ServerReplica::open(world.store.clone(), &opening).unwrap();
    world.replica.set_backups(true).unwrap();
    world.drain("a new database");
    world.compare("a new database");
    let after = world.peers[0].file.replica().meta().unwrap();
    assert_eq!(after.client, before.client);
    assert_ne!(after.ident_salt, before.ident_salt);
    let causes: Vec<Cause> = world.peers[0].reports.iter().map(|report| report.cause).collect();
    assert_eq!(causes, [Cause::UnknownClient], "SV1");
    assert_eq!(sees(&world.peers[0], &[1, 2]), [true; 2], "SY4");
}

#[test]
fn the_number_of_a_report_is_never_used_again() {
    let mut world = SyncedWorld::of_one(&in_memory());
    world.write(0, 1);
    world.drain("before");
    for number in 1..4 {
        world.cut(0);
        world.replica.begin_epoch(5 + number).unwrap();
        world.drain("a new epoch");
        let replica = world.peers[0].file.replica();
        // An app that is late acknowledges what it saw before.
        replica.acknowledge_report(number - 1).unwrap();
        let stored = replica.stored_report().unwrap().map(|stored| stored.number);
        assert_eq!(stored, Some(number), "SY12");
        replica.acknowledge_report(number).unwrap();
        assert_eq!(replica.stored_report(), Ok(None), "SY12");
    }
}

/// A client writes an entry that is refused and one that is ordered, and hears of neither. Then the
/// server has another epoch.
#[test]
fn a_reset_learns_of_a_refusal_whose_answer_was_lost() {
    let mut world = SyncedWorld::of_one(&in_memory());
    world.write(0, 1);
    world.drain("before");
    let client = world.peers[0].file.replica().meta().unwrap().client;
    world.write(0, 2);
    world.write(0, 3);
    let upload = world.peers[0].file.replica().upload_after(0, usize::MAX).unwrap();
    for ((number, entry), access) in upload.entries.iter().zip([Access::Read, Access::Write]) {
        let (entries, oldest_base) = (&[&entry[..]][..], upload.oldest_base);
        let submission = Submission { client, access, entries, oldest_base };
        let answers = world.replica.submit(&submission, START).unwrap();
        let is_refused = matches!(answers[..], [Answer::Refused(_)]);
        assert_eq!(is_refused, access == Access::Read, "{number}: {answers:?}");
    }
    world.cut(0);
    world.replica.begin_epoch(9).unwrap();
    world.drain("a new epoch");
    world.compare("a new epoch");
    assert_eq!(sees(&world.peers[0], &[1, 2, 3]), [true, false, true], "SY4");
    let refused = ReportedRefusal { client_seq: upload.entries[0].0, code: 231, operation: None };
    assert_eq!(world.peers[0].reports[0].refused(), [refused], "SY4");
    let replica = world.peers[0].file.replica();
    let stored = replica.stored_report().unwrap().unwrap();
    assert_eq!(stored.report, world.peers[0].reports[0], "SY12");
    let letters = replica.dead_letters().unwrap();
    let found: Vec<(u32, u64)> =
        letters.iter().map(|letter| (letter.client, letter.client_seq)).collect();
    assert_eq!(found, [(client, refused.client_seq)], "SY4");
    assert_eq!(letters[0].refusal, Refusal { code: 231, operation: None });
}

/// Elements of a list that has several chunks.
const LONG: usize = 3000;

#[test]
fn an_observer_of_a_reset_sees_a_change_within_a_long_list() {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    let store = options.create("second").unwrap();
    world.peers.push(SyncedPeer::of_file(store, (START, 2)));
    world.write(0, 1);
    world.edit(0, &|list| {
        (0..LONG).try_for_each(|at| list.push(format!("word {at}").as_str()).map(drop))
    });
    // Both files get the same bytes from one snapshot.
    world.replica.begin_epoch(6).unwrap();
    world.drain("the first reset");
    world.cut(0);
    world.edit(1, &|list| list.set(LONG / 2, "word !"));
    let (_, changes) = world.peers[0].file.replica().database().subscribe().unwrap();
    world.replica.begin_epoch(7).unwrap();
    world.drain("the second reset");
    world.compare("the second reset");
    let mut modified = Vec::new();
    while let Some(changes) = changes.try_recv() {
        let nodes = changes.classes.values().flat_map(|class| &class.modified);
        let properties = nodes.flat_map(|(_, properties)| properties);
        let lists = properties.filter_map(|property| property.list.as_ref());
        modified.extend(lists.flat_map(|list| &list.modified).map(|(at, _)| *at));
    }
    assert_eq!(modified, [LONG / 2], "W1");
}

/// A driver's answers to an output of the session: the snapshot and the offset to fetch next, or
/// whether the reset has ended.
fn perform(peer: &mut SyncedPeer, output: ClientOutput<'_>) -> Result<(u64, u64), ClientError> {
    let mut next = (u64::MAX, u64::MAX);
    let performed = peer.file.perform(output, &mut |input| {
        if let ClientInput::FetchSnapshot { snapshot, offset } = input {
            next = (snapshot, offset);
        }
    });
    performed.map(|_| next)
}

#[test]
fn a_snapshot_that_is_not_the_server_s_is_requested_again() {
    for (is_cut, is_last_good) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut world = SyncedWorld::of_one(&in_memory());
        world.write(0, 1);
        world.drain("before");
        world.cut(0);
        world.write(0, 2);
        let identity = world.replica.identify("u", 8, START).unwrap();
        let (client, ident_salt) = (identity.client, identity.salt);
        let start = ResetStart { cause: Cause::Diverged, client, ident_salt };
        world.peers[0].file.replica().begin_reset(&start, None).unwrap();
        let at = world.replica.status().unwrap();
        let wanted = WantedPart { number: 0, offset: 0, bytes_max: 1 << 20, user: "u" };
        let part = world.snapshots.part(&world.replica, &wanted).unwrap();
        let (number, slice) = (part.number, part.slice);
        let send = |peer: &mut SyncedPeer, is_good: bool| {
            let mut root = slice.root.unwrap();
            root[0] ^= u8::from(!is_good && !is_cut);
            let part = &slice.bytes[..slice.bytes.len() - usize::from(!is_good && is_cut)];
            let bytes = SnapshotBytes {
                snapshot: number,
                epoch: at.epoch,
                seq: at.head,
                salt: at.salt,
                horizon: at.horizon,
                total: slice.bytes.len() as u64,
                offset: 0,
                part,
                root: Some(root),
            };
            perform(peer, ClientOutput::Snapshot(bytes))
        };
        let peer = &mut world.peers[0];
        assert_eq!(send(peer, false), Ok((0, 0)), "SV5");
        let after = send(peer, is_last_good);
        if is_last_good {
            assert_eq!(after, Ok((u64::MAX, u64::MAX)), "SV5");
            assert_eq!(sees(peer, &[1, 2]), [true; 2], "SY4");
        } else {
            // The driver leaves the reset to the app.
            let failed = Err(ClientError::ResetFailed(Cause::Diverged));
            assert_eq!(after, failed, "SV5");
            // A snapshot that is no stream leaves nothing to end with.
            let again = if is_cut { Ok((0, 0)) } else { failed };
            assert_eq!(perform(peer, ClientOutput::Reset(Code::DIVERGED)), again, "SV5");
            assert_eq!(sees(peer, &[1, 2]), [true; 2], "SY4");
        }
    }
}

impl SyncedWorld {
    /// Puts a copy of a backup in the place of the server's file, which begins an epoch.
    fn restore(&mut self, options: &StoreOptions, backup: &str, epoch: u64) {
        let path = format!("server-{epoch}");
        options.open(backup).unwrap().copy(&path, None).unwrap();
        self.store = options.open(&path).unwrap();
        let opening = Opening { database: [1; 16], epoch };
        self.replica = ServerReplica::open(self.store.clone(), &opening).unwrap();
        self.snapshots = SnapshotPool::new(2);
        self.cut(0);
    }

    /// A client adds to the counter of the object 1.
    fn add(&mut self, by: i64) {
        let now = self.now;
        let peer = &mut self.peers[0];
        let mut txn = peer.file.replica().database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.add(&node, "hits", by).unwrap();
        txn.commit().unwrap();
        peer.wrote(now);
    }

    /// Returns the counter in the client's file, after a comparison with the server's.
    fn hits(&self, of: &str) -> i64 {
        self.compare(of);
        let snapshot = self.peers[0].file.replica().database().snapshot().unwrap();
        let node = snapshot.view().objects("Node").unwrap().get(1).unwrap().unwrap();
        let Value::Int(hits) = node.get("hits").unwrap() else { panic!("hits is a counter") };
        hits
    }
}

/// The operator restores a backup that is too old, and then the right one, which has entries that
/// the client has written again meanwhile.
#[test]
fn an_entry_is_not_written_again_beside_its_original() {
    let options = in_memory();
    let mut world = SyncedWorld::of_one(&options);
    let opening = Opening { database: [1; 16], epoch: 5 };
    world.store = options.create("server").unwrap();
    world.replica = ServerReplica::open(world.store.clone(), &opening).unwrap();
    world.replica.set_backups(true).unwrap();
    for (by, backup) in [(1, Some("old")), (10, Some("right")), (100, None)] {
        world.add(by);
        world.drain("before");
        if let Some(backup) = backup {
            world.replica.back_up(&options, backup.as_ref(), None).unwrap();
        }
    }
    world.restore(&options, "old", 6);
    world.drain("the old backup");
    assert_eq!(world.hits("the old backup"), 111, "SY13");
    // One more entry is ordered, and one is pending when the next backup comes.
    world.add(1000);
    world.drain("an entry of the abandoned history");
    world.cut(0);
    world.add(10_000);
    world.restore(&options, "right", 7);
    world.drain("the right backup");
    assert_eq!(world.hits("the right backup"), 11_111, "SY13");
    let reported: usize = world.peers[0].reports.iter().map(|it| it.operations().count()).sum();
    assert_eq!(reported, 2 + 3, "SY12");
    // The client forgets originals with their entries.
    world.replica.note_backup(u64::MAX).unwrap();
    world.add(1);
    world.drain("a backup of everything");
    let snapshot = world.peers[0].file.replica().database().store().snapshot();
    assert_eq!(snapshot.tree("sync/originals").len(), 0, "MR10");
}
