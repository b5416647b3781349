//! The rows of a live query: the result that its subscriber knows, in its order.

use super::query::{Hit, Query};
use super::result_changes::ResultChanges;
use crate::conc::Arc;
use crate::error::Result;
use crate::sorted::sort_by;
use crate::table::{ObjectKey, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// The objects of a result.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// In the order of the result.
    hits: Vec<Arc<Hit>>,
    /// By key; empty if the query is always asked again.
    known: BTreeMap<ObjectKey, Arc<Hit>>,
}

/// A changed object of the result before or after.
struct Changed {
    /// The position among the rows before, if it has one.
    from: Option<usize>,
    hit: Arc<Hit>,
}

impl Rows {
    /// Asks a query; with what its objects are sorted by, if `is_followed`.
    pub(super) fn read(query: &Query<'_>, is_followed: bool) -> Result<Self> {
        if !is_followed {
            let found = query.find()?.into_iter();
            let hits = found.map(|id| Arc::new(Hit { key: id.key, by: Vec::new() })).collect();
            return Ok(Self { hits, known: BTreeMap::new() });
        }
        let hits: Vec<_> = query.hits()?.into_iter().map(Arc::new).collect();
        let known = hits.iter().map(|hit| (hit.key.clone(), Arc::clone(hit))).collect();
        Ok(Self { hits, known })
    }

    pub(super) fn keys(&self) -> Vec<&ObjectKey> {
        self.hits.iter().map(|hit| &hit.key).collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.hits.len()
    }

    /// Changes the rows as commits changed their objects.
    pub(super) fn change(
        &mut self,
        query: &Query<'_>,
        touched: &BTreeSet<ObjectKey>,
        changes: &mut ResultChanges<ObjectKey>,
    ) -> Result<()> {
        let (condition, paths) = (query.condition()?, query.sort_paths()?);
        let (mut leaving, mut coming, mut staying) = (Vec::new(), Vec::new(), Vec::new());
        // Nothing is changed before everything was read.
        for key in touched {
            let newer = query.hit(condition.as_ref(), &paths, key)?;
            let older = self.known.get(key);
            let from = older.and_then(|older| self.place(query, older).ok());
            match (from, newer) {
                (None, None) => {}
                (Some(from), None) => {
                    leaving.push(from);
                    changes.deleted.push((from, key.clone()));
                }
                (Some(from), Some(newer)) if alike(older, &newer) => staying.push((from, newer)),
                (from, Some(newer)) => {
                    leaving.extend(from);
                    coming.push(Changed { from, hit: Arc::new(newer) });
                }
            }
        }
        changes.deleted.iter().for_each(|(_, key)| drop(self.known.remove(key)));
        for Changed { hit, .. } in &coming {
            self.known.insert(hit.key.clone(), Arc::clone(hit));
        }
        sort_by(&mut leaving, Ord::cmp);
        sort_by(&mut changes.deleted, |one, two| one.0.cmp(&two.0));
        sort_by(&mut coming, |one, two| query.place(&one.hit, &two.hit));
        let places = self.replace(query, (&leaving, &coming));
        report(changes, (&leaving, &coming), &places);
        for (_, hit) in staying {
            let at = self.place(query, &hit).unwrap_or_else(|at| at);
            changes.modified.push((at, hit.key));
        }
        sort_by(&mut changes.modified, |one, two| one.0.cmp(&two.0));
        Ok(())
    }

    /// Returns the position of an object, or where it belongs.
    fn place(&self, query: &Query<'_>, hit: &Hit) -> std::result::Result<usize, usize> {
        self.hits.binary_search_by(|held| query.place(held, hit))
    }

    /// Removes rows and inserts others, which are in order; returns where these are then.
    fn replace(
        &mut self,
        query: &Query<'_>,
        (leaving, coming): (&[usize], &[Changed]),
    ) -> Vec<usize> {
        // Rows before the first change stay where they are.
        let to = coming.first().map(|first| self.place(query, &first.hit).unwrap_or_else(|at| at));
        let Some(start) = to.into_iter().chain(leaving.first().copied()).min() else {
            return Vec::new();
        };
        let tail = self.hits.split_off(start);
        let mut leaving = leaving.iter().map(|at| at - start).peekable();
        let mut coming = coming.iter().peekable();
        let mut places = Vec::new();
        for (at, held) in tail.into_iter().enumerate() {
            if leaving.next_if_eq(&at).is_some() {
                continue;
            }
            while let Some(next) = coming.next_if(|next| query.place(&next.hit, &held).is_lt()) {
                places.push(self.hits.len());
                self.hits.push(Arc::clone(&next.hit));
            }
            self.hits.push(held);
        }
        for next in coming {
            places.push(self.hits.len());
            self.hits.push(Arc::clone(&next.hit));
        }
        places
    }
}

/// Tells whether an object is sorted as before.
fn alike(older: Option<&Arc<Hit>>, newer: &Hit) -> bool {
    let same = |(one, two): (&Value<'_>, &Value<'_>)| one.bitwise_eq(two);
    older.is_some_and(|older| older.by.iter().zip(&newer.by).all(same))
}

/// Reports the objects that came to a place: new ones, and those that are sorted otherwise.
fn report(
    changes: &mut ResultChanges<ObjectKey>,
    (leaving, coming): (&[usize], &[Changed]),
    places: &[usize],
) {
    // Objects between two rows that stay need not move while they are in order.
    let mut last = None;
    for (index, (Changed { from, hit }, to)) in coming.iter().zip(places).enumerate() {
        let Some(from) = *from else {
            changes.inserted.push((*to, hit.key.clone()));
            continue;
        };
        changes.modified.push((*to, hit.key.clone()));
        let before = from - leaving.partition_point(|at| *at < from);
        let after = to - index;
        if before == after && last.is_none_or(|last: usize| last.cmp(&from) == Ordering::Less) {
            last = Some(from);
        } else {
            changes.moved.push((from, *to, hit.key.clone()));
        }
    }
}
