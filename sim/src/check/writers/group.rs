//! Group commit: one transaction commits, and others follow while it is written or synced.
//!
//! Each follower commits on a thread of its own, in a deterministic order. A follower starts when
//! the previous one has released the writer lock; all of them start while the leader's record is
//! written, before any byte is on the disk, or while it is synced. They share the next record. The
//! last follower may need a sync of its own, as a checkpoint does; then it waits for the leader's
//! sync, and the other followers wait for it. So the calls to the file system are the same in every
//! run, except for which waiter starts the next sync for all of them.

use super::state::Writers;
use crate::check::compare::{CheckError, same_value};
use crate::check::definition::Violation;
use crate::check::edits::{EntryEdit, apply_edits, draw_edits, edited};
use crate::check::io_faults::{blame, commit_mark, is_poisoned, next_write};
use crate::check::promises::{A1, C2, C3};
use crate::fs::{Call, Failure, SimFs};
use fastness::inspect::{is_sync_awaited, is_writing};
use fastness::{CommitId, Compaction, Error, Store, WriteTxn};
use fastness_models::Op;
use fastness_models::store::StoreState;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A transaction that follows while another one waits.
#[derive(Clone)]
struct FollowerTxn {
    edits: Vec<EntryEdit>,
    unsynced: bool,
}

/// The completion of a commit: on its own thread, or known.
enum Completion {
    Waits(JoinHandle<Result<CommitId, Error>>),
    Told(Result<CommitId, Error>),
}

impl Completion {
    fn wait(self) -> Result<CommitId, Error> {
        match self {
            Self::Waits(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Self::Told(outcome) => outcome,
        }
    }
}

/// The effect of a transaction, as the next transaction sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Visibility {
    Written,
    Refused,
    /// The store is poisoned.
    Unknown,
    /// It waits for the leader's sync, with the writer lock.
    Waits,
}

/// A transaction that was attempted.
struct Attempt {
    before: StoreState,
    after: StoreState,
    edits: Vec<EntryEdit>,
    /// Whether it creates a commit, even one that equals the previous state.
    commits: bool,
    unsynced: bool,
    seen: Visibility,
    ending: Completion,
}

/// The leader's changes, state and outcome, and the followers.
type Group = (bool, StoreState, Result<CommitId, Error>, Vec<Attempt>);

type Compacting = JoinHandle<Result<Compaction, Error>>;

type Attempts = Arc<Mutex<Result<Vec<Attempt>, Violation>>>;

/// Commits the open transaction, with followers while it waits.
pub(super) fn commit(writers: &mut Writers<'_>, op: Op) -> Result<(), CheckError> {
    let harness = &mut writers.harness;
    if let Err(error) = harness.write().map(drop) {
        return writers.attempt(op, |_| Err(error.into()));
    }
    let changed = harness.model.has_changes();
    let Some((txn, leader)) = harness.hand_over() else { return Ok(()) };
    let followers: Vec<FollowerTxn> =
        (0..=op.b % 3).map(|at| follower(writers, op.c >> (2 * at))).collect();
    let harness = &mut writers.harness;
    let tries: Attempts = Arc::new(Mutex::new(Ok(Vec::new())));
    let (store, fs, results) = (harness.store().clone(), harness.fs.clone(), Arc::clone(&tries));
    let base = leader.clone();
    drop(harness.fs.take_forks());
    let call = if op.a & 4 == 0 { Call::Sync } else { Call::Write };
    let failing = (op.a & 8 == 8 && writers.injected.is_none()).then(|| next_write(op));
    let compacts = op.b & 4 == 4 && followers.iter().all(|follower| !follower.unsynced);
    let compacting = Arc::new(Mutex::new(None));
    let compaction = Arc::clone(&compacting);
    let happens = move || {
        // A writer that creates or extends the log, or makes a checkpoint, holds the writer lock:
        // no follower can start.
        if is_writing(&store) {
            return false;
        }
        let tried = run(&store, &fs, base.clone(), &followers);
        let ended =
            |tries: &Vec<Attempt>| tries.last().is_none_or(|last| last.seen != Visibility::Written);
        if compacts && !tried.as_ref().is_ok_and(ended) {
            *lock(&compaction) = Some(compact(&store));
        }
        *lock(&results) = tried;
        failing.into_iter().for_each(|injection| fs.inject(injection));
        true
    };
    writers.harness.fs.run_during(call, Box::new(happens));
    let leader_outcome = txn.commit();
    writers.harness.fs.cancel_during();
    writers.injected = writers.injected.or(failing);
    let mut tries = std::mem::replace(&mut *lock(&tries), Ok(Vec::new()))?;
    if let Some(mut last) = tries.pop_if(|tried| tried.seen == Visibility::Waits) {
        let outcome = last.ending.wait();
        let (waited, leader_outcome) = (outcome.is_ok(), leader_outcome.is_ok());
        let is_poisoned = matches!(outcome, Err(Error::Poisoned { .. }));
        last.ending = Completion::Told(outcome);
        last.seen = next_sees(writers.harness.store(), &last)?;
        tries.push(last);
        if is_poisoned && !leader_outcome {
            writers.harness.probe.mark("waiter for an exclusive sync saw the other sync fail");
        } else if waited {
            writers.harness.probe.mark("exclusive sync waited for another sync");
        }
    }
    if !tries.is_empty() {
        mark_company(writers, call, &leader_outcome);
    }
    let compacting = lock(&compacting).take();
    settle(writers, op, (changed, leader, leader_outcome, tries))?;
    compacting.map_or(Ok(()), |thread| settle_compaction(writers, thread))?;
    if failing.is_some() && writers.harness.fs.failed().is_none() {
        // There was no write.
        writers.harness.fs.clear_fault();
        writers.injected = None;
    }
    Ok(())
}

