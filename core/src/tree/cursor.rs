//! Walking the entries of a tree in key order, from both ends.

use super::{Bytes, Pager, View};
use crate::error::Result;
use crate::fault::{self, Fault};
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

/// Entries of a tree in key order; `rev()` walks from the other end.
///
/// After an error it is at its end.
#[derive(Debug)]
pub struct Range<'a> {
    pager: &'a Pager,
    root: Option<View<'a>>,
    bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ends: Option<Ends<'a>>,
}

/// The next entry from either end. Both stand on entries of the range.
#[derive(Debug)]
struct Ends<'a> {
    front: Path<'a>,
    back: Path<'a>,
}

/// A way from the root to an entry.
#[derive(Clone, Debug)]
struct Path<'a>(Vec<(View<'a>, usize)>);

impl<'a> Range<'a> {
    pub(crate) fn new<'k>(
        pager: &'a Pager,
        root: Option<View<'a>>,
        bounds: &impl RangeBounds<&'k [u8]>,
    ) -> Self {
        let own = |bound: Bound<&&[u8]>| bound.map(|key| key.to_vec());
        let bounds = (own(bounds.start_bound()), own(bounds.end_bound()));
        let mut bounds = bounds;
        let root = if inverted(&bounds) && !fault::on(Fault::Bt01) { None } else { root };
        if inverted(&bounds) {
            bounds.1 = Bound::Unbounded;
        }
        Self { pager, root, bounds, ends: None }
    }

    /// Finds both ends when first asked for an entry; `None` if there is none.
    fn ends(&mut self) -> Result<Option<&mut Ends<'a>>> {
        if let Some(root) = self.root.take() {
            let front = Path::front(root.clone(), &self.bounds.0, self.pager)?;
            let back = Path::back(root, &self.bounds.1, self.pager)?;
            if let (Some(front), Some(back)) = (front, back)
                && front.order(&back) != Ordering::Greater
            {
                self.ends = Some(Ends { front, back });
            }
        }
        Ok(self.ends.as_mut())
    }

    fn step(&mut self, forward: bool) -> Result<Option<(Bytes, Bytes)>> {
        let pager = self.pager;
        let Some(ends) = self.ends()? else { return Ok(None) };
        let path = if forward { &mut ends.front } else { &mut ends.back };
        let entry = path.entry(pager)?;
        let more = ends.front.order(&ends.back) == Ordering::Less && {
            let path = if forward { &mut ends.front } else { &mut ends.back };
            path.advance(forward, pager)?
        };
        if !more {
            self.ends = None;
        }
        Ok(Some(entry))
    }

    fn item(&mut self, forward: bool) -> Option<Result<(Bytes, Bytes)>> {
        let outcome = self.step(forward);
        if outcome.is_err() {
            self.root = None;
            self.ends = None;
        }
        outcome.transpose()
    }
}

fn inverted(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> bool {
    match bounds {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

impl<'a> Path<'a> {
    /// Goes to the first entry within a lower bound.
    fn front(root: View<'a>, bound: &Bound<Vec<u8>>, pager: &Pager) -> Result<Option<Self>> {
        let mut path = Self(Vec::with_capacity(usize::from(root.level()) + 1));
        let key = match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.as_slice(),
            Bound::Unbounded => &[],
        };
        path.descend(root, |node| node.child_of(key), pager)?;
        let Some((leaf, index)) = path.0.last_mut() else { return Ok(None) };
        *index = match leaf.find(key) {
            Ok(index) if matches!(bound, Bound::Excluded(_)) => index + 1,
            Ok(index) | Err(index) => index,
        };
        let there = *index < leaf.count() || {
            *index -= 1;
            path.advance(true, pager)?
        };
        Ok(there.then_some(path))
    }

    /// Goes to the last entry within an upper bound.
    fn back(root: View<'a>, bound: &Bound<Vec<u8>>, pager: &Pager) -> Result<Option<Self>> {
        let mut path = Self(Vec::with_capacity(usize::from(root.level()) + 1));
        let (Bound::Included(key) | Bound::Excluded(key)) = bound else {
            path.descend(root, |node| node.count() - 1, pager)?;
            return Ok(Some(path));
        };
        path.descend(root, |node| node.child_of(key), pager)?;
        let Some((leaf, index)) = path.0.last_mut() else { return Ok(None) };
        let beyond = match leaf.find(key) {
            Ok(index) if matches!(bound, Bound::Included(_)) => index + 1,
            Ok(index) | Err(index) => index,
        };
        let there = if beyond > 0 {
            *index = beyond - 1;
            true
        } else {
            *index = 0;
            path.advance(false, pager)?
        };
        Ok(there.then_some(path))
    }

    /// Goes down to a leaf; at each node `choose` tells the index.
    fn descend(
        &mut self,
        from: View<'a>,
        choose: impl Fn(&View<'a>) -> usize,
        pager: &Pager,
    ) -> Result<()> {
        let mut node = from;
        while node.level() > 0 {
            let index = choose(&node);
            let child = node.child(index, pager)?;
            self.0.push((node, index));
            node = child;
        }
        let index = choose(&node);
        self.0.push((node, index));
        Ok(())
    }

    /// Goes to the neighbouring entry and tells whether there is one.
    fn advance(&mut self, forward: bool, pager: &Pager) -> Result<bool> {
        let next = |index: usize, count: usize| {
            if forward { Some(index + 1).filter(|&i| i < count) } else { index.checked_sub(1) }
        };
        let Some(depth) = self.0.iter().rposition(|(node, i)| next(*i, node.count()).is_some())
        else {
            return Ok(false);
        };
        self.0.truncate(depth + 1);
        let Some((node, index)) = self.0.last_mut() else { return Ok(false) };
        *index = next(*index, node.count()).unwrap_or(*index);
        if node.level() > 0 {
            let child = node.child(*index, pager)?;
            self.descend(child, |node| if forward { 0 } else { node.count() - 1 }, pager)?;
        }
        Ok(true)
    }

    fn entry(&self, pager: &Pager) -> Result<(Bytes, Bytes)> {
        let (leaf, index) = self.0.last().expect("T2: a path ends in a leaf");
        Ok((leaf.key(*index), leaf.value(*index, pager)?))
    }

    fn order(&self, other: &Self) -> Ordering {
        // Every leaf is at the same depth (T2), so the paths are equally long.
        self.0.iter().map(|(_, index)| index).cmp(other.0.iter().map(|(_, index)| index))
    }
}

impl Iterator for Range<'_> {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.item(true)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.item(false)
    }
}

impl std::iter::FusedIterator for Range<'_> {}
