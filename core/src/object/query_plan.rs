//! Query plans: whether a query reads all objects, or those that the primary key, an index or the
//! back-links of an object name.
//!
//! - Q3 Every object that meets a condition is among those that the plan of the query reads.

use super::compiled::{Compiled, How, ValueTest};
use super::filter::{CompareOp, StringOp};
use super::lookup::class_numbered;
use super::view::View;
use super::visits;
use crate::error::Result;
use crate::fault;
use crate::table::index::{self, TEXT_BYTES_MAX, text_prefix, value_prefix};
use crate::table::limits::limits;
use crate::table::{
    ClassId, Column, ColumnPlace, ColumnRef, ObjectKey, RecordRef, Value, after, links_from,
    read_link,
};
use crate::tree::Range;
use std::fmt;
use std::ops::Bound;

/// How a query finds the objects it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryPlan {
    /// It looks at all of them.
    All,
    /// It looks at all of them, because an index names more than a quarter.
    AllOfMany {
        /// The property with the index.
        property: String,
    },
    /// By their primary key.
    PrimaryKey {
        /// The property.
        property: String,
    },
    /// By an index.
    Index {
        /// The property.
        property: String,
    },
    /// By an index and by all objects in turns, until one of the two has found enough.
    IndexOrAll {
        /// The property.
        property: String,
    },
    /// In the order of an index or of the primary key, until enough are found.
    Order {
        /// The property.
        property: String,
    },
    /// In the order of an index or of the primary key, from a position on until enough are found.
    OrderAfter {
        /// The property.
        property: String,
    },
    /// In the order of keys, from a position on.
    KeysAfter,
    /// By the links to an object.
    Links {
        /// The property that they are in.
        property: String,
    },
    /// By several plans, of which each finds a part.
    AnyOf {
        /// The plans.
        plans: Vec<QueryPlan>,
    },
}

/// From which end results are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Null first, then from the least.
    Ascending,
    /// From the greatest, null last.
    Descending,
}

/// A property whose order is that of the results.
#[derive(Clone, Copy)]
pub(super) struct InOrder<'a> {
    pub(super) column: &'a Column,
    pub(super) order: Order,
    /// Null counts as nothing.
    pub(super) without_null: bool,
}

/// Takes an object, and tells whether to go on.
pub(super) type VisitObject<'v> = dyn FnMut(RecordRef<'_>) -> Result<bool> + 'v;

/// Keys of a tree: from one, up to but without another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) from: Vec<u8>,
    /// None: to the end.
    pub(super) to: Option<Vec<u8>>,
}

/// The tree whose keys name objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeySource {
    Objects,
    Index,
    /// The back-links of an object of this class.
    Links(ClassId),
}

/// A range of a tree whose keys name objects.
#[derive(Clone, Debug)]
pub(super) struct KeyRange<'a> {
    pub(super) hop: ColumnRef<'a>,
    keys: KeySource,
    pub(super) bounds: Bounds,
}

/// The keys to look at.
#[derive(Clone, Debug)]
pub(super) struct Narrow<'a> {
    pub(super) ranges: Vec<KeyRange<'a>>,
    /// The fewer objects are expected the lower.
    rank: u8,
    /// The keys are in the order of the objects.
    pub(super) is_ordered: bool,
}

impl Bounds {
    pub(super) fn beginning_with(prefix: Vec<u8>) -> Self {
        Self { to: after(&prefix), from: prefix }
    }

    /// Returns the bounds of all keys from one on.
    pub(super) const fn from(from: Vec<u8>) -> Self {
        Self { from, to: None }
    }

    /// Returns the keys before another one.
    pub(super) fn before(&self, to: Vec<u8>) -> Self {
        Self { from: self.from.clone(), to: Some(to) }
    }

    /// Returns the keys that are in both; none if there are none.
    pub(super) fn and(self, other: &Self) -> Self {
        let from = self.from.max(other.from.clone());
        let to = match (self.to, &other.to) {
            (Some(one), Some(two)) => Some(one.min(two.clone())),
            (one, two) => one.or_else(|| two.clone()),
        };
        // A range must not end before it begins.
        let to = to.map(|to| to.max(from.clone()));
        Self { from, to }
    }

    pub(super) fn range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        (Bound::Included(&self.from), to)
    }
}

/// Finds the narrowest way to the objects that meet a condition, if there is a better one than to
/// look at all.
pub(super) fn narrow<'a>(condition: &Compiled<'a>) -> Option<Narrow<'a>> {
    let ways =
        condition.needed.iter().filter_map(|needed| any_of(&condition.tests[needed.clone()]));
    ways.min_by_key(|way| way.rank)
}

/// Finds a way to the objects that meet one of some tests.
fn any_of<'a>(tests: &[ValueTest<'a>]) -> Option<Narrow<'a>> {
    let mut ways = tests.iter().map(of_test);
    let mut all = ways.next()??;
    for way in ways {
        let way = way?;
        all.ranges.extend(way.ranges);
        // Several ways come behind one of their kind.
        all.rank = all.rank.max(way.rank) | 1;
        all.is_ordered = false;
    }
    Some(all)
}

