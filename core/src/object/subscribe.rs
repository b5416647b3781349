//! Observers: every commit told once, in order, to whoever asks.
//!
//! - W2 An observer is told every commit after the one it began with that changed objects: in
//!   order, none left out and none twice.
//!
//! How that holds whoever commits meanwhile: `queues`.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::changes::Changes;
use super::database::Database;
use super::queues::Queue;
use super::shared::{Shared, Snapshot};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::unit::CommitId;

/// Told what commits changed, on the thread that asks. It keeps the database open.
///
/// What is not asked for is kept: drop an observer that is not needed any more.
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
/// let (before, observer) = database.subscribe()?;
/// let rex = database.transact(|txn| txn.create_with_key("Dog", "Rex"))?;
/// database.transact(|txn| txn.list(&rex, "tricks")?.push("sit"))?;
///
/// assert!(before.objects("Dog")?.is_empty());
/// let first = observer.try_recv().unwrap();
/// assert_eq!(first.classes["Dog"].inserted, [rex.key.clone()]);
/// let second = observer.try_recv().unwrap();
/// let (key, properties) = &second.classes["Dog"].modified[0];
/// assert_eq!((key, properties[0].property.as_str()), (&rex.key, "tricks"));
/// assert_eq!(properties[0].list.as_ref().unwrap().inserted[0].0, 0);
/// assert!(observer.try_recv().is_none());
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
    /// Begins to observe, and returns the snapshot that what is told then starts from. Waits for
    /// the write transaction that is under way: a thread that has one would wait for itself.
    ///
    /// # Errors
    /// As [`crate::Store::sync`]; if the catalog cannot be read or is damaged.
    pub fn subscribe(&self) -> Result<(Snapshot, Subscription)> {
        let (queue, snapshot) = self.shared.observers.begin(|| {
            match self.store().sync() {
                // Where nobody writes there is nobody to wait for.
                Ok(_) | Err(Error::ReadOnly { .. }) => self.snapshot(),
                Err(error) => Err(error),
            }
        })?;
        let (shared, from) = (Arc::clone(&self.shared), snapshot.commit());
        Ok((snapshot, Subscription { shared, queue, from }))
    }
}

impl Subscription {
    /// Returns what the next commit changed; none if there is none yet. Commits that changed no
    /// object are left out.
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
