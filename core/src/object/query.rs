//! Queries: which objects of a class meet a condition, in which order, and what they add up to.
//!
//! - Q1 A query answers the same whichever way it finds the objects it looks at.
//!
//! Specification: docs/objects.md#queries. Model: `models::object_query`. Check:
//! `sim::check::queries`.

use super::compiled::Compiled;
use super::filter::{Filter, PropertyPath, in_order};
use super::lookup::{self, type_error};
use super::query_plan::{InOrder, Order, QueryPlan};
use super::view::{Objects, View};
use crate::conc::Arc;
use crate::error::Result;
use crate::schema::{PropertyType, Scalar};
use crate::sorted::places_by;
use crate::table::{Column, ColumnRef, ObjectId, ObjectKey, RecordRef, RecordSlot, Value};
use std::cmp::Ordering;

/// A question about the objects of a class. It answers from the snapshot or the transaction it was
/// asked of.
///
/// Objects are found in the order of their keys, unless they are sorted; those that sort alike
/// stay in it.
///
/// ```
/// use fastness::object::{Database, Filter, Order, DatabaseOptions};
/// use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
///
/// let dog = Class::new("Dog")?
///     .with(Property::new("name", Scalar::String)?.required().primary_key())
///     .with(Property::new("age", Scalar::Int)?.indexed())
///     .with(Property::new("friend", PropertyType::Object("Dog".into()))?);
/// let wanted = DatabaseOptions::schema(Schema::new([dog])?, 0);
/// let database = Database::in_memory(&fastness::StoreOptions::new(), &wanted)?;
/// let ann = database.transact(|txn| {
///     let ann = txn.create_with_key("Dog", "Ann")?;
///     for (name, age) in [("Bo", 3), ("Cleo", 9), ("Dot", 3)] {
///         let dog = txn.create_with_key("Dog", name)?;
///         txn.set(&dog, "age", age)?;
///         txn.set(&dog, "friend", &ann)?;
///     }
///     Ok(ann)
/// })?;
///
/// let snapshot = database.snapshot()?;
/// let dogs = snapshot.objects("Dog")?;
/// let young = dogs.filter(Filter::le("age", 3)).sort("age", Order::Descending);
/// assert_eq!(young.count()?, 3);
/// assert_eq!(young.first()?.unwrap().key.to_string(), "\"Bo\"");
/// assert_eq!((young.sum("age")?, young.average("age")?), (6.into(), Some(2.0)));
/// assert_eq!(young.explain()?.to_string(), "by the index of `age`");
///
/// // Back-links are found by a filter like any other.
/// let friends = dogs.filter(Filter::eq("friend", &ann));
/// assert_eq!(friends.sum("age")?, 15.into());
/// assert_eq!(friends.explain()?.to_string(), "by the links in `friend`");
/// # Ok::<(), fastness::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub(super) objects: Objects<'a>,
    pub(super) filter: Option<Arc<Filter>>,
    pub(super) sort: Vec<(String, Order)>,
    pub(super) distinct: Vec<String>,
    pub(super) limit: Option<usize>,
    pub(super) scan: bool,
}

/// An object that was found, with what it is sorted by.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) key: ObjectKey,
    pub(super) by: Vec<Value<'static>>,
}

impl<'a> Objects<'a> {
    /// Asks about these objects.
    #[must_use]
    pub fn query(&self) -> Query<'a> {
        Query {
            objects: self.clone(),
            filter: None,
            sort: Vec::new(),
            distinct: Vec::new(),
            limit: None,
            scan: false,
        }
    }

    /// Asks which of these objects meet a condition.
    #[must_use]
    pub fn filter(&self, filter: Filter) -> Query<'a> {
        self.query().filter(filter)
    }
}

