//! Errors of operations on files and handles. Key material never appears.

use crate::error_kind::ErrorKind;
use std::fmt;
use std::path::PathBuf;

/// An operation that the state of a file or a handle does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceError {
    /// The file is open under a configuration that is not equal.
    OtherConfiguration {
        /// The file.
        path: PathBuf,
        /// In what they differ.
        difference: ConfigurationDifference,
    },
    /// The file is open, and must not be.
    StillOpen {
        /// The file.
        path: PathBuf,
        /// How many pairs of thread and kind have it open.
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
    /// Another thread opens, closes or changes the file, and this one does so with some file.
    AtWork {
        /// The file.
        path: PathBuf,
    },
    /// The call would wait, and the thread must not block.
    BlockingForbidden {
        /// The file.
        path: PathBuf,
    },
    /// A synced file cannot be compacted.
    SyncedCompaction {
        /// The file.
        path: PathBuf,
    },
    /// A synced file is not migrated.
    SyncedMigration {
        /// The file.
        path: PathBuf,
    },
    /// Only a synced file can be reset by its server.
    NotSynced {
        /// The file.
        path: PathBuf,
    },
    /// The file is not open, so nothing is synchronised.
    NoSession {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is recorded that is to be done to the file.
    NoAction {
        /// The file.
        path: PathBuf,
    },
    /// There is a file where a copy was to go.
    CopyTargetExists {
        /// The target.
        path: PathBuf,
    },
}

/// In what a configuration differs from the one under which a file is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigurationDifference {
    /// In the key.
    Key,
    /// In the migration, which is of the same type: a name is missing.
    UnnamedMigration,
    /// In the field of this name first.
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
            Self::AtWork { path } => (
                path,
                "another thread is opening, closing or changing the file, and code that runs while \
                 this thread does so itself cannot wait for it; do this later",
            ),
            Self::BlockingForbidden { path } => {
                (path, "this would wait, and UI threads must not; do it on another thread")
            }
            Self::SyncedCompaction { path } => {
                (path, "a synced file cannot be compacted; leave it as it is")
            }
            Self::SyncedMigration { path } => {
                (path, "synced files are not migrated; add classes and properties instead")
            }
            Self::NotSynced { path } => {
                (path, "only synced files are reset; use a synced configuration")
            }
            Self::NoSession { path } => (path, "not open, so nothing is synchronised; open it"),
            Self::NoAction { path } => {
                (path, "nothing is recorded that is to be done to it; leave it as it is")
            }
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
