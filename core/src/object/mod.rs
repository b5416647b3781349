//! Objects: classes of them in one file, typed by a schema, linked to each other.
//!
//! Start with [`Database`]: it opens a file with the classes an app [`DatabaseOptions`], and gives out
//! [`Snapshot`]s to read and one [`Transaction`] at a time to write.
//!
//! - B1 Every operation answers as the model does.
//! - B2 A link leads to an object that is there, or to none.
//! - B3 A refused operation changes nothing.
//! - B4 The links that are noted at an object are exactly those that lead to it.
//! - B5 An element keeps its id, and no other element of the file ever has it.
//! - M6 What an opening does to the schema happens whole or not at all.
//! - Q1 A query answers the same whichever way it finds the objects it looks at.
//! - Q2 An index holds exactly one entry for each object, at the value that the object has.
//! - W1 What a commit is said to have changed is exactly how the objects before it and after it
//!   differ.
//! - W2 An observer is told every commit after the one it began with that changed objects: in
//!   order, none left out and none twice.
//! - W3 A commit hands its operations to the commit_hook in order and exactly once, a transaction that
//!   is dropped none; what the commit_hook writes is there exactly if the commit is.
//!
//! Specification and format: docs/objects.md. Model: `models::objects`. Checks:
//! `sim::check::{objects, schema, queries, observers}`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

mod alter;
mod catalog;
mod changes;
mod columns;
mod database;
pub(crate) mod error;
mod filter;
mod index;
mod key;
mod links;
mod list;
mod lists;
mod opening;
mod operation;
mod parts;
mod query;
mod query_plan;
mod queues;
mod rebuild;
mod record;
mod subscribe;
mod transaction;
#[cfg(any(test, feature = "inspect"))]
pub(crate) mod trees;
mod value;
mod view;
mod walk;
mod whole;

pub use crate::unit::PRIMARY_KEY_BYTES_MAX;
pub use changes::{Changes, ClassChanges, ListChanges, PropertyChange};
pub use database::{Database, Snapshot};
pub use filter::{CompareOp, Filter, StringOp};
pub use list::Element;
pub use lists::ListMut;
pub use opening::{DatabaseOptions, Migration};
pub use operation::{CommitHook, ObjectRef, Operation};
pub use parts::Elements;
pub use query::{Order, Query};
pub use query_plan::QueryPlan;
pub use subscribe::Subscription;
pub use transaction::Transaction;
pub use value::{ClassId, ElementId, ObjectId, ObjectKey, Timestamp, Value};
pub use view::{Object, ObjectIter, Objects, Projection, View};
pub use whole::PropertyValue;
