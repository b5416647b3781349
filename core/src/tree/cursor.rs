//! Range scans: the entries of a tree in key order, from both ends.
//!
//! - T6 A scan ends with an error at the first leaf whose keys do not follow those before, so it
//!   visits no leaf twice; and if its values are longer than the file, which then share pages.

use super::bytes::Bytes;
use super::keys::KeySpan;
use super::leaf::Payload;
use super::node::Node;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::unit::PageId;
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

/// A range of the entries of a tree in key order; `rev()` scans from the other end.
///
/// An error ends the scan.
#[derive(Debug)]
pub struct Range<'a> {
    pager: &'a Pager,
    root: Option<Arc<Node>>,
    bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ends: Option<Ends>,
    /// Entries of the front's leaf that `next_ref` returns next; the front follows when the scan
    /// leaves them. Its end is 0 unless such entries are left.
    run: std::ops::Range<usize>,
    /// The out-of-line value that `next_ref` returned last.
    value: Vec<u8>,
    stored: StoredBytes,
}

/// Bytes of the out-of-line values that a scan has read.
#[derive(Debug)]
struct StoredBytes {
    read: u64,
    /// The length of the file is asked for when more were read.
    checked: u64,
}

/// A scan that reads less out of line need not know how long the file is.
const UNCHECKED_BYTES: u64 = 1 << 20;

impl StoredBytes {
    const NONE: Self = Self { read: 0, checked: UNCHECKED_BYTES };

    /// Adds the value of an entry. An error if values share pages: together they would be longer
    /// than the file.
    fn add(&mut self, leaf: &Node, index: usize, pager: &Pager) -> Result<()> {
        let Payload::Stored { bytes, first } = leaf.payload(index) else { return Ok(()) };
        self.read += u64::from(bytes);
        if self.read > self.checked {
            self.checked = pager.file().len().map_err(|error| pager.io(&error))?;
            if self.read > self.checked {
                return Err(pager.damaged(first.page, Damage::Content));
            }
        }
        Ok(())
    }
}

/// The next entry from either end.
#[derive(Debug)]
struct Ends {
    front: TreePath,
    back: TreePath,
    /// Both ends are in one leaf.
    in_one_leaf: bool,
}

/// A path from the root to an entry.
#[derive(Clone, Debug)]
struct TreePath {
    above: Vec<(Arc<Node>, usize)>,
    leaf: Arc<Node>,
    index: usize,
    /// Nodes to read ahead: more of them, the further the scan goes.
    ahead: usize,
}

