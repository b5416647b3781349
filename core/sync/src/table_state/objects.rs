//! The objects that an entry names, and those that a change of a tree shows.
//!
//! - SY11 Entries that have no such object in common have their effects side by side.

use super::convert::{core_key, core_target};
use super::record::{WindowObject, links_to, read_link, window_object};
use super::{FileResult, TableState, WINDOW_TREE};
use crate::entry::{Change, ObjectRef, Operation, Value};
use fastness::table::{LinkSource, ObjectId, ObjectKey, SideKey, Tables};

/// Returns the objects whose records an operation reads or changes: its target, the one that its
/// value links to, and those whose links a Delete hides or a Create shows. None if it changes
/// classes. Author 0 is replaced already.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub(crate) fn objects_of(
    tables: &mut Tables,
    operation: Operation<'_>,
) -> FileResult<Option<Vec<ObjectId>>> {
    let mut found = Vec::new();
    let (Operation::Create(target) | Operation::Delete(target) | Operation::Change { target, .. }) =
        operation
    else {
        return Ok(None);
    };
    found.extend(object_id(tables, target));
    if let Some(Value::Link(to)) = value_of(operation) {
        found.extend(object_id(tables, to));
    }
    if matches!(operation, Operation::Delete(_)) {
        let sources = core_target(target).map(|target| tables.link_sources(&target)).transpose()?;
        for LinkSource { object, .. } in sources.unwrap_or_default() {
            let class = tables.class_id(&object.class).ok_or_else(|| tables.damaged())?;
            found.push(ObjectId { class, key: object.key });
        }
    }
    if matches!(operation, Operation::Create(_)) {
        hidden_owners(tables, target, &mut found)?;
    }
    Ok(Some(found))
}

/// Returns the value that an operation writes.
const fn value_of(operation: Operation<'_>) -> Option<Value<'_>> {
    let Operation::Change { change, .. } = operation else { return None };
    match change {
        Change::Set(value) | Change::ListInsert { value, .. } | Change::ListSet { value, .. } => {
            Some(value)
        }
        Change::Increment(_) | Change::ListRemove { .. } | Change::ListMove { .. } => None,
    }
}

/// Adds the objects with hidden links to one that does not exist.
fn hidden_owners(
    tables: &mut Tables,
    target: ObjectRef<'_>,
    found: &mut Vec<ObjectId>,
) -> FileResult<()> {
    let Some(ObjectId { class, key }) = object_id(tables, target) else { return Ok(()) };
    let prefix = links_to(class, &key.to_vec());
    let state = TableState::new(tables, WINDOW_TREE);
    if state.next(&prefix, &prefix)?.is_none() {
        return Ok(());
    }
    tables.side_each(SideKey { tree: WINDOW_TREE, key: &prefix }, &mut |tables, key, _| {
        let owner = read_link(key).ok_or_else(|| tables.damaged())?;
        let key = ObjectKey::from_slice(owner.key).ok_or_else(|| tables.damaged())?;
        found.push(ObjectId { class: owner.class, key });
        Ok(())
    })
}

fn object_id(tables: &Tables, target: ObjectRef<'_>) -> Option<ObjectId> {
    let class = tables.class_id(target.class)?;
    Some(ObjectId { class, key: core_key(target.key)? })
}

/// Returns the object whose record, lists, links or memory an entry of a tree is about.
pub(crate) fn object_at(tables: &Tables, tree: &str, key: &[u8]) -> Option<ObjectId> {
    if tree != WINDOW_TREE {
        return tables.object_of(tree, key).or_else(|| tables.linked_object_of(tree, key));
    }
    match window_object(key)? {
        WindowObject::Numbered(class, key) => {
            Some(ObjectId { class, key: ObjectKey::from_slice(key)? })
        }
        WindowObject::Named(class, key) => {
            let class = tables.class_id(class)?;
            Some(ObjectId { class, key: ObjectKey::from_slice(key)? })
        }
    }
}
