//! Snapshots against commits and page reuse, with accounting for every page.

use super::compare::CheckError;
use super::definition::{Check, Distribution, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C6, C9, D4, L3, S1, S2, S4, S6, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::{World, file};
use crate::fs::Disk;
use fastness::inspect::{Ledger, dump_page, ledger, writable};
use fastness::{CommitId, PAGE_BYTES, PageId};
use fastness_models::{Op, OpKind};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    name: "pins",
    about: "snapshots held, cloned and dropped against commits; a page ledger after every commit",
    invariants: &[S1, S2, S4, S6, A1, A3, A4, C6, C9, D4, S8, L3, T5],
    marks: &[
        "page of a dropped snapshot reused",
        "commit while an old snapshot is held",
        "commit while three snapshots are held",
        "snapshot read after a compaction",
        "pages reused",
        "file size stable under updates",
        "closed with few free pages",
        "committed a transaction that spilled",
        "rolled back a transaction that spilled",
        "transaction spilled beside a snapshot",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 20),
            (OpKind::Remove, 8),
            (OpKind::Clear, 1),
            (OpKind::Move, 1),
            (OpKind::Fill, 6),
            (OpKind::Prune, 5),
            (OpKind::Get, 4),
            (OpKind::Commit, 10),
            (OpKind::Abort, 1),
            (OpKind::TakeSnapshot, 5),
            (OpKind::CloneSnapshot, 2),
            (OpKind::ReadSnapshot, 3),
            (OpKind::DropSnapshot, 4),
            (OpKind::Reopen, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 1),
            (OpKind::Compact, 1),
            (OpKind::ClearFault, 1),
        ],
        ops_min: 40,
        ops_max: 140,
    },
    body,
};

/// Rounds of the same updates after which a file has its size, plus enough to fill the log three
/// times.
const ROUNDS: usize = 24;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(512 << 10);
    let fs = world.boot(Disk::default());
    fs.capture_writes();
    let mut harness =
        StoreHarness::create_on(&world, probe, fs).map_err(|error| unexpected(error, A1.id))?;
    harness.spies = true;
    let mut accounts = PageAccounts::default();
    for (step, op) in plan.ops.iter().enumerate() {
        harness.step = step;
        accounts.step(&mut harness, *op).map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    Ok(())
}

/// The accounting of all pages.
#[derive(Default)]
struct PageAccounts {
    /// Pages of each snapshot, with the file they belong to.
    update_needed: Vec<(Option<usize>, BTreeSet<PageId>)>,
    /// Pages of the previous commit, while its slot exists.
    before: BTreeSet<PageId>,
    last: BTreeSet<PageId>,
    dropped: BTreeSet<PageId>,
    commit: Option<CommitId>,
    /// The commit at the time of opening.
    opened: Option<CommitId>,
}

impl PageAccounts {
    fn step(&mut self, harness: &mut StoreHarness<'_>, op: Op) -> Result<(), CheckError> {
        let number = number(harness);
        match op.kind {
            OpKind::Kill | OpKind::PowerLoss => {
                // The snapshots died with the process, and recovery rewrites pages with the same
                // bytes.
                *self = Self::default();
                harness.crash(op)?;
            }
            OpKind::ClearFault => self.steady(harness, op)?,
            OpKind::Reopen => {
                // Reopening drops the snapshots. Closing then writes the trees, makes both slots
                // lead there, and may relocate pages at the end of the file; `crash` checks its
                // steps.
                let wrote = self.opened != Some(harness.commit);
                *self = Self::default();
                harness.act(op)?;
                if wrote {
                    check_trimmed(harness)?;
                }
            }
            _ => harness.act(op)?,
        }
        if harness.has_spilled() && !harness.snapshots.is_empty() {
            harness.probe.mark("transaction spilled beside a snapshot");
        }
        self.written(harness, number)?;
        match op.kind {
            OpKind::Commit => self.check_balance(harness)?,
            OpKind::Reopen
            | OpKind::Kill
            | OpKind::PowerLoss
            | OpKind::Compact
            | OpKind::ClearFault => {
                if op.kind == OpKind::Compact && !harness.snapshots.is_empty() {
                    harness.probe.mark("snapshot read after a compaction");
                }
                let update_needed = std::mem::take(&mut self.update_needed);
                *self = Self { update_needed, opened: Some(harness.commit), ..Self::default() };
                self.check_balance(harness)?;
                harness.scan_snapshots()?;
            }
            OpKind::TakeSnapshot | OpKind::CloneSnapshot | OpKind::DropSnapshot => {
                self.update_needed(harness)?
            }
            _ => {}
        }
        Ok(())
    }

    /// No needed page was written since the last call.
    fn written(
        &mut self,
        harness: &mut StoreHarness<'_>,
        number: Option<usize>,
    ) -> Result<(), CheckError> {
        for written in harness.fs.take_writes() {
            let count = written.bytes.len().div_ceil(PAGE_BYTES) as u64;
            let first = written.offset / PAGE_BYTES as u64;
            for page in (first..first + count).map(PageId) {
                let snapshot = self
                    .update_needed
                    .iter()
                    .any(|(file, pages)| *file == Some(written.file) && pages.contains(&page));
                let slots = number == Some(written.file)
                    && (self.last.contains(&page) || self.before.contains(&page));
                if snapshot || slots {
                    let text =
                        format!("page {page} was overwritten while a snapshot or slot needs it");
                    return Err(Violation::new(S2.id, text).into());
                }
                if self.dropped.remove(&page) {
                    harness.probe.mark("page of a dropped snapshot reused");
                }
            }
        }
        Ok(())
    }