impl<'a> Range<'a> {
    pub(crate) fn new<'k>(
        pager: &'a Pager,
        root: Option<Arc<Node>>,
        bounds: &impl RangeBounds<&'k [u8]>,
    ) -> Self {
        let own = |bound: Bound<&&[u8]>| bound.map(|key| key.to_vec());
        let mut bounds = (own(bounds.start_bound()), own(bounds.end_bound()));
        let root = if inverted(&bounds) && !fault::on(Fault::Bt01) { None } else { root };
        if inverted(&bounds) {
            bounds.1 = Bound::Unbounded;
        }
        Self {
            pager,
            root,
            bounds,
            ends: None,
            run: 0..0,
            value: Vec::new(),
            stored: StoredBytes::NONE,
        }
    }

    /// Returns the ends of the rest of the range, and finds them first; `None` if the range is
    /// empty.
    fn ends(&mut self) -> Result<Option<&mut Ends>> {
        if let Some(root) = self.root.take() {
            let front = TreePath::front(&root, &self.bounds.0, self.pager)?;
            let back = TreePath::back(&root, &self.bounds.1, self.pager)?;
            if let (Some(front), Some(back)) = (front, back)
                && front.order(&back) != Ordering::Greater
            {
                let in_one_leaf = front.is_in_leaf_of(&back);
                self.ends = Some(Ends { front, back, in_one_leaf });
            }
        }
        self.leave_run()?;
        Ok(self.ends.as_mut())
    }

    /// Moves the front to the first entry that `next_ref` did not return.
    fn leave_run(&mut self) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        let (Some(ends), Some(last)) = (&mut self.ends, run.end.checked_sub(1)) else {
            return Ok(());
        };
        ends.front.index = run.start.min(last);
        if run.is_empty() { self.step_past(true, self.pager) } else { Ok(()) }
    }

    /// Moves an end past its entry and returns the leaf and the index of the entry.
    fn step(&mut self, forward: bool) -> Result<Option<(Arc<Node>, usize)>> {
        let pager = self.pager;
        let Some(ends) = self.ends()? else { return Ok(None) };
        let path = if forward { &mut ends.front } else { &mut ends.back };
        let entry = (Arc::clone(&path.leaf), path.index);
        self.step_past(forward, pager)?;
        Ok(Some(entry))
    }

    /// Moves an end past its entry.
    fn step_past(&mut self, forward: bool, pager: &Pager) -> Result<()> {
        let Some(ends) = &mut self.ends else { return Ok(()) };
        if ends.in_one_leaf && ends.front.index >= ends.back.index {
            self.ends = None;
            return Ok(());
        }
        let path = if forward { &mut ends.front } else { &mut ends.back };
        if path.advance_within(forward) {
            return Ok(());
        }
        if path.advance(forward, pager)? {
            ends.in_one_leaf = ends.front.is_in_leaf_of(&ends.back);
        } else {
            self.ends = None;
        }
        Ok(())
    }

    fn item(&mut self, forward: bool) -> Option<Result<(Bytes, Bytes)>> {
        let pager = self.pager;
        let entry = self.step(forward).and_then(|entry| {
            let Some((leaf, index)) = entry else { return Ok(None) };
            self.stored.add(&leaf, index, pager)?;
            Ok(Some((leaf.key_bytes(index), leaf.value(index, pager)?)))
        });
        self.end_on_error(entry).transpose()
    }

    /// Ends the scan after an error.
    fn end_on_error<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.root = None;
            self.ends = None;
        }
        outcome
    }

    /// Returns the next entry as references into its page, valid until the next call: the fastest
    /// way to scan many entries.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn next_ref(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if self.run.is_empty() {
            let outcome = self.begin_run();
            self.end_on_error(outcome)?;
        }
        let (Some(index), Some(ends)) = (self.run.next(), &self.ends) else { return Ok(None) };
        let (KeySpan { start, end }, inline) = ends.front.leaf.entry(index);
        if inline.is_none() {
            let leaf = &ends.front.leaf;
            let value = self.stored.add(leaf, index, self.pager);
            let value = value.and_then(|()| leaf.value(index, self.pager));
            let value = self.end_on_error(value)?;
            self.value.clear();
            self.value.extend_from_slice(&value);
        }
        let Some(Ends { front: TreePath { leaf, .. }, .. }) = &self.ends else { return Ok(None) };
        let value = inline.map_or(&*self.value, |len| leaf.slice(end, len));
        Ok(Some((leaf.slice(start, end - start), value)))
    }

    /// Begins with the entries of the front's leaf.
    fn begin_run(&mut self) -> Result<()> {
        if let Some(ends) = self.ends()? {
            let end = if ends.in_one_leaf { ends.back.index + 1 } else { ends.front.leaf.count() };
            self.run = ends.front.index..end;
        }
        Ok(())
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

impl TreePath {
    /// Finds the first entry within a lower bound.
    fn front(root: &Arc<Node>, bound: &Bound<Vec<u8>>, pager: &Pager) -> Result<Option<Self>> {
        let key = match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.as_slice(),
            Bound::Unbounded => &[],
        };
        let mut path = Self::descending(root, |node| node.child_of(key), pager)?;
        path.index = match path.leaf.find(key) {
            Ok(index) if matches!(bound, Bound::Excluded(_)) => index + 1,
            Ok(index) | Err(index) => index,
        };
        let found = path.index < path.leaf.count() || path.advance(true, pager)?;
        Ok(found.then_some(path))
    }

    /// Finds the last entry within an upper bound.
    fn back(root: &Arc<Node>, bound: &Bound<Vec<u8>>, pager: &Pager) -> Result<Option<Self>> {
        let (Bound::Included(key) | Bound::Excluded(key)) = bound else {
            let mut path = Self::descending(root, |node| node.count() - 1, pager)?;
            path.index = path.leaf.count() - 1;
            return Ok(Some(path));
        };
        let mut path = Self::descending(root, |node| node.child_of(key), pager)?;
        let beyond = match path.leaf.find(key) {
            Ok(index) if matches!(bound, Bound::Included(_)) => index + 1,
            Ok(index) | Err(index) => index,
        };
        path.index = beyond.saturating_sub(1);
        let found = beyond > 0 || path.advance(false, pager)?;
        Ok(found.then_some(path))
    }

    /// Descends to a leaf; at each branch `choose` returns the child.
    fn descending(
        root: &Arc<Node>,
        choose: impl Fn(&Node) -> usize,
        pager: &Pager,
    ) -> Result<Self> {
        let above = Vec::with_capacity(usize::from(root.level()));
        let mut path = Self { above, leaf: Arc::clone(root), index: 0, ahead: 2 };
        path.descend(choose, pager)?;
        Ok(path)
    }

    /// Descends from the last node.
    fn descend(&mut self, choose: impl Fn(&Node) -> usize, pager: &Pager) -> Result<()> {
        while self.leaf.level() > 0 {
            let index = choose(&self.leaf);
            let child = self.leaf.child(index, pager)?;
            let branch = std::mem::replace(&mut self.leaf, child);
            self.above.push((branch, index));
        }
        Ok(())
    }

    /// Moves to the neighbouring entry of the leaf, and tells whether there is one.
    fn advance_within(&mut self, forward: bool) -> bool {
        let next = next(self.index, self.leaf.count(), forward);
        self.index = next.unwrap_or(self.index);
        next.is_some()
    }

    /// Moves to the nearest entry of the neighbouring leaf, and tells whether there is one.
    fn advance(&mut self, forward: bool, pager: &Pager) -> Result<bool> {
        while let Some((branch, index)) = self.above.last_mut() {
            let Some(next) = next(*index, branch.count(), forward) else {
                self.above.pop();
                continue;
            };
            *index = next;
            if forward {
                self.ahead = pager.cache().pages_ahead().min(2 * self.ahead);
                branch.read_ahead(next, self.ahead, pager)?;
                branch.prefetch_leaf(next + 1);
            }
            let child = branch.child(next, pager)?;
            let before = std::mem::replace(&mut self.leaf, child);
            self.descend(|node| if forward { 0 } else { node.count() - 1 }, pager)?;
            self.index = if forward { 0 } else { self.leaf.count() - 1 };
            let (left, right) = if forward { (&before, &self.leaf) } else { (&self.leaf, &before) };
            if left.key(left.count() - 1) >= right.key(0) {
                return Err(pager.damaged(self.page(), Damage::Content));
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Returns the page of the leaf, or of the nearest node above it that is written.
    fn page(&self) -> PageId {
        let pointers = self.above.iter().rev();
        let mut pointers = pointers.filter_map(|(branch, index)| branch.children[*index].pointer);
        pointers.next().map_or(PageId(0), |pointer| pointer.page)
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        self.above.iter().map(|(_, index)| *index)
    }

    /// Tells whether two paths are in one leaf. Every leaf is at the same depth (T2).
    fn is_in_leaf_of(&self, other: &Self) -> bool {
        self.indices().eq(other.indices())
    }

    fn order(&self, other: &Self) -> Ordering {
        let indices = self.indices().chain([self.index]);
        indices.cmp(other.indices().chain([other.index]))
    }
}

fn next(index: usize, count: usize, forward: bool) -> Option<usize> {
    if forward { Some(index + 1).filter(|&i| i < count) } else { index.checked_sub(1) }
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
