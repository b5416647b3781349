//! Callbacks of an opening: migrations and initial data, as the callback types that it runs.

use crate::config::Callback;
use crate::error::Result;
use crate::object::{Migration, Transaction};

type MigrationFn = Box<dyn Fn(&mut Migration<'_>) -> Result<()> + Send + Sync>;
type InitialDataFn = Box<dyn Fn(&mut Transaction) -> Result<()> + Send + Sync>;

impl Callback {
    /// Creates a migration for [`crate::config::Builder::migration`]. Migrations of one name are
    /// equal.
    ///
    /// A migration reads the old objects and changes classes and objects to the schema of the
    /// configuration, in one transaction.
    ///
    /// ```
    /// use fastness::StoreOptions;
    /// use fastness::config::{App, Configuration, Callback};
    /// use fastness::instance::FileRegistry;
    /// use fastness::object::Value;
    /// use fastness::schema::{Class, Module, Property, Scalar};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let app = App::new(dir.path());
    /// let registry = FileRegistry::open(&app, StoreOptions::new())?;
    /// let text = |name| Property::new(name, Scalar::String);
    ///
    /// // The first version of the app stores the place within the name.
    /// let module = Module::new("dogs", [Class::new("Dog")?.with(text("name")?)]);
    /// let first = Configuration::builder(&app).modules([module]).build()?;
    /// let instance = registry.open_instance(&first)?;
    /// let rex = instance.transact(|txn| {
    ///     let rex = txn.create("Dog")?;
    ///     txn.set(&rex, "name", "Rex of Rome")?;
    ///     Ok(rex)
    /// })?;
    /// instance.close()?;
    ///
    /// // The second version stores the place in a property of its own.
    /// let split = Callback::migration("split names", move |migration| {
    ///     let dogs = migration.old().objects("Dog")?;
    ///     let txn = migration.new_txn();
    ///     txn.add_property("Dog", &text("place")?)?;
    ///     for dog in dogs.iter()? {
    ///         let dog = dog?;
    ///         if let Value::String(whole) = dog.get("name")?
    ///             && let Some((name, place)) = whole.split_once(" of ")
    ///         {
    ///             txn.set(&dog.id(), "name", name)?;
    ///             txn.set(&dog.id(), "place", place)?;
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let class = Class::new("Dog")?.with(text("name")?).with(text("place")?);
    /// let second = Configuration::builder(&app)
    ///     .modules([Module::new("dogs", [class])])
    ///     .schema_version(1)?
    ///     .migration(split)
    ///     .build()?;
    /// let snapshot = registry.open_instance(&second)?.snapshot()?;
    /// assert_eq!(snapshot.object(&rex)?.unwrap().get("place")?, "Rome".into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn migration(
        name: &str,
        migrate: impl Fn(&mut Migration<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let migrate: MigrationFn = Box::new(migrate);
        Self::named(name, migrate)
    }

    /// Creates the initial data of a new file, for [`crate::config::Builder::initial_data`].
    /// Callbacks of one name are equal.
    #[must_use]
    pub fn initial_data(
        name: &str,
        fill: impl Fn(&mut Transaction) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let fill: InitialDataFn = Box::new(fill);
        Self::named(name, fill)
    }

    /// Runs a migration; a callback of another type does nothing.
    pub(super) fn migrate(&self, migration: &mut Migration<'_>) -> Result<()> {
        self.body::<MigrationFn>().map_or(Ok(()), |migrate| migrate(migration))
    }

    /// Writes initial data; a callback of another type does nothing.
    pub(super) fn fill(&self, txn: &mut Transaction) -> Result<()> {
        self.body::<InitialDataFn>().map_or(Ok(()), |fill| fill(txn))
    }
}
