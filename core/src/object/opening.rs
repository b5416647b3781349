//! Opening: what an app wants of a file, and bringing it about.
//!
//! - M6 What an opening does to the schema happens whole or not at all, and the migration and the
//!   initial data run once.
//!
//! Specification: docs/schema.md, docs/objects.md#opening.

use super::catalog::Catalog;
use super::database::{Database, Snapshot};
use super::operation::CommitHook;
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::schema::{
    Action, Change, Class, Difference, Opening, Property, Schema, SchemaMode, StoredSchema, decide,
    require_classes, require_match,
};
use std::fmt;

type Migrate<'a> = &'a dyn Fn(&mut Migration<'_>) -> Result<()>;
type Fill<'a> = &'a dyn Fn(&mut Transaction) -> Result<()>;

/// What an app wants of a file.
#[derive(Clone, Default)]
pub struct DatabaseOptions<'a> {
    /// Without classes, whatever the file holds is fine.
    schema: Option<(Schema, u64)>,
    mode: Option<SchemaMode>,
    migration: Option<Migrate<'a>>,
    initial_data: Option<Fill<'a>>,
    pub(super) commit_hook: Option<Arc<CommitHook>>,
    pub(super) synced: bool,
}

/// A migration that is under way: the objects as they were, and a transaction to change them and
/// their classes.
#[derive(Debug)]
pub struct Migration<'a> {
    older: &'a Snapshot,
    txn: &'a mut Transaction,
    from: u64,
    to: u64,
}

impl<'a> DatabaseOptions<'a> {
    /// Wants nothing but to look at, or change, what the file holds: no version is checked, and
    /// nothing is migrated.
    #[must_use]
    pub fn dynamic() -> Self {
        Self::default()
    }

    /// Wants these classes, at this version. The mode is [`SchemaMode::Manual`].
    #[must_use]
    pub fn schema(schema: Schema, version: u64) -> Self {
        Self { schema: Some((schema, version)), ..Self::default() }
    }

    /// Says how a file is treated that differs. A mode that only reads opens the file read-only.
    #[must_use]
    pub fn mode(mut self, mode: SchemaMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Brings a file up from a lower version.
    #[must_use]
    pub fn migration(mut self, migration: Migrate<'a>) -> Self {
        self.migration = Some(migration);
        self
    }

    /// Fills a file that never had a schema.
    #[must_use]
    pub fn initial_data(mut self, fill: Fill<'a>) -> Self {
        self.initial_data = Some(fill);
        self
    }

    /// Hands over the operations of every commit, those of a migration included.
    #[must_use]
    pub fn commit_hook(mut self, commit_hook: Arc<CommitHook>) -> Self {
        self.commit_hook = Some(commit_hook);
        self
    }

    /// Says that the file is synced: transactions may then add classes, properties and indexes, and
    /// neither change nor remove any.
    #[must_use]
    pub fn synced(mut self) -> Self {
        self.synced = true;
        self
    }

    pub(super) const fn has_classes(&self) -> bool {
        self.schema.is_some()
    }

    fn schema_mode(&self) -> SchemaMode {
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
            .field("commit_hook", &self.commit_hook.is_some())
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

    /// Returns the version that is wanted.
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

/// Decides what a file needs and does it.
pub(super) fn bring_about(database: &Database, wanted: &DatabaseOptions<'_>) -> Result<()> {
    let seen = database.snapshot()?;
    let Some((schema, version)) = &wanted.schema else { return Ok(()) };
    let path = database.store().path();
    let decide = |file: &Snapshot| {
        let file = file.view();
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
    // Mostly there is nothing to do, and no need to wait for writers.
    let is_done = decide(&seen)?.is_empty() && !fault::on(Fault::Cf05);
    if is_done || wanted.only_reads() {
        return Ok(());
    }
    // Another writer may have changed the classes since; now nobody can.
    let (txn, older) = database.write_from()?;
    let actions = decide(&older)?;
    if actions.is_empty() && !fault::on(Fault::Cf05) {
        return Ok(());
    }
    let (txn, older) = match fault::on(Fault::Sc05) {
        true => version_first((database, txn), *version)?,
        false => (txn, older),
    };
    let mut steps = Steps { txn, older, wanted, schema, keys: Vec::new() };
    actions.into_iter().try_for_each(|action| steps.act(action))?;
    steps.txn.commit().map(drop)
}

/// What [`Fault::Sc05`] does.
fn version_first(
    (database, mut txn): (&Database, Transaction),
    version: u64,
) -> Result<(Transaction, Snapshot)> {
    txn.set_version(version);
    txn.commit()?;
    database.write_from()
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
                // What the mode allows, opening may do.
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
                Ok(require_match(path, &self.txn.catalog.schema()?, self.schema)?)
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
            Change::AddClass => self.txn.add_class(&Class::new(class.clone())?),
            Change::AddInitialProperties => {
                let Some(class) = self.schema.class(class) else { return Ok(()) };
                class
                    .stored_properties()
                    .try_for_each(|property| self.txn.add_property(class.name(), property))
            }
            Change::AddProperty { property } => {
                let Some(wanted) = wanted(property) else { return Ok(()) };
                // The key is changed by a difference of its own.
                let wanted = super::alter::without_key(&wanted, wanted.kind().clone())?;
                self.txn.add_property(class, &wanted)
            }
            Change::RemoveProperty { property } => self.txn.remove_property(class, property),
            Change::ChangeType { property, .. } => {
                self.txn.remove_property(class, property)?;
                let Some(wanted) = wanted(property) else { return Ok(()) };
                let wanted = super::alter::without_key(&wanted, wanted.kind().clone())?;
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
        }
    }

    /// Changes primary keys, which fails if they are not unique.
    fn change_keys(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.keys) {
            let Some(class) = self.schema.class(&name) else { continue };
            self.txn.set_primary_key(&name, class.primary_key().map(Property::name))?;
            // An index may have come and gone with the key.
            for property in class.stored_properties() {
                self.txn.set_indexed(&name, property.name(), property.is_indexed())?;
            }
        }
        Ok(())
    }
}

impl Transaction {
    /// Removes everything the file held when the transaction began.
    fn empty(&mut self, older: &Snapshot) -> Result<()> {
        let catalog = Arc::clone(&self.catalog);
        self.change(|txn| {
            txn.note_alter();
            catalog.tables().try_for_each(|table| txn.touch_all(table))?;
            for name in older.store().tree_names() {
                if name != super::catalog::schema_tree() {
                    txn.txn.tree(name)?.clear()?;
                }
            }
            Arc::<Catalog>::make_mut(&mut txn.catalog).clear();
            Ok(())
        })
    }

    fn set_version(&mut self, version: u64) {
        Arc::make_mut(&mut self.catalog).version = Some(version);
    }
}
