//! Transactions: changing objects under the rules of their classes.
//!
//! A transaction checks what an app may do, changes the tables, and records what was touched, for
//! subscriptions, and which operations were done, for the commit hook.
//!
//! - B1 Every operation answers as the model does.
//! - B3 A refused operation changes nothing.
//! - C13 A transaction in which an operation failed is never committed.
//!
//! Specification: docs/objects.md. Model: `models::objects`. Check: `sim::check::objects`.

use super::changes::{Changes, Compared};
use super::commit_hook::{HookKind, PendingCommit};
use super::feeds::{Push, PushedCommit};
use super::lookup::{check_target, check_type, class_numbered, not_found};
use super::shared::Shared;
use super::view::{Object, Objects, View};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::schema::PropertyType;
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::table::{
    ClassId, ClassTable, Column, ColumnRef, Nullified, ObjectId, ObjectKey, ObjectRef, Operation,
    Replaced, SchemaChange, Tables, Value,
};
use crate::tree::Bytes;
use crate::txn::{Durability, ReadSource, WriteTxn};
use crate::unit::CommitId;
use std::collections::BTreeSet;

/// The write transaction of a database. Dropping it without [`Transaction::commit`] rolls it back.
///
/// A refused operation changes nothing, and the transaction goes on. After any other error it can
/// only be dropped.
#[derive(Debug)]
pub struct Transaction {
    pub(super) shared: Arc<Shared>,
    pub(super) tables: Tables,
    failed: bool,
    /// Objects that may have changed, if there are subscriptions. One that begins meanwhile begins
    /// with the state that this transaction leaves.
    touched: Option<BTreeSet<ObjectId>>,
    /// Empty without a commit hook.
    operations: Vec<Operation>,
    /// Refuses to change or remove classes, properties and indexes.
    pub(super) only_adds: bool,
    /// Sync makes the commit.
    is_remote: bool,
}

impl Transaction {
    pub(super) fn new(shared: Arc<Shared>, txn: WriteTxn) -> Result<Self> {
        let catalog = shared.catalog(ReadSource::Txn(&txn))?;
        let mut tables = Tables::with_catalog(txn, catalog);
        tables.set_author(*shared.author.lock());
        if matches!(shared.hook, Some(HookKind::Replica(_))) {
            tables.record()?;
        }
        let touched = shared.observers.any().then(BTreeSet::new);
        if touched.is_some() {
            tables.watch_lists();
        }
        let operations = Vec::new();
        let (failed, only_adds, is_remote) = (false, shared.synced, false);
        Ok(Self { shared, tables, failed, touched, operations, only_adds, is_remote })
    }

    /// Makes the changes durable, all or none, and returns the commit's number.
    ///
    /// # Errors
    /// [`SchemaError::Definition`] if changed classes do not fit together,
    /// [`Error::TransactionFailed`] if an operation failed; else as
    /// [`WriteTxn::commit`](crate::WriteTxn::commit).
    pub fn commit(self) -> Result<CommitId> {
        self.commit_with(Durability::Immediate)
    }

