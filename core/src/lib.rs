//! An encrypted, crash-safe store in a single file: named ordered trees of bytes, one writer, any
//! number of snapshots.
//!
//! Start with [`StoreOptions`]: it opens a [`Store`], which gives out [`StoreSnapshot`]s to read
//! and one [`WriteTxn`] at a time to write. The promises, and the checks that attack them, are in
//! docs/promises.md.
//!
//! A map of this tree, top-down; a module imports only from above: `conc` primitives, `sorted`
//! small maps, `unit` numbers, `time` points in time, `error_kind` classes of errors, `app_error`
//! errors of the app, [`schema`] classes as values, `error` one type for all errors, `error_text`
//! their texts, `fault` planted bugs, `codec` bounded bytes, [`vfs`] files, `crypto` seals,
//! `key_file` keys in files, [`config`] configurations as values, `page` layouts, `space` free
//! pages, `pager` pages in and out, `tree` the B+tree, `txn` transactions, `table` classes as
//! trees, [`object`] classes of objects, [`typed`] structs over them, [`instance`] who has which
//! file open, `verify` the checker, `inspect` for tools.

mod app_error;
mod codec;
mod conc;
pub mod config;
mod crypto;
mod error;
mod error_kind;
mod error_text;
#[doc(hidden)]
pub mod fault;
#[cfg(test)]
mod format_doc;
#[cfg(any(test, feature = "inspect"))]
#[doc(hidden)]
pub mod inspect;
pub mod instance;
mod key_file;
pub mod object;
mod page;
mod pager;
pub mod schema;
mod sorted;
mod space;
#[cfg(feature = "sync")]
#[doc(hidden)]
pub mod table;
#[cfg(not(feature = "sync"))]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "only the crate of sync uses the whole face"
)]
mod table;
mod time;
mod tree;
mod txn;
pub mod typed;
mod unit;
mod verify;
pub mod vfs;

pub use app_error::AppError;
pub use config::error::{ConfigError, DirectoryProblem, ReadOnlyConflict, UrlProblem};
pub use crypto::{Key, OsRandom, RandomSource};
pub use error::{
    ArgumentError, Damage, Error, FileErrorCause, Recovery, RecoveryOutcome, Remedy, Result,
};
pub use error_kind::{ErrorKind, FileErrorKind};
pub use instance::error::{ConfigurationDifference, InstanceError};
pub use object::error::ObjectError;
pub use table::{ObjectProblem, ObjectProblemKind};
pub use time::Time;
pub use tree::{Bytes, Range, SalvageIter};
pub use txn::{
    Compaction, Durability, Info, Store, StoreOptions, StoreSnapshot, Tree, TreeInfo, TreeMut,
    WriteTxn,
};
pub use unit::{
    CommitId, KEY_BYTES_MAX, NAME_BYTES_MAX, PAGE_BYTES, PRIMARY_KEY_BYTES_MAX, PageId,
    VALUE_BYTES_MAX,
};
pub use verify::{Problem, ProblemKind, Verification};

/// The examples of the README compile and run.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples of the guide compile and run.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../docs/guide.md")]
struct Guide;
