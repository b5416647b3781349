//! A store and its model on one simulated machine, driven operation by operation.

mod edit;
mod life;
mod read;

use super::compare::{Order, Stop};
use super::world::{World, file};
use super::{Probe, Violation};
use crate::fs::{Disk, SimFs};
use fastness::{CommitId, Error, Snapshot, Store, WriteTxn};
use fastness_models::store::{Outcome, State, Store as Model};
use fastness_models::{Kind, Op};
use std::ops::Bound;

/// Maximum number of held snapshots.
const SNAPSHOTS_MAX: usize = 4;

/// A store and its model.
pub(super) struct Rig<'w> {
    pub(super) world: &'w World,
    pub(super) probe: &'w mut Probe,
    pub(super) fs: SimFs,
    pub(super) model: Model,
    pub(super) snapshots: Vec<(Snapshot, State)>,
    pub(super) commit: CommitId,
    pub(super) step: usize,
    pub(super) records: bool,
    pub(super) spies: bool,
    txn: Option<WriteTxn>,
    touched: bool,
    store: Option<Store>,
}

impl<'w> Rig<'w> {
    /// Creates a store on an empty disk.
    pub(super) fn create(world: &'w World, probe: &'w mut Probe) -> Result<Self, Stop> {
        let fs = world.boot(Disk::default());
        Self::create_on(world, probe, fs)
    }

    /// Creates a store on a machine.
    pub(super) fn create_on(
        world: &'w World,
        probe: &'w mut Probe,
        fs: SimFs,
    ) -> Result<Self, Stop> {
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
    ) -> Result<Self, Stop> {
        let store = None;
        let (commit, snapshots, txn) = (CommitId(0), Vec::new(), None);
        let (records, spies, touched) = (false, false, false);
        let step = 1 << 20;
        let mut rig = Self {
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
        rig.open()?;
        Ok(rig)
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
        self.store.as_ref().expect("the check uses the store while it is open")
    }

    /// Runs one operation of the store alphabet; other kinds do nothing.
    pub(super) fn act(&mut self, op: Op) -> Result<(), Stop> {
        match op.kind {
            Kind::Insert => self.insert(op, 0),
            Kind::Remove => self.remove(op, 0),
            Kind::Clear => self.clear(op),
            Kind::Fill => self.run(op, Self::insert),
            Kind::Prune => self.run(op, Self::remove),
            Kind::Get => self.get(op),
            Kind::Range => self.range(op),
            Kind::Ends | Kind::Len => self.ends(op),
            Kind::Commit => self.commit(),
            Kind::Abort => {
                self.abort();
                Ok(())
            }
            Kind::TakeSnapshot
            | Kind::CloneSnapshot
            | Kind::DropSnapshot
            | Kind::ReadSnapshot
            | Kind::ScanSnapshot => self.snapshot(op),
            Kind::Scan => self.scan(op),
            Kind::Verify => self.verify(),
            Kind::Info => self.info(),
            Kind::Oversize => self.oversize(op),
            Kind::Reopen => self.reopen(),
            Kind::Misopen => self.misopen(op),
            Kind::Compact => self.compact(),
            _ => Ok(()),
        }
    }

    /// Runs one operation where no refusal is expected.
    pub(super) fn must(&mut self, op: Op) -> Result<(), Violation> {
        self.act(op).map_err(|stop| unexpected(stop, "A1"))
    }

    fn note(&mut self, op: Op, outcome: &Outcome<'_>) {
        self.probe.count(op.kind.name(), 1);
        let step = self.step;
        self.probe.line(|| format!("{step:4} {op}: {outcome}"));
    }
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
pub(super) fn problems(snapshot: &Snapshot) -> Result<Vec<String>, Error> {
    let verification = snapshot.verify()?;
    Ok(verification.problems.iter().map(ToString::to_string).collect())
}

/// Verifies the file, where no problem is expected.
pub(super) fn verify(snapshot: &Snapshot, invariant: &'static str) -> Result<(), Stop> {
    let found = snapshot.verify()?;
    if found.problems.is_empty() && found.reachable + found.free == found.page_count {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("verify finds {found:?}")).into())
}

/// Turns an unexpected error into a violation.
pub(super) fn unexpected(stop: Stop, invariant: &'static str) -> Violation {
    match stop {
        Stop::Broken(violation) => violation,
        Stop::Refused(error) => {
            Violation::new(invariant, format!("refused without a reason: {error}"))
        }
    }
}
