//! Queries, answered by a full scan that follows every path.
//!
//! Written from docs/objects.md#queries, not from the code.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::objects::{
    DatabaseState, Id, Key, Object, ObjectRefusal, ObjectResult, Property, Value, ValueType,
};
use std::cmp::Ordering;

/// A comparison of values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition on strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StringOp {
    Is,
    Begins,
    Ends,
    Contains,
}

/// A condition; the path comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Filter {
    Compare(String, CompareOp, Value),
    Text(String, StringOp, String, bool),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
}

/// A query on the objects of a class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// The class.
    pub class: String,
    /// The condition.
    pub filter: Option<Filter>,
    /// Paths, and whether in descending order.
    pub sort: Vec<(String, bool)>,
    /// Paths whose values must be distinct.
    pub distinct: Vec<String>,
    /// Maximum number of results.
    pub limit: Option<usize>,
    /// Number of results that are left out before these.
    pub offset: usize,
    /// The place behind which results are, before any is left out.
    pub after: Option<Position>,
}

/// The place of an object in the order of a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The values that it is sorted by.
    pub values: Vec<Value>,
    /// Its key.
    pub key: Key,
}

/// Aggregates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sums {
    /// The sum.
    pub sum: Value,
    /// The bits of the average.
    pub average: Option<u64>,
}

impl DatabaseState {
    /// Returns the property of each step of a path.
    fn steps(&self, class: &str, path: &str) -> ObjectResult<Vec<Property>> {
        let mut steps: Vec<Property> = Vec::new();
        let mut class = class.to_owned();
        for name in path.split('.') {
            if let Some(last) = steps.last() {
                let ValueType::Link(to) = last.kind.element() else {
                    return Err(ObjectRefusal::Type);
                };
                class = to;
            }
            let stored = self.class(&class)?.properties.get(name).ok_or(ObjectRefusal::Property)?;
            steps.push(stored.clone());
        }
        Ok(steps)
    }

    /// Returns all values at the end of a path; an object on the way counts once, however many
    /// links reach it.
    fn reach(&self, id: &Id, path: &[&str]) -> Vec<Value> {
        let Some((last, links)) = path.split_last() else { return Vec::new() };
        let (mut objects, mut ends_early) = (vec![id.clone()], false);
        for name in links {
            let mut next = Vec::new();
            for value in objects.iter().flat_map(|id| self.stored(id, name)) {
                match value {
                    Value::Link(id) if next.contains(&id) => {}
                    Value::Link(id) => next.push(id),
                    _ => ends_early = true,
                }
            }
            objects = next;
        }
        let nothing = ends_early.then_some(Value::Null);
        objects.iter().flat_map(|id| self.stored(id, last)).chain(nothing).collect()
    }

    /// Returns the value of a property, or the elements of a list.
    fn stored(&self, id: &Id, name: &str) -> Vec<Value> {
        let (class, key) = id;
        let empty = Object::default();
        let object = self.object(id).unwrap_or(&empty);
        if self.classes.get(class).and_then(|stored| stored.key.as_deref()) == Some(name) {
            return vec![match key {
                Key::Int(value) => Value::Int(*value),
                Key::Text(text) => Value::Text(text.clone()),
                Key::Null | Key::Row(_) => Value::Null,
            }];
        }
        match object.lists.get(name) {
            Some(list) => list.iter().map(|(_, value)| value.clone()).collect(),
            None => object.values.get(name).cloned().into_iter().collect(),
        }
    }

    fn check(&self, class: &str, filter: &Filter) -> ObjectResult<()> {
        let (path, value, is_order) = match filter {
            Filter::And(parts) | Filter::Or(parts) => {
                return parts.iter().try_for_each(|part| self.check(class, part));
            }
            Filter::Not(part) => return self.check(class, part),
            Filter::Text(path, _, text, _) => (path, Value::Text(text.clone()), false),
            Filter::Compare(path, how, value) => {
                let is_order = !matches!(how, CompareOp::Equal | CompareOp::NotEqual);
                (path, value.clone(), is_order)
            }
        };
        let steps = self.steps(class, path)?;
        let kind = steps.last().map(|step| step.kind.element());
        let fits = match (&value, kind) {
            (Value::Null, _) => true,
            (Value::Link((class, _)), Some(ValueType::Link(to))) => *class == to && !is_order,
            (Value::Int(_), Some(ValueType::Int | ValueType::Counter))
            | (Value::Bool(_), Some(ValueType::Bool))
            | (Value::Text(_), Some(ValueType::Text))
            | (Value::Bytes(_), Some(ValueType::Bytes))
            | (Value::Time(..), Some(ValueType::Time))
            | (Value::Float(_), Some(ValueType::Float))
            | (Value::Double(_), Some(ValueType::Double)) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(ObjectRefusal::Type) }
    }

