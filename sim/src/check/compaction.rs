//! Compaction and copying with a crash or an error at every call: one complete file, equal
//! contents, the right key only, no leftovers in the way, no file replaced.

use super::compare::{CheckError, Order, Reading, read_all};
use super::crash::{CrashPoint, CrashTester};
use super::definition::{Check, Distribution, Twin, Violation};
use super::paths::PathChecker;
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{
    A1, A3, A4, C2, C5, C6, C7, C8, C9, C11, D4, F1, F2, F3, F4, L3, S8, T5, V5, V6,
};
use super::store_harness::{StoreHarness, unexpected, verify};
use super::world::{COPY, World, file, other_key};
use crate::Rng;
use crate::fs::{Disk, Fault, Fork, Injection, SimFs};
use fastness::{Error, FileErrorCause, Key, PAGE_BYTES, Store, StoreOptions};
use fastness_models::store::StoreState;
use fastness_models::{Op, OpKind};
use std::path::Path;

pub(super) const CHECK: Check = Check {
    name: "compaction",
    about: "compaction and copies under crashes and errors at every call",
    invariants: &[F1, F2, F3, F4, V5, V6, C7, C11, C8, C2, C5, A1, A3, A4, C6, C9, D4, S8, L3, T5],
    marks: &[
        "crash during a compaction",
        "crash during a copy: no copy",
        "crash during a copy: complete copy",
        "compaction failed",
        "copy failed",
        "committed after a failed compaction",
        "compaction failed and the store was poisoned",
        "copied under the same key",
        "copied under another key",
        "copied without a key",
        "copy refused, target exists",
        "snapshot read after a compaction",
        "compaction freed space",
        "compacted through a symbolic link",
        "compaction refused, two names",
        "copied to a name of more than 242 bytes",
        "copied over a leftover",
        "copied over a symbolic link",
        "copied over a hard link",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 8),
            (OpKind::Clear, 1),
            (OpKind::Move, 1),
            (OpKind::Fill, 8),
            (OpKind::Prune, 6),
            (OpKind::Get, 6),
            (OpKind::Commit, 6),
            (OpKind::TakeSnapshot, 1),
            (OpKind::ScanSnapshot, 1),
            (OpKind::Reopen, 1),
            (OpKind::PowerLoss, 1),
            (OpKind::Compact, 2),
            (OpKind::Copy, 3),
            (OpKind::Inject, 2),
            (OpKind::BlockBackup, 2),
        ],
        ops_min: 20,
        ops_max: 70,
    },
    body,
};

/// Limit of a sweep over failing calls.
const SWEEP_CALLS_MAX: u32 = 40;
/// More forks than this are sampled.
const FORKS_MAX: usize = 8;
/// The stride of a sweep grows by one for every so many pages.
const LARGE_PAGES: usize = 32;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    if !world.domain.is_huge() {
        world.limit(256 << 10);
    }
    let mut harness =
        StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.step = step;
        let outcome = match op.kind {
            OpKind::Compact => compact(&mut harness),
            OpKind::Copy => copy(&mut harness, *op),
            OpKind::Inject => sweep_faults(&mut harness, *op).map_err(CheckError::from),
            OpKind::PowerLoss => harness.crash(*op),
            OpKind::BlockBackup => meet_links(&mut harness),
            _ => harness.act(*op),
        };
        outcome.map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    Ok(())
}

/// Compacts or copies where links and leftovers are in the way.
fn meet_links(harness: &mut StoreHarness<'_>) -> Result<(), CheckError> {
    let (disk, state) = (harness.fs.disk(), harness.model.committed().clone());
    let world = harness.world;
    PathChecker { world, probe: harness.probe, disk: &disk, state: &state }.check()
}

/// Compacts, with a crash at every call.
fn compact(harness: &mut StoreHarness<'_>) -> Result<(), CheckError> {
    harness.fs.record_forks();
    let before = harness.store().info()?.file_bytes;
    harness.compact()?;
    if harness.store().info()?.file_bytes < before {
        harness.probe.mark("compaction freed space");
    }
    if !harness.snapshots.is_empty() {
        harness.probe.mark("snapshot read after a compaction");
        harness.scan_snapshots()?;
    }
    harness.scan_committed(Order::Forward)?;
    let forks = harness.fs.take_forks();
    let world = harness.world;
    let states = [harness.model.committed().clone()];
    for fork in sampled(world, &forks) {
        let mut crashes = CrashTester { world, probe: harness.probe };
        let cut = CrashPoint::new(1, fork.at.name());
        let once = match world.rng(|rng| rng.one_in(2)) {
            true => crashes.power_loss(&fork.disk, &states, cut),
            false => crashes.recover(fork.disk.clone(), &states, cut),
        };
        once.map_err(|violation| Violation { invariant: F1.id, ..violation })?;
        harness.probe.mark("crash during a compaction");
        let disk = world.rng(|rng| fork.disk.power_loss(rng));
        let mut after = FileChecker { world, probe: harness.probe };
        after.again(disk, &states[0]).map_err(|error| unexpected(error, F3.id))?;
    }
    // An acknowledged compaction survives a power loss.
    let disk = harness.fs.disk();
    let mut crashes = CrashTester { world, probe: harness.probe };
    crashes.power_loss(&disk, &states, CrashPoint::new(1, "acknowledged"))?;
    Ok(())
}

