//! Changes of an ordered result, as positions.
//!
//! - W6 Applying the changes to the result before gives the result after.
//!
//! Specification: docs/objects.md#live-results. Model: `models::live_results`. Check:
//! `sim::check::queries`.

use super::changes::longest_increasing;
use crate::sorted::sort_by;
use crate::table::{ObjectId, ObjectKey};
use crate::unit::CommitId;
use std::collections::BTreeSet;

/// How the result of a query differs from the one that was reported before.
///
/// Removing the deleted and the moved objects, and then inserting the moved and the inserted ones,
/// both in the order of their positions, turns the result before into the result after.
/// [`ResultChanges::apply`] does this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultChanges<I = ObjectId> {
    /// The commit of the result after.
    pub commit: CommitId,
    /// So many objects changed, or classes did, that it is not known which objects were modified:
    /// every object that stayed counts as modified.
    pub is_collapsed: bool,
    /// Objects that are no longer in the result, with their positions before.
    pub deleted: Vec<(usize, I)>,
    /// Objects that are new in the result, with their positions after.
    pub inserted: Vec<(usize, I)>,
    /// Objects that stayed and that a commit changed, with their positions after.
    pub modified: Vec<(usize, I)>,
    /// Objects that moved past others, with their positions before and after.
    pub moved: Vec<(usize, usize, I)>,
}

