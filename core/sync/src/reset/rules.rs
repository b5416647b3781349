//! The rules: whether an operation is written again, and where.

use crate::entry::{Anchor, Change, ElementId, Key, ObjectRef, Operation, Value};
use crate::fault::{self, Fault};
use crate::merge::{Author, Effect, MergeState, Place, Register, VisibleState, apply};
use crate::outcome::{Outcome, winner};
use std::collections::BTreeSet;

/// The states of a reset.
#[derive(Debug)]
pub struct Reset<'s, F, C, W> {
    /// The state of the server, with the operations that were written again so far.
    pub fresh: F,
    /// The client's canonical state before the reset.
    pub canonical: &'s C,
    /// The client's working state before the reset.
    pub working: &'s W,
    /// The objects that did not exist before the reset created them: no other client has written
    /// their values.
    pub created: CreatedObjects,
}

/// Objects that a reset has created.
#[derive(Clone, Debug, Default)]
pub struct CreatedObjects(BTreeSet<(String, Vec<u8>)>);

impl CreatedObjects {
    fn insert(&mut self, target: ObjectRef<'_>) {
        self.0.insert((target.class.to_owned(), key_bytes(target.key)));
    }

    fn contains(&self, target: ObjectRef<'_>) -> bool {
        !self.0.is_empty() && self.0.contains(&(target.class.to_owned(), key_bytes(target.key)))
    }
}

fn key_bytes(key: Key<'_>) -> Vec<u8> {
    match key {
        Key::Null => vec![0],
        Key::Int(key) => [&[1][..], &key.to_le_bytes()].concat(),
        Key::String(key) => [&[2], key.as_bytes()].concat(),
        Key::Generated(ElementId { author, number }) => {
            [&[3][..], &author.to_le_bytes(), &number.to_le_bytes()].concat()
        }
    }
}

/// The entries of one decision.
#[derive(Clone, Copy)]
struct Entries<'a> {
    /// The entry that has the operation.
    old: &'a Author,
    /// The entry that it is written into.
    new: &'a Author,
}

/// Decision on an operation.
enum Decision<'a> {
    Again,
    /// The change, with another anchor.
    Adjusted(Change<'a>),
    Not(Outcome),
}

impl Decision<'_> {
    fn unless(is_refused: bool, outcome: Outcome) -> Self {
        if is_refused { Self::Not(outcome) } else { Self::Again }
    }
}