fn sampled<'f>(world: &World, forks: &'f [Fork]) -> Vec<&'f Fork> {
    let one_in = forks.len().div_ceil(FORKS_MAX);
    forks.iter().filter(|_| world.rng(|rng| rng.one_in(one_in))).collect()
}

/// The key of a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyKey {
    Same,
    Other,
    Nothing,
}

impl CopyKey {
    fn of(op: Op) -> Self {
        [Self::Same, Self::Other, Self::Nothing][usize::from(op.a % 3)]
    }

    fn key(self, world: &World) -> Option<Key> {
        match self {
            Self::Same => world.key(),
            Self::Other => Some(other_key()),
            Self::Nothing => None,
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Same => "copied under the same key",
            Self::Other => "copied under another key",
            Self::Nothing => "copied without a key",
        }
    }

    fn options(self, world: &World, fs: &SimFs) -> StoreOptions {
        let options = world.options_without_key(fs);
        match self.key(world) {
            Some(key) => options.key(key),
            None => options,
        }
    }
}

/// Copies, with a crash at every call.
fn copy(harness: &mut StoreHarness<'_>, op: Op) -> Result<(), CheckError> {
    let (world, copy_key) = (harness.world, CopyKey::of(op));
    harness.fs.record_forks();
    harness.store().copy(COPY, copy_key.key(world).as_ref())?;
    harness.probe.count(OpKind::Copy.name(), 1);
    harness.probe.mark(copy_key.mark());
    let forks = harness.fs.take_forks();
    let (copied, state) = (harness.fs.disk(), harness.model.committed().clone());
    let mut after = FileChecker { world, probe: harness.probe };
    if !after.complete(copied.clone(), (copy_key, &state))? {
        return Err(Violation::new(F2.id, "the copy is missing").into());
    }
    let lost = world.rng(|rng| copied.power_loss(rng));
    if !after.complete(lost, (copy_key, &state))? {
        return Err(Violation::new(F2.id, "an acknowledged copy is missing").into());
    }
    other_keys(world, &copied, copy_key)?;
    refuse_target(harness, &copied)?;
    for fork in sampled(world, &forks) {
        let disk = world.rng(|rng| match rng.one_in(2) {
            true => fork.disk.power_loss(rng),
            false => fork.disk.clone(),
        });
        let mut after = FileChecker { world, probe: harness.probe };
        let there = after.complete(disk.clone(), (copy_key, &state))?;
        if !there {
            after.retry(disk, (copy_key, &state)).map_err(|error| unexpected(error, F3.id))?;
        }
        let marks = ["crash during a copy: no copy", "crash during a copy: complete copy"];
        harness.probe.mark(marks[usize::from(there)]);
        harness.probe.crash(fork.at.name());
    }
    harness.fs.tamper(|disk| disk.unlink(COPY.as_ref()));
    Ok(())
}

/// A copy opens with its key only.
fn other_keys(world: &World, disk: &Disk, copy_key: CopyKey) -> Result<(), Violation> {
    let fs = world.boot(disk.clone());
    let right = copy_key.key(world).is_some();
    for wrong in [CopyKey::Same, CopyKey::Other, CopyKey::Nothing] {
        let same = wrong == copy_key || (wrong.key(world).is_none() && !right);
        if same {
            continue;
        }
        let expected = match (right, wrong.key(world)) {
            (true, Some(_)) => FileErrorCause::WrongKey,
            (true, None) => FileErrorCause::KeyMissing,
            (false, _) => FileErrorCause::KeyForPlainFile,
        };
        match wrong.options(world, &fs).open(COPY) {
            Err(Error::File { cause, .. }) if cause == expected => {}
            outcome => {
                let text = format!("expected {expected}, found {:?}", outcome.map(drop));
                return Err(Violation::new(F2.id, text));
            }
        }
    }
    Ok(())
}

