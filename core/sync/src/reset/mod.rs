//! Client reset: a client's own operations, written again onto a fresh state of the server.
//!
//! The rules alone, over any states: [`Reset`] decides on each operation in turn and applies it to
//! the fresh state. The caller brings the states and the operations that the new history does not
//! contain, encodes what is written again, and keeps the [`ResetReport`].
//!
//! - SY12 A reset reports one outcome for each operation; applied ones are in the new entries.
//!
//! Specification: docs/sync.md#client-reset. Model: `models::merge::recover`. Check:
//! proptests/tests/reset.rs.

mod report;
mod rules;

pub use report::{Cause, Reported, ReportedRefusal, ResetReport};
pub use rules::{CreatedObjects, Reset};
