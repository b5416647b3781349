//! The alphabet: everything that an app does in one transaction over two objects, two properties, a
//! counter, a list of three elements and a link.

use crate::merge::fold::State;
use crate::merge::{
    Anchor, Client, Content, Element, Kind, ListOperation, ObjectRef, Operation, PropertyNumber,
    SyncEntry, SyncValue,
};

/// The object with the list.
pub const X: ObjectRef = ObjectRef { class: 0, key: 0 };
/// Another object of the class.
pub const Y: ObjectRef = ObjectRef { class: 0, key: 1 };
/// A number.
pub const NUMBER: PropertyNumber = 0;
/// A link.
pub const LINK: PropertyNumber = 1;
/// A counter.
pub const COUNTER: PropertyNumber = 2;
/// A list.
pub const LIST: PropertyNumber = 3;
const ADDED: PropertyNumber = 4;

/// The client that writes the first entry and nothing else.
pub const FOUNDER: Client = 9;

/// One transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Letter {
    /// Creates an object.
    Create(ObjectRef),
    /// Deletes an object.
    Delete(ObjectRef),
    /// Deletes, creates and sets again.
    Replace(ObjectRef),
    /// Sets the number of an object.
    Set(ObjectRef),
    /// Links `X` to `Y`.
    SetLink,
    /// Sets the link of `X` to null.
    ClearLink,
    /// Increments the counter of `X`.
    Increment,
    /// Inserts a number before the visible element of an index.
    Insert(usize),
    /// Inserts a link to `Y`.
    InsertLink(usize),
    /// Inserts two elements, one after the other.
    InsertRun(usize),
    /// Sets an element.
    SetElement(usize),
    /// Removes an element.
    Remove(usize),
    /// Moves an element to an index.
    Move(usize, usize),
    /// Adds a property.
    AddProperty(Kind),
    /// Sets the added property.
    SetAdded,
}

/// All letters.
pub const LETTERS: &[Letter] = &[
    Letter::Create(X),
    Letter::Create(Y),
    Letter::Delete(X),
    Letter::Delete(Y),
    Letter::Replace(X),
    Letter::Replace(Y),
    Letter::Set(X),
    Letter::Set(Y),
    Letter::SetLink,
    Letter::ClearLink,
    Letter::Increment,
    Letter::Insert(0),
    Letter::Insert(1),
    Letter::Insert(2),
    Letter::Insert(3),
    Letter::InsertLink(1),
    Letter::InsertRun(1),
    Letter::SetElement(0),
    Letter::SetElement(1),
    Letter::Remove(0),
    Letter::Remove(1),
    Letter::Move(0, 1),
    Letter::Move(0, 2),
    Letter::Move(1, 0),
    Letter::Move(2, 1),
    Letter::AddProperty(Kind::Int),
    Letter::AddProperty(Kind::Counter),
    Letter::SetAdded,
];

/// Inserts that compete for the same places, and a removal of a neighbour.
pub const INSERTS: &[Letter] =
    &[Letter::Insert(1), Letter::Insert(2), Letter::InsertRun(1), Letter::Remove(1)];

/// Moves that compete for an element.
pub const MOVES: &[Letter] = &[Letter::Move(0, 1), Letter::Move(0, 2), Letter::Move(2, 0)];

/// Visible elements of the list of `X`.
pub fn elements(view: &State) -> Vec<(Element, SyncValue)> {
    view.elements(X, LIST)
}

/// The first entry: classes, `X` with a list of three, and `Y` or not.
pub fn foundation(has_y: bool) -> SyncEntry {
    let element = |number| Element { author: FOUNDER, number };
    let kinds = [Kind::Int, Kind::Link, Kind::Counter, Kind::List];
    let mut operations = vec![Operation::AddClass(0, 0)];
    operations.extend((0..).zip(kinds).map(|(at, kind)| Operation::AddProperty(0, at, kind)));
    operations.push(Operation::Create(X));
    if has_y {
        operations.push(Operation::Create(Y));
        operations.push(Operation::Set(X, LINK, SyncValue::Link(Y)));
    }
    let mut anchor = Anchor::Head;
    for number in 1..=3 {
        let insert = ListOperation::Insert(element(number), anchor, SyncValue::Int(0));
        operations.push(Operation::List(X, LIST, insert));
        anchor = Anchor::After(element(number));
    }
    SyncEntry { seq: 1, client: FOUNDER, client_seq: 1, base: 0, stamp: 1, operations }
}

/// An author: its view, which it changes as it writes.
pub struct Author<'a> {
    /// Its view.
    pub view: &'a mut State,
    /// The entry that it writes.
    pub entry: SyncEntry,
    /// Number of its last element.
    pub elements: &'a mut u64,
    /// Distinguishes its values.
    pub value: i64,
    /// Orders of the list that it intended.
    pub orders: Vec<Vec<Element>>,
}

