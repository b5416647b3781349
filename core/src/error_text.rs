//! Texts of the errors of the store: the cause, and what to do. Key material never appears.

use crate::error::{ArgumentError, Damage, Error, FileErrorCause};
use crate::unit::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::fmt;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Poisoned { path } => write!(
                f,
                "{}: an earlier write to the disk failed, so nothing more is committed; \
                 drop every handle and open the file again",
                path.display()
            ),
            Self::Argument(error) => error.fmt(f),
            Self::ReadOnly { path } => {
                write!(f, "{}: opened read-only; open it for writing first", path.display())
            }
            Self::TransactionFailed => {
                f.write_str("an operation of this transaction failed; drop it and begin another")
            }
            Self::CommitRefused { reason } => write!(f, "the file is synced: {reason}"),
            Self::RandomSource => f.write_str("the system gave no random bytes; try again"),
            Self::Schema(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Instance(error) => error.fmt(f),
            Self::Object(error) => error.fmt(f),
            Self::App(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for FileErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found; check the path"),
            Self::Exists => f.write_str("exists already; choose another path or remove it first"),
            Self::PermissionDenied => {
                f.write_str("permission denied; check the rights on the file and its directory")
            }
            Self::InUse => f.write_str("in use; close it in the other process first"),
            Self::OpenHere => f.write_str(
                "open in this process already; share a clone of its `Store` or `Database`, or drop \
                 every handle and snapshot of it first",
            ),
            Self::NotFastness => f.write_str("not a Fastness file; check the path"),
            Self::NewerFormat { found, supported } => write!(
                f,
                "written in format {found}, newer than the {supported} known here; use a newer \
                 version of the program"
            ),
            Self::Damaged { page, damage } => {
                write!(f, "page {page} is damaged: {damage}; run `fastness verify`")
            }
            Self::Truncated { expected_bytes, found_bytes } => write!(
                f,
                "truncated: {found_bytes} bytes of at least {expected_bytes}; take it from a backup"
            ),
            Self::MalformedObject => {
                f.write_str("an object in it is malformed; take it from a backup")
            }
            Self::WrongKey => f.write_str("the key does not open this file; give the right key"),
            Self::KeyMissing => f.write_str("the file is encrypted; give its key"),
            Self::KeyForPlainFile => {
                f.write_str("the file is not encrypted; open it without a key")
            }
            Self::OtherContent { expected } => {
                write!(f, "a store that does not hold {expected}; check the path")
            }
            Self::NotRegular => f.write_str("no regular file; check the path"),
            Self::SeveralNames { names } => write!(
                f,
                "it has {names} names (hard links), and compaction would replace one of them; \
                 remove the others first"
            ),
            Self::IncompatibleSync { moved_to } => write!(
                f,
                "written by an older generation of the original, and moved to {}; open again to \
                 start with an empty file",
                moved_to.display()
            ),
            Self::CommitLimit => f.write_str(
                "it has the highest commit number, which no intact file reaches; export its \
                 contents into a new file",
            ),
            Self::NoSpace => f.write_str("no space left; free some and try again"),
            Self::Io(kind) => write!(f, "{kind}"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seal => "its seal does not match",
            Self::Missing => "it is outside the file",
            Self::Content => "its content is malformed",
            Self::Header => "neither header slot can be trusted",
        })
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooLong { bytes } => {
                write!(f, "a key has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed")
            }
            Self::ValueTooLong { bytes } => {
                write!(f, "a value has {bytes} bytes; at most {VALUE_BYTES_MAX} are allowed")
            }
            Self::TreeName { bytes } => {
                write!(f, "a tree name has {bytes} bytes; 1 to {NAME_BYTES_MAX} are allowed")
            }
            Self::TooManyTrees => f.write_str("too many trees: put their entries into fewer"),
            Self::EncryptionKeyLength { bytes } => {
                write!(f, "an encryption key has {bytes} bytes; it must have 64")
            }
        }
    }
}