impl<'a> Query<'a> {
    /// Leaves out objects that do not meet this condition too.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        let all = match self.filter {
            Some(held) => Arc::unwrap_or_clone(held).and(filter),
            None => filter,
        };
        self.filter = Some(Arc::new(all));
        self
    }

    /// Sorts by a property, or by a path over links; after what it is sorted by already.
    #[must_use]
    pub fn sort(mut self, path: impl Into<String>, order: Order) -> Self {
        self.sort.push((path.into(), order));
        self
    }

    /// Leaves the first of all objects that are equal in these properties, or paths over links.
    #[must_use]
    pub fn distinct<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.distinct.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Leaves the first `count`, after everything else.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = Some(count);
        self
    }

    /// Looks at every object, whatever indexes there are.
    #[must_use]
    pub fn without_index(mut self) -> Self {
        self.scan = true;
        self
    }

    /// Tells how [`Query::find`] finds the objects to look at. To decide, it may walk an index.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn explain(&self) -> Result<QueryPlan> {
        self.chosen()
    }

    /// Returns the objects.
    ///
    /// # Errors
    /// [`crate::ObjectError::PropertyUnknown`] or [`crate::ObjectError::Type`] if a path does not
    /// lead to what is asked about it; if a page cannot be read or is damaged.
    pub fn find(&self) -> Result<Vec<ObjectId>> {
        let class = self.objects.table.id;
        let keys = self.keys()?;
        Ok(keys.into_iter().map(|key| ObjectId { class, key }).collect())
    }

    /// Returns the first of the objects.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn first(&self) -> Result<Option<ObjectId>> {
        let limit = self.limit.map_or(1, |limit| limit.min(1));
        Ok(self.clone().limit(limit).find()?.pop())
    }

    /// Counts the objects.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn count(&self) -> Result<u64> {
        if !self.distinct.is_empty() {
            return Ok(self.keys()?.len() as u64);
        }
        self.sort_paths()?;
        let (mut count, limit) = (0_u64, self.limit.map_or(u64::MAX, |limit| limit as u64));
        if limit == 0 {
            return self.condition().map(|_| 0);
        }
        self.unsorted().each(&mut |_| {
            count += 1;
            Ok(count < limit)
        })?;
        Ok(count)
    }

    /// Adds up a property of the objects; null counts as nothing. Whole numbers wrap around at 64
    /// bits, others add up in the order of the objects, to a double.
    ///
    /// # Errors
    /// [`crate::ObjectError::Type`] if it is no number; as [`Query::find`].
    pub fn sum(&self, property: &str) -> Result<Value<'static>> {
        let column = self.column(property, is_number)?;
        let mut sum = match column.kind() {
            PropertyType::Scalar(Scalar::Float | Scalar::Double) => Value::Double(0.0),
            _ => Value::Int(0),
        };
        self.values(column, |value| match (&mut sum, value) {
            (Value::Int(sum), Value::Int(value)) => *sum = sum.wrapping_add(*value),
            (Value::Double(sum), Value::Float(value)) => *sum += f64::from(*value),
            (Value::Double(sum), Value::Double(value)) => *sum += value,
            _ => {}
        })?;
        Ok(sum)
    }

    /// Returns the mean of a property of the objects that have a value; none if there are none.
    ///
    /// # Errors
    /// As [`Query::sum`].
    #[expect(clippy::cast_precision_loss, reason = "a mean is not exact")]
    pub fn average(&self, property: &str) -> Result<Option<f64>> {
        let column = self.column(property, is_number)?;
        let (mut sum, mut count) = (0.0, 0_u64);
        self.values(column, |value| {
            sum += match value {
                Value::Int(value) => *value as f64,
                Value::Float(value) => f64::from(*value),
                Value::Double(value) => *value,
                _ => return,
            };
            count += 1;
        })?;
        Ok((count > 0).then(|| sum / count as f64))
    }

    /// Returns the least value of a property of the objects: null if there is none. NaN counts as
    /// nothing.
    ///
    /// # Errors
    /// [`crate::ObjectError::Type`] if it is neither a number nor a timestamp; as [`Query::find`].
    pub fn min(&self, property: &str) -> Result<Value<'static>> {
        self.extreme(property, Ordering::Less)
    }

    /// Returns the greatest value of a property of the objects, as [`Query::min`] the least.
    ///
    /// # Errors
    /// As [`Query::min`].
    pub fn max(&self, property: &str) -> Result<Value<'static>> {
        self.extreme(property, Ordering::Greater)
    }

    fn extreme(&self, property: &str, better: Ordering) -> Result<Value<'static>> {
        let column = self.column(property, |kind| {
            is_number(kind) || *kind == PropertyType::Scalar(Scalar::Timestamp)
        })?;
        let mut best = Value::Null;
        if self.sort.is_empty() && self.distinct.is_empty() && self.limit.is_none() {
            let order = if better.is_lt() { Order::Ascending } else { Order::Descending };
            let in_order = InOrder { column, order, without_null: true };
            let table = self.objects.table;
            let is_done = self.in_order(in_order, &mut |row| {
                best = self.view().one(&[ColumnRef { table, column }], row)?;
                Ok(best.is_null())
            })?;
            if is_done {
                return Ok(best);
            }
        }
        self.values(column, |value| {
            let is_nothing = match value {
                Value::Float(value) => value.is_nan(),
                Value::Double(value) => value.is_nan(),
                _ => value.is_null(),
            };
            if !is_nothing && (best.is_null() || in_order(value, &best) == better) {
                best = value.clone().into_owned();
            }
        })?;
        Ok(best)
    }

    pub(super) fn view(&self) -> View<'a> {
        self.objects.view
    }

    pub(super) fn condition(&self) -> Result<Option<Compiled<'a>>> {
        let compile =
            |filter: &Arc<Filter>| Compiled::new(&self.view(), self.objects.table, filter);
        self.filter.as_ref().map(compile).transpose()
    }

    fn column(&self, property: &str, fits: impl Fn(&PropertyType) -> bool) -> Result<&'a Column> {
        let table = self.objects.table;
        let column = lookup::property(table, property)?;
        if fits(column.kind()) {
            return Ok(column);
        }
        Err(type_error(ColumnRef::new(table, column), "a number"))
    }

    /// Hands over a property of the objects, in their order.
    fn values(&self, column: &'a Column, mut body: impl FnMut(&Value<'_>)) -> Result<()> {
        let table = self.objects.table;
        let path = [ColumnRef { table, column }];
        let slot = RecordSlot::of(column);
        let mut hand = |row: RecordRef<'_>| match slot.and_then(|slot| slot.plain(row.record)) {
            Some(value) => {
                body(&value);
                Ok(())
            }
            None => self.view().one(&path, row).map(|value| body(&value)),
        };
        if self.sort.is_empty() && self.distinct.is_empty() && self.limit.is_none() {
            return self.each(&mut |row| hand(row).map(|()| true));
        }
        for key in self.keys()? {
            let key = key.to_bytes();
            let record = self.objects.tree.get(&key)?;
            let record = record.ok_or_else(|| self.view().tables.malformed())?;
            hand(RecordRef { key: &key, record: &record })?;
        }
        Ok(())
    }

    /// Returns the query without an order, for answers that do not depend on one.
    fn unsorted(&self) -> Self {
        Self { sort: Vec::new(), ..self.clone() }
    }

    /// Finds what is sorted by.
    pub(super) fn sort_paths(&self) -> Result<Vec<PropertyPath<'a>>> {
        self.sort.iter().map(|(path, _)| self.sortable(path)).collect()
    }

    /// Resolves a path over single links, if its values can be compared and sorted.
    pub(super) fn sortable(&self, path: &str) -> Result<PropertyPath<'a>> {
        let hops = self.view().path(self.objects.table, path)?;
        for (index, field) in hops.iter().enumerate() {
            let column = field.column;
            let is_last = index + 1 == hops.len();
            if column.is_list() || is_last && column.target().is_some() {
                return Err(type_error(*field, "an order"));
            }
        }
        Ok(hops)
    }

    /// Returns the keys of the objects, in their order.
    fn keys(&self) -> Result<Vec<ObjectKey>> {
        let view = self.view();
        let paths = self.sort_paths()?;
        let distinct: Vec<PropertyPath<'a>> =
            self.distinct.iter().map(|path| self.sortable(path)).collect::<Result<_>>()?;
        let mut found = Vec::new();
        let limit = self.limit.unwrap_or(usize::MAX);
        let enough = if paths.is_empty() && distinct.is_empty() { limit } else { usize::MAX };
        if enough == 0 {
            return self.condition().map(|_| Vec::new());
        }
        if let Some(found) = self.first_in_order()? {
            return Ok(found);
        }
        let all: Vec<_> = paths.iter().chain(&distinct).collect();
        self.each(&mut |row| {
            found.push(view.hit(&all, row)?);
            Ok(found.len() < enough)
        })?;
        found.sort_by(|one, two| self.order(one, two));
        if !distinct.is_empty() {
            let by = |at: usize| &found[at].by[paths.len()..];
            // Equal ones are adjacent, the first of them first.
            let mut seen = places_by(found.len(), &|one, two| alike(by(one), by(two)));
            seen.dedup_by(|two, one| alike(by(*one), by(*two)).is_eq());
            let mut kept = vec![false; found.len()];
            seen.into_iter().for_each(|at| kept[at] = true);
            let mut kept = kept.into_iter();
            found.retain(|_| kept.next() == Some(true));
        }
        found.truncate(limit);
        Ok(found.into_iter().map(|found| found.key).collect())
    }

    /// Returns the objects in their order, whichever are equal and however many there are.
    pub(super) fn hits(&self) -> Result<Vec<Hit>> {
        let (view, paths) = (self.view(), self.sort_paths()?);
        let (all, mut found): (Vec<_>, _) = (paths.iter().collect(), Vec::new());
        self.each(&mut |row| {
            found.push(view.hit(&all, row)?);
            Ok(true)
        })?;
        found.sort_by(|one, two| self.order(one, two));
        Ok(found)
    }

    /// Returns an object if it exists and meets the condition.
    pub(super) fn hit(
        &self,
        condition: Option<&Compiled<'a>>,
        paths: &[PropertyPath<'a>],
        key: &ObjectKey,
    ) -> Result<Option<Hit>> {
        let (view, key) = (self.view(), key.to_bytes());
        let Some(record) = self.objects.tree.get(&key)? else { return Ok(None) };
        let row = RecordRef { key: &key, record: &record };
        if let Some(condition) = condition
            && !condition.meets(&view, row)?
        {
            return Ok(None);
        }
        view.hit(&paths.iter().collect::<Vec<_>>(), row).map(Some)
    }

    /// Compares the places of two objects in the result.
    pub(super) fn place(&self, one: &Hit, two: &Hit) -> Ordering {
        self.order(one, two).then_with(|| one.key.cmp(&two.key))
    }

    fn order(&self, one: &Hit, two: &Hit) -> Ordering {
        for ((_, order), (one, two)) in self.sort.iter().zip(one.by.iter().zip(&two.by)) {
            let ordering = match order {
                Order::Ascending => in_order(one, two),
                Order::Descending => in_order(two, one),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

impl<'a> View<'a> {
    /// Reads what an object is sorted by.
    fn hit(&self, paths: &[&PropertyPath<'a>], row: RecordRef<'_>) -> Result<Hit> {
        let by = paths.iter().map(|path| self.one(path, row)).collect::<Result<_>>()?;
        let key = ObjectKey::from_bytes(row.key).ok_or_else(|| self.tables.malformed())?;
        Ok(Hit { key, by })
    }

    /// Reads the one value that a path over single links leads to.
    fn one(&self, path: &[ColumnRef<'a>], row: RecordRef<'_>) -> Result<Value<'static>> {
        let value = std::cell::RefCell::new(Value::Null);
        self.any(path, row, &|found| {
            *value.borrow_mut() = found.clone().into_owned();
            true
        })?;
        Ok(value.into_inner())
    }
}

const fn is_number(kind: &PropertyType) -> bool {
    matches!(
        kind,
        PropertyType::Counter | PropertyType::Scalar(Scalar::Int | Scalar::Float | Scalar::Double)
    )
}

fn alike(one: &[Value<'_>], two: &[Value<'_>]) -> Ordering {
    let differ =
        |(one, two): (&Value<'_>, &Value<'_>)| Some(in_order(one, two)).filter(|o| o.is_ne());
    one.iter().zip(two).find_map(differ).unwrap_or(Ordering::Equal)
}
