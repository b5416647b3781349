//! Feeds: which objects commits changed, for each live result, merged until it is asked.
//!
//! - W7 A live result reports every object that commits changed since the report before, and no
//!   other, unless the report says that it was collapsed.
//! - W8 A feed holds a bounded number of keys however late its subscriber is, and a writer waits
//!   for no subscriber.
//!
//! The writer adds the changes of a commit while it holds the writer lock, and before the commit
//! can be visible. Commits that are visible are merged into one; those that are not stay apart, as
//! they may fail. A feed is about a class or about one object, and a commit looks only at the feeds
//! of what it changed, and at those of queries that follow links.
//!
//! Specification: docs/objects.md#live-results. Check: `sim::check::queries`.

use super::changes::{Changes, ClassChanges, PropertyChange};
use super::signal::Signal;
use crate::conc::{Arc, Mutex};
use crate::table::ObjectKey;
use crate::table::limits::limits;
use crate::unit::CommitId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The objects that a feed is about.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    pub(super) class: String,
    /// The only object.
    pub(super) key: Option<ObjectKey>,
    /// Changes of other classes may change the result too.
    pub(super) is_linked: bool,
}

/// Objects and properties that commits changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    /// The objects of the class.
    pub(super) keys: BTreeSet<ObjectKey>,
    /// The properties of the only object.
    pub(super) properties: BTreeSet<String>,
    /// The only object was created or deleted.
    pub(super) is_replaced: bool,
    /// Other classes of which objects changed.
    pub(super) linked: BTreeSet<String>,
    /// Anything may have changed.
    pub(super) is_collapsed: bool,
}

/// Changes of commits that one live result has not reported.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pending: Mutex<VecDeque<PendingChanges>>,
    pub(super) signal: Signal,
}

/// Changes of commits up to one.
#[derive(Debug)]
struct PendingChanges {
    commit: CommitId,
    /// The push of that commit: the next one gets its number if it fails.
    push: u64,
    touched: Touched,
}

/// A commit that was pushed: to which feeds, and which push it was.
#[derive(Debug, Default)]
pub(super) struct Push {
    feeds: Vec<Arc<Feed>>,
    number: u64,
}

/// All feeds, by what they are about.
#[derive(Debug, Default)]
struct FeedTable {
    classes: BTreeMap<String, Vec<Arc<Feed>>>,
    objects: BTreeMap<String, BTreeMap<ObjectKey, Vec<Arc<Feed>>>>,
    /// With their own class.
    linked: Vec<(String, Arc<Feed>)>,
    /// Number of the last push.
    pushes: u64,
}

/// The feeds of a store.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    table: Mutex<FeedTable>,
}

/// A commit that is pushed to the feeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushedCommit<'c> {
    pub(super) commit: CommitId,
    /// The last commit that is visible.
    pub(super) visible: CommitId,
    pub(super) changes: &'c Changes,
    /// The commit changed classes.
    pub(super) has_new_schema: bool,
}

impl Touched {
    fn merge(&mut self, later: Self) {
        self.keys.extend(later.keys);
        self.properties.extend(later.properties);
        self.is_replaced |= later.is_replaced;
        self.linked.extend(later.linked);
        self.is_collapsed |= later.is_collapsed;
        self.limit();
    }

    /// Forgets the keys if they are too many.
    fn limit(&mut self) {
        if self.is_collapsed || self.keys.len() > limits().pending_keys {
            self.is_collapsed = true;
            self.keys.clear();
        }
    }

    fn add_class(&mut self, changes: &ClassChanges) {
        let modified = changes.modified.iter().map(|(key, _)| key);
        let all = changes.inserted.iter().chain(&changes.deleted).chain(modified);
        // Those beyond the limit are not copied.
        let left = limits().pending_keys.saturating_sub(self.keys.len()) + 1;
        self.keys.extend(all.take(left).cloned());
    }

    /// Adds the objects of the own class, and the names of the others.
    fn add_all(&mut self, own: &str, changes: &Changes) {
        for (class, found) in &changes.classes {
            match class == own {
                true => self.add_class(found),
                false => drop(self.linked.insert(class.clone())),
            }
        }
    }

    fn add_object(&mut self, key: &ObjectKey, changed: Option<&[PropertyChange]>) {
        self.keys.insert(key.clone());
        match changed {
            Some(changed) => {
                let names = changed.iter().map(|change| change.property.clone());
                self.properties.extend(names);
            }
            None => self.is_replaced = true,
        }
    }
}

