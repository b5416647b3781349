//! Order that costs the compiler little: a map of few entries, and a sort of anything.
//!
//! The map is a vector in the order of the keys.
//! A B-tree of the standard library is as fast and holds more, but it is five thousand lines of
//! code for the compiler, again for each type of entries; this is a few hundred. It suits
//! collections with one entry for each tree, class or open file, not a million entries: inserting
//! or removing an entry moves all behind it. Creating fifty thousand trees in one transaction
//! spends 1.4 s in it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// A map in the order of its keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sorted<K, V>(Vec<(K, V)>);

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Sorted<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Sorted<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Returns the entry with the greatest key.
    pub(crate) fn last(&self) -> Option<&(K, V)> {
        self.0.last()
    }

    /// Leaves the entries of which `body` says so.
    pub(crate) fn retain(&mut self, mut body: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| body(key, value));
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Returns where a key is, or else where it belongs.
    fn place<Q: Ord + ?Sized>(&self, wanted: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // The standard library's search waits for each comparison; this one guesses, and guesses
        // right where the same few keys are wanted again.
        let (mut from, mut to) = (0, self.0.len());
        while from < to {
            let at = from.midpoint(to);
            match self.0[at].0.borrow().cmp(wanted) {
                Ordering::Less => from = at + 1,
                Ordering::Equal => return Ok(at),
                Ordering::Greater => to = at,
            }
        }
        Err(from)
    }

    /// The same, and quick for what comes in order.
    fn place_of_new(&self, key: &K) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if last >= key => self.place(key),
            Some(_) | None => Err(self.0.len()),
        }
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns key and value.
    pub(crate) fn entry<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&(K, V)>
    where
        K: Borrow<Q>,
    {
        self.0.get(self.place(key).ok()?)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        Some(&mut self.0[at].1)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Returns the value of a key, after putting one there if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = self.place_of_new(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, value()));
            at
        });
        &mut self.0[at].1
    }

    /// Sets the value of a key and returns the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place_of_new(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes a key and returns the value it had.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut all = Self::new();
        entries.into_iter().for_each(|(key, value)| drop(all.insert(key, value)));
        all
    }
}

/// Sorts; what is equal stays in order. The same code sorts everything, by its places: the sort
/// of the standard library is a thousand lines, again for each type and each comparison.
pub(crate) fn sort_by<T>(all: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let order = places_by(all.len(), &|one, two| compare(&all[one], &all[two]));
    let mut from: Vec<Option<T>> = std::mem::take(all).into_iter().map(Some).collect();
    all.extend(order.into_iter().filter_map(|at| from[at].take()));
}

/// Returns the places of `count` things in their order.
pub(crate) fn places_by(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|one, two| compare(*one, *two));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_inserted_in_any_order_iterate_in_order() {
        let mut all: Sorted<String, u32> = Sorted::new();
        for (number, name) in (0..).zip(["c", "a", "d", "b"]) {
            assert_eq!(all.insert(name.to_owned(), number), None);
        }
        assert_eq!(all.insert("d".to_owned(), 9), Some(2));
        assert_eq!(*all.get_or_insert_with("b".to_owned(), || unreachable!()), 3);
        assert_eq!(*all.get_or_insert_with("aa".to_owned(), || 7), 7);
        assert!(all.keys().eq(["a", "aa", "b", "c", "d"]));
        assert!(all.values().eq(&[1, 7, 3, 0, 9]));
        assert_eq!((all.get("c"), all.get("e"), all.len()), (Some(&0), None, 5));
        assert_eq!((all.remove("aa"), all.remove("aa")), (Some(7), None));
        all.retain(|_, number| *number != 1);
        let again: Sorted<_, _> = all.clone().into_iter().rev().collect();
        assert_eq!(again, all);
        assert_eq!(all.last(), Some(&("d".to_owned(), 9)));
    }

    #[test]
    fn sorting_is_stable() {
        let mut all: Vec<(u32, u32)> = (0..100).map(|number| (number * 7 % 10, number)).collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sort_by(&mut all, |one, two| one.0.cmp(&two.0));
        assert_eq!(all, sorted);
        sort_by(&mut Vec::<u32>::new(), Ord::cmp);
    }
}
