//! A list in memory: its elements in order, removed ones included, found by id.

use super::state::{ElementRecord, Register};
use crate::entry::{Anchor, ElementId};
use std::collections::HashMap;

/// Most elements of a chunk; a fuller one is split.
const CHUNK_MAX: usize = 64;

/// An element of a list.
#[derive(Clone, Debug)]
pub(super) struct ListSlot<V> {
    pub(super) id: ElementId,
    pub(super) value: V,
    pub(super) record: ElementRecord,
    /// An element was placed after it: see the author's rule of MR5.
    pub(super) is_followed: bool,
}

/// Consecutive elements, and the chunk that follows.
#[derive(Clone, Debug)]
struct ListChunk<V> {
    slots: Vec<ListSlot<V>>,
    /// Number of them that are removed.
    removed: usize,
    next: Option<usize>,
}

/// A list. Its first chunk is at index 0.
#[derive(Clone, Debug)]
pub(super) struct MemoryList<V> {
    chunks: Vec<ListChunk<V>>,
    /// The chunk of each element.
    chunk_of: HashMap<ElementId, usize>,
}

/// Where an element is.
#[derive(Clone, Copy)]
struct At {
    chunk: usize,
    index: usize,
}

impl<V> Default for MemoryList<V> {
    fn default() -> Self {
        let first = ListChunk { slots: Vec::new(), removed: 0, next: None };
        Self { chunks: vec![first], chunk_of: HashMap::new() }
    }
}

impl<V> MemoryList<V> {
    fn find(&self, id: ElementId) -> Option<At> {
        let chunk = *self.chunk_of.get(&id)?;
        let index = self.chunks[chunk].slots.iter().position(|slot| slot.id == id);
        let index = index.expect("MR5: an element is in the chunk that its id leads to");
        Some(At { chunk, index })
    }

    pub(super) fn get(&self, id: ElementId) -> Option<&ListSlot<V>> {
        let At { chunk, index } = self.find(id)?;
        self.chunks[chunk].slots.get(index)
    }

    pub(super) fn get_mut(&mut self, id: ElementId) -> Option<&mut ListSlot<V>> {
        let At { chunk, index } = self.find(id)?;
        self.chunks[chunk].slots.get_mut(index)
    }

    /// Inserts an element that is not in the list at an anchor that is.
    pub(super) fn insert(&mut self, slot: ListSlot<V>, anchor: Anchor) {
        let at = match anchor {
            Anchor::Head => Some(At { chunk: 0, index: 0 }),
            Anchor::Before(element) => self.find(element),
            Anchor::After(element) => self.find(element).map(|at| {
                self.chunks[at.chunk].slots[at.index].is_followed = true;
                At { index: at.index + 1, ..at }
            }),
        };
        let At { chunk, index } = at.expect("MR5: the list contains the anchor");
        let replaced = self.chunk_of.insert(slot.id, chunk);
        assert!(replaced.is_none(), "MR5: an id is inserted twice");
        self.chunks[chunk].removed += usize::from(slot.record.removed.is_some());
        self.chunks[chunk].slots.insert(index, slot);
        if self.chunks[chunk].slots.len() > CHUNK_MAX {
            self.split(chunk);
        }
    }

    fn split(&mut self, chunk: usize) {
        let slots = self.chunks[chunk].slots.split_off(CHUNK_MAX / 2);
        let new = self.chunks.len();
        for slot in &slots {
            self.chunk_of.insert(slot.id, new);
        }
        let removed = slots.iter().filter(|slot| slot.record.removed.is_some()).count();
        self.chunks[chunk].removed -= removed;
        let next = self.chunks[chunk].next.replace(new);
        self.chunks.push(ListChunk { slots, removed, next });
    }

    /// Marks an element of the list as removed.
    pub(super) fn remove(&mut self, id: ElementId, seq: u64) {
        let Some(At { chunk, index }) = self.find(id) else { return };
        let ListChunk { slots, removed, .. } = &mut self.chunks[chunk];
        *removed += usize::from(slots[index].record.removed.is_none());
        slots[index].record.removed = Some(seq);
    }

    /// Moves an element of the list to another one, or to the head.
    pub(super) fn relocate(&mut self, id: ElementId, register: Register, anchor: Anchor) {
        let Some(At { chunk, index }) = self.find(id) else { return };
        let mut slot = self.chunks[chunk].slots.remove(index);
        self.chunks[chunk].removed -= usize::from(slot.record.removed.is_some());
        self.chunk_of.remove(&id);
        slot.record.place = Some(register);
        self.insert(slot, anchor);
    }

