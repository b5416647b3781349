//! What an app has run when its files are opened: migrations and initial data, as hooks of a type
//! that opening understands.

use crate::config::Hook;
use crate::error::Result;
use crate::object::{Migration, Transaction};

type Migrate = Box<dyn Fn(&mut Migration<'_>) -> Result<()> + Send + Sync>;
type Fill = Box<dyn Fn(&mut Transaction) -> Result<()> + Send + Sync>;

impl Hook {
    /// Makes a migration for [`crate::config::Builder::migration`]; those of one name are equal.
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
