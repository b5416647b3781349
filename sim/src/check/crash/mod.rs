//! A crash at every write and every sync, also during recovery and while the file is created.

mod first_act;

use crate::Rng;
use crate::check::compare::{CheckError, Order, Reading, read_all};
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::check::promises::{A1, A3, A4, C2, C5, C6, C7, C8, C9, D4, L3, S8, T5};
use crate::check::store_harness::{StoreHarness, unexpected, verify};
use crate::check::world::{COPY, World, file};
use crate::fs::{Disk, Fork, SimFs};
use fastness::{Durability, Error, FileErrorCause, RecoveryOutcome, Store, StoreSnapshot};
use fastness_crashkit::oracle::landed;
use fastness_models::OpKind;
use fastness_models::store::{Store as Model, StoreState};

const DEPTH_MAX: usize = 3;
/// Above this length crash points are sampled.
const LARGE_BYTES: u64 = 1 << 20;
const LARGE_FORKS: usize = 4;

pub(in crate::check) const CHECK: Check = Check {
    name: "crash",
    about: "crashes at every write and sync, to depth 3 inside recovery",
    invariants: &[C8, C2, C5, C7, L3, A1, A3, A4, C6, C9, D4, S8, T5],
    marks: &[
        "commit in flight survived",
        "commit in flight was lost",
        "recovery discarded a commit",
        "recovery kept the last commit",
        "crash during a creation: no file",
        "crash during a creation: complete file",
        "crash inside recovery",
        "crash inside the recovery of a recovery",
        "kill, read, power loss",
        "committed after a recovery",
        "lost commit repeated with a small change",
        "crash in a transaction that spilled",
        "crash in the commit of a transaction that spilled",
        "compacted right after a recovery",
        "empty commit right after a recovery",
        "copied right after a recovery",
        "synced a deferred commit right after a recovery",
        "closed with a deferred commit right after a recovery",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 30),
            (OpKind::Remove, 8),
            (OpKind::Clear, 1),
            (OpKind::Move, 1),
            (OpKind::Fill, 6),
            (OpKind::Prune, 4),
            (OpKind::Get, 12),
            (OpKind::Range, 4),
            (OpKind::Ends, 4),
            (OpKind::Commit, 4),
            (OpKind::Abort, 1),
            (OpKind::TakeSnapshot, 1),
            (OpKind::ScanSnapshot, 1),
            (OpKind::DropSnapshot, 1),
            (OpKind::Reopen, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 1),
        ],
        ops_min: 30,
        ops_max: 120,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness = create(&world, probe)?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.step = step;
        let before = harness.model.committed().clone();
        let has_spilled = harness.has_spilled();
        match op.kind {
            OpKind::Kill | OpKind::PowerLoss => {
                harness.crash(*op).map_err(|error| unexpected(error, C8.id).at(step))?;
            }
            _ => harness.must(*op).map_err(|violation| violation.at(step))?,
        }
        let forks = harness.fs.take_forks();
        if !forks.is_empty() {
            if has_spilled && op.kind == OpKind::Commit {
                harness.probe.mark("crash in the commit of a transaction that spilled");
            } else if harness.has_spilled() {
                harness.probe.mark("crash in a transaction that spilled");
            }
            let states = [before, harness.model.committed().clone()];
            let disk = harness.fs.disk();
            let mut tester = CrashTester { world: &world, probe: harness.probe };
            tester.at_every(&forks, &states).map_err(|violation| violation.at(step))?;
            let acknowledged = &states[1..];
            let point = CrashPoint::new(1, "acknowledged");
            tester.power_loss(&disk, acknowledged, point).map_err(|v| v.at(step))?;
        }
    }
    Ok(())
}

/// Creates the store, with a crash at every call.
fn create<'w>(world: &'w World, probe: &'w mut Probe) -> Result<StoreHarness<'w>, Violation> {
    let fs = world.boot(Disk::default());
    fs.record_forks();
    let mut harness =
        StoreHarness::create_on(world, probe, fs).map_err(|error| unexpected(error, C7.id))?;
    harness.records = true;
    let forks = harness.fs.take_forks();
    let mut rng = Rng::new(world.rng(Rng::next));
    for fork in &forks {
        let disk = fork.disk.power_loss(&mut rng);
        half_created(harness.probe, world, disk).map_err(|error| unexpected(error, C7.id))?;
        half_created(harness.probe, world, fork.disk.clone())
            .map_err(|error| unexpected(error, C7.id))?;
        harness.probe.crash(fork.at.name());
    }
    let disk = harness.fs.disk().power_loss(&mut rng);
    let there = world.options(&world.boot(disk)).open(file());
    there.map_err(|error| {
        Violation::new(C7.id, format!("after a creation and a power loss: {error}"))
    })?;
    Ok(harness)
}

