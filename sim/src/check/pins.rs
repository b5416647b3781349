//! Snapshots against commits and page reuse, with accounting for every page.

use super::compare::Stop;
use super::promises::{A1, C6, C9, D4, S1, S2, S4, S6};
use super::rig::{Rig, unexpected};
use super::world::{World, file};
use super::{Check, Plan, Probe, Recipe, Twin, Violation};
use crate::fs::Disk;
use fastness::inspect::{Ledger, dump_page, ledger, writable};
use fastness::{CommitId, PAGE_BYTES, PageId};
use fastness_models::{Kind, Op};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    name: "pins",
    about: "snapshots held, cloned and dropped against commits; a page ledger after every commit",
    invariants: &[S1, S2, S4, S6, A1, C6, C9, D4],
    marks: &[
        "page of a dropped snapshot reused",
        "commit beside an old snapshot",
        "commit beside three snapshots",
        "snapshot outlived a compaction",
        "pages reused",
        "steady updates stopped growing",
        "closed with little free",
    ],
    recipe: Recipe {
        mix: &[
            (Kind::Insert, 20),
            (Kind::Remove, 8),
            (Kind::Clear, 1),
            (Kind::Fill, 6),
            (Kind::Prune, 5),
            (Kind::Get, 4),
            (Kind::Commit, 10),
            (Kind::TakeSnapshot, 5),
            (Kind::CloneSnapshot, 2),
            (Kind::ReadSnapshot, 3),
            (Kind::DropSnapshot, 4),
            (Kind::Reopen, 1),
            (Kind::Kill, 1),
            (Kind::PowerLoss, 1),
            (Kind::Compact, 1),
            (Kind::Heal, 1),
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
    fs.spy();
    let mut rig = Rig::create_on(&world, probe, fs).map_err(|stop| unexpected(stop, A1.id))?;
    rig.spies = true;
    let mut book = Book::default();
    for (step, op) in plan.ops.iter().enumerate() {
        rig.step = step;
        book.step(&mut rig, *op).map_err(|stop| unexpected(stop, A1.id).at(step))?;
    }
    Ok(())
}

/// The accounting of all pages.
#[derive(Default)]
struct Book {
    /// Pages of each snapshot, with the file they belong to.
    needs: Vec<(Option<usize>, BTreeSet<PageId>)>,
    /// Pages of the previous commit, while its slot exists.
    before: BTreeSet<PageId>,
    last: BTreeSet<PageId>,
    dropped: BTreeSet<PageId>,
    commit: Option<CommitId>,
    /// The commit at the time of opening.
    opened: Option<CommitId>,
}

impl Book {
    fn step(&mut self, rig: &mut Rig<'_>, op: Op) -> Result<(), Stop> {
        let number = number(rig);
        match op.kind {
            Kind::Kill | Kind::PowerLoss => {
                // The snapshots died with the process, and recovery rewrites pages with the same
                // bytes.
                *self = Self::default();
                rig.crash(op)?;
            }
            Kind::Heal => self.steady(rig, op)?,
            Kind::Reopen => {
                // Reopening drops the snapshots. Closing then writes the trees, makes both slots
                // lead there, and may relocate pages at the end of the file; `crash` checks its
                // steps.
                let wrote = self.opened != Some(rig.commit);
                *self = Self::default();
                rig.act(op)?;
                if wrote {
                    trimmed(rig)?;
                }
            }
            _ => rig.act(op)?,
        }
        self.written(rig, number)?;
        match op.kind {
            Kind::Commit => self.balance(rig)?,
            Kind::Reopen | Kind::Kill | Kind::PowerLoss | Kind::Compact | Kind::Heal => {
                if op.kind == Kind::Compact && !rig.snapshots.is_empty() {
                    rig.probe.mark("snapshot outlived a compaction");
                }
                let needs = std::mem::take(&mut self.needs);
                *self = Self { needs, opened: Some(rig.commit), ..Self::default() };
                self.balance(rig)?;
                rig.scan_snapshots()?;
            }
            Kind::TakeSnapshot | Kind::CloneSnapshot | Kind::DropSnapshot => self.needs(rig)?,
            _ => {}
        }
        Ok(())
    }

    /// No needed page was written since the last call.
    fn written(&mut self, rig: &mut Rig<'_>, number: Option<usize>) -> Result<(), Stop> {
        for written in rig.fs.take_written() {
            let count = written.bytes.len().div_ceil(PAGE_BYTES) as u64;
            let first = written.offset / PAGE_BYTES as u64;
            for page in (first..first + count).map(PageId) {
                let snapshot = self
                    .needs
                    .iter()
                    .any(|(file, pages)| *file == Some(written.file) && pages.contains(&page));
                let slots = number == Some(written.file)
                    && (self.last.contains(&page) || self.before.contains(&page));
                if snapshot || slots {
                    let text = format!("page {page} was written, and a snapshot or slot needs it");
                    return Err(Violation::new(S2.id, text).into());
                }
                if self.dropped.remove(&page) {
                    rig.probe.mark("page of a dropped snapshot reused");
                }
            }
        }
        Ok(())
    }

    /// Accounts for every page after a commit.
    fn balance(&mut self, rig: &mut Rig<'_>) -> Result<(), Stop> {
        let now = ledger(&rig.store().snapshot())?;
        complete(&now)?;
        let free: BTreeSet<PageId> = now.free.iter().copied().collect();
        let reachable: BTreeSet<PageId> = now.reachable.into_iter().collect();
        if self.commit.replace(rig.commit) != Some(rig.commit) {
            self.before = std::mem::replace(&mut self.last, reachable);
        }
        if self.last.iter().any(|page| page.0 + 1 < now.page_count && free.len() > 1) {
            rig.probe.mark("pages reused");
        }
        self.needs(rig)?;
        match rig.snapshots.len() {
            0 => {}
            1 | 2 => rig.probe.mark("commit beside an old snapshot"),
            _ => rig.probe.mark("commit beside three snapshots"),
        }
        rig.scan_snapshots()?;
        rig.probe.count(Kind::Info.name(), 1);
        Ok(())
    }

    /// Records the pages of the snapshots; none of them may be allocated.
    fn needs(&mut self, rig: &mut Rig<'_>) -> Result<(), Stop> {
        let here = number(rig);
        let mut needs = Vec::new();
        for (snapshot, _) in &rig.snapshots {
            let pages: BTreeSet<_> = ledger(snapshot)?.reachable.into_iter().collect();
            // A snapshot from before a compaction belongs to the old file.
            let known = self.needs.iter().find(|(_, known)| *known == pages);
            let file = known.map_or(here, |(file, _)| *file);
            needs.push((file, pages));
        }
        for (_, pages) in std::mem::replace(&mut self.needs, needs) {
            let held = |page: &PageId| self.needs.iter().any(|(_, pages)| pages.contains(page));
            let gone = pages.into_iter().filter(|page| !held(page) && !self.last.contains(page));
            self.dropped.extend(gone);
        }
        if rig.writing() {
            return Ok(());
        }
        let given: BTreeSet<_> = writable(rig.store())?.into_iter().collect();
        let ours = self.needs.iter().filter(|(file, _)| *file == here).map(|(_, pages)| pages);
        for needed in ours.chain([&self.last, &self.before]) {
            if let Some(page) = needed.intersection(&given).next() {
                let text = format!("page {page} may be given out, and is needed");
                return Err(Violation::new(S2.id, text).into());
            }
        }
        Ok(())
    }

    /// Under steady updates the file stops growing after some rounds.
    fn steady(&mut self, rig: &mut Rig<'_>, op: Op) -> Result<(), Stop> {
        rig.abort();
        rig.snapshots.clear();
        let mut most = [0; 2];
        let rounds = ROUNDS + 3 * usize::try_from(rig.world.log_pages()).unwrap_or_default();
        for most in &mut most {
            for round in 0..rounds {
                for index in 0..6 {
                    let key = op.b.wrapping_add(index * 5);
                    rig.act(Op::new(Kind::Insert, [op.a, key, op.c]))?;
                }
                rig.step += round;
                rig.act(Op::new(Kind::Commit, [0; 3]))?;
                *most = rig.store().info()?.page_count.max(*most);
            }
        }
        drop(rig.fs.take_written());
        // Three times the needed space holds old pages, new pages and gaps.
        if most[1] > most[0] + 2 {
            let text = format!("{} pages at most, then {}", most[0], most[1]);
            return Err(Violation::new(S4.id, text).into());
        }
        rig.probe.mark("steady updates stopped growing");
        Ok(())
    }
}

fn number(rig: &Rig<'_>) -> Option<usize> {
    rig.fs.disk().number(file())
}

/// Closing relocated pages from the end into free space, except before out-of-line values.
fn trimmed(rig: &mut Rig<'_>) -> Result<(), Stop> {
    let snapshot = rig.store().snapshot();
    let Ledger { page_count, free, reachable, .. } = ledger(&snapshot)?;
    let free = free.len() as u64;
    let used = page_count - free;
    if free <= used / 10 + 4 {
        rig.probe.mark("closed with little free");
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
    Err(Violation::new(S1.id, format!("the books do not balance: {ledger:?}")))
}
