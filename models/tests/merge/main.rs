//! The model of merge against itself: fold, order-free statement and server agree on every
//! behaviour of a small domain and on random histories, and every planted mutant is found.
//!
//! - SY1 Replicas with one cursor and nothing pending show the same state.
//! - SY2 The fold equals the order-free statement on every prefix.
//! - SY6 The order of elements that an author saw is not inverted, and its runs stay contiguous.
//! - SY7 Effective stamps increase along knowledge, and are not far ahead.
//! - SY8 Duplicated and reordered submissions change nothing.
//! - SY9 A purge at any horizon that the entries permit changes nothing visible.
//! - SY12 A reset reports one outcome for each operation.
//! - SY13 After a restore of a backup, every own operation is in the history or in a report.
//! - SY15 Applying any entry is total.
//! - SY16 No conflicting definition is in a history.
//!
//! Specification: docs/sync.md#invariants. Model: `models::merge`.

mod behaviours;
mod garbage;
mod laws;
mod mutants;
mod pairs;
mod replicas;
mod resets;
mod squash;
use std::sync::LazyLock;

/// How many times more behaviours and histories to run than `cargo test` does by itself.
pub(crate) static EFFORT: LazyLock<u64> = LazyLock::new(|| {
    let effort = std::env::var("FASTNESS_MERGE").ok();
    effort.and_then(|effort| effort.parse().ok()).unwrap_or(1).max(1)
});
