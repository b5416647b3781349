//! Live results: the result that applying a report of positions gives.
//!
//! Specification: docs/objects.md#live-results.

use crate::objects::Key;

/// A report of how a result has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Positions before.
    pub deleted: Vec<usize>,
    /// Positions before and after.
    pub moved: Vec<(usize, usize)>,
    /// Positions after, with the new objects.
    pub inserted: Vec<(usize, Key)>,
}

impl Report {
    /// Applies the report to a result: removes the deleted and the moved objects, and then inserts
    /// the moved and the inserted ones in the order of their positions. None if a position is
    /// none, or is named twice.
    #[must_use]
    pub fn apply(&self, before: &[Key]) -> Option<Vec<Key>> {
        let mut left: Vec<Option<Key>> = before.iter().cloned().map(Some).collect();
        for at in &self.deleted {
            left.get_mut(*at)?.take()?;
        }
        let mut placed = self.inserted.clone();
        for (from, to) in &self.moved {
            placed.push((*to, left.get_mut(*from)?.take()?));
        }
        placed.sort();
        let mut after: Vec<Key> = left.into_iter().flatten().collect();
        for (at, key) in placed {
            if at > after.len() {
                return None;
            }
            after.insert(at, key);
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_removed_before_others_are_inserted() {
        let key = |number: i64| Key::Int(number);
        let report = Report { deleted: vec![1], moved: vec![(3, 0)], inserted: vec![(2, key(9))] };
        let before = [1, 2, 3, 4].map(key);
        assert_eq!(report.apply(&before), Some([4, 1, 9, 3].map(key).to_vec()));
        assert_eq!(report.apply(&before[..3]), None);
        let twice = Report { deleted: vec![1], moved: vec![(1, 0)], ..Report::default() };
        assert_eq!(twice.apply(&before), None);
        let far = Report { inserted: vec![(5, key(9))], ..Report::default() };
        assert_eq!(far.apply(&before), None);
    }
}
