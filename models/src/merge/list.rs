//! The part of the fold for registers and lists.
//!
//! - MR5 Elements keep their ids; removal wins; positions are next to an anchor.
//!
//! Written from docs/sync.md#merge-rules, not from code.

use super::mutant::Mutant;
use super::{Anchor, Effect, Element, ListOperation, Stamp, SyncEntry, SyncValue};

/// A last-writer-wins register; its stamp is absent outside the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Register<T> {
    pub(super) value: T,
    stamp: Option<(Stamp, u64)>,
}

/// An element with its history inside the window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) element: Element,
    pub(super) value: Register<SyncValue>,
    place: Register<()>,
    /// The seq of its removal.
    pub(super) removed: Option<u64>,
    /// An element was placed after it.
    pub(super) is_followed: bool,
}

/// A list, removed elements included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct List {
    slots: Vec<Slot>,
}

impl<T> Register<T> {
    pub(super) fn write(&mut self, entry: &SyncEntry, value: T, mutant: Option<Mutant>) -> Effect {
        let wins = match (self.stamp, mutant) {
            (None, _) | (_, Some(Mutant::LastOrderedWins)) => true,
            (Some((held, _)), Some(Mutant::TieKeepsFirst)) => {
                entry.stamp > held.time || entry.client == held.client
            }
            (Some((held, _)), _) => entry.order() >= held,
        };
        if !wins {
            return Effect::Overridden;
        }
        *self = Self { value, stamp: Some((entry.order(), entry.seq)) };
        Effect::Applied
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp.map(|(stamp, _)| stamp)
    }

    /// Returns the time of a stamp that is dropped.
    pub(super) fn purge(&mut self, horizon: u64) -> Option<u64> {
        let dropped = self.stamp.take_if(|(_, seq)| *seq <= horizon);
        dropped.map(|(stamp, _)| stamp.time)
    }
}

impl List {
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the greatest time of a value's stamp that is dropped.
    pub(super) fn purge(&mut self, horizon: u64) -> Option<u64> {
        let mut dropped = None;
        for slot in &mut self.slots {
            dropped = dropped.max(slot.value.purge(horizon));
            slot.place.purge(horizon);
        }
        self.slots.retain(|slot| slot.removed.is_none_or(|seq| seq > horizon));
        dropped
    }

    pub(super) fn change(
        &mut self,
        entry: &SyncEntry,
        operation: ListOperation,
        mutant: Option<Mutant>,
    ) -> Effect {
        match operation {
            ListOperation::Insert(element, anchor, value) => {
                if self.find(element).is_some() {
                    return Effect::Unchanged;
                }
                let Some(at) = self.place(entry, anchor, mutant) else { return Effect::Absent };
                let value = Register { value, stamp: Some((entry.order(), entry.seq)) };
                let place = Register::default();
                let slot = Slot { element, value, place, removed: None, is_followed: false };
                self.insert(at, anchor, slot);
                Effect::Applied
            }
            ListOperation::Set(element, value) => {
                let Some(at) = self.find(element) else { return Effect::Absent };
                if mutant == Some(Mutant::SetRestoresElement) {
                    self.slots[at].removed = None;
                }
                if self.slots[at].removed.is_some() {
                    return Effect::Absent;
                }
                self.slots[at].value.write(entry, value, mutant)
            }
            ListOperation::Remove(element) => {
                let Some(at) = self.find(element) else { return Effect::Absent };
                if self.slots[at].removed.is_some() {
                    return Effect::Unchanged;
                }
                self.slots[at].removed = Some(entry.seq);
                Effect::Applied
            }
            ListOperation::Move(element, anchor) => self.relocate(entry, (element, anchor), mutant),
        }
    }

    fn relocate(
        &mut self,
        entry: &SyncEntry,
        (element, anchor): (Element, Anchor),
        mutant: Option<Mutant>,
    ) -> Effect {
        let visible = |at: &usize| self.slots[*at].removed.is_none();
        let Some(at) = self.find(element).filter(visible) else { return Effect::Absent };
        let is_itself = matches!(anchor, Anchor::After(a) | Anchor::Before(a) if a == element);
        if is_itself || self.place(entry, anchor, mutant).is_none() {
            return Effect::Absent;
        }
        let place = &mut self.slots[at].place;
        if mutant == Some(Mutant::MoveIgnoresStamp) {
            *place = Register::default();
        }
        let effect = place.write(entry, (), mutant);
        if effect == Effect::Applied {
            let slot = self.slots.remove(at);
            let to = self.place(entry, anchor, mutant).unwrap_or_default();
            self.insert(to, anchor, slot);
        }
        effect
    }

    fn find(&self, element: Element) -> Option<usize> {
        self.slots.iter().position(|slot| slot.element == element)
    }

    /// Index of a place; none if the list does not contain the anchor or its author knew the
    /// removal.
    fn place(&self, entry: &SyncEntry, anchor: Anchor, mutant: Option<Mutant>) -> Option<usize> {
        let (element, is_after) = match anchor {
            Anchor::Head => return Some(0),
            Anchor::After(element) => (element, true),
            Anchor::Before(element) => (element, false),
        };
        let at = self.find(element)?;
        let is_known = self.slots[at].removed.is_some_and(|seq| seq <= entry.base);
        if is_known && mutant != Some(Mutant::AnchorOnRemoved) {
            return None;
        }
        Some(at + usize::from(is_after && mutant != Some(Mutant::AfterIsBefore)))
    }

    fn insert(&mut self, at: usize, anchor: Anchor, slot: Slot) {
        if let Anchor::After(left) = anchor
            && let Some(left) = self.find(left)
        {
            self.slots[left].is_followed = true;
        }
        self.slots.insert(at, slot);
    }
}