/// A partly created file is absent or complete, and leftovers do not block another attempt.
fn half_created(probe: &mut Probe, world: &World, disk: Disk) -> Result<(), CheckError> {
    let fs = world.boot(disk);
    let options = world.options(&fs);
    let store = match options.open(file()) {
        Ok(store) => {
            probe.mark("crash during a creation: complete file");
            store
        }
        Err(Error::File { cause: FileErrorCause::NotFound, .. }) => {
            probe.mark("crash during a creation: no file");
            options.open_or_create(file())?
        }
        Err(error) => return Err(error.into()),
    };
    let operations =
        read_all(&store.snapshot(), &StoreState::default(), Order::Forward).same(C7.id)?;
    probe.count(OpKind::Scan.name(), operations);
    // A commit to it is durable, though the creating process died before the acknowledgement.
    let mut model = Model::default();
    let mut tester = CrashTester { world, probe };
    tester.commit_some(&store, &mut model, Durability::Immediate)?;
    if model.committed().is_empty() {
        return Ok(());
    }
    let acknowledged = [model.committed().clone()];
    let point = CrashPoint::new(DEPTH_MAX, "acknowledged");
    tester.power_loss(&fs.disk(), &acknowledged, point)?;
    Ok(())
}

/// Opening reports a commit as discarded only if the crash lost one, and no later than the one that
/// was in flight. `is_last` tells whether the store has the last state there was.
pub(in crate::check) fn check_outcome(store: &Store, is_last: bool) -> Result<(), Violation> {
    let Some(recovery) = store.recovery() else { return Ok(()) };
    let commit = store.snapshot().commit();
    let is_right = match recovery.outcome {
        RecoveryOutcome::CommitDiscarded(discarded) => !is_last && commit < discarded,
        _ => true,
    };
    if is_right && recovery.commit == commit {
        return Ok(());
    }
    let lost = if is_last { "nothing was lost" } else { "the last commit was lost" };
    let text = format!("{lost}, and opening at {commit} reports {recovery:?}");
    Err(Violation::new(L3.id, text))
}

/// The position of a crash.
#[derive(Clone, Copy, Debug)]
pub(in crate::check) struct CrashPoint {
    pub(in crate::check) depth: usize,
    pub(in crate::check) at: &'static str,
    /// The crash was inside a recovery, whose report is lost: the next one may repeat it.
    recovering: bool,
}

impl CrashPoint {
    pub(in crate::check) const fn new(depth: usize, at: &'static str) -> Self {
        Self { depth, at, recovering: false }
    }

    pub(in crate::check) const fn inside_recovery(self) -> Self {
        Self { recovering: true, ..self }
    }
}

/// A store after recovery, with the permitted states and the index of the one it has.
struct RecoveredStore<'s> {
    store: Store,
    fs: SimFs,
    states: &'s [StoreState],
    landed: usize,
}

/// Crashes a store and checks the recovery.
pub(in crate::check) struct CrashTester<'a> {
    pub(in crate::check) world: &'a World,
    pub(in crate::check) probe: &'a mut Probe,
}

