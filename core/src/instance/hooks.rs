//! What an app has run when its files are opened: migrations and initial data, as hooks of a type
//! that opening understands.

use crate::config::Callback;
use crate::error::Result;
use crate::object::{Migration, Transaction};

type Migrate = Box<dyn Fn(&mut Migration<'_>) -> Result<()> + Send + Sync>;
type Fill = Box<dyn Fn(&mut Transaction) -> Result<()> + Send + Sync>;

impl Callback {
    /// Makes a migration for [`crate::config::Builder::migration`]; those of one name are equal.
    ///
    /// It changes classes and objects until they are as the configuration wants them, and sees how
    /// they were. All of it happens, or nothing.
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
        let migrate: Migrate = Box::new(migrate);
        Self::named(name, migrate)
    }

    /// Makes what fills a new file, for [`crate::config::Builder::initial_data`]; those of one name
    /// are equal.
    #[must_use]
    pub fn initial_data(
        name: &str,
        fill: impl Fn(&mut Transaction) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let fill: Fill = Box::new(fill);
        Self::named(name, fill)
    }

    /// Runs a migration; a hook that is none does nothing.
    pub(super) fn migrate(&self, migration: &mut Migration<'_>) -> Result<()> {
        self.body::<Migrate>().map_or(Ok(()), |migrate| migrate(migration))
    }

    /// Runs initial data; a hook that is none does nothing.
    pub(super) fn fill(&self, txn: &mut Transaction) -> Result<()> {
        self.body::<Fill>().map_or(Ok(()), |fill| fill(txn))
    }
}
