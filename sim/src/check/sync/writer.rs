//! A write transaction on a state in memory: edits become operations by the author's rules.
//!
//! - MR5 An author anchors at elements that it sees.
//! - MR3 A delete also removes the links to the object that the author sees.

use super::domain::{EXTRA, EXTRA_TYPES, LATE, LATE_KEYS, LINKS, NEXT, PAGE, TAG, TITLE};
use super::edit::{Edit, Item, ObjectAddress};
use fastness_sync::entry::{
    Anchor, Change, ElementId, Encoder, EntryError, Header, Key, ObjectRef, Operation, Value,
};
use fastness_sync::merge::{Author, Effect, Memory, Place, apply};

/// An operation that owns its text.
struct WrittenOperation {
    operation: Operation<'static>,
    title: Option<String>,
}

impl WrittenOperation {
    fn operation(&self) -> Operation<'_> {
        match (&self.title, self.operation) {
            (Some(title), Operation::Change { target, property, .. }) => {
                let change = Change::Set(Value::String(title));
                Operation::Change { target, property, change }
            }
            (_, operation) => operation,
        }
    }
}

/// A transaction.
pub(super) struct Writer<'a> {
    /// The state, which changes as the transaction goes on.
    pub(super) state: &'a mut Memory,
    /// The entry.
    pub(super) author: Author,
    /// Number of the client's last element.
    pub(super) elements: &'a mut u64,
    written: Vec<WrittenOperation>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(state: &'a mut Memory, author: Author, elements: &'a mut u64) -> Self {
        Self { state, author, elements, written: Vec::new() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Writes operations as they are.
    pub(super) fn push_all(&mut self, operations: Vec<Operation<'static>>) {
        operations.into_iter().for_each(|operation| self.push(operation));
    }

    fn push(&mut self, operation: Operation<'static>) {
        self.push_written(WrittenOperation { operation, title: None });
    }

    fn push_written(&mut self, written: WrittenOperation) {
        let Ok(effect) = apply(self.state, &self.author, written.operation());
        let has_effect = matches!(effect, Effect::Applied | Effect::Unchanged);
        assert!(has_effect, "{:?} is {effect:?} in its author's view", written.operation());
        self.written.push(written);
    }

    fn change(&mut self, target: ObjectAddress, property: &'static str, change: Change<'static>) {
        self.push(Operation::Change { target, property, change });
    }

    fn element(&self, target: ObjectAddress, list: &'static str, index: usize) -> ElementId {
        let element = self.state.element_at(Place { target, property: list }, index);
        element.expect("the view has the element").0
    }

    /// Does an edit that the state allows.
    pub(super) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Create(target) => self.push(Operation::Create(target)),
            Edit::CreateTag => {
                let key = Key::Generated(self.next_id());
                self.push(Operation::Create(ObjectRef { class: TAG, key }));
            }
            Edit::Delete(target) => self.delete(target),
            Edit::SetTitle(target, Some(number)) => {
                let change = Change::Set(Value::Null);
                let operation = Operation::Change { target, property: TITLE, change };
                self.push_written(WrittenOperation { operation, title: Some(number.to_string()) });
            }
            Edit::SetTitle(target, None) => self.change(target, TITLE, Change::Set(Value::Null)),
            Edit::SetExtra(target, to) => self.change(target, EXTRA, Change::Set(Value::Int(to))),
            Edit::SetNext(target, to) => {
                self.change(target, NEXT, Change::Set(to.map_or(Value::Null, Value::Link)));
            }
            Edit::Add(target, counter, by) => self.change(target, counter, Change::Increment(by)),
            Edit::Insert(target, list, index, item) => {
                let anchor = self.state.anchor(Place { target, property: list }, index);
                let (element, value) = (self.next_id(), value(item));
                self.change(target, list, Change::ListInsert { element, anchor, value });
            }
            Edit::SetItem(target, list, index, item) => {
                let (element, value) = (self.element(target, list, index), value(item));
                self.change(target, list, Change::ListSet { element, value });
            }
            Edit::Remove(target, list, index) => {
                let element = self.element(target, list, index);
                self.change(target, list, Change::ListRemove { element });
            }
            Edit::Move(target, list, [from, to]) => {
                let element = self.element(target, list, from);
                let before = if to > from { to + 1 } else { to };
                let anchor: Anchor = self.state.anchor(Place { target, property: list }, before);
                self.change(target, list, Change::ListMove { element, anchor });
            }
            Edit::Clear(target, list) => {
                let elements = self.state.elements(Place { target, property: list });
                let elements: Vec<ElementId> = elements.map(|(element, _)| element).collect();
                for element in elements {
                    self.change(target, list, Change::ListRemove { element });
                }
            }
            Edit::AddExtra(of) => {
                let (class, property, kind) = (PAGE, EXTRA, EXTRA_TYPES[of]);
                self.push(Operation::AddProperty { class, property, kind });
            }
            Edit::AddLate(of) => {
                let (class, primary_key) = (LATE, Some(LATE_KEYS[of]));
                self.push(Operation::AddClass { class, primary_key });
            }
        }
    }

    const fn next_id(&mut self) -> ElementId {
        *self.elements += 1;
        ElementId { author: self.author.client, number: *self.elements }
    }

    fn delete(&mut self, target: ObjectAddress) {
        let leads = |value: Value<'_>| value == Value::Link(target);
        for class in [PAGE, TAG] {
            let keys: Vec<Key<'static>> = self.state.keys(class).filter_map(plain).collect();
            for key in keys {
                let owner = ObjectRef { class, key };
                if owner == target {
                    continue;
                }
                if leads(self.state.value(Place { target: owner, property: NEXT })) {
                    self.change(owner, NEXT, Change::Set(Value::Null));
                }
                let elements = self.state.elements(Place { target: owner, property: LINKS });
                let elements: Vec<ElementId> =
                    elements.filter(|(_, value)| leads(*value)).map(|(id, _)| id).collect();
                for element in elements {
                    self.change(owner, LINKS, Change::ListRemove { element });
                }
            }
        }
        self.push(Operation::Delete(target));
    }

    /// Encodes the entry.
    ///
    /// # Errors
    /// If it exceeds a limit.
    pub(super) fn finish(self) -> Result<Vec<u8>, EntryError> {
        let Author { client_seq, base, stamp, .. } = self.author;
        let mut encoder = Encoder::new(Header { client_seq, base, stamp })?;
        self.written.iter().try_for_each(|written| encoder.push(&written.operation()))?;
        encoder.finish()
    }
}

/// A key that borrows nothing; the domain has no others.
const fn plain(key: Key<'_>) -> Option<Key<'static>> {
    match key {
        Key::Null => Some(Key::Null),
        Key::Int(key) => Some(Key::Int(key)),
        Key::Generated(id) => Some(Key::Generated(id)),
        Key::String(_) => None,
    }
}

const fn value(item: Item) -> Value<'static> {
    match item {
        Item::Number(number) => Value::Int(number),
        Item::Link(target) => Value::Link(target),
    }
}
