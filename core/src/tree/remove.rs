//! Removing entries: a sparse node merges with a neighbour, and an empty one is removed.

use super::child_ref::ChildRef;
use super::edit::TreeEdit;
use super::leaf::Payload;
use super::load::EditContext;
use super::node::Node;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::page::NODE_CAPACITY;
use crate::pager::PageSet;

/// A node of fewer bytes merges with a neighbour.
const SPARSE_BYTES: usize = NODE_CAPACITY / 3;

impl TreeEdit {
    /// Removes an entry and tells whether the key existed.
    pub(crate) fn remove(&mut self, key: &[u8], context: &mut EditContext<'_>) -> Result<bool> {
        if self.get(key, context.pager)?.is_none() {
            return Ok(false);
        }
        let Some(root) = &mut self.root else { return Ok(false) };
        self.changed = true;
        root.edit(None, context)?.remove(key, context)?;
        self.len = self.len.saturating_sub(1);
        self.collapse_root();
        Ok(true)
    }

    /// Removes a root that is empty, or that has a single child.
    pub(super) fn collapse_root(&mut self) {
        while let Some(root) = self.root.take() {
            let own = root.peek().filter(|_| root.is_unwritten());
            let (level, count) = own.map_or((0, 1), |node| (node.level(), node.count()));
            if count == 0 {
                return;
            }
            if level == 0 || count > 1 {
                self.root = Some(root);
                return;
            }
            self.root = own.and_then(|node| node.children.get(0).cloned());
        }
    }

    /// Removes every entry.
    pub(crate) fn clear(&mut self, context: &mut EditContext<'_>) -> Result<()> {
        if let Some(root) = self.root.take() {
            self.changed = true;
            self.len = 0;
            free_subtree(&root, None, &mut PageSet::default(), context)?;
        }
        Ok(())
    }
}

impl Node {
    /// Removes a key that exists.
    fn remove(&mut self, key: &[u8], context: &mut EditContext<'_>) -> Result<()> {
        if self.level() == 0 {
            if let Ok(index) = self.find(key) {
                self.free_payload(index, context)?;
                self.remove_entry(index);
            }
            return Ok(());
        }
        let index = self.child_of(key);
        let level = self.level() - 1;
        let child = self.children[index].edit(Some(level), context)?;
        child.remove(key, context)?;
        if child.count() == 0 {
            self.remove_child(index);
        } else if child.used < SPARSE_BYTES {
            self.merge_sparse_child(index, context)?;
        }
        Ok(())
    }

    /// Merges a child with the neighbour that leaves the least room, if one fits.
    fn merge_sparse_child(&mut self, index: usize, context: &mut EditContext<'_>) -> Result<()> {
        let level = Some(self.level() - 1);
        let own = self.child(index, context.pager)?.used;
        let mut best: Option<(usize, usize)> = None;
        for left in [index.checked_sub(1), Some(index)].into_iter().flatten() {
            let other = if left == index { index + 1 } else { left };
            if other >= self.count() {
                continue;
            }
            // A merged branch holds the key that separated the two.
            let key = if self.level() > 1 { self.key(left + 1).len() } else { 0 };
            let together = own + self.child(other, context.pager)?.used + key;
            if together <= NODE_CAPACITY && best.is_none_or(|(_, most)| together > most) {
                best = Some((left, together));
            }
        }
        let Some((left, _)) = best else { return Ok(()) };
        self.children[left].edit(level, context)?;
        self.children[left + 1].edit(level, context)?;
        self.merge_children(left, 2);
        Ok(())
    }

    /// Merges `run` changed children from `start` on into the first of them.
    pub(super) fn merge_children(&mut self, start: usize, run: usize) {
        let count = self.count();
        assert!(start + run <= count, "T1: children {start} to {} of {count}", start + run);
        let rest: Vec<_> = (1..run).map(|_| self.remove_child(start + 1)).collect();
        let left = self.children[start].own();
        for (key, mut child) in rest {
            let right = child.own();
            assert!(left.level() == right.level(), "T2: a merge across levels");
            if left.level() == 0 {
                left.append_entries(right, 0..right.count());
                continue;
            }
            for (index, child) in right.children.split_off(0).into_iter().enumerate() {
                let own: Box<[u8]> = right.key(index).into();
                let key = if index == 0 && !fault::on(Fault::Bt03) { &key } else { &own };
                left.insert_child(left.count(), key, child);
            }
        }
    }
}

/// Frees the pages of a node, and of all nodes and values below it; `met` has those that were freed
/// before.
fn free_subtree(
    child: &ChildRef<Node>,
    level: Option<u8>,
    met: &mut PageSet,
    context: &mut EditContext<'_>,
) -> Result<()> {
    if let Some(pointer) = &child.pointer {
        if !met.insert(pointer.page) {
            return Err(context.pager.damaged(pointer.page, Damage::Content));
        }
        context.free(pointer);
    }
    let node = match child.peek() {
        Some(node) => Arc::clone(node),
        None => child.load(level, context.pager)?,
    };
    for index in 0..node.count() {
        if node.level() > 0 {
            free_subtree(&node.children[index], Some(node.level() - 1), met, context)?;
        } else if let Payload::Stored { bytes, first } = node.payload(index) {
            let mut shared = None;
            let pager = context.pager;
            pager.walk_chain(bytes, first, &mut |pointer, _| {
                context.free(pointer);
                shared = Some(pointer.page).filter(|page| !met.insert(*page));
                shared.is_none()
            })?;
            if let Some(page) = shared {
                return Err(context.pager.damaged(page, Damage::Content));
            }
        }
    }
    Ok(())
}
