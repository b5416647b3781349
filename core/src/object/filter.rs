//! Filters: conditions on objects as values, and paths from an object to the value of a condition.
//!
//! Specification: docs/objects.md#queries.

use super::lookup::{self, class_numbered, type_error};
use super::view::View;
use crate::error::Result;
use crate::table::{
    ClassTable, ColumnPlace, ColumnRef, ObjectId, ObjectKey, RecordRef, Value, plain,
};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Objects that a path has reached through a list, by the length of the rest of the path. Each is
/// tested once, however many ways lead to it.
type Seen = Vec<BTreeSet<ObjectId>>;

/// Whether a value meets a condition.
type Test<'t> = &'t dyn Fn(&Value<'_>) -> bool;

/// Records that a path reached an object, and tells whether it is the first time.
fn is_new(seen: &mut Seen, left: usize, object: &ObjectId) -> bool {
    if seen.len() <= left {
        seen.resize_with(left + 1, BTreeSet::new);
    }
    seen[left].insert(object.clone())
}

/// A condition on an object.
///
/// A condition is about a property, or a path to one of a linked object: `owner.name`. A null link
/// on the way counts as null; through a list, any of its elements may meet the condition.
///
/// ```
/// use fastness::object::Filter;
///
/// let young = Filter::lt("age", 30).and(Filter::begins_with("name", "a").case_insensitive());
/// let orphans = Filter::is_null("owner").or(Filter::eq("owner.name", "unknown"));
/// # drop((young, orphans));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// A value compared with one that is given.
    Compare {
        /// The path to the value.
        path: String,
        /// The operator.
        how: CompareOp,
        /// The other value.
        value: Value<'static>,
    },
    /// A value that is equal to one of those that are given.
    OneOf {
        /// The path to the value.
        path: String,
        /// The other values.
        values: Vec<Value<'static>>,
    },
    /// A string compared with one that is given.
    Text {
        /// The path to the string.
        path: String,
        /// The operator.
        how: StringOp,
        /// The other string.
        text: String,
        /// Whether upper and lower case are alike.
        case_insensitive: bool,
    },
    /// All of them.
    And(Vec<Filter>),
    /// At least one of them.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

/// How values are compared. Null is equal to null only, and neither less nor greater than anything,
/// nor is NaN, which is not even equal to itself. Texts and binaries are in the order of their
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How a text is looked at. Null is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringOp {
    /// It is the other one.
    Is,
    /// It begins with the other one.
    Begins,
    /// It ends with the other one.
    Ends,
    /// The other one is in it.
    Contains,
}

macro_rules! compare {
    ($($(#[$doc:meta])* $name:ident => $how:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name<'v>(path: impl Into<String>, value: impl Into<Value<'v>>) -> Self {
            let (path, value) = (path.into(), value.into().into_owned());
            Self::Compare { path, how: CompareOp::$how, value }
        }
    )*};
}

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident => $how:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(path: impl Into<String>, text: impl Into<String>) -> Self {
            let (path, text) = (path.into(), text.into());
            Self::Text { path, how: StringOp::$how, text, case_insensitive: false }
        }
    )*};
}

impl Filter {
    compare! {
        /// The value is this one.
        eq => Equal;
        /// The value is another one, or null.
        ne => NotEqual;
        /// The value is less.
        lt => Less;
        /// The value is less, or this one.
        le => LessOrEqual;
        /// The value is greater.
        gt => Greater;
        /// The value is greater, or this one.
        ge => GreaterOrEqual;
    }

    text! {
        /// The text is this one.
        is => Is;
        /// The text begins with this one.
        begins_with => Begins;
        /// The text ends with this one.
        ends_with => Ends;
        /// The text contains this one.
        contains => Contains;
    }

    /// The value is null.
    #[must_use]
    pub fn is_null(path: impl Into<String>) -> Self {
        Self::eq(path, Value::Null)
    }

    /// The value is one of these.
    #[must_use]
    pub fn one_of<'v, V: Into<Value<'v>>>(
        path: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.into().into_owned()).collect();
        Self::OneOf { path: path.into(), values }
    }

    /// Takes upper and lower case as alike in texts that are looked at, here and in all parts.
    #[must_use]
    pub fn case_insensitive(mut self) -> Self {
        let mut left = vec![&mut self];
        while let Some(part) = left.pop() {
            match part {
                Self::Text { case_insensitive, .. } => *case_insensitive = true,
                Self::And(parts) | Self::Or(parts) => left.extend(parts),
                Self::Not(part) => left.push(part),
                Self::Compare { .. } | Self::OneOf { .. } => {}
            }
        }
        self
    }

    /// Both conditions are met.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut parts), Self::And(others)) => {
                parts.extend(others);
                Self::And(parts)
            }
            (Self::And(mut parts), other) => {
                parts.push(other);
                Self::And(parts)
            }
            (one, Self::And(mut parts)) => {
                parts.insert(0, one);
                Self::And(parts)
            }
            (one, two) => Self::And(vec![one, two]),
        }
    }

    /// One of the conditions is met, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut parts), Self::Or(others)) => {
                parts.extend(others);
                Self::Or(parts)
            }
            (Self::Or(mut parts), other) => {
                parts.push(other);
                Self::Or(parts)
            }
            (one, Self::Or(mut parts)) => {
                parts.insert(0, one);
                Self::Or(parts)
            }
            (one, two) => Self::Or(vec![one, two]),
        }
    }

    /// The condition is not met.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "a filter reads from left to right: `filter.not()`, as `and` and `or`"
    )]
    pub fn not(self) -> Self {
        match self {
            Self::Not(part) => *part,
            part => Self::Not(Box::new(part)),
        }
    }
}

