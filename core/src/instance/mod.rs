//! Instances: handles to open files. The registry opens files in the way of their configurations,
//! counts handles, and serialises closing, deleting, compacting and resetting.
//!
//! - J1 The global count of a file is the number of pairs of thread and kind with a handle; the
//!   local count of a thread is the number of its handles.
//! - J2 A file is open under one configuration at a time; another is refused with the reason.
//! - J3 An operation that fails, also by a panic, leaves counts unchanged and the path unclaimed.
//! - J4 One thread at a time opens, closes, deletes or resets a file, the latter two only without
//!   handles; callbacks never run under the registry lock.
//! - J5 No thread waits for ever, and a thread that must not block does not wait.
//! - J6 A handle works on its own thread until it is closed, and nowhere else.
//! - J7 A file is closed when its last handle is dropped, on any thread.
//! - R1 A recorded action is executed exactly once, whatever is interrupted.
//! - R2 At every moment the backed-up data is complete in one file, and no file is replaced.
//! - R3 A failed action is reported and stays recorded.
//! - R4 The next start executes recorded actions before it opens any file.
//! - R5 A file of an older generation is moved whole, and its new path is reported.
//!
//! Specification: docs/instances.md. Models: `models::instances`, `models::file_actions`;
//! loom-tests, `instances`. Checks: `sim::check::instances`, `sim::check::file_actions`.

mod action_store;
mod backup_name;
mod callbacks;
mod digest;
pub(crate) mod error;
mod execute;
mod file;
mod file_opener;
mod file_ops;
mod file_registry;
mod handle;
mod handle_table;
mod holder;
mod pending;
#[cfg(feature = "sync")]
mod replica_hooks;
#[cfg(feature = "sync")]
mod replicas;
mod reset;
mod shared;
mod threads;

pub use action_store::{ActionKind, ActionOutcome, FileAction};
pub use backup_name::BackupOrigin;
pub use file_registry::{FileRegistry, NonBlockingGuard};
pub use handle::Instance;
pub use holder::{InstanceKind, ThreadNumber};
#[cfg(feature = "sync")]
#[doc(hidden)]
pub use replica_hooks::ReplicaHooks;
pub use reset::{ClientReset, SyncError};
pub use threads::{OsThreads, Threads};
