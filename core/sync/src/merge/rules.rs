//! The merge rules: whether an operation is applied, by what is known when it gets its turn.

use super::state::{Definition, Deletion, MergeState, Place, Register, Stamp, WrittenElement};
use crate::entry::{
    Anchor, Change, ElementId, Key, ObjectRef, Operation, PropertyType, Scalar, ScalarType, Value,
};
use crate::fault::{self, Fault};

/// An entry without a place in the history has this plus its `client_seq` as its seq, so that a
/// state names it, and every seq is less.
pub const PENDING_SEQ: u64 = 1 << 63;

/// The part of an entry that the rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// Position in the history; from [`PENDING_SEQ`] on before the entry has one.
    pub seq: u64,
    /// The client that wrote it.
    pub client: u32,
    /// Its number among the client's entries, from 1.
    pub client_seq: u64,
    /// The last entry that the client had applied.
    pub base: u64,
    /// Effective stamp; of a pending entry, its own.
    pub stamp: u64,
}

/// Effect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The state has changed.
    Applied,
    /// The state was like that already.
    Unchanged,
    /// The object, element, anchor, class or property does not exist, or has another type.
    Absent,
    /// A foreign Delete is concurrent.
    Deleted,
    /// A write with a greater stamp came before.
    Overridden,
}

impl Author {
    pub(crate) const fn register(&self) -> Register {
        let Self { seq, client, client_seq, stamp: time, .. } = *self;
        Register { stamp: Stamp { time, client, client_seq }, seq }
    }

    /// Tells whether a write of the entry wins over the last one (MR3). Within an entry, the later
    /// operation wins.
    fn wins(&self, last: Option<Register>) -> bool {
        let own = self.register().stamp;
        let wins = |last: Stamp| fault::merge::first_of_tie(own >= last, (own, last));
        last.is_none_or(|last| wins(last.stamp) || fault::on(Fault::Sn05))
    }

    fn written<'a>(&self, id: ElementId, value: Value<'a>) -> WrittenElement<'a> {
        WrittenElement { id, value: self.value(value), register: self.register() }
    }

    /// Replaces the author 0 in an operation of the entry.
    pub(crate) fn resolve<'a>(&self, operation: Operation<'a>) -> Operation<'a> {
        match operation {
            Operation::AddClass { .. } | Operation::AddProperty { .. } => operation,
            Operation::Create(target) => Operation::Create(self.target(target)),
            Operation::Delete(target) => Operation::Delete(self.target(target)),
            Operation::Change { target, property, change } => {
                let target = self.target(target);
                let change = match change {
                    Change::Set(value) => Change::Set(self.value(value)),
                    Change::Increment(by) => Change::Increment(by),
                    Change::ListInsert { element, anchor, value } => Change::ListInsert {
                        element: self.element(element),
                        anchor: self.anchor(anchor),
                        value: self.value(value),
                    },
                    Change::ListSet { element, value } => {
                        Change::ListSet { element: self.element(element), value: self.value(value) }
                    }
                    Change::ListRemove { element } => {
                        Change::ListRemove { element: self.element(element) }
                    }
                    Change::ListMove { element, anchor } => Change::ListMove {
                        element: self.element(element),
                        anchor: self.anchor(anchor),
                    },
                };
                Operation::Change { target, property, change }
            }
        }
    }

    /// Replaces the author 0, which stands for the client.
    const fn element(&self, id: ElementId) -> ElementId {
        if id.author == 0 { ElementId { author: self.client, ..id } } else { id }
    }

    const fn target<'a>(&self, target: ObjectRef<'a>) -> ObjectRef<'a> {
        let key = match target.key {
            Key::Generated(id) => Key::Generated(self.element(id)),
            key @ (Key::Null | Key::Int(_) | Key::String(_)) => key,
        };
        ObjectRef { key, ..target }
    }

    const fn value<'a>(&self, value: Value<'a>) -> Value<'a> {
        if let Value::Link(target) = value { Value::Link(self.target(target)) } else { value }
    }

    const fn anchor(&self, anchor: Anchor) -> Anchor {
        match anchor {
            Anchor::Head => Anchor::Head,
            Anchor::After(id) => Anchor::After(self.element(id)),
            Anchor::Before(id) => Anchor::Before(self.element(id)),
        }
    }
}

