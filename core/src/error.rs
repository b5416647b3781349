//! The error type of every floor. A variant names the file and the cause; [`Error::remedy`] returns
//! the remedy.
//!
//! `Error` is `Clone + PartialEq`, so that a model can predict it. The errors of objects,
//! instances, configurations and schemas are values of their own floors. Key material never
//! appears.

pub(crate) use crate::object::error::ObjectError;

use crate::app_error::AppError;
use crate::config::error::ConfigError;
use crate::error_kind::{ErrorKind, FileErrorKind};
use crate::instance::error::InstanceError;
use crate::schema::SchemaError;
use crate::unit::{CommitId, PageId};
#[cfg(doc)]
use crate::unit::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::io;
use std::path::{Path, PathBuf};

/// Short for results of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: FileErrorCause,
    },
    /// A sync or a header write failed earlier, so the state of the disk is unknown. Reads
    /// continue; no transaction commits until the file is reopened.
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// An argument is out of its bounds.
    Argument(ArgumentError),
    /// The store was opened read-only.
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// An operation of this transaction failed before; it can only be dropped.
    TransactionFailed,
    /// A synced file cannot commit the transaction; nothing was changed.
    CommitRefused {
        /// The reason, with what to do.
        reason: String,
    },
    /// The random source failed.
    RandomSource,
    /// A definition, a value or the schema of a file is invalid.
    Schema(SchemaError),
    /// A configuration is refused.
    Config(ConfigError),
    /// An operation on a file or a handle is refused.
    Instance(InstanceError),
    /// An operation on objects is refused.
    Object(ObjectError),
    /// The app's own error, which one of its callbacks returned: see [`Error::app`].
    App(AppError),
}

/// The cause of a file error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileErrorCause {
    /// No such file or directory.
    NotFound,
    /// The file exists already.
    Exists,
    /// The system denies the permission.
    PermissionDenied,
    /// Another process has the file open.
    InUse,
    /// This process has the file open already.
    OpenHere,
    /// The file is not a Fastness file.
    NotFastness,
    /// The file was written by a newer version of Fastness.
    NewerFormat {
        /// Format version of the file.
        found: u32,
        /// Newest format version this program knows.
        supported: u32,
    },
    /// The content of a page differs from what was written.
    Damaged {
        /// The page.
        page: PageId,
        /// The kind of damage.
        damage: Damage,
    },
    /// The file is shorter than its last commit requires.
    Truncated {
        /// Length that the last commit requires.
        expected_bytes: u64,
        /// Length found.
        found_bytes: u64,
    },
    /// A stored object is malformed: a faulty or hostile program wrote it.
    MalformedObject,
    /// The key does not open this file.
    WrongKey,
    /// The file is encrypted and no key was given.
    KeyMissing,
    /// A key was given and the file is not encrypted.
    KeyForPlainFile,
    /// The file is a store with other content.
    OtherContent {
        /// The expected content.
        expected: &'static str,
    },
    /// It is no regular file.
    NotRegular,
    /// The file has several names (hard links), and compaction would replace only one of them.
    SeveralNames {
        /// Number of the names.
        names: u64,
    },
    /// The file has the highest commit number, so it takes no commit: a faulty or hostile program
    /// wrote it.
    CommitLimit,
    /// The disk, or the quota, is full.
    NoSpace,
    /// An older generation of the original wrote the file, which was moved: the next opening
    /// creates an empty file.
    IncompatibleSync {
        /// The new path.
        moved_to: PathBuf,
    },
    /// Any other failure of the system.
    Io(io::ErrorKind),
}

/// The damage of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The seal does not match: the page was damaged, swapped, moved or replaced by an older one,
    /// or the key differs.
    Seal,
    /// The page ends early or is outside the file.
    Missing,
    /// The seal matches and the content is malformed: a faulty or hostile program wrote it.
    Content,
    /// Neither header slot can be trusted.
    Header,
}

/// An argument out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The key of an entry is longer than [`KEY_BYTES_MAX`].
    KeyTooLong {
        /// Length given.
        bytes: usize,
    },
    /// The value is longer than [`VALUE_BYTES_MAX`].
    ValueTooLong {
        /// Length given.
        bytes: usize,
    },
    /// The name of a tree is empty or longer than [`NAME_BYTES_MAX`].
    TreeName {
        /// Length given.
        bytes: usize,
    },
    /// The names of all trees together take more than 16 MiB.
    TooManyTrees,
    /// An encryption key is not 64 bytes.
    EncryptionKeyLength {
        /// Length given.
        bytes: usize,
    },
}

