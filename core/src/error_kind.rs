//! Kinds of errors: the classes of realm-java's exceptions, by which programs tell errors apart.
//!
//! Values only. Each floor classifies its own errors, so the kinds come before all of them.

/// The kind of an error, by which programs distinguish errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is invalid.
    InvalidArgument,
    /// A call conflicts with earlier calls.
    IllegalState,
    /// The operation is not supported.
    Unsupported,
    /// The schema of a file must be migrated.
    MigrationNeeded,
    /// Options exclude each other, or a primary key is missing or taken: realm-java's general
    /// exception.
    General,
    /// A list index is out of bounds.
    OutOfBounds,
    /// A file error of this kind.
    File(FileErrorKind),
    /// The machine failed, not the call.
    Fatal,
    /// The error is the app's own: one of its callbacks returned it.
    App,
}

/// Kinds of file errors, numbered as in realm-java.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// Another format, damage, truncation, a wrong, missing or superfluous key, any other error of
    /// input and output.
    AccessError = 0,
    /// The history in the file does not match. No error has this kind as long as files have no
    /// history.
    BadHistory = 1,
    /// The system denies the permission.
    PermissionDenied = 2,
    /// The target exists.
    Exists = 3,
    /// The file or its directory does not exist.
    NotFound = 4,
    /// Another process or handle has the file open.
    IncompatibleLockFile = 5,
    /// The file must be upgraded and that is not allowed. No error has this kind: every known
    /// format is read and written as it is.
    FormatUpgradeRequired = 6,
    /// A synced file of an incompatible generation.
    IncompatibleSyncFile = 7,
}
