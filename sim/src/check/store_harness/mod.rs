//! A store and its model on one simulated machine, driven operation by operation.

mod edit;
mod lifecycle;
mod read;
mod story;

pub(in crate::check) use self::story::describe;
use super::compare::{CheckError, Order};
use super::world::{World, file};
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::S8;
use crate::fs::{Disk, SimFs};
use fastness::inspect::writer_books;
use fastness::{CommitId, Error, Store, StoreSnapshot, Verification, WriteTxn};
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};
use fastness_models::{Op, OpKind};
use std::ops::Bound;

/// Maximum number of held snapshots.
const SNAPSHOTS_MAX: usize = 4;

/// A store and its model.
pub(super) struct StoreHarness<'w> {
    pub(super) world: &'w World,
    pub(super) probe: &'w mut Probe,
    pub(super) fs: SimFs,
    pub(super) model: Model,
    pub(super) snapshots: Vec<(StoreSnapshot, StoreState)>,
    pub(super) commit: CommitId,
    pub(super) step: usize,
    pub(super) records: bool,
    pub(super) spies: bool,
    txn: Option<WriteTxn>,
    touched: bool,
    store: Option<Store>,
}

impl<'w> StoreHarness<'w> {
    /// Creates a store on an empty disk.
    pub(super) fn create(world: &'w World, probe: &'w mut Probe) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        Self::create_on(world, probe, fs)
    }

    /// Creates a store on a machine.
    pub(super) fn create_on(
        world: &'w World,
        probe: &'w mut Probe,
        fs: SimFs,
    ) -> Result<Self, CheckError> {
        let store = world.options(&fs).create(file())?;
        let commit = store.snapshot().commit();
        Ok(Self {
            world,
            probe,
            fs,
            model: Model::default(),
            snapshots: Vec::new(),
            commit,
            step: 0,
            records: false,
            spies: false,
            txn: None,
            touched: false,
            store: Some(store),
        })
    }

    /// Opens an existing store on another machine.
    pub(super) fn open_on(
        world: &'w World,
        probe: &'w mut Probe,
        (fs, model): (SimFs, Model),
    ) -> Result<Self, CheckError> {
        let store = None;
        let (commit, snapshots, txn) = (CommitId(0), Vec::new(), None);
        let (records, spies, touched) = (false, false, false);
        let step = 1 << 20;
        let mut harness = Self {
            world,
            probe,
            fs,
            model,
            snapshots,
            commit,
            step,
            records,
            spies,
            txn,
            touched,
            store,
        };
        harness.open()?;
        Ok(harness)
    }

    /// Returns whether a transaction is open.
    pub(super) fn writing(&self) -> bool {
        self.txn.is_some()
    }

    /// Returns the open store.
    ///
    /// # Panics
    /// Between close and open, which is a bug of the check.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open")
    }

    /// Runs one operation of the store alphabet; other kinds do nothing.
    pub(super) fn act(&mut self, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::Insert | OpKind::Remove | OpKind::Clear | OpKind::Fill | OpKind::Prune => {
                self.edit(op)
            }
            OpKind::Move => self.move_tree(op),
            OpKind::Get => self.get(op),
            OpKind::Range => self.range(op),
            OpKind::Ends | OpKind::Len => self.ends(op),
            OpKind::Commit => self.commit(),
            OpKind::Abort => {
                self.abort();
                self.check_books()
            }
            OpKind::TakeSnapshot
            | OpKind::CloneSnapshot
            | OpKind::DropSnapshot
            | OpKind::ReadSnapshot
            | OpKind::ScanSnapshot => self.snapshot(op),
            OpKind::Scan => self.scan(op),
            OpKind::Verify => self.verify(),
            OpKind::Info => self.info(),
            OpKind::Oversize => self.oversize(op),
            OpKind::Reopen => self.reopen(),
            OpKind::RefusedOpen => self.refused_open(op),
            OpKind::Compact => self.compact(),
            _ => Ok(()),
        }
    }

    /// Compares the books of the writer, unless that would meet an injected fault.
    fn check_books(&self) -> Result<(), CheckError> {
        if self.fs.fails() { Ok(()) } else { check_books(self.store()) }
    }

    /// Runs one operation where no refusal is expected.
    pub(super) fn must(&mut self, op: Op) -> Result<(), Violation> {
        self.act(op).map_err(|error| unexpected(error, "A1"))
    }

    fn note(&mut self, op: Op, outcome: &StoreOutcome<'_>) {
        self.probe.count(op.kind.name(), 1);
        // A run of keys has one line of its own.
        if !matches!(op.kind, OpKind::Fill | OpKind::Prune) {
            let (step, domain) = (self.step, &self.world.domain);
            self.probe.line(|| format!("{step:4} {}: {outcome}", describe(domain, op)));
        }
    }
}

/// Compares the free pages that the writer knows with those that it recorded.
pub(super) fn check_books(store: &Store) -> Result<(), CheckError> {
    let books = match writer_books(store) {
        Ok(Some(books)) => books,
        Ok(None) | Err(Error::Poisoned { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let [count, recorded] = books.page_counts;
    let within = books.free.last().is_none_or(|last| last.0 < count);
    let same = books.free == books.recorded && books.free == books.writable_and_held;
    if count == recorded && within && same {
        return Ok(());
    }
    Err(Violation::new(S8.id, format!("the books of the writer differ: {books:?}")).into())
}

/// Maps two operands to a reading order.
fn order(operand: u8, bits: u8) -> Order {
    match operand % 4 {
        0 | 1 => Order::Forward,
        2 => Order::Backward,
        _ => Order::Both(bits),
    }
}

fn bound(operand: u8, key: &[u8]) -> Bound<&[u8]> {
    match operand % 4 {
        0 | 1 => Bound::Included(key),
        2 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    }
}

/// Verifies the file; returns the problems.
pub(super) fn problems(snapshot: &StoreSnapshot) -> Result<Vec<String>, Error> {
    let verification = snapshot.verify()?;
    let mut problems: Vec<String> = verification.problems.iter().map(ToString::to_string).collect();
    problems.extend(verification.objects.iter().map(ToString::to_string));
    Ok(problems)
}

/// Verifies the file, where no problem is expected.
pub(super) fn verify(snapshot: &StoreSnapshot, invariant: &'static str) -> Result<(), CheckError> {
    let found = snapshot.verify()?;
    objects_agree(&found)?;
    if found.problems.is_empty() && found.reachable + found.free == found.page_count {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("verification reports {found:?}")).into())
}

/// Returns a violation of the owner's promise if objects contradict each other.
pub(super) fn objects_agree(found: &Verification) -> Result<(), Violation> {
    match found.objects.first() {
        Some(problem) => Err(Violation::new(problem.kind.promise(), format!("in {problem}"))),
        None => Ok(()),
    }
}

/// Turns an unexpected error into a violation.
pub(super) fn unexpected(error: CheckError, invariant: &'static str) -> Violation {
    match error {
        CheckError::Violation(violation) => violation,
        CheckError::Store(error) => Violation::new(invariant, format!("unexpected error: {error}")),
    }
}
