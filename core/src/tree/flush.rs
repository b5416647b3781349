//! Flushing a tree: every changed node and value is written once, children before parents, and
//! leaves before branches.
//!
//! A large transaction flushes its trees also before its commit, and reads the nodes back when it
//! needs them.

use super::child_ref::ChildRef;
use super::edit::TreeEdit;
use super::node::Node;
use super::state::TreeState;
use crate::conc::Arc;
use crate::error::Result;
use crate::pager::PageWriter;

impl TreeEdit {
    /// Writes the tree and returns the version that it is from now on.
    pub(crate) fn flush(mut self, writer: &mut PageWriter<'_>) -> Result<Arc<TreeState>> {
        self.flush_nodes(writer)?;
        Ok(self.into_state(writer.cache()))
    }

    /// Writes the changed nodes.
    pub(crate) fn flush_nodes(&mut self, writer: &mut PageWriter<'_>) -> Result<()> {
        let Some(root) = &mut self.root else { return Ok(()) };
        // Leaves get consecutive pages, and so do branches: a scan reads a few long runs.
        let top = root.peek().map_or(0, |node| node.level());
        (0..=top).try_for_each(|level| root.flush(level, writer))?;
        assert!(!root.is_unwritten(), "T3: a node was not written");
        Ok(())
    }

    /// Drops the resident nodes of a tree whose nodes are all written.
    pub(crate) fn evict_all(&mut self) {
        if let Some(root) = &mut self.root {
            assert!(!root.is_unwritten(), "T3: a node that is not written is evicted");
            *root = root.evicted();
        }
    }

    /// Returns the memory of the resident nodes, in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.root.as_ref().map_or(0, ChildRef::resident_bytes)
    }

    /// Returns the number of pages that writing the tree takes.
    pub(crate) fn pages(&self) -> usize {
        self.root.as_ref().map_or(0, ChildRef::pages)
    }
}

impl ChildRef<Node> {
    /// Writes the changed nodes of a level, from this one down.
    fn flush(&mut self, level: u8, writer: &mut PageWriter<'_>) -> Result<()> {
        if !self.is_unwritten() {
            return Ok(());
        }
        if let Some(node) = self.exclusive() {
            // It takes no more memory than it needs.
            node.compact_heap();
        }
        let leaf = self.peek().filter(|node| node.level() == 0 && node.unwritten.is_empty());
        let pointer = if let Some(leaf) = leaf {
            writer.put(|page| leaf.encode_leaf(page))?
        } else {
            let node = self.own();
            if node.level() > level {
                let mut children = node.children.unwritten_mut();
                return children.try_for_each(|child| child.flush(level, writer));
            }
            if node.level() == 0 {
                node.flush_values(writer)?;
                writer.put(|page| node.encode_leaf(page))?
            } else {
                writer.put(|page| node.encode_branch(page))?
            }
        };
        self.pointer = Some(pointer);
        Ok(())
    }

    /// Returns the number of pages that writing the node, and those below it, takes.
    fn pages(&self) -> usize {
        match self.peek().filter(|_| self.is_unwritten()) {
            Some(node) if node.level() == 0 => 1 + node.overflow_pages(),
            Some(node) => 1 + node.children.iter().map(Self::pages).sum::<usize>(),
            None => 0,
        }
    }
}

impl ChildRef<Node> {
    /// Returns the memory of the node if it is resident, and of those below it, in bytes.
    fn resident_bytes(&self) -> usize {
        let Some(node) = self.peek() else { return 0 };
        node.charge.bytes() + node.children.iter().map(Self::resident_bytes).sum::<usize>()
    }
}

impl Node {
    /// Writes the out-of-line values of a leaf.
    fn flush_values(&mut self, writer: &mut PageWriter<'_>) -> Result<()> {
        for (index, value) in self.unwritten_values() {
            let first = writer.put_chain(&value, &mut |_| {})?;
            self.set_stored(index, first);
        }
        self.unwritten = Vec::new();
        self.recharge();
        Ok(())
    }
}
