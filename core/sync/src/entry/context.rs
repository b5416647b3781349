//! The context that operations share: codes, and the state by which an operation omits what the
//! operations before it said. Encoder and decoder advance it by the same calls.

use super::operation::{Anchor, ElementId, Key, ObjectRef};

pub(super) const VERSION: u8 = 1;

pub(super) const ADD_CLASS: u8 = 0;
pub(super) const ADD_PROPERTY: u8 = 1;
pub(super) const CREATE: u8 = 2;
pub(super) const DELETE: u8 = 3;
pub(super) const SET: u8 = 4;
pub(super) const INCREMENT: u8 = 5;
pub(super) const LIST_INSERT: u8 = 6;
pub(super) const LIST_SET: u8 = 7;
pub(super) const LIST_REMOVE: u8 = 8;
pub(super) const LIST_MOVE: u8 = 9;
pub(super) const CODE_MASK: u8 = 0x0f;

/// The class is that of the operation before.
pub(super) const SAME_CLASS: u8 = 0x10;
/// The object is that of the operation before.
pub(super) const SAME_OBJECT: u8 = 0x20;
/// The property is the last one that was named.
pub(super) const SAME_PROPERTY: u8 = 0x40;
/// The element is the next one of the last inserted, and its place is after that.
pub(super) const NEXT: u8 = 0x80;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context<'a> {
    pub(super) class: Option<&'a str>,
    pub(super) key: Option<Key<'a>>,
    pub(super) property: Option<&'a str>,
    /// The last int key of a target.
    pub(super) int_key: i64,
    /// The last inserted element.
    pub(super) inserted: Option<ElementId>,
}

impl<'a> Context<'a> {
    /// The flags of an operation on a class.
    pub(super) fn class_flags(&self, class: &str) -> u8 {
        if self.class == Some(class) { SAME_CLASS } else { 0 }
    }

    /// The flags of an operation on an object.
    pub(super) fn object_flags(&self, target: &ObjectRef<'_>) -> u8 {
        let class = self.class_flags(target.class);
        if class != 0 && self.key == Some(target.key) { SAME_OBJECT } else { class }
    }

    pub(super) fn property_flags(&self, property: &str) -> u8 {
        if self.property == Some(property) { SAME_PROPERTY } else { 0 }
    }

    pub(super) fn insert_flags(&self, element: ElementId, anchor: Anchor) -> u8 {
        let is_next = self.next() == Some(element);
        let is_after = self.inserted.is_some_and(|last| anchor == Anchor::After(last));
        if is_next && is_after { NEXT } else { 0 }
    }

    /// The successor of the last inserted element.
    pub(super) fn next(&self) -> Option<ElementId> {
        let last = self.inserted?;
        Some(ElementId { author: last.author, number: last.number.checked_add(1)? })
    }

    pub(super) fn enter_class(&mut self, class: &'a str) {
        (self.class, self.key) = (Some(class), None);
    }

    pub(super) fn enter_object(&mut self, target: ObjectRef<'a>) {
        (self.class, self.key) = (Some(target.class), Some(target.key));
        if let Key::Int(key) = target.key {
            self.int_key = key;
        }
    }
}