    /// Accounts for every page after a commit.
    fn check_balance(&mut self, harness: &mut StoreHarness<'_>) -> Result<(), CheckError> {
        let now = ledger(&harness.store().snapshot())?;
        complete(&now)?;
        let free: BTreeSet<PageId> = now.free.iter().copied().collect();
        let reachable: BTreeSet<PageId> = now.reachable.into_iter().collect();
        if self.commit.replace(harness.commit) != Some(harness.commit) {
            self.before = std::mem::replace(&mut self.last, reachable);
        }
        if self.last.iter().any(|page| page.0 + 1 < now.page_count && free.len() > 1) {
            harness.probe.mark("pages reused");
        }
        self.update_needed(harness)?;
        match harness.snapshots.len() {
            0 => {}
            1 | 2 => harness.probe.mark("commit while an old snapshot is held"),
            _ => harness.probe.mark("commit while three snapshots are held"),
        }
        harness.scan_snapshots()?;
        harness.probe.count(OpKind::Info.name(), 1);
        Ok(())
    }

    /// Records the pages of the snapshots; none of them may be allocated.
    fn update_needed(&mut self, harness: &mut StoreHarness<'_>) -> Result<(), CheckError> {
        let here = number(harness);
        let mut update_needed = Vec::new();
        for (snapshot, _) in &harness.snapshots {
            let pages: BTreeSet<_> = ledger(snapshot)?.reachable.into_iter().collect();
            // A snapshot from before a compaction belongs to the old file.
            let known = self.update_needed.iter().find(|(_, known)| *known == pages);
            let file = known.map_or(here, |(file, _)| *file);
            update_needed.push((file, pages));
        }
        for (_, pages) in std::mem::replace(&mut self.update_needed, update_needed) {
            let held =
                |page: &PageId| self.update_needed.iter().any(|(_, pages)| pages.contains(page));
            let removed = pages.into_iter().filter(|page| !held(page) && !self.last.contains(page));
            self.dropped.extend(removed);
        }
        if harness.writing() {
            return Ok(());
        }
        let given: BTreeSet<_> = writable(harness.store())?.into_iter().collect();
        let ours =
            self.update_needed.iter().filter(|(file, _)| *file == here).map(|(_, pages)| pages);
        for needed in ours.chain([&self.last, &self.before]) {
            if let Some(page) = needed.intersection(&given).next() {
                let text = format!("page {page} is allocatable, but in use");
                return Err(Violation::new(S2.id, text).into());
            }
        }
        Ok(())
    }

    /// Under steady updates the file stops growing after some rounds.
    fn steady(&mut self, harness: &mut StoreHarness<'_>, op: Op) -> Result<(), CheckError> {
        harness.abort();
        harness.snapshots.clear();
        let mut most = [0; 2];
        let rounds = ROUNDS + 3 * usize::try_from(harness.world.log_pages()).unwrap_or_default();
        for most in &mut most {
            for round in 0..rounds {
                for index in 0..6 {
                    let key = op.b.wrapping_add(index * 5);
                    harness.act(Op::new(OpKind::Insert, [op.a, key, op.c]))?;
                }
                harness.step += round;
                harness.act(Op::new(OpKind::Commit, [0; 3]))?;
                *most = harness.store().info()?.page_count.max(*most);
            }
        }
        drop(harness.fs.take_writes());
        // Three times the needed space holds old pages, new pages and gaps.
        if most[1] > most[0] + 2 {
            let text = format!("the file has {1} pages, at most {0} expected", most[0], most[1]);
            return Err(Violation::new(S4.id, text).into());
        }
        harness.probe.mark("file size stable under updates");
        Ok(())
    }
}

fn number(harness: &StoreHarness<'_>) -> Option<usize> {
    harness.fs.disk().number(file())
}

/// Closing relocated pages from the end into free space, except before out-of-line values.
fn check_trimmed(harness: &mut StoreHarness<'_>) -> Result<(), CheckError> {
    let snapshot = harness.store().snapshot();
    let Ledger { page_count, free, reachable, .. } = ledger(&snapshot)?;
    let free = free.len() as u64;
    let used = page_count - free;
    if free <= used / 10 + 4 {
        harness.probe.mark("closed with few free pages");
        return Ok(());
    }
    for page in reachable.into_iter().filter(|page| page.0 >= used) {
        if dump_page(&snapshot, page)?.contains("overflow") {
            return Ok(());
        }
    }
    let text = format!("{free} of {page_count} pages are free after closing");
    Err(Violation::new(S6.id, text).into())
}

/// Every page except the header is in use or free, exactly once.
fn complete(ledger: &Ledger) -> Result<(), Violation> {
    let mut all: Vec<PageId> = ledger.reachable.iter().chain(&ledger.free).copied().collect();
    all.sort_unstable();
    let expected = (3..ledger.page_count).map(PageId);
    if expected.eq(all.iter().copied()) {
        return Ok(());
    }
    Err(Violation::new(S1.id, format!("the page accounts do not balance: {ledger:?}")))
}
