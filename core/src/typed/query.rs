//! The objects of a class as structs, and questions about them.

use super::Object;
use super::link::{Link, Stored};
use super::objects::Objects;
use crate::error::Result;
use crate::object::{self, Filter, Groups, ObjectKey, Order, Position, Value};

/// A question about the objects of a class; see [`object::Query`].
#[derive(Clone, Debug)]
pub struct Query<'a, T> {
    objects: Objects<'a, T>,
    query: object::Query<'a>,
}

impl<'a, T: Object> Objects<'a, T> {
    /// Returns the object with a primary key; none if it is not there.
    ///
    /// # Errors
    /// As [`object::Objects::get`] and [`Object::read`].
    pub fn get<'v>(&self, key: impl Into<Value<'v>>) -> Result<Option<Stored<T>>> {
        self.objects.get(key)?.as_ref().map(found).transpose()
    }

    /// Returns the object with a key, as observers tell it; none if it is not there.
    ///
    /// # Errors
    /// As [`Object::read`].
    pub fn by_key(&self, key: &ObjectKey) -> Result<Option<Stored<T>>> {
        self.objects.by_key(key.clone())?.as_ref().map(found).transpose()
    }

    /// Returns how many objects there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.objects.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Walks all objects, in the order of their keys. The walk ends with its first error.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; each object as [`Object::read`].
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Stored<T>>> + use<'a, T>> {
        let (mut objects, mut has_failed) = (self.objects.iter()?, false);
        Ok(std::iter::from_fn(move || {
            if has_failed {
                return None;
            }
            let object = objects.next()?.and_then(|object| found(&object));
            has_failed = object.is_err();
            Some(object)
        }))
    }

    /// Asks about these objects.
    #[must_use]
    pub fn query(&self) -> Query<'a, T> {
        let objects = Self::new(self.objects.clone());
        Query { query: self.objects.query(), objects }
    }

    /// Asks which of these objects meet a condition.
    #[must_use]
    pub fn filter(&self, filter: Filter) -> Query<'a, T> {
        self.query().filter(filter)
    }
}

impl<'a, T: Object> Query<'a, T> {
    /// Leaves out objects that do not meet this condition too.
    #[must_use]
    pub fn filter(self, filter: Filter) -> Self {
        Self { query: self.query.filter(filter), ..self }
    }

    /// Sorts by a property, or by a path over links; after what it is sorted by already.
    #[must_use]
    pub fn sort(self, path: impl Into<String>, order: Order) -> Self {
        Self { query: self.query.sort(path, order), ..self }
    }

    /// Keeps the first of the objects that are equal in these properties, or paths over links.
    #[must_use]
    pub fn distinct<P: Into<String>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        Self { query: self.query.distinct(paths), ..self }
    }

    /// Leaves the first `count`, after everything else.
    #[must_use]
    pub fn limit(self, count: usize) -> Self {
        Self { query: self.query.limit(count), ..self }
    }

    /// Leaves out the first `count`, before the limit; see [`object::Query::offset`].
    #[must_use]
    pub fn offset(self, count: usize) -> Self {
        Self { query: self.query.offset(count), ..self }
    }

    /// Leaves what comes behind a position; see [`object::Query::after`].
    #[must_use]
    pub fn after(self, position: Position) -> Self {
        Self { query: self.query.after(position), ..self }
    }

    /// Returns the position of an object in the order of this query; none if it is not there.
    ///
    /// # Errors
    /// As [`object::Query::position`].
    pub fn position(&self, of: &Link<T>) -> Result<Option<Position>> {
        self.query.position(of.id())
    }

    /// Groups the objects by the value of a property; see [`object::Query::group_by`].
    #[must_use]
    pub fn group_by(&self, path: impl Into<String>) -> Groups<'a> {
        self.query.group_by(path)
    }

    /// Returns the objects.
    ///
    /// # Errors
    /// As [`object::Query::find`] and [`Object::read`].
    pub fn find(&self) -> Result<Vec<Stored<T>>> {
        let objects = self.query.find()?.into_iter().map(|id| self.objects.by_key(&id.key));
        objects.filter_map(Result::transpose).collect()
    }

    /// Returns the first of the objects.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn first(&self) -> Result<Option<Stored<T>>> {
        let first = self.query.first()?;
        Ok(first.map(|id| self.objects.by_key(&id.key)).transpose()?.flatten())
    }

    /// Returns links to the objects, without reading these.
    ///
    /// # Errors
    /// As [`object::Query::find`].
    pub fn links(&self) -> Result<Vec<Link<T>>> {
        Ok(self.query.find()?.into_iter().map(Link::new).collect())
    }

    /// Counts the objects.
    ///
    /// # Errors
    /// As [`object::Query::find`].
    pub fn count(&self) -> Result<u64> {
        self.query.count()
    }

    /// Returns the question itself, which also adds up, averages and explains.
    #[must_use]
    pub const fn dynamic(&self) -> &object::Query<'a> {
        &self.query
    }
}

fn found<T: Object>(object: &object::Object<'_>) -> Result<Stored<T>> {
    Ok(Stored::new(object.id(), T::read(object)?))
}
