//! Edits: what an app does in a transaction, drawn from an operation of a plan and from what the
//! app sees.

use super::domain::{
    EXTRA, LATE, LINES, LINKS, ModelNames, NEXT, PAGE, PAGES, PROPERTIES, TITLE, VIEWS,
};
use fastness_models::merge::{self as model, Content, PropertyNumber, Visible};
use fastness_models::{Op, OpKind};
use fastness_sync::entry::{Key, ObjectRef};
use std::collections::BTreeMap;

/// An object.
pub(super) type ObjectAddress = ObjectRef<'static>;

/// Bit of an operand: the operation is in one transaction with the client's next one.
pub(super) const JOINS: u8 = 0x80;
/// Bit of an operand: another client does the same, or deletes the object, before it knows of the
/// first operation.
const RIVALS: u8 = 2;
/// Bits of an operand: the rival deletes the object, the page that a link leads to, or the element.
const DELETES: u8 = 0xc0;
/// Bits of an operand: the kind of an edit of a list.
const LIST_EDIT: u8 = 0x0e;
/// Bit of an operand: where an element moves to.
const ELSEWHERE: u8 = 8;
/// The kind that removes an element.
const REMOVAL: u8 = 2 << 1;

/// Returns the operation of another client that competes with one; none for most.
pub(super) const fn rival(op: Op) -> Option<Op> {
    if op.b & RIVALS == 0 {
        return None;
    }
    let a = op.a.wrapping_add(1);
    match op.kind {
        OpKind::ChangeSchema => Some(Op { a, b: op.b ^ 1, ..op }),
        OpKind::Set | OpKind::ListInsert if is_about_link(op) && op.c & DELETES != 0 => {
            Some(Op { a, kind: OpKind::Delete, ..op })
        }
        OpKind::Set | OpKind::Add | OpKind::ListInsert if op.c & DELETES == DELETES => {
            Some(Op { a, kind: OpKind::Delete, ..op })
        }
        OpKind::ListEdit if op.c & DELETES == DELETES => {
            Some(Op { a, c: op.c & !LIST_EDIT | REMOVAL, ..op })
        }
        OpKind::ListEdit => Some(Op { a, b: op.b ^ ELSEWHERE, ..op }),
        _ => Some(Op { a, ..op }),
    }
}

/// Bit of an operand: an edit of a list removes all items.
const CLEARS: u8 = 0x40;

/// Most tags, so that the model has numbers for all.
const TAGS_MAX: usize = 60;

