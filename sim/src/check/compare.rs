//! Comparing what the store reads with what the model holds.

use super::Violation;
use fastness::{Bytes, Error, Range, Snapshot, Tree, TreeMut};
use fastness_models::store::{Bounds, Entry, Outcome, Refusal, Shown, State};
use std::ops::Bound;

/// Why an operation ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// A promise is broken.
    Broken(Violation),
    /// The store refused; whether it may is for the check to say.
    Refused(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

/// What snapshots and transactions read alike.
pub(super) trait Reads {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;
    fn range(&self, bounds: Bounds<'_>) -> Result<Range<'_>, Error>;
    fn ends(&self) -> Result<[Option<(Bytes, Bytes)>; 2], Error>;
    fn count(&self) -> u64;
}

macro_rules! reads {
    ($reader:ident) => {
        impl Reads for $reader<'_> {
            fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
                $reader::get(self, key)
            }
            fn range(&self, bounds: Bounds<'_>) -> Result<Range<'_>, Error> {
                $reader::range(self, bounds)
            }
            fn ends(&self) -> Result<[Option<(Bytes, Bytes)>; 2], Error> {
                Ok([self.first()?, self.last()?])
            }
            fn count(&self) -> u64 {
                $reader::len(self)
            }
        }
    };
}

reads!(Tree);
reads!(TreeMut);

/// From which end entries are taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Forward,
    Backward,
    /// From both ends in turn, as the bits of the number say.
    Both(u8),
}

impl Order {
    fn front(self, index: usize) -> bool {
        match self {
            Self::Forward => true,
            Self::Backward => false,
            Self::Both(bits) => bits >> (index % 8) & 1 == 0,
        }
    }
}

/// Tells whether an entry is to be lent if it is taken from the front: runs of both, so that either
/// way of walking goes on where the other stopped.
const fn lent(index: usize) -> bool {
    index % 16 < 11
}

/// Everything there is.
pub(super) const ALL: Bounds<'static> = (Bound::Unbounded, Bound::Unbounded);

/// What reading found.
#[derive(Debug)]
pub(super) enum Reading {
    /// What was expected, and how many entries.
    Same(u64),
    /// Something else.
    Differs(String),
    /// What was expected, until an error.
    Failed(Error),
}

impl Reading {
    /// Makes a difference a broken promise.
    pub(super) fn same(self, invariant: &'static str) -> Result<u64, Stop> {
        match self {
            Self::Same(count) => Ok(count),
            Self::Differs(text) => Err(Violation::new(invariant, text).into()),
            Self::Failed(error) => Err(error.into()),
        }
    }
}

/// Compares a range of one tree.
pub(super) fn read_range<'m>(
    found: Result<Range<'_>, Error>,
    mut expected: impl DoubleEndedIterator<Item = Entry<'m>>,
    order: Order,
) -> Reading {
    let mut found = match found {
        Ok(found) => found,
        Err(error) => return Reading::Failed(error),
    };
    for index in 0.. {
        let front = order.front(index);
        let expected = if front { expected.next() } else { expected.next_back() };
        let mut owned = None;
        let found = if front && lent(index) {
            found.next_ref()
        } else {
            let entry = if front { found.next() } else { found.next_back() };
            entry.transpose().map(|entry| {
                owned = entry;
                owned.as_ref().map(|(key, value)| (&**key, &**value))
            })
        };
        match found {
            Err(error) => return Reading::Failed(error),
            Ok(None) if expected.is_none() => return Reading::Same(index as u64),
            Ok(found) if found != expected => {
                let (found, expected) = (show(found), show(expected));
                let end = if front { "front" } else { "back" };
                let text = format!("entry {index} from the {end} is {found}, expected {expected}");
                return Reading::Differs(text);
            }
            Ok(_) => {}
        }
    }
    Reading::Same(0)
}

fn show(entry: Option<Entry<'_>>) -> String {
    entry.map_or_else(
        || "none".to_owned(),
        |(key, value)| format!("{} = {}", Shown(key), Shown(value)),
    )
}

/// Compares everything a snapshot holds. A difference anywhere counts more than an error elsewhere.
/// The number of operations is returned.
pub(super) fn read_all(snapshot: &Snapshot, expected: &State, order: Order) -> Reading {
    let found: Vec<&str> = snapshot.tree_names().collect();
    let names: Vec<&str> = expected.names().collect();
    if found != names {
        let [found, names] = [found, names].map(shorten);
        return Reading::Differs(format!("the trees are {found:?}, expected {names:?}"));
    }
    let mut failed = None;
    for name in &names {
        let tree = snapshot.tree(name);
        if tree.len() != expected.len(name) {
            let (len, expected, name) = (tree.len(), expected.len(name), shorten_name(name));
            return Reading::Differs(format!("tree {name:?} counts {len}, expected {expected}"));
        }
        match read_range(tree.range(ALL), expected.range(name, ALL), order) {
            Reading::Same(_) => {}
            Reading::Differs(text) => {
                return Reading::Differs(format!("tree {:?}: {text}", shorten_name(name)));
            }
            Reading::Failed(error) => failed = Some(error),
        }
    }
    failed.map_or(Reading::Same(1 + 2 * names.len() as u64), Reading::Failed)
}

fn shorten(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(shorten_name).collect()
}

fn shorten_name(name: &str) -> String {
    name.chars().take(8).collect()
}

/// Reads one key as the model would.
pub(super) fn same_value(
    found: Option<&Bytes>,
    expected: Option<&[u8]>,
    invariant: &'static str,
) -> Result<(), Stop> {
    let found = found.map(|bytes| &**bytes);
    same(&Outcome::Value(found), &Outcome::Value(expected), invariant)
}

/// Compares two outcomes.
pub(super) fn same(
    found: &Outcome<'_>,
    expected: &Outcome<'_>,
    invariant: &'static str,
) -> Result<(), Stop> {
    if found == expected {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("found {found}, expected {expected}")).into())
}

/// Says an error of the store in the words of the model.
pub(super) fn refusal(error: &Error) -> Option<Refusal> {
    use fastness::ArgumentError;
    let Error::Argument(error) = error else { return None };
    match error {
        ArgumentError::KeyTooLong { bytes } => Some(Refusal::Key(*bytes)),
        ArgumentError::ValueTooLong { bytes } => Some(Refusal::Value(*bytes)),
        ArgumentError::TreeName { bytes } => Some(Refusal::Tree(*bytes)),
        _ => None,
    }
}
