//! Updates of a backup: it is as a copy of the database would be.
//!
//! - MR10 An updated backup has the state and the history up to the seq that it reaches.

use super::decisions::founded;
use super::pair::{ModelledReplica, OPENING, creation, dump, open, submit};
use super::snapshots::write;
use crate::merge::compare;
use fastness::StoreOptions;
use fastness::table::Tables;
use fastness::vfs::MemoryVfs;
use fastness_models::merge::behaviours::Random;
use fastness_sync::server::{Opening, ServerReplica};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::path::Path;
use std::sync::Arc;

const BACKUP: &str = "/backup";

/// Compares a backup with its database, whose history is deleted up to the horizon.
fn compare_backup(pair: &ModelledReplica, options: &StoreOptions) {
    let store = options.open(BACKUP).unwrap();
    let is_same = |name: &str| {
        ["server/dead_letters", "server/elements", "server/history", "server/refused"]
            .contains(&name)
    };
    assert!(dump(&store, is_same) == dump(&pair.store, is_same), "MR10: the history");
    let mut tables = Tables::open(store.write().unwrap(), "main").unwrap();
    let state = TableState::new(&mut tables, WINDOW_TREE);
    compare(&state, pair.model.state(), true);
}

fn run(seed: u64) {
    let random = &mut Random::new(seed);
    let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
    let mut pair = ModelledReplica::new(options.clone());
    let mut elements = 10;
    founded(&mut pair);
    write(&mut pair, random, &mut elements);
    pair.replica.back_up(&options, Path::new(BACKUP), None).unwrap();
    for _ in 0..4 {
        let backed_up = pair.model.head();
        write(&mut pair, random, &mut elements);
        let updated = pair.replica.update_backup(&options, Path::new(BACKUP)).unwrap();
        assert_eq!(updated, Some(pair.model.head()), "MR10");
        compare_backup(&pair, &options);
        pair.advance(backed_up + random.below(pair.model.head() + 1 - backed_up));
        while pair.replica.compact(10).unwrap() {}
        pair.compare();
    }
    // An update without entries takes the horizon over.
    pair.replica.update_backup(&options, Path::new(BACKUP)).unwrap();
    compare_backup(&pair, &options);
    let opening = Opening { database: [0; 16], epoch: 5 };
    let restored = ServerReplica::open(options.open(BACKUP).unwrap(), &opening).unwrap();
    let status = restored.status().unwrap();
    assert_eq!((status.database, status.epoch), (OPENING.database, 5), "SV1: a new epoch");
    assert_eq!(status.head, pair.model.head(), "MR10");
}

#[test]
fn an_updated_backup_has_what_a_copy_has() {
    for seed in 1..=20 {
        run(seed);
    }
}

#[test]
fn a_file_of_another_history_is_not_updated() {
    let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
    let (store, replica) = open(&options);
    let client = replica.identify("user", 9, 1).unwrap().client;
    let update = |path: &str| replica.update_backup(&options, Path::new(path)).unwrap();
    // A database, which is no backup.
    store.copy("/copy", None).unwrap();
    assert_eq!(update("/copy"), None, "MR10");
    for (backup, epoch) in [("/behind", 1), ("/ahead", 1), ("/other", 7)] {
        if epoch != 1 {
            replica.begin_epoch(epoch).unwrap();
        }
        replica.back_up(&options, Path::new(backup), None).unwrap();
        if backup == "/behind" {
            submit(&replica, client, &[creation(1, 0, 1), creation(2, 0, 2)]);
            assert_eq!(replica.advance_horizon(u64::MAX, 0).unwrap(), 2);
            assert_eq!(update(backup), None, "MR10: entries after it are deleted");
        }
    }
    assert_eq!(update("/ahead"), None, "MR10: it is of an earlier epoch");
    assert_eq!(update("/other"), Some(2), "MR10");
}
