//! Merge: the effect of one operation on a state, by the rules of docs/sync.md#merge-rules.
//!
//! The rules decide here, once. A [`MergeState`] stores classes, objects and the rules' memory of
//! them: stamps, deletion records, removed elements. A [`VisibleState`] shows what apps read, for
//! the rules of a client reset. [`Memory`] is both, in memory.
//!
//! - MR1 Create is idempotent, and dropped if a concurrent foreign Delete is in the history.
//! - MR2 Delete removes the object and leaves a deletion record of constant size.
//! - MR3 Set is last-writer-wins by effective stamp.
//! - MR4 Increments add up.
//! - MR5 Elements keep their ids; removal wins; positions are next to an anchor.
//! - MR9 A purge at a permitted horizon changes nothing visible, then or later.
//! - SY15 Applying any operation is total.
//!
//! Model: `models::merge`. Check: `core/sync/tests/merge/`.

mod list;
mod memory;
mod owned;
mod rules;
mod state;
mod visible;

pub use memory::Memory;
pub(crate) use owned::OwnedValue;
pub(crate) use rules::fits;
pub use rules::{Author, Effect, PENDING_SEQ, apply};
pub use state::{
    Definition, Deletion, ElementRecord, MergeState, Place, Register, Stamp, WrittenElement,
};
pub use visible::VisibleState;