impl Feed {
    /// Adds to what a commit changed.
    fn add(&self, push: u64, commit: &PushedCommit<'_>, add: impl FnOnce(&mut Touched)) {
        let mut pending = self.pending.lock();
        if pending.back().is_none_or(|last| last.push != push) {
            while pending.get(1).is_some_and(|second| second.commit <= commit.visible) {
                let Some(PendingChanges { touched: mut merged, .. }) = pending.pop_front() else {
                    break;
                };
                let Some(PendingChanges { touched, .. }) = pending.front_mut() else { break };
                merged.merge(std::mem::take(touched));
                *touched = merged;
            }
            let (commit, touched) = (commit.commit, Touched::default());
            pending.push_back(PendingChanges { commit, push, touched });
        }
        if let Some(PendingChanges { touched, .. }) = pending.back_mut() {
            add(touched);
            touched.limit();
        }
    }

    /// Removes and returns everything that commits changed up to one.
    pub(super) fn take(&self, seen: CommitId) -> Option<Touched> {
        let mut pending = self.pending.lock();
        let mut all = pending.pop_front_if(|first| first.commit <= seen)?.touched;
        while let Some(next) = pending.pop_front_if(|first| first.commit <= seen) {
            all.merge(next.touched);
        }
        Some(all)
    }

    /// Tells whether commits up to one changed something.
    pub(super) fn has_news(&self, seen: CommitId) -> bool {
        self.pending.lock().front().is_some_and(|first| first.commit <= seen)
    }
}

impl FeedTable {
    fn all(&self) -> impl Iterator<Item = &Arc<Feed>> {
        let objects = self.objects.values().flat_map(BTreeMap::values).flatten();
        let linked = self.linked.iter().map(|(_, feed)| feed);
        self.classes.values().flatten().chain(objects).chain(linked)
    }
}

impl Feeds {
    /// Adds a feed, until it is removed.
    pub(super) fn add(&self, interest: &Interest) -> Arc<Feed> {
        let feed = Arc::new(Feed::default());
        let mut table = self.table.lock();
        let class = interest.class.clone();
        if let Some(key) = &interest.key {
            let objects = table.objects.entry(class).or_default();
            objects.entry(key.clone()).or_default().push(Arc::clone(&feed));
            return feed;
        }
        match interest.is_linked {
            true => table.linked.push((class, Arc::clone(&feed))),
            false => table.classes.entry(class).or_default().push(Arc::clone(&feed)),
        }
        feed
    }

    /// Removes a feed.
    pub(super) fn remove(&self, interest: &Interest, feed: &Arc<Feed>) {
        let mut table = self.table.lock();
        if let Some(key) = &interest.key {
            if let Some(objects) = table.objects.get_mut(&interest.class) {
                if let Some(feeds) = objects.get_mut(key) {
                    feeds.retain(|held| !Arc::ptr_eq(held, feed));
                }
                if objects.get(key).is_some_and(Vec::is_empty) {
                    objects.remove(key);
                }
            }
            table.objects.retain(|_, objects| !objects.is_empty());
            return;
        }
        if interest.is_linked {
            table.linked.retain(|(_, held)| !Arc::ptr_eq(held, feed));
            return;
        }
        if let Some(feeds) = table.classes.get_mut(&interest.class) {
            feeds.retain(|held| !Arc::ptr_eq(held, feed));
        }
        table.classes.retain(|_, feeds| !feeds.is_empty());
    }

    /// Tells whether there are feeds.
    pub(super) fn any(&self) -> bool {
        let table = self.table.lock();
        !(table.classes.is_empty() && table.objects.is_empty() && table.linked.is_empty())
    }

