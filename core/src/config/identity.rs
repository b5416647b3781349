//! When two configurations are the same (O1), and the hash that says so everywhere (O2).

use super::callback::{Callback, CompactionPolicy};
use super::hash::{self, Hash};
use super::secret::Secret;
use super::value::{Configuration, StorageMode, SyncPart};
use crate::fault;
use crate::instance::error::ConfigurationDifference;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

/// A field in which configurations differ, in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the options")]
pub enum ConfigField {
    Kind,
    SchemaVersion,
    DeleteIfMigrationNeeded,
    ReadOnly,
    Directory,
    FileName,
    CanonicalPath,
    AssetFile,
    Key,
    Migration,
    Storage,
    Schema,
    InitialData,
    Compaction,
    DeleteOnLogout,
    CertificateCheck,
    Url,
    User,
    ErrorHandler,
    TrustedRoot,
    CertificatePath,
    WaitForInitialData,
}

impl ConfigField {
    /// Returns the name that documents and messages use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind => "whether it is synced",
            Self::SchemaVersion => "the schema version",
            Self::DeleteIfMigrationNeeded => "deletion instead of migration",
            Self::ReadOnly => "read-only",
            Self::Directory => "the directory",
            Self::FileName => "the file name",
            Self::CanonicalPath => "the canonical path",
            Self::AssetFile => "the asset file",
            Self::Key => "the key",
            Self::Migration => "the migration",
            Self::Storage => "the storage",
            Self::Schema => "the schema",
            Self::InitialData => "the initial data",
            Self::Compaction => "the compaction rule",
            Self::DeleteOnLogout => "deletion on logout",
            Self::CertificateCheck => "the certificate check",
            Self::Url => "the URL",
            Self::User => "the user",
            Self::ErrorHandler => "the error handler",
            Self::TrustedRoot => "the trusted root",
            Self::CertificatePath => "the certificate path",
            Self::WaitForInitialData => "waiting for initial data",
        }
    }
}

impl Configuration {
    /// Returns the difference from the configuration of the open file.
    pub(crate) fn difference_from(&self, open: &Self) -> ConfigurationDifference {
        let field = self.first_difference(open).map_or("nothing", ConfigField::name);
        match (&self.migration, &open.migration) {
            _ if self.key != open.key => ConfigurationDifference::Key,
            (Some(new), Some(old)) if new != old && new.is_of_type_of(old) => {
                ConfigurationDifference::UnnamedMigration
            }
            _ => ConfigurationDifference::Field(field),
        }
    }

    /// Returns the first field in which the two differ; none if they are equal.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<ConfigField> {
        let base = [
            (ConfigField::Kind, self.is_synced() == other.is_synced()),
            (ConfigField::SchemaVersion, self.schema_version == other.schema_version),
            (
                ConfigField::DeleteIfMigrationNeeded,
                self.delete_if_migration_needed == other.delete_if_migration_needed,
            ),
            (ConfigField::ReadOnly, self.read_only == other.read_only),
            (ConfigField::Directory, self.directory == other.directory),
            (ConfigField::FileName, self.file_name == other.file_name),
            // Compared as text: a recovery path is taken as it is.
            (
                ConfigField::CanonicalPath,
                self.canonical_path.as_os_str() == other.canonical_path.as_os_str(),
            ),
            (ConfigField::AssetFile, self.asset_file == other.asset_file),
            (ConfigField::Key, self.key == other.key),
            (ConfigField::Migration, self.migration == other.migration),
            (ConfigField::Storage, self.storage == other.storage),
            (ConfigField::Schema, self.schema == other.schema),
            (ConfigField::InitialData, self.initial_data == other.initial_data),
            (ConfigField::Compaction, self.compaction == other.compaction),
        ];
        let differs = base.into_iter().find(|(_, same)| !same).map(|(field, _)| field);
        differs.or_else(|| self.sync.as_ref()?.first_difference(other.sync.as_ref()?))
    }

    /// Returns a hash that is the same in every run and on every machine; equal configurations have
    /// the same, different ones may. It depends on the key: do not publish it.
    #[must_use]
    pub fn stable_hash(&self) -> i32 {
        let classes = self.schema.classes().iter();
        let schema =
            classes.fold(0_i32, |sum, class| sum.wrapping_add(hash::text(&class.to_string())));
        let directory = fault::config::require_directory(self.directory.as_ref());
        let base = Hash::default()
            .option(directory, |path| hash::directory(&path.to_string_lossy()))
            .option(self.file_name.as_ref(), |name| hash::text(name))
            .term(of_path(&self.canonical_path))
            .option(self.asset_file.as_ref(), |name| hash::text(name))
            .option(self.key.as_ref(), Secret::hash)
            .term(hash::fold(self.schema_version))
            .option(self.migration.as_ref(), Callback::hash)
            .flag(self.delete_if_migration_needed)
            .flag(self.storage == StorageMode::Memory)
            .term(schema)
            // Observables of the original, which have no counterpart.
            .term(0)
            .option(self.initial_data.as_ref(), Callback::hash)
            .flag(self.read_only)
            .option(self.compaction.as_ref(), CompactionPolicy::hash);
        match &self.sync {
            Some(sync) => sync.hash(base).value(),
            None => base.value(),
        }
    }
}

fn of_path(path: &Path) -> i32 {
    hash::text(&path.to_string_lossy())
}

impl SyncPart {
    fn first_difference(&self, other: &Self) -> Option<ConfigField> {
        let fields = [
            (ConfigField::DeleteOnLogout, self.deletes_on_logout == other.deletes_on_logout),
            (ConfigField::CertificateCheck, self.checks_certificate == other.checks_certificate),
            (ConfigField::Url, self.url == other.url),
            (ConfigField::User, self.user == other.user),
            (ConfigField::ErrorHandler, self.error_handler == other.error_handler),
            (ConfigField::TrustedRoot, self.trusted_root == other.trusted_root),
            (ConfigField::CertificatePath, self.certificate_path == other.certificate_path),
            (
                ConfigField::WaitForInitialData,
                self.waits_for_initial_data == other.waits_for_initial_data,
            ),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }

    fn hash(&self, base: Hash) -> Hash {
        base.term(self.url.hash())
            .term(self.user.hash())
            .term(self.error_handler.hash())
            .flag(self.deletes_on_logout)
            .flag(self.checks_certificate)
            .option(self.trusted_root.as_ref(), |name| hash::text(name))
            .option(self.certificate_path.as_ref(), |path: &PathBuf| of_path(path))
            .flag(self.waits_for_initial_data)
    }
}

impl PartialEq for Configuration {
    fn eq(&self, other: &Self) -> bool {
        fault::config::equal_hash(self.first_difference(other).is_none(), self, other)
    }
}

impl Eq for Configuration {}

impl std::hash::Hash for Configuration {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_i32(self.stable_hash());
    }
}