impl Author<'_> {
    /// Writes a letter; returns whether its view allows it.
    pub fn write(&mut self, letter: Letter) -> bool {
        let is_visible = |object| self.view.exists(object);
        let value = SyncValue::Int(self.value);
        match letter {
            Letter::Create(object) if !is_visible(object) => self.push(Operation::Create(object)),
            Letter::Delete(object) if is_visible(object) => self.delete(object),
            Letter::Replace(object) if is_visible(object) => {
                self.delete(object);
                self.push(Operation::Create(object));
                self.push(Operation::Set(object, NUMBER, value));
            }
            Letter::Set(object) if is_visible(object) => {
                self.push(Operation::Set(object, NUMBER, value));
            }
            Letter::SetLink if is_visible(X) && is_visible(Y) => {
                self.push(Operation::Set(X, LINK, SyncValue::Link(Y)));
            }
            Letter::ClearLink if is_visible(X) => {
                self.push(Operation::Set(X, LINK, SyncValue::Null))
            }
            Letter::Increment if is_visible(X) => {
                self.push(Operation::Increment(X, COUNTER, self.value));
            }
            Letter::AddProperty(kind) if self.added().is_none() => {
                self.push(Operation::AddProperty(0, ADDED, kind));
            }
            Letter::SetAdded if is_visible(X) && self.added() == Some(Kind::Int) => {
                self.push(Operation::Set(X, ADDED, value));
            }
            Letter::Insert(index) if is_visible(X) => return self.insert(index, value),
            Letter::InsertLink(index) if is_visible(X) && is_visible(Y) => {
                return self.insert(index, SyncValue::Link(Y));
            }
            Letter::InsertRun(index) if is_visible(X) => {
                return self.insert(index, value) && self.insert(index + 1, value);
            }
            Letter::SetElement(index) => {
                return self.change(index, |element| ListOperation::Set(element, value));
            }
            Letter::Remove(index) => return self.change(index, ListOperation::Remove),
            Letter::Move(from, to) => return self.relocate(from, to),
            Letter::Create(_)
            | Letter::Delete(_)
            | Letter::Replace(_)
            | Letter::Set(_)
            | Letter::SetLink
            | Letter::ClearLink
            | Letter::Increment
            | Letter::Insert(_)
            | Letter::InsertLink(_)
            | Letter::InsertRun(_)
            | Letter::AddProperty(_)
            | Letter::SetAdded => return false,
        }
        true
    }

    /// Type of the added property in the view.
    fn added(&self) -> Option<Kind> {
        let (_, properties) = &self.view.schema()[&0];
        properties.get(&ADDED).copied()
    }

    fn push(&mut self, operation: Operation) {
        self.view.apply(&SyncEntry { operations: vec![operation], ..self.entry.clone() });
        self.entry.operations.push(operation);
    }

    /// Deletes an object after the links to it that the author sees.
    fn delete(&mut self, object: ObjectRef) {
        let link = Content::Value(SyncValue::Link(object));
        let contents = self.view.visible().remove(&X).unwrap_or_default();
        if object != X && contents.get(&LINK) == Some(&link) {
            self.push(Operation::Set(X, LINK, SyncValue::Null));
        }
        for (element, value) in elements(self.view) {
            if object != X && value == SyncValue::Link(object) {
                self.push(Operation::List(X, LIST, ListOperation::Remove(element)));
            }
        }
        self.push(Operation::Delete(object));
    }

    fn insert(&mut self, index: usize, value: SyncValue) -> bool {
        if index > elements(self.view).len() {
            return false;
        }
        let anchor = self.view.anchor(X, LIST, index);
        *self.elements += 1;
        let element = Element { author: self.entry.client, number: *self.elements };
        let insert = ListOperation::Insert(element, anchor, value);
        let mut order: Vec<Element> = elements(self.view).into_iter().map(|(e, _)| e).collect();
        order.insert(index, element);
        self.orders.push(order);
        self.push(Operation::List(X, LIST, insert));
        true
    }

    fn change(&mut self, index: usize, change: impl Fn(Element) -> ListOperation) -> bool {
        let Some((element, _)) = elements(self.view).get(index).copied() else { return false };
        self.push(Operation::List(X, LIST, change(element)));
        true
    }

    /// Moves a visible element so that it is then at `to`.
    fn relocate(&mut self, from: usize, to: usize) -> bool {
        let shown = elements(self.view);
        if from.max(to) >= shown.len() || from == to {
            return false;
        }
        let (element, _) = shown[from];
        let before = if to > from { to + 1 } else { to };
        let anchor = self.view.anchor(X, LIST, before);
        self.push(Operation::List(X, LIST, ListOperation::Move(element, anchor)));
        true
    }
}
