//! Subscriptions: the changes of every commit, delivered once and in order.
//!
//! - W2 A subscription gets every commit after the one it began with that changed objects, in order
//!   and exactly once, whichever database over the store committed.
//!
//! The protocol between writers and subscriptions is in `queues`.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::changes::Changes;
use super::database::Database;
use super::queues::Queue;
use super::shared::{Shared, Snapshot};
use super::signal::Signal;
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::unit::CommitId;
#[cfg(feature = "stream")]
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A subscription to the changes of commits. It keeps the database open.
///
/// Changes are buffered until they are received: drop a subscription that is no longer needed.
///
/// ```
/// use fastness::object::{Database, DatabaseOptions};
/// use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
///
/// let tricks = PropertyType::List { of: Scalar::String, nullable: false };
/// let dog = Class::new("Dog")?
///     .with(Property::new("name", Scalar::String)?.required().primary_key())
///     .with(Property::new("tricks", tricks)?);
/// let wanted = DatabaseOptions::schema(Schema::new([dog])?, 0);
/// let database = Database::in_memory(&fastness::StoreOptions::new(), &wanted)?;
///
/// let (before, subscription) = database.subscribe()?;
/// let rex = database.transact(|txn| txn.create_with_key("Dog", "Rex"))?;
/// database.transact(|txn| txn.list(&rex, "tricks")?.push("sit"))?;
///
/// assert!(before.objects("Dog")?.is_empty());
/// let first = subscription.try_recv().unwrap();
/// assert_eq!(first.classes["Dog"].inserted, [rex.key.clone()]);
/// let second = subscription.try_recv().unwrap();
/// let (key, properties) = &second.classes["Dog"].modified[0];
/// assert_eq!((key, properties[0].property.as_str()), (&rex.key, "tricks"));
/// assert_eq!(properties[0].list.as_ref().unwrap().inserted[0].0, 0);
/// assert!(subscription.try_recv().is_none());
/// # Ok::<(), fastness::Error>(())
/// ```
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    queue: Arc<Queue<Changes>>,
    signal: Arc<Signal>,
    /// The commit that it began with.
    from: CommitId,
}

impl Database {
    /// Subscribes to the changes of commits, and returns the snapshot that they start from. Waits
    /// for the current write transaction: a thread that holds one would wait for itself.
    ///
    /// # Errors
    /// As [`crate::Store::sync`]; if the catalog cannot be read or is damaged.
    pub fn subscribe(&self) -> Result<(Snapshot, Subscription)> {
        // First, so that no commit of the queue is without its wake-up.
        let signal = self.shared.observers.signals.begin();
        let settle = || self.settled_snapshot();
        let (queue, snapshot) = self.shared.observers.queues.begin(settle)?;
        let (shared, from) = (Arc::clone(&self.shared), snapshot.commit());
        Ok((snapshot, Subscription { shared, queue, signal, from }))
    }

    /// Waits for the current write transaction and until all commits are durable, and takes a
    /// snapshot.
    pub(super) fn settled_snapshot(&self) -> Result<Snapshot> {
        match self.store().sync() {
            // A database without writers has none to wait for.
            Ok(_) | Err(Error::ReadOnly { .. }) => self.snapshot(),
            Err(error) => Err(error),
        }
    }
}

impl Subscription {
    /// Returns the changes of the next commit; none if there is none yet. Commits that changed no
    /// object are skipped.
    #[must_use]
    pub fn try_recv(&self) -> Option<Arc<Changes>> {
        let seen = self.shared.store.snapshot().commit();
        while let Some((commit, changes)) = self.queue.take(seen) {
            if commit > self.from {
                return Some(changes);
            }
        }
        None
    }

    /// Waits until there is a commit that changed objects, and returns its changes; none after
    /// `timeout`. It blocks the thread, and may be called on several.
    ///
    /// ```
    /// # use fastness::object::{Database, DatabaseOptions};
    /// # use fastness::schema::{Class, Schema};
    /// # use std::time::Duration;
    /// # let options = DatabaseOptions::schema(Schema::new([Class::new("Note")?])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// let (_, subscription) = database.subscribe()?;
    /// let writer = std::thread::spawn(move || database.transact(|txn| txn.create("Note")));
    /// let changes = subscription.recv(Duration::from_secs(60)).expect("the other thread commits");
    /// assert_eq!(changes.classes["Note"].inserted, [writer.join().unwrap()?.key]);
    /// # Ok::<(), fastness::Error>(())
    /// ```
    #[must_use]
    pub fn recv(&self, timeout: Duration) -> Option<Arc<Changes>> {
        self.signal.wait(timeout, || self.try_recv())
    }

    /// Returns the changes of the next commit, or registers the task to be woken by one. One task
    /// is registered at a time.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Arc<Changes>> {
        let found = self.signal.register(context.waker(), || self.try_recv());
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// Calls `wake` after each commit that changed objects, on the thread that committed. It runs
    /// when the commit is visible and outside of every lock of the store. It should only signal
    /// the thread that calls [`Subscription::try_recv`], and must not panic. The last one set
    /// counts; a commit beside this call may miss it, so look for changes once after it.
    pub fn on_commit(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.signal.set_callback(Some(Arc::new(wake)));
    }
}

/// The changes of each commit, for tasks. It never ends. With the feature `stream`.
#[cfg(feature = "stream")]
impl futures_core::Stream for Subscription {
    type Item = Arc<Changes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context).map(Some)
    }
}