impl CrashTester<'_> {
    /// Cuts the power at every fork, and kills the process at every second one. The recovered state
    /// must be one of the states.
    pub(in crate::check) fn at_every(
        &mut self,
        forks: &[Fork],
        states: &[StoreState],
    ) -> Result<(), Violation> {
        let large = forks.last().is_some_and(|fork| fork.disk.len(file()) > Some(LARGE_BYTES));
        if large && forks.len() > LARGE_FORKS {
            self.probe.mark("crash in a large commit");
        }
        for fork in forks {
            // Large files are sampled.
            if large && !self.chance(forks.len().div_ceil(LARGE_FORKS)) {
                continue;
            }
            let point = CrashPoint::new(1, fork.at.name());
            self.power_loss(&fork.disk, states, point)?;
            if self.chance(2) {
                self.recover(fork.disk.clone(), states, point)?;
                self.probe.mark("kill, read, power loss");
            }
        }
        Ok(())
    }

    /// Cuts the power.
    pub(in crate::check) fn power_loss(
        &mut self,
        disk: &Disk,
        states: &[StoreState],
        point: CrashPoint,
    ) -> Result<(), Violation> {
        let mut rng = Rng::new(self.world.rng(Rng::next));
        self.recover(disk.power_loss(&mut rng), states, point)
    }

    fn chance(&self, n: usize) -> bool {
        self.world.rng(|rng| rng.one_in(n))
    }

    /// Opens a file after a crash, compares it, and crashes again or commits.
    pub(in crate::check) fn recover(
        &mut self,
        disk: Disk,
        states: &[StoreState],
        point: CrashPoint,
    ) -> Result<(), Violation> {
        let fs = self.world.boot(disk);
        let recurses = point.depth < DEPTH_MAX && self.chance(3);
        if recurses {
            fs.record_forks();
        }
        let store = self.world.options(&fs).open(file()).map_err(|error| {
            Violation::new(C8.id, format!("after a crash at {}: {error}", point.at))
        })?;
        self.probe.count(OpKind::Reopen.name(), 1);
        self.probe.crash(point.at);
        self.note(&store);
        let snapshot = store.snapshot();
        let landed = self.land(&snapshot, states, point)?;
        self.probe.line(|| format!("     crash at {}: recovered state {landed}", point.at));
        let state = &states[landed];
        let is_last = landed + 1 == states.len() && states.iter().rev().skip(1).all(|s| s != state);
        if !point.recovering {
            check_outcome(&store, is_last)?;
        }
        if self.chance(if store.info().is_ok_and(|info| info.page_count < 64) { 2 } else { 16 }) {
            verify(&snapshot, C8.id).map_err(|error| unexpected(error, C8.id))?;
            self.probe.count(OpKind::Verify.name(), 1);
        }
        drop(snapshot);
        let forks = fs.take_forks();
        if recurses {
            self.inside(&forks, states, point.depth)?;
        }
        // The read above saw this state, so a crash must not lose it, even if recovery did not
        // sync.
        if point.depth < DEPTH_MAX && fs.disk().pending() {
            // This opening has returned, so no later one may report what it did not.
            let again = CrashPoint::new(DEPTH_MAX, "after a read");
            self.power_loss(&fs.disk(), std::slice::from_ref(state), again).map_err(
                |violation| match violation.invariant {
                    id if id == L3.id => violation,
                    _ => Violation { invariant: C5.id, ..violation },
                },
            )?;
        }
        if recurses {
            self.commit_and_crash(RecoveredStore { store, fs, states, landed }, point.depth)?;
        }
        Ok(())
    }

    /// Crashes at one of the calls of recovery.
    fn inside(
        &mut self,
        forks: &[Fork],
        states: &[StoreState],
        depth: usize,
    ) -> Result<(), Violation> {
        if forks.is_empty() {
            return Ok(());
        }
        let fork = self.world.rng(|rng| rng.pick(forks).clone());
        let at = if depth == 1 { "depth 2" } else { "depth 3" };
        let mark = match depth {
            1 => "crash inside recovery",
            _ => "crash inside the recovery of a recovery",
        };
        self.probe.mark(mark);
        let point = CrashPoint::new(depth + 1, at).inside_recovery();
        if self.chance(3) {
            return self.recover(fork.disk, states, point);
        }
        self.power_loss(&fork.disk, states, point)
    }

    /// Acts on a recovered store, crashes during the act, closes and reopens.
    fn commit_and_crash(
        &mut self,
        recovered: RecoveredStore<'_>,
        depth: usize,
    ) -> Result<(), Violation> {
        let RecoveredStore { store, fs, states, landed } = recovered;
        let mut model = Model::at(states[landed].clone());
        let lost = states.last().filter(|_| landed + 1 < states.len());
        // A crash in a copy may have left one.
        fs.tamper(|disk| disk.unlink(COPY.as_ref()));
        let acted = self.first_act(&store, &mut model, lost);
        let is_durable = acted.map_err(|error| unexpected(error, C8.id))?;
        let states = [states[landed].clone(), model.committed().clone()];
        let at = if depth == 1 { "depth 2" } else { "depth 3" };
        let point = CrashPoint::new(depth + 1, at);
        let committing = fs.take_forks();
        drop(store);
        let closing = fs.take_forks();
        let closed = if is_durable { &states[1..] } else { &states[..] };
        for (forks, states) in [(committing, &states[..]), (closing, closed)] {
            if !forks.is_empty() {
                let fork = self.world.rng(|rng| rng.pick(&forks).clone());
                self.power_loss(&fork.disk, states, point)?;
            }
        }
        let store = self.world.options(&fs).open(file());
        let store = store.map_err(|error| unexpected(error.into(), C8.id))?;
        let reading = read_all(&store.snapshot(), &states[1], Order::Backward);
        let operations = reading.same(C8.id).map_err(|error| unexpected(error, C8.id))?;
        self.probe.count(OpKind::Scan.name(), operations);
        self.probe.mark("committed after a recovery");
        Ok(())
    }

    /// Returns which of the states the snapshot equals.
    fn land(
        &mut self,
        snapshot: &StoreSnapshot,
        states: &[StoreState],
        point: CrashPoint,
    ) -> Result<usize, Violation> {
        let compare = |state: &StoreState| match read_all(snapshot, state, Order::Forward) {
            Reading::Same(operations) => {
                self.probe.count(OpKind::Scan.name(), operations);
                Ok(None)
            }
            Reading::Differs { text, .. } => Ok(Some(text)),
            Reading::Failed(error) => {
                Err(Violation::new(C8.id, format!("after a crash at {}: {error}", point.at)))
            }
        };
        let index = landed(states, compare)?.map_err(|lost| {
            Violation::new(C2.id, format!("after a crash at {}: {lost}", point.at))
        })?;
        if states.len() > 1 && states[0] != states[1] {
            let survived = ["commit in flight was lost", "commit in flight survived"];
            self.probe.mark(survived[index.min(1)]);
        }
        Ok(index)
    }

    fn note(&mut self, store: &Store) {
        let Some(recovery) = store.recovery() else { return };
        match recovery.outcome {
            RecoveryOutcome::LastCommitWhole => {
                self.probe.mark("recovery kept the last commit");
            }
            RecoveryOutcome::SlotDiscarded => self.probe.mark("recovery discarded a slot"),
            RecoveryOutcome::CommitDiscarded(_) => self.probe.mark("recovery discarded a commit"),
            _ => {}
        }
    }
}
