//! Why a configuration cannot be as it was asked for. Key material never appears.

use crate::error_kind::ErrorKind;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration cannot be as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name of the file is empty.
    FileNameEmpty,
    /// The name of a synced file is `.` or `..`.
    FileName {
        /// The name.
        name: String,
    },
    /// The directory cannot be used.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        problem: DirectoryProblem,
    },
    /// The schema version is below 0.
    SchemaVersion {
        /// The version.
        version: i64,
    },
    /// The name of the asset file is empty.
    AssetFileEmpty,
    /// A file in memory was to begin as an asset.
    AssetFileAndInMemory,
    /// A file that begins as an asset was to be deleted instead of migrated.
    AssetFileAndDeletion,
    /// A read-only configuration was given something else that it cannot have.
    ReadOnly(ReadOnlyConflict),
    /// The name of the trusted root is empty.
    TrustedRootEmpty,
    /// The user is not logged in, or no longer.
    UserInvalid,
    /// The identity cannot be part of a path.
    Identity {
        /// The identity.
        identity: String,
    },
    /// The URL cannot be used.
    Url {
        /// The URL as it was given.
        url: String,
        /// Why not.
        problem: UrlProblem,
    },
    /// The URL has `/~/` and the user no identity.
    IdentityMissing {
        /// The URL.
        url: String,
    },
    /// The local path is too long, shortened as it is.
    PathTooLong {
        /// Its length in UTF-16 units.
        units: usize,
    },
    /// The directory for a synced file cannot be made.
    SyncDirectory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        problem: DirectoryProblem,
    },
}

/// Why a directory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryProblem {
    /// It is a file.
    IsFile,
    /// It cannot be made.
    NotCreated(io::ErrorKind),
    /// It cannot be written to.
    NotWritable,
}

/// An option that a read-only configuration cannot have, or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOnlyConflict {
    /// It has initial data.
    InitialData,
    /// It has no asset file, so nothing to read.
    NoAssetFile,
    /// It would delete instead of migrating.
    Deletion,
    /// It would compact.
    Compaction,
    /// It does not wait for the server's data, so it has nothing to read.
    NoInitialData,
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlProblem {
    /// It is no URL.
    Malformed,
    /// It has no host.
    NoHost,
    /// It has no path, or an empty one.
    NoPath,
    /// A segment of the path is not allowed.
    Segment(String),
    /// The last segment ends as local files do.
    FileName(String),
}

impl ConfigError {
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::FileNameEmpty
            | Self::FileName { .. }
            | Self::Directory { .. }
            | Self::SchemaVersion { .. }
            | Self::AssetFileEmpty
            | Self::TrustedRootEmpty
            | Self::UserInvalid
            | Self::Identity { .. }
            | Self::Url { .. } => ErrorKind::InvalidArgument,
            Self::AssetFileAndInMemory => ErrorKind::General,
            Self::AssetFileAndDeletion
            | Self::ReadOnly(_)
            | Self::IdentityMissing { .. }
            | Self::PathTooLong { .. }
            | Self::SyncDirectory { .. } => ErrorKind::IllegalState,
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileNameEmpty => f.write_str("the file has no name; give one"),
            Self::FileName { name } => write!(f, "`{name}` cannot name a file; choose another"),
            Self::Directory { path, problem } | Self::SyncDirectory { path, problem } => {
                write!(f, "{}: {problem}", path.display())
            }
            Self::SchemaVersion { version } => {
                write!(f, "schema version {version} is below 0; count from 0")
            }
            Self::AssetFileEmpty => f.write_str("the asset file has no name; give one"),
            Self::AssetFileAndInMemory => {
                f.write_str("a file in memory cannot begin as an asset; leave one of them out")
            }
            Self::AssetFileAndDeletion => f.write_str(
                "a file that begins as an asset cannot be deleted instead of migrated; leave one \
                 of them out",
            ),
            Self::ReadOnly(conflict) => write!(f, "read-only: {conflict}"),
            Self::TrustedRootEmpty => f.write_str("the trusted root has no name; give one"),
            Self::UserInvalid => f.write_str("the user is not logged in, or no longer; log in"),
            Self::Identity { identity } => write!(
                f,
                "identity `{}` cannot be part of a path; use another user",
                identity.escape_debug()
            ),
            Self::Url { url, problem } => write!(f, "URL `{}`: {problem}", url.escape_debug()),
            Self::IdentityMissing { url } => write!(
                f,
                "URL `{url}` has `/~/` and the user no identity; use a path without `/~/`"
            ),
            Self::PathTooLong { units } => write!(
                f,
                "the local path has {units} characters; at most 256 are allowed: use a shorter \
                 directory"
            ),
        }
    }
}

impl fmt::Display for DirectoryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IsFile => f.write_str("is a file; give a directory"),
            Self::NotCreated(kind) => write!(f, "cannot be made ({kind}); give another directory"),
            Self::NotWritable => f.write_str("is not writable; give another directory"),
        }
    }
}

impl fmt::Display for ReadOnlyConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitialData => "initial data cannot be written; leave it out",
            Self::NoAssetFile => "there is nothing to read; give an asset file",
            Self::Deletion => "the file cannot be deleted; leave that out",
            Self::Compaction => "the file cannot be compacted; leave that out",
            Self::NoInitialData => "there is nothing to read; wait for the initial data",
        })
    }
}

impl fmt::Display for UrlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a URL; correct it"),
            Self::NoHost => f.write_str("has no host; give one"),
            Self::NoPath => f.write_str("has no path; name what to open"),
            Self::Segment(segment) => write!(
                f,
                "has the segment `{}`; use letters, digits, `.`, `_` and `-`",
                segment.escape_debug()
            ),
            Self::FileName(name) => write!(
                f,
                "ends with `{name}`; leave out `.realm`, `.realm.lock` and `.realm.management`"
            ),
        }
    }
}
