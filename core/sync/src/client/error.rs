//! Errors of a client's replica.

use crate::reset::Cause;
use std::fmt;

/// A contradiction of a download: no history contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadDownload {
    /// It does not begin at the cursor.
    Cursor,
    /// An entry cannot be decoded.
    Entry,
    /// An own entry is not pending.
    Own,
    /// The entries do not have the salt that the server gives.
    Salt,
    /// A stamp leaves no later one for the entries of this file.
    Stamp,
    /// A snapshot is incomplete, or not the one that the server sent.
    Snapshot,
}

impl fmt::Display for BadDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cursor => "a download does not begin at the cursor",
            Self::Entry => "a download has an entry that cannot be decoded",
            Self::Own => "a download has an own entry that is not pending",
            Self::Salt => "a download has entries that do not give its salt",
            Self::Stamp => "a download has a stamp that leaves no later one",
            Self::Snapshot => "a snapshot is not the one that the server sent",
        })
    }
}

/// An error of a client's replica.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The file cannot be read or written, or is damaged.
    File(fastness::Error),
    /// The server sent a part of no history.
    Download(BadDownload),
    /// A reset failed twice for one cause; the file and its backup stay as they are.
    ResetFailed(Cause),
    /// A class of the history has the name of a local class of this file, which stays as it is.
    LocalClass(String),
    /// The server's snapshot has more bytes than this file takes, and nothing of it is stored.
    SnapshotTooLong {
        /// Bytes of the snapshot, as the server says.
        bytes: u64,
        /// Most bytes that the file takes.
        bytes_max: u64,
    },
}

/// Result of a call of a client's replica.
pub type ClientResult<T> = Result<T, ClientError>;

impl From<fastness::Error> for ClientError {
    fn from(error: fastness::Error) -> Self {
        Self::File(error)
    }
}

impl From<BadDownload> for ClientError {
    fn from(error: BadDownload) -> Self {
        Self::Download(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Download(error) => error.fmt(f),
            Self::ResetFailed(cause) => {
                write!(
                    f,
                    "the reset with code {} failed twice; send the file to support",
                    cause.code()
                )
            }
            Self::LocalClass(class) => {
                write!(
                    f,
                    "class `{class}` is local in this file, and another app synchronizes a class \
                     of that name; rename the local one"
                )
            }
            Self::SnapshotTooLong { bytes, bytes_max } => {
                write!(
                    f,
                    "the server sends a snapshot of {bytes} bytes, and the file takes {bytes_max} \
                     bytes at most; raise the limit, or ask the operator of the server"
                )
            }
        }
    }
}

impl std::error::Error for ClientError {}
