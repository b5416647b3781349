//! Queries: which objects of a class meet a condition, in which order, and what they add up to.
//!
//! - Q5 Results behind a position are those that the order puts after it, whatever was written
//!   since.
//! - Q1 A query answers the same whichever way it finds the objects it looks at.
//!
//! Specification: docs/objects.md#queries. Model: `models::object_query`. Check:
//! `sim::check::queries`.

use super::compiled::{Compiled, type_name};
use super::filter::{Filter, PropertyPath, in_order};
use super::lookup::type_error;
use super::query_plan::{Order, QueryPlan};
use super::view::{Objects, View};
use crate::conc::Arc;
use crate::error::Result;
use crate::sorted::places_by;
use crate::table::{ColumnRef, ObjectId, ObjectKey, RecordRef, Value};
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
    pub(super) window: ResultRange,
    pub(super) scan: bool,
}

/// The part of the sorted results that a query leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct ResultRange {
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    pub(super) after: Option<Arc<Position>>,
}

/// The place of an object in the order of a query: what it is sorted by, and its key.
///
/// A page that begins [`after`](Query::after) the position of the last object of the page before
/// leaves no object out and repeats none, whatever is inserted or deleted in between, also that
/// object itself. Only an object that itself moves over the position is missed or seen again.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// A value for each path that the query is sorted by.
    pub values: Vec<Value<'static>>,
    /// The key of the object.
    pub key: ObjectKey,
}

impl ResultRange {
    /// Tells whether it is everything.
    pub(super) const fn is_all(&self) -> bool {
        self.limit.is_none() && self.offset == 0 && self.after.is_none()
    }

