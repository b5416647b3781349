//! File registry: opens files by configuration, counts their handles, and decides when a file may
//! be closed, deleted, compacted or copied.
//!
//! - J1 The global count of a file is the number of pairs of thread and kind that hold a handle;
//!   the local count of a thread is the number of its handles.
//! - J2 A file is open under one configuration at a time; another is refused with the reason.
//! - J3 A failure, also a panic, leaves counts as they were and the path free.
//! - J4 One thread at a time opens, closes, deletes or resets a file, and only without handles to
//!   it; the app's code never runs under the lock.
//! - J5 No thread waits for ever, and a thread that must not block never waits.
//! - J6 A handle works on its own thread until it is closed, and nowhere else.
//! - J7 Dropping the last handle closes the file, on any thread.
//! - R1 A recorded action is carried out exactly once, despite any interruption.
//! - R2 A file that an action preserves is whole in one place at every moment, and replaces no
//!   other.
//! - R3 A failed action stays recorded and is reported.
//! - R4 Recorded actions run at the next start, before any file is opened.
//! - R5 A file of an older generation is renamed whole, and its new path is reported.
//!
//! Specification: docs/instances.md. Models: `models::instances`, `models::file_actions`;
//! loom-tests, `instances`. Checks: `sim::check::instances`, `sim::check::file_actions`.

mod actions;
mod contents;
pub(crate) mod error;
mod execute;
mod file;
mod file_registry;
mod handle;
mod hooks;
mod moves;
mod names;
mod number;
mod pending;
mod registry;
mod registry_core;
mod reset;
mod threads;

pub use actions::{ActionKind, ActionOutcome, FileAction};
pub use file_registry::{FileRegistry, NonBlockingGuard};
pub use handle::Instance;
pub use names::Origin;
pub use number::{InstanceKind, ThreadNumber};
pub use reset::{ClientReset, SyncError};
pub use threads::{OsThreads, Threads};
