//! Damage anywhere in the file, after a clean close or without one: detected or harmless.

use super::definition::{Check, Distribution, Twin, Violation};
use super::examine::{Examiner, InvariantIds, KnownCommit, OpenOutcome, Opened};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C6, C9, C10, D1, D2, D4, D5, D6, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::{World, file};
use crate::Rng;
use crate::fs::{Disk, SECTOR_BYTES};
use fastness::{FileErrorCause, PAGE_BYTES, RecoveryOutcome};
use fastness_models::OpKind;
use std::sync::Arc;

const INVARIANTS: InvariantIds =
    InvariantIds { never_wrong: D1.id, noticed: D4.id, untouched: C10.id };

pub(super) const CHECK: Check = Check {
    name: "damage",
    about: "flips, zeros, garbage, truncation and extension anywhere in the file",
    invariants: &[D1, D2, D4, C10, D5, D6, A1, A3, A4, C6, C9, S8, T5],
    marks: &[
        "opening refused",
        "damage detected by a read",
        "salvage skipped damage",
        "damage detected by verification only",
        "damage without effect",
        "recovered an earlier commit",
        "slot discarded",
        "truncated",
        "file no longer recognized",
        "both header slots unusable",
        "log truncated",
        "committed on a damaged file",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 20),
            (OpKind::Remove, 6),
            (OpKind::Fill, 8),
            (OpKind::Prune, 3),
            (OpKind::Get, 4),
            (OpKind::Commit, 6),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
            (OpKind::Damage, 4),
        ],
        ops_min: 20,
        ops_max: 60,
    },
    body,
};

const TRIES: usize = 8;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness =
        StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    let mut known_commits = vec![last_commit(&harness)];
    // The commit of the last close.
    let mut closed = 0;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.step = step;
        if op.kind == OpKind::Damage {
            let clean = op.a % 2 == 0;
            // A file that was not closed may fall back to any commit of its log.
            let possible = if clean { known_commits.len() - 1 } else { closed };
            attack(&mut harness, &known_commits[possible..], clean)
                .map_err(|violation| violation.at(step))?;
        } else {
            harness.must(*op).map_err(|violation| violation.at(step))?;
        }
        if known_commits.last().is_none_or(|last| last.commit != harness.commit) {
            known_commits.push(last_commit(&harness));
        }
        if matches!(op.kind, OpKind::Reopen | OpKind::Compact)
            || op.kind == OpKind::Damage && op.a % 2 == 0
        {
            closed = known_commits.len() - 1;
        }
    }
    Ok(())
}

/// Returns the last commit of a store.
pub(super) fn last_commit(harness: &StoreHarness<'_>) -> KnownCommit {
    KnownCommit { commit: harness.commit, state: harness.model.committed().clone() }
}

fn attack(
    harness: &mut StoreHarness<'_>,
    known_commits: &[KnownCommit],
    clean: bool,
) -> Result<(), Violation> {
    let world = harness.world;
    if clean {
        harness.close();
    }
    let disk = match world.rng(|rng| (clean || rng.one_in(2), Rng::new(rng.next()))) {
        (true, _) => harness.fs.disk(),
        (false, mut rng) => harness.fs.disk().power_loss(&mut rng),
    };
    for _ in 0..TRIES {
        let mut damaged = disk.clone();
        let times = if world.rng(|rng| rng.one_in(4)) { 2 } else { 1 };
        let mut what = Vec::new();
        for _ in 0..times {
            what.push(world.rng(|rng| damage(&mut damaged, rng)));
        }
        let found = Examiner { world, known_commits, invariants: INVARIANTS }
            .examine(damaged, harness.probe)
            .and_then(|found| {
                DamagedFile { known_commits, clean }.judge(world, harness.probe, found)
            })
            .map_err(|violation| {
                let text = format!("{} (clean {clean}): {}", what.join(", "), violation.text);
                Violation { text, ..violation }
            });
        harness.probe.line(|| format!("     {} (clean {clean})", what.join(", ")));
        found?;
    }
    if clean {
        harness.open().map_err(|error| unexpected(error, C9.id))?;
    }
    Ok(())
}

/// A file that was damaged after these commits, closed cleanly or not.
struct DamagedFile<'a> {
    known_commits: &'a [KnownCommit],
    clean: bool,
}

