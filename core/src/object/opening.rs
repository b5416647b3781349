//! Opening: bringing a file to the classes of an app.
//!
//! - M6 An opening changes the schema atomically. The migration and the initial data run once.
//! - M7 After an opening that wrote, the same opening finds nothing to do.
//!
//! Specification: docs/schema.md, docs/objects.md#opening.

use super::database::Database;
use super::options::{DatabaseOptions, Migration};
use super::shared::{Shared, Snapshot};
use super::transaction::Transaction;
use super::view::View;
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::schema::{
    Action, Change, Class, Difference, Opening, Property, Schema, SchemaError, StoredSchema,
    decide, differences, require_classes, require_match,
};
use crate::table::{SchemaChange, without_key};
use crate::txn::{Store, StoreOptions};
use std::path::Path;

impl Database {
    /// Opens the objects in a file; creates it if it does not exist and the mode writes. The schema
    /// is applied in one transaction.
    ///
    /// # Errors
    /// As [`StoreOptions::open_or_create`] and [`Database::from_store`].
    pub fn open(
        options: &StoreOptions,
        path: impl AsRef<Path>,
        wanted: &DatabaseOptions<'_>,
    ) -> Result<Self> {
        let store = match wanted.only_reads() {
            true => options.open_read_only(path)?,
            false => options.open_or_create(path)?,
        };
        Self::from_store(store, wanted)
    }

    /// Creates a database in memory; dropping it leaves nothing.
    ///
    /// # Errors
    /// As [`StoreOptions::in_memory`] and [`Database::from_store`].
    pub fn in_memory(options: &StoreOptions, wanted: &DatabaseOptions<'_>) -> Result<Self> {
        Self::from_store(options.in_memory()?, wanted)
    }

    /// Opens the objects of an open store. Other databases over it may be open: all see each
    /// commit, and a subscription to one gets the commits of all.
    ///
    /// # Errors
    /// [`crate::Error::Schema`] if the file does not fit the classes under the schema mode; the
    /// errors of the migration, of the initial data, and of the store. The file is then as it was
    /// before.
    pub fn from_store(store: Store, wanted: &DatabaseOptions<'_>) -> Result<Self> {
        let synced = wanted.synced && !(wanted.has_classes() && fault::on(Fault::Ob02));
        let shared = Arc::new(Shared::new(store, wanted.hook.clone(), synced));
        let database = Self { store: shared.store.clone(), shared };
        database.apply_schema(wanted)?;
        Ok(database)
    }

    /// Brings an open database, to which others may be writing, to the classes of an app. It keeps
    /// its commit hook.
    pub(crate) fn apply_schema(&self, wanted: &DatabaseOptions<'_>) -> Result<()> {
        apply_schema(self, wanted)
    }
}

/// Decides what a file needs, and does it.
fn apply_schema(database: &Database, wanted: &DatabaseOptions<'_>) -> Result<()> {
    let seen = database.snapshot()?;
    let Some((schema, version)) = &wanted.schema else { return Ok(()) };
    let path = database.store().path();
    let decide = |file: View<'_>| {
        let stored = StoredSchema { version: file.schema_version(), schema: file.schema()? };
        let actions = decide(&Opening {
            path,
            mode: wanted.schema_mode(),
            stored: &stored,
            wanted: schema,
            version: *version,
            has_migration: wanted.migration.is_some(),
        })?;
        if wanted.only_reads() {
            require_classes(path, &stored.schema, schema)?;
        }
        Result::Ok(actions)
    };
    // The usual opening changes nothing, so it does not wait for writers.
    let is_done = decide(seen.view())?.is_empty() && !fault::on(Fault::Cf05);
    if is_done || wanted.only_reads() {
        return Ok(());
    }
    // Another writer may have changed the classes since the snapshot. From here none can.
    let (txn, older) = database.write_from()?;
    let actions = decide(older.view())?;
    if actions.is_empty() && !fault::on(Fault::Cf05) {
        return Ok(());
    }
    let (txn, older) = fault::object::version_first(database, (txn, older), *version)?;
    let mut steps = Steps { txn, older, wanted, schema, keys: Vec::new() };
    actions.into_iter().try_for_each(|action| steps.act(action))?;
    // The next opening must find nothing to do.
    let left = steps.txn.view();
    if !fault::on(Fault::Cf05) && !decide(left)?.is_empty() {
        let (path, differences) = (path.to_path_buf(), differences(&left.schema()?, schema));
        return Err(SchemaError::MigrationNeeded { path, differences }.into());
    }
    steps.txn.commit().map(drop)
}

/// A file on its way to what is wanted.
struct Steps<'a, 'w> {
    txn: Transaction,
    older: Snapshot,
    wanted: &'a DatabaseOptions<'w>,
    schema: &'a Schema,
    /// Primary keys that wait until the migration has made them unique.
    keys: Vec<String>,
}

