//! Crashes at any write.
//!
//! - SY14 The file is as before a call, or as after it; repeated, the call changes nothing more.

use super::decisions::founded;
use super::pair::{
    CLIENTS, Draw, Dump, FILE, IDENTITIES, ModelledReplica, NOW, OPENING, USER, dump, try_submit,
};
use fastness::{Key, Store, StoreOptions};
use fastness_models::merge::behaviours::Random;
use fastness_sim::Rng;
use fastness_sim::fs::{Disk, Fault, Injection, SimFs};
use fastness_sync::server::{ClientProgress, ServerReplica, ServerResult};
use std::sync::Arc;

fn options(fs: &SimFs, encrypted: bool) -> StoreOptions {
    let options = StoreOptions::new().vfs(Arc::new(fs.clone())).log_pages(6);
    if encrypted { options.key(Key::new([7; 64])) } else { options }
}

/// Opens what a crash left.
fn booted(disk: Disk, encrypted: bool) -> (SimFs, Store, ServerReplica) {
    let fs = SimFs::boot(disk, 1);
    let store = options(&fs, encrypted).open(FILE).unwrap();
    (fs, store.clone(), ServerReplica::open(store, &OPENING).unwrap())
}

/// A call of the replica.
struct ReplicaCall<'c> {
    run: &'c dyn Fn(&ServerReplica) -> ServerResult<()>,
    /// A second call changes nothing more.
    is_idempotent: bool,
}

/// A file whose calls are interrupted. It counts the crashes that left it as before and as after,
/// and the calls that failed.
struct Crashing {
    fs: SimFs,
    encrypted: bool,
    counts: [u32; 2],
    failed: u32,
}

impl Crashing {
    /// Crashes at each write of a call, and repeats the call.
    fn crash(&mut self, pair: &ModelledReplica, call: &ReplicaCall<'_>) {
        let (disk, before) = (self.fs.disk(), dump(&pair.store, |_| true));
        self.fs.record_forks();
        (call.run)(&pair.replica).unwrap();
        let forks = self.fs.take_forks();
        let after = dump(&pair.store, |_| true);
        self.failed += self.fail(&disk, &after, call);
        let mut rng = Rng::new(forks.len() as u64);
        for fork in forks {
            for disk in [fork.disk.power_loss(&mut rng), fork.disk.clone()] {
                let (_, store, replica) = booted(disk, self.encrypted);
                let found = dump(&store, |_| true);
                assert!(found == before || found == after, "SY14: at {:?}", fork.at);
                let is_after = found == after;
                self.counts[usize::from(is_after)] += 1;
                if call.is_idempotent || !is_after {
                    (call.run)(&replica).unwrap();
                    assert!(dump(&store, |_| true) == after, "SY14: repeated after {:?}", fork.at);
                }
            }
        }
    }

    /// Meets a disk error at each call to the disk: what succeeded is durable, and what failed has
    /// happened or not.
    fn fail(&self, before: &Disk, after: &Dump, call: &ReplicaCall<'_>) -> u32 {
        let mut failed = 0;
        for fault in [Fault::Io, Fault::NoSpace, Fault::SyncIo] {
            for calls in 0.. {
                let (fs, store, replica) = booted(before.clone(), self.encrypted);
                let unchanged = dump(&store, |_| true);
                fs.inject(Injection { fault, after: calls, lasting: true });
                let is_done = (call.run)(&replica).is_ok();
                drop((store, replica));
                let is_met = fs.take_failure().is_some();
                let disk = fs.disk().power_loss(&mut Rng::new(calls.into()));
                let found = dump(&booted(disk, self.encrypted).1, |_| true);
                let may_be = found == *after || (!is_done && found == unchanged);
                assert!(may_be, "SY14: {fault:?} after {calls} calls");
                failed += u32::from(!is_done);
                if !is_met {
                    break;
                }
            }
        }
        failed
    }

    /// Crashes in the calls that are no submissions.
    fn crash_others(&mut self, pair: &ModelledReplica, random: &mut Random) {
        let seq = random.below(pair.model.head() + 1);
        let progress = ClientProgress { cursor: seq, oldest_base: seq };
        for client in 1..=IDENTITIES {
            let run = &|replica: &ServerReplica| replica.progress(client, progress, 7);
            self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        }
        let run = &|replica: &ServerReplica| replica.advance_horizon(7, 1000).map(drop);
        self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        let run = &|replica: &ServerReplica| replica.compact(100).map(|_| ());
        self.crash(pair, &ReplicaCall { run, is_idempotent: true });
        let run = &|replica: &ServerReplica| replica.identify(USER, 5, 7).map(|_| ());
        self.crash(pair, &ReplicaCall { run, is_idempotent: false });
        let run = &|replica: &ServerReplica| replica.begin_epoch(11);
        self.crash(pair, &ReplicaCall { run, is_idempotent: false });
    }
}

fn run(seed: u64, encrypted: bool) -> Crashing {
    let fs = SimFs::boot(Disk::default(), seed);
    let mut pair = ModelledReplica::new(options(&fs, encrypted));
    let mut crashing = Crashing { fs, encrypted, counts: [0; 2], failed: 0 };
    let random = &mut Random::new(seed);
    let mut elements = 10;
    founded(&mut pair);
    for _ in 0..6 {
        let client = u32::try_from(random.below(CLIENTS.into())).unwrap() + 1;
        let entries: Vec<_> = (0..3)
            .map(|earlier| pair.draw(Draw { client, earlier }, random, &mut elements))
            .collect();
        let run = &|replica: &ServerReplica| try_submit(replica, client, &entries, NOW).map(|_| ());
        crashing.crash(&pair, &ReplicaCall { run, is_idempotent: true });
        pair.catch_up(&entries, NOW);
    }
    pair.compare();
    crashing.crash_others(&pair, random);
    crashing
}

#[test]
fn a_crash_at_any_write_leaves_the_file_before_or_after() {
    let (mut before, mut after, mut failed) = (0, 0, 0);
    for seed in 1..=4 {
        let crashed = run(seed, seed % 2 == 0);
        before += crashed.counts[0];
        after += crashed.counts[1];
        failed += crashed.failed;
    }
    println!("{before} crashes before, {after} after, {failed} errors");
    assert!(before.min(after).min(failed) > 20, "{before} {after} {failed}");
}
