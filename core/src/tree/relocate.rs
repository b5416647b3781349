//! Relocating the nodes behind a page, so that the file can be truncated there.

use super::child_ref::ChildRef;
use super::edit::TreeEdit;
use super::load::EditContext;
use super::node::Node;
use crate::conc::Arc;
use crate::error::Result;
use crate::unit::PageId;

impl TreeEdit {
    /// Marks the nodes on pages from `from` on as changed, so that the next checkpoint writes them
    /// elsewhere. Out-of-line values keep their pages.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub(crate) fn relocate(&mut self, from: PageId, context: &mut EditContext<'_>) -> Result<()> {
        if let Some(root) = &mut self.root
            && root.reaches(None, from, context)?
        {
            self.changed = true;
            root.relocate(None, from, context)?;
        }
        Ok(())
    }
}

impl ChildRef<Node> {
    /// Tells whether the node, or one below it, is on a page from `from` on.
    fn reaches(&self, level: Option<u8>, from: PageId, context: &EditContext<'_>) -> Result<bool> {
        if self.pointer.is_none_or(|pointer| pointer.page >= from) {
            return Ok(true);
        }
        if level == Some(0) {
            return Ok(false);
        }
        let node = self.load(level, context.pager)?;
        for child in node.children.iter() {
            if child.reaches(Some(node.level() - 1), from, context)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn relocate(
        &mut self,
        level: Option<u8>,
        from: PageId,
        context: &mut EditContext<'_>,
    ) -> Result<()> {
        // The node is loaded once, for the scan of its children.
        let seen = Arc::clone(&self.load(level, context.pager)?);
        let node = self.edit(level, context)?;
        for (index, child) in seen.children.iter().enumerate() {
            let below = Some(seen.level() - 1);
            if child.reaches(below, from, context)? {
                node.children[index].relocate(below, from, context)?;
            }
        }
        assert!(self.is_unwritten(), "T4: a relocated node keeps its page");
        Ok(())
    }
}