impl<I> ResultChanges<I> {
    pub(super) const fn new(commit: CommitId, is_collapsed: bool) -> Self {
        Self {
            commit,
            is_collapsed,
            deleted: Vec::new(),
            inserted: Vec::new(),
            modified: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Tells whether the result is the same, and so are its objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let is_modified = !self.inserted.is_empty() || !self.modified.is_empty();
        self.deleted.is_empty() && self.moved.is_empty() && !is_modified
    }

    /// Names objects in another way.
    #[must_use]
    pub fn map<J>(self, name: impl Fn(I) -> J) -> ResultChanges<J> {
        let one = |(at, id)| (at, name(id));
        ResultChanges {
            commit: self.commit,
            is_collapsed: self.is_collapsed,
            deleted: self.deleted.into_iter().map(one).collect(),
            inserted: self.inserted.into_iter().map(one).collect(),
            modified: self.modified.into_iter().map(one).collect(),
            moved: self.moved.into_iter().map(|(from, to, id)| (from, to, name(id))).collect(),
        }
    }

    /// Applies the changes to rows that show the result before, such as those of a list on screen.
    /// `load` makes the row of an object that is new or was modified; the others stay.
    ///
    /// # Errors
    /// The first error of `load`; the rows are then as they were.
    ///
    /// # Panics
    /// If there are fewer rows than the result before had objects.
    pub fn apply<R, E>(
        &self,
        rows: &mut Vec<R>,
        mut load: impl FnMut(&I) -> Result<R, E>,
    ) -> Result<(), E> {
        let mut load_all = |objects: &[(usize, I)]| -> Result<Vec<(usize, R)>, E> {
            objects.iter().map(|(at, id)| Ok((*at, load(id)?))).collect()
        };
        let (mut placed, modified) = (load_all(&self.inserted)?, load_all(&self.modified)?);
        let mut older: Vec<Option<R>> = std::mem::take(rows).into_iter().map(Some).collect();
        self.deleted.iter().for_each(|(at, _)| older[*at] = None);
        for (from, to, _) in &self.moved {
            placed.extend(older[*from].take().map(|row| (*to, row)));
        }
        placed.sort_by_key(|(at, _)| *at);
        let (mut placed, mut kept) = (placed.into_iter().peekable(), older.into_iter().flatten());
        for at in 0.. {
            let placed = placed.next_if(|(to, _)| *to == at).map(|(_, row)| row);
            let Some(row) = placed.or_else(|| kept.next()) else { break };
            rows.push(row);
        }
        modified.into_iter().for_each(|(at, row)| rows[at] = row);
        Ok(())
    }
}

/// Compares two results; the keys of each are distinct.
pub(super) fn compare(
    changes: &mut ResultChanges<ObjectKey>,
    (before, after): (&[&ObjectKey], &[&ObjectKey]),
    touched: &BTreeSet<ObjectKey>,
) {
    // Mostly they begin and end alike.
    let pairs = before.iter().zip(after);
    let start = pairs.take_while(|(one, two)| one == two).count();
    let ends = before[start..].iter().rev().zip(after[start..].iter().rev());
    let end = ends.take_while(|(one, two)| one == two).count();
    let (older, newer) = (&before[start..before.len() - end], &after[start..after.len() - end]);
    let mut places: Vec<(&ObjectKey, usize)> =
        older.iter().enumerate().map(|(at, key)| (*key, at)).collect();
    sort_by(&mut places, Ord::cmp);
    let place = |key: &ObjectKey| {
        Some(places[places.binary_search_by_key(&key, |(held, _)| *held).ok()?].1)
    };
    let (mut kept, mut common) = (vec![false; older.len()], Vec::new());
    for (at, key) in newer.iter().enumerate() {
        match place(key) {
            None => changes.inserted.push((start + at, (*key).clone())),
            Some(was) => {
                kept[was] = true;
                common.push((was, at));
            }
        }
    }
    let deleted = older.iter().enumerate().filter(|(at, _)| !kept[*at]);
    changes.deleted = deleted.map(|(at, key)| (start + at, (*key).clone())).collect();
    let stays = longest_increasing(&common.iter().map(|(was, _)| *was).collect::<Vec<_>>());
    let moved = common.iter().filter(|(was, _)| stays.binary_search(was).is_err());
    changes.moved = moved.map(|(was, at)| (start + was, start + at, newer[*at].clone())).collect();
    modified(changes, after, touched);
}

/// Adds the objects that stayed and that commits changed.
fn modified(
    changes: &mut ResultChanges<ObjectKey>,
    after: &[&ObjectKey],
    touched: &BTreeSet<ObjectKey>,
) {
    let mut inserted = changes.inserted.iter().map(|(at, _)| *at).peekable();
    for (at, key) in after.iter().enumerate() {
        let is_inserted = inserted.next_if_eq(&at).is_some();
        if !is_inserted && (changes.is_collapsed || touched.contains(key)) {
            changes.modified.push((at, (*key).clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: &[i64]) -> Vec<ObjectKey> {
        numbers.iter().copied().map(ObjectKey::Int).collect()
    }

    #[track_caller]
    fn check(before: &[i64], after: &[i64], expect: &str) {
        let (older, newer) = (keys(before), keys(after));
        let mut changes = ResultChanges::new(CommitId(1), false);
        let both = (&older.iter().collect::<Vec<_>>()[..], &newer.iter().collect::<Vec<_>>()[..]);
        compare(&mut changes, both, &BTreeSet::from([ObjectKey::Int(7)]));
        let numbers = |found: &[(usize, ObjectKey)]| -> Vec<usize> {
            found.iter().map(|(at, _)| *at).collect()
        };
        let moved: Vec<_> = changes.moved.iter().map(|(from, to, _)| (*from, *to)).collect();
        let (deleted, inserted) = (numbers(&changes.deleted), numbers(&changes.inserted));
        let found =
            format!("-{deleted:?} +{inserted:?} {moved:?} *{:?}", numbers(&changes.modified));
        assert_eq!(found, expect);
        let mut rows = older.clone();
        let loaded = changes.apply(&mut rows, |key| Ok::<_, ()>(key.clone()));
        assert_eq!((loaded, rows), (Ok(()), newer.clone()));
        let mut rows = older.clone();
        let refused = changes.apply(&mut rows, |_| Err(()));
        let has_loaded = !(changes.inserted.is_empty() && changes.modified.is_empty());
        let expect = if has_loaded { (Err(()), older) } else { (Ok(()), newer) };
        assert_eq!((refused, rows), expect);
    }

    #[test]
    fn two_results_are_compared() {
        check(&[], &[], "-[] +[] [] *[]");
        check(&[], &[7, 1], "-[] +[0, 1] [] *[]");
        check(&[1, 2, 3], &[1, 3], "-[1] +[] [] *[]");
        check(&[1, 2, 3], &[1, 4, 2, 3], "-[] +[1] [] *[]");
        check(&[1, 2, 3, 4], &[4, 1, 2, 3], "-[] +[] [(3, 0)] *[]");
        check(&[1, 7, 3], &[1, 7, 3], "-[] +[] [] *[1]");
        check(&[1, 2, 7, 3, 4], &[5, 7, 4, 2], "-[0, 3] +[0] [(1, 3)] *[1]");
    }
}