impl Steps<'_, '_> {
    fn act(&mut self, action: Action) -> Result<()> {
        match action {
            Action::RemoveFile => self.txn.empty(&self.older),
            Action::Apply(difference) => {
                // Opening may do everything that the mode allows.
                let only_adds = std::mem::replace(&mut self.txn.only_adds, false);
                let applied = self.apply(&difference);
                self.txn.only_adds = only_adds;
                applied
            }
            Action::RunMigration { from, to } => {
                let Some(migrate) = self.wanted.migration else { return Ok(()) };
                let (older, txn) = (&self.older, &mut self.txn);
                migrate(&mut Migration { older, txn, from, to })
            }
            Action::RequireMatch => {
                let path = self.txn.shared.store.path();
                Ok(require_match(path, &self.txn.tables.catalog().schema()?, self.schema)?)
            }
            Action::RequireUniqueKeys => self.change_keys(),
            Action::SetVersion(version) => {
                self.txn.set_version(version);
                Ok(())
            }
            Action::WriteInitialData => match self.wanted.initial_data {
                Some(fill) => fill(&mut self.txn),
                None => Ok(()),
            },
        }
    }

    fn apply(&mut self, Difference { class, change }: &Difference) -> Result<()> {
        let wanted = |property: &str| {
            self.schema.class(class).and_then(|class| class.property(property)).cloned()
        };
        match change {
            Change::AddClass => {
                let is_local = self.schema.class(class).is_some_and(Class::is_local);
                let class = Class::new(class.clone())?;
                self.txn.add_class(&if is_local { class.local() } else { class })
            }
            Change::AddInitialProperties => {
                let Some(class) = self.schema.class(class) else { return Ok(()) };
                class
                    .stored_properties()
                    .try_for_each(|property| self.txn.add_property(class.name(), property))
            }
            Change::AddProperty { property } => {
                let Some(wanted) = wanted(property) else { return Ok(()) };
                // The key is changed by a difference of its own.
                let wanted = without_key(&wanted, wanted.kind().clone())?;
                self.txn.add_property(class, &wanted)
            }
            Change::RemoveProperty { property } => self.txn.remove_property(class, property),
            Change::ChangeType { property, .. } => {
                self.txn.remove_property(class, property)?;
                let Some(wanted) = wanted(property) else { return Ok(()) };
                if wanted.is_primary_key() && !fault::on(Fault::Sc07) {
                    self.keys.push(class.clone());
                }
                let wanted = without_key(&wanted, wanted.kind().clone())?;
                self.txn.add_property(class, &wanted)
            }
            Change::MakeNullable { property } => self.txn.set_nullable(class, property, true),
            Change::MakeRequired { property } => self.txn.set_nullable(class, property, false),
            Change::ChangePrimaryKey { .. } => {
                self.keys.push(class.clone());
                Ok(())
            }
            Change::AddIndex { .. } if fault::on(Fault::Ob04) => Ok(()),
            Change::AddIndex { property } => self.txn.set_indexed(class, property, true),
            Change::RemoveIndex { property } => self.txn.set_indexed(class, property, false),
            Change::ChangeLocal { .. } => {
                // No mode decides it.
                let path = self.txn.shared.store.path().to_path_buf();
                let (class, change) = (class.clone(), change.clone());
                let differences = vec![Difference { class, change }];
                Err(SchemaError::MigrationNeeded { path, differences }.into())
            }
        }
    }

    /// Changes primary keys, which fails if they are not unique.
    fn change_keys(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.keys) {
            let Some(class) = self.schema.class(&name) else { continue };
            self.txn.set_primary_key(&name, class.primary_key().map(Property::name))?;
            // The key may have added and removed an index.
            for property in class.stored_properties() {
                self.txn.set_indexed(&name, property.name(), property.is_indexed())?;
            }
        }
        Ok(())
    }
}

impl Transaction {
    /// Removes everything that the file held when the transaction began, also the trees that hold
    /// no objects.
    fn empty(&mut self, older: &Snapshot) -> Result<()> {
        let catalog = Arc::clone(self.tables.catalog());
        let root = format!("{}/", catalog.root());
        self.change(|txn| {
            catalog.tables().try_for_each(|table| txn.touch_all(table))?;
            txn.tables.clear()?;
            let others = older.store().tree_names().filter(|name| !name.starts_with(&root));
            for name in others {
                txn.tables.txn_mut().tree(name)?.clear()?;
            }
            txn.note_schema(|| SchemaChange::Clear);
            Ok(())
        })
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        if self.tables.catalog().version != Some(version) {
            self.tables.set_version(version);
            self.note_schema(|| SchemaChange::SetVersion { version });
        }
    }
}
