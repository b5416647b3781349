//! FileRegistry: opening files as configurations say, counting who has which open, and what may be
//! done to a file when: closing, deleting, compacting, copying.
//!
//! - J1 The global count of a file is the number of pairs of thread and kind that hold a handle;
//!   the local count of a thread is the number of its handles.
//! - J2 A file is open under one configuration at a time; another is refused with the reason.
//! - J3 What failed, also by a panic, leaves counts as they were and the path free.
//! - J4 One at a time opens, closes, deletes or resets a file; none of it happens to a file that
//!   somebody holds, and the app's code never runs under the lock.
//! - J5 Nobody waits for ever, and a UI thread does not wait.
//! - J6 A handle works on its own thread until it is closed, and nowhere else.
//! - J7 A file is closed when its last handle goes, wherever it is dropped.
//! - R1 A recorded action is carried out exactly once, whatever is interrupted.
//! - R2 What an action keeps is whole in one place at every moment, and it replaces nothing.
//! - R3 An action that fails stays recorded and is told.
//! - R4 What was recorded is carried out at the next start, before anything is opened.
//! - R5 A file of an older generation is moved aside whole, and its new place is told.
//!
//! Specification: docs/instances.md. Models: `models::instances`, `models::file_actions`;
//! loom-tests, `instances`. Checks: `sim::check::instances`, `sim::check::file_actions`.

mod actions;
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
mod reset;
mod threads;

pub use actions::{ActionKind, ActionOutcome, FileAction};
pub use file_registry::{FileRegistry, NonBlockingGuard};
pub use handle::Instance;
pub use names::Origin;
pub use number::{InstanceKind, ThreadNumber};
pub use reset::{ClientReset, SyncError};
pub use threads::{OsThreads, Threads};
