//! Moving what lies behind a page of the file, so that the file can be cut there.

use super::edit::{Edits, TreeEdit};
use super::link::Link;
use crate::conc::Arc;
use crate::error::Result;
use crate::unit::PageId;

impl TreeEdit {
    /// Takes the nodes on pages from `from` on as changed, so that they are written anew. Values
    /// outside the leaves stay where they are.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub(crate) fn lift(&mut self, from: PageId, edits: &mut Edits<'_>) -> Result<()> {
        if let Some(root) = &mut self.root
            && root.reaches(None, from, edits)?
        {
            self.changed = true;
            root.lift(None, from, edits)?;
        }
        Ok(())
    }
}

impl Link {
    /// Tells whether the node, or one below it, lies on a page from `from` on.
    fn reaches(&self, level: Option<u8>, from: PageId, edits: &Edits<'_>) -> Result<bool> {
        if self.pointer.is_none_or(|pointer| pointer.page >= from) {
            return Ok(true);
        }
        if level == Some(0) {
            return Ok(false);
        }
        let node = self.node(level, edits.pager)?;
        for link in node.links.iter() {
            if link.reaches(Some(node.level() - 1), from, edits)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn lift(&mut self, level: Option<u8>, from: PageId, edits: &mut Edits<'_>) -> Result<()> {
        // Read once, for looking at its children.
        let seen = Arc::clone(&self.node(level, edits.pager)?);
        let node = self.edit(level, edits)?;
        for (index, link) in seen.links.iter().enumerate() {
            let below = Some(seen.level() - 1);
            if link.reaches(below, from, edits)? {
                node.links[index].lift(below, from, edits)?;
            }
        }
        Ok(())
    }
}
