//! A store with commits that may not be durable yet: single commits on a failing disk, and the
//! states that a crash may leave.

use crate::Rng;
use crate::check::compare::{CheckError, Order, Reading, read_all};
use crate::check::definition::Violation;
use crate::check::io_faults::{blame, commit_mark, is_poisoned, judge_commit};
use crate::check::promises::{C2, C3, C5, C8, C11, C14, D4};
use crate::check::store_harness::{StoreHarness, describe, unexpected, verify};
use crate::check::world::file;
use crate::fs::{Call, Disk, Fork, Injection};
use fastness::{Error, Store};
use fastness_models::store::{Store as Model, StoreState};
use fastness_models::{Op, OpKind};

/// A store with commits that may not be durable yet, on a disk that may fail.
pub(super) struct Writers<'w> {
    pub(super) harness: StoreHarness<'w>,
    /// The possible states after a crash: the last one known to be durable and all later ones, in
    /// order.
    pub(super) possible: Vec<StoreState>,
    pub(super) injected: Option<Injection>,
    /// Set by a failure that leaves the disk state unknown, until the store is reopened.
    pub(super) poisoned: bool,
}

impl<'w> Writers<'w> {
    /// Runs an operation that a failing disk may refuse.
    pub(super) fn attempt(
        &mut self,
        op: Op,
        act: impl FnOnce(&mut Self) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let Err(error) = act(self) else { return Ok(()) };
        let CheckError::Store(error) = error else { return Err(error) };
        let failure = self.harness.fs.failed();
        blame(&error, self.injected, (failure, self.poisoned))?;
        let (step, domain) = (self.harness.step, &self.harness.world.domain);
        self.harness.probe.line(|| format!("{step:4} {}: {error}", describe(domain, op)));
        if self.possible.len() > 1 {
            self.harness.probe.mark("disk error with deferred commits");
        }
        // Only a new transaction reveals whether the store is poisoned.
        self.harness.abort();
        if !self.poisoned && is_poisoned(self.harness.store()) {
            self.poison();
        }
        self.read_back()
    }

    pub(super) fn poison(&mut self) {
        self.poisoned = true;
        if self.possible.len() > 2 {
            self.harness.probe.mark("store poisoned with deferred commits");
        }
    }

    /// Committed data reads as before, unless the fault is permanent.
    pub(super) fn read_back(&mut self) -> Result<(), CheckError> {
        let lasting = self.injected.is_some_and(|injection| injection.lasting);
        match self.harness.scan_committed(Order::Forward) {
            Ok(()) => Ok(()),
            Err(CheckError::Violation(violation)) => {
                Err(Violation { invariant: C11.id, ..violation }.into())
            }
            Err(CheckError::Store(_)) if lasting => Ok(()),
            Err(CheckError::Store(error)) => {
                let text = format!("after one failed call: {error}");
                Err(Violation::new(C11.id, text).into())
            }
        }
    }

    /// Everything committed is durable now.
    pub(super) fn durable(&mut self) {
        self.possible = vec![self.harness.model.committed().clone()];
    }

