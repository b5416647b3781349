//! Limits and errors of entries: an error is a limit that is exceeded, or the place and kind of
//! malformed bytes.

use std::fmt;

/// Most bytes of an entry.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;
/// Most operations of an entry.
pub const OPERATIONS_MAX: usize = 65_535;
/// Most bytes of a string primary key.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Most bytes of the name of a class or property.
pub const NAME_BYTES_MAX: usize = 255;

/// Reason for which an entry cannot be encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// The transaction is too large or has no operation: the app changes or splits it.
    Limit(Limit),
    /// The bytes are no entry: their sender is wrong or newer.
    Malformed {
        /// Offset behind the bytes that were read.
        at: usize,
        /// Reason.
        problem: Problem,
    },
}

/// A limit of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// An entry has at least one operation.
    Empty,
    /// An entry has at most [`ENTRY_BYTES_MAX`] bytes.
    EntryBytes,
    /// An entry has at most [`OPERATIONS_MAX`] operations.
    Operations,
    /// A string primary key has at most [`KEY_BYTES_MAX`] bytes.
    KeyBytes,
    /// A name has 1 to [`NAME_BYTES_MAX`] bytes.
    NameBytes,
    /// A timestamp has less than 1,000,000,000 nanoseconds.
    Nanoseconds,
    /// Entries of a client are numbered from 1.
    ClientSeq,
}

/// Kind of malformed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// They end early.
    Truncated,
    /// The version is unknown.
    Version,
    /// A number is not in its shortest form or has too many bits.
    Number,
    /// A string is not UTF-8.
    Utf8,
    /// A code of an operation, value, key, type or anchor is unknown.
    Code,
    /// A name is unknown, or written a second time.
    Name,
    /// A flag is set where it has no meaning, or not set where it applies.
    Flag,
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(Limit::Empty) => f.write_str("an entry has at least one operation"),
            Self::Limit(Limit::EntryBytes) => {
                write!(f, "an entry has at most {} bytes", ENTRY_BYTES_MAX)
            }
            Self::Limit(Limit::Operations) => {
                write!(f, "an entry has at most {} operations", OPERATIONS_MAX)
            }
            Self::Limit(Limit::KeyBytes) => {
                write!(f, "a string primary key has at most {} bytes", KEY_BYTES_MAX)
            }
            Self::Limit(Limit::NameBytes) => {
                write!(f, "a name has 1 to {} bytes", NAME_BYTES_MAX)
            }
            Self::Limit(Limit::Nanoseconds) => {
                f.write_str("a timestamp has less than 1000000000 nanoseconds")
            }
            Self::Limit(Limit::ClientSeq) => f.write_str("entries are numbered from 1"),
            Self::Malformed { at, problem } => {
                let problem = match problem {
                    Problem::Truncated => "it ends early",
                    Problem::Version => "its version is unknown",
                    Problem::Number => "a number is not in its shortest form",
                    Problem::Utf8 => "a string is not UTF-8",
                    Problem::Code => "a code is unknown",
                    Problem::Name => "a name is unknown or written twice",
                    Problem::Flag => "a flag does not fit",
                };
                write!(f, "malformed entry before byte {at}: {problem}")
            }
        }
    }
}

impl std::error::Error for EntryError {}
