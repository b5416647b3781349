//! The store: maps, copied where the store would copy.
//!
//! - A3 A transaction sees its own writes; no other reader sees them before it commits.
//! - C6 A snapshot never changes.
//! - C2 After a crash the state is that of the last acknowledged commit, or of the one in flight.
//! - T5 A tree exists exactly while it holds entries.
//! - A2 An argument out of bounds is refused and changes nothing.
//!
//! Written from docs/, not from the code.

use crate::domain::{Bytes, KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// The outcome of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreOutcome<'a> {
    /// Success without a result.
    Done,
    /// Whether the key existed before.
    Existed(bool),
    /// A count.
    Count(u64),
    /// The value of a key, if it exists.
    Value(Option<&'a [u8]>),
    /// The first and the last entry.
    Ends(Option<Entry<'a>>, Option<Entry<'a>>),
    /// A refused argument.
    Refused(ArgumentRefusal),
}

/// A key and its value.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// The argument that is out of bounds, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentRefusal {
    /// The key of an entry.
    Key(usize),
    /// The value of an entry.
    Value(usize),
    /// The name of a tree.
    Tree(usize),
}

/// The bounds of a range.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

type Tree = BTreeMap<Bytes, Bytes>;

/// The state of a store. States share trees until one is written.
#[derive(Clone, Default, Debug)]
pub struct StoreState {
    trees: BTreeMap<Arc<str>, Arc<Tree>>,
}

impl PartialEq for StoreState {
    fn eq(&self, other: &Self) -> bool {
        self.trees.len() == other.trees.len()
            && self.trees.iter().zip(&other.trees).all(|((name, tree), (name_2, tree_2))| {
                name == name_2 && (Arc::ptr_eq(tree, tree_2) || tree == tree_2)
            })
    }
}

impl StoreState {
    /// Returns the names of the trees that hold entries, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(|name| &**name)
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, tree: &str, key: &[u8]) -> Option<&[u8]> {
        Some(self.trees.get(tree)?.get(key)?)
    }

    /// Returns the number of entries of a tree.
    #[must_use]
    pub fn len(&self, tree: &str) -> u64 {
        self.trees.get(tree).map_or(0, |tree| tree.len() as u64)
    }

    /// Returns whether there is no tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Returns the first and the last entry of a tree.
    #[must_use]
    pub fn ends(&self, tree: &str) -> (Option<Entry<'_>>, Option<Entry<'_>>) {
        let Some(tree) = self.trees.get(tree) else { return (None, None) };
        (tree.first_key_value().map(entry), tree.last_key_value().map(entry))
    }

    /// Returns the entries within bounds, in order; none if the bounds are inverted.
    pub fn range<'a>(
        &'a self,
        tree: &str,
        bounds: Bounds<'_>,
    ) -> impl DoubleEndedIterator<Item = Entry<'a>> + use<'a> {
        let tree = self.trees.get(tree).filter(|_| !inverted(bounds));
        tree.map(|tree| tree.range::<[u8], _>(bounds).map(entry)).into_iter().flatten()
    }

    fn edit<T>(&mut self, tree: &str, edit: impl FnOnce(&mut Tree) -> T) -> T {
        if !self.trees.contains_key(tree) {
            self.trees.insert(tree.into(), Arc::default());
        }
        let Some(entries) = self.trees.get_mut(tree) else { unreachable!("it was just inserted") };
        let outcome = edit(Arc::make_mut(entries));
        if entries.is_empty() {
            self.trees.remove(tree);
        }
        outcome
    }
}

fn entry<'a>(entry: (&'a Bytes, &'a Bytes)) -> Entry<'a> {
    (entry.0, entry.1)
}

