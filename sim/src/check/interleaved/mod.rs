//! Others act while a long operation is under way: at calls of the file system of a copy, a
//! compaction, a scan of a snapshot, a verification, an opening, a closing and a creation.
//!
//! Other handles of the store commit, take, read and drop snapshots, and copy the file. Other
//! processes open, change, compact and create it, and are kept out while it is open. [`others`]
//! says what each does. The power is cut at calls of the operation and of the others.

mod others;

use super::compare::{CheckError, Order, Reading, read_all};
use super::crash::{CrashPoint, CrashTester};
use super::definition::{Check, Distribution, Twin, Violation};
use super::edits::draw_edits;
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C2, C5, C6, C7, C8, C9, C10, C14, D4, F1, F2, L3, S8, T5, V4};
use super::store_harness::{StoreHarness, check_books, objects_agree, unexpected, verify};
use super::world::{COPY, World, file};
use crate::fs::Disk;
use fastness::{Durability, Error, FileErrorCause};
use fastness_models::store::{Store as Model, StoreState};
use fastness_models::{Op, OpKind};
use others::{CrashCandidate, Effect, OtherAction, Others};

pub(super) const CHECK: Check = Check {
    name: "interleaved",
    about: "other handles and processes act during copies, compactions, scans, openings, closings",
    invariants: &[V4, C6, F1, F2, C7, C10, C2, C5, C8, C14, L3, A1, A3, A4, C9, D4, S8, T5],
    marks: &[
        "committed during a copy",
        "copied by another handle during a copy",
        "committed during a scan of a snapshot",
        "committed during a verification",
        "read during a compaction",
        "writer kept out of a compaction",
        "process kept out of a compaction",
        "process kept out of a closing",
        "process kept out of an opening",
        "read by another process during an opening",
        "opened by another process during an opening",
        "compacted by another process during an opening",
        "created by another process during a creation",
        "crash beside a long operation",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 6),
            (OpKind::Fill, 8),
            (OpKind::Prune, 3),
            (OpKind::Get, 4),
            (OpKind::Commit, 8),
            (OpKind::TakeSnapshot, 3),
            (OpKind::DropSnapshot, 1),
            (OpKind::ScanSnapshot, 4),
            (OpKind::Copy, 2),
            (OpKind::Compact, 2),
            (OpKind::Verify, 2),
            (OpKind::Reopen, 3),
            (OpKind::Kill, 2),
            (OpKind::PowerLoss, 2),
        ],
        ops_min: 30,
        ops_max: 90,
    },
    body,
};

/// Crashes that are checked for one long operation.
const CRASHES_MAX: usize = 3;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(256 << 10);
    let harness = create(&world, probe).map_err(|error| unexpected(error, C7.id))?;
    let possible = vec![harness.model.committed().clone()];
    let mut interleaved = Interleaved { harness, possible };
    for (step, op) in plan.ops.iter().enumerate() {
        interleaved.harness.step = step;
        interleaved.step(*op).map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    Ok(())
}

/// A long operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LongOperation {
    Copy,
    Compact,
    Scan,
    Verify,
    Open,
    Close,
}

impl LongOperation {
    /// Returns the mark of an effect that others have during the operation.
    const fn mark(self, effect: Effect) -> Option<&'static str> {
        Some(match (self, effect) {
            (Self::Copy, Effect::Committed) => "committed during a copy",
            (Self::Copy, Effect::Copied) => "copied by another handle during a copy",
            (Self::Scan, Effect::Committed) => "committed during a scan of a snapshot",
            (Self::Verify, Effect::Committed) => "committed during a verification",
            (Self::Compact, Effect::Scanned) => "read during a compaction",
            (Self::Compact, Effect::WriterKeptOut) => "writer kept out of a compaction",
            (Self::Compact, Effect::ProcessKeptOut) => "process kept out of a compaction",
            (Self::Close, Effect::ProcessKeptOut) => "process kept out of a closing",
            (Self::Open, Effect::ProcessKeptOut) => "process kept out of an opening",
            (Self::Open, Effect::Read) => "read by another process during an opening",
            (Self::Open, Effect::Opened) => "opened by another process during an opening",
            (Self::Open, Effect::Compacted) => "compacted by another process during an opening",
            _ => return None,
        })
    }
}

