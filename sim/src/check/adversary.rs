//! Rollback and splicing attacks: a file assembled from old copies, or from another file under the
//! same key, reads as one genuine commit or as an error.

use super::damage::last_commit;
use super::definition::{Check, Distribution, Twin, Violation};
use super::examine::{Examiner, InvariantIds, KnownCommit, OpenOutcome};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C6, C9, C10, D3, D4, D6, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::{World, file};
use crate::Rng;
use crate::fs::{Disk, SECTOR_BYTES};
use fastness::PAGE_BYTES;
use fastness_models::OpKind;

const INVARIANTS: InvariantIds =
    InvariantIds { never_wrong: D3.id, noticed: D4.id, untouched: C10.id };

pub(super) const CHECK: Check = Check {
    name: "adversary",
    about: "pages swapped, aged and spliced from old copies and from another file",
    invariants: &[D3, D4, D6, C10, A1, A3, A4, C6, C9, S8, T5],
    marks: &[
        "splice refused at opening",
        "splice detected by a read",
        "splice detected by verification only",
        "splice without effect",
        "rolled back to an old commit",
        "opened a copy of the other file",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 20),
            (OpKind::Remove, 5),
            (OpKind::Fill, 5),
            (OpKind::Prune, 2),
            (OpKind::Commit, 8),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
            (OpKind::KeepCopy, 6),
            (OpKind::Damage, 4),
        ],
        ops_min: 30,
        ops_max: 80,
    },
    body,
};

const TRIES: usize = 8;
const IMAGES_MAX: usize = 16;

/// A copy of a file.
struct FileCopy {
    disk: Disk,
    other: bool,
}

/// The copies of the attacker, and the commits that are genuine.
struct FileCopies {
    images: Vec<FileCopy>,
    /// The commits of the file, then those of the other file.
    known_commits: Vec<KnownCommit>,
    ours: Vec<bool>,
}

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut other_probe = Probe::default();
    let made = |error| unexpected(error, A1.id);
    let mut harness = StoreHarness::create(&world, probe).map_err(made)?;
    let mut other = StoreHarness::create(&world, &mut other_probe).map_err(made)?;
    let mut copies = FileCopies { images: Vec::new(), known_commits: Vec::new(), ours: Vec::new() };
    for (step, op) in plan.ops.iter().enumerate() {
        // Both files get the same keys and sizes, with different values.
        (harness.step, other.step) = (step, step + (1 << 16));
        let outcome = match op.kind {
            OpKind::KeepCopy => {
                copies.keep(&world, [&mut harness, &mut other]);
                Ok(())
            }
            OpKind::Damage => copies.attack(&world, harness.probe),
            _ => harness.must(*op).and_then(|()| other.must(*op)),
        };
        outcome.map_err(|violation| violation.at(step))?;
        copies.record(&harness, true);
        copies.record(&other, false);
    }
    Ok(())
}

impl FileCopies {
    fn record(&mut self, harness: &StoreHarness<'_>, ours: bool) {
        let known = |(known_commits, known): (&KnownCommit, &bool)| {
            *known == ours && known_commits.commit == harness.commit
        };
        if !self.known_commits.iter().zip(&self.ours).rev().any(known) {
            self.known_commits.push(last_commit(harness));
            self.ours.push(ours);
        }
    }

    fn keep(&mut self, world: &World, harnesses: [&mut StoreHarness<'_>; 2]) {
        for (harness, other) in harnesses.into_iter().zip([false, true]) {
            if self.images.len() == IMAGES_MAX {
                let removed = world.rng(|rng| rng.below(IMAGES_MAX));
                self.images.swap_remove(removed);
            }
            self.images.push(FileCopy { disk: harness.fs.disk(), other });
        }
    }

    fn attack(&self, world: &World, probe: &mut Probe) -> Result<(), Violation> {
        if self.images.is_empty() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let (disk, what, base) = world.rng(|rng| self.splice(rng));
            let found =
                Examiner { world, known_commits: &self.known_commits, invariants: INVARIANTS }
                    .examine(disk, probe);
            probe.line(|| format!("     {what}"));
            let found = found.map_err(|violation| {
                let text = format!("{what}: {}", violation.text);
                Violation { text, ..violation }
            })?;
            self.mark(probe, &found, base);
        }
        Ok(())
    }

    fn mark(&self, probe: &mut Probe, found: &OpenOutcome, base: usize) {
        let OpenOutcome::Opened(opened) = found else {
            probe.mark("splice refused at opening");
            return;
        };
        probe.mark(match (opened.complete, opened.clean) {
            (true, true) => "splice without effect",
            (true, false) => "splice detected by verification only",
            (false, _) => "splice detected by a read",
        });
        let last = self.known_commits.iter().map(|known_commits| known_commits.commit).max();
        if last.is_some_and(|last| opened.commit < last) {
            probe.mark("rolled back to an old commit");
        }
        if self.images[base].other {
            probe.mark("opened a copy of the other file");
        }
    }

    /// Assembles a file from the copies; returns it with a description and its base.
    fn splice(&self, rng: &mut Rng) -> (Disk, String, usize) {
        let base = rng.below(self.images.len());
        let mut disk = self.images[base].disk.clone();
        let mut what = format!("copy {base}");
        for _ in 0..rng.below(4) {
            let donor = rng.below(self.images.len());
            what += &splice_once(rng, &mut disk, &self.images[donor].disk);
            what += &format!(" from copy {donor}");
        }
        (disk, what, base)
    }
}

fn pages(disk: &Disk) -> usize {
    usize::try_from(disk.len(file()).unwrap_or(0)).unwrap_or(0) / PAGE_BYTES
}

fn splice_once(rng: &mut Rng, disk: &mut Disk, donor: &Disk) -> String {
    let (ours, theirs) = (pages(disk), pages(donor));
    let take = |disk: &mut Disk, page: usize, source: usize| {
        if source < theirs {
            disk.replace(file(), page, donor.page(file(), source));
        }
    };
    match rng.below(8) {
        0 | 1 => {
            let page = 3 + rng.below(ours.min(theirs).saturating_sub(3));
            take(disk, page, page);
            format!(", page {page}")
        }
        2 => {
            let (page, source) = (3 + rng.below(ours - 3), 3 + rng.below(theirs.saturating_sub(3)));
            take(disk, page, source);
            format!(", page {source} as page {page}")
        }
        3 => {
            let page = rng.below(3);
            take(disk, page, page);
            format!(", header page {page}")
        }
        4 => {
            let (page, source) = (1 + rng.below(2), 1 + rng.below(2));
            if let Some(bytes) = donor.page(file(), source) {
                disk.patch(file(), (page * PAGE_BYTES) as u64, |page| {
                    page[..SECTOR_BYTES].copy_from_slice(&bytes[..SECTOR_BYTES]);
                });
            }
            format!(", slot {source} as slot {page}")
        }
        5 => {
            (0..3).for_each(|page| take(disk, page, page));
            ", the header".to_owned()
        }
        6 => {
            (3..theirs).for_each(|page| take(disk, page, page));
            ", all but the header".to_owned()
        }
        _ => {
            let half: Vec<usize> = (3..theirs).filter(|_| rng.one_in(2)).collect();
            half.iter().for_each(|page| take(disk, *page, *page));
            format!(", pages {half:?}")
        }
    }
}
