//! A node in memory: its cells, and the links to the children that were read so far.
//!
//! A node that others may see never changes. Whoever changes a tree copies the nodes on the way,
//! once, and goes on in its copies.

use super::cache::Cost;
use super::hand::{Trim, Use};
use super::keys::{Cells, Keys, Spot};
use super::leaf::Payload;
use super::link::Link;
use super::links::Links;
use super::{Bytes, Cache, Late, Pager};
use crate::conc::Arc;
use crate::error::Result;
use crate::page::{NodePage, branch_cell_bytes, encode_branch};
use crate::unit::PageBytes;

/// Most pages between two that are wanted that are read with them rather than left out.
const GAP_PAGES: u64 = 8;

/// A leaf or a branch.
// In the order in which a search needs them.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Node {
    level: u8,
    last_use: Use,
    /// Bytes that directory and cells take in a page.
    pub(super) used: usize,
    /// Bytes of the heap that nothing leads to any more.
    pub(super) dead: usize,
    pub(super) keys: Keys,
    /// The children of a branch.
    pub(super) links: Links,
    /// The values of a leaf that are too long for it and not yet written.
    pub(super) long: Vec<Arc<[u8]>>,
    /// What the log holds for the nodes below, which are read without it.
    pub(super) late: Option<Box<Late>>,
    cost: Cost,
}

impl Clone for Node {
    #[inline(always)]
    fn clone(&self) -> Self {
        self.with_links(self.links.clone())
    }
}

impl Node {
    /// Returns a copy with other links.
    // As for `Near`: each call in between would copy the node once more.
    #[inline(always)]
    fn with_links(&self, links: Links) -> Self {
        Self {
            level: self.level,
            keys: self.keys.clone(),
            used: self.used,
            dead: self.dead,
            links,
            long: self.long.clone(),
            late: self.late.clone(),
            last_use: self.last_use.clone(),
            cost: self.cost.clone(),
        }
    }

    /// Makes a node without cells.
    pub(super) fn empty(level: u8, cache: &Cache) -> Arc<Self> {
        Self::of_parts(level, Keys::new(level > 0), Links::default(), cache)
    }

    // As above: a page is read into a node that was written once.
    #[inline(always)]
    fn of_parts(level: u8, keys: Keys, links: Links, cache: &Cache) -> Arc<Self> {
        let (last_use, cost) = (Use::never(), cache.cost(Self::bytes(&links)));
        let (used, dead, long, late) = (0, 0, Vec::new(), None);
        Arc::new(Self { level, last_use, keys, used, dead, links, long, late, cost })
    }

    /// Makes a branch over children in order; the first may hold every key below the second's.
    pub(super) fn branch(
        level: u8,
        children: impl IntoIterator<Item = (Box<[u8]>, Link)>,
        cache: &Cache,
    ) -> Arc<Self> {
        let mut node = Self::empty(level, cache);
        Arc::make_mut(&mut node).adopt_all(children);
        node
    }

    /// Returns what a node takes in memory.
    fn bytes(links: &Links) -> usize {
        size_of::<Self>() + links.len() * size_of::<Link>()
    }

    /// Makes a node whose page is yet to be read.
    pub(super) fn blank(cache: &Cache) -> Arc<Self> {
        Self::of_parts(0, Keys::blank(), Links::default(), cache)
    }

    /// Returns the memory that the page of a blank node is read into.
    pub(super) fn page_mut(&mut self) -> &mut PageBytes {
        self.keys.page_mut()
    }

    /// Makes a blank node hold what its page says, with no children resident; `false` if the page
    /// is none of a node, or not of the `level` that its parent says. A leaf stays where its page
    /// was read.
    #[must_use]
    pub(super) fn settle(&mut self, level: Option<u8>, cache: &Cache) -> bool {
        let page = NodePage::decode(self.keys.page());
        let Some(page) = page.filter(|page| level.is_none_or(|level| page.level() == level)) else {
            return false;
        };
        (self.level, self.used) = (page.level(), page.used_bytes());
        if self.level == 0 {
            let cells = Cells::of_leaf(&page);
            self.keys.settle(cells);
        } else {
            self.links = (0..page.count()).map(|index| Link::stored(page.child(index))).collect();
            self.keys = Keys::of_branch(&page);
            self.cost = cache.cost(Self::bytes(&self.links));
        }
        true
    }

    /// Returns 0 for a leaf, else the distance to the leaves.
    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn count(&self) -> usize {
        self.keys.count()
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        self.keys.key(index)
    }

    /// Finds a key in a leaf: its index, or where it would stand.
    pub(crate) fn find(&self, key: &[u8]) -> std::result::Result<usize, usize> {
        self.keys.find(key)
    }

