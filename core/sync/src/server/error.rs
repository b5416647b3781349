//! Errors of a server replica, and the reasons of its refusals.

use crate::entry::EntryError;
use crate::frame::Code;
use std::fmt;

/// Reason for which a server replica cannot answer. It then has changed nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The file: damage, or the disk.
    Store(fastness::Error),
    /// A record of a tree contradicts the specification.
    Malformed(&'static str),
    /// The client does not exist, or belongs to an earlier epoch.
    UnknownClient(u32),
    /// All numbers of clients have been given out.
    NoClientNumber,
    /// The snapshot has no such offset.
    Offset(u64),
    /// As many databases as may be open are in use.
    TooManyDatabases,
    /// No refused entry has this number, or its bytes are not kept.
    NotKept(u64),
}

impl From<fastness::Error> for ServerError {
    fn from(error: fastness::Error) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Malformed(tree) => write!(f, "a record of the tree {tree} is malformed"),
            Self::UnknownClient(client) => {
                write!(f, "client {client} does not exist in this epoch")
            }
            Self::NoClientNumber => f.write_str("all numbers of clients have been given out"),
            Self::Offset(offset) => write!(f, "the snapshot has no offset {offset}"),
            Self::TooManyDatabases => f.write_str("all databases that may be open are in use"),
            Self::NotKept(number) => write!(f, "no refused entry {number} is kept"),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Malformed(_)
            | Self::UnknownClient(_)
            | Self::NoClientNumber
            | Self::Offset(_)
            | Self::TooManyDatabases
            | Self::NotKept(_) => None,
        }
    }
}

/// Result of a call to a server replica.
pub type ServerResult<T> = Result<T, ServerError>;

/// Reason for which the content of an entry is refused. The refusal is final: it uses up the
/// entry's number, and is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRefusal {
    /// The reason.
    pub code: RefusalCode,
    /// Index of the operation; none if it is the whole entry.
    pub operation: Option<u32>,
}

/// Reasons of a final refusal. The number is stored in dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The operations cannot be decoded.
    Malformed = 1,
    /// A limit is exceeded.
    Limit = 2,
    /// A definition conflicts with the schema (MR6).
    Schema = 3,
    /// An element's number is not above its author's last one (MR8).
    Element = 4,
    /// The user may not write.
    Forbidden = 5,
}

impl RefusalCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::Limit, Self::Schema, Self::Element, Self::Forbidden];

    /// Returns the code of the protocol.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Malformed | Self::Limit | Self::Element => Code::BAD_ENTRY,
            Self::Schema => Code::SCHEMA_CONFLICT,
            Self::Forbidden => Code::ENTRY_FORBIDDEN,
        }
    }

    /// Returns the number that a dead letter has.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Reason for which an upload ends. It uses up no number: the client can send the entry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadStop {
    /// The header of an entry cannot be read.
    Header(EntryError),
    /// An earlier entry of the client is missing.
    Gap {
        /// The number that is missing.
        expected: u64,
    },
    /// The base is above the head or below the client's last one.
    Base,
    /// The base is below the horizon.
    Expired,
}

/// Answer to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The entry is in the history now.
    Sequenced {
        /// Its position.
        seq: u64,
        /// Its effective stamp.
        stamp: u64,
    },
    /// The entry was answered before, and was not refused.
    Repeated,
    /// The entry is refused for ever, now or before.
    Refused(EntryRefusal),
    /// The entry and those that follow it are not considered.
    Stopped(UploadStop),
}

/// Reason for which a client cannot resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResumeRefusal {
    /// The client does not exist, belongs to another user, or has another salt.
    UnknownClient,
    /// The cursor is above the head.
    CursorAboveHead,
    /// The history of the server is not the one that the client knows.
    Diverged,
    /// The cursor or the oldest base is below the horizon.
    Expired,
    /// The server has other entries of the client than the client has: its file was copied.
    Cloned,
}
