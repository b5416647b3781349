//! Many databases under a budget of open files.
//!
//! - SV4 At most so many databases are open at a time, and none that is in use is closed.

use super::pair::{OPENING, USER};
use fastness::StoreOptions;
use fastness_models::merge::behaviours::Random;
use fastness_sim::fs::{Disk, SimFs};
use fastness_sync::server::{Databases, ServerError, ServerReplica, SnapshotReader};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const OPEN_MAX: usize = 3;

/// A use of a database.
enum DatabaseUse {
    Replica(ServerReplica),
    Snapshot(Box<SnapshotReader>),
}

#[test]
fn databases_in_use_stay_open_and_idle_ones_are_closed() {
    let fs = SimFs::boot(Disk::default(), 1);
    let options = StoreOptions::new().vfs(Arc::new(fs));
    let mut databases = Databases::new(options.clone(), OPEN_MAX);
    let random = &mut Random::new(1);
    let (mut uses, mut clients): (BTreeMap<PathBuf, DatabaseUse>, BTreeMap<PathBuf, u32>) =
        Default::default();
    let mut refused = 0;
    for _ in 0..1000 {
        let path = PathBuf::from(format!("/{}", random.below(6)));
        match random.below(4) {
            0 => drop(uses.remove(&path)),
            1 => databases.close_idle(),
            _ => match databases.get(&path, &OPENING) {
                Ok(replica) => {
                    let count = clients.entry(path.clone()).or_default();
                    *count += 1;
                    let identity = replica.identify(USER, 1, 1).unwrap();
                    assert_eq!(identity.client, *count, "SV4: {path:?} is as it was");
                    let of_snapshot = random.below(2) == 0;
                    let used = if of_snapshot {
                        DatabaseUse::Snapshot(Box::new(replica.snapshot().unwrap()))
                    } else {
                        DatabaseUse::Replica(replica)
                    };
                    uses.insert(path, used);
                }
                Err(ServerError::TooManyDatabases) => {
                    assert_eq!(uses.len(), OPEN_MAX, "SV4: an idle one could be closed");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            },
        }
        assert!((uses.len()..=OPEN_MAX).contains(&databases.len()), "SV4");
        for (path, used) in &uses {
            let open = options.open(path);
            match used {
                DatabaseUse::Replica(replica) => {
                    assert!(open.is_err(), "SV4: {path:?} was closed");
                    assert!(replica.status().is_ok(), "SV4");
                }
                DatabaseUse::Snapshot(reader) => assert_eq!(reader.server().head, 0),
            }
        }
    }
    assert!(refused > 10, "{refused}");
}
