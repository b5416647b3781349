//! Group commit: one transaction commits, and others follow while it is written or synced.
//!
//! Each follower commits on a thread of its own, in a deterministic order. A follower starts when
//! the previous one has released the writer lock; all of them start while the leader's record is
//! written, before any byte is on the disk, or while it is synced. They share the next record. The
//! last follower may need a sync of its own, as a checkpoint does; then it waits for the leader's
//! sync, and the other followers wait for it. So the calls to the file system are the same in every
//! run, except for which waiter starts the next sync for all of them.

use super::Writers;
use crate::check::Violation;
use crate::check::compare::{CheckError, same_value};
use crate::check::io_faults::{blame, commit_mark, is_poisoned, next_write};
use crate::check::promises::{A1, C2, C3};
use crate::fs::{Call, Failure, SimFs};
use fastness::inspect::{is_sync_awaited, is_writing};
use fastness::{CommitId, Compaction, Error, Store, WriteTxn};
use fastness_models::Op;
use fastness_models::domain::Bytes;
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// An entry of a tree; no value for a removal.
type Edit = (String, Bytes, Option<Bytes>);

/// A transaction that follows while another one waits.
#[derive(Clone)]
struct Other {
    edits: Vec<Edit>,
    unsynced: bool,
}

/// The completion of a commit: on its own thread, or known.
enum Ending {
    Waits(JoinHandle<Result<CommitId, Error>>),
    Told(Result<CommitId, Error>),
}

impl Ending {
    fn wait(self) -> Result<CommitId, Error> {
        match self {
            Self::Waits(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Self::Told(outcome) => outcome,
        }
    }
}

/// The effect of a transaction, as the next transaction sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Written,
    Refused,
    /// The store is poisoned.
    Unknown,
    /// It waits for the leader's sync, with the writer lock.
    Waits,
}

/// A transaction that was attempted.
struct Try {
    before: StoreState,
    after: StoreState,
    edits: Vec<Edit>,
    /// Whether it creates a commit, even one that equals the previous state.
    commits: bool,
    unsynced: bool,
    seen: Seen,
    ending: Ending,
}

/// The leader's changes, state and outcome, and the followers.
type Group = (bool, StoreState, Result<CommitId, Error>, Vec<Try>);

type Compacting = JoinHandle<Result<Compaction, Error>>;

type Tries = Arc<Mutex<Result<Vec<Try>, Violation>>>;

/// Commits the open transaction, with followers while it waits.
pub(super) fn commit(writers: &mut Writers<'_>, op: Op) -> Result<(), CheckError> {
    let harness = &mut writers.harness;
    if let Err(error) = harness.write().map(drop) {
        return writers.attempt(op, |_| Err(error.into()));
    }
    let changed = harness.model.has_changes();
    let Some((txn, leader)) = harness.hand_over() else { return Ok(()) };
    let others: Vec<Other> = (0..=op.b % 3).map(|at| other(writers, op.c >> (2 * at))).collect();
    let harness = &mut writers.harness;
    let tries: Tries = Arc::new(Mutex::new(Ok(Vec::new())));
    let (store, fs, told) = (harness.store().clone(), harness.fs.clone(), Arc::clone(&tries));
    let base = leader.clone();
    drop(harness.fs.take_forks());
    let call = if op.a & 4 == 0 { Call::Sync } else { Call::Write };
    let failing = (op.a & 8 == 8 && writers.injected.is_none()).then(|| next_write(op));
    let compacts = op.b & 4 == 4 && others.iter().all(|other| !other.unsynced);
    let compacting = Arc::new(Mutex::new(None));
    let compaction = Arc::clone(&compacting);
    let happens = move || {
        // A writer that creates or extends the log, or makes a checkpoint, holds the writer lock:
        // no follower can start.
        if is_writing(&store) {
            return false;
        }
        let tried = run(&store, &fs, base.clone(), &others);
        let ended = |tries: &Vec<Try>| tries.last().is_none_or(|last| last.seen != Seen::Written);
        if compacts && !tried.as_ref().is_ok_and(ended) {
            *lock(&compaction) = Some(compact(&store));
        }
        *lock(&told) = tried;
        failing.into_iter().for_each(|injection| fs.inject(injection));
        true
    };
    writers.harness.fs.during(call, Box::new(happens));
    let led = txn.commit();
    writers.harness.fs.forget_during();
    writers.injected = writers.injected.or(failing);
    let mut tries = std::mem::replace(&mut *lock(&tries), Ok(Vec::new()))?;
    if let Some(mut last) = tries.pop_if(|tried| tried.seen == Seen::Waits) {
        let outcome = last.ending.wait();
        let (waited, led) = (outcome.is_ok(), led.is_ok());
        let told = matches!(outcome, Err(Error::Poisoned { .. }));
        last.ending = Ending::Told(outcome);
        last.seen = next_sees(writers.harness.store(), &last)?;
        tries.push(last);
        if told && !led {
            writers.harness.probe.mark("waiter for an exclusive sync saw the other sync fail");
        } else if waited {
            writers.harness.probe.mark("exclusive sync waited for another sync");
        }
    }
    if !tries.is_empty() {
        mark_company(writers, call, &led);
    }
    let compacting = lock(&compacting).take();
    settle(writers, op, (changed, leader, led, tries))?;
    compacting.map_or(Ok(()), |thread| settle_compaction(writers, thread))?;
    if failing.is_some() && writers.harness.fs.failed().is_none() {
        // There was no write.
        writers.harness.fs.mend();
        writers.injected = None;
    }
    Ok(())
}