/// One edit. Indices are those of visible elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Edit {
    /// Creates an object that does not exist.
    Create(ObjectAddress),
    /// Creates a tag, whose key is generated.
    CreateTag,
    /// Deletes an object.
    Delete(ObjectAddress),
    /// Sets the title to a number as text, or to null.
    SetTitle(ObjectAddress, Option<i64>),
    /// Sets the later property.
    SetExtra(ObjectAddress, i64),
    /// Links to a page, or to none.
    SetNext(ObjectAddress, Option<ObjectAddress>),
    /// Adds to a counter.
    Add(ObjectAddress, &'static str, i64),
    /// Inserts an item before an index.
    Insert(ObjectAddress, &'static str, usize, Item),
    /// Replaces an item.
    SetItem(ObjectAddress, &'static str, usize, Item),
    /// Removes an item.
    Remove(ObjectAddress, &'static str, usize),
    /// Moves an item, so that it is at the second index then.
    Move(ObjectAddress, &'static str, [usize; 2]),
    /// Removes all items.
    Clear(ObjectAddress, &'static str),
    /// Adds the later property, with one of two types.
    AddExtra(usize),
    /// Adds the later class, with one of two keys.
    AddLate(usize),
}

impl Edit {
    /// Tells whether the edit gives an id to an element or to an object.
    pub(super) const fn gives_id(self) -> bool {
        matches!(self, Self::CreateTag | Self::Insert(..))
    }
}

/// An item of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item {
    /// A number.
    Number(i64),
    /// A link.
    Link(ObjectAddress),
}

/// The view of an app, and the numbers that it gives to its values.
pub(super) struct View<'a> {
    pub(super) visible: &'a Visible,
    pub(super) schema: &'a model::Schema,
    pub(super) names: &'a ModelNames,
    /// Distinguishes values.
    pub(super) value: i64,
}

impl View<'_> {
    /// Draws an edit; none if the view does not allow it.
    pub(super) fn edit(&self, op: Op) -> Option<Edit> {
        match op.kind {
            OpKind::Create => self.create(op),
            OpKind::Delete if is_about_link(op) => Some(Edit::Delete(self.page(op.c >> 3)?)),
            OpKind::Delete => Some(Edit::Delete(self.target(op.b)?)),
            OpKind::Set => self.set(op),
            OpKind::Add => {
                let target = self.target(op.b)?;
                self.has(target, VIEWS).then(|| Edit::Add(target, VIEWS, i64::from(op.c) + 1))
            }
            OpKind::ListInsert => {
                let (target, list, count) = self.list(op)?;
                let index = usize::from(op.c >> 1) % (count + 1);
                Some(Edit::Insert(target, list, index, self.item(list, op)?))
            }
            OpKind::ListEdit => self.edit_list(op),
            OpKind::ChangeSchema => {
                let choice = usize::from(op.b & 1);
                let class = |number| self.schema.get(&number);
                if op.c & 1 == 0 && class(2).is_none() {
                    return Some(Edit::AddLate(choice));
                }
                let (_, properties) = class(0)?;
                (!properties.contains_key(&number_of(EXTRA))).then_some(Edit::AddExtra(choice))
            }
            _ => None,
        }
    }

    fn create(&self, op: Op) -> Option<Edit> {
        let key = Key::Int(i64::from(op.b >> 2) % PAGES);
        let target = match op.c % 4 {
            0 => {
                let has_room = self.names.generated() < TAGS_MAX;
                return (has_room && self.schema.contains_key(&1)).then_some(Edit::CreateTag);
            }
            1 if self.schema.contains_key(&2) => ObjectRef { class: LATE, key },
            _ => ObjectRef { class: PAGE, key },
        };
        let exists = self.visible.keys().any(|object| self.names.target(*object) == target);
        (!exists && self.schema.contains_key(&0)).then_some(Edit::Create(target))
    }

    fn set(&self, op: Op) -> Option<Edit> {
        let target = self.target(op.b)?;
        let value = self.value;
        match op.c % 8 {
            0..4 if self.has(target, TITLE) => {
                Some(Edit::SetTitle(target, (op.c >> 3 & 3 != 0).then_some(value)))
            }
            _ if is_about_link(op) && self.has(target, NEXT) => {
                Some(Edit::SetNext(target, self.page(op.c >> 3)))
            }
            _ => match self.contents(target)?.get(&number_of(EXTRA))? {
                Content::Value(_) => Some(Edit::SetExtra(target, value)),
                Content::Counter(_) => Some(Edit::Add(target, EXTRA, value)),
                Content::List(_) => None,
            },
        }
    }

    fn edit_list(&self, op: Op) -> Option<Edit> {
        let (target, list, count) = self.list(op)?;
        let index = if op.b & RIVALS == 0 { usize::from(op.c >> 4) } else { 0 };
        let index = index.checked_rem(count)?;
        Some(match op.c >> 1 & 7 {
            2 | 3 => Edit::Remove(target, list, index),
            4..7 if count > 1 => {
                let to = (index + 1 + usize::from(op.b >> 3) % (count - 1)) % count;
                Edit::Move(target, list, [index, to])
            }
            7 if op.b & CLEARS != 0 => Edit::Clear(target, list),
            _ => Edit::SetItem(target, list, index, self.item(list, op)?),
        })
    }

    /// Returns an object: the first one most often, so that clients compete.
    fn object(&self, operand: u8) -> Option<model::ObjectRef> {
        let index = if operand & 1 == 0 { 0 } else { usize::from(operand >> 2) };
        let index = index.checked_rem(self.visible.len())?;
        self.visible.keys().nth(index).copied()
    }

    fn target(&self, operand: u8) -> Option<ObjectAddress> {
        Some(self.names.target(self.object(operand)?))
    }

    /// Returns a page; none for the operand that stands for null, or without pages.
    fn page(&self, operand: u8) -> Option<ObjectAddress> {
        let pages: Vec<_> = self.visible.keys().filter(|object| object.class == 0).collect();
        let index = usize::from(operand) % (pages.len() + 1);
        Some(self.names.target(**pages.get(index)?))
    }

    fn contents(&self, target: ObjectAddress) -> Option<&BTreeMap<PropertyNumber, Content>> {
        let mut objects = self.visible.iter();
        let found = objects.find(|(object, _)| self.names.target(**object) == target);
        found.map(|(_, contents)| contents)
    }

    fn has(&self, target: ObjectAddress, property: &str) -> bool {
        let number = number_of(property);
        self.contents(target).is_some_and(|contents| contents.contains_key(&number))
    }

    /// Returns a list and its length.
    fn list(&self, op: Op) -> Option<(ObjectAddress, &'static str, usize)> {
        let list = if op.c & 1 == 0 { LINES } else { LINKS };
        let mut owners = self.visible.iter().filter(|(object, _)| object.class == 0);
        let count = owners.clone().count();
        let index = if op.b & 1 == 0 { 0 } else { usize::from(op.b >> 4) };
        let (object, contents) = owners.nth(index.checked_rem(count)?)?;
        let Content::List(elements) = contents.get(&number_of(list))? else { return None };
        Some((self.names.target(*object), list, elements.len()))
    }

    fn item(&self, list: &str, op: Op) -> Option<Item> {
        if list == LINES {
            return Some(Item::Number(self.value));
        }
        self.page(op.c >> 3).map(Item::Link)
    }
}

/// Tells whether an operation sets a link, or deletes a page that its rival links to.
const fn is_about_link(op: Op) -> bool {
    matches!(op.c % 8, 4..7)
}

/// Returns the model's number of a property.
pub(super) fn number_of(property: &str) -> u8 {
    let index = PROPERTIES.iter().position(|other| *other == property);
    index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
}
