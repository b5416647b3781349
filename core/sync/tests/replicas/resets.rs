//! Resets of copied files, refusals that only a snapshot names, and numbers of reports.
//!
//! - SY4 An acknowledged operation is in the history, was overridden, or is named in a report.
//! - SY12 The report of a reset stays until the app has acknowledged it.

use super::sessions::{START, SyncedPeer, SyncedWorld};
use fastness::StoreOptions;
use fastness::vfs::MemoryVfs;
use fastness_sync::client::Refusal;
use fastness_sync::reset::{Cause, ReportedRefusal};
use fastness_sync::server::{Access, Answer, ServerReplica, Submission};
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
