//! The objects that pending entries touch, in memory, so that a download knows what it does not
//! meet.
//!
//! An entry of others and the pending ones that name no object in common have their effects side by
//! side, in either order. The memory has too much rather than too little: hashes may collide, and
//! entries that are pending no longer may be in it.

use crate::table_state::object_at;
use fastness::table::{ObjectId, PreImage, Tables};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The state that is remembered: number of the last entry, and the greatest stamp.
type StateMark = (u64, u64);

/// Objects of pending entries, with the number of the last entry that touches them.
#[derive(Debug, Default)]
pub(super) struct TouchedObjects {
    /// None if it is not known what pending entries touch.
    mark: Option<StateMark>,
    objects: HashMap<u64, u64>,
    /// The last entry that changes classes.
    schema: u64,
}

fn hash(object: &ObjectId) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    hasher.finish()
}

impl TouchedObjects {
    /// Begins without a pending entry.
    pub(super) fn clear(&mut self) {
        (self.mark, self.schema) = (None, 0);
        self.objects.clear();
    }

    /// Tells whether all pending entries of a state are remembered.
    pub(super) fn knows(&self, mark: StateMark) -> bool {
        self.mark == Some(mark)
    }

    /// Names the state that is remembered.
    pub(super) const fn set_mark(&mut self, mark: StateMark) {
        self.mark = Some(mark);
    }

    /// Notes an object of an entry.
    pub(super) fn note(&mut self, client_seq: u64, object: &ObjectId) {
        self.objects.insert(hash(object), client_seq);
    }

    /// Notes that an entry changes classes.
    pub(super) const fn note_schema(&mut self, client_seq: u64) {
        self.schema = client_seq;
    }

    /// Tells whether an entry from a number on may touch an object.
    pub(super) fn may_touch(&self, from: u64, object: &ObjectId) -> bool {
        self.objects.get(&hash(object)).is_some_and(|last| *last >= from)
    }

    /// Tells whether an entry from a number on changes classes.
    pub(super) const fn has_schema(&self, from: u64) -> bool {
        self.schema >= from
    }
}

/// Notes the objects that an entry changed.
pub(super) fn note_images<'p>(
    objects: &mut TouchedObjects,
    client_seq: u64,
    (tables, images): (&Tables, impl Iterator<Item = PreImage<'p>>),
) {
    for PreImage { tree, key, .. } in images {
        if let Some(object) = object_at(tables, tree, key) {
            objects.note(client_seq, &object);
        }
    }
}
