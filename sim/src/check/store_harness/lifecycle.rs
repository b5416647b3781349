//! Close, open, crash.

use super::StoreHarness;
use crate::Rng;
use crate::check::compare::{CheckError, Order};
use crate::check::crash::check_outcome;
use crate::check::definition::Violation;
use crate::check::world::file;
use crate::fs::Disk;
use fastness::Error;
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};
use fastness_models::{Op, OpKind};

impl StoreHarness<'_> {
    /// Drops every handle.
    pub(in crate::check) fn close(&mut self) {
        self.abort();
        self.snapshots.clear();
        self.store = None;
    }

    /// Opens the store and compares all its contents.
    pub(in crate::check) fn open(&mut self) -> Result<(), CheckError> {
        self.open_store()?;
        self.scan_committed(Order::Forward)
    }

    /// Opens the store; compares nothing.
    pub(in crate::check) fn open_store(&mut self) -> Result<(), Error> {
        let store = self.world.options(&self.fs).open(file())?;
        self.commit = store.snapshot().commit();
        self.store = Some(store);
        Ok(())
    }

    /// Opens the store, which must hold one of the states; returns which.
    pub(in crate::check) fn open_among(
        &mut self,
        states: &[StoreState],
        invariant: &'static str,
    ) -> Result<usize, Violation> {
        // Opened once: a close would sync what this opening may have left unsynced.
        if let Err(error) = self.open_store() {
            return Err(Violation::new(invariant, error.to_string()));
        }
        self.land_among(states, invariant)
    }

    /// Compares the open store with the states, one of which it must hold; returns which.
    pub(in crate::check) fn land_among(
        &mut self,
        states: &[StoreState],
        invariant: &'static str,
    ) -> Result<usize, Violation> {
        let mut texts = Vec::new();
        for (index, state) in states.iter().enumerate() {
            self.model = Model::at(state.clone());
            match self.scan_committed(Order::Forward) {
                Ok(()) => return Ok(index),
                Err(CheckError::Violation(violation)) => texts.push(violation.text),
                Err(CheckError::Store(error)) => texts.push(error.to_string()),
            }
        }
        Err(Violation::new(invariant, texts.join("; or: ")))
    }

    pub(in crate::check) fn reopen(&mut self) -> Result<(), CheckError> {
        let commit = self.commit;
        self.close();
        self.open()?;
        if self.store().recovery().is_some() || self.commit != commit {
            let (found, recovery) = (self.commit, self.store().recovery());
            let text = format!("closed at commit {commit}, opened at {found} with {recovery:?}");
            return Err(Violation::new("C9", text).into());
        }
        self.note(Op::new(OpKind::Reopen, [0; 3]), &StoreOutcome::Done);
        Ok(())
    }

    /// Starts the recording that the check asked for on this machine.
    pub(in crate::check) fn watch(&self) {
        if self.records {
            self.fs.record_forks();
        }
        if self.spies {
            self.fs.capture_writes();
        }
    }

    /// Compacts the file.
    pub(in crate::check) fn compact(&mut self) -> Result<(), CheckError> {
        self.abort();
        self.store().compact()?;
        self.commit = self.store().snapshot().commit();
        self.note(Op::new(OpKind::Compact, [0; 3]), &StoreOutcome::Done);
        Ok(())
    }

    /// Continues with another disk, as after a crash; handles of the dead process write nowhere.
    pub(in crate::check) fn crash_to(&mut self, disk: Disk) {
        self.fs.disconnect();
        self.close();
        self.fs = self.world.boot(disk);
        self.watch();
    }

    /// Kills the process or cuts the power between two calls, and reopens.
    pub(in crate::check) fn crash(&mut self, op: Op) -> Result<(), CheckError> {
        let mut disk = self.fs.disk();
        if op.kind == OpKind::PowerLoss {
            let mut rng = Rng::new(self.world.rng(Rng::next));
            disk = disk.power_loss(&mut rng);
        }
        self.crash_to(disk);
        self.open()?;
        check_outcome(self.store(), true)?;
        self.probe.crash("between calls");
        self.note(op, &StoreOutcome::Done);
        Ok(())
    }
}
