//! Followers: the side of a live result that waits for its feed and asks a snapshot.
//!
//! A follower takes what its feed holds up to the last visible commit, and evaluates it on the
//! snapshot of that commit. Both happen on the thread that asks, and outside of every lock: a
//! writer never waits for it. After an error everything is evaluated again: when it is asked for,
//! and by itself at a later commit.

use super::database::Database;
use super::feeds::{Feed, Interest, Touched};
use super::shared::{Shared, Snapshot};
use crate::conc::{Arc, Deadline};
use crate::error::Result;
use crate::unit::CommitId;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Evaluates what commits changed; none if it makes no difference.
type Evaluate<'e, T> = &'e mut dyn FnMut(&Snapshot, &Touched) -> Result<Option<T>>;

/// The subscriber of a feed.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Arc<Shared>,
    interest: Interest,
    feed: Arc<Feed>,
    /// The commit whose evaluation failed, if the last one did.
    failed_at: Option<CommitId>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.observers.feeds.remove(&self.interest, &self.feed);
    }
}

impl Follower {
    /// Begins to follow, and returns the snapshot that it starts from. Waits for the current write
    /// transaction.
    pub(super) fn begin(database: &Database, interest: Interest) -> Result<(Snapshot, Self)> {
        let shared = Arc::clone(&database.shared);
        let feed = shared.observers.feeds.add(&interest);
        let follower = Self { shared, interest, feed, failed_at: None };
        let snapshot = database.settled_snapshot()?;
        // Commits since the feed was added are in the snapshot.
        drop(follower.feed.take(snapshot.commit()));
        Ok((snapshot, follower))
    }

    pub(super) const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Returns the last commit that is visible, if there is something to evaluate that has not
    /// failed.
    fn news(&self) -> Option<CommitId> {
        let seen = self.shared.store.snapshot().commit();
        let is_due = match self.failed_at {
            Some(failed) => failed < seen,
            None => self.feed.has_news(seen),
        };
        is_due.then_some(seen)
    }

    /// Evaluates what was changed since the last report, and again what failed.
    pub(super) fn next<T>(&mut self, evaluate: Evaluate<'_, T>) -> Result<Option<(Snapshot, T)>> {
        if self.failed_at.is_none() && self.news().is_none() {
            return Ok(None);
        }
        let store = self.shared.store.snapshot();
        // An error leaves it set.
        let had_failed = self.failed_at.replace(store.commit()).is_some();
        let snapshot = self.shared.snapshot(store)?;
        let mut touched = self.feed.take(snapshot.commit()).unwrap_or_default();
        touched.is_collapsed |= had_failed;
        let found = evaluate(&snapshot, &touched)?;
        self.failed_at = None;
        Ok(found.map(|found| (snapshot, found)))
    }

    /// Waits until there is something to report; none after `timeout`.
    pub(super) fn wait<T>(
        &mut self,
        timeout: Duration,
        evaluate: Evaluate<'_, T>,
    ) -> Result<Option<(Snapshot, T)>> {
        let deadline = Deadline::after(timeout);
        loop {
            if self.news().is_some()
                && let Some(found) = self.next(evaluate)?
            {
                return Ok(Some(found));
            }
            if self.feed.signal.wait(deadline.left(), || self.news()).is_none() {
                return Ok(None);
            }
        }
    }

    /// Reports, or registers the task to be woken by a commit.
    pub(super) fn poll<T>(
        &mut self,
        context: &Context<'_>,
        evaluate: Evaluate<'_, T>,
    ) -> Poll<Result<(Snapshot, T)>> {
        loop {
            let news = self.feed.signal.register(context.waker(), || self.news());
            ready!(news.map_or(Poll::Pending, Poll::Ready));
            if let Some(found) = self.next(evaluate).transpose() {
                return Poll::Ready(found);
            }
        }
    }
}
