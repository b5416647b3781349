//! Filters: conditions on objects as values, and paths from an object to the value of a condition.
//!
//! Specification: docs/objects.md#queries.

use super::lookup::{self, class_numbered, type_error};
use super::view::View;
use crate::error::Result;
use crate::schema::PropertyType;
use crate::table::{
    ClassTable, ColumnPlace, ColumnRef, ObjectId, ObjectKey, RecordRef, RecordSlot, Value, plain,
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

    /// Takes upper and lower case as alike in texts that are looked at, here and in all parts.
    #[must_use]
    pub fn case_insensitive(self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::case_insensitive).collect();
        match self {
            Self::Text { path, how, text, .. } => {
                Self::Text { path, how, text, case_insensitive: true }
            }
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.case_insensitive())),
            compare @ Self::Compare { .. } => compare,
        }
    }

    /// Both conditions are met.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::And(vec![self, other])
    }

    /// One of the conditions is met, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::Or(vec![self, other])
    }

    /// The condition is not met.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "a filter reads from left to right: `filter.not()`, as `and` and `or`"
    )]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
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

/// Where a record itself holds a whole number or a bool, and with what it is compared: that needs
/// neither a path nor a value made of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    slot: RecordSlot,
    value: i64,
}

impl Number {
    fn new(path: &PropertyPath<'_>, value: &Value<'_>) -> Option<Self> {
        let value = match value {
            Value::Int(value) => *value,
            Value::Bool(value) => i64::from(*value),
            _ => return None,
        };
        let [hop] = &path[..] else { return None };
        Some(Self { slot: RecordSlot::of(hop.column)?, value })
    }

    /// Tells in which order the two are; none if there is none, or it has to be read otherwise.
    #[inline]
    fn order(&self, record: &[u8]) -> Option<Ordering> {
        self.slot.number(record).map(|found| found.cmp(&self.value))
    }
}

/// A condition whose paths were found and whose values are of the right types.
#[derive(Debug)]
pub(super) enum Compiled<'a> {
    Compare {
        path: PropertyPath<'a>,
        how: CompareOp,
        value: Value<'static>,
        number: Option<Number>,
    },
    Text {
        path: PropertyPath<'a>,
        how: StringOp,
        text: String,
        case_insensitive: bool,
    },
    And(Vec<Compiled<'a>>),
    Or(Vec<Compiled<'a>>),
    Not(Box<Compiled<'a>>),
}

impl<'a> Compiled<'a> {
    pub(super) fn new(view: &View<'a>, table: &'a ClassTable, filter: &Filter) -> Result<Self> {
        let all = |parts: &[Filter]| {
            parts.iter().map(|part| Self::new(view, table, part)).collect::<Result<Vec<_>>>()
        };
        Ok(match filter {
            Filter::And(parts) => Self::And(all(parts)?),
            Filter::Or(parts) => Self::Or(all(parts)?),
            Filter::Not(part) => Self::Not(Box::new(Self::new(view, table, part)?)),
            Filter::Compare { path, how, value } => {
                let path = view.path(table, path)?;
                let is_order = !matches!(how, CompareOp::Equal | CompareOp::NotEqual);
                check_comparable(view, &path, value, is_order)?;
                let number = Number::new(&path, value);
                Self::Compare { path, how: *how, value: value.clone(), number }
            }
            Filter::Text { path, how, text, case_insensitive } => {
                let path = view.path(table, path)?;
                let text = if *case_insensitive { fold(text) } else { text.clone() };
                check_comparable(view, &path, &Value::String(text.as_str().into()), false)?;
                Self::Text { path, how: *how, text, case_insensitive: *case_insensitive }
            }
        })
    }

    /// Tells whether an object meets the condition.
    pub(super) fn meets(&self, view: &View<'a>, row: RecordRef<'_>) -> Result<bool> {
        match self {
            Self::Compare { path, how, value, number } => {
                match number.and_then(|number| number.order(row.record)) {
                    Some(order) => Ok(how.holds(Some(order))),
                    None => view.any(path, row, &|found| compare(found, *how, value)),
                }
            }
            Self::Text { path, how, text, case_insensitive } => view.any(path, row, &|found| {
                let Value::String(found) = found else { return false };
                match case_insensitive {
                    true => how.meets(&fold(found), text),
                    false => how.meets(found, text),
                }
            }),
            Self::And(parts) => {
                for part in parts {
                    if !part.meets(view, row)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.meets(view, row)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(part) => part.meets(view, row).map(|meets| !meets),
        }
    }
}

/// Folds a string to lower case character by character, so that a substring folds as it does within
/// the whole. Both forms of the lower-case sigma fold to one.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

impl StringOp {
    fn meets(self, found: &str, text: &str) -> bool {
        match self {
            Self::Is => found == text,
            Self::Begins => found.starts_with(text),
            Self::Ends => found.ends_with(text),
            Self::Contains => found.contains(text),
        }
    }
}

/// Checks that what a path leads to can be compared with a value.
fn check_comparable(
    view: &View<'_>,
    path: &PropertyPath<'_>,
    value: &Value<'_>,
    is_order: bool,
) -> Result<()> {
    let Some(field) = path.last() else { return Ok(()) };
    let column = field.column;
    let is_link = column.target().is_some();
    let fits = match value {
        Value::Null => true,
        Value::Link(to) => {
            is_link && column.target() == Some(view.class_name(to.class)?) && !is_order
        }
        value => !is_link && type_name(column.kind()) == value.type_name(),
    };
    if fits {
        return Ok(());
    }
    let found = if is_order && is_link { "an order" } else { value.type_name() };
    Err(type_error(*field, found))
}

/// Returns the name of the type of values that a property holds, as values say it.
pub(super) fn type_name(kind: &PropertyType) -> &'static str {
    use crate::schema::Scalar;
    let scalar = match kind {
        PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } => *scalar,
        PropertyType::Counter => Scalar::Int,
        PropertyType::Object(_)
        | PropertyType::ObjectList(_)
        | PropertyType::LinkingObjects { .. } => return "a link",
    };
    match scalar {
        Scalar::Int => "int",
        Scalar::Bool => "bool",
        Scalar::String => "string",
        Scalar::Binary => "binary",
        Scalar::Timestamp => "timestamp",
        Scalar::Float => "float",
        Scalar::Double => "double",
    }
}