    /// Returns how many results, from the position on, are looked for.
    pub(super) fn most(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit.saturating_add(self.offset))
    }

    /// Leaves results, of which none is before the position.
    pub(super) fn cut<T>(&self, found: &mut Vec<T>) {
        found.truncate(self.most());
        found.drain(..self.offset.min(found.len()));
    }
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
            window: ResultRange::default(),
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
        self.window.limit = Some(count);
        self
    }

    /// Leaves out the first `count`, before the limit. It costs as much as to find them; pages of
    /// any depth cost the same with [`Query::after`].
    #[must_use]
    pub fn offset(mut self, count: usize) -> Self {
        self.window.offset = count;
        self
    }

    /// Leaves what comes behind a position, before offset and limit.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions, Order};
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    ///
    /// let note = Class::new("Note")?
    ///     .with(Property::new("title", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("stars", Scalar::Int)?.indexed());
    /// let options = DatabaseOptions::schema(Schema::new([note])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// database.transact(|txn| {
    ///     for (title, stars) in [("a", 3), ("b", 9), ("c", 3), ("d", 5)] {
    ///         let note = txn.create_with_key("Note", title)?;
    ///         txn.set(&note, "stars", stars)?;
    ///     }
    ///     Ok(())
    /// })?;
    ///
    /// let snapshot = database.snapshot()?;
    /// let notes = snapshot.objects("Note")?;
    /// let page = notes.query().sort("stars", Order::Ascending).limit(2);
    /// let first = page.find()?;
    /// let last = page.position(&first[1])?.unwrap();
    /// database.transact(|txn| txn.delete(&first[1]))?; // other pages stay as they are
    ///
    /// let snapshot = database.snapshot()?;
    /// let notes = snapshot.objects("Note")?;
    /// let next = notes.query().sort("stars", Order::Ascending).limit(2).after(last);
    /// let keys: Vec<_> = next.find()?.iter().map(|id| id.key.to_string()).collect();
    /// assert_eq!(keys, ["\"d\"", "\"b\""]);
    /// # Ok::<(), fastness::Error>(())
    /// ```
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.window.after = Some(Arc::new(position));
        self
    }

    /// Returns the position of an object in the order of this query; none if the object is not
    /// there. Whether the object is a result does not matter.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn position(&self, object: &ObjectId) -> Result<Option<Position>> {
        if object.class != self.objects.table.id {
            return Ok(None);
        }
        let hit = self.hit(None, &self.sort_paths()?, &object.key)?;
        Ok(hit.map(|Hit { key, by }| Position { values: by, key }))
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
        let limit = self.window.limit.map_or(1, |limit| limit.min(1));
        Ok(self.clone().limit(limit).find()?.pop())
    }

    /// Counts the objects.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn count(&self) -> Result<u64> {
        if !self.distinct.is_empty() || self.window.after.is_some() {
            return Ok(self.keys()?.len() as u64);
        }
        self.sort_paths()?;
        let (mut count, most) = (0, self.window.most());
        if most == 0 {
            return self.condition().map(|_| 0);
        }
        self.unsorted().each(&mut |_| {
            count += 1;
            Ok(count < most)
        })?;
        Ok(count.saturating_sub(self.window.offset) as u64)
    }

    pub(super) fn view(&self) -> View<'a> {
        self.objects.view
    }

    pub(super) fn condition(&self) -> Result<Option<Compiled<'a>>> {
        let compile =
            |filter: &Arc<Filter>| Compiled::new(&self.view(), self.objects.table, filter);
        self.filter.as_ref().map(compile).transpose()
    }

    /// Returns the query without an order, for answers that do not depend on one.
    pub(super) fn unsorted(&self) -> Self {
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

    /// Returns the position that results come behind.
    ///
    /// # Errors
    /// If it has no values of the types that the query is sorted by.
    pub(super) fn after_hit(&self, paths: &[PropertyPath<'a>]) -> Result<Option<Hit>> {
        let Some(after) = &self.window.after else { return Ok(None) };
        for (index, path) in paths.iter().enumerate() {
            let Some(field) = path.last() else { continue };
            let fits = |value: &&Value<'_>| {
                value.is_null() || type_name(field.column.kind()) == value.type_name()
            };
            if after.values.get(index).filter(fits).is_none() {
                return Err(type_error(*field, "the value of this position"));
            }
        }
        Ok(Some(Hit { key: after.key.clone(), by: after.values.clone() }))
    }

    /// Returns the keys of the objects, in their order.
    pub(super) fn keys(&self) -> Result<Vec<ObjectKey>> {
        let view = self.view();
        let paths = self.sort_paths()?;
        let distinct: Vec<PropertyPath<'a>> =
            self.distinct.iter().map(|path| self.sortable(path)).collect::<Result<_>>()?;
        let after = self.after_hit(&paths)?;
        let is_behind =
            |hit: &Hit| after.as_ref().is_none_or(|after| self.place(hit, after).is_gt());
        let mut found = Vec::new();
        let most = self.window.most();
        let enough = if paths.is_empty() && distinct.is_empty() { most } else { usize::MAX };
        if most == 0 {
            return self.condition().map(|_| Vec::new());
        }
        if let Some(found) = self.first_in_order(after.as_ref())? {
            return Ok(found);
        }
        let all: Vec<_> = paths.iter().chain(&distinct).collect();
        self.each(&mut |row| {
            let hit = view.hit(&all, row)?;
            // The first of equal objects remains, wherever it is.
            if !distinct.is_empty() || is_behind(&hit) {
                found.push(hit);
            }
            Ok(found.len() < enough)
        })?;
        found.sort_by(|one, two| self.order(one, two));
        if !distinct.is_empty() {
            leave_distinct(&mut found, paths.len());
            found.retain(is_behind);
        }
        self.window.cut(&mut found);
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
    pub(super) fn hit(&self, paths: &[&PropertyPath<'a>], row: RecordRef<'_>) -> Result<Hit> {
        let by = paths.iter().map(|path| self.one(path, row)).collect::<Result<_>>()?;
        let key = ObjectKey::from_bytes(row.key).ok_or_else(|| self.tables.malformed())?;
        Ok(Hit { key, by })
    }

    /// Reads the one value that a path over single links leads to.
    pub(super) fn one(&self, path: &[ColumnRef<'a>], row: RecordRef<'_>) -> Result<Value<'static>> {
        let value = std::cell::RefCell::new(Value::Null);
        self.any(path, row, &|found| {
            *value.borrow_mut() = found.clone().into_owned();
            true
        })?;
        Ok(value.into_inner())
    }
}

/// Leaves the first of the objects that are equal in the values from one on.
fn leave_distinct(found: &mut Vec<Hit>, from: usize) {
    let by = |at: usize| &found[at].by[from..];
    // Equal ones are adjacent, the first of them first.
    let mut seen = places_by(found.len(), &|one, two| alike(by(one), by(two)));
    seen.dedup_by(|two, one| alike(by(*one), by(*two)).is_eq());
    let mut kept = vec![false; found.len()];
    seen.into_iter().for_each(|at| kept[at] = true);
    let mut kept = kept.into_iter();
    found.retain(|_| kept.next() == Some(true));
}

fn alike(one: &[Value<'_>], two: &[Value<'_>]) -> Ordering {
    let differ =
        |(one, two): (&Value<'_>, &Value<'_>)| Some(in_order(one, two)).filter(|o| o.is_ne());
    one.iter().zip(two).find_map(differ).unwrap_or(Ordering::Equal)
}
