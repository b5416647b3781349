//! Live queries about structs; see [`object::LiveQuery`].

use super::Object;
use super::link::Link;
use super::query::Query;
use crate::error::Result;
use crate::object::{self, Database, ResultChanges, Snapshot};
use std::marker::PhantomData;
#[cfg(feature = "stream")]
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The result of a query, which follows the commits; see [`Query::subscribe`].
#[derive(Debug)]
pub struct LiveQuery<T> {
    live: object::LiveQuery,
    of: PhantomData<fn() -> T>,
}

impl<T: Object> Query<'_, T> {
    /// Subscribes to the result; see [`object::Query::subscribe`].
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// use fastness::object::{Database, DatabaseOptions};
    /// use fastness::schema::Schema;
    /// use fastness::typed::Object;
    /// use std::time::Duration;
    ///
    /// #[derive(Object, Debug, Clone, PartialEq)]
    /// struct Note {
    ///     #[object(primary_key)]
    ///     title: String,
    ///     text: String,
    /// }
    ///
    /// let options = DatabaseOptions::schema(Schema::new([Note::class()?])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// let notes = database.snapshot()?;
    /// let all = Note::objects(&notes)?.query();
    /// let (snapshot, mut live) = all.subscribe(&database)?;
    /// let mut rows: Vec<Note> = Vec::new();
    /// assert_eq!((live.links().len(), Note::objects(&snapshot)?.len()), (0, 0));
    ///
    /// let note = Note { title: "Tea".into(), text: "Buy some".into() };
    /// database.transact(|txn| note.create(txn))?;
    /// let (snapshot, changes) = live.recv(Duration::from_secs(60))?.unwrap();
    /// changes.apply(&mut rows, |link| link.get(&snapshot).map(Option::unwrap))?;
    /// assert_eq!(rows, [note]);
    /// # }
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`object::Query::subscribe`].
    pub fn subscribe(&self, database: &Database) -> Result<(Snapshot, LiveQuery<T>)> {
        let (snapshot, live) = self.dynamic().subscribe(database)?;
        Ok((snapshot, LiveQuery { live, of: PhantomData }))
    }
}

impl<T> LiveQuery<T> {
    /// Returns the result, as it was last reported.
    #[must_use]
    pub fn links(&self) -> Vec<Link<T>> {
        self.live.ids().into_iter().map(Link::new).collect()
    }

    /// Returns how the result has changed since the last report, and the snapshot that has it; none
    /// if it has not.
    ///
    /// # Errors
    /// As [`object::LiveQuery::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<(Snapshot, ResultChanges<Link<T>>)>> {
        Ok(self.live.try_recv()?.map(linked))
    }

    /// Waits until the result has changed; none after `timeout`.
    ///
    /// # Errors
    /// As [`object::LiveQuery::try_recv`].
    pub fn recv(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<(Snapshot, ResultChanges<Link<T>>)>> {
        Ok(self.live.recv(timeout)?.map(linked))
    }

    /// Returns how the result has changed, or registers the task to be woken.
    ///
    /// # Errors
    /// As [`object::LiveQuery::try_recv`].
    pub fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Snapshot, ResultChanges<Link<T>>)>> {
        self.live.poll_recv(context).map_ok(linked)
    }

    /// Returns the live query of the objects, which also sets a callback.
    #[must_use]
    pub const fn dynamic(&self) -> &object::LiveQuery {
        &self.live
    }
}

/// The changes of the result, for tasks. It never ends. With the feature `stream`.
#[cfg(feature = "stream")]
impl<T> futures_core::Stream for LiveQuery<T> {
    type Item = Result<(Snapshot, ResultChanges<Link<T>>)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(context).map(Some)
    }
}

fn linked<T>((snapshot, changes): (Snapshot, ResultChanges)) -> (Snapshot, ResultChanges<Link<T>>) {
    (snapshot, changes.map(Link::new))
}
