//! Relocating the nodes behind a page, so that the file can be truncated there.

use super::child_ref::ChildRef;
use super::edit::TreeEdit;
use super::load::EditContext;
use super::node::Node;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::pager::PageSet;
use crate::unit::PageId;

impl TreeEdit {
    /// Marks the nodes on pages from `from` on as changed, so that the next checkpoint writes them
    /// elsewhere. Out-of-line values keep their pages.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub(crate) fn relocate(&mut self, from: PageId, context: &mut EditContext<'_>) -> Result<()> {
        let mut walk = Relocation { from, met: PageSet::default(), context };
        if let Some(root) = &mut self.root
            && walk.node(root, None)?
        {
            self.changed = true;
        }
        Ok(())
    }
}

/// A walk that relocates nodes.
struct Relocation<'a, 'b> {
    /// Nodes on pages from this one on are relocated, and those above them.
    from: PageId,
    /// The pages of the nodes that were met.
    met: PageSet,
    context: &'a mut EditContext<'b>,
}

impl Relocation<'_, '_> {
    /// Relocates a node and those below it, and tells whether it was relocated.
    fn node(&mut self, child: &mut ChildRef<Node>, level: Option<u8>) -> Result<bool> {
        let page = child.pointer.map(|pointer| pointer.page);
        if let Some(page) = page
            && !self.met.insert(page)
            && !fault::on(Fault::Fs43)
        {
            return Err(self.context.pager.damaged(page, Damage::Content));
        }
        let is_behind = page.is_none_or(|page| page >= self.from);
        if level == Some(0) {
            if is_behind {
                child.edit(level, self.context)?;
            }
            return Ok(is_behind);
        }
        let seen = child.load(level, self.context.pager)?;
        let mut moved = Vec::new();
        for (index, below) in seen.children.iter().enumerate() {
            let mut below = below.clone();
            if self.node(&mut below, Some(seen.level() - 1))? {
                moved.push((index, below));
            }
        }
        if !is_behind && moved.is_empty() {
            return Ok(false);
        }
        drop(seen);
        let node = child.edit(level, self.context)?;
        if !moved.is_empty() {
            node.children = node.children.with(moved);
        }
        assert!(child.is_unwritten(), "T4: a relocated node keeps its page");
        Ok(true)
    }
}
