//! An error at every call: no acknowledgement of an unknown outcome, no loss of an acknowledged
//! commit.

use super::compare::{CheckError, Order};
use super::definition::{Check, Distribution, Twin, Violation};
use super::io_faults::{blame, commit_mark, injection, is_poisoned, judge_commit};
use super::io_sweep::{SweepRun, SweptAct};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C2, C3, C5, C6, C9, C10, C11, C12, C13, D4, S5, S8, T5};
use super::store_harness::{StoreHarness, describe, unexpected};
use super::world::World;
use crate::fs::{Call, Disk, Fault, Injection};
use fastness::Error;
use fastness_models::store::StoreState;
use fastness_models::{Op, OpKind};

pub(super) const CHECK: Check = Check {
    name: "io-errors",
    about: "an error at every call: no space, I/O error, failed sync, short reads and writes",
    invariants: &[C11, C3, C2, C5, C10, C12, S5, C13, A1, A3, A4, C6, C9, D4, S8, T5],
    marks: &[
        "commit failed and the store stayed usable",
        "commit failed and the store was poisoned",
        "failed commit present after a crash",
        "failed commit absent after a crash",
        "opening failed without changes",
        "recovery failed midway",
        "short read or write completed",
        "reading failed",
        "closing failed",
        "power loss after a failure",
        "power loss after every call of a failed commit",
        "operation of a transaction failed",
        "spilling failed",
        "commit of a transaction that spilled failed",
        "scan failed and the store went on",
        "verification failed and the store went on",
        "summary failed and the store went on",
        "deferred commit or its sync failed and the store went on",
        "explicit close failed",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 6),
            (OpKind::Fill, 6),
            (OpKind::Prune, 3),
            (OpKind::Move, 1),
            (OpKind::Get, 8),
            (OpKind::Range, 4),
            (OpKind::Commit, 8),
            (OpKind::TakeSnapshot, 1),
            (OpKind::ScanSnapshot, 1),
            (OpKind::Verify, 1),
            (OpKind::Reopen, 2),
            (OpKind::RefusedOpen, 1),
            (OpKind::Compact, 2),
            (OpKind::Inject, 6),
            (OpKind::ClearFault, 3),
        ],
        ops_min: 30,
        ops_max: 100,
    },
    body,
};

/// Limit of a sweep.
const SWEEP_CALLS_MAX: u32 = 60;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    if !world.domain.is_huge() {
        world.limit(512 << 10);
    }
    let harness = StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    let mut failing_store = FailingStore { harness, injected: None, uncertain: None };
    for (step, op) in plan.ops.iter().enumerate() {
        failing_store.harness.step = step;
        failing_store.step(*op).map_err(|violation| violation.at(step))?;
    }
    failing_store.recover_all().map_err(|violation| violation.at(plan.ops.len()))
}

/// A store on a disk that fails from time to time.
struct FailingStore<'w> {
    harness: StoreHarness<'w>,
    injected: Option<Injection>,
    /// The state after a failed commit that poisoned the store.
    uncertain: Option<StoreState>,
}