/// Neither a copy nor a new file replaces an existing file.
fn refuse_target(harness: &mut StoreHarness<'_>, before: &Disk) -> Result<(), Violation> {
    let outcomes = [
        harness.store().copy(COPY, None),
        harness.store().copy(file(), None),
        harness.world.options(&harness.fs).create(COPY).map(drop),
    ];
    let now = harness.fs.disk();
    let same = [Path::new(COPY), file()].iter().all(|path| now.same_file(before, path));
    let exists = |outcome: &Result<(), Error>| {
        matches!(outcome, Err(Error::File { cause: FileErrorCause::Exists, .. }))
    };
    if same && outcomes.iter().all(exists) {
        harness.probe.mark("copy refused, target exists");
        return Ok(());
    }
    Err(Violation::new(C7.id, format!("files unchanged: {same}, outcomes {outcomes:?}")))
}

/// Checks a file after a crash or a copy.
struct FileChecker<'a> {
    world: &'a World,
    probe: &'a mut Probe,
}

impl FileChecker<'_> {
    /// Compaction succeeds after an interrupted one.
    fn again(&mut self, disk: Disk, state: &StoreState) -> Result<(), CheckError> {
        let fs = self.world.boot(disk);
        let store = self.world.options(&fs).open(file())?;
        store.compact()?;
        self.probe.count(OpKind::Compact.name(), 1);
        let info = store.info()?;
        if info.file_bytes != info.page_count * PAGE_BYTES as u64 {
            return Err(Violation::new(
                F3.id,
                format!("the compacted file has free pages: {info:?}"),
            )
            .into());
        }
        self.holds(&store, state, F1.id)
    }

    /// Compares all contents and verifies the file.
    fn holds(
        &mut self,
        store: &Store,
        state: &StoreState,
        invariant: &'static str,
    ) -> Result<(), CheckError> {
        let snapshot = store.snapshot();
        let operations = read_all(&snapshot, state, Order::Forward).same(invariant)?;
        verify(&snapshot, invariant)?;
        self.probe.count(OpKind::Scan.name(), operations);
        self.probe.count(OpKind::Verify.name(), 1);
        Ok(())
    }

    /// Returns whether the copy exists; an existing copy must be complete.
    fn complete(
        &mut self,
        disk: Disk,
        (copy_key, state): (CopyKey, &StoreState),
    ) -> Result<bool, Violation> {
        let fs = self.world.boot(disk);
        let store = match copy_key.options(self.world, &fs).open(COPY) {
            Ok(store) => store,
            Err(Error::File { cause: FileErrorCause::NotFound, .. }) => return Ok(false),
            Err(error) => {
                return Err(Violation::new(F2.id, format!("a copy does not open: {error}")));
            }
        };
        self.holds(&store, state, F2.id).map_err(|error| unexpected(error, F2.id))?;
        Ok(true)
    }

    /// Copying succeeds after an interrupted copy.
    fn retry(
        &mut self,
        disk: Disk,
        (copy_key, state): (CopyKey, &StoreState),
    ) -> Result<(), CheckError> {
        let fs = self.world.boot(disk);
        let store = self.world.options(&fs).open(file())?;
        self.holds(&store, state, F2.id)?;
        store.copy(COPY, copy_key.key(self.world).as_ref())?;
        self.probe.count(OpKind::Copy.name(), 1);
        drop(store);
        match self.complete(fs.disk(), (copy_key, state))? {
            true => Ok(()),
            false => Err(Violation::new(F3.id, "the repeated copy is missing").into()),
        }
    }
}

/// Compacts or copies with an error at the first call, the second, and so on.
fn sweep_faults(harness: &mut StoreHarness<'_>, op: Op) -> Result<(), Violation> {
    let disk = harness.fs.disk();
    let state = harness.model.committed().clone();
    let fault = Fault::ALL[usize::from(op.a) % Fault::ALL.len()];
    // Most calls of a large file are alike.
    let pages = disk.len(file()).unwrap_or(0) / PAGE_BYTES as u64;
    let stride = 1 + usize::try_from(pages).unwrap_or(0) / LARGE_PAGES;
    let first = harness.world.rng(|rng| rng.below(stride));
    for after in (0..SWEEP_CALLS_MAX).skip(first).step_by(stride) {
        let injection = Injection { fault, after, lasting: op.b & 1 == 1 };
        let mut failing = FailingRun { world: harness.world, probe: harness.probe, state: &state };
        let met = match op.c & 1 {
            0 => failing.compaction(&disk, injection),
            _ => failing.copy(&disk, injection),
        };
        let met = met.map_err(|error| {
            let violation = unexpected(error, C11.id);
            let text = format!("{injection:?}: {}", violation.text);
            Violation { text, ..violation }
        })?;
        if !met {
            break;
        }
    }
    Ok(())
}

