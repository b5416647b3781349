//! What leads to a node: where it lies in the file, and the node itself once it was read.

use super::{Edits, Late, Node, Pager};
use crate::conc::{Arc, OnceLock};
use crate::error::Result;
use crate::page::Pointer;

/// What leads to a node: a page of the file, the node in memory, or both.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Where the node was written; `None` if it was changed and not written since. Then no node
    /// above it was written either.
    pub(super) pointer: Option<Pointer>,
    /// The node, if it was there when the link was made.
    node: Option<Arc<Node>>,
    /// The node, if it was read since.
    late: OnceLock<Arc<Node>>,
}

impl Clone for Link {
    fn clone(&self) -> Self {
        Self { pointer: self.pointer, node: self.peek().cloned(), late: OnceLock::new() }
    }
}

impl Link {
    /// Leads to a page.
    pub(super) const fn stored(pointer: Pointer) -> Self {
        Self { pointer: Some(pointer), node: None, late: OnceLock::new() }
    }

    /// Leads to a node that is not written.
    pub(super) const fn fresh(node: Arc<Node>) -> Self {
        Self::resident_at(None, node)
    }

    pub(crate) const fn resident_at(pointer: Option<Pointer>, node: Arc<Node>) -> Self {
        Self { pointer, node: Some(node), late: OnceLock::new() }
    }

    /// Returns the link as if the node had not been read.
    pub(crate) const fn unread(&self) -> Self {
        Self { pointer: self.pointer, node: None, late: OnceLock::new() }
    }

    /// Returns the node if it is resident.
    pub(crate) fn into_node(self) -> Option<Arc<Node>> {
        self.node.or(self.late.into_inner())
    }

    /// Returns the node if it is resident, without using it.
    pub(super) fn peek(&self) -> Option<&Arc<Node>> {
        match &self.node {
            Some(node) => Some(node),
            None => self.late.get(),
        }
    }

    /// Returns the node if it is resident.
    pub(super) fn resident(&self) -> Option<&Arc<Node>> {
        let node = self.peek()?;
        node.touch();
        Some(node)
    }

    /// Returns the node, reading it if it is not resident. `level` is what its parent says.
    pub(super) fn node(&self, level: Option<u8>, pager: &Pager) -> Result<Arc<Node>> {
        self.resident().map_or_else(|| self.read(level, pager), |node| Ok(Arc::clone(node)))
    }

    #[cold]
    fn read(&self, level: Option<u8>, pager: &Pager) -> Result<Arc<Node>> {
        let pointer = self.pointer.as_ref().expect("T3: a node that is not written is resident");
        let node = pager.node(pointer, level)?;
        if pager.cache().make_room() {
            self.keep(&node);
        }
        Ok(node)
    }

    /// Reads the node and puts into it what the log holds.
    pub(super) fn node_with(
        &self,
        level: Option<u8>,
        late: Late,
        pager: &Pager,
    ) -> Result<Arc<Node>> {
        let pointer = self.pointer.as_ref().expect("T3: what the log is put into is on the disk");
        let mut node = pager.node(pointer, level)?;
        late.put_into(Arc::make_mut(&mut node));
        if pager.cache().make_room() {
            self.keep(&node);
        }
        Ok(node)
    }

    /// Makes a node that was read resident. If another reader was faster, its node stays.
    pub(super) fn keep(&self, node: &Arc<Node>) {
        drop(self.late.set(Arc::clone(node)));
    }

    /// Returns the node to change: a copy, unless it is the transaction's own already. The page it
    /// was written to is freed.
    #[inline]
    pub(super) fn edit(&mut self, level: Option<u8>, edits: &mut Edits<'_>) -> Result<&mut Node> {
        if let Some(pointer) = self.pointer {
            self.begin(pointer, level, edits)?;
        }
        Ok(self.own())
    }

    /// Begins to change a node that was written.
    #[cold]
    fn begin(&mut self, pointer: Pointer, level: Option<u8>, edits: &mut Edits<'_>) -> Result<()> {
        let node = match self.node.take().or_else(|| self.late.take()) {
            Some(node) => node,
            None => edits.pager.node(&pointer, level)?,
        };
        self.node = Some(node);
        self.pointer = None;
        edits.freed.push(pointer.page);
        Ok(())
    }

    /// Lets a node that only this leads to take no more memory than it needs.
    pub(super) fn tidy(&mut self) {
        if let Some(node) = self.node.as_mut().and_then(Arc::get_mut) {
            node.tidy();
        }
    }

    /// Returns the node to write; a copy if others see it.
    pub(super) fn own(&mut self) -> &mut Node {
        Arc::make_mut(self.node.as_mut().expect("T3: a node that is not written is resident"))
    }
}
