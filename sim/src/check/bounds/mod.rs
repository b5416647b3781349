//! The memory of a store, and the length of its file, against what explains them: the cache budget,
//! the changes of the open transaction, and the pages that snapshots reach.

mod memory;
mod pages;

use super::compare::CheckError;
use super::definition::{Check, Distribution, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, C9, G3, S7};
use super::store_harness::unexpected;
use super::world::{World, file};
use crate::Rng;
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use fastness::inspect::cached_bytes;
use fastness::{Durability, Error, Store, StoreOptions, StoreSnapshot, WriteTxn};
use fastness_models::{Op, OpKind};
use memory::{Memory, UncountedFs};
use pages::FileBound;
use std::sync::Arc;

pub(super) const CHECK: Check = Check {
    name: "bounds",
    about: "memory within the cache budget; a file no longer than its snapshots need",
    invariants: &[G3, S7, A1, C9],
    marks: &[
        "durable commits beside a snapshot",
        "deferred commits beside a snapshot",
        "commits beside snapshots of two commits",
        "commits beside a snapshot, without a log",
        "transactions larger than the cache",
        "one transaction larger than the cache",
        "one transaction larger than the cache, rolled back",
        "transactions larger than the cache, beside a snapshot",
        "scan of more than the cache",
        "compaction beside a snapshot",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 12),
            (OpKind::Fill, 8),
            (OpKind::Remove, 4),
            (OpKind::Prune, 3),
            (OpKind::Clear, 1),
            (OpKind::Abort, 1),
            (OpKind::Commit, 8),
            (OpKind::TakeSnapshot, 4),
            (OpKind::CloneSnapshot, 1),
            (OpKind::DropSnapshot, 2),
            (OpKind::Scan, 3),
            (OpKind::ScanSnapshot, 2),
            (OpKind::Steady, 2),
            (OpKind::Load, 2),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
        ],
        ops_min: 20,
        ops_max: 60,
    },
    body,
};

/// The cache budget of the store.
const BUDGET_BYTES: usize = 256 << 10;

/// Memory beside the cache and the open transaction: nodes of commits in the log, which are not
/// written yet, and the buffers of the log.
const CONSTANT_BYTES: usize = 1 << 20;

/// Memory that an operation of a transaction may take beside its key and value: the nodes on its
/// path, and the entries that share its leaf.
const OPERATION_BYTES: usize = 3 * 8192;

/// Operations of a transaction for which the log may have room.
const LOG_OPS_MAX: usize = 64;

/// Memory that changed nodes take at least before they are written: an eighth of the budget.
const SPILL_BYTES: usize = BUDGET_BYTES / 8;

/// Memory of a closed store.
const CLOSED_BYTES: usize = 4096;

/// Most pages of the log.
const LOG_PAGES_MAX: u64 = 64;

/// Commits of a steady run. Every quarter of it fills the log several times.
const STEADY_COMMITS: usize = 600;

/// Memory beside the nodes that half of a steady run may leave behind.
const LEFT_BYTES: usize = 3 << 10;

/// Most snapshots that are held.
const SNAPSHOTS_MAX: usize = 3;

/// Most loads of a plan: each takes milliseconds.
const LOADS_MAX: usize = 2;

/// The transactions of a load, and their entries.
const LOAD_TRANSACTIONS: usize = 9;
const LOAD_ENTRIES: u32 = 700;
const LOAD_VALUE_BYTES: usize = 300;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(512 << 10);
    let mut bounded = Bounded::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        bounded.stamp = u32::try_from(step).unwrap_or_default() << 12;
        bounded.probe.line(|| format!("{step:4} {op}"));
        let outcome = bounded.act(*op).and_then(|()| bounded.check_memory());
        outcome.map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    bounded.close().map_err(|error| unexpected(error, A1.id).at(plan.ops.len()))
}

/// The changes of the open transaction.
#[derive(Debug, Default)]
struct OwnChanges {
    ops: usize,
    bytes: usize,
    /// Bytes of the largest operation.
    largest: usize,
}

impl OwnChanges {
    /// Adds operations of at most so many bytes each.
    const fn add(&mut self, ops: usize, bytes: usize) {
        self.ops += ops;
        self.bytes += ops * bytes;
        if bytes > self.largest {
            self.largest = bytes;
        }
    }

