//! Tables: the classes of objects as trees below one root, a floor between transactions on trees
//! and the objects of an app.
//!
//! This floor changes trees. It refuses no request, sends no notification, and takes the root as a
//! parameter; its only errors are damage and those of the disk. `crate::object` checks what an app
//! may do and records what was touched. The crate `fastness-sync` keeps replicas with
//! [`Tables::apply`].
//!
//! Files, from the top; each imports only from those above it: `value` values and addresses,
//! `limits`, `column`, `columns`, `class_table` the layout of a class, `catalog` all classes, `key`
//! keys of trees, `record`, `index`, `list`, `list_chunks` entries of trees, `operation` changes as
//! values, `reader` reading, `edited_lists` and `list_compare` two versions of a list, `pre_images`
//! and `tables` writing, `backlinks`, `list_places`, `list_edit`, `list_segments`, `rows`, `alter`
//! and `rebuild` changes of objects and classes, `apply` and `apply_schema` operations, `problem`,
//! `integrity` and `list_integrity` the check of all trees, `replica` the face for the crate of
//! sync, `trees` the names of trees for tools.
//!
//! - B2 A link leads to an object that exists, or to none.
//! - B4 The back-links of an object are exactly the links that lead to it.
//! - B5 An element keeps its id, and no other element of the file ever has it.
//! - B6 Numbers of classes and columns, and slots of records, are never reused.
//! - B7 Two keys of objects fit into one key of a tree.
//! - B8 A slot beyond the end of a record reads as the value of a new object.
//! - B13 The check of all trees reports everything that contradicts the objects, and nothing else.
//! - B14 An edit of a list, and finding an element, read and write a bounded number of entries.
//! - B15 A counter at its maximum is an error, and never wraps.
//! - Q2 An index holds exactly one entry for each object, at the object's value.
//!
//! Specification and format: docs/objects.md. Model: `models::objects`. Checks:
//! `sim::check::{objects, schema, queries}`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

mod alter;
mod apply;
mod apply_schema;
mod backlinks;
mod catalog;
mod class_table;
mod column;
mod columns;
mod edited_lists;
pub(crate) mod index;
mod integrity;
mod key;
pub(crate) mod limits;
mod list;
mod list_chunks;
mod list_compare;
mod list_edit;
mod list_integrity;
mod list_places;
mod list_segments;
mod operation;
mod pre_images;
mod problem;
mod reader;
mod rebuild;
mod record;
#[cfg(feature = "sync")]
mod replica;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "inspect"))]
pub(crate) mod trees;
mod value;

pub(crate) use alter::{without_key, zero};
pub use apply::{Applied, Dropped};
pub(crate) use backlinks::{Nullified, Replaced};
pub use catalog::Catalog;
pub(crate) use catalog::MAIN;
pub(crate) use class_table::ClassTable;
pub(crate) use column::{Column, ColumnPlace};
pub(crate) use edited_lists::EditedLists;
pub(crate) use integrity::problems;
pub(crate) use key::{after, links_from, read_link};
pub use list::Element;
pub(crate) use list::{ELEMENTS_MAX, LIST_BYTES_MAX, element_bytes};
pub(crate) use list_chunks::StoredList;
pub(crate) use list_compare::ComparedLists;
pub use operation::{ObjectRef, Operation, SchemaChange};
pub use pre_images::{PreImage, PreImages};
pub use problem::{ObjectProblem, ObjectProblemKind};
pub(crate) use reader::{ColumnRef, ListRef, RecordRef};
pub use reader::{Elements, TableReader};
pub(crate) use rebuild::Unusable;
pub(crate) use record::{EMPTY as EMPTY_RECORD, RecordSlot, plain};
#[cfg(feature = "sync")]
pub use replica::{LinkSource, NamedList, SideEntry, SideKey, VisitSide};
pub(crate) use rows::ValueChange;
pub use tables::Tables;
pub use value::{
    ClassId, ElementId, ObjectId, ObjectKey, RowId, Timestamp, TimestampTextError, Value,
};
