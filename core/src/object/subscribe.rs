//! Subscriptions: the changes of every commit, delivered once and in order.
//!
//! - W2 A subscription gets every commit after the one it began with that changed objects, in order
//!   and exactly once.
//!
//! The protocol between writers and subscriptions is in `queues`.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::changes::Changes;
use super::database::Database;
use super::queues::Queue;
use super::shared::{Shared, Snapshot};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::unit::CommitId;

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
        let (queue, snapshot) = self.shared.subscriptions.begin(|| {
            match self.store().sync() {
                // A database without writers has none to wait for.
                Ok(_) | Err(Error::ReadOnly { .. }) => self.snapshot(),
                Err(error) => Err(error),
            }
        })?;
        let (shared, from) = (Arc::clone(&self.shared), snapshot.commit());
        Ok((snapshot, Subscription { shared, queue, from }))
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
}
