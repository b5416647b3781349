//! Commit, close, open, crash.

use super::commit_hook::RecordingHook;
use super::harness::{ObjectHarness, synced};
use super::{bridge, compare, structs};
use crate::Rng;
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::{C2, C8, C9, W3};
use crate::check::store_harness::{objects_agree, unexpected};
use crate::check::world::file;
use crate::fs::{Disk, Fork};
use fastness::Error;
use fastness::object::{Database, DatabaseOptions, Snapshot};
use fastness_models::objects::DatabaseState;
use fastness_models::{Op, OpKind};

/// One of so many commits and recoveries is followed by a verification.
const SAMPLE: u32 = 5;

impl ObjectHarness<'_> {
    /// Commits, with a crash at every call.
    pub(in crate::check) fn commit(&mut self) -> Result<(), CheckError> {
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let working = self.working.take().unwrap_or_default();
        drop(self.fs.take_forks());
        if let Some(hook) = &mut self.hook {
            hook.expect(&working);
        }
        txn.commit()?;
        if let Some(hook) = &mut self.hook {
            hook.committed();
        }
        let before = std::mem::replace(&mut self.committed, working);
        let forks = self.fs.take_forks();
        let states = [before, self.committed.clone()];
        let mut rng = Rng::new(self.world.rng(Rng::next));
        for Fork { disk, .. } in forks {
            let disk = if rng.one_in(4) { disk } else { disk.power_loss(&mut rng) };
            let set_count = self.recover(disk, &states)?;
            if states[0] != states[1] {
                self.probe.mark(match set_count {
                    0 => "crash during a commit: lost",
                    _ => "crash during a commit: kept",
                });
            }
        }
        // The commit was acknowledged, so only its state is allowed.
        let disk = self.fs.disk().power_loss(&mut rng);
        self.recover(disk, &states[1..])?;
        match self.is_sampled() {
            true => self.verify_objects(),
            false => Ok(()),
        }
    }

    /// Selects one call of a few.
    fn is_sampled(&mut self) -> bool {
        self.sampled = self.sampled.wrapping_add(1);
        self.sampled.is_multiple_of(SAMPLE)
    }

    /// Compares everything that the file holds twice, if the disk can be read.
    pub(in crate::check) fn verify_objects(&mut self) -> Result<(), CheckError> {
        let snapshot = self.database().snapshot();
        let Ok(found) = snapshot.and_then(|snapshot| snapshot.store().verify()) else {
            return Ok(());
        };
        self.probe.count(OpKind::Verify.name(), 1);
        Ok(objects_agree(&found)?)
    }

    /// Opens a file after a crash on another machine; returns which state it holds.
    pub(in crate::check) fn recover(
        &mut self,
        disk: Disk,
        states: &[DatabaseState],
    ) -> Result<usize, Violation> {
        let fs = self.world.boot(disk);
        let options = self.world.options(&fs);
        let database = Database::open(&options, file(), &DatabaseOptions::dynamic());
        let database = database.map_err(|error| unexpected(error.into(), C8.id))?;
        self.probe.crash("in a commit");
        if self.is_sampled() {
            let found = database.snapshot().and_then(|snapshot| snapshot.store().verify());
            objects_agree(&found.map_err(|error| unexpected(error.into(), C8.id))?)?;
        }
        self.holds(&database, states, C2.id).map(|(set_count, _)| set_count)
    }

    /// Returns the count of the commit hook, if there is one; it must belong to the state.
    fn heard_of(&mut self, snapshot: &Snapshot, state: &DatabaseState) -> Result<usize, Violation> {
        let Some(hook) = &self.hook else { return Ok(0) };
        hook.compare(snapshot, state).map_err(|error| unexpected(error, W3.id))
    }

    /// Returns the index of the state that a database holds, and the count of the commit hook.
    fn holds(
        &mut self,
        database: &Database,
        states: &[DatabaseState],
        invariant: &'static str,
    ) -> Result<(usize, usize), Violation> {
        let mut texts = Vec::new();
        for (index, state) in states.iter().enumerate() {
            let snapshot = database.snapshot().map_err(CheckError::from);
            let read =
                snapshot.and_then(|snapshot| Ok((compare::file(&snapshot, state)?, snapshot)));
            match read {
                Ok((reads, snapshot)) => {
                    self.probe.count(OpKind::ReadAllObjects.name(), reads);
                    return Ok((index, self.heard_of(&snapshot, state)?));
                }
                Err(error) => texts.push(unexpected(error, invariant).to_string()),
            }
        }
        Err(Violation::new(invariant, texts.join("; or: ")))
    }

    /// Opens the file, which must hold one of the states; returns which.
    pub(in crate::check) fn open_among(
        &mut self,
        states: &[DatabaseState],
        invariant: &'static str,
    ) -> Result<usize, Violation> {
        let opened = self.open_as(self.wanted());
        opened.map_err(|error| unexpected(error.into(), invariant))?;
        let database = self.database().clone();
        let (set_count, count) = self.holds(&database, states, invariant)?;
        if let Some(hook) = &mut self.hook {
            hook.set_count(count);
            if let [before, after] = states
                && before != after
            {
                self.probe.mark(match set_count {
                    0 => "writes of the commit hook lost with its commit",
                    _ => "writes of the commit hook kept with its commit",
                });
            }
        }
        self.committed.clone_from(&states[set_count]);
        Ok(set_count)
    }

    /// Tries to commit a transaction in which an operation failed.
    pub(in crate::check) fn commit_what_failed(&mut self) -> Result<(), Error> {
        self.txn.take().map_or(Ok(()), |txn| txn.commit().map(drop))
    }

    pub(in crate::check) fn abort(&mut self) {
        if self.working.as_ref().is_some_and(|held| held.numbers > self.committed.numbers) {
            self.probe.mark("aborted after drawing numbers");
        }
        self.txn = None;
        self.working = None;
    }

    /// Drops every handle.
    pub(in crate::check) fn close(&mut self) {
        self.abort();
        self.snapshots.clear();
        self.database = None;
    }

    /// Starts again with an empty disk and a hook that gets every commit, the first included.
    pub(in crate::check) fn recreate_with_hook(&mut self) -> Result<(), CheckError> {
        self.crash_to(Disk::default());
        let mut hook = RecordingHook::new(&self.committed);
        hook.expect(&self.committed);
        self.hook = Some(hook);
        let schema = bridge::schema(&self.committed).map_err(|error| compare::check_bug(&error))?;
        self.open_as(self.listened(DatabaseOptions::schema(schema, 1)))?;
        if let Some(hook) = &mut self.hook {
            hook.committed();
        }
        self.look_all()
    }

    /// Opens the file with dynamic options.
    pub(in crate::check) fn open(&mut self) -> Result<(), CheckError> {
        self.open_as(self.wanted())?;
        self.look_all()
    }

    /// The database options, with the commit hook.
    fn wanted(&self) -> DatabaseOptions<'static> {
        self.listened(DatabaseOptions::dynamic())
    }

    /// Opens another database over the open store.
    pub(super) fn database_beside(&self) -> Result<Database, Error> {
        Database::from_store(self.database().store().clone(), &self.wanted())
    }

    fn listened<'a>(&self, wanted: DatabaseOptions<'a>) -> DatabaseOptions<'a> {
        let wanted = synced(&self.domain, wanted);
        match &self.hook {
            Some(hook) => wanted.commit_hook(hook.commit_hook()),
            None => wanted,
        }
    }

    fn open_as(&mut self, wanted: DatabaseOptions<'_>) -> Result<(), Error> {
        let options = self.world.options(&self.fs);
        self.database = Some(Database::open(&options, file(), &wanted)?);
        Ok(())
    }

    /// Closes and reopens the file, sometimes with the schema it has: neither writes.
    pub(super) fn reopen(&mut self, op: Op) -> Result<(), CheckError> {
        let commit = self.database().snapshot()?.commit();
        self.close();
        if let Some(version) = self.committed.version.filter(|_| op.a.is_multiple_of(2)) {
            let schema = match structs::schema(&self.domain, &self.committed) {
                Some(schema) => {
                    self.probe.mark("opened with classes of structs");
                    schema?
                }
                None => bridge::schema(&self.committed).map_err(|e| compare::check_bug(&e))?,
            };
            self.open_as(self.listened(DatabaseOptions::schema(schema, version)))?;
            self.look_all()?;
            self.probe.mark("opened with its own classes");
        } else {
            self.open()?;
        }
        let (found, recovery) =
            (self.database().snapshot()?.commit(), self.database().store().recovery());
        if recovery.is_some() || found != commit {
            let text = format!("closed at commit {commit}, opened at {found} with {recovery:?}");
            return Err(Violation::new(C9.id, text).into());
        }
        Ok(())
    }

    /// Commits, closes and reopens the file without reading it.
    pub(super) fn reopen_unread(&mut self) -> Result<(), CheckError> {
        self.commit()?;
        self.close();
        Ok(self.open_as(self.wanted())?)
    }

    /// Continues with another disk, as after a crash; handles of the dead process write nowhere.
    pub(in crate::check) fn crash_to(&mut self, disk: Disk) {
        self.fs.disconnect();
        self.close();
        self.fs = self.world.boot(disk);
        self.fs.record_forks();
    }

    pub(super) fn crash(&mut self, kind: OpKind) -> Result<(), CheckError> {
        let mut disk = self.fs.disk();
        if kind == OpKind::PowerLoss {
            let mut rng = Rng::new(self.world.rng(Rng::next));
            disk = disk.power_loss(&mut rng);
        }
        self.crash_to(disk);
        self.probe.crash("between calls");
        self.open()
    }
}