/// Counts the marks of the leader.
fn mark_company(writers: &mut Writers<'_>, call: Call, led: &Result<CommitId, Error>) {
    let is_record = |it: Failure| it.call == Call::Write;
    let failed = led.is_err() && writers.harness.fs.failed().is_some_and(is_record);
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
fn other(writers: &Writers<'_>, bits: u8) -> Other {
    let world = writers.harness.world;
    let edits = (0..1 + world.rng(|rng| rng.below(3))).map(|index| {
        let [tree, key, value] = world.rng(|rng| [(); 3].map(|()| rng.byte()));
        let stamp = 0xd000_0000 | u32::try_from(writers.harness.step << 8 | index).unwrap_or(0);
        let value = (value >= 40).then(|| world.value(value, stamp));
        (world.domain.tree(tree).to_owned(), world.domain.key(key), value)
    });
    Other { edits: edits.collect(), unsynced: bits % 4 == 3 }
}

/// Returns the state after the edits, and whether they create a commit.
fn edited(state: &StoreState, edits: &[Edit]) -> (StoreState, bool) {
    let mut model = Model::at(state.clone());
    let mut commits = false;
    for (tree, key, value) in edits {
        commits |= match value {
            Some(value) => {
                model.insert(tree, key, value);
                true
            }
            None => model.remove(tree, key) == StoreOutcome::Existed(true),
        };
    }
    (model.visible().clone(), commits)
}

/// Runs the followers one after the other.
fn run(
    store: &Store,
    fs: &SimFs,
    mut base: StoreState,
    others: &[Other],
) -> Result<Vec<Try>, Violation> {
    let mut tries = Vec::new();
    for Other { edits, unsynced } in others.iter().cloned() {
        let Ok(mut txn) = store.write() else { break };
        let (after, commits) = edited(&base, &edits);
        let mut made = Ok(());
        for (tree, key, value) in &edits {
            made = made.and_then(|()| edit(&mut txn, (tree, key), value.as_ref()));
        }
        if made.is_err() {
            continue;
        }
        let ending = Ending::Waits(thread::spawn(move || match unsynced {
            true => txn.commit_with(fastness::Durability::None),
            false => txn.commit(),
        }));
        let (before, seen) = (base.clone(), Seen::Waits);
        let mut tried = Try { before, after, edits, commits, unsynced, seen, ending };
        // The writer lock is released when the follower is written, or has failed.
        while is_writing(store) && !is_sync_awaited(store) {
            thread::yield_now();
        }
        if !is_sync_awaited(store) {
            tried.seen = next_sees(store, &tried)?;
        }
        let seen = tried.seen;
        if seen == Seen::Written {
            base = tried.after.clone();
        }
        tries.push(tried);
        let ended = matches!(seen, Seen::Waits | Seen::Unknown);
        if ended || fs.failed().is_some() && is_poisoned(store) {
            break;
        }
    }
    Ok(tries)
}

/// Returns the effect of a transaction that has released the writer lock.
fn next_sees(store: &Store, tried: &Try) -> Result<Seen, Violation> {
    store.write().map_or(Ok(Seen::Unknown), |mut next| look(&mut next, tried))
}

fn edit(
    txn: &mut WriteTxn,
    (tree, key): (&str, &Bytes),
    value: Option<&Bytes>,
) -> Result<(), Error> {
    let mut tree = txn.tree(tree)?;
    match value {
        Some(value) => tree.insert(key, value).map(drop),
        None => tree.remove(key).map(drop),
    }
}

/// Returns whether the next transaction sees all of the previous one, or none of it.
fn look(next: &mut WriteTxn, tried: &Try) -> Result<Seen, Violation> {
    let mut holds = |state: &StoreState| -> Result<(), CheckError> {
        for (tree, key, _) in &tried.edits {
            same_value(next.tree(tree)?.get(key)?.as_ref(), state.get(tree, key), A1.id)?;
        }
        Ok(())
    };
    match (holds(&tried.after), holds(&tried.before)) {
        (Ok(()), _) => Ok(Seen::Written),
        (Err(CheckError::Violation(_)), Ok(())) => Ok(Seen::Refused),
        (Err(CheckError::Violation(violation)), Err(CheckError::Violation(_))) => Err(violation),
        (Err(CheckError::Store(_)), _) | (_, Err(CheckError::Store(_))) => Ok(Seen::Unknown),
    }
}

/// A finished transaction.
struct Ended {
    changed: bool,
    commits: bool,
    after: StoreState,
    unsynced: bool,
    seen: Seen,
    outcome: Result<CommitId, Error>,
}

impl Ended {
    fn of(tried: Try) -> Self {
        let Try { before, after, commits, unsynced, seen, ending, .. } = tried;
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
    (changed, leader, led, tries): Group,
) -> Result<(), CheckError> {
    let waited = !tries.is_empty();
    let others: Vec<Ended> = tries.into_iter().map(Ended::of).collect();
    let poisoned = is_poisoned(writers.harness.store());
    let seen = match &led {
        _ if waited => Seen::Written,
        Ok(_) => Seen::Written,
        Err(_) if poisoned => Seen::Unknown,
        Err(_) => Seen::Refused,
    };
    let (commits, unsynced) = (changed, false);
    let leader = Ended { changed, commits, after: leader, unsynced, seen, outcome: led };
    let mut all = vec![leader];
    all.extend(others);
    let mut states = writers.possible.clone();
    let (mut durable, mut visible) = (0, None);
    for ended in &all {
        judge(writers, ended, poisoned)?;
        if ended.seen != Seen::Refused {
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
        let told = all.iter().map(|ended| ended.outcome.is_ok());
        format!("{step:4} {op}: {:?}", told.collect::<Vec<_>>())
    });
    let forks = writers.harness.fs.take_forks();
    let syncs = forks.iter().filter(|fork| fork.at == Call::Sync).count();
    mark(writers, &all, (syncs, poisoned));
    if let Some(visible) = visible {
        writers.harness.stand_at(states[visible].clone());
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
fn judge(writers: &Writers<'_>, ended: &Ended, poisoned: bool) -> Result<(), Violation> {
    let failure = writers.harness.fs.failed();
    match &ended.outcome {
        Ok(_) if ended.seen == Seen::Refused && ended.changed => {
            Err(Violation::new(C2.id, "the next transaction does not see an acknowledged commit"))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            blame(error, writers.injected, (failure, poisoned))?;
            if ended.seen == Seen::Written && ended.changed && !poisoned {
                let text = format!("later transactions depend on a failed commit: {error}");
                return Err(Violation::new(C3.id, text));
            }
            Ok(())
        }
    }
}

fn mark(writers: &mut Writers<'_>, all: &[Ended], (syncs, poisoned): (usize, bool)) {
    let others = &all[1..];
    let waiting = |ended: &&Ended| !ended.unsynced && ended.changed;
    let acknowledged = others.iter().filter(waiting).filter(|it| it.outcome.is_ok()).count();
    let lost = all.iter().filter(waiting).filter(|it| it.outcome.is_err());
    let lost = lost.filter(|it| it.seen == Seen::Written).count();
    let refused = others.iter().any(|it| it.outcome.is_err() && it.seen == Seen::Refused);
    let is_unsynced = |ended: &Ended| ended.unsynced && ended.outcome.is_ok();
    if all[0].outcome.is_err() {
        writers.harness.probe.mark(commit_mark(poisoned));
    }
    for (met, mark) in [
        (acknowledged > 1 && syncs == 2, "commits shared a sync"),
        (others.iter().any(is_unsynced), "deferred commit while another commit waited"),
        (poisoned && lost > 1, "shared sync failed"),
        (refused && all[0].outcome.is_ok(), "commit failed while another waited"),
    ] {
        if met {
            writers.harness.probe.mark(mark);
        }
    }
}
