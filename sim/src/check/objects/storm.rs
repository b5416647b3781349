//! Objects on a disk that fails from time to time: every error has a cause, committed data stays,
//! and a transaction with a failed operation never commits.

use super::bench::Bench;
use super::course::Course;
use crate::check::Violation;
use crate::check::compare::Stop;
use crate::check::failing::{blame, commit_mark, injection, is_poisoned, judge_commit};
use crate::check::promises::{C2, C3, C5, C11, C13};
use crate::fs::{Fault, Injection};
use fastness::Error;
use fastness_models::objects::State;
use fastness_models::{Kind, Op};

/// The injected fault, and the possible outcome of a failed commit.
#[derive(Default)]
pub(in crate::check) struct Storm {
    injected: Option<Injection>,
    /// The state after a failed commit that poisoned the store.
    uncertain: Option<State>,
}

impl Storm {
    /// Runs one operation while the disk may fail.
    pub(in crate::check) fn step<C: Course>(
        &mut self,
        bench: &mut Bench<'_>,
        op: Op,
        course: &mut C,
    ) -> Result<(), Stop> {
        match op.kind {
            Kind::Heal => return self.calm(bench, course),
            Kind::Inject => {
                self.calm(bench, course)?;
                if op.c & 4 == 0 {
                    // With an empty cache, operations must read.
                    course.let_go(bench)?;
                    bench.reopen_unread()?;
                }
                self.injected = Some(injection(op));
                bench.fs.inject(injection(op));
                return Ok(());
            }
            // The failed slot is torn, and verification reports it.
            Kind::Verify if self.uncertain.is_some() => return Ok(()),
            Kind::Reopen | Kind::Kill | Kind::PowerLoss | Kind::Migrate => {
                self.calm(bench, course)?;
            }
            _ => {}
        }
        let (before, after) = (bench.committed.clone(), bench.seen().clone());
        match course.act(bench, op) {
            Ok(()) if self.uncertain.is_some() && bench.committed != before => {
                Err(Violation::new(C3.id, "acknowledged by a poisoned store").into())
            }
            Err(Stop::Refused(error)) => self.endure(bench, op, (&error, after)),
            outcome => outcome,
        }
    }

    /// Checks a failed operation: it has a cause, and committed data is still there.
    fn endure(
        &mut self,
        bench: &mut Bench<'_>,
        op: Op,
        (error, after): (&Error, State),
    ) -> Result<(), Stop> {
        let failure = bench.fs.failed();
        blame(error, self.injected, (failure, self.uncertain.is_some()))?;
        bench.probe.line(|| format!("     {error}"));
        if bench.is_writing() && edits(op.kind) {
            let outcome = bench.commit_what_failed();
            if outcome != Err(Error::TransactionFailed) {
                let text = format!("an operation failed, then committing gives {outcome:?}");
                return Err(Violation::new(C13.id, text).into());
            }
            bench.probe.mark("operation of a transaction failed");
        }
        bench.abort();
        let poisoned = is_poisoned(bench.database().store());
        if op.kind == Kind::Commit && self.uncertain.is_none() {
            judge_commit((failure, self.is_lasting()), poisoned)?;
            bench.probe.mark(commit_mark(poisoned));
        }
        if poisoned && self.uncertain.is_none() {
            self.uncertain = Some(after);
        }
        self.read_back(bench)
    }

    fn is_lasting(&self) -> bool {
        self.injected.is_some_and(|injection| injection.lasting)
    }

    /// Committed data reads as before, at the latest when the fault ends.
    fn read_back(&self, bench: &mut Bench<'_>) -> Result<(), Stop> {
        match bench.look_all() {
            Err(Stop::Broken(violation)) => {
                Err(Violation { invariant: C11.id, ..violation }.into())
            }
            Err(Stop::Refused(error)) if !self.is_lasting() => {
                let text = format!("a single failure, and then: {error}");
                Err(Violation::new(C11.id, text).into())
            }
            Ok(()) | Err(Stop::Refused(_)) => Ok(()),
        }
    }

    /// Ends the fault; reopens the database if it is poisoned, and sometimes if not.
    pub(in crate::check) fn calm<C: Course>(
        &mut self,
        bench: &mut Bench<'_>,
        course: &mut C,
    ) -> Result<(), Stop> {
        let Some(injection) = self.injected.take() else { return Ok(()) };
        let how = bench.world.rng(|rng| rng.below(4));
        if how != 0 || self.uncertain.is_some() {
            course.let_go(bench)?;
        }
        if how == 3 {
            bench.close();
            bench.probe.mark("closing failed");
        }
        if bench.fs.heal().is_some() && injection.fault == Fault::Short {
            bench.probe.mark("short read or write made good");
        }
        let states = match self.uncertain.take() {
            None if how == 0 => return Ok(()),
            None => vec![bench.committed.clone()],
            Some(after) => vec![bench.committed.clone(), after],
        };
        if how == 1 {
            let disk = bench.fs.disk();
            let disk = bench.world.rng(|rng| disk.power_loss(rng));
            bench.crash_to(disk);
            bench.probe.mark("power loss after a failure");
        } else {
            bench.close();
        }
        let landed = bench.open_among(&states, C2.id)?;
        if states.len() > 1 {
            let marks = ["failed commit was not there", "failed commit was there after all"];
            bench.probe.mark(marks[landed]);
            // The state read after opening survives a power loss, although nothing was written.
            let disk = bench.fs.disk();
            let disk = bench.world.rng(|rng| disk.power_loss(rng));
            bench.crash_to(disk);
            bench.open_among(&states[landed..=landed], C5.id)?;
        }
        Ok(())
    }
}

const fn edits(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Create
            | Kind::Upsert
            | Kind::Update
            | Kind::Set
            | Kind::Add
            | Kind::Delete
            | Kind::ListInsert
            | Kind::ListEdit
            | Kind::Alter
    )
}