/// Applies one operation of an entry and tells its effect. It is total: an operation that cannot
/// apply changes nothing (SY15).
///
/// # Errors
/// If the state fails; it may then have changed in part.
pub fn apply<S: MergeState>(
    state: &mut S,
    author: &Author,
    operation: Operation<'_>,
) -> Result<Effect, S::Error> {
    match operation {
        Operation::AddClass { class, primary_key } => {
            Ok(state.add_class(class, primary_key)?.into())
        }
        Operation::AddProperty { class, property, kind } => {
            Ok(state.add_property(class, property, kind)?.into())
        }
        Operation::Create(target) => create(state, author, author.target(target)),
        Operation::Delete(target) => delete(state, author, author.target(target)),
        Operation::Change { target, property, change } => {
            let place = Place { target: author.target(target), property };
            if meets_delete(state, author, place.target)? && !fault::on(Fault::Sn04) {
                return Ok(Effect::Deleted);
            }
            let fits = |kind: PropertyType<'_>| fits(kind, change);
            if !state.property_fits(place, &fits)? || !state.exists(place.target)? {
                return Ok(Effect::Absent);
            }
            change_property(state, author, place, change)
        }
    }
}

impl From<Definition> for Effect {
    fn from(definition: Definition) -> Self {
        match definition {
            Definition::Added => Self::Applied,
            Definition::Existed => Self::Unchanged,
            Definition::WithoutClass => Self::Absent,
        }
    }
}

/// MR1.
fn create<S: MergeState>(
    state: &mut S,
    author: &Author,
    target: ObjectRef<'_>,
) -> Result<Effect, S::Error> {
    if !state.has_class_of(target)? {
        Ok(Effect::Absent)
    } else if meets_delete(state, author, target)? && !fault::on(Fault::Sn01) {
        Ok(Effect::Deleted)
    } else if state.exists(target)? {
        Ok(Effect::Unchanged)
    } else {
        state.create(target)?;
        Ok(Effect::Applied)
    }
}

/// MR2.
fn delete<S: MergeState>(
    state: &mut S,
    author: &Author,
    target: ObjectRef<'_>,
) -> Result<Effect, S::Error> {
    let Deletion { seq, client, seq_of_others } = state.deletion(target)?.unwrap_or_default();
    let seq_of_others = if client == author.client { seq_of_others } else { seq };
    let seq_of_others = fault::merge::newest_only(seq_of_others);
    let deletion = Deletion { seq: author.seq, client: author.client, seq_of_others };
    if !fault::on(Fault::Sy01) || state.exists(target)? {
        state.put_deletion(target, deletion)?;
    }
    Ok(if state.delete(target)? { Effect::Applied } else { Effect::Unchanged })
}

/// Tells whether a Delete by another client is concurrent with the entry (MR2).
fn meets_delete<S: MergeState>(
    state: &S,
    author: &Author,
    target: ObjectRef<'_>,
) -> Result<bool, S::Error> {
    Ok(state.deletion(target)?.is_some_and(|deletion| {
        let is_own = deletion.client == author.client;
        (if is_own { deletion.seq_of_others } else { deletion.seq })
            > fault::merge::later(author.base)
    }))
}

/// Tells whether a property of a type takes a change.
pub(crate) fn fits(kind: PropertyType<'_>, change: Change<'_>) -> bool {
    match (kind, change) {
        (PropertyType::Counter, Change::Increment(_)) => true,
        (PropertyType::Scalar(scalar), Change::Set(value)) => holds(scalar, value),
        (PropertyType::Link(class), Change::Set(value)) => leads_to(class, value, true),
        (
            PropertyType::List(scalar),
            Change::ListInsert { value, .. } | Change::ListSet { value, .. },
        ) => holds(scalar, value),
        (
            PropertyType::LinkList(class),
            Change::ListInsert { value, .. } | Change::ListSet { value, .. },
        ) => leads_to(class, value, false),
        (
            PropertyType::List(_) | PropertyType::LinkList(_),
            Change::ListRemove { .. } | Change::ListMove { .. },
        ) => true,
        _ => false,
    }
}

fn leads_to(class: &str, value: Value<'_>, or_null: bool) -> bool {
    if let Value::Link(target) = value {
        return target.class == class;
    }
    or_null && value == Value::Null
}