    /// Adds the changes of a commit to the feeds that they concern, and returns these. The caller
    /// holds the writer lock, and the commit is not visible yet.
    pub(super) fn push(&self, commit: &PushedCommit<'_>) -> Push {
        let mut table = self.table.lock();
        table.pushes += 1;
        let (table, number) = (&*table, table.pushes);
        let mut concerned = Vec::new();
        if commit.has_new_schema {
            for feed in table.all() {
                feed.add(number, commit, |touched| touched.is_collapsed = true);
                concerned.push(Arc::clone(feed));
            }
        }
        if !commit.changes.is_empty() {
            for (own, feed) in &table.linked {
                feed.add(number, commit, |touched| touched.add_all(own, commit.changes));
                concerned.push(Arc::clone(feed));
            }
        }
        for (class, changes) in &commit.changes.classes {
            for feed in table.classes.get(class).into_iter().flatten() {
                feed.add(number, commit, |touched| touched.add_class(changes));
                concerned.push(Arc::clone(feed));
            }
            let Some(objects) = table.objects.get(class) else { continue };
            let replaced = changes.inserted.iter().chain(&changes.deleted).map(|key| (key, None));
            let modified = changes.modified.iter().map(|(key, found)| (key, Some(&found[..])));
            for (key, changed) in replaced.chain(modified) {
                for feed in objects.get(key).into_iter().flatten() {
                    feed.add(number, commit, |touched| touched.add_object(key, changed));
                    concerned.push(Arc::clone(feed));
                }
            }
        }
        Push { feeds: concerned, number }
    }
}

impl Push {
    /// Removes the commit, which failed, from the feeds that it concerned. Another writer may have
    /// pushed a commit of the same number meanwhile.
    pub(super) fn retract(&self) {
        for feed in &self.feeds {
            feed.pending.lock().retain(|pending| pending.push != self.number);
        }
    }

    /// Wakes the subscribers. The caller holds no lock, and its commit is visible.
    pub(super) fn wake(&self) {
        for (at, feed) in self.feeds.iter().enumerate() {
            // A commit of objects and classes names a feed twice.
            if !self.feeds[..at].last().is_some_and(|before| Arc::ptr_eq(before, feed)) {
                feed.signal.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::limits::{Limits, set_limits};

    fn changes(keys: impl IntoIterator<Item = i64>) -> Changes {
        let modified = keys.into_iter().map(|key| (ObjectKey::Int(key), Vec::new())).collect();
        let found = ClassChanges { modified, ..ClassChanges::default() };
        Changes { classes: [("Dog".to_owned(), found)].into(), ..Changes::default() }
    }

    fn push(feeds: &Feeds, (commit, visible): (u64, u64), changes: &Changes) -> Push {
        let (commit, visible) = (CommitId(commit), CommitId(visible));
        feeds.push(&PushedCommit { commit, visible, changes, has_new_schema: false })
    }

    fn interest() -> Interest {
        Interest { class: "Dog".to_owned(), key: None, is_linked: false }
    }

    #[test]
    fn visible_commits_are_merged_and_a_failed_one_is_retracted() {
        let feeds = Feeds::default();
        let feed = feeds.add(&interest());
        push(&feeds, (1, 0), &changes([1]));
        push(&feeds, (2, 1), &changes([2]));
        push(&feeds, (3, 2), &changes([3]));
        assert_eq!(feed.pending.lock().len(), 2);
        let failed = push(&feeds, (4, 3), &changes([4]));
        // The next commit has the number of the one that failed.
        let next = push(&feeds, (4, 3), &changes([5]));
        failed.retract();
        assert_eq!(feed.pending.lock().len(), 2);
        next.retract();
        assert!(!feed.has_news(CommitId(0)) && feed.has_news(CommitId(3)));
        let keys = |touched: Touched| touched.keys.into_iter().collect::<Vec<_>>();
        let all = [1, 2, 3].map(ObjectKey::Int);
        assert_eq!(feed.take(CommitId(3)).map(keys), Some(all.to_vec()));
        assert!(feed.take(CommitId(9)).is_none());
        feeds.remove(&interest(), &feed);
        assert!(!feeds.any() && push(&feeds, (5, 4), &changes([5])).feeds.is_empty());
    }

    /// W8, whatever the commits are.
    #[test]
    fn a_feed_holds_a_bounded_number_of_keys() {
        set_limits(Limits::LOW);
        let most = Limits::LOW.pending_keys;
        for size in [1, 4, 100] {
            let feeds = Feeds::default();
            let feed = feeds.add(&interest());
            for commit in 1..50 {
                let from = i64::try_from(commit).unwrap() * size;
                push(&feeds, (commit, commit - 1), &changes(from..from + size));
                let held = feed.pending.lock();
                let keys: usize = held.iter().map(|held| held.touched.keys.len()).sum();
                assert!(held.len() <= 2 && keys <= 2 * most, "{} commits, {keys}", held.len());
            }
            let touched = feed.take(CommitId(50)).unwrap();
            assert!(touched.is_collapsed && touched.keys.is_empty());
        }
        set_limits(Limits::REAL);
    }
}
