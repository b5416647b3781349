//! Refusals of operations on files and handles, as values. Key material never appears.

use crate::error_kind::ErrorKind;
use std::fmt;
use std::path::PathBuf;

/// The refusal of an operation on a file or a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceError {
    /// The file is open under an unequal configuration.
    OtherConfiguration {
        /// The file.
        path: PathBuf,
        /// The difference.
        difference: ConfigurationDifference,
    },
    /// The operation needs a file without open handles.
    StillOpen {
        /// The file.
        path: PathBuf,
        /// The number of pairs of thread and kind that have it open.
        count: usize,
    },
    /// The handle was closed.
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// The handle belongs to another thread.
    OtherThread {
        /// The file.
        path: PathBuf,
    },
    /// This thread is in a transaction on the file.
    InTransaction {
        /// The file.
        path: PathBuf,
    },
    /// The transaction of this file waits, directly or through other threads, for a transaction
    /// that this thread is in: to wait for it would be a deadlock.
    Deadlock {
        /// The file.
        path: PathBuf,
    },
    /// Another thread opens, closes or changes the file, and this thread must not wait within
    /// its own operation.
    AtWork {
        /// The file.
        path: PathBuf,
    },
    /// The call would block, which is forbidden on this thread.
    BlockingForbidden {
        /// The file.
        path: PathBuf,
    },
    /// A synced file cannot be compacted.
    SyncedCompaction {
        /// The file.
        path: PathBuf,
    },
    /// A synced file cannot be migrated.
    SyncedMigration {
        /// The file.
        path: PathBuf,
    },
    /// Only a synced file can be reset.
    NotSynced {
        /// The file.
        path: PathBuf,
    },
    /// The file is not open, so it is not synchronised.
    NoSession {
        /// The file.
        path: PathBuf,
    },
    /// No action is recorded for the file.
    NoAction {
        /// The file.
        path: PathBuf,
    },
    /// The target of a copy exists.
    CopyTargetExists {
        /// The target.
        path: PathBuf,
    },
}

/// The difference between a configuration and that of the open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigurationDifference {
    /// The keys.
    Key,
    /// The migrations, which have one type but no common name.
    UnnamedMigration,
    /// The field of this name, as the first one.
    Field(&'static str),
}

impl InstanceError {
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::OtherConfiguration { .. }
            | Self::SyncedMigration { .. }
            | Self::NotSynced { .. }
            | Self::NoSession { .. }
            | Self::CopyTargetExists { .. } => ErrorKind::InvalidArgument,
            Self::StillOpen { .. }
            | Self::Closed { .. }
            | Self::OtherThread { .. }
            | Self::InTransaction { .. }
            | Self::Deadlock { .. }
            | Self::AtWork { .. }
            | Self::NoAction { .. }
            | Self::BlockingForbidden { .. } => ErrorKind::IllegalState,
            Self::SyncedCompaction { .. } => ErrorKind::Unsupported,
        }
    }
}

impl std::error::Error for InstanceError {}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, text) = match self {
            Self::OtherConfiguration { path, difference } => {
                let path = path.display();
                return write!(f, "{path}: open under another configuration: {difference}");
            }
            Self::StillOpen { path, count } => {
                let path = path.display();
                return write!(
                    f,
                    "{path}: still open, {count} times by thread and kind; close every instance"
                );
            }
            Self::Closed { path } => (path, "this instance was closed; open another"),
            Self::OtherThread { path } => {
                (path, "this instance belongs to another thread; open one on this thread")
            }
            Self::InTransaction { path } => {
                (path, "this thread is in a transaction on the file; end it first")
            }
            Self::Deadlock { path } => (
                path,
                "its transaction waits for one that this thread is in; end that one first, and \
                 begin transactions on several files in one order",
            ),
            Self::AtWork { path } => (
                path,
                "another thread opens, closes or changes the file, and a callback or a transaction \
                 must not wait for it; retry later",
            ),
            Self::BlockingForbidden { path } => (
                path,
                "this call would block, which is forbidden on this thread; use another thread",
            ),
            Self::SyncedCompaction { path } => {
                (path, "a synced file cannot be compacted; leave it as it is")
            }
            Self::SyncedMigration { path } => {
                (path, "synced files are not migrated; add classes and properties instead")
            }
            Self::NotSynced { path } => {
                (path, "only synced files are reset; use a synced configuration")
            }
            Self::NoSession { path } => (path, "not open, so it is not synchronised; open it"),
            Self::NoAction { path } => (path, "no action is recorded for it; leave it as it is"),
            Self::CopyTargetExists { path } => {
                (path, "exists already; choose another path or remove it first")
            }
        };
        write!(f, "{}: {text}", path.display())
    }
}

impl fmt::Display for ConfigurationDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("the keys differ; give the key it was opened with"),
            Self::UnnamedMigration => f.write_str(
                "the migrations differ though of one type; give both the same name, or share one",
            ),
            Self::Field(name) => {
                write!(f, "{name} differs; use an equal one, or close every instance first")
            }
        }
    }
}
