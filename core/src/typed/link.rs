//! Links to objects whose class is a struct, and objects that were found.

use super::Object;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
use crate::object::{self, ObjectId, Transaction, Value, View};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Property, PropertyType};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

/// Address of an object of a class: an [`ObjectId`] with the type of the class.
///
/// Every operation that takes an `&ObjectId` takes a `&Link<T>`:
/// `txn.set(&rex, "age", 8)`, `txn.add(&rex, "walks", 1)`, `txn.list(&rex, "tricks")`,
/// `txn.delete(&rex)`.
pub struct Link<T> {
    id: ObjectId,
    /// It holds no `T`, so it is as good on any thread as an id is.
    to: PhantomData<fn() -> T>,
}

/// An object that was found: what it held at that moment, and a link to it.
///
/// It derefs to the struct. Changing it does not change the file; [`Link::update`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    link: Link<T>,
    object: T,
}

impl<T> Link<T> {
    /// Takes an address as that of a `T`. Whether it is one is seen when it is used.
    #[must_use]
    pub const fn new(id: ObjectId) -> Self {
        Self { id, to: PhantomData }
    }

    /// Returns the address.
    #[must_use]
    pub const fn id(&self) -> &ObjectId {
        &self.id
    }
}

impl<T: Object> Link<T> {
    /// Reads the object: of a snapshot, or as a transaction sees it. None if it is not there.
    ///
    /// # Errors
    /// As [`Object::read`]; [`ObjectError::ClassUnknown`].
    pub fn get<'a>(&self, of: impl Into<View<'a>>) -> Result<Option<T>> {
        let objects = of.into().objects(T::CLASS)?;
        if objects.class() != self.id.class {
            return Ok(None);
        }
        objects.by_key(self.id.key.clone())?.map(|object| T::read(&object)).transpose()
    }

    /// Changes the object: reads it, lets `change` change it, and sets the properties that differ.
    ///
    /// In a list, the elements of a common prefix and suffix keep their ids, and those in between
    /// are replaced; [`Transaction::list`] changes single elements.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if it does not exist, [`ObjectError::PrimaryKeyImmutable`]
    /// if the primary key was changed; as [`Link::get`], and as [`Transaction::set`] of each
    /// property. Nothing is changed then.
    pub fn update<R>(&self, txn: &mut Transaction, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        let found = self.get(txn.view());
        let Some(mut object) = txn.noted(found)? else {
            let (class, key) = (T::CLASS.to_owned(), self.id.key.to_string());
            return Err(ObjectError::ObjectNotFound { class, key }.into());
        };
        let outcome = change(&mut object);
        if let Some((property, key)) = object.key()
            && key != self.id.key.value()
            && !fault::on(Fault::Ob08)
        {
            let (class, property) = (T::CLASS.to_owned(), property.to_owned());
            return Err(ObjectError::PrimaryKeyImmutable { class, property }.into());
        }
        txn.update(&self.id, &object.properties())?;
        Ok(outcome)
    }

    /// Returns the objects of this class that link to an object from a property.
    ///
    /// # Errors
    /// As [`View::backlinks`].
    pub fn backlinks(to: &object::Object<'_>, property: &str) -> Result<Vec<Self>> {
        Ok(to.backlinks(T::CLASS, property)?.into_iter().map(Self::new).collect())
    }
}

/// Returns the computed property of a field that holds the links to an object. The derive uses it.
///
/// # Errors
/// [`SchemaError::PropertyName`].
#[doc(hidden)]
pub fn backlinks_property<T: Object>(
    _: PhantomData<Vec<Link<T>>>,
    name: &str,
    origin: &str,
) -> Result<Property> {
    let (class, property) = (T::CLASS.to_owned(), origin.to_owned());
    Ok(Property::new(name, PropertyType::LinkingObjects { class, property })?)
}

impl<T> Stored<T> {
    pub(super) const fn new(id: ObjectId, object: T) -> Self {
        Self { link: Link::new(id), object }
    }

    /// Returns the link to the object.
    #[must_use]
    pub const fn link(&self) -> &Link<T> {
        &self.link
    }

    /// Returns what the object held.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.object
    }
}

impl<T> Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> Deref for Link<T> {
    type Target = ObjectId;

    fn deref(&self) -> &ObjectId {
        &self.id
    }
}

impl<T> From<&Link<T>> for Value<'_> {
    fn from(link: &Link<T>) -> Self {
        Self::Link(link.id.clone())
    }
}

impl<T> From<Link<T>> for Value<'_> {
    fn from(link: Link<T>) -> Self {
        Self::Link(link.id)
    }
}

// As those that could be derived, but whatever `T` is.

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self::new(self.id.clone())
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.id).finish()
    }
}

impl<T> PartialEq for Link<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T> Eq for Link<T> {}

impl<T> PartialOrd for Link<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Link<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl<T> Hash for Link<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