impl<E, F, C, W> Reset<'_, F, C, W>
where
    F: MergeState<Error = E> + VisibleState<Error = E>,
    C: VisibleState<Error = E>,
    W: VisibleState<Error = E>,
{
    /// Decides on an operation of the entry `old`. Returns the operation to write again, which is
    /// applied to the fresh state as a part of the entry `new`.
    ///
    /// The client of `new` is the client's new identity, its base the seq of the fresh state, and
    /// its stamp greater than all that the client wrote or saw. Elements and generated keys keep
    /// their ids, so the new operation names their author.
    ///
    /// # Errors
    /// If a state fails.
    pub fn recover<'a>(
        &mut self,
        old: &Author,
        new: &Author,
        operation: Operation<'a>,
    ) -> Result<(Option<Operation<'a>>, Outcome), E> {
        let operation = old.resolve(operation);
        let (again, outcome) = match (self.decide(Entries { old, new }, operation)?, operation) {
            (Decision::Not(outcome), _) => return Ok((None, outcome)),
            (Decision::Adjusted(change), Operation::Change { target, property, .. }) => {
                (Operation::Change { target, property, change }, fault::reset::unadjusted())
            }
            (Decision::Adjusted(_) | Decision::Again, _) => (operation, Outcome::Applied),
        };
        fault::reset::create_target(&mut self.fresh, again)?;
        if let Operation::Create(target) = again
            && !self.fresh.exists(target)?
        {
            self.created.insert(target);
        }
        let effect = apply(&mut self.fresh, new, again)?;
        if matches!(effect, Effect::Applied | Effect::Unchanged) {
            return Ok((Some(again), outcome));
        }
        Ok((None, Outcome::of(&self.fresh, new, (again, effect))?))
    }

    fn decide<'a>(
        &self,
        entries: Entries<'_>,
        operation: Operation<'a>,
    ) -> Result<Decision<'a>, E> {
        Ok(match operation {
            Operation::AddClass { class, primary_key } => {
                let conflicts = self.fresh.class_conflicts(class, primary_key)?;
                Decision::unless(conflicts, Outcome::Schema)
            }
            Operation::AddProperty { class, property, kind } => {
                let conflicts = self.fresh.property_conflicts(class, property, kind)?;
                Decision::unless(conflicts, Outcome::Schema)
            }
            Operation::Create(_) => Decision::Again,
            Operation::Delete(target) => {
                Decision::unless(!self.fresh.exists(target)?, Outcome::NoOperation)
            }
            Operation::Change { target, property, change } => {
                if !self.fresh.exists(target)? {
                    return Ok(Decision::Not(Outcome::Deleted(None)));
                }
                let place = Place { target, property };
                match change {
                    Change::Increment(_) => Decision::Again,
                    Change::Set(_) => self.decide_write(entries, operation, (place, None))?,
                    Change::ListSet { element, .. } => {
                        if !self.shows(place, element)? {
                            return Ok(Decision::Not(Outcome::Deleted(None)));
                        }
                        self.decide_write(entries, operation, (place, Some(element)))?
                    }
                    Change::ListInsert { .. }
                    | Change::ListRemove { .. }
                    | Change::ListMove { .. } => self.decide_place(place, change)?,
                }
            }
        })
    }

    /// A value is written if the server's is unchanged, has a lower stamp, or was written again, or
    /// if the object was. One whose stamp was purged has at most the greatest stamp that a purge
    /// dropped.
    fn decide_write<'a>(
        &self,
        entries: Entries<'_>,
        operation: Operation<'a>,
        (place, element): (Place<'_>, Option<ElementId>),
    ) -> Result<Decision<'a>, E> {
        let winner = winner(&self.fresh, operation)?;
        let is_written = match winner {
            Some(Register { stamp, .. }) => {
                stamp.client == entries.new.client || stamp <= entries.old.register().stamp
            }
            None if self.created.contains(place.target) => true,
            None => {
                let purged = self.fresh.purged_stamp()?;
                purged.is_none_or(|purged| entries.old.stamp > purged)
            }
        };
        if is_written {
            return Ok(Decision::Again);
        }
        let (mut is_unchanged, mut failure) = (false, None);
        see(&self.fresh, (place, element), &mut |fresh| {
            let compare = &mut |old: Value<'_>| is_unchanged = is_same(fresh, old);
            failure = see(self.canonical, (place, element), compare).err();
        })?;
        failure.map_or(Ok(()), Err)?;
        let is_refused = !is_unchanged && !fault::on(Fault::Sn32);
        Ok(Decision::unless(is_refused, Outcome::Conflict(winner.map(Into::into))))
    }

    fn decide_place<'a>(&self, place: Place<'_>, change: Change<'a>) -> Result<Decision<'a>, E> {
        let adjusted = |element, anchor| self.adjust(place, element, anchor);
        Ok(match change {
            Change::ListInsert { element, anchor, value } => {
                if self.fresh.element(place, element)?.is_some() {
                    return Ok(Decision::Not(Outcome::NoOperation));
                }
                adjusted(element, anchor)?.map_or(Decision::Again, |anchor| {
                    Decision::Adjusted(Change::ListInsert { element, anchor, value })
                })
            }
            Change::ListMove { element, anchor } => {
                if !self.shows(place, element)? {
                    return Ok(Decision::Not(Outcome::Deleted(None)));
                }
                if [Anchor::After(element), Anchor::Before(element)].contains(&anchor) {
                    return Ok(Decision::Not(Outcome::NoOperation));
                }
                adjusted(element, anchor)?.map_or(Decision::Again, |anchor| {
                    Decision::Adjusted(Change::ListMove { element, anchor })
                })
            }
            Change::ListRemove { element } => {
                Decision::unless(!self.shows(place, element)?, Outcome::NoOperation)
            }
            Change::Set(_) | Change::Increment(_) | Change::ListSet { .. } => Decision::Again,
        })
    }

    fn shows(&self, place: Place<'_>, element: ElementId) -> Result<bool, E> {
        let mut is_visible = false;
        self.fresh.see_element(place, element, &mut |_| is_visible = true)?;
        Ok(is_visible)
    }

    /// Returns the anchor instead of one that is not visible: the nearest left neighbour in the old
    /// list that is.
    fn adjust(
        &self,
        place: Place<'_>,
        element: ElementId,
        anchor: Anchor,
    ) -> Result<Option<Anchor>, E> {
        let (Anchor::After(next) | Anchor::Before(next)) = anchor else { return Ok(None) };
        if self.shows(place, next)? {
            return Ok(None);
        }
        let mut survivor = Ok(None);
        self.working.see_left(place, element, &mut |left| {
            survivor = self.shows(place, left).map(|is_visible| is_visible.then_some(left));
            matches!(survivor, Ok(None))
        })?;
        Ok(Some(survivor?.map_or(Anchor::Head, Anchor::After)))
    }
}

/// Calls `call` with the visible value of a property or of an element.
fn see<S: VisibleState>(
    state: &S,
    (place, element): (Place<'_>, Option<ElementId>),
    call: &mut dyn FnMut(Value<'_>),
) -> Result<(), S::Error> {
    match element {
        None => state.see_value(place, call),
        Some(element) => state.see_element(place, element, call),
    }
}

/// Compares all bits.
fn is_same(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
        (Value::Double(left), Value::Double(right)) => left.to_bits() == right.to_bits(),
        (left, right) => left == right,
    }
}
