//! Outcomes of a client's own operations, after a rebase or a reset.

use crate::entry::{Change, Operation};
use crate::merge::{Author, Effect, MergeState, Place, Register, fits};

/// The entry of another client that decided an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// The client.
    pub client: u32,
    /// Position of its entry in the history.
    pub seq: u64,
}

/// Fate of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It has its effect. After a reset, it is written again.
    Applied,
    /// It was written again with another anchor (MR5).
    Adjusted,
    /// The state was like that already.
    NoOperation,
    /// A write of another client won: of the same value by MR3, or of the same place by MR5. The
    /// local value is in the operation. The writer is not known if a purge dropped its stamp.
    Conflict(Option<Writer>),
    /// The object or the element does not exist (MR1 to MR5). A writer is known if a Delete is
    /// concurrent.
    Deleted(Option<Writer>),
    /// The class or the property does not exist, or has another definition (MR6).
    Schema,
    /// A reset that discards operations dropped it.
    Discarded,
}

impl Outcome {
    /// Tells whether the operation is in the history or pending.
    #[must_use]
    pub const fn is_written(self) -> bool {
        matches!(self, Self::Applied | Self::Adjusted)
    }

    /// Returns the name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Adjusted => "adjusted",
            Self::NoOperation => "no operation",
            Self::Conflict(_) => "conflict",
            Self::Deleted(_) => "deleted",
            Self::Schema => "schema",
            Self::Discarded => "discarded",
        }
    }

    /// Returns the outcome of an operation that was just applied to a state with this effect.
    ///
    /// # Errors
    /// If the state fails.
    pub fn of<S: MergeState>(
        state: &S,
        author: &Author,
        (operation, effect): (Operation<'_>, Effect),
    ) -> Result<Self, S::Error> {
        let operation = author.resolve(operation);
        Ok(match effect {
            Effect::Applied => Self::Applied,
            Effect::Unchanged => Self::NoOperation,
            Effect::Overridden => {
                let winner = winner(state, operation)?;
                winner.map_or(Self::Deleted(None), |winner| Self::Conflict(Some(winner.into())))
            }
            Effect::Deleted => Self::Deleted(deleter(state, author, operation)?),
            Effect::Absent if has_definition(state, operation)? => Self::Deleted(None),
            Effect::Absent => Self::Schema,
        })
    }
}

impl From<Register> for Writer {
    fn from(Register { stamp, seq }: Register) -> Self {
        Self { client: stamp.client, seq }
    }
}

/// Returns the last write of what an operation writes.
pub(crate) fn winner<S: MergeState>(
    state: &S,
    operation: Operation<'_>,
) -> Result<Option<Register>, S::Error> {
    let Operation::Change { target, property, change } = operation else { return Ok(None) };
    let place = Place { target, property };
    let element = |id| state.element(place, id).map(Option::unwrap_or_default);
    Ok(match change {
        Change::Set(_) => state.register(place)?,
        Change::ListSet { element: id, .. } => element(id)?.value,
        Change::ListMove { element: id, .. } => element(id)?.place,
        Change::Increment(_) | Change::ListInsert { .. } | Change::ListRemove { .. } => None,
    })
}

/// Returns the newest Delete of an operation's object, unless it is the author's own.
fn deleter<S: MergeState>(
    state: &S,
    author: &Author,
    operation: Operation<'_>,
) -> Result<Option<Writer>, S::Error> {
    let (Operation::Create(target) | Operation::Delete(target) | Operation::Change { target, .. }) =
        operation
    else {
        return Ok(None);
    };
    let deletion = state.deletion(target)?.filter(|deletion| deletion.client != author.client);
    Ok(deletion.map(|deletion| Writer { client: deletion.client, seq: deletion.seq }))
}

/// Tells whether a state has the class or property of an operation, with a type that fits.
fn has_definition<S: MergeState>(state: &S, operation: Operation<'_>) -> Result<bool, S::Error> {
    match operation {
        Operation::AddClass { .. } => Ok(true),
        Operation::AddProperty { .. } => Ok(false),
        Operation::Create(target) | Operation::Delete(target) => state.has_class_of(target),
        Operation::Change { target, property, change } => {
            state.property_fits(Place { target, property }, &|kind| fits(kind, change))
        }
    }
}
