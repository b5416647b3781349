//! Objects: classes of them in one file, typed by a schema, linked to each other.
//!
//! Start with [`Database`]: it opens a file with the classes of an app, as [`DatabaseOptions`] name
//! them, and gives out [`Snapshot`]s to read and one [`Transaction`] at a time to write. The trees
//! are changed by `crate::table`; this module decides what an app may do, reports changes to
//! subscriptions, and hands operations to the commit hook.
//!
//! Files, from the top; each imports only from those above it: `commit_hook`, `nearest` mistyped
//! names, `lookup` names and refusals, `view` reading, `filter`, `query_plan`, `query`, `changes`,
//! `queues`, `signal`, `feeds`, `shared` the state of a database, `transaction`, `lists`,
//! `write_properties`, `alter` writing, `options`, `database`, `opening`, `subscribe`, `follower`,
//! `result_changes`, `live_rows`, `live_query`, `live_object`.
//!
//! - B1 Every operation answers as the model does.
//! - B2 A link leads to an object that exists, or to none.
//! - B3 A refused operation changes nothing.
//! - B16 An error of the app that a callback returns comes back unchanged, and nothing of the
//!   transaction is committed.
//! - M6 An opening changes the schema atomically.
//! - Q1 A query answers the same whichever way it finds the objects that it reads.
//! - W1 The changes of a commit are exactly the differences between the objects before it and after
//!   it.
//! - W2 A subscription gets every commit after the one it began with that changed objects, in order
//!   and exactly once.
//! - W3 A commit hands its operations to the hook in order and exactly once. A dropped transaction
//!   delivers nothing. The writes of the hook commit atomically with the transaction.
//! - W4 After a commit that changed objects is visible, every subscription is woken.
//! - W6 The result that a subscriber has applied equals the answer of its query on the snapshot of
//!   the report.
//! - W7 A live result reports every object that commits changed since the report before, and no
//!   other, unless the report says that it was collapsed.
//! - W8 A live result keeps a bounded number of keys however late its subscriber is, and no writer
//!   waits for the subscriber.
//!
//! Specification: docs/objects.md. Model: `models::objects`. Checks:
//! `sim::check::{objects, schema, queries, observers}`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

mod aggregate;
mod alter;
mod changes;
#[cfg_attr(
    not(feature = "sync"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "only the crate of sync sets the hook of a replica"
    )
)]
mod commit_hook;
mod compiled;
mod database;
pub(crate) mod error;
mod feeds;
mod filter;
mod follower;
mod lists;
mod live_object;
mod live_query;
mod live_rows;
mod lookup;
mod nearest;
mod opening;
mod options;
mod query;
mod query_plan;
mod query_walk;
mod queues;
mod result_changes;
mod shared;
mod signal;
mod subscribe;
mod transaction;
mod view;
pub(crate) mod visits;
mod write_found;
mod write_properties;

pub use crate::table::{
    ClassId, Element, ElementId, Elements, ObjectId, ObjectKey, ObjectRef, Operation, RowId,
    SchemaChange, Timestamp, TimestampTextError, Value,
};
pub use crate::unit::PRIMARY_KEY_BYTES_MAX;
pub use aggregate::Groups;
pub use changes::{Changes, ClassChanges, ListChanges, PropertyChange};
pub use commit_hook::CommitHook;
pub(crate) use commit_hook::HookKind;
#[cfg(feature = "sync")]
#[doc(hidden)]
pub use commit_hook::{PendingCommit, ReplicaHook};
pub use database::Database;
pub use filter::{CompareOp, Filter, StringOp};
pub use lists::ListMut;
pub use live_object::{LiveList, LiveObject, ObjectChanges};
pub use live_query::{LivePlan, LiveQuery};
pub use options::{DatabaseOptions, Migration};
pub use query::{Position, Query};
pub use query_plan::{Order, QueryPlan};
pub use result_changes::ResultChanges;
pub use shared::Snapshot;
pub use subscribe::Subscription;
pub use transaction::Transaction;
pub use view::{Object, ObjectIter, Objects, Projection, View};
pub use write_properties::PropertyValue;
