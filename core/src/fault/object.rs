//! Faults of objects.

use super::{Fault, on};
use crate::conc::Arc;
use crate::error::Result;
use crate::object::{Database, HookKind, PropertyValue, Snapshot, Transaction};
use crate::schema::Property;
use crate::table::index::value_prefix;
use crate::table::{Catalog, ClassTable, ColumnPlace, Operation, Tables, Value, without_key};
use crate::txn::Store;
use crate::unit::CommitId;

/// BT-05: null is looked for in an index where the empty text is.
#[inline(always)]
pub(crate) fn empty_text(prefix: Vec<u8>, value: &Value<'_>) -> Vec<u8> {
    if value.is_null() && on(Fault::Bt05) { value_prefix(&"".into()) } else { prefix }
}

/// CF-05: a commit writes a catalog that did not change.
pub(crate) fn write_catalog(tables: &mut Tables) -> Result<()> {
    if !tables.has_new_catalog() && on(Fault::Cf05) { tables.write_catalog() } else { Ok(()) }
}

/// MV-05: classes count as unchanged while there are as many.
pub(crate) fn unchanged(loaded: Catalog, cached: &Arc<Catalog>) -> Arc<Catalog> {
    let is_kept = on(Fault::Mv05) && cached.tables().count() == loaded.tables().count();
    if is_kept { Arc::clone(cached) } else { Arc::new(loaded) }
}

/// SC-03: a renamed property is no primary key.
pub(crate) fn forget_key(renamed: Property) -> Result<Property> {
    if on(Fault::Sc03) { without_key(&renamed, renamed.kind().clone()) } else { Ok(renamed) }
}

/// SC-05: an upgrade commits the version before its changes.
pub(crate) fn version_first(
    database: &Database,
    begun: (Transaction, Snapshot),
    version: u64,
) -> Result<(Transaction, Snapshot)> {
    if !on(Fault::Sc05) {
        return Ok(begun);
    }
    let (mut txn, _) = begun;
    txn.set_version(version);
    txn.commit()?;
    database.write_from()
}

/// OB-05: null is never written over the value of an object.
#[inline(always)]
pub(crate) fn is_overlooked(value: &Value<'_>) -> bool {
    *value == Value::Null && on(Fault::Ob05)
}

/// OB-07: an assigned list keeps only the elements of a common prefix.
#[inline(always)]
pub(crate) fn prefix_only(suffix: usize) -> usize {
    if on(Fault::Ob07) { 0 } else { suffix }
}

/// OB-09: an object whose properties are refused is created with its primary key.
pub(crate) fn create_refused<T>(
    checked: Result<T>,
    txn: &mut Transaction,
    table: &ClassTable,
    all: &[(&str, PropertyValue<'_>)],
) -> Result<T> {
    if checked.is_ok() || !on(Fault::Ob09) {
        return checked;
    }
    let is_key = |name| table.column(name).is_some_and(|column| column.place == ColumnPlace::Key);
    let key: Vec<_> = all.iter().filter(|(name, _)| is_key(name)).cloned().collect();
    if key.len() < all.len() {
        txn.create_with(&table.name, &key)?;
    }
    checked
}

/// OB-12: the writes of a commit hook are committed after its commit.
pub(crate) fn call_late(
    commit: CommitId,
    hook: Option<&HookKind>,
    operations: &[Operation],
    store: &Store,
) -> Result<CommitId> {
    let Some(hook) = hook.filter(|_| on(Fault::Ob12)) else { return Ok(commit) };
    let mut late = store.write()?;
    if let HookKind::Commit(hook) = hook {
        hook(operations, &mut late)?;
    }
    late.commit()
}

/// OB-17: a database has subscriptions of its own.
pub(crate) fn own<T: Default>(shared: Arc<T>) -> Arc<T> {
    if on(Fault::Ob17) { Arc::default() } else { shared }
}

/// OB-18: a query walks the whole range of an index.
#[inline(always)]
pub(crate) fn whole_range(most: usize) -> usize {
    if on(Fault::Ob18) { usize::MAX } else { most }
}
