//! An encrypted, crash-safe, single-file store.

mod conc;
mod error;
mod unit;
pub mod vfs;

pub use error::{
    ArgumentError, Damage, Error, FileErrorCause, FileErrorKind, Recovery, RecoveryOutcome, Remedy,
    Result,
};
pub use unit::{CommitId, KEY_BYTES_MAX, NAME_BYTES_MAX, PAGE_BYTES, PageId, VALUE_BYTES_MAX};
