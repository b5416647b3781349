//! Mirror: a second store, kept from the operations of every commit of the first and from nothing
//! else, equals the first.
//!
//! The mirror applies each commit in one transaction of its own, without a model and without rules
//! of an app. Now and then it first applies a commit, puts the pre-images back, and compares all
//! trees with those before.

mod compare;

use self::compare::{broken, mirror_failed};
use super::compare::CheckError;
use super::definition::{Check, Distribution, Violation};
use super::objects::driver;
use super::objects::harness::ObjectHarness;
use super::objects::object_check::ObjectCheck;
use super::promises::{A4, B1, B2, B4, B5, B6, B8, B10, B11, B12, B13, Q2};
use fastness::Store;
use fastness::object::{Operation, SchemaChange};
use fastness::table::{Applied, PreImage, Tables};
use fastness_models::{Op, OpKind};
use std::collections::BTreeMap;

/// The root of the objects.
const ROOT: &str = "main";

pub(super) const CHECK: Check = Check {
    name: "mirror",
    about: "a second store kept from the operations of every commit equals the first",
    invariants: &[B11, B10, B12, B1, B2, B4, B5, B6, B8, B13, Q2, A4],
    marks: &[
        "wrote through another database over the store",
        "mirrored a commit",
        "mirrored a change of classes",
        "mirrored another primary key",
        "mirrored a deletion that removed links",
        "mirrored a list in chunks",
        "mirrored a moved element",
        "mirrored a commit in doubt",
        "undid a commit and applied it again",
        "undid a change of classes",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 10),
            (OpKind::Upsert, 8),
            (OpKind::Set, 22),
            (OpKind::Update, 8),
            (OpKind::Add, 4),
            (OpKind::Delete, 6),
            (OpKind::ListInsert, 16),
            (OpKind::ListEdit, 14),
            (OpKind::ChangeSchema, 8),
            (OpKind::Commit, 14),
            (OpKind::Abort, 2),
            (OpKind::Inject, 4),
            (OpKind::ClearFault, 1),
            (OpKind::Reopen, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body: driver::run::<MirrorCheck>,
};

/// The mirror and the commits that it waits for.
struct MirrorCheck {
    mirror: Store,
    /// Operations by the number of the commit that they were reported for. A commit that failed
    /// leaves its number to the next one.
    reported: BTreeMap<usize, Vec<Operation>>,
    /// Commits that the mirror applied.
    applied: usize,
}

impl ObjectCheck for MirrorCheck {
    const INVARIANT: &'static str = B1.id;

    fn begin(harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError> {
        harness.recreate_with_hook()?;
        let mirror = harness.world.options(&harness.fs).in_memory()?;
        let mut check = Self { mirror, reported: BTreeMap::new(), applied: 0 };
        check.follow(harness)?;
        Ok(check)
    }

    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        // A restart may have decided about a commit in doubt.
        if self.follow(harness)? > 0 {
            harness.probe.mark("mirrored a commit in doubt");
        }
        let acted = match op.kind {
            OpKind::ChangeSchema => super::schema::change_schema(harness, op),
            _ => harness.act(op),
        };
        self.take_reported(harness);
        acted?;
        self.follow(harness).map(drop)
    }

    fn end(mut self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        self.follow(harness)?;
        self.compare(harness)
    }
}

impl MirrorCheck {
    fn take_reported(&mut self, harness: &ObjectHarness<'_>) {
        let hook = harness.hook.as_ref();
        self.reported.extend(hook.into_iter().flat_map(|hook| hook.take_numbered()));
    }

    /// Applies the commits that the file holds, and returns how many there were.
    fn follow(&mut self, harness: &mut ObjectHarness<'_>) -> Result<usize, CheckError> {
        self.take_reported(harness);
        let hook = harness.hook.as_ref();
        // A faulty disk hides the file for a while.
        let Ok(snapshot) = harness.database().snapshot() else { return Ok(0) };
        let count = hook.and_then(|hook| hook.count(&snapshot).ok());
        let Some(count) = count else { return Ok(0) };
        if count < self.applied {
            return Err(broken(format!("{} commits were applied, {count} remain", self.applied)));
        }
        let before = self.applied;
        while self.applied < count {
            self.applied += 1;
            let operations = self.reported.remove(&self.applied);
            let operations =
                operations.ok_or_else(|| broken("a commit was not reported to the hook"))?;
            self.apply(harness, &operations)?;
        }
        if count > before {
            self.compare(harness)?;
        }
        Ok(count - before)
    }

    /// Applies the operations of a commit, sometimes after an undo of the same.
    fn apply(
        &mut self,
        harness: &mut ObjectHarness<'_>,
        operations: &[Operation],
    ) -> Result<(), CheckError> {
        if harness.world.rng(|rng| rng.one_in(3)) && !numbers_objects(operations) {
            self.undo(operations)?;
            harness.probe.mark("undid a commit and applied it again");
            if operations.iter().any(|operation| matches!(operation, Operation::SchemaChange(_))) {
                harness.probe.mark("undid a change of classes");
            }
        }
        let mut tables = self.tables()?;
        apply_all(&mut tables, operations)?;
        let (txn, _) = tables.finish().map_err(mirror_failed)?;
        txn.commit().map_err(mirror_failed)?;
        mark(harness, operations);
        Ok(())
    }

    fn tables(&self) -> Result<Tables, CheckError> {
        let txn = self.mirror.write().map_err(mirror_failed)?;
        Tables::open(txn, ROOT).map_err(mirror_failed)
    }

    /// Applies operations in two recordings, puts the pre-images back, and compares all trees.
    fn undo(&self, operations: &[Operation]) -> Result<(), CheckError> {
        let before = compare::trees(&self.mirror.snapshot()).map_err(mirror_failed)?;
        let (first, second) = operations.split_at(operations.len() / 2);
        let mut tables = self.tables()?;
        let mut recordings = Vec::new();
        drop(tables.record().map_err(mirror_failed)?);
        for operations in [first, second] {
            apply_all(&mut tables, operations)?;
            recordings.push(tables.record().map_err(mirror_failed)?);
        }
        for recording in recordings.iter().rev() {
            let entries: Vec<PreImage<'_>> = recording.iter().collect();
            tables.restore(entries).map_err(mirror_failed)?;
        }
        let (txn, _) = tables.finish().map_err(mirror_failed)?;
        txn.commit().map_err(mirror_failed)?;
        let after = compare::trees(&self.mirror.snapshot()).map_err(mirror_failed)?;
        match compare::difference(&compare::undoable(before), &compare::undoable(after)) {
            None => Ok(()),
            Some(text) => Err(Violation::new(B12.id, format!("after an undo, {text}")).into()),
        }
    }

    /// Compares the mirror with the file.
    fn compare(&self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        // A faulty disk hides the file for a while.
        let Ok(snapshot) = harness.database().snapshot() else { return Ok(()) };
        let Ok(original) = compare::trees(snapshot.store()) else { return Ok(()) };
        let mirror = compare::trees(&self.mirror.snapshot()).map_err(mirror_failed)?;
        if mirror.iter().any(|(name, _)| name.ends_with(".pieces")) {
            harness.probe.mark("mirrored a list in chunks");
        }
        let (original, mirror) = (compare::exact(original), compare::exact(mirror));
        if let Some(text) = compare::difference(&original, &mirror) {
            return Err(broken(format!("in the mirror, {text}")));
        }
        compare::classes_again(&snapshot, self.tables()?)?;
        compare::objects(&snapshot, &self.mirror)
    }
}

/// Applies operations, each of which must change the mirror.
fn apply_all(tables: &mut Tables, operations: &[Operation]) -> Result<(), CheckError> {
    for operation in operations {
        let applied = tables.apply(operation, &mut |_| ()).map_err(mirror_failed)?;
        if applied != Applied::Changed {
            let text = format!("{operation:?} was reported, and is {applied:?} in the mirror");
            return Err(Violation::new(B10.id, text).into());
        }
    }
    Ok(())
}

/// Tells whether operations number objects: an undo does not take numbers back.
fn numbers_objects(operations: &[Operation]) -> bool {
    operations.iter().any(|operation| {
        let Operation::SchemaChange(change) = operation else { return false };
        matches!(change, SchemaChange::SetPrimaryKey { .. } | SchemaChange::RemoveProperty { .. })
    })
}

fn mark(harness: &mut ObjectHarness<'_>, operations: &[Operation]) {
    harness.probe.mark("mirrored a commit");
    let mut removed_links = false;
    for operation in operations {
        let mark = match operation {
            Operation::SchemaChange(SchemaChange::SetPrimaryKey { .. }) => {
                "mirrored another primary key"
            }
            Operation::SchemaChange(_) => "mirrored a change of classes",
            Operation::ListMove { .. } => "mirrored a moved element",
            Operation::Delete(_) if removed_links => "mirrored a deletion that removed links",
            _ => "",
        };
        removed_links = match operation {
            Operation::Set { value, .. } => value.is_null(),
            Operation::ListRemove { .. } => true,
            _ => false,
        };
        if !mark.is_empty() {
            harness.probe.mark(mark);
        }
    }
}
