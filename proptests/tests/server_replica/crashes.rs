//! Crashes at any write.
//!
//! - SY14 The file is as before a call, or as after it; repeated, the call changes nothing more.

use super::decisions::founded;
use super::pair::{CLIENTS, Draw, FILE, ModelledReplica, NOW, OPENING, USER, dump, submit_to};
use fastness::{Key, Store, StoreOptions};
use fastness_models::merge::behaviours::Random;
use fastness_sim::Rng;
use fastness_sim::fs::{Disk, SimFs};
use fastness_sync::server::{ClientProgress, ServerReplica};
use std::sync::Arc;

fn options(fs: &SimFs, encrypted: bool) -> StoreOptions {
    let options = StoreOptions::new().vfs(Arc::new(fs.clone())).log_pages(6);
    if encrypted { options.key(Key::new([7; 64])) } else { options }
}

/// Opens what a crash left.
fn reopened(disk: Disk, encrypted: bool) -> (Store, ServerReplica) {
    let fs = SimFs::boot(disk, 1);
    let store = options(&fs, encrypted).open(FILE).unwrap();
    (store.clone(), ServerReplica::open(store, &OPENING).unwrap())
}

/// A call of the replica.
struct ReplicaCall<'c> {
    run: &'c dyn Fn(&ServerReplica),
    /// A second call changes nothing more.
    is_idempotent: bool,
}

/// A file whose calls are interrupted, and how many crashes left it as before, and as after.
struct Crashing {
    fs: SimFs,
    encrypted: bool,
    counts: [u32; 2],
}

impl Crashing {
    /// Crashes at each write of a call, and repeats the call.
    fn crash(&mut self, pair: &ModelledReplica, call: &ReplicaCall<'_>) {
        let before = dump(&pair.store, |_| true);
        self.fs.record_forks();
        (call.run)(&pair.replica);
        let forks = self.fs.take_forks();
        let after = dump(&pair.store, |_| true);
        let mut rng = Rng::new(forks.len() as u64);
        for fork in forks {
            for disk in [fork.disk.power_loss(&mut rng), fork.disk.clone()] {
                let (store, replica) = reopened(disk, self.encrypted);
                let found = dump(&store, |_| true);
                assert!(found == before || found == after, "SY14: at {:?}", fork.at);
                let is_after = found == after;
                self.counts[usize::from(is_after)] += 1;
                if call.is_idempotent || !is_after {
                    (call.run)(&replica);
                    assert!(dump(&store, |_| true) == after, "SY14: repeated after {:?}", fork.at);
                }
            }
        }
    }

    /// Crashes in the calls that are no submissions.
    fn crash_others(&mut self, pair: &ModelledReplica, random: &mut Random) {
        let seq = random.below(pair.model.head() + 1);
        let progress = ClientProgress { cursor: seq, oldest_base: seq };
        for client in 1..=CLIENTS {
            let run = &|replica: &ServerReplica| replica.progress(client, progress, 7).unwrap();
            self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        }
        let run = &|replica: &ServerReplica| {
            let _result = replica.advance_horizon(7, 1000).unwrap();
        };
        self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        let run = &|replica: &ServerReplica| {
            let _result = replica.compact(100).unwrap();
        };
        self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        let run = &|replica: &ServerReplica| {
            let _result = replica.identify(USER, 5, 7).unwrap();
        };
        self.crash(pair, &ReplicaCall { run, is_idempotent: false });
        let run = &|replica: &ServerReplica| replica.begin_epoch(11).unwrap();
        self.crash(pair, &ReplicaCall { run, is_idempotent: false });
    }
}

fn run(seed: u64, encrypted: bool) -> [u32; 2] {
    let fs = SimFs::boot(Disk::default(), seed);
    let mut pair = ModelledReplica::new(options(&fs, encrypted));
    let mut crashing = Crashing { fs, encrypted, counts: [0; 2] };
    let random = &mut Random::new(seed);
    let mut elements = 10;
    founded(&mut pair);
    for _ in 0..6 {
        let client = u32::try_from(random.below(CLIENTS.into())).unwrap() + 1;
        let entries: Vec<_> = (0..3)
            .map(|earlier| pair.draw(Draw { client, earlier }, random, &mut elements))
            .collect();
        let run = &|replica: &ServerReplica| drop(submit_to(replica, client, &entries, NOW));
        crashing.crash(&pair, &ReplicaCall { run, is_idempotent: true });
        pair.catch_up(&entries, NOW);
    }
    pair.compare();
    crashing.crash_others(&pair, random);
    crashing.counts
}

#[test]
fn a_crash_at_any_write_leaves_the_file_before_or_after() {
    let mut counts = [0; 2];
    for seed in 1..=6 {
        let counted = run(seed, seed % 2 == 0);
        counts = [counts[0] + counted[0], counts[1] + counted[1]];
    }
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}