    fn meets(&self, id: &Id, filter: &Filter) -> bool {
        let reach = |path: &str| self.reach(id, &path.split('.').collect::<Vec<_>>());
        match filter {
            Filter::And(parts) => parts.iter().all(|part| self.meets(id, part)),
            Filter::Or(parts) => parts.iter().any(|part| self.meets(id, part)),
            Filter::Not(part) => !self.meets(id, part),
            Filter::Compare(path, how, value) => {
                reach(path).iter().any(|found| compare(found, *how, value))
            }
            Filter::Text(path, how, text, case_insensitive) => reach(path).iter().any(|found| {
                let Value::Text(found) = found else { return false };
                let fold = |text: &str| match case_insensitive {
                    true => text.chars().flat_map(folded_one).collect(),
                    false => text.to_owned(),
                };
                let (found, text) = (fold(found), fold(text));
                match how {
                    StringOp::Is => found == text,
                    StringOp::Begins => found.starts_with(&text),
                    StringOp::Ends => found.ends_with(&text),
                    StringOp::Contains => found.contains(&text),
                }
            }),
        }
    }

    fn sortable(&self, class: &str, path: &str) -> ObjectResult<()> {
        let steps = self.steps(class, path)?;
        let is_list = steps.iter().any(|step| step.kind.is_list());
        let is_link = steps.last().is_some_and(|step| matches!(step.kind, ValueType::Link(_)));
        if is_list || is_link { Err(ObjectRefusal::Type) } else { Ok(()) }
    }

    /// Runs a query.
    ///
    /// # Errors
    /// As the specification defines.
    pub fn find(&self, query: &Query) -> ObjectResult<Vec<Key>> {
        let Query { class, filter, sort, distinct, limit, offset, after } = query;
        let stored = self.class(class)?;
        let paths = sort.iter().map(|(path, _)| path).chain(distinct);
        paths.into_iter().try_for_each(|path| self.sortable(class, path))?;
        for ((path, _), value) in sort.iter().zip(after.iter().flat_map(|after| &after.values)) {
            self.check(class, &Filter::Compare(path.clone(), CompareOp::Equal, value.clone()))?;
        }
        if let Some(filter) = filter {
            self.check(class, filter)?;
        }
        let id = |key: &Key| (class.clone(), key.clone());
        let meets = |key: &&Key| filter.as_ref().is_none_or(|stored| self.meets(&id(key), stored));
        let mut found: Vec<Key> = stored.objects.keys().filter(meets).cloned().collect();
        let one = |key: &Key, path: &str| {
            self.reach(&id(key), &path.split('.').collect::<Vec<_>>()).pop()
        };
        // The least significant key comes first, because the sort is stable.
        for (path, is_descending) in sort.iter().rev() {
            found.sort_by(|first, second| {
                let (first, second) = (one(first, path), one(second, path));
                let ordering = in_order(first.as_ref(), second.as_ref());
                if *is_descending { ordering.reverse() } else { ordering }
            });
        }
        if !distinct.is_empty() {
            let mut seen: Vec<Vec<Option<Value>>> = Vec::new();
            found.retain(|key| {
                let values: Vec<_> = distinct.iter().map(|path| one(key, path)).collect();
                let is_new = !seen.contains(&values);
                seen.push(values);
                is_new
            });
        }
        if let Some(after) = after {
            let is_behind = |key: &Key| {
                for ((path, is_descending), value) in sort.iter().zip(&after.values) {
                    let ordering = in_order(one(key, path).as_ref(), Some(value));
                    if ordering.is_ne() {
                        return ordering.is_gt() != *is_descending;
                    }
                }
                *key > after.key
            };
            found.retain(is_behind);
        }
        Ok(found.into_iter().skip(*offset).take(limit.unwrap_or(usize::MAX)).collect())
    }

    /// Returns the place of an object in the order of a query.
    #[must_use]
    pub fn position(&self, query: &Query, key: &Key) -> Option<Position> {
        let id = (query.class.clone(), key.clone());
        let paths = query.sort.iter().map(|(path, _)| path.split('.').collect::<Vec<_>>());
        let values = paths.map(|path| self.reach(&id, &path).pop()).collect::<Option<_>>()?;
        Some(Position { values, key: key.clone() })
    }

    /// Returns the values of a path over the results, each with the results that have it, in order.
    ///
    /// # Errors
    /// As the specification defines.
    pub fn groups(&self, query: &Query, path: &str) -> ObjectResult<Vec<(Value, Vec<Key>)>> {
        self.sortable(&query.class, path)?;
        let mut groups: Vec<(Value, Vec<Key>)> = Vec::new();
        for key in self.find(query)? {
            let id = (query.class.clone(), key.clone());
            let value = self.reach(&id, &path.split('.').collect::<Vec<_>>()).pop();
            let value = value.unwrap_or(Value::Null);
            match groups.iter_mut().find(|(held, _)| *held == value) {
                Some((_, keys)) => keys.push(key),
                None => groups.push((value, vec![key])),
            }
        }
        groups.sort_by(|(one, _), (two, _)| in_order(Some(one), Some(two)));
        Ok(groups)
    }

    /// Returns sum and average of a property over the results.
    ///
    /// # Errors
    /// As the specification defines.
    pub fn sums(&self, query: &Query, name: &str) -> ObjectResult<Sums> {
        self.number_kind(&query.class, name)?;
        self.sums_of((&query.class, &self.find(query)?), name)
    }

