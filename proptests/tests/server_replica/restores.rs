//! Backups, and their return.
//!
//! - MR10 Entries up to `durable_seq` are in the backup.
//! - SV1, SV2 After a restore no client of the earlier epoch resumes, and no number is used again.
//! - SY13 Every operation that was acknowledged after the backup is written again by its client.

use super::pair::{NOW, OPENING, USER, creation, submit};
use fastness::vfs::MemoryVfs;
use fastness::{Key, StoreOptions};
use fastness_models::merge::behaviours::Random;
use fastness_sync::entry::{ObjectRef, Operation, Operations};
use fastness_sync::server::{
    Answer, ClientIdentity, ClientState, DownloadRequest, HistoryItem, Opening, ResumeRefusal,
    ServerReplica,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A client that keeps its acknowledged entries until a backup has them (MR10).
struct KeepingClient {
    identity: ClientIdentity,
    last_client_seq: u64,
    /// Keys that its acknowledged entries created, with their seqs.
    kept: Vec<(u64, u64)>,
}

impl KeepingClient {
    fn new(replica: &ServerReplica) -> Self {
        let identity = replica.identify(USER, 9, NOW).unwrap();
        Self { identity, last_client_seq: 0, kept: Vec::new() }
    }

    fn write(&mut self, replica: &ServerReplica, key: u64) {
        let status = replica.status().unwrap();
        self.last_client_seq += 1;
        let entry = creation(self.last_client_seq, status.head, key);
        let answers = submit(replica, self.identity.client, &[entry]);
        let [Answer::Sequenced { seq, .. }] = answers[..] else { panic!("{answers:?}") };
        self.kept.push((seq, key));
        let durable = replica.status().unwrap().durable_seq;
        self.kept.retain(|(seq, _)| *seq > durable);
    }

    /// Returns as the protocol says: an old identity is refused, and a new one writes again.
    fn come_back(self, replica: &ServerReplica) -> Self {
        let state = ClientState {
            identity: self.identity,
            user: USER,
            epoch: OPENING.epoch,
            cursor: 0,
            cursor_salt: 0,
            last_client_seq: self.last_client_seq,
            chain_hash: 0,
            oldest_base: 0,
        };
        let refusal = replica.resume(&state, NOW).unwrap().err();
        let expected = [ResumeRefusal::Diverged, ResumeRefusal::UnknownClient];
        assert!(refusal.is_some_and(|refusal| expected.contains(&refusal)), "SV1: {refusal:?}");
        let mut fresh = Self::new(replica);
        self.kept.iter().for_each(|(_, key)| fresh.write(replica, *key));
        fresh
    }
}

/// Returns the keys of all objects that the history creates.
fn created(replica: &ServerReplica) -> BTreeSet<String> {
    let request = DownloadRequest { client: 0, from: 0, full: 0..=0, bytes_max: 1 << 20 };
    let mut keys = BTreeSet::new();
    for item in replica.download(&request).unwrap().unwrap().items {
        let HistoryItem::Entry { entry, .. } = item else { panic!("in full") };
        for operation in Operations::new(&entry).unwrap() {
            if let Operation::Create(ObjectRef { key, .. }) = operation.unwrap() {
                keys.insert(format!("{key:?}"));
            }
        }
    }
    keys
}

fn run(seed: u64, key: Option<&Key>) {
    let random = &mut Random::new(seed);
    let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
    let store = options.create("/database").unwrap();
    let replica = ServerReplica::open(store, &OPENING).unwrap();
    replica.set_backups(true).unwrap();
    let mut clients: Vec<KeepingClient> = (0..3).map(|_| KeepingClient::new(&replica)).collect();
    let backup = Path::new("/backup");
    let mut is_backed_up = false;
    for written in 0..30 {
        let at = usize::try_from(random.below(clients.len() as u64)).unwrap();
        clients[at].write(&replica, written);
        if !is_backed_up && random.below(10) == 0 {
            let seq = replica.back_up(&options, backup, key).unwrap();
            is_backed_up = true;
            replica.note_backup(seq).unwrap();
        }
        if random.below(10) == 0 {
            clients.push(KeepingClient::new(&replica));
        }
    }
    if !is_backed_up {
        return;
    }
    let before = created(&replica);
    let options = key.map_or(options.clone(), |key| options.clone().key(key.clone()));
    let opening = Opening { database: [0; 16], epoch: 5 };
    let restored = ServerReplica::open(options.open(backup).unwrap(), &opening).unwrap();
    let status = restored.status().unwrap();
    assert_eq!((status.database, status.epoch), (OPENING.database, 5), "SV1: a new epoch");
    assert_eq!(status.durable_seq, status.head, "MR10");
    let number = |client: &KeepingClient| client.identity.client;
    let mut numbers: BTreeSet<u32> = clients.iter().map(number).collect();
    for client in clients {
        assert!(numbers.insert(number(&client.come_back(&restored))), "SV2: a number again");
    }
    assert_eq!(created(&restored), before, "SY13");
    // Opened again, the database goes on in its epoch.
    drop(restored);
    let restored = ServerReplica::open(options.open(backup).unwrap(), &OPENING).unwrap();
    assert_eq!(restored.status().unwrap().epoch, 5, "SV1");
}

#[test]
fn entries_that_were_acknowledged_after_a_backup_are_written_again() {
    let key = Key::new([9; 64]);
    for seed in 1..=40 {
        run(seed, (seed % 2 == 0).then_some(&key));
    }
}

#[test]
fn two_restores_of_a_backup_give_different_numbers() {
    let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
    let replica = ServerReplica::open(options.create("/database").unwrap(), &OPENING).unwrap();
    let mut numbers = BTreeSet::from([replica.identify(USER, 9, NOW).unwrap().client]);
    for epoch in [5, 1_000_005] {
        let backup = format!("/backup-{epoch}");
        replica.back_up(&options, Path::new(&backup), None).unwrap();
        let opening = Opening { database: [0; 16], epoch };
        let restored = ServerReplica::open(options.open(backup).unwrap(), &opening).unwrap();
        for _ in 0..3 {
            let number = restored.identify(USER, 9, NOW).unwrap().client;
            assert!(numbers.insert(number), "SV2: {number} again");
        }
    }
}