    /// Commits with the durability that is asked for. Readers and subscriptions see the commit at
    /// once, whichever it is.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_with(mut self, durability: Durability) -> Result<CommitId> {
        self.settle()?;
        let hook = self.shared.hook.clone().filter(|_| !self.operations.is_empty());
        if let Some(hook) = hook.as_ref().filter(|_| !fault::on(Fault::Ob12)) {
            self.call(hook)?;
        }
        let (changes, has_new_schema) = (self.changes()?, self.tables.has_new_catalog());
        let Self { shared, tables, operations, is_remote, touched, .. } = self;
        let (txn, catalog) = tables.finish()?;
        let (commit, has_changes) = (txn.next_commit(), !changes.is_empty());
        let mut push = Push::default();
        if touched.is_some() && (has_changes || has_new_schema) {
            let visible = shared.store.snapshot().commit();
            let changes = &changes;
            let pushed = PushedCommit { commit, visible, changes, has_new_schema };
            push = shared.observers.feeds.push(&pushed);
        }
        // The commit may be visible from here on, so the feeds have it.
        let staged = txn.stage(durability).inspect_err(|_| push.retract())?;
        if staged.commit() != commit {
            // It changed nothing in the file.
            push.retract();
        }
        let commit = staged.commit();
        if has_changes {
            shared.observers.queues.push(commit, Changes { commit, is_remote, ..changes });
        }
        staged.finish().map_err(|failure| {
            if failure.is_rolled_back() {
                shared.observers.queues.retract(commit);
                push.retract();
            }
            Error::from(failure)
        })?;
        shared.keep(catalog);
        if has_changes {
            shared.observers.signals.wake();
        }
        push.wake();
        fault::object::call_late(commit, hook.as_ref(), &operations, &shared.store)
    }

    /// Hands the operations to the hook.
    fn call(&mut self, hook: &HookKind) -> Result<()> {
        match hook {
            HookKind::Commit(hook) => hook(&self.operations, self.tables.txn_mut()),
            HookKind::Replica(hook) => {
                let pre_images = self.tables.record()?;
                let (operations, tables) = (&*self.operations, &mut self.tables);
                let (pre_images, mut touched) = (&pre_images, Vec::new());
                let touches = &mut touched;
                hook(PendingCommit { operations, pre_images, tables, touched: touches })?;
                self.touch(touched);
                Ok(())
            }
        }
    }

    /// Returns how the objects differ from those that the transaction began with.
    fn changes(&self) -> Result<Changes> {
        let Some(touched) = &self.touched else { return Ok(Changes::default()) };
        let Some(edited) = self.tables.edited_lists() else { return Ok(Changes::default()) };
        let before = View { tables: self.tables.base_reader() };
        Compared { before, after: self.view(), edited }.changes(touched)
    }

    /// Rolls the transaction back, as dropping it does.
    pub fn abort(self) {}

    /// Writes the buffered parts: the catalog and the next number.
    fn settle(&mut self) -> Result<()> {
        if self.failed {
            return Err(Error::TransactionFailed);
        }
        if self.tables.has_new_catalog() {
            self.tables.catalog().schema()?;
        }
        fault::object::write_catalog(&mut self.tables)?;
        self.tables.settle()
    }

    /// Reads the objects as this transaction sees them.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { tables: self.tables.reader() }
    }

    /// Returns the objects of a class; see [`View::objects`].
    ///
    /// # Errors
    /// As [`View::objects`].
    pub fn objects(&self, class: &str) -> Result<Objects<'_>> {
        self.view().objects(class)
    }

    /// Returns an object; none if it does not exist. See [`View::object`].
    ///
    /// # Errors
    /// As [`View::object`].
    pub fn object(&self, id: &ObjectId) -> Result<Option<Object<'_>>> {
        self.view().object(id)
    }

    /// Returns the table of the class of an object.
    pub(super) fn table_of(&self, id: &ObjectId) -> Result<Arc<ClassTable>> {
        class_numbered(self.tables.catalog(), id.class).map(Arc::clone)
    }

    /// Makes a change of several steps; if one fails, the transaction has failed.
    pub(super) fn change<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(Error::TransactionFailed);
        }
        self.failed = true;
        let outcome = body(self)?;
        self.failed = false;
        Ok(outcome)
    }

    /// Makes a change whose tables report the objects that they touch.
    pub(super) fn change_tables<T>(
        &mut self,
        body: impl FnOnce(&mut Tables, &mut dyn FnMut(ObjectId)) -> Result<T>,
    ) -> Result<T> {
        self.change(|txn| {
            let Self { tables, touched, .. } = txn;
            body(tables, &mut |id| {
                if let Some(touched) = touched {
                    touched.insert(id);
                }
            })
        })
    }

    /// Marks the transaction as failed if an outcome is an error other than a refusal.
    pub(crate) fn noted<T>(&mut self, outcome: Result<T>) -> Result<T> {
        // An error of the app says nothing about the tables.
        let refused =
            |error: &Error| matches!(error, Error::Object(_) | Error::Schema(_) | Error::App(_));
        let failed = outcome.as_ref().is_err_and(|error| !refused(error));
        self.failed |= failed && !fault::on(Fault::Fs08);
        outcome
    }

    /// Returns a copy of the record of an object: a handle would make its next change copy the node
    /// that holds it.
    pub(super) fn record(&mut self, table: &ClassTable, id: &ObjectId) -> Result<Vec<u8>> {
        let held = self.held(table, &id.key)?.ok_or_else(|| not_found(table, &id.key))?;
        Ok(held.to_vec())
    }

    /// Returns the record of an object; none if it does not exist.
    pub(super) fn held(&mut self, table: &ClassTable, key: &ObjectKey) -> Result<Option<Bytes>> {
        let record = self.tables.reader().record(table, key);
        self.noted(record)
    }

    /// Checks that a property can hold a value, and that the target of a link exists.
    pub(super) fn check_value(&mut self, field: ColumnRef<'_>, value: &Value<'_>) -> Result<()> {
        check_type(field, value)?;
        let Value::Link(to) = value else { return Ok(()) };
        let target = self.table_of(to)?;
        check_target(field, &target)?;
        self.held(&target, &to.key)?.map(drop).ok_or_else(|| not_found(&target, &to.key))
    }
}

/// The face for the crate of sync. No promised interface.
#[cfg(feature = "sync")]
#[doc(hidden)]
impl Transaction {
    /// Returns the tables, to apply operations that the commit hook does not get.
    pub const fn tables(&mut self) -> &mut Tables {
        &mut self.tables
    }

