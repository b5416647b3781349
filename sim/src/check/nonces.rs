//! Nonce reuse: an eavesdropper below the encryption never sees a nonce or a key stream twice, and
//! no page of a durable commit is overwritten.

use super::compare::CheckError;
use super::definition::{Check, Distribution, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C1, C6, C9, D4, E1, L1, L3, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::{COPY, World, file, other_key};
use crate::fs::{Disk, Fork, SECTOR_BYTES, Written};
use fastness::inspect::ledger;
use fastness::{PAGE_BYTES, PageId};
use fastness_models::store::Store as Model;
use fastness_models::{Op, OpKind};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) const CHECK: Check = Check {
    name: "nonces",
    about: "an eavesdropper below the encryption, across crashes, retries, reopening and forked \
         copies",
    invariants: &[E1, C1, L1, A1, A3, A4, C6, C9, D4, S8, L3, T5],
    marks: &[
        "commit retried after a crash",
        "old copy continued",
        "copied under another key",
        "page rewritten",
        "page rewritten with the same content",
        "compacted",
        "transaction spilled",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 6),
            (OpKind::Fill, 5),
            (OpKind::Prune, 3),
            (OpKind::Get, 4),
            (OpKind::Commit, 10),
            (OpKind::Reopen, 2),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 2),
            (OpKind::Compact, 1),
            (OpKind::Copy, 1),
            (OpKind::KeepCopy, 2),
            (OpKind::ClearFault, 3),
        ],
        ops_min: 40,
        ops_max: 120,
    },
    body,
};

/// Length of the salt at the start of every page and slot, and of a cipher block.
const SALT_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
/// Every so many blocks of a page are recorded, from the third on: the second block of a log page
/// holds part and commit number in the clear.
const BLOCK_STEP: usize = 8;
const HEADER_PAGES: u64 = 3;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let fs = world.boot(Disk::default());
    fs.capture_writes();
    fs.record_forks();
    let mut eavesdropper = Eavesdropper { twin, ..Eavesdropper::default() };
    let harness =
        StoreHarness::create_on(&world, probe, fs).map_err(|error| unexpected(error, A1.id))?;
    eavesdropper.observe(&harness.fs.take_writes(), harness.probe)?;
    drop(harness.fs.take_forks());
    let mut observed = ObservedStore { harness, kept: Vec::new() };
    (observed.harness.spies, observed.harness.records) = (true, true);
    for (step, op) in plan.ops.iter().enumerate() {
        observed.harness.step = step;
        eavesdropper.batch = step as u64;
        let outcome = observed.step(*op, &mut eavesdropper);
        outcome.map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    Ok(())
}

/// A record of everything that was written.
#[derive(Default)]
struct Eavesdropper {
    twin: Twin,
    batch: u64,
    /// Hash of the content of each page under each salt.
    pages: HashMap<([u8; SALT_BYTES], u64), u64>,
    salts: HashMap<[u8; SALT_BYTES], u64>,
    blocks: HashSet<(usize, [u8; BLOCK_BYTES])>,
    numbers: HashSet<u64>,
}

struct ObservedStore<'w> {
    harness: StoreHarness<'w>,
    kept: Vec<(Disk, Model)>,
}

impl ObservedStore<'_> {
    fn step(&mut self, op: Op, eavesdropper: &mut Eavesdropper) -> Result<(), CheckError> {
        let (model, before) = (self.harness.model.clone(), self.harness.fs.disk());
        let mut needed = NeededPages::default();
        if op.kind == OpKind::Commit {
            needed = self.needed_pages()?;
        }
        match op.kind {
            OpKind::Kill | OpKind::PowerLoss => self.harness.crash(op)?,
            OpKind::KeepCopy => {
                self.kept.push((before.clone(), Model::at(model.committed().clone())))
            }
            OpKind::ClearFault => self.continue_copy(op, eavesdropper)?,
            OpKind::Copy => self.copy(eavesdropper)?,
            _ => self.harness.act(op)?,
        }
        if op.kind == OpKind::Compact {
            self.harness.probe.mark("compacted");
        }
        let written = self.harness.fs.take_writes();
        if self.harness.writing() && !written.is_empty() {
            // The transaction spilled.
            needed = self.needed_pages()?;
        }
        check_in_place(&written, &needed, &before)?;
        eavesdropper.observe(&written, self.harness.probe)?;
        let forks = self.harness.fs.take_forks();
        if op.kind == OpKind::Commit && !forks.is_empty() && op.a.is_multiple_of(2) {
            self.retry((op, &forks), &model, eavesdropper)?;
        }
        Ok(())
    }

    fn needed_pages(&self) -> Result<NeededPages, CheckError> {
        let books = ledger(&self.harness.store().snapshot())?;
        Ok(NeededPages {
            pages: books.reachable.into_iter().collect(),
            log: books.log.into_iter().collect(),
        })
    }

    /// Crashes during the last commit and continues from there: the same page and commit numbers
    /// then hold other bytes.
    fn retry(
        &mut self,
        (op, forks): (Op, &[Fork]),
        model: &Model,
        eavesdropper: &mut Eavesdropper,
    ) -> Result<(), CheckError> {
        let fork = &forks[usize::from(op.b) % forks.len()];
        let world = self.harness.world;
        let disk = world
            .rng(|rng| if rng.one_in(2) { fork.disk.power_loss(rng) } else { fork.disk.clone() });
        eavesdropper.batch += 1 << 32;
        self.harness.crash_to(disk);
        self.harness.open_among(&model.in_flight(), A1.id)?;
        eavesdropper.observe(&self.harness.fs.take_writes(), self.harness.probe)?;
        drop(self.harness.fs.take_forks());
        self.harness.probe.mark("commit retried after a crash");
        Ok(())
    }

    /// Continues from an old copy on another machine, and from the file here as well.
    fn continue_copy(&mut self, op: Op, eavesdropper: &mut Eavesdropper) -> Result<(), CheckError> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let (disk, model) = self.kept[usize::from(op.a) % self.kept.len()].clone();
        let (world, mut probe) = (self.harness.world, Probe::default());
        let fs = world.boot(disk);
        fs.capture_writes();
        let mut other = StoreHarness::open_on(world, &mut probe, (fs, model))?;
        for index in 0..4 {
            other.act(Op::new(OpKind::Insert, [op.b, op.c.wrapping_add(index), index]))?;
        }
        other.act(Op::new(OpKind::Commit, [0; 3]))?;
        other.close();
        let written = other.fs.take_writes();
        let operations = probe.operations;
        eavesdropper.batch += 2 << 32;
        eavesdropper.observe(&written, self.harness.probe)?;
        self.harness.probe.count(OpKind::Insert.name(), operations);
        self.harness.probe.mark("old copy continued");
        Ok(())
    }

    fn copy(&mut self, eavesdropper: &mut Eavesdropper) -> Result<(), CheckError> {
        let key = (eavesdropper.twin == Twin::Encrypted).then(other_key);
        self.harness.store().copy(COPY, key.as_ref())?;
        self.harness.fs.tamper(|disk| disk.unlink(COPY.as_ref()));
        self.harness.probe.mark("copied under another key");
        Ok(())
    }
}