impl CompareOp {
    /// Tells whether values that are in this order, or in none, meet it.
    pub(super) fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// Compares two values; none if they are in no order.
fn order(one: &Value<'_>, two: &Value<'_>) -> Option<Ordering> {
    match (one, two) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Int(one), Value::Int(two)) => Some(one.cmp(two)),
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        (Value::String(one), Value::String(two)) => Some(one.as_bytes().cmp(two.as_bytes())),
        (Value::Binary(one), Value::Binary(two)) => Some(one.cmp(two)),
        (Value::Timestamp(one), Value::Timestamp(two)) => Some(one.cmp(two)),
        (Value::Float(one), Value::Float(two)) => one.partial_cmp(two),
        (Value::Double(one), Value::Double(two)) => one.partial_cmp(two),
        (Value::Link(one), Value::Link(two)) if one == two => Some(Ordering::Equal),
        _ => None,
    }
}

/// Tells whether a value meets a comparison.
pub(super) fn compare(found: &Value<'_>, how: CompareOp, value: &Value<'_>) -> bool {
    let ordering = order(found, value);
    // Null is equal to null, but not in an order with it.
    if found.is_null() && !matches!(how, CompareOp::Equal | CompareOp::NotEqual) {
        return false;
    }
    how.holds(ordering)
}

/// The way from an object to a value; never empty.
pub(super) type PropertyPath<'a> = Vec<ColumnRef<'a>>;

impl<'a> View<'a> {
    /// Finds the properties that a path names.
    pub(super) fn path(&self, table: &'a ClassTable, path: &str) -> Result<PropertyPath<'a>> {
        let mut hops: PropertyPath<'a> = Vec::new();
        let mut table = table;
        for name in path.split('.') {
            if let Some(from) = hops.last() {
                let Some(class) = from.column.target() else {
                    return Err(type_error(*from, "a link"));
                };
                table = lookup::class(self.tables.catalog, class)?;
            }
            hops.push(ColumnRef { table, column: lookup::property(table, name)? });
        }
        Ok(hops)
    }

    /// Tells whether any value that a path leads to meets a test.
    pub(super) fn any(
        &self,
        path: &[ColumnRef<'a>],
        row: RecordRef<'_>,
        test: &impl Fn(&Value<'_>) -> bool,
    ) -> Result<bool> {
        // The common case needs no call for each object.
        match path.first().and_then(|hop| plain(row.record, hop.column)) {
            Some(value) => Ok(test(&value)),
            None => self.any_from(path, row, test, &mut Seen::new()),
        }
    }

    fn any_from(
        &self,
        path: &[ColumnRef<'a>],
        row: RecordRef<'_>,
        test: Test<'_>,
        seen: &mut Seen,
    ) -> Result<bool> {
        let Some((field, rest)) = path.split_first() else { return Ok(false) };
        let column = field.column;
        if let Some(value) = plain(row.record, column) {
            return Ok(test(&value));
        }
        match column.place {
            ColumnPlace::Key => {
                let key = ObjectKey::from_bytes(row.key).ok_or_else(|| self.tables.malformed())?;
                Ok(test(&key.value()))
            }
            ColumnPlace::Slot(_) => match self.tables.value(*field, row)? {
                Value::Link(to) if !rest.is_empty() => self.any_of(rest, &to, test, seen),
                value => Ok(test(&value)),
            },
            ColumnPlace::OutOfLine => {
                for element in self.tables.elements(*field, row.key)? {
                    let element = element?;
                    let met = match &element.value {
                        Value::Link(to) if rest.len() > 1 => {
                            is_new(seen, rest.len(), to) && self.any_of(rest, to, test, seen)?
                        }
                        Value::Link(to) if !rest.is_empty() => self.any_of(rest, to, test, seen)?,
                        value => test(value),
                    };
                    if met {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// The same from another object on.
    fn any_of(
        &self,
        path: &[ColumnRef<'a>],
        object: &ObjectId,
        test: Test<'_>,
        seen: &mut Seen,
    ) -> Result<bool> {
        let table = class_numbered(self.tables.catalog, object.class)?;
        let key = object.key.to_bytes();
        let record = self.tables.source.tree(&table.trees.objects).get(&key)?;
        let record = record.ok_or_else(|| self.tables.malformed())?;
        self.any_from(path, RecordRef { key: &key, record: &record }, test, seen)
    }
}

/// Puts any two values of one type in order: null first, numbers with a point by their total order.
pub(super) fn in_order(one: &Value<'_>, two: &Value<'_>) -> Ordering {
    match (one, two) {
        (Value::Int(one), Value::Int(two)) => one.cmp(two),
        (Value::Bool(one), Value::Bool(two)) => one.cmp(two),
        (Value::String(one), Value::String(two)) => one.as_bytes().cmp(two.as_bytes()),
        (Value::Binary(one), Value::Binary(two)) => one.cmp(two),
        (Value::Timestamp(one), Value::Timestamp(two)) => one.cmp(two),
        (Value::Float(one), Value::Float(two)) => one.total_cmp(two),
        (Value::Double(one), Value::Double(two)) => one.total_cmp(two),
        _ => two.is_null().cmp(&one.is_null()),
    }
}