/// A store, and the states that a crash may leave.
struct Interleaved<'w> {
    harness: StoreHarness<'w>,
    /// The last durable state and all later ones, in order.
    possible: Vec<StoreState>,
}

/// Creates the store while another process creates the same file: one of them succeeds.
fn create<'w>(world: &'w World, probe: &'w mut Probe) -> Result<StoreHarness<'w>, CheckError> {
    let fs = world.boot(Disk::default());
    let mut others = Others::new(world, &fs);
    others.actions.push_back(OtherAction::Create);
    others.calls_left = world.rng(|rng| rng.below(24));
    let options = world.options(&fs);
    let (created, others) = others.act_during(|| options.create(file()).map(drop));
    others.outcome?;
    let exists = others.effects.contains(&Effect::Created);
    match created {
        Ok(()) if !exists => {}
        Err(Error::File { cause: FileErrorCause::Exists, .. }) if exists => {
            probe.mark("created by another process during a creation");
        }
        outcome => {
            let text = format!("another process created the file: {exists}, and {outcome:?}");
            return Err(Violation::new(C7.id, text).into());
        }
    }
    let mut harness = StoreHarness::open_on(world, probe, (fs, Model::default()))?;
    harness.records = true;
    harness.watch();
    Ok(harness)
}

impl Interleaved<'_> {
    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        // Other checks cover crashes of single commits.
        drop(self.harness.fs.take_forks());
        match op.kind {
            OpKind::Commit if op.a.is_multiple_of(4) => {
                self.harness.commit_unsynced()?;
                self.possible.push(self.harness.model.committed().clone());
                Ok(())
            }
            OpKind::Commit => {
                let durable = self.harness.writing();
                self.harness.act(op)?;
                if durable {
                    self.possible = vec![self.harness.model.committed().clone()];
                }
                Ok(())
            }
            OpKind::Copy => self.copy(op),
            OpKind::Compact => self.compact(op),
            OpKind::ScanSnapshot => self.scan(op),
            OpKind::Verify => self.verify(op),
            OpKind::Reopen => self.reopen(op),
            OpKind::Kill | OpKind::PowerLoss => self.crash(op),
            // It reads the file as a process finds it, without the commits that no sync followed.
            OpKind::RefusedOpen if self.possible.len() > 1 => Ok(()),
            _ => self.harness.act(op),
        }
    }

    /// Draws the others of an operation on the open store.
    fn others(&self, op: Op, kinds: usize) -> Others {
        let (world, fs) = (self.harness.world, &self.harness.fs);
        let mut others = Others::new(world, fs);
        others.store = Some(self.harness.store().clone());
        others.states.clone_from(&self.possible);
        let stamp = 0xe000_0000 | u32::try_from(self.harness.step << 8).unwrap_or(0);
        others.actions = (0..1 + op.b % 6)
            .map(|index| {
                let stamp = stamp | u32::from(index) << 4;
                match world.rng(|rng| rng.below(kinds)) {
                    0 => OtherAction::OpenReadOnly,
                    1 => OtherAction::Open(draw_edits(world, stamp), false),
                    2 => OtherAction::TakeSnapshot,
                    3 | 4 => OtherAction::ScanSnapshot(world.rng(crate::Rng::byte)),
                    5 => OtherAction::DropSnapshot(world.rng(crate::Rng::byte)),
                    6 => OtherAction::Commit(draw_edits(world, stamp), Durability::None),
                    7..10 => OtherAction::Commit(draw_edits(world, stamp), Durability::Immediate),
                    _ => OtherAction::Copy,
                }
            })
            .collect();
        self.pace(others, op)
    }

    /// Draws the other processes of an opening or a closing.
    fn processes(&self, op: Op) -> Others {
        let (world, fs) = (self.harness.world, &self.harness.fs);
        let mut others = Others::new(world, fs);
        others.states.clone_from(&self.possible);
        let stamp = 0xe000_0000 | u32::try_from(self.harness.step << 8).unwrap_or(0);
        others.actions = (0..1 + op.b % 4)
            .map(|index| match world.rng(|rng| rng.below(3)) {
                0 => OtherAction::OpenReadOnly,
                which => {
                    OtherAction::Open(draw_edits(world, stamp | u32::from(index) << 4), which == 2)
                }
            })
            .collect();
        self.pace(others, op)
    }

    fn pace(&self, mut others: Others, op: Op) -> Others {
        let pause = 1 + usize::from(op.c % 16);
        others.pause = self.harness.world.rng(|rng| rng.below(pause));
        others.calls_left = self.harness.world.rng(|rng| rng.below(pause));
        others
    }

    fn copy(&mut self, op: Op) -> Result<(), CheckError> {
        let world = self.harness.world;
        let others = self.others(op, 12);
        let first = others.states.len() - 1;
        let store = self.harness.store().clone();
        let (copied, mut others) = others.act_during(|| store.copy(COPY, world.key().as_ref()));
        drop(store);
        let exists = others.effects.contains(&Effect::Copied);
        match copied {
            Ok(()) if !exists => self.check_copy(&others.states[first..])?,
            Err(Error::File { cause: FileErrorCause::Exists, .. }) if exists => {}
            outcome => {
                std::mem::replace(&mut others.outcome, Ok(()))?;
                let text = format!("another handle copied: {exists}, and {outcome:?}");
                return Err(Violation::new(F2.id, text).into());
            }
        }
        self.settle(others, LongOperation::Copy)?;
        self.harness.fs.tamper(|disk| disk.unlink(COPY.as_ref()));
        Ok(())
    }

    /// A copy holds one of the commits that were visible while it was made.
    fn check_copy(&self, states: &[StoreState]) -> Result<(), CheckError> {
        let world = self.harness.world;
        let copy = world.options(&self.harness.fs).open_read_only(COPY)?;
        let snapshot = copy.snapshot();
        verify(&snapshot, F2.id)?;
        let mut texts = Vec::new();
        for state in states {
            match read_all(&snapshot, state, Order::Forward) {
                Reading::Same(_) => return Ok(()),
                Reading::Differs { text, .. } => texts.push(text),
                Reading::Failed(error) => texts.push(error.to_string()),
            }
        }
        Err(Violation::new(F2.id, texts.join("; or: ")).into())
    }

    fn compact(&mut self, op: Op) -> Result<(), CheckError> {
        self.harness.abort();
        let others = self.others(op, 10);
        let store = self.harness.store().clone();
        let (compacted, mut others) = others.act_during(|| store.compact());
        drop(store);
        std::mem::replace(&mut others.outcome, Ok(()))?;
        compacted?;
        others.note_crashes(others.states.len() - 1);
        others.durable = others.states.len() - 1;
        self.settle(others, LongOperation::Compact)
    }

    fn scan(&mut self, op: Op) -> Result<(), CheckError> {
        if self.harness.snapshots.is_empty() {
            self.harness.act(Op::new(OpKind::TakeSnapshot, [0; 3]))?;
        }
        let which = usize::from(op.a) % self.harness.snapshots.len();
        let (snapshot, state) = self.harness.snapshots[which].clone();
        let others = self.others(op, 10);
        let (reading, others) =
            others.act_during(|| read_all(&snapshot, &state, Order::Both(op.b)));
        let operations = reading.same(C6.id)?;
        self.harness.probe.count(op.kind.name(), operations);
        self.settle(others, LongOperation::Scan)
    }

    fn verify(&mut self, op: Op) -> Result<(), CheckError> {
        let others = self.others(op, 10);
        let snapshot = self.harness.store().snapshot();
        let (found, others) = others.act_during(|| snapshot.verify());
        drop(snapshot);
        let found = found?;
        objects_agree(&found)?;
        if !found.problems.is_empty() {
            let text = format!("verification beside commits reports {found:?}");
            return Err(Violation::new(D4.id, text).into());
        }
        self.settle(others, LongOperation::Verify)
    }

    fn reopen(&mut self, op: Op) -> Result<(), CheckError> {
        let others = self.processes(op);
        let ((), mut others) = others.act_during(|| self.harness.close());
        std::mem::replace(&mut others.outcome, Ok(()))?;
        others.note_crashes(others.states.len() - 1);
        others.durable = others.states.len() - 1;
        self.settle(others, LongOperation::Close)?;
        self.open(op, false)
    }

    fn crash(&mut self, op: Op) -> Result<(), CheckError> {
        let mut disk = self.harness.fs.disk();
        if op.kind == OpKind::PowerLoss {
            disk = self.harness.world.rng(|rng| disk.power_loss(rng));
        }
        self.harness.crash_to(disk);
        self.harness.probe.crash("between calls");
        self.open(op, true)
    }

    /// Opens the file while other processes try to open it, too.
    fn open(&mut self, op: Op, recovers: bool) -> Result<(), CheckError> {
        let others = self.processes(op);
        let (opened, mut others) = others.act_during(|| self.harness.open_store());
        std::mem::replace(&mut others.outcome, Ok(()))?;
        let invariant = if recovers { C8.id } else { C9.id };
        opened.map_err(|error| Violation::new(invariant, format!("opening: {error}")))?;
        others.note_crashes(others.states.len() - 1);
        let states = others.states.split_off(others.durable);
        let landed = self.harness.land_among(&states, C2.id)?;
        others.states = vec![states[landed].clone()];
        others.durable = 0;
        self.settle(others, LongOperation::Open)
    }

    /// Compares what the operation and the others left, and crashes at some of their calls.
    fn settle(&mut self, mut others: Others, long: LongOperation) -> Result<(), CheckError> {
        std::mem::replace(&mut others.outcome, Ok(()))?;
        others.note_crashes(others.states.len() - 1);
        for effect in &others.effects {
            long.mark(*effect).into_iter().for_each(|mark| self.harness.probe.mark(mark));
        }
        let step = self.harness.step;
        self.harness.probe.line(|| format!("{step:4} {long:?} beside {:?}", others.effects));
        for (snapshot, state) in others.held.drain(..) {
            read_all(&snapshot, &state, Order::Backward).same(C6.id)?;
        }
        self.crash_at(&others.crashes, long)?;
        self.possible = others.states.split_off(others.durable);
        if long == LongOperation::Close {
            return Ok(());
        }
        if !self.harness.writing() {
            let visible = self.possible.last().expect("there is a state").clone();
            self.harness.rebase_on(visible);
            check_books(self.harness.store())?;
        }
        self.harness.scan_committed(Order::Forward)
    }

    /// Cuts the power at some of the calls.
    fn crash_at(
        &mut self,
        crashes: &[CrashCandidate],
        long: LongOperation,
    ) -> Result<(), Violation> {
        let world = self.harness.world;
        for _ in 0..crashes.len().min(CRASHES_MAX) {
            let CrashCandidate { fork, states } = world.rng(|rng| rng.pick(crashes));
            let point = CrashPoint::new(2, fork.at.name());
            let point = match long {
                LongOperation::Open => point.inside_recovery(),
                _ => point,
            };
            let mut tester = CrashTester { world, probe: self.harness.probe };
            tester.power_loss(&fork.disk, states, point)?;
            self.harness.probe.mark("crash beside a long operation");
        }
        Ok(())
    }
}
