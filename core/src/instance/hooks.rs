//! Callbacks that opening a file runs: migrations and initial data.

use crate::config::Callback;
use crate::error::Result;
use crate::object::{Migration, Transaction};

type MigrationBody = Box<dyn Fn(&mut Migration<'_>) -> Result<()> + Send + Sync>;
type InitialDataBody = Box<dyn Fn(&mut Transaction) -> Result<()> + Send + Sync>;

impl Callback {
    /// Creates a migration for [`crate::config::Builder::migration`]; those of one name are equal.
    ///
    /// It changes classes and objects to the schema of the configuration, and reads the old ones.
    /// It is atomic.
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
    /// let instances = FileRegistry::open(&app, StoreOptions::new())?;
    /// let text = |name| Property::new(name, Scalar::String);
    ///
    /// // The first version of the app has names, with the place in them.
    /// let module = Module::new("dogs", [Class::new("Dog")?.with(text("name")?)]);
    /// let first = Configuration::builder(&app).modules([module]).build()?;
    /// let instance = instances.open_instance(&first)?;
    /// let rex = instance.transact(|txn| {
    ///     let rex = txn.create("Dog")?;
    ///     txn.set(&rex, "name", "Rex of Rome")?;
    ///     Ok(rex)
    /// })?;
    /// instance.close()?;
    ///
    /// // The second has the place apart.
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
    /// let snapshot = instances.open_instance(&second)?.snapshot()?;
    /// assert_eq!(snapshot.object(&rex)?.unwrap().get("place")?, "Rome".into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn migration(
        name: &str,
        migrate: impl Fn(&mut Migration<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let migrate: MigrationBody = Box::new(migrate);
        Self::named(name, migrate)
    }

    /// Creates the initial data of a new file, for [`crate::config::Builder::initial_data`]; those
    /// of one name are equal.
    #[must_use]
    pub fn initial_data(
        name: &str,
        fill: impl Fn(&mut Transaction) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let fill: InitialDataBody = Box::new(fill);
        Self::named(name, fill)
    }

    /// Runs a migration; another callback does nothing.
    pub(super) fn migrate(&self, migration: &mut Migration<'_>) -> Result<()> {
        self.body::<MigrationBody>().map_or(Ok(()), |migrate| migrate(migration))
    }

    /// Runs initial data; another callback does nothing.
    pub(super) fn fill(&self, txn: &mut Transaction) -> Result<()> {
        self.body::<InitialDataBody>().map_or(Ok(()), |fill| fill(txn))
    }
}