    pub(super) fn commit_unsynced(&mut self) -> Result<(), CheckError> {
        self.one(StoreHarness::commit_unsynced)?;
        if self.possible.last() != Some(self.harness.model.committed()) {
            self.possible.push(self.harness.model.committed().clone());
        }
        let forks = self.harness.fs.take_forks();
        if forks.iter().any(|fork| fork.at == Call::Write) {
            self.harness.probe.mark("deferred commits written without a waiter");
            let states = self.possible.clone();
            self.crash_at(forks, &states)?;
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), CheckError> {
        // Without an open transaction it commits an empty one.
        self.harness.write()?;
        self.one(StoreHarness::commit)?;
        self.durable();
        Ok(())
    }

    /// Commits one transaction; if that poisons the store, the commit may still be durable.
    fn one(
        &mut self,
        how: fn(&mut StoreHarness<'w>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let after = self.harness.model.visible().clone();
        let changed = self.harness.model.has_changes();
        match how(&mut self.harness) {
            Ok(()) if changed && self.poisoned => {
                Err(Violation::new(C3.id, "a poisoned store acknowledged a commit").into())
            }
            Err(CheckError::Store(error)) => {
                if !self.poisoned && error != Error::TransactionFailed {
                    let poisoned = is_poisoned(self.harness.store());
                    let lasting = self.injected.is_some_and(|injection| injection.lasting);
                    judge_commit((self.harness.fs.failed(), lasting), poisoned)?;
                    self.harness.probe.mark(commit_mark(poisoned));
                    if poisoned {
                        self.possible.push(after);
                        self.poison();
                    }
                }
                Err(error.into())
            }
            outcome => outcome,
        }
    }

    pub(super) fn sync(&mut self) -> Result<(), CheckError> {
        self.harness.abort();
        let synced = match self.harness.store().sync() {
            Ok(synced) => synced,
            Err(error) => return Err(self.not_synced(error)?.into()),
        };
        if synced != self.harness.commit {
            let text = format!("synced commit {synced}, expected {}", self.harness.commit);
            return Err(Violation::new(C14.id, text).into());
        }
        if self.possible.len() > 1 {
            self.harness.probe.mark("made durable by a sync");
        }
        self.durable();
        Ok(())
    }

    /// A commit whose sync failed stays visible, unless the disk state is unknown.
    fn not_synced(&mut self, error: Error) -> Result<Error, CheckError> {
        if !self.poisoned {
            let poisoned = is_poisoned(self.harness.store());
            let lasting = self.injected.is_some_and(|injection| injection.lasting);
            judge_commit((self.harness.fs.failed(), lasting), poisoned)?;
            if !poisoned {
                self.harness.probe.mark("sync failed to write and the store stayed usable");
            }
        }
        Ok(error)
    }

    /// Ends the fault; reopens the store if it is poisoned, and sometimes if not.
    pub(super) fn recover_all(&mut self) -> Result<(), CheckError> {
        if self.injected.is_none() && !self.poisoned {
            return Ok(());
        }
        let how = self.harness.world.rng(|rng| rng.below(4));
        if how == 3 {
            self.harness.close();
        }
        self.harness.fs.take_failure();
        self.injected = None;
        if how == 0 && !self.poisoned {
            return Ok(());
        }
        let mut disk = self.harness.fs.disk();
        if how == 1 {
            disk = self.harness.world.rng(|rng| disk.power_loss(rng));
        } else {
            self.harness.close();
            disk = self.harness.fs.disk();
        }
        self.harness.crash_to(disk);
        let landed = self.harness.open_among(&self.possible, C2.id)?;
        let last = self.possible.len() - 1;
        if self.possible[0] != self.possible[last] {
            self.harness.probe.mark(match self.possible[landed] == self.possible[last] {
                true => "disk error lost no deferred commit",
                false => "disk error lost deferred commits",
            });
        }
        self.possible = vec![self.possible.swap_remove(landed)];
        self.poisoned = false;
        // The state read after opening survives a power loss, although nothing was written.
        let disk = self.harness.fs.disk();
        let disk = self.harness.world.rng(|rng| disk.power_loss(rng));
        self.harness.crash_to(disk);
        self.harness.open_among(&self.possible, C5.id)?;
        Ok(())
    }

    /// Crashes at the calls of the last commits, on other machines: the file holds one of the
    /// states, and continues from there.
    pub(super) fn crash_at(
        &mut self,
        forks: Vec<Fork>,
        states: &[StoreState],
    ) -> Result<(), CheckError> {
        let mut rng = Rng::new(self.harness.world.rng(Rng::next));
        for Fork { disk, .. } in forks {
            if rng.one_in(2) {
                continue;
            }
            let disk = if rng.one_in(4) { disk } else { disk.power_loss(&mut rng) };
            let landed = self.recover(disk, states)?;
            let last = states.len() - 1;
            if last > 1 && states[0] != states[last] {
                self.harness.probe.mark(match landed {
                    0 => "crash with several commits in flight: all lost",
                    _ if states[landed] == states[last] => {
                        "crash with several commits in flight: none lost"
                    }
                    _ => "crash with several commits in flight: some lost",
                });
            }
        }
        Ok(())
    }

    /// Opens the file after a crash, commits, and crashes again.
    pub(super) fn recover(
        &mut self,
        disk: Disk,
        states: &[StoreState],
    ) -> Result<usize, CheckError> {
        let world = self.harness.world;
        let fs = world.boot(disk);
        let store = world.options(&fs).open(file());
        let store = store.map_err(|error| unexpected(error.into(), C8.id))?;
        self.harness.probe.crash("in a commit");
        let landed = self.among(&store, states)?;
        let mut model = Model::at(states[landed].clone());
        let (key, value) = (world.domain.key(0), world.domain.value_of(8, u32::MAX));
        let mut txn = store.write()?;
        txn.tree("after")?.insert(&key, &value)?;
        model.insert("after", &key, &value);
        model.commit();
        txn.commit()?;
        let disk = fs.disk();
        let disk = world.rng(|rng| disk.power_loss(rng));
        fs.disconnect();
        drop(store);
        let fs = world.boot(disk);
        let store = world.options(&fs).open(file());
        let store = store.map_err(|error| unexpected(error.into(), C8.id))?;
        self.among(&store, std::slice::from_ref(model.committed()))?;
        verify(&store.snapshot(), D4.id)?;
        if landed + 1 < states.len() {
            self.harness.probe.mark("committed after a crash with several commits in flight");
        }
        Ok(landed)
    }

    /// Returns which of the states a store holds.
    fn among(&mut self, store: &Store, states: &[StoreState]) -> Result<usize, Violation> {
        let snapshot = store.snapshot();
        let mut texts = Vec::new();
        for (index, state) in states.iter().enumerate() {
            match read_all(&snapshot, state, Order::Forward) {
                Reading::Same(operations) => {
                    self.harness.probe.count(OpKind::Scan.name(), operations);
                    return Ok(index);
                }
                Reading::Differs { text, .. } => texts.push(text),
                Reading::Failed(error) => texts.push(error.to_string()),
            }
        }
        Err(Violation::new(C2.id, texts.join("; or: ")))
    }
}
