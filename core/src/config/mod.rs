//! Configuration: what to open and how, as a value that can be compared, hashed and printed.
//!
//! Comes in: an [`App`], options one by one, for synced files a user and a URL. Goes out: a
//! [`Configuration`], or the first thing that is wrong with what was asked for. No file is opened;
//! a directory that was named is made, through [`FileEnv`].
//!
//! - O1 Two configurations are equal exactly when no field differs, and equal ones hash alike.
//! - O2 The stable hash depends on values only: it is the same in every run and on every machine.
//! - O3 The bytes of a key are zeroed when dropped and appear in no text.
//! - O4 The earliest call that can know refuses an invalid option, by name and kind.
//! - O5 The directory of a synced file is below its root, and its name is no path.
//!
//! Specification: docs/configuration.md. Checks: unit and integration tests of core, proptests.

mod app;
mod builder;
mod callback;
mod draft;
pub(crate) mod error;
mod file_env;
mod hash;
mod identity;
mod local_path;
mod recovery;
mod secret;
mod sync;
mod text;
mod url;
mod user;
mod value;
#[cfg(test)]
mod vectors;

pub use app::App;
pub(crate) use app::Assets;
pub use builder::Builder;
pub use callback::{Callback, CompactionPolicy, FileStats};
pub use file_env::{FileEnv, MemoryFileEnv, OsFileEnv};
pub use identity::ConfigField;
pub use sync::SyncBuilder;
pub use url::ServerUrl;
pub use user::User;
pub use value::{Configuration, StorageMode, SyncPart};