fn of_test<'a>(test: &ValueTest<'a>) -> Option<Narrow<'a>> {
    let &[hop] = &test.path[..] else { return None };
    let (ranges, rank, is_ordered) = match &test.how {
        How::Compare { how, value, .. } => {
            let range = compared(hop, *how, value)?;
            let is_equal = *how == CompareOp::Equal;
            // Links to one object, and entries of one value, are in the order of the objects.
            let is_ordered = is_equal || range.keys == KeySource::Objects;
            let rank = if is_equal { 0 } else { 4 };
            (vec![range], rank, is_ordered)
        }
        How::OneOf { values } => {
            let ranges = values.iter().map(|value| compared(hop, CompareOp::Equal, value));
            let ranges = ranges.collect::<Option<Vec<_>>>()?;
            (ranges, 1, values.len() == 1)
        }
        How::Text { how: StringOp::Is | StringOp::Begins, text, case_insensitive: false } => {
            let range = beginning_with(hop, text)?;
            let is_ordered = range.keys == KeySource::Objects;
            (vec![range], 6, is_ordered)
        }
        How::Text { .. } => return None,
    };
    let is_by_key = ranges.iter().all(|range| range.keys == KeySource::Objects);
    Some(Narrow { ranges, rank: rank + if is_by_key { 0 } else { 2 }, is_ordered })
}

/// Finds the keys of the objects whose value may meet a comparison.
fn compared<'a>(hop: ColumnRef<'a>, how: CompareOp, value: &Value<'_>) -> Option<KeyRange<'a>> {
    let (keys, bounds) = match (value, hop.column.place) {
        (Value::Link(to), _) => {
            if how != CompareOp::Equal {
                return None;
            }
            let prefix = links_from(&to.key.to_bytes(), hop.table.id, hop.column.number);
            (KeySource::Links(to.class), Bounds::beginning_with(prefix))
        }
        (_, ColumnPlace::Key) => (KeySource::Objects, key_bounds(how, value)?),
        (_, ColumnPlace::Slot(_)) if hop.column.has_index_tree() => {
            (KeySource::Index, index_bounds(how, value)?)
        }
        (_, ColumnPlace::Slot(_) | ColumnPlace::OutOfLine) => return None,
    };
    Some(KeyRange { hop, keys, bounds })
}

/// Finds the keys of the objects whose string begins with another one.
fn beginning_with<'a>(hop: ColumnRef<'a>, text: &str) -> Option<KeyRange<'a>> {
    let (keys, prefix) = match hop.column.place {
        ColumnPlace::Key => {
            (KeySource::Objects, ObjectKey::String(text.to_owned()).to_bytes().to_vec())
        }
        ColumnPlace::Slot(_) if hop.column.has_index_tree() => {
            let mut prefix = value_prefix(&Value::Bool(false));
            prefix.pop();
            prefix.extend(text_prefix(text));
            (KeySource::Index, prefix)
        }
        ColumnPlace::Slot(_) | ColumnPlace::OutOfLine => return None,
    };
    Some(KeyRange { hop, keys, bounds: Bounds::beginning_with(prefix) })
}

/// Returns the keys of objects whose primary key may meet a comparison.
fn key_bounds(how: CompareOp, value: &Value<'_>) -> Option<Bounds> {
    let key = match value {
        Value::Null => ObjectKey::Null,
        Value::Int(value) => ObjectKey::Int(*value),
        Value::String(text) => ObjectKey::String(text.to_string()),
        _ => return None,
    };
    let key = key.to_bytes().to_vec();
    let least = key.first().map(|tag| vec![*tag])?;
    // The least key after one has a zero behind it.
    let next = [&key[..], &[0]].concat();
    Some(match how {
        CompareOp::Equal => Bounds { from: key, to: Some(next) },
        CompareOp::Less => Bounds { from: least, to: Some(key) },
        CompareOp::LessOrEqual => Bounds { from: least, to: Some(next) },
        CompareOp::Greater => Bounds { from: next, to: None },
        CompareOp::GreaterOrEqual => Bounds { from: key, to: None },
        CompareOp::NotEqual => return None,
    })
}

/// Returns the keys of an index at which objects may meet a comparison. Those at the value itself
/// are among them: an index does not distinguish long strings.
fn index_bounds(how: CompareOp, value: &Value<'_>) -> Option<Bounds> {
    let at = fault::object::empty_text(value_prefix(value), value);
    let least = vec![*at.first()?];
    Some(match how {
        CompareOp::Equal => Bounds::beginning_with(at),
        // Nothing is less or greater than null.
        _ if value.is_null() => return None,
        CompareOp::Less | CompareOp::LessOrEqual => Bounds { from: least, to: after(&at) },
        CompareOp::Greater | CompareOp::GreaterOrEqual => {
            Bounds { from: beginning(value, at), to: None }
        }
        CompareOp::NotEqual => return None,
    })
}