/// The pages of the durable commit.
#[derive(Default)]
struct NeededPages {
    pages: BTreeSet<PageId>,
    log: BTreeSet<PageId>,
}

/// The pages of the durable commit are not overwritten, except with the same bytes.
fn check_in_place(
    written: &[Written],
    needed: &NeededPages,
    before: &Disk,
) -> Result<(), Violation> {
    let ours = before.number(file());
    for written in written.iter().filter(|written| Some(written.file) == ours) {
        for (page, bytes) in pages(written) {
            let held = before.page(file(), usize::try_from(page).unwrap_or(usize::MAX));
            if held.is_some_and(|held| held[..] == *bytes) {
                continue;
            }
            let text = || format!("page {page} of the last commit was overwritten");
            if needed.pages.contains(&PageId(page)) {
                return Err(Violation::new(C1.id, text()));
            }
            if needed.log.contains(&PageId(page)) {
                return Err(Violation::new(L1.id, text()));
            }
        }
    }
    Ok(())
}

fn pages(written: &Written) -> impl Iterator<Item = (u64, &[u8])> {
    let first = written.offset / PAGE_BYTES as u64;
    (first..).zip(written.bytes.chunks(PAGE_BYTES))
}

impl Eavesdropper {
    fn observe(&mut self, written: &[Written], probe: &mut Probe) -> Result<(), Violation> {
        for (page, bytes) in written.iter().flat_map(pages) {
            match (self.twin, page) {
                (Twin::Encrypted, 1..HEADER_PAGES) => {
                    self.sealed(page, &bytes[..SECTOR_BYTES], probe)?;
                }
                (Twin::Encrypted, HEADER_PAGES..) => self.sealed(page, bytes, probe)?,
                (Twin::Encrypted, _) => {}
                (Twin::Plain, _) => self.plain(page, bytes, probe),
            }
        }
        Ok(())
    }

    /// Plain files have no secret; rewrites are counted for the marks.
    fn plain(&mut self, page: u64, bytes: &[u8], probe: &mut Probe) {
        let same = self.pages.insert(([0; SALT_BYTES], page), digest(bytes));
        match same {
            Some(before) if before == digest(bytes) => {
                probe.mark("page rewritten with the same content")
            }
            Some(_) => probe.mark("page rewritten"),
            None => {}
        }
    }

    fn sealed(&mut self, page: u64, bytes: &[u8], probe: &mut Probe) -> Result<(), Violation> {
        let Some(salt) = bytes.first_chunk::<SALT_BYTES>() else { return Ok(()) };
        // Preallocated log space.
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        match self.pages.insert((*salt, page), digest(bytes)) {
            Some(before) if before == digest(bytes) => {
                probe.mark("page rewritten with the same content");
                return Ok(());
            }
            Some(_) => {
                let text = format!("page {page} was sealed twice under salt {salt:02x?}");
                return Err(Violation::new(E1.id, text));
            }
            None => {}
        }
        if !self.numbers.insert(page) {
            probe.mark("page rewritten");
        }
        let batch = *self.salts.entry(*salt).or_insert(self.batch);
        if batch != self.batch {
            let text = format!("page {page} was sealed under salt {salt:02x?} of an earlier batch");
            return Err(Violation::new(E1.id, text));
        }
        let blocks = bytes.chunks_exact(BLOCK_BYTES).enumerate().skip(2).step_by(BLOCK_STEP);
        for (index, block) in blocks {
            let block = <[u8; BLOCK_BYTES]>::try_from(block).unwrap_or_default();
            if !self.blocks.insert((index, block)) {
                let text =
                    format!("ciphertext block {index} of page {page} was on the disk before");
                return Err(Violation::new(E1.id, text));
            }
        }
        Ok(())
    }
}

/// The chance of a collision of two different pages is 2^-64.
fn digest(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| {
        (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}