    /// Returns the memory that they may take. If the log has no room for them, the transaction
    /// writes its changed nodes when they take more than their part of the budget.
    fn bytes_max(&self) -> usize {
        if self.ops <= LOG_OPS_MAX {
            return self.bytes;
        }
        self.bytes.min(SPILL_BYTES + 2 * self.largest)
    }
}

/// A store whose memory is counted.
struct Bounded<'w> {
    world: &'w World,
    probe: &'w mut Probe,
    fs: SimFs,
    memory: Memory,
    pages: FileBound,
    store: Option<Store>,
    txn: Option<WriteTxn>,
    snapshots: Vec<StoreSnapshot>,
    own: OwnChanges,
    loads: usize,
    /// Makes the values of two times differ.
    stamp: u32,
}

impl<'w> Bounded<'w> {
    fn create(world: &'w World, probe: &'w mut Probe) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let mut bounded = Self {
            world,
            probe,
            fs,
            memory: Memory::default(),
            pages: FileBound::new(log_pages(world)),
            store: None,
            txn: None,
            snapshots: Vec::new(),
            own: OwnChanges::default(),
            loads: 0,
            stamp: 0,
        };
        bounded.open(|options| options.create(file()))?;
        Ok(bounded)
    }

    fn open(
        &mut self,
        open: impl FnOnce(&StoreOptions) -> Result<Store, Error>,
    ) -> Result<(), CheckError> {
        let (world, fs) = (self.world, &self.fs);
        let store = self.memory.count(|| {
            let entropy = SimEntropy::new(world.rng(Rng::next));
            let options = world.options(fs).cache_bytes(BUDGET_BYTES).spill_bytes(SPILL_BYTES);
            let options = options.log_pages(log_pages(world));
            let options = options.vfs(Arc::new(UncountedFs(fs.clone())));
            open(&options.random_source(Arc::new(entropy)))
        })?;
        self.store = Some(store);
        Ok(())
    }

    fn act(&mut self, op: Op) -> Result<(), CheckError> {
        self.probe.count(op.kind.name(), 1);
        match op.kind {
            OpKind::Insert => self.insert(op, 0)?,
            OpKind::Fill => {
                let run = 0..self.world.domain.run_len(op.c);
                run.into_iter().try_for_each(|index| self.insert(op, index))?;
            }
            OpKind::Remove => self.remove(op, 0)?,
            OpKind::Prune => {
                let run = 0..self.world.domain.run_len(op.c);
                run.into_iter().try_for_each(|index| self.remove(op, index))?;
            }
            OpKind::Clear => {
                let tree = self.world.domain.tree(op.a);
                let bytes = usize::from(u8::MAX) * OPERATION_BYTES;
                self.edit((1, bytes), |txn| txn.tree(tree)?.clear())?;
            }
            OpKind::Abort => self.abort(),
            OpKind::Commit => self.commit(durability(op.a))?,
            OpKind::TakeSnapshot | OpKind::CloneSnapshot | OpKind::DropSnapshot => {
                self.snapshot(op);
            }
            OpKind::Scan => self.scan(None)?,
            OpKind::ScanSnapshot if !self.snapshots.is_empty() => {
                self.scan(Some(usize::from(op.a) % self.snapshots.len()))?;
            }
            OpKind::Steady => self.steady(op)?,
            OpKind::Load => self.load(op)?,
            OpKind::Reopen => {
                self.close()?;
                self.open(|options| options.open(file()))?;
                self.check_pages()?;
            }
            OpKind::Compact => self.compact()?,
            _ => {}
        }
        Ok(())
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open")
    }

    /// Changes the store in the open transaction by operations of at most so many bytes each.
    fn edit<T>(
        &mut self,
        (ops, bytes): (usize, usize),
        body: impl FnOnce(&mut WriteTxn) -> Result<T, Error>,
    ) -> Result<(), CheckError> {
        self.own.add(ops, bytes);
        let Self { memory, store, txn, .. } = self;
        let store = store.as_ref().expect("the store is open");
        memory.count(|| {
            let txn = match txn {
                Some(txn) => txn,
                None => txn.insert(store.write()?),
            };
            body(txn).map(drop)
        })?;
        Ok(())
    }

    fn insert(&mut self, op: Op, index: u8) -> Result<(), CheckError> {
        let world = self.world;
        let (tree, key) = (world.domain.tree(op.a), world.domain.run(op.b, index));
        let value = world.value(op.c.wrapping_add(index), self.stamp | u32::from(index));
        let bytes = OPERATION_BYTES + 2 * (key.len() + value.len());
        self.edit((1, bytes), |txn| txn.tree(tree)?.insert(&key, &value))
    }

    fn remove(&mut self, op: Op, index: u8) -> Result<(), CheckError> {
        let (tree, key) = (self.world.domain.tree(op.a), self.world.domain.run(op.b, index));
        self.edit((1, OPERATION_BYTES), |txn| txn.tree(tree)?.remove(&key))
    }

    fn abort(&mut self) {
        let txn = self.txn.take();
        self.memory.count(|| drop(txn));
        self.own = OwnChanges::default();
    }

    fn commit(&mut self, durability: Durability) -> Result<(), CheckError> {
        let Some(txn) = self.txn.take() else { return Ok(()) };
        self.memory.count(|| txn.commit_with(durability))?;
        self.own = OwnChanges::default();
        self.check_pages()
    }

    fn snapshot(&mut self, op: Op) {
        let which = usize::from(op.a) % self.snapshots.len().max(1);
        let Self { memory, snapshots, store, .. } = self;
        let store = store.as_ref().expect("the store is open");
        memory.count(|| match op.kind {
            OpKind::TakeSnapshot => {
                snapshots.truncate(SNAPSHOTS_MAX - 1);
                snapshots.push(store.snapshot());
            }
            OpKind::CloneSnapshot if (1..SNAPSHOTS_MAX).contains(&snapshots.len()) => {
                snapshots.push(snapshots[which].clone());
            }
            OpKind::DropSnapshot if !snapshots.is_empty() => drop(snapshots.remove(which)),
            _ => {}
        });
    }

    /// Reads every entry of a snapshot, or of the last commit.
    fn scan(&mut self, which: Option<usize>) -> Result<(), CheckError> {
        let Self { memory, snapshots, store, .. } = self;
        let store = store.as_ref().expect("the store is open");
        let bytes = memory.count(|| {
            let last = store.snapshot();
            let snapshot = which.map_or(&last, |which| &snapshots[which]);
            let mut bytes = 0;
            for name in snapshot.tree_names() {
                for entry in snapshot.tree(name).range(..)? {
                    let (key, value) = entry?;
                    bytes += key.len() + value.len();
                }
            }
            Ok::<_, Error>(bytes)
        })?;
        if bytes > 2 * BUDGET_BYTES {
            self.probe.mark("scan of more than the cache");
        }
        Ok(())
    }

    /// Commits many small changes to a few keys. The memory that they leave behind does not grow.
    fn steady(&mut self, op: Op) -> Result<(), CheckError> {
        self.abort();
        let durability = durability(op.a);
        let mut least = [usize::MAX; 4];
        for number in 0..STEADY_COMMITS {
            let key = op.b.wrapping_add(u8::try_from(number % 6).unwrap_or_default());
            self.stamp += 1;
            self.insert(Op::new(OpKind::Insert, [op.c, key, key]), 0)?;
            if op.a & 4 > 0 {
                // An edited tree is not buffered: such a commit never changes the last one.
                self.remove(Op::new(OpKind::Remove, [op.c, key.wrapping_add(1), 0]), 0)?;
            }
            let Some(txn) = self.txn.take() else { continue };
            self.memory.count(|| txn.commit_with(durability))?;
            self.own = OwnChanges::default();
            self.note_pages()?;
            let quarter = &mut least[number * 4 / STEADY_COMMITS];
            *quarter = (*quarter).min(self.beside_cache());
        }
        self.mark_steady(durability);
        self.check_pages()?;
        let [_, half, _, end] = least;
        if end > half + LEFT_BYTES {
            let text =
                format!("{} small commits leave {} bytes behind", STEADY_COMMITS / 2, end - half);
            return Err(Violation::new(G3.id, text).into());
        }
        Ok(())
    }

    fn mark_steady(&mut self, durability: Durability) {
        let mut commits: Vec<_> = self.snapshots.iter().map(StoreSnapshot::commit).collect();
        commits.dedup();
        if commits.is_empty() {
            return;
        }
        self.probe.mark(match durability {
            Durability::Immediate => "durable commits beside a snapshot",
            Durability::None => "deferred commits beside a snapshot",
        });
        if commits.len() > 1 {
            self.probe.mark("commits beside snapshots of two commits");
        }
        if self.world.log_pages() == 0 {
            self.probe.mark("commits beside a snapshot, without a log");
        }
    }

    /// Commits transactions that together are much larger than the cache, or one such transaction,
    /// or rolls it back.
    fn load(&mut self, op: Op) -> Result<(), CheckError> {
        if self.loads == LOADS_MAX {
            return Ok(());
        }
        self.loads += 1;
        self.abort();
        let tree = self.world.domain.tree(op.a);
        let value = self.world.domain.value_of(LOAD_VALUE_BYTES, self.stamp);
        let in_one = op.b & 2 == 0;
        for number in 0..LOAD_TRANSACTIONS {
            let first = u32::try_from(number).unwrap_or_default() * LOAD_ENTRIES;
            let bytes = 2 * LOAD_VALUE_BYTES + OPERATION_BYTES;
            self.edit((LOAD_ENTRIES as usize, bytes), |txn| {
                let mut tree = txn.tree(tree)?;
                for entry in first..first + LOAD_ENTRIES {
                    // In order, or in an order that looks random.
                    let mixed = entry.wrapping_mul(0x9e37_79b1);
                    let key = if op.b & 1 == 0 { entry } else { mixed };
                    tree.insert(&[b"load".as_slice(), &key.to_be_bytes()].concat(), &value)?;
                }
                Ok(())
            })?;
            if !in_one {
                self.commit(durability(op.c))?;
            }
            self.check_memory()?;
        }
        if in_one {
            return self.end_load(op);
        }
        self.probe.mark(match self.snapshots.len() {
            0 => "transactions larger than the cache",
            _ => "transactions larger than the cache, beside a snapshot",
        });
        Ok(())
    }

    /// Ends a transaction that is larger than the cache.
    fn end_load(&mut self, op: Op) -> Result<(), CheckError> {
        if op.c & 6 == 0 {
            self.probe.mark("one transaction larger than the cache, rolled back");
            self.abort();
            return self.check_pages();
        }
        self.probe.mark("one transaction larger than the cache");
        self.commit(durability(op.c))
    }

    fn compact(&mut self) -> Result<(), CheckError> {
        self.abort();
        let Self { memory, store, .. } = self;
        let store = store.as_ref().expect("the store is open");
        memory.count(|| store.compact())?;
        self.pages.compact();
        if !self.snapshots.is_empty() {
            self.probe.mark("compaction beside a snapshot");
        }
        self.check_pages()
    }

    /// Drops every handle. Nothing stays in memory.
    fn close(&mut self) -> Result<(), CheckError> {
        self.abort();
        let (store, snapshots) = (self.store.take(), std::mem::take(&mut self.snapshots));
        self.memory.count(|| drop((store, snapshots)));
        let bytes = self.memory.live_bytes();
        if bytes > CLOSED_BYTES {
            let text = format!("{bytes} bytes are left of a closed store");
            return Err(Violation::new(G3.id, text).into());
        }
        Ok(())
    }

    /// Returns the memory beside nodes and derived keys.
    fn beside_cache(&self) -> usize {
        let [nodes, keys] = cached_bytes(&self.store().snapshot());
        self.memory.live_bytes().saturating_sub(nodes + keys)
    }

    fn check_memory(&mut self) -> Result<(), CheckError> {
        if self.store.is_none() {
            return Ok(());
        }
        let (bytes, own) = (self.memory.live_bytes(), self.own.bytes_max());
        if bytes <= BUDGET_BYTES + CONSTANT_BYTES + own {
            return Ok(());
        }
        let [nodes, _] = cached_bytes(&self.store().snapshot());
        let text = format!(
            "the store takes {bytes} bytes, {nodes} of them nodes, with a budget of \
             {BUDGET_BYTES} and a transaction of at most {own}"
        );
        Err(Violation::new(G3.id, text).into())
    }

    fn note_pages(&mut self) -> Result<(), CheckError> {
        let Self { memory, pages, snapshots, store, .. } = self;
        let store = store.as_ref().expect("the store is open");
        pages.note(memory, store, snapshots)
    }

    fn check_pages(&mut self) -> Result<(), CheckError> {
        let Self { memory, pages, snapshots, store, .. } = self;
        let store = store.as_ref().expect("the store is open");
        pages.check(memory, store, snapshots)
    }
}

fn log_pages(world: &World) -> u64 {
    world.log_pages().min(LOG_PAGES_MAX)
}

const fn durability(operand: u8) -> Durability {
    if operand & 1 == 0 { Durability::Immediate } else { Durability::None }
}