/// Returns the least key of a value or of any greater one.
fn beginning(value: &Value<'_>, at: Vec<u8>) -> Vec<u8> {
    match value {
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            [&at[..1], &text_prefix(text)].concat()
        }
        _ => at,
    }
}

impl<'a> Narrow<'a> {
    /// Tells whether few objects are expected: those at one value, or at some.
    pub(super) fn is_selective(&self) -> bool {
        self.rank < 4 && self.ranges.len() <= limits().index_entries
    }

    /// Returns the only range of keys of objects themselves, if there is no other.
    pub(super) fn only_objects(&self) -> Option<&Bounds> {
        match &self.ranges[..] {
            [KeyRange { keys: KeySource::Objects, bounds, .. }] => Some(bounds),
            _ => None,
        }
    }

    pub(super) fn plan(&self) -> QueryPlan {
        let mut plans: Vec<QueryPlan> = self.ranges.iter().map(KeyRange::plan).collect();
        plans.dedup();
        match plans.len() {
            1 => plans.remove(0),
            _ => QueryPlan::AnyOf { plans },
        }
    }

    /// Begins to walk the keys.
    pub(super) fn walk(&self, view: View<'a>) -> KeyWalk<'a> {
        let (ranges, keys) = (self.ranges.clone().into_iter(), Vec::new());
        KeyWalk { view, ranges, current: None, keys, is_ordered: self.is_ordered }
    }
}

impl<'a> KeyRange<'a> {
    fn plan(&self) -> QueryPlan {
        let property = self.hop.column.name().to_owned();
        match self.keys {
            KeySource::Objects => QueryPlan::PrimaryKey { property },
            KeySource::Index => QueryPlan::Index { property },
            KeySource::Links(_) => QueryPlan::Links { property },
        }
    }

    fn range(&self, view: &View<'a>) -> Result<Range<'a>> {
        let ColumnRef { table, column } = self.hop;
        let tree = match self.keys {
            KeySource::Objects => view.tables.source.tree(&table.trees.objects),
            KeySource::Index => view.tables.source.tree(&table.index_tree(column.number)),
            KeySource::Links(to) => {
                let target = class_numbered(view.tables.catalog, to)?;
                view.tables.source.tree(&target.trees.links)
            }
        };
        tree.range(self.bounds.range())
    }

    /// Returns the key of the object that a key of the tree names.
    fn object(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.keys {
            KeySource::Objects => Some(key.to_vec()),
            KeySource::Index => index::object(self.hop.column.kind(), key).map(<[u8]>::to_vec),
            KeySource::Links(_) => read_link(key).map(|(_, origin)| origin.object),
        }
    }
}

/// Walks the keys that a plan names.
pub(super) struct KeyWalk<'a> {
    view: View<'a>,
    ranges: std::vec::IntoIter<KeyRange<'a>>,
    current: Option<(KeyRange<'a>, Range<'a>)>,
    keys: Vec<Vec<u8>>,
    is_ordered: bool,
}

impl KeyWalk<'_> {
    /// Reads at most some keys more; tells whether these were the last ones. To find the beginning
    /// of a range counts as a key.
    pub(super) fn read(&mut self, count: usize) -> Result<bool> {
        for _ in 0..count {
            visits::count(1);
            if let Some((keys, range)) = &mut self.current
                && let Some((key, _)) = range.next_ref()?
            {
                let object = keys.object(key);
                self.keys.push(object.ok_or_else(|| self.view.tables.malformed())?);
                continue;
            }
            let Some(keys) = self.ranges.next() else { return Ok(true) };
            let range = keys.range(&self.view)?;
            self.current = Some((keys, range));
        }
        Ok(false)
    }

    /// Takes the keys that were read, in the order of the objects if it read all.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        let mut keys = std::mem::take(&mut self.keys);
        if !self.is_ordered {
            keys.sort_unstable();
            keys.dedup();
        }
        keys
    }
}

impl fmt::Display for QueryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("looks at all objects"),
            Self::PrimaryKey { property } => write!(f, "by the primary key `{property}`"),
            Self::Index { property } => write!(f, "by the index of `{property}`"),
            Self::Links { property } => write!(f, "by the links in `{property}`"),
            Self::AllOfMany { property } => {
                write!(f, "looks at all objects: the index of `{property}` names too many")
            }
            Self::IndexOrAll { property } => {
                write!(f, "by the index of `{property}` or at all objects, whichever ends first")
            }
            Self::Order { property } => {
                write!(f, "in the order of `{property}`, until it has enough")
            }
            Self::OrderAfter { property } => {
                write!(f, "in the order of `{property}` from a position on, until it has enough")
            }
            Self::KeysAfter => f.write_str("in the order of keys, from a position on"),
            Self::AnyOf { plans } => {
                for (index, plan) in plans.iter().enumerate() {
                    write!(f, "{}{plan}", if index > 0 { ", and " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}