    /// Applies an operation and records what it touched, for subscriptions. The commit hook does
    /// not get the operation.
    ///
    /// # Errors
    /// As [`Tables::apply`].
    pub fn apply(&mut self, operation: &Operation) -> Result<crate::table::Applied> {
        if let Operation::SchemaChange(SchemaChange::RemoveClass { .. } | SchemaChange::Clear) =
            operation
        {
            let tables: Vec<Arc<ClassTable>> = self.tables.catalog().tables().cloned().collect();
            tables.iter().try_for_each(|table| self.touch_all(table))?;
        }
        self.change_tables(|tables, touch| tables.apply(operation, touch))
    }

    /// Marks the commit as one of sync, for subscriptions.
    pub const fn set_remote(&mut self) {
        self.is_remote = true;
    }

    /// Tells whether a subscription waits for the changes of the commit.
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        self.touched.is_some()
    }

    /// Records objects that may have changed through [`Transaction::tables`].
    pub fn touched(&mut self, objects: impl IntoIterator<Item = ObjectId>) {
        self.touch(objects);
    }
}

/// Recording what was touched, and which operations were done.
impl Transaction {
    /// Records objects that may change.
    pub(super) fn touch(&mut self, objects: impl IntoIterator<Item = ObjectId>) {
        if let Some(touched) = &mut self.touched {
            touched.extend(objects);
        }
    }

    /// Records that all objects of a class are removed.
    pub(super) fn touch_all(&mut self, table: &Arc<ClassTable>) -> Result<()> {
        if self.touched.is_some() {
            let objects = self.view().of_table(table).iter()?;
            let ids = objects.map(|object| object.map(|object| object.id()));
            let ids = ids.collect::<Result<Vec<_>>>()?;
            self.touch(ids);
        }
        Ok(())
    }

    /// Tells whether a commit hook takes the operations.
    pub(super) fn has_commit_hook(&self) -> bool {
        self.shared.hook.is_some()
    }

    /// Records an operation on an object.
    pub(super) fn note(
        &mut self,
        table: &ClassTable,
        key: &ObjectKey,
        operation: impl FnOnce(ObjectRef) -> Operation,
    ) {
        self.touch([ObjectId { class: table.id, key: key.clone() }]);
        if self.takes_operations(table.id) {
            let target = ObjectRef { class: table.name.clone(), key: key.clone() };
            self.operations.push(operation(target));
        }
    }

    /// Tells whether the commit hook takes the operations of a class: those of a local class stay
    /// in a synced file.
    fn takes_operations(&self, class: ClassId) -> bool {
        let is_kept = self.shared.synced && class.is_local() && !fault::on(Fault::Sn50);
        self.has_commit_hook() && !is_kept
    }

    /// Records a change of a class.
    pub(super) fn note_class(&mut self, class: ClassId, change: impl FnOnce() -> SchemaChange) {
        if self.takes_operations(class) {
            self.operations.push(Operation::SchemaChange(change()));
        }
    }

    /// Records a change of the schema.
    pub(super) fn note_schema(&mut self, change: impl FnOnce() -> SchemaChange) {
        if self.has_commit_hook() {
            self.operations.push(Operation::SchemaChange(change()));
        }
    }

    /// Records that a property has another value; for a counter, the increment.
    pub(super) fn note_value(
        &mut self,
        field: ColumnRef<'_>,
        key: &ObjectKey,
        value: Replaced<'_>,
    ) {
        let Replaced { old: Some(old), new: Some(new) } = value else { return };
        self.note(field.table, key, |target| {
            let property = field.column.name().to_owned();
            match (field.column.kind(), old, new) {
                (PropertyType::Counter, Value::Int(old), Value::Int(new)) => {
                    Operation::Increment { target, property, by: new.wrapping_sub(*old) }
                }
                _ => Operation::Set { target, property, value: new.clone().into_owned() },
            }
        });
    }

    /// Records that properties lost their links to a deleted object.
    pub(super) fn note_nullified(&mut self, nullified: Vec<Nullified>) {
        for Nullified { table, column, key, elements } in nullified {
            let name = || table.column_numbered(column).map(Column::name);
            let name = name().unwrap_or_default();
            if elements.is_empty() {
                let (property, value) = (name.to_owned(), Value::Null);
                self.note(&table, &key, |target| Operation::Set { target, property, value });
            }
            for element in elements {
                let property = name.to_owned();
                self.note(&table, &key, |target| Operation::ListRemove {
                    target,
                    property,
                    element,
                });
            }
        }
    }
}

impl<'a> From<&'a Transaction> for View<'a> {
    fn from(txn: &'a Transaction) -> Self {
        txn.view()
    }
}

impl<'a> From<&'a &mut Transaction> for View<'a> {
    fn from(txn: &'a &mut Transaction) -> Self {
        txn.view()
    }
}
