//! Objects on a disk that fails from time to time: every error has a cause, committed data stays,
//! and a transaction with a failed operation never commits.

use super::harness::ObjectHarness;
use super::object_check::ObjectCheck;
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::io_faults::{blame, commit_mark, injection, is_poisoned, judge_commit};
use crate::check::promises::{C2, C3, C5, C11, C13};
use crate::fs::{Fault, Injection};
use fastness::Error;
use fastness_models::objects::DatabaseState;
use fastness_models::{Op, OpKind};

/// The injected fault, and the possible outcome of a failed commit.
#[derive(Default)]
pub(in crate::check) struct FaultInjector {
    injected: Option<Injection>,
    /// The state after a failed commit that poisoned the store.
    uncertain: Option<DatabaseState>,
}

impl FaultInjector {
    /// Runs one operation while the disk may fail.
    pub(in crate::check) fn step<C: ObjectCheck>(
        &mut self,
        harness: &mut ObjectHarness<'_>,
        op: Op,
        check: &mut C,
    ) -> Result<(), CheckError> {
        match op.kind {
            OpKind::ClearFault => return self.recover_all(harness, check),
            OpKind::Inject => {
                self.recover_all(harness, check)?;
                if op.c & 4 == 0 {
                    // With an empty cache, operations must read.
                    check.release(harness)?;
                    harness.reopen_unread()?;
                }
                self.injected = Some(injection(op));
                harness.fs.inject(injection(op));
                return Ok(());
            }
            // The failed slot is torn, and verification reports it.
            OpKind::Verify if self.uncertain.is_some() => return Ok(()),
            OpKind::Reopen | OpKind::Kill | OpKind::PowerLoss | OpKind::Migrate => {
                self.recover_all(harness, check)?;
            }
            _ => {}
        }
        let (before, after) = (harness.committed.clone(), harness.seen().clone());
        match check.act(harness, op) {
            Ok(()) if self.uncertain.is_some() && harness.committed != before => {
                Err(Violation::new(C3.id, "a poisoned store acknowledged a commit").into())
            }
            Err(CheckError::Store(error)) => self.check_failure(harness, op, (&error, after)),
            outcome => outcome,
        }
    }

    /// Checks a failed operation: it has a cause, and committed data is still there.
    fn check_failure(
        &mut self,
        harness: &mut ObjectHarness<'_>,
        op: Op,
        (error, after): (&Error, DatabaseState),
    ) -> Result<(), CheckError> {
        let failure = harness.fs.failed();
        blame(error, self.injected, (failure, self.uncertain.is_some()))?;
        harness.probe.line(|| format!("     {error}"));
        if harness.is_writing() && is_edit(op.kind) {
            let outcome = harness.commit_what_failed();
            if outcome != Err(Error::TransactionFailed) {
                let text = format!("commit after a failed operation gives {outcome:?}");
                return Err(Violation::new(C13.id, text).into());
            }
            harness.probe.mark("operation of a transaction failed");
        }
        harness.abort();
        let poisoned = is_poisoned(harness.database().store());
        if op.kind == OpKind::Commit && self.uncertain.is_none() {
            judge_commit((failure, self.is_lasting()), poisoned)?;
            harness.probe.mark(commit_mark(poisoned));
        }
        if poisoned && self.uncertain.is_none() {
            self.uncertain = Some(after);
        }
        self.read_back(harness)
    }

    fn is_lasting(&self) -> bool {
        self.injected.is_some_and(|injection| injection.lasting)
    }

    /// Committed data reads as before, at the latest when the fault ends.
    fn read_back(&self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        match harness.look_all() {
            Err(CheckError::Violation(violation)) => {
                Err(Violation { invariant: C11.id, ..violation }.into())
            }
            Err(CheckError::Store(error)) if !self.is_lasting() => {
                let text = format!("after one failed call: {error}");
                Err(Violation::new(C11.id, text).into())
            }
            Ok(()) | Err(CheckError::Store(_)) => Ok(()),
        }
    }

    /// Ends the fault; reopens the database if it is poisoned, and sometimes if not.
    pub(in crate::check) fn recover_all<C: ObjectCheck>(
        &mut self,
        harness: &mut ObjectHarness<'_>,
        check: &mut C,
    ) -> Result<(), CheckError> {
        let Some(injection) = self.injected.take() else { return Ok(()) };
        let how = harness.world.rng(|rng| rng.below(4));
        if how != 0 || self.uncertain.is_some() {
            check.release(harness)?;
        }
        if how == 3 {
            harness.close();
            harness.probe.mark("closing failed");
        }
        if harness.fs.take_failure().is_some() && injection.fault == Fault::Short {
            harness.probe.mark("short read or write completed");
        }
        let states = match self.uncertain.take() {
            None if how == 0 => return Ok(()),
            None => vec![harness.committed.clone()],
            Some(after) => vec![harness.committed.clone(), after],
        };
        if how == 1 {
            let disk = harness.fs.disk();
            let disk = harness.world.rng(|rng| disk.power_loss(rng));
            harness.crash_to(disk);
            harness.probe.mark("power loss after a failure");
        } else {
            harness.close();
        }
        let set_count = harness.open_among(&states, C2.id)?;
        if states.len() > 1 {
            let marks =
                ["failed commit absent after a crash", "failed commit present after a crash"];
            harness.probe.mark(marks[set_count]);
            // The state read after opening survives a power loss, although nothing was written.
            let disk = harness.fs.disk();
            let disk = harness.world.rng(|rng| disk.power_loss(rng));
            harness.crash_to(disk);
            harness.open_among(&states[set_count..=set_count], C5.id)?;
        }
        Ok(())
    }
}

const fn is_edit(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Create
            | OpKind::Fill
            | OpKind::Upsert
            | OpKind::Update
            | OpKind::Set
            | OpKind::Add
            | OpKind::Delete
            | OpKind::ListInsert
            | OpKind::ListEdit
            | OpKind::ChangeSchema
    )
}
