//! Errors of synced files.

use crate::error::ConfigError;
use std::fmt;
use std::path::PathBuf;

/// Error of a call about a synced file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SyncCallError {
    /// The file, its configuration or the calling thread does not allow it.
    File(fastness::Error),
    /// The proxy, the root certificates or the address are invalid.
    Config(ConfigError),
    /// An instance of the file was opened before the sync client: its commits are not replicated.
    OpenedBefore {
        /// The file.
        path: PathBuf,
    },
    /// The time is over.
    TimedOut,
    /// The call was cancelled.
    Cancelled,
    /// The session stopped: the user logged out, the file failed, or it must be reset.
    Stopped {
        /// Reason for people.
        reason: String,
    },
    /// The sync client has no session for the file: the system refused a thread, a socket or random
    /// bytes.
    Closed {
        /// Reason for people.
        reason: String,
    },
}

impl From<fastness::Error> for SyncCallError {
    fn from(error: fastness::Error) -> Self {
        Self::File(error)
    }
}

impl From<ConfigError> for SyncCallError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<fastness_sync::client::ClientError> for SyncCallError {
    fn from(error: fastness_sync::client::ClientError) -> Self {
        if let fastness_sync::client::ClientError::File(error) = error {
            return Self::File(error);
        }
        Self::Stopped { reason: error.to_string() }
    }
}

impl SyncCallError {
    /// Returns the error of a session that the system does not permit.
    pub(super) fn closed(cause: impl fmt::Display) -> Self {
        Self::Closed { reason: cause.to_string() }
    }
}

impl std::error::Error for SyncCallError {}

impl fmt::Display for SyncCallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::OpenedBefore { path } => write!(
                f,
                "{}: open before the sync client, which replicates no commit of it; close it and \
                 open it by the sync client",
                path.display()
            ),
            Self::TimedOut => f.write_str("the time is over; the transfer continues"),
            Self::Cancelled => f.write_str("the call was cancelled; the transfer continues"),
            Self::Stopped { reason } => write!(f, "the session has stopped: {reason}"),
            Self::Closed { reason } => write!(f, "no session can be started: {reason}"),
        }
    }
}