/// Counts the marks of the leader.
fn mark_company(writers: &mut Writers<'_>, call: Call, leader_outcome: &Result<CommitId, Error>) {
    let is_record = |it: Failure| it.call == Call::Write;
    let failed = leader_outcome.is_err() && writers.harness.fs.failed().is_some_and(is_record);
    if call == Call::Write {
        writers.harness.probe.mark(match failed {
            true => "failed record that later commits depend on",
            false => "commits arrived during the write of a record",
        });
    }
}

/// Compacts on a thread of its own, which waits for the commit with the writer lock.
fn compact(store: &Store) -> Compacting {
    let compacting = store.clone();
    let thread = thread::spawn(move || compacting.compact());
    while !is_writing(store) && !thread.is_finished() {
        thread::yield_now();
    }
    thread
}

fn settle_compaction(writers: &mut Writers<'_>, thread: Compacting) -> Result<(), CheckError> {
    match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
        Ok(_) => {
            writers.harness.probe.mark("compaction waited for a record or a sync");
            writers.durable();
        }
        Err(error) => {
            blame(&error, writers.injected, (writers.harness.fs.failed(), writers.poisoned))?;
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws a follower.
fn follower(writers: &Writers<'_>, bits: u8) -> FollowerTxn {
    let world = writers.harness.world;
    let stamp = 0xd000_0000 | u32::try_from(writers.harness.step << 8).unwrap_or(0);
    FollowerTxn { edits: draw_edits(world, stamp), unsynced: bits % 4 == 3 }
}

/// Runs the followers one after the other.
fn run(
    store: &Store,
    fs: &SimFs,
    mut base: StoreState,
    followers: &[FollowerTxn],
) -> Result<Vec<Attempt>, Violation> {
    let mut tries = Vec::new();
    for FollowerTxn { edits, unsynced } in followers.iter().cloned() {
        let Ok(mut txn) = store.write() else { break };
        let (after, commits) = edited(&base, &edits);
        if apply_edits(&mut txn, &edits).is_err() {
            continue;
        }
        let ending = Completion::Waits(thread::spawn(move || match unsynced {
            true => txn.commit_with(fastness::Durability::None),
            false => txn.commit(),
        }));
        let (before, seen) = (base.clone(), Visibility::Waits);
        let mut tried = Attempt { before, after, edits, commits, unsynced, seen, ending };
        // The writer lock is released when the follower is written, or has failed.
        while is_writing(store) && !is_sync_awaited(store) {
            thread::yield_now();
        }
        if !is_sync_awaited(store) {
            tried.seen = next_sees(store, &tried)?;
        }
        let seen = tried.seen;
        if seen == Visibility::Written {
            base = tried.after.clone();
        }
        tries.push(tried);
        let ended = matches!(seen, Visibility::Waits | Visibility::Unknown);
        if ended || fs.failed().is_some() && is_poisoned(store) {
            break;
        }
    }
    Ok(tries)
}

/// Returns the effect of a transaction that has released the writer lock.
fn next_sees(store: &Store, tried: &Attempt) -> Result<Visibility, Violation> {
    store.write().map_or(Ok(Visibility::Unknown), |mut next| look(&mut next, tried))
}

/// Returns whether the next transaction sees all of the previous one, or none of it.
fn look(next: &mut WriteTxn, tried: &Attempt) -> Result<Visibility, Violation> {
    let mut holds = |state: &StoreState| -> Result<(), CheckError> {
        for (tree, key, _) in &tried.edits {
            same_value(next.tree(tree)?.get(key)?.as_ref(), state.get(tree, key), A1.id)?;
        }
        Ok(())
    };
    match (holds(&tried.after), holds(&tried.before)) {
        (Ok(()), _) => Ok(Visibility::Written),
        (Err(CheckError::Violation(_)), Ok(())) => Ok(Visibility::Refused),
        (Err(CheckError::Violation(violation)), Err(CheckError::Violation(_))) => Err(violation),
        (Err(CheckError::Store(_)), _) | (_, Err(CheckError::Store(_))) => Ok(Visibility::Unknown),
    }
}

/// A finished transaction.
struct FinishedTxn {
    changed: bool,
    commits: bool,
    after: StoreState,
    unsynced: bool,
    seen: Visibility,
    outcome: Result<CommitId, Error>,
}

impl FinishedTxn {
    fn of(tried: Attempt) -> Self {
        let Attempt { before, after, commits, unsynced, seen, ending, .. } = tried;
        let changed = before != after;
        Self { changed, commits, after, unsynced, seen, outcome: ending.wait() }
    }

    /// Whether it must survive a crash.
    fn is_durable(&self) -> bool {
        !self.unsynced && self.outcome.is_ok()
    }
}

/// Compares the outcomes with the state of the store, and with the states after crashes.
fn settle(
    writers: &mut Writers<'_>,
    op: Op,
    (changed, leader, leader_outcome, tries): Group,
) -> Result<(), CheckError> {
    let waited = !tries.is_empty();
    let followers: Vec<FinishedTxn> = tries.into_iter().map(FinishedTxn::of).collect();
    let poisoned = is_poisoned(writers.harness.store());
    let seen = match &leader_outcome {
        _ if waited => Visibility::Written,
        Ok(_) => Visibility::Written,
        Err(_) if poisoned => Visibility::Unknown,
        Err(_) => Visibility::Refused,
    };
    let (commits, unsynced) = (changed, false);
    let leader =
        FinishedTxn { changed, commits, after: leader, unsynced, seen, outcome: leader_outcome };
    let mut all = vec![leader];
    all.extend(followers);
    let mut states = writers.possible.clone();
    let (mut durable, mut visible) = (0, None);
    for ended in &all {
        judge(writers, ended, poisoned)?;
        if ended.seen != Visibility::Refused {
            states.push(ended.after.clone());
        }
        // An empty commit without a sync acknowledges nothing.
        if ended.outcome.is_ok() && (ended.commits || !ended.unsynced) {
            visible = Some(states.len() - 1);
        }
        if ended.is_durable() {
            durable = states.len() - 1;
        }
    }
    let step = writers.harness.step;
    writers.harness.probe.line(|| {
        let outcomes = all.iter().map(|ended| ended.outcome.is_ok());
        format!("{step:4} {op}: {:?}", outcomes.collect::<Vec<_>>())
    });
    let forks = writers.harness.fs.take_forks();
    let syncs = forks.iter().filter(|fork| fork.at == Call::Sync).count();
    mark(writers, &all, (syncs, poisoned));
    if let Some(visible) = visible {
        writers.harness.rebase_on(states[visible].clone());
    }
    writers.crash_at(forks, &states)?;
    writers.possible = states.split_off(durable);
    if poisoned {
        writers.poison();
    }
    let disk = writers.harness.fs.disk();
    let disk = writers.harness.world.rng(|rng| disk.power_loss(rng));
    let states = writers.possible.clone();
    writers.recover(disk, &states)?;
    // A pending fault is left for a later operation of the plan.
    if writers.harness.fs.fails() && all.iter().all(|ended| ended.outcome.is_ok()) {
        return Ok(());
    }
    writers.read_back()
}

/// An outcome must agree with what the next transaction saw.
fn judge(writers: &Writers<'_>, ended: &FinishedTxn, poisoned: bool) -> Result<(), Violation> {
    let failure = writers.harness.fs.failed();
    match &ended.outcome {
        Ok(_) if ended.seen == Visibility::Refused && ended.changed => {
            Err(Violation::new(C2.id, "the next transaction does not see an acknowledged commit"))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            blame(error, writers.injected, (failure, poisoned))?;
            if ended.seen == Visibility::Written && ended.changed && !poisoned {
                let text = format!("later transactions depend on a failed commit: {error}");
                return Err(Violation::new(C3.id, text));
            }
            Ok(())
        }
    }
}

fn mark(writers: &mut Writers<'_>, all: &[FinishedTxn], (syncs, poisoned): (usize, bool)) {
    let followers = &all[1..];
    let waiting = |ended: &&FinishedTxn| !ended.unsynced && ended.changed;
    let acknowledged = followers.iter().filter(waiting).filter(|it| it.outcome.is_ok()).count();
    let lost = all.iter().filter(waiting).filter(|it| it.outcome.is_err());
    let lost = lost.filter(|it| it.seen == Visibility::Written).count();
    let refused = followers.iter().any(|it| it.outcome.is_err() && it.seen == Visibility::Refused);
    let is_unsynced = |ended: &FinishedTxn| ended.unsynced && ended.outcome.is_ok();
    if all[0].outcome.is_err() {
        writers.harness.probe.mark(commit_mark(poisoned));
    }
    for (met, mark) in [
        (acknowledged > 1 && syncs == 2, "commits shared a sync"),
        (followers.iter().any(is_unsynced), "deferred commit while another commit waited"),
        (poisoned && lost > 1, "shared sync failed"),
        (refused && all[0].outcome.is_ok(), "commit failed while another waited"),
    ] {
        if met {
            writers.harness.probe.mark(mark);
        }
    }
}
