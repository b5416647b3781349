//! Query plans: whether a query reads all objects, or those that the primary key, an index or the
//! back-links of an object name.
//!
//! - Q3 Every object that meets a condition is among those that the plan of the query reads.

use super::filter::{CompareOp, Compiled, StringOp};
use super::lookup::class_numbered;
use super::view::View;
use crate::error::Result;
use crate::fault;
use crate::table::index::{self, TEXT_BYTES_MAX, text_prefix, value_prefix};
use crate::table::{
    ClassId, ColumnPlace, ColumnRef, ObjectKey, Value, after, links_from, read_link,
};
use std::fmt;
use std::ops::Bound;

/// How a query finds the objects it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryPlan {
    /// It looks at all of them.
    All,
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
    /// By the links to an object.
    Links {
        /// The property that they are in.
        property: String,
    },
}

/// Keys of a tree: from one, up to but without another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    from: Vec<u8>,
    /// None: to the end.
    to: Option<Vec<u8>>,
}

/// The tree whose keys name objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeySource {
    Objects,
    Index,
    /// The back-links of an object of this class.
    Links(ClassId),
}

/// The keys to look at.
#[derive(Debug)]
pub(super) struct Narrow<'a> {
    hop: ColumnRef<'a>,
    keys: KeySource,
    bounds: Bounds,
    /// The fewer objects are expected the lower.
    rank: u8,
}

impl Bounds {
    fn beginning_with(prefix: Vec<u8>) -> Self {
        Self { to: after(&prefix), from: prefix }
    }

    fn range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        (Bound::Included(&self.from), to)
    }
}

/// Finds the narrowest way to the objects that meet a condition, if there is a better one than to
/// look at all.
pub(super) fn narrow<'a>(condition: &Compiled<'a>) -> Option<Narrow<'a>> {
    match condition {
        Compiled::And(parts) => parts.iter().filter_map(narrow).min_by_key(|way| way.rank),
        Compiled::Compare { path, how: CompareOp::Equal, value: Value::Link(to), .. } => {
            let &[hop] = &path[..] else { return None };
            let prefix = links_from(&to.key.to_bytes(), hop.table.id, hop.column.number);
            let bounds = Bounds::beginning_with(prefix);
            Some(Narrow { hop, keys: KeySource::Links(to.class), bounds, rank: 1 })
        }
        Compiled::Compare { path, how, value, .. } => {
            let &[hop] = &path[..] else { return None };
            let (keys, bounds) = match hop.column.place {
                ColumnPlace::Key => (KeySource::Objects, key_bounds(*how, value)?),
                ColumnPlace::Slot(_) if hop.column.has_index_tree() => {
                    (KeySource::Index, index_bounds(*how, value)?)
                }
                ColumnPlace::Slot(_) | ColumnPlace::OutOfLine => return None,
            };
            let rank = u8::from(*how != CompareOp::Equal) * 2;
            Some(Narrow { hop, keys, bounds, rank: rank + u8::from(keys != KeySource::Objects) })
        }
        Compiled::Text {
            path,
            how: StringOp::Is | StringOp::Begins,
            text,
            case_insensitive: false,
        } => {
            let &[hop] = &path[..] else { return None };
            let (keys, prefix) = match hop.column.place {
                ColumnPlace::Key => {
                    (KeySource::Objects, ObjectKey::String(text.clone()).to_bytes().to_vec())
                }
                ColumnPlace::Slot(_) if hop.column.has_index_tree() => {
                    let mut prefix = value_prefix(&Value::Bool(false));
                    prefix.pop();
                    prefix.extend(text_prefix(text));
                    (KeySource::Index, prefix)
                }
                ColumnPlace::Slot(_) | ColumnPlace::OutOfLine => return None,
            };
            Some(Narrow { hop, keys, bounds: Bounds::beginning_with(prefix), rank: 3 })
        }
        Compiled::Text { .. } | Compiled::Or(_) | Compiled::Not(_) => None,
    }
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

impl Narrow<'_> {
    pub(super) fn access(&self) -> QueryPlan {
        let property = self.hop.column.name().to_owned();
        match self.keys {
            KeySource::Objects => QueryPlan::PrimaryKey { property },
            KeySource::Index => QueryPlan::Index { property },
            KeySource::Links(_) => QueryPlan::Links { property },
        }
    }

    /// Returns the keys of the objects, in order.
    pub(super) fn keys(&self, view: &View<'_>) -> Result<Vec<Vec<u8>>> {
        let ColumnRef { table, column } = self.hop;
        let tree = match self.keys {
            KeySource::Objects => view.tables.source.tree(&table.trees.objects),
            KeySource::Index => view.tables.source.tree(&table.index_tree(column.number)),
            KeySource::Links(to) => {
                let target = class_numbered(view.tables.catalog, to)?;
                view.tables.source.tree(&target.trees.links)
            }
        };
        let mut range = tree.range(self.bounds.range())?;
        let mut keys = Vec::new();
        while let Some((key, _)) = range.next_ref()? {
            let object = match self.keys {
                KeySource::Objects => Some(key.to_vec()),
                KeySource::Index => index::object(column.kind(), key).map(<[u8]>::to_vec),
                KeySource::Links(_) => read_link(key).map(|(_, origin)| origin.object),
            };
            keys.push(object.ok_or_else(|| view.tables.malformed())?);
        }
        // Those of objects and of links to one object are in the order of the objects.
        if self.keys == KeySource::Index {
            keys.sort_unstable();
        }
        Ok(keys)
    }
}

impl fmt::Display for QueryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("looks at all objects"),
            Self::PrimaryKey { property } => write!(f, "by the primary key `{property}`"),
            Self::Index { property } => write!(f, "by the index of `{property}`"),
            Self::Links { property } => write!(f, "by the links in `{property}`"),
        }
    }
}
