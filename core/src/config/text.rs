//! Configurations as texts: a field a line, a key as its length only (O3).

use super::value::{Configuration, StorageMode, SyncPart};
use std::fmt::{self, Display, Formatter};

impl Display for StorageMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disk => "FULL",
            Self::Memory => "MEM_ONLY",
        })
    }
}

/// Prints `None` as `null`.
struct OrNull<'a, T>(Option<&'a T>);

impl<T: Display> Display for OrNull<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

impl Display for Configuration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let directory = self.directory.as_ref().map(|path| path.display().to_string());
        let names: Vec<&str> = self.schema.classes().iter().map(|class| class.name()).collect();
        writeln!(f, "realmDirectory: {}", directory.unwrap_or_default())?;
        writeln!(f, "realmFileName : {}", OrNull(self.file_name.as_ref()))?;
        writeln!(f, "canonicalPath: {}", self.canonical_path.display())?;
        writeln!(f, "key: [length: {}]", if self.key.is_some() { 64 } else { 0 })?;
        writeln!(f, "schemaVersion: {}", self.schema_version)?;
        writeln!(f, "migration: {}", OrNull(self.migration.as_ref()))?;
        writeln!(f, "deleteRealmIfMigrationNeeded: {}", self.delete_if_migration_needed)?;
        writeln!(f, "durability: {}", self.storage)?;
        writeln!(f, "schemaMediator: [{}]", names.join(", "))?;
        writeln!(f, "readOnly: {}", self.read_only)?;
        write!(f, "compactOnLaunch: {}", OrNull(self.compaction.as_ref()))?;
        match &self.sync {
            Some(sync) => write!(f, "\n{sync}"),
            None => Ok(()),
        }
    }
}

impl Display for SyncPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "serverUrl: {}", self.url)?;
        writeln!(f, "user: {}", self.user)?;
        writeln!(f, "errorHandler: {}", self.error_handler)?;
        writeln!(f, "deleteRealmOnLogout: {}", self.deletes_on_logout)?;
        write!(f, "waitForInitialRemoteData: {}", self.waits_for_initial_data)
    }
}