    /// Finds the child of a branch that may hold a key.
    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.find(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Returns a child of a branch, reading it if it is not resident.
    pub(crate) fn child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        let resident = self.links[index].resident();
        resident.map_or_else(|| self.read_child(index, pager), |node| Ok(Arc::clone(node)))
    }

    #[cold]
    fn read_child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        let Some(late) = &self.late else {
            return self.links[index].node(Some(self.level - 1), pager);
        };
        let high = (index + 1 < self.count()).then(|| self.key(index + 1));
        let late = late.between(self.key(index), high);
        self.links[index].node_with(Some(self.level - 1), late, pager)
    }

    /// Makes children from `index` on resident, `count` at most, unless that one is. Those that
    /// lie close together are read together.
    pub(super) fn read_ahead(&self, index: usize, count: usize, pager: &Pager) -> Result<()> {
        if self.late.is_some() || self.links[index].peek().is_some() {
            return Ok(());
        }
        let ahead = self.links.iter().skip(index).take(count).filter(|link| link.peek().is_none());
        let ahead = ahead.filter_map(|link| Some((link.pointer?, link)));
        let mut wanted: Vec<_> = ahead.collect();
        if wanted.len() < 2 || !pager.cache().make_room() {
            return Ok(());
        }
        wanted.sort_unstable_by_key(|(pointer, _)| pointer.page);
        for close in wanted.chunk_by(|(a, _), (b, _)| b.page.0 - a.page.0 <= GAP_PAGES) {
            let pointers: Vec<_> = close.iter().map(|(pointer, _)| *pointer).collect();
            let nodes = pager.nodes(&pointers, self.level - 1)?;
            for ((_, link), node) in close.iter().zip(nodes) {
                if let Some(node) = node {
                    link.keep(&node);
                }
            }
        }
        Ok(())
    }

    /// Brings a leaf that is walked next into the processor's cache, all its lines at once instead
    /// of one after the other as they are needed, and what leads to those of the leaf after it.
    pub(super) fn warm_leaf(&self, index: usize) {
        let leaf = |index| self.links.get(index).and_then(Link::peek).filter(|_| self.level == 1);
        if let Some(after) = leaf(index + 1) {
            after.last_use.warm();
        }
        if let Some(leaf) = leaf(index) {
            std::hint::black_box(leaf.keys.line_sum());
        }
    }

    pub(super) fn touch(&self) {
        self.last_use.note();
    }

    /// Returns bytes of the heap.
    pub(super) fn slice(&self, at: usize, len: usize) -> &[u8] {
        &self.keys.heap[at..at + len]
    }

    /// Looks a key up in this node and below.
    pub(crate) fn get(self: &Arc<Self>, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        let value = |leaf: &Arc<Self>, index| leaf.value(index, pager);
        self.look(key, pager, value)
    }

    /// Tells whether a key is in this node or below.
    pub(crate) fn contains(self: &Arc<Self>, key: &[u8], pager: &Pager) -> Result<bool> {
        Ok(self.look(key, pager, |_, _| Ok(()))?.is_some())
    }

    /// Looks a key up and returns what `found` makes of leaf and index.
    fn look<T>(
        self: &Arc<Self>,
        key: &[u8],
        pager: &Pager,
        found: impl FnOnce(&Arc<Self>, usize) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut node = self;
        while node.level > 0 {
            let index = node.child_of(key);
            match node.links[index].resident() {
                Some(child) => node = child,
                None => return node.read_child(index, pager)?.look(key, pager, found),
            }
        }
        match node.keys.find_cold(key) {
            Ok(index) => found(node, index).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Tells whether putting an entry in reads nothing: the way to its leaf is resident, and what
    /// it may replace stands in the leaf.
    pub(super) fn takes_at_once(&self, key: &[u8]) -> bool {
        let mut node = self;
        while node.level > 0 {
            match node.links[node.child_of(key)].peek() {
                Some(child) => node = child,
                None => return false,
            }
        }
        let payload = node.find(key).map(|index| node.payload(index));
        !matches!(payload, Ok(Payload::Stored { .. }))
    }

    /// Brings the leaves of several keys nearer, as far as they are resident: what looking the keys
    /// up would wait for one after the other is waited for together.
    pub(crate) fn warm(&self, keys: &[Vec<u8>]) {
        let mut leaves = Vec::with_capacity(keys.len());
        for key in keys {
            let mut node = self;
            while node.level > 0 {
                let Some(child) = node.links[node.child_of(key)].peek() else { break };
                if node.level == 1 {
                    // A leaf is not looked into before it is known where the others are.
                    leaves.push((child, key));
                    break;
                }
                node = child;
            }
        }
        let counts = leaves.iter().fold(0, |sum, (leaf, _)| sum ^ leaf.count());
        std::hint::black_box(counts);
        for (leaf, key) in leaves {
            std::hint::black_box(leaf.keys.warm(key));
        }
    }

    /// Returns a handle on a key.
    pub(crate) fn key_bytes(self: &Arc<Self>, index: usize) -> Bytes {
        let Spot { start, end } = self.keys.spot(index);
        Bytes::of_node(Arc::clone(self), start, end - start)
    }

    /// Returns the value of a leaf's entry.
    pub(crate) fn value(self: &Arc<Self>, index: usize, pager: &Pager) -> Result<Bytes> {
        match self.payload(index) {
            Payload::Inline { at, len } => Ok(Bytes::of_node(Arc::clone(self), at, len)),
            Payload::Stored { bytes, first } => {
                pager.chain(bytes, first, &mut |_| ()).map(Bytes::from)
            }
            Payload::Long(value) => Ok(Bytes::from(Arc::clone(value))),
        }
    }

    /// Takes in a child at its place in a branch.
    pub(super) fn adopt(&mut self, index: usize, key: &[u8], link: Link) {
        let place = self.keys.append_key(key);
        self.keys.insert(index, place);
        self.links.insert(index, link);
        self.used += branch_cell_bytes(key.len());
    }

    /// Takes in all children of a branch that has none, in order; the first may hold every key
    /// below the second's.
    pub(super) fn adopt_all(&mut self, children: impl IntoIterator<Item = (Box<[u8]>, Link)>) {
        let (mut places, mut links) = (Vec::new(), Vec::new());
        for (key, link) in children {
            let key: &[u8] = if links.is_empty() { &[] } else { &key };
            places.push(self.keys.append_key(key));
            links.push(link);
            self.used += branch_cell_bytes(key.len());
        }
        self.keys.append(places);
        self.links = links.into_iter().collect();
    }

    /// Lets all children go, each with the least key that it may hold.
    pub(super) fn disown_all(&mut self) -> Vec<(Box<[u8]>, Link)> {
        let keys = std::mem::replace(&mut self.keys, Keys::new(true));
        self.used = 0;
        let links = self.links.split_off(0).into_iter().enumerate();
        links.map(|(index, link)| (keys.key(index).into(), link)).collect()
    }

    /// Lets a child go, with the key before it; the first of those that stay gets the empty key.
    pub(super) fn disown(&mut self, index: usize) -> (Box<[u8]>, Link) {
        let key: Box<[u8]> = self.keys.key(index).into();
        self.used -= branch_cell_bytes(key.len());
        if index == 0 && self.count() > 1 {
            self.used -= self.keys.key(1).len();
        }
        self.keys.remove(index);
        if index == 0 {
            self.keys.open_first();
        }
        (key, self.links.remove(index))
    }

    /// Cuts a branch in two; returns the key between them, and the right one.
    pub(super) fn cut_branch(&mut self, at: usize, cache: &Cache) -> (Box<[u8]>, Arc<Self>) {
        let key: Box<[u8]> = self.keys.key(at).into();
        let keys = (at..self.count()).map(|index| Box::from(self.keys.key(index)));
        let keys: Vec<Box<[u8]>> = keys.collect();
        let links = self.links.split_off(at);
        let right = Self::branch(self.level, keys.into_iter().zip(links), cache);
        self.used -= right.used + key.len();
        self.keys.truncate(at);
        (key, right)
    }

    /// Writes the node into a page, not yet sealed. Its children and long values must have been
    /// written.
    pub(super) fn encode(&self, page: &mut PageBytes) {
        if self.level == 0 { self.encode_leaf(page) } else { self.encode_branch(page) }
    }

    fn encode_branch(&self, page: &mut PageBytes) {
        let written = |link: &Link| link.pointer.expect("T3: children are written first");
        let cells = (0..self.count()).map(|i| (self.keys.key(i), written(&self.links[i])));
        encode_branch(self.level, cells, page);
    }

    /// Returns the node without the descendants that are let go, or itself if none are. Those
    /// whose keys are below `from` are not looked at.
    pub(super) fn trimmed(self: &Arc<Self>, from: &[u8], trim: &mut Trim) -> Arc<Self> {
        let first = if from.is_empty() { 0 } else { self.child_of(from) };
        let mut changes = Vec::new();
        for (index, link) in self.links.iter().enumerate().skip(first) {
            if trim.ends_at(self.key(index)) {
                break;
            }
            let Some(child) = link.peek() else { continue };
            let trimmed = child.trimmed(if index == first { from } else { &[] }, trim);
            let can_go =
                link.pointer.is_some() && trimmed.links.iter().all(|below| below.peek().is_none());
            if can_go && trim.takes(&child.last_use, &child.cost) {
                changes.push((index, link.unread()));
            } else if !Arc::ptr_eq(child, &trimmed) {
                changes.push((index, Link::resident_at(link.pointer, trimmed)));
            }
        }
        if changes.is_empty() {
            return Arc::clone(self);
        }
        Arc::new(self.with_links(self.links.with(changes)))
    }
}
