//! Removing entries: a node that runs low merges with a neighbour, an empty one goes.

use super::Node;
use super::edit::{Edits, TreeEdit};
use super::leaf::Payload;
use super::link::Link;
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::page::NODE_CAPACITY;

/// Below this a node looks for a neighbour to merge with.
const LOW_BYTES: usize = NODE_CAPACITY / 3;

impl TreeEdit {
    /// Removes an entry and tells whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8], edits: &mut Edits<'_>) -> Result<bool> {
        if self.get(key, edits.pager)?.is_none() {
            return Ok(false);
        }
        let Some(root) = &mut self.root else { return Ok(false) };
        self.changed = true;
        root.edit(None, edits)?.remove(key, edits)?;
        self.len = self.len.saturating_sub(1);
        self.lower();
        Ok(true)
    }

    /// Takes away a root that is empty, or that has a single child.
    pub(super) fn lower(&mut self) {
        while let Some(root) = self.root.take() {
            let fresh = root.peek().filter(|_| root.pointer.is_none());
            let (level, count) = fresh.map_or((0, 1), |node| (node.level(), node.count()));
            if count == 0 {
                return;
            }
            if level == 0 || count > 1 {
                self.root = Some(root);
                return;
            }
            self.root = fresh.and_then(|node| node.links.get(0).cloned());
        }
    }

    /// Removes every entry.
    pub(crate) fn clear(&mut self, edits: &mut Edits<'_>) -> Result<()> {
        if let Some(root) = self.root.take() {
            self.changed = true;
            self.len = 0;
            free_link(&root, None, edits)?;
        }
        Ok(())
    }
}

impl Node {
    /// Removes a key that is there.
    fn remove(&mut self, key: &[u8], edits: &mut Edits<'_>) -> Result<()> {
        if self.level() == 0 {
            if let Ok(index) = self.find(key) {
                self.free_payload(index, edits)?;
                self.take(index);
            }
            return Ok(());
        }
        let index = self.child_of(key);
        let level = self.level() - 1;
        let child = self.links[index].edit(Some(level), edits)?;
        child.remove(key, edits)?;
        if child.count() == 0 {
            self.disown(index);
        } else if child.used < LOW_BYTES {
            self.merge_around(index, edits)?;
        }
        Ok(())
    }

    /// Merges a low child with the neighbour that leaves the least room, if one fits.
    fn merge_around(&mut self, index: usize, edits: &mut Edits<'_>) -> Result<()> {
        let level = Some(self.level() - 1);
        let own = self.child(index, edits.pager)?.used;
        let mut best: Option<(usize, usize)> = None;
        for left in [index.checked_sub(1), Some(index)].into_iter().flatten() {
            let other = if left == index { index + 1 } else { left };
            if other >= self.count() {
                continue;
            }
            // Between branches, the key that separates them comes down.
            let key = if self.level() > 1 { self.key(left + 1).len() } else { 0 };
            let together = own + self.child(other, edits.pager)?.used + key;
            if together <= NODE_CAPACITY && best.is_none_or(|(_, most)| together > most) {
                best = Some((left, together));
            }
        }
        let Some((left, _)) = best else { return Ok(()) };
        self.links[left].edit(level, edits)?;
        self.links[left + 1].edit(level, edits)?;
        self.gather(left, 2);
        Ok(())
    }

    /// Puts `run` changed children from `start` on into the first of them.
    pub(super) fn gather(&mut self, start: usize, run: usize) {
        let rest: Vec<_> = (1..run).map(|_| self.disown(start + 1)).collect();
        let left = self.links[start].own();
        for (key, mut link) in rest {
            let right = link.own();
            if left.level() == 0 {
                left.take_over(right, 0..right.count());
                continue;
            }
            for (index, link) in right.links.split_off(0).into_iter().enumerate() {
                let own: Box<[u8]> = right.key(index).into();
                let key = if index == 0 && !fault::on(Fault::Bt03) { &key } else { &own };
                left.adopt(left.count(), key, link);
            }
        }
    }
}

/// Frees every page below a link, the link's own included.
fn free_link(link: &Link, level: Option<u8>, edits: &mut Edits<'_>) -> Result<()> {
    if let Some(pointer) = &link.pointer {
        edits.freed.push(pointer.page);
    }
    let node = match link.peek() {
        Some(node) => Arc::clone(node),
        None => link.node(level, edits.pager)?,
    };
    for index in 0..node.count() {
        if node.level() > 0 {
            free_link(&node.links[index], Some(node.level() - 1), edits)?;
        } else if let Payload::Stored { .. } = node.payload(index) {
            node.free_payload(index, edits)?;
        }
    }
    Ok(())
}