impl DamagedFile<'_> {
    /// Compares the outcome of an opening with the promises.
    fn judge(&self, world: &World, probe: &mut Probe, found: OpenOutcome) -> Result<(), Violation> {
        let Self { known_commits, clean } = *self;
        let opened = match found {
            OpenOutcome::Refused(cause) => {
                probe.mark("opening refused");
                match cause {
                    FileErrorCause::Truncated { .. } => probe.mark("truncated"),
                    FileErrorCause::NotFastness => probe.mark("file no longer recognized"),
                    FileErrorCause::Damaged { .. } => probe.mark("both header slots unusable"),
                    _ => {}
                }
                return Ok(());
            }
            OpenOutcome::Opened(opened) => opened,
        };
        let outcome = opened.recovery.map(|recovery| recovery.outcome);
        match outcome {
            Some(RecoveryOutcome::SlotDiscarded) => probe.mark("slot discarded"),
            Some(RecoveryOutcome::CommitDiscarded(_)) => probe.mark("recovered an earlier commit"),
            Some(RecoveryOutcome::LastCommitWhole) if opened.which + 1 < known_commits.len() => {
                probe.mark("log truncated");
            }
            _ => {}
        }
        // The last records of a log may vanish, but recovery must report that there was a log.
        if opened.which + 1 < known_commits.len() && outcome.is_none() {
            let text = format!("opened an earlier commit, with recovery {outcome:?}");
            return Err(Violation::new(D2.id, text));
        }
        if opened.salvaged {
            probe.mark("salvage skipped damage");
        }
        match (opened.complete, opened.clean) {
            (true, true) => probe.mark("damage without effect"),
            (true, false) => probe.mark("damage detected by verification only"),
            (false, _) => probe.mark("damage detected by a read"),
        }
        if world.rng(|rng| rng.one_in(4)) && !clean {
            go_on(world, probe, (*opened, known_commits))?;
        }
        Ok(())
    }
}

/// Commits on a damaged file, and reads it back.
fn go_on(
    world: &World,
    probe: &mut Probe,
    (opened, known_commits): (Opened, &[KnownCommit]),
) -> Result<(), Violation> {
    let Opened { fs, store, which, .. } = opened;
    let mut state = fastness_models::store::Store::at(known_commits[which].state.clone());
    let (tree, key) = world.rng(|rng| (rng.byte(), rng.byte()));
    let (tree, key) = (world.domain.tree(tree), world.domain.key(key));
    let value = world.value(7, 7);
    let commit = store.write().and_then(|mut txn| {
        txn.tree(tree)?.insert(&key, &value)?;
        txn.commit()
    });
    // A damaged page may fail the commit, which then changes nothing.
    let Ok(commit) = commit else { return Ok(()) };
    state.insert(tree, &key, &value);
    state.commit();
    drop(store);
    let known_commits = [KnownCommit { commit, state: state.committed().clone() }];
    let promises = InvariantIds { never_wrong: D5.id, ..INVARIANTS };
    Examiner { world, known_commits: &known_commits, invariants: promises }
        .examine(fs.disk(), probe)?;
    probe.mark("committed on a damaged file");
    Ok(())
}

/// Damages a file; returns a description.
fn damage(disk: &mut Disk, rng: &mut Rng) -> String {
    let len = disk.len(file()).unwrap_or(0);
    let pages = usize::try_from(len).unwrap_or(0) / PAGE_BYTES;
    let page = if rng.one_in(3) { rng.below(3) } else { rng.below(pages) };
    let at = (page * PAGE_BYTES + rng.below(PAGE_BYTES)) as u64;
    match rng.below(12) {
        0..3 => {
            let (byte, bit) = (rng.below(PAGE_BYTES), rng.below(8));
            disk.patch(file(), at, |bytes| bytes[byte] ^= 1 << bit);
            format!("bit {bit} of byte {byte} of page {page} flipped")
        }
        3 => {
            disk.patch(file(), at, |bytes| bytes.fill(0));
            format!("page {page} zeroed")
        }
        4 => {
            disk.patch(file(), at, |bytes| bytes.iter_mut().for_each(|byte| *byte = rng.byte()));
            format!("garbage in page {page}")
        }
        5 | 6 => {
            let from = rng.below(PAGE_BYTES / SECTOR_BYTES) * SECTOR_BYTES;
            let zero = rng.one_in(2);
            disk.patch(file(), at, |bytes| {
                let sector = &mut bytes[from..from + SECTOR_BYTES];
                sector.iter_mut().for_each(|byte| *byte = if zero { 0 } else { rng.byte() });
            });
            format!("sector at {from} of page {page} overwritten, with zeros {zero}")
        }
        7 => {
            let to = if rng.one_in(2) { at } else { (page * PAGE_BYTES) as u64 };
            disk.resize(file(), to);
            format!("cut to {to} bytes")
        }
        8 => {
            let to = len + rng.below(3 * PAGE_BYTES) as u64;
            disk.resize(file(), to);
            format!("extended to {to} bytes")
        }
        9 => {
            let source = disk.page(file(), rng.below(pages));
            disk.replace(file(), page, source);
            format!("another page written to page {page}")
        }
        10 => {
            for page in page..pages {
                disk.patch(file(), (page * PAGE_BYTES) as u64, |bytes| bytes.fill(0));
            }
            format!("zeros from page {page}")
        }
        _ => {
            let page_of = |page: usize| Some(Arc::new([page.to_le_bytes()[0]; PAGE_BYTES]));
            let header = 1 + rng.below(3);
            (0..header.min(pages)).for_each(|page| disk.replace(file(), page, page_of(page)));
            format!("the first {header} pages overwritten")
        }
    }
}