fn holds(scalar: Scalar, value: Value<'_>) -> bool {
    match value {
        Value::Null => scalar.nullable,
        Value::Bool(_) => scalar.kind == ScalarType::Bool,
        Value::Int(_) => scalar.kind == ScalarType::Int,
        Value::Float(_) => scalar.kind == ScalarType::Float,
        Value::Double(_) => scalar.kind == ScalarType::Double,
        Value::String(_) => scalar.kind == ScalarType::String,
        Value::Binary(_) => scalar.kind == ScalarType::Binary,
        Value::Timestamp { .. } => scalar.kind == ScalarType::Timestamp,
        Value::Link(_) => false,
    }
}

/// MR3 to MR5, on a property that exists and fits.
fn change_property<S: MergeState>(
    state: &mut S,
    author: &Author,
    place: Place<'_>,
    change: Change<'_>,
) -> Result<Effect, S::Error> {
    match change {
        Change::Set(value) => {
            if !author.wins(state.register(place)?) {
                return Ok(Effect::Overridden);
            }
            state.set(place, author.value(value), author.register())?;
        }
        Change::Increment(by) => state.increment(place, fault::merge::in_a_byte(by))?,
        Change::ListInsert { element, anchor, value } => {
            let (element, anchor) = (author.element(element), author.anchor(anchor));
            if state.element(place, element)?.is_some() {
                return Ok(Effect::Unchanged);
            }
            if !anchor_exists(state, author, place, anchor)? {
                return Ok(Effect::Absent);
            }
            let written = author.written(element, value);
            state.insert_element(place, written, anchor)?;
        }
        Change::ListSet { element, value } => {
            let element = author.element(element);
            let known = state.element(place, element)?.filter(|known| known.removed.is_none());
            let Some(known) = known else { return Ok(Effect::Absent) };
            if !author.wins(known.value) {
                return Ok(Effect::Overridden);
            }
            state.set_element(place, author.written(element, value))?;
        }
        Change::ListRemove { element } => {
            let element = author.element(element);
            match state.element(place, element)? {
                None => return Ok(Effect::Absent),
                Some(known) if known.removed.is_some() => return Ok(Effect::Unchanged),
                Some(known) if fault::merge::loses_to_write(author, known) => {
                    return Ok(Effect::Overridden);
                }
                Some(_) => state.remove_element(place, element, author.seq)?,
            }
        }
        Change::ListMove { element, anchor } => {
            let to = fault::merge::before(author.anchor(anchor));
            let change = ListMove { element: author.element(element), to };
            return move_element(state, author, place, change);
        }
    }
    Ok(Effect::Applied)
}

/// A move, with the author of its ids.
struct ListMove {
    element: ElementId,
    to: Anchor,
}

fn move_element<S: MergeState>(
    state: &mut S,
    author: &Author,
    place: Place<'_>,
    ListMove { element, to: anchor }: ListMove,
) -> Result<Effect, S::Error> {
    let known = state.element(place, element)?.filter(|known| known.removed.is_none());
    let Some(known) = known else { return Ok(Effect::Absent) };
    let is_itself = matches!(anchor, Anchor::After(to) | Anchor::Before(to) if to == element);
    if is_itself || !anchor_exists(state, author, place, anchor)? {
        return Ok(Effect::Absent);
    }
    if !author.wins(known.place) && !fault::on(Fault::Sn09) {
        return Ok(Effect::Overridden);
    }
    state.move_element(place, (element, author.register()), anchor)?;
    Ok(Effect::Applied)
}

/// Tells whether the list contains an anchor whose removal the author did not know.
fn anchor_exists<S: MergeState>(
    state: &S,
    author: &Author,
    place: Place<'_>,
    anchor: Anchor,
) -> Result<bool, S::Error> {
    let (Anchor::After(element) | Anchor::Before(element)) = anchor else { return Ok(true) };
    let known = state.element(place, element)?;
    assert!(known.is_some() || !fault::on(Fault::Sn35), "SY15: the list contains the anchor");
    let is_unknown_removal = |seq| seq > author.base && !fault::on(Fault::Sn08);
    Ok(known.is_some_and(|known| known.removed.is_none_or(is_unknown_removal)))
}
