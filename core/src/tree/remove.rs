//! Removing entries: a node that runs low merges with a neighbour, an empty one goes.

use super::edit::{Dirty, DirtyBranch, DirtyLeaf, Edits, Link, Payload, TreeEdit, free_payload};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::page::{NODE_CAPACITY, ValueSpan, branch_cell_bytes};

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
    fn lower(&mut self) {
        loop {
            let Some(Link::Dirty(root)) = &mut self.root else { return };
            match &mut **root {
                Dirty::Leaf(leaf) if leaf.cells.is_empty() => self.root = None,
                Dirty::Branch(branch) if branch.cells.is_empty() => self.root = None,
                Dirty::Branch(branch) if branch.cells.len() == 1 => {
                    self.root = branch.cells.pop().map(|cell| cell.link);
                }
                Dirty::Leaf(_) | Dirty::Branch(_) => return,
            }
        }
    }

    /// Removes every entry.
    pub(crate) fn clear(&mut self, edits: &mut Edits<'_>) -> Result<()> {
        if let Some(root) = self.root.take() {
            self.changed = true;
            self.len = 0;
            free_link(root, None, edits)?;
        }
        Ok(())
    }
}

impl Dirty {
    /// Removes a key that is there.
    fn remove(&mut self, key: &[u8], edits: &mut Edits<'_>) -> Result<()> {
        match self {
            Self::Leaf(leaf) => leaf.remove(key, edits),
            Self::Branch(branch) => {
                let index = branch.child_of(key);
                let child = branch.cells[index].link.edit(Some(branch.level - 1), edits)?;
                child.remove(key, edits)?;
                let (count, bytes) = (child.count(), child.bytes());
                if count == 0 {
                    branch.forget(index);
                } else if bytes < LOW_BYTES {
                    branch.merge_around(index, edits)?;
                }
                Ok(())
            }
        }
    }
}

impl DirtyLeaf {
    fn remove(&mut self, key: &[u8], edits: &mut Edits<'_>) -> Result<()> {
        if let Ok(index) = self.find(key) {
            free_payload(&self.cells[index].payload, edits)?;
            let cell = self.cells.remove(index);
            self.bytes -= cell.bytes();
        }
        Ok(())
    }
}

impl DirtyBranch {
    /// Takes away an empty child.
    fn forget(&mut self, index: usize) {
        let cell = self.cells.remove(index);
        self.bytes -= branch_cell_bytes(cell.key.len());
        if index == 0
            && let Some(first) = self.cells.first_mut()
        {
            self.bytes -= first.key.len();
            first.key = Box::default();
        }
    }

    /// Merges a low child with the neighbour that leaves the least room, if one fits.
    fn merge_around(&mut self, index: usize, edits: &mut Edits<'_>) -> Result<()> {
        let below = self.level - 1;
        let own = self.cells[index].link.used_bytes(below, edits.pager)?;
        let mut best: Option<(usize, usize)> = None;
        for left in [index.checked_sub(1), Some(index)].into_iter().flatten() {
            let other = if left == index { index + 1 } else { left };
            if other >= self.cells.len() {
                continue;
            }
            // Between branches, the key that separates them comes down.
            let key = if self.level > 1 { self.cells[left + 1].key.len() } else { 0 };
            let neighbour = self.cells[other].link.used_bytes(below, edits.pager)?;
            let together = own + neighbour + key;
            if together <= NODE_CAPACITY && best.is_none_or(|(_, most)| together > most) {
                best = Some((left, together));
            }
        }
        let Some((left, _)) = best else { return Ok(()) };
        self.cells[left].link.edit(Some(below), edits)?;
        self.cells[left + 1].link.edit(Some(below), edits)?;
        let cell = self.cells.remove(left + 1);
        self.bytes -= branch_cell_bytes(cell.key.len());
        let Link::Dirty(right) = cell.link else { unreachable!("T4: made dirty above") };
        self.cells[left].link.edit(Some(below), edits)?.append(*right, cell.key);
        Ok(())
    }
}

impl Dirty {
    /// Takes over the cells of the right neighbour; `key` separated the two.
    fn append(&mut self, right: Self, key: Box<[u8]>) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                left.cells.extend(right.cells);
                left.bytes += right.bytes;
            }
            (Self::Branch(left), Self::Branch(mut right)) => {
                left.bytes += right.bytes + key.len();
                if !fault::on(Fault::Bt03) {
                    right.cells[0].key = key;
                }
                left.cells.extend(right.cells);
            }
            (Self::Leaf(_), Self::Branch(_)) | (Self::Branch(_), Self::Leaf(_)) => {
                unreachable!("T2: neighbours are at one level")
            }
        }
    }
}

/// Frees every page below a link, the link's own included.
fn free_link(link: Link, level: Option<u8>, edits: &mut Edits<'_>) -> Result<()> {
    match link {
        Link::Dirty(dirty) => match *dirty {
            Dirty::Leaf(leaf) => {
                leaf.cells.iter().try_for_each(|cell| free_payload(&cell.payload, edits))
            }
            Dirty::Branch(branch) => {
                let below = Some(branch.level - 1);
                let mut cells = branch.cells.into_iter();
                cells.try_for_each(|cell| free_link(cell.link, below, edits))
            }
        },
        Link::Clean { pointer, node } => {
            let node = match node {
                Some(node) => node,
                None => edits.pager.node(&pointer, level)?,
            };
            edits.freed.push(pointer.page);
            for index in 0..node.page.count() {
                if node.page.level() > 0 {
                    let child = node.resident(index).cloned();
                    let link = Link::Clean { pointer: node.page.child(index), node: child };
                    free_link(link, Some(node.page.level() - 1), edits)?;
                } else if let ValueSpan::Stored { bytes, first } = node.page.value(index) {
                    free_payload(&Payload::Stored { bytes, first }, edits)?;
                }
            }
            Ok(())
        }
    }
}