/// The remedy for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Correct the call: path, key, argument or order of calls.
    FixProgram,
    /// Retry when the cause no longer exists: another user of the file, a full disk.
    Retry,
    /// Drop every handle and open the file again.
    Reopen,
    /// Restore a backup; `fastness verify` reports the damage.
    Restore,
    /// Use a newer version of the program.
    Upgrade,
    /// The app knows: the error is its own.
    App,
}

impl Error {
    pub(crate) fn file(path: &Path, cause: FileErrorCause) -> Self {
        Self::File { path: path.to_path_buf(), cause }
    }

    /// Another opener holds the lock of a file.
    pub(crate) fn in_use(path: &Path, is_here: bool) -> Self {
        let cause = if is_here { FileErrorCause::OpenHere } else { FileErrorCause::InUse };
        Self::file(path, cause)
    }

    pub(crate) fn damaged(path: &Path, page: PageId, damage: Damage) -> Self {
        Self::file(path, FileErrorCause::Damaged { page, damage })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the system's kinds are open-ended")]
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => FileErrorCause::NotFound,
            io::ErrorKind::AlreadyExists => FileErrorCause::Exists,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ExecutableFileBusy => FileErrorCause::PermissionDenied,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => FileErrorCause::NoSpace,
            io::ErrorKind::NotSeekable => FileErrorCause::NotRegular,
            kind => FileErrorCause::Io(kind),
        };
        Self::file(path, cause)
    }

    /// Carries an error of the app from a callback that returns a [`Result`] to the caller: of a
    /// transaction, a migration, initial data or a commit hook. Nothing is committed, and the error
    /// comes back as it was. An error that is an [`Error`] already stays what it is.
    ///
    /// [`Database::try_transact`](crate::object::Database::try_transact) returns errors of the
    /// app's type without this.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions};
    /// use fastness::schema::{Class, Schema};
    /// use fastness::{Error, StoreOptions};
    ///
    /// # #[derive(Debug, PartialEq)]
    /// # struct SeedMissing;
    /// # impl std::fmt::Display for SeedMissing {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    /// #         f.write_str("the seed is missing")
    /// #     }
    /// # }
    /// # impl std::error::Error for SeedMissing {}
    /// let fill = |_: &mut fastness::object::Transaction| Err(Error::app(SeedMissing));
    /// let schema = Schema::new([Class::new("Note")?])?;
    /// let options = DatabaseOptions::schema(schema, 0).initial_data(&fill);
    /// let error = Database::in_memory(&StoreOptions::new(), &options).unwrap_err();
    /// assert_eq!(error.into_app::<SeedMissing>()?, SeedMissing);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn app(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let error = AppError::new(error);
        match error.downcast_ref::<Self>() {
            Some(ours) => ours.clone(),
            None => Self::App(error),
        }
    }

    /// Returns the app's own error, if this is one of that type.
    #[must_use]
    pub fn as_app<E: std::error::Error + 'static>(&self) -> Option<&E> {
        let Self::App(error) = self else { return None };
        error.downcast_ref()
    }

    /// Takes the app's own error out, if this is one of that type and no clone shares it.
    ///
    /// # Errors
    /// The unchanged value otherwise.
    pub fn into_app<E: std::error::Error + Send + Sync + 'static>(self) -> Result<E> {
        let Self::App(error) = self else { return Err(self) };
        error.downcast().map_err(Self::App)
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Argument(_) => ErrorKind::InvalidArgument,
            Self::ReadOnly { .. } | Self::TransactionFailed | Self::CommitRefused { .. } => {
                ErrorKind::IllegalState
            }
            Self::Poisoned { .. } | Self::RandomSource => ErrorKind::Fatal,
            Self::File { .. } => {
                ErrorKind::File(self.file_kind().unwrap_or(FileErrorKind::AccessError))
            }
            Self::Schema(error) => error.kind(),
            Self::Config(error) => error.kind(),
            Self::Instance(error) => error.kind(),
            Self::Object(error) => error.kind(),
            Self::App(_) => ErrorKind::App,
        }
    }

    /// Returns the kind of a file error, numbered as in realm-java; `None` for other errors.
    #[must_use]
    pub fn file_kind(&self) -> Option<FileErrorKind> {
        let Self::File { cause, .. } = self else { return None };
        Some(match cause {
            FileErrorCause::NotFound => FileErrorKind::NotFound,
            FileErrorCause::Exists => FileErrorKind::Exists,
            FileErrorCause::PermissionDenied => FileErrorKind::PermissionDenied,
            FileErrorCause::InUse | FileErrorCause::OpenHere => FileErrorKind::IncompatibleLockFile,
            FileErrorCause::IncompatibleSync { .. } => FileErrorKind::IncompatibleSyncFile,
            FileErrorCause::NotFastness
            | FileErrorCause::NewerFormat { .. }
            | FileErrorCause::Damaged { .. }
            | FileErrorCause::Truncated { .. }
            | FileErrorCause::MalformedObject
            | FileErrorCause::WrongKey
            | FileErrorCause::KeyMissing
            | FileErrorCause::KeyForPlainFile
            | FileErrorCause::OtherContent { .. }
            | FileErrorCause::NotRegular
            | FileErrorCause::SeveralNames { .. }
            | FileErrorCause::CommitLimit
            | FileErrorCause::NoSpace
            | FileErrorCause::Io(_) => FileErrorKind::AccessError,
        })
    }

    /// Returns the remedy.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Argument(_)
            | Self::ReadOnly { .. }
            | Self::TransactionFailed
            | Self::CommitRefused { .. }
            | Self::Config(_)
            | Self::Instance(_)
            | Self::Object(_) => Remedy::FixProgram,
            Self::Schema(SchemaError::VersionLower { .. }) => Remedy::Upgrade,
            Self::Schema(_) => Remedy::FixProgram,
            Self::App(_) => Remedy::App,
            Self::Poisoned { .. } => Remedy::Reopen,
            Self::RandomSource => Remedy::Retry,
            Self::File { cause, .. } => match cause {
                FileErrorCause::NotFound
                | FileErrorCause::Exists
                | FileErrorCause::PermissionDenied
                | FileErrorCause::OpenHere
                | FileErrorCause::NotFastness
                | FileErrorCause::WrongKey
                | FileErrorCause::KeyMissing
                | FileErrorCause::KeyForPlainFile
                | FileErrorCause::OtherContent { .. }
                | FileErrorCause::NotRegular
                | FileErrorCause::SeveralNames { .. } => Remedy::FixProgram,
                FileErrorCause::InUse
                | FileErrorCause::NoSpace
                | FileErrorCause::IncompatibleSync { .. }
                | FileErrorCause::Io(_) => Remedy::Retry,
                FileErrorCause::NewerFormat { .. } => Remedy::Upgrade,
                FileErrorCause::Damaged { .. }
                | FileErrorCause::Truncated { .. }
                | FileErrorCause::MalformedObject
                | FileErrorCause::CommitLimit => Remedy::Restore,
            },
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let Self::App(error) = self else { return None };
        error.source()
    }
}

