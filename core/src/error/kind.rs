//! The kinds of errors that programs tell apart, those of realm-java's exceptions.

use super::{ConfigError, Error, FileErrorKind, InstanceError, ObjectError};
use crate::schema::SchemaError;

/// What an error is, as programs tell errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was given cannot be taken.
    InvalidArgument,
    /// What was asked for does not go with what was asked for before.
    IllegalState,
    /// What was asked for does not exist here.
    Unsupported,
    /// The schema of a file must be migrated.
    MigrationNeeded,
    /// StoreOptions exclude each other, or a primary key is missing or taken; realm-java has its general
    /// exception for it.
    General,
    /// A list has no such place.
    OutOfBounds,
    /// A file, by the kind of its trouble.
    File(FileErrorKind),
    /// The machine failed, not the call.
    Fatal,
}

impl Error {
    /// Returns what the error is, as programs tell errors apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Argument(_) => ErrorKind::InvalidArgument,
            Self::ReadOnly { .. } | Self::TransactionFailed => ErrorKind::IllegalState,
            Self::Poisoned { .. } | Self::RandomSource => ErrorKind::Fatal,
            Self::File { .. } => {
                ErrorKind::File(self.file_kind().unwrap_or(FileErrorKind::AccessError))
            }
            Self::Schema(error) => of_schema(error),
            Self::Config(error) => of_config(error),
            Self::Instance(error) => of_instance(error),
            Self::Object(error) => of_object(error),
        }
    }
}

const fn of_schema(error: &SchemaError) -> ErrorKind {
    match error {
        SchemaError::ClassName { .. }
        | SchemaError::PropertyName { .. }
        | SchemaError::StringTooLong { .. }
        | SchemaError::BinaryTooLong { .. }
        | SchemaError::NullInRequired { .. }
        | SchemaError::VersionLower { .. }
        | SchemaError::VersionDiffers { .. } => ErrorKind::InvalidArgument,
        SchemaError::Definition(_) | SchemaError::Mismatch { .. } => ErrorKind::IllegalState,
        SchemaError::MigrationNeeded { .. } | SchemaError::ClassesMissing { .. } => {
            ErrorKind::MigrationNeeded
        }
    }
}

const fn of_config(error: &ConfigError) -> ErrorKind {
    match error {
        ConfigError::FileNameEmpty
        | ConfigError::FileName { .. }
        | ConfigError::Directory { .. }
        | ConfigError::SchemaVersion { .. }
        | ConfigError::AssetFileEmpty
        | ConfigError::TrustedRootEmpty
        | ConfigError::UserInvalid
        | ConfigError::Identity { .. }
        | ConfigError::Url { .. } => ErrorKind::InvalidArgument,
        ConfigError::AssetFileAndInMemory => ErrorKind::General,
        ConfigError::AssetFileAndDeletion
        | ConfigError::ReadOnly(_)
        | ConfigError::IdentityMissing { .. }
        | ConfigError::PathTooLong { .. }
        | ConfigError::SyncDirectory { .. } => ErrorKind::IllegalState,
        ConfigError::NoObservables => ErrorKind::Unsupported,
    }
}

const fn of_instance(error: &InstanceError) -> ErrorKind {
    match error {
        InstanceError::OtherConfiguration { .. }
        | InstanceError::SyncedMigration { .. }
        | InstanceError::NotSynced { .. }
        | InstanceError::NoSession { .. }
        | InstanceError::CopyTargetExists { .. } => ErrorKind::InvalidArgument,
        InstanceError::StillOpen { .. }
        | InstanceError::Closed { .. }
        | InstanceError::OtherThread { .. }
        | InstanceError::InTransaction { .. }
        | InstanceError::AtWork { .. }
        | InstanceError::NoAction { .. }
        | InstanceError::BlockingForbidden { .. } => ErrorKind::IllegalState,
        InstanceError::SyncedCompaction { .. } => ErrorKind::Unsupported,
    }
}

const fn of_object(error: &ObjectError) -> ErrorKind {
    match error {
        ObjectError::ClassUnknown { .. }
        | ObjectError::PropertyUnknown { .. }
        | ObjectError::ClassExists { .. }
        | ObjectError::PropertyTwice { .. }
        | ObjectError::PropertyExists { .. }
        | ObjectError::TooManyProperties { .. }
        | ObjectError::Type { .. }
        | ObjectError::PrimaryKeyImmutable { .. }
        | ObjectError::KeyTooLong { .. }
        | ObjectError::SyncedChange { .. }
        | ObjectError::ListTooLong { .. } => ErrorKind::InvalidArgument,
        ObjectError::ClassLinked { .. }
        | ObjectError::NoPrimaryKey { .. }
        | ObjectError::KeysNotUnique { .. }
        | ObjectError::ObjectNotFound { .. } => ErrorKind::IllegalState,
        ObjectError::KeyMissing { .. } | ObjectError::KeyExists { .. } => ErrorKind::General,
        ObjectError::OutOfBounds { .. } => ErrorKind::OutOfBounds,
        ObjectError::SyncedKey { .. } => ErrorKind::Unsupported,
    }
}
