//! Changing objects: a write transaction over the classes of a file.
//!
//! - B1 Every operation answers as the model does.
//! - B2 A link leads to an object that is there, or to none.
//! - B3 A refused operation changes nothing.
//!
//! Specification: docs/objects.md. Model: `models::objects`. Check: `sim::check::objects`.

use super::catalog::{Catalog, Column, Place, Table, schema_tree};
use super::changes::{Changes, between};
use super::database::Shared;
use super::operation::{CommitHook, Operation};
use super::record::{self, value_bytes};
use super::value::{ObjectId, ObjectKey, Value};
use super::view::{Object, Objects, View, check_type, type_error};
use super::whole::PropertyValue;
use crate::codec::Reader;
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::fault::{self, Fault};
use crate::schema::PropertyType;
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::tree::Bytes;
use crate::txn::{Durability, Source, Store, WriteTxn};
use crate::unit::CommitId;
use std::collections::BTreeSet;

/// The number that the next object or list element gets.
const NEXT: &[u8] = &[1];

/// The write transaction of a database. Dropping it without [`Transaction::commit`] undoes it.
///
/// An operation that is refused changes nothing, and the transaction goes on. After any other error
/// it can only be dropped.
#[derive(Debug)]
pub struct Transaction {
    pub(super) shared: Arc<Shared>,
    pub(super) txn: WriteTxn,
    base: Arc<Catalog>,
    pub(super) catalog: Arc<Catalog>,
    /// Read when first needed.
    next: Option<u64>,
    failed: bool,
    /// Objects that may have been changed, if anybody observes. Who begins to meanwhile begins with
    /// what this transaction leaves.
    touched: Option<BTreeSet<ObjectId>>,
    /// What was done, if there is a commit_hook.
    pub(super) operations: Vec<Operation>,
    /// Classes, properties and indexes are only added.
    pub(super) only_adds: bool,
}

impl Transaction {
    pub(super) fn new(shared: Arc<Shared>, txn: WriteTxn) -> Result<Self> {
        let base = shared.catalog(Source::Txn(&txn))?;
        let catalog = Arc::clone(&base);
        let (touched, operations) = (shared.observers.any().then(BTreeSet::new), Vec::new());
        let (next, failed, only_adds) = (None, false, shared.synced);
        Ok(Self { shared, txn, base, catalog, next, failed, touched, operations, only_adds })
    }