impl FailingStore<'_> {
    fn step(&mut self, op: Op) -> Result<(), Violation> {
        match op.kind {
            OpKind::ClearFault => self.recover_all(),
            OpKind::Inject if op.c & 2 == 0 => {
                let disk = self.harness.fs.disk();
                match self.injected.is_none() && self.uncertain.is_none() {
                    true => self.sweep(&disk, injection(op)),
                    false => Ok(()),
                }
            }
            OpKind::Inject => {
                self.recover_all()?;
                let is_cold = op.c & 4 == 0;
                if is_cold {
                    // With an empty cache, operations must read.
                    self.harness
                        .act(Op::new(OpKind::Reopen, [0; 3]))
                        .map_err(|s| unexpected(s, C2.id))?;
                }
                let reads_next = is_cold && op.c & 8 == 0;
                let mut fault = injection(op);
                if reads_next {
                    // A read takes few calls.
                    fault.after %= 4;
                }
                self.injected = Some(fault);
                self.harness.fs.inject(fault);
                if reads_next {
                    for tree in 0..4 {
                        self.act(Op::new(OpKind::Get, [tree, op.b, op.c]))?;
                        self.act(Op::new(OpKind::Range, [tree, op.b, op.c]))?;
                    }
                }
                Ok(())
            }
            // The failed slot is torn, and verification reports it.
            OpKind::Verify if self.uncertain.is_some() => Ok(()),
            OpKind::RefusedOpen | OpKind::Reopen if self.injected.is_some() => self.recover_all(),
            _ => self.act(op),
        }
    }

    fn act(&mut self, op: Op) -> Result<(), Violation> {
        let after = self.harness.model.visible().clone();
        let changed = self.harness.model.has_changes();
        let error = match self.harness.act(op) {
            Ok(()) if op.kind == OpKind::Commit && changed && self.uncertain.is_some() => {
                return Err(Violation::new(C3.id, "a poisoned store acknowledged a commit"));
            }
            Ok(()) => return Ok(()),
            Err(CheckError::Violation(violation)) => return Err(violation),
            Err(CheckError::Store(error)) => error,
        };
        let failure = self.harness.fs.failed();
        blame(&error, self.injected, (failure, self.uncertain.is_some()))?;
        let (step, domain) = (self.harness.step, &self.harness.world.domain);
        self.harness.probe.line(|| format!("{step:4} {}: {error}", describe(domain, op)));
        if op.kind == OpKind::Commit && self.uncertain.is_none() {
            let poisoned = is_poisoned(self.harness.store());
            judge_commit((failure, self.lasting()), poisoned)?;
            self.harness.probe.mark(commit_mark(poisoned));
            self.uncertain = poisoned.then_some(after);
        }
        // It is not known which of two files has the name, and both have the same content.
        if op.kind == OpKind::Compact && is_poisoned(self.harness.store()) {
            let committed = self.harness.model.committed();
            self.uncertain.get_or_insert_with(|| committed.clone());
        }
        if matches!(op.kind, OpKind::Get | OpKind::Range) {
            self.harness.probe.mark("reading failed");
        }
        if self.harness.writing() && is_edit(op.kind) {
            self.commit_failed()?;
        }
        self.harness.abort();
        self.read_back()
    }

    fn lasting(&self) -> bool {
        self.injected.is_some_and(|injection| injection.lasting)
    }

    /// A failed transaction can only be dropped.
    fn commit_failed(&mut self) -> Result<(), Violation> {
        match self.harness.act(Op::new(OpKind::Commit, [0; 3])) {
            Err(CheckError::Store(Error::TransactionFailed)) => {
                if self.harness.fs.failed().is_some_and(|it| it.call == Call::Write) {
                    self.harness.probe.mark("spilling failed");
                }
                self.harness.probe.mark("operation of a transaction failed");
                Ok(())
            }
            Err(CheckError::Violation(violation)) => Err(violation),
            outcome => {
                let text = format!("a failed transaction was committed: {outcome:?}");
                Err(Violation::new(C13.id, text))
            }
        }
    }

    /// Committed data reads as before, at the latest when the fault ends.
    fn read_back(&mut self) -> Result<(), Violation> {
        match self.harness.scan_committed(Order::Forward) {
            Ok(()) => Ok(()),
            Err(CheckError::Violation(violation)) => {
                Err(Violation { invariant: C11.id, ..violation })
            }
            Err(CheckError::Store(_)) if self.injected.is_some_and(|it| it.lasting) => Ok(()),
            Err(CheckError::Store(error)) => {
                Err(Violation::new(C11.id, format!("after one failed call: {error}")))
            }
        }
    }

    /// Ends the fault; reopens the store if it is poisoned, and sometimes if not.
    fn recover_all(&mut self) -> Result<(), Violation> {
        let how = self.harness.world.rng(|rng| rng.below(4));
        let closing = self.injected.is_some() && how == 3;
        if closing {
            self.harness.close();
            self.harness.probe.mark("closing failed");
        }
        let failed = self.harness.fs.take_failure();
        if let Some(injection) = self.injected.take()
            && injection.fault == Fault::Short
            && failed.is_some()
        {
            self.harness.probe.mark("short read or write completed");
        }
        if self.uncertain.is_none() && how == 0 {
            return Ok(());
        }
        let states = match self.uncertain.take() {
            Some(after) => vec![self.harness.model.committed().clone(), after],
            None => vec![self.harness.model.committed().clone()],
        };
        let disk = match how {
            1 => {
                let disk = self.harness.fs.disk();
                self.harness.probe.mark("power loss after a failure");
                self.harness.world.rng(|rng| disk.power_loss(rng))
            }
            _ => {
                self.harness.close();
                self.harness.fs.disk()
            }
        };
        self.harness.crash_to(disk);
        let landed = self.harness.open_among(&states, C2.id)?;
        if states.len() > 1 {
            let marks =
                ["failed commit absent after a crash", "failed commit present after a crash"];
            // A failed compaction leaves one content.
            if states[0] != states[1] {
                self.harness.probe.mark(marks[landed]);
            }
            self.check_survives_power_loss(&states[landed])?;
        }
        Ok(())
    }

    /// A state that was read after a failure survives a power loss, although nothing was written.
    fn check_survives_power_loss(&mut self, state: &StoreState) -> Result<(), Violation> {
        let disk = self.harness.fs.disk();
        let disk = self.harness.world.rng(|rng| disk.power_loss(rng));
        self.harness.crash_to(disk);
        self.harness.open_among(std::slice::from_ref(state), C5.id)?;
        self.harness.probe.mark("power loss after every call of a failed commit");
        Ok(())
    }

    /// Opens, acts and closes with an error at the first call, the second, and so on.
    fn sweep(&mut self, disk: &Disk, injection: Injection) -> Result<(), Violation> {
        let state = self.harness.model.committed().clone();
        let act = SweptAct::draw(self.harness.world);
        for after in 0..SWEEP_CALLS_MAX {
            let injection = Injection { after, ..injection };
            let (world, probe) = (self.harness.world, &mut *self.harness.probe);
            let mut sweep_run = SweepRun { world, probe, injection, act };
            let failed = sweep_run.run(disk, &state).map_err(|violation| {
                let text = format!("{act:?}, {injection:?}: {}", violation.text);
                Violation { text, ..violation }
            })?;
            if !failed {
                break;
            }
        }
        Ok(())
    }
}

const fn is_edit(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Insert
            | OpKind::Remove
            | OpKind::Clear
            | OpKind::Fill
            | OpKind::Prune
            | OpKind::Move
    )
}