    /// Keeps the elements that `keep` wants.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut ListSlot<V>) -> bool) {
        let Self { chunks, chunk_of } = self;
        for chunk in chunks {
            chunk.slots.retain_mut(|slot| {
                let is_kept = keep(slot);
                if !is_kept {
                    chunk_of.remove(&slot.id);
                }
                is_kept
            });
            chunk.removed = chunk.slots.iter().filter(|slot| slot.record.removed.is_some()).count();
        }
    }

    /// Returns the elements that are not removed, from the one at `index` on.
    pub(super) fn kept_from(&self, index: usize) -> impl Iterator<Item = &ListSlot<V>> {
        let mut left = index;
        let first = self.chunks_from(self.chunks.first()).find(|chunk| {
            let kept = chunk.slots.len() - chunk.removed;
            let is_here = left < kept;
            left -= if is_here { 0 } else { kept };
            is_here
        });
        let slots = self.chunks_from(first).flat_map(|chunk| &chunk.slots);
        slots.filter(|slot| slot.record.removed.is_none()).skip(left)
    }

    /// Returns all elements in order, removed ones included.
    pub(super) fn all(&self) -> impl Iterator<Item = &ListSlot<V>> {
        self.chunks_from(self.chunks.first()).flat_map(|chunk| &chunk.slots)
    }

    /// Tells whether the element after this one, or the first of all, is removed.
    pub(super) fn is_removed_after(&self, left: Option<ElementId>) -> bool {
        let (chunk, index) = match left.and_then(|left| self.find(left)) {
            Some(At { chunk, index }) => (chunk, index + 1),
            None => (0, 0),
        };
        let mut chunks = self.chunks_from(self.chunks.get(chunk)).map(|chunk| &*chunk.slots);
        let here = chunks.next().and_then(|slots| slots.get(index));
        let next = here.or_else(|| chunks.find_map(|slots| slots.first()));
        next.is_some_and(|slot| slot.record.removed.is_some())
    }

    fn chunks_from<'a>(
        &'a self,
        first: Option<&'a ListChunk<V>>,
    ) -> impl Iterator<Item = &'a ListChunk<V>> {
        let next = |chunk: &&'a ListChunk<V>| chunk.next.and_then(|next| self.chunks.get(next));
        std::iter::successors(first, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ElementId {
        ElementId { author: 1, number }
    }

    fn slot(number: u64) -> ListSlot<()> {
        let record = ElementRecord::default();
        ListSlot { id: id(number), value: (), record, is_followed: false }
    }

    #[test]
    fn chunks_keep_the_order_of_a_plain_list() {
        let (mut list, mut plain) = (MemoryList::default(), Vec::new());
        let mut random = 7_u64;
        for number in 1..=2000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(random >> 33).unwrap() % (plain.len() + 1);
            let anchor = match (at.checked_sub(1), plain.get(at)) {
                (Some(left), _) if number % 2 == 0 => Anchor::After(id(plain[left])),
                (_, Some(right)) => Anchor::Before(id(*right)),
                (Some(left), None) => Anchor::After(id(plain[left])),
                (None, None) => Anchor::Head,
            };
            list.insert(slot(number), anchor);
            plain.insert(at, number);
            if number % 3 == 0 {
                let register = Register { stamp: super::super::Stamp::default(), seq: 1 };
                let moved = plain.remove(at / 2);
                list.relocate(id(moved), register, Anchor::Head);
                plain.insert(0, moved);
            }
        }
        let found: Vec<u64> = list.kept_from(0).map(|slot| slot.id.number).collect();
        assert!(found == plain, "another order");
        plain.retain(|number| number % 5 != 0);
        (1..=400).for_each(|number| list.remove(id(5 * number), 1));
        for at in [0, 1, 63, 64, 65, 1000, plain.len() - 1, plain.len()] {
            let found = list.kept_from(at).map(|slot| slot.id.number).next();
            assert_eq!(found, plain.get(at).copied(), "at {at}");
        }
        list.retain(|slot| slot.id.number % 2 == 0);
        assert!(list.get(id(3)).is_none() && list.get(id(4)).is_some());
    }
}
