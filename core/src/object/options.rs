//! Options of a database: the classes of an app, and how to bring a file to them.
//!
//! Specification: docs/schema.md, docs/objects.md#opening.

#[cfg(feature = "sync")]
use super::commit_hook::ReplicaHook;
use super::commit_hook::{CommitHook, HookKind};
use super::shared::Snapshot;
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::Result;
use crate::schema::{Schema, SchemaMode};
use std::fmt;

type Migrate<'a> = &'a dyn Fn(&mut Migration<'_>) -> Result<()>;
type Fill<'a> = &'a dyn Fn(&mut Transaction) -> Result<()>;

/// Options of a database: the classes that an app needs, and how to bring a file to them.
#[derive(Clone, Default)]
pub struct DatabaseOptions<'a> {
    /// Without classes, any file will do.
    pub(super) schema: Option<(Schema, u64)>,
    mode: Option<SchemaMode>,
    pub(super) migration: Option<Migrate<'a>>,
    pub(super) initial_data: Option<Fill<'a>>,
    pub(super) hook: Option<HookKind>,
    pub(super) synced: bool,
}

/// A migration in progress: the objects as they were, and a transaction to change them and their
/// classes.
#[derive(Debug)]
pub struct Migration<'a> {
    pub(super) older: &'a Snapshot,
    pub(super) txn: &'a mut Transaction,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl<'a> DatabaseOptions<'a> {
    /// Opens a file with the classes that it has. The version is not checked, and nothing is
    /// migrated.
    #[must_use]
    pub fn dynamic() -> Self {
        Self::default()
    }

    /// Opens a file with these classes, at this version. The mode is [`SchemaMode::Manual`].
    #[must_use]
    pub fn schema(schema: Schema, version: u64) -> Self {
        Self { schema: Some((schema, version)), ..Self::default() }
    }

    /// Sets the treatment of a file with other classes. A mode that only reads opens it read-only.
    #[must_use]
    pub fn mode(mut self, mode: SchemaMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets the migration of a file from a lower version.
    #[must_use]
    pub fn migration(mut self, migration: Migrate<'a>) -> Self {
        self.migration = Some(migration);
        self
    }

    /// Sets the initial data of a file that never had a schema.
    #[must_use]
    pub fn initial_data(mut self, fill: Fill<'a>) -> Self {
        self.initial_data = Some(fill);
        self
    }

    /// Sets the hook that gets the operations of every commit, including those of a migration.
    #[must_use]
    pub fn commit_hook(mut self, commit_hook: Arc<CommitHook>) -> Self {
        self.hook = Some(HookKind::Commit(commit_hook));
        self
    }

    /// Sets the hook of a replica instead of the commit hook. No promised interface.
    #[cfg(feature = "sync")]
    #[doc(hidden)]
    #[must_use]
    pub fn replica_hook(mut self, hook: Arc<ReplicaHook>) -> Self {
        self.hook = Some(HookKind::Replica(hook));
        self
    }

    /// Marks the file as synced: transactions may then add classes, properties and indexes, but
    /// neither change nor remove any.
    #[must_use]
    pub fn synced(mut self) -> Self {
        self.synced = true;
        self
    }

    pub(super) const fn has_classes(&self) -> bool {
        self.schema.is_some()
    }

    pub(super) fn schema_mode(&self) -> SchemaMode {
        self.mode.unwrap_or(SchemaMode::Manual)
    }

    pub(super) fn only_reads(&self) -> bool {
        self.schema_mode().only_reads()
    }
}

impl fmt::Debug for DatabaseOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("schema", &self.schema)
            .field("mode", &self.mode)
            .field("migration", &self.migration.is_some())
            .field("initial_data", &self.initial_data.is_some())
            .field("commit_hook", &self.hook.is_some())
            .field("synced", &self.synced)
            .finish()
    }
}

impl<'a> Migration<'a> {
    /// Returns the version of the file.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// Returns the version of the app's classes.
    #[must_use]
    pub const fn to(&self) -> u64 {
        self.to
    }

    /// Returns the objects as they were before.
    #[must_use]
    pub const fn old(&self) -> &'a Snapshot {
        self.older
    }

    /// Returns the transaction to change objects and classes in.
    pub fn new_txn(&mut self) -> &mut Transaction {
        self.txn
    }
}
