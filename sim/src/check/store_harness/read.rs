//! Reads: by key, by range, full scans, through snapshots.

use super::{SNAPSHOTS_MAX, StoreHarness, bound, order, verify};
use crate::check::compare::{
    CheckError, Order, TreeReader, read_all, read_range, same, same_value,
};
use crate::check::definition::Violation;
use crate::check::promises::{A1, A3};
use fastness_models::store::{Bounds, StoreOutcome, StoreState};
use fastness_models::{Op, OpKind};

/// A read of one tree.
#[derive(Clone, Copy)]
pub(in crate::check) struct TreeRead<'a> {
    pub(in crate::check) reader: &'a dyn TreeReader,
    /// The model's state.
    pub(in crate::check) state: &'a StoreState,
    pub(in crate::check) tree: &'a str,
    /// The promise that a difference violates.
    pub(in crate::check) promise: &'static str,
}

impl StoreHarness<'_> {
    /// Reads a tree through the transaction; without one, as committed.
    pub(in crate::check) fn read<T>(
        &mut self,
        operand: u8,
        read: impl FnOnce(&TreeRead<'_>) -> Result<T, CheckError>,
    ) -> Result<T, CheckError> {
        let world = self.world;
        let tree = world.domain.tree(operand);
        match &mut self.txn {
            Some(txn) => {
                let state = self.model.visible();
                read(&TreeRead { reader: &txn.tree(tree)?, state, tree, promise: A3.id })
            }
            None => {
                let (snapshot, state) = (self.store().snapshot(), self.model.committed());
                read(&TreeRead { reader: &snapshot.tree(tree), state, tree, promise: A1.id })
            }
        }
    }

    pub(in crate::check) fn get(&mut self, op: Op) -> Result<(), CheckError> {
        let key = self.world.domain.key(op.b);
        let found = self.read(op.a, |of| {
            let found = of.reader.get(&key)?;
            same_value(found.as_ref(), of.state.get(of.tree, &key), of.promise)?;
            Ok(found)
        })?;
        self.note(op, &StoreOutcome::Value(found.as_deref()));
        Ok(())
    }

    pub(in crate::check) fn range(&mut self, op: Op) -> Result<(), CheckError> {
        let (from, to) = (self.world.domain.key(op.b), self.world.domain.key(op.c));
        let bounds: Bounds<'_> = (bound(op.a >> 2, &from), bound(op.a >> 4, &to));
        let order = order(op.a >> 6, op.b ^ op.c);
        let count = self.read(op.a, |of| {
            let expected = of.state.range(of.tree, bounds);
            read_range(of.reader.range(bounds), expected, order).same(of.promise)
        })?;
        if from > to && count == 0 {
            self.probe.mark("range with inverted bounds");
        }
        self.note(op, &StoreOutcome::Count(count));
        Ok(())
    }

    pub(in crate::check) fn ends(&mut self, op: Op) -> Result<(), CheckError> {
        let len = self.read(op.a, |of| {
            let TreeRead { reader, state, tree, promise } = *of;
            let [first, last] = reader.ends()?;
            let found = StoreOutcome::Ends(
                first.as_ref().map(|(key, value)| (&**key, &**value)),
                last.as_ref().map(|(key, value)| (&**key, &**value)),
            );
            let (first, last) = state.ends(tree);
            same(&found, &StoreOutcome::Ends(first, last), promise)?;
            let counted = StoreOutcome::Count(reader.count());
            same(&counted, &StoreOutcome::Count(state.len(tree)), promise)?;
            Ok(reader.count())
        })?;
        self.note(op, &StoreOutcome::Count(len));
        Ok(())
    }

    pub(in crate::check) fn snapshot(&mut self, op: Op) -> Result<(), CheckError> {
        if op.kind == OpKind::TakeSnapshot {
            if self.snapshots.len() == SNAPSHOTS_MAX {
                self.snapshots.remove(0);
            }
            let taken = (self.store().snapshot(), self.model.committed().clone());
            self.snapshots.push(taken);
            self.note(op, &StoreOutcome::Done);
        }
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let which = usize::from(op.a) % self.snapshots.len();
        let (snapshot, state) = &self.snapshots[which];
        let old = *state != *self.model.committed();
        match op.kind {
            OpKind::CloneSnapshot if self.snapshots.len() < SNAPSHOTS_MAX => {
                let cloned = (snapshot.clone(), state.clone());
                self.snapshots.push(cloned);
            }
            OpKind::DropSnapshot => drop(self.snapshots.remove(which)),
            OpKind::ReadSnapshot => {
                let (tree, key) = (self.world.domain.tree(op.b), self.world.domain.key(op.c));
                let found = snapshot.tree(tree).get(&key)?;
                same_value(found.as_ref(), state.get(tree, &key), "C6")?;
                self.note(op, &StoreOutcome::Value(found.as_deref()));
            }
            OpKind::ScanSnapshot => {
                let operations = read_all(snapshot, state, Order::Both(op.b)).same("C6")?;
                self.probe.count(op.kind.name(), operations);
                if old {
                    self.probe.mark("snapshot older than the last commit read");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares the contents of every snapshot.
    pub(in crate::check) fn scan_snapshots(&mut self) -> Result<(), CheckError> {
        for (snapshot, state) in &self.snapshots {
            let operations = read_all(snapshot, state, Order::Forward).same("C6")?;
            self.probe.count(OpKind::ScanSnapshot.name(), operations);
        }
        Ok(())
    }

    pub(in crate::check) fn scan(&mut self, op: Op) -> Result<(), CheckError> {
        self.scan_committed(order(op.a, op.b))?;
        for tree in 0..4 {
            self.range(Op::new(OpKind::Range, [tree | op.a & 0xc0 | 0x3c, 0, 0]))?;
        }
        Ok(())
    }

    /// Compares the committed contents.
    pub(in crate::check) fn scan_committed(&mut self, order: Order) -> Result<(), CheckError> {
        let snapshot = self.store().snapshot();
        let operations = read_all(&snapshot, self.model.committed(), order).same(A1.id)?;
        self.probe.count(OpKind::Scan.name(), operations);
        Ok(())
    }

    pub(in crate::check) fn verify(&mut self) -> Result<(), CheckError> {
        verify(&self.store().snapshot(), "D4")?;
        self.note(Op::new(OpKind::Verify, [0; 3]), &StoreOutcome::Done);
        Ok(())
    }

    pub(in crate::check) fn info(&mut self) -> Result<(), CheckError> {
        let info = self.store().info()?;
        let trees: Vec<_> = info.trees.iter().map(|tree| (&*tree.name, tree.len)).collect();
        let state = self.model.committed();
        let expected: Vec<_> = state.names().map(|name| (name, state.len(name))).collect();
        let encrypted = self.world.key().is_some();
        if trees != expected || info.encrypted != encrypted || info.commit != self.commit {
            let text = format!("info says {info:?}, expected {expected:?} at {}", self.commit);
            return Err(Violation::new("A1", text).into());
        }
        self.note(Op::new(OpKind::Info, [0; 3]), &StoreOutcome::Count(trees.len() as u64));
        Ok(())
    }
}