    /// Makes the changes durable, all or none, and returns the commit's number.
    ///
    /// # Errors
    /// [`SchemaError::Definition`] if classes that were changed do not fit together,
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
        let commit_hook = self.shared.commit_hook.clone().filter(|_| !self.operations.is_empty());
        let is_late = fault::on(Fault::Ob12);
        if let Some(commit_hook) = commit_hook.as_ref().filter(|_| !is_late) {
            commit_hook(&self.operations, &mut self.txn)?;
        }
        let changes = self.changes()?;
        let Self { shared, txn, catalog, operations, .. } = self;
        let commit = txn.commit_and(durability, |commit| {
            let tells = !changes.is_empty();
            if tells {
                shared.observers.tell(commit, Changes { commit, ..changes });
            }
            let observers = &shared.observers;
            move || {
                if tells {
                    observers.withdraw(commit);
                }
            }
        })?;
        shared.keep(catalog);
        match commit_hook.filter(|_| is_late) {
            Some(commit_hook) => tell_late(&shared.store, &*commit_hook, &operations),
            None => Ok(commit),
        }
    }

    /// Tells how the objects differ from what they were when the transaction began.
    fn changes(&self) -> Result<Changes> {
        let Some(touched) = &self.touched else { return Ok(Changes::default()) };
        let before = View { source: Source::Base(&self.txn), catalog: &self.base };
        between((before, self.view()), touched)
    }

    /// Notes objects that may be changed.
    pub(super) fn touch(&mut self, objects: impl IntoIterator<Item = ObjectId>) {
        if let Some(touched) = &mut self.touched {
            touched.extend(objects);
        }
    }

    /// Notes that all objects of a class are removed.
    pub(super) fn touch_all(&mut self, table: &Arc<Table>) -> Result<()> {
        if self.touched.is_some() {
            let objects = self.view().of_table(table).iter()?;
            let ids = objects.map(|object| object.map(|object| object.id()));
            let ids = ids.collect::<Result<Vec<_>>>()?;
            self.touch(ids);
        }
        Ok(())
    }

    /// Undoes the transaction, as dropping it does.
    pub fn abort(self) {}

    /// Writes what is kept until the end.
    fn settle(&mut self) -> Result<()> {
        if self.failed {
            return Err(Error::TransactionFailed);
        }
        if let Some(next) = self.next {
            self.txn.tree(&schema_tree())?.insert(NEXT, &next.to_le_bytes())?;
        }
        if self.catalog == self.base && !fault::on(Fault::Cf05) {
            return Ok(());
        }
        self.catalog.schema()?;
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.stamp = self.base.stamp + 1;
        let mut tree = self.txn.tree(&schema_tree())?;
        for (key, value) in catalog.entries(&self.base) {
            match value {
                Some(value) => drop(tree.insert(&key, &value)?),
                None => drop(tree.remove(&key)?),
            }
        }
        Ok(())
    }

    /// Reads the objects as this transaction sees them.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { source: Source::Txn(&self.txn), catalog: &self.catalog }
    }

    /// Returns the objects of a class; see [`View::objects`].
    ///
    /// # Errors
    /// As [`View::objects`].
    pub fn objects(&self, class: &str) -> Result<Objects<'_>> {
        self.view().objects(class)
    }

    /// Returns an object; none if it is not there. See [`View::object`].
    ///
    /// # Errors
    /// As [`View::object`].
    pub fn object(&self, id: &ObjectId) -> Result<Option<Object<'_>>> {
        self.view().object(id)
    }

    /// Creates an object of a class without a primary key. Its properties are null, zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`] or [`ObjectError::KeyMissing`].
    pub fn create(&mut self, class: &str) -> Result<ObjectId> {
        self.create_with(class, &[])
    }

    /// Creates an object with a primary key. Its other properties are null, zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::KeyExists`] if it is there; [`ObjectError::ClassUnknown`],
    /// [`ObjectError::NoPrimaryKey`], [`ObjectError::Type`], [`ObjectError::KeyTooLong`], or
    /// [`SchemaError::NullInRequired`] if there cannot be such an object.
    pub fn create_with_key<'v>(
        &mut self,
        class: &str,
        key: impl Into<Value<'v>>,
    ) -> Result<ObjectId> {
        let (id, created) = self.get_or_create(class, key)?;
        if created {
            return Ok(id);
        }
        let (class, key) = (self.view().class_name(id.class)?.to_owned(), id.key.to_string());
        Err(ObjectError::KeyExists { class, key }.into())
    }

    /// Creates the object with a primary key unless it is there, and tells whether it was created.
    ///
    /// # Errors
    /// As [`Transaction::create_with_key`], but for one that is there.
    pub fn get_or_create<'v>(
        &mut self,
        class: &str,
        key: impl Into<Value<'v>>,
    ) -> Result<(ObjectId, bool)> {
        let table = Arc::clone(self.catalog.table(class)?);
        let unwanted = || ObjectError::NoPrimaryKey { class: table.name.clone() };
        let name = table.key().ok_or_else(unwanted)?.name();
        self.upsert(class, &[(name, PropertyValue::Value(key.into()))])
    }

    /// Sets a property. A counter is set by adding the difference.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if the object, or the one to link to, is not there;
    /// [`ObjectError::PropertyUnknown`], [`ObjectError::Type`], [`ObjectError::PrimaryKeyImmutable`],
    /// [`SchemaError::NullInRequired`], [`SchemaError::StringTooLong`] or
    /// [`SchemaError::BinaryTooLong`] if it cannot have the value.
    pub fn set<'v>(
        &mut self,
        id: &ObjectId,
        property: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<()> {
        let value = value.into();
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let column = table.column(property)?;
        match column.place {
            Place::Key => {
                let (class, property) = (table.name.clone(), property.to_owned());
                return Err(ObjectError::PrimaryKeyImmutable { class, property }.into());
            }
            Place::Apart => {
                let names = (column.kind().to_string(), value.type_name().to_owned());
                return Err(type_error(&table, column, names));
            }
            Place::Slot(_) => self.check_value((&table, column), &value)?,
        }
        let key = id.key.to_bytes();
        let record = self.record(&table, id)?;
        let held = self.view().read_value((&table, column), (&key, &record));
        let held = held.map(Value::into_owned);
        let held = self.noted(held)?;
        if held.bitwise_eq(&value) {
            return Ok(());
        }
        self.change(|txn| {
            txn.replace((&table, column), (id, &record), (&held, &value))?;
            txn.note_value((&table, column), &id.key, (&held, &value));
            Ok(())
        })
    }

    /// Adds to a counter, and returns what it is then. It wraps around at 64 bits.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if it is
    /// no counter.
    pub fn add(&mut self, id: &ObjectId, property: &str, by: i64) -> Result<i64> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let column = table.column(property)?;
        if *column.kind() != PropertyType::Counter {
            let names = (column.kind().to_string(), "a counter".to_owned());
            return Err(type_error(&table, column, names));
        }
        let key = id.key.to_bytes();
        let record = self.record(&table, id)?;
        let held = self.view().read_value((&table, column), (&key, &record));
        let held = held.map(Value::into_owned);
        let Value::Int(held) = self.noted(held)? else {
            return Err(self.view().malformed());
        };
        let sum = held.wrapping_add(by);
        if by != 0 {
            let change = (&Value::Int(held), &Value::Int(sum));
            self.change(|txn| {
                txn.replace((&table, column), (id, &record), change)?;
                let property = property.to_owned();
                txn.note(&table, &id.key, |target| Operation::Increment { target, property, by });
                Ok(())
            })?;
        }
        Ok(sum)
    }

    /// Deletes an object. Links to it become null, and leave the lists they are in.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if it is not there.
    pub fn delete(&mut self, id: &ObjectId) -> Result<()> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let record = self.record(&table, id)?;
        self.change(|txn| {
            txn.erase(&table, &id.key.to_bytes(), &record)?;
            txn.note(&table, &id.key, Operation::Delete);
            Ok(())
        })
    }

    /// Deletes all objects of a class, and returns how many there were.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`].
    pub fn delete_all(&mut self, class: &str) -> Result<u64> {
        let table = Arc::clone(self.catalog.table(class)?);
        let mut count = 0;
        let outcome = self.each(&table.trees.objects, &[], &mut |txn, key, _| {
            let key = ObjectKey::from_bytes(key).ok_or_else(|| txn.view().malformed())?;
            txn.delete(&ObjectId { class: table.id, key })?;
            count += 1;
            Ok(())
        });
        self.noted(outcome)?;
        Ok(count)
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

    /// Notes that an operation failed before it changed anything, unless it was just refused.
    pub(crate) fn noted<T>(&mut self, outcome: Result<T>) -> Result<T> {
        let refused = |error: &Error| matches!(error, Error::Object(_) | Error::Schema(_));
        let failed = outcome.as_ref().is_err_and(|error| !refused(error));
        self.failed |= failed && !fault::on(Fault::Fs08);
        outcome
    }

    /// Takes a number that nothing in the file has had.
    pub(super) fn take_number(&mut self) -> Result<u64> {
        let number = match self.next {
            Some(number) => number,
            None => match self.txn.tree(&schema_tree())?.get(NEXT)? {
                Some(bytes) => Reader::new(&bytes).u64().ok_or_else(|| self.view().malformed())?,
                None => 1,
            },
        };
        self.next = Some(number + 1);
        Ok(number)
    }

    /// Returns a copy of the record of an object: a handle would make its next change copy the node
    /// that holds it.
    pub(super) fn record(&mut self, table: &Table, id: &ObjectId) -> Result<Vec<u8>> {
        let held = self.held(table, &id.key)?.ok_or_else(|| gone(table, &id.key))?;
        Ok(held.to_vec())
    }

    /// Returns the record of an object, if it is there.
    pub(super) fn held(&mut self, table: &Table, key: &ObjectKey) -> Result<Option<Bytes>> {
        let tree = Source::Txn(&self.txn).tree(&table.trees.objects);
        let record = tree.get(&key.to_bytes());
        self.noted(record)
    }

    /// Checks that a property can hold a value, and that what it links to is there.
    pub(super) fn check_value(
        &mut self,
        (table, column): (&Table, &Column),
        value: &Value<'_>,
    ) -> Result<()> {
        check_type(table, column, value)?;
        let Value::Link(to) = value else { return Ok(()) };
        let target = Arc::clone(self.catalog.table_numbered(to.class)?);
        if column.target() != Some(&target.name) {
            let names = (column.kind().to_string(), format!("a link to {}", target.name));
            return Err(type_error(table, column, names));
        }
        self.held(&target, &to.key)?.map(drop).ok_or_else(|| gone(&target, &to.key))
    }

    /// Puts another value in the place of the one that a property has.
    pub(super) fn replace(
        &mut self,
        (table, column): (&Table, &Column),
        (id, record): (&ObjectId, &[u8]),
        (held, value): (&Value<'_>, &Value<'_>),
    ) -> Result<()> {
        let key = id.key.to_bytes();
        let bytes = value_bytes(value);
        self.keep_apart((table, column), &key, (record, &bytes))?;
        let changed = record::write(table, Some(record), &[(column, bytes.cell())]);
        let changed = changed.ok_or_else(|| self.view().malformed())?;
        self.txn.tree(&table.trees.objects)?.insert(&key, &changed)?;
        self.index_and_link((table, column), &key, (held, value))
    }

    /// Does to indexes and links what comes of another value in a record.
    pub(super) fn index_and_link(
        &mut self,
        (table, column): (&Table, &Column),
        key: &[u8],
        (held, value): (&Value<'_>, &Value<'_>),
    ) -> Result<()> {
        self.index((table.id, column), key, (Some(held), Some(value)))?;
        self.link_anew((table.id, column), key, (held, value))
    }

    /// Notes that a property has another value; of a counter, what was added.
    pub(super) fn note_value(
        &mut self,
        (table, column): (&Table, &Column),
        key: &ObjectKey,
        (held, value): (&Value<'_>, &Value<'_>),
    ) {
        self.note(table, key, |target| {
            let property = column.name().to_owned();
            match (column.kind(), held, value) {
                (PropertyType::Counter, Value::Int(held), Value::Int(value)) => {
                    Operation::Increment { target, property, by: value.wrapping_sub(*held) }
                }
                _ => Operation::Set { target, property, value: value.clone().into_owned() },
            }
        });
    }
}

/// What was addressed is not there.
pub(super) fn gone(table: &Table, key: &ObjectKey) -> Error {
    ObjectError::ObjectNotFound { class: table.name.clone(), key: key.to_string() }.into()
}

/// Lets a commit_hook write in a commit of its own, for [`Fault::Ob12`].
fn tell_late(
    store: &Store,
    commit_hook: &CommitHook,
    operations: &[Operation],
) -> Result<CommitId> {
    let mut late = store.write()?;
    commit_hook(operations, &mut late)?;
    late.commit()
}