    fn number_kind(&self, class: &str, name: &str) -> ObjectResult<ValueType> {
        let kind = self.steps(class, name)?.remove(0).kind;
        match kind {
            ValueType::Int | ValueType::Counter | ValueType::Float | ValueType::Double => Ok(kind),
            _ => Err(ObjectRefusal::Type),
        }
    }

    /// Returns sum and average of a property over some objects.
    ///
    /// # Errors
    /// As the specification defines.
    #[expect(clippy::cast_precision_loss, reason = "a mean is not exact")]
    pub fn sums_of(&self, (class, keys): (&str, &[Key]), name: &str) -> ObjectResult<Sums> {
        let kind = self.number_kind(class, name)?;
        let (mut object_values, mut sum, mut mean, mut count) = (0_i64, 0.0_f64, 0.0_f64, 0_u64);
        for key in keys {
            let values = self.reach(&(class.to_owned(), key.clone()), &[name]);
            let value = match values.first() {
                Some(Value::Int(value)) => {
                    object_values = object_values.wrapping_add(*value);
                    *value as f64
                }
                Some(Value::Float(bits)) => f32::from_bits(*bits).into(),
                Some(Value::Double(bits)) => f64::from_bits(*bits),
                _ => continue,
            };
            sum += value;
            mean += value;
            count += 1;
        }
        let is_whole = matches!(kind, ValueType::Int | ValueType::Counter);
        let sum = if is_whole { Value::Int(object_values) } else { Value::Double(sum.to_bits()) };
        let average = (count > 0).then(|| (mean / count as f64).to_bits());
        Ok(Sums { sum, average })
    }

    /// Returns minimum and maximum of a property over the results.
    ///
    /// # Errors
    /// As the specification defines.
    pub fn extremes(&self, query: &Query, name: &str) -> ObjectResult<[Value; 2]> {
        self.extremes_of((&query.class, &[]), name)?;
        self.extremes_of((&query.class, &self.find(query)?), name)
    }

    /// Returns minimum and maximum of a property over some objects.
    ///
    /// # Errors
    /// As the specification defines.
    pub fn extremes_of(
        &self,
        (class, keys): (&str, &[Key]),
        name: &str,
    ) -> ObjectResult<[Value; 2]> {
        let kind = self.steps(class, name)?.remove(0).kind;
        let is_number = matches!(
            kind,
            ValueType::Int | ValueType::Counter | ValueType::Float | ValueType::Double
        );
        if !is_number && kind != ValueType::Time {
            return Err(ObjectRefusal::Type);
        }
        let id = |key: &Key| (class.to_owned(), key.clone());
        let values = keys.iter().flat_map(|key| self.reach(&id(key), &[name]));
        let is_something = |value: &Value| match value {
            Value::Float(bits) => !f32::from_bits(*bits).is_nan(),
            Value::Double(bits) => !f64::from_bits(*bits).is_nan(),
            value => *value != Value::Null,
        };
        let mut values: Vec<Value> = values.filter(is_something).collect();
        values.sort_by(|one, two| in_order(Some(one), Some(two)));
        let least = values.first().cloned().unwrap_or(Value::Null);
        Ok([least, values.pop().unwrap_or(Value::Null)])
    }
}

/// Case folding; all forms of sigma are equal.
fn folded_one(letter: char) -> Vec<char> {
    if letter == '\u{3c2}' { vec!['\u{3c3}'] } else { letter.to_lowercase().collect() }
}

fn compare(found: &Value, how: CompareOp, value: &Value) -> bool {
    let ordering = match (found, value) {
        (Value::Float(one), Value::Float(two)) => {
            f32::from_bits(*one).partial_cmp(&f32::from_bits(*two))
        }
        (Value::Double(one), Value::Double(two)) => {
            f64::from_bits(*one).partial_cmp(&f64::from_bits(*two))
        }
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Null, _) | (_, Value::Null) => None,
        (one, two) => Some(one.cmp(two)),
    };
    let is_null = *found == Value::Null;
    match how {
        CompareOp::Equal => ordering == Some(Ordering::Equal),
        CompareOp::NotEqual => ordering != Some(Ordering::Equal),
        _ if is_null => false,
        CompareOp::Less => ordering == Some(Ordering::Less),
        CompareOp::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        CompareOp::Greater => ordering == Some(Ordering::Greater),
        CompareOp::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
    }
}

/// Null first, then by value; floating-point numbers in total order.
fn in_order(one: Option<&Value>, two: Option<&Value>) -> Ordering {
    match (one, two) {
        (Some(Value::Float(one)), Some(Value::Float(two))) => {
            f32::from_bits(*one).total_cmp(&f32::from_bits(*two))
        }
        (Some(Value::Double(one)), Some(Value::Double(two))) => {
            f64::from_bits(*one).total_cmp(&f64::from_bits(*two))
        }
        (one, two) => one.cmp(&two),
    }
}
