//! Links to objects whose class is a struct, and objects that were found.

use crate::object::{ObjectId, Value};
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
    pub(super) id: ObjectId,
    /// It holds no `T`, so it is as good on any thread as an id is.
    to: PhantomData<fn() -> T>,
}

/// An object that was found: what it held at that moment, and a link to it.
///
/// It derefs to the struct. [`Stored::update`] changes the object in the file, and this with it;
/// [`Stored::delete`] deletes it.
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

impl<T> Stored<T> {
    pub(super) const fn new(id: ObjectId, object: T) -> Self {
        Self { link: Link::new(id), object }
    }

    /// Returns the link to the object.
    #[must_use]
    pub const fn link(&self) -> &Link<T> {
        &self.link
    }

    pub(super) fn replace(&mut self, object: T) {
        self.object = object;
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
