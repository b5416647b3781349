//! Live objects and lists: how commits changed one object, or one list.
//!
//! Specification: docs/objects.md#live-results. Check: `sim::check::queries`.

use super::changes::{ListChanges, lists};
use super::database::Database;
use super::feeds::{Interest, Touched};
use super::follower::Follower;
use super::lookup::list_property;
use super::shared::Snapshot;
use crate::conc::Arc;
use crate::error::Result;
use crate::table::{Element, ObjectId, ObjectKey};
use crate::unit::CommitId;
use std::task::{Context, Poll};
use std::time::Duration;

/// How an object has changed since it was last reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChanges {
    /// The commit of the report.
    pub commit: CommitId,
    /// The object exists.
    pub exists: bool,
    /// The object was created or deleted in between, or its class was changed: every property may
    /// differ.
    pub is_replaced: bool,
    /// The properties that commits changed, by name.
    pub properties: Vec<String>,
}

/// An object that follows the commits; see [`Database::subscribe_object`].
#[derive(Debug)]
pub struct LiveObject {
    follower: Follower,
    address: Address,
}

/// A list that follows the commits; see [`Database::subscribe_list`].
#[derive(Debug)]
pub struct LiveList {
    follower: Follower,
    list: KnownList,
}

/// An object by the name of its class.
#[derive(Debug)]
struct Address {
    class: String,
    key: ObjectKey,
}

/// The list that the subscriber knows.
#[derive(Debug)]
struct KnownList {
    address: Address,
    property: String,
    elements: Vec<Element>,
}

impl Address {
    fn new(database: &Database, id: &ObjectId) -> Result<Self> {
        let class = database.snapshot()?.view().class_name(id.class)?.to_owned();
        Ok(Self { class, key: id.key.clone() })
    }

    fn interest(&self) -> Interest {
        let (class, key) = (self.class.clone(), Some(self.key.clone()));
        Interest { class, key, is_linked: false }
    }

    fn changes(&self, snapshot: &Snapshot, touched: &Touched) -> Result<Option<ObjectChanges>> {
        let object = snapshot.objects(&self.class)?.by_key(self.key.clone())?;
        Ok(Some(ObjectChanges {
            commit: snapshot.commit(),
            exists: object.is_some(),
            is_replaced: touched.is_replaced || touched.is_collapsed,
            properties: touched.properties.iter().cloned().collect(),
        }))
    }
}

impl KnownList {
    fn read(&self, snapshot: &Snapshot) -> Result<Vec<Element>> {
        let objects = snapshot.objects(&self.address.class)?;
        list_property(objects.table, &self.property)?;
        let object = objects.by_key(self.address.key.clone())?;
        // The list of an object that does not exist is empty.
        object.map_or_else(|| Ok(Vec::new()), |object| object.list(&self.property))
    }

    fn changes(&mut self, snapshot: &Snapshot, touched: &Touched) -> Result<Option<ListChanges>> {
        let is_changed = touched.properties.contains(&self.property);
        if !is_changed && !touched.is_replaced && !touched.is_collapsed {
            return Ok(None);
        }
        let elements = self.read(snapshot)?;
        let changes = lists(&self.elements, &elements);
        self.elements = elements;
        Ok((changes != ListChanges::default()).then_some(changes))
    }
}

impl Database {
    /// Subscribes to one object, which need not exist. Returns the snapshot that the subscription
    /// starts from. Waits as [`Database::subscribe`] does.
    ///
    /// # Errors
    /// [`crate::ObjectError::ClassUnknown`]; as [`Database::subscribe`].
    pub fn subscribe_object(&self, id: &ObjectId) -> Result<(Snapshot, LiveObject)> {
        let address = Address::new(self, id)?;
        let (snapshot, follower) = Follower::begin(self, address.interest())?;
        Ok((snapshot, LiveObject { follower, address }))
    }

    /// Subscribes to one list of an object. Returns the snapshot that the subscription starts from.
    /// Waits as [`Database::subscribe`] does.
    ///
    /// # Errors
    /// [`crate::ObjectError::ClassUnknown`], [`crate::ObjectError::PropertyUnknown`], or
    /// [`crate::ObjectError::Type`] if the property is no list; as [`Database::subscribe`].
    pub fn subscribe_list(&self, id: &ObjectId, property: &str) -> Result<(Snapshot, LiveList)> {
        let address = Address::new(self, id)?;
        let (snapshot, follower) = Follower::begin(self, address.interest())?;
        let property = property.to_owned();
        let mut list = KnownList { address, property, elements: Vec::new() };
        list.elements = list.read(&snapshot)?;
        Ok((snapshot, LiveList { follower, list }))
    }
}

impl LiveObject {
    /// Returns how the object has changed since the last report, and the snapshot that has it so;
    /// none if it has not.
    ///
    /// # Errors
    /// If the class was removed or renamed, or a page cannot be read.
    pub fn try_recv(&mut self) -> Result<Option<(Snapshot, ObjectChanges)>> {
        let Self { follower, address } = self;
        follower.next(&mut |snapshot, touched| address.changes(snapshot, touched))
    }

    /// Waits until the object has changed; none after `timeout`.
    ///
    /// # Errors
    /// As [`LiveObject::try_recv`].
    pub fn recv(&mut self, timeout: Duration) -> Result<Option<(Snapshot, ObjectChanges)>> {
        let Self { follower, address } = self;
        follower.wait(timeout, &mut |snapshot, touched| address.changes(snapshot, touched))
    }

    /// Returns how the object has changed, or registers the task to be woken.
    ///
    /// # Errors
    /// As [`LiveObject::try_recv`].
    pub fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Snapshot, ObjectChanges)>> {
        let Self { follower, address } = self;
        follower.poll(context, &mut |snapshot, touched| address.changes(snapshot, touched))
    }

    /// Calls `wake` after each commit that changed the object, as
    /// [`Subscription::on_commit`](super::Subscription::on_commit) does.
    pub fn on_commit(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.follower.feed().signal.set_callback(Some(Arc::new(wake)));
    }
}

impl LiveList {
    /// Returns the elements, as they were last reported.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.list.elements
    }

    /// Returns how the list has changed since the last report, and the snapshot that has it so;
    /// none if it has not. The list of a deleted object is empty.
    ///
    /// # Errors
    /// If the class or the property was removed or renamed, or a page cannot be read.
    pub fn try_recv(&mut self) -> Result<Option<(Snapshot, ListChanges)>> {
        let Self { follower, list } = self;
        follower.next(&mut |snapshot, touched| list.changes(snapshot, touched))
    }

    /// Waits until the list has changed; none after `timeout`.
    ///
    /// # Errors
    /// As [`LiveList::try_recv`].
    pub fn recv(&mut self, timeout: Duration) -> Result<Option<(Snapshot, ListChanges)>> {
        let Self { follower, list } = self;
        follower.wait(timeout, &mut |snapshot, touched| list.changes(snapshot, touched))
    }

    /// Returns how the list has changed, or registers the task to be woken.
    ///
    /// # Errors
    /// As [`LiveList::try_recv`].
    pub fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Snapshot, ListChanges)>> {
        let Self { follower, list } = self;
        follower.poll(context, &mut |snapshot, touched| list.changes(snapshot, touched))
    }

    /// Calls `wake` after each commit that changed the object of the list, as
    /// [`Subscription::on_commit`](super::Subscription::on_commit) does.
    pub fn on_commit(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.follower.feed().signal.set_callback(Some(Arc::new(wake)));
    }
}