fn inverted(bounds: Bounds<'_>) -> bool {
    match bounds {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

/// A store: the committed state, and that of the transaction.
#[derive(Clone, Default, Debug)]
pub struct Store {
    committed: StoreState,
    working: Option<StoreState>,
}

impl Store {
    /// Creates a store with a committed state, as after a crash or a reopening.
    #[must_use]
    pub fn at(state: StoreState) -> Self {
        Self { committed: state, working: None }
    }

    /// Returns the committed state, which a new snapshot holds.
    #[must_use]
    pub fn committed(&self) -> &StoreState {
        &self.committed
    }

    /// Returns the state of the transaction; without one, the committed state.
    #[must_use]
    pub fn visible(&self) -> &StoreState {
        self.working.as_ref().unwrap_or(&self.committed)
    }

    /// Returns whether there is a transaction.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.working.is_some()
    }

    /// Returns whether the transaction has changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.working.as_ref().is_some_and(|working| *working != self.committed)
    }

    /// Begins a transaction, if there is none.
    pub fn begin(&mut self) {
        self.working.get_or_insert_with(|| self.committed.clone());
    }

    /// Commits the transaction.
    pub fn commit(&mut self) {
        if let Some(working) = self.working.take() {
            self.committed = working;
        }
    }

    /// Drops the transaction.
    pub fn abort(&mut self) {
        self.working = None;
    }

    /// Returns the possible states after a crash during a commit: before it and after it.
    #[must_use]
    pub fn in_flight(&self) -> [StoreState; 2] {
        [self.committed.clone(), self.visible().clone()]
    }

    /// Inserts an entry.
    pub fn insert(&mut self, tree: &str, key: &Bytes, value: &Bytes) -> StoreOutcome<'static> {
        let refusal = refuse_tree(tree).or_else(|| refuse_key(key)).or_else(|| {
            (value.len() > VALUE_BYTES_MAX).then_some(ArgumentRefusal::Value(value.len()))
        });
        if let Some(refusal) = refusal {
            return StoreOutcome::Refused(refusal);
        }
        let (key, value) = (Arc::clone(key), Arc::clone(value));
        StoreOutcome::Existed(self.working().edit(tree, |tree| tree.insert(key, value)).is_some())
    }

    /// Removes an entry. A key out of bounds is simply missing.
    pub fn remove(&mut self, tree: &str, key: &[u8]) -> StoreOutcome<'static> {
        if self.visible().get(tree, key).is_none() {
            return StoreOutcome::Existed(false);
        }
        StoreOutcome::Existed(self.working().edit(tree, |tree| tree.remove(key)).is_some())
    }

    /// Removes every entry of a tree.
    pub fn clear(&mut self, tree: &str) -> StoreOutcome<'static> {
        self.working().trees.remove(tree);
        StoreOutcome::Done
    }

    /// Makes the entries of a tree those of another one, whose entries are removed.
    pub fn move_tree(&mut self, source: &str, target: &str) -> StoreOutcome<'static> {
        if let Some(refusal) = refuse_tree(source).or_else(|| refuse_tree(target)) {
            return StoreOutcome::Refused(refusal);
        }
        if source != target {
            let trees = &mut self.working().trees;
            match trees.remove(source) {
                Some(moved) => trees.insert(target.into(), moved),
                None => trees.remove(target),
            };
        }
        StoreOutcome::Done
    }

    fn working(&mut self) -> &mut StoreState {
        self.working.get_or_insert_with(|| self.committed.clone())
    }
}

fn refuse_tree(name: &str) -> Option<ArgumentRefusal> {
    (name.is_empty() || name.len() > NAME_BYTES_MAX).then_some(ArgumentRefusal::Tree(name.len()))
}

fn refuse_key(key: &[u8]) -> Option<ArgumentRefusal> {
    (key.len() > KEY_BYTES_MAX).then_some(ArgumentRefusal::Key(key.len()))
}

impl fmt::Display for StoreOutcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write_entry = |f: &mut fmt::Formatter<'_>, entry: Option<Entry<'_>>| match entry {
            None => f.write_str("none"),
            Some((key, value)) => write!(f, "{} = {}", ShortBytes(key), ShortBytes(value)),
        };
        match self {
            Self::Done => f.write_str("done"),
            Self::Existed(existed) => write!(f, "existed: {existed}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Value(None) => f.write_str("none"),
            Self::Value(Some(value)) => ShortBytes(value).fmt(f),
            Self::Ends(first, last) => {
                write_entry(f, *first)?;
                f.write_str(" .. ")?;
                write_entry(f, *last)
            }
            Self::Refused(refusal) => write!(f, "refused: {refusal:?}"),
        }
    }
}

/// Bytes in a report: the first ones, and their number.
#[derive(Clone, Copy, Debug)]
pub struct ShortBytes<'a>(pub &'a [u8]);

impl fmt::Display for ShortBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 12;
        write!(f, "{}", self.0[..self.0.len().min(SHOWN_BYTES)].escape_ascii())?;
        write!(f, "[{}]", self.0.len())
    }
}
