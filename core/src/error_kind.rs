//! Kinds of errors: the classes of realm-java's exceptions, by which programs tell errors apart.
//!
//! Values only. Each floor classifies its own errors, so the kinds come before all of them.

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
    /// StoreOptions exclude each other, or a primary key is missing or taken; realm-java has its
    /// general exception for it.
    General,
    /// A list has no such place.
    OutOfBounds,
    /// A file, by the kind of its trouble.
    File(FileErrorKind),
    /// The machine failed, not the call.
    Fatal,
}

/// Kinds of file errors, numbered as in realm-java.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// Catch-all: not ours, damaged, truncated, key wrong, missing or not needed, input and output.
    AccessError = 0,
    /// The history in the file does not fit the opener. Nothing is of this kind as long as files
    /// have no history.
    BadHistory = 1,
    /// The system does not permit it.
    PermissionDenied = 2,
    /// The target exists.
    Exists = 3,
    /// The file or its directory does not exist.
    NotFound = 4,
    /// Somebody else has the file open.
    IncompatibleLockFile = 5,
    /// The file must be upgraded and that is not allowed. Nothing is of this kind: every format
    /// that is known is read and written as it is.
    FormatUpgradeRequired = 6,
    /// A synced file of an incompatible generation.
    IncompatibleSyncFile = 7,
}