impl From<ArgumentError> for Error {
    fn from(error: ArgumentError) -> Self {
        Self::Argument(error)
    }
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Self::Schema(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<InstanceError> for Error {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        Self::Object(error)
    }
}

/// The recovery of an opened file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The commit the file was opened at.
    pub commit: CommitId,
    /// The outcome for the newest header slot.
    pub outcome: RecoveryOutcome,
}

/// The outcome for the newest header slot of an opened file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecoveryOutcome {
    /// The file had not been closed; its last commit was complete.
    LastCommitWhole,
    /// A header slot was unreadable, by a torn write or by damage; the other slot was used.
    SlotDiscarded,
    /// The newest commit was incomplete on the disk; the previous one was used.
    CommitDiscarded(CommitId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_the_kinds_of_the_original() {
        for (number, kind) in [
            (errno::ENOENT, FileErrorKind::NotFound),
            (errno::EACCES, FileErrorKind::PermissionDenied),
            (errno::EROFS, FileErrorKind::PermissionDenied),
            (errno::ETXTBSY, FileErrorKind::PermissionDenied),
            (errno::EEXIST, FileErrorKind::Exists),
            (errno::ENOSPC, FileErrorKind::AccessError),
            (errno::EIO, FileErrorKind::AccessError),
        ] {
            let error = Error::io(Path::new("file"), &io::Error::from_raw_os_error(number));
            assert_eq!(error.file_kind(), Some(kind), "{error}");
        }
    }

    /// Linux's numbers, which tests of a superuser cannot provoke.
    mod errno {
        pub(super) const ENOENT: i32 = 2;
        pub(super) const EIO: i32 = 5;
        pub(super) const EACCES: i32 = 13;
        pub(super) const EEXIST: i32 = 17;
        pub(super) const ETXTBSY: i32 = 26;
        pub(super) const ENOSPC: i32 = 28;
        pub(super) const EROFS: i32 = 30;
    }
}
