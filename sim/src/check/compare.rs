//! Comparison of store reads with the model.

use super::definition::Violation;
use super::promises::{A4, T5};
use fastness::{Bytes, Error, Range, StoreSnapshot, Tree, TreeMut};
use fastness_models::store::{
    ArgumentRefusal, Bounds, Entry, ShortBytes, StoreOutcome, StoreState,
};
use std::ops::Bound;

/// The reason why an operation ended early.
#[derive(Debug)]
pub(super) enum CheckError {
    /// A violated promise.
    Violation(Violation),
    /// An error of the store; the check decides whether it is allowed.
    Store(Error),
}

impl From<Error> for CheckError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Violation> for CheckError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// The reads that snapshots and transactions share.
pub(super) trait TreeReader {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;
    fn range(&self, bounds: Bounds<'_>) -> Result<Range<'_>, Error>;
    fn ends(&self) -> Result<[Option<(Bytes, Bytes)>; 2], Error>;
    fn count(&self) -> u64;
}

macro_rules! reads {
    ($reader:ident) => {
        impl TreeReader for $reader<'_> {
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

/// The ends from which entries are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Forward,
    Backward,
    /// From both ends, in the order of the bits.
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

/// Whether an entry read from the front is borrowed: runs of borrowed and owned entries, so that
/// each way of reading continues where the other stopped.
const fn is_borrowed(index: usize) -> bool {
    index % 16 < 11
}

/// The unbounded range.
pub(super) const ALL: Bounds<'static> = (Bound::Unbounded, Bound::Unbounded);

/// The result of a comparison.
#[derive(Debug)]
pub(super) enum Reading {
    /// Equal, with the number of entries.
    Same(u64),
    /// Different.
    Differs {
        /// The promise about what differs, if it is not the caller's.
        owner: Option<&'static str>,
        /// The difference.
        text: String,
    },
    /// Equal until an error.
    Failed(Error),
}

impl Reading {
    /// Turns a difference into a violation.
    pub(super) fn same(self, invariant: &'static str) -> Result<u64, CheckError> {
        match self {
            Self::Same(count) => Ok(count),
            Self::Differs { owner, text } => {
                Err(Violation::new(owner.unwrap_or(invariant), text).into())
            }
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
    let mut range = match found {
        Ok(found) => found,
        Err(error) => return Reading::Failed(error),
    };
    for index in 0.. {
        let front = order.front(index);
        let expected = if front { expected.next() } else { expected.next_back() };
        let mut owned = None;
        let found = if front && is_borrowed(index) {
            range.next_ref()
        } else {
            let entry = if front { range.next() } else { range.next_back() };
            entry.transpose().map(|entry| {
                owned = entry;
                owned.as_ref().map(|(key, value)| (&**key, &**value))
            })
        };
        match found {
            Err(error) => {
                if !continues(&mut range) {
                    return Reading::Failed(error);
                }
                let text = format!("a scan goes on after it returned {error}");
                return Reading::Differs { owner: Some(A4.id), text };
            }
            Ok(None) if expected.is_none() => return Reading::Same(index as u64),
            Ok(found) if found != expected => {
                let (found, expected) = (show(found), show(expected));
                let end = if front { "front" } else { "back" };
                let text = format!("entry {index} from the {end} is {found}, expected {expected}");
                return Reading::Differs { owner: None, text };
            }
            Ok(_) => {}
        }
    }
    Reading::Same(0)
}

/// Tells whether a scan that returned an error returns anything more (A4).
fn continues(range: &mut Range<'_>) -> bool {
    !matches!(range.next_ref(), Ok(None)) || range.next().is_some() || range.next_back().is_some()
}

fn show(entry: Option<Entry<'_>>) -> String {
    entry.map_or_else(
        || "none".to_owned(),
        |(key, value)| format!("{} = {}", ShortBytes(key), ShortBytes(value)),
    )
}

/// Compares everything a snapshot holds; returns the number of operations. A difference anywhere
/// takes precedence over an error elsewhere.
pub(super) fn read_all(snapshot: &StoreSnapshot, expected: &StoreState, order: Order) -> Reading {
    let found: Vec<&str> = snapshot.tree_names().collect();
    let names: Vec<&str> = expected.names().collect();
    if found != names {
        let [found, names] = [found, names].map(shorten);
        let text = format!("the trees are {found:?}, expected {names:?}");
        return Reading::Differs { owner: Some(T5.id), text };
    }
    let mut failed = None;
    for name in &names {
        let tree = snapshot.tree(name);
        if tree.len() != expected.len(name) {
            let (len, expected, name) = (tree.len(), expected.len(name), shorten_name(name));
            let text = format!("tree {name:?} has length {len}, expected {expected}");
            return Reading::Differs { owner: None, text };
        }
        match read_range(tree.range(ALL), expected.range(name, ALL), order) {
            Reading::Same(_) => {}
            Reading::Differs { owner, text } => {
                let text = format!("tree {:?}: {text}", shorten_name(name));
                return Reading::Differs { owner, text };
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

/// Compares the value of a key with the model.
pub(super) fn same_value(
    found: Option<&Bytes>,
    expected: Option<&[u8]>,
    invariant: &'static str,
) -> Result<(), CheckError> {
    let found = found.map(|bytes| &**bytes);
    same(&StoreOutcome::Value(found), &StoreOutcome::Value(expected), invariant)
}

/// Compares two outcomes.
pub(super) fn same(
    found: &StoreOutcome<'_>,
    expected: &StoreOutcome<'_>,
    invariant: &'static str,
) -> Result<(), CheckError> {
    if found == expected {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("found {found}, expected {expected}")).into())
}

/// Translates an error of the store into the model's.
pub(super) fn refusal(error: &Error) -> Option<ArgumentRefusal> {
    use fastness::ArgumentError;
    let Error::Argument(error) = error else { return None };
    match error {
        ArgumentError::KeyTooLong { bytes } => Some(ArgumentRefusal::Key(*bytes)),
        ArgumentError::ValueTooLong { bytes } => Some(ArgumentRefusal::Value(*bytes)),
        ArgumentError::TreeName { bytes } => Some(ArgumentRefusal::Tree(*bytes)),
        _ => None,
    }
}
