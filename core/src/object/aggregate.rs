//! Sums, means and extremes of the results of a query, of all or by group.
//!
//! Specification: docs/objects.md#queries. Model: `models::object_query`. Check:
//! `sim::check::queries`.

use super::filter::in_order;
use super::lookup::{self, type_error};
use super::query::Query;
use super::query_plan::{InOrder, Order};
use crate::error::Result;
use crate::schema::{PropertyType, Scalar};
use crate::table::{Column, ColumnRef, RecordRef, RecordSlot, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The results of a query in groups that have one value each; see [`Query::group_by`].
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    query: Query<'a>,
    by: String,
}

/// A value in the order of results.
struct InOrderOf(Value<'static>);

impl PartialEq for InOrderOf {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for InOrderOf {}

impl PartialOrd for InOrderOf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InOrderOf {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

/// A sum, whole or with a point.
struct Sum(Value<'static>);

/// A sum, and of how many.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

/// The best value so far, null before the first.
struct Extreme {
    best: Value<'static>,
    better: Ordering,
}

impl Sum {
    fn of(column: &Column) -> Self {
        Self(match column.kind() {
            PropertyType::Scalar(Scalar::Float | Scalar::Double) => Value::Double(0.0),
            _ => Value::Int(0),
        })
    }

    fn add(&mut self, value: &Value<'_>) {
        match (&mut self.0, value) {
            (Value::Int(sum), Value::Int(value)) => *sum = sum.wrapping_add(*value),
            (Value::Double(sum), Value::Float(value)) => *sum += f64::from(*value),
            (Value::Double(sum), Value::Double(value)) => *sum += value,
            _ => {}
        }
    }
}

impl Mean {
    #[expect(clippy::cast_precision_loss, reason = "a mean is not exact")]
    fn add(&mut self, value: &Value<'_>) {
        self.sum += match value {
            Value::Int(value) => *value as f64,
            Value::Float(value) => f64::from(*value),
            Value::Double(value) => *value,
            _ => return,
        };
        self.count += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is not exact")]
    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Extreme {
    const fn of(better: Ordering) -> Self {
        Self { best: Value::Null, better }
    }

    fn add(&mut self, value: &Value<'_>) {
        let is_nothing = match value {
            Value::Float(value) => value.is_nan(),
            Value::Double(value) => value.is_nan(),
            _ => value.is_null(),
        };
        if !is_nothing && (self.best.is_null() || in_order(value, &self.best) == self.better) {
            self.best = value.clone().into_owned();
        }
    }
}

impl<'a> Query<'a> {
    /// Adds up a property of the objects; null counts as nothing. Whole numbers wrap around at 64
    /// bits, others add up in the order of the objects, to a double.
    ///
    /// # Errors
    /// [`crate::ObjectError::Type`] if it is no number; as [`Query::find`].
    pub fn sum(&self, property: &str) -> Result<Value<'static>> {
        let column = self.column(property, is_number)?;
        let mut sum = Sum::of(column);
        self.values(column, |value| sum.add(value))?;
        Ok(sum.0)
    }

    /// Returns the mean of a property of the objects that have a value; none if there are none.
    ///
    /// # Errors
    /// As [`Query::sum`].
    pub fn average(&self, property: &str) -> Result<Option<f64>> {
        let column = self.column(property, is_number)?;
        let mut mean = Mean::default();
        self.values(column, |value| mean.add(value))?;
        Ok(mean.value())
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

    /// Groups the objects by the value of a property, or of a path over links. Null is a group too.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions, Value};
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    ///
    /// let dog = Class::new("Dog")?
    ///     .with(Property::new("name", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("city", Scalar::String)?)
    ///     .with(Property::new("age", Scalar::Int)?.nullable());
    /// let options = DatabaseOptions::schema(Schema::new([dog])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// database.transact(|txn| {
    ///     for (name, city, age) in [("Ann", "Rome", 3), ("Bo", "Bern", 9), ("Cleo", "Rome", 4)] {
    ///         let dog = txn.create_with_key("Dog", name)?;
    ///         txn.set(&dog, "city", city)?;
    ///         txn.set(&dog, "age", age)?;
    ///     }
    ///     txn.create_with_key("Dog", "Dot").map(drop)
    /// })?;
    ///
    /// let snapshot = database.snapshot()?;
    /// let by_city = snapshot.objects("Dog")?.query().group_by("city");
    /// let cities = [Value::Null, "Bern".into(), "Rome".into()];
    /// let counts = by_city.count()?;
    /// assert_eq!(counts, cities.clone().into_iter().zip([1, 1, 2]).collect::<Vec<_>>());
    /// let ages = by_city.average("age")?.into_iter().map(|(_, age)| age);
    /// assert_eq!(ages.collect::<Vec<_>>(), [None, Some(9.0), Some(3.5)]);
    /// # Ok::<(), fastness::Error>(())
    /// ```
    #[must_use]
    pub fn group_by(&self, path: impl Into<String>) -> Groups<'a> {
        Groups { query: self.clone(), by: path.into() }
    }

    fn extreme(&self, property: &str, better: Ordering) -> Result<Value<'static>> {
        let column = self.column(property, is_ordered_number)?;
        if self.is_whole() {
            let order = if better.is_lt() { Order::Ascending } else { Order::Descending };
            let in_order = InOrder { column, order, without_null: true };
            let table = self.objects.table;
            let mut best = Value::Null;
            let is_done = self.in_order(in_order, &mut |row| {
                best = self.view().one(&[ColumnRef { table, column }], row)?;
                Ok(best.is_null())
            })?;
            if is_done {
                return Ok(best);
            }
        }
        let mut extreme = Extreme::of(better);
        self.values(column, |value| extreme.add(value))?;
        Ok(extreme.best)
    }

    /// Tells whether the results are all objects that meet the condition, in the order of keys.
    fn is_whole(&self) -> bool {
        self.sort.is_empty() && self.distinct.is_empty() && self.window.is_all()
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
        let slot = RecordSlot::of(column);
        self.rows(&mut |row| self.value_of((column, slot), row, &mut body))
    }

    /// Hands over a property of an object.
    fn value_of(
        &self,
        (column, slot): (&'a Column, Option<RecordSlot>),
        row: RecordRef<'_>,
        body: &mut impl FnMut(&Value<'_>),
    ) -> Result<()> {
        match slot.and_then(|slot| slot.plain(row.record)) {
            Some(value) => body(&value),
            None => {
                let table = self.objects.table;
                body(&self.view().one(&[ColumnRef { table, column }], row)?);
            }
        }
        Ok(())
    }

    /// Visits the objects, in their order.
    fn rows(&self, body: &mut impl FnMut(RecordRef<'_>) -> Result<()>) -> Result<()> {
        if self.is_whole() {
            return self.each(&mut |row| body(row).map(|()| true));
        }
        for key in self.keys()? {
            let key = key.to_bytes();
            let record = self.objects.tree.get(&key)?;
            let record = record.ok_or_else(|| self.view().tables.malformed())?;
            body(RecordRef { key: &key, record: &record })?;
        }
        Ok(())
    }
}

impl<'a> Groups<'a> {
    /// Counts the objects of each group, in the order of the values.
    ///
    /// # Errors
    /// [`crate::ObjectError::PropertyUnknown`] or [`crate::ObjectError::Type`] if the path does not
    /// lead to one value; as [`Query::find`].
    pub fn count(&self) -> Result<Vec<(Value<'static>, u64)>> {
        self.each(None, || 0, |count, _| *count += 1, |count| count)
    }

    /// Adds up a property in each group, as [`Query::sum`].
    ///
    /// # Errors
    /// As [`Query::sum`] and [`Groups::count`].
    pub fn sum(&self, property: &str) -> Result<Vec<(Value<'static>, Value<'static>)>> {
        let column = self.query.column(property, is_number)?;
        self.each(Some(column), || Sum::of(column), Sum::add, |sum| sum.0)
    }

    /// Returns the mean of a property in each group, as [`Query::average`].
    ///
    /// # Errors
    /// As [`Query::sum`] and [`Groups::count`].
    pub fn average(&self, property: &str) -> Result<Vec<(Value<'static>, Option<f64>)>> {
        let column = self.query.column(property, is_number)?;
        self.each(Some(column), Mean::default, Mean::add, |mean| mean.value())
    }

    /// Returns the least value of a property in each group, as [`Query::min`].
    ///
    /// # Errors
    /// As [`Query::min`] and [`Groups::count`].
    pub fn min(&self, property: &str) -> Result<Vec<(Value<'static>, Value<'static>)>> {
        let column = self.query.column(property, is_ordered_number)?;
        self.each(Some(column), || Extreme::of(Ordering::Less), Extreme::add, |it| it.best)
    }

    /// Returns the greatest value of a property in each group, as [`Query::max`].
    ///
    /// # Errors
    /// As [`Query::min`] and [`Groups::count`].
    pub fn max(&self, property: &str) -> Result<Vec<(Value<'static>, Value<'static>)>> {
        let column = self.query.column(property, is_ordered_number)?;
        self.each(Some(column), || Extreme::of(Ordering::Greater), Extreme::add, |it| it.best)
    }

    /// Visits the objects once, and collects of each group what `end` makes of it.
    fn each<T, R>(
        &self,
        column: Option<&'a Column>,
        begin: impl Fn() -> T,
        mut add: impl FnMut(&mut T, &Value<'_>),
        end: impl Fn(T) -> R,
    ) -> Result<Vec<(Value<'static>, R)>> {
        let query = &self.query;
        let path = query.sortable(&self.by)?;
        let column = column.map(|column| (column, RecordSlot::of(column)));
        let mut groups = BTreeMap::new();
        query.rows(&mut |row| {
            let value = query.view().one(&path, row)?;
            let group = groups.entry(InOrderOf(value)).or_insert_with(&begin);
            match column {
                Some(column) => query.value_of(column, row, &mut |value| add(group, value)),
                None => {
                    add(group, &Value::Null);
                    Ok(())
                }
            }
        })?;
        Ok(groups.into_iter().map(|(value, group)| (value.0, end(group))).collect())
    }
}

const fn is_number(kind: &PropertyType) -> bool {
    matches!(
        kind,
        PropertyType::Counter | PropertyType::Scalar(Scalar::Int | Scalar::Float | Scalar::Double)
    )
}

fn is_ordered_number(kind: &PropertyType) -> bool {
    is_number(kind) || *kind == PropertyType::Scalar(Scalar::Timestamp)
}
