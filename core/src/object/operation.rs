//! What a transaction did, operation by operation, for whoever carries it elsewhere.
//!
//! - W3 A commit hands its operations to the commit_hook in order and exactly once, a transaction that
//!   is dropped none; what the commit_hook writes is there exactly if the commit is.
//!
//! Specification: docs/objects.md#operations-of-a-commit. Check: `sim::check::observers`.

use super::catalog::Table;
use super::list::Element;
use super::transaction::Transaction;
use super::value::{ElementId, ObjectId, ObjectKey, Value};
use crate::error::Result;
use crate::txn::WriteTxn;

/// One operation of a transaction. Objects are named by class and key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// An object was created, with null, zero and nothing.
    Create(ObjectRef),
    /// An object was deleted. What linked to it was set to null, or removed, before.
    Delete(ObjectRef),
    /// A property has another value.
    Set {
        /// The object.
        target: ObjectRef,
        /// The property.
        property: String,
        /// The value.
        value: Value<'static>,
    },
    /// Something was added to a counter.
    Increment {
        /// The object.
        target: ObjectRef,
        /// The counter.
        property: String,
        /// What was added.
        by: i64,
    },
    /// An element was inserted into a list.
    ListInsert {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: Element,
        /// The one it stands behind; none if it is the first.
        after: Option<ElementId>,
    },
    /// An element has another value.
    ListSet {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element, with its new value.
        element: Element,
    },
    /// An element was removed.
    ListRemove {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: ElementId,
    },
    /// An element was moved.
    ListMove {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: ElementId,
        /// The one it stands behind now; none if it is the first.
        after: Option<ElementId>,
    },
    /// Classes were changed.
    SchemaChange,
}

/// An object that an operation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// Name of its class.
    pub class: String,
    /// Its key.
    pub key: ObjectKey,
}

/// Takes the operations of a commit before it happens. What it writes to trees of its own is
/// committed with them; if it fails, nothing is.
pub type CommitHook = dyn Fn(&[Operation], &mut WriteTxn) -> Result<()> + Send + Sync;

impl Transaction {
    /// Notes that an object was touched and, if there is a commit_hook, how.
    pub(super) fn note(
        &mut self,
        table: &Table,
        key: &ObjectKey,
        operation: impl FnOnce(ObjectRef) -> Operation,
    ) {
        if let Some(target) = self.target(table, key) {
            self.operations.push(operation(target));
        }
    }

    /// Notes that an object was touched; if there is a commit_hook, returns what it is to be told of.
    fn target(&mut self, table: &Table, key: &ObjectKey) -> Option<ObjectRef> {
        self.touch([ObjectId { class: table.id, key: key.clone() }]);
        let target = || ObjectRef { class: table.name.clone(), key: key.clone() };
        self.shared.commit_hook.is_some().then(target)
    }

    /// Notes that classes were changed.
    pub(super) fn note_alter(&mut self) {
        if self.shared.commit_hook.is_some()
            && self.operations.last() != Some(&Operation::SchemaChange)
        {
            self.operations.push(Operation::SchemaChange);
        }
    }
}