/// A store on its own disk, which fails after opening.
struct FailingRun<'a> {
    world: &'a World,
    probe: &'a mut Probe,
    state: &'a StoreState,
}

impl FailingRun<'_> {
    fn compaction(&mut self, disk: &Disk, injection: Injection) -> Result<bool, CheckError> {
        let fs = self.world.boot(disk.clone());
        let store = self.world.options(&fs).open(file())?;
        let held = store.snapshot();
        fs.inject(injection);
        let outcome = store.compact();
        let met = fs.take_failure().is_some();
        self.check_cause(met, injection, outcome.as_ref().err())?;
        self.probe.count(OpKind::Compact.name(), 1);
        for snapshot in [&held, &store.snapshot()] {
            let operations = read_all(snapshot, self.state, Order::Backward).same(C11.id)?;
            self.probe.count(OpKind::Scan.name(), operations);
        }
        if outcome.is_err() {
            self.probe.mark("compaction failed");
        }
        let disk = fs.disk();
        let states = self.commit_after_failure(&store, outcome.is_err())?;
        self.crash(&disk, std::slice::from_ref(self.state))?;
        self.crash(&fs.disk(), &states)?;
        drop((held, store));
        self.found(fs.disk(), &states)?;
        Ok(met)
    }

    fn copy(&mut self, disk: &Disk, injection: Injection) -> Result<bool, CheckError> {
        let fs = self.world.boot(disk.clone());
        let store = self.world.options(&fs).open(file())?;
        fs.inject(injection);
        let outcome = store.copy(COPY, Some(&other_key()));
        let met = fs.take_failure().is_some();
        self.check_cause(met, injection, outcome.as_ref().err())?;
        self.probe.count(OpKind::Copy.name(), 1);
        let copy_key = (CopyKey::Other, self.state);
        let mut after = FileChecker { world: self.world, probe: self.probe };
        let there = after.complete(fs.disk(), copy_key)?;
        if outcome.is_err() {
            self.probe.mark("copy failed");
            if !there {
                store.copy(COPY, Some(&other_key()))?;
            }
        } else if !there {
            return Err(Violation::new(F2.id, "the copy is missing").into());
        }
        let states = self.commit_after_failure(&store, false)?;
        self.crash(&fs.disk(), &states)?;
        Ok(met)
    }

    /// An error needs an injected failure; short reads and writes are no errors.
    fn check_cause(
        &self,
        met: bool,
        injection: Injection,
        error: Option<&Error>,
    ) -> Result<(), Violation> {
        match error {
            Some(error) if !met || injection.fault == Fault::Short => {
                Err(Violation::new(C11.id, format!("refused without an injected fault: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// The store commits as before, unless it is poisoned because the disk state is unknown.
    fn commit_after_failure(
        &mut self,
        store: &Store,
        may_be_poisoned: bool,
    ) -> Result<Vec<StoreState>, CheckError> {
        let domain = &self.world.domain;
        let (tree, key) = self.world.rng(|rng| (rng.byte(), rng.byte()));
        let (tree, key, value) = (domain.tree(tree), domain.key(key), self.world.value(3, 0xfa11));
        let mut txn = match store.write() {
            Ok(txn) => txn,
            Err(Error::Poisoned { .. }) if may_be_poisoned => {
                self.probe.mark("compaction failed and the store was poisoned");
                return Ok(vec![self.state.clone()]);
            }
            Err(error) => return Err(error.into()),
        };
        txn.tree(tree)?.insert(&key, &value)?;
        txn.commit()?;
        if may_be_poisoned {
            self.probe.mark("committed after a failed compaction");
        }
        let mut model = fastness_models::store::Store::at(self.state.clone());
        model.insert(tree, &key, &value);
        model.commit();
        Ok(vec![model.committed().clone()])
    }

    fn crash(&mut self, disk: &Disk, states: &[StoreState]) -> Result<(), Violation> {
        let mut rng = Rng::new(self.world.rng(Rng::next));
        self.found(disk.power_loss(&mut rng), states)
    }

    fn found(&mut self, disk: Disk, states: &[StoreState]) -> Result<(), Violation> {
        let fs = self.world.boot(disk);
        let store = self.world.options(&fs).open(file());
        let store = store.map_err(|error| Violation::new(C11.id, error.to_string()))?;
        match read_all(&store.snapshot(), &states[0], Order::Forward) {
            Reading::Same(operations) => {
                self.probe.count(OpKind::Scan.name(), operations);
                Ok(())
            }
            Reading::Differs { text, .. } => Err(Violation::new(C11.id, text)),
            Reading::Failed(error) => Err(Violation::new(C11.id, error.to_string())),
        }
    }
}
